"""Other words for one closed question, and its options in another order: what an ablation varies about the prompt.

Takes the study's form of a multiple-choice question (`pairs.multiple_choice_question`) and gives the same question in
one of `PROMPTS`, with the options as listed or shuffled clip by clip. Which arms ask what is decided in `arms`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llamavid_kit.data.pairs import multiple_choice_question, read_choices


@dataclass(frozen=True)
class TaskPrompt:
    """One way to ask. form: the question with {task} and {options}; source: who worded it."""

    name: str
    form: str
    source: str


STUDY = TaskPrompt("study", "{task} by using ONLY ONE of the mentioned categories: {options}.", "the study's script")
PROMPTS: dict[str, TaskPrompt] = {
    prompt.name: prompt
    for prompt in (
        STUDY,
        TaskPrompt("plain", "{task}. Choose one of these answers: {options}.", "ours"),
        TaskPrompt("short", "What does the video show: {options}?", "ours"),
    )
}
"""The study's wording; the same task without its capitals and "mentioned categories"; and the options with no task."""


def check_wording(question: str, labels: Sequence[str], prompts: Sequence[str], order: int | None) -> None:
    """ValueError where `question` would have to be put in other words and does not have the study's form."""
    if (tuple(prompts) != (STUDY.name,) or order is not None) and (
        not labels or read_choices(question) != tuple(labels)
    ):
        raise ValueError(
            f"{question!r} does not end in the study's list of options, so it cannot be asked in other words or "
            f'another order: make it with pairs.multiple_choice_question, or leave prompts=("{STUDY.name}",) and '
            "shuffle_choices=None (no --prompts, no --shuffle-choices)"
        )


def wording(
    question: str, labels: Sequence[str], *, prompt: str, order: int | None, clip: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """The question in the words of PROMPTS[prompt], and its options in the order asked of `clip`.

    order: a seed; without one, or without a clip, the options stand as they are listed.
    """
    options = tuple(labels) if order is None or clip is None else shuffled(labels, seed=order, clip=clip)
    if prompt == STUDY.name and options == tuple(labels):
        return question, options
    return worded(question, prompt, options), options


def shuffled(labels: Sequence[str], *, seed: int, clip: str) -> tuple[str, ...]:
    """`labels` in the order that `clip` gets: it depends on seed, clip id and labels alone, so every arm gets it."""
    digest = hashlib.sha256(f"{seed}\0{clip}".encode()).digest()
    order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(labels))
    return tuple(labels[k] for k in order)


def worded(question: str, prompt: str, options: Sequence[str]) -> str:
    """`question`, which has the study's form, in the words of PROMPTS[prompt] with `options` in this order.

    Raises ValueError for a question without the study's list of options, and for options that are not its own.
    """
    listed = read_choices(question)
    if not listed or sorted(listed) != sorted(options):
        raise ValueError(f"{question!r} lists the options {listed}; expected those of {tuple(options)}, in any order")
    task = question.removesuffix(multiple_choice_question("", listed))
    if prompt == STUDY.name:
        return multiple_choice_question(task, options)
    return PROMPTS[prompt].form.format(task=task, options=f"{', '.join(options[:-1])}, or {options[-1]}")
