"""Which number of a row an interval belongs to, and that questions about one picture are not counted twice."""

import re
from pathlib import Path

import numpy as np
import pytest
from made_up_benchmarks import MAKERS
from scripted_model import made, run

from llamavid_kit.evaluation.benchmarks import pope
from llamavid_kit.evaluation.benchmarks.base import Item, clustered_interval, wilson_interval
from llamavid_kit.evaluation.benchmarks.run import RESULT, score_run
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.statistics import wilson


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


def test_one_question_a_picture_is_wilsons():
    outcomes, clusters = spread(40, 1, shared=0)
    assert clustered_interval(outcomes, clusters) == wilson(int(sum(outcomes.values())), 40)


def test_shared_pictures_widen_the_interval():
    """Six questions that are all right or all wrong together say as much as one."""
    outcomes, clusters = spread(60, 6, shared=1)
    low, high = clustered_interval(outcomes, clusters)
    of_pictures = wilson(round(sum(outcomes.values()) / 6), 60)
    assert high - low == pytest.approx(of_pictures[1] - of_pictures[0], rel=0.1)
    naive = wilson_interval(outcomes, clusters)
    assert high - low > 2.2 * (naive[1] - naive[0])


def test_it_holds_what_it_promises():
    """95% of intervals hold the truth, where Wilson's over all items hold far fewer."""
    hits = np.zeros(2)
    for seed in range(300):
        outcomes, clusters = spread(50, 6, shared=0.8, seed=seed)
        for k, interval in enumerate((clustered_interval, wilson_interval)):
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


def answered(n_pictures: int = 24, seed: int = 3):
    """POPE items with replies that are right in three of four."""
    rng, items, answers = np.random.default_rng(seed), [], {}
    for p in range(n_pictures):
        for category in pope.CATEGORIES:
            for k in range(2):
                truth = str(rng.choice(["yes", "no"]))
                item = Item(f"{category}-{p}-{k}", Path(f"p{p}.png"), "?", "?", (truth,), split=category)
                other = "no" if truth == "yes" else "yes"
                items.append(item)
                answers[item.id] = truth if rng.random() < 0.75 else None if rng.random() < 0.2 else other
    return items, answers


def by_hand(items, answers, n=3000):
    """Pictures drawn with all their questions, each draw scored by `pope.counts`."""
    rng = np.random.default_rng(1)
    pictures = sorted({item.group for item in items})
    of = {p: [i for i in items if i.group == p] for p in pictures}
    drawn = []
    for _ in range(n):
        chosen = [i for p in rng.choice(pictures, len(pictures)) for i in of[p]]
        f1 = [
            pope.counts([(answers[i.id], i.answers[0]) for i in chosen if i.split == category])["F1 score"]
            for category in pope.CATEGORIES
        ]
        drawn.append([np.mean(f1), *f1])
    return 100 * np.quantile(drawn, [0.025, 0.975], axis=0).T


def test_popes_interval_is_of_the_f1_that_is_printed():
    items, answers = answered()
    found = pope.f1_intervals(items, answers)
    assert list(found) == ["", *pope.CATEGORIES]
    assert np.array(list(found.values())) == pytest.approx(by_hand(items, answers), abs=1.2)


def test_popes_row_names_both_quantities(tmp_path):
    """The F1 with its interval, then the share right with another."""
    replies = iter(["Yes", "No", "No", "Yes"] * 3)
    result, _, _ = run("pope", tmp_path, replies=lambda _: next(replies))
    score = result.scores["original"]
    low, high = score.interval95
    assert low <= score.value <= high
    row = next(line for line in table(result, image_size=224).split("\n") if "scorer: original" in line)
    number = r"(\d+\.\d)"
    found = re.search(rf"% \[{number}, {number}\]  mean of the categories' F1.*right = .*% \[{number}, {number}\]", row)
    assert [float(x) for x in found.groups()[:2]] == pytest.approx([low, high], abs=0.051)
    assert [float(x) for x in found.groups()[2:]] == pytest.approx(result.intervals["original"][""], abs=0.051)
    assert '"interval95": [' in (tmp_path / "out" / RESULT).read_text()


def test_popes_certain_cases_have_no_interval(tmp_path):
    """All right: no draw differs. No yes anywhere: no F1, and no warning either."""
    result, _, _ = run("pope", tmp_path)
    assert result.scores["original"].value == 100 and result.scores["original"].interval95 is None
    items, answers = answered(4)
    assert set(pope.f1_intervals(items, dict.fromkeys(answers, "no")).values()) == {None}


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "mmbench"])
def test_the_interval_beside_a_value_is_of_that_value(name, tmp_path):
    """Where a row gives no interval of its own for the value, the mean of the outcomes is the value."""
    result, _, _ = run(name, tmp_path, replies=lambda text: text if len(text) % 2 else "red")
    for score in result.scores.values():
        if score.value is not None and score.outcomes and name != "pope":
            assert score.interval95 is None
            assert score.value == pytest.approx(100 * sum(score.outcomes.values()) / len(score.outcomes))


def test_wilson_can_still_be_asked_for(tmp_path):
    result, _, items = run("pope", tmp_path)
    again = score_run(result.benchmark, items, tmp_path / "out" / "replies.jsonl", interval=wilson_interval)
    assert again.intervals["original"][""] == tuple(100 * x for x in wilson(12, 12))
    assert again.note == "intervals as if 12 items about 4 pictures or clips were independent: too narrow"
    assert made("gqa", tmp_path / "gqa")[1][0].group == "n0.png"
