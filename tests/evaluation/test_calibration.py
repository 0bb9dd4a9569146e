"""Likelihoods of closed choices: two rules, calibration, places, orders; each against a second way to count."""

import math

import numpy as np
import pytest

from llamavid_kit.evaluation.calibration import (
    calibration,
    calibration_error,
    choice_scores,
    choose,
    order_changes,
    position_bias,
)
from llamavid_kit.evaluation.statistics import RESAMPLES

ABC = ["a", "b", "c"]


def test_raw_and_per_token_by_hand():
    """Three tokens at 1/2 each are unlikelier than one at 1/5, and likelier a token."""
    logs = np.log([[0.5**3, 0.2, 0.05]])
    lengths = np.array([[3, 1, 2]])
    raw, per_token = (choice_scores(logs, lengths, rule=rule) for rule in ("raw", "per token"))
    assert choose(raw)[0].tolist() == [1] and choose(per_token)[0].tolist() == [0]
    assert choose(raw)[1] == pytest.approx([0.2 / (0.125 + 0.2 + 0.05)])
    geometric = [0.5, 0.2, math.sqrt(0.05)]
    assert choose(per_token)[1] == pytest.approx([0.5 / sum(geometric)])


def test_choices_of_equal_length_give_the_same_label_by_either_rule():
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 50))
    lengths = np.full(logs.shape, 3)
    labels = [choose(choice_scores(logs, lengths, rule=rule))[0] for rule in ("raw", "per token")]
    assert (labels[0] == labels[1]).all()


@pytest.mark.parametrize(
    ("logs", "lengths", "rule", "message"),
    [
        ([[-1.0]], None, "per token", "needs how many tokens"),
        ([[-1.0]], [[0]], "per token", "needs how many tokens"),
        ([[-1.0, -2.0]], [[1]], "per token", "needs how many tokens"),
        ([[-1.0]], None, "best", "rule='best'"),
        ([[0.1]], None, "raw", "at most 0"),
        ([[float("nan")]], None, "raw", "finite"),
        ([-1.0], None, "raw", "clips"),
    ],
)
def test_scores_that_cannot_be_made(logs, lengths, rule, message):
    with pytest.raises(ValueError, match=message):
        choice_scores(np.array(logs), None if lengths is None else np.array(lengths), rule=rule)


# --- calibration


def world(n, over=0.0, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(2, 1.2, n)
    return confidence, rng.random(n) < np.clip(confidence - over, 0, 1)


def test_a_calibrated_model_is_told_apart_from_an_overconfident_one():
    """Perfect calibration: the error is what luck gives, and 0 is in the interval; 20 points too sure: neither."""
    calm, sure = calibration_error(*world(300, seed=1)), calibration_error(*world(300, over=0.2))
    assert calm.error <= calm.if_calibrated and calm.interval95[0] == 0
    assert sure.error > sure.if_calibrated and sure.interval95[0] > 0.1
    assert sure.interval95[0] < 0.2 < sure.interval95[1] and sure.confidence > sure.accuracy


def test_the_error_is_that_of_the_bins():
    confidence, right = world(200, over=0.1)
    calibrated = calibration_error(confidence, right)
    by_bin = [(confidence >= k / 10) & (confidence < (k + 1) / 10) for k in range(10)]
    expected = sum(abs(right[b].mean() - confidence[b].mean()) * b.mean() for b in by_bin if b.any())
    assert (
        calibrated.error == pytest.approx(expected)
        and sum(n for _, _, n, _, _ in calibrated.bins) == calibrated.n == 200
    )


def test_calibration_by_hand():
    error, rows = calibration([0.95, 0.91, 0.55, 0.15, 1.0], [True, False, True, False, True])
    assert rows == [(0.1, 0.2, 1, 0.15, 0.0), (0.5, 0.6, 1, 0.55, 1.0), (0.9, 1.0, 3, pytest.approx(2.86 / 3), 2 / 3)]
    assert error == pytest.approx((0.15 + 0.45 + (2.86 - 2)) / 5)
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=20_000)
    assert calibration(confidence, rng.uniform(size=20_000) < confidence)[0] < 0.02  # a model that knows what it knows
    for bad in (([], []), ([0.5], [True, False]), ([1.5], [True])):
        with pytest.raises(ValueError, match="0 to 1"):
            calibration(*bad)


def test_what_luck_gives_is_simulated_rightly():
    """Worlds in which the same probabilities are true: the error stays below it in 95% of them."""
    confidence, _ = world(150)
    by_luck = calibration_error(confidence, confidence > 0.5).if_calibrated
    rng = np.random.default_rng(9)
    below = [calibration_errors_of(confidence, rng.random(150) < confidence) <= by_luck for _ in range(2000)]
    assert np.mean(below) == pytest.approx(0.95, abs=0.015)


def calibration_errors_of(confidence, right):
    bins = np.minimum((confidence * 10).astype(int), 9)
    return sum(abs(sum(right[bins == k] - confidence[bins == k])) for k in range(10)) / len(confidence)


def test_a_calibrated_model_is_not_accused_too_often():
    """The interval holds 0 in about 95% of calibrated worlds; a percentile interval never would."""
    held = [calibration_error(*world(100, seed=k)).interval95[0] == 0 for k in range(100)]
    assert sum(held) >= 88


def test_one_clip_says_nothing():
    assert calibration_error([0.7], [True]).interval95 == (0.0, 1.0)


# --- places


def test_places_by_hand():
    orders = [ABC, ["c", "a", "b"], ["b", "c", "a"], ABC]
    bias = position_bias(orders, ["a", "c", None, "c"], ["a", "a", "b", "b"])
    assert (bias.n, bias.chosen, bias.true) == (3, (2, 0, 1), (1, 2, 0))
    assert (bias.first.chosen, bias.first.true, bias.first.difference) == (2, 1, pytest.approx(1 / 3))
    assert (bias.last.chosen, bias.last.true, bias.last.difference) == (1, 0, pytest.approx(1 / 3))
    low, high = bias.first.interval95
    assert low < 1 / 3 < high


def shuffled_world(rng, n, pulled):
    """Clips whose options are shuffled: a share `pulled` takes the first option, the others always say "a"."""
    orders = [list(rng.permutation(list("abcde"))) for _ in range(n)]
    chosen = [order[0] if rng.random() < pulled else "a" for order in orders]
    return orders, chosen, [str(rng.choice(list("abcde"))) for _ in range(n)]


def test_a_favourite_label_is_no_favourite_place():
    """With shuffled options "always a" falls evenly, and the test is false in about 5% of such worlds."""
    p = [position_bias(*shuffled_world(np.random.default_rng(k), 60, 0.0)).p for k in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1 and min(p) >= 1 / (1 + RESAMPLES)


def test_a_favourite_place_is_found():
    bias = position_bias(*shuffled_world(np.random.default_rng(0), 200, 0.3))
    assert bias.p < 0.001 and bias.first.interval95[0] > 0.1 and bias.last.interval95[0] < 0


@pytest.mark.parametrize(
    ("orders", "chosen", "truths", "message"),
    [
        ([ABC], ["d"], ["a"], "'d' is not among"),
        ([ABC], ["a"], ["d"], "'d' is not among"),
        ([ABC], [None], ["a"], "0 clips with a choice"),
        ([ABC, ABC[:2]], ["a", "a"], ["a", "a"], "all of as many"),
        ([ABC], ["a", "b"], ["a"], "argument 2 is longer"),
    ],
)
def test_places_that_cannot_be_counted(orders, chosen, truths, message):
    with pytest.raises(ValueError, match=message):
        position_bias(orders, chosen, truths)


# --- orders


def test_changes_with_the_order_by_hand():
    """Right to wrong, wrong to right, wrong to wrong, no label to a label, no change, and a shuffle that is none."""
    first, second = [ABC] * 7, [["c", "b", "a"]] * 6 + [ABC]
    a, b = ["a", "a", "b", "b", None, "a", "a"], ["b", "c", "a", "c", "b", "a", "b"]
    changes = order_changes((first, second), (a, b), ["a"] * 7)
    assert (changes.n, changes.changed, changes.to_right, changes.to_wrong, changes.same_order) == (6, 5, 1, 2, 1)
    low, high = changes.wilson95
    assert low < 5 / 6 < high
    same = order_changes((first, second), (a, a), ["a"] * 7)
    assert (same.changed, same.wilson95[0]) == (0, 0.0)
