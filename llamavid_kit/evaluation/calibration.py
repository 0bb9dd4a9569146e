"""What the likelihoods of closed choices are worth: two ways to pick, calibration, and whether the order decides.

Takes log-likelihoods by clip and choice, the options in the order of the question, chosen and true labels; gives
numbers with intervals. It knows nothing of models or files: a run's tables and figures of these are made in
`experiments.report`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from llamavid_kit.evaluation.resampling import resamples
from llamavid_kit.evaluation.statistics import RESAMPLES, paired_interval, wilson

CHOICE_RULES: dict[str, str] = {
    "raw": "the choice that is likeliest as the whole answer; its likelihood is a product over its tokens, so a choice "
    "of many tokens tends to be unlikelier than a short one",
    "per token": "the choice with the highest mean log-likelihood a token, its end included: the sum divided by the "
    "number of tokens, so that length alone does not decide",
}
"""How likelihoods become a label, by name. "raw" decides an arm's label; the other is reported beside it."""
N_BINS = 10  # of a calibration error


def choice_scores(log_likelihood: np.ndarray, n_tokens: np.ndarray | None, *, rule: str) -> np.ndarray:
    """(n, K) natural logs of each choice's probability → (n, K) what `rule` of CHOICE_RULES compares.

    n_tokens: (n, K) tokens of each choice, for "per token". Raises ValueError for an unknown rule, for values that are
    no logs of probabilities, and where the rule needs lengths that are missing or below 1.
    """
    values = np.asarray(log_likelihood, float)
    if rule not in CHOICE_RULES:
        raise ValueError(f"rule={rule!r} is not known; choose one of {', '.join(CHOICE_RULES)}")
    if values.ndim != 2 or not np.isfinite(values).all() or (values > 0).any():
        raise ValueError(f"log_likelihood {values.shape}: expected (clips, choices), finite and at most 0")
    if rule == "raw":
        return values
    if n_tokens is None or np.shape(n_tokens) != values.shape or np.min(n_tokens) < 1:
        raise ValueError(f'rule="per token" needs how many tokens each choice has: (clips, choices) {values.shape}')
    return values / np.asarray(n_tokens)


def choose(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) scores → (n,) the best choice (the first among equals), (n,) its probability among the K choices.

    The probability is the softmax of the scores: for "raw" the model's own probability made to sum to 1 over the closed
    choices; for "per token" no probability of anything, but what is commonly reported as confidence.
    """
    return scores.argmax(1), softmax(scores, axis=1).max(1)


Bin = tuple[float, float, int, float, float]
"""From, to, n answers, their mean confidence, share right."""


@dataclass(frozen=True)
class Calibrated:
    """Expected calibration error of n answers, with `bins` as `calibration` gives them.

    interval95: basic bootstrap interval over clips (see `calibration_error`)
    if_calibrated: 95% of perfectly calibrated models with the same confidences show at most this error by luck
    confidence: mean probability; accuracy: share right; confidence above accuracy is overconfidence
    """

    n: int
    error: float
    interval95: tuple[float, float]
    if_calibrated: float
    confidence: float
    accuracy: float
    bins: tuple[Bin, ...]


def calibration(confidence: ArrayLike, right: ArrayLike) -> tuple[float, list[Bin]]:
    """Probabilities that a model gave to its answers, and whether they were right → (expected calibration error, bins).

    confidence: (n,) 0 to 1; right: (n,). Ten bins of equal width, those without answers left out; the error is the mean
    of |share right - confidence| over answers (Guo et al. 2017, equation 3). Raises ValueError for no answers, unequal
    lengths, and probabilities outside 0 to 1.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    if confidence.shape != right.shape or not confidence.size or confidence.min() < 0 or confidence.max() > 1:
        raise ValueError(
            f"{confidence.size} probabilities and {right.size} outcomes: expected as many, at least one, 0 to 1"
        )
    of_answer, bins = _bin_of(confidence), []
    for k in np.unique(of_answer):
        at = of_answer == k
        bins.append(
            (k / N_BINS, (k + 1) / N_BINS, int(at.sum()), float(confidence[at].mean()), float(right[at].mean()))
        )
    return float(sum(n * abs(share - mean) for _, _, n, mean, share in bins) / len(right)), bins


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, seed: int = 0) -> Calibrated:
    """How far the probabilities that a model gave its choices lie from how often it was right.

    confidence: (n,) 0 to 1; right: (n,). The error of few clips is too large (a calibrated model is off in every bin by
    luck), that of resampled clips larger still, and a percentile interval may lie wholly above the truth. The basic
    interval (2·error - quantile) takes that bias away; its lower end is 0 where the error is at most `if_calibrated`.
    Simulated with 300 clips, it held a true error of 0, 5 and 15 points in 94, 94 and 90% of 200 worlds each, the
    percentile interval in 0, 32 and 94%.
    Raises ValueError as `calibration`.
    """
    error, bins = calibration(confidence, right)
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    n, in_bin = len(right), np.eye(N_BINS)[_bin_of(confidence)]  # (n, bins)
    gaps, rng = in_bin * (right - confidence)[:, None], np.random.default_rng(seed)
    resampled, calm = [], []
    for clips in resamples(np.ones(n, int), rng):
        resampled.append(np.abs(clips @ gaps).sum(1) / n)
        calm.append(np.abs(((rng.random(clips.shape) < confidence) - confidence) @ in_bin).sum(1) / n)
    low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
    by_luck = float(np.quantile(np.concatenate(calm), 0.95))
    least = 0.0 if error <= by_luck else max(0.0, 2 * error - float(high))
    interval = (0.0, 1.0) if n < 2 else (least, min(1.0, max(error, 2 * error - float(low))))
    return Calibrated(n, error, interval, by_luck, float(confidence.mean()), float(right.mean()), tuple(bins))


@dataclass(frozen=True)
class Extra:
    """How much more often one place is chosen than it is true, over the same clips, as a share; with its interval."""

    chosen: int
    true: int
    difference: float
    interval95: tuple[float, float]


@dataclass(frozen=True)
class PositionBias:
    """Where the chosen options stood among K. chosen, true: clips by place; first, last: see `Extra`.

    n: clips with a choice; p: how often n choices that fall on each place with equal chance lie as unevenly
    """

    n: int
    chosen: tuple[int, ...]
    true: tuple[int, ...]
    first: Extra
    last: Extra
    p: float


def position_bias(
    orders: Sequence[Sequence[str]], chosen: Sequence[str | None], truths: Sequence[str], *, seed: int = 0
) -> PositionBias:
    """Whether the place of an option in the question draws answers.

    orders: the options as each clip was asked; chosen: a label a clip, None for a reply without one, which has no place
    and is left out. The test is Pearson's chi-square with its distribution drawn (9,999 times), exact for few clips.
    Options that were shuffled clip by clip are chosen evenly by a model that does not mind the order; options in one
    order for all clips are not, because there place and label are the same thing: read the test only for shuffled ones.
    Raises ValueError for unequal lengths, no choice at all, different numbers of options, and a label not among them.
    """
    rows = [(list(o), c, t) for o, c, t in zip(orders, chosen, truths, strict=True) if c is not None]
    sizes = {len(order) for order, _, _ in rows}
    if len(sizes) != 1:
        raise ValueError(f"{len(rows)} clips with a choice, of {sorted(sizes)} options: expected some, all of as many")
    if wrong := [x for order, *labels in rows for x in labels if x not in order]:
        raise ValueError(f"{wrong[0]!r} is not among the options it was asked with")
    at, true = (np.array([order.index(row[k]) for order, *row in rows]) for k in (0, 1))
    n, k = len(rows), sizes.pop()
    counts = np.bincount(at, minlength=k)
    even = n / k

    def uneven(table: np.ndarray) -> np.ndarray:
        return ((table - even) ** 2).sum(-1) / even

    by_chance = uneven(np.random.default_rng(seed).multinomial(n, np.full(k, 1 / k), RESAMPLES))
    p = (1 + int((by_chance >= uneven(counts) - 1e-9).sum())) / (1 + RESAMPLES)
    of_true = np.bincount(true, minlength=k)
    first, last = (_extra(at == place, true == place) for place in (0, k - 1))
    return PositionBias(n, tuple(map(int, counts)), tuple(map(int, of_true)), first, last, p)


def _extra(chosen: np.ndarray, true: np.ndarray) -> Extra:
    only_true, only_chosen, n = int((true & ~chosen).sum()), int((chosen & ~true).sum()), len(true)
    interval = paired_interval(only_true, only_chosen, n)
    return Extra(int(chosen.sum()), int(true.sum()), (only_chosen - only_true) / n, interval)


@dataclass(frozen=True)
class OrderChanges:
    """Of n clips that two arms were asked with the options in another order, how many got another choice.

    same_order: clips whose shuffle left the order as it was, not counted; to_right, to_wrong: changes between right
    and wrong, from the first arm to the second; the rest of `changed` are from wrong to wrong
    """

    n: int
    changed: int
    to_right: int
    to_wrong: int
    same_order: int

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.changed, self.n)


def order_changes(
    orders: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    chosen: tuple[Sequence[str | None], Sequence[str | None]],
    truths: Sequence[str],
) -> OrderChanges:
    """How often the choice changes when only the options' order does; None (no label) is a choice of its own.

    Raises ValueError for lists of unequal length.
    """
    rows = list(zip(*orders, *chosen, truths, strict=True))
    reordered = [(a, b, truth) for one, two, a, b, truth in rows if list(one) != list(two)]
    changes = [(a, b, truth) for a, b, truth in reordered if a != b]
    return OrderChanges(
        n=len(reordered),
        changed=len(changes),
        to_right=sum(b == truth for _, b, truth in changes),
        to_wrong=sum(a == truth for a, _, truth in changes),
        same_order=len(rows) - len(reordered),
    )
