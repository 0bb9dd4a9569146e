"""Power against simulation of the test itself, and against small cases counted by hand."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

from llamavid_kit.evaluation import power
from llamavid_kit.evaluation.power import clips_needed, mcnemar_power
from llamavid_kit.evaluation.statistics import mcnemar_exact


def simulated(n, a, b, *, level=0.05, draws=20_000):
    """How often the test itself rejects on drawn clips; each split is tested once."""
    rows, times = np.unique(
        np.random.default_rng(0).multinomial(n, [a, b, 1 - a - b], draws), axis=0, return_counts=True
    )
    return sum(k for (x, y, _), k in zip(rows, times, strict=True) if mcnemar_exact(int(x), int(y)) <= level) / draws


@pytest.mark.parametrize(
    ("n", "a", "b"), [(242, 4 / 242, 12 / 242), (60, 0.02, 0.2), (300, 0.1, 0.1), (500, 0.2, 0.13), (40, 0, 0.12)]
)
def test_against_simulation(n, a, b):
    """20,000 draws have a standard error of at most 0.35 points."""
    assert mcnemar_power(n, a, b) == pytest.approx(simulated(n, a, b), abs=0.012)


def test_another_level():
    assert mcnemar_power(200, 0.02, 0.08, level=0.01) == pytest.approx(
        simulated(200, 0.02, 0.08, level=0.01), abs=0.012
    )


@given(st.integers(1, 14), st.floats(0, 0.5), st.floats(0, 0.5))
@example(14, 0.0, 2.2250738585072014e-308)
@settings(max_examples=40, deadline=None)
def test_by_counting_every_outcome(n, a, b):
    sure = sum(
        multinomial.pmf([x, y, n - x - y], n, [a, b, 1 - a - b])
        for x in range(n + 1)
        for y in range(n + 1 - x)
        if mcnemar_exact(x, y) <= 0.05
    )
    assert mcnemar_power(n, a, b) == pytest.approx(sure if a + b else 0, abs=1e-9)


@given(st.integers(0, 400), st.floats(0.001, 0.3))
@settings(max_examples=100, deadline=None)
def test_the_bound_is_where_the_test_turns(m, level):
    k = int(power._largest_rejected(np.array([m]), level)[0])
    assert k < 0 or mcnemar_exact(k, m - k) <= level
    assert 2 * (k + 1) > m or mcnemar_exact(k + 1, m - k - 1) > level


@pytest.mark.parametrize(("m", "p"), [(2, 1 / 2), (5, 1 / 16), (6, 1 / 32)])
def test_a_p_that_equals_the_level_rejects(m, p):
    """m clips that all favour one arm have p = 2 / 2^m."""
    assert mcnemar_power(m, 0, 1, level=p) == 1 and mcnemar_power(m, 0, 1, level=0.999 * p) == 0


def test_the_test_keeps_its_level():
    for n in (50, 242, 1000):
        assert mcnemar_power(n, 0.05, 0.05) <= 0.05


def test_clips_needed_is_the_crossing():
    for a, b, aim in ((4 / 242, 12 / 242, 0.8), (0.05, 0.15, 0.9), (0, 0.3, 0.8), (0.3, 0.2, 0.5)):
        n = clips_needed(a, b, power=aim)
        assert mcnemar_power(n, a, b) >= aim > mcnemar_power(n - 1, a, b)
        assert all(mcnemar_power(fewer, a, b) < aim + 0.02 for fewer in range(max(1, n - 30), n))
        assert n == clips_needed(b, a, power=aim)
    assert clips_needed(0.01, 0.05, power=0.8) < clips_needed(0.01, 0.05, power=0.9)
    assert clips_needed(0.01, 0.05) < clips_needed(0.01, 0.05, level=0.01)
    assert simulated(clips_needed(0.02, 0.06), 0.02, 0.06) == pytest.approx(0.8, abs=0.012)


def test_no_smaller_number_does_where_the_power_goes_up_in_teeth():
    """Beside a search that tries every number."""
    for a, b, aim in (
        (0.3, 0.7, 0.8),
        (0.2, 0.8, 0.5),
        (0.4, 0.6, 0.9),
        (0.25, 0.75, 0.8),
        (0.1, 0.9, 0.5),
        (0, 1, 0.9),
        (0.45, 0.55, 0.5),
        (0.445, 0.545, 0.8),  # one clip of a hundred is not discordant, and there are teeth still
    ):
        first = next(n for n in range(1, 1000) if mcnemar_power(n, a, b) >= aim)
        assert clips_needed(a, b, power=aim) == clips_needed(b, a, power=aim) == first
    assert clips_needed(0.3, 0.7) == 49 and mcnemar_power(53, 0.3, 0.7) < 0.8 <= mcnemar_power(54, 0.3, 0.7)


def test_the_studys_difference_needs_about_500_clips():
    assert clips_needed(4 / 242, 12 / 242) == 510 and mcnemar_power(242, 4 / 242, 12 / 242) == pytest.approx(
        0.435, abs=1e-3
    )


def test_what_has_no_power():
    assert mcnemar_power(100, 0, 0) == 0
    for bad in ((0, 0.1, 0.2), (10, -0.1, 0.2), (10, 0.6, 0.6)):
        with pytest.raises(ValueError, match="sum to <= 1"):
            mcnemar_power(*bad)
    for level in (0, 1, 1.5):
        with pytest.raises(ValueError, match="level="):
            mcnemar_power(10, 0.1, 0.2, level=level)
    for bad in ((0.1, 0.1, 0.8), (0.1, 0.2, 0), (0.1, 0.2, 1), (0.1, 0.2, 1.5)):
        with pytest.raises(ValueError, match="different shares, and a power between 0 and 1"):
            clips_needed(*bad[:2], power=bad[2])
    with pytest.raises(ValueError, match="1,000,000 clips do not"):
        clips_needed(0.1, 0.1001)
