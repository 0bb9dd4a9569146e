"""The figures of a run, by name, each drawn from the tables by `viz.plots`."""

from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from llamavid_kit.evaluation.scoring import collapse, score
from llamavid_kit.experiments.report import tables
from llamavid_kit.experiments.report.choices import calibration_bins
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz import plots
from llamavid_kit.viz.look import short


def where(run: Run, arm: str | None = None) -> str:
    """Models, set and n, for titles."""
    n = len(run.test)
    asked = f"{short(' and '.join(run.models))} on {short(run.source)}"
    return asked + (f", {short(arm)}" if arm else "") + f", n = {n} clips"


def _rule(run: Run, answering: str) -> str:
    return "likeliest choice" if answering == "likelihood" else f"rule {run.rule}" if run.labels else run.rule


def figures(run: Run) -> dict[str, Callable[[], Figure]]:
    """File name → what draws it, for each figure that the run has data for, in the report's order."""
    draw: dict[str, Callable[[], Figure]] = {}
    if run.summary["visibility"]:
        draw["visibility"] = lambda: plots.visibility_curve(tables.visibility(run))
    for way in run.answering:
        draw[f"accuracy_{way}"] = partial(accuracy, run, way)
        if run.varied:
            draw[f"every_arm_{way}"] = partial(accuracy, run, way, every=True)
        if run.open:
            draw["score"] = partial(_score, run)
        elif not all(tables.silent(run, key) for key in tables.of_arms(run, way)["key"]):
            draw[f"per_class_{way}"] = partial(_per_class, run, way)
            if tables.normal_label(run):
                draw[f"confusion_binary_{way}"] = partial(_binary, run, way)
    for family in run.families:
        draw[f"paired_{family}"] = partial(_paired, run, family)
    if run.labels:
        speaking = [arm.name for arm in run.arms if not tables.silent(run, arm.name)]
        draw |= {f"confusion_{key}": partial(confusion, run, key) for key in speaking}
    if "likelihood" in run.answering:
        draw["calibration"] = partial(_calibration, run)
    if run.training:
        title = f"Loss while fine-tuning {' and '.join(run.models)}"
        draw["training"] = partial(plots.training_curves, run.training, title=title)
    return draw


def figure(run: Run, name: str) -> Figure | None:
    """One of `figures`, drawn; None where the run has no data for it."""
    draw = figures(run).get(name)
    return draw and draw()


def accuracy(run: Run, answering: str, *, every: bool = False) -> Figure:
    """How many clips each arm got right, beside the baseline."""
    title = f"{where(run)}, {_rule(run, answering)}" if run.labels else where(run)
    rows = tables.of_arms(run, answering, every=every)
    return plots.accuracy_forest(rows, baseline=run.summary["baseline"], title=title)


def _score(run: Run) -> Figure:
    """The mean score of each arm."""
    rows = tables.of_arms(run, "generation", "score")
    return plots.score_forest(rows.assign(score=rows["value"]), baseline=run.summary["baseline"], title=where(run))


def _speaking(run: Run, answering: str, measure: str) -> pd.DataFrame:
    """`tables.of_arms` without the arms that name no label."""
    rows = tables.of_arms(run, answering, measure)
    return rows[~rows["key"].map(partial(tables.silent, run))]


def _per_class(run: Run, answering: str) -> Figure:
    """How many clips of each class each arm got right."""
    rows = _speaking(run, answering, "class").rename(columns={"of": "class"})
    return plots.per_class_bars(rows, title=f"{where(run)}, {_rule(run, answering)}")


def _paired(run: Run, family: str) -> Figure:
    return plots.paired_differences(tables.paired(run, family), title=where(run))


def _calibration(run: Run) -> Figure:
    bins = calibration_bins(run)
    return plots.reliability(bins[bins["main"]], title=where(run))


def confusion(run: Run, key: str) -> Figure:
    """Rows are the true classes, columns the answers of one arm."""
    table, arm = run.scores[key], run.arm(key)
    title = f"{where(run, run.name_in_tables(arm))}\n{_rule(run, arm.answering)}"
    return plots.confusion(table["confusion"], table["labels"], table["columns"], title)


def _binary(run: Run, answering: str) -> Figure:
    panels = {row.arm: binary(run, row.key) for row in _speaking(run, answering, "accuracy").itertuples()}
    return plots.confusion_row(panels, title=f"Anomaly or not: {where(run)}, {_rule(run, answering)}")


def binary(run: Run, key: str) -> tuple[tuple, tuple, tuple]:
    """(matrix, labels, columns) of an arm with every label but the normal one called Anomaly, as in Figure 4."""
    normal, rows = str(tables.normal_label(run)), run.of(key)
    labels = [None if pd.isna(label) else label for label in rows["label"]]
    table = score(collapse(list(rows["truth"]), keep=normal), collapse(labels, keep=normal), labels=("Anomaly", normal))
    return table.confusion, table.labels, table.columns
