"""Figures of the attention explorer: from one `State` to plotly figures, and the same state as one static picture.

Nothing is computed here but positions: maps and the timeline come from `attention_maps`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from plotly.subplots import make_subplots

from llamavid_kit.viz.attention_maps import DEFINITION, WARNING, EncodedClip, QuestionAttention, timeline
from llamavid_kit.viz.explorers.shell import FONT, LAYOUT, data_uri, heat_map, heat_scale, on_white
from llamavid_kit.viz.look import BLUE, VERMILION, Style, as_text, house_figure, picture_axes
from llamavid_kit.viz.overlay import PICTURE_PX, attention_grid

SCALE, N_THUMBNAILS = heat_scale(), 16
PANEL_PX = 252  # side of a map on a laptop, where maps, controls and timeline share one screen
SMALL = {"size": 13}
SECONDS = {"text": "seconds from the start of the clip", "font": SMALL, "standoff": 4}
# a click means the frame nearest in time, and is never taken for a small zoom
ANYWHERE = {"clickmode": "event", "hovermode": "x", "hoverdistance": -1, "dragmode": False}
EXTENT = (-0.5, PICTURE_PX - 0.5, PICTURE_PX - 0.5, -0.5)
STYLES = ((BLUE, "solid", "-", "circle", "●"), (VERMILION, "dash", "--", "square", "■"))
ROWS = (  # column of `timeline`, its title, the axis from bottom to top
    ("concentration", "concentration", (0, 1)),
    ("peak_x", "peak from left", (0, 1)),
    ("peak_y", "peak from top", (1, 0)),
)


@dataclass(frozen=True, eq=False)
class State:
    """What is drawn. questions: one or two about `clip`; frame: 0 to T - 1; query: None is the mean."""

    clip: EncodedClip
    questions: tuple[QuestionAttention, ...]
    model: str
    frame: int = 0
    query: int | None = None
    opacity: float = 0.8

    def at(self, frame: int, query: int | None, opacity: float) -> "State":
        """The same clip and questions elsewhere; maps and timelines are shared while the query stays."""
        state = replace(self, frame=frame, query=query, opacity=opacity)
        if query == self.query:
            vars(state).update(maps=self.maps, timelines=self.timelines)  # where cached_property looks
        return state

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """A (T, side, side) a question, in multiples of even attention."""
        return [attention_grid(question.attention, self.query).astype(np.float32) for question in self.questions]

    @cached_property
    def timelines(self) -> list[pd.DataFrame]:
        times = self.clip.timestamps_s
        return [timeline(question.attention, times, self.query) for question in self.questions]

    @property
    def top(self) -> float:
        """Upper end of the one colour scale: the highest value of all frames and questions. Its lower end is 1."""
        return max(1.01, *(float(maps.max()) for maps in self.maps))

    @property
    def scale(self) -> str:
        """What the colour bar is called."""
        return f"attention, from 1 = even to {self.top:.3g}"

    @property
    def query_name(self) -> str:
        n = self.questions[0].attention.shape[1]
        return f"mean over {n} queries" if self.query is None else f"query {self.query + 1} of {n}"

    @property
    def time_s(self) -> float:
        return float(self.clip.timestamps_s[self.frame])

    def heading(self, *, with_frame: bool = True) -> str:
        """Model, clip, rate and query, and the frame that is shown."""
        place = f": frame {self.frame + 1} of {len(self.clip)}, {self.time_s:.2f} s" if with_frame else ""
        return f"{self.model}, {self.clip.name}, {self.clip.fps:g} fps{place}, {self.query_name}"

    @property
    def picture(self) -> np.ndarray:
        """(side, side, 3) uint8: the frame that is shown."""
        return self.clip.pictures[self.frame]

    def panel_title(self, panel: int) -> str:
        return f"“{self.questions[panel].question}”" if panel < len(self.questions) else "the frame that the model saw"

    def short_title(self, panel: int) -> str:
        """`panel_title` for plotly, which reads markup, in one or two short lines; of two questions each with its mark,
        which its line in the timeline has too."""
        mark = f"{STYLES[panel][4]} " if len(self.questions) > 1 else ""
        return "<br>".join(map(as_text, wrap(mark + self.panel_title(panel), 34, max_lines=2, placeholder=" …”")))


def thumbnails(state: State) -> list[int]:
    """Frames of the strip: every k-th, at most N_THUMBNAILS."""
    n = len(state.clip)
    return list(range(0, n, -(-n // N_THUMBNAILS)))


def _panel_traces(state: State) -> list[go.Image | go.Heatmap]:
    traces = []
    for panel in range(2):
        traces.append(go.Image(source=data_uri(state.picture), hoverinfo="skip"))
        maps = state.maps[min(panel, len(state.maps) - 1)]
        step = PICTURE_PX / maps.shape[1]
        grid = {"x0": step / 2 - 0.5, "dx": step, "y0": step / 2 - 0.5, "dy": step}
        style: Style = {"zmin": 1, "zmax": state.top, "colorscale": SCALE, "zsmooth": "best", "showscale": panel == 0}
        bar_title = {"text": state.scale, "side": "right", "font": SMALL}
        style["colorbar"] = {"title": bar_title, "x": 1.0, "xpad": 6, "thickness": 14, "len": 1.08, "tickfont": SMALL}
        if panel < len(state.questions):
            style |= {"opacity": state.opacity, "hovertemplate": "%{z:.2f} × even<extra></extra>", "hoverinfo": "z"}
        else:
            style |= {"opacity": 0.0, "hoverinfo": "skip"}
        traces.append(go.Heatmap(z=maps[state.frame], **grid, **style))
    return traces


def _draw_panels(fig: go.Figure, state: State) -> None:
    """Both squares, in the first row."""
    for i, trace in enumerate(_panel_traces(state)):
        fig.add_trace(trace, row=1, col=1 + i // 2)
    ends, hidden = (-0.5, PICTURE_PX - 0.5), {"visible": False, "constrain": "domain", "row": 1}
    for column, x in ((1, "x"), (2, "x2")):
        fig.update_xaxes(range=ends, col=column, **hidden)
        fig.update_yaxes(range=ends[::-1], col=column, scaleanchor=x, **hidden)


def panels(state: State) -> go.Figure:
    """The frame under the first question's attention; beside it the second question's, or the frame itself."""
    fig = make_subplots(1, 2, subplot_titles=[*map(state.short_title, (0, 1))], horizontal_spacing=0.02)
    _draw_panels(fig, state)
    heading = wrap(state.heading(), 84)
    title = {"text": "<br>".join(map(as_text, heading)), "font": SMALL, "x": 0.005, "y": 1, "pad": {"t": 5}}
    title["yanchor"] = "top"
    lines = len(heading) + max(state.short_title(panel).count("<br>") + 1 for panel in (0, 1))
    margin = {"l": 4, "r": 86, "t": 10 + 18 * lines, "b": 4}
    size = {"width": 2 * PANEL_PX + 10 + 90, "height": PANEL_PX + 14 + 18 * lines}
    fig.update_layout(LAYOUT, title=title, margin=margin, **size)
    _mark_titles(fig, state, 14)
    return fig


def _mark_titles(fig: go.Figure, state: State, size: int) -> None:
    """Of two questions, each title has the colour of its line in the timeline."""
    fig.update_annotations(font={"size": size, "weight": "bold"})
    if len(state.questions) > 1:
        for title, (colour, *_) in zip(fig.layout.annotations, STYLES, strict=False):
            title.font.color = colour


def strip(state: State) -> go.Figure:
    """Thumbnails along time, and below them each frame's concentration and where its peak lies, a line a question."""
    fig = make_subplots(4, 1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.3, 0.3, 0.2, 0.2])
    frames, times = thumbnails(state), state.clip.timestamps_s
    pitch = float(np.diff(times[frames]).min()) if len(frames) > 1 else 1.0  # seconds between the two nearest
    place: Style = {"xanchor": "center", "yanchor": "middle", "xref": "x", "yref": "y", "layer": "below"}
    for i in frames:
        source = data_uri(state.clip.pictures[i], side=96)
        fig.add_layout_image(source=source, x=times[i], y=0.5, sizex=pitch * 0.96, sizey=1, **place)
    click: Style = {"mode": "markers", "showlegend": False, "hovertemplate": "%{x:.2f} s<extra></extra>"}
    click["marker"] = {"size": 48, "symbol": "square", "color": "rgba(0,0,0,0)"}
    fig.add_trace(go.Scatter(x=times[frames], y=[0.5] * len(frames), customdata=frames, **click), row=1, col=1)
    _lines(fig, state)
    fig.add_shape(_mark(state, "x", "paper"))
    fig.update_yaxes(range=[0, 1], visible=False, row=1, col=1)
    ends = [times[0] - 0.6 * pitch, times[-1] + 0.6 * pitch]
    fig.update_xaxes(range=ends, zeroline=False)  # a line at zero would cut the first thumbnail
    fig.update_xaxes(showgrid=False, row=1, col=1)
    fig.update_xaxes(title=SECONDS, tickfont=SMALL, row=4, col=1)
    fig.update_layout(LAYOUT, height=224, margin={"l": 120, "r": 20, "t": 4, "b": 40}, showlegend=False, **ANYWHERE)
    return fig


def _lines(fig: go.Figure, state: State, rows=ROWS) -> None:
    """From the figure's second row on."""
    for row, (column, title, ends) in enumerate(rows, 2):
        for k, table in enumerate(state.timelines):
            colour, dash, _, symbol, _ = STYLES[k]
            style: Style = {"mode": "lines+markers", "hovertemplate": "%{x:.2f} s: %{y:.3f}<extra></extra>"}
            style |= {"line": {"color": colour, "dash": dash, "width": 2.5}, "marker": {"size": 7, "symbol": symbol}}
            style |= {"cliponaxis": False, "customdata": list(range(len(table)))}
            line = go.Scatter(x=table["time_s"], y=table[column], **style)
            fig.add_trace(line, row=row, col=1)
        ticks: Style = {"tickvals": [0, 1], "tickfont": {"size": 11}, "gridcolor": "#dddddd", "zeroline": False}
        fig.update_yaxes(range=ends, **ticks, row=row, col=1)
        fig.add_annotation(
            text=title.replace(" from", "<br>from"),
            font=SMALL,
            align="right",
            showarrow=False,
            **{"x": 0, "xref": "x domain", "xanchor": "right", "xshift": -22},
            **{"y": 0.5, "yref": "y domain", "yanchor": "middle"},
            row=row,
            col=1,
        )


def page(state: State) -> go.Figure:
    """All frames with a slider, for a HTML file that works without a kernel and offline."""
    cells: Style = {"specs": [[{}, {}], [{"colspan": 2}, None]], "row_heights": [0.78, 0.22]}
    titles = [*map(state.short_title, (0, 1)), ""]
    fig = make_subplots(2, 2, vertical_spacing=0.04, horizontal_spacing=0.02, subplot_titles=titles, **cells)
    _draw_panels(fig, state)
    fig.update_traces(colorbar={"len": 0.78, "y": 1, "yanchor": "top"}, selector={"showscale": True})
    _mark_titles(fig, state, 15)
    _lines(fig, state, ROWS[:1])
    states = [state.at(i, state.query, state.opacity) for i in range(len(state.clip))]
    fig.frames = [
        go.Frame(name=str(i), data=_moving(one), traces=[0, 1, 2, 3], layout={"shapes": [_mark(one)]})
        for i, one in enumerate(states)
    ]
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [
        {"label": f"{one.time_s:.2f}", "method": "animate", "args": [[str(i)], still]} for i, one in enumerate(states)
    ]
    now = {"prefix": "second ", "font": FONT, "xanchor": "right"}
    slider = {"active": state.frame, "steps": steps, "y": 0, "pad": {"t": 34}, "currentvalue": now, "font": SMALL}
    margin = {"l": 120, "r": 84, "t": 30 + 18 * max(title.count("<br>") for title in titles), "b": 130}
    fig.update_layout(LAYOUT, height=570, sliders=[slider], showlegend=False, margin=margin, shapes=[_mark(state)])
    fig.update_layout(ANYWHERE)
    fig.update_xaxes(title=SECONDS, tickfont=SMALL, row=2, col=1)
    return fig


def _moving(state: State) -> list[go.Image | go.Heatmap]:
    """Of `_panel_traces`, what another frame changes."""
    source, maps = data_uri(state.picture), (state.maps[0], state.maps[-1])
    return [trace for of in maps for trace in (go.Image(source=source), go.Heatmap(z=of[state.frame]))]


def _mark(state: State, xref: str = "x3", yref: str = "y3") -> Style:
    """The line at the present frame, over the page's timeline or other axes."""
    at = {"x0": state.time_s, "x1": state.time_s, "y0": 0, "y1": 1}
    return {"type": "line", "xref": xref, "yref": yref, "line": {"color": "#222222", "width": 2}, **at}


@house_figure
def picture(state: State, replies: list[str]) -> Figure:
    """The state as one matplotlib picture: panels, thumbnails, concentration and peak, and the model's words."""
    fig = plt.figure(figsize=(11, 10.4))
    above, film, below = fig.subfigures(3, 1, height_ratios=[5.2, 1.25, 4.2])
    axes = above.subplots(1, 2)
    norm = PowerNorm(0.5, 1, state.top)
    for panel, ax in enumerate(axes):
        ax.imshow(state.picture)
        if panel < len(state.questions):
            style: Style = {"cmap": heat_map(), "norm": norm, "alpha": state.opacity, "interpolation": "bilinear"}
            ax.imshow(state.maps[panel][state.frame], extent=EXTENT, **style)
        picture_axes(ax)
        ax.set_title(state.panel_title(panel), fontsize=13)
        ax.set_xlabel(f"reply: {replies[panel] or '(no words)'}" if panel < len(replies) else "", fontsize=13)
    bar = ScalarMappable(norm, on_white(heat_map(), state.opacity))
    above.colorbar(bar, ax=axes, shrink=0.85, label=state.scale)
    above.suptitle(state.heading(), fontsize=12)
    frames = thumbnails(state)
    for ax, i in zip(film.subplots(1, len(frames), squeeze=False)[0], frames, strict=True):
        ax.imshow(state.clip.pictures[i])
        picture_axes(ax, f"{state.clip.timestamps_s[i]:.1f} s", fontsize=11)
    _draw_lines(below, state)
    return fig


def _draw_lines(below: SubFigure, state: State) -> None:
    axes = below.subplots(3, 1, sharex=True, height_ratios=[1.5, 1, 1])
    for ax, (column, title, ends) in zip(axes, ROWS, strict=True):
        for k, table in enumerate(state.timelines):
            colour, _, dash, *_ = STYLES[k]
            style: Style = {"marker": "os"[k], "ms": 4, "lw": 2, "color": colour, "label": state.panel_title(k)}
            ax.plot(table["time_s"], table[column], dash, **style)
        ax.axvline(state.time_s, color="#222222", lw=1.5)
        ax.set_ylim(ends)
        ax.set_ylabel(title.replace(" from", "\nfrom"), fontsize=11)
    if len(state.questions) > 1:
        axes[0].legend(fontsize=11, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes[-1].set_xlabel(f"seconds from the start of the clip\n{DEFINITION}\n{WARNING}", fontsize=10.5)
