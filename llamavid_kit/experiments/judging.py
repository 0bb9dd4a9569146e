"""The replies of an open ablation, judged by others beside the run's own judge: every arm's rows, and who agrees.

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
from llamavid_kit.evaluation.benchmarks.video_qa import score_qa
from llamavid_kit.evaluation.judges.judge import Judge, RecordedJudge, RuleJudge
from llamavid_kit.evaluation.judges.verdict_parser import Verdict
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import write_whole, writing

JUDGING, VERDICTS, FOLDER = "judging.json", "judging_verdicts.csv", "verdicts"


def judge_open_run(folder: Path, judges: Sequence[Judge], *, again: int = 0) -> dict[str, Judging]:
    """Arm in words → what each judge says. Judge A is the run's own, with its own lexicon.

    judges, again: see `panel.judge_run`. What they say is kept in `folder/verdicts`, each arm for itself, so that a run
    that was cut off goes on. Raises FileNotFoundError where there is no finished run; ValueError for a closed one, for
    a run whose summary and replies disagree, and as `panel.check_judges`.
    """
    with writing(Run(folder).folder):
        return _judge_open_run(Run(folder), judges, again)


def _judge_open_run(run: Run, judges: Sequence[Judge], again: int) -> dict[str, Judging]:
    if not run.open:
        raise ValueError(
            f"{run.folder} asked a closed question: its replies name a label, by a rule that needs no judge"
        )
    run.check()
    check_judges([_own(run, run.of(run.arms[0].name)), *judges], again)
    videos = dict(zip(run.clips["clip"], run.clips["video"], strict=True))
    by_arm, verdicts = {}, []
    for arm in run.arms:
        rows, words = run.of(arm.name), run.words(arm)
        items = [
            Item(clip, Path(videos[clip]), run.question, run.question, (truth,), cluster=videos[clip])
            for clip, truth in zip(rows["clip"], rows["truth"], strict=True)
        ]
        head = hashlib.sha256(json.dumps(run.head(arm.name), sort_keys=True).encode()).hexdigest()[:16]
        panel = [judge.for_arm(run.folder / FOLDER, f"{arm.name} {head}") for judge in (_own(run, rows), *judges)]
        replies = dict(zip(rows["clip"], rows["reply"], strict=True))
        judging = judge_run(score_qa, ("strict",), items, replies, panel, between=_intervals, again=again)
        _check_own(run.folder, arm.name, rows, judging)
        by_arm[words] = judging
        verdicts.append(judging.verdicts.assign(arm=words))
    write_whole(run.folder / VERDICTS, pd.concat(verdicts, ignore_index=True).to_csv(index=False))
    record = {words: judging.record() for words, judging in by_arm.items()}
    write_whole(run.folder / JUDGING, json.dumps(record, indent=1, ensure_ascii=False))
    return by_arm


def _own(run: Run, rows: pd.DataFrame) -> Judge:
    """The judge by which the run was judged: a rule judges again, a chat model's verdicts are read back."""
    identity = run.judge
    if identity["judge"] == "rule":
        return RuleJudge(identity["rule"], animals=tuple(identity.get("animals", ())))
    verdicts = {
        row.clip: Verdict(row.clip, None, None, problem=row.problem)
        if row.problem
        else Verdict(row.clip, row.correct, row.score)
        for row in rows.itertuples()
    }
    return RecordedJudge(identity, verdicts)


def _check_own(folder: Path, arm: str, rows: pd.DataFrame, judging: Judging) -> None:
    """Judge A must say clip by clip what the run's lines say, or it is not the rule by which the run was judged."""
    own = judging.verdicts[(judging.verdicts["judge"] == "A") & (judging.verdicts["asking"] == 1)]
    scores = dict(zip(own["item"], own["score"].fillna(0), strict=True))
    for clip, score in zip(rows["clip"], rows["score"], strict=True):
        if scores[clip] != score:
            raise ValueError(
                f"{folder}: {clip} has score {score} in {arm} and the rule now gives {scores[clip]}; the run "
                "was judged by another version of the rule: run ablate again"
            )


def _intervals(score: Score) -> Intervals:
    """Wilson's, of the share of yes among the verdicts, in percent."""
    wilson95 = score.more["wilson95"]
    return {"": None if wilson95 is None else tuple(100 * x for x in wilson95)}
