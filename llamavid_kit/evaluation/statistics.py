"""How sure a number is, and whether two arms differ: intervals and paired tests over clips.

Takes counts and per-clip outcomes keyed by clip id; gives numbers with their method's name. It knows nothing of models
or files. A p-value over clips speaks of the two trained models that were compared, not of two recipes: with one
fine-tuned model per arm, seed-to-seed spread is not in it. All intervals are 95% intervals.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import bootstrap, norm, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from llamavid_kit.files import some

RESAMPLES = 9_999  # of clips in a bootstrap, and of swaps in a permutation test
BATCH = 500  # resamples held in memory at a time


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's score interval (low, high) for k of n; (0, 1) for n = 0, where nothing is known.

    statsmodels' `proportion_confint`. Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k={k}, n={n}: expected 0 <= k <= n")
    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(k, n, method="wilson")
    return (float(low) if k else 0.0), (float(high) if k < n else 1.0)  # without the last digit's rounding


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar p of two arms of which each alone was right so often; 1.0 where they never disagree."""
    if only_a < 0 or only_b < 0:
        raise ValueError(f"only_a={only_a}, only_b={only_b}: counts cannot be negative")
    return float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values, in the order given: one family, every comparison that a report shows.

    Values of statsmodels' `multipletests(method="holm")`, which collects garbage at every call: 0.1 s and more each.
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"p_values={list(p_values)}: expected numbers from 0 to 1")
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1))
    return adjusted.tolist()


def paired_interval(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """Interval (low, high) for accuracy(b) - accuracy(a) over the same n clips, as proportions from -1 to 1.

    Tango's score interval (Statistics in Medicine 17, 1998, 891-908): the differences that a score test does not
    reject. At a difference of 0 that test is McNemar's without correction, so the interval leaves out 0 when
    (only_b - only_a)² / (only_a + only_b) exceeds the chi-square bound. The exact test is a little stricter: for the
    study's 4 against 12 of 242 the interval is 0.07 to 7.0 points, while the exact p is 0.077. Decide by the test.
    """
    if n < 1 or only_a < 0 or only_b < 0 or only_a + only_b > n:
        raise ValueError(f"{only_a=}, {only_b=}, {n=}: expected only_a + only_b <= n, n >= 1")
    z = float(norm.ppf(0.975))
    estimate = (only_b - only_a) / n

    def excess(difference: float, sign: int) -> float:
        """Score statistic at `difference` (Tango's eq. 17 with q̃ from eq. 15), less the bound sign · z."""
        b = -only_b - only_a + (2 * n - only_b + only_a) * difference
        c = -only_a * difference * (1 - difference)
        q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * q + difference * (1 - difference))
        distance = only_b - only_a - n * difference
        return distance - sign * z * math.sqrt(max(0.0, variance))

    beside = 1e-12  # at the estimate itself the variance may be 0, and with it the statistic
    low = brentq(excess, -1, estimate - beside, args=(1,)) if only_a < n else -1.0
    high = brentq(excess, estimate + beside, 1, args=(-1,)) if only_b < n else 1.0
    return float(low), float(high)


@dataclass(frozen=True)
class Paired:
    """Two arms on the same n clips. `only_a`, `only_b`: ids of the clips that only that arm got right, sorted.

    difference: accuracy(b) - accuracy(a); interval95: of the difference, by `method`; p: exact McNemar, unadjusted
    """

    a: str
    b: str
    n: int
    both: int
    neither: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    difference: float
    interval95: tuple[float, float]
    p: float
    method: str = "Tango 1998, score interval for a difference of paired proportions"

    def to_dict(self) -> dict[str, Any]:
        """JSON values: a, b, n, only_a and only_b as counts, difference, interval95, p."""
        counts = {"a": self.a, "b": self.b, "n": self.n, "only_a": len(self.only_a), "only_b": len(self.only_b)}
        return {**counts, "difference": self.difference, "interval95": list(self.interval95), "p": self.p}


def compare_arms(a: Mapping[str, bool], b: Mapping[str, bool], *, names: tuple[str, str] = ("a", "b")) -> Paired:
    """Pairs two arms clip by clip; `a` and `b` say for each clip id whether the arm was right.

    Raises ValueError when there are no clips or the arms did not answer the same ones, naming the difference.
    """
    _check_same_clips(a, b, names)
    only_a = tuple(sorted(i for i in a if a[i] and not b[i]))
    only_b = tuple(sorted(i for i in a if b[i] and not a[i]))
    both = sum(bool(a[i] and b[i]) for i in a)
    n = len(a)
    return Paired(
        a=names[0],
        b=names[1],
        n=n,
        both=both,
        neither=n - both - len(only_a) - len(only_b),
        only_a=only_a,
        only_b=only_b,
        difference=(len(only_b) - len(only_a)) / n,
        interval95=paired_interval(len(only_a), len(only_b), n),
        p=mcnemar_exact(len(only_a), len(only_b)),
    )


@dataclass(frozen=True)
class PairedScores:
    """Two arms' scores on the same n clips.

    difference: mean score of b less that of a; interval95: its bootstrap interval over clips
    p: two-sided permutation test, unadjusted: how often a difference at least as large comes about when the two arms'
    scores of each clip change places by the toss of a coin (all ways where there are at most 9,999, else so many)
    """

    a: str
    b: str
    n: int
    difference: float
    interval95: tuple[float, float]
    p: float


def compare_scores(
    a: Mapping[str, int], b: Mapping[str, int], *, top: int, names: tuple[str, str] = ("a", "b"), seed: int = 0
) -> PairedScores:
    """Pairs two arms clip by clip; `a` and `b` give for each clip id a score from 0 to `top`, in whole numbers.

    Raises ValueError as `compare_arms` does. One clip alone decides nothing: p is 1 and the interval is all there is.
    """
    _check_same_clips(a, b, names)
    gains = np.array([b[clip] - a[clip] for clip in a])
    p = 1.0
    if len(gains) > 1:
        test = permutation_test(
            (gains,), np.sum, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=BATCH, rng=seed
        )
        p = float(test.pvalue)
    interval = bootstrap_ratio(gains, bounds=(-top, top), seed=seed)
    return PairedScores(names[0], names[1], len(gains), float(gains.mean()), interval, p)


def bootstrap_ratio(
    parts: ArrayLike, wholes: ArrayLike | None = None, *, bounds: tuple[float, float], seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) over clips of sum(parts) / sum(wholes); without wholes, of the mean.

    parts, wholes: (n,) a number a clip; a resample whose wholes are all 0 counts as 0. bounds: the lowest and highest
    value there can be, returned for fewer than two clips, of which nothing can be resampled. Clips that are all alike
    have an interval without width: the method sees no spread, which does not mean that there is none (`wilson` knows).
    Raises ValueError for lists of unequal length.
    """
    parts = np.asarray(parts, dtype=float)
    wholes = np.ones(len(parts)) if wholes is None else np.asarray(wholes, dtype=float)
    if parts.shape != wholes.shape:
        raise ValueError(f"{len(parts)} parts, {len(wholes)} wholes: expected as many")
    if len(parts) < 2:
        return bounds

    def ratio(part: np.ndarray, whole: np.ndarray, axis: int) -> np.ndarray:
        top, bottom = part.sum(axis), whole.sum(axis)
        return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)

    options = {"method": "percentile", "n_resamples": RESAMPLES, "batch": BATCH, "rng": seed}
    interval = bootstrap((parts, wholes), ratio, paired=True, vectorized=True, **options).confidence_interval
    return float(interval.low), float(interval.high)


def _check_same_clips(a: Mapping, b: Mapping, names: tuple[str, str]) -> None:
    if set(a) != set(b) or not a:
        one, two = names
        raise ValueError(
            f"arms {one!r} ({len(a)} clips) and {two!r} ({len(b)} clips) must answer the same clips, at least one; "
            f"only {one!r} has {some(sorted(set(a) - set(b)))}; only {two!r} has {some(sorted(set(b) - set(a)))}; "
            "compare them on the ids they share"
        )
