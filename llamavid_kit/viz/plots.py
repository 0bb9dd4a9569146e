"""Figures of results: from arrays and DataFrames to matplotlib Figures in one look, for print and for a projector.

Input: tables of counts and training logs; attention over frames is drawn in `overlay`, whose figures are reachable
here, too. Nothing is computed but heights, shares and positions; intervals and p-values come in with the data. Blue is
zero-shot, vermilion fine-tuned, darker means more frames a second (`look` has the colours). Every function returns a
Figure that pyplot has forgotten, so that a notebook shows it once.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from llamavid_kit.viz.look import (
    BLUE,
    GREEN,
    GREY,
    OTHERS,
    VERMILION,
    Style,
    fitted,
    house_axes,
    house_figure,
    short,
    whiskers,
)
from llamavid_kit.viz.overlay import attention_overlay as attention_overlay
from llamavid_kit.viz.overlay import attention_top as attention_top
from llamavid_kit.viz.rates import rate_audit as rate_audit

Matrix = Sequence[Sequence[int]]


def arm_colours(arms: pd.DataFrame) -> dict[str, tuple]:
    """Arm → RGB from the columns arm, fps, fine_tuned: hue says zero-shot or fine-tuned, a darker shade more fps.

    Arms that differ in another factor have neighbouring shades, the later in the table the darker one.
    """
    arms = arms.drop_duplicates("arm")
    places = [*zip(arms["fps"], arms.groupby(["fine_tuned", "fps"]).cumcount(), strict=True)]
    levels = sorted(set(places))
    shades = {
        fine_tuned: sns.light_palette(base, len(levels) + 1)[1:] if len(levels) > 1 else [to_rgb(base)]
        for fine_tuned, base in ((True, VERMILION), (False, BLUE))
    }
    rows = zip(arms["arm"], arms["fine_tuned"], places, strict=True)
    return {arm: shades[bool(fine_tuned)][levels.index(place)] for arm, fine_tuned, place in rows}


@house_figure
def visibility_curve(table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Share of events that hold at least one sampled frame against fps, one line a set, Wilson 95% whiskers.

    table: columns set, fps (frames a second), n, seen (events), low, high (shares from 0 to 1)
    """
    fig, ax = house_axes(ax, (9.5, 4.6))
    for i, (name, rows) in enumerate(table.groupby("set", sort=False)):
        rows, colour = rows.sort_values("fps"), (VERMILION, BLUE, GREEN, GREY)[i % 4]
        share = (rows["seen"] / rows["n"]).to_numpy()
        style: Style = {"marker": "os^D"[i % 4], "ms": 8, "lw": 2.5, "capsize": 4, "color": colour}
        label = f"{name} (n = {rows['n'].iloc[0]} events)"
        ax.errorbar(rows["fps"], share, yerr=whiskers(share, rows["low"], rows["high"]), label=label, **style)
        lift = 7 if share.mean() >= 0.97 and table["set"].nunique() > 1 else -17
        note: Style = {"xytext": (8, lift), "textcoords": "offset points", "fontsize": 12, "fontweight": "bold"}
        for fps, value in zip(rows["fps"], share, strict=True):
            ax.annotate(f"{value:.0%}", (fps, value), color=colour, **note)
    rates = sorted(table["fps"].unique())
    ax.set(ylim=(0, 1.12), xlabel="frames sampled a second (fps)", ylabel="events with a frame")
    ax.set_title(fitted(fig, title or "Events that sampling shows at all"))
    ax.set_xticks(rates, [f"{r:g}" for r in rates])
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="lower right", frameon=True)
    return fig


@house_figure
def accuracy_forest(
    arms: pd.DataFrame, *, baseline: Mapping[str, Any] | None = None, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Accuracy of each arm as a point with its Wilson 95% interval, top to bottom in the order of the table.

    arms: columns arm, fps, fine_tuned, n, correct, low, high (shares); baseline: {"label", "correct", "n"} of always
    answering the most frequent class, drawn as a line
    """
    share = baseline["correct"] / baseline["n"] if baseline else 0
    line = (share, f'always "{baseline["label"]}": {share:.1%}') if baseline else None
    notes = [f"{row.correct}/{row.n} = {row.correct / row.n:.1%}" for row in arms.itertuples()]
    fig, ax = _forest(arms, arms["correct"] / arms["n"], notes, line, ax)
    ax.set(xlim=(0, 1.22), xticks=np.linspace(0, 1, 6), xlabel="clips answered right (95% Wilson interval)")
    ax.set_title(fitted(fig, title or "Accuracy of each arm"))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    return fig


@house_figure
def score_forest(
    arms: pd.DataFrame, *, baseline: Mapping[str, Any] | None = None, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Mean score of each arm, 0 to 5, with its 95% interval; otherwise as `accuracy_forest`.

    arms: columns arm, fps, fine_tuned, n, score, low, high (scores); baseline: {"label", "score"} of one answer to all
    """
    line = (baseline["score"], f'always "{baseline["label"]}": {baseline["score"]:.2f}') if baseline else None
    fig, ax = _forest(arms, arms["score"], [f"{row.score:.2f}, n = {row.n}" for row in arms.itertuples()], line, ax)
    ax.set(xlim=(0, 6.1), xticks=range(6), xlabel="mean score, 0 to 5 (95% bootstrap interval over clips)")
    ax.set_title(fitted(fig, title or "Mean score of each arm"))
    return fig


def _forest(
    arms: pd.DataFrame, values: Sequence[float], notes: Sequence[str], line: tuple[float, str] | None, ax: Axes | None
) -> tuple[Figure, Axes]:
    """A row an arm, top to bottom: point, interval (columns low, high), note. `line`: a value for all and its name."""
    fig, ax = house_axes(ax, (9.5, 1.5 + 0.62 * len(arms)))
    colours = arm_colours(arms)
    beside: Style = {"textcoords": "offset points", "va": "center"}
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the line for all may run behind a note
    for y, (row, value, note) in enumerate(zip(arms.itertuples(), values, notes, strict=True)):
        spread = whiskers(value, row.low, row.high)
        ax.errorbar(value, y, xerr=spread, fmt="o", ms=10, lw=3, capsize=5, color=colours[row.arm], clip_on=False)
        ax.annotate(note, (max(row.high, value), y), xytext=(8, 0), fontsize=12, bbox=paper, **beside)
    if line:
        ax.axvline(line[0], color=GREY, ls="--", lw=2)
        ax.annotate(line[1], (line[0], len(arms) - 0.3), xytext=(6, 0), fontsize=11, color=GREY, **beside)
    ax.set(yticks=range(len(arms)), yticklabels=[*map(short, arms["arm"])], ylim=(len(arms) - 0.1, -0.5))
    ax.grid(axis="y", visible=False)
    return fig, ax


@house_figure
def confusion(
    matrix: Matrix, labels: Sequence[str], columns: Sequence[str], title: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """Confusion matrix: colour and percentage say the share of the row (0 to 100%), the number counts clips.

    matrix: (rows, columns) clips of true class `labels[i]` answered as `columns[j]`; a class without clips stays empty
    """
    counts = np.asarray(matrix, dtype=int)
    totals = counts.sum(1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    text = [f"{c}\n{s:.0%}" if c else "" for c, s in zip(counts.flat, share.flat, strict=True)]
    many = len(labels) > 4
    wide, high = (0.72, 0.6) if many else (1.4, 0.7)
    fig, ax = house_axes(ax, (2.8 + wide * len(columns), 1.9 + high * len(labels)))
    numbers = {"annot": np.reshape(text, counts.shape), "fmt": "", "annot_kws": {"size": 9.5 if many else 13}}
    scale = {"label": "of the row", "format": PercentFormatter(1)}
    sns.heatmap(share, vmin=0, vmax=1, cmap="Blues", ax=ax, linewidths=0.5, cbar_kws=scale, **numbers)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=40 if many else 0, ha="right" if many else "center")
    rows = [f"{label} (n = {n})" for label, n in zip(labels, totals[:, 0], strict=True)]
    ax.set_yticks(np.arange(len(labels)) + 0.5, rows, rotation=0)
    ax.set(xlabel="answered", ylabel="true class")
    ax.set_title(fitted(fig, title or f"Confusion, n = {counts.sum()} clips"))
    return fig


@house_figure
def confusion_row(
    panels: Mapping[str, tuple[Matrix, Sequence[str], Sequence[str]]], *, title: str | None = None
) -> Figure:
    """Small confusion matrices side by side, one scale (0 to 100% of a row): name → (matrix, labels, columns)."""
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    fig, axes = plt.subplots(down, across, figsize=(5 * across, 3.6 * down + 0.4), squeeze=False)
    for ax, (name, (matrix, labels, columns)) in zip(axes.flat, panels.items(), strict=False):
        name = fitted(fig, short(name), most=28)
        confusion(matrix, labels, columns, name, ax=ax)
        ax.set_title(name, fontsize=12)
        ax.set_xticks(ax.get_xticks(), columns, rotation=25, ha="right")  # a narrow panel has no room for level names
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    if title:
        fig.suptitle(fitted(fig, title), fontweight="bold")
    return fig


@house_figure
def per_class_bars(table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Share of each class answered right, a bar an arm, Wilson 95% whiskers; n stands under the class.

    table: columns class, arm, fps, fine_tuned, n, correct, low, high; classes without clips are left out
    """
    table = table[table["n"] > 0]
    classes, arms = list(dict.fromkeys(table["class"])), list(dict.fromkeys(table["arm"]))
    fig, ax = house_axes(ax, (max(9.5, 1.5 + 0.85 * len(classes)), 5.4))
    colours, width = arm_colours(table), 0.84 / len(arms)
    for i, arm in enumerate(arms):
        rows = table[table["arm"] == arm].set_index("class").loc[classes]
        value = (rows["correct"] / rows["n"]).to_numpy()
        at = np.arange(len(classes)) + (i - (len(arms) - 1) / 2) * width
        style: Style = {"color": colours[arm], "edgecolor": "white", "error_kw": {"lw": 1, "ecolor": GREY}}
        ax.bar(at, value, width, yerr=whiskers(value, rows["low"], rows["high"]), label=short(arm), **style)
    sizes = table.drop_duplicates("class").set_index("class")["n"]
    ax.set_xticks(np.arange(len(classes)), [f"{c}  n={sizes[c]}" for c in classes], rotation=35, ha="right")
    ax.set(ylim=(0, 1.02), ylabel="answered right (95% Wilson)")
    ax.set_title(fitted(fig, title or "Accuracy of each class"))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return fig


@house_figure
def training_curves(training: Mapping[str, Any], *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Training loss against step, one line a fine-tuning, thin as logged and thick as a running mean.

    training: name → rows with step and loss (a DataFrame or dicts); loss is the mean cross-entropy in nats a token
    """
    fig, ax = house_axes(ax, (9.5, 4.4))
    for i, (name, rows) in enumerate(training.items()):
        rows = pd.DataFrame(rows).dropna(subset=["loss"]).sort_values("step")
        smooth = rows["loss"].rolling(max(1, len(rows) // 15), min_periods=1, center=True).mean()
        colour, dash = OTHERS[i % len(OTHERS)], ("-", "--", ":", "-.")[i % 4]
        ax.plot(rows["step"], rows["loss"], color=colour, lw=0.8, alpha=0.35)
        ax.plot(rows["step"], smooth, dash, color=colour, lw=2.8, label=f"{short(name)} (last {smooth.iloc[-1]:.2f})")
    ax.set(xlabel="optimiser step", ylabel="loss (nats a token)")
    ax.set_title(fitted(fig, title or "Loss while fine-tuning"))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=True)
    return fig


@house_figure
def paired_differences(paired: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Difference of two arms on the same clips with its 95% interval; beside it discordant counts, p and Holm's p.

    paired: columns a, b, n, only_a, only_b (clips that only that arm got right), difference, low, high (shares, b - a),
    p, p_holm. Filled points have p_holm below 0.05.
    """
    fig, ax = house_axes(ax, (9.5, 1.6 + 0.85 * len(paired)))
    ax.axvline(0, color=GREY, lw=1.5)
    for y, row in enumerate(paired.itertuples()):
        spread = whiskers(row.difference, row.low, row.high) * 100
        style: Style = {"fmt": "o", "ms": 10, "lw": 2.5, "capsize": 5, "mew": 2, "color": BLUE}
        ax.errorbar(row.difference * 100, y, xerr=spread, mfc=BLUE if row.p_holm < 0.05 else "white", **style)
        note = f"only first right: {row.only_a}, only second: {row.only_b}\n"
        note += f"p {p_text(row.p)}, Holm {p_text(row.p_holm)}"
        ax.annotate(note, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=10.5)
    reach = 100 * max(0.05, np.abs(paired[["low", "high"]].to_numpy()).max()) * 1.1
    ax.set(yticks=range(len(paired)), ylim=(len(paired) - 0.5, -0.5), xlim=(-reach, reach))
    ax.set_yticklabels([f"{short(row.a)}  →\n{short(row.b)}" for row in paired.itertuples()], fontsize=10.5)
    ax.set(xlabel="points more (right) or fewer (left) of the clips right in the second arm")
    ax.set_title(fitted(fig, title or f"Paired differences, n = {paired['n'].iloc[0]} clips"))
    ax.grid(axis="y", visible=False)
    return fig


def p_text(p: float) -> str:
    """ "= 0.077" or "< 0.001": three decimals are all that a reader can use."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


@house_figure
def reliability(table: pd.DataFrame, *, title: str | None = None) -> Figure:
    """How often a choice is right against how probable the model says; a panel an arm, by each rule.

    table: columns arm, fps, fine_tuned, rule, n (clips of the bin), confidence (their mean probability), correct
    (clips), low, high (Wilson 95%, shares). On the dashed diagonal a model is calibrated, below it overconfident. A
    point's area is the share of the arm's clips that it stands for.
    """
    colours, panels = arm_colours(table), dict(iter(table.groupby(["rule", "arm"])))
    places = [key for key in product(dict.fromkeys(table["rule"]), dict.fromkeys(table["arm"])) if key in panels]
    across = min(4, table["arm"].nunique())
    down = -(-len(places) // across)
    size = (0.8 + 2.7 * max(across, 2), 1.0 + 2.8 * down)
    fig, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True, sharey=True)
    for ax, (rule, arm) in zip(axes.flat, places, strict=False):
        rows = panels[rule, arm].sort_values("confidence")
        share, n = (rows["correct"] / rows["n"]).to_numpy(), rows["n"].sum()
        ax.plot([0, 1], [0, 1], ls="--", lw=1.5, color=GREY)
        style: Style = {"lw": 2, "elinewidth": 1, "capsize": 2, "color": colours[arm], "clip_on": False}
        ax.errorbar(rows["confidence"], share, yerr=whiskers(share, rows["low"], rows["high"]), **style)
        ax.scatter(rows["confidence"], share, s=260 * rows["n"] / n + 8, color=colours[arm], zorder=3, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        ax.set_title(fitted(fig, f"{short(arm)}\nrule {rule}", most=26), fontsize=10.5)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
    for ax in axes.flat[len(places) :]:
        ax.set_axis_off()
    fig.get_layout_engine().set(wspace=0.05)
    fig.supxlabel("probability of the likeliest choice", fontsize=12)
    fig.supylabel("right (95% Wilson interval)", fontsize=12)
    fig.suptitle(fitted(fig, f"Is it as sure as it is right? {title or ''}"), fontweight="bold")
    return fig
