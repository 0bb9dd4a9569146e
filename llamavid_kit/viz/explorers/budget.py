"""TokenBudget: duration × rate × tokens a frame → context and memory. All numbers are `planner.plan`'s."""

import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.planner import BYTES, Plan, plan
from llamavid_kit.viz.explorers.shell import (
    BLUE,
    GREEN,
    GREY,
    LAYOUT,
    VERMILION,
    WIDE,
    Explorer,
    LiveFigure,
    guarded,
    html_line,
    widgets,
)
from llamavid_kit.viz.look import house_figure

GIB = 2**30
PRESETS = {
    "LLaMA-VID 7B, 224 px": LlamaVidConfig.llama_vid_7b_224,
    "LLaMA-VID 7B, 336 px": LlamaVidConfig.llama_vid_7b_336,
    "LLaMA-VID 7B, long video": LlamaVidConfig.llama_vid_7b_224_long_video,
    "LLaMA-VID 13B, 224 px": LlamaVidConfig.llama_vid_13b_224,
    "LLaMA-VID 13B, 336 px": LlamaVidConfig.llama_vid_13b_336,
}
OWN = "this model"
GPUS_GIB = (8, 12, 16, 24, 40, 48, 80, 141)
CONTENTS = ("mean", "grid:2", "grid:4", "grid:8", "all")
COLOURS = {
    "frames": BLUE,
    "prompt and answer": GREEN,
    "left": "#dddddd",
    "too much": VERMILION,
    "weights": GREY,
    "key-value cache": BLUE,
}


def parts(needed: Plan, *, gpu_gib: float) -> pd.DataFrame:
    """bar, part, amount: the context in tokens, the GPU in GiB; "left" fits besides, "too much" does not."""
    prompt = needed.total_tokens - needed.visual_tokens
    left = needed.context - needed.total_tokens
    memory = [needed.weight_bytes / GIB, needed.kv_cache_bytes / GIB]
    free = gpu_gib - sum(memory)
    rows = [
        ("context", "frames", needed.visual_tokens),
        ("context", "prompt and answer", prompt),
        ("context", "left" if left >= 0 else "too much", abs(left)),
        ("GPU", "weights", memory[0]),
        ("GPU", "key-value cache", memory[1]),
        ("GPU", "left" if free >= 0 else "too much", abs(free)),
    ]
    return pd.DataFrame(rows, columns=["bar", "part", "amount"])


def verdict(needed: Plan, *, gpu_gib: float) -> str:
    """One sentence a question: does it fit the context, does it fit the GPU; activations are not counted."""
    free = gpu_gib - (needed.weight_bytes + needed.kv_cache_bytes) / GIB
    memory = (
        f"{free:.1f} GiB of {gpu_gib:g} left for activations" if free > 0 else f"{-free:.1f} GiB more than the GPU has"
    )
    return f"{needed}; {memory}."


def _spans(table: pd.DataFrame, bar: str) -> list[tuple[str, float, float]]:
    """part, start, length of the bar's pieces, side by side; what is too much is marked at the end of the bar."""
    spans, at = [], 0.0
    for row in table[table["bar"] == bar].itertuples():
        start = at - row.amount if row.part == "too much" else at
        spans.append((row.part, start, row.amount))
        at += row.amount
    return spans


def _captions(needed: Plan, gpu_gib: float) -> dict[str, tuple[str, float]]:
    """bar → its axis title and the limit drawn as a line."""
    return {"context": ("tokens", needed.context), "GPU": ("GiB (activations are not counted)", gpu_gib)}


def _named(bar: str, part: str, amount: float) -> str:
    return f"{part}: {amount:,.0f} tokens" if bar == "context" else f"{part}: {amount:,.3g} GiB"


def bars(needed: Plan, *, gpu_gib: float, title: str) -> go.Figure:
    """Two bars: the context in tokens and the GPU in GiB; a line marks the limit."""
    table = parts(needed, gpu_gib=gpu_gib)
    fig = make_subplots(2, 1, vertical_spacing=0.38)
    for row, (bar, (unit, limit)) in enumerate(_captions(needed, gpu_gib).items(), 1):
        for part, start, length in _spans(table, bar):
            fig.add_trace(
                go.Bar(
                    x=[length],
                    base=[start],
                    y=[bar],
                    orientation="h",
                    name=_named(bar, part, length),
                    marker_color=COLOURS[part],
                    marker_pattern_shape="/" if part == "too much" else "",
                    legend="legend" if row == 1 else "legend2",
                    hovertemplate=_named(bar, part, length) + "<extra></extra>",
                ),
                row=row,
                col=1,
            )
        fig.add_vline(x=limit, line={"color": "#222222", "width": 3}, row=row, col=1)
        fig.update_xaxes(title=unit, rangemode="tozero", gridcolor="#dddddd", row=row, col=1)
    upper, lower = ({"y": y, "yanchor": "top"} for y in (1.0, 0.32))
    fig.update_layout(LAYOUT, barmode="overlay", height=400, title=title, legend=upper, legend2=lower)
    return fig


@house_figure
def picture(needed: Plan, *, gpu_gib: float, title: str) -> plt.Figure:
    """As `bars`, with the verdict below."""
    table = parts(needed, gpu_gib=gpu_gib)
    fig, axes = plt.subplots(2, 1, figsize=(11, 4.6))
    for ax, (bar, (unit, limit)) in zip(axes, _captions(needed, gpu_gib).items(), strict=True):
        for part, start, length in _spans(table, bar):
            hatch = "//" if part == "too much" else None
            label = _named(bar, part, length)
            ax.barh([bar], [length], left=[start], color=COLOURS[part], hatch=hatch, label=label)
        ax.axvline(limit, color="#222222", lw=3)
        ax.set_xlabel(unit)
        ax.grid(axis="y", visible=False)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=11)
    axes[0].set_title(title)
    fig.supxlabel(verdict(needed, gpu_gib=gpu_gib).replace("; key", ";\nkey"), fontsize=11)
    return fig


class TokenBudget(Explorer):
    """What a clip of some length costs at some rate: tokens, context left, key-value cache and weights on a GPU.

    config: your model's; None offers the published presets only. model, duration_s, fps, content, dtype, gpu_gib: the
    controls; plan: the `Plan` that is shown, None where a setting was refused.
    """

    def __init__(self, config: LlamaVidConfig | None = None, *, duration_s: float = 120.0, fps: float = 1.0):
        super().__init__("budget.png")
        self._own = config
        names = [*([OWN] if config is not None else []), *PRESETS]
        self.model = widgets.Dropdown(options=names, description="Model", style=WIDE)
        self.duration_s = widgets.BoundedFloatText(
            duration_s, min=0.1, max=10**6, step=10, description="Seconds", style=WIDE
        )
        self.fps = widgets.FloatSlider(
            fps, min=0.1, max=10, step=0.1, description="Frames a second", style=WIDE, layout={"width": "60%"}
        )
        self.content = widgets.Dropdown(options=CONTENTS, description="Content tokens", style=WIDE)
        self.dtype = widgets.Dropdown(options=list(BYTES), value="bfloat16", description="Numbers", style=WIDE)
        self.gpu_gib = widgets.Dropdown(options=GPUS_GIB, value=24, description="GPU (GiB)", style=WIDE)
        self.plan: Plan | None = None
        self.chart, self._verdict = LiveFigure(), widgets.HTML()
        self.view = widgets.VBox(
            [
                widgets.HBox([self.model, self.content]),
                widgets.HBox([self.gpu_gib, self.dtype]),
                self.duration_s,
                self.fps,
                self._message,
                self._verdict,
                self.chart,
                self.saving,
            ]
        )
        for control in (self.model, self.duration_s, self.fps, self.content, self.dtype, self.gpu_gib):
            control.observe(self._draw, "value")
        self._draw()

    @property
    def title(self) -> str:
        return (
            f"{self.model.value}: {self.duration_s.value:g} s at {self.fps.value:g} fps, content {self.content.value}"
        )

    @guarded
    def _draw(self, *_) -> None:
        self.plan = None
        config = self._own if self.model.value == OWN else PRESETS[self.model.value]()
        self.plan = plan(
            config,
            duration_s=self.duration_s.value,
            fps=round(self.fps.value, 2),
            content=self.content.value,
            dtype=self.dtype.value,
        )
        if not self.plan.fits:
            self.say(
                "This does not fit the model's context: fewer frames a second, a shorter clip, or fewer content "
                "tokens.",
                problem=True,
            )
        self._verdict.value = html_line(verdict(self.plan, gpu_gib=self.gpu_gib.value))
        self.chart.show(bars(self.plan, gpu_gib=self.gpu_gib.value, title=self.title))

    def figure(self) -> plt.Figure:
        self._need(self.plan)
        return picture(self.plan, gpu_gib=self.gpu_gib.value, title=self.title)

    def page(self) -> list[go.Figure | str]:
        """The verdict and the bars."""
        self._need(self.plan)
        return [self._verdict.value, bars(self.plan, gpu_gib=self.gpu_gib.value, title="")]
