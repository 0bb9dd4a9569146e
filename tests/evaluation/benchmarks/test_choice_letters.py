"""Which option a reply means, read strictly."""

import pytest

from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.choice_letters import causes, read_letter, strict_letter


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
    assert strict_letter("A dog!", {"A": "cat", "B": "a dog"}) == "B"
    assert strict_letter("A. Vitamin C.", {"A": "vitamin C", "B": "vitamin D", "C": "zinc"}) == "A"


CHOICES = {"A": "a cat", "B": "a dog", "C": "a bird"}
CLEAR = [  # each means B
    *("Answer: A dog", "Answer: a dog", "It is a dog.", "Dog", "The answer is a dog.", "B a dog", "B - a dog"),
    *("The correct answer is (B).", "The best answer is: B", "**Answer: B**", "answer is b", "### Answer\nB"),
    *("B\nBecause it barks.", "b", "(b)", "B</s>", "B<|im_end|>", "<think>Is it A?</think>\nB", "<answer>B</answer>"),
    *("[B]", "'B'", "\uff08\uff22\uff09", r"\boxed{B}", r"$\boxed{\text{B}}$", "B, because it barks", "Option (B)"),
    *("I would choose B.", "It's B.", "B is correct", "A is wrong, B is correct", "It is not A, it is B.", "B, not A"),
    *("B (not A)", "B. Option A shows a cat.", "Options A and C are wrong. The answer is B.", "It barks.\n\nB"),
    "A. a cat\nB. a dog\nC. a bird\nThe answer is B.",
    "The answer is B because it is not a cat",
    "There is no cat, so the answer is B.",
]
UNCLEAR = {
    "nothing is said": ["", " \n", "<think>A or B?", "</s>"],
    "several options are named": [
        *("A) or B)", "(A)(B)", "A or B", "A, B", "A/B", "(A) a cat (B) a dog", "A. a cat B. a dog", "B. a cat"),
        *("A\nThe answer is B.", "The answer is (A) and (B).", "The answer is A or B.", "A. No, wait, B.", "B or C"),
    ],
    "no option is named": [
        *("A: no. B: perhaps.", "A cow", "A dog is in the picture", "D", "The answer is D.", "AB", "Neither A nor B"),
        *("Not B", "The answer is not B.", "I don't think it's B.", "I don't think the answer is a dog."),
        *("Option B is incorrect.", "B is wrong.", "Option A shows a cat.", "I don't know", "It could be A."),
    ],
}


@pytest.mark.parametrize("reply", CLEAR)
def test_a_clear_reply_is_read_as_a_person_reads_it(reply):
    assert read_letter(reply, CHOICES) == ("B", "")


@pytest.mark.parametrize(("reply", "why"), [(reply, why) for why, replies in UNCLEAR.items() for reply in replies])
def test_an_unclear_reply_has_a_cause(reply, why):
    assert read_letter(reply, CHOICES) == (None, why)


def test_causes_are_counted():
    items = [Item(str(k), None, "", "", ("B",), extra={"choices": CHOICES}) for k in range(4)]
    replies = dict(zip("0123", ("B", "A or B", "", "A/B"), strict=True))
    assert causes(items, replies) == {"several options are named": 2, "nothing is said": 1}


def test_long_replies_are_read_in_time():
    for piece in ("answer is ", "answer is" + " " * 3000, "A. ", "(A) or ", "</", "<pad>", "not ", "it's " * 9):
        read_letter(piece * (20_000 // len(piece)), CHOICES)
