"""How sure a number is where no formula fits: macro-F1, balanced accuracy, several questions a video, several seeds.

Takes true and answered labels, outcomes with the video they belong to, or outcomes by training seed and clip; gives
intervals. Percentile bootstrap over clips, as `statistics.bootstrap_ratio`; standard errors clustered by video are
statsmodels'. Counts with a closed formula (`wilson`, `paired_interval`) and tests are in `statistics`.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import ArrayLike
from scipy.stats import permutation_test

from llamavid_kit.evaluation.statistics import BATCH, RESAMPLES

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
SWAPS = 100_000  # of arms in a permutation test; up to 16 discordant clips every way is counted


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% percentile bootstrap interval (low, high)."""

    value: float
    low: float
    high: float


def _metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """confusion (…, L, L + 1), last column "no label" → each of METRICS (…), as `scoring.score` defines them.

    Balanced accuracy is the mean over classes that occur, macro-F1 over classes that occur or were predicted; "no
    label" is no class.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    n, predicted = confusion.sum(-1), confusion.sum(-2)
    recall = np.divide(right, n, out=np.zeros_like(right), where=n > 0)
    both = predicted + np.concatenate([n, np.zeros_like(n[..., :1])], -1)
    f1 = np.divide(2 * right, both[..., :-1], out=np.zeros_like(right), where=both[..., :-1] > 0)
    return {
        "accuracy": right.sum(-1) / n.sum(-1),
        "balanced_accuracy": recall.sum(-1) / (n > 0).sum(-1),
        "macro_f1": f1.sum(-1) / (both[..., :-1] > 0).sum(-1),
    }


def _codes(truths: Sequence[str], answers: Sequence[str | None], labels: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Labels as numbers, "no label" as len(labels). Raises ValueError for what is not a label, or unequal lengths."""
    if len(truths) != len(answers) or len(truths) < 2:
        raise ValueError(f"{len(truths)} true labels and {len(answers)} answers: expected as many, at least two")
    index = pd.Index(labels)
    of_truths, of_answers = index.get_indexer(list(truths)), index.get_indexer(list(answers))
    unlabelled = np.array([answer is None for answer in answers])
    if (of_truths < 0).any() or ((of_answers < 0) & ~unlabelled).any():
        outside = sorted({str(x) for x in (*truths, *answers) if x not in index and x is not None})
        raise ValueError(
            f"{outside or [None]} are not among the labels {tuple(labels)}; map replies with label_of first"
        )
    return of_truths, np.where(unlabelled, len(index), of_answers)


def resamples(counts: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draws with replacement, RESAMPLES times: yields (up to BATCH, len(counts)) how often each thing was drawn.

    counts: (K,) int, of each thing; as many are drawn as there are. Ones, for things that are there once.
    """
    n = counts.sum()
    for start in range(0, RESAMPLES, BATCH):
        yield rng.multinomial(n, counts / max(1, n), min(BATCH, RESAMPLES - start))


def _intervals(
    cells: Sequence[np.ndarray],
    shape: tuple[int, ...],
    metrics: Callable[[np.ndarray], dict[str, np.ndarray]],
    seed: int,
) -> dict[str, Estimate]:
    """Resamples clips, each a cell of a table of counts: drawing n clips is one multinomial draw of its cells."""
    counts = np.zeros(shape, int)
    np.add.at(counts, tuple(cells), 1)
    batches = resamples(counts.ravel(), np.random.default_rng(seed))
    values = [metrics(batch.reshape(-1, *shape)) for batch in batches]
    return {
        name: _estimate(value, np.concatenate([batch[name] for batch in values]))
        for name, value in metrics(counts).items()
    }


def _estimate(value: float | np.ndarray, resampled: ArrayLike) -> Estimate:
    low, high = np.quantile(np.asarray(resampled), [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def metric_intervals(
    truths: Sequence[str], answers: Sequence[str | None], *, labels: Sequence[str], seed: int = 0
) -> dict[str, Estimate]:
    """Each of METRICS of one arm with its percentile bootstrap interval over clips, values as `scoring.score`.

    answers: a label or None a clip. Clips are drawn from all, so a class of two is missing from every seventh resample
    and is then left out of the means. A class with few clips makes the interval too narrow: whether 2 of 2 means
    "always" no resampling can tell.
    Raises ValueError for fewer than two clips, unequal lengths, and labels outside `labels`.
    """
    cells = _codes(truths, answers, labels)
    return _intervals(cells, (len(labels), len(labels) + 1), _metrics, seed)


def metric_differences(
    truths: Sequence[str], a: Sequence[str | None], b: Sequence[str | None], *, labels: Sequence[str], seed: int = 0
) -> dict[str, Estimate]:
    """Each of METRICS of arm b less that of arm a, both on the same clips in the same order, resampled clip by clip.

    Otherwise as `metric_intervals`. For accuracy alone `statistics.paired_interval` has the better interval.
    """
    true, first = _codes(truths, a, labels)
    _, second = _codes(truths, b, labels)

    def differences(joint: np.ndarray) -> dict[str, np.ndarray]:
        of_a, of_b = _metrics(joint.sum(-1)), _metrics(joint.sum(-2))
        return {name: of_b[name] - of_a[name] for name in METRICS}

    shape = (len(labels), len(labels) + 1, len(labels) + 1)
    return _intervals((true, first, second), shape, differences, seed)


def balanced_permutation(
    truths: Sequence[str], a: Sequence[str | None], b: Sequence[str | None], *, seed: int = 0
) -> float:
    """Two-sided p of a difference in balanced accuracy: the arms change places clip by clip by the toss of a coin.

    A clip that one arm alone gets right weighs 1 / (clips of its class); with classes of equal size this is exact
    McNemar. Every way is counted where at most 16 clips are discordant, else so many (SWAPS) are drawn.
    Raises ValueError for lists of unequal length or without a clip.
    """
    if not len(truths) == len(a) == len(b) or not len(truths):
        raise ValueError(f"{len(truths)} truths, {len(a)} and {len(b)} answers: expected as many, at least one")
    table = pd.DataFrame({"truth": truths, "a": a, "b": b})
    gains = (table["b"] == table["truth"]).astype(float) - (table["a"] == table["truth"])
    weighted = (gains / table.groupby("truth")["truth"].transform("size"))[gains != 0].to_numpy()
    if len(weighted) < 2:
        return 1.0

    def total(weights: np.ndarray, axis: int) -> np.ndarray:
        """Rounded: sums that are equal in fractions must be equal in floats, or ties are counted as less extreme."""
        return np.round(np.sum(weights, axis=axis), 12)

    test = permutation_test(
        (weighted,), total, permutation_type="samples", vectorized=True, n_resamples=SWAPS, batch=10_000, rng=seed
    )
    return float(test.pvalue)


@dataclass(frozen=True)
class Clustered:
    """A mean over n outcomes in n_clusters videos. se: clustered by video; naive_se: as if all were independent."""

    mean: float
    n: int
    n_clusters: int
    se: float
    naive_se: float
    interval95: tuple[float, float]


def clustered_mean(
    outcomes: Sequence[float], clusters: Sequence[Hashable], parts: Sequence[Hashable] | None = None
) -> Clustered:
    """Mean of `outcomes` (right or wrong, a score, or the difference of two arms), of the video that `clusters` names.

    Questions about one video share what the model made of it, so they are fewer observations than they seem. With
    `parts` it is the mean of the P parts' means, each part counting alike however many outcomes it has; they are
    dependent where they ask about the same videos. A video g moves the value by

        u_g = 1/P * sum over parts a of (sum of g's outcomes in a, less a's mean each) / n_a,

    so its variance is the sum of u_g squared: the sandwich of Liang and Zeger (Biometrika 73, 1986) for an OLS on one
    indicator a part and the contrast 1/P, which squares a video's sum over all parts and so holds their covariances.
    It is statsmodels' with cov_type="cluster", for G videos and N outcomes with its factor
    G / (G - 1) * (N - 1) / (N - P), and a t interval with G - 1 degrees of freedom; with one question a video and one
    part the plain standard error.
    Raises ValueError for unequal lengths, values that are not finite, and a part of fewer than two videos.
    """
    parts = ["all"] * len(outcomes) if parts is None else parts
    columns = {"value": outcomes, "video": clusters, "part": parts}
    table = pd.DataFrame({name: pd.Series(list(column), dtype=object) for name, column in columns.items()})
    values, n_videos = table["value"].to_numpy(float), table.groupby("part")["video"].nunique()
    if not np.isfinite(values).all() or table.isna().any(axis=None) or n_videos.min() < 2 or table.empty:
        raise ValueError(
            f"{len(outcomes)} outcomes, {len(clusters)} videos and {len(parts)} parts named; videos by part: "
            f"{n_videos.to_dict()}; expected a finite number and a video each, and two videos or more in each part: of "
            "one video nothing can be said about others"
        )
    codes, names = pd.factorize(table["part"])
    model = sm.OLS(values, np.eye(len(names))[codes])
    evenly = np.full((1, len(names)), 1 / len(names))
    groups = pd.factorize(table["video"])[0]
    mean = model.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True).t_test(evenly)
    naive = float(model.fit(cov_type="HC1").t_test(evenly).sd.item())
    value = float(np.mean([values[codes == part].mean() for part in range(len(names))]))
    low, high = map(float, mean.conf_int(0.05)[0])
    return Clustered(value, len(table), int(groups.max()) + 1, float(mean.sd.item()), naive, (low, high))


def nested_bootstrap(a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> Estimate:
    """Mean of recipe b less that of recipe a, with an interval that holds for other training seeds *and* other clips.

    a, b: (training seeds, clips) right or wrong, or scores; the same clips in the same order, as many seeds as were
    trained. A resample draws seeds within each recipe, then clips for all of them (Owen's pigeonhole bootstrap, 2007).
    It counts the luck of single answers with both draws and so is rather too wide, unless few seeds lie far apart:
    in simulations of 300 clips without a difference, 95% intervals held the truth in 98 to 99% of worlds with 3 to 8
    seeds 2 points apart, in 91% with 3 and 95% with 5 seeds 6 points apart.
    One seed has no spread, so it is refused: `statistics.compare_arms` compares two models.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"{first.shape=}, {second.shape=}: expected (seeds, clips) twice, of the same clips")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("an outcome is not a finite number: expected one of every seed and clip, none missing")
    if min(len(first), len(second), first.shape[1]) < 2:
        raise ValueError(
            f"{len(first)} and {len(second)} training seeds, {first.shape[1]} clips: expected at least two of each; "
            "with one seed compare the two trained models with compare_arms, and say that it is about these models"
        )
    rng, differences = np.random.default_rng(seed), []

    def shares(n: int) -> np.ndarray:
        """(n,) how often each of n was drawn in n draws, as shares."""
        return rng.multinomial(n, np.full(n, 1 / n)) / n

    for _ in range(RESAMPLES):
        clips = shares(first.shape[1])
        differences.append(shares(len(second)) @ (second @ clips) - shares(len(first)) @ (first @ clips))
    return _estimate(second.mean() - first.mean(), differences)
