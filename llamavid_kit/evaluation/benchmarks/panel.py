"""Several judges of one run, and one judge asked again: what each says, and how far they agree.

Takes a scorer, items and replies, and the judges; gives a `Judging`, of which `run.py` writes the numbers and
`panel_table.py` makes lines. The first judge gives the run's score. All comparisons are of verdicts read in the first
mode, `strict`; how they are compared is `judges/agreement.py`'s.
"""

import logging
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

import pandas as pd

from llamavid_kit.evaluation.benchmarks.base import Interval, Item, Mode, Score, Scorer
from llamavid_kit.evaluation.judges.agreement import Agreement, Repeatability, agreement, repeatability
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.verdict_parser import Verdict

log = logging.getLogger(__name__)

LETTERS = string.ascii_uppercase
Intervals = dict[str, Interval | None]


@dataclass(frozen=True)
class ByJudge:
    """What the run is worth by one judge. scores, intervals: by mode, as in `run.Result`."""

    name: str
    identity: dict[str, Any]
    scores: dict[Mode, Score]
    intervals: dict[Mode, Intervals]


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
    """The verdicts of all judges. judges: in order, called A, B, …; pairs, again: as `judge_run` was called.

    mode: how the compared verdicts were read
    verdicts: columns item, task, judge, asking, correct, score, problem; every verdict that is compared
    """

    mode: Mode
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


def score_record(scores: Mapping[Mode, Score], intervals: Mapping[Mode, Intervals]) -> dict[str, Any]:
    """Mode → the score's numbers, without those of each item."""
    records: dict[str, Any] = {}
    for mode, score in scores.items():
        numbers = asdict(replace(score, outcomes={}, axes={}, verdicts={})) | {"intervals95": intervals[mode]}
        records[mode] = {
            name: number for name, number in numbers.items() if name not in ("outcomes", "axes", "verdicts")
        }
    return records


def check_judges(judges: Sequence[Judge], again: int) -> None:
    """ValueError for no judge, for two that are the same, and for a number of askings that cannot be."""
    if not 1 <= len(judges) <= len(LETTERS) or again < 0:
        raise ValueError(f"{len(judges)} judges, again={again}: expected 1 to {len(LETTERS)}, and at least 0")
    identities = [judge.identity for judge in judges]
    if twice := [one for k, one in enumerate(identities) if one in identities[:k]]:
        raise ValueError(
            f"a judge is named twice: {twice[0]}; expected different models, settings, prompts or rules (an address "
            "tells no judges apart). To ask the same judge again is `again` (--judge-again)"
        )


def judge_run(
    scorer: Scorer,
    modes: Sequence[Mode],
    items: Sequence[Item],
    replies: Mapping[str, str],
    judges: Sequence[Judge],
    *,
    between: Callable[[Score], Intervals],
    again: int = 0,
) -> Judging:
    """Every judge's score of the run, their agreement pair by pair, and each judge's repeatability.

    scorer, modes: of a judged benchmark; the comparisons are of the verdicts read in the first mode
    judges: of this arm (`Judge.for_arm`); the first scores in all modes, the others in those that need a judge.
    between: a score → its intervals
    again: how often each judge is asked once more; one that must repeat itself is not (`Judge.steady`)

    Raises ValueError as `check_judges`. Verdicts are kept by the judges, so that a run that was cut off goes on.
    """
    check_judges(judges, again)
    mode, rows = modes[0], list[ByJudge]()
    askings: dict[str, list[Score]] = {}  # judge → its score in the first mode, at each asking
    for name, judge in zip(LETTERS, judges, strict=False):
        scores = {m: scorer(items, replies, mode=m, judge=judge) for m in modes}
        if rows:
            scores = {m: score for m, score in scores.items() if "judge" in score.more}
        rows.append(ByJudge(name, judge.identity, scores, {m: between(score) for m, score in scores.items()}))
        askings[name] = [scores[mode]]
    repeats = []
    for name, judge in zip(askings, judges, strict=True) if again else ():
        for number in range(2, again + 2) if not judge.steady else ():
            log.info("judge %s, asked again: %d of %d", name, number - 1, again)
            askings[name].append(scorer(items, replies, mode=mode, judge=judge.at_asking(number)))
        repeats.append(Again(name, judge.steady) if judge.steady else _again(name, askings[name]))
    pairs = [
        _pair(a, b, task, verdicts, askings[b][0].verdicts[task][0], videos)
        for a, b in combinations(askings, 2)
        for task, (verdicts, videos) in askings[a][0].verdicts.items()
    ]
    return Judging(mode, tuple(rows), tuple(pairs), tuple(repeats), _verdict_table(askings))


def _again(name: str, scores: Sequence[Score]) -> Again:
    tasks = {
        task: repeatability([score.verdicts[task][0] for score in scores], videos=videos)
        for task, (_, videos) in scores[0].verdicts.items()
    }
    return Again(name, "", tuple(score.value for score in scores), tasks)


def _pair(a: str, b: str, task: str, first: list[Verdict], second: list[Verdict], videos: list[str]) -> Pair:
    silent = (sum(bool(v.problem) for v in first), sum(bool(v.problem) for v in second))
    both = any(not v.problem and not w.problem for v, w in zip(first, second, strict=True))
    return Pair(a, b, task, len(first), silent, agreement(first, second, videos=videos) if both else None)


def _verdict_table(askings: Mapping[str, Sequence[Score]]) -> pd.DataFrame:
    rows = [
        (v.item, task, name, number, v.correct, v.score, v.problem)
        for name, scores in askings.items()
        for number, score in enumerate(scores, 1)
        for task, (verdicts, _) in score.verdicts.items()
        for v in verdicts
    ]
    table = pd.DataFrame(rows, columns=["item", "task", "judge", "asking", "correct", "score", "problem"])
    return table.astype({"correct": "boolean", "score": "Int64"})
