"""Figures of the attention explorer: from one `State` to plotly figures, and the same state as one static picture.

Nothing is computed here but positions: maps and the timeline come from `attention_maps`.
"""

import html
from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import PowerNorm
from plotly.subplots import make_subplots

from llamavid_kit.viz.attention_maps import DEFINITION, SHOWN_PX, WARNING, Look, Watched, shown_maps, timeline
from llamavid_kit.viz.explorers.shell import BLUE, FONT, LAYOUT, VERMILION, data_uri, heat_map, heat_scale
from llamavid_kit.viz.look import house_figure

HEAT, N_THUMBNAILS = heat_scale(), 12
EXTENT = (-0.5, SHOWN_PX - 0.5, SHOWN_PX - 0.5, -0.5)
STYLES = ((BLUE, "solid", "-", "circle"), (VERMILION, "dash", "--", "square"))
ROWS = (("concentration", "concentration"), ("peak_x", "peak from left"), ("peak_y", "peak from top"))


@dataclass(frozen=True, eq=False)
class State:
    """What is shown. looks: one or two questions about `watched`; frame: 0 to T - 1; query: None is the mean."""

    watched: Watched
    looks: tuple[Look, ...]
    model: str
    frame: int = 0
    query: int | None = None
    opacity: float = 0.6

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """A (T, side, side) a question, in multiples of even attention."""
        return [shown_maps(look.attention, self.query) for look in self.looks]

    @cached_property
    def timelines(self) -> list[pd.DataFrame]:
        return [timeline(look.attention, self.watched.timestamps_s, self.query) for look in self.looks]

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
        n = self.looks[0].attention.shape[1]
        return f"mean over {n} queries" if self.query is None else f"query {self.query + 1} of {n}"

    @property
    def time_s(self) -> float:
        return float(self.watched.timestamps_s[self.frame])

    @property
    def heading(self) -> str:
        at = f"frame {self.frame + 1} of {len(self.watched)}, {self.time_s:.2f} s"
        return f"{self.model}, {self.watched.name}, {self.watched.fps:g} fps: {at}, {self.query_name}"

    @property
    def setting(self) -> str:
        """As `heading`, without the frame."""
        return f"{self.model}, {self.watched.name}, {self.watched.fps:g} fps, {self.query_name}"

    def picture(self, panel: int) -> np.ndarray:
        """(side, side, 3) uint8: the frame, without colour where heat lies over it."""
        frame = self.watched.pictures[self.frame]
        return np.repeat(frame.mean(-1, keepdims=True).astype(np.uint8), 3, -1) if panel < len(self.looks) else frame

    def panel_title(self, panel: int) -> str:
        return f"“{self.looks[panel].question}”" if panel < len(self.looks) else "the frame that the model saw"

    def short_title(self, panel: int) -> str:
        """`panel_title` for plotly, which reads markup, where there is room for half a line."""
        title = self.panel_title(panel)
        return html.escape(title if len(title) < 60 else title[:57] + "…”", quote=False)


def thumbnails(state: State) -> list[int]:
    """Frames of the strip: every k-th, at most N_THUMBNAILS."""
    n = len(state.watched)
    return list(range(0, n, -(-n // N_THUMBNAILS)))


def _panel_traces(state: State) -> list[go.Image | go.Heatmap]:
    traces = []
    for panel in range(2):
        traces.append(go.Image(source=data_uri(state.picture(panel)), hoverinfo="skip"))
        maps = state.maps[min(panel, len(state.maps) - 1)]
        step, heated = SHOWN_PX / maps.shape[1], panel < len(state.looks)
        traces.append(
            go.Heatmap(
                z=maps[state.frame],
                x0=step / 2 - 0.5,
                dx=step,
                y0=step / 2 - 0.5,
                dy=step,
                zmin=0,
                zmax=state.top,
                colorscale=HEAT,
                zsmooth="best",
                opacity=state.opacity if heated else 0.0,
                showscale=panel == 0,
                hovertemplate="%{z:.2f} × even<extra></extra>" if heated else None,
                hoverinfo="z" if heated else "skip",
                colorbar={"title": {"text": state.scale, "side": "right"}, "x": 1.0, "thickness": 16},
            )
        )
    return traces


def _square(fig: go.Figure) -> None:
    for column in (1, 2):
        fig.update_xaxes(range=[-0.5, SHOWN_PX - 0.5], visible=False, constrain="domain", row=1, col=column)
        fig.update_yaxes(
            range=[SHOWN_PX - 0.5, -0.5],
            visible=False,
            constrain="domain",
            row=1,
            col=column,
            scaleanchor="x" if column == 1 else "x2",
        )


def panels(state: State) -> go.Figure:
    """The frame under the first question's attention; beside it the second question's, or the frame itself."""
    fig = make_subplots(1, 2, subplot_titles=[*map(state.short_title, (0, 1))], horizontal_spacing=0.02)
    for i, trace in enumerate(_panel_traces(state)):
        fig.add_trace(trace, row=1, col=1 + i // 2)
    _square(fig)
    title = {"text": state.heading, "font": {"size": 14}, "x": 0.01, "y": 0.98}
    fig.update_layout(LAYOUT, height=520, margin={"l": 10, "r": 90, "t": 80, "b": 10}, title=title)
    fig.update_annotations(font={"size": 16, "weight": "bold"})
    return fig


def strip(state: State) -> go.Figure:
    """Thumbnails along time, and below them each frame's concentration and where its peak lies, a line a question."""
    fig = make_subplots(4, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.24, 0.32, 0.22, 0.22])
    chosen, times = thumbnails(state), state.watched.timestamps_s
    pitch = _pitch(state)
    for i in chosen:
        fig.add_layout_image(
            source=data_uri(state.watched.pictures[i], side=96),
            x=times[i],
            y=0.5,
            sizex=pitch * 0.96,
            sizey=1,
            xanchor="center",
            yanchor="middle",
            xref="x",
            yref="y",
            layer="below",
        )
    fig.add_trace(
        go.Scatter(
            x=times[chosen],
            y=[0.5] * len(chosen),
            mode="markers",
            customdata=chosen,
            showlegend=False,
            marker={"size": 60, "symbol": "square", "color": "rgba(0,0,0,0)"},
            hovertemplate="%{x:.2f} s<extra></extra>",
        ),
        row=1,
        col=1,
    )
    _lines(fig, state, first_row=2)
    fig.add_shape(
        type="line",
        xref="x",
        yref="paper",
        x0=state.time_s,
        x1=state.time_s,
        y0=0,
        y1=1,
        line={"color": "#222222", "width": 2},
    )
    fig.update_yaxes(range=[0, 1], visible=False, row=1, col=1)
    fig.update_xaxes(range=[times[0] - 0.6 * pitch, times[-1] + 0.6 * pitch])
    fig.update_xaxes(zeroline=False)  # it would cut the first thumbnail
    fig.update_xaxes(showgrid=False, row=1, col=1)
    fig.update_xaxes(title="seconds from the start of the clip", row=4, col=1)
    fig.update_layout(LAYOUT, height=540, margin={"l": 120, "r": 20, "t": 66, "b": 55}, clickmode="event")
    fig.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    return fig


def _pitch(state: State) -> float:
    """Seconds between the two nearest thumbnails."""
    times = state.watched.timestamps_s
    chosen = thumbnails(state)
    return float(np.diff(times[chosen]).min()) if len(chosen) > 1 else 1.0


def _lines(fig: go.Figure, state: State, *, first_row: int, names=ROWS) -> None:
    for row, (column, title) in enumerate(names, first_row):
        for k, table in enumerate(state.timelines):
            colour, dash, _, symbol = STYLES[k]
            fig.add_trace(
                go.Scatter(
                    x=table["time_s"],
                    y=table[column],
                    mode="lines+markers",
                    name=state.panel_title(k),
                    showlegend=row == first_row,
                    legendgroup=str(k),
                    line={"color": colour, "dash": dash, "width": 2.5},
                    cliponaxis=False,
                    marker={"size": 8, "symbol": symbol},
                    hovertemplate="%{x:.2f} s: %{y:.3f}<extra></extra>",
                ),
                row=row,
                col=1,
            )
        top = {"range": [0, 1]} if column == "concentration" else {"range": [1, 0], "tickvals": [0, 0.5, 1]}
        top = top if column != "peak_x" else {"range": [0, 1], "tickvals": [0, 0.5, 1]}
        fig.update_yaxes(
            title={"text": title.replace(" from", "<br>from"), "font": {"size": 13}},
            gridcolor="#dddddd",
            row=row,
            col=1,
            **top,
        )


def page(state: State) -> go.Figure:
    """All frames with a slider, for a HTML file that works without a kernel and offline."""
    fig = make_subplots(
        2,
        2,
        specs=[[{}, {}], [{"colspan": 2}, None]],
        row_heights=[0.68, 0.32],
        vertical_spacing=0.1,
        horizontal_spacing=0.02,
        subplot_titles=[*map(state.short_title, (0, 1)), ""],
    )
    for i, trace in enumerate(_panel_traces(state)):
        fig.add_trace(trace, row=1, col=1 + i // 2)
    _square(fig)
    _lines(fig, state, first_row=2, names=ROWS[:1])
    marks = [at(state, i) for i in range(len(state.watched))]
    line = {"type": "line", "xref": "x3", "yref": "y3", "y0": 0, "y1": 1, "line": {"color": "#222222", "width": 2}}
    fig.frames = [
        go.Frame(
            name=str(i),
            data=_panel_traces(mark),
            traces=[0, 1, 2, 3],
            layout={"shapes": [{**line, "x0": mark.time_s, "x1": mark.time_s}]},
        )
        for i, mark in enumerate(marks)
    ]
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"label": f"{m.time_s:.2f}", "method": "animate", "args": [[str(i)], still]} for i, m in enumerate(marks)]
    slider = {"active": state.frame, "steps": steps, "y": -0.1, "currentvalue": {"prefix": "second ", "font": FONT}}
    fig.update_layout(
        LAYOUT,
        height=840,
        sliders=[slider],
        showlegend=False,
        margin={"l": 90, "r": 90, "t": 50, "b": 160},
        shapes=[{**line, "x0": state.time_s, "x1": state.time_s}],
    )
    fig.update_xaxes(title="seconds from the start of the clip", row=2, col=1)
    return fig


def at(state: State, frame: int) -> State:
    """The same at another frame; maps are shared."""
    moved = State(state.watched, state.looks, state.model, frame, state.query, state.opacity)
    moved.__dict__["maps"] = state.maps
    return moved


@house_figure
def picture(state: State, replies: list[str]) -> plt.Figure:
    """The state as one matplotlib picture: panels, thumbnails, concentration and peak, and the model's words."""
    fig = plt.figure(figsize=(11, 10.6))
    above, film, below = fig.subfigures(3, 1, height_ratios=[5.2, 1.25, 4.2])
    axes = above.subplots(1, 2)
    for panel, ax in enumerate(axes):
        ax.imshow(state.picture(panel))
        if panel < len(state.looks):
            heat = ax.imshow(
                state.maps[panel][state.frame],
                cmap=heat_map(),
                norm=PowerNorm(0.5, 0, state.top),
                alpha=state.opacity,
                interpolation="bilinear",
                extent=EXTENT,
            )
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.set_title(state.panel_title(panel), fontsize=13)
        said = f"reply: {replies[panel] or '(no words)'}" if panel < len(replies) else ""
        ax.set_xlabel(said, fontsize=13)
    above.colorbar(heat, ax=axes, shrink=0.85, label=state.scale)
    above.suptitle(state.heading, fontsize=12)
    chosen = thumbnails(state)
    for ax, i in zip(film.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        ax.imshow(state.watched.pictures[i])
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.set_title(f"{state.watched.timestamps_s[i]:.1f} s", fontsize=11, loc="center", fontweight="normal")
    _draw_lines(below, state)
    return fig


def _draw_lines(below: plt.Figure, state: State) -> None:
    axes = below.subplots(3, 1, sharex=True, height_ratios=[1.5, 1, 1])
    for ax, (column, title) in zip(axes, ROWS, strict=True):
        for k, table in enumerate(state.timelines):
            colour, _, dash, _ = STYLES[k]
            ax.plot(
                table["time_s"],
                table[column],
                dash,
                marker="os"[k],
                ms=4,
                lw=2,
                color=colour,
                label=state.panel_title(k),
            )
        ax.axvline(state.time_s, color="#222222", lw=1.5)
        ax.set_ylim((1, 0) if column == "peak_y" else (0, 1))
        ax.set_ylabel(title.replace(" from", "\nfrom"), fontsize=11)
    if len(state.looks) > 1:
        axes[0].legend(fontsize=11, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes[-1].set_xlabel(f"seconds from the start of the clip\n{DEFINITION}\n{WARNING}", fontsize=10.5)
