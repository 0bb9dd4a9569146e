"""Tables and figures of an open run: the study's Tables 4 and 5 on our clips, each number from the run's own files.

Takes a run's summary or folder; gives DataFrames for reading and Figures. What the two kinds of run share (names of
arms, paired accuracies, visibility) is `report_tables.py`'s, sentences are `animal_findings.py`'s.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from llamavid_kit.evaluation.judges.animal_judge import Verdict, judge
from llamavid_kit.experiments.report import tables as report_tables
from llamavid_kit.experiments.report.tables import interval, percent
from llamavid_kit.experiments.run import Run, arm_name
from llamavid_kit.viz import plots

PUBLISHED = {(False, 1): (18.04, 1.32), (False, 6): (19.5, 1.34), (True, 1): (34.06, 2.65), (True, 6): (34.89, 2.66)}
"""The study's Table 4: (fine-tuned, fps) → accuracy in percent and mean score of its language-model judge, 812 clips.

No log supports it: neither the replies nor the judge's verdicts were kept, so it can be quoted but not checked.
"""
KINDS = ("perfect", "missed action", "invented action", "wrong animal", "not parsed", "nothing parsed", "empty reply")


def animal_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Like the study's Table 4, for reading: a row an arm and one for the baseline, the published numbers beside ours.

    accuracy: judged "yes", Wilson's interval; score: mean of 0 to 5; precision, recall and F1 over all claims of all
    clips; animals, actions: mean F1 of either alone. Intervals other than Wilson's are bootstraps over clips.
    """
    seeds = len({arm["finetune"]["seed"] for arm in summary["arms"] if arm["finetune"]})
    base = summary["baseline"]
    rows = [(arm_name(arm, seeds=seeds), arm, (bool(arm["finetune"]), arm["fps"])) for arm in summary["arms"]]
    rows.append((f'always "{base["label"]}"', base, None))
    table = pd.DataFrame([_row(name, numbers, PUBLISHED.get(at)) for name, numbers, at in rows])
    return table.assign(rule=summary.get("rule", "not recorded"))


def _row(name: str, arm: Mapping[str, Any], published: tuple[float, float] | None) -> dict[str, str]:
    shares = {
        shown: f"{100 * arm[key]:.1f}% ({interval(*arm[f'{key}_interval95'])})"
        for shown, key in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("F1", "f1"),
            ("animals alone, F1", "animals_f1"),
            ("actions alone, F1", "actions_f1"),
        )
    }
    low, high = arm["score_interval95"]
    return {
        "arm": name,
        "right": f"{arm['correct']}/{arm['n']}",
        "accuracy": f"{percent(arm['correct'], arm['n'])} ({interval(*arm['wilson95'])})",
        "score, 0 to 5": f"{arm['score']:.2f} ({low:.2f} to {high:.2f})",
        **shares,
        "study: accuracy": f"{published[0]:g}%" if published else "–",
        "study: score": f"{published[1]:.2f}" if published else "–",
    }


def paired_table(run: Run) -> pd.DataFrame:
    """Every comparison, for reading: accuracy (exact McNemar) and mean score (permutation test), p by Holm over all."""
    rows = []
    for row in run.summary["paired"]:
        low, high = row["interval95"]
        score_low, score_high = row["score_interval95"]
        rows.append(
            {
                "first": run.shown(run.arm(row["a"])),
                "second": run.shown(run.arm(row["b"])),
                "clips": row["n"],
                "only first right": row["only_a"],
                "only second right": row["only_b"],
                "accuracy, points": f"{100 * row['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
                "p": plots.p_text(row["p_holm"]),
                "score": f"{row['score_difference']:+.2f} ({score_low:+.2f} to {score_high:+.2f})",
                "p of the score": plots.p_text(row["score_p_holm"]),
                "rule": run.summary.get("rule", "not recorded"),
            }
        )
    return pd.DataFrame(rows)


def scores(run: Run) -> pd.DataFrame:
    """One row an arm: arm, fps, fine_tuned, n, score, low, high; zero-shot first, then by fps."""
    by_key = {arm["name"]: arm for arm in run.summary["arms"]}
    arms = report_tables.arm_counts(run, "generation").drop(columns=["low", "high"])
    arms["score"] = [by_key[key]["score"] for key in arms["key"]]
    arms[["low", "high"]] = [by_key[key]["score_interval95"] for key in arms["key"]]
    return arms


def error_counts(run: Run) -> pd.DataFrame:
    """How many of an arm's replies have each kind of error, all clips counted; a reply may have several kinds."""
    rows = []
    for key in report_tables.arm_counts(run, "generation")["key"]:
        replies = run.arms[run.arms["key"] == key]
        kinds = [list(_verdict(run, line).errors) or ["perfect"] for line in replies.itertuples()]
        counts = {kind: sum(kind in found for found in kinds) for kind in KINDS}
        rule = run.summary.get("rule", "not recorded")
        rows.append({"arm": replies["arm"].iloc[0], "replies": len(replies), **counts, "rule": rule})
    return pd.DataFrame(rows)


def example_errors(
    run_folder: Run | Path | str, n: int = 6, *, fps: float | None = None, seed: int = 0
) -> pd.DataFrame:
    """Like the study's Table 5: up to `n` clips with truth, zero-shot and fine-tuned reply and the errors of each.

    Nobody picks them: of the clips on which at least one of the two replies is not perfect, `n` are drawn by numpy's
    default_rng(seed), and shown in the order of the clip list; `attrs["chosen"]` of the table says so. fps: one of the
    run's, by default the largest; of several trained models the first seed's is shown.
    """
    run = run_folder if isinstance(run_folder, Run) else Run(run_folder)
    fps = run.fps[-1] if fps is None else fps
    if fps not in run.fps:
        raise ValueError(
            f"fps={fps:g}: the run has {', '.join(f'{rate:g}' for rate in run.fps)} fps; ask for one of them"
        )
    arms = run.arms[(run.arms["fps"] == fps) & (run.arms["seed"].isna() | run.arms["seed"].isin(run.seeds[:1]))]
    both = {kind: rows.set_index("clip") for kind, rows in arms.groupby(arms["fine_tuned"].map(_kind), sort=False)}
    order = list(run.test["clip"])
    wrong = [clip for clip in order if any(rows.loc[clip, "score"] < 5 for rows in both.values())]
    drawn = np.random.default_rng(seed).choice(len(wrong), min(n, len(wrong)), replace=False) if wrong else []
    table = []
    for clip in (wrong[k] for k in sorted(drawn)):
        shown = {"clip": clip, "truth": next(iter(both.values())).loc[clip, "truth"]}
        for kind, rows in both.items():
            line = rows.loc[clip]
            shown |= {
                kind: line["reply"],
                f"{kind}: score": line["score"],
                f"{kind}: errors": _told(_verdict(run, line)),
            }
        shown["rule"] = run.summary.get("rule", "not recorded")
        table.append(shown)
    found = pd.DataFrame(table)
    found.attrs["chosen"] = (
        f"{len(table)} of the {len(wrong)} clips (of {len(order)}) on which not every reply at {fps:g} fps is perfect, "
        f"drawn by numpy's default_rng({seed}) from the clip list: nobody picked them."
    )
    return found


def _kind(fine_tuned: bool) -> str:
    return "fine-tuned" if fine_tuned else "zero-shot"


def _verdict(run: Run, line: Any) -> Verdict:
    return judge(line.reply, line.truth, run.animals)


def _told(verdict: Verdict) -> str:
    """Kinds of error with their claims: "missed action (lion: eating); wrong animal (wolf: walking)"."""
    told = [f"{kind} ({', '.join(claims)})" if claims else kind for kind, claims in verdict.errors.items()]
    return "; ".join(told) or "none"


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has."""
    tables = {
        "excluded": run.excluded,
        "animal_table": animal_table(run.summary),
        "paired": report_tables.paired(run),
        "paired_table": paired_table(run),
        "error_counts": error_counts(run),
        "example_errors": example_errors(run),
        "visibility": report_tables.visibility(run),
        "seconds": report_tables.seconds(run),
    }
    return {name: table for name, table in tables.items() if len(table)}


def figures(run: Run) -> dict[str, Callable[[], Figure]]:
    """File name → what draws it, for each figure that the run has data for, in the report's order."""
    where, base = report_tables.where(run), run.summary["baseline"]
    arms = report_tables.arm_counts(run, "generation")
    draw: dict[str, Callable[[], Figure]] = {}
    if len(seen := report_tables.visibility(run)):
        draw["visibility"] = partial(plots.visibility_curve, seen)
    draw["accuracy"] = partial(plots.accuracy_forest, arms, baseline=base, title=where)
    draw["score"] = partial(plots.score_forest, scores(run), baseline=base, title=where)
    if len(pairs := report_tables.paired(run)):
        draw["paired"] = partial(plots.paired_differences, pairs, title=where)
    if run.training:
        draw["training"] = partial(plots.training_curves, run.training, title=f"Loss while fine-tuning {run.model}")
    return draw


def figure(run: Run, name: str) -> Figure | None:
    """One of `figures`, drawn; None where the run has no data for it."""
    return figures(run)[name]() if name in figures(run) else None
