"""From a run's arm files to numbers: `summary.json`, `results.csv`.

Reads `arms/*.jsonl` and the clip list; every number of a report comes from here. What an arm's lines are worth is the
question's (`questions.py`), Holm's correction `statistics.py`'s.
"""

import json
from pathlib import Path

import pandas as pd

from llamavid_kit.evaluation.statistics import holm, wilson
from llamavid_kit.evaluation.visibility import visibility_curve
from llamavid_kit.experiments.tasks import Question, question_listed
from llamavid_kit.files import read_replies
from llamavid_kit.study.setup import UCF_CRIME_EVENTS

CURVE_FPS = (1, 2, 3, 6)
FAMILIES = ("rates and training", "prompts", "order")
"""What a comparison is about: rates or trainings (in the first prompt, options as listed), two
prompts, or options listed against shuffled, all else equal. Each is its own question and its own Holm family."""
MEASURES = (
    "balanced_accuracy",
    "macro_f1",
    "no_label",
    "score",
    "precision",
    "recall",
    "f1",
    "animals_f1",
    "actions_f1",
    "unparsed",
)


def read_arm(path: Path) -> tuple[dict, list[dict]]:
    """An arm file → its configuration and its lines."""
    return read_replies(path)


def write_summary(out: Path, config, clips: dict, seconds: dict[str, float], *, world: str = "") -> dict:
    """Score every arm of the run in `out` and write `summary.json` and `results.csv`; returns the summary."""
    asked = question_listed(clips, rule=config.rule)
    arms, answered, lines = [], {}, []
    for arm in config.arms():
        head, lines = read_arm(out / "arms" / f"{arm.name}.jsonl")
        named = {"name": head["name"], "fps": head["fps"], "finetune": head["finetune"], "answering": head["answering"]}
        named |= {"prompt": arm.prompt, "shuffle": arm.shuffle, "rule": head.get("rule", "not recorded")}
        arms.append(named | asked.score(lines))
        answered[arm.name] = lines
    summary = {
        "arms": arms,
        "paired": _paired(config, asked, answered),
        "baseline": asked.baseline(clips, lines),
        "excluded": clips["excluded"],
        "visibility": _visibility(clips),
        "groups": {name: list(labels) for name, labels in config.groups.items()},
        "rule": asked.rule_of("generation"),
        "model": {"name": config.model, "world": world},
        "seconds": {stage: round(s, 1) for stage, s in seconds.items()},
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    _write_results(arms, out / "results.csv")
    return summary


def _write_results(arms: list[dict], path: Path) -> None:
    """A row an arm: the numbers that its question gives it, intervals as two columns."""
    rows = pd.DataFrame(arms)
    rows[["low95", "high95"]] = rows["wilson95"].to_list()
    columns = ["name", "fps", "prompt", "shuffle", "answering", "rule", "n", "correct", "accuracy"]
    for name in MEASURES:
        if name in rows:
            columns.append(name)
            if f"{name}_interval95" in rows:
                rows[[f"{name}_low95", f"{name}_high95"]] = rows[f"{name}_interval95"].to_list()
                columns += [f"{name}_low95", f"{name}_high95"]
    rows[[*columns, "low95", "high95"]].to_csv(path, index=False)


def _paired(config, asked: Question, answered: dict[str, list[dict]]) -> list[dict]:
    """Every comparison of two arms that differ in one thing, with Holm's correction within each of FAMILIES."""
    arms, prompts = config.arms(), list(config.prompts)
    main = [a for a in arms if a.prompt == prompts[0] and a.shuffle is None]
    listed = [a for a in arms if a.shuffle is None]
    compared = [
        [
            (a, b)
            for a in main
            for b in main
            if (a.seed == b.seed and a.fps < b.fps) or (a.seed is None and b.seed is not None and a.fps == b.fps)
        ],
        [
            (a, b)
            for a in listed
            for b in listed
            if (a.seed, a.fps) == (b.seed, b.fps) and prompts.index(a.prompt) < prompts.index(b.prompt)
        ],
        [
            (a, b)
            for a in listed
            for b in arms
            if (a.seed, a.fps, a.prompt) == (b.seed, b.fps, b.prompt) and b.shuffle is not None
        ],
    ]
    found = []
    for family, pairs in zip(FAMILIES, compared, strict=True):
        pairs = [(a, b) for a, b in pairs if a.answering == b.answering]
        rows = [asked.compare(answered[a.name], answered[b.name], (a.name, b.name)) for a, b in pairs]
        tests = [(row, name) for row in rows for name in row if name == "p" or name.endswith("_p")]
        for (row, name), adjusted in zip(tests, holm([row[name] for row, name in tests]), strict=True):
            row[f"{name}_holm"] = adjusted
        found += [{"family": family, **row} for row in rows]
    return found


def _visibility(clips: dict) -> list[dict]:
    """The share of events that sampling shows at all, for this set (where events are known), and for UCF-Crime's.

    An open question is about animals: no surveillance video stands beside it.
    """
    events = [tuple(event) for row in clips["test"] for event in row["events"]]
    curve = visibility_curve(events, fps=CURVE_FPS) if events else []
    rows = [{"set": "this set", "fps": v.fps, "n": v.n, "seen": v.seen, "wilson95": list(v.wilson95)} for v in curve]
    for fps in CURVE_FPS if clips["labels"] else ():
        seen, n = UCF_CRIME_EVENTS["seen"][fps], UCF_CRIME_EVENTS["n"]
        rows.append({"set": "UCF-Crime", "fps": fps, "n": n, "seen": seen, "wilson95": list(wilson(seen, n))})
    return rows
