"""Snake, turtle, frog, shark and butterfly. Each painter takes a Pen at the ground under the animal's middle (shark and
swimmers: `lift` raises it) and a Pose."""

import math

import numpy as np

from data_prep.toy_world.brush import points
from data_prep.toy_world.palette import mix
from data_prep.toy_world.wildlife.pen import Pen, smooth
from data_prep.toy_world.wildlife.pose import Pose
from data_prep.toy_world.wildlife.quadrupeds import eye, jaw

LEAF, MOSS, CREAM = (104, 176, 62), (44, 82, 40), (236, 230, 176)
SHELL, SKIN = (142, 100, 50), (128, 164, 88)
STEEL, CHALK, INK = (98, 120, 142), (232, 236, 238), (30, 28, 34)
AMBER, DOTS = (246, 138, 28), (252, 248, 240)


def snake(pen: Pen, pose: Pose):
    """`wind` 1: winding along the ground, 0: coiled up; `stretch` 1: swimming, head hardly raised."""
    s = np.linspace(0, 1, 45)
    turns = 2 * math.pi * 2.6 * s
    radius = 37 - 17 * s
    coil = np.stack([radius * np.cos(turns - 0.6), 9 + 24 * s + 9.5 * np.sin(turns - 0.6)], 1)
    raised = 30 * (1 - 0.75 * pose.stretch) * np.clip((s - 0.8) / 0.2, 0, 1) ** 1.5
    along = -64 + 112 * s + 6 * np.clip(s - 0.9, 0, 1)
    line = np.stack([along, 9 + 9.5 * np.sin(15 * s - pose.wave) * np.clip(1.2 - s, 0.1, 1) + raised], 1)
    middle = coil + (line - coil) * pose.wind
    width = np.interp(s, [0, 0.25, 0.6, 0.86, 1], [1.5, 8, 12.5, 10, 7.5])
    width = width + pose.puff * 12 * np.exp(-(((s - 0.72) / 0.07) ** 2))
    body = pen.at(0, pose.lift - pose.sink, turn=pose.tilt)
    for k in range(0, 44, 4):
        _scales(body, middle[max(0, k - 1) : k + 5], width[max(0, k - 1) : k + 5], first=k == 0)
    root = middle[-1]
    up = 16 * (1 - pose.wind) * (1 - pose.lie)
    neck = np.array([middle[-3], root, (root[0] + 3, root[1] + up * 0.6), (root[0] + 9, root[1] + up)])
    tip = body.at(*root, turn=-pose.neck)
    points = (neck - root)[1:]
    tip.tube(points, (8.5, 8, 7.5), LEAF)
    _snake_head(tip.at(*points[-1], turn=-pose.head), pose)


def _scales(body: Pen, points, widths, *, first: bool):
    """A piece of the body: dark rim, green, yellow-green belly dots and dark saddles. Its rim starts one point later
    than its colour, so that pieces join without a seam."""
    rim = points if first else points[1:]
    body.tube(rim, (widths if first else widths[1:]) + 2.2, mix(MOSS, INK, 0.4), edge=False, n=2)
    body.tube(points, widths, LEAF, edge=False, n=2)
    x, y = points[len(points) // 2]
    w = widths[len(points) // 2]
    body.shape([(x - 0.62 * w, y), (x, y + 0.42 * w), (x + 0.62 * w, y), (x, y - 0.42 * w)], MOSS, edge=False)
    body.disc(x, y, 0.16 * w, (240, 214, 70))


def _snake_head(head: Pen, pose: Pose):
    jaw(head, (2, -2), (17, 0), [(-2, 1), (13, 1), (14, -1), (3, -3)], pose, CREAM, angle=50)
    if pose.shut < 0.5 and pose.jaw < 0.2:
        head.line([(16, 0), (24, -1), (28, 1.6)], (214, 36, 44), 1.3)
        head.line([(24, -1), (28, -3.6)], (214, 36, 44), 1.3)
    head.shape(smooth([(-7, 0), (-4, 6), (5, 7.5), (15, 4), (18, 0), (13, -3), (3, -4), (-5, -4)], 3), LEAF)
    head.line([(-3, 4), (4, 5.5)], MOSS, 1.6)
    eye(head, 7, 3.4, 1.5, pose, white=(248, 214, 60))
    head.name("mouth", 18, -1)
    head.name("top", 4, 8)


DOME = smooth([(-36, 14), (-32, 28), (-18, 40), (0, 43), (18, 39), (31, 28), (36, 14), (20, 10), (-20, 10)])
SCUTES = [
    [(-9, 20), (9, 20), (13, 30), (6, 38), (-6, 38), (-13, 30)],
    [(13, 20), (27, 19), (24, 28), (15, 34), (11, 36), (17, 29)],
    [(-13, 20), (-27, 19), (-24, 28), (-15, 34), (-11, 36), (-17, 29)],
]
PADDLE = smooth([(-4, 2), (5, 3), (9, -12), (8, -28), (2, -38), (-4, -30), (-6, -12)])


def turtle(pen: Pen, pose: Pose):
    """`lie` 1: drawn back into the shell; `stretch` 1: legs become paddles."""
    body = pen.at(0, pose.lift - pose.sink, turn=0)
    if pose.roll or pose.tilt:
        body = body.at(0, 24, turn=pose.roll + pose.tilt).at(0, -24)
        if pose.roll:
            body = body.at(0, 5 * (1 - math.cos(math.radians(pose.roll))) / 2)
    out = 1 - pose.lie
    _turtle_legs(body, pose, out, far=True)
    body.shape([(-32, 16), (-34 - 12 * out, 12), (-32, 10)], SKIN)
    neck = body.at(30, 16, turn=-pose.neck)
    reach = 20 * out - 6
    neck.tube([(-6, 0), (reach * 0.5, 2), (reach, 5)], (11, 10, 9), SKIN)
    _turtle_head(neck.at(reach, 6, turn=-pose.head), pose)
    body.shape(smooth([(-34, 15), (0, 15), (34, 15), (28, 6), (0, 4), (-28, 6)]), mix(CREAM, SHELL, 0.3))
    body.shape(DOME, SHELL)
    for scute in SCUTES:
        body.shape(scute, mix(SHELL, (226, 176, 84), 0.42))
    body.tube([(-37, 14), (0, 12), (37, 14)], (6, 6, 6), mix(SHELL, (226, 176, 84), 0.62))
    _turtle_legs(body, pose, out, far=False)


def _turtle_legs(body: Pen, pose: Pose, out: float, *, far: bool):
    colour = mix(SKIN, (0, 0, 0), 0.28) if far else SKIN
    for k, x in ((1, -20), (3, 24)) if far else ((0, -22), (2, 20)):
        dx, dy = pose.feet[k]
        fore = k >= 2
        if pose.stretch > 0.5:
            angle = (-64 if fore else -100) + (pose.flap if fore else -0.5 * pose.flap) * (0.7 if far else 1)
            body.at(x, 12, turn=angle + 34, scale=1 if fore else 0.62).shape(PADDLE, colour)
        elif out > 0.15:
            body.tube([(x, 13), (x + dx * 0.6, 8), (x + dx, 3.5 + dy)], (13, 12, 11), colour)
        else:
            body.oval(x, 8, 7, 4, colour)


def _turtle_head(head: Pen, pose: Pose):
    chin = [(-3, 1), (10, 1), (11, -1), (2, -4)]
    jaw(head, (2, -3), (14, -2), chin, pose, mix(SKIN, CREAM, 0.3), angle=42, teeth=False)
    head.shape(smooth([(-7, -2), (-5, 6), (4, 9), (13, 5), (15, -2), (8, -4), (0, -5)], 3), SKIN)
    eye(head, 8, 3.4, 1.7, pose, white=(250, 240, 190))
    head.name("mouth", 15, -2)
    head.name("top", 4, 9)


FROG_BODY = smooth(
    [(-38, 6), (-30, 20), (-12, 34), (8, 42), (24, 42), (36, 34), (38, 26), (30, 18), (18, 10), (0, 5), (-22, 3)]
)
FROG_BELLY = smooth([(34, 23), (28, 16), (16, 9), (0, 5), (-12, 5), (4, 13), (20, 20)])
HIND_SIT, HIND_OUT = ((-22, 16), (2, 22), (-24, 6), (4, 1.5)), ((-28, 12), (-48, 12), (-70, 4), (-90, 6))
FORE_SIT, FORE_OUT = ((17, 14), (14, 7), (24, 1.5)), ((17, 14), (30, 8), (44, 12))


def frog(pen: Pen, pose: Pose):
    """`stretch` 1: legs stretched out, as in a leap; `puff`: the throat's bubble."""
    body = pen.at(0, pose.lift - pose.sink)
    if pose.roll or pose.tilt:
        body = body.at(0, 20, turn=pose.tilt + pose.roll).at(0, -20)
    _frog_legs(body.at(5, 2), pose, mix(LEAF, (0, 0, 0), 0.3), (1, 3))
    if pose.puff > 0.05:
        body.disc(32, 16, 16 * pose.puff, (250, 232, 178), edge=True)
        body.disc(36, 20, 5 * pose.puff, (255, 250, 226))
    body.shape(FROG_BODY, LEAF)
    body.shape(FROG_BELLY, CREAM, edge=False)
    for x, y, r in ((-20, 20, 4), (-8, 28, 3.4), (-26, 12, 2.6), (2, 33, 3)):
        body.disc(x, y, r, MOSS)
    head = body.at(26, 30, turn=-pose.head)
    head.disc(-9, 13, 6, mix(LEAF, (0, 0, 0), 0.2), edge=True)
    if pose.jaw > 0.12:
        low = -4 - 14 * pose.jaw
        head.shape([(-7, -4), (13, 2), (12, low), (2, low + 1)], (150, 40, 52))
        head.tube([(-7, -4), (2, low), (13, low)], (3, 5, 3.5), CREAM)
    head.line([(-8, -4), (4, -1.5), (12, 2)], MOSS, 1.8)
    head.disc(3, 13, 8.2, LEAF, edge=True)
    if pose.shut > 0.5:
        head.line([(-4, 12), (3, 9.5), (10, 12)], INK, 1.6)
    else:
        head.disc(4.5, 13.5, 5.4, (252, 226, 96), edge=True)
        head.oval(5.5, 13.5, 3, 2.2, INK, edge=False)
    _frog_legs(body, pose, LEAF, (0, 2))
    head.name("mouth", 12, 0)
    head.name("top", 3, 21)


def _frog_legs(body: Pen, pose: Pose, colour, which):
    s = pose.stretch
    for k in which:
        dx, dy = pose.feet[k]
        sit, out = (FORE_SIT, FORE_OUT) if k >= 2 else (HIND_SIT, HIND_OUT)
        points = np.array(sit) * (1 - s) + np.array(out) * s
        points[-1] += (dx, dy)
        points[-2] += (dx * 0.6, dy * 0.6)
        x, y = points[-1]
        for toe in (-4, 0, 4):
            tip = (x + 8 * (1 - s) - (8 * s if k < 2 else -8 * s), y + toe * (0.25 + 0.75 * s))
            body.line([(x, y), tip], mix(colour, INK, 0.3), 3.2)
            body.disc(*tip, 2.2, colour)
        body.tube(points, (9, 7, 5.5) if k >= 2 else (19, 14, 8, 5), colour)


SHARK_BODY = smooth(points("-52,2 -34,9 -10,16 16,18 40,12 56,4 55,0 44,-6 20,-12 -8,-11 -34,-4 -52,-2"))
SHARK_BELLY = smooth([(54, 0), (44, -6), (20, -12), (-8, -11), (-34, -4), (-14, -4), (14, -4), (38, -1)])


TAIL = smooth([(-46, 3), (-52, 16), (-56, 31), (-54, 8), (-54, -8), (-55, -18), (-52, -9), (-46, -3)], 3)
TAIL_REACH = smooth([(0, 0), (-0.6, 0), (-1, 0), (-0.55, 0), (-0.7, 0), (-0.9, 0), (-0.3, 0), (0, 0)], 3)


def shark(pen: Pen, pose: Pose):
    """Its zero is the height of its middle; `wave` beats the tail."""
    body = pen.at(0, pose.lift - pose.sink, turn=pose.tilt + pose.roll)
    beat = math.sin(pose.wave)
    body.shape([(14, -8), (6, -26), (-4, -31), (-3, -18), (4, -8)], mix(STEEL, INK, 0.3))
    body.shape(TAIL + (20 + 7 * beat) * TAIL_REACH, mix(STEEL, INK, 0.12))
    body.shape([(10, 15), (-4, 36), (-14, 41), (-13, 28), (-12, 14)], mix(STEEL, INK, 0.12))
    body.shape([(-32, 8), (-40, 15), (-40, 7)], STEEL)
    body.shape([(-26, -6), (-36, -14), (-36, -5)], STEEL)
    body.shape(SHARK_BODY, STEEL)
    body.shape(SHARK_BELLY, CHALK, edge=False)
    for x in (18, 22, 26):
        body.line([(x, 6), (x - 2, 0), (x - 1, -4)], mix(STEEL, INK, 0.5), 1.2)
    _shark_mouth(body, pose)
    body.at(14, -7, turn=12 * beat).shape([(6, 0), (-2, -20), (-14, -28), (-12, -14), (-8, 1)], mix(STEEL, INK, 0.2))
    eye(body, 42, 5.5, 1.9, pose)
    body.name("top", 40, 14)


def _shark_mouth(body: Pen, pose: Pose):
    if pose.jaw < 0.12:
        body.line([(50, -3), (43, -3.4), (37, -1)], INK, 1.4)
        body.name("mouth", 50, -3)
        return
    drop = 15 * pose.jaw
    gape = np.array([(53, 0), (36, -1), (38, -6 - drop * 0.6), (47, -6 - drop)])
    body.shape(smooth([(34, -2), (36, -9 - drop * 0.7), (47, -9 - drop), (50, -6 - drop), (40, -4)], 3), CHALK)
    body.shape(gape, (140, 26, 36))
    for k in range(4):
        x = 51 - 4 * k
        body.shape([(x, -0.5), (x - 3.6, -0.7), (x - 1.8, -6)], (255, 255, 250), edge=False)
    for k in range(3):
        front, y = 46 - 3.4 * k, -6 - drop + 2.2 * k
        body.shape([(front, y), (front - 3.4, y + 1.6), (front - 0.6, y + 5)], (255, 255, 250), edge=False)
    body.name("mouth", 52, -4 - drop / 2)


FOREWING = smooth([(2, 4), (14, 20), (34, 36), (46, 38), (46, 28), (38, 12), (22, 2), (4, -1)])
HINDWING = smooth([(2, 0), (20, 0), (34, -6), (36, -18), (26, -30), (14, -28), (6, -16)])


def butterfly(pen: Pen, pose: Pose):
    """From above, head to the upper right; `wing` 1: wide open. From the side, wings folded up, while it sleeps."""
    if pose.shut > 0.5:
        _folded(pen.at(0, pose.lift - pose.sink))
        return
    body = pen.at(0, 28 + pose.lift - pose.sink, turn=-24 + pose.tilt + pose.roll)
    open_ = 0.16 + 0.84 * pose.wing
    for side, width in ((-1, open_ * 0.92), (1, open_)):
        for outline, spots in (
            (HINDWING, ((27, -20), (31, -13), (20, -25))),
            (FOREWING, ((41, 33), (42, 26), (36, 33), (38, 19))),
        ):
            body.shape(outline * (side * width, 1), INK)
            inner = outline.mean(0) + (outline - outline.mean(0)) * 0.76 - (outline.mean(0) * 0.1)
            body.shape(inner * (side * width, 1), AMBER if side > 0 else mix(AMBER, INK, 0.1), edge=False)
            root = (2 * side * width, 1)
            for x, y in ((24, 14), (30, 24)) if outline is FOREWING else ((22, -8), (18, -18)):
                body.line([root, (x * side * width, y)], INK, 1.5)
            for x, y in spots:
                body.disc(x * side * width, y, 1.6, DOTS)
    body.tube([(0, -20), (0, -4), (0, 10)], (3, 5.4, 5), INK)
    body.disc(0, 14, 4, INK)
    for side in (-1, 1):
        body.line([(side, 16), (4 * side, 26), (8 * side, 31)], INK, 1.2)
        body.disc(8 * side, 31, 1.6, INK)
    body.name("mouth", 0, 18)
    body.name("top", 0, 30)


def _folded(pen: Pen):
    """Sitting with both wings closed over the back, their paler undersides outward."""
    pale = mix(AMBER, DOTS, 0.3)
    for outline, turn, scale in ((FOREWING, 38, 1.25), (HINDWING, 118, 1.15)):
        wing = pen.at(-2, 12, turn=turn, scale=scale)
        wing.shape(outline, INK)
        wing.shape(outline.mean(0) * 0.9 + (outline - outline.mean(0)) * 0.78, pale, edge=False)
        for x, y in ((24, 14), (30, 24)) if outline is FOREWING else ((22, -8), (18, -18)):
            wing.line([(2, 1), (x, y)], INK, 1.3)
        for x, y in ((41, 33), (42, 26), (38, 19)) if outline is FOREWING else ((32, -17), (31, -11), (24, -25)):
            wing.disc(x, y, 1.6, DOTS)
    for x in (-6, 2, 9):
        pen.line([(x, 9), (x + 2, 4), (x + 3, 0)], INK, 1.4)
    pen.tube([(-24, 7), (-6, 9), (10, 12)], (3, 6, 5.6), INK)
    pen.disc(15, 14, 4.4, INK)
    for x in (24, 28):
        pen.line([(16, 17), (x - 3, 24), (x, 29)], INK, 1.2)
        pen.disc(x, 29, 1.6, INK)
    pen.name("mouth", 18, 13)
    pen.name("top", 17, 24)
