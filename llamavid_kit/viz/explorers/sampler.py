"""FrameSampler: which frames of a clip a rate or a budget of frames picks, against when the event happens.

`picks` is the table (nothing is decoded for it), `rows` and `picture` draw it; the explorer adds sliders and frames.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure, SubFigure

from llamavid_kit.data.sampling import EPSILON_S, check_fps
from llamavid_kit.data.video import Video
from llamavid_kit.viz.explorers.live_figure import LiveFigure, widgets
from llamavid_kit.viz.explorers.shell import LAYOUT, WIDE, Explorer, data_uri, guarded, html_line
from llamavid_kit.viz.look import BLUE, GREY, VERMILION, Style, as_text, house_figure, picture_axes

Events = Sequence[tuple[float, float]]
NOTE = html_line("A frame in the event is a filled diamond. Whether the model notices it is another question.")
RATES, N_THUMBNAILS, THUMBNAIL_PX = (1.0, 2.0, 6.0), 14, 96
Thumbnail = tuple[float, bool, np.ndarray]  # time in s, whether inside the event, frame (H, W, 3) uint8


def picks(video: Video, events: Events, *, fps: Sequence[float] = RATES, budget: int | None = None) -> pd.DataFrame:
    """A row a rule: rule, fps, n_frames, inside (frames within an event), times_s, indices, is_inside (lists).

    events: (start_s, end_s) in seconds, half open. A budget of n frames is the rate n / duration. A frame counts as
    inside by the time at which it appears, EPSILON_S for what containers round.
    """
    for start_s, end_s in events:
        if not 0 <= start_s < end_s:
            raise ValueError(f"event ({start_s:g}, {end_s:g}): expected 0 <= start_s < end_s, in seconds")
    if budget is not None and budget < 1:
        raise ValueError(f"a budget of {budget} frames shows nothing; take at least one")
    rules = [(f"{rate:g} fps", check_fps(rate)) for rate in fps]
    rules += [(f"budget of {budget}", budget / video.duration_s)] if budget else []
    starts, ends = np.reshape(events, (-1, 2)).T - EPSILON_S
    rows = []
    for rule, rate in rules:
        sample = video.sample(rate)
        times = sample.timestamps_s
        inside = ((times[:, None] >= starts) & (times[:, None] < ends)).any(1)
        row = {"rule": rule, "fps": rate, "n_frames": len(times), "inside": int(inside.sum())}
        lists = {"times_s": times.tolist(), "indices": sample.indices.tolist(), "is_inside": inside.tolist()}
        rows.append(row | lists)
    return pd.DataFrame(rows)


def sentence(row: pd.Series, events: Events) -> str:
    """ "6 fps: 48 frames, 8 of them in the event"."""
    within = f", {row['inside']} of them in the event" if len(events) else ""
    missed = " — it is missed" if len(events) and not row["inside"] else ""
    return f"{row['rule']}: {row['n_frames']} frames{within}{missed}"


def rows(table: pd.DataFrame, events: Events, *, duration_s: float, title: str) -> go.Figure:
    """A line of frames for each rule, filled where they lie in an event; events are shaded."""
    fig = go.Figure()
    for y, row in table.iterrows():
        inside = np.array(row["is_inside"], bool)
        fill, edge = (np.where(inside, VERMILION, other).tolist() for other in ("white", BLUE))
        symbol = np.where(inside, "diamond", "circle").tolist()
        style: Style = {"mode": "markers", "showlegend": False}
        style["marker"] = {"size": 13, "color": fill, "symbol": symbol, "line": {"color": edge, "width": 2}}
        style["hovertemplate"] = f"{row['rule']}: %{{x:.2f}} s<extra></extra>"
        fig.add_trace(go.Scatter(x=row["times_s"], y=[y] * len(inside), **style))
    for start_s, end_s in events:
        fig.add_vrect(x0=start_s, x1=end_s, fillcolor=VERMILION, opacity=0.15, line_width=0)
    labels = [sentence(row, events).replace(": ", "<br>", 1) for _, row in table.iterrows()]
    names: Style = {"tickvals": list(range(len(table))), "ticktext": labels, "ticklabelstandoff": 6}
    fig.update_yaxes(range=[len(table) - 0.5, -0.5], showgrid=False, **names)
    ends = [-0.02 * duration_s, 1.02 * duration_s]
    fig.update_xaxes(range=ends, title="seconds from the start of the clip", gridcolor="#dddddd")
    fig.update_layout(
        LAYOUT, title=as_text(title), height=110 + 62 * len(table), margin={"l": 270, "r": 20, "t": 46, "b": 50}
    )
    return fig


@house_figure
def picture(
    table: pd.DataFrame, events: Events, *, duration_s: float, title: str, thumbnails: Sequence[Thumbnail] = ()
) -> Figure:
    """As `rows`, with thumbnails below."""
    fig = plt.figure(figsize=(11, 1.6 + 0.75 * len(table) + (1.6 if thumbnails else 0)))
    above: Figure | SubFigure = fig
    if thumbnails:
        above, below = fig.subfigures(2, 1, height_ratios=[1 + 0.75 * len(table), 1.6])
        axes = below.subplots(1, len(thumbnails), squeeze=False)[0]
        for small, (time_s, within, frame) in zip(axes, thumbnails, strict=True):
            small.imshow(frame)
            picture_axes(small, f"{time_s:.2f} s", fontsize=11)
            small.title.set(color=VERMILION if within else GREY, fontweight="bold")
    ax = above.subplots()
    for y, (_, row) in enumerate(table.iterrows()):
        times, inside = np.array(row["times_s"]), np.array(row["is_inside"], bool)
        ax.plot(times[~inside], [y] * (~inside).sum(), "o", ms=9, mfc="white", mec=BLUE, mew=2)
        ax.plot(times[inside], [y] * inside.sum(), "D", ms=9, color=VERMILION)
    for start_s, end_s in events:
        ax.axvspan(start_s, end_s, color=VERMILION, alpha=0.15, lw=0)
    labels = [sentence(row, events).replace(": ", "\n", 1) for _, row in table.iterrows()]
    ax.set_yticks(range(len(table)), labels)
    ax.set(ylim=(len(table) - 0.5, -0.5), xlim=(-0.02 * duration_s, 1.02 * duration_s))
    ax.set(title=title, xlabel="seconds from the start of the clip")
    ax.grid(axis="y", visible=False)
    return fig


def thumbnail(time_s: float, inside: bool, frame: np.ndarray) -> str:
    """A frame with its time as HTML, under a bar where it lies in the event."""
    edge = VERMILION if inside else "#ffffff"
    return (
        f'<div style="text-align:center;font-size:13px;border-top:5px solid {edge}">'
        f'<img src="{data_uri(frame, side=THUMBNAIL_PX)}" style="width:70px"><br>{time_s:.2f} s</div>'
    )


class FrameSampler(Explorer):
    """Which frames 1, 2 and 6 fps or a budget of n frames pick from a clip, against the event's interval.

    Args:
        events: (start_s, end_s) of the event, true or annotated, in seconds from the clip's start; the first is taken
            to the millisecond, which is all that the timestamps of frames are compared to.
    budget, rule, start_s, end_s: the controls; table: what `picks` gave, None where a setting was refused; chart: the
    figure. start_s and end_s change the first event; equal values mean that there is none.
    """

    def __init__(
        self, video: Video | Path | str, events: Events = (), *, fps: Sequence[float] = RATES, budget: int = 8
    ):
        super().__init__("frames.png")
        self._source, self._rates, self._more = video, tuple(fps), [tuple(e) for e in events[1:]]
        self.video: Video | None = None
        self.table: pd.DataFrame | None = None
        first = [round(float(at), 3) for at in events[0]] if len(events) else (0.0, 0.0)
        self.budget = widgets.IntSlider(budget, 1, 64, description="Budget", style=WIDE, layout={"width": "40%"})
        narrow = {"step": 0.1, "style": WIDE, "layout": {"width": "230px"}}
        self.start_s = widgets.FloatText(first[0], description="Event from (s)", **narrow)
        self.end_s = widgets.FloatText(first[1], description="to (s)", **narrow)
        names = [f"{rate:g} fps" for rate in fps]
        self.rule = widgets.Dropdown(options=[*names, "budget"], description="Frames of", style=WIDE)
        self.chart, self._thumbnails = LiveFigure(), widgets.HTML()
        above = [widgets.HBox([self.budget, self.start_s, self.end_s]), self._message, self.chart, widgets.HTML(NOTE)]
        self.view = widgets.VBox([*above, self.rule, self._thumbnails, self.saving])
        for control in (self.budget, self.start_s, self.end_s, self.rule):
            control.observe(self._draw, "value")
        self._draw()

    @property
    def events(self) -> list[tuple[float, float]]:
        first = (self.start_s.value, self.end_s.value)
        return [*([first] if first[0] != first[1] else []), *self._more]

    @property
    def title(self) -> str:
        video = self._need(self.video)
        return f"Frames of {video.path.name} ({video.duration_s:.1f} s, {video.fps:g} fps)"

    @guarded
    def _draw(self, *_) -> None:
        self.table = None
        if self.video is None:
            self.video = self._source if isinstance(self._source, Video) else Video(self._source)
        self.table = picks(self.video, self.events, fps=self._rates, budget=self.budget.value)
        self.chart.show(rows(self.table, self.events, duration_s=self.video.duration_s, title=self.title))
        pictures = "".join(thumbnail(*frame) for frame in self._thumbnail_frames())
        self._thumbnails.value = f'<div style="display:flex;gap:4px;padding:6px 12px">{pictures}</div>'

    def _thumbnail_frames(self) -> list[Thumbnail]:
        """At most N_THUMBNAILS frames of the chosen rule, evenly chosen."""
        row = self._need(self.table).iloc[self.rule.index]
        at = range(0, row["n_frames"], -(-row["n_frames"] // N_THUMBNAILS))
        frames = self._need(self.video).frames([row["indices"][i] for i in at])
        return [(row["times_s"][i], row["is_inside"][i], frame) for i, frame in zip(at, frames, strict=True)]

    def figure(self) -> Figure:
        table, duration_s = self._need(self.table), self._need(self.video).duration_s
        thumbnails = self._thumbnail_frames()
        return picture(table, self.events, duration_s=duration_s, title=self.title, thumbnails=thumbnails)

    def page(self) -> list[go.Figure | str]:
        """The rules' frames, and the thumbnails of the chosen rule."""
        table, duration_s = self._need(self.table), self._need(self.video).duration_s
        rule = html_line("", strong=f"Frames of {table.iloc[self.rule.index]['rule']}:")
        chart = rows(table, self.events, duration_s=duration_s, title="").update_layout(margin_t=20)
        return [chart, NOTE, rule, self._thumbnails.value]
