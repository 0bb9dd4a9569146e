"""Bodies as angles. A `Pose` says how a person holds themself; `joints` turns it into points in the frame. Angles are
degrees: limbs from straight down, positive towards where the person looks; upper and lower part each absolute.
`lean` bends the trunk forward, `turn` rolls the whole body backward about the hips (90: on the back, -90: face down).
Whatever is lowest touches the ground."""

import math
from typing import NamedTuple

# Lengths as shares of body height.
TRUNK, THIGH, SHIN, UPPER_ARM, FOREARM, NECK, HEAD = 0.34, 0.22, 0.23, 0.17, 0.17, 0.145, 0.115


class Pose(NamedTuple):
    lean: float = 0.0
    arm1: tuple[float, float] = (8, 14)
    arm2: tuple[float, float] = (-8, -2)
    leg1: tuple[float, float] = (5, 0)
    leg2: tuple[float, float] = (-5, -5)
    turn: float = 0.0
    lift: float = 0.0
    head: float = 0.0


def joints(x: float, ground: float, height: float, facing: int, pose: Pose) -> dict[str, list[tuple[float, float]]]:
    """Points in frame units of `trunk` (hip, shoulder), `head` (centre) and the limbs (start, middle, end).
    `x`: hip, `ground`: y of the ground, `facing`: +1 right or -1 left."""

    def step(start, angle, length):
        a = math.radians(angle)
        return start[0] + math.sin(a) * length * height, start[1] - math.cos(a) * length * height

    hip = (0.0, 0.0)
    shoulder = step(hip, 180 - pose.lean, TRUNK)
    parts = {"trunk": [hip, shoulder], "head": [step(shoulder, 180 - pose.lean - pose.head, NECK)]}
    for name, (upper, lower), start, lengths in (
        ("arm1", pose.arm1, shoulder, (UPPER_ARM, FOREARM)),
        ("arm2", pose.arm2, shoulder, (UPPER_ARM, FOREARM)),
        ("leg1", pose.leg1, hip, (THIGH, SHIN)),
        ("leg2", pose.leg2, hip, (THIGH, SHIN)),
    ):
        middle = step(start, upper, lengths[0])
        parts[name] = [start, middle, step(middle, lower, lengths[1])]
    if pose.turn:
        cos, sin = math.cos(math.radians(pose.turn)), math.sin(math.radians(pose.turn))
        parts = {k: [(px * cos - py * sin, px * sin + py * cos) for px, py in v] for k, v in parts.items()}
    low = min(py for points in parts.values() for _, py in points)
    low = min(low, parts["head"][0][1] - HEAD * height + 2)
    base = ground + low - 0.04 * height - pose.lift
    return {k: [(x + facing * px, base - py) for px, py in v] for k, v in parts.items()}


def walk(phase: float, swing: float = 1.0) -> Pose:
    """One moment of walking; `phase` in radians, `swing` scales the step (1.7 runs)."""
    s, c = math.sin(phase), math.cos(phase)
    bend1, bend2 = 26 * max(0.0, c) * swing, 26 * max(0.0, -c) * swing
    return Pose(
        lean=3 * swing,
        arm1=(-26 * s * swing, -26 * s * swing + 16),
        arm2=(26 * s * swing, 26 * s * swing + 16),
        leg1=(27 * s * swing, 27 * s * swing - bend1),
        leg2=(-27 * s * swing, -27 * s * swing - bend2),
    )


def stand(wobble: float) -> Pose:
    """Standing and talking; `wobble` in radians moves the hands a little."""
    s = math.sin(wobble)
    return Pose(lean=1.5 * s, arm1=(10 + 6 * s, 38 + 14 * s), arm2=(-6 - 3 * s, 4), leg1=(6, 2), leg2=(-5, -5))


def run(phase: float) -> Pose:
    return walk(phase, 1.75)._replace(lean=16)


def kneel(lean: float = 8.0) -> Pose:
    """On one knee."""
    return Pose(lean=lean, arm1=(30, 60), arm2=(15, 50), leg1=(88, 0), leg2=(-8, -86))


def on_knees() -> Pose:
    return Pose(lean=14, arm1=(-38, -60), arm2=(-30, -70), leg1=(4, -84), leg2=(-4, -88), head=14)


def lie(wobble: float = 0.0) -> Pose:
    """On the back."""
    s = 6 * math.sin(wobble)
    return Pose(turn=88, arm1=(120 + s, 135), arm2=(-30 - s, -14), leg1=(30 + s, -12), leg2=(-4, -4))


def stagger(wobble: float = 0.0) -> Pose:
    """Falling backward with both arms thrown up."""
    s = 8 * math.sin(wobble)
    return Pose(turn=38, lean=-8, arm1=(120 + s, 150 + s), arm2=(150 - s, 185), leg1=(48, 30), leg2=(8, -22))


def sit(wobble: float = 0.0) -> Pose:
    s = 4 * math.sin(wobble)
    return Pose(lean=-6 + s, arm1=(20, 60 + s), arm2=(-30, -16), leg1=(82, 84), leg2=(74, 80))


def arms_up(wobble: float, spread: float = 24.0) -> Pose:
    s = math.sin(wobble)
    return Pose(
        arm1=(150 + spread * s, 165 + spread * s),
        arm2=(-150 + spread * s, -165 + spread * s),
        leg1=(12, 6),
        leg2=(-12, -10),
    )
