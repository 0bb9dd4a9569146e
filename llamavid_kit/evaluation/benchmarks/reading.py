"""Reading a benchmark's data folder: other people's tables, joined by id, and the media that their rows name.

An id that is missing, doubled or unknown is an error that names it. Media are looked for below the data folder and
nowhere else. What rows mean is each benchmark's own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks import FILES
from llamavid_kit.files import parse_json, read_text, some

DOWNLOAD = "download it again"
Kinds = Mapping[str, type | tuple[type, ...]]


def in_words(odd: Mapping[str, Sequence[str]], between: str) -> str:
    """What is wrong → ids: "2 unknown (a, b)", of those that there are."""
    return between.join(f"{len(ids)} {what} ({some(ids)})" for what, ids in odd.items() if ids)


def needed(data: Path, benchmark: str, *names: str) -> list[Path]:
    """The files and folders `names` below the data folder; FileNotFoundError says what the folder must hold."""
    paths = [Path(data) / name for name in names]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; the data folder must hold {FILES[benchmark]}")
    return paths


def inside(folder: Path, name: Any, *, where: str) -> Path:
    """The media file that a row names; ValueError for a path that leaves `folder`, FileNotFoundError for no file."""
    if not isinstance(name, str) or not name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{where}: {name!r} is not a file name inside {folder}")
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path} is not there; download the benchmark's media into {folder}")
    return path


def read_rows(path: Path, kinds: Kinds) -> list[dict[str, Any]]:
    """A JSONL file, or a JSON list, of objects whose keys hold these types. ValueError names file and row."""
    text = read_text(path, way_out=DOWNLOAD)
    if text.lstrip().startswith("["):
        rows = parse_json(text, path, way_out=DOWNLOAD)
    else:
        lines = [(f"{path}, line {k}", line) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows = [parse_json(line, where, way_out=DOWNLOAD) for where, line in lines]
    for k, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}, row {k} is {type(row).__name__}; expected an object with {', '.join(kinds)}")
        for key, kind in kinds.items():
            if key not in row or not isinstance(row[key], kind) or isinstance(row[key], bool):
                names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
                raise ValueError(f"{path}, row {k}: {key!r} is {row.get(key)!r}; expected {names}")
    if not rows:
        raise ValueError(f"{path} holds no rows")
    return rows


def read_by_id(path: Path, kinds: Kinds) -> dict[str, Mapping[str, Any]]:
    """`read_rows`, by the text of their first key. ValueError names ids that stand there twice."""
    return by_id(read_rows(path, kinds), next(iter(kinds)), where=path)


def by_id(rows: Sequence[Mapping[str, Any]], key: str, *, where: str | Path) -> dict[str, Mapping[str, Any]]:
    """Rows by the text of their id; ValueError names ids that stand there twice."""
    times = Counter(str(row[key]) for row in rows)
    if twice := [name for name, n in times.items() if n > 1]:
        raise ValueError(f"{where}: {len(twice)} ids stand there more than once ({some(twice)})")
    return {str(row[key]): row for row in rows}


def same_ids(questions: Iterable[str], labels: Iterable[str], *, where: str | Path) -> None:
    """ValueError naming questions without a label, and labels without a question."""
    questions, labels = dict.fromkeys(questions), dict.fromkeys(labels)
    odd = {
        "questions have no label": [name for name in questions if name not in labels],
        "labels have no question": [name for name in labels if name not in questions],
    }
    if any(odd.values()):
        raise ValueError(f"{where}: {in_words(odd, ' and ')}; take questions and labels of the same release")
