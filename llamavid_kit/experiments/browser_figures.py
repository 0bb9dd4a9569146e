"""What the PredictionBrowser shows, as tables and figures: a cell's clips, every arm's reply, what the arm saw.

Input: a `run.Run`. `cell_clips`, `replies` and `probabilities` read it; `matrix` and `chances` are for the screen,
`picture` for print.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from scipy.special import softmax

from llamavid_kit.evaluation.scoring import NO_LABEL
from llamavid_kit.experiments.report.figures import where
from llamavid_kit.experiments.report.single_clips import Frames, receipt
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz import plots
from llamavid_kit.viz.explorers.shell import LAYOUT, colour_scale
from llamavid_kit.viz.look import GREY, VERMILION, as_text, house_figure, picture_axes

LONGEST_LINE = 68  # letters of a line in the static picture
ALL = "any answer"


def cell_clips(run: Run, key: str, truth: str, answered: str) -> pd.DataFrame:
    """The arm's rows whose true label is `truth` and whose answer is `answered` (NO_LABEL and ALL too)."""
    rows = run.of(key)
    rows = rows[rows["truth"] == truth]
    if answered == ALL:
        return rows
    return rows[rows["label"].isna() if answered == NO_LABEL else rows["label"] == answered]


def replies(run: Run, clip: str) -> pd.DataFrame:
    """What each arm said of one clip: arm, answering, reply, label, right, n_frames."""
    rows = run.replies[run.replies["clip"] == clip]
    return pd.DataFrame(
        {
            "arm": rows["arm"],
            "answering": rows["answering"],
            "reply": rows["reply"],
            "label": rows["label"].where(rows["label"].notna(), NO_LABEL),
            "right": rows["correct"].astype(bool),
            "n_frames": rows["timestamps_s"].map(len),
        }
    ).reset_index(drop=True)


def probabilities(run: Run, clip: str) -> pd.DataFrame:
    """label × arm: the likelihoods of the choices made to sum to 1 over the closed set, of arms that have them."""
    if "log_likelihood" not in run.replies:
        return pd.DataFrame(index=run.labels)
    rows = run.replies[run.replies["clip"] == clip]
    rows = rows[rows["log_likelihood"].map(lambda x: isinstance(x, dict))]
    table = {}
    for row in rows.itertuples():
        table[row.arm] = softmax([row.log_likelihood[label] for label in run.labels])
    return pd.DataFrame(table, index=run.labels)


def _row(run: Run, key: str, clip: str) -> pd.Series:
    rows = run.of(key)
    return rows[rows["clip"] == clip].iloc[0]


def matrix(run: Run, key: str) -> go.Figure:
    """The arm's confusion matrix: colour is the share of the row, the number counts clips, as `plots.confusion`."""
    table = run.scores[key]
    counts = np.asarray(table["confusion"], dtype=int)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    fig = go.Figure(
        go.Heatmap(
            z=share,
            x=[*map(as_text, table["columns"])],
            y=[*map(as_text, table["labels"])],
            zmin=0,
            zmax=1,
            colorscale=colour_scale("Blues"),
            text=np.where(counts > 0, counts.astype(str), ""),
            texttemplate="%{text}",
            textfont={"size": 14},
            xgap=1,
            ygap=1,
            hovertemplate="%{y}, answered %{x}: %{text} (%{z:.0%} of the row)<extra></extra>",
            colorbar={"title": {"text": "of the row", "side": "right"}, "tickformat": ".0%"},
        )
    )
    fig.update_yaxes(autorange="reversed", title="true class", ticklabelstandoff=6)
    fig.update_xaxes(title="answered", tickangle=-40)
    fig.update_layout(
        LAYOUT,
        title=as_text(where(run, run.name_in_tables(key))),
        height=190 + 34 * len(counts),
        margin={"l": 160, "r": 20, "t": 60, "b": 130},
    )
    return fig


def chances(table: pd.DataFrame, truth: str, colours: dict[str, tuple]) -> go.Figure:
    """Bars of `probabilities`, a group a label, in `plots.arm_colours`; an arrow and capitals mark the true label."""
    fig = go.Figure()
    labels = [as_text(_marked(x, truth)) for x in table.index]
    for arm in table:
        fig.add_bar(x=labels, y=table[arm], name=as_text(arm), marker_color=to_hex(colours[arm]))
    fig.update_yaxes(range=[0, 1], tickformat=".0%", title="probability", gridcolor="#dddddd")
    legend = {"orientation": "h", "y": -0.45}
    fig.update_layout(LAYOUT, title="Probability of each choice (sums to 100%)", height=380, legend=legend)
    return fig


def _marked(label: str, truth: str) -> str:
    return f"→ {label.upper()}" if label == truth else label


@house_figure
def picture(run: Run, key: str, clip: str | None, frames: Frames) -> plt.Figure:
    """The confusion matrix, the clip's cell framed; below it what each arm said of the clip and how likely it found
    each choice, with the clip's frames where they were found."""
    table = run.scores[key]
    heights = [2.6 + 0.5 * len(table["labels"])]
    heights += [1.7] * bool(frames) + [1 + max(2.6, 0.27 * len(run.arms))] * bool(clip)
    fig = plt.figure(figsize=(11, sum(heights)))
    rows = fig.add_gridspec(len(heights), 1, height_ratios=heights)
    ax = fig.add_subplot(rows[0])
    title = where(run, run.name_in_tables(key))
    plots.confusion(table["confusion"], table["labels"], table["columns"], title, ax=ax)
    if clip:
        ax.add_patch(Rectangle(_cell(run, key, clip), 1, 1, fill=False, ec=VERMILION, lw=3.5, clip_on=False))
    if frames:
        for place, (time_s, inside, frame) in zip(rows[1].subgridspec(1, len(frames)), frames, strict=True):
            ax = fig.add_subplot(place)
            ax.imshow(frame)
            picture_axes(ax, f"{time_s:.1f} s", fontsize=11)
            ax.title.set_color(VERMILION if inside else GREY)
    if clip:
        _draw_replies(fig, rows[-1], run, key, clip)
    return fig


def _cell(run: Run, key: str, clip: str) -> tuple[int, int]:
    """(column, row) of the clip in the arm's confusion matrix."""
    table, row = run.scores[key], _row(run, key, clip)
    label = NO_LABEL if pd.isna(row["label"]) else row["label"]
    return list(table["columns"]).index(label), list(table["labels"]).index(row["truth"])


def _draw_replies(fig: Figure, place: SubplotSpec, run: Run, key: str, clip: str) -> None:
    """Draws the replies of all arms as lines, and beside them the probabilities of the choices as bars."""
    chances, truth = probabilities(run, clip), run.replies.loc[run.replies["clip"] == clip, "truth"].iloc[0]
    answers = [f"{right_or_wrong(x.right)}  {x.arm}, {x.answering}: {x.reply}" for x in replies(run, clip).itertuples()]
    lines = [f"{clip}, true: {truth}", receipt(run, key, clip)[2], "", *answers]
    bars = len(chances.columns) > 0
    columns = place.subgridspec(1, 1 + bars, width_ratios=(1.15, 1)[: 1 + bars])
    wide = LONGEST_LINE * (1 if bars else 2)
    left = fig.add_subplot(columns[0])
    left.set_axis_off()
    text = "\n".join(textwrap.fill(x, wide, max_lines=2, placeholder=" …") for x in lines)
    left.text(0, 1, text, va="top", fontsize=10.5).set_in_layout(False)  # a long line takes nothing from the bars
    if bars:
        colours = plots.arm_colours(run.replies)
        ax = fig.add_subplot(columns[1])
        chances.plot.bar(ax=ax, color=[colours[arm] for arm in chances], width=0.82, ylim=(0, 1))
        ax.set_xticklabels([_marked(x, truth) for x in chances.index], rotation=35, ha="right", fontsize=10)
        ax.set_ylabel("probability of the choice", fontsize=11)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.grid(axis="x", visible=False)
        ax.legend(fontsize=9, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))


def right_or_wrong(correct: bool) -> str:
    return "right" if correct else "wrong"
