"""Which option a reply means, read strictly."""

import pytest

from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B. a dog", "B"),
        ("A cow", None),
        ("A dog", "B"),
        ("The answer is A.", "A"),
        ("A or B", None),
        ("The answer is A. The answer is B.", None),
        ("E", None),
        ("", None),
        ("The answer is AB.", None),
        ("**B**", "B"),
    ],
)
def test_strict_letters(reply, letter):
    assert strict_letter(reply, {"A": "a cat", "B": "a dog"}) == letter


def test_a_choice_that_names_other_letters_is_no_answer():
    choices = {"A": "Option B and option C", "B": "dog", "C": "cat"}
    assert strict_letter("Option B and option C", choices) is None
    assert strict_letter("dog", choices) == "B"
    assert strict_letter("dog", choices | {"C": "Dog"}) is None  # two choices of the same words


def test_a_choice_s_text_may_end_in_a_full_stop():
    assert strict_letter("A dog.", {"A": "cat", "B": "a dog"}) == "B"
    assert strict_letter("A dog!", {"A": "cat", "B": "a dog"}) is None
