"""How an animal holds itself, as numbers: a `Pose` has the same fields for every species, each reads those it has limbs
for, and `blend` passes smoothly from one pose to another. Also the gaits. Lengths in own units (100: an animal's usual
length), angles in degrees; feet: near hind, far hind, near fore, far fore."""

import math
from typing import NamedTuple

Feet = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
STAND: Feet = ((1, 0), (-4, 0), (-1, 0), (4, 0))
TUCKED: Feet = ((12, 1), (16, 1), (17, 1), (22, 1))


class Pose(NamedTuple):
    """One moment's numbers; the defaults are an animal at rest on its feet."""

    ahead: float = 0.0  # moved forward
    lift: float = 0.0  # above the ground
    tilt: float = 0.0  # nose up
    sink: float = 0.0  # body lowered
    neck: float = 0.0  # bent down
    head: float = 0.0  # bent down
    jaw: float = 0.0  # mouth open, 0-1
    shut: float = 0.0  # eyes closed above 0.5
    lie: float = 0.0  # legs folded, 0-1
    roll: float = 0.0  # the whole animal turned; 180: on its back
    feet: Feet = STAND  # forward and up from where they stand
    wing: float = 0.0  # spread, 0-1
    flap: float = 0.0  # wing, fin or ear raised
    wave: float = 0.0  # phase of a body that winds or a tail that beats, radians
    wind: float = 0.0  # how far it winds along the ground (0: coiled), 0-1
    stretch: float = 0.0  # stretched out as in flight or water, 0-1
    tail: float = 0.0  # to one side, -1 to 1
    puff: float = 0.0  # throat's bubble, 0-1
    trunk: tuple[float, float] = (
        -86.0,
        4.0,
    )  # direction of an elephant's trunk at its root, and how far each link turns


def blend(a: Pose, b: Pose, share: float) -> Pose:
    """`share` of `b` in `a`, 0-1."""

    def mixed(p, q):
        return tuple(map(mixed, p, q)) if isinstance(p, tuple) else p + (q - p) * share

    return Pose(*map(mixed, a, b))


def step(phase: float, reach: float, height: float) -> tuple[float, float]:
    """One foot of a walk: on the ground it goes back, in the air forward."""
    return -reach * math.cos(phase), height * max(0.0, math.sin(phase))


def walk(phase: float, reach: float, height: float = 6.0) -> Feet:
    """Feet one after the other; `reach`: half a step."""
    return tuple(step(phase + shift * math.pi, reach, height) for shift in (0, 1, 0.5, 1.5))


def gallop(phase: float, reach: float, height: float = 12.0) -> Feet:
    """Hind feet together, fore feet together, stretched out and gathered in turn."""
    return tuple(step(phase + shift, reach, height) for shift in (0, 0.5, math.pi - 0.2, math.pi + 0.4))


def joint(root, foot, length: float, bend: float) -> tuple[float, float]:
    """Middle joint of a limb of two bones of length/2 from root to foot; `bend` +1 forward, -1 backward."""
    dx, dy = foot[0] - root[0], foot[1] - root[1]
    far = math.hypot(dx, dy) or 1e-6
    out = bend * math.sqrt(max(0.0, length**2 - far**2)) / 2
    return (root[0] + foot[0]) / 2 - dy / far * out, (root[1] + foot[1]) / 2 + dx / far * out
