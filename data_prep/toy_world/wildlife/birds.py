"""Flamingo, eagle and penguin. Each painter takes a Pen at the ground under the bird's middle and a Pose; `stretch` is
flight (flamingo, eagle) or lying flat in water or on the belly (penguin)."""

import math

import numpy as np

from data_prep.toy_world.palette import mix
from data_prep.toy_world.wildlife.pen import Pen, smooth
from data_prep.toy_world.wildlife.pose import Pose, joint
from data_prep.toy_world.wildlife.quadrupeds import eye, jaw

PINK, ROSE, INK = (246, 142, 160), (228, 84, 112), (36, 32, 38)
BROWN, SNOW, YELLOW, ORANGE = (92, 62, 42), (246, 244, 238), (250, 196, 46), (248, 146, 40)

FLAMINGO_BODY = smooth([(-32, -6), (-20, 6), (-4, 12), (12, 10), (20, 2), (17, -8), (4, -13), (-14, -11)])
NECK_UP = np.array([(15, 0), (28, 4), (31, 16), (22, 26), (21, 37), (29, 44)], float)
NECK_DOWN = np.array([(15, 0), (30, 2), (38, -12), (35, -28), (31, -40), (30, -47)], float)
NECK_BACK = np.array([(15, 0), (27, 8), (24, 20), (12, 24), (0, 20), (-6, 13)], float)
NECK_AHEAD = np.array([(15, 2), (25, 6), (35, 8), (46, 9), (56, 10), (66, 11)], float)
WING = smooth([(14, 0), (12, 22), (6, 44), (-4, 60), (-10, 58), (-13, 40), (-17, 20), (-20, 0)])
WING_TIPS = smooth([(-17, 8), (-12, 30), (-5, 52), (-4, 60), (-11, 59), (-19, 42), (-24, 22), (-25, 4)])


def flamingo(pen: Pen, pose: Pose):
    s = pose.stretch
    body = pen.at(0, 58 + pose.lift - pose.sink, turn=pose.tilt)
    _wing(body, pose, -4, 8, (mix(ROSE, INK, 0.12), INK), far=True)
    for k in (1, 0):
        dx, dy = pose.feet[k]
        hip, foot = (-2 + 3 * k, -8), (2 + 4 * k + dx, dy - 58 + pose.sink)
        foot = (foot[0] + (-62 - foot[0]) * s, foot[1] + (-9 - foot[1]) * s)
        knee = joint(hip, foot, 51, -1) if s < 0.5 else ((hip[0] + foot[0]) / 2, (hip[1] + foot[1]) / 2)
        tone = mix(ROSE, INK, 0.25) if k else ROSE
        body.tube([hip, knee, foot], (3.4, 2.6, 2.2), tone, edge=False)
        body.disc(*knee, 2, mix(ROSE, INK, 0.2))
        toe = (foot[0] - 8, foot[1] - 2) if s > 0.5 else (foot[0] + 7, foot[1] + 0.3)
        body.tube([foot, toe], (2.4, 3.2), tone, edge=False)
    points = _between_necks(pose)
    behind = pose.neck >= 0
    if behind:
        body.tube(points, (11, 8, 7, 6.5, 6.5, 6.5), PINK)
    body.shape([(-26, 2), (-44, -6), (-36, -9), (-18, -9)], ROSE)
    body.shape(FLAMINGO_BODY, PINK)
    body.shape(smooth([(-38, -8), (-20, 4), (0, 8), (8, 2), (-6, -6), (-22, -8)]), ROSE)
    if not behind:
        body.tube(points, (11, 8, 7, 6.5, 6.5, 6.5), PINK)
    _wing(body, pose, -2, 6, (PINK, INK), far=False)
    _flamingo_head(body.at(*points[-1], turn=-pose.head), pose)


def _between_necks(pose: Pose):
    """Points of the neck. `neck` 0: held up, 100: down to the ground, -100: laid on the back; `stretch`: ahead."""
    other, share = (NECK_DOWN, pose.neck / 100) if pose.neck >= 0 else (NECK_BACK, -pose.neck / 100)
    points = NECK_UP + (other - NECK_UP) * share
    return points + (NECK_AHEAD - points) * pose.stretch


def _flamingo_head(head: Pen, pose: Pose):
    jaw(head, (5, -2), (16, -9), [(-1, 1), (9, -5), (10, -8), (4, -5)], pose, (250, 236, 224), angle=36, teeth=False)
    head.oval(2, 1, 7, 5.6, PINK)
    head.shape([(7, 3), (14, -1), (17, -9), (13.5, -8), (10, -3), (6, -2)], (250, 236, 224))
    head.shape([(13, 0), (15.5, -3), (17, -10), (12.5, -7)], INK, edge=False)
    eye(head, 3, 2, 1.4, pose, white=YELLOW)
    head.name("mouth", 17, -9)
    head.name("top", 2, 7)


def _raised(flap: float) -> float:
    """Height of a wing at `flap` degrees as a share of its length; never so level that it cannot be seen."""
    up = math.sin(math.radians(flap))
    return math.copysign(max(0.24, abs(up)), up)


def _wing(body: Pen, pose: Pose, x, y, colours, *, far: bool):
    """A raised wing; `flap`: its angle above the horizontal. Nothing while it is folded."""
    if pose.wing < 0.05:
        return
    up = _raised(pose.flap)
    lean = (0.34 if far else -0.22) * math.cos(math.radians(pose.flap))
    for outline, colour in ((WING_TIPS, colours[1]), (WING, colours[0])):
        points = outline * (1, pose.wing * up)
        points[:, 0] += outline[:, 1] * (lean + (0.1 if far else -0.1)) * pose.wing + x
        points[:, 1] += y
        body.shape(points, colour)


EAGLE_BODY = smooth([(-30, -1), (-20, 8), (-2, 13), (16, 12), (26, 6), (25, -5), (14, -12), (-6, -12), (-22, -8)])
EAGLE_WING = smooth([(16, 0), (20, 24), (16, 46), (2, 54), (-10, 48), (-18, 30), (-20, 0)])
EAGLE_FINGERS = [
    [(a, 38), (a + dx, 72), (a + dx - 7, 70), (a - 7, 38)] for a, dx in ((17, 7), (10, 2), (3, -4), (-4, -10))
]
FOLDED = smooth([(18, 9), (6, 14), (-14, 10), (-34, 0), (-46, -8), (-30, -9), (-8, -9), (12, -4)])


def eagle(pen: Pen, pose: Pose):
    s = pose.stretch
    centre = 40 + pose.lift - pose.sink
    body = pen.at(0, centre, turn=pose.tilt + 52 * (1 - s))
    _eagle_wing(body, pose, far=True)
    body.shape([(-24, 5), (-52, 4), (-55, -3), (-51, -9), (-24, -7)], SNOW)
    for k in (1, 0):
        _talons(pen, body, pose, k, centre)
    body.shape(EAGLE_BODY, BROWN)
    for x, y in ((0, -4), (8, 0), (8, -7), (-8, -6), (15, -4)):
        body.line([(x - 2.5, y + 1.5), (x, y - 1), (x + 2.5, y + 1.5)], mix(BROWN, (255, 220, 160), 0.3), 1)
    if pose.wing < 0.5:
        body.shape(FOLDED, mix(BROWN, INK, 0.42))
        for x in (-6, -18, -30):
            body.line([(x + 12, 4), (x - 8, -7)], mix(BROWN, (255, 220, 160), 0.25), 1)
    _eagle_wing(body, pose, far=False)
    neck = body.at(21, 4, turn=-pose.neck - 46 * (1 - s))
    neck.shape(smooth([(-9, -9), (-8, 6), (2, 12), (10, 10), (13, 2), (8, -6), (0, -12)]), SNOW)
    head = neck.at(8, 5, turn=-pose.head)
    head.oval(1, 1, 9.5, 8.5, SNOW)
    jaw(head, (6, -3), (16, -4), [(-1, 1), (9, 0), (8, -3), (1, -3)], pose, YELLOW, angle=42, teeth=False)
    head.shape(smooth([(7, 5), (14, 4.5), (19, 0), (19, -7), (16, -3), (8, -3)], 3), YELLOW)
    head.line([(-1, 6), (7, 3.4)], (150, 130, 110), 1.6)
    eye(head, 4.2, 2, 1.5, pose, white=YELLOW)
    head.name("mouth", 19, -6)
    head.name("top", 2, 9)


def _talons(pen: Pen, body: Pen, pose: Pose, k: int, centre: float):
    """A feathered thigh and a yellow foot: on the ground, or under the body in flight."""
    s = pose.stretch
    dx, dy = pose.feet[k]
    foot = (2 + 9 * k + dx, dy + 1.5 + pose.lift)
    air = (-6 + 8 * k + dx, centre - 22 + dy)
    foot = (foot[0] + (air[0] - foot[0]) * s, foot[1] + (air[1] - foot[1]) * s)
    root = (0 + 6 * k, centre - 8)
    dark = 0.25 * k
    pen.tube(
        [root, ((root[0] + foot[0]) / 2, (root[1] + foot[1]) / 2 + 2), foot], (17, 11, 5), mix(BROWN, INK, 0.2 + dark)
    )
    for reach, drop in ((9, -1), (4, -1.5), (-6, -1)):
        pen.tube([foot, (foot[0] + reach, foot[1] + drop)], (4, 2.2), mix(YELLOW, INK, dark), edge=False)
        pen.line([(foot[0] + reach, foot[1] + drop), (foot[0] + reach * 1.25, foot[1] + drop - 2.4)], INK, 1.2)
    pen.name(f"foot_{k}", *foot)


def _eagle_wing(body: Pen, pose: Pose, *, far: bool):
    if pose.wing < 0.5:
        return
    up = _raised(pose.flap)
    lean = 0.42 if far else -0.34
    colour = mix(BROWN, INK, 0.35) if far else mix(BROWN, (0, 0, 0), 0.08)
    for outline, tone in ((p, mix(colour, INK, 0.45)) for p in (*map(np.array, EAGLE_FINGERS), EAGLE_WING)):
        points = outline * (1, pose.wing * up)
        points[:, 0] += outline[:, 1] * lean + (4 if far else -2)
        points[:, 1] += 6
        body.shape(points, colour if outline is EAGLE_WING else tone)


PENGUIN_BACK = smooth(
    [(-6, -40), (-20, -26), (-23, -4), (-18, 18), (-9, 32), (2, 33), (14, 18), (20, -4), (17, -28), (8, -40)]
)
PENGUIN_BELLY = smooth([(0, -38), (-5, -20), (-4, 2), (2, 19), (10, 22), (17, 10), (20, -6), (17, -27), (9, -38)])
FLIPPER = smooth([(4, 4), (-4, 2), (-8, -16), (-7, -34), (-2, -34), (4, -14)])


def penguin(pen: Pen, pose: Pose):
    s = pose.stretch
    middle = 43 + (-21 * s) + pose.lift - pose.sink
    for k in (1, 0):
        dx, dy = pose.feet[k]
        if s < 0.5:
            foot = pen.at(-5 + 11 * k + dx, dy + pose.lift - pose.sink)
            foot.shape(smooth([(-6, 0), (-3, 6), (6, 5), (13, 1), (10, -2), (-2, -2)]), mix(ORANGE, INK, 0.2 * k))
    body = pen.at(0, middle, turn=pose.tilt - 86 * s + pose.roll)
    if s >= 0.5:
        for k in (0, 1):
            body.shape([(-4 + 7 * k, -36), (4 + 7 * k, -36), (6 + 7 * k, -52), (-8 + 6 * k, -50)], ORANGE)
    body.shape([(-14, -32), (-24, -42), (-6, -40)], INK)
    body.at(13, 14, turn=pose.flap * 0.9).shape(FLIPPER * (-1, 1), mix(INK, SNOW, 0.12))
    body.shape(PENGUIN_BACK, mix(INK, (50, 60, 90), 0.35))
    body.shape(PENGUIN_BELLY, SNOW, edge=False)
    head = body.at(2, 34, turn=-pose.head - pose.neck + 62 * s)
    jaw(head, (8, -1), (24, -2), [(-2, 1), (14, 0.5), (15, -1), (4, -4)], pose, ORANGE, angle=40, teeth=False)
    head.shape([(9, 5), (18, 3), (26, -2), (10, -2)], ORANGE)
    head.shape(
        smooth([(-13, -10), (-14, 4), (-5, 14), (6, 13), (13, 4), (11, -5), (6, -12)]), mix(INK, (50, 60, 90), 0.35)
    )
    head.oval(-5, -3, 4, 6.5, YELLOW, turn=20, edge=False)
    head.shape(smooth([(-4, -14), (0, -4), (8, -5), (9, -12)], 3), SNOW, edge=False)
    eye(head, 6, 5, 1.6, pose, white=SNOW)
    body.at(-12, 15, turn=-pose.flap).shape(FLIPPER, mix(INK, (60, 72, 104), 0.5))
    head.name("mouth", 26, -3)
    head.name("top", 0, 15)
