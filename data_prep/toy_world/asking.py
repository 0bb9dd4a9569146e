"""What the questions of both halves share: a question with its true answer, phrasings and drawn choices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Question(NamedTuple):
    """`kind`: what is asked about; `choices`: those of a multiple-choice question, the answer among them."""

    kind: str
    question: str
    answer: str
    choices: tuple[str, ...] | None = None


def phrase(forms: Sequence[str], rng: np.random.Generator, **words: str) -> str:
    """One of several phrasings, `words` filled in."""
    return forms[int(rng.integers(len(forms)))].format(**words)


def draw_choices(answer: str, pool: Sequence[str], rng: np.random.Generator) -> list[str]:
    """`answer` among half or more of the others of `pool`, shuffled."""
    others = rng.permutation([choice for choice in pool if choice != answer]).tolist()
    some = others[: max(1, rng.integers(len(others) // 2, len(others) + 1))]
    return rng.permutation([answer, *some]).tolist()
