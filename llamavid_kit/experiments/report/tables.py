"""Tables and figures of a run: what the report shows, each from the run's own files, as DataFrames and Figures.

Counts stay counts (k of n) and shares are 0 to 1 in the columns that `plots` draws; tables made for reading hold texts.
The study's published numbers stand here as data, beside the counts that its own logs give.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from llamavid_kit.evaluation.scoring import NO_LABEL, collapse, score
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.experiments.run import Run
from llamavid_kit.experiments.summary import FAMILIES
from llamavid_kit.study.results import SETTINGS, TABLE_3_CLASSES
from llamavid_kit.study.setup import CRIME, NORMAL
from llamavid_kit.viz import plots

PUBLISHED = {(s.fine_tuned, s.fps): s.published for s in SETTINGS}
"""The study's Table 2 in percent: (fine-tuned, fps) → accuracy on UCF-Crime."""
FROM_LOGS = {
    (False, 1): "105/257 = 40.9%",
    (False, 6): "103/242 = 42.6%",
    (True, 1): "150/242 = 62.0%",
    (True, 6): "158/242 = 65.3%",
}
"""What the study's prediction logs give by exact match: the zero-shot numbers of Table 2 do not follow from them."""
PUBLISHED_CLASSES = {name: tuple(s.classes[i] for s in SETTINGS) for i, name in enumerate(TABLE_3_CLASSES)}
"""The study's Table 3 in percent: class → zero-shot 1, zero-shot 6, fine-tuned 1, fine-tuned 6 fps."""


def percent(k: float, n: float) -> str:
    return f"{k / n:.1%}" if n else "–"


def interval(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def has_study_labels(run: Run) -> bool:
    return set(run.labels) == set(CRIME.labels)


def rule_of(run: Run, answering: str) -> str:
    """The rule that made labels (or scores) of an arm's replies, as tables name it; `scoring.RULE_TEXT` explains it."""
    if answering == "likelihood":
        return "likeliest choice, raw"
    return f"rule {run.summary.get('rule') or run.config.get('rule') or 'not recorded'}"


def arm_counts(run: Run, answering: str, *, every: bool = False) -> pd.DataFrame:
    """One row an arm: arm, key, rule, fps, fine_tuned, seed, n, correct, low, high; zero-shot first, then by fps.

    every: also the arms in other words or with shuffled options, after the run's main arms.
    """
    rows = [
        {
            "arm": run.shown(a),
            "key": a["name"],
            "rule": rule_of(run, answering),
            "fps": float(a["fps"]),
            "fine_tuned": bool(a["finetune"]),
            "seed": (a["finetune"] or {}).get("seed"),
            "n": a["n"],
            "correct": a["correct"],
            "low": a["wilson95"][0],
            "high": a["wilson95"][1],
            "varied": not run.is_main(a),
        }
        for a in run.summary["arms"]
        if a["answering"] == answering and (every or run.is_main(a))
    ]
    table = pd.DataFrame(rows).sort_values(["varied", "fine_tuned", "fps", "seed"], ignore_index=True, kind="stable")
    return table.drop(columns="varied")


def accuracy_table(run: Run, answering: str, *, every: bool = False) -> pd.DataFrame:
    """Like the study's Table 2, for reading; the published number beside ours where the labels are the study's."""
    rows = []
    for row in arm_counts(run, answering, every=every).itertuples():
        arm = run.arm(row.key)
        shown = {
            "arm": row.arm,
            "rule": row.rule,
            "right": f"{row.correct}/{row.n}",
            "accuracy": percent(row.correct, row.n),
            "95% interval": interval(row.low, row.high),
            "balanced accuracy": f"{arm['balanced_accuracy']:.1%}",
            "macro-F1": f"{arm['macro_f1']:.3f}",
            NO_LABEL: arm["no_label"],
        }
        if has_study_labels(run) and answering == "generation" and not every:  # the study let its model write
            at = (row.fine_tuned, row.fps)
            shown["study: published"] = f"{PUBLISHED[at]}%" if at in PUBLISHED else "–"
            shown["study: its logs give"] = FROM_LOGS.get(at, "–")
        rows.append(shown)
    return pd.DataFrame(rows)


def class_sizes(run: Run) -> pd.DataFrame:
    """How many train and test clips each class has, in the order of the labels."""
    counts = run.clips.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=run.labels, columns=["train", "test"], fill_value=0).rename_axis(None, axis=1)
    return counts.reset_index().rename(columns={"label": "class"})


def exclusions(run: Run) -> pd.DataFrame:
    """Reasons with the number of clips each took."""
    counts = run.excluded.groupby("reason").size().sort_values(ascending=False)
    return counts.rename("clips").reset_index()


def visibility(run: Run) -> pd.DataFrame:
    """set, fps, n, seen, low, high: events with at least one sampled frame, of this set and of UCF-Crime."""
    rows = [
        {**{k: row[k] for k in ("set", "fps", "n", "seen")}, "low": row["wilson95"][0], "high": row["wilson95"][1]}
        for row in run.summary.get("visibility") or []
    ]
    return pd.DataFrame(rows, columns=["set", "fps", "n", "seen", "low", "high"])


def per_class(run: Run, answering: str = "generation") -> pd.DataFrame:
    """class, arm, rule, fps, fine_tuned, n, correct, low, high for every class and arm."""
    rows = []
    for row in arm_counts(run, answering).itertuples():
        counts = run.arm(row.key)["per_class"]
        for label in run.labels:
            n, correct = counts[label]["n"], counts[label]["correct"]
            low, high = wilson(correct, n)
            rows.append(
                {
                    "class": label,
                    "arm": row.arm,
                    "rule": row.rule,
                    "fps": row.fps,
                    "fine_tuned": row.fine_tuned,
                    "n": n,
                    "correct": correct,
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def per_class_table(run: Run, answering: str = "generation") -> pd.DataFrame:
    """Like the study's Table 3, for reading: a row a class, k/n and percent an arm."""
    table = per_class(run, answering)
    table["shown"] = [f"{k}/{n} ({k / n:.0%})" if n else "–" for k, n in zip(table["correct"], table["n"], strict=True)]
    wide = table.pivot(index="class", columns="arm", values="shown").reindex(run.labels)
    wide = wide[list(dict.fromkeys(table["arm"]))].rename_axis(None, axis=1).reset_index()
    return wide.assign(rule=rule_of(run, answering))


def published_classes() -> pd.DataFrame:
    columns = ["zero-shot, 1 fps", "zero-shot, 6 fps", "fine-tuned, 1 fps", "fine-tuned, 6 fps"]
    rows = [[label, *(f"{share}%" for share in row)] for label, row in PUBLISHED_CLASSES.items()]
    return pd.DataFrame(rows, columns=["class", *columns])


def by_rows(run: Run, answering: str, groups: dict[str, Callable[[pd.DataFrame], pd.Series]]) -> pd.DataFrame:
    """arm × group, for reading: k/n, percent and Wilson interval of the replies that each group's test picks."""
    rows = []
    for arm in arm_counts(run, answering)["key"]:
        replies = run.arms[run.arms["key"] == arm]
        shown = {"arm": replies["arm"].iloc[0], "rule": rule_of(run, answering)}
        for name, picks in groups.items():
            right = replies.loc[picks(replies), "correct"]
            k, n = int(right.sum()), len(right)
            shown[name] = f"{k}/{n} = {percent(k, n)} ({interval(*wilson(k, n))})" if n else "–"
        rows.append(shown)
    return pd.DataFrame(rows)


def by_type(run: Run, answering: str = "generation") -> pd.DataFrame:
    """Accuracy on the summary's groups of labels (event types seen and unseen before fine-tuning), and on the rest."""
    groups = dict(run.summary.get("groups") or {})
    if not groups:
        return pd.DataFrame()
    rest = [label for label in run.labels if not any(label in labels for labels in groups.values())]
    groups |= {", ".join(rest): rest} if rest else {}
    return by_rows(run, answering, {k: lambda r, v=tuple(v): r["truth"].isin(v) for k, v in groups.items()})


def by_receipt(run: Run, answering: str = "generation") -> pd.DataFrame:
    """Accuracy on clips by what the arm's own frames held: a frame of the event, none of it, or no event marked."""
    events = run.test.set_index("clip")["events"].to_dict()
    if not any(events.values()):
        return pd.DataFrame()

    def holds(rows: pd.DataFrame) -> pd.Series:
        """1: a frame of an event, 0: none, -1: no event."""
        found = [
            -1 if not events[clip] else int(any(a - 1e-3 <= t < b for t in times for a, b in events[clip]))
            for clip, times in zip(rows["clip"], rows["timestamps_s"], strict=True)
        ]
        return pd.Series(found, index=rows.index)

    groups = {"event in a frame": 1, "event between frames": 0, "no event": -1}
    return by_rows(run, answering, {k: lambda r, v=v: holds(r) == v for k, v in groups.items()})


def paired(run: Run, answering: str | None = None, *, family: str | None = FAMILIES[0]) -> pd.DataFrame:
    """The summary's comparisons: family, rule, a, b (as shown), key_a, key_b, n, only_a, only_b, difference, low, high,
    p, p_holm (Holm within the family).

    `answering` keeps those within one mode, `family` those of one of `summary.FAMILIES`; None keeps all.
    """
    rows = []
    for row in run.summary.get("paired") or []:
        a, b = run.arm(row["a"]), run.arm(row["b"])
        about = row.get("family", FAMILIES[0])
        if family in (None, about) and answering in (None, a["answering"]):
            low, high = row["interval95"]
            kept = {k: row[k] for k in ("n", "only_a", "only_b", "difference", "p", "p_holm")}
            rows.append(
                {
                    "family": about,
                    "rule": rule_of(run, a["answering"]),
                    "a": run.shown(a),
                    "b": run.shown(b),
                    "key_a": row["a"],
                    "key_b": row["b"],
                    **kept,
                    "low": low,
                    "high": high,
                }
            )
    columns = [
        "family",
        "rule",
        "a",
        "b",
        "key_a",
        "key_b",
        "n",
        "only_a",
        "only_b",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
    ]
    return pd.DataFrame(rows, columns=columns)


def discordant(run: Run, key_a: str, key_b: str) -> pd.DataFrame:
    """Clips that exactly one of two arms got right: clip, truth, right in, reply of a, reply of b, rule; by clip."""
    a, b = (run.arms[run.arms["key"] == key].set_index("clip") for key in (key_a, key_b))
    both = pd.DataFrame(
        {
            "truth": a["truth"],
            "first": a["correct"],
            "reply of the first": a["reply"],
            "second": b["correct"],
            "reply of the second": b["reply"],
        }
    )
    both = both[both["first"] != both["second"]].sort_index().reset_index()
    both["right in"] = both["first"].map({True: "first", False: "second"})
    both["rule"] = rule_of(run, run.arm(key_a)["answering"])
    return both[["clip", "truth", "right in", "reply of the first", "reply of the second", "rule"]]


def normal_label(run: Run) -> str | None:
    """The label that means "nothing happens": the study's, or the only one without events where events are known."""
    if NORMAL in run.labels:
        return NORMAL
    quiet = set(run.labels) - {row.label for row in run.test.itertuples() if row.events}
    return quiet.pop() if len(quiet) == 1 and len(run.labels) > 2 else None


def binary(run: Run, key: str) -> tuple[tuple, tuple, tuple]:
    """(matrix, labels, columns) of an arm with every label but the normal one called Anomaly, as in Figure 4."""
    normal = normal_label(run)
    rows = run.arms[run.arms["key"] == key]
    given = [None if pd.isna(label) else label for label in rows["label"]]
    table = score(collapse(list(rows["truth"]), keep=normal), collapse(given, keep=normal), labels=("Anomaly", normal))
    return table.confusion, table.labels, table.columns


def seconds(run: Run) -> pd.DataFrame:
    stages = pd.Series(run.summary.get("seconds") or {}, dtype=float)
    return pd.DataFrame({"stage": stages.index, "seconds": stages.round(1).to_numpy()})


def where(run: Run, arm: str | None = None) -> str:
    """Model, set and n, for titles."""
    n = run.summary["arms"][0]["n"]
    return f"{run.model} on {run.source}" + (f", {arm}" if arm else "") + f", n = {n} clips"


def confusion_figure(run: Run, key: str) -> Figure:
    arm = run.arm(key)
    title = f"{where(run, run.shown(arm))}\n{rule_of(run, arm['answering'])}"
    return plots.confusion(arm["confusion"], arm["labels"], arm["columns"], title)


def binary_figure(run: Run, answering: str) -> Figure:
    arms = arm_counts(run, answering)
    panels = {row.arm: binary(run, row.key) for row in arms.itertuples()}
    return plots.confusion_row(panels, title=f"Anomaly or not: {where(run)}, {rule_of(run, answering)}")


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has."""
    tables = {
        "class_sizes": class_sizes(run),
        "excluded": run.excluded,
        "visibility": visibility(run),
        "paired": paired(run, family=None),
        "seconds": seconds(run),
    }
    for mode in run.answering:
        tables |= {
            f"accuracy_{mode}": accuracy_table(run, mode),
            f"per_class_{mode}": per_class_table(run, mode),
            f"by_type_{mode}": by_type(run, mode),
            f"by_receipt_{mode}": by_receipt(run, mode),
        }
    return {name: table for name, table in tables.items() if len(table)}


def figures(run: Run) -> dict[str, Callable[[], Figure]]:
    """File name → what draws it, for each figure that the run has data for, in the report's order."""
    draw: dict[str, Callable[[], Figure]] = {}
    if len(seen := visibility(run)):
        draw["visibility"] = lambda: plots.visibility_curve(seen)
    for mode in run.answering:
        title, arms = f"{where(run)}, {rule_of(run, mode)}", arm_counts(run, mode)
        draw[f"accuracy_{mode}"] = partial(plots.accuracy_forest, arms, baseline=run.summary["baseline"], title=title)
        draw[f"per_class_{mode}"] = partial(plots.per_class_bars, per_class(run, mode), title=title)
        if len(pairs := paired(run, mode)):
            draw[f"paired_{mode}"] = partial(plots.paired_differences, pairs, title=title)
        if normal_label(run):
            draw[f"confusion_binary_{mode}"] = partial(binary_figure, run, mode)
    draw |= {f"confusion_{arm['name']}": partial(confusion_figure, run, arm["name"]) for arm in run.summary["arms"]}
    if run.training:
        draw["training"] = lambda: plots.training_curves(run.training, title=f"Loss while fine-tuning {run.model}")
    return draw


def figure(run: Run, name: str) -> Figure | None:
    """One of `figures`, drawn; None where the run has no data for it."""
    return figures(run)[name]() if name in figures(run) else None
