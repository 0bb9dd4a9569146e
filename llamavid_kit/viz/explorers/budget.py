"""TokenBudget: duration × rate × tokens a frame → context and memory. All numbers are `planner.plan`'s."""

from collections.abc import Iterator

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
    "prompt and answer": GREEN,
    "weights": GREY,
    "left": "#dddddd",
    "too much": VERMILION,
}  # the frames' are blue


def parts(budget: Plan, *, gpu_gib: float) -> pd.DataFrame:
    """bar, part, amount: the context in tokens, the GPU in GiB; "left" fits besides, "too much" does not."""
    left = budget.context - budget.total_tokens
    memory = [budget.weight_bytes / GIB, budget.kv_cache_bytes / GIB]
    free = gpu_gib - sum(memory)
    rows = [
        ("context", "frames", budget.visual_tokens),
        ("context", "prompt and answer", budget.total_tokens - budget.visual_tokens),
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


def _pieces(budget: Plan, gpu_gib: float) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """For each bar its axis title, the limit drawn as a line, and `parts` side by side, with columns start and label.

    What is too much is marked at the end of the bar.
    """
    table = parts(budget, gpu_gib=gpu_gib)
    context = ("context", "tokens", budget.context, "{:,.0f} tokens")
    gpu = ("GPU", "GiB (activations are not counted)", gpu_gib, "{:,.3g} GiB")
    for bar, unit, limit, number in (context, gpu):
        pieces = table[table["bar"] == bar]
        ends = pieces["amount"].where(pieces["part"] != "too much", 0).cumsum()
        labels = pieces["part"] + ": " + pieces["amount"].map(number.format)
        yield unit, limit, pieces.assign(start=ends - pieces["amount"], label=labels)


def bars(budget: Plan, *, gpu_gib: float, title: str) -> go.Figure:
    """Two bars: the context in tokens and the GPU in GiB; a line marks the limit."""
    fig = make_subplots(2, 1, vertical_spacing=0.32)
    for row, (unit, limit, pieces) in enumerate(_pieces(budget, gpu_gib), 1):
        for piece in pieces.itertuples():
            style: Style = {"name": piece.label, "hovertemplate": f"{piece.label}<extra></extra>", "orientation": "h"}
            style |= {"marker_color": COLOURS.get(piece.part, BLUE), "legend": "legend" if row == 1 else "legend2"}
            style["marker_pattern_shape"] = "/" if piece.part == "too much" else ""
            fig.add_trace(go.Bar(x=[piece.amount], base=[piece.start], y=[piece.bar], **style), row=row, col=1)
        fig.add_vline(x=limit, line={"color": "#222222", "width": 3}, row=row, col=1)
        fig.update_xaxes(title=unit, rangemode="tozero", gridcolor="#dddddd", row=row, col=1)
    upper, lower = ({"y": y, "yanchor": "top"} for y in (1.0, 0.36))
    fig.update_layout(LAYOUT, barmode="overlay", height=350, title=title, legend=upper, legend2=lower)
    return fig


@house_figure
def picture(budget: Plan, *, gpu_gib: float, title: str) -> Figure:
    """As `bars`, with the verdict below."""
    fig, axes = plt.subplots(2, 1, figsize=(11, 4.6))
    for ax, (unit, limit, pieces) in zip(axes, _pieces(budget, gpu_gib), strict=True):
        for piece in pieces.itertuples():
            look = {"color": COLOURS.get(piece.part, BLUE), "hatch": "//" if piece.part == "too much" else None}
            ax.barh([piece.bar], [piece.amount], left=[piece.start], label=piece.label, **look)
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
        self._models = PRESETS if config is None else {OWN: lambda: config, **PRESETS}
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
