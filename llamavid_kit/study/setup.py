"""What the LLaMA-VID reproduction study asked and how it split its data, as data: no code decides anything here.

Source: the study's scripts and logs (its UCF-Crime preparation, prompts and fine-tuning settings), quoted verbatim in
`study.toml`. `pairs.multiple_choice_question(CRIME.task, CRIME.labels)` gives `CRIME.question`; a test pins every
character.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _fixed(value: Any) -> Any:
    """The same value with tuples for lists, which nobody can change."""
    if isinstance(value, dict):
        return {key: _fixed(part) for key, part in value.items()}
    return tuple(map(_fixed, value)) if isinstance(value, list) else value


STUDY = _fixed(tomllib.loads(Path(__file__).with_name("study.toml").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class ClosedTask:
    """A closed question: `question` asks for exactly one of `labels`, in that order; `task` is what stands before them.

    excluded_classes: classes of the data set that the study left out
    renamed: what a file name says → the label used
    """

    task: str
    question: str
    labels: tuple[str, ...]
    excluded_classes: tuple[str, ...]
    renamed: dict[str, str]


NORMAL = "Normal Video"
CRIME = ClosedTask(**STUDY["crime"])

MAX_SAMPLED_FRAMES = 1800
"""A test video with more sampled frames than this was skipped: 2 of 259 at 1 fps, 17 at 6 fps."""

TRAINING_TIERS: dict[str, int | None] = {"all": None, "under_1800": 1800, "under_120": 120}
"""Training sets by length: fewer than so many frames at 1 fps. The study fine-tuned on `under_120`."""

STUDY_FPS = (1, 6)

_SEEN = {1: 156, 2: 156, 3: 156, 6: 156}
UCF_CRIME_EVENTS: dict[str, Any] = {"n": 156, "shortest_s": 1.0, "median_s": 8.0, "seen": _SEEN}
"""What the authors' test annotation of UCF-Crime holds (290 videos), and how many events have a frame at each fps.

`visibility.visibility_curve` of the list at 30 frames a second: at 1 fps no event is missed, so missed events cannot
explain the study's difference between 1 and 6 fps. The toy world's much shorter events are another matter.
"""

ANIMAL_QUESTION: str = STUDY["animals"]["question"]
"""What the study asked about Animal Kingdom's grounding videos: an open question, no choices."""

ANIMAL_TURNS: tuple[tuple[str, str], ...] = STUDY["animals"]["turns"]
"""(human, gpt) turns of the study's conversations about Animal Kingdom's action recognition; quirks are its own."""

ANIMAL_SENTENCE, ANIMAL_SENTENCES_JOINED_BY = "{animal} is {action}", ". "
