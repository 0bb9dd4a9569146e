"""From a run's arm files to numbers: `summary.json`, `results.csv`.

Reads `arms/*.jsonl` and the clip list; every number of a report comes from here. What an arm's lines are worth is the
question's (`tasks`), which arms are compared follows from their factors (`arms.pairs_of`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llamavid_kit.evaluation.statistics import holm, wilson
from llamavid_kit.experiments.arms import AblationConfig, Arm, pairs_of
from llamavid_kit.experiments.clip_list import CURVE_FPS
from llamavid_kit.experiments.tasks import Lines, Question
from llamavid_kit.files import read_replies, write_whole
from llamavid_kit.study.setup import UCF_CRIME_EVENTS


class Summary(dict[str, Any]):
    """What `summary.json` holds; folder: of the run, so that a report can be made of what `ablate` returns."""

    folder: Path


def write_summary(
    out: Path,
    config: AblationConfig,
    arms: Sequence[Arm],
    question: Question,
    clips: dict,
    seconds: Mapping[str, float],
    *,
    worlds: Mapping[str, str],
    verdicts: Path,
) -> Summary:
    """Score every arm of the run in `out` and write `summary.json` and `results.csv`; returns the summary.

    worlds: model → what it knows, where that is said. verdicts: where a judge keeps what it said.
    """
    lines = {arm.name: read_replies(out / "arms" / f"{arm.name}.jsonl")[1] for arm in arms}
    records = []
    for arm in arms:
        record = {"name": arm.name, **arm.factors(), "rule": question.rule_of(arm.answering)}
        records.append(record | {"receipt": receipt(lines[arm.name])} | question.score(lines[arm.name]))
    summary = {
        "arms": records,
        "paired": _paired(arms, question, lines),
        "baseline": question.baseline(clips, lines[arms[-1].name], verdicts),
        "excluded": clips["excluded"],
        "visibility": _visibility(clips),
        "groups": {name: list(labels) for name, labels in config.groups.items()},
        "rule": question.rule_of("generation"),
        "worlds": dict(worlds),
        "seconds": {stage: round(s, 1) for stage, s in seconds.items()},
    }
    _write_results(records, out / "results.csv")
    write_whole(out / "summary.json", json.dumps(summary, indent=1))
    returned = Summary(summary)
    returned.folder = out
    return returned


def receipt(lines: Lines) -> dict[str, Any]:
    """What an arm's model got to see: frames of all clips, the tokens they took, and tokens a frame.

    The last two are None where the model does not say.
    """
    n_frames, silent = sum(len(x["timestamps_s"]) for x in lines), any(x.get("n_visual") is None for x in lines)
    total = None if silent else sum(x["n_visual"] for x in lines)
    return {
        "n_frames": n_frames,
        "visual_tokens": total,
        "tokens_a_frame": total / n_frames if total and n_frames else None,
    }


def _write_results(records: list[dict], path: Path) -> None:
    """A row an arm: factors, receipt, and the numbers that its question gives it; intervals as two columns."""
    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for name, value in (record | record["receipt"]).items():
            if name.endswith("95"):
                stem = name.removesuffix("interval95").removesuffix("wilson95")
                row[f"{stem}low95"], row[f"{stem}high95"] = value
            elif name == "adapter" and value is not None:
                row |= {"train_seed": value["seed"], "train_fps": value["fps"] or record["fps"]}
            elif not isinstance(value, list | dict):
                row[name] = value
        rows.append(row)
    write_whole(path, pd.DataFrame(rows).to_csv(index=False))


def _paired(arms: Sequence[Arm], question: Question, lines: Mapping[str, Lines]) -> list[dict]:
    """Every comparison of two arms that differ in one factor, with Holm's correction within the factor's family."""
    rows = []
    for family, pairs in pairs_of(arms).items():
        compared = [question.compare(lines[a.name], lines[b.name], (a.name, b.name)) for a, b in pairs]
        tests = [(row, name) for row in compared for name in row if name == "p" or name.endswith("_p")]
        for (row, name), adjusted in zip(tests, holm([row[name] for row, name in tests]), strict=True):
            row[f"{name}_holm"] = adjusted
        rows += [{"family": family, **row} for row in compared]
    return rows


def _visibility(clips: dict) -> list[dict]:
    """The share of events that sampling shows at all, for this set and, beside closed questions, for UCF-Crime's.

    None where no event is marked: there is nothing to compare with.
    """
    n = sum(len(row["events"]) for row in clips["test"])
    if not n:
        return []
    rows = []
    for fps in CURVE_FPS:
        seen = sum(row["events_seen"][f"{fps}"] for row in clips["test"])
        rows.append({"set": "this set", "fps": float(fps), "n": n, "seen": seen, "wilson95": list(wilson(seen, n))})
    for fps in CURVE_FPS if clips["labels"] else ():
        seen, of = UCF_CRIME_EVENTS["seen"][fps], UCF_CRIME_EVENTS["n"]
        rows.append({"set": "UCF-Crime", "fps": fps, "n": of, "seen": seen, "wilson95": list(wilson(seen, of))})
    return rows
