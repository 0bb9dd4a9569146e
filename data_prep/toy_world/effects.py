"""Things an event adds that are no figures: flames, smoke, bursts, impacts, flashes, thrown and flying objects. Each
function returns an `Effect` (name, depth, box, paint). Moving parts follow `t`, seconds since the event began; `roll`
(uniform numbers of the event's own stream) varies them from clip to clip."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from data_prep.toy_world.brush import Box, Brush
from data_prep.toy_world.palette import mix


@dataclass(frozen=True)
class Effect:
    """`depth`: the ground line it is sorted by among the figures (0: behind all, 300: in front of all)."""

    name: str
    depth: float
    box: Box
    paint: Callable[[Brush], None]


def flames(x: float, base: float, width: float, height: float, t: float, *, depth: float, name="fire") -> Effect:
    def paint(brush: Brush):
        brush.glow(x, base - height * 0.4, height * 1.15, (255, 150, 50), 0.75)
        for k in range(7):
            place = x + (k - 3) / 3 * width * 0.42
            tall = height * (1 - 0.1 * abs(k - 3)) * (0.82 + 0.18 * math.sin(13 * t + 2.1 * k))
            sway = 4 * math.sin(9 * t + k)
            for share, colour in ((1.0, (226, 62, 24)), (0.72, (250, 146, 30)), (0.42, (255, 228, 96))):
                half = width * 0.17 * (0.5 + 0.5 * share)
                brush.poly(
                    [
                        (place - half, base),
                        (place - half * 0.9, base - tall * share * 0.4),
                        (place + sway * share, base - tall * share),
                        (place + half * 0.9, base - tall * share * 0.4),
                        (place + half, base),
                    ],
                    colour,
                )

    return Effect(name, depth, (x - width * 0.6, base - height, x + width * 0.6, base), paint)


def smoke(x: float, base: float, height: float, t: float, *, depth: float, shade=(38, 36, 38), spread=1.0) -> Effect:
    def paint(brush: Brush):
        for k in range(9):
            rise = (k / 9 + 0.4 * t) % 1.0
            y, r = base - height * rise, (7 + 15 * rise) * spread
            brush.disc(x + spread * 9 * math.sin(5 * rise + k + t), y, r, (*shade, int(205 * (1 - 0.75 * rise))))

    return Effect("smoke", depth, (x - 22 * spread, base - height, x + 22 * spread, base), paint)


def fireball(x: float, y: float, radius: float, t: float, roll) -> Effect:
    def paint(brush: Brush):
        brush.glow(x, y, radius * 1.9, (255, 190, 90), 0.9)
        for k in range(9):
            angle = k * 0.7 + roll[0] * 6
            middle = (x + math.cos(angle) * radius * 0.72, y + math.sin(angle) * radius * 0.6 - radius * 0.15)
            brush.disc(*middle, radius * 0.42, (52, 44, 42, 190))
        colours = {1.15: (232, 84, 24), 0.9: (252, 158, 32), 0.62: (255, 226, 92), 0.34: (255, 252, 230)}
        for share, colour in colours.items():
            brush.star(x, y, radius * share, colour, spikes=11, inner=0.72, turn=roll[1] * 6 + 1.5 * t + share)
        for k in range(12):
            angle, far = k * 0.5236 + roll[2], radius * (1.0 + 0.25 * ((k * 7) % 4) + 0.5 * min(t, 1.0))
            dx, dy = math.cos(angle) * far, math.sin(angle) * far * 0.8
            brush.rect(x + dx - 2.5, y + dy - 2.5, x + dx + 2.5, y + dy + 2.5, (44, 38, 36))

    return Effect("fireball", 290, (x - radius * 1.2, y - radius * 1.2, x + radius * 1.2, y + radius * 1.2), paint)


def impact(x: float, y: float, radius: float, t: float, *, colour=(255, 236, 90), edge=(226, 60, 30)) -> Effect:
    def paint(brush: Brush):
        r = radius * (0.88 + 0.12 * math.sin(20 * t))
        brush.star(x, y, r, edge, spikes=8, inner=0.5, turn=2.4 * t)
        brush.star(x, y, r * 0.66, colour, spikes=8, inner=0.5, turn=2.4 * t)

    return Effect("impact", 240, (x - radius, y - radius, x + radius, y + radius), paint)


def dust(x: float, y: float, width: float, t: float) -> Effect:
    def paint(brush: Brush):
        for k in range(10):
            place = x + (k - 4.5) / 4.5 * width
            r = 8 + 3 * math.sin(7 * t + 1.7 * k)
            brush.disc(place, y - 3 - 3 * math.sin(5 * t + k), r, (206, 186, 150, 190))

    return Effect("dust", y + 2, (x - width - 8, y - 12, x + width + 8, y + 6), paint)


def beam(start, end, colour, width: float, *, name: str, depth=235.0) -> Effect:
    box = (min(start[0], end[0]), min(start[1], end[1]), max(start[0], end[0]), max(start[1], end[1]))
    return Effect(name, depth, box, lambda brush: brush.line([start, end], colour, width))


def light(x: float, y: float, radius: float, colour, strength=1.0, *, core=4.0, name="light", depth=250.0) -> Effect:
    def paint(brush: Brush):
        brush.glow(x, y, radius, colour, strength)
        brush.disc(x, y, core, mix(colour, (255, 255, 255), 0.6))

    return Effect(name, depth, (x - radius * 0.6, y - radius * 0.6, x + radius * 0.6, y + radius * 0.6), paint)


def shards(x: float, y: float, spread: float, t: float, roll, *, depth=250.0, count=14, name="shards") -> Effect:
    def paint(brush: Brush):
        for k in range(count):
            angle = 2 * math.pi * (k / count + roll[3])
            far = spread * (0.45 + 0.55 * ((k * 5) % 7) / 7) * (0.8 + 0.2 * min(1.0, t))
            px, py = x + math.cos(angle) * far, y + math.sin(angle) * far * 0.7
            brush.poly([(px - 2.6, py + 1.5), (px + 2.8, py + 0.5), (px, py - 3.4)], (228, 244, 250))

    return Effect(name, depth, (x - spread, y - spread * 0.7, x + spread, y + spread * 0.7), paint)


def sprite(name: str, box: Box, paint: Callable[[Brush], None], depth=230.0) -> Effect:
    """Any other object: umbrella, box, kite, bird."""
    return Effect(name, depth, box, paint)
