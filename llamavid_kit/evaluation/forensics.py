"""Which frames did a model get? Read from its answers alone, the wrong ones above all.

A black box, such as a closed API, is asked about clips whose answer at every choice of frames is known (`stimuli`). Its
mistakes are those of one way of choosing frames: how many a second, from where on, at most how many, some lost or
repeated. `Foretold.read` weighs every such way (`SAMPLERS`) by Bayes' rule. A model may be bad at one kind of question:
of each kind, how often it answers at random is unknown and summed over, so that such a kind says little, and never
something wrong. What the answers cannot tell apart is named together.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import logsumexp, softmax

from llamavid_kit.evaluation.stimuli import FPS, Stimulus, draw

LAPSES = np.array([0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0])  # shares of answers at random, each as likely
ASKED = ("lights", "how often", "how long", "first", "which way")  # kinds of a set: which mistake tells which frames
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
        fps = f"{self.fps:g} frames a second" if self.fps != 1 else "1 frame a second"
        words = [f"{self.most} frames a clip" if self.fps is None else fps]
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
    """All RATES and COUNTS with limits and faults; and every quarter of a frame a second up to 10, without."""
    limits = [(None, True), *product(COUNTS[1:], (True, False))]
    ways = [
        Sampler(fps=fps, middle=middle, most=most, thinned=thinned)
        for fps, middle, (most, thinned) in product(RATES, (False, True), limits)
    ]
    ways += [Sampler(most=most, middle=middle) for most, middle in product(COUNTS, (False, True))]
    faults = [("none", 1), ("the first", 1), ("the last", 1), ("none", 2), ("none", 8)]
    between = [Sampler(fps=k / 4, middle=m) for k in range(1, 41) if k / 4 not in RATES for m in (False, True)]
    return *(replace(way, lost=lost, block=block) for way, (lost, block) in product(ways, faults)), *between


SAMPLERS = _samplers()


def clip_set(n: int = 200, *, seed: int = 0, among: int | None = None) -> list[Stimulus]:
    """`n` stimuli of `among` (five times as many) drawn at random, kinds in turn, as a model may be blind for one: each
    time that of its kind after which the fewest pairs of samplers are still alike (by the sum of Bhattacharyya
    coefficients, which bounds how often the wrong one is taken)."""
    rng, among = np.random.default_rng([seed, 20]), among or 5 * n
    drawn = [draw(ASKED[i % len(ASKED)], rng, CLIP_S[i // len(ASKED) % len(CLIP_S)]) for i in range(among)]
    roots = [np.sqrt((1 - DESIGN_LAPSE) * table + DESIGN_LAPSE / table.shape[1]) for table in expected(drawn)]
    alike = np.ones((len(SAMPLERS), len(SAMPLERS)))

    def gain(k: int) -> float:
        return float(alike.sum() - (alike @ roots[k] * roots[k]).sum())

    chosen: list[int] = []
    bounds = [[(-np.inf, k) for k in range(i, among, len(ASKED))] for i in range(len(ASKED))]
    for i in range(min(n, among)):
        of_kind, best = bounds[i % len(ASKED)], -1
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
    at_random: of each kind of question, how much of it was answered at random, by the likeliest group.
    """

    samplers: tuple[tuple[Sampler, ...], ...]
    chances: np.ndarray
    at_random: dict[str, float]


class Foretold:
    """What each of many samplers would make a model answer about a set of clips."""

    def __init__(self, stimuli: Sequence[Stimulus], samplers: Sequence[Sampler] = SAMPLERS):
        self.stimuli, self.samplers, self.tables = list(stimuli), tuple(samplers), expected(stimuli, samplers)

    def read(self, answers: Sequence[str | None]) -> Reading:
        """An answer to each clip, one of its choices; None where there is none, which tells nothing.

        Raises ValueError where there are not as many answers, or one is not among the choices.
        """
        if len(self.stimuli) != len(answers):
            raise ValueError(f"{len(answers)} answers to {len(self.stimuli)} clips: give one for each, or None")
        said: dict[str, list[tuple[np.ndarray, int]]] = {}  # kind → (samplers, choices) and the choice, of each clip
        for stimulus, answer, table in zip(self.stimuli, answers, self.tables, strict=True):
            if answer is None:
                continue
            if answer not in stimulus.choices:
                raise ValueError(f"{answer!r} to {stimulus.question!r}: expected one of {', '.join(stimulus.choices)}")
            said.setdefault(stimulus.kind, []).append((table, stimulus.choices.index(answer)))
        of_lapse = {kind: _log_likelihood(of_kind) for kind, of_kind in said.items()}  # (lapses, samplers) each
        total = sum((logsumexp(table, 0) for table in of_lapse.values()), np.zeros(len(self.samplers)))
        told = [table for of_kind in said.values() for table, _ in of_kind]
        groups: dict[bytes, list[int]] = {}
        for i in range(len(self.samplers)):
            groups.setdefault(b"".join(table[i].tobytes() for table in told), []).append(i)
        members = list(groups.values())
        of_group = np.array([total[alike[0]] + np.log(len(alike)) for alike in members])
        chances = np.exp(of_group - logsumexp(of_group))
        order = np.argsort(-chances, kind="stable")
        best = members[order[0]][0]
        at_random = {kind: float(softmax(table[:, best]) @ LAPSES) for kind, table in of_lapse.items()}
        ranked = tuple(tuple(self.samplers[i] for i in members[k]) for k in order)
        return Reading(ranked, chances[order], at_random)


def _log_likelihood(answers: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """Of answers to one kind of question, each with its clip's table: (lapses, samplers). An answer at random is as
    likely as the model gives it at all, so that who always says no has not therefore seen nothing."""
    said = np.array([choice for _, choice in answers])
    n_choices = answers[0][0].shape[1]
    habit = (np.bincount(said, minlength=n_choices) + 1) / (len(said) + n_choices)
    sees = np.stack([table[:, choice] for table, choice in answers], 1)  # (samplers, clips)
    return np.log((1 - LAPSES)[:, None, None] * sees + LAPSES[:, None, None] * habit[said]).sum(2)


def black_box(stimuli: Sequence[Stimulus], sampler: Sampler, *, lapse: float, rng: np.random.Generator) -> list[str]:
    """Answers of an observer who sees that sampler's frames, and says anything in a share `lapse` of the cases."""
    tables = expected(stimuli, [sampler])
    chances = [(1 - lapse) * table[0] + lapse / len(table[0]) for table in tables]
    return [s.choices[int(rng.choice(len(p), p=p))] for s, p in zip(stimuli, chances, strict=True)]
