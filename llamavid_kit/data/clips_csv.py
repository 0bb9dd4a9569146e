"""Anybody's clips as instruction pairs: one CSV with the columns video and label is a data set.

`clips_from_csv` reads it and asks the study's kind of question over the labels that occur. Clips are checked to exist,
not opened: a broken one is noticed, and listed, when frames are read.
"""

import csv
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llamavid_kit.data.pairs import SPLITS, InstructionPair, multiple_choice_question
from llamavid_kit.files import csv_text, some

log = logging.getLogger(__name__)

GENERIC_TASK = "Classify the activity in the video"  # the study's words without its surveillance camera
COLUMNS = ("video", "label", "start_s", "end_s", "split")


@dataclass
class _Row:
    """One line of the CSV, read and checked on its own."""

    where: str
    video: str
    label: str
    split: str
    event: tuple[float, float] | None
    extra: dict[str, str]


def clips_from_csv(
    path: str | Path,
    *,
    root: str | Path | None = None,
    for_training: bool = False,
    task: str = GENERIC_TASK,
) -> list[InstructionPair]:
    """Instruction pairs from a CSV with the columns video and label, in the order of the file.

    video: path relative to `root` (default: the CSV's folder), or absolute; it stays as written
    start_s, end_s (optional): an event in seconds; a video on several lines has several events, with one label
    split (optional): "train" or "test"; without it every clip is a test clip. Other columns go to `extra`.
    for_training: also asks for training clips
    task: what stands before "by using ONLY ONE of the mentioned categories: …"; the categories are the labels that
    occur, sorted

    Raises FileNotFoundError for the CSV, and ValueError naming file, line and value for everything else: a missing
    column or clip, fewer than two labels, an event that ends before it starts, no test or no training clips.
    """
    path = Path(path)
    rows = _read_rows(path)
    root = path.parent if root is None else Path(root)
    if absent := [f"{row.video} ({row.where})" for row in rows if not (root / row.video).is_file()]:
        raise ValueError(
            f"{len(absent)} clips are not where {path} says, seen from {root}: {some(absent)}; "
            "correct the column video, or give root="
        )
    labels = sorted({row.label for row in rows})
    if len(labels) < 2:
        raise ValueError(f"{path}: every clip has the label {labels[0]!r}; a choice needs at least two labels")
    _check_splits(path, rows, for_training)
    try:
        question = multiple_choice_question(task, labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return [
        InstructionPair(
            id=Path(first.video).as_posix(),
            video=first.video,
            question=question,
            answer=first.label,
            choices=tuple(labels),
            split=first.split,
            source=path.stem,
            extra=first.extra,
            events=tuple(sorted(row.event for row in (first, *others) if row.event)),
        )
        for first, *others in _by_video(rows)
    ]


def _read_rows(path: Path) -> list[_Row]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a CSV with the columns video and label")
    with csv_text(path) as file:
        reader = csv.DictReader(file, skipinitialspace=True, restval="")
        names = [(name or "").strip() for name in reader.fieldnames or []]
        reader.fieldnames = [name.lower() if name.lower() in COLUMNS else name for name in names]
        if absent := [name for name in ("video", "label") if name not in reader.fieldnames]:
            marks = [mark for mark in ";\t" if mark in "".join(names)]
            hint = f"; separate the columns by commas, not by {marks[0]!r}" if marks else ""
            raise ValueError(f"{path}: no column {' and no column '.join(absent)}; its first line reads {names}{hint}")
        if "split" not in reader.fieldnames:
            log.warning("%s has no column split: every clip is a test clip, and none is there to fine-tune on", path)
        rows = [_row(record, f"{path}, line {reader.line_num}") for record in reader]
    if not rows:
        raise ValueError(f"{path} has a first line but no clips; expected one clip a line")
    return rows


def _row(record: dict[str | None, str], where: str) -> _Row:
    if None in record:
        raise ValueError(f"{where}: more fields than columns ({record[None]}); put texts with a comma in double quotes")
    cells = {name: value.strip() for name, value in record.items() if name is not None}
    for name in ("video", "label"):
        if not cells[name]:
            raise ValueError(f"{where}: {name} is empty")
    split = cells.get("split", "test").lower()
    if split not in SPLITS:
        raise ValueError(f'{where}: split={cells["split"]!r}, expected "train" or "test"')
    extra = {name: value for name, value in cells.items() if name not in COLUMNS and value}
    event = _event(cells.get("start_s", ""), cells.get("end_s", ""), where)
    return _Row(where=where, video=cells["video"], label=cells["label"], split=split, event=event, extra=extra)


def _event(start: str, end: str, where: str) -> tuple[float, float] | None:
    if not start and not end:
        return None
    try:
        start_s, end_s = float(start), float(end)
    except ValueError:
        start_s = end_s = math.nan
    if not (math.isfinite(end_s) and 0 <= start_s < end_s):
        raise ValueError(
            f"{where}: start_s={start!r}, end_s={end!r}; expected seconds with 0 <= start_s < end_s, or both empty"
        )
    return start_s, end_s


def _check_splits(path: Path, rows: list[_Row], for_training: bool) -> None:
    n = {split: sum(row.split == split for row in rows) for split in SPLITS}
    if not n["test"]:
        raise ValueError(f'{path}: all {len(rows)} lines say split "train"; an ablation needs test clips')
    if for_training and not n["train"]:
        raise ValueError(
            f'{path}: no clip has split "train", so there is nothing to fine-tune on; add a column split with "train" '
            'and "test", or run the zero-shot arms only'
        )
    trained = {row.label for row in rows if row.split == "train"}
    if trained and (unseen := sorted({row.label for row in rows} - trained)):
        log.warning("%s: labels without a training clip: %s", path, ", ".join(unseen))


def _by_video(rows: list[_Row]) -> Iterable[list[_Row]]:
    """Lines of the same video together, in file order. Raises ValueError where they are not several events of it."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(Path(row.video).as_posix(), []).append(row)
    for first, *others in groups.values():
        for row in others:
            earlier = f"{row.where}: {row.video} was already given in {first.where}"
            if (row.label, row.split, row.extra) != (first.label, first.split, first.extra):
                raise ValueError(f"{earlier} with other values")
            if row.event is None or first.event is None:
                raise ValueError(f"{earlier}; only events may repeat it")
    return groups.values()
