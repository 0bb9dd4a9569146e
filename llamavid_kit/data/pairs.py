"""Instruction pairs: one video, one question, one answer. Every dataset becomes a list of them before anything else.

Knows the record (`InstructionPair`), the one way a multiple-choice question is put into words and read back, and two
files: our JSONL (a record a line, nothing lost) and the LLaVA conversation JSON that the original code trains on. What
a dataset folder looks like is left to `data_prep`, a user's own CSV to `clips_csv`, and frames to `video`.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from llamavid_kit.data.prompt import IMAGE, human_turn
from llamavid_kit.files import parse_json, read_text, some, write_whole

SPLITS = ("train", "test")
_ASKS = " by using ONLY ONE of the mentioned categories: "  # the study's words, between the task and the categories


@dataclass(frozen=True, kw_only=True)
class InstructionPair:
    """One question about one video, with its answer.

    id: unique within a list                       video: path relative to a root, or absolute (see `video_path`)
    question: text without an image slot           answer: text, one of `choices` where there are any
    choices: closed answers in the order asked, () for an open question
    split: "train" or "test"                       source: the data set it comes from, for example "UCF-Crime"
    events: ((start_s, end_s), …) seconds from clip start, half open [start_s, end_s); () where none or unknown
    n_frames, fps: of the file, frames and frames a second; None where nobody has looked
    extra: whatever else a data set says; JSON values

    Raises ValueError naming the pair, the field, what was expected.
    """

    id: str
    video: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    split: str = "test"
    source: str = ""
    events: tuple[tuple[float, float], ...] = ()
    n_frames: int | None = None
    fps: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("id", "video", "question", "answer"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"pair {self.id!r}: {name}={value!r}, expected a text that is not empty")
            _check_unicode(self.id, name, value)
        if isinstance(self.choices, str) or not all(isinstance(c, str) and c.strip() for c in self.choices):
            raise ValueError(f"pair {self.id!r}: choices={self.choices!r}, expected a list of texts")
        _check_unicode(self.id, "choices", "".join(self.choices))
        object.__setattr__(self, "choices", tuple(self.choices))
        object.__setattr__(self, "events", tuple(_event(self.id, event) for event in self.events))
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"pair {self.id!r}: answer={self.answer!r} is not one of its choices {self.choices}")
        if self.split not in SPLITS:
            raise ValueError(f'pair {self.id!r}: split={self.split!r}, expected "train" or "test"')
        if IMAGE in self.question:
            raise ValueError(f"pair {self.id!r}: the question holds {IMAGE}; the slot is added when it is asked")
        whole = isinstance(self.n_frames, int) and not isinstance(self.n_frames, bool)
        if self.n_frames is not None and not (whole and self.n_frames > 0):
            raise ValueError(f"pair {self.id!r}: n_frames={self.n_frames!r}, expected a whole number above 0, or None")
        if self.fps is not None and not (_is_number(self.fps) and self.fps > 0):
            raise ValueError(f"pair {self.id!r}: fps={self.fps!r}, expected a number above 0, or None")

    @property
    def duration_s(self) -> float | None:
        """Length of the clip in seconds, None where `n_frames` or `fps` is unknown."""
        return self.n_frames / self.fps if self.n_frames and self.fps else None

    def video_path(self, root: str | Path = ".") -> Path:
        """Where the clip lies if the data set lies at `root`; an absolute `video` ignores `root`."""
        return Path(root) / self.video

    def messages(self) -> list[dict[str, str]]:
        """The pair as a conversation of one turn, in the original's words."""
        return [{"from": "human", "value": human_turn(self.question)}, {"from": "gpt", "value": self.answer}]

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON values; `InstructionPair(**d)` gives the pair back."""
        return json.loads(json.dumps(asdict(self)))


def _check_unicode(pair_id: str, name: str, text: str) -> None:
    """ValueError for half a character (\\ud800 in JSON), which no file and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"pair {pair_id!r}: {name} holds {text[error.start]!r}, half a character; leave it out"
        ) from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _event(pair_id: str, event: Sequence[float]) -> tuple[float, float]:
    two = isinstance(event, Sequence) and len(event) == 2 and all(map(_is_number, event))
    if not (two and 0 <= event[0] < event[1]):
        expected = "expected (start_s, end_s) with 0 <= start_s < end_s in seconds"
        raise ValueError(f"pair {pair_id!r}: event {event!r}, {expected}")
    return float(event[0]), float(event[1])


def multiple_choice_question(task: str, choices: Sequence[str]) -> str:
    """`task` and `choices` as one question, in the study's words: the only place where they are put together.

    "Classify the activity in the video" and ("Arson", "Fall") give "Classify the activity in the video by using ONLY
    ONE of the mentioned categories: Arson, or Fall." Raises ValueError for fewer than two choices, doubles, or choices
    that could not be read back (`read_choices` is the inverse).
    """
    choices = tuple(choices)
    if len(choices) < 2:
        raise ValueError(f"choices={choices}: a multiple-choice question needs at least two different ones")
    folded = [c.strip().casefold() for c in choices]
    if doubles := sorted({c for c, f in zip(choices, folded, strict=True) if folded.count(f) > 1}):
        raise ValueError(f"choices occur twice, letter case and outer blanks aside: {doubles}; keep one of each")
    question = f"{task}{_ASKS}{', '.join(choices[:-1])}, or {choices[-1]}."
    if read_choices(question) != choices:
        raise ValueError(
            f"choices={choices} cannot be told apart inside a sentence; rename those that are empty, hold a comma, "
            "end in a full stop, or have blanks at an end"
        )
    return question


def read_choices(question: str) -> tuple[str, ...]:
    """The choices of a question made by `multiple_choice_question`, in order; () for any other question."""
    _, asks, options = question.partition(_ASKS)
    first, last_comma, last = options.removesuffix(".").rpartition(", or ")
    if not (asks and last_comma and options.endswith(".")):
        return ()
    choices = (*first.split(", "), last)
    clean = all(c and c == c.strip() and "," not in c and not c.endswith(".") for c in choices)
    return choices if clean else ()


def check_unique(pairs: Iterable[InstructionPair]) -> None:
    """Raises ValueError naming ids that occur twice: results are joined by id."""
    ids: set[str] = set()
    for pair in pairs:
        if pair.id in ids:
            raise ValueError(f"id {pair.id!r} occurs twice; every pair needs its own")
        ids.add(pair.id)


def check_disjoint(pairs: Iterable[InstructionPair]) -> None:
    """Raises ValueError naming clips that are in train and in test: such a test measures memory."""
    by_split: dict[str, set[str]] = {split: set() for split in SPLITS}
    for pair in pairs:
        by_split[pair.split].add(pair.video)
    if both := sorted(by_split["train"] & by_split["test"]):
        raise ValueError(f"{len(both)} clips are in train and in test, take them out of one: {some(both)}")


def write_jsonl(pairs: Sequence[InstructionPair], path: str | Path) -> Path:
    """Writes one pair a line, in order. Raises ValueError when an id occurs twice. Returns the path."""
    check_unique(pairs)
    return _write(path, "".join(json.dumps(pair.to_dict(), ensure_ascii=False) + "\n" for pair in pairs))


def read_jsonl(path: str | Path) -> list[InstructionPair]:
    """The pairs of a file written by `write_jsonl`; blank lines are skipped. A fault names file, line and field."""
    path = Path(path)
    pairs: list[InstructionPair] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        record = parse_json(line, where, way_out="expected one pair a line, as `python -m data_prep` writes")
        try:
            pair = _pair_of(record)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if pair.id in lines:
            raise ValueError(f"{where}: id {pair.id!r} was already used in line {lines[pair.id]}; ids must be unique")
        lines[pair.id] = number
        pairs.append(pair)
    if not pairs:
        raise ValueError(f"{path} holds no pairs; expected one JSON object a line (see write_jsonl)")
    return pairs


def _pair_of(record: Any) -> InstructionPair:
    names = [f.name for f in fields(InstructionPair)]
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object with the fields {names}, got {type(record).__name__}")
    if unknown := sorted(set(record) - set(names)):
        raise ValueError(f'unknown fields {unknown}; known are {names}, anything else belongs in "extra"')
    if absent := [n for n in ("id", "video", "question", "answer") if n not in record]:
        raise ValueError(f"fields {absent} are missing")
    for name, kind in (("choices", list), ("events", list), ("extra", dict), ("source", str)):
        if name in record and not isinstance(record[name], kind):
            raise ValueError(f"{name}={record[name]!r}, expected a JSON {kind.__name__}")
    return InstructionPair(**record)


def write_llava(pairs: Sequence[InstructionPair], path: str | Path) -> Path:
    """Writes the LLaVA conversation JSON: a list of {"id", "video", "conversations": [human, gpt]}. Returns the path.

    Only id, video, question and answer fit into it: keep the JSONL as well. Raises ValueError for ids used twice.
    """
    check_unique(pairs)
    records = [{"id": pair.id, "video": pair.video, "conversations": pair.messages()} for pair in pairs]
    return _write(path, json.dumps(records, indent=1, ensure_ascii=False) + "\n")


def read_llava(path: str | Path, *, split: str = "train", source: str = "") -> list[InstructionPair]:
    """Pairs from LLaVA conversation JSON, one clip and one human turn a record; choices are read from the question.

    A fault names the file and the record. Conversations of several turns do not fit into a pair and are refused.
    """
    path = Path(path)
    records = parse_json(_read(path), path, way_out="expected LLaVA's conversations (see write_llava)")
    if not isinstance(records, list) or not records:
        raise ValueError(f'{path}: expected a list of {{"id", "video", "conversations"}}, got {type(records).__name__}')
    pairs = []
    for index, record in enumerate(records):
        try:
            question, answer = _turns_of(record)
            names = {"id": record["id"], "video": record["video"], "split": split, "source": source}
            pairs.append(InstructionPair(**names, question=question, answer=answer, choices=read_choices(question)))
        except ValueError as error:
            raise ValueError(f"{path}, record {index}: {error}") from None
    check_unique(pairs)
    return pairs


def _turns_of(record: Any) -> tuple[str, str]:
    """(question, answer) of one LLaVA record; the slot may stand before or after the question, as in imgsp_v1."""
    if not isinstance(record, dict) or not {"id", "video", "conversations"} <= set(record):
        raise ValueError(f'expected an object with "id", "video" and "conversations", got {str(record)[:80]!r}')
    turns = record["conversations"]
    texts = isinstance(turns, list) and all(isinstance(t, dict) and isinstance(t.get("value"), str) for t in turns)
    if not texts or [t.get("from") for t in turns] != ["human", "gpt"]:
        raise ValueError(f"id {record['id']!r}: expected one human and one gpt turn, got {str(turns)[:120]}")
    human, answer = (t["value"] for t in turns)
    if human.count(IMAGE) != 1:
        raise ValueError(f"id {record['id']!r}: {human.count(IMAGE)} image slots, expected one {IMAGE}")
    return human.replace(IMAGE, "").strip("\n"), answer


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected instruction pairs (python -m data_prep writes them)")
    return read_text(path)


def _write(path: str | Path, text: str) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return path
