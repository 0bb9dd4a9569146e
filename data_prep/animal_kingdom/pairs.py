"""What is asked about one video of Animal Kingdom: the grounding pair, the multiple-choice pairs, the conversation.

Input: an entry of a list (see `lists`), where its video lies and how long it is. Output: `InstructionPair`s, and
`Conversation`s of several turns, which fit into no pair. Which videos are asked about is decided in `folder`.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.animal_kingdom.choices import TASKS, Names, collect, distinct, draw
from data_prep.animal_kingdom.lists import Grounding, Sentence, SheetRow
from data_prep.dataset import n_sampled
from llamavid_kit.data.conversation import ASSISTANT, HUMAN
from llamavid_kit.data.pairs import InstructionPair, check_unique, multiple_choice_question
from llamavid_kit.files import write_whole
from llamavid_kit.study.setup import ANIMAL_QUESTION, ANIMAL_SENTENCE, ANIMAL_SENTENCES_JOINED_BY, ANIMAL_TURNS

SOURCE = "Animal Kingdom"
TOLERANCE_S = 0.5  # so far may an annotated end lie past the clip's: the authors' durations are rounded and cut ends
TRUE_OF: dict[str, Callable[[SheetRow], Sequence[str]]] = {
    "species": lambda row: distinct(row.animals),
    "action": lambda row: distinct(action for _, action in row.actions),
    "class": lambda row: distinct(row.classes or ()),
}


class AnnotationError(ValueError):
    """The annotation does not fit the video."""


@dataclass(frozen=True)
class Length:
    """Of a video: seconds from a table, or what its file says. n_frames, fps: None where nobody has looked."""

    duration_s: float
    n_frames: int | None = None
    fps: float | None = None

    def sampled(self, rate: int) -> int:
        """Frames that the study samples at `rate` frames a second; from seconds alone, one every 1/rate."""
        if self.n_frames and self.fps:
            return n_sampled(self.n_frames, self.fps, rate)
        return math.ceil(round(self.duration_s * rate, 6))


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Several turns about one video. turns: ((human, gpt), …), `<image>` where the study's prompt has it."""

    id: str
    video: str
    split: str
    turns: tuple[tuple[str, str], ...]

    def to_llava(self) -> dict[str, Any]:
        """The record of the original's JSON: id, video, conversations."""
        messages = []
        for human, gpt in self.turns:
            messages += [{"from": HUMAN, "value": human}, {"from": ASSISTANT, "value": gpt}]
        return {"id": self.id, "video": self.video, "conversations": messages}


def write_conversations(conversations: Sequence[Conversation], path: Path) -> Path:
    """The original's JSON, as `pairs.write_llava` writes single turns. Raises ValueError for ids used twice."""
    check_unique(conversations)  # type: ignore[arg-type]  # it reads ids alone, which conversations have
    text = json.dumps([c.to_llava() for c in conversations], indent=1, ensure_ascii=False)
    write_whole(path, text + "\n")
    return path


def grounding_pair(entry: Grounding, video: str, length: Length | None) -> tuple[InstructionPair, list[str], float]:
    """The study's pair: its open question; the sentences in the list's order, each once, joined by a blank.

    events: the distinct annotated intervals, by time. An end past the clip is cut; an interval that is empty,
    reversed or starts before 0 is no event, but its sentence stays. `extra["sentences"]` holds every line as
    annotated. Also returned: a note for each interval that is no event, and by how many seconds ends were cut at most.
    Raises AnnotationError for an end more than TOLERANCE_S past the clip's: another cut of the video.
    """
    events, notes, cut_s = set(), [], 0.0
    for sentence in entry.sentences:
        start, end = sentence.start_s, sentence.end_s
        if length is not None and max(start, end) > length.duration_s:
            cut_s = max(cut_s, _excess(sentence, length))
            end = min(end, length.duration_s)
        if 0 <= start < end:
            events.add((start, end))
        else:
            notes.append(f"{entry.code}: {sentence.interval} is no event, its sentence stays ({sentence.where})")
    sentences = [{"sentence": s.text, "start_s": s.start_s, "end_s": s.end_s} for s in entry.sentences]
    pair = InstructionPair(
        id=entry.code,
        video=video,
        question=ANIMAL_QUESTION,
        split=entry.split,
        source=SOURCE,
        answer=" ".join(dict.fromkeys(s.text for s in entry.sentences)),
        events=tuple(sorted(events)),
        extra={"sentences": sentences},
        **_facts(length),
    )
    return pair, notes, cut_s


def _excess(sentence: Sentence, length: Length) -> float:
    excess = max(sentence.start_s, sentence.end_s) - length.duration_s
    if excess > TOLERANCE_S + 1e-9:
        place = f"{sentence.interval} lies outside its {length.duration_s:g} s"
        raise AnnotationError(f"{place}: another cut? ({sentence.where})")
    return excess


def _facts(length: Length | None) -> dict[str, Any]:
    return {} if length is None else {"n_frames": length.n_frames, "fps": length.fps}


def names_of(rows: Sequence[SheetRow], kind: str) -> Names:
    """The sheet's names of a kind of question, for `choice_pair`; rows with an objection have no say."""
    return collect(kind, [(TRUE_OF[kind](row), row.classes or ()) for row in rows if not row.objection])


def choice_pair(
    row: SheetRow, names: Names, video: str, length: Length | None, *, n_choices: int, seed: int
) -> InstructionPair:
    """The question of `names.kind` about the row's video; `extra["also_true"]` are its true names not asked about.

    Raises NotAskedError where there is nothing to ask (see `choices.draw`).
    """
    true = TRUE_OF[names.kind](row)
    answer, choices = draw(names, true, row.classes or (), video=row.code, n_choices=n_choices, seed=seed)
    also = [name for name in true if distinct([answer, name]) != [answer]]
    return InstructionPair(
        id=f"{row.code}-{names.kind}",
        video=video,
        question=multiple_choice_question(TASKS[names.kind], choices),
        answer=answer,
        choices=choices,
        split=row.split,
        source=SOURCE,
        extra={"also_true": also},
        **_facts(length),
    )


def conversation(row: SheetRow, video: str) -> Conversation:
    """The study's turns: species, classes, what each animal does; the second is left out where no class is known.

    Names and sentences stand in the sheet's order, each once. How the study joined names is not known: ", " is ours.
    """
    sentences = dict.fromkeys(ANIMAL_SENTENCE.format(animal=animal, action=action) for animal, action in row.actions)
    answers = {
        "species": ", ".join(TRUE_OF["species"](row)),
        "classes": ", ".join(TRUE_OF["class"](row)),
        "sentences": ANIMAL_SENTENCES_JOINED_BY.join(sentences),
    }
    turns = [(human, gpt.format(**answers)) for human, gpt in ANIMAL_TURNS if row.classes or "{classes}" not in gpt]
    return Conversation(id=f"{row.code}-actions", video=video, split=row.split, turns=tuple(turns))
