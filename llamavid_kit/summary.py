"""From a run's arm files to numbers: `summary.json`, `results.csv`.

Reads `arms/*.jsonl` and the clip list; every number of a report comes from here. Scores are `scoring.py`'s, intervals
and tests `statistics.py`'s.
"""

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from llamavid_kit.scoring import score
from llamavid_kit.statistics import compare_arms, holm, visibility_curve, wilson
from llamavid_kit.study import UCF_CRIME_EVENTS

CURVE_FPS = (1, 2, 3, 6)


def read_arm(path: Path) -> tuple[dict, list[dict]]:
    """An arm file → its configuration and its lines."""
    head, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # replies may hold U+2028
    return json.loads(head)["arm"], [json.loads(line) for line in lines]


def write_summary(out: Path, config, clips: dict, seconds: dict[str, float], *, world: str = "") -> dict:
    """Score every arm of the run in `out` and write `summary.json` and `results.csv`; returns the summary."""
    arms, right, table = [], {}, None
    for arm in config.arms():
        head, lines = read_arm(out / "arms" / f"{arm.name}.jsonl")
        table = score([x["truth"] for x in lines], [x["label"] for x in lines], labels=clips["labels"])
        named = {"name": head["name"], "fps": head["fps"], "finetune": head["finetune"], "answering": head["answering"]}
        arms.append(named | table.to_dict())
        right[arm.name] = {x["clip"]: x["correct"] for x in lines}
    summary = {
        "arms": arms,
        "paired": _paired(config, right),
        "baseline": asdict(table.baseline),
        "excluded": clips["excluded"],
        "visibility": _visibility(clips),
        "groups": {name: list(labels) for name, labels in config.groups.items()},
        "rule": config.rule,
        "model": {"name": config.model, "world": world},
        "seconds": {stage: round(s, 1) for stage, s in seconds.items()},
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    columns = ["name", "fps", "answering", "n", "correct", "accuracy", "balanced_accuracy", "macro_f1", "no_label"]
    rows = pd.DataFrame(arms)
    rows[["low95", "high95"]] = rows["wilson95"].to_list()
    rows[[*columns, "low95", "high95"]].to_csv(out / "results.csv", index=False)
    return summary


def _paired(config, right: dict[str, dict[str, bool]]) -> list[dict]:
    """Rates against each other within a training, zero-shot against fine-tuned at each rate; Holm over all."""
    arms = config.arms()
    compared = [
        (a, b) for a in arms for b in arms
        if a.answering == b.answering
        and ((a.seed == b.seed and a.fps < b.fps) or (a.seed is None and b.seed is not None and a.fps == b.fps))
    ]  # fmt: skip
    found = [compare_arms(right[a.name], right[b.name], names=(a.name, b.name)) for a, b in compared]
    adjusted = holm([pair.p for pair in found]) if found else []
    return [
        {
            "a": pair.a, "b": pair.b, "n": pair.n, "only_a": len(pair.only_a), "only_b": len(pair.only_b),
            "difference": pair.difference, "interval95": list(pair.interval95), "p": pair.p, "p_holm": p_holm,
        }
        for pair, p_holm in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def _visibility(clips: dict) -> list[dict]:
    """The share of events that sampling shows at all, for this set (where events are known) and UCF-Crime's."""
    events = [tuple(event) for row in clips["test"] for event in row["events"]]
    curve = visibility_curve(events, fps=CURVE_FPS) if events else []
    rows = [
        {"set": "this set", "fps": v.fps, "n": v.n, "seen": v.seen, "wilson95": list(v.wilson95)} for v in curve
    ]  # fmt: skip
    for fps in CURVE_FPS:
        seen, n = UCF_CRIME_EVENTS["seen"][fps], UCF_CRIME_EVENTS["n"]
        rows.append({"set": "UCF-Crime", "fps": fps, "n": n, "seen": seen, "wilson95": list(wilson(seen, n))})
    return rows
