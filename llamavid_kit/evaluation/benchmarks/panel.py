"""Several judges of one run, and one judge asked again: what each says, and how far they agree.

Takes a scorer, items and replies, and the judges; gives a `Judging`, of which `run.py` writes the numbers and
`judges_table.py` makes lines. The first judge gives the run's score. All comparisons are of verdicts read in the
first mode, `strict`; how they are compared is `judge_agreement.py`'s.
"""

import logging
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import pandas as pd

from llamavid_kit.evaluation.benchmarks.base import Item, Score, Scorer
from llamavid_kit.evaluation.judges.agreement import Agreement, Repeatability, agreement, repeatability
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import Mode, Verdict

log = logging.getLogger(__name__)

LETTERS = string.ascii_uppercase
Intervals = dict[str, tuple[float, float] | None]


@dataclass
class Heard:
    """A judge whose verdicts are noted as they pass to the scorer. said: (task, mode) → verdicts, video of each."""

    judge: Judge
    said: dict[tuple[str, str], tuple[list[Verdict], list[str]]] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        return self.judge.identity

    def verdicts(self, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict") -> list[Verdict]:
        found = self.judge.verdicts(items, task=task, mode=mode)
        self.said[task, mode] = (found, [item.video or item.id for item in items])
        return found


@dataclass(frozen=True)
class ByJudge:
    """What the run is worth by one judge. scores, intervals: by mode, as in `run.Result`."""

    name: str
    identity: dict[str, Any]
    scores: dict[str, Score]
    intervals: dict[str, Intervals]


@dataclass(frozen=True)
class Pair:
    """Two judges on one task ("qa" or an axis). agreement: None where no item has a verdict from both."""

    first: str
    second: str
    task: str
    n: int
    no_verdict: tuple[int, int]
    agreement: Agreement | None


@dataclass(frozen=True)
class Again:
    """One judge at several askings. steady: why it was not asked again, then the others are empty.

    values: the run's score at each asking, in the table's unit, None for an asking without a verdict
    tasks: "qa" or axis → how alike the askings are
    """

    judge: str
    steady: str = ""
    values: tuple[float | None, ...] = ()
    tasks: dict[str, Repeatability] = field(default_factory=dict)


@dataclass(frozen=True)
class Judging:
    """What all judges said. judges: in order, called A, B, …; pairs, again: as `judge_run` was asked for.

    mode: how the compared verdicts were read
    verdicts: columns item, task, judge, asking, correct, score, problem; every verdict that is compared
    """

    mode: str
    judges: tuple[ByJudge, ...]
    pairs: tuple[Pair, ...]
    again: tuple[Again, ...]
    verdicts: pd.DataFrame

    def record(self) -> dict[str, Any]:
        """JSON values, for result.json."""
        judges = [
            {"name": one.name, "identity": one.identity, "scores": score_record(one.scores, one.intervals)}
            for one in self.judges
        ]
        pairs, again = [asdict(pair) for pair in self.pairs], [asdict(one) for one in self.again]
        return {"mode": self.mode, "judges": judges, "agreement": pairs, "repeatability": again}


def score_record(scores: Mapping[str, Score], intervals: Mapping[str, Intervals]) -> dict[str, Any]:
    """Mode → the score's numbers, without those of each item."""
    return {
        mode: {k: v for k, v in asdict(score).items() if k not in ("outcomes", "axes")}
        | {"intervals95": intervals[mode]}
        for mode, score in scores.items()
    }


def check_judges(judges: Sequence[Judge], again: int) -> None:
    """ValueError for no judge, for two that are the same, and for a number of askings that cannot be."""
    if not 1 <= len(judges) <= len(LETTERS) or again < 0:
        raise ValueError(f"{len(judges)} judges, again={again}: expected 1 to {len(LETTERS)}, and at least 0")
    known = [judge.identity for judge in judges]
    if twice := [who for k, who in enumerate(known) if who in known[:k]]:
        raise ValueError(
            f"a judge is named twice: {twice[0]}; expected different models, settings, prompts or rules (an address "
            "tells no judges apart). To ask the same judge again is `again` (--judge-again)"
        )


def judge_run(
    scorer: Scorer,
    modes: Sequence[str],
    items: Sequence[Item],
    replies: Mapping[str, str],
    judges: Sequence[Judge],
    *,
    between: Callable[[Score], Intervals],
    again: int = 0,
) -> Judging:
    """Every judge's score of the run, their agreement pair by pair, and each judge's repeatability.

    scorer, modes: of a judged benchmark; the comparisons are of what the judges say in the first mode
    judges: of this arm (`Judge.for_arm`); the first scores in all modes, the others in those that need a judge.
    between: a score → its intervals
    again: how often each judge is asked once more; one that must repeat itself is not (`Judge.steady`)

    Raises ValueError as `check_judges`. What was said is kept by the judges, so that a run that was cut off goes on.
    """
    check_judges(judges, again)
    mode = modes[0]
    heard, rows = [], []
    for name, judge in zip(LETTERS, judges, strict=False):
        one = Heard(judge)
        scores = {m: scorer(items, replies, mode=m, judge=one) for m in modes}
        scores = {m: score for m, score in scores.items() if not heard or "judge" in score.more}
        heard.append(one)
        rows.append(ByJudge(name, one.identity, scores, {m: between(score) for m, score in scores.items()}))
    askings = {row.name: [one] for row, one in zip(rows, heard, strict=True)}
    repeats = []
    for row, judge in zip(rows, judges, strict=True):
        if again and judge.steady:
            repeats.append(Again(row.name, judge.steady))
        elif again:
            values = [row.scores[mode].value]
            for number in range(2, again + 2):
                log.info("judge %s, asked again: %d of %d", row.name, number - 1, again)
                askings[row.name].append(Heard(judge.at_asking(number)))
                values.append(scorer(items, replies, mode=mode, judge=askings[row.name][-1]).value)
            repeats.append(Again(row.name, "", tuple(values), _repeats(askings[row.name], mode)))
    pairs = [
        pair
        for (a, one), (b, two) in combinations(zip(LETTERS, heard, strict=False), 2)
        for pair in _pairs(a, one, b, two, mode)
    ]
    return Judging(mode, tuple(rows), tuple(pairs), tuple(repeats), _listed(askings, mode))


def _tasks(heard: Heard, mode: str) -> dict[str, tuple[list[Verdict], list[str]]]:
    return {task: found for (task, read_as), found in heard.said.items() if read_as == mode}


def _pairs(a: str, one: Heard, b: str, two: Heard, mode: str) -> list[Pair]:
    found = []
    for task, (first, videos) in _tasks(one, mode).items():
        second = _tasks(two, mode)[task][0]
        silent = tuple(sum(bool(v.problem) for v in said) for said in (first, second))
        both = any(not v.problem and not w.problem for v, w in zip(first, second, strict=True))
        pair = agreement(first, second, videos=videos) if both else None
        found.append(Pair(a, b, task, len(first), silent, pair))
    return found


def _repeats(askings: Sequence[Heard], mode: str) -> dict[str, Repeatability]:
    by_asking = [_tasks(one, mode) for one in askings]
    return {
        task: repeatability([found[task][0] for found in by_asking], videos=videos)
        for task, (_, videos) in by_asking[0].items()
    }


def _listed(askings: Mapping[str, Sequence[Heard]], mode: str) -> pd.DataFrame:
    rows = [
        (v.item, task, name, number, v.correct, v.score, v.problem)
        for name, heard in askings.items()
        for number, one in enumerate(heard, 1)
        for task, (said, _) in _tasks(one, mode).items()
        for v in said
    ]
    table = pd.DataFrame(rows, columns=["item", "task", "judge", "asking", "correct", "score", "problem"])
    return table.astype({"correct": "boolean", "score": "Int64"})
