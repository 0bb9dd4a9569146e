"""Intervals and tests against closed forms, published values and a second way to compute them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from llamavid_kit.sampling import sample_times
from llamavid_kit.statistics import (
    calibration,
    compare_arms,
    equivalent,
    holm,
    mcnemar_exact,
    n_samples_in,
    paired_interval,
    visibility_curve,
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


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match="0 to 1"):
        holm([0.2, float("nan")])


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


@given(st.integers(0, 200), st.integers(1, 120), st.integers(0, 60), st.sampled_from([1, 2, 3, 6, 30]))
def test_events_against_the_sampler(start, length, rest, fps):
    """Second way: sample a clip of 30 frames a second by time, and count the chosen frames inside the event."""
    n = start + length + rest
    chosen = sample_times(np.arange(n) / 30, n / 30, fps)
    inside = int(((chosen >= start) & (chosen < start + length)).sum())
    assert n_samples_in((start / 30, (start + length) / 30), fps) == inside


@given(
    st.fractions(0, 20, max_denominator=30), st.fractions(Fraction(1, 30), 5, max_denominator=30), st.integers(1, 12)
)
def test_an_event_longer_than_the_gap_is_always_seen(start, length, fps):
    if length * fps >= 1 + Fraction(fps, 500):
        assert n_samples_in((float(start), float(start + length)), fps) >= 1


def test_expected_share_is_the_average_over_phases():
    """Events of 0.25 s starting at every 1/1000 s: the grid of 2 fps shows half of them, d·f = 0.5."""
    events = [(1 + i / 1000 + 0.0005, 1.25 + i / 1000 + 0.0005) for i in range(1000)]
    curve = visibility_curve(events, fps=[1, 2, 6])
    assert [point.expected for point in curve] == pytest.approx([0.25, 0.5, 1.0])
    assert [point.share for point in curve] == pytest.approx([0.25, 0.5, 1.0], abs=0.002)
    assert curve[1].wilson95 == wilson(curve[1].seen, 1000) and [p.fps for p in curve] == [1, 2, 6]


@pytest.mark.parametrize(
    ("events", "fps", "message"),
    [([], 1, "no events"), ([(1, 2)], 0, "fps=0"), ([(2, 1)], 1, "start_s"), ([(-1, 1)], 1, "start_s")],
)
def test_what_has_no_visibility(events, fps, message):
    with pytest.raises(ValueError, match=message):
        visibility_curve(events, fps=[fps])


def test_equivalence_needs_evidence():
    """Against the exact tails: near chance with few clips is not enough, far from it never."""
    cases = ((30, 330, 1 / 11, 0.05), (3, 33, 1 / 11, 0.05), (50, 330, 1 / 11, 0.05), (0, 330, 0.03, 0.05))
    for k, n, chance, margin in cases:
        above = binom.sf(k - 1, n, max(chance - margin, 1e-9))  # would so many be odd at the lower bound?
        below = binom.cdf(k, n, chance + margin)
        assert equivalent(k, n, chance=chance, margin=margin) == (max(above, below) < 0.05)
    assert equivalent(30, 330, chance=1 / 11, margin=0.05) and not equivalent(3, 33, chance=1 / 11, margin=0.05)
    assert not equivalent(50, 330, chance=1 / 11, margin=0.05)
    with pytest.raises(ValueError, match="k=4, n=3"):
        equivalent(4, 3, chance=0.5, margin=0.1)


def test_calibration_by_hand():
    error, rows = calibration([0.95, 0.91, 0.55, 0.15, 1.0], [True, False, True, False, True])
    assert rows == [(0.1, 0.2, 1, 0.15, 0.0), (0.5, 0.6, 1, 0.55, 1.0), (0.9, 1.0, 3, pytest.approx(2.86 / 3), 2 / 3)]
    assert error == pytest.approx((0.15 + 0.45 + (2.86 - 2)) / 5)
    rng = np.random.default_rng(0)
    said = rng.uniform(size=20_000)
    assert calibration(said, rng.uniform(size=20_000) < said)[0] < 0.02  # a model that knows what it knows
    for bad in (([], []), ([0.5], [True, False]), ([1.5], [True])):
        with pytest.raises(ValueError, match="0 to 1"):
            calibration(*bad)
