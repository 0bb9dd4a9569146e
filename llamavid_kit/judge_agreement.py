"""How far a judge can be trusted: agreement of two judges, and of one judge with itself, with intervals.

Takes verdicts or items; gives Cohen's kappa and its bootstrap interval. Two judges may agree and both be wrong: no
number here says who is right.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import cohen_kappa_score

from llamavid_kit.judge import ChatJudge, Judge
from llamavid_kit.judge_prompts import JudgeItem
from llamavid_kit.statistics import BATCH, RESAMPLES, bootstrap_ratio
from llamavid_kit.verdicts import TOP_SCORE, Mode, Verdict

Interval = tuple[float, float]


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa: agreement beyond chance, 1 perfect, 0 chance; None where both gave one and the same value always.

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
    other = {v.item: v for v in second}
    names = [v.item for v in first]
    if len(other) != len(second) or len(set(names)) != len(names) or set(names) != set(other):
        odd = sorted(set(names) ^ set(other))[:3]
        raise ValueError(f"expected two verdicts on the same items, each once; only one of them has {odd or 'doubles'}")
    if videos is not None and len(videos) != len(first):
        raise ValueError(f"{len(first)} verdicts and {len(videos)} videos: expected as many")
    groups = dict(zip(names, videos or names, strict=True))
    pairs = [(v, other[v.item]) for v in first if not v.problem and not other[v.item].problem]
    if not pairs:
        raise ValueError(f"none of {len(first)} items has a verdict from both; nothing can be compared")
    if odd := [v for pair in pairs for v in pair if not 0 <= v.score <= TOP_SCORE]:
        raise ValueError(f"item {odd[0].item!r} has score {odd[0].score}; expected 0 to {TOP_SCORE}: read it strictly")
    at = np.unique([groups[a.item] for a, _ in pairs], return_inverse=True)[1]
    scores = np.array([(a.score, b.score) for a, b in pairs])
    same = kappa = None
    if all(v.correct is not None for pair in pairs for v in pair):
        said = np.array([(a.correct, b.correct) for a, b in pairs], dtype=int)
        same, kappa = said[:, 0] == said[:, 1], _kappa(said, at, 2, None, seed)
    same_score = scores[:, 0] == scores[:, 1]
    change = scores[:, 1] - scores[:, 0]
    return Agreement(
        n=len(first), n_both=len(pairs), n_groups=int(at.max()) + 1,
        no_verdict=(sum(bool(v.problem) for v in first), sum(bool(v.problem) for v in second)),
        same=None if same is None else float(same.mean()),
        same95=None if same is None else _mean95(same, at, (0, 1), seed), kappa=kappa,
        same_score=float(same_score.mean()), same_score95=_mean95(same_score, at, (0, 1), seed),
        score_kappa=_kappa(scores, at, TOP_SCORE + 1, "quadratic", seed),
        score_change=float(change.mean()), score_change95=_mean95(change, at, (-TOP_SCORE, TOP_SCORE), seed),
    )  # fmt: skip


def repeatability(
    judge: Judge, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict", seed: int = 0
) -> Agreement:
    """The judge against itself: each item is judged twice, and nothing kept is used or written.

    A judge that samples (temperature above 0), or runs behind an endpoint, may answer otherwise the second time; a
    model in this process that samples with a fixed seed, or not at all, repeats itself by construction.
    """
    fresh = replace(judge, log=None) if isinstance(judge, ChatJudge) else judge
    first, second = (fresh.verdicts(items, task=task, mode=mode) for _ in range(2))
    videos = [item.video or item.id for item in items]
    return agreement(first, second, videos=videos, seed=seed)


def _mean95(values: np.ndarray, at: np.ndarray, bounds: Interval, seed: int) -> Interval:
    """Of the mean over items, resampling groups."""
    return bootstrap_ratio(np.bincount(at, values), np.bincount(at), bounds=bounds, seed=seed)


def _kappa(said: np.ndarray, at: np.ndarray, n_values: int, weights: str | None, seed: int) -> Kappa:
    """said: (n, 2) values from 0; at: (n,) group of each. The value is scikit-learn's."""
    labels = list(range(n_values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a kappa that is not defined, which is None here
        found = float(cohen_kappa_score(said[:, 0], said[:, 1], labels=labels, weights=weights))
    tables = np.zeros((at.max() + 1, n_values, n_values))
    np.add.at(tables, (at, said[:, 0], said[:, 1]), 1)
    if len(tables) < 2:
        return Kappa(None if np.isnan(found) else found, None, 0)
    rng, resampled = np.random.default_rng(seed), []
    for start in range(0, RESAMPLES, BATCH):
        size = min(BATCH, RESAMPLES - start)
        drawn = rng.multinomial(len(tables), np.full(len(tables), 1 / len(tables)), size=size)
        resampled.append(kappa_of(np.tensordot(drawn.astype(float), tables, axes=1), weights))
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
