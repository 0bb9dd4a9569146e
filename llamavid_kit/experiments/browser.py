"""PredictionBrowser: from a cell of an arm's confusion matrix to its clips, every arm's reply, and the frames.

The explorer carries clicks and selections to the tables and figures of `browser_figures`.
"""

import html
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from llamavid_kit.evaluation.scoring import NO_LABEL
from llamavid_kit.experiments.browser_figures import (
    ALL,
    cell_clips,
    chances,
    matrix,
    picture,
    probabilities,
    replies,
    right_or_wrong,
)
from llamavid_kit.experiments.report.figures import where
from llamavid_kit.experiments.report.single_clips import Frames, frames_seen, receipt
from llamavid_kit.experiments.run import Run
from llamavid_kit.experiments.summary import Summary
from llamavid_kit.viz import plots
from llamavid_kit.viz.explorers.live_figure import Click, LiveFigure, widgets
from llamavid_kit.viz.explorers.sampler import thumbnail
from llamavid_kit.viz.explorers.shell import WIDE, Explorer, guarded, html_line
from llamavid_kit.viz.look import VERMILION

HEADS = {"label": "read as", "right": "right?", "n_frames": "frames seen"}


class PredictionBrowser(Explorer):
    """The confusion matrix of an arm of an ablation; click a cell, or select it, and see its clips.

    Args:
        run_folder: what `ablate` wrote, or what it returned. root: folder of the clips, to show their frames.
    arm, truth, answered, clip: the controls. rows: the chosen cell's clips.
    """

    def __init__(self, run_folder: Run | Summary | Path | str, *, root: Path | str | None = None):
        super().__init__("predictions.png")
        self.root = None if root is None else Path(root)
        self._run: Run | None = None
        self.rows = pd.DataFrame()
        self.frames: Frames = []
        wide = {"style": WIDE, "layout": {"width": "48%"}}
        self.arm = widgets.Dropdown(description="Arm", **wide)
        self.truth = widgets.Dropdown(description="True class", **wide)
        self.answered = widgets.Dropdown(description="Answered", **wide)
        self.clip = widgets.Dropdown(description="Clip", **wide)
        self.chart, self.chances, self._clip_view = LiveFigure(), LiveFigure(), widgets.HTML()
        self.chart.on_click(self._clicked)
        self.view = widgets.VBox(
            [
                self.arm,
                self.chart,
                widgets.HTML(html_line("Click a cell, or choose it here:", size=14)),
                widgets.HBox([self.truth, self.answered]),
                self._message,
                self.clip,
                self._clip_view,
                self.chances,
                self.saving,
            ]
        )
        if self._read(run_folder):
            self.arm.observe(self._draw, "value")
            for control in (self.truth, self.answered):
                control.observe(self._select, "value")
            self.clip.observe(self._show_clip, "value")
            self._draw()

    @guarded
    def _read(self, folder: Run | Summary | Path | str) -> None:
        run = folder if isinstance(folder, Run) else Run(folder)
        if run.open:
            raise ValueError(f"{run.folder} asked an open question: its replies have no classes to confuse")
        self.arm.options = [(f"{run.name_in_tables(arm)}, {arm.answering}", arm.name) for arm in run.arms]
        self.truth.options = run.labels
        self.answered.options = [ALL, *run.labels, NO_LABEL]
        for control in (self.arm, self.truth, self.answered):
            control.index = 0  # a dropdown that begins empty chooses nothing by itself
        self._run = run

    @property
    def run(self) -> Run:
        """The run that is browsed. Raises ValueError, with the reason, where its folder could not be read."""
        return self._need(self._run)

    @guarded
    def _draw(self, *_) -> None:
        self._select()

    def _clicked(self, click: Click) -> None:
        self.truth.value, self.answered.value = (
            html.unescape(str(name)) for name in (click.y, click.x)
        )  # of `as_text`

    @guarded
    def _select(self, *_) -> None:
        self.rows = cell_clips(self.run, self.arm.value, self.truth.value, self.answered.value)
        self.chart.show(matrix(self.run, self.arm.value).update_layout(shapes=self._mark()))
        self.clip.unobserve(self._show_clip, "value")
        self.clip.options = list(self.rows["clip"])
        self.clip.index = 0 if len(self.rows) else None
        self.clip.observe(self._show_clip, "value")
        self._show_clip()
        if not len(self.rows):
            self.say(f"No clip of {self.truth.value} was answered {self.answered.value}.")

    def _mark(self) -> list[dict]:
        """A frame around the chosen cell or row."""
        table = self.run.scores[self.arm.value]
        columns, y = list(table["columns"]), list(table["labels"]).index(self.truth.value)
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
        self.frames, self._clip_view.value = [], ""
        self.chances.show(None)
        if self.clip.value is None:
            return
        answers, table = replies(self.run, self.clip.value), probabilities(self.run, self.clip.value)
        truth = self.rows.loc[self.rows["clip"] == self.clip.value, "truth"].iloc[0]
        body = html_line(f"true class: {truth}", size=16, strong=self.clip.value) + _table(answers)
        body += html_line(receipt(self.run, self.arm.value, self.clip.value)[2])
        self._clip_view.value = body
        if len(table.columns):
            self.chances.show(chances(table, truth, plots.arm_colours(self.run.replies)))
        if self.root is not None:
            self.frames = frames_seen(self.run, self.root, self.arm.value, self.clip.value)
            pictures = "".join(thumbnail(*frame) for frame in self.frames)
            self._clip_view.value = f'{body}<div style="display:flex;gap:4px;padding:6px 12px">{pictures}</div>'
        else:
            self._clip_view.value = body + html_line(
                "To see its frames, name the clips' folder: PredictionBrowser(…, root=…)."
            )

    @property
    def title(self) -> str:
        return where(self.run, self.run.name_in_tables(self.arm.value))

    def figure(self) -> plt.Figure:
        return picture(self.run, self.arm.value, self.clip.value, self.frames)

    def page(self) -> list[go.Figure | str]:
        """The matrix with the chosen cell framed, and the chosen clip's replies, frames and probabilities."""
        self._need(self._run)
        charts = [go.Figure(x.figure).update_layout(width=None) for x in (self.chart, self.chances) if x.figure]
        return [charts[0].update_layout(title="", margin_t=20), self._clip_view.value, *charts[1:]]


def _table(answers: pd.DataFrame) -> str:
    """Rows of `replies` as an HTML table; replies are text, never markup."""
    head = "".join(f'<th style="text-align:left;padding:3px 12px">{HEADS.get(x, x)}</th>' for x in answers)
    body = "".join(
        "<tr>" + "".join(f'<td style="padding:3px 12px">{html.escape(_text(x))}</td>' for x in row) + "</tr>"
        for row in answers.itertuples(index=False)
    )
    return f'<table style="font-size:14px;margin:4px 0">{head}{body}</table>'


def _text(value) -> str:
    return right_or_wrong(bool(value)) if isinstance(value, bool | np.bool_) else str(value)
