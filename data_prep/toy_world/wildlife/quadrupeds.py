"""What the four-legged mammals share: a body that tilts, sinks and rolls over, and four legs of two bones whose feet
the pose places. The animals themselves are in `mammals`."""

import math
from dataclasses import dataclass

from data_prep.toy_world.palette import Colour, mix
from data_prep.toy_world.wildlife.pen import Pen
from data_prep.toy_world.wildlife.pose import Pose, joint


@dataclass(frozen=True)
class Build:
    """Own units. `hip`, `shoulder`: roots of the legs; `legs`: their lengths, hind and fore; `widths` of a leg at root,
    joint and foot; `bends`: where the middle joints point; `middle`, `back`: heights of the body's centre and top."""

    hip: tuple[float, float]
    shoulder: tuple[float, float]
    legs: tuple[float, float]
    widths: tuple[float, float, float]
    bends: tuple[float, float]
    middle: float
    back: float
    coat: Colour
    foot: Colour
    sole: tuple[float, float]


def stance(pen: Pen, build: Build, pose: Pose) -> tuple[Pen, Pen]:
    """Pen of the ground frame (feet) and pen of the body."""
    drop = (1 - math.cos(math.radians(pose.roll))) / 2 * (2 * build.middle - build.back)
    ground = pen.at(0, pose.lift - drop)
    if pose.roll:
        ground = ground.at(0, build.middle, turn=pose.roll).at(0, -build.middle)
    return ground, ground.at(0, build.middle - pose.sink, turn=pose.tilt).at(0, -build.middle)


def legs(ground: Pen, build: Build, pose: Pose, *, far: bool):
    """The two near or the two far legs, hind first. Returns their (root, joint, foot)."""
    cos, sin = math.cos(math.radians(pose.tilt)), math.sin(math.radians(pose.tilt))
    drawn = []
    for k, (x, y) in ((1, build.hip), (3, build.shoulder)) if far else ((0, build.hip), (2, build.shoulder)):
        up = y - build.middle
        root = (x * cos - up * sin, x * sin + up * cos + build.middle - pose.sink)
        dx, dy = pose.feet[k]
        foot = (x + dx, dy + build.sole[1])
        far_away = math.hypot(foot[0] - root[0], foot[1] - root[1])
        length = max(far_away, build.legs[k // 2]) * (1 - pose.lie) + 1.25 * far_away * pose.lie
        middle = joint(root, foot, length, build.bends[k // 2])
        colour = mix(build.coat, (0, 0, 0), 0.28) if far else build.coat
        toe = mix(build.foot, (0, 0, 0), 0.2) if far else build.foot
        ground.oval(foot[0] + build.sole[0] * 0.3, foot[1], *build.sole, toe)
        ground.tube([root, middle, foot], build.widths, colour)
        drawn.append((root, middle, foot))
    return drawn


def eye(pen: Pen, x, y, r, pose: Pose, *, white: Colour | None = None):
    """Open: a dark disc with a spark (`white`: on a white ball); closed: a line."""
    if pose.shut > 0.5:
        pen.line([(x - 1.5 * r, y), (x, y - 0.8 * r), (x + 1.5 * r, y)], (20, 14, 14), 0.8 * r)
        return
    if white:
        pen.disc(x, y, 1.7 * r, white, edge=True)
    pen.disc(x, y, r, (18, 14, 16))
    pen.disc(x + 0.35 * r, y + 0.35 * r, 0.35 * r, (250, 250, 246))


def jaw(pen: Pen, root, upper, lower, pose: Pose, colour: Colour, *, angle=32.0, teeth=True):
    """A lower jaw that opens: `root` is its hinge, `upper` the tip of the upper jaw, `lower` the outline of the lower
    one, relative to the hinge; the throat between is dark red, with teeth."""
    turn = -angle * pose.jaw
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    tip = max(lower)
    down = (root[0] + tip[0] * cos - tip[1] * sin, root[1] + tip[0] * sin + tip[1] * cos)
    if pose.jaw > 0.12:
        pen.shape([root, upper, down], (134, 30, 36))
    pen.at(*root, turn=turn).shape(lower, colour)
    if teeth and pose.jaw > 0.3:
        size = 0.2 * math.hypot(upper[0] - root[0], upper[1] - root[1])
        for end, up in ((upper, -1), (down, 1)):
            x, y = end[0] - size * 0.5, end[1]
            tooth = [(x - size * 0.7, y), (x - size * 0.1, y + up * size * 1.5), (x + size * 0.4, y)]
            pen.shape(tooth, (250, 248, 236), edge=False)
