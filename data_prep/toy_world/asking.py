"""What the questions of both halves share: a question with its true answer, phrasings and drawn choices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llamavid_kit.data.pairs import multiple_choice_question


class Question(NamedTuple):
    """`kind`: what is asked about; `choices`: those of a multiple-choice question, the answer among them."""

    kind: str
    question: str
    answer: str
    choices: tuple[str, ...] | None = None


def phrase(forms: Sequence[str], rng: np.random.Generator, **words: str) -> str:
    """One of several phrasings, `words` filled in."""
    return forms[int(rng.integers(len(forms)))].format(**words)


CLOSED_FORMS = (
    "{task}. Choose one of: {choices}.",
    "{task}. The categories are {choices}. Answer with one of them.",
    "{task}. Which of these is it: {choices}?",
    "Here are some categories: {choices}. {task} and give only the category.",
    "{task}. Reply with exactly one of the following and nothing else: {choices}.",
)


def closed_question(task: str, choices: Sequence[str], rng: np.random.Generator) -> str:
    """A multiple-choice question: half of them in the study's phrasing, the others in one of several."""
    if rng.random() < 0.5:
        return multiple_choice_question(task, choices)
    return phrase(CLOSED_FORMS, rng, task=task, choices=f"{', '.join(choices[:-1])} or {choices[-1]}")


def draw_choices(answer: str, pool: Sequence[str], rng: np.random.Generator) -> list[str]:
    """`answer` among half or more of the others of `pool`, shuffled."""
    others = rng.permutation([choice for choice in pool if choice != answer]).tolist()
    some = others[: max(1, rng.integers(len(others) // 2, len(others) + 1))]
    return rng.permutation([answer, *some]).tolist()
