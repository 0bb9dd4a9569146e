"""Figures of the attention explorer: from one `State` to plotly figures, and the same state as one static picture.

Nothing is computed here but positions: maps and the timeline come from `attention_maps`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from plotly.subplots import make_subplots

from llamavid_kit.viz.attention_maps import DEFINITION, WARNING, EncodedClip, QuestionAttention, timeline
from llamavid_kit.viz.explorers.shell import FONT, LAYOUT, data_uri, heat_map, heat_scale
from llamavid_kit.viz.look import BLUE, VERMILION, Style, as_text, house_figure, picture_axes
from llamavid_kit.viz.overlay import PICTURE_PX, attention_grid

HEAT, N_THUMBNAILS = heat_scale(), 12
EXTENT = (-0.5, PICTURE_PX - 0.5, PICTURE_PX - 0.5, -0.5)
STYLES = ((BLUE, "solid", "-", "circle"), (VERMILION, "dash", "--", "square"))
ROWS = (  # column of `timeline`, its title, the axis from bottom to top, ticks
    ("concentration", "concentration", (0, 1), None),
    ("peak_x", "peak from left", (0, 1), [0, 0.5, 1]),
    ("peak_y", "peak from top", (1, 0), [0, 0.5, 1]),
)


@dataclass(frozen=True, eq=False)
class State:
    """What is drawn. questions: one or two about `clip`; frame: 0 to T - 1; query: None is the mean."""

    clip: EncodedClip
    questions: tuple[QuestionAttention, ...]
    model: str
    frame: int = 0
    query: int | None = None
    opacity: float = 0.6

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
        """Upper end of the one colour scale: the highest value of all frames and questions."""
        return max(1.0 + 1e-6, *(float(maps.max()) for maps in self.maps))

    @property
    def scale(self) -> str:
        """What the colour bar is called."""
        return f"attention, 1 = even; one scale, 0 to {self.top:.3g}"

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

    def picture(self, panel: int) -> np.ndarray:
        """(side, side, 3) uint8: the frame, without colour where heat lies over it."""
        frame = self.clip.pictures[self.frame]
        if panel >= len(self.questions):
            return frame
        return np.repeat(frame.mean(-1, keepdims=True).astype(np.uint8), 3, -1)

    def panel_title(self, panel: int) -> str:
        return f"“{self.questions[panel].question}”" if panel < len(self.questions) else "the frame that the model saw"

    def short_title(self, panel: int) -> str:
        """`panel_title` for plotly, which reads markup, where there is room for half a line."""
        title = self.panel_title(panel)
        return as_text(title if len(title) < 60 else title[:57] + "…”")


def thumbnails(state: State) -> list[int]:
    """Frames of the strip: every k-th, at most N_THUMBNAILS."""
    n = len(state.clip)
    return list(range(0, n, -(-n // N_THUMBNAILS)))


def _panel_traces(state: State) -> list[go.Image | go.Heatmap]:
    traces = []
    for panel in range(2):
        traces.append(go.Image(source=data_uri(state.picture(panel)), hoverinfo="skip"))
        maps = state.maps[min(panel, len(state.maps) - 1)]
        step = PICTURE_PX / maps.shape[1]
        grid = {"x0": step / 2 - 0.5, "dx": step, "y0": step / 2 - 0.5, "dy": step}
        style: Style = {"zmin": 0, "zmax": state.top, "colorscale": HEAT, "zsmooth": "best", "showscale": panel == 0}
        style["colorbar"] = {"title": {"text": state.scale, "side": "right"}, "x": 1.0, "thickness": 16}
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
    title = {"text": as_text(state.heading()), "font": {"size": 14}, "x": 0.01, "y": 0.98}
    fig.update_layout(LAYOUT, height=520, margin={"l": 10, "r": 90, "t": 80, "b": 10}, title=title)
    fig.update_annotations(font={"size": 16, "weight": "bold"})
    return fig


def strip(state: State) -> go.Figure:
    """Thumbnails along time, and below them each frame's concentration and where its peak lies, a line a question."""
    fig = make_subplots(4, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.24, 0.32, 0.22, 0.22])
    frames, times = thumbnails(state), state.clip.timestamps_s
    pitch = float(np.diff(times[frames]).min()) if len(frames) > 1 else 1.0  # seconds between the two nearest
    place: Style = {"xanchor": "center", "yanchor": "middle", "xref": "x", "yref": "y", "layer": "below"}
    for i in frames:
        source = data_uri(state.clip.pictures[i], side=96)
        fig.add_layout_image(source=source, x=times[i], y=0.5, sizex=pitch * 0.96, sizey=1, **place)
    click: Style = {"mode": "markers", "showlegend": False, "hovertemplate": "%{x:.2f} s<extra></extra>"}
    click["marker"] = {"size": 60, "symbol": "square", "color": "rgba(0,0,0,0)"}
    fig.add_trace(go.Scatter(x=times[frames], y=[0.5] * len(frames), customdata=frames, **click), row=1, col=1)
    _lines(fig, state)
    fig.add_shape(_mark(state, "x", "paper"))
    fig.update_yaxes(range=[0, 1], visible=False, row=1, col=1)
    ends = [times[0] - 0.6 * pitch, times[-1] + 0.6 * pitch]
    fig.update_xaxes(range=ends, zeroline=False)  # a line at zero would cut the first thumbnail
    fig.update_xaxes(showgrid=False, row=1, col=1)
    fig.update_xaxes(title="seconds from the start of the clip", row=4, col=1)
    fig.update_layout(LAYOUT, height=540, margin={"l": 120, "r": 20, "t": 66, "b": 55}, clickmode="event")
    fig.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    return fig


def _lines(fig: go.Figure, state: State, rows=ROWS) -> None:
    """From the figure's second row on."""
    for row, (column, title, ends, ticks) in enumerate(rows, 2):
        for k, table in enumerate(state.timelines):
            colour, dash, _, symbol = STYLES[k]
            style: Style = {"mode": "lines+markers", "name": state.panel_title(k), "legendgroup": str(k)}
            style |= {"line": {"color": colour, "dash": dash, "width": 2.5}, "marker": {"size": 8, "symbol": symbol}}
            style |= {"cliponaxis": False, "hovertemplate": "%{x:.2f} s: %{y:.3f}<extra></extra>"}
            line = go.Scatter(x=table["time_s"], y=table[column], showlegend=row == 2, **style)
            fig.add_trace(line, row=row, col=1)
        name = {"text": title.replace(" from", "<br>from"), "font": {"size": 13}}
        fig.update_yaxes(title=name, gridcolor="#dddddd", range=ends, tickvals=ticks, row=row, col=1)


def page(state: State) -> go.Figure:
    """All frames with a slider, for a HTML file that works without a kernel and offline."""
    cells: Style = {"specs": [[{}, {}], [{"colspan": 2}, None]], "row_heights": [0.68, 0.32]}
    titles = [*map(state.short_title, (0, 1)), ""]
    fig = make_subplots(2, 2, vertical_spacing=0.1, horizontal_spacing=0.02, subplot_titles=titles, **cells)
    _draw_panels(fig, state)
    _lines(fig, state, ROWS[:1])
    states = [state.at(i, state.query, state.opacity) for i in range(len(state.clip))]
    fig.frames = [
        go.Frame(name=str(i), data=_panel_traces(one), traces=[0, 1, 2, 3], layout={"shapes": [_mark(one)]})
        for i, one in enumerate(states)
    ]
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [
        {"label": f"{one.time_s:.2f}", "method": "animate", "args": [[str(i)], still]} for i, one in enumerate(states)
    ]
    slider = {"active": state.frame, "steps": steps, "y": -0.1, "currentvalue": {"prefix": "second ", "font": FONT}}
    margin = {"l": 90, "r": 90, "t": 50, "b": 160}
    fig.update_layout(LAYOUT, height=840, sliders=[slider], showlegend=False, margin=margin, shapes=[_mark(state)])
    fig.update_xaxes(title="seconds from the start of the clip", row=2, col=1)
    return fig


def _mark(state: State, xref: str = "x3", yref: str = "y3") -> Style:
    """The line at the present frame, over the page's timeline or other axes."""
    at = {"x0": state.time_s, "x1": state.time_s, "y0": 0, "y1": 1}
    return {"type": "line", "xref": xref, "yref": yref, "line": {"color": "#222222", "width": 2}, **at}


@house_figure
def picture(state: State, replies: list[str]) -> Figure:
    """The state as one matplotlib picture: panels, thumbnails, concentration and peak, and the model's words."""
    fig = plt.figure(figsize=(11, 10.6))
    above, film, below = fig.subfigures(3, 1, height_ratios=[5.2, 1.25, 4.2])
    axes = above.subplots(1, 2)
    norm = PowerNorm(0.5, 0, state.top)
    for panel, ax in enumerate(axes):
        ax.imshow(state.picture(panel))
        if panel < len(state.questions):
            style: Style = {"cmap": heat_map(), "norm": norm, "alpha": state.opacity, "interpolation": "bilinear"}
            heat = ax.imshow(state.maps[panel][state.frame], extent=EXTENT, **style)
        picture_axes(ax)
        ax.set_title(state.panel_title(panel), fontsize=13)
        ax.set_xlabel(f"reply: {replies[panel] or '(no words)'}" if panel < len(replies) else "", fontsize=13)
    above.colorbar(heat, ax=axes, shrink=0.85, label=state.scale)
    above.suptitle(state.heading(), fontsize=12)
    frames = thumbnails(state)
    for ax, i in zip(film.subplots(1, len(frames), squeeze=False)[0], frames, strict=True):
        ax.imshow(state.clip.pictures[i])
        picture_axes(ax, f"{state.clip.timestamps_s[i]:.1f} s", fontsize=11)
    _draw_lines(below, state)
    return fig


def _draw_lines(below: SubFigure, state: State) -> None:
    axes = below.subplots(3, 1, sharex=True, height_ratios=[1.5, 1, 1])
    for ax, (column, title, ends, _) in zip(axes, ROWS, strict=True):
        for k, table in enumerate(state.timelines):
            colour, _, dash, _ = STYLES[k]
            style: Style = {"marker": "os"[k], "ms": 4, "lw": 2, "color": colour, "label": state.panel_title(k)}
            ax.plot(table["time_s"], table[column], dash, **style)
        ax.axvline(state.time_s, color="#222222", lw=1.5)
        ax.set_ylim(ends)
        ax.set_ylabel(title.replace(" from", "\nfrom"), fontsize=11)
    if len(state.questions) > 1:
        axes[0].legend(fontsize=11, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes[-1].set_xlabel(f"seconds from the start of the clip\n{DEFINITION}\n{WARNING}", fontsize=10.5)
