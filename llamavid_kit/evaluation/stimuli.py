"""Clips whose answer is known for every choice of frames: a lamp that flashes, two lamps, a wheel, dots that change.

Each stimulus says what an observer with perfect eyes answers who sees nothing but the frames at some times. With enough
frames that is the truth. With too few it is a mistake that can be foretold: the wheel turns backwards, flashes are
missed or run together. `forensics` reads from such mistakes which frames a model got. `data_prep.toy_world.stimuli`
draws the clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

FPS = 30  # of the clips: all times lie on this grid
MOST_FLASHES = 6
MORE_THAN = 1 / 3  # of the time
HALF_TURN = 0.02  # so near to half a turn between two frames nobody can say which way

Interval = tuple[float, float]


@dataclass(frozen=True)
class Stimulus:
    """One clip. What does not belong to its `kind` stays empty.

    kind: what is asked, a key of KINDS.
    seconds: how long the clip is.
    red, blue: when these lamps are on, [start, end) in seconds; a single lamp is red. Of dots, when those on the left,
        and those on the right, stand in their other places.
    turns_per_s, angle: of the wheel, turns clockwise a second, and where it starts, in turns.
    """

    kind: str
    seconds: float
    red: tuple[Interval, ...] = ()
    blue: tuple[Interval, ...] = ()
    turns_per_s: float = 0.0
    angle: float = 0.0

    @property
    def question(self) -> str:
        """With the choices, as a model is asked."""
        *others, last = self.choices
        return f"{KINDS[self.kind].question} Answer only {', '.join(others)} or {last}."

    @property
    def choices(self) -> tuple[str, ...]:
        return KINDS[self.kind].choices

    @property
    def answer(self) -> str:
        """The truth: what all frames show."""
        return self.choices[int(self.seen(np.arange(round(self.seconds * FPS)) / FPS).argmax())]

    def seen(self, times_s: np.ndarray) -> np.ndarray:
        """(T,) seconds, in the order in which the frames arrive → (choices,): how likely each answer is for an observer
        who makes no mistakes; several where the frames do not tell."""
        times_s = np.asarray(times_s, float)
        return KINDS[self.kind].answer(self, times_s) if len(times_s) else undecided(len(self.choices))

    def dense(self, times_s: np.ndarray) -> bool:
        """Whether frames at these times (T,), in order, are so many that none of their answers can be wrong.

        Each flash, each pause between two, and each state of dots has a frame; one shows only the first of two lamps;
        the wheel turns less than half a turn from one to the next; and the share of the time is further from
        MORE_THAN than the share of two frames. For clips as `draw` makes them.
        """
        times_s = np.asarray(times_s, float)

        def all_shown(ends: Sequence[float]) -> bool:
            return all(np.any((start <= times_s) & (times_s < end)) for start, end in pairwise(ends))

        ends = [end for flash in self.red + self.blue for end in flash]
        if self.kind == "which way":
            return bool(np.all(np.abs(self.turns_per_s) * np.diff(times_s) < 0.5 - HALF_TURN)) and len(times_s) > 1
        if self.kind == "first":
            first, second = sorted((self.red[0], self.blue[0]))
            return all_shown((first[0], min(first[1], second[0])))
        if self.kind == "how long":
            share = sum(end - start for start, end in self.red) / self.seconds
            return abs(share - MORE_THAN) * len(times_s) > 2
        if self.kind == "twinkle":
            changes = sorted({*ends} - {0.0, self.seconds})
            return all_shown([0.0, *changes, self.seconds])
        return all_shown(ends)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Stimulus":
        """What `as_dict` wrote, also after JSON. Raises ValueError for what is no stimulus."""
        try:
            red, blue = (tuple((float(a), float(b)) for a, b in fields[name]) for name in ("red", "blue"))
            seconds, turns_per_s, angle = (float(fields[name]) for name in ("seconds", "turns_per_s", "angle"))
            made = cls(fields["kind"], seconds, red, blue, turns_per_s, angle)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{str(fields)[:200]}: not a stimulus as `forensics` writes it ({error})") from None
        if made.kind not in KINDS or not 0 < made.seconds <= 3600:
            raise ValueError(f"kind={made.kind!r}, seconds={made.seconds:g}: expected one of {', '.join(KINDS)}")
        return made


def lit(on: tuple[Interval, ...], times_s: np.ndarray) -> np.ndarray:
    """(T,) bool: whether a lamp that is on in these intervals shines at each time."""
    begin, end = np.array(on, float).reshape(-1, 2).T
    return np.any((begin <= times_s[:, None]) & (times_s[:, None] < end), axis=1)


def undecided(n: int) -> np.ndarray:
    """(n,): each answer as likely."""
    return np.full(n, 1 / n)


def sure(k: int, n: int) -> np.ndarray:
    """(n,): answer k, and no other."""
    return np.eye(n)[k]


def _lights(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    return sure(0 if lit(stimulus.red, times_s).any() else 1, 2)


def _how_often(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    """Flashes with no dark frame between them run together."""
    on = lit(stimulus.red, times_s)
    begun = int(on[0]) + int((on[1:] & ~on[:-1]).sum())
    return sure(min(begun, MOST_FLASHES), MOST_FLASHES + 1)


def _how_long(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    share = lit(stimulus.red, times_s).mean()
    return undecided(2) if np.isclose(share, MORE_THAN) else sure(0 if share > MORE_THAN else 1, 2)


def _first(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    """A lamp that is never seen comes after one that is."""
    red, blue = (
        int(on.argmax()) if on.any() else len(on) for on in (lit(x, times_s) for x in (stimulus.red, stimulus.blue))
    )
    return undecided(2) if red == blue else sure(0 if red < blue else 1, 2)


def _which_way(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    """From frame to frame the shorter way round."""
    turns = np.diff(stimulus.angle + stimulus.turns_per_s * times_s)
    steps = turns - np.round(turns)
    steps = np.where(np.abs(steps) > 0.5 - HALF_TURN, 0, steps)
    way = steps.sum()
    return undecided(2) if np.abs(way) < 1e-9 else sure(0 if way > 0 else 1, 2)


def _twinkle(stimulus: Stimulus, times_s: np.ndarray) -> np.ndarray:
    """On the side where not all frames are alike."""
    left, right = (len({*lit(on, times_s).tolist()}) > 1 for on in (stimulus.red, stimulus.blue))
    return undecided(2) if left == right else sure(0 if left else 1, 2)


@dataclass(frozen=True)
class Kind:
    question: str
    choices: tuple[str, ...]
    answer: Callable[[Stimulus, np.ndarray], np.ndarray]


YES_NO = ("yes", "no")
KINDS = {
    "lights": Kind("Does the lamp light up?", YES_NO, _lights),
    "how often": Kind("How often does the lamp light up?", tuple(map(str, range(MOST_FLASHES + 1))), _how_often),
    "how long": Kind("Is the lamp on for more than a third of the time?", YES_NO, _how_long),
    "first": Kind("Which of the two lamps lights up first?", ("red", "blue"), _first),
    "which way": Kind("Does the wheel turn clockwise?", YES_NO, _which_way),
    "twinkle": Kind("On which side do the dots twinkle?", ("left", "right"), _twinkle),
}


def draw(kind: str, rng: np.random.Generator, seconds: float) -> Stimulus:
    """A stimulus of this kind, at random: flashes of a thirtieth of a second to a third of the clip, wheels of up to
    ten turns a second, dots that change every thirtieth of a second to every half of the clip."""

    def flash(longest_s: float) -> Interval:
        length = round(float(np.exp(rng.uniform(np.log(1 / FPS), np.log(longest_s)))) * FPS)
        start = int(rng.integers(0, round(seconds * FPS) - max(1, length) + 1))
        return start / FPS, (start + max(1, length)) / FPS

    if kind == "lights":
        return Stimulus(kind, seconds, red=(flash(seconds / 3),) if rng.random() < 0.9 else ())
    if kind == "how often":
        n = int(rng.integers(1, MOST_FLASHES + 1))
        period = seconds / (n + rng.uniform(0.2, 3.0))
        begin, length = rng.uniform(0, seconds - n * period), rng.uniform(0.1, 0.7)
        starts = begin + period * np.arange(n)
        on = [(round(start * FPS) / FPS, round((start + length * period) * FPS) / FPS) for start in starts]
        return Stimulus(kind, seconds, red=tuple((a, max(b, a + 1 / FPS)) for a, b in on))
    if kind == "how long":
        length = round(seconds * FPS * rng.uniform(0.2, 0.47))
        length += 3 * length == round(seconds * FPS)  # never just a third
        spare = round(seconds * FPS) - length
        begins = (0, spare, int(rng.integers(spare + 1)))[rng.integers(3)]
        return Stimulus(kind, seconds, red=((begins / FPS, (begins + length) / FPS),))
    if kind == "first":
        gap = float(np.exp(rng.uniform(np.log(1 / FPS), np.log(2))))
        lights_s = rng.uniform(0, seconds - gap - 0.1)
        first, second = (((round(t * FPS) / FPS, seconds),) for t in (lights_s, lights_s + max(gap, 1.01 / FPS)))
        red, blue = (first, second) if rng.random() < 0.5 else (second, first)
        return Stimulus(kind, seconds, red=red, blue=blue)
    if kind == "which way":
        speed = float(np.exp(rng.uniform(np.log(0.1), np.log(10)))) * (1 if rng.random() < 0.5 else -1)
        return Stimulus(kind, seconds, turns_per_s=round(speed, 3), angle=round(float(rng.random()), 3))
    if kind == "twinkle":
        apart = round(float(np.exp(rng.uniform(0, np.log(seconds * FPS / 2)))))
        ons = range(-int(rng.integers(2 * apart)), round(seconds * FPS), 2 * apart)
        flashes = tuple(
            (max(0, start) / FPS, min((start + apart) / FPS, seconds)) for start in ons if start + apart > 0
        )
        still: tuple[Interval, ...] = ((0.0, seconds),) if rng.random() < 0.5 else ()
        sides = (flashes, still) if rng.random() < 0.5 else (still, flashes)
        return Stimulus(kind, seconds, *sides)
    raise ValueError(f"kind={kind!r}: expected one of {', '.join(KINDS)}")
