"""Rules on replies, and the table of an arm against counting by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamavid_kit.evaluation.scoring import NO_LABEL, RULE_TEXT, RULES, collapse, label_of, mentions, score
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.study.setup import CRIME, NORMAL

LABELS = ("Fire", "Fire Alarm", "Walk")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [  # exact, normalised, unique, first, last
        ("Arson", ["Arson"] * 5),
        ("arson.", [None] + ["Arson"] * 4),
        (' "Normal Video." ', [None] + [NORMAL] * 4),
        ("It shows road accidents.", [None, None] + ["Road Accident"] * 3),
        ("Not arson but shooting", [None, None, None, "Arson", "Shooting"]),
        ("Shooting, shooting and more shooting", [None, None] + ["Shooting"] * 3),
        ("parson", [None] * 5),
        ("A man walks.", [None] * 5),
        ("", [None] * 5),
    ],
)
def test_each_rule(reply, expected):
    rules = ["exact", "normalised", "unique_mention", "first_mention", "last_mention"]
    assert [label_of(reply, CRIME.labels, rule=rule) for rule in rules] == expected


def test_road_prefix_is_for_one_reply_only():
    assert label_of("Road", CRIME.labels, rule="exact_plus_Road_prefix") == "Road Accident"
    assert label_of("Road", LABELS, rule="exact_plus_Road_prefix") is None
    assert label_of("road", CRIME.labels, rule="exact_plus_Road_prefix") is None


def test_a_label_inside_another_label():
    assert mentions("a fire alarm, then FIRE", LABELS) == ["Fire Alarm", "Fire"]
    assert label_of("The fire alarms ring", list(LABELS), rule="unique_mention") == "Fire Alarm"


@given(st.text(), st.sampled_from(sorted(RULES)))
def test_a_rule_gives_a_label_or_none(reply, rule):
    assert label_of(reply, CRIME.labels, rule=rule) in (*CRIME.labels, None)


@given(st.sampled_from(CRIME.labels), st.sampled_from(sorted(RULES)))
def test_every_rule_knows_the_label_itself(label, rule):
    assert label_of(label, CRIME.labels, rule=rule) == label


def test_rules_and_their_words():
    assert set(RULES) == set(RULE_TEXT)
    with pytest.raises(ValueError, match="rule='guess' is not known; choose one of exact"):
        label_of("Arson", CRIME.labels, rule="guess")
    for labels in (("Fall", "fall"), ("Fall", ' "." '), ()):
        with pytest.raises(ValueError, match="expected different, non-empty labels"):
            label_of("Arson", labels)


def test_a_small_table_by_hand():
    table = score(["A", "A", "A", "B", "B"], ["A", "A", "B", "B", None], labels=("A", "B", "C"))
    assert table.columns == ("A", "B", "C", NO_LABEL)
    assert table.confusion == ((2, 1, 0, 0), (0, 1, 0, 1), (0, 0, 0, 0))
    assert (table.n, table.correct, table.accuracy, table.no_label) == (5, 3, 0.6, 1)
    assert table.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert table.macro_f1 == pytest.approx((0.8 + 0.5) / 2)
    assert (table.baseline.label, table.baseline.correct, table.baseline.accuracy) == ("A", 3, 0.6)
    assert table.per_class["C"].recall is None and table.per_class["C"].wilson95 == (0.0, 1.0)
    assert [(c.precision, c.f1) for c in table.per_class.values()] == [(1, 0.8), (0.5, 0.5), (0, 0)]
    assert table.to_dict() == {
        "n": 5,
        "correct": 3,
        "accuracy": 0.6,
        "wilson95": list(wilson(3, 5)),
        "balanced_accuracy": table.balanced_accuracy,
        "macro_f1": table.macro_f1,
        "no_label": 1,
        "per_class": {
            "A": {"n": 3, "correct": 2, "predicted": 2, "wilson95": list(wilson(2, 3))},
            "B": {"n": 2, "correct": 1, "predicted": 2, "wilson95": list(wilson(1, 2))},
            "C": {"n": 0, "correct": 0, "predicted": 0, "wilson95": [0, 1]},
        },
        "labels": ["A", "B", "C"],
        "columns": ["A", "B", "C", NO_LABEL],
        "confusion": [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]],
    }


def test_a_table_without_unlabelled_replies_has_no_such_column():
    table = score(["A", "B"], ["B", "B"], labels=("A", "B"))
    assert table.columns == table.labels and table.no_label == 0 and table.confusion == ((0, 1), (0, 1))


arms = st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["A", "B", "C", "D", None])), min_size=1)


@given(arms)
@settings(deadline=None)
def test_the_table_against_counting(rows):
    truths, answers = zip(*rows, strict=True)
    table = score(truths, answers, labels="ABCD")
    right = [t == a for t, a in rows]
    assert (table.n, table.correct, table.no_label) == (len(rows), sum(right), answers.count(None))
    for label, counted in table.per_class.items():
        assert counted.n == truths.count(label) and counted.predicted == answers.count(label)
        assert counted.correct == sum(t == a == label for t, a in rows)
    recalls = [c.recall for c in table.per_class.values() if c.n]
    assert math.isclose(table.balanced_accuracy, sum(recalls) / len(recalls))
    f1 = [c.f1 for c in table.per_class.values() if c.n or c.predicted]
    assert math.isclose(table.macro_f1, sum(f1) / len(f1), abs_tol=1e-12)
    assert table.baseline.correct == max(truths.count(x) for x in "ABCD")


def test_collapse_to_two_classes():
    answers = ["Arson", NORMAL, None, "Abuse"]
    assert collapse(answers, keep=NORMAL) == ["Anomaly", NORMAL, None, "Anomaly"]
    with pytest.raises(ValueError, match="same label"):
        collapse(answers, keep=NORMAL, other=NORMAL)


def test_letters_whose_other_case_is_another_letter():
    """The long s matches S letter case aside, and its lower case is itself."""
    labels = ("ſ", "straße", "İ")
    for reply, label in {"S": "ſ", "s": "ſ", "STRASSE": None, "Straße": "straße", "İ": "İ"}.items():
        assert label_of(reply, labels, rule="unique_mention") == label
    assert label_of("STRASSE.", labels, rule="normalised") == "straße"
    with pytest.raises(ValueError, match="aside from letter case"):
        label_of("S", ("ſ", "s"), rule="normalised")


@pytest.mark.parametrize(
    ("truths", "answers", "labels", "message"),
    [
        ([], [], "AB", "0 true labels"),
        (["A"], ["A", "B"], "AB", "1 true labels and 2 answers"),
        (["A"], ["X"], "AB", r"\['X'\] are not among"),
        (["X"], ["A"], "AB", r"\['X'\] are not among"),
        ([None], ["A"], "AB", "needs a true label"),
        (["A"], ["A"], ("A", "a"), "letter case"),
        (["A"], ["A"], ("A", NO_LABEL), "'no label' means that a reply names none"),
    ],
)
def test_what_cannot_be_scored(truths, answers, labels, message):
    with pytest.raises(ValueError, match=message):
        score(truths, answers, labels=labels)
