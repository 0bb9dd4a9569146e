"""From replies to a table: which label a reply names, and what an arm's labels are worth.

Takes reply texts and true labels; gives counts, accuracies and a confusion matrix. A reply that names no label under
the chosen rule stays unlabelled: it counts as wrong and has its own column, and is never guessed. How sure the numbers
are and how two arms compare is left to `statistics`; replies in sentences are left to `judges`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeVar

from sklearn.metrics import confusion_matrix, f1_score, recall_score

from llamavid_kit.evaluation.statistics import wilson

NO_LABEL = "no label"
Label = TypeVar("Label", str, str | None)
RuleName = Literal["exact", "normalised", "unique_mention", "first_mention", "last_mention", "exact_plus_Road_prefix"]


@lru_cache(maxsize=64)
def _mention_pattern(labels: tuple[str, ...]) -> re.Pattern:
    """Any label as whole words, each a group, an "s" after it allowed; longer first: "Road Accident" before "Road".

    `_by_normal` has refused labels that the pattern could take for each other.
    """
    longest_first = sorted(labels, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(f'({re.escape(x)})' for x in longest_first)})s?(?!\w)", re.IGNORECASE)


def _normal(text: str) -> str:
    """Without blanks, quotes and full stops at its ends, and in small letters."""
    return text.strip(" \t\r\n\"'.").casefold()


def _by_normal(labels: Sequence[str]) -> dict[str, str]:
    by_normal = {_normal(label): label for label in labels}
    if len(by_normal) < len(labels) or not labels or not all(by_normal):
        raise ValueError(
            f"labels={tuple(labels)}: expected different, non-empty labels, letter case, quotes and full stops at "
            "their ends aside"
        )
    return by_normal


def mentions(reply: str, labels: Sequence[str]) -> list[str]:
    """Every label that `reply` mentions, in reading order, with repeats; case is ignored, words are whole."""
    _by_normal(labels)
    longest_first = sorted(labels, key=len, reverse=True)
    return [longest_first[(found.lastindex or 1) - 1] for found in _mention_pattern(tuple(labels)).finditer(reply)]


def _exact(reply: str, labels: Sequence[str]) -> str | None:
    return reply if reply in labels else None


def _unique_mention(reply: str, labels: Sequence[str]) -> str | None:
    names = set(mentions(reply, labels))
    return names.pop() if len(names) == 1 else None


def _exact_plus_road(reply: str, labels: Sequence[str]) -> str | None:
    return "Road Accident" if reply == "Road" and "Road Accident" in labels else _exact(reply, labels)


RULES: dict[RuleName, Callable[[str, Sequence[str]], str | None]] = {
    "exact": _exact,
    "normalised": lambda reply, labels: _by_normal(labels).get(_normal(reply)),
    "unique_mention": _unique_mention,
    "first_mention": lambda reply, labels: next(iter(mentions(reply, labels)), None),
    "last_mention": lambda reply, labels: next(reversed(mentions(reply, labels)), None),
    "exact_plus_Road_prefix": _exact_plus_road,
}
RULE_TEXT: dict[str, str] = {
    "exact": "the reply equals one of the labels",
    "normalised": "as exact, after blanks, quotes and full stops at the ends and letter case are taken away",
    "unique_mention": "exactly one label is mentioned, as whole words, letter case aside, a plural s allowed",
    "first_mention": "the first label mentioned",
    "last_mention": "the last label mentioned",
    "exact_plus_Road_prefix": 'as exact, and the reply "Road" counts as Road Accident (the study\'s Figure 5)',
}


def label_of(reply: str, labels: Sequence[str], *, rule: RuleName = "normalised") -> str | None:
    """The label that `reply` names under `rule` (`RULE_TEXT` says each in words), or None: never a guess.

    The mention rules do not understand a "no": "there is no robbery" mentions Robbery. Raises ValueError for an
    unknown rule, and for labels that differ only in what `normalised` takes away.
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not known; choose one of {', '.join(RULES)}")
    return RULES[rule](reply, labels)


@dataclass(frozen=True)
class ClassCount:
    """One class of one arm. n: clips of the class; correct: of those; predicted: clips that were given this label."""

    n: int
    correct: int
    predicted: int

    @property
    def recall(self) -> float | None:
        """Share of the class's clips answered right (per-class accuracy); None where the class has no clips."""
        return self.correct / self.n if self.n else None

    @property
    def precision(self) -> float:
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.correct / (self.n + self.predicted) if self.n + self.predicted else 0.0

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.correct, self.n)


@dataclass(frozen=True)
class Baseline:
    """What always answering the most frequent class gets (the first in label order among equals)."""

    label: str
    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.n


@dataclass(frozen=True)
class ArmTable:
    """What one arm scored. `confusion[i][j]`: clips of class `labels[i]` that were given `columns[j]`.

    columns: the labels, then "no label" where an answer named none
    balanced_accuracy: mean recall of the classes that occur; macro_f1: mean F1 of the classes that occur or were
    predicted (scikit-learn's own choice; 0 where a class was never predicted)
    """

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    balanced_accuracy: float
    macro_f1: float

    @property
    def n(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        return sum(row[i] for i, row in enumerate(self.confusion))

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.correct, self.n)

    @property
    def no_label(self) -> int:
        return sum(row[-1] for row in self.confusion) if len(self.columns) > len(self.labels) else 0

    @cached_property
    def per_class(self) -> dict[str, ClassCount]:
        return {
            label: ClassCount(n=sum(row), correct=row[i], predicted=sum(r[i] for r in self.confusion))
            for i, (label, row) in enumerate(zip(self.labels, self.confusion, strict=True))
        }

    @property
    def baseline(self) -> Baseline:
        label = max(self.labels, key=lambda name: self.per_class[name].n)
        return Baseline(label=label, correct=self.per_class[label].n, n=self.n)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the table's fields and numbers, and `per_class` with an interval a class."""
        names = ("n", "correct", "accuracy", "wilson95", "balanced_accuracy", "macro_f1", "no_label")
        per_class = {name: {**asdict(c), "wilson95": list(c.wilson95)} for name, c in self.per_class.items()}
        values = {name: getattr(self, name) for name in names} | {"wilson95": list(self.wilson95)}
        confusion = [list(row) for row in self.confusion]
        lists = {"labels": list(self.labels), "columns": list(self.columns), "confusion": confusion}
        return {**values, "per_class": per_class, **lists}


def score(truths: Sequence[str], answers: Sequence[str | None], *, labels: Sequence[str]) -> ArmTable:
    """The table of one arm: `answers[i]` is the label given to the clip whose true label is `truths[i]`, or None.

    Raises ValueError for no clips, unequal lengths, and a truth or answer outside `labels` (map replies with
    `label_of` first).
    """
    labels = tuple(labels)
    _by_normal(labels)
    if len(truths) != len(answers) or not len(truths):
        raise ValueError(f"{len(truths)} true labels and {len(answers)} answers: expected as many, at least one")
    if outside := sorted({str(x) for x in (*truths, *answers) if x not in labels and x is not None}):
        raise ValueError(f"{outside} are not among the labels {labels}; map replies with label_of first")
    if None in truths or NO_LABEL in labels:
        raise ValueError(f"every clip needs a true label, and {NO_LABEL!r} cannot be one")
    predictions = [NO_LABEL if a is None else a for a in answers]
    columns = labels + ((NO_LABEL,) if None in answers else ())
    matrix = confusion_matrix(truths, predictions, labels=list(columns))[: len(labels)]
    occurring = [label for label in labels if label in truths]
    with_f1 = [label for label in labels if label in truths or label in predictions]
    return ArmTable(
        labels=labels,
        columns=columns,
        confusion=tuple(tuple(int(x) for x in row) for row in matrix),
        balanced_accuracy=float(recall_score(truths, predictions, labels=occurring, average="macro", zero_division=0)),
        macro_f1=float(f1_score(truths, predictions, labels=with_f1, average="macro", zero_division=0)),
    )


def collapse(labels: Sequence[Label], *, keep: str, other: str = "Anomaly") -> list[Label]:
    """Every label but `keep` becomes `other` (Figure 4's anomaly against normal); None stays None.

    Score the result with `labels=(other, keep)`. Raises ValueError where `other` is `keep`.
    """
    if keep == other:
        raise ValueError(f"keep={keep!r} and other={other!r} are the same label; choose another word for the rest")
    return [label if label is None or label == keep else other for label in labels]
