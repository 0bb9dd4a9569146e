"""PredictionBrowser: from a cell of an arm's confusion matrix to its clips, every arm's reply, and the frames.

`cell_clips`, `replies` and `probabilities` read a `run_folder.Run`; the explorer carries clicks and selections to them.
"""

import html
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import to_hex

from llamavid_kit import plots, report_tables
from llamavid_kit.explorers.shell import (
    LAYOUT,
    VERMILION,
    WIDE,
    Explorer,
    colour_scale,
    data_uri,
    guarded,
    html_line,
    live,
    widgets,
)
from llamavid_kit.plots import _figure as house_figure
from llamavid_kit.run_folder import Run
from llamavid_kit.scoring import NO_LABEL
from llamavid_kit.video import Video

N_SHOWN, THUMBNAIL_PX = 8, 120
ALL = "any answer"


def cell_clips(run: Run, key: str, truth: str, answered: str) -> pd.DataFrame:
    """The arm's rows whose true label is `truth` and whose answer is `answered` (NO_LABEL and ALL too)."""
    rows = run.arms[(run.arms["key"] == key) & (run.arms["truth"] == truth)]
    if answered == ALL:
        return rows
    return rows[rows["label"].isna() if answered == NO_LABEL else rows["label"] == answered]


def replies(run: Run, clip: str) -> pd.DataFrame:
    """What each arm said of one clip: arm, answering, reply, label, right, n_frames."""
    rows = run.arms[run.arms["clip"] == clip]
    return pd.DataFrame({
        "arm": rows["arm"], "answering": rows["answering"], "reply": rows["reply"],
        "label": rows["label"].where(rows["label"].notna(), NO_LABEL), "right": rows["correct"].astype(bool),
        "n_frames": rows["timestamps_s"].map(len),
    }).reset_index(drop=True)  # fmt: skip


def probabilities(run: Run, clip: str) -> pd.DataFrame:
    """label × arm: the likelihoods of the choices made to sum to 1 over the closed set, of arms that have them."""
    if "log_likelihood" not in run.arms:
        return pd.DataFrame(index=run.labels)
    rows = run.arms[(run.arms["clip"] == clip) & run.arms["log_likelihood"].map(lambda x: isinstance(x, dict))]
    table = {}
    for row in rows.itertuples():
        values = np.array([row.log_likelihood[label] for label in run.labels])
        share = np.exp(values - values.max())
        table[row.arm] = share / share.sum()
    return pd.DataFrame(table, index=run.labels)


def matrix(run: Run, key: str) -> go.Figure:
    """The arm's confusion matrix: colour is the share of the row, the number counts clips, as `plots.confusion`."""
    arm = run.arm(key)
    counts = np.asarray(arm["confusion"], dtype=int)
    totals = counts.sum(1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    fig = go.Figure(go.Heatmap(
        z=share, x=list(arm["columns"]), y=list(arm["labels"]), zmin=0, zmax=1, colorscale=colour_scale("Blues"),
        text=np.where(counts > 0, counts.astype(str), ""), texttemplate="%{text}", textfont={"size": 14},
        xgap=1, ygap=1,
        hovertemplate="%{y}, answered %{x}: %{text} (%{z:.0%} of the row)<extra></extra>",
        colorbar={"title": {"text": "of the row", "side": "right"}, "tickformat": ".0%"},
    ))  # fmt: skip
    fig.update_yaxes(autorange="reversed", title="true class")
    fig.update_xaxes(title="answered", tickangle=-40)
    fig.update_layout(LAYOUT, title=report_tables.where(run, run.shown(arm)), height=190 + 34 * len(counts),
                      margin={"l": 160, "r": 20, "t": 60, "b": 130})  # fmt: skip
    return fig


def chances(table: pd.DataFrame, truth: str, colours: dict[str, tuple]) -> go.Figure:
    """Bars of `probabilities`, a group a label, in `plots.arm_colours`; an arrow and capitals mark the true label."""
    fig = go.Figure()
    for arm in table:
        fig.add_trace(go.Bar(x=[_marked(x, truth) for x in table.index], y=table[arm], name=arm,
                             marker={"color": to_hex(colours[arm])}))  # fmt: skip
    fig.update_yaxes(range=[0, 1], tickformat=".0%", title="probability", gridcolor="#dddddd")
    fig.update_layout(LAYOUT, title="How likely each arm found each choice (sums to 100% over the choices)",
                      height=380, barmode="group", legend={"orientation": "h", "y": -0.45})  # fmt: skip
    return fig


def _marked(label: str, truth: str) -> str:
    return f"→ {label.upper()}" if label == truth else label


@house_figure
def picture(run: Run, key: str, clip: str | None, frames: list[tuple[float, np.ndarray]]) -> plt.Figure:
    """The confusion matrix, and below it what each arm said of the clip, with its frames where they were found."""
    arm = run.arm(key)
    fig = plt.figure(figsize=(11, 3.2 + 0.5 * len(arm["labels"]) + (4.4 if clip else 0)))
    parts = fig.subfigures(3, 1, height_ratios=[2.6 + 0.5 * len(arm["labels"]), 1.6 if frames else 0.01, 2.6])
    ax = parts[0].subplots()
    plots.confusion.__wrapped__(arm["confusion"], arm["labels"], arm["columns"], ax=ax,
                                title=report_tables.where(run, run.shown(arm)))  # fmt: skip
    if frames:
        for axis, (time_s, frame) in zip(parts[1].subplots(1, len(frames), squeeze=False)[0], frames, strict=True):
            axis.imshow(frame)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.set_title(f"{time_s:.1f} s", fontsize=11, loc="center")
    if clip:
        said = replies(run, clip)
        truth = run.arms.loc[run.arms["clip"] == clip, "truth"].iloc[0]
        lines = [f"{'right' if x.right else 'wrong'}  {x.arm}, {x.answering}: {x.reply}" for x in said.itertuples()]
        parts[2].text(0.02, 0.95, f"{clip} — true: {truth}\n" + "\n".join(lines), va="top", fontsize=11.5)
    return fig


class PredictionBrowser(Explorer):
    """The confusion matrix of an arm of an ablation; click a cell, or select it, and see its clips.

    Args:
        run_folder: what `ablate` wrote. root: folder of the clips, to show their frames; None shows none.
    arm, truth, answered, clip: the controls. rows: the chosen cell's clips.
    """

    def __init__(self, run_folder: Run | Path | str, *, root: Path | str | None = None):
        super().__init__("predictions.png")
        self.root = None if root is None else Path(root)
        self.run: Run | None = None
        self.rows = pd.DataFrame()
        self.frames: list[tuple[float, np.ndarray]] = []
        wide = {"style": WIDE, "layout": {"width": "48%"}}
        self.arm = widgets.Dropdown(description="Arm", **wide)
        self.truth = widgets.Dropdown(description="True class", **wide)
        self.answered = widgets.Dropdown(description="Answered", **wide)
        self.clip = widgets.Dropdown(description="Clip", **wide)
        self.chart: go.FigureWidget | None = None
        self.chances: go.FigureWidget | None = None
        self._matrix, self._chances, self._clip_view = widgets.VBox(), widgets.VBox(), widgets.HTML()
        self.view = widgets.VBox([
            self.arm, self._matrix, widgets.HTML(html_line("Click a cell, or choose it here:", size=14)),
            widgets.HBox([self.truth, self.answered]), self._message, self.clip, self._clip_view, self._chances,
            self.saving,
        ])  # fmt: skip
        if self._read(run_folder):
            self.arm.observe(self._draw, "value")
            for control in (self.truth, self.answered):
                control.observe(self._select, "value")
            self.clip.observe(self._show_clip, "value")
            self._draw()

    @guarded
    def _read(self, folder: Run | Path | str) -> None:
        run = folder if isinstance(folder, Run) else Run(folder)
        if run.open:
            raise ValueError(f"{run.folder} asked an open question: its replies have no classes to confuse")
        self.arm.options = [(f"{run.shown(a)}, {a['answering']}", a["name"]) for a in run.summary["arms"]]
        self.truth.options = run.labels
        self.answered.options = [ALL, *run.labels, NO_LABEL]
        for control in (self.arm, self.truth, self.answered):
            control.index = 0  # a dropdown that begins empty chooses nothing by itself
        self.run = run

    @guarded
    def _draw(self, *_) -> None:
        self.chart = live(matrix(self.run, self.arm.value))
        self.chart.data[0].on_click(self._clicked)
        self._matrix.children = [self.chart]
        self._select()

    def _clicked(self, _trace, points, _selector) -> None:
        if points.xs:
            self.truth.value, self.answered.value = points.ys[0], points.xs[0]

    @guarded
    def _select(self, *_) -> None:
        self.rows = cell_clips(self.run, self.arm.value, self.truth.value, self.answered.value)
        self.chart.layout.shapes = self._mark()
        self.clip.unobserve(self._show_clip, "value")
        self.clip.options = list(self.rows["clip"])
        self.clip.index = 0 if len(self.rows) else None
        self.clip.observe(self._show_clip, "value")
        self._show_clip()
        if not len(self.rows):
            self.say(f"No clip of {self.truth.value} was answered {self.answered.value}.")

    def _mark(self) -> list[dict]:
        """A frame around the chosen cell or row."""
        arm = self.run.arm(self.arm.value)
        columns, y = list(arm["columns"]), list(arm["labels"]).index(self.truth.value)
        if self.answered.value not in columns:
            x0, x1 = -0.5, len(columns) - 0.5
        else:
            x0 = columns.index(self.answered.value) - 0.5
            x1 = x0 + 1
        return [
            {"type": "rect", "x0": x0, "x1": x1, "y0": y - 0.5, "y1": y + 0.5, "line": {"color": VERMILION, "width": 4}}
        ]

    @guarded
    def _show_clip(self, *_) -> None:
        """Replies and probabilities first; frames last, because a clip may not be there."""
        self.frames, self._clip_view.value, self._chances.children, self.chances = [], "", [], None
        if self.clip.value is None:
            return
        said, table = replies(self.run, self.clip.value), probabilities(self.run, self.clip.value)
        truth = self.rows.loc[self.rows["clip"] == self.clip.value, "truth"].iloc[0]
        body = html_line(f"true class: {truth}", size=16, strong=self.clip.value) + _table(said)
        self._clip_view.value = body
        if len(table.columns):
            self.chances = live(chances(table, truth, plots.arm_colours(self.run.arms)))
            self._chances.children = [self.chances]
        if self.root is not None:
            self.frames = self._read_frames()
            pictures = "".join(
                f'<img src="{data_uri(f, side=THUMBNAIL_PX)}" title="{s:.2f} s">' for s, f in self.frames
            )
            self._clip_view.value = f'{body}<div style="display:flex;gap:4px;padding:6px 12px">{pictures}</div>'

    def _read_frames(self) -> list[tuple[float, np.ndarray]]:
        """At most N_SHOWN of the frames that this arm saw."""
        row = self.rows[self.rows["clip"] == self.clip.value].iloc[0]
        video = Video(self.root / self.run.test.set_index("clip").loc[self.clip.value, "video"])
        sample = video.sample(float(row["fps"]))
        at = range(0, len(sample), -(-len(sample) // N_SHOWN))
        return list(zip(sample.timestamps_s[at], video.frames(sample.indices[at]), strict=True))

    @property
    def title(self) -> str:
        self._need(self.run)
        return report_tables.where(self.run, self.run.shown(self.run.arm(self.arm.value)))

    def figure(self) -> plt.Figure:
        self._need(self.run)
        return picture(self.run, self.arm.value, self.clip.value, self.frames)

    def page(self) -> list[go.Figure | str]:
        """The matrix with the chosen cell framed, and the chosen clip's replies, frames and probabilities."""
        self._need(self.run)
        chances = [] if self.chances is None else [go.Figure(self.chances).update_layout(width=None)]
        return [go.Figure(self.chart).update_layout(title="", width=None), self._clip_view.value, *chances]


def _table(said: pd.DataFrame) -> str:
    """Rows of `replies` as an HTML table; replies are text, never markup."""
    head = "".join(f'<th style="text-align:left;padding:3px 12px">{name}</th>' for name in said)
    body = "".join(
        "<tr>" + "".join(f'<td style="padding:3px 12px">{html.escape(_text(x))}</td>' for x in row) + "</tr>"
        for row in said.itertuples(index=False)
    )
    return f'<table style="font-size:14px;margin:4px 0">{head}{body}</table>'


def _text(value) -> str:
    return ("right" if value else "wrong") if isinstance(value, bool | np.bool_) else str(value)
