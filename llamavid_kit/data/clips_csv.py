"""Anybody's clips as instruction pairs: one CSV with the columns video and label is a data set.

`clips_from_csv` reads it and asks the study's kind of question over the labels that occur. Clips are checked to exist,
not opened: a broken one is noticed, and listed, when frames are read.
"""

import csv
import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

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

    video: path relative to `root` (default: the CSV's folder), or absolute; it stays as written, but for Windows'
    separators where those name no file
    start_s, end_s (optional): an event in seconds; a video on several lines has several events, with one label
    split (optional): "train" or "test"; without it every clip is a test clip. Other columns go to `extra`.
    for_training: also asks for training clips
    task: what stands before "by using ONLY ONE of the mentioned categories: …"; the categories are the labels that
    occur, sorted

    Labels of one clip alone, and labels that one split lacks, are named in the log. Raises FileNotFoundError for the
    CSV, and ValueError naming file, line and value for everything else: a missing column or clip, fewer than two
    labels, labels that look alike, an event that ends before it starts, no test or no training clips.
    """
    path = Path(path)
    rows = _read_rows(path)
    root = path.parent if root is None else Path(root)
    for row in rows:
        if not (root / row.video).is_file() and (root / (posix := PureWindowsPath(row.video).as_posix())).is_file():
            row.video = posix
    if absent := [f"{row.video} ({row.where})" for row in rows if not (root / row.video).is_file()]:
        raise ValueError(
            f"{len(absent)} clip{' is' if len(absent) == 1 else 's are'} not where {path} says, seen from {root}: "
            f"{some(absent)}; correct the column video, or give root= (--root FOLDER)"
        )
    clips = list(_by_video(rows))
    labels = _labels(path, [first for first, *_ in clips])
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
        for first, *others in clips
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
            hint = (
                f"; separate the columns by commas, not by {marks[0]!r}, and write decimals with a point"
                if marks
                else ""
            )
            raise ValueError(f"{path}: no column {' and no column '.join(absent)}; its first line reads {names}{hint}")
        if "split" not in reader.fieldnames:
            log.warning("%s has no column split: every clip is a test clip, and none is there to fine-tune on", path)
        if twice := [name for name in COLUMNS if reader.fieldnames.count(name) > 1]:
            raise ValueError(f"{path}: several columns {', '.join(twice)}; its first line reads {names}, keep one each")
        rows = [_row(record, path, reader.line_num) for record in reader]
    if not rows:
        raise ValueError(f"{path} has a first line but no clips; expected one clip a line")
    return rows


def _row(record: dict[str | None, str], path: Path, last_line: int) -> _Row:
    n_breaks = sum(str(cell).rstrip("\n").count("\n") for cell in record.values())
    where = f"{path}, line {last_line - n_breaks}"
    if None in record:
        raise ValueError(
            f"{where}: more fields than columns ({record[None]}); write labels without a comma and decimals with a "
            "point, and put other texts with a comma in double quotes"
        )
    cells = {name: value.strip() for name, value in record.items() if name is not None}
    for name in ("video", "label"):
        if not _seen(cells[name]):
            raise ValueError(f"{where}: {name} is empty; the line reads {list(cells.values())}")
        if len(cells[name].splitlines()) > 1 or any(ord(sign) < 32 for sign in cells[name]):
            raise ValueError(
                f"{where}: {name}={cells[name]!r:.120} holds a line break or another control character; write it in "
                "one line, and close double quotes that are opened"
            )
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
            'and "test", or run the zero-shot arms only (--no-finetune)'
        )


def _seen(text: str) -> str:
    """What two texts share that look alike but for letter case and blanks."""
    return "".join(c for c in unicodedata.normalize("NFC", text).casefold() if c.isprintable() and not c.isspace())


def _labels(path: Path, clips: list[_Row]) -> list[str]:
    """The labels, sorted. ValueError for fewer than two and for some that look alike; few clips are a warning."""
    n = Counter(row.label for row in clips)
    labels, first = sorted(n), {row.label: row.where.rpartition(", ")[2] for row in reversed(clips)}
    name = {label: f"{label} ({n[label]}, from {first[label]})" for label in labels}
    if len(labels) < 2:
        raise ValueError(f"{path}: every clip has the label {labels[0]!r}; a choice needs at least two labels")
    alike: dict[str, str] = {}
    for label in labels:
        if (other := alike.setdefault(_seen(label), label)) != label:
            both = f"{name[other]} and {name[label]}"
            raise ValueError(f"{path}: the labels {both} differ in letter case or blanks alone; write them alike")
    few = {"labels that only one clip has, perhaps misspelt:": [label for label in labels if n[label] == 1]}
    of_split = {split: {row.label for row in clips if row.split == split} for split in SPLITS}
    for split, kind in zip(SPLITS, ("training", "test"), strict=True) if all(of_split.values()) else ():
        few[f"labels without a {kind} clip:"] = [label for label in labels if label not in of_split[split]]
    if words := [f"{what} {some(name[label] for label in names)}" for what, names in few.items() if names]:
        log.warning("%s: %s", path, "; ".join(words))
    return labels


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
