"""Draws the stimuli of `llamavid_kit.evaluation.stimuli`: lamps that are dark or shine, a wheel with one red spoke,
and dots in one of two places. Nothing else moves, and nothing is left to chance."""

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from data_prep.toy_world.brush import SCALE, SIZE, Brush
from llamavid_kit.evaluation.stimuli import FPS, Stimulus, lit

WALL, METAL, RIM, SPOKE = (206, 204, 196), (70, 72, 78), (40, 42, 48), (208, 40, 36)
SHINES = {"red": (255, 58, 44), "blue": (56, 96, 255)}
MIDDLE = SIZE / 2
N_DOTS = 24  # on each side


def frames(stimulus: Stimulus) -> Iterator[np.ndarray]:
    """All frames in order, each (SIZE, SIZE, 3) uint8 RGB."""
    times_s = np.arange(round(stimulus.seconds * FPS)) / FPS
    if stimulus.kind == "which way":
        turns = stimulus.angle + stimulus.turns_per_s * times_s
        yield from (_wheel(turn) for turn in turns)
        return
    if stimulus.kind == "twinkle":
        sides = np.stack([lit(on, times_s) for on in (stimulus.red, stimulus.blue)], 1)
        dots = {state: _dots(state) for state in {*map(tuple, sides.tolist())}}
        yield from (dots[tuple(state)] for state in sides.tolist())
        return
    lamps = {"red": stimulus.red} | ({"blue": stimulus.blue} if stimulus.blue else {})
    shine = np.stack([lit(on, times_s) for on in lamps.values()], 1)
    drawn = {state: _lamps(dict(zip(lamps, state, strict=True))) for state in {*map(tuple, shine.tolist())}}
    yield from (drawn[tuple(state)] for state in shine.tolist())


def _canvas() -> Brush:
    return Brush(Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), WALL), mirrored=False)


def _pixels(brush: Brush) -> np.ndarray:
    return np.asarray(brush.canvas.resize((SIZE, SIZE), Image.Resampling.BOX))


def _lamps(shines: dict[str, bool]) -> np.ndarray:
    brush = _canvas()
    for k, (colour, on) in enumerate(shines.items()):
        x = SIZE * (k + 1) / (len(shines) + 1)
        brush.rect(x - 6, MIDDLE, x + 6, SIZE, METAL)
        brush.disc(x, MIDDLE, 34, METAL)
        brush.disc(x, MIDDLE, 29, SHINES[colour] if on else RIM)
    return _pixels(brush)


def _dots(others: tuple[bool, bool]) -> np.ndarray:
    """others: whether the dots on the left, and those on the right, stand in their other places."""
    brush = _canvas()
    for side, other in enumerate(others):
        rng = np.random.default_rng([side, int(other)])
        for x, y in rng.uniform((8, 8), (MIDDLE - 8, SIZE - 8), (N_DOTS, 2)):
            brush.disc(side * MIDDLE + x, y, 6, RIM)
    return _pixels(brush)


def _wheel(turns: float) -> np.ndarray:
    """turns: clockwise from where the spoke points up."""
    brush, angle = _canvas(), 2 * math.pi * turns
    brush.disc(MIDDLE, MIDDLE, 84, RIM)
    brush.disc(MIDDLE, MIDDLE, 74, WALL)
    tip = (MIDDLE + 74 * math.sin(angle), MIDDLE - 74 * math.cos(angle))
    brush.line([(MIDDLE, MIDDLE), tip], SPOKE, 12)
    brush.disc(MIDDLE, MIDDLE, 10, RIM)
    return _pixels(brush)
