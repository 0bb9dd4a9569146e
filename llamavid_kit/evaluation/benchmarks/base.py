"""What a benchmark is: items, how they are asked, and how replies become the number of a table.

One file per benchmark fills a `Benchmark`; `run.py` answers and scores it. Labels and replies are joined by id, never
by position; an id that is missing, doubled or unknown is an error that names it. Media are found below the data folder
and nowhere else. The statistics of a result come in as a function (`Interval`), the judge as an object (`judge=`).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from llamavid_kit.evaluation.resampling import clustered_mean
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.files import read_text, read_texts

WORD = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."


@dataclass(frozen=True)
class Item:
    """One question about one picture or clip.

    id: unique within the benchmark
    media: the file; for a picture that stands within a table, the table (and `picture` its encoded bytes)
    prompt: what follows the picture in the prompt, instructions included
    question: the text-guided query, what the text decoder is asked; the original's scripts decide with how much of the
        instructions
    answers: the truth: one label, or several people's answers; empty where only the server knows it
    split: the part of the result that it counts for (a category, an axis)
    cluster: items with the same value are about the same thing and not independent; the media's name by default
    """

    id: str
    media: Path
    prompt: str
    question: str
    answers: tuple[str, ...] = ()
    split: str = ""
    cluster: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    picture: bytes | None = field(default=None, repr=False)

    @property
    def group(self) -> str:
        """`cluster`, or the media's name."""
        return self.cluster or self.media.name


@dataclass(frozen=True)
class Part:
    """One split or axis of `n` items. `k`: how many are right, None where an item can be right in part.

    value: in the table's unit (percent, or 0 to 5); interval95: its own, where it is no mean over items (an F1)
    """

    n: int
    value: float
    k: int | None = None
    interval95: tuple[float, float] | None = None


@dataclass(frozen=True)
class Score:
    """What a run is worth by one scorer.

    value: the number that the paper's table shows, None where only the server can tell
    parts: split or axis → Part
    outcomes: item id → 0 to 1 (or a judge's score), for intervals and paired tests; empty where only the server knows
    no_answer: ids of the replies in which the scorer found no answer; they count as wrong
    more: other numbers that the original prints, by its names
    axes: part → item id → outcome, of parts that share items or are not the items' splits; `more` of such a part holds
        its "score95"
    interval95: of `value`, by the benchmark itself where the value is no mean of `outcomes`
    """

    mode: str
    value: float | None
    parts: dict[str, Part] = field(default_factory=dict)
    outcomes: dict[str, float] = field(default_factory=dict)
    no_answer: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, dict[str, float]] = field(default_factory=dict)
    interval95: tuple[float, float] | None = None


class Scorer(Protocol):
    """`replies`: item id → text, of exactly the items (`joined` has checked); `judge`: where `Benchmark.judged`."""

    def __call__(self, items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Any = None) -> Score: ...


Interval = Callable[[Mapping[str, float], Mapping[str, str]], tuple[float, float] | None]
"""(item id → outcome, item id → `Item.group`) → 95% interval of the mean outcome, None where it does not apply."""


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read, asked and scored.

    name: as in `evaluate NAME`; title: as in a table
    columns: part → its column in the published tables (`published.py`); "" is the whole value
    files: what the data folder must hold, in words, for the help and for errors
    load: data folder → items; raises FileNotFoundError and ValueError naming what is wrong
    score: see `Scorer`; called with each of `modes`, whose first is the one beside the published numbers
    metric: what the value is, in words; unit: "%" or "0-5"
    size: items of the whole benchmark: fewer or more are said not to be comparable
    max_new_tokens: of a reply, as in the original's script
    pad: pictures are padded to a square (otherwise their centre is cut out), as in the original's script
    judged: a judge is needed
    submit: (items, replies, folder) → the file for the server, or None where nothing is to be sent
    """

    name: str
    title: str
    columns: Mapping[str, str]
    media: Literal["image", "video"]
    files: str
    load: Callable[[Path], list[Item]]
    score: Scorer
    modes: tuple[str, ...]
    size: int
    metric: str = "accuracy"
    unit: str = "%"
    max_new_tokens: int = 128
    pad: bool = True
    judged: bool = False
    submit: Callable[[Sequence[Item], Mapping[str, str], Path], Path | None] | None = None


def joined(items: Sequence[Item], replies: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(id, text) pairs → id → text, in the items' order. ValueError names ids that are missing, doubled or unknown."""
    pairs = list(replies)
    known, seen = {item.id for item in items}, Counter(name for name, _ in pairs)
    wrong = {
        "doubled": [name for name, times in seen.items() if times > 1],
        "unknown": [name for name in seen if name not in known],
        "missing": [item.id for item in items if item.id not in seen],
    }
    if said := [f"{len(ids)} {what} ({some(ids)})" for what, ids in wrong.items() if ids]:
        raise ValueError(f"replies and items do not match: {', '.join(said)}; expected each item's id once")
    texts = dict(pairs)
    return {item.id: texts[item.id] for item in items}


def check_begun(items: Sequence[Item], path: Path) -> None:
    """Before more is asked: ValueError where a cut-off run's `path` holds not the replies to `items`, each once."""
    found = read_texts(path)[1]
    try:
        joined(items, found)
    except ValueError as error:
        raise ValueError(f"{path} was edited since: {error}; put it back, or delete it and run again") from None


def accuracy_parts(items: Sequence[Item], outcomes: Mapping[str, float]) -> dict[str, Part]:
    """Percent right in each split, in order of appearance; "all" where the items have none."""
    by_split: dict[str, list[float]] = {}
    for item in items:
        by_split.setdefault(item.split or "all", []).append(outcomes[item.id])
    return {name: part(values) for name, values in by_split.items()}


def part(values: Sequence[float]) -> Part:
    """Percent of the mean; `k` where every value is 0 or 1."""
    whole = all(v in (0, 1) for v in values)
    return Part(len(values), 100 * sum(values) / len(values), int(sum(values)) if whole else None)


def wilson_interval(outcomes: Mapping[str, float], clusters: Mapping[str, str]) -> tuple[float, float] | None:
    """Wilson's interval as if items were independent: too narrow where several share a picture; not for part scores."""
    values = outcomes.values()
    return wilson(int(sum(values)), len(values)) if values and all(v in (0, 1) for v in values) else None


def clustered_interval(outcomes: Mapping[str, float], clusters: Mapping[str, str]) -> tuple[float, float] | None:
    """The default `Interval` of `run.evaluate`: Wilson's where each item has a picture or clip alone, else clustered.

    Items that share one are fewer observations than they seem: `resampling.clustered_mean`, cut to 0 and 1. Where all
    outcomes are right or all wrong that sees no spread, and Wilson's is taken as if each picture were one item. Part
    scores without shared pictures get the same t interval. None where one picture or equal part scores show no spread.
    """
    names, values = list(outcomes), list(outcomes.values())
    groups = [clusters[name] for name in names]
    n_groups = len(set(groups))
    if n_groups == len(values) and (found := wilson_interval(outcomes, clusters)):
        return found
    if set(values) in ({0}, {1}):
        return wilson(n_groups * int(values[0]), n_groups)
    if n_groups < 2 or len(set(values)) == 1:
        return None
    low, high = clustered_mean(values, groups).interval95
    return max(0.0, low), min(1.0, high)


# --- reading other people's files ----------------------------------------------------------------------------------


def some(names: Sequence[Any], *, at_most: int = 5) -> str:
    """The first few names and how many more."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(map(str, names[:at_most])) + more


def needed(folder: Path, name: str, *, files: str) -> Path:
    """The file or folder `name` below the data folder; FileNotFoundError says what the folder must hold."""
    path = Path(folder) / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; the data folder must hold {files}")
    return path


def inside(folder: Path, name: Any, *, where: str) -> Path:
    """The media file that a row names; ValueError for a path that leaves `folder`, FileNotFoundError for no file."""
    if not isinstance(name, str) or not name or not (Path(folder) / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{where}: {name!r} is no file name below {folder}")
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path} is not there; download the benchmark's media into {folder}")
    return path


def read_json(path: Path) -> Any:
    """A JSON file; ValueError names it where it is none."""
    return _parsed(read_text(path, way_out="download it again"), str(path))


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON ({error}); download it again") from error


def read_rows(path: Path, keys: Mapping[str, type | tuple[type, ...]]) -> list[dict[str, Any]]:
    """A JSONL file, or a JSON list, of objects that hold `keys` with these types. ValueError names file and row."""
    text = read_text(path, way_out="download it again")
    if text.lstrip().startswith("["):
        rows = _parsed(text, str(path))
    else:
        rows = [_parsed(line, f"{path}, line {k}") for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    for k, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}, row {k} is {type(row).__name__}; expected an object with {', '.join(keys)}")
        for key, kind in keys.items():
            if key not in row or not isinstance(row[key], kind) or isinstance(row[key], bool):
                raise ValueError(f"{path}, row {k}: {key!r} is {row.get(key)!r}; expected {_names(kind)}")
    if not rows:
        raise ValueError(f"{path} holds no rows")
    return rows


def by_id(rows: Sequence[Mapping[str, Any]], key: str, *, where: str | Path) -> dict[str, Mapping[str, Any]]:
    """Rows by the text of their id; ValueError names ids that stand there twice."""
    seen = Counter(str(row[key]) for row in rows)
    if twice := [name for name, times in seen.items() if times > 1]:
        raise ValueError(f"{where}: {len(twice)} ids stand there more than once ({some(twice)})")
    return {str(row[key]): row for row in rows}


def same_ids(asked: Iterable[str], labelled: Iterable[str], *, where: str | Path, extra_labels: bool = False) -> None:
    """ValueError naming questions without a label, and labels without a question unless `extra_labels`."""
    asked, labelled = dict.fromkeys(asked), dict.fromkeys(labelled)
    missing = [name for name in asked if name not in labelled]
    unknown = [] if extra_labels else [name for name in labelled if name not in asked]
    if missing or unknown:
        said = [
            f"{len(ids)} {what} ({some(ids)})"
            for what, ids in (("questions have no label", missing), ("labels have no question", unknown))
            if ids
        ]
        raise ValueError(f"{where}: {' and '.join(said)}; take questions and labels of the same release")


def _names(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
