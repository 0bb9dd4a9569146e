"""Animal Kingdom's lists, read strictly: grounding lines, the action-recognition sheet, tables of durations.

Input: the files as the authors give them (`video_grounding/annotation/train.txt`, `test.txt`, `ak_vg_duration.json`;
`AR_metadata.xlsx` saved as CSV) or as the toy world writes them. Output: `Grounding` and `SheetRow` entries that know
file and line. Which videos stay is decided in `folder`, what is asked about them in `pairs`.
"""

import ast
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.dataset import index_files, lines_of, rows_of
from llamavid_kit.data.pairs import SPLITS
from llamavid_kit.files import check_shape, read_json

GROUNDING_LISTS = {"train": "train.txt", "test": "test.txt"}
DURATION_TABLES = ("durations.csv", "ak_vg_duration.json")  # ours, the authors'
SHEET, SHEET_AS_EXCEL = "AR_metadata.csv", "AR_metadata.xlsx"
_CODE = r"(?:[\w-]+[\\/])*(\w[\w-]*)(?:\.mp4)?"  # alone, or as a video's path with either separator
_LINE = re.compile(rf"{_CODE}\s+(\S+)\s+(\S+?)\s*##(.*)")  # code, start, end, sentence


@dataclass(frozen=True)
class Sentence:
    """One grounding line. start_s, end_s: as annotated, not always start_s < end_s; where: "file, line n"."""

    text: str
    start_s: float
    end_s: float
    where: str

    @property
    def interval(self) -> str:
        return f"{self.start_s:g} to {self.end_s:g} s"


@dataclass(frozen=True)
class Grounding:
    """A video of the grounding lists with its sentences, in the list's order (which is not the order of times)."""

    code: str
    split: str
    sentences: tuple[Sentence, ...]

    @property
    def where(self) -> str:
        return self.sentences[0].where


@dataclass(frozen=True)
class SheetRow:
    """A video of the sheet. actions: ((animal, action), …); classes: () where the row has none, None without column.

    objection: why the row contradicts itself, "" where it does not
    """

    code: str
    split: str
    actions: tuple[tuple[str, str], ...]
    classes: tuple[str, ...] | None
    where: str
    objection: str = ""

    @property
    def animals(self) -> tuple[str, ...]:
        return tuple(animal for animal, _ in self.actions)


def find_lists(folder: Path, *, ignore: Collection[str] = ()) -> dict[str, Path]:
    """{file name: path} of the lists anywhere below `folder`: both grounding lists, or the sheet, or all three.

    Raises FileNotFoundError where neither kind is there, or one of the two grounding lists is, or the sheet is there
    as an Excel file only; ValueError where a list is there twice.
    """
    names = [*GROUNDING_LISTS.values(), *DURATION_TABLES, SHEET, SHEET_AS_EXCEL]
    paths = index_files(folder, names, ignore=ignore, expected="Animal Kingdom's lists")
    if SHEET_AS_EXCEL in paths and SHEET not in paths:
        raise FileNotFoundError(
            f"{paths[SHEET_AS_EXCEL]}: the sheet is read as CSV; open it and save its sheet AR as {SHEET} beside it "
            f"(with pandas and openpyxl: pandas.read_excel(file, 'AR').to_csv('{SHEET}', index=False)), or leave its "
            "folder out with ignore= (--ignore FOLDER)"
        )
    grounding = [name for name in GROUNDING_LISTS.values() if name in paths]
    if len(grounding) == 1 or not (grounding or SHEET in paths):
        absent = " and ".join(name for name in GROUNDING_LISTS.values() if name not in paths)
        raise FileNotFoundError(
            f"no {absent} anywhere below {folder}"
            + (f", only {paths[grounding[0]]}" if grounding else f", and no {SHEET}")
            + "; the lists come with Animal Kingdom, give their folder as lists= (--lists)"
        )
    return paths


def read_grounding(path: Path, split: str) -> list[Grounding]:
    """The videos of a grounding list, in the order of their first line: "CODE start end##sentence.", seconds.

    Raises ValueError naming file, line and text for a line that does not parse.
    """
    sentences: dict[str, list[Sentence]] = {}
    for where, line in lines_of(path):
        match = _LINE.fullmatch(line.strip())
        code, start, end, text = match.groups() if match else ("", "", "", "")
        sentence = Sentence(text.strip(), _number(start), _number(end), where)
        times_are_numbers = math.isfinite(sentence.start_s) and math.isfinite(sentence.end_s)
        if not (times_are_numbers and sentence.text) or "##" in text:
            raise ValueError(f'{where}: {line.strip()!r}; expected "CODE start end##sentence.", times in seconds')
        sentences.setdefault(code, []).append(sentence)
    if not sentences:
        raise ValueError(f"{path} lists no videos")
    return [Grounding(code, split, tuple(of_code)) for code, of_code in sentences.items()]


def _number(text: Any) -> float:
    """NaN where it is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def read_sheet(path: Path) -> list[SheetRow]:
    """The videos of the action-recognition sheet, in both layouts: with list_animal_parent_class and without.

    Raises ValueError naming file, line and cell for a missing column, a cell that is no list of names, a type other
    than train and test, a video listed twice. A row without actions, or whose list_animal names other animals than its
    actions, has an objection.
    """
    rows: dict[str, SheetRow] = {}
    for where, record in rows_of(path, ("video_id", "type", "list_animal_action")):
        row = _row(record, where)
        if row.code in rows:
            raise ValueError(f"{row.where}: {row.code} was already listed in {rows[row.code].where}; keep one")
        rows[row.code] = row
    if not rows:
        raise ValueError(f"{path} lists no videos")
    return list(rows.values())


def _row(record: dict[Any, Any], where: str) -> SheetRow:
    if None in record or None in record.values():
        raise ValueError(f"{where}: more or fewer fields than columns; put cells with a comma in double quotes")
    code, split = re.fullmatch(_CODE, record["video_id"].strip()), record["type"].strip()
    if not code:
        raise ValueError(f"{where}: video_id={record['video_id']!r}, expected a code like AAACXZTV")
    if split not in SPLITS:
        raise ValueError(f'{where}: type={record["type"]!r}, expected "train" or "test"')
    actions = _pairs(record["list_animal_action"], where)
    objection = "" if actions else "no action is listed"
    if "list_animal" in record:
        animals = {name.casefold() for name in _names(record["list_animal"], "list_animal", where)}
        if differ := sorted(animals ^ {animal.casefold() for animal, _ in actions}):
            objection = f"only one of list_animal and list_animal_action names {differ}"
    column = "list_animal_parent_class"
    classes = _names(record[column], column, where) if column in record else None
    return SheetRow(code[1], split, actions, classes, where, objection)


def _literal(cell: str, column: str, where: str, expected: str) -> list | tuple:
    try:
        value = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: {column}={cell!r}, expected {expected}")
    return value


def _names(cell: str, column: str, where: str) -> tuple[str, ...]:
    expected = "a list of names as Python writes it, ['Snake', 'Fish']"
    names = _literal(cell, column, where, expected)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{where}: {column}={cell!r}, expected {expected}")
    return tuple(" ".join(name.split()) for name in names)


def _pairs(cell: str, where: str) -> tuple[tuple[str, str], ...]:
    """((animal, action), …) of a cell; an item may be such a list again as text, as where a name has an apostrophe."""
    column, expected = "list_animal_action", "a list of pairs as Python writes it, [('Snake', 'Moving')]"
    pairs: list[tuple[str, str]] = []
    for item in _literal(cell, column, where, expected):
        for pair in _literal(item, column, where, expected) if isinstance(item, str) else [item]:
            is_pair = isinstance(pair, list | tuple) and len(pair) == 2
            if not is_pair or not all(isinstance(name, str) and name.strip() for name in pair):
                raise ValueError(f"{where}: {column}={cell!r}, expected {expected}")
            pairs.append((" ".join(pair[0].split()), " ".join(pair[1].split())))
    return tuple(pairs)


def read_durations(path: Path) -> dict[str, float]:
    """{code: seconds} from our CSV (video_id, duration_s) or the authors' JSON ([{"vid", "duration"}, …]).

    Raises ValueError naming file, place and value.
    """
    if path.suffix == ".json":
        expected = 'expected [{"vid": CODE, "duration": seconds}, …]'
        entries = read_json(path, way_out=expected, encoding="utf-8-sig")
        check_shape(entries, [{"vid": str, "duration": object}], str(path), way_out=expected)
        cells = [(f"{path}, entry {i}", entry["vid"], entry["duration"]) for i, entry in enumerate(entries)]
    else:
        rows = rows_of(path, ("video_id", "duration_s"))
        cells = [(where, row["video_id"], row["duration_s"]) for where, row in rows]
    durations: dict[str, float] = {}
    for where, video, cell in cells:
        seconds, match = _number(cell), re.fullmatch(_CODE, str(video).strip())
        if not (match and math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{where}: duration of {video!r} is {cell!r}, expected seconds above 0, and a code")
        code = match[1]
        if durations.setdefault(code, seconds) != seconds:
            raise ValueError(f"{where}: {code} was already given with {durations[code]:g} s, here {seconds:g} s")
    return durations
