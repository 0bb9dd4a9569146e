"""POPE: how a yes and a no are read, the mean of three F1, and its interval."""

import re
from pathlib import Path

import numpy as np
import pytest
from scripted_model import run

from llamavid_kit.evaluation.benchmarks import pope
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.pope import answer_of, counts
from llamavid_kit.evaluation.benchmarks.run import RESULT
from llamavid_kit.evaluation.benchmarks.table import table


@pytest.mark.parametrize(
    ("reply", "original", "strict"),
    [
        ("NO", "yes", "no"),
        ("", "yes", None),
        ("nothing", "yes", None),
        ("There is no dog", "no", None),
        ("Yes, there is", "yes", "yes"),
        ("**No**", "yes", "no"),
        ("No.", "no", "no"),
        ("<think>No?</think>Yes</s>", "yes", "yes"),
    ],
)
def test_pope_original_guesses_yes_where_strict_has_no_answer(reply, original, strict):
    assert (answer_of(reply, mode="original"), answer_of(reply, mode="strict")) == (original, strict)


def test_pope_counts_without_any_yes():
    """The original divides by zero; no answer is neither a yes nor a no, and wrong."""
    numbers = counts([("no", "yes"), (None, "no"), ("no", "no")])
    assert (numbers["TP"], numbers["FP"], numbers["TN"], numbers["FN"]) == (0, 0, 1, 1)
    assert numbers["F1 score"] == numbers["Precision"] == 0 and numbers["Accuracy"] == pytest.approx(1 / 3)


def test_a_comma_belongs_to_no_word():
    assert answer_of("No, a dog", mode="original") == "no" and answer_of("No; a dog", mode="original") == "yes"


def test_pope_is_the_mean_of_as_many_f1_as_there_are_categories():
    """F1 1 of one question and 2/3 of three: the categories weigh alike, whatever their sizes."""
    truth = {"a": ("yes", "popular"), "b": ("yes", "random"), "c": ("no", "random"), "d": ("no", "random")}
    items = [Item(k, Path(f"{k}.jpg"), "", "", (label,), split=split) for k, (label, split) in truth.items()]
    score = pope.score(items, {"a": "Yes", "b": "yes", "c": "Yes.", "d": "No"}, mode="original")
    assert score.value == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert {n: (p.n, p.k) for n, p in score.parts.items()} == {"popular": (1, 1), "random": (3, 2)}


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
    intervals = pope.f1_intervals(items, answers)
    assert list(intervals) == ["", *pope.CATEGORIES]
    assert np.array(list(intervals.values())) == pytest.approx(by_hand(items, answers), abs=1.2)


def test_popes_row_names_both_quantities(tmp_path):
    """The F1 with its interval, then the share right with another."""
    replies = iter(["Yes", "No", "No", "Yes"] * 3)
    result, _, _ = run("pope", tmp_path, replies=lambda _: next(replies))
    score = result.scores["original"]
    low, high = score.interval95
    assert low <= score.value <= high
    row = next(line for line in table(result, image_size=224).split("\n") if "scorer: original" in line)
    number = r"(\d+\.\d)"
    match = re.search(rf"% \[{number}, {number}\]  mean of the categories' F1.*right = .*% \[{number}, {number}\]", row)
    assert [float(x) for x in match.groups()[:2]] == pytest.approx([low, high], abs=0.051)
    assert [float(x) for x in match.groups()[2:]] == pytest.approx(result.intervals["original"][""], abs=0.051)
    assert '"interval95": [' in (tmp_path / "out" / RESULT).read_text()


def test_popes_certain_cases_have_no_interval(tmp_path):
    """All right: no draw differs. No yes anywhere: no F1, and no warning either."""
    result, _, _ = run("pope", tmp_path)
    assert result.scores["original"].value == 100 and result.scores["original"].interval95 is None
    items, answers = answered(4)
    assert set(pope.f1_intervals(items, dict.fromkeys(answers, "no")).values()) == {None}
