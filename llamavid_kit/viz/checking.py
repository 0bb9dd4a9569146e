"""How an exercise is checked: a student's function is called on several inputs, and what is wrong is said in words.

Nothing is raised, so that a lesson whose exercises are empty runs to its end. Which functions the lessons ask for, and
what each is compared with, stands in `exercises`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llamavid_kit.data.pairs import InstructionPair


@dataclass(frozen=True)
class Exercise:
    """What a student's function is compared with.

    right: the same function, computed otherwise than the lesson suggests. inputs: the arguments of each call.
    slips: what a student is asked → the function with the mistake that the question is about.
    view: what of a result counts, where several results are right.
    """

    right: Callable
    inputs: Sequence[tuple]
    slips: Mapping[str, Callable]
    view: Callable = lambda result: result


def verdict(answer: Callable, exercise: Exercise) -> str:
    """The sentence about a student's function: "Right. …" if every call gives what it should, else "Not yet. …"."""
    name = answer.__name__
    for given in exercise.inputs:
        if wrong := _wrong(answer, exercise, given):
            return f"Not yet. {name}({', '.join(map(_words, given))})\n{wrong}"
    n = len(exercise.inputs)
    return f"Right. {name} gives what it should for {n} of {n} inputs."


def _wrong(answer: Callable, exercise: Exercise, given: tuple) -> str:
    """What is wrong with one call, or nothing."""
    arguments, expected = deepcopy(given), exercise.view(exercise.right(*given))
    try:
        result = answer(*arguments)
        said = None if result is None else exercise.view(result)
    except Exception as error:  # whatever a student's code may raise
        return f"raises {type(error).__name__}: {error}"
    if not _same(said, expected):
        slips = (words for words, slip in exercise.slips.items() if _same(said, exercise.view(slip(*given))))
        return "\n".join([_difference(said, expected), *slips][:2])
    return "" if _same(arguments, given) else "is right, but it also changes what it was given: work on a copy."


def _same(a: Any, b: Any) -> bool:
    """Whether a is the expected b: floats nearly, and a list may stand for a tuple."""
    if isinstance(b, torch.Tensor):
        return isinstance(a, torch.Tensor) and a.shape == b.shape and not _apart(a, b).any()
    if isinstance(a, torch.Tensor | np.ndarray | np.generic):
        a = a.tolist()
    if isinstance(b, float):
        return isinstance(a, float | int) and math.isclose(a, b, rel_tol=1e-6)
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in b)
    if isinstance(b, list | tuple):
        return isinstance(a, list | tuple) and len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, (float, int) if isinstance(b, int) else type(b)) and bool(a == b)


def _apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ~torch.isclose(a.double(), b.double(), rtol=1e-5, atol=1e-5, equal_nan=True)


def _difference(said: Any, expected: Any) -> str:
    if isinstance(said, dict) and isinstance(expected, dict) and said.keys() == expected.keys():
        key = next(key for key in expected if not _same(said[key], expected[key]))
        return f"at {key!r} {_difference(said[key], expected[key])}"
    if not all(isinstance(x, torch.Tensor) for x in (said, expected)) or said.shape != expected.shape:
        return f"gives {_words(said)}; expected {_words(expected)}."
    apart = _apart(said, expected)
    at = tuple(apart.nonzero()[0].tolist())
    one = f"the first is {said[at].item():.6g} at {list(at)}, expected {expected[at].item():.6g}"
    return f"gives {_words(said)}, as it should, but {int(apart.sum())} of its numbers are wrong: {one}."


def _words(x: Any) -> str:
    """A value in a sentence: tensors by their shape, pairs by their number, everything else as Python writes it."""
    if isinstance(x, torch.Tensor):
        return f"a tensor {tuple(x.shape)}"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{key!r}: {_words(value)}" for key, value in x.items()) + "}"
    if isinstance(x, list) and x and isinstance(x[0], InstructionPair):
        return f"{len(x)} pairs"
    if isinstance(x, list | tuple):
        inside = ", ".join(map(_words, x))
        return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' * (len(x) == 1)})"
    return x.__name__ if callable(x) else repr(x)
