"""Guards how recorded conversations become training text, on the small tokenizer: sides, questions, errors."""

import random

import pytest

from llamavid_kit.data.conversation import image_first, image_in_each_turn, question_of, training_text, turns_of
from llamavid_kit.data.prompt import IMAGE_SLOT, supervised


def messages(*texts: str) -> list[dict]:
    return [{"from": ("human", "gpt")[k % 2], "value": text} for k, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("What?", "What?"),
        ("  What? ", "  What? "),
        ("<image>\nWhat?", "<image>\nWhat?"),
        ("What?\n<image>", "<image>\nWhat?"),
        ("Look at <image> now", "<image>\nLook at  now"),
        ("<image><image>", "<image>"),
    ],
)
def test_image_first(text, moved):
    assert image_first(text) == moved
    assert image_first(text, marks=True) == moved.replace("<image>", "<im_start><image><im_end>")


def test_every_turn_after_the_image_gets_one():
    turns = [("Hi", "Hello"), ("<image>\nWhat?", "A car."), ("Where?", "Here."), ("Why?", "So.")]
    sides = set()
    for seed in range(20):
        rng = random.Random(seed)
        draws = [rng.randint(0, 1) for _ in range(2)]
        with_image = image_in_each_turn(turns, random.Random(seed))
        expected = [(f"<image>\n{q}", f"{q}\n<image>")[draw] for q, draw in zip(("Where?", "Why?"), draws, strict=True)]
        assert [q for q, _ in with_image] == ["Hi", "<image>\nWhat?", *expected]
        assert [a for _, a in with_image] == [a for _, a in turns]
        sides.add(tuple(draws))
    assert len(sides) == 4
    assert image_in_each_turn(turns[:1] * 2, None) == turns[:1] * 2  # nothing is drawn without an image


def test_only_the_training_template_adds_images(tokenizers):
    conversation = messages("<image>\nWhat?", "A car.", "Where?", "Here.")
    for name, slots in (("imgsp_v1", 2), ("vicuna_v1", 1), ("plain", 1)):
        text = training_text(tokenizers[0], name, conversation, rng=random.Random(0))
        assert text.ids.count(IMAGE_SLOT) == slots and text.questions == ("What?", "Where?")
    turns = [("<image>\nWhat?", "A car."), ("Where?", "Here.")]
    assert (text.ids, text.labels) == supervised(tokenizers[0], "plain", turns)


def test_the_question_of_the_text_decoder():
    assert question_of("<image>\nOne.\nTwo?") == "One.Two?"
    assert question_of("<im_start><image><im_end>\nWhat?") == "<im_start><im_end>What?"


def test_a_greeting_is_dropped_and_speakers_take_turns():
    greeting, (human, gpt) = ("gpt", "Welcome."), (("human", "Hi"), ("gpt", "Hello"))
    assert turns_of([greeting, human, gpt]) == turns_of([human, gpt]) == [("Hi", "Hello")]
    for wrong in ([], [human], [greeting], [human, human], [gpt, gpt, human], [human, gpt, human], [("bot", "x"), gpt]):
        with pytest.raises(ValueError, match="expected human and gpt in turn"):
            turns_of(wrong)
