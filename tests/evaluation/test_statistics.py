"""Intervals and tests against closed forms, published values and a second way to compute them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from llamavid_kit.evaluation.statistics import (
    bootstrap_ratio,
    compare_arms,
    compare_scores,
    holm,
    mcnemar_exact,
    paired_interval,
    wilson,
)

Z = 1.959963984540054


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_its_formula(k_n):
    k, n = k_n
    p = k / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    low, high = wilson(k, n)
    assert low == pytest.approx(max(0, centre - half), abs=1e-9) and high == pytest.approx(
        min(1, centre + half), abs=1e-9
    )
    assert 0 <= low <= p <= high <= 1


def test_wilson_of_nothing_and_of_nonsense():
    assert wilson(0, 0) == (0.0, 1.0)
    for k, n in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match=f"k={k}, n={n}"):
            wilson(k, n)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_sign_test(only_a, only_b):
    n = only_a + only_b
    expected = binomtest(only_a, n, 0.5).pvalue if n else 1.0
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_the_study():
    assert mcnemar_exact(4, 12) == pytest.approx(2 * sum(math.comb(16, i) for i in range(5)) / 2**16)
    with pytest.raises(ValueError, match="only_a=-1"):
        mcnemar_exact(-1, 3)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_step_by_step(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    expected, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, p_values[i] * (len(p_values) - rank)))
        expected[i] = running
    assert holm(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("p_values", [[0.04], [0.5, 0.01, 0.03, 0.02], [0.9, 0.02, 0.02, 0.7, 1.0, 0.0]])
def test_holm_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_refuses_what_is_no_p_value():
    for bad in (float("nan"), -0.1, 1.1):
        with pytest.raises(ValueError, match="0 to 1"):
            holm([0.2, bad])


def test_tango_published_example():
    """Airway data of Fagerland, Lydersen and Laake (2014), n = 21, 1 against 7 discordant: -0.517 to -0.026."""
    assert paired_interval(7, 1, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_tango_without_discordant_clips_is_closed_form():
    for n in (1, 10, 242):
        bound = Z * Z / (n + Z * Z)
        assert paired_interval(0, 0, n) == pytest.approx((-bound, bound), abs=1e-9)


counts = st.integers(1, 300).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda a: st.tuples(st.just(a), st.integers(0, n - a), st.just(n)))
)


@given(counts)
def test_tango_inverts_the_score_test(case):
    a, b, n = case
    low, high = paired_interval(a, b, n)
    assert -1 <= low <= (b - a) / n <= high <= 1
    mirrored = paired_interval(b, a, n)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]), abs=1e-9)
    rejects = (b - a) ** 2 > Z * Z * (a + b) + 1e-6
    keeps = (b - a) ** 2 < Z * Z * (a + b) - 1e-6
    if rejects or keeps:
        assert rejects == (low > 0 or high < 0)


@pytest.mark.parametrize("only_a_only_b_n", [(0, 0, 0), (-1, 1, 5), (1, -1, 5), (3, 3, 5)])
def test_tango_refuses_what_no_clips_can_give(only_a_only_b_n):
    with pytest.raises(ValueError, match="only_a \\+ only_b <= n"):
        paired_interval(*only_a_only_b_n)


def test_tango_covers_the_truth():
    """3,000 draws of 100 clips with 10% and 20% discordant: the 95% interval holds the true difference 93-97% often."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(100, [0.1, 0.2, 0.7], size=3000)
    covered = [low <= 0.1 <= high for low, high in (paired_interval(int(a), int(b), 100) for a, b, _ in draws)]
    assert 0.93 < np.mean(covered) < 0.97


def test_two_arms_clip_by_clip():
    a = {"v1": True, "v2": True, "v3": False, "v4": False, "v5": True}
    b = {"v5": True, "v4": False, "v3": True, "v2": False, "v1": False}
    pair = compare_arms(a, b, names=("fps 1", "fps 6"))
    assert (pair.a, pair.b, pair.n, pair.both, pair.neither) == ("fps 1", "fps 6", 5, 1, 1)
    assert pair.only_a == ("v1", "v2") and pair.only_b == ("v3",)
    assert pair.difference == pytest.approx(-0.2) and pair.p == 1.0
    assert pair.interval95 == paired_interval(2, 1, 5) and "Tango" in pair.method


def test_arms_on_other_clips_are_refused():
    with pytest.raises(ValueError, match="only 'x' has v1; only 'y' has v3"):
        compare_arms({"v1": True, "v2": True}, {"v2": True, "v3": True}, names=("x", "y"))
    with pytest.raises(ValueError, match="at least one"):
        compare_arms({}, {})


def test_a_bootstrap_by_hand():
    """Two clips give four equally frequent resamples: means 0, 2, 2, 4."""
    assert bootstrap_ratio([0, 4], bounds=(0, 5)) == (0.0, 4.0)


def test_a_bootstrap_of_many_clips_is_nearly_the_normal_interval():
    values = np.random.default_rng(0).integers(0, 6, 2000)
    half = Z * values.std() / math.sqrt(2000)
    expected = (values.mean() - half, values.mean() + half)
    assert bootstrap_ratio(values, bounds=(0, 5)) == pytest.approx(expected, abs=0.01)


def test_a_ratio_is_resampled_by_clip_not_by_part():
    """Against numpy: the clip with most parts comes and goes as a whole."""
    parts, wholes = np.array([9, 0, 1, 1, 0]), np.array([10, 1, 1, 2, 3])
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, 5, (20_000, 5))
    expected = np.quantile(parts[drawn].sum(1) / wholes[drawn].sum(1), [0.025, 0.975])
    assert bootstrap_ratio(parts, wholes, bounds=(0, 1)) == pytest.approx(expected, abs=0.02)


def test_a_bootstrap_is_seeded_and_knows_its_limits():
    values = np.random.default_rng(2).random(40)  # many digits: other resamples give other quantiles
    once, again, other = (bootstrap_ratio(values, bounds=(0, 1), seed=seed) for seed in (0, 0, 1))
    assert once == again != other
    assert bootstrap_ratio([3], bounds=(0, 5)) == (0, 5) == bootstrap_ratio([], bounds=(0, 5))
    assert bootstrap_ratio([2, 2, 2], bounds=(0, 5)) == (2.0, 2.0)
    assert bootstrap_ratio([0, 1], [0, 1], bounds=(0, 1)) == (0.0, 1.0)  # a resample without a whole counts as 0
    with pytest.raises(ValueError, match="3 parts, 2 wholes"):
        bootstrap_ratio([1, 2, 3], [1, 2], bounds=(0, 1))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9))
def test_the_permutation_test_is_all_ways_to_change_places(scores):
    a, b = ({f"c{k}": pair[side] for k, pair in enumerate(scores)} for side in (0, 1))
    paired = compare_scores(a, b, top=5, names=("x", "y"))
    gains = [second - first for first, second in scores]
    ways = [
        abs(sum(g * sign for g, sign in zip(gains, signs, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(gains))
    ]
    assert paired.p == pytest.approx(sum(way >= abs(sum(gains)) for way in ways) / len(ways))
    assert paired.difference == pytest.approx(np.mean(gains)) and (paired.a, paired.b, paired.n) == ("x", "y", len(a))
    assert paired.interval95[0] <= paired.difference <= paired.interval95[1]
    back = compare_scores(b, a, top=5)
    assert back.p == pytest.approx(paired.p) and back.difference == -paired.difference


def test_scores_of_many_clips_against_the_normal_approximation():
    rng = np.random.default_rng(3)
    a = {k: int(v) for k, v in enumerate(rng.integers(0, 6, 400))}
    b = {k: min(5, v + int(rng.random() < 0.1)) - int(rng.random() < 0.06) for k, v in a.items()}
    gains = np.array([b[k] - a[k] for k in a])
    z = (abs(gains.sum()) - 1) / math.sqrt((gains**2).sum())  # 1: sums of these gains lie 2 apart
    assert compare_scores(a, b, top=5).p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.02)


def test_scores_are_compared_with_their_seed():
    rng = np.random.default_rng(4)
    a, b = ({k: int(score) for k, score in enumerate(rng.integers(0, 101, 60))} for _ in "ab")
    assert compare_scores(a, b, top=100) == compare_scores(a, b, top=100, seed=0)
    gains = [b[k] - a[k] for k in a]
    for seed in (0, 1):
        expected = bootstrap_ratio(gains, bounds=(-100, 100), seed=seed)
        assert compare_scores(a, b, top=100, seed=seed).interval95 == expected
    assert bootstrap_ratio(gains, bounds=(-100, 100)) == bootstrap_ratio(gains, bounds=(-100, 100), seed=0) != expected


def test_scores_are_paired_by_clip_whatever_the_order():
    a, b = {"x": 5, "y": 0, "z": 1}, {"z": 1, "y": 0, "x": 5}
    assert compare_scores(a, b, top=5).p == 1 and compare_scores(a, b, top=5).interval95 == (0, 0)
    with pytest.raises(ValueError, match="must answer the same clips.*only 'a' has z"):
        compare_scores(a, {"x": 1, "y": 2}, top=5)
    one = compare_scores({"x": 0}, {"x": 5}, top=5)
    assert (one.difference, one.interval95, one.p) == (5, (-5, 5), 1)


def test_a_comparison_as_a_row():
    a, b = {"x": True, "y": False, "z": False}, {"x": False, "y": True, "z": True}
    row = compare_arms(a, b, names=("one", "two")).to_dict()
    assert list(row) == ["a", "b", "n", "only_a", "only_b", "difference", "interval95", "p"]
    assert (row["a"], row["b"], row["n"], row["only_a"], row["only_b"]) == ("one", "two", 3, 1, 2)
