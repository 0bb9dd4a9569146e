"""From a recorded conversation to what a training step sees of it: ids, labels and the text decoder's questions.

Input: messages as the original's JSON stores them, `{"from": "human" | "gpt", "value": text}`. Output: `TrainingText`.
Where the image stands, in which turns it is shown again and what the text decoder is asked are decided here; wording,
ids and label mask are `prompt`'s, batches `training.dataset`'s.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from llamavid_kit.data.prompt import IMAGE, IMAGE_END, IMAGE_START, supervised, template

HUMAN, ASSISTANT = "human", "gpt"


@dataclass(frozen=True)
class TrainingText:
    """One conversation, ready for a batch.

    ids: (L,) token ids, IMAGE_SLOT where frame tokens go.
    labels: (L,) the id where the token is supervised, else IGNORE.
    questions: what the text decoder is asked, one for each human turn. Slot k takes the answer to question k, as in
        the original; where turns come before the first image there are more questions than slots.
    """

    ids: list[int]
    labels: list[int]
    questions: tuple[str, ...]


def training_text(
    tokenizer,
    name: str,
    messages: Sequence[dict],
    *,
    rng: random.Random,
    move_image: bool = True,
) -> TrainingText:
    """A conversation → `TrainingText` under the template `name` (`preprocess` of the original `train.py`).

    Args:
        rng: decides the side of the images that are added, one `randint(0, 1)` each; only "imgsp_v1" adds any.
        move_image: put the image at the head of its turn first, see `image_first`.

    Nothing is cut to the model's length here: `dataset.collate_text` cuts. (The original cuts conversations without
    image here and the others there, to the same tokens.) Raises ValueError where speakers do not alternate or an
    answer cannot be supervised.
    """
    values = [(m["from"], image_first(m["value"]) if move_image else m["value"]) for m in messages]
    turns = turns_of(values)
    questions = tuple(question_of(human) for human, _ in turns)
    if template(name).image_each_turn:
        turns = image_in_each_turn(turns, rng)
    ids, labels = supervised(tokenizer, name, turns)
    return TrainingText(ids, labels, questions)


def image_first(text: str, *, marks: bool = False) -> str:
    """The image moves to the head of its turn; several become one (`preprocess_multimodal` of the original)."""
    if IMAGE not in text:
        return text
    image = f"{IMAGE_START}{IMAGE}{IMAGE_END}" if marks else IMAGE
    return f"{image}\n{text.replace(IMAGE, '').strip()}".strip()


def turns_of(values: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(speaker, text) messages → (question, answer) turns; a greeting before the first question is dropped."""
    values = values[1:] if values and values[0][0] == ASSISTANT else values
    speakers = [speaker for speaker, _ in values]
    if not values or speakers != [HUMAN, ASSISTANT] * (len(values) // 2):
        raise ValueError(f"speakers {speakers}: expected human and gpt in turn, gpt last")
    texts = [text for _, text in values]
    return list(zip(texts[::2], texts[1::2], strict=True))


def question_of(human: str) -> str:
    """What the text decoder is asked: the human turn without image and line breaks.

    Quirk, kept because checkpoints were trained so: no blank takes a line break's place ("One.Is it two?"), and marks
    around the image stay.
    """
    return human.replace(IMAGE, "").replace("\n", "")


def image_in_each_turn(turns: Sequence[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """From the first turn with an image on, every question gets one: before it (draw 0) or after it (draw 1).

    Frame tokens depend on the question, so each question brings its own (`preprocess_imgsp_v1` of the original).
    """
    with_image, begun = [], False
    for question, answer in turns:
        begun = begun or IMAGE in question
        if begun and IMAGE not in question:
            question = f"{question}\n{IMAGE}" if rng.randint(0, 1) else f"{IMAGE}\n{question}"
        with_image.append((question, answer))
    return with_image
