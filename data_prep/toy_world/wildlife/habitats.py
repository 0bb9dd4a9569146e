"""Where animals live: five lands and two waters, by day or at dusk. `paint_habitat` paints what never moves, once a
clip, twice as large as the frame. Which animal is there changes nothing; its only randomness is the stream given."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.toy_world.brush import SCALE, SIZE, Brush
from data_prep.toy_world.palette import GREY_SKY, LIGHT, Colour, mix, tone

HORIZON, SURFACE, BED = 104, 84, 198  # y of the horizon on land, of the water's surface, of its bed
WATERS = ("sea", "lake")


@dataclass(frozen=True)
class Habitat:
    """`kind`: one of LANDS or WATERS; `cloudy`: grey sky."""

    kind: str
    light: str
    cloudy: bool

    @property
    def is_water(self) -> bool:
        return self.kind in WATERS

    @property
    def water(self) -> Colour:
        """Colour of the water at half depth."""
        return tone((40, 112, 168) if self.kind == "sea" else (58, 122, 112), self.light, "scenery")

    def scenery(self, colour: Colour) -> Colour:
        return tone(colour, self.light, "scenery")


class Land(NamedTuple):
    """Colours of the ground, far and near, of the hills and of the grass, and how many tufts of it there are."""

    far: Colour
    near: Colour
    hills: Colour
    grass: Colour
    n_tufts: int


LANDS = {
    "savanna": Land((206, 182, 104), (178, 150, 76), (150, 156, 120), (166, 142, 58), 30),
    "forest": Land((120, 158, 84), (84, 122, 62), (74, 112, 84), (62, 116, 50), 30),
    "lake shore": Land((206, 196, 150), (150, 168, 96), (110, 140, 132), (98, 146, 62), 22),
    "desert": Land((232, 200, 142), (216, 174, 110), (206, 160, 112), (150, 150, 84), 9),
    "snow": Land((226, 234, 242), (242, 246, 250), (158, 176, 204), (150, 164, 150), 9),
}


def paint_habitat(habitat: Habitat, rng: np.random.Generator) -> Image.Image:
    """RGB image of (SIZE·SCALE)² pixels."""
    horizon = SURFACE if habitat.is_water else HORIZON
    canvas = Image.fromarray(np.zeros((SIZE * SCALE, SIZE * SCALE, 3), np.uint8))
    brush = Brush(canvas, mirrored=False)
    top, low = GREY_SKY[habitat.light] if habitat.cloudy else LIGHT[habitat.light].sky
    _gradient(canvas, 0, horizon, top, low)
    _sky(brush, habitat, rng, horizon)
    if habitat.is_water:
        _water(canvas, brush, habitat, rng)
    else:
        _land(canvas, brush, habitat, rng)
    return canvas


def _gradient(canvas: Image.Image, y0, y1, top: Colour, low: Colour):
    rows = np.linspace(0, 1, round((y1 - y0) * SCALE))[:, None]
    colours = (np.array(top) + (np.array(low) - np.array(top)) * rows).astype(np.uint8)
    strip = np.broadcast_to(colours[:, None], (len(rows), SIZE * SCALE, 3))
    canvas.paste(Image.fromarray(np.ascontiguousarray(strip)), (0, round(y0 * SCALE)))


def _sky(brush: Brush, habitat: Habitat, rng, horizon):
    x = rng.uniform(20, SIZE - 20)
    if not habitat.cloudy:
        y = 22 if habitat.light == "day" else horizon - 16
        brush.glow(x, y, 38, (255, 240, 200), 0.8)
        brush.disc(x, y, 9, (255, 246, 214) if habitat.light == "day" else (255, 206, 130))
    shade = mix(LIGHT[habitat.light].sky[1], (255, 255, 255) if not habitat.cloudy else (120, 124, 132), 0.45)
    for x, y in rng.uniform((-10, 6), (SIZE, 46), (6 if habitat.cloudy else 3, 2)):
        for k in range(4):
            brush.oval(x + 9 * k, y + 3 * (k % 2), 13, 5, (*shade, 130))


def _land(canvas, brush: Brush, habitat: Habitat, rng):
    kind, land = habitat.kind, LANDS[habitat.kind]
    haze = LIGHT[habitat.light].sky[1]
    for row, (share, rough) in enumerate(((0.45, 12), (0.15, 8))):
        colour = mix(habitat.scenery(land.hills), haze, share)
        _ridge(brush, rng, HORIZON, 26 - 12 * row, rough, colour, snow=kind == "snow" and row == 0)
    _gradient(canvas, HORIZON, SIZE, habitat.scenery(land.far), habitat.scenery(land.near))
    if kind == "lake shore":
        _lake(canvas, brush, habitat, rng)
    _patches(brush, habitat, rng, land.near)
    FEATURES[kind](brush, habitat, rng)
    _ground_cover(brush, habitat, rng)


def _ridge(brush: Brush, rng, base, high, rough, colour: Colour, *, snow=False):
    xs = np.linspace(-10, SIZE + 10, 12)
    ys = base - high * rng.uniform(0.25, 1.0, 12) - rng.uniform(0, rough, 12) * (1.4 if snow else 0.4)
    top = list(zip(xs.tolist(), ys.tolist(), strict=True))
    brush.poly([(-10, base + 2), *top, (SIZE + 10, base + 2)], colour)
    if snow:
        for (x, y), (x2, y2) in zip(top[::2], top[1::2], strict=False):
            brush.poly(
                [(x, y), (x + (x2 - x) * 0.4, y + (y2 - y) * 0.4 + 4), (x, y + 7), (x - 6, y + 9)],
                mix(colour, (255, 255, 255), 0.7),
            )


def _lake(canvas, brush: Brush, habitat: Habitat, rng):
    water = habitat.scenery((104, 168, 204))
    low = 132
    _gradient(canvas, HORIZON, low, mix(water, LIGHT[habitat.light].sky[1], 0.4), water)
    xs = np.linspace(-10, SIZE + 10, 14)
    shore = list(zip(xs.tolist(), (low - rng.uniform(0, 7, 14)).tolist(), strict=True))
    brush.poly([*shore, (SIZE + 10, low + 4), (-10, low + 4)], habitat.scenery(LANDS["lake shore"].far))
    for x, y in rng.uniform((0, HORIZON + 3), (SIZE, low - 6), (16, 2)):
        brush.line([(x, y), (x + rng.uniform(6, 18), y)], mix(water, (255, 255, 255), 0.45), 0.8)


def _patches(brush: Brush, habitat: Habitat, rng, near: Colour):
    colour = habitat.scenery(near)
    for x, y in rng.uniform((0, 138), (SIZE, SIZE), (26, 2)):
        share = (y - 100) / 124
        brush.oval(
            x, y, 22 * share, 3.2 * share, (*mix(colour, (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255), 0.3), 60)
        )


def _ground_cover(brush: Brush, habitat: Habitat, rng):
    """Tufts and stones, the same kinds in every land, in the land's colours."""
    land = LANDS[habitat.kind]
    blade = habitat.scenery(land.grass)
    for x, y in sorted(rng.uniform((0, 134), (SIZE, SIZE), (land.n_tufts, 2)).tolist(), key=lambda p: p[1]):
        tall = (y - 96) / 15
        for n in range(5):
            tip = (x + (n - 2) * 2.1, y - tall * (1 - 0.15 * abs(n - 2)))
            brush.line([(x + n - 2, y), tip], mix(blade, (0, 0, 0), 0.12 * (n % 2)), 0.9)
    stone = habitat.scenery((150, 146, 142))
    for x, y in rng.uniform((0, 130), (SIZE, SIZE - 8), (5, 2)):
        r = rng.uniform(2.2, 4.6) * (y - 70) / 90
        brush.oval(x, y, r * 1.5, r, mix(stone, (0, 0, 0), 0.25))
        brush.oval(x - 0.2 * r, y - 0.25 * r, r * 1.2, r * 0.7, stone)


def _stand(rng, low, high, count):
    """Places for `count` trees along the far ground, back to front."""
    xs = (np.arange(count) + rng.uniform(0.1, 0.9, count)) * SIZE / count
    return sorted(zip(xs.tolist(), rng.uniform(low, high, count).tolist(), strict=True), key=lambda p: p[1])


def _savanna(brush: Brush, habitat: Habitat, rng):
    for x, y in _stand(rng, 108, 128, 3):
        k = (y - 70) / 52
        trunk = habitat.scenery((104, 78, 54))
        brush.line([(x, y), (x + 2 * k, y - 20 * k)], trunk, 3 * k)
        for side in (-1, 1):
            brush.line([(x + 2 * k, y - 18 * k), (x + side * 16 * k, y - 33 * k)], trunk, 1.8 * k)
        for n, (dx, dy, r) in enumerate(((-14, 36, 15), (12, 37, 17), (0, 41, 20))):
            brush.oval(
                x + dx * k, y - dy * k, r * k, 5 * k, mix(habitat.scenery((104, 132, 62)), (0, 0, 0), 0.16 * (2 - n))
            )


def _forest(brush: Brush, habitat: Habitat, rng):
    for x, y in _stand(rng, 106, 124, 9):
        k = (y - 62) / 50
        leaf = mix(habitat.scenery((56, 116, 62)), LIGHT[habitat.light].sky[1], 0.3 * (124 - y) / 18)
        brush.line([(x, y), (x, y - 22 * k)], habitat.scenery((96, 68, 48)), 4 * k)
        if rng.random() < 0.5:
            for n in range(3):
                half, low, tip = (17 - 4 * n) * k, y - (14 + 15 * n) * k, (x, y - (40 + 15 * n) * k)
                brush.poly([(x - half, low), tip, (x + half, low)], mix(leaf, (0, 0, 0), 0.24 - 0.1 * n))
        else:
            for n in range(6):
                a = n * 1.05
                middle = (x + 11 * k * math.cos(a), y - (38 + 10 * math.sin(a)) * k)
                brush.disc(*middle, 11 * k, mix(leaf, (0, 0, 0), 0.2 - 0.04 * n))


def _shore(brush: Brush, habitat: Habitat, rng):
    reed = habitat.scenery((98, 128, 60))
    for x, y in _stand(rng, 126, 136, 4):
        for n in range(7):
            root, lean = x + n * 1.6, (n - 3) * 2.4
            stem = [(root, y), (root + lean, y - 24 - 3 * (n % 3))]
            brush.line(stem, mix(reed, (0, 0, 0), 0.12 * (n % 2)), 1.1)
            if n % 3 == 0:
                head = [(root + lean * 0.85, y - 20), (root + lean, y - 27)]
                brush.limb(head, habitat.scenery((112, 74, 44)), 2.4)


def _desert(brush: Brush, habitat: Habitat, rng):
    sand = habitat.scenery((224, 184, 122))
    for n in range(3):
        y, x = 112 + 9 * n, rng.uniform(0, SIZE)
        brush.poly(
            [(x - 110, y + 12), (x - 20, y - 11), (x + 14, y - 7), (x + 110, y + 12)], mix(sand, (0, 0, 0), 0.05 * n)
        )
        brush.poly(
            [(x - 20, y - 11), (x + 14, y - 7), (x + 110, y + 12), (x + 4, y + 12)], mix(sand, (150, 100, 60), 0.25)
        )
    cactus = habitat.scenery((84, 134, 78))
    for x, y in _stand(rng, 112, 130, 3):
        k = (y - 76) / 46
        brush.limb([(x, y), (x, y - 34 * k)], cactus, 6 * k)
        for side, up in ((-1, 14), (1, 19)):
            brush.limb(
                [(x, y - up * k), (x + side * 9 * k, y - up * k), (x + side * 9 * k, y - (up + 11) * k)], cactus, 4 * k
            )


def _snow(brush: Brush, habitat: Habitat, rng):
    for x, y in _stand(rng, 108, 126, 5):
        k = (y - 68) / 52
        brush.line([(x, y), (x, y - 10 * k)], habitat.scenery((96, 72, 56)), 4 * k)
        for n in range(3):
            half, low = (16 - 4 * n) * k, y - (7 + 13 * n) * k
            brush.poly([(x - half, low), (x, low - 22 * k), (x + half, low)], habitat.scenery((70, 104, 92)))
            brush.poly(
                [(x - half * 0.6, low - 8 * k), (x, low - 22 * k), (x + half * 0.6, low - 8 * k), (x, low - 11 * k)],
                habitat.scenery((244, 248, 252)),
            )


FEATURES = {"savanna": _savanna, "forest": _forest, "lake shore": _shore, "desert": _desert, "snow": _snow}


def _water(canvas, brush: Brush, habitat: Habitat, rng):
    sea, deep = habitat.kind == "sea", habitat.water
    _ridge(brush, rng, SURFACE, 15, 5, mix(habitat.scenery((110, 140, 132)), LIGHT[habitat.light].sky[1], 0.35))
    _gradient(canvas, SURFACE, SIZE, mix(deep, (255, 255, 255), 0.34), mix(deep, (0, 0, 0), 0.28))
    for x in rng.uniform(-20, SIZE, 5):
        brush.poly([(x, SURFACE), (x + 16, SURFACE), (x + 54, BED + 8), (x + 14, BED + 8)], (255, 255, 255, 16))
    bed = habitat.scenery((206, 190, 146) if sea else (128, 116, 84))
    xs = np.linspace(-10, SIZE + 10, 12)
    top = list(zip(xs.tolist(), (BED - 2 - rng.uniform(0, 6, 12)).tolist(), strict=True))
    brush.poly([*top, (SIZE + 10, SIZE + 4), (-10, SIZE + 4)], mix(bed, deep, 0.3))
    for x, y in rng.uniform((0, BED + 4), (SIZE, SIZE), (30, 2)):
        brush.oval(x, y, 4, 1, mix(bed, deep, 0.5))
    for n, x in enumerate(rng.uniform(4, SIZE - 4, 9)):
        if sea and n % 3 == 0:
            _coral(brush, habitat, rng, x)
        else:
            _weed(brush, habitat, rng, x)
    for x, y in rng.uniform((0, BED + 2), (SIZE, SIZE - 6), (5, 2)):
        brush.oval(x, y, 7, 4.4, mix(habitat.scenery((120, 120, 124)), deep, 0.3))
        brush.oval(x - 1, y - 1, 5, 2.8, mix(habitat.scenery((156, 156, 158)), deep, 0.3))


def _weed(brush: Brush, habitat: Habitat, rng, x):
    green = mix(habitat.scenery((70, 140, 70)), habitat.water, 0.35)
    for n in range(3):
        tall, bend = rng.uniform(16, 34), rng.uniform(-5, 5)
        points = [(x + 5 * n + bend * math.sin(3 * u / 4), BED + 4 - tall * u / 4) for u in range(5)]
        brush.line(points, mix(green, (0, 0, 0), 0.12 * n), 2.6)


def _coral(brush: Brush, habitat: Habitat, rng, x):
    colour = mix(
        habitat.scenery(((232, 104, 96), (240, 160, 80), (190, 110, 190))[rng.integers(3)]), habitat.water, 0.3
    )
    for a in (-50, -22, 4, 28, 54):
        length = rng.uniform(13, 21)
        tip = (x + length * math.sin(math.radians(a)), BED + 5 - length * math.cos(math.radians(a)))
        brush.limb([(x, BED + 6), tip], colour, 4)
