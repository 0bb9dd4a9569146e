"""What a benchmark is: items, how they are put to a model, and how replies become the number of a table.

One file per benchmark fills a `Benchmark`; `run.py` answers and scores it. Labels and replies are joined by id, never
by position.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from llamavid_kit.evaluation.benchmarks import TABLE
from llamavid_kit.evaluation.benchmarks.reading import in_words
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.verdict_parser import Verdict
from llamavid_kit.evaluation.resampling import clustered_mean
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.files import read_texts

WORD = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."

Mode = Literal["original", "strict", "official"]
"""A scorer: see `table.RULED` and `table.JUDGED`."""
Interval = tuple[float, float]


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
    interval95: Interval | None = None


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
    verdicts: where a judge scored: "qa" or axis → its verdicts, and the video of each
    """

    mode: Mode
    value: float | None
    parts: dict[str, Part] = field(default_factory=dict)
    outcomes: dict[str, float] = field(default_factory=dict)
    no_answer: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, dict[str, float]] = field(default_factory=dict)
    interval95: Interval | None = None
    verdicts: dict[str, tuple[list[Verdict], list[str]]] = field(default_factory=dict)


class Scorer(Protocol):
    """`replies`: item id → text, of exactly the items (`joined` has checked); `judge`: where `Benchmark.judged`."""

    def __call__(
        self, items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: Judge | None = None
    ) -> Score: ...


Load = Callable[[Path], list[Item]]
Submit = Callable[[Sequence[Item], Mapping[str, str], Path], Path | None]


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read, asked and scored.

    name: as in `evaluate NAME`; title: as in a table
    load: data folder → items; raises FileNotFoundError and ValueError naming what is wrong
    score: see `Scorer`; called with each of `modes`, whose first is the one beside the published numbers
    size: items of the whole benchmark: fewer or more are said not to be comparable
    columns: part → its column in the published tables (`published.py`); by default the whole value ("") → `title`
    metric: what the value is, in words; unit: "%" or "0-5"
    max_new_tokens: of a reply, as in the original's script
    pad: pictures are padded to a square (otherwise their centre is cut out), as in the original's script
    judged: a judge is needed
    submit: (items, replies, folder) → the file for the server, or None where nothing is to be sent
    """

    name: str
    title: str
    load: Load
    score: Scorer
    size: int
    media: Literal["image", "video"] = "image"
    modes: tuple[Mode, ...] = ("original",)
    columns: Mapping[str, str] = field(default_factory=dict)
    metric: str = "accuracy"
    unit: Literal["%", "0-5"] = "%"
    max_new_tokens: int = 128
    pad: bool = True
    judged: bool = False
    submit: Submit | None = None

    @classmethod
    def of(cls, name: str, load: Load, score: Scorer, *, submit: Submit | None = None) -> "Benchmark":
        """The benchmark that `benchmarks.toml` describes under `name`."""
        fields = {
            "columns": {"": TABLE[name]["title"]},
            **TABLE[name],
            "modes": tuple(TABLE[name].get("modes", cls.modes)),
        }
        return cls(name=name, load=load, score=score, submit=submit, **fields)


def joined(items: Sequence[Item], lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Lines with id and reply → id → reply, in the items' order. ValueError names missing, doubled or unknown ids."""
    ids, times = {item.id for item in items}, Counter(line["id"] for line in lines)
    wrong = {
        "doubled": [name for name, n in times.items() if n > 1],
        "unknown": [name for name in times if name not in ids],
        "missing": [item.id for item in items if item.id not in times],
    }
    if any(wrong.values()):
        raise ValueError(f"replies and items do not match: {in_words(wrong, ', ')}; expected each item's id once")
    texts = {line["id"]: line["reply"] for line in lines}
    return {item.id: texts[item.id] for item in items}


def check_begun(items: Sequence[Item], path: Path) -> None:
    """Before more is asked: ValueError where a cut-off run's `path` holds not the replies to `items`, each once."""
    replies = read_texts(path)[1]
    try:
        joined(items, replies)
    except ValueError as error:
        raise ValueError(f"{path} was edited since: {error}; put it back, or delete it and run again") from None


# --- outcomes -------------------------------------------------------------------------------------------------------


def accuracy_score(
    mode: Mode,
    items: Sequence[Item],
    outcomes: dict[str, float],
    *,
    no_answer: tuple[str, ...] = (),
    more: dict[str, Any] | None = None,
) -> Score:
    """The mean of the items' outcomes in percent, of all and of each split."""
    value = part(list(outcomes.values())).value
    return Score(mode, value, accuracy_parts(items, outcomes), outcomes, no_answer, more or {})


def accuracy_parts(items: Sequence[Item], outcomes: Mapping[str, float]) -> dict[str, Part]:
    """Percent right in each split, in order of appearance; "all" where the items have none."""
    by_split: dict[str, list[float]] = {}
    for item in items:
        if item.id in outcomes:
            by_split.setdefault(item.split or "all", []).append(outcomes[item.id])
    return {name: part(values) for name, values in by_split.items()}


def part(values: Sequence[float]) -> Part:
    """Percent of the mean; `k` where every value is 0 or 1."""
    whole = all(v in (0, 1) for v in values)
    return Part(len(values), 100 * sum(values) / len(values), int(sum(values)) if whole else None)


def clustered_interval(outcomes: Mapping[str, float], clusters: Mapping[str, str]) -> Interval | None:
    """95% interval of the mean outcome, 0 to 1: Wilson's where each item has a picture or clip alone, else clustered.

    outcomes: item id → outcome; clusters: item id → `Item.group`
    Items that share one are fewer observations than they seem: `resampling.clustered_mean`, cut to 0 and 1. Where all
    outcomes are right or all wrong that sees no spread, and Wilson's is taken as if each picture were one item. Part
    scores without shared pictures get the same t interval. None where one picture or equal part scores show no spread.
    """
    values, groups = list(outcomes.values()), [clusters[name] for name in outcomes]
    n_groups, kinds = len(set(groups)), set(values)
    if kinds and kinds <= {0, 1} and n_groups == len(values):
        return wilson(int(sum(values)), len(values))
    if kinds in ({0}, {1}):
        return wilson(n_groups * int(values[0]), n_groups)
    if n_groups < 2 or len(kinds) == 1:
        return None
    low, high = clustered_mean(values, groups).interval95
    return max(0.0, low), min(1.0, high)
