"""Which frames did a model get? Read from its answers alone, the wrong ones above all.

A black box, such as a closed API, is asked about clips whose answer at every choice of frames is known (`stimuli`). Its
mistakes are those of one way of choosing frames: how many a second, from where on, at most how many, some lost or
repeated. `read` weighs every such way (`SAMPLERS`) by Bayes' rule. A model may be bad at one kind of question: of
each kind, how often it answers at random is unknown and summed over, so that such a kind says little, and never
something wrong. What the answers cannot tell apart is named together.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import logsumexp

from llamavid_kit.evaluation.stimuli import FPS, KINDS, Stimulus, draw

LAPSES = np.array(
    [0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0]
)  # shares of answers given at random, as likely each
DESIGN_LAPSE = 0.15  # that a set of clips is chosen for
CLIP_S = (4.0, 8.0, 12.0)  # lengths of the clips of a set
RATES = (0.5, 1, 2, 3, 4, 6, 8)
COUNTS = (4, 8, 16, 32)


@dataclass(frozen=True)
class Sampler:
    """A way of choosing frames.

    fps: frames a second; None: `most` frames, evenly over the clip.
    middle: each from the middle of its interval, not from the start.
    most: no more frames than that; None: any number.
    thinned: where there are too many, they are thinned evenly; else the first ones stay.
    lost: the frame that does not arrive: "none", "the first" or "the last".
    block: the last frame is repeated until the number of frames can be divided by that.
    """

    fps: float | None = None
    middle: bool = False
    most: int | None = None
    thinned: bool = True
    lost: str = "none"
    block: int = 1

    def __str__(self) -> str:
        words = [f"{self.most} frames a clip" if self.fps is None else f"{self.fps:g} frames a second"]
        words += ["from the middle of each interval"] * self.middle
        if self.fps is not None and self.most is not None:
            words.append(f"at most {self.most}, {'thinned evenly' if self.thinned else 'the first ones'}")
        words += [f"without {self.lost}"] * (self.lost != "none")
        words += [f"the last repeated up to a multiple of {self.block}"] * (self.block > 1)
        return ", ".join(words)

    def times_s(self, seconds: float) -> np.ndarray:
        """The frames of a clip of this length that arrive, in order: (T,) seconds, a repeated frame twice."""
        if self.fps is None:
            assert self.most is not None, "frames a second, or how many"
            apart, n = seconds / self.most, self.most
        else:
            apart, n = 1 / self.fps, max(1, int(np.ceil(seconds * self.fps - 1e-9)))
        at = (np.arange(n) + 0.5 * self.middle) * apart
        at = at[at < seconds]
        if self.most is not None and len(at) > self.most:
            at = at[np.linspace(0, len(at) - 1, self.most).round().astype(int)] if self.thinned else at[: self.most]
        if self.lost != "none" and len(at) > 1:
            at = at[1:] if self.lost == "the first" else at[:-1]
        at = np.concatenate([at, np.repeat(at[-1:], -len(at) % self.block)])
        return np.floor(at * FPS + 1e-6) / FPS


def _samplers() -> tuple[Sampler, ...]:
    limits = [(None, True), *product(COUNTS[1:], (True, False))]
    ways = [
        Sampler(fps=fps, middle=middle, most=most, thinned=thinned)
        for fps, middle, (most, thinned) in product(RATES, (False, True), limits)
    ]
    ways += [Sampler(most=most, middle=middle) for most, middle in product(COUNTS, (False, True))]
    faults = [("none", 1), ("the first", 1), ("the last", 1), ("none", 2), ("none", 8)]
    return tuple(replace(way, lost=lost, block=block) for way, (lost, block) in product(ways, faults))


SAMPLERS = _samplers()


def clip_set(n: int = 200, *, seed: int = 0, among: int | None = None) -> list[Stimulus]:
    """`n` stimuli of `among` (five times as many) drawn at random, kinds in turn, as a model may be blind for one: each
    time that of its kind after which the fewest pairs of samplers are still alike (by the sum of Bhattacharyya
    coefficients, which bounds how often the wrong one is taken)."""
    rng, among = np.random.default_rng([seed, 20]), among or 5 * n
    kinds = list(KINDS)
    drawn = [draw(kinds[i % len(kinds)], rng, CLIP_S[i // len(kinds) % len(CLIP_S)]) for i in range(among)]
    roots = [np.sqrt((1 - DESIGN_LAPSE) * table + DESIGN_LAPSE / table.shape[1]) for table in expected(drawn)]
    alike = np.ones((len(SAMPLERS), len(SAMPLERS)))

    def gain(k: int) -> float:
        return float(alike.sum() - (alike @ roots[k] * roots[k]).sum())

    chosen: list[int] = []
    bounds = [[(-np.inf, k) for k in range(i, among, len(kinds))] for i in range(len(kinds))]
    for i in range(min(n, among)):
        of_kind, best = bounds[i % len(kinds)], -1
        while of_kind[0][1] != best:  # a gain only falls: what it was bounds what it is
            best = of_kind[0][1]
            heapq.heapreplace(of_kind, (-gain(best), best))
        heapq.heappop(of_kind)
        chosen.append(best)
        alike *= roots[best] @ roots[best].T
    return [drawn[k] for k in chosen]


def expected(stimuli: Sequence[Stimulus], samplers: Sequence[Sampler] = SAMPLERS) -> list[np.ndarray]:
    """For each stimulus (samplers, choices): how likely each answer is where only that sampler's frames are seen."""
    choices_of = {seconds: _times(samplers, seconds) for seconds in {stimulus.seconds for stimulus in stimuli}}
    tables = []
    for stimulus in stimuli:
        times, which = choices_of[stimulus.seconds]
        tables.append(np.stack([stimulus.seen(at) for at in times])[which])
    return tables


def _times(samplers: Sequence[Sampler], seconds: float) -> tuple[list[np.ndarray], np.ndarray]:
    """The different choices of frames of a clip of this length, and which of them is each sampler's."""
    times = [sampler.times_s(seconds) for sampler in samplers]
    number: dict[bytes, int] = {}
    which = np.array([number.setdefault(at.tobytes(), len(number)) for at in times])
    return [np.frombuffer(key) for key in number], which


@dataclass(frozen=True)
class Reading:
    """What answers say about the frames behind them.

    samplers: the likeliest first, those that foretell the same for every clip in one group.
    chances: (groups,) of each group, all samplers being as likely before; they sum to 1.
    random: of each kind of question, how much of it was answered at random, by the likeliest group.
    """

    samplers: tuple[tuple[Sampler, ...], ...]
    chances: np.ndarray
    random: dict[str, float]


def read(stimuli: Sequence[Stimulus], answers: Sequence[str | None], samplers: Sequence[Sampler] = SAMPLERS) -> Reading:
    """The answers to `stimuli`, each one of the choices, or None where the reply is none of them: as if at random.

    Raises ValueError where there are not as many answers, or one is not among the choices.
    """
    if len(stimuli) != len(answers) or not stimuli:
        raise ValueError(f"{len(answers)} answers to {len(stimuli)} stimuli: give one for each, None where it is none")
    for stimulus, answer in zip(stimuli, answers, strict=True):
        if answer is not None and answer not in stimulus.choices:
            raise ValueError(f"{answer!r} to {stimulus.question!r}: expected one of {', '.join(stimulus.choices)}")
    foretold = expected(stimuli, samplers)
    total, by_kind = np.zeros(len(samplers)), {}
    for kind in dict.fromkeys(stimulus.kind for stimulus in stimuli):
        of_kind = [i for i, s in enumerate(stimuli) if s.kind == kind and answers[i] is not None]
        if not of_kind:
            continue
        choices = KINDS[kind].choices
        said = np.array([choices.index(answers[i]) for i in of_kind])  # type: ignore[arg-type]
        habit = (np.bincount(said, minlength=len(choices)) + 1) / (len(said) + len(choices))
        sees = np.stack([foretold[i][:, k] for i, k in zip(of_kind, said, strict=True)], 1)  # (samplers, clips)
        mixed = (1 - LAPSES)[:, None, None] * sees + LAPSES[:, None, None] * habit[said]
        by_kind[kind] = np.log(mixed).sum(2)  # (lapses, samplers)
        total += logsumexp(by_kind[kind], 0) - np.log(len(LAPSES))
    groups: dict[bytes, list[int]] = {}
    for i in range(len(samplers)):
        groups.setdefault(b"".join(table[i].tobytes() for table in foretold), []).append(i)
    of_group = np.array([total[members[0]] + np.log(len(members)) for members in groups.values()])
    chances = np.exp(of_group - logsumexp(of_group))
    order, members = np.argsort(-chances, kind="stable"), list(groups.values())
    best = members[order[0]][0]
    random = {
        kind: float(np.exp(table[:, best] - logsumexp(table[:, best])) @ LAPSES) for kind, table in by_kind.items()
    }
    return Reading(tuple(tuple(samplers[i] for i in members[k]) for k in order), chances[order], random)


def black_box(stimuli: Sequence[Stimulus], sampler: Sampler, *, lapse: float, rng: np.random.Generator) -> list[str]:
    """Answers of an observer who sees that sampler's frames, and says anything in a share `lapse` of the cases."""
    tables = expected(stimuli, [sampler])
    chances = [(1 - lapse) * table[0] + lapse / len(table[0]) for table in tables]
    return [s.choices[int(rng.choice(len(p), p=p))] for s, p in zip(stimuli, chances, strict=True)]
