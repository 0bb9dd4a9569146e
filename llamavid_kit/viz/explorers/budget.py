"""TokenBudget: duration × rate × tokens a frame → context and memory. All numbers are `planner.plan`'s."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.planner import BYTES, Plan, plan
from llamavid_kit.viz.explorers.live_figure import LiveFigure, widgets
from llamavid_kit.viz.explorers.shell import LAYOUT, WIDE, Explorer, guarded, html_line
from llamavid_kit.viz.look import BLUE, GREEN, GREY, VERMILION, Style, house_figure

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


def parts(budget: Plan, *, gpu_gib: float) -> pd.DataFrame:
    """bar, part, amount: the context in tokens, the GPU in GiB; "left" fits besides, "too much" does not."""
    prompt = budget.total_tokens - budget.visual_tokens
    left = budget.context - budget.total_tokens
    memory = [budget.weight_bytes / GIB, budget.kv_cache_bytes / GIB]
    free = gpu_gib - sum(memory)
    rows = [
        ("context", "frames", budget.visual_tokens),
        ("context", "prompt and answer", prompt),
        ("context", "left" if left >= 0 else "too much", abs(left)),
        ("GPU", "weights", memory[0]),
        ("GPU", "key-value cache", memory[1]),
        ("GPU", "left" if free >= 0 else "too much", abs(free)),
    ]
    return pd.DataFrame(rows, columns=["bar", "part", "amount"])


def verdict(budget: Plan, *, gpu_gib: float) -> str:
    """One sentence a question: does it fit the context, does it fit the GPU; activations are not counted."""
    free = gpu_gib - (budget.weight_bytes + budget.kv_cache_bytes) / GIB
    left, over = f"{free:.1f} GiB of {gpu_gib:g} left for activations", f"{-free:.1f} GiB more than the GPU has"
    return f"{budget}; {left if free > 0 else over}."


def _spans(table: pd.DataFrame, bar: str) -> list[tuple[str, float, float]]:
    """part, start, length of the bar's pieces, side by side; what is too much is marked at the end of the bar."""
    spans, at = [], 0.0
    for row in table[table["bar"] == bar].itertuples():
        start = at - row.amount if row.part == "too much" else at
        spans.append((row.part, start, row.amount))
        at += row.amount
    return spans


def _captions(budget: Plan, gpu_gib: float) -> dict[str, tuple[str, float]]:
    """bar → its axis title and the limit drawn as a line."""
    return {"context": ("tokens", budget.context), "GPU": ("GiB (activations are not counted)", gpu_gib)}


def _label(bar: str, part: str, amount: float) -> str:
    return f"{part}: {amount:,.0f} tokens" if bar == "context" else f"{part}: {amount:,.3g} GiB"


def bars(budget: Plan, *, gpu_gib: float, title: str) -> go.Figure:
    """Two bars: the context in tokens and the GPU in GiB; a line marks the limit."""
    table = parts(budget, gpu_gib=gpu_gib)
    fig = make_subplots(2, 1, vertical_spacing=0.38)
    for row, (bar, (unit, limit)) in enumerate(_captions(budget, gpu_gib).items(), 1):
        for part, start, length in _spans(table, bar):
            label = _label(bar, part, length)
            style: Style = {"name": label, "hovertemplate": f"{label}<extra></extra>", "marker_color": COLOURS[part]}
            style |= {"orientation": "h", "legend": "legend" if row == 1 else "legend2"}
            style["marker_pattern_shape"] = "/" if part == "too much" else ""
            fig.add_trace(go.Bar(x=[length], base=[start], y=[bar], **style), row=row, col=1)
        fig.add_vline(x=limit, line={"color": "#222222", "width": 3}, row=row, col=1)
        fig.update_xaxes(title=unit, rangemode="tozero", gridcolor="#dddddd", row=row, col=1)
    upper, lower = ({"y": y, "yanchor": "top"} for y in (1.0, 0.32))
    fig.update_layout(LAYOUT, barmode="overlay", height=400, title=title, legend=upper, legend2=lower)
    return fig


@house_figure
def picture(budget: Plan, *, gpu_gib: float, title: str) -> Figure:
    """As `bars`, with the verdict below."""
    table = parts(budget, gpu_gib=gpu_gib)
    fig, axes = plt.subplots(2, 1, figsize=(11, 4.6))
    for ax, (bar, (unit, limit)) in zip(axes, _captions(budget, gpu_gib).items(), strict=True):
        for part, start, length in _spans(table, bar):
            hatch = "//" if part == "too much" else None
            label = _label(bar, part, length)
            ax.barh([bar], [length], left=[start], color=COLOURS[part], hatch=hatch, label=label)
        ax.axvline(limit, color="#222222", lw=3)
        ax.set_xlabel(unit)
        ax.grid(axis="y", visible=False)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=11)
    axes[0].set_title(title)
    fig.supxlabel(verdict(budget, gpu_gib=gpu_gib).replace("; key", ";\nkey"), fontsize=11)
    return fig


class TokenBudget(Explorer):
    """What a clip of some length costs at some rate: tokens, context left, key-value cache and weights on a GPU.

    config: your model's; None offers the published presets only. model, duration_s, fps, content, dtype, gpu_gib: the
    controls; plan: the `Plan` that is shown, None where a setting was refused.
    """

    def __init__(self, config: LlamaVidConfig | None = None, *, duration_s: float = 120.0, fps: float = 1.0):
        super().__init__("budget.png")
        self._models: dict[str, Callable[[], LlamaVidConfig]] = dict(PRESETS)
        if config is not None:
            self._models = {OWN: lambda: config, **PRESETS}
        self.model = widgets.Dropdown(options=list(self._models), description="Model", style=WIDE)
        seconds = {"min": 0.1, "max": 10**6, "step": 10, "description": "Seconds", "style": WIDE}
        self.duration_s = widgets.BoundedFloatText(duration_s, **seconds)
        rate = {"min": 0.1, "max": 10, "step": 0.1, "description": "Frames a second", "style": WIDE}
        self.fps = widgets.FloatSlider(fps, layout={"width": "60%"}, **rate)
        self.content = widgets.Dropdown(options=CONTENTS, description="Content tokens", style=WIDE)
        self.dtype = widgets.Dropdown(options=list(BYTES), value="bfloat16", description="Numbers", style=WIDE)
        self.gpu_gib = widgets.Dropdown(options=GPUS_GIB, value=24, description="GPU (GiB)", style=WIDE)
        self.plan: Plan | None = None
        self.chart, self._verdict = LiveFigure(), widgets.HTML()
        menus = [widgets.HBox([self.model, self.content]), widgets.HBox([self.gpu_gib, self.dtype])]
        below = [self._message, self._verdict, self.chart, self.saving]
        self.view = widgets.VBox([*menus, self.duration_s, self.fps, *below])
        for control in (self.model, self.duration_s, self.fps, self.content, self.dtype, self.gpu_gib):
            control.observe(self._draw, "value")
        self._draw()

    @property
    def title(self) -> str:
        clip = f"{self.duration_s.value:g} s at {self.fps.value:g} fps"
        return f"{self.model.value}: {clip}, content {self.content.value}"

    @guarded
    def _draw(self, *_) -> None:
        self.plan = None
        config = self._models[self.model.value]()
        clip = {"duration_s": self.duration_s.value, "fps": round(self.fps.value, 2)}
        self.plan = budget = plan(config, **clip, content=self.content.value, dtype=self.dtype.value)
        if not budget.fits:
            way_out = "fewer frames a second, a shorter clip, or fewer content tokens"
            self.say(f"This does not fit the model's context: {way_out}.", problem=True)
        self._verdict.value = html_line(verdict(budget, gpu_gib=self.gpu_gib.value))
        self.chart.show(bars(budget, gpu_gib=self.gpu_gib.value, title=self.title))

    def figure(self) -> Figure:
        return picture(self._need(self.plan), gpu_gib=self.gpu_gib.value, title=self.title)

    def page(self) -> list[go.Figure | str]:
        """The verdict and the bars."""
        return [self._verdict.value, bars(self._need(self.plan), gpu_gib=self.gpu_gib.value, title="")]
