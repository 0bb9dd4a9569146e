"""The study's Figures 4 to 6, drawn again from its logs, and Table 2 and the power of a comparison as pictures.

Takes the tables of `recount`, gives matplotlib Figures in the look of `plots`: every share with its Wilson interval,
n on each figure, what was published as a diamond beside what the logs give.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from llamavid_kit.evaluation.power import mcnemar_power
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.evaluation.visibility import Visibility
from llamavid_kit.study import recount
from llamavid_kit.study.evidence import Evidence, with_road
from llamavid_kit.study.results import BY_KEY, SETTINGS
from llamavid_kit.viz import plots
from llamavid_kit.viz.look import BLUE, GREY, VERMILION, house_figure, whiskers


def confusion(evidence: Evidence, setting: str) -> Figure:
    """All classes of one setting on what it answered; fine-tuned replies "Road" count as Road Accident (Figure 5)."""
    table = recount.arm(with_road(evidence.answered(setting)), setting)
    title = f"UCF-Crime, {BY_KEY[setting].name}, n = {table.n} videos"
    return plots.confusion(table.confusion, table.labels, table.columns, title)


def anomaly_or_not(evidence: Evidence, *settings: str) -> Figure:
    """Each setting with all anomalies taken together, side by side, on what each answered."""
    panels = {}
    for key in settings:
        table = recount.arm(with_road(evidence.answered(key)), key, binary=True)
        panels[f"{BY_KEY[key].name}\nn = {table.n} videos"] = (table.confusion, table.labels, table.columns)
    return plots.confusion_row(panels, title="Anomaly or not, UCF-Crime")


@house_figure
def table_2(evidence: Evidence) -> Figure:
    """Table 2: the logs' share with its interval on the common videos, the published number, and the constant."""
    table = recount.accuracies(evidence)
    fig, ax = plt.subplots(figsize=(9.5, 4.3))
    colours = plots.arm_colours(table)
    base = recount.arm(evidence.common, evidence.logged[0].key).baseline
    for y, row in enumerate(table.itertuples()):
        ax.plot(row.published / 100, y - 0.22, "D", ms=8, mfc="white", mec=GREY, mew=2, ls="none", label="published")
        if BY_KEY[row.key] not in evidence.logged:
            _beside(ax, y, "no log", color=GREY)
            continue
        value = row.correct / row.n
        spread = whiskers(value, row.low, row.high)
        ax.errorbar(value, y + 0.1, xerr=spread, fmt="o", ms=10, lw=3, capsize=5, color=colours[row.arm])
        _beside(ax, y, recount.share_text(row.correct, row.n))
    line = ax.axvline(base.accuracy, color=GREY, ls="--", lw=2)
    handles = [ax.lines[0], line, plt.Line2D([], [], marker="o", ms=9, lw=3, color=GREY)]
    names = ["published", f'always "{base.label}": {base.accuracy:.1%}', "counted from the logs, 95% Wilson"]
    fig.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=11)
    ax.set_title(f"Table 2 and its logs, the same {len(evidence.common)} videos")
    _share_axes(ax, list(table["arm"]), ylim=(len(table) - 0.45, -0.55))
    return fig


def _beside(ax: Axes, y: float, note: str, **look) -> None:
    """A note right of the axes, in row y."""
    ax.annotate(note, (1.02, y), xycoords=("axes fraction", "data"), va="center", **{"fontsize": 12, **look})


def _share_axes(ax: Axes, names: Sequence[str], *, ylim: tuple[float, float]) -> None:
    """A row a name, and the share of videos answered right from 30 to 75%."""
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=ylim, xlim=(0.3, 0.75), xlabel="videos answered right")
    ax.set_xticks(np.arange(0.3, 0.76, 0.1))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", visible=False)


@house_figure
def figure_6(evidence: Evidence) -> Figure:
    """Figure 6 (and Table 3): each class and setting, counted on the common videos, published values as diamonds."""
    table = recount.per_class(evidence)
    sizes = table.dropna(subset=["n"]).drop_duplicates("class").set_index("class")["n"].astype(int)
    fig, axes = plt.subplots(len(SETTINGS), 1, figsize=(11, 9.6), sharex=True, sharey=True)
    colours, whisker_look = plots.arm_colours(table), {"lw": 1.4, "ecolor": GREY}
    for ax, setting in zip(axes, SETTINGS, strict=True):
        rows = table[table["key"] == setting.key]
        at = np.arange(len(rows))
        if setting in evidence.logged:
            value = np.divide(rows["correct"], rows["n"], out=np.zeros(len(rows)), where=rows["n"] > 0)
            bars = whiskers(np.asarray(value), rows["low"].to_numpy(), rows["high"].to_numpy())
            look = {"color": colours[setting.name], "capsize": 3, "error_kw": whisker_look}
            ax.bar(at, value, 0.62, yerr=bars, label="counted from the logs", **look)
        else:
            ax.annotate("no log: published numbers only", (0.01, 0.86), xycoords="axes fraction", color=GREY)
        ax.plot(at, rows["published"] / 100, "D", ms=7, mfc="white", mec="black", mew=1.5, label="published", zorder=5)
        ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.5, 1], ylabel="answered right")
        ax.set_title(setting.name, fontsize=12)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.grid(axis="x", visible=False)
    labels = [name.replace(" ", "\n") + f"\nn = {sizes.get(name, 0)}" for name in table["class"].unique()]
    axes[-1].set_xticks(np.arange(len(labels)), labels, fontsize=10)
    handles, names = axes[-1].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    fig.suptitle(f"Each class, the same {len(evidence.common)} videos, 95% Wilson intervals", fontweight="bold")
    return fig


@house_figure
def rules(evidence: Evidence, setting: str) -> Figure:
    """How much the rule that matches replies to labels decides: right and without label, of the answered videos."""
    n, counts, published = len(evidence.answered(setting)), evidence.by_rule[setting], BY_KEY[setting].published
    fig, ax = plt.subplots(figsize=(9.5, 4.2))
    for y, (right, silent, *_) in enumerate(counts.values()):
        spread = whiskers(right / n, *wilson(right, n))
        ax.errorbar(right / n, y, xerr=spread, fmt="o", ms=10, lw=3, capsize=5, color=BLUE)
        _beside(ax, y, f"{recount.share_text(right, n)}; {silent} name no label", fontsize=11)
    ax.axvline(published / 100, color=VERMILION, ls="--", lw=2)
    where = {"xycoords": ("data", "axes fraction"), "xytext": (6, 0), "textcoords": "offset points"}
    ax.annotate(f"published {published}%", (published / 100, 0.02), color=VERMILION, fontsize=11, **where)
    ax.set_title(f"One log, six rules: {BY_KEY[setting].name}, n = {n}")
    _share_axes(ax, [name.replace("_", " ") for name in counts], ylim=(len(counts) - 0.2, -0.6))
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
        note = f"{name}: n = {k}, {value:.0%}"
        ax.annotate(note, (k, value), xytext=(9, -15), textcoords="offset points", fontsize=11)
    ax.set(ylim=(0, 1.02), xlim=(0, most), xlabel="clips that both arms answer", ylabel="chance to show it (p < 0.05)")
    ax.set_title(f"Power, if {only_a:.1%} of clips are right in one arm only, {only_b:.1%} in the other")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return fig


@house_figure
def events_shown(curve: Sequence[Visibility]) -> Figure:
    """Share of videos of which a sampled frame shows an annotated event, over frames a second (logarithmic)."""
    fps, share = [p.fps for p in curve], np.array([p.share for p in curve])
    low, high = np.array([p.wilson95 for p in curve]).T
    fig, ax = plt.subplots(figsize=(9.5, 4.4))
    ax.errorbar(fps, share, yerr=whiskers(share, low, high), marker="o", ms=9, lw=2.5, capsize=4, color=BLUE)
    for p in curve:
        note = f"{p.n_visible}/{p.n}"
        ax.annotate(note, (p.fps, p.share), xytext=(7, -16), textcoords="offset points", fontsize=11)
    ax.set(xscale="log", ylim=(0, 1.08), xlim=(min(fps) * 0.8, max(fps) * 1.6), xlabel="frames sampled a second")
    ax.set(ylabel="videos (95% Wilson)", title="Videos of which a sampled frame shows the event")
    ax.set_xticks(fps, [f"1 in {round(1 / x)} s" if x < 0.9 else f"{x:g}" for x in fps], fontsize=10)
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return fig


def figures(evidence: Evidence) -> dict[str, Figure]:
    """File name → Figure, of what there is evidence for."""
    by_name = {"table_2": table_2(evidence), "figure_6_classes": figure_6(evidence)}
    by_name["events_shown"] = events_shown(evidence.curve)
    numbers = {"zero_shot_fps1": "figure_4", "finetuned_fps6": "figure_5"}
    logged = [key for key in numbers if BY_KEY[key] in evidence.logged]
    for key in logged:
        by_name[f"{numbers[key]}_confusion"] = confusion(evidence, key)
        by_name[f"{numbers[key]}_rules"] = rules(evidence, key)
    if logged:
        by_name["figures_4_5_binary"] = anomaly_or_not(evidence, *logged)
    if len(pairs := recount.comparisons(evidence)):
        title = f"Paired differences, n = {' and '.join(str(n) for n in pairs['n'])} videos"
        by_name["comparisons"] = plots.paired_differences(pairs, title=title)
    return by_name
