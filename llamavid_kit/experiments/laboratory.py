"""An experiment of the laboratory: what was declared before it ran, and which of its predictions held.

A declaration is a TOML file beside the notebook of its name: the question, the worlds that results come from, and what
is predicted of each measured number. It is committed before the notebook first runs on these worlds, and says which
commit that was. Worlds in FOR_CHOICES are for choosing settings; none of them may give a result. What several
experiments do stands here, too: asking in a model's own words, comparing arms clip by clip.
"""

import math
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.evaluation.resampling import Estimate
from llamavid_kit.evaluation.statistics import compare_scores
from llamavid_kit.files import read_text

FOR_CHOICES = range(1001, 2001)
UNCOMMITTED = "not committed, so nothing was predicted"
HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"


@dataclass(frozen=True)
class Prediction:
    """What `of` is said to be: between `at_least` and `at_most`, in the words of `says`."""

    of: str
    says: str
    at_least: float = -math.inf
    at_most: float = math.inf

    def verdict(self, measured: Estimate) -> str:
        """HELD where the whole interval lies within the bounds, NOT_HELD where none of it does, else UNDECIDED."""
        low, high = measured.low, measured.high
        if self.at_least <= low and high <= self.at_most:
            return HELD
        return NOT_HELD if high < self.at_least or low > self.at_most else UNDECIDED


@dataclass(frozen=True)
class Declaration:
    """What an experiment is, before it runs.

    worlds: seeds of the toy world that results come from; quick: that of a first look, where nothing is concluded.
    commit: hash and date of the commit that holds the file as it is, or UNCOMMITTED.
    """

    name: str
    question: str
    worlds: tuple[int, ...]
    quick: int
    predictions: tuple[Prediction, ...]
    commit: str = UNCOMMITTED

    @classmethod
    def read(cls, path: Path | str) -> "Declaration":
        """The declaration in a file. Raises ValueError naming file and value for anything that is not as above."""
        path = Path(path)
        try:
            record = tomllib.loads(read_text(path))
            predictions = tuple(Prediction(**row) for row in record.pop("prediction"))
            declaration = cls(path.stem, **record | {"worlds": tuple(record["worlds"])}, predictions=predictions)
        except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(
                f"{path}: {error}; expected question, worlds, quick, and [[prediction]] with of, says, and at_least or "
                "at_most"
            ) from error
        declaration._check(path)
        return replace(declaration, commit=_commit(path))

    def _check(self, path: Path) -> None:
        if chosen := sorted({*self.worlds} & {*FOR_CHOICES}):
            raise ValueError(f"{path}: worlds={chosen} are for choosing settings; take others for results")
        if self.quick not in FOR_CHOICES:
            raise ValueError(f"{path}: quick={self.quick}: expected one of the worlds for choices, 1001 to 2000")
        names = [prediction.of for prediction in self.predictions]
        if not names or len({*names}) != len(names):
            raise ValueError(f"{path}: predictions of {names}: expected at least one, each of another number")
        for prediction in self.predictions:
            bounds = (prediction.at_least, prediction.at_most)
            if not bounds[0] <= bounds[1] or bounds == (-math.inf, math.inf):
                raise ValueError(f"{path}: {prediction.of!r} from {bounds[0]} to {bounds[1]}: nothing could refute it")

    def marks(self, measured: Mapping[str, Estimate]) -> pd.DataFrame:
        """A row a prediction: prediction, expected, measured, verdict. Raises ValueError where one was not measured."""
        if missing := [p.of for p in self.predictions if p.of not in measured]:
            raise ValueError(f"{self.name}: {missing} were predicted and not measured; measured: {[*measured]}")
        rows = []
        for prediction in self.predictions:
            found = measured[prediction.of]
            rows.append(
                {
                    "prediction": prediction.says,
                    "of": prediction.of,
                    "expected": _between(prediction.at_least, prediction.at_most),
                    "measured": shown(found, ".3g"),
                    "verdict": prediction.verdict(found),
                }
            )
        return pd.DataFrame(rows)


def reworded(pairs: Sequence[InstructionPair], *, task: str, words: Mapping[str, str]) -> list[InstructionPair]:
    """`task` with `words` as its options, of the pairs whose answer has one: for a model that cannot know the labels.

    words: label → what the model calls it.
    """
    options = tuple(words.values())
    question = multiple_choice_question(task, options)
    return [replace(p, question=question, choices=options, answer=words[p.answer]) for p in pairs if p.answer in words]


def gain(before: pd.DataFrame, after: pd.DataFrame) -> tuple[Estimate, float]:
    """Share right `after` less that `before`, and its p-value (permutation test, unadjusted); see `compare_scores`.

    before, after: right or wrong, a row a clip and a column an arm, as many of each. Clips are resampled whole: what
    several arms say about one clip is no more than one observation. Where no clip differs a bootstrap would be certain;
    the interval is then that of the rule of three, 3 in n clips at most. Raises ValueError for other clips or arms.
    """
    n = before.shape[1]
    if not n or after.shape[1] != n:
        raise ValueError(f"{n} arms before and {after.shape[1]} after: expected as many, at least one")
    first, second = (frame.astype(int).sum(axis=1).to_dict() for frame in (before, after))
    if first == second:
        most = min(1.0, 3 / len(first))
        return Estimate(0.0, -most, most), 1.0
    paired = compare_scores(first, second, top=n)
    return Estimate(paired.difference / n, *(bound / n for bound in paired.interval95)), paired.p


def shown(estimate: Estimate, form: str = ".1%") -> str:
    """A number with its interval, "81.2% [75.0%, 86.4%]". form: a format; "points" shows a difference of two shares."""
    numbers = (estimate.value, estimate.low, estimate.high)
    if form == "points":
        value, low, high = (f"{100 * number:+.1f}" for number in numbers)
        return f"{value} points [{low}, {high}]"
    value, low, high = (f"{number:{form}}" for number in numbers)
    return f"{value} [{low}, {high}]"


def _between(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high):
        return f"at most {high:g}" if math.isinf(low) else f"at least {low:g}"
    return f"{low:g} to {high:g}"


def _commit(path: Path) -> str:
    """Hash and date of the last commit of `path`; UNCOMMITTED where it has changed since, or was never in one."""

    def git(*words: Any) -> str:
        call = ["git", "-C", str(path.resolve().parent), *words, "--", path.name]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        found = git("log", "-1", "--format=%h of %cs")
        return found if found and not git("status", "--porcelain") else UNCOMMITTED
    except (OSError, subprocess.CalledProcessError):
        return UNCOMMITTED
