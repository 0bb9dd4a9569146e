"""How an animal holds itself, as numbers: a `Pose` has the same fields for every species, each reads those it has limbs
for. Also the gaits. Lengths in own units (100: an animal's usual length), angles in degrees; feet: near hind, far hind,
near fore, far fore."""

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
    trunk: tuple[float, float] = (-86.0, 4.0)  # of an elephant: direction at its root, how far each link turns


def _feet(phases: tuple[float, float, float, float], reach: float, height: float) -> Feet:
    """Each foot of a gait: on the ground it goes back, in the air forward."""
    near_hind, far_hind, near_fore, far_fore = (
        (-reach * math.cos(phase), height * max(0.0, math.sin(phase))) for phase in phases
    )
    return near_hind, far_hind, near_fore, far_fore


def walk(phase: float, reach: float, height: float = 6.0) -> Feet:
    """Feet one after the other; `reach`: half a step."""
    return _feet((phase, phase + math.pi, phase + 0.5 * math.pi, phase + 1.5 * math.pi), reach, height)


def gallop(phase: float, reach: float, height: float = 12.0) -> Feet:
    """Hind feet together, fore feet together, stretched out and gathered in turn."""
    return _feet((phase, phase + 0.5, phase + (math.pi - 0.2), phase + (math.pi + 0.4)), reach, height)


def joint(root, foot, length: float, bend: float) -> tuple[float, float]:
    """Middle joint of a limb of two bones of length/2 from root to foot; `bend` +1 forward, -1 backward."""
    dx, dy = foot[0] - root[0], foot[1] - root[1]
    far = math.hypot(dx, dy) or 1e-6
    out = bend * math.sqrt(max(0.0, length**2 - far**2)) / 2
    return (root[0] + foot[0]) / 2 - dy / far * out, (root[1] + foot[1]) / 2 + dx / far * out
