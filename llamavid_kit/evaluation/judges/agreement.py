"""How far a judge can be trusted: agreement of two judges, and of one judge with itself, with intervals.

Takes verdicts; gives shares, Cohen's kappa and their bootstrap intervals. Two judges may agree and both be wrong: no
number here says who is right. Who is asked, and again, is `benchmarks/panel.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Verdict
from llamavid_kit.evaluation.resampling import resamples
from llamavid_kit.evaluation.statistics import bootstrap_ratio

Interval = tuple[float, float]


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa: agreement beyond chance, 1 perfect, 0 chance; None where both gave one and the same value always.

    Of more than two askings: the mean of Cohen's kappa over all pairs of them (Light 1971), None where one has none.
    interval95: percentile bootstrap; n_undefined: of the resamples, those without a kappa, which are left out of it
    (None where more than half of them have none)
    """

    value: float | None
    interval95: Interval | None
    n_undefined: int


@dataclass(frozen=True, kw_only=True)
class _Match:
    """Two or more sets of verdicts on the same n items; shares and kappas speak of the items with a verdict in each.

    no_verdict: items without one, set by set
    same: share with the same yes or no, and kappa of it; None where no yes or no was asked for
    same_score: share with the same score; score_kappa: weighted by the square of the distance, scores 0 to 5
    Intervals are 95% bootstrap intervals over `n_groups` videos (items, where no video is known).
    """

    n: int
    n_groups: int
    no_verdict: tuple[int, ...]
    same: float | None = None
    same95: Interval | None = None
    kappa: Kappa | None = None
    same_score: float | None = None
    same_score95: Interval | None = None
    score_kappa: Kappa | None = None


@dataclass(frozen=True, kw_only=True)
class Agreement(_Match):
    """Two judges. n_both: items with a verdict of both; score_change: mean score of the second less the first's."""

    n_both: int
    score_change: float
    score_change95: Interval


def agreement(
    first: Sequence[Verdict], second: Sequence[Verdict], *, videos: Sequence[str] | None = None, seed: int = 0
) -> Agreement:
    """Compares two sets of verdicts, joined by item; `videos[i]` is the video of `first[i]`.

    Raises ValueError where the items differ, are doubled, or none has a verdict from both, and for a score outside 0
    to 5, which only the mode `original` lets pass.
    """
    common, scores, at = _compared([first, second], videos, seed)
    if not len(scores):
        raise ValueError(f"none of {len(first)} items has a verdict from both; nothing can be compared")
    change = scores[:, 1] - scores[:, 0]
    change95 = _mean95(change, at, (-TOP_SCORE, TOP_SCORE), seed)
    return Agreement(**common, n_both=len(scores), score_change=float(change.mean()), score_change95=change95)


@dataclass(frozen=True, kw_only=True)
class Repeatability(_Match):
    """One judge at several askings. Shares and kappas are None where n_always is 0.

    n_always: items with a verdict at every asking; n_sometimes: with one at some askings only
    accuracies: share of yes among the asking's own verdicts, asking by asking; scores: their mean score. None where
    an asking has none
    score_range: mean of an item's largest less its smallest score
    """

    n_askings: int
    n_always: int
    n_sometimes: int
    accuracies: tuple[float | None, ...]
    scores: tuple[float | None, ...]
    score_range: float | None = None
    score_range95: Interval | None = None


def repeatability(
    askings: Sequence[Sequence[Verdict]], *, videos: Sequence[str] | None = None, seed: int = 0
) -> Repeatability:
    """Compares what a judge said at two or more askings, joined by item; `videos[i]` is the video of `askings[0][i]`.

    Raises ValueError for fewer than two askings, and as `agreement` does, but not where no item has a verdict always.
    """
    if len(askings) < 2:
        raise ValueError(f"{len(askings)} asking: expected at least two, to compare a judge with itself")
    common, scores, at = _compared(askings, videos, seed)
    if len(scores):
        spread = scores.max(1) - scores.min(1)
        common |= {"score_range": float(spread.mean()), "score_range95": _mean95(spread, at, (0, TOP_SCORE), seed)}
    n_some = len({v.item for verdicts in askings for v in verdicts if not v.problem})
    return Repeatability(
        n_askings=len(askings),
        n_always=len(scores),
        n_sometimes=n_some - len(scores),
        accuracies=tuple(_mean([v.correct for v in verdicts if v.correct is not None]) for verdicts in askings),
        scores=tuple(_mean([v.score for v in verdicts if v.score is not None]) for verdicts in askings),
        **common,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _joined(
    askings: Sequence[Sequence[Verdict]], videos: Sequence[str] | None
) -> tuple[list[list[Verdict]], list[str]]:
    """The verdicts of each asking in the first one's order of items, and each item's group."""
    names = [v.item for v in askings[0]]
    by_name = [{v.item: v for v in verdicts} for verdicts in askings]
    for verdicts, others in zip(askings, by_name, strict=True):
        if len(others) != len(verdicts) or set(names) != set(others):
            odd = sorted(set(names) ^ set(others))[:3] or "doubles"
            raise ValueError(f"expected two verdicts on the same items, each once; only one of them has {odd}")
    if videos is not None and len(videos) != len(names):
        raise ValueError(f"{len(names)} verdicts and {len(videos)} videos: expected as many")
    return [[verdicts[name] for name in names] for verdicts in by_name], list(videos or names)


def _compared(
    askings: Sequence[Sequence[Verdict]], videos: Sequence[str] | None, seed: int
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """The fields of `_Match`; of items with a verdict in all A askings, scores (n, A) and groups as numbers (n,)."""
    columns, groups = _joined(askings, videos)
    rows = list(zip(*columns, strict=True))
    judged = [k for k, row in enumerate(rows) if not any(v.problem for v in row)]
    if odd := [v for k in judged for v in rows[k] if v.score not in range(TOP_SCORE + 1)]:
        raise ValueError(f"item {odd[0].item!r} has score {odd[0].score}; expected 0 to {TOP_SCORE}: read it strictly")
    names, at = np.unique([groups[k] for k in judged], return_inverse=True)
    silent = tuple(sum(bool(v.problem) for v in column) for column in columns)
    common: dict[str, Any] = {"n": len(rows), "n_groups": len(names), "no_verdict": silent}
    scores, words = (np.array([[getattr(v, name) for v in rows[k]] for k in judged]) for name in ("score", "correct"))
    for share, kappa, values, n_values, weights in (
        ("same", "kappa", words, 2, None),
        ("same_score", "score_kappa", scores, TOP_SCORE + 1, "quadratic"),
    ):
        if judged and None not in values:
            same = (values == values[:, :1]).all(1)
            common |= {share: float(same.mean()), f"{share}95": _mean95(same, at, (0, 1), seed)}
            common[kappa] = _kappa(values.astype(int), at, n_values, weights, seed)
    return common, scores, at


def _mean95(values: np.ndarray, at: np.ndarray, bounds: Interval, seed: int) -> Interval:
    """Of the mean over items, resampling groups."""
    return bootstrap_ratio(np.bincount(at, values), np.bincount(at), bounds=bounds, seed=seed)


def _kappa(values: np.ndarray, at: np.ndarray, n_values: int, weights: str | None, seed: int) -> Kappa:
    """values: (n, A) from 0, a column a judge or asking; at: (n,) group of each."""
    pairs = list(combinations(range(values.shape[1]), 2))
    tables = np.zeros((len(pairs), at.max() + 1, n_values, n_values))
    for k, (a, b) in enumerate(pairs):
        np.add.at(tables[k], (at, values[:, a], values[:, b]), 1)
    kappa, n_groups = float(kappa_of(tables.sum(1), weights).mean()), tables.shape[1]
    value = None if np.isnan(kappa) else kappa
    if n_groups < 2:
        return Kappa(value, None, 0)
    rng, resampled = np.random.default_rng(seed), []
    for counts in resamples(np.ones(n_groups, int), rng):
        of_pairs = [kappa_of(np.tensordot(counts.astype(float), one, axes=1), weights) for one in tables]
        resampled.append(np.mean(of_pairs, axis=0))
    kappas = np.concatenate(resampled)
    defined = kappas[~np.isnan(kappas)]
    interval = None
    if 2 * len(defined) > len(kappas):
        low, high = np.quantile(defined, (0.025, 0.975))
        interval = (float(low), float(high))
    return Kappa(value, interval, len(kappas) - len(defined))


def kappa_of(tables: np.ndarray, weights: str | None = None) -> np.ndarray:
    """Cohen's kappa of many confusion tables (R, K, K) at a time: (R,), nan where it is not defined.

    scikit-learn's `cohen_kappa_score`, which takes one list at a time, for thousands of resamples.
    """
    k = tables.shape[-1]
    far = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    cost = far**2 if weights == "quadratic" else (far > 0)
    n = tables.sum((1, 2))
    chance = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :] / n[:, None, None]
    observed, expected = (tables * cost).sum((1, 2)), (chance * cost).sum((1, 2))
    return np.where(expected > 0, 1 - observed / np.where(expected > 0, expected, 1), np.nan)
