"""What the course's notebooks share: how a kept page looks, and pictures of frames, matrices, curves and tokens.

Input: frames, matrices and numbers that a notebook has computed. Output: figures in the look of `look`. Nothing of the
model is here; a notebook builds its part itself and only draws with these.
"""

import io
import warnings
from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats
from PIL import Image
from transformers.utils import logging

from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.viz.look import GREY, OTHERS, house_figure, picture_axes

TAPE_WIDTH = 40  # tokens in one row of a tape
KINDS = {  # of tokens, each with the one colour that it has in every notebook
    "text": "#D9D9D9",
    "ignored": "#D9D9D9",
    "slot": "#CC79A7",
    "context token": "#E69F00",
    "content token": "#56B4E9",
    "supervised": "#009E73",
}


def tidy_page(*, charts: bool = False, dpi: float | None = None, quality: int = 72) -> None:
    """For a notebook that is kept with its outputs: no progress bars, and pictures small enough for a repository.

    Nor the warning that peft calls a method of transformers by its older name: a reader can do nothing about it.
    Tables show what is in a cell, however long.

    charts: the notebook draws lines and bars rather than frames: a PNG of few colours is a third of their JPEG.
    dpi: of every JPEG, less for a page with many of them; None leaves each figure its own. quality: of the JPEGs.
    """
    logging.disable_progress_bar()
    pd.set_option("display.max_colwidth", None)
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    if charts:
        set_matplotlib_formats("png")
        get_ipython().display_formatter.formatters["image/png"].for_type(Figure, chart_png)
    else:
        size = {} if dpi is None else {"dpi": dpi}
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": quality, "optimize": True, "progressive": True}, **size)


def chart_png(figure: Figure, *, dpi: int = 80, n_colours: int = 128) -> bytes:
    """The figure as a PNG with a palette, for charts that are kept in a notebook."""
    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi)
    Image.open(full).convert("RGB").quantize(n_colours).save(small, format="png", optimize=True)
    return small.getvalue()


@house_figure
def frame_strip(frames: np.ndarray, names: Sequence[str], *, title: str, grid: int = 0) -> Figure:
    """frames (n, H, W, 3) uint8 side by side under their names; with `grid` cut into that many patches a side."""
    fig, axes = plt.subplots(1, len(frames), figsize=(1.55 * len(frames), 2.4), squeeze=False)
    for ax, frame, name in zip(axes.flat, frames, names, strict=True):
        ax.imshow(frame)
        for cut in np.arange(1, grid) * frame.shape[0] / max(grid, 1) - 0.5:
            ax.axhline(cut, color="white", lw=0.8)
            ax.axvline(cut, color="white", lw=0.8)
        picture_axes(ax, name)
    fig.suptitle(title, fontweight="bold")
    return fig


@house_figure
def heat(
    matrix,
    *,
    x: str,
    y: str,
    unit: str,
    title: str,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    numbers: str | None = None,
) -> Figure:
    """A matrix as colours, axes called `x` and `y`, colour bar `unit`; `numbers` is a format ("{:.2f}") for cells."""
    values = np.asarray(matrix, dtype=float)
    down, across = values.shape
    fig, ax = plt.subplots(figsize=(min(10.5, 3.2 + 0.62 * across), min(6.5, 1.7 + 0.5 * down)))
    image = ax.imshow(values, cmap="cividis", aspect="auto")
    if numbers is not None:
        for (i, j), value in np.ndenumerate(values):
            dark = value < (values.min() + values.max()) / 2
            ax.text(j, i, numbers.format(value), ha="center", va="center", color="white" if dark else "black")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if rows is not None:
        ax.set_yticks(range(len(rows)), rows)
    if columns is not None:
        turned = len(columns) > 8
        ax.set_xticks(range(len(columns)), columns, rotation=50 if turned else 0, ha="right" if turned else "center")
    ax.set(xlabel=x, ylabel=y, title=title)
    ax.grid(False)
    fig.colorbar(image, label=unit)
    return fig


@house_figure
def maps(
    grids: Mapping[str, np.ndarray], *, unit: str, title: str, over: np.ndarray | None = None, own_scales: bool = False
) -> Figure:
    """Maps (side, side) side by side, faintly over the frame (H, W, 3) `over` where it is given.

    One colour scale for all; with `own_scales` one for each map, so that a faint map can be read beside a strong one,
    both ends written at its bar. A scale begins at 0, or at the least value where that is lower. The line below the
    maps says which kind it is.
    """
    grids = {name: np.asarray(grid, dtype=float) for name, grid in grids.items()}
    scales = [[grid] if own_scales else list(grids.values()) for grid in grids.values()]
    fig, axes = plt.subplots(1, len(grids), figsize=(2.1 * len(grids) + 0.9, 3.1), squeeze=False)
    for ax, (name, grid), scale in zip(axes.flat, grids.items(), scales, strict=True):
        side, alpha = (len(grid), 1) if over is None else (len(over), 0.65)
        if over is not None:
            ax.imshow(over.mean(-1), cmap="gray", vmin=0, vmax=255)
        ends = {"vmin": min(0.0, *map(np.min, scale)), "vmax": max(map(np.max, scale))}
        extent = (-0.5, side - 0.5, side - 0.5, -0.5)
        image = ax.imshow(grid, cmap="inferno", alpha=alpha, extent=extent, **ends)
        picture_axes(ax, name, fontsize=11)
        if own_scales:
            bar = fig.colorbar(image, ax=ax, orientation="horizontal", shrink=0.8)
            bar.set_ticks(image.get_clim(), labels=[f"{end:.2g}" for end in image.get_clim()])
    if not own_scales:
        fig.colorbar(image, ax=axes, shrink=0.8)
    which = "each map has a scale of its own" if own_scales else "one scale for all maps"
    fig.supxlabel(f"{unit}; {which}", fontsize=11)
    fig.suptitle(title, fontweight="bold")
    return fig


@house_figure
def bars(values: Mapping[str, float], *, x: str, title: str, log: bool = False, note: str = "{:.3g}") -> Figure:
    """A bar a name, the number beside it, written by `note`; the axis is called `x`, and counts in what notes do."""
    fig, ax = plt.subplots(figsize=(9, 1.5 + 0.45 * len(values)))
    container = ax.barh(list(values), list(values.values()), color=OTHERS[0])
    ax.bar_label(container, labels=[note.format(v) for v in values.values()], padding=5)
    ax.set(xlabel=x, title=title, xscale="log" if log else "linear")
    ax.invert_yaxis()
    ax.margins(x=0.18)
    if log:  # whose own labels are formulas, which this look does not set
        ax.xaxis.set_major_formatter("{x:,.10g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    if note.endswith("%}"):
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    elif note.endswith(".0f}") and not log:
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.grid(axis="y", visible=False)
    return fig


@house_figure
def stacked(rows: Mapping[str, Mapping[str, float]], *, x: str, title: str, grey: Collection[str] = ()) -> Figure:
    """A bar a row, cut into its pieces with their numbers; a piece has one colour in all rows, those in `grey` grey.

    rows: name → piece → number, 0 or more. Raises ValueError for more coloured pieces than there are colours.
    """
    pieces = list(dict.fromkeys(piece for row in rows.values() for piece in row))
    coloured = [piece for piece in pieces if piece not in grey]
    if len(coloured) > len(OTHERS):
        raise ValueError(f"{len(coloured)} pieces ({', '.join(coloured)}), but colours for {len(OTHERS)}: join some")
    colours = dict.fromkeys(grey, KINDS["ignored"]) | dict(zip(coloured, OTHERS, strict=False))
    fig, ax = plt.subplots(figsize=(9, 1.9 + 0.5 * len(rows)))
    left = np.zeros(len(rows))
    for piece in pieces:
        widths = np.array([row.get(piece, 0) for row in rows.values()], dtype=float)
        container = ax.barh(list(rows), widths, left=left, color=colours[piece], edgecolor="white", label=piece)
        dark = np.dot(to_rgb(colours[piece]), (0.299, 0.587, 0.114)) < 0.5
        labels = [f"{w:g}" if w else "" for w in widths]
        ax.bar_label(container, labels=labels, label_type="center", color="white" if dark else "black")
        left += widths
    ax.set(xlabel=x, title=title)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    fig.legend(*ax.get_legend_handles_labels(), ncols=min(4, len(pieces)), loc="outside lower center", frameon=False)
    return fig


@house_figure
def lines(x: Sequence[float], curves: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str, title: str) -> Figure:
    """A line a name over the same x."""
    fig, ax = plt.subplots(figsize=(9, 4))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(x, values, marker="os^D"[i % 4], ms=7, lw=2.5, color=OTHERS[i], ls=("-", "--", ":")[i % 3], label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend(frameon=True)
    return fig


@house_figure
def tape(kinds: Sequence[str], *, title: str) -> Figure:
    """A token sequence as a tape of coloured squares, 40 in a row. Each kind is a name of KINDS."""
    names = list(dict.fromkeys(kinds))
    down = -(-len(kinds) // TAPE_WIDTH)
    across = min(TAPE_WIDTH, len(kinds))
    cells = np.full(down * across, np.nan)
    cells[: len(kinds)] = [names.index(kind) for kind in kinds]
    fig, ax = plt.subplots(figsize=(10.5, 1.5 + 0.42 * down))
    colours = ListedColormap([KINDS[name] for name in names])
    ax.imshow(cells.reshape(down, across), cmap=colours, vmin=-0.5, vmax=len(names) - 0.5)
    ax.yaxis.set_visible(down > 1)
    ax.grid(False)
    ax.vlines(np.arange(1, across) - 0.5, -0.5, down - 0.5, color="white", lw=1.5)
    ax.hlines(np.arange(1, down) - 0.5, -0.5, across - 0.5, color="white", lw=1.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=f"position in the {'row' if down > 1 else 'sequence'} (tokens)", yticks=range(down), title=title)
    ax.set_yticklabels([str(row * TAPE_WIDTH) for row in range(down)])
    patches = [Patch(color=KINDS[name], label=f"{name}: {list(kinds).count(name)}") for name in names]
    fig.legend(handles=patches, ncols=len(names), loc="outside lower center", frameon=False)
    return fig


@house_figure
def architecture(model: LlamaVid, *, here: Collection[str] = ()) -> Figure:
    """The way from frames and question to the reply: a box for each part of `model`, by its name in the code, with the
    shape of what leaves it. here: the parts that a lesson is about, in colour."""
    config, up, middle, down = model.config, 2.0, 1.0, 0.0
    width, llm_width = config.vision_config.hidden_size, config.text_config.hidden_size
    content = f"{config.n_content()} × {llm_width}" if config.n_content() > 1 else f"{llm_width}"
    queries = f"{config.n_query} queries × {config.qformer_config.hidden_size}"
    parts = {
        "vision_tower": (1.9, down, f"T × {config.grid**2} patches × {width}"),
        "text_decoder": (4.2, up, f"T × {queries}"),
        "context_attention": (6.6, middle, f"context tokens, T × {llm_width}"),
        "content_projector": (6.6, down, f"content tokens, T × {content}"),
        "language_model": (9.4, middle, "reply"),
    }
    ways = {  # from: to
        "T frames": ["vision_tower"],
        "question": ["text_decoder"],
        "the question again": ["language_model"],
        "vision_tower": ["text_decoder", "context_attention", "content_projector"],
        "text_decoder": ["context_attention"],
        "context_attention": ["language_model"],
        "content_projector": ["language_model"],
    }
    at = {"T frames": (0.0, down), "question": (0.0, up), "the question again": (9.4, up)}
    fig, ax = plt.subplots(figsize=(11, 3.6))
    ax.set(xlim=(-0.7, 10.5), ylim=(-0.4, 2.4))
    ax.axis("off")
    boxes = {}
    for name in (*at, *parts):
        x, y, leaves = parts.get(name, (*at.get(name, ()), ""))
        colour = KINDS["context token"] if name in here else "#EAF1F6" if name in parts else "white"
        style = {"boxstyle": "round,pad=0.5", "fc": colour, "ec": GREY if name in parts else "white"}
        words = f"{name}\n{leaves}" if hasattr(model, name) else name
        boxes[name] = ax.text(x, y, words, ha="center", va="center", fontsize=12, bbox=style)
    for start, ends in ways.items():
        for end in ends:
            arrow = {"arrowstyle": "-|>", "color": GREY, "lw": 1.6, "mutation_scale": 16}
            arrow |= {"patchA": boxes[start].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
            ax.annotate("", boxes[end].get_position(), boxes[start].get_position(), arrowprops=arrow)
    return fig
