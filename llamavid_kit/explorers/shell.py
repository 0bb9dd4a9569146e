"""What all explorers share: a view with a line for messages, a static picture beside it, and one set of colours.

An explorer is a thin shell: pure functions make tables and figures, its observers carry them into widgets. Errors that
a person can mend stand in the view, never as a traceback. Nothing is fetched: widgets are ipywidgets and plotly's own.
"""

import base64
import html
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from PIL import Image

from llamavid_kit.plots import BLUE, GREEN, GREY, VERMILION

try:
    import anywidget  # noqa: F401 - plotly's FigureWidget is made of it
    import ipywidgets as widgets
except ImportError as error:
    raise ImportError("explorers need ipywidgets and anywidget: pip install 'llamavid-kit[notebooks]'") from error

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "VERMILION",
    "Explorer",
    "colour_scale",
    "data_uri",
    "guarded",
    "html_line",
    "widgets",
]

EXPECTED = (ValueError, OSError)  # VideoError and FileNotFoundError among them
FONT = {"family": "DejaVu Sans, Verdana, sans-serif", "size": 15, "color": "#222222"}
LAYOUT = {
    "font": FONT,
    "paper_bgcolor": "white",
    "plot_bgcolor": "white",
    "margin": {"l": 70, "r": 20, "t": 50, "b": 50},
}
WIDE = {"description_width": "110px"}


class Explorer(ABC):
    """Base of the explorers. view: the widget; figure(): the same state as a matplotlib Figure; message: what is wrong.

    A subclass makes `view` and `figure()`; an observer wrapped by `guarded` shows its error in `message`.
    """

    view: widgets.Widget

    def __init__(self):
        self._message = widgets.HTML("", layout={"width": "100%"})
        self.message = ""

    @abstractmethod
    def figure(self) -> Figure:
        """A static picture of the present state."""

    def still(self) -> Any:
        """`figure()` as an IPython image that is small enough to stay in a notebook."""
        from IPython import display

        return display.Image(data=jpeg(self.figure()))

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show one line in the view; problem: in a frame that is hard to miss. "" takes the line away."""
        self.message = text
        look = (
            f"border-left:6px solid {VERMILION};background:#fdf1ea;padding:8px 12px" if problem else "padding:2px 12px"
        )
        role = "alert" if problem else "status"
        self._message.value = (
            f'<div role="{role}" style="{look};font-size:15px;line-height:1.4">{html.escape(text)}</div>'
            if text
            else ""
        )

    def _ipython_display_(self) -> None:
        """The widgets, then the picture of the state in which the cell ran, for readers without a running kernel."""
        from IPython import display

        display.display(self.view)
        display.display(display.Markdown("*The state in which this cell ran, as a picture:*"))
        try:
            display.display(self.still())
        except EXPECTED as error:
            self.say(str(error), problem=True)


def guarded(work: Callable) -> Callable:
    """An observer whose expected errors become the view's message; a success takes an older message away.

    Returns whether it succeeded. Errors nobody expects pass through: they are faults of the kit.
    """

    @wraps(work)
    def watched(self: Explorer, *args: Any) -> bool:
        try:
            self.say("")
            work(self, *args)
        except EXPECTED as error:
            self.say(str(error), problem=True)
            return False
        return True

    return watched


def jpeg(figure: Figure, dpi: int = 80) -> bytes:
    """The figure as a JPEG: frames of a video as PNG would be several times larger, too large for a notebook."""
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=dpi, pil_kwargs={"quality": 75, "optimize": True})
    return file.getvalue()


def data_uri(picture: np.ndarray, *, side: int | None = None) -> str:
    """(H, W, 3) or (H, W) uint8 → a JPEG as data URI; side: longest side in pixels."""
    image = Image.fromarray(picture)
    if side is not None:
        image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def colour_scale(name: str, n: int = 17) -> list[list]:
    """A matplotlib colour map as plotly's list, so that print and screen show the same colours."""
    return [[float(x), to_hex(colormaps[name](float(x)))] for x in np.linspace(0, 1, n)]


def heat_map() -> ListedColormap:
    """Inferno without its black end, transparent at 0, so that the frame shows where there is little attention."""
    colours = colormaps["inferno"](np.linspace(0.25, 1, 256))
    colours[:, 3] = np.clip(np.linspace(0, 2, 256), 0, 1)
    return ListedColormap(colours)


def heat_scale(n: int = 33) -> list[list]:
    """`heat_map` for plotly over the square root of the value, as matplotlib's PowerNorm(0.5) draws it."""
    colours = heat_map()(np.linspace(0, 1, n))
    places = np.linspace(0, 1, n) ** 2
    rgb = (255 * colours[:, :3]).round().astype(int)
    return [
        [float(x), f"rgba({r},{g},{b},{a:.3f})"] for x, (r, g, b), a in zip(places, rgb, colours[:, 3], strict=True)
    ]


def html_line(text: str, *, size: int = 15, strong: str = "") -> str:
    """One escaped paragraph, with an emphasised beginning."""
    head = f"<b>{html.escape(strong)}</b> " if strong else ""
    return f'<div style="font-size:{size}px;line-height:1.4;padding:2px 12px">{head}{html.escape(text)}</div>'


def save(path: Path | str, *, figure: Callable[[], Figure], page: Callable[[], Any]) -> Path:
    """Write PNG or SVG (matplotlib's `figure()`), or HTML that works offline (plotly's `page()`), by the suffix."""
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".html"):
        raise ValueError(f"{path}: expected a name that ends in .png, .svg or .html")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        page().write_html(path, include_plotlyjs=True, full_html=True, auto_play=False)
    else:
        figure().savefig(path, dpi=140)
    return path
