"""The study's Figures 4 to 6, drawn again from its logs, and Table 2 and the power of a comparison as pictures.

Takes the tables of `restudy`, gives matplotlib Figures in the look of `plots`: every share with its Wilson interval,
n on each figure, what was published as a diamond beside what the logs give.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from llamavid_kit.evaluation.power import mcnemar_power
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.evaluation.visibility import ClipVisibility
from llamavid_kit.study import recount as restudy
from llamavid_kit.study.evidence import Evidence, with_road
from llamavid_kit.study.results import BY_KEY, SETTINGS
from llamavid_kit.viz import plots
from llamavid_kit.viz.look import BLUE, GREY, VERMILION, house_figure
from llamavid_kit.viz.plots import _whiskers

BESIDE = ("axes fraction", "data")  # a note right of the axes, in its row


def confusion(found: Evidence, setting: str, *, clips: str = "answered") -> Figure:
    """All classes of one setting on what it answered; fine-tuned replies "Road" count as Road Accident (Figure 5)."""
    rows = with_road(found.answered(setting) if clips == "answered" else found.common)
    table = restudy.arm(rows, setting)
    title = f"UCF-Crime, {BY_KEY[setting].name}, n = {table.n} videos"
    return plots.confusion(table.confusion, table.labels, table.columns, title)


def anomaly_or_not(found: Evidence, *settings: str) -> Figure:
    """Each setting with all anomalies taken together, side by side, on what each answered."""
    panels = {}
    for key in settings:
        table = restudy.arm(with_road(found.answered(key)), key, binary=True)
        panels[f"{BY_KEY[key].name}\nn = {table.n} videos"] = (table.confusion, table.labels, table.columns)
    return plots.confusion_row(panels, title="Anomaly or not, UCF-Crime")


@house_figure
def table_2(found: Evidence) -> Figure:
    """Table 2: the logs' share with its interval on the common videos, the published number, and the constant."""
    table = restudy.accuracies(found)
    fig, ax = plt.subplots(figsize=(9.5, 4.3))
    colours = plots.arm_colours(table)
    base = restudy.arm(found.common, found.logged[0].key).baseline
    for y, row in enumerate(table.itertuples()):
        drawn = ax.plot(row.published / 100, y - 0.22, "D", ms=8, mfc="white", mec=GREY, mew=2, ls="none")
        if BY_KEY[row.key] not in found.logged:
            ax.annotate("no log", (1.02, y), xycoords=BESIDE, va="center", fontsize=12, color=GREY)
            continue
        value = row.correct / row.n
        spread = _whiskers(*np.array([[value], [row.low], [row.high]]))
        ax.errorbar(value, y + 0.1, xerr=spread, fmt="o", ms=10, lw=3, capsize=5, color=colours[row.arm])
        note = f"{row.correct:.0f}/{row.n:.0f} = {value:.1%}"
        ax.annotate(note, (1.02, y), xycoords=BESIDE, va="center", fontsize=12)
    line = ax.axvline(base.accuracy, color=GREY, ls="--", lw=2)
    handles = [drawn[0], line, plt.Line2D([], [], marker="o", ms=9, lw=3, color=GREY)]
    names = ["published", f'always "{base.label}": {base.accuracy:.1%}', "counted from the logs, 95% Wilson"]
    fig.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=11)
    ax.set(yticks=range(len(table)), yticklabels=list(table["arm"]), ylim=(len(table) - 0.45, -0.55), xlim=(0.3, 0.75))
    ax.set(xlabel="videos answered right", title=f"Table 2 and its logs, the same {len(found.common)} videos")
    ax.set_xticks(np.arange(0.3, 0.76, 0.1))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", visible=False)
    return fig


@house_figure
def figure_6(found: Evidence) -> Figure:
    """Figure 6 (and Table 3): each class and setting, counted on the common videos, published values as diamonds."""
    table = restudy.per_class(found)
    known = table.dropna(subset=["n"])
    sizes = known.drop_duplicates("class").set_index("class")["n"].astype(int)
    fig, axes = plt.subplots(len(SETTINGS), 1, figsize=(11, 9.6), sharex=True, sharey=True)
    colours = plots.arm_colours(table)
    for ax, setting in zip(axes, SETTINGS, strict=True):
        rows = table[table["key"] == setting.key]
        at = np.arange(len(rows))
        if setting in found.logged:
            value = np.divide(rows["correct"], rows["n"], out=np.zeros(len(rows)), where=rows["n"] > 0)
            bars = _whiskers(np.asarray(value), rows["low"].to_numpy(), rows["high"].to_numpy())
            ax.bar(
                at,
                value,
                0.62,
                yerr=bars,
                color=colours[setting.name],
                capsize=3,
                label="counted from the logs",
                error_kw={"lw": 1.4, "ecolor": GREY},
            )
        else:
            ax.annotate("no log: published numbers only", (0.01, 0.86), xycoords="axes fraction", color=GREY)
        ax.plot(at, rows["published"] / 100, "D", ms=7, mfc="white", mec="black", mew=1.5, label="published", zorder=5)
        ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.5, 1], ylabel="answered right")
        ax.set_title(setting.name, fontsize=12)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.grid(axis="x", visible=False)
    names = list(table["class"].unique())
    labels = [name.replace(" ", "\n") + f"\nn = {sizes.get(name, 0)}" for name in names]
    axes[-1].set_xticks(np.arange(len(labels)), labels, fontsize=10)
    handles, names = axes[-1].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    fig.suptitle(f"Each class, the same {len(found.common)} videos, 95% Wilson intervals", fontweight="bold")
    return fig


@house_figure
def rules(found: Evidence, setting: str) -> Figure:
    """How much the rule that matches replies to labels decides: right and without label, of the answered videos."""
    n, counts = len(found.answered(setting)), found.by_rule[setting]
    fig, ax = plt.subplots(figsize=(9.5, 4.2))
    for y, (right, silent, *_) in enumerate(counts.values()):
        low, high = wilson(right, n)
        spread = _whiskers(*np.array([[right / n], [low], [high]]))
        ax.errorbar(right / n, y, xerr=spread, fmt="o", ms=10, lw=3, capsize=5, color=BLUE)
        note = f"{right}/{n} = {right / n:.1%}; {silent} name no label"
        ax.annotate(note, (1.02, y), xycoords=BESIDE, va="center", fontsize=11)
    published = BY_KEY[setting].published
    ax.axvline(published / 100, color=VERMILION, ls="--", lw=2)
    ax.annotate(
        f"published {published}%",
        (published / 100, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(6, 0),
        textcoords="offset points",
        color=VERMILION,
        fontsize=11,
    )
    ax.set(
        yticks=range(len(counts)),
        ylim=(len(counts) - 0.2, -0.6),
        xlim=(0.3, 0.75),
        xlabel="videos answered right",
        title=f"One log, six rules: {BY_KEY[setting].name}, n = {n}",
    )
    ax.set_yticklabels([name.replace("_", " ") for name in counts])
    ax.set_xticks(np.arange(0.3, 0.76, 0.1))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", visible=False)
    return fig


@house_figure
def power(only_a: float, only_b: float, *, marks: dict[str, int], most: int = 1000) -> Figure:
    """Chance that exact McNemar shows a difference, over the number of clips; `marks` names some numbers of clips."""
    n = np.unique(np.linspace(10, most, 60).astype(int))
    fig, ax = plt.subplots(figsize=(9.5, 4.4))
    ax.plot(n, [mcnemar_power(k, only_a, only_b) for k in n], lw=3, color=BLUE)
    ax.axhline(0.8, color=GREY, ls="--", lw=1.5)
    for name, k in marks.items():
        value = mcnemar_power(k, only_a, only_b)
        ax.plot(k, value, "o", ms=10, color=VERMILION)
        ax.annotate(
            f"{name}: n = {k}, {value:.0%}", (k, value), xytext=(9, -15), textcoords="offset points", fontsize=11
        )
    ax.set(
        ylim=(0, 1.02),
        xlim=(0, most),
        xlabel="clips that both arms answer",
        ylabel="chance to show it (p < 0.05)",
        title=f"Power, if {only_a:.1%} of clips are right in one arm only, {only_b:.1%} in the other",
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return fig


@house_figure
def events_shown(curve: Sequence[ClipVisibility], *, title: str | None = None) -> Figure:
    """Share of videos of which a sampled frame shows an annotated event, over frames a second (logarithmic)."""
    fps, share = [p.fps for p in curve], np.array([p.share for p in curve])
    low, high = np.array([p.wilson95 for p in curve]).T
    fig, ax = plt.subplots(figsize=(9.5, 4.4))
    ax.errorbar(fps, share, yerr=_whiskers(share, low, high), marker="o", ms=9, lw=2.5, capsize=4, color=BLUE)
    for x, point in zip(fps, curve, strict=True):
        ax.annotate(
            f"{point.seen}/{point.n}", (x, point.share), xytext=(7, -16), textcoords="offset points", fontsize=11
        )
    ax.set(xscale="log", ylim=(0, 1.08), xlim=(min(fps) * 0.8, max(fps) * 1.6), xlabel="frames sampled a second")
    ax.set(ylabel="videos (95% Wilson)", title=title or "Videos of which a sampled frame shows the event")
    ax.set_xticks(fps, [f"1 in {round(1 / x)} s" if x < 0.9 else f"{x:g}" for x in fps], fontsize=10)
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return fig


def figures(found: Evidence) -> dict[str, Figure]:
    """File name → Figure, of what there is evidence for."""
    drawn = {"table_2": table_2(found), "figure_6_classes": figure_6(found), "events_shown": events_shown(found.curve)}
    logged = [key for key in ("zero_shot_fps1", "finetuned_fps6") if BY_KEY[key] in found.logged]
    for key in logged:
        name = {"zero_shot_fps1": "figure_4", "finetuned_fps6": "figure_5"}[key]
        drawn |= {f"{name}_confusion": confusion(found, key), f"{name}_rules": rules(found, key)}
    if logged:
        drawn["figures_4_5_binary"] = anomaly_or_not(found, *logged)
    if len(pairs := restudy.comparisons(found)):
        title = f"Paired differences, n = {' and '.join(str(n) for n in pairs['n'])} videos"
        drawn["comparisons"] = plots.paired_differences(pairs, title=title)
    return drawn
