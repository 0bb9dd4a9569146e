"""How far a judge can be trusted: agreement of two judges, and of one judge with itself, with intervals.

Takes verdicts; gives shares, Cohen's kappa and their bootstrap intervals. Two judges may agree and both be wrong: no
number here says who is right. Who is asked, and again, is `benchmarks/judges.py`'s.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.metrics import cohen_kappa_score

from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Verdict
from llamavid_kit.evaluation.statistics import BATCH, RESAMPLES, bootstrap_ratio

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


@dataclass(frozen=True)
class Agreement:
    """Two sets of verdicts on the same n items.

    n_both: items on which both gave a verdict, of which all that follows speaks; no_verdict: of the first, the second
    same: share with the same yes or no, and kappa of it; both None where no yes or no was asked for
    same_score: share with the same score; score_kappa: weighted by the square of the distance, scores 0 to 5
    score_change: mean score of the second less that of the first
    Intervals are 95% bootstrap intervals over `n_groups` videos (items, where no video is known).
    """

    n: int
    n_both: int
    n_groups: int
    no_verdict: tuple[int, int]
    same: float | None
    same95: Interval | None
    kappa: Kappa | None
    same_score: float
    same_score95: Interval
    score_kappa: Kappa
    score_change: float
    score_change95: Interval


def agreement(
    first: Sequence[Verdict], second: Sequence[Verdict], *, videos: Sequence[str] | None = None, seed: int = 0
) -> Agreement:
    """Compares two sets of verdicts, joined by item; `videos[i]` is the video of `first[i]`.

    Raises ValueError where the items differ, are doubled, or none has a verdict from both, and for a score outside 0
    to 5, which only the mode `original` lets pass.
    """
    names, columns, groups = _joined([first, second], videos)
    both = [at for at in range(len(names)) if not any(column[at].problem for column in columns)]
    if not both:
        raise ValueError(f"none of {len(first)} items has a verdict from both; nothing can be compared")
    found, scores, at = _compared([[column[i] for i in both] for column in columns], [groups[i] for i in both], seed)
    change = scores[:, 1] - scores[:, 0]
    return Agreement(
        n=len(first),
        n_both=len(both),
        n_groups=int(at.max()) + 1,
        no_verdict=_no_verdict(columns),
        **found,
        score_change=float(change.mean()),
        score_change95=_mean95(change, at, (-TOP_SCORE, TOP_SCORE), seed),
    )


@dataclass(frozen=True)
class Repeatability:
    """One judge's verdicts on the same n items, at each of several askings.

    n_always: items with a verdict at every asking, of which all shares and kappas speak; n_sometimes: with one at some
    askings only; no_verdict: items without one at the first asking, at the second, …
    same, same_score: share with the same yes or no, and with the same score, at every asking; kappa, score_kappa: see
    `Kappa`; the former two None where no yes or no was asked for, all None where n_always is 0
    score_range: mean of an item's largest less its smallest score
    accuracies: share of yes among the asking's own verdicts, asking by asking; scores: their mean score. None where
    an asking has none
    Intervals are 95% bootstrap intervals over `n_groups` videos (items, where no video is known).
    """

    n: int
    n_askings: int
    n_always: int
    n_sometimes: int
    n_groups: int
    no_verdict: tuple[int, ...]
    accuracies: tuple[float | None, ...]
    scores: tuple[float | None, ...]
    same: float | None = None
    same95: Interval | None = None
    kappa: Kappa | None = None
    same_score: float | None = None
    same_score95: Interval | None = None
    score_kappa: Kappa | None = None
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
    names, columns, groups = _joined(askings, videos)
    given = [sum(not column[at].problem for column in columns) for at in range(len(names))]
    always = [at for at, n in enumerate(given) if n == len(columns)]
    shares = {}
    if always:
        said = [[column[i] for i in always] for column in columns]
        shares, scores, at = _compared(said, [groups[i] for i in always], seed)
        spread = scores.max(1) - scores.min(1)
        shares |= {"score_range": float(spread.mean()), "score_range95": _mean95(spread, at, (0, TOP_SCORE), seed)}
    verdicts = [[v for v in column if not v.problem] for column in columns]
    return Repeatability(
        n=len(names),
        n_askings=len(columns),
        n_always=len(always),
        n_sometimes=sum(0 < n < len(columns) for n in given),
        n_groups=len({groups[i] for i in always}),
        no_verdict=_no_verdict(columns),
        accuracies=tuple(_mean([v.correct for v in said if v.correct is not None]) for said in verdicts),
        scores=tuple(_mean([v.score for v in said]) for said in verdicts),
        **shares,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _no_verdict(columns: Sequence[Sequence[Verdict]]) -> tuple[int, ...]:
    return tuple(sum(bool(v.problem) for v in column) for column in columns)


def _joined(
    askings: Sequence[Sequence[Verdict]], videos: Sequence[str] | None
) -> tuple[list[str], list[list[Verdict]], list[str]]:
    """Names of the items, verdicts in their order, and each item's group; names and order are the first list's."""
    names = [v.item for v in askings[0]]
    for others in askings[1:]:
        known = {v.item for v in others}
        if len(known) != len(others) or len(set(names)) != len(names) or set(names) != known:
            odd = sorted(set(names) ^ known)[:3]
            text = f"expected two verdicts on the same items, each once; only one of them has {odd or 'doubles'}"
            raise ValueError(text)
    if videos is not None and len(videos) != len(names):
        raise ValueError(f"{len(names)} verdicts and {len(videos)} videos: expected as many")
    by_name = [{v.item: v for v in said} for said in askings]
    return names, [[said[name] for name in names] for said in by_name], list(videos or names)


def _compared(columns: Sequence[Sequence[Verdict]], groups: Sequence[str], seed: int):
    """Two or more lists of verdicts on the same items, none missing → shares and kappas, scores (n, A), groups (n,)."""
    if odd := [v for column in columns for v in column if not 0 <= v.score <= TOP_SCORE]:
        raise ValueError(f"item {odd[0].item!r} has score {odd[0].score}; expected 0 to {TOP_SCORE}: read it strictly")
    at = np.unique(groups, return_inverse=True)[1]
    scores = np.array([[v.score for v in column] for column in columns]).T
    same = same95 = kappa = None
    if all(v.correct is not None for column in columns for v in column):
        said = np.array([[v.correct for v in column] for column in columns], dtype=int).T
        alike, kappa = (said == said[:, :1]).all(1), _kappa(said, at, 2, None, seed)
        same, same95 = float(alike.mean()), _mean95(alike, at, (0, 1), seed)
    alike = (scores == scores[:, :1]).all(1)
    found = {
        "same": same,
        "same95": same95,
        "kappa": kappa,
        "same_score": float(alike.mean()),
        "same_score95": _mean95(alike, at, (0, 1), seed),
        "score_kappa": _kappa(scores, at, TOP_SCORE + 1, "quadratic", seed),
    }
    return found, scores, at


def _mean95(values: np.ndarray, at: np.ndarray, bounds: Interval, seed: int) -> Interval:
    """Of the mean over items, resampling groups."""
    return bootstrap_ratio(np.bincount(at, values), np.bincount(at), bounds=bounds, seed=seed)


def _kappa(said: np.ndarray, at: np.ndarray, n_values: int, weights: str | None, seed: int) -> Kappa:
    """said: (n, A) values from 0, a column a judge or asking; at: (n,) group of each. The value is scikit-learn's."""
    labels, pairs = list(range(n_values)), list(combinations(range(said.shape[1]), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a kappa that is not defined, which is None here
        found = float(
            np.mean([cohen_kappa_score(said[:, a], said[:, b], labels=labels, weights=weights) for a, b in pairs])
        )
    tables = np.zeros((len(pairs), at.max() + 1, n_values, n_values))
    for k, (a, b) in enumerate(pairs):
        np.add.at(tables[k], (at, said[:, a], said[:, b]), 1)
    n_groups = tables.shape[1]
    if n_groups < 2:
        return Kappa(None if np.isnan(found) else found, None, 0)
    rng, resampled = np.random.default_rng(seed), []
    for start in range(0, RESAMPLES, BATCH):
        size = min(BATCH, RESAMPLES - start)
        drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size).astype(float)
        resampled.append(np.mean([kappa_of(np.tensordot(drawn, one, axes=1), weights) for one in tables], axis=0))
    values = np.concatenate(resampled)
    defined = values[~np.isnan(values)]
    interval = None
    if 2 * len(defined) > RESAMPLES:
        interval = tuple(float(x) for x in np.quantile(defined, (0.025, 0.975)))
    return Kappa(None if np.isnan(found) else found, interval, int(len(values) - len(defined)))


def kappa_of(tables: np.ndarray, weights: str | None = None) -> np.ndarray:
    """Cohen's kappa of many confusion tables (R, K, K) at a time: (R,), nan where it is not defined.

    scikit-learn's `cohen_kappa_score`, which takes one list at a time, for thousands of resamples.
    """
    k = tables.shape[-1]
    far = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    cost = far**2 if weights == "quadratic" else (far > 0)
    n = tables.sum((1, 2))
    chance = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :] / n[:, None, None]
    seen, expected = (tables * cost).sum((1, 2)), (chance * cost).sum((1, 2))
    return np.where(expected > 0, 1 - seen / np.where(expected > 0, expected, 1), np.nan)
