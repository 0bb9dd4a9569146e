"""Drawing in an animal's own units. A `Pen` takes points with x forward, y up and 100 for the animal's usual length,
and passes them to the Brush of the frame wherever the animal stands, however large, turned or tilted it is. Without a
brush it only measures: every point that would be drawn widens `box`."""

import math
from functools import lru_cache

import numpy as np

from data_prep.toy_world.brush import Brush
from data_prep.toy_world.palette import Colour, mix

EDGE_WIDTH = 1.0  # of the dark line around a shape, frame units
EDGE = (24, 18, 16)


class Pen:
    """`matrix`: (2, 2) from own units to frame units, `origin`: (2,) frame units. `points` collects named places
    (mouth, feet) in frame units for whoever adds to the picture; `box` is [x0, y0, x1, y1] of all drawn so far. Both
    are shared with the pens made by `at`. `tint` maps colours (light, water)."""

    def __init__(self, brush: Brush | None, x, y, scale, *, facing=1.0, tint=None, alpha=None):
        self.brush, self.tint, self.alpha = brush, tint or (lambda colour: colour), alpha
        self.matrix = np.array([[scale * facing, 0.0], [0.0, -scale]])
        self.origin = np.array([x, y], float)
        self.box = [math.inf, math.inf, -math.inf, -math.inf]
        self.points: dict[str, tuple[float, float]] = {}

    def at(self, x=0.0, y=0.0, *, turn=0.0, scale=1.0, flip=False, alpha=None) -> "Pen":
        """A pen whose zero is (x, y) of this one, turned by `turn` degrees (nose up), `flip`: y mirrored."""
        pen = object.__new__(Pen)
        pen.brush, pen.tint, pen.box, pen.points = self.brush, self.tint, self.box, self.points
        pen.alpha = self.alpha if alpha is None else alpha
        cos, sin = math.cos(math.radians(turn)) * scale, math.sin(math.radians(turn)) * scale
        up = -1.0 if flip else 1.0
        pen.matrix = self.matrix @ np.array([[cos, -sin * up], [sin, cos * up]])
        pen.origin = self.origin + self.matrix @ (x, y)
        return pen

    @property
    def scale(self) -> float:
        """Frame units of one own unit (vertically: turning round does not change it)."""
        return math.sqrt(self.matrix[0, 1] ** 2 + self.matrix[1, 1] ** 2)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Own units → frame units."""
        px, py = self.matrix @ (x, y) + self.origin
        return float(px), float(py)

    def name(self, name: str, x: float, y: float):
        """Remembers (x, y) under `name` in `points`."""
        self.points[name] = self.place(x, y)

    def shape(self, points, colour: Colour, *, edge: bool = True):
        """Filled polygon; points: (N, 2) own units. `edge`: with a darker line around it."""
        pixels = np.asarray(points) @ self.matrix.T + self.origin
        if self.brush is None:
            self._widen(pixels)
            return
        colour = self._colour(colour)
        rim = mix(colour, EDGE, 0.5) if edge and len(colour) == 3 else None
        self.brush.shape(pixels, colour, rim, EDGE_WIDTH)

    def tube(self, points, widths, colour: Colour, *, edge: bool = True, n: int = 4):
        """Smooth band through `points`, `widths` across at each of them: limbs, necks, tails. Rounded ends."""
        self.shape(band(points, widths, n), colour, edge=edge)

    def oval(self, x, y, rx, ry, colour: Colour, *, turn=0.0, edge: bool = True):
        """Ellipse around (x, y) with half axes rx, ry, turned by `turn` degrees."""
        points = circle(max(8, min(28, int(4 * math.sqrt(max(rx, ry) * self.scale) + 4)))) * (rx, ry)
        if turn:
            cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            points = points @ np.array([[cos, sin], [-sin, cos]])
        self.shape(points + np.array([x, y]), colour, edge=edge)

    def disc(self, x, y, r, colour: Colour, *, edge: bool = False):
        self.oval(x, y, r, r, colour, edge=edge)

    def line(self, points, colour: Colour, width: float):
        """Open line, `width` own units."""
        pixels = np.asarray(points, float) @ self.matrix.T + self.origin
        if self.brush is None:
            self._widen(pixels, width * self.scale / 2)
            return
        self.brush.line(pixels.tolist(), self._colour(colour), max(0.5, width * self.scale))

    def _colour(self, colour):
        colour = self.tint(colour)
        return colour if self.alpha is None or len(colour) == 4 else (*colour, self.alpha)

    def _widen(self, pixels, by=0.0):
        low, high, box = pixels.min(0) - by, pixels.max(0) + by, self.box
        box[:2] = min(box[0], float(low[0])), min(box[1], float(low[1]))
        box[2:] = max(box[2], float(high[0])), max(box[3], float(high[1]))


@lru_cache(maxsize=64)
def circle(n: int) -> np.ndarray:
    """(n, 2) points of the unit circle."""
    angles = np.arange(n) * (2 * math.pi / n)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _weights(u: np.ndarray) -> np.ndarray:
    """(len(u), 4) Catmull-Rom weights of four neighbours at places u, 0-1, between the middle two."""
    u = u[:, None]
    return 0.5 * np.hstack([-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2])


def smooth(points, n: int = 4) -> np.ndarray:
    """Closed smooth curve through `points`, (len·n, 2): the outlines of bodies. Made once; never write into it."""
    return _smooth(tuple(map(tuple, points)), n)


@lru_cache(maxsize=256)
def _smooth(points, n: int) -> np.ndarray:
    p = np.asarray(points, float)
    near = np.stack([np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)])
    return np.einsum("nk,kpc->pnc", _weights(np.arange(n) / n), near).reshape(-1, 2)


@lru_cache(maxsize=64)
def _through(count: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices ((count - 1)·n + 1, count) from `count` points to a smooth open curve through them and its direction."""
    ends = np.vstack(
        [2 * np.eye(count)[:1] - np.eye(count)[1:2], np.eye(count), 2 * np.eye(count)[-1:] - np.eye(count)[-2:-1]]
    )
    weights = _weights(np.arange(n) / n)
    curve = np.vstack([*(weights @ ends[k : k + 4] for k in range(count - 1)), np.eye(count)[-1:]])
    return curve, np.gradient(curve, axis=0)


def band(points, widths, n: int = 4) -> np.ndarray:
    """Outline of a band: smooth through `points` with `widths` across, rounded at both ends. (M, 2)."""
    curve, slope = _through(len(points), n)
    points, half = np.asarray(points, float), (curve @ np.asarray(widths, float) / 2)[:, None]
    middle, along = curve @ points, slope @ points
    along *= half / np.maximum(np.sqrt((along**2).sum(1, keepdims=True)), 1e-9)
    side = along[:, ::-1] * (-1.0, 1.0)
    out = np.empty((2 * len(middle) + 6, 2))
    m = len(middle)
    out[:m], out[m + 3 : -3] = middle + side, (middle - side)[::-1]
    out[m : m + 3] = middle[-1] + (0.7 * (along[-1] + side[-1]), along[-1], 0.7 * (along[-1] - side[-1]))
    out[-3:] = middle[0] - (0.7 * (along[0] + side[0]), along[0], 0.7 * (along[0] - side[0]))
    return out
