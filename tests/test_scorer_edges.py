"""Replies at the edges of each scorer, by hand: each keeps one step of a rule that no other test needs."""

from pathlib import Path

import pytest

from llamavid_kit.benchmarks import mmbench
from llamavid_kit.benchmarks.base import Item
from llamavid_kit.benchmarks.choice_letters import strict_letter
from llamavid_kit.benchmarks.vqa_answers import evalai_answer
from llamavid_kit.verdicts import CRASHES, read_original


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A or B or Z", None),  # "Z" is for replies that name no letter of the choices
        ("A is what I see in it, Z", None),
        ("It is Z", "Z"),
    ],
)
def test_z_is_read_where_no_other_letter_stands(reply, letter):
    assert mmbench.infer_option(reply, {"A": "dog", "B": "cat"}) == letter


def test_a_reply_twice_as_long_as_the_choices_is_still_read():
    choices = {"A": "dog", "B": "cat"}
    assert mmbench.infer_text("it is a dog!", choices) == "A" and len("it is a dog!") == 2 * len("dogcat")
    assert mmbench.infer_text("it is a dog!!", choices) is None


def test_a_question_of_one_row_is_a_question():
    items = [
        Item(str(k), Path("t.tsv"), "", "", ("A",), cluster=str(k % 10), extra={"choices": {"A": "dog", "B": "cat"}})
        for k in (1, 2, 11)
    ]
    found = mmbench.score(items, {"1": "A", "11": "B", "2": "A"}, mode="original")
    assert found.outcomes == {"1": 0, "2": 1} and found.value == 50


def test_a_choice_that_names_other_letters_is_no_answer():
    choices = {"A": "Option B and option C", "B": "dog", "C": "cat"}
    assert strict_letter("Option B and option C", choices) is None
    assert strict_letter("dog", choices) == "B"
    assert strict_letter("dog", choices | {"C": "Dog"}) is None  # two choices of the same words


def test_a_possessive_in_capitals_splits_off_too():
    assert evalai_answer("TOM'S cat") == "tom 's cat"


def test_what_json_cannot_hold_is_a_crash():
    """The original writes each verdict as JSON: a set beside a good score leaves half a file."""
    found = read_original("{'pred': 'yes', 'score': 4, 'why': {1, 2}}")
    assert found.effect == CRASHES and found.error.startswith("TypeError") and found.verdict is None
