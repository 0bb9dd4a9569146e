"""Replies joined with items, what items are worth together, and how sure their mean is."""

from pathlib import Path

import numpy as np
import pytest

from llamavid_kit.evaluation.benchmarks.base import Item, clustered_interval, joined, part
from llamavid_kit.evaluation.statistics import wilson


def test_replies_are_joined_by_id():
    items = [Item(name, Path("x.png"), "", "") for name in ("a", "b", "c")]
    assert joined(items, lines("c3 a1 b2")) == {"a": "1", "b": "2", "c": "3"}
    for told, message in (
        ("a1 b2", r"1 missing \(c\)"),
        ("a1 b2 c3 a4", r"1 doubled \(a\)"),
        ("a1 b2 c3 d4", r"1 unknown \(d\)"),
    ):
        with pytest.raises(ValueError, match=message):
            joined(items, lines(told))


def lines(told: str) -> list[dict[str, str]]:
    return [{"id": name, "reply": reply} for name, reply in told.split()]


def test_only_whole_outcomes_are_counted_as_right():
    assert part([0.5, 1.0]).k is None and part([0.0, 1.0]).k == 1


def spread(n_pictures: int, each: int, *, shared: float, seed: int = 0):
    """Outcomes and clusters of pictures whose questions are all right or all wrong together with chance `shared`."""
    rng = np.random.default_rng(seed)
    outcomes, clusters = {}, {}
    for p in range(n_pictures):
        together, alike = rng.random() < 0.6, rng.random() < shared
        for k in range(each):
            outcomes[f"{p}-{k}"] = float(together if alike else rng.random() < 0.6)
            clusters[f"{p}-{k}"] = f"p{p}"
    return outcomes, clusters


def as_if_independent(outcomes, clusters):
    """Too narrow where several items share a picture."""
    return wilson(int(sum(outcomes.values())), len(outcomes))


def test_one_question_a_picture_is_wilsons():
    outcomes, clusters = spread(40, 1, shared=0)
    assert clustered_interval(outcomes, clusters) == wilson(int(sum(outcomes.values())), 40)


def test_shared_pictures_widen_the_interval():
    """Six questions that are all right or all wrong together say as much as one."""
    outcomes, clusters = spread(60, 6, shared=1)
    low, high = clustered_interval(outcomes, clusters)
    of_pictures = wilson(round(sum(outcomes.values()) / 6), 60)
    assert high - low == pytest.approx(of_pictures[1] - of_pictures[0], rel=0.1)
    naive = as_if_independent(outcomes, clusters)
    assert high - low > 2.2 * (naive[1] - naive[0])


def test_it_holds_what_it_promises():
    """95% of intervals hold the truth, where Wilson's over all items hold far fewer."""
    hits = np.zeros(2)
    for seed in range(300):
        outcomes, clusters = spread(50, 6, shared=0.8, seed=seed)
        for k, interval in enumerate((clustered_interval, as_if_independent)):
            low, high = interval(outcomes, clusters)
            hits[k] += low <= 0.6 <= high
    assert hits[0] / 300 > 0.91 and hits[1] / 300 < 0.75


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_alike_is_not_certain(value):
    low, high = clustered_interval(dict.fromkeys("abcd", value), dict(zip("abcd", "ppqq", strict=True)))
    assert (low, high) == wilson(2 * int(value), 2) and high - low > 0.5


def test_nothing_is_said_of_one_picture_or_equal_part_scores():
    assert clustered_interval({"a": 1.0, "b": 0.0}, {"a": "p", "b": "p"}) is None
    assert clustered_interval({"a": 0.3, "b": 0.3}, {"a": "p", "b": "q"}) is None
    low, high = clustered_interval({"a": 0.3, "b": 0.6, "c": 1.0}, {"a": "p", "b": "q", "c": "r"})
    assert 0 <= low < 0.63 < high <= 1  # a t interval of three, cut
