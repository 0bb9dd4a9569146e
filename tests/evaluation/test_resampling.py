"""Bootstrap and clustered errors against scikit-learn, scipy, formulas by hand, and the truth of drawn worlds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llamavid_kit.evaluation import resampling
from llamavid_kit.evaluation.resampling import (
    METRICS,
    balanced_permutation,
    clustered_mean,
    metric_differences,
    metric_intervals,
    nested_bootstrap,
)
from llamavid_kit.evaluation.scoring import score
from llamavid_kit.evaluation.statistics import mcnemar_exact, paired_interval

LABELS = ("a", "b", "c")
answers_of = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, None])), min_size=2, max_size=25)


@pytest.fixture
def few(monkeypatch):
    """Fewer resamples, where only the arithmetic is looked at or many intervals are drawn."""
    monkeypatch.setattr(resampling, "RESAMPLES", 400)


def made_up_arm(rng, sizes, recalls):
    """Truths of `sizes` clips a class, each answered right with its class's probability, else one of the others."""
    truths = [label for label, n in zip(LABELS, sizes, strict=True) for _ in range(n)]
    right = rng.random(len(truths)) < np.repeat(recalls, sizes)
    other = [LABELS[(LABELS.index(t) + int(rng.integers(1, 3))) % 3] for t in truths]
    return truths, [t if ok else o for t, ok, o in zip(truths, right, other, strict=True)]


@given(answers_of)
@settings(max_examples=40, deadline=None)
def test_the_values_are_those_of_the_score(rows):
    """Of the sample itself; every resample goes through the same lines."""
    truths, answers = map(list, zip(*rows, strict=True))
    cells = resampling._codes(truths, answers, LABELS)
    counts = np.zeros((3, 4), int)
    np.add.at(counts, cells, 1)
    table, ours = score(truths, answers, labels=LABELS), resampling._metrics(counts)
    assert {name: float(ours[name]) for name in METRICS} == pytest.approx(
        {name: getattr(table, name) for name in METRICS}
    )


def test_metrics_of_many_tables_at_once():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, (7, 3, 4))
    together = resampling._metrics(counts)
    for k, table in enumerate(counts):
        alone = resampling._metrics(table)
        assert all(together[name][k] == pytest.approx(float(alone[name])) for name in METRICS)


def test_as_many_draws_as_are_promised():
    batches = list(resampling.resamples(np.array([2, 0, 1]), np.random.default_rng(0)))
    drawn = np.concatenate(batches)
    assert len(drawn) == resampling.RESAMPLES and max(map(len, batches)) == resampling.BATCH
    assert (drawn.sum(1) == 3).all() and not drawn[:, 1].any() and drawn[:, 0].mean() == pytest.approx(2, abs=0.05)


def test_against_resampled_rows():
    """Second way: draw rows with numpy, score each draw with scikit-learn's numbers."""
    rng = np.random.default_rng(1)
    truths, answers = made_up_arm(rng, (30, 12, 6), (0.8, 0.6, 0.3))
    answers[3] = None
    values = {name: [] for name in METRICS}
    for _ in range(300):
        rows = rng.integers(0, len(truths), len(truths))
        table = score([truths[i] for i in rows], [answers[i] for i in rows], labels=LABELS)
        for name in METRICS:
            values[name].append(getattr(table, name))
    estimate = metric_intervals(truths, answers, labels=LABELS)
    for name in METRICS:
        expected = np.quantile(values[name], [0.025, 0.975])
        assert (estimate[name].low, estimate[name].high) == pytest.approx(expected, abs=0.045), name


def test_a_class_may_be_missing_from_a_resample():
    estimate = metric_intervals(["a", "a", "b"], ["a", "c", "b"], labels=LABELS)["balanced_accuracy"]
    assert (estimate.value, estimate.low, estimate.high) == (0.75, 0.0, 1.0)


def test_intervals_hold_the_truth(few):
    """400 worlds of 120 clips in three classes: the 95% interval of balanced accuracy holds the truth 91-98% often."""
    rng, truth, held = np.random.default_rng(2), (0.9 + 0.6 + 0.4) / 3, []
    for k in range(400):
        truths, answers = made_up_arm(rng, (60, 40, 20), (0.9, 0.6, 0.4))
        estimate = metric_intervals(truths, answers, labels=LABELS, seed=k)["balanced_accuracy"]
        held.append(estimate.low <= truth <= estimate.high)
    assert 0.91 < np.mean(held) < 0.98


def test_differences_are_paired(few):
    """The same clips move together: an arm against itself has no spread, and the order of a and b gives the sign."""
    truths, a = made_up_arm(np.random.default_rng(3), (40, 30, 10), (0.7, 0.5, 0.5))
    same = metric_differences(truths, a, a, labels=LABELS)
    assert list(same) == ["accuracy", "balanced_accuracy", "macro_f1"] == list(METRICS)
    assert all((same[name].value, same[name].low, same[name].high) == (0, 0, 0) for name in METRICS)
    b = list(truths)
    better = metric_differences(truths, a, b, labels=LABELS)
    table = score(truths, a, labels=LABELS)
    for name in METRICS:
        assert better[name].value == pytest.approx(1 - getattr(table, name)) and better[name].low > 0
    worse = metric_differences(truths, b, a, labels=LABELS)
    assert all(worse[name].value == pytest.approx(-better[name].value) for name in METRICS)


def test_a_difference_in_accuracy_is_nearly_tangos():
    truths, a = made_up_arm(np.random.default_rng(4), (100, 90, 60), (0.7, 0.6, 0.5))
    b = [t if i % 5 == 0 else x for i, (t, x) in enumerate(zip(truths, a, strict=True))]
    b = ["c" if t == "a" and i % 11 == 0 else x for i, (t, x) in enumerate(zip(truths, b, strict=True))]
    right = np.array([[x == t for t, x in zip(truths, arm, strict=True)] for arm in (a, b)])
    expected = paired_interval(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()), len(truths))
    estimate = metric_differences(truths, a, b, labels=LABELS)["accuracy"]
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=0.012)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("abc"), st.sampled_from("abc")), max_size=30))
@example([("a", "a", "a")] * 3 + [("a", "b", "a")] * 2 + [("b", "a", "b"), ("a", "b", "a")] + [("b", "b", "a")] * 3)
@settings(max_examples=40, deadline=None)
def test_the_permutation_of_balanced_accuracy_is_all_ways_to_change_places(rows):
    weights = [((y == t) - (x == t)) / sum(t == other for other, *_ in rows) for t, x, y in rows]
    weights = [w for w in weights if w]
    if not rows or len(weights) > 12:
        return
    ways = [
        abs(sum(w * s for w, s in zip(weights, signs, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(weights))
    ]
    expected = sum(way >= abs(sum(weights)) - 1e-12 for way in ways) / len(ways)
    truths, a, b = zip(*rows, strict=True)
    assert balanced_permutation(truths, a, b) == pytest.approx(expected if len(weights) > 1 else 1.0)


def test_one_class_makes_it_mcnemar():
    truths, a, b = ["x"] * 20, ["x"] * 3 + [None] * 17, [None] * 3 + ["x"] * 11 + [None] * 6
    assert balanced_permutation(truths, a, b) == pytest.approx(mcnemar_exact(3, 11))
    assert balanced_permutation(truths * 3, a * 3, b * 3) == pytest.approx(mcnemar_exact(9, 33), abs=2e-4)  # drawn
    with pytest.raises(ValueError, match="1 truths, 2 and 1"):
        balanced_permutation(["x"], ["x", "x"], ["x"])
    with pytest.raises(ValueError, match="at least one"):
        balanced_permutation([], [], [])


def test_seed():
    truths, answers = made_up_arm(np.random.default_rng(5), (30, 20, 20), (0.7, 0.5, 0.4))
    first, again, other = (
        metric_intervals(truths, answers, labels=LABELS, seed=seed)["macro_f1"] for seed in (0, 0, 1)
    )
    assert first.low < first.value < first.high and first == again != other
    assert first == metric_intervals(truths, answers, labels=LABELS)["macro_f1"]


@pytest.mark.parametrize(
    ("truths", "answers", "message"),
    [
        (["a"], ["a"], "1 true labels"),
        (["a", "b"], ["a"], "2 true labels and 1"),
        (["a", "x"], ["a", "b"], r"\['x'\]"),
        (["a", "b"], ["a", "y"], r"\['y'\]"),
        (["a", None], ["a", "b"], "None"),
    ],
)
def test_what_cannot_be_resampled(truths, answers, message):
    with pytest.raises(ValueError, match=message):
        metric_intervals(truths, answers, labels=LABELS)


def test_clustered_errors_by_hand():
    """Sandwich of a mean: cluster sums of residuals, with the factor G/(G-1) · (n-1)/(n-1)."""
    outcomes, clusters = [1, 1, 1, 0, 0, 1, 0, 1], list("aaabbccd")
    estimate = clustered_mean(outcomes, clusters)
    residuals = np.array(outcomes) - np.mean(outcomes)
    sums = [residuals[[c == name for c in clusters]].sum() for name in "abcd"]
    assert estimate.se == pytest.approx(math.sqrt(4 / 3 * np.square(sums).sum()) / 8)
    assert estimate.naive_se == pytest.approx(np.std(outcomes, ddof=1) / math.sqrt(8))
    assert estimate.interval95 == pytest.approx(
        tuple(np.mean(outcomes) + s * 3.182446305 * estimate.se for s in (-1, 1))
    )
    assert (estimate.mean, estimate.n, estimate.n_clusters) == (0.625, 8, 4)


def test_one_question_a_video_is_the_plain_error():
    outcomes = [1, 0, 1, 1, 0, 1]
    estimate = clustered_mean(outcomes, range(6))
    assert estimate.se == pytest.approx(estimate.naive_se) == pytest.approx(np.std(outcomes, ddof=1) / math.sqrt(6))


def test_clustered_intervals_hold_the_truth_and_naive_ones_do_not():
    """60 videos with 5 questions each; what a video is like is shared. 1,000 worlds."""
    rng, clustered, naive = np.random.default_rng(6), [], []
    videos = np.repeat(np.arange(60), 5)
    for _ in range(1000):
        ease = rng.beta(1, 1, 60)
        estimate = clustered_mean(rng.random(300) < ease[videos], videos)
        clustered.append(estimate.interval95[0] <= 0.5 <= estimate.interval95[1])
        naive.append(abs(estimate.mean - 0.5) <= 1.96 * estimate.naive_se)
    assert 0.93 < np.mean(clustered) < 0.97 and np.mean(naive) < 0.88


@pytest.mark.parametrize(
    ("outcomes", "clusters"), [([1, 0], ["a"]), ([1, 0], ["a", "a"]), ([1, math.nan], "ab"), ([1, 0], ["a", None])]
)
def test_what_has_no_clustered_error(outcomes, clusters):
    with pytest.raises(ValueError, match="expected a finite number and a video each"):
        clustered_mean(outcomes, clusters)


# --- a mean over dependent axes

N_QUESTIONS = {"correctness": 4, "detail": 4, "context": 4, "temporal": 1, "consistency": 1}  # about each video


def axes_world(rng, n_videos: int, *, shared: float):
    """(scores, videos, axes) of true mean 2.5 on each axis; a third of the videos has no temporal question."""
    rows = []
    for video in range(n_videos):
        ease = shared * rng.normal()
        rows += [
            (2.5 + ease + rng.normal(0, 0.4), video, axis)
            for axis, n in N_QUESTIONS.items()
            for _ in range(n)
            if axis != "temporal" or video % 3
        ]
    return tuple(map(np.array, zip(*rows, strict=True)))


def mean_of_means(scores, axes) -> float:
    return float(np.mean([scores[axes == axis].mean() for axis in N_QUESTIONS]))


def test_a_mean_of_means_by_hand():
    """Two axes, three videos; what each video adds to the value, squared and summed."""
    estimate = clustered_mean([4, 2, 0, 5, 1], list("aabac"), ["x", "x", "x", "y", "y"])
    # x: mean 2 of a, a, b; y: mean 3 of a, c
    u = np.array([((4 - 2) + (2 - 2)) / 3 + (5 - 3) / 2, (0 - 2) / 3, (1 - 3) / 2]) / 2
    assert (estimate.mean, estimate.n, estimate.n_clusters) == (2.5, 5, 3)
    assert estimate.se == pytest.approx(math.sqrt(3 / 2 * 4 / 3 * (u**2).sum()))
    assert estimate.naive_se == pytest.approx(math.sqrt(5 / 3 * (8 / 9 + 8 / 4)) / 2)
    assert estimate.interval95 == pytest.approx(tuple(2.5 + s * 4.302652730 * estimate.se for s in (-1, 1)))


def test_one_part_is_the_clustered_mean():
    scores, videos, _ = axes_world(np.random.default_rng(0), 20, shared=1)
    one, plain = clustered_mean(scores, videos, ["all"] * len(scores)), clustered_mean(scores, videos)
    assert (one.mean, one.se, *one.interval95) == pytest.approx((plain.mean, plain.se, *plain.interval95))
    assert one.naive_se == pytest.approx(plain.naive_se)


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_a_mean_of_means_is_as_wide_as_a_bootstrap_over_videos(shared):
    """Videos resampled with all about them. Axes taken as independent would be half as wide where shared."""
    rng = np.random.default_rng(1)
    scores, videos, axes = axes_world(rng, 150, shared=shared)
    estimate = clustered_mean(scores, videos, axes)
    assert estimate.mean == pytest.approx(mean_of_means(scores, axes)) != pytest.approx(scores.mean())
    of = [np.flatnonzero(videos == video) for video in range(150)]
    resampled = []
    for _ in range(2000):
        rows = np.concatenate([of[video] for video in rng.integers(0, 150, 150)])
        resampled.append(mean_of_means(scores[rows], axes[rows]))
    assert estimate.se == pytest.approx(np.std(resampled), rel=0.06)
    assert estimate.interval95 == pytest.approx(
        tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.15 * estimate.se * 2
    )
    alone = [clustered_mean(scores[axes == axis], videos[axes == axis]).se for axis in N_QUESTIONS]
    apart = math.sqrt(np.square(alone).sum()) / len(N_QUESTIONS)
    assert apart == pytest.approx(estimate.se, rel=0.1) if not shared else apart < 0.55 * estimate.se


def test_the_interval_of_a_mean_of_means_holds_the_truth():
    """400 worlds of 40 videos; as if all scores were independent, few intervals do."""
    rng, hits = np.random.default_rng(2), np.zeros(2)
    for _ in range(400):
        estimate = clustered_mean(*axes_world(rng, 40, shared=1))
        hits += [
            estimate.interval95[0] < 2.5 < estimate.interval95[1],
            abs(estimate.mean - 2.5) < 1.96 * estimate.naive_se,
        ]
    assert 0.92 < hits[0] / 400 < 0.975 and hits[1] / 400 < 0.65


@pytest.mark.parametrize(
    ("outcomes", "videos", "parts"),
    [
        ([1, 0], "ab", "x"),
        ([1, 0, 1], "aba", "xxy"),
        ([1, math.nan], "ab", "xx"),
        ([1, 0], ["a", None], "xx"),
        ([], [], []),
    ],
)
def test_what_has_no_mean_of_means(outcomes, videos, parts):
    with pytest.raises(ValueError, match="two videos or more in each part"):
        clustered_mean(outcomes, list(videos), list(parts))


# --- several training seeds


def recipes(rng, n_seeds, n_clips, spread):
    """Two recipes without a true difference: each seed's model has its own accuracy, clips their own difficulty."""
    ease = rng.normal(0, 0.15, n_clips)
    return [rng.random((n_seeds, n_clips)) < 0.6 + rng.normal(0, spread, (n_seeds, 1)) + ease for _ in range(2)]


def test_nested_intervals_hold_the_truth_where_clips_alone_do_not(few):
    """No true difference, seeds 6 points apart, 8 seeds, 200 clips; over clips alone the interval is far too narrow."""
    rng, nested, clips_only = np.random.default_rng(7), [], []
    for k in range(150):
        a, b = recipes(rng, 8, 200, 0.06)
        estimate = nested_bootstrap(a, b, seed=k)
        nested.append(estimate.low <= 0 <= estimate.high)
        gains = b.mean(0) - a.mean(0)
        clips_only.append(abs(gains.mean()) <= 1.96 * gains.std(ddof=1) / math.sqrt(200))
    assert np.mean(nested) > 0.9 > 0.75 > np.mean(clips_only)


def test_nested_bootstrap_draws_seeds_and_clips(few):
    """All clips alike: only seeds vary. All seeds alike: only clips vary. Both in closed form."""
    seeds = np.repeat([[0.0], [1.0]], 50, 1)
    only_seeds = nested_bootstrap(seeds, seeds)
    assert (only_seeds.value, only_seeds.low, only_seeds.high) == pytest.approx((0, -1, 1))
    rng = np.random.default_rng(8)
    a, b = (np.repeat(rng.random((1, 400)) < p, 2, 0) for p in (0.5, 0.6))
    estimate, gains = nested_bootstrap(a, b), (b[0].astype(float) - a[0])
    half = 1.96 * gains.std() / math.sqrt(400)
    assert (estimate.low, estimate.high) == pytest.approx((gains.mean() - half, gains.mean() + half), abs=0.012)
    assert estimate.value == pytest.approx(gains.mean())


def test_the_same_clips_move_together_in_both_recipes(few):
    """Two recipes of equal models differ nowhere, whatever the clips drawn."""
    right = np.repeat(np.random.default_rng(9).random((1, 30)) < 0.5, 3, 0)
    estimate = nested_bootstrap(right, right)
    assert (estimate.low, estimate.high) == pytest.approx((0, 0), abs=1e-12)


def test_what_has_no_nested_interval():
    with pytest.raises(ValueError, match="compare_arms"):
        nested_bootstrap([[1, 0]], [[1, 0], [1, 1]])
    with pytest.raises(ValueError, match="same clips"):
        nested_bootstrap([[1, 0], [1, 0]], [[1], [1]])
    with pytest.raises(ValueError, match="not a finite number"):
        nested_bootstrap([[1, 0], [1, 0]], [[1, float("nan")], [1, 1]])
