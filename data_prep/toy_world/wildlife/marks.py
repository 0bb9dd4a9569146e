"""What an action adds to an animal so that one frame shows it: food, water rings, sound waves, flying earth, splashes,
speed lines. Each function draws with a Brush in frame units; `k` is the animal's scale (frame units of one own unit),
`f` where it looks (+1 right, -1 left), `t` seconds that move the mark."""

import math

from data_prep.toy_world.brush import Brush
from data_prep.toy_world.palette import Colour, mix

INK, PAPER, WATER, EARTH = (28, 26, 32), (255, 255, 250), (96, 164, 214), (112, 78, 48)
GRASS, FOLIAGE, MEAT, BONE = (92, 158, 60), (58, 128, 52), (196, 52, 52), (246, 240, 224)


def arc(brush: Brush, x, y, rx, ry, first, last, colour: Colour, width, *, rim=True):
    """Part of an ellipse from `first` to `last` degrees (0 right, 90 up), with a dark rim."""
    points = []
    for n in range(9):
        a = math.radians(first + (last - first) * n / 8)
        points.append((x + rx * math.cos(a), y - ry * math.sin(a)))
    if rim:
        brush.line(points, INK, width + 1.6)
    brush.line(points, colour, width)


def sound(brush: Brush, x, y, f, k, t):
    """Three waves that leave the mouth."""
    middle = 12 if f > 0 else 168
    for n in range(3):
        r = k * (9 + 8 * n + 2.5 * math.sin(14 * t + n))
        arc(brush, x, y, r, r, middle - 34, middle + 34, (255, 240, 120), 2.2)


def puddle(brush: Brush, x, y, k, t, grow=1.0):
    """A water hole with rings where the mouth touches it."""
    k *= grow
    brush.oval(x, y, 27 * k, 7.5 * k, mix(WATER, INK, 0.45))
    brush.oval(x, y + 0.4, 25.5 * k, 6.6 * k, WATER)
    for n in range(3):
        r = (n / 3 + 0.8 * t) % 1.0
        arc(brush, x, y, (4 + 18 * r) * k, (1.2 + 4.8 * r) * k, 0, 360, mix(PAPER, WATER, r * 0.7), 1.3, rim=False)
    for n in range(4):
        u = (1.6 * t + n / 4) % 1.0
        brush.disc(x + (n - 1.5) * 6 * k, y - 22 * k * u * (1 - u) - 2 * k, 1.5 * k, mix(WATER, PAPER, 0.6))


def tuft(brush: Brush, x, y, k, t, grow=1.0):
    """High grass, some blades of it pulled to the mouth."""
    for n in range(11):
        lean, tall = (n - 5) * 2.6 * k + 1.6 * math.sin(4 * t + n), (11 + 5 * ((n * 7) % 3)) * k * grow
        base = x + (n - 5) * 2.4 * k
        brush.poly([(base - 1.7 * k, y), (base + lean, y - tall), (base + 1.7 * k, y)], mix(GRASS, INK, 0.09 * (n % 3)))


def branch(brush: Brush, x, y, f, k, t, grow=1.0):
    """A leafy branch that hangs from above before the mouth."""
    k *= grow
    top = (x + f * 34 * k, y - 30 * k)
    brush.line([top, (x + f * 20 * k, y - 12 * k), (x + f * 2 * k, y + k)], (104, 72, 46), 2.4 * k)
    for n in range(9):
        u = n / 8
        px, py = x + f * (32 * u + 1) * k, y + (4 - 30 * u + 5 * math.sin(2.3 * n + 1.5 * t)) * k
        brush.oval(px, py, 5.2 * k, 3.4 * k, mix(FOLIAGE, INK, 0.35))
        brush.oval(px, py - 0.6 * k, 4.4 * k, 2.6 * k, mix(FOLIAGE, (190, 220, 90), 0.3 * (n % 2)))


def sprig(brush: Brush, x, y, k, grow=1.0):
    """A bundle of leaves held in the mouth or the trunk."""
    k *= grow
    for n in range(8):
        a = n * 0.785 + 0.3
        px, py = x + 7 * k * math.cos(a), y + 6 * k * math.sin(a)
        brush.line([(x, y), (px, py)], (70, 100, 40), 1.2)
        brush.oval(px, py, 4.4 * k, 3 * k, mix(FOLIAGE, (190, 220, 90), 0.3 * (n % 2)))


def carcass(brush: Brush, x, y, k, t, grow=1.0):
    """Red meat on bones."""
    k *= grow
    brush.oval(x, y - 5 * k, 20 * k, 9 * k, mix(MEAT, INK, 0.4))
    brush.oval(x, y - 5.6 * k, 18.6 * k, 8 * k, MEAT)
    for n in range(4):
        px = x + (n - 1.5) * 8 * k
        arc(brush, px, y - 4 * k, 4 * k, 14 * k, 30, 150, BONE, 2.4 * k, rim=False)
    brush.disc(x + 20 * k, y - 4 * k, 4 * k, BONE)


def fish(brush: Brush, x, y, f, k, *, turn=0.0, colour=(232, 150, 60), grow=1.0):
    """A small fish; `turn` degrees nose up."""
    k *= grow
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def put(points):
        return [(x + f * (px * cos - py * sin) * k, y - (px * sin + py * cos) * k) for px, py in points]

    for grow_by, tone in ((1.22, mix(colour, INK, 0.6)), (1.0, colour)):
        g = grow_by
        brush.poly(put([(-8 * g, 0), (-16 * g, 6 * g), (-14.5 * g, 0), (-16 * g, -6 * g)]), tone)
        upper, lower = [(-4, 5), (3, 5.6), (10, 1)], [(10, -1), (3, -5.6), (-4, -5)]
        brush.poly(put([(px * g, py * g) for px, py in ((-9, 0), *upper, *lower)]), tone)
    ((eye_x, eye_y),) = put([(6, 1.2)])
    brush.disc(eye_x, eye_y, 1.3 * k, INK)


def mouse(brush: Brush, x, y, f, k, grow=1.0):
    """Half swallowed: its hind part hangs out of the mouth."""
    k *= grow
    tail = [(x + f * 9 * k, y + 3 * k), (x + f * 17 * k, y + 9 * k), (x + f * 15 * k, y + 17 * k)]
    brush.line(tail, (206, 140, 140), 1.8 * k)
    brush.oval(x + f * 5 * k, y + k, 8.4 * k, 6.4 * k, INK)
    brush.oval(x + f * 5 * k, y + k, 7.4 * k, 5.4 * k, (150, 146, 150))
    for n in (0, 5):
        brush.line([(x + f * (4 + n) * k, y + 5 * k), (x + f * (5 + n) * k, y + 10 * k)], (206, 150, 150), 2 * k)


def fly(brush: Brush, x, y, k, t):
    """An insect at the tip of a tongue."""
    buzz = 3 * math.sin(40 * t)
    for side in (-1, 1):
        brush.oval(x + side * 3.6 * k, y - (3 + buzz * 0.3) * k, 3.8 * k, 2.4 * k, (226, 236, 244))
    brush.oval(x, y, 3.8 * k, 3.2 * k, INK)


def flower(brush: Brush, x, y, ground, k, colour: Colour, grow=1.0):
    """A big blossom at (x, y) on a stem from the ground."""
    brush.line([(x, y), (x + 2 * k, ground)], (66, 130, 56), 3 * k)
    for side in (-1, 1):
        brush.oval(x + (1 + side * 8) * k, (y + ground) / 2 + 4 * k, 8 * k, 3.4 * k, (76, 146, 62))
    for n in range(8):
        a = n * math.pi / 4
        px, py = x + 13 * k * math.cos(a), y + 8 * k * math.sin(a)
        brush.oval(px, py, 7.4 * k, 5.4 * k, mix(colour, INK, 0.4))
        brush.oval(px, py, 6.5 * k, 4.5 * k, colour)
    brush.oval(x, y, 6 * k, 4.4 * k, (150, 92, 40))


def shrimps(brush: Brush, x, y, k, t, grow=1.0):
    """Shallow water full of small red shrimps."""
    k *= grow
    brush.oval(x, y, 26 * k, 6.4 * k, mix(WATER, (120, 140, 90), 0.35))
    for n in range(6):
        px, py = x + (n - 2.5) * 7.5 * k, y + 2.5 * k * math.sin(n * 2 + 2 * t)
        arc(brush, px, py, 2.6 * k, 2 * k, 20, 250, (222, 70, 50), 2 * k, rim=False)


def crumbs(brush: Brush, x, y, k, t, colour: Colour):
    """Bits that fall from a chewing mouth."""
    for n in range(5):
        u = (1.3 * t + n * 0.2) % 1.0
        brush.disc(x + (n - 2) * 3.4 * k + 3 * math.sin(5 * n), y + 16 * k * u, 1.5 * k, colour)


def zzz(brush: Brush, x, y, f, k, t):
    """Three letters that rise from a sleeper's head."""
    for n in range(3):
        s = (3.4 + 2.0 * n) * k
        px, py = x + f * (5 + 11 * n) * k, y - (6 + 12 * n + 1.6 * math.sin(2.4 * t + n)) * k
        strokes = [(px - s, py - s), (px + s, py - s), (px - s, py + s), (px + s, py + s)]
        brush.line(strokes, INK, 3.4 * k)
        brush.line(strokes, PAPER, 1.9 * k)


def speed_lines(brush: Brush, x, y, dx, dy, k, t, n=4, gap=9.0):
    """Lines in direction (dx, dy) from (x, y), beside one another: something came from there fast."""
    for m in range(n):
        aside = (m - (n - 1) / 2) * gap * k
        far = (0.65 + 0.35 * math.sin(9 * t + 2 * m)) * k
        px, py = x - dy * aside, y + dx * aside
        end = (px + dx * 26 * far, py + dy * 26 * far)
        brush.line([(px, py), end], INK, 3.2)
        brush.line([(px, py), end], PAPER, 1.8)


def puffs(brush: Brush, x, y, f, k, t, colour: Colour = (206, 190, 158)):
    """Dust behind running feet."""
    for n in range(5):
        u = (n / 5 + 1.4 * t) % 1.0
        r = (3 + 6 * u) * k
        brush.disc(x - f * 34 * u * k, y - (2 + 8 * u) * k, r, (*colour, int(230 * (1 - 0.8 * u))))


def earth(brush: Brush, x, y, f, k, t):
    """A hole, a heap behind it, and clods that fly up on both sides."""
    heap = x + f * 17 * k
    brush.poly(
        [(heap - 15 * k, y + 2 * k), (heap - 5 * k, y - 8 * k), (heap + 4 * k, y - 9 * k), (heap + 15 * k, y + 2 * k)],
        EARTH,
    )
    brush.oval(x - f * 3 * k, y + k, 15 * k, 4.4 * k, mix(EARTH, INK, 0.65))
    for n in range(20):
        u = 0.12 + 0.88 * ((n * 0.31 + 1.9 * t) % 1.0)
        reach = (((n * 7) % 20) / 19 * 2 - 0.8) * 34 * k
        px, py = x + f * reach * u, y - (70 + 60 * ((n * 3) % 5) / 5) * k * u * (1 - u)
        r = (1.9 + 2.0 * ((n * 3) % 4) / 4) * k
        brush.disc(px, py, r + 0.8, mix(EARTH, INK, 0.6))
        brush.disc(px, py, r, mix(EARTH, (200, 160, 110), 0.25 * (n % 3)))


def shaking(brush: Brush, x, y, k, t):
    """Arcs on both sides of a head, and drops thrown off."""
    for middle in (180, 0):
        for n in range(2):
            r = (17 + 7 * n + 1.5 * math.sin(30 * t)) * k
            arc(brush, x, y, r, r, middle - 30, middle + 30, PAPER, 1.8)
    for n in range(8):
        a, far = n * 0.785 + 0.4, (21 + 5 * math.sin(9 * t + 2 * n)) * k
        brush.disc(x + far * math.cos(a), y - abs(far * math.sin(a)), 1.9 * k, mix(WATER, PAPER, 0.5))


def whirl(brush: Brush, x, y, rx, ry, f, t):
    """Two arrows that run round: something turns over."""
    for half in (0, 180):
        first, last = half + 22, half + 150
        arc(brush, x, y, rx, ry, first, last, PAPER, 2.2)
        end = math.radians(last if f < 0 else first)
        px, py, way = x + rx * math.cos(end), y - ry * math.sin(end), (-1 if f < 0 else 1)
        tx, ty = way * rx * math.sin(end), way * ry * math.cos(end)
        length = math.hypot(tx, ty) or 1.0
        tx, ty = tx / length, ty / length
        for size, colour in ((8.0, INK), (5.4, PAPER)):
            brush.poly(
                [
                    (px + tx * size, py + ty * size),
                    (px - ty * size * 0.8, py + tx * size * 0.8),
                    (px + ty * size * 0.8, py - tx * size * 0.8),
                ],
                colour,
            )


def beats(brush: Brush, x, y, rx, ry, t):
    """Arcs over and under beating wings."""
    for side in (-1, 1):
        for n in range(2):
            grow = 1 + 0.16 * n + 0.03 * math.sin(30 * t)
            middle = 125 if side < 0 else 55
            arc(brush, x, y, rx * grow, ry * grow, middle - 20, middle + 20, PAPER, 1.8)


def splash(brush: Brush, x, y, k, t):
    """Water thrown up where something breaks the surface."""
    for n in range(9):
        a = math.radians(25 + 130 * n / 8)
        tall = (20 + 12 * ((n * 5) % 4) / 4 + 3 * math.sin(11 * t + n)) * k
        px, py = x + tall * 1.15 * math.cos(a), y - tall * math.sin(a)
        side = 3.4 * k
        brush.poly(
            [(x + (n - 4) * 4 * k - side, y + 2), (px, py), (x + (n - 4) * 4 * k + side, y + 2)],
            mix(PAPER, WATER, 0.25 + 0.2 * (n % 2)),
        )
        brush.disc(px + 3 * math.cos(a), py - 5 * math.sin(a) * k, 2.3 * k, PAPER)
    brush.oval(x, y + 2, 27 * k, 4.4 * k, mix(PAPER, WATER, 0.3))


def bubbles(brush: Brush, x, y, k, t, n=6, rise=40.0):
    """Bubbles that rise from (x, y)."""
    for m in range(n):
        u = (m / n + 0.7 * t) % 1.0
        px, r = x + 5 * k * math.sin(6 * u + m), (1.6 + 2.2 * ((m * 3) % 4) / 4) * k
        brush.disc(px, y - rise * u * k, r, (214, 238, 250))
        brush.disc(px - 0.3 * r, y - rise * u * k - 0.3 * r, 0.4 * r, PAPER)


def ripples(brush: Brush, x, y, k, t):
    """Waves beside a body at the surface."""
    for side in (-1, 1):
        for n in range(3):
            far = (30 + 13 * ((n + t) % 3)) * k
            arc(brush, x + side * far, y + 1, 9 * k, 2.6 * k, 20, 160, PAPER, 1.5, rim=False)
