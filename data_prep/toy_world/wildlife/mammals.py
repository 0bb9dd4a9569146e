"""Elephant, giraffe, lion and zebra. Each painter takes a Pen at the ground under the animal's middle and a Pose."""

import math
from itertools import pairwise

import numpy as np

from data_prep.toy_world.brush import points
from data_prep.toy_world.palette import mix
from data_prep.toy_world.wildlife.pen import Pen, circle, smooth
from data_prep.toy_world.wildlife.pose import Pose
from data_prep.toy_world.wildlife.quadrupeds import Build, eye, jaw, legs, stance

GREY, TAN, STRAW, IVORY = (138, 140, 152), (216, 162, 84), (238, 206, 128), (248, 240, 214)
MANE, BLACK, WHITE = (122, 66, 26), (34, 30, 34), (244, 242, 238)
PATCH = (160, 92, 42)

ELEPHANT = Build(
    (-32, 42), (15, 42), (42, 42), (21, 17, 16), (0.6, 0.6), 54, 80, GREY, mix(GREY, (0, 0, 0), 0.12), (9, 4)
)
ELEPHANT_BODY = smooth(points("-47,52 -43,68 -26,78 -4,81 14,79 28,72 31,56 26,38 8,31 -14,30 -34,32 -46,40"))
ELEPHANT_EAR = smooth([(0, 14), (-12, 19), (-23, 12), (-24, -4), (-18, -18), (-8, -25), (-1, -14), (3, 0)])
ELEPHANT_HEAD = smooth([(-10, 4), (-4, 18), (8, 21), (18, 14), (22, 2), (20, -10), (12, -17), (0, -14), (-9, -8)])


def elephant(pen: Pen, pose: Pose):
    ground, body = stance(pen, ELEPHANT, pose)
    legs(ground, ELEPHANT, pose, far=True)
    body.tube([(-46, 58), (-53, 46), (-52 - pose.tail * 8, 32)], (4, 2.5, 1.5), GREY)
    body.oval(-52 - pose.tail * 8, 30, 2, 4.5, BLACK, edge=False)
    body.shape(ELEPHANT_BODY, GREY)
    legs(ground, ELEPHANT, pose, far=False)
    head = body.at(28, 64, turn=-pose.neck)
    chin = [(-3, 1), (9, 0), (10, -5), (2, -6)]
    jaw(head, (6, -12), (15, -13), chin, pose, mix(GREY, (0, 0, 0), 0.1), angle=40, teeth=False)
    head.tube([(13, -9), (22, -16), (33, -14)], (5, 4.4, 1.5), IVORY)
    head.shape(ELEPHANT_HEAD, GREY)
    _trunk(head, pose)
    head.at(-1, 4, turn=pose.flap).shape(ELEPHANT_EAR, mix(GREY, (255, 255, 255), 0.1))
    head.at(-1, 4, turn=pose.flap, scale=0.72).shape(ELEPHANT_EAR, mix(GREY, (214, 150, 150), 0.4), edge=False)
    eye(head, 11, 6, 2.0, pose)
    head.name("top", 5, 21)


def _trunk(head: Pen, pose: Pose, n=6, length=9.5):
    """A chain from the face: first direction `trunk[0]`, each link turned further by `trunk[1]`."""
    angle, curl = pose.trunk
    points = [(17.0, 0.0)]
    for k in range(n):
        a = math.radians(angle + curl * k)
        points.append((points[-1][0] + length * math.cos(a), points[-1][1] + length * math.sin(a)))
    head.tube(points, np.linspace(15, 6, n + 1), mix(GREY, (255, 255, 255), 0.05))
    for (x, y), (x2, y2) in pairwise(points[1:]):
        dx, dy = (y - y2) * 0.28, (x2 - x) * 0.28
        head.line([(x - dx, y - dy), (x + dx, y + dy)], mix(GREY, (0, 0, 0), 0.25), 0.9)
    head.name("mouth", *points[-1])


GIRAFFE = Build((-21, 60), (15, 60), (60, 61), (13, 6, 5), (-0.8, 0.8), 62, 80, STRAW, (98, 70, 48), (4.5, 3))
GIRAFFE_BODY = smooth(
    [(-31, 62), (-26, 69), (-8, 73), (10, 81), (21, 80), (26, 68), (19, 55), (0, 52), (-18, 54), (-30, 55)]
)
GIRAFFE_NECK = smooth(
    [(-9, 0), (2, 14), (12, 34), (17, 52), (21, 57), (27, 55), (25, 40), (19, 20), (11, 0), (4, -12), (-6, -10)]
)
GIRAFFE_HEAD = smooth([(-6, 3), (0, 7), (9, 5), (20, -1), (24, -5), (21, -9), (10, -7), (-2, -6)])
GIRAFFE_SPOTS = points(
    "-24,63,4.5,4 -15,67,4.8,3.6 -16,58,4.8,4 -6,64,4.8,4.4 -5,55.5,4.4,2.8 3,71,4.8,4.2 5,61,4.6,4 "
    "12,75,4.4,3.8 14,66,4.6,4.2 21,70,3.2,4 -25,57,3,2"
)
NECK_SPOTS = points(
    "-1,5,4.4,4 8,5,3.6,4 4,15,3.6,4 12,18,3.6,4 10,28,3.4,4 18,30,3.2,4.2 15,40,2.8,4 21,43,2.6,3.6 20,51,2.4,3"
)
BLOT = np.array([(1, 0.2), (0.55, 0.9), (-0.3, 1), (-1, 0.45), (-0.8, -0.6), (0.1, -1), (0.8, -0.7)])


def giraffe(pen: Pen, pose: Pose):
    ground, body = stance(pen, GIRAFFE, pose)
    legs(ground, GIRAFFE, pose, far=True)
    body.tube([(-30, 64), (-36, 54), (-35 - pose.tail * 6, 42)], (3, 2, 1.6), STRAW)
    body.oval(-35 - pose.tail * 6, 39, 2, 5, BLACK, edge=False)
    neck = body.at(14, 70, turn=-pose.neck)
    neck.shape(GIRAFFE_NECK, STRAW)
    body.shape(GIRAFFE_BODY, STRAW)
    for root, middle, _ in legs(ground, GIRAFFE, pose, far=False):
        ground.disc((root[0] + middle[0]) / 2, (root[1] + middle[1]) / 2 + 2, 2.6, PATCH)
    for spots, part in ((GIRAFFE_SPOTS, body), (NECK_SPOTS, neck)):
        for x, y, rx, ry in spots:
            part.shape(BLOT * (rx, ry) + (x, y), PATCH, edge=False)
    neck.line([(-9, 2), (2, 16), (11.5, 34), (17, 53)], (120, 62, 28), 2.2)
    head = neck.at(23, 55, turn=-pose.head)
    for x in (0, 4):
        head.line([(x, 5), (x - 2, 13)], mix(STRAW, (0, 0, 0), 0.15), 2)
        head.disc(x - 2, 13.5, 1.9, (70, 46, 36))
    head.shape([(-3, 4), (-13, 8), (-11, 3), (-4, 0)], STRAW)
    jaw(head, (8, -5), (21, -8), [(-4, 1), (11, -1), (12, -4), (0, -5)], pose, STRAW, angle=26, teeth=False)
    head.shape(GIRAFFE_HEAD, STRAW)
    head.oval(20, -5, 4.6, 4, mix(STRAW, (120, 90, 80), 0.35), turn=-25, edge=False)
    head.disc(22, -3.5, 0.9, BLACK)
    eye(head, 6, 1.5, 1.9, pose)
    head.name("mouth", 23, -8)
    head.name("top", 2, 14)


LION = Build(
    (-27, 36), (19, 36), (35, 35), (16, 10, 8), (-0.9, 0.5), 38, 52, TAN, mix(TAN, (255, 255, 255), 0.15), (6, 3.4)
)
LION_BODY = smooth(points("-37,40 -34,48 -20,50 0,48 16,52 28,49 32,38 27,29 14,26 -4,29 -20,28 -31,27 -38,32"))
SCALLOPS = smooth(circle(26) * np.where(np.arange(26) % 2 == 0, 1.0, 0.87)[:, None], 3)


def lion(pen: Pen, pose: Pose):
    ground, body = stance(pen, LION, pose)
    legs(ground, LION, pose, far=True)
    body.tube([(-36, 43), (-48, 40), (-54, 28), (-62, 27 + 12 * pose.tail)], (5, 4, 3.4, 3), TAN)
    body.oval(-64, 28 + 12 * pose.tail, 5.5, 4, MANE)
    body.shape(LION_BODY, TAN)
    legs(ground, LION, pose, far=False)
    neck = body.at(18, 42, turn=-pose.neck)
    head = neck.at(17, 16, turn=-pose.head)
    head.shape(SCALLOPS * (22, 23) + (-2, -2), MANE)
    head.shape(SCALLOPS * (17, 18) + (0, -1), mix(MANE, (220, 140, 60), 0.3), edge=False)
    for x in (-6, 8):
        head.disc(x, 14.5, 4.2, TAN, edge=True)
        head.disc(x, 14.5, 2.2, (120, 76, 60))
    head.oval(5, 2, 12.5, 13, TAN)
    jaw(head, (6, -4), (22, -3), [(-3, 2), (13, 1), (14, -3), (5, -7), (-3, -5)], pose, mix(TAN, WHITE, 0.35), angle=54)
    head.oval(15, 1 + pose.jaw, 7.5, 5.2, mix(TAN, WHITE, 0.45))
    head.shape([(17, 5), (23.5, 4), (21, -0.5)], (70, 40, 40), edge=False)
    eye(head, 10.5, 8, 1.9, pose)
    eye(head, 2, 8, 1.7, pose)
    head.name("mouth", 22, -6 - 5 * pose.jaw)
    head.name("top", 2, 22)


ZEBRA = Build((-26, 52), (23, 50), (50, 49), (15, 7, 5.5), (-0.8, 0.7), 54, 68, WHITE, BLACK, (4.5, 3.2))
ZEBRA_BODY = smooth(points("-37,54 -34,62 -24,67 -8,65 8,64 22,69 32,62 34,50 25,42 6,41 -14,43 -28,42 -36,46"))
ZEBRA_NECK = smooth(
    [(-11, 6), (-4, 14), (4, 23), (12, 32), (20, 33), (24, 27), (19, 18), (13, 7), (10, -6), (0, -12), (-9, -6)]
)
ZEBRA_HEAD = smooth([(-5, 4), (2, 8), (10, 5), (20, -5), (26, -11), (26, -17), (20, -19), (11, -13), (1, -8), (-5, -4)])
ZEBRA_STRIPES = [
    [(-31, 66), (-27.5, 66.5), (-31, 57), (-36, 50), (-36.5, 54)],
    [(-21, 67.5), (-17, 67), (-22, 56), (-31, 45), (-33, 47), (-25, 58)],
    [(-12, 66), (-8, 65.5), (-12, 54), (-19, 42.5), (-22, 42.5), (-15.5, 55)],
    [(-3, 65), (1, 64.5), (-3, 54), (-8, 42), (-11, 42), (-6.5, 54)],
    [(6, 64.5), (10, 65), (7, 54), (3, 41), (0, 41), (3, 54)],
    [(15, 67), (19, 68.5), (17, 56), (14, 41), (11, 41), (12.5, 55)],
    [(25, 68), (28, 65.5), (27, 56), (24, 42), (20.5, 41), (22.5, 55)],
]
ZEBRA_BANDS = [
    [(-7, 10), (9, -7), (11, -3), (-3.5, 14.5)],
    [(0, 19), (14, 7), (15.5, 10.5), (3.5, 23)],
    [(7, 27), (19, 17), (20.5, 20.5), (10, 31)],
]


def zebra(pen: Pen, pose: Pose):
    ground, body = stance(pen, ZEBRA, pose)
    legs(ground, ZEBRA, pose, far=True)
    body.tube([(-36, 60), (-43, 50), (-43 - 6 * pose.tail, 38)], (4, 3, 2), WHITE)
    body.oval(-43 - 6 * pose.tail, 33, 3, 8, BLACK, edge=False)
    neck = body.at(24, 57, turn=-pose.neck)
    neck.tube([(-11, 6), (-3, 17), (5, 26), (13, 36), (18, 39)], (5, 6.5, 7, 6.5, 4), BLACK)
    neck.shape(ZEBRA_NECK, WHITE)
    body.shape(ZEBRA_BODY, WHITE)
    for stripe in ZEBRA_STRIPES:
        body.shape(stripe, BLACK, edge=False)
    for band in ZEBRA_BANDS:
        neck.shape(band, BLACK, edge=False)
    for limb in legs(ground, ZEBRA, pose, far=False):
        _rings(ground, limb)
    head = neck.at(17, 30, turn=-pose.head)
    for x in (-3, 2):
        head.shape([(x - 2, 5), (x - 5, 15), (x + 3, 8)], WHITE)
    jaw(head, (10, -10), (24, -18), [(-3, 2), (13, -8), (12, -12), (2, -6)], pose, (70, 64, 68), angle=26, teeth=False)
    head.shape(ZEBRA_HEAD, WHITE)
    head.oval(22.5, -14, 5, 4.6, (48, 44, 48), turn=-40, edge=False)
    for x, y in ((0, 7), (9, 4), (14, 0)):
        head.line([(x, y), (x + 1, y - 6), (x - 1, y - 11)], BLACK, 1.8)
    eye(head, 6, 1, 1.9, pose)
    head.name("mouth", 25, -19)
    head.name("top", 0, 15)


def _rings(pen: Pen, points):
    """Dark rings around a leg."""
    for (x0, y0), (x1, y1), width in ((points[0], points[1], 9), (points[1], points[2], 6.5)):
        for share in (0.45, 0.75) if width > 8 else (0.1, 0.4, 0.7):
            x, y = x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
            away = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / away * width / 2, -(x1 - x0) / away * width / 2
            pen.line([(x - dx, y - dy), (x + dx, y + dy)], BLACK, 2.2)
