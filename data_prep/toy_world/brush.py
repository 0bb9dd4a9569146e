"""Anti-aliased drawing in frame units. A `Brush` takes coordinates in the final 224-pixel frame (x right, y down),
draws them twice as large, mirrors them where the clip is mirrored, and hands back the reduced frame with camera noise.
Colours are RGB or RGBA, 0-255; a fourth number blends."""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
SIZE = 224
SCALE = 2
NOISE_TILE = SIZE + 64


class Brush:
    """Draws on one supersampled canvas, (SIZE·SCALE)² RGB."""

    def __init__(self, canvas: Image.Image, *, mirrored: bool):
        self.canvas = canvas
        self.mirrored = mirrored
        self._solid = ImageDraw.Draw(canvas)
        self._blend = ImageDraw.Draw(canvas, "RGBA")

    def _pen(self, colour):
        return self._blend if len(colour) == 4 else self._solid

    def _points(self, points) -> list[float]:
        flat = []
        for x, y in points:
            flat.append((SIZE - x if self.mirrored else x) * SCALE)
            flat.append(y * SCALE)
        return flat

    def _box(self, x0, y0, x1, y1) -> Box:
        if self.mirrored:
            x0, x1 = SIZE - x1, SIZE - x0
        return x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE

    def poly(self, points, colour):
        self._pen(colour).polygon(self._points(points), fill=colour)

    def shape(self, points: np.ndarray, colour, edge=None, width=1.0):
        """Filled polygon; points: (N, 2). `edge`: colour of a line of `width` around it."""
        pixels = points * SCALE
        if self.mirrored:
            pixels[:, 0] = SIZE * SCALE - pixels[:, 0]
        flat = pixels.ravel().tolist()
        self._pen(colour).polygon(flat, fill=colour)
        if edge:
            self._pen(edge).line(flat + flat[:2], fill=edge, width=max(1, round(width * SCALE)))

    def rect(self, x0, y0, x1, y1, colour):
        self._pen(colour).rectangle(self._box(x0, y0, x1, y1), fill=colour)

    def oval(self, x, y, rx, ry, colour):
        """Ellipse around (x, y) with half axes rx, ry."""
        self._pen(colour).ellipse(self._box(x - rx, y - ry, x + rx, y + ry), fill=colour)

    def disc(self, x, y, r, colour):
        self.oval(x, y, r, r, colour)

    def line(self, points, colour, width=1.0):
        self._pen(colour).line(self._points(points), fill=colour, width=max(1, round(width * SCALE)))

    def limb(self, points, colour, width, round_at=None):
        """Thick line through `points`, rounded at all of them or at `round_at`: arms, legs, poles."""
        self.line(points, colour, width)
        r = width / 2 - 0.2
        for x, y in points if round_at is None else round_at:
            self._solid.ellipse(self._box(x - r, y - r, x + r, y + r), fill=colour)

    def star(self, x, y, r, colour, *, spikes=8, inner=0.45, turn=0.0):
        """Star with `spikes` rays of length r, inner radius `inner`·r, rotated by `turn` radians."""
        points = []
        for k in range(2 * spikes):
            radius, angle = (r if k % 2 == 0 else r * inner), turn + math.pi * k / spikes
            points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        self.poly(points, colour)

    def glow(self, x, y, r, colour, strength=1.0):
        """Soft light around (x, y), radius r, added by blending towards `colour`."""
        size = max(2, round(2 * r * SCALE))
        mask = glow_mask(size // 8 * 8 or 8, round(strength * 10))
        cx = (SIZE - x if self.mirrored else x) * SCALE
        self.canvas.paste(colour[:3], (int(cx - mask.width / 2), int(y * SCALE - mask.height / 2)), mask)

    def wash(self, colour, share):
        """Blend the whole frame towards `colour` by `share` (0-1): a flash or its reflection."""
        self._blend.rectangle((0, 0, SIZE * SCALE, SIZE * SCALE), fill=(*colour, int(255 * share)))

    def frame(self, noise: Image.Image, offset: tuple[int, int]) -> np.ndarray:
        """The finished frame: reduced and noisy. (SIZE, SIZE, 3) uint8 RGB."""
        small = self.canvas.reduce(SCALE)
        x, y = offset
        return np.array(ImageChops.add(small, noise.crop((x, y, x + SIZE, y + SIZE)), 1, -NOISE_CENTRE))


NOISE_CENTRE = 32


def in_view(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """What of a box lies in the frame, to a tenth of a pixel; None for less than a pixel."""
    x0, y0, x1, y1 = (round(min(float(SIZE), max(0.0, v)), 1) for v in (x0, y0, x1, y1))
    return (x0, y0, x1, y1) if x1 - x0 > 1 and y1 - y0 > 1 else None


def points(text: str) -> list[tuple[float, ...]]:
    """Rows of numbers as SVG writes the points of a polygon: "x,y x,y"."""
    return [tuple(map(float, row.split(","))) for row in text.split()]


@lru_cache(maxsize=64)
def glow_mask(size: int, strength: int) -> Image.Image:
    """Radial mask (size, size) that falls smoothly to 0 at the rim; `strength` in tenths."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    radius = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    fall = np.clip(1 - radius, 0, 1) ** 1.5 * strength / 10
    return Image.fromarray((np.clip(fall, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=16)
def noise_tile(level: int) -> Image.Image:
    """Camera noise around NOISE_CENTRE, RGB, larger than a frame so that offsets give fresh noise. `level` in halves
    of a grey value of standard deviation; mostly brightness, a little colour, slightly smoothed as sensors do."""
    rng = np.random.default_rng([20240, level])
    grey = rng.normal(0, 1, (NOISE_TILE, NOISE_TILE, 1)) + 0.35 * rng.normal(0, 1, (NOISE_TILE, NOISE_TILE, 3))
    tile = np.clip(NOISE_CENTRE + grey * level / 2 * 1.3, 0, 255).astype(np.uint8)
    return Image.fromarray(tile).filter(ImageFilter.GaussianBlur(0.45))
