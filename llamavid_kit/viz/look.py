"""The one look of the house's figures: colours, fonts, and what every plotting function is wrapped in.

Colours are Okabe and Ito's, which colour-blind readers can tell apart: blue is zero-shot, vermilion fine-tuned. A
figure made under `house_figure` is in this look whatever the caller's settings, and pyplot has forgotten it.
"""

import html
import textwrap
from collections.abc import Callable
from functools import wraps
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
OTHERS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
LOOK = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("notebook", font_scale=1.05),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "axes.titleweight": "bold",
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a label may hold a dollar sign
}
Style = dict[str, Any]  # keyword arguments that several lines of a figure share


def as_text(words: str) -> str:
    """Words from outside for plotly, which reads markup in labels and titles, links too."""
    return html.escape(words, quote=False)


def short(words: str, most: int = 52) -> str:
    """A name of at most `most` letters: one that is longer loses its middle, as its end says what differs."""
    if len(words) <= most:
        return words
    head = most // 3
    return f"{words[:head]}…{words[head + 1 - most :]}"


def fitted(fig: Figure, title: str, *, most: int | None = None) -> str:
    """A title in as many lines as the figure's width needs: one that sticks out would leave no room for the axes.

    most: letters of a line, where a title is not for the whole width.
    """
    most = most or int(8 * fig.get_figwidth())
    return "\n".join(textwrap.fill(line, most) for line in title.splitlines())


def house_figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the house's look, finishes the layout, and takes the figure from pyplot's list."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with plt.rc_context(LOOK):
            fig = draw(*args, **kwargs)
            fig.draw_without_rendering()  # ticks are made when first drawn, and must be made in this look
        plt.close(fig)
        return fig

    return drawn


def house_axes(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The axes that a caller gave with their figure, or new ones in a figure of this size in inches."""
    if ax is None:
        return plt.subplots(figsize=size)
    if not isinstance(ax.figure, Figure):
        raise ValueError("ax lies in a subfigure: give axes of a figure itself")
    return ax.figure, ax


def picture_axes(ax: Axes, caption: str = "", *, fontsize: float = 12) -> None:
    """Axes that hold a picture: no ticks, no grid, a plain caption above its middle."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.set_title(caption, loc="center", fontsize=fontsize, fontweight="normal")


def whiskers(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """(2, n) distances from each of n values to the ends of its interval, as matplotlib's error bars take them."""
    value, low, high = map(np.atleast_1d, (value, low, high))
    return np.clip([value - low, high - value], 0, None)
