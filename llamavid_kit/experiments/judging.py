"""The replies of an open ablation, judged by others beside the run's own rule: every arm's rows, and who agrees.

Takes a finished run's folder and judges; gives a `Judging` for each arm and writes `judging.json` and
`judging_verdicts.csv` into the folder. Neither model nor clips are touched, and the run's own numbers stay as they are.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llamavid_kit.evaluation.benchmarks.base import Item, Score
from llamavid_kit.evaluation.benchmarks.panel import Intervals, Judging, check_judges, judge_run
from llamavid_kit.evaluation.benchmarks.panel_table import judging_lines, who
from llamavid_kit.evaluation.benchmarks.video_qa import score_qa
from llamavid_kit.evaluation.judges.judge import Judge, RuleJudge
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import write_whole

JUDGING, VERDICTS, KEPT = "judging.json", "judging_verdicts.csv", "verdicts"


def judge_open_run(folder: Path, judges: Sequence[Judge], *, again: int = 0) -> dict[str, Judging]:
    """Arm, as the report calls it → what each judge says. Judge A is the run's own rule, with its own lexicon.

    judges, again: see `judges.judge_run`. What they say is kept in `folder/verdicts`, each arm for itself, so that a
    run that was cut off goes on. Raises FileNotFoundError where there is no finished run; ValueError for a closed one,
    for a run whose summary and replies disagree, and as `judges.check_judges`.
    """
    run = Run(folder)
    if not run.open:
        raise ValueError(f"{folder} asked a closed question: its replies name a label, by a rule that needs no judge")
    run.check()
    everyone = [RuleJudge("animals", animals=run.animals), *judges]
    check_judges(everyone, again)
    videos = dict(zip(run.clips["clip"], run.clips["video"], strict=True))
    found, verdicts = {}, []
    for arm in run.summary["arms"]:
        key, shown = arm["name"], run.shown(arm)
        rows = run.arms[run.arms["key"] == key]
        items = [
            Item(clip, Path(videos[clip]), run.question, run.question, (truth,), cluster=videos[clip])
            for clip, truth in zip(rows["clip"], rows["truth"], strict=True)
        ]
        head = hashlib.sha256(json.dumps(run.head(key), sort_keys=True).encode()).hexdigest()[:16]
        asked = [judge.for_arm(run.folder / KEPT, f"{key} {head}") for judge in everyone]
        replies = dict(zip(rows["clip"], rows["reply"], strict=True))
        judging = judge_run(score_qa, ("strict",), items, replies, asked, between=_intervals, again=again)
        _check_own(run.folder, arm, rows, judging)
        found[shown] = judging
        verdicts.append(judging.verdicts.assign(arm=shown))
    pd.concat(verdicts, ignore_index=True).to_csv(run.folder / VERDICTS, index=False)
    record = {shown: judging.record() for shown, judging in found.items()}
    write_whole(run.folder / JUDGING, json.dumps(record, indent=1, ensure_ascii=False))
    return found


def _check_own(folder: Path, arm: dict, rows: pd.DataFrame, judging: Judging) -> None:
    """Judge A must say clip by clip what the run's lines say, or it is not the rule by which the run was judged."""
    said = judging.verdicts[(judging.verdicts["judge"] == "A") & (judging.verdicts["asking"] == 1)]
    scores = dict(zip(said["item"], said["score"], strict=True))
    for clip, score in zip(rows["clip"], rows["score"], strict=True):
        if scores[clip] != score:
            raise ValueError(
                f"{folder}: {clip} has score {score} in {arm['name']} and the rule now gives {scores[clip]}; the run "
                "was judged by another version of the rule: run ablate again"
            )


def _intervals(score: Score) -> Intervals:
    """Wilson's, of the share of yes among the verdicts, in percent."""
    wilson95 = score.more["wilson95"]
    return {"": None if wilson95 is None else tuple(100 * x for x in wilson95)}


def open_lines(found: dict[str, Judging]) -> str:
    """The text that the command prints: who judges, then arm by arm every judge's row and what they share."""
    first = next(iter(found.values()))
    lines = [f"judge {one.name}: {who(one.identity, settings=True)}" for one in first.judges]
    for arm, judging in found.items():
        lines.append(arm)
        for one in judging.judges:
            lines.append(f"  by {one.name}: {_row(one.scores['strict'], one.intervals['strict'][''])}")
        lines += judging_lines(judging, unit="%")
    lines.append("[low, high] of a share of right: 95% interval (Wilson), as if every clip were another video")
    return "\n".join(lines)


def _row(score: Score, interval: tuple[float, float] | None) -> str:
    more = score.more
    silent = ", ".join(f"{why} {n}" for why, n in more["problems"].items())
    without = f"; {more['no_verdict']} of {more['n']} without a verdict{silent and f' ({silent})'}"
    if score.value is None:
        return f"no verdict to count{without}"
    right = f"{more['yes']}/{more['n_verdicts']} right = {score.value:.1f}% [{interval[0]:.1f}, {interval[1]:.1f}]"
    return f"{right}, mean score {more['score']:.2f} of 5{without}"
