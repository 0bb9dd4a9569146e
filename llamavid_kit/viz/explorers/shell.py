"""What all explorers share: a view with a line for messages, a static picture beside it, exports, one set of colours.

An explorer is a thin shell: pure functions make tables and figures, its observers carry them into widgets. Errors that
a person can mend stand in the view, never as a traceback. Nothing is fetched: figures are `LiveFigure`s,
and an exported page holds plotly.js and forbids its browser to load anything.
"""

import base64
import html
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go
from IPython import display
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from plotly.offline import get_plotlyjs

from llamavid_kit.files import whole, write_whole
from llamavid_kit.viz.explorers.live_figure import CONFIG, widgets
from llamavid_kit.viz.look import VERMILION

T = TypeVar("T")
EXPECTED = (ValueError, OSError)  # VideoError and FileNotFoundError among them
FONT = {"family": "DejaVu Sans, Verdana, sans-serif", "size": 15, "color": "#222222"}
MARGIN = {"l": 70, "r": 20, "t": 50, "b": 50}
LAYOUT = {"font": FONT, "paper_bgcolor": "white", "plot_bgcolor": "white", "margin": MARGIN}
WIDE = {"description_width": "110px"}
HEAT = "#ff1fb4"  # magenta: few things in a video have it


class Explorer(ABC):
    """Base of the explorers. view: the widget; message: the line in it; refusal: why nothing is shown, "" if it is.

    A subclass makes `view`, with `saving` at its end, `title`, `figure()` and `page()`; an observer wrapped by
    `guarded` shows its error in `message`. target, save_button, save_note: the controls of `saving` and their answer;
    file: offered there first.
    """

    view: widgets.Widget

    def __init__(self, file: str):
        self._message = widgets.HTML("", layout={"width": "100%"})
        self.message = self.refusal = ""
        self.target = widgets.Text(file, description="Save as", style=WIDE, layout={"width": "50%"})
        self.save_button = widgets.Button(description="Save", tooltip="PNG, SVG, or HTML that works offline")
        self.save_button.on_click(self._save)
        self.save_note = widgets.Label(".png, .svg or .html (works offline)")
        self.saving = widgets.HBox([self.target, self.save_button, self.save_note])

    @property
    @abstractmethod
    def title(self) -> str:
        """Model or clip, and the setting that is shown."""

    @abstractmethod
    def figure(self) -> Figure:
        """A static picture of the present state. Raises ValueError where nothing can be shown."""

    @abstractmethod
    def page(self) -> list[go.Figure | str]:
        """The present state for a page: plotly figures and HTML. Raises ValueError where nothing can be shown."""

    def export(self, path: Path | str) -> Path:
        """Write the present state as .png, .svg (one picture), or .html (works offline, keeps what needs no kernel)."""
        path = Path(path)
        if path.suffix not in (".png", ".svg", ".html"):
            raise ValueError(f"{path}: expected a name that ends in .png, .svg or .html")
        state = self.page() if path.suffix == ".html" else self.figure()  # says so where nothing is shown
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(state, list):
            write_whole(path, offline_page(self.title, state))
        else:
            with whole(path) as part:
                state.savefig(part, dpi=140)
        return path

    def _save(self, *_) -> None:
        """The line of messages may be out of sight, so the button's own label says what becomes of the click."""
        self.save_note.value = "Saving …"
        try:
            path = self.export(self.target.value)
        except EXPECTED as error:
            self.say(str(error), problem=True)
            self.save_note.value = "Not saved: the message above says why"
        else:
            self.say(f"Saved {path}")
            self.save_note.value = f"Saved {path.name}"

    def _need(self, state: T | None) -> T:
        """What is shown. Raises ValueError, with the reason, where nothing is."""
        if state is None:
            raise ValueError(self.refusal or "nothing is shown yet")
        return state

    def still(self) -> display.Image:
        """`figure()` as an IPython image, a JPEG: as PNG, frames of a video would be too large for a notebook."""
        file = io.BytesIO()
        self.figure().savefig(file, format="jpeg", dpi=80, pil_kwargs={"quality": 75, "optimize": True})
        return display.Image(data=file.getvalue())

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show one line in the view; problem: in a frame that is hard to miss. "" takes the line away."""
        self.message = text
        frame = f"border-left:6px solid {VERMILION};background:#fdf1ea;padding:8px 12px"
        style, role = (frame, "alert") if problem else ("padding:2px 12px", "status")
        line = f'<div role="{role}" style="{style};font-size:15px;line-height:1.4">{html.escape(text)}</div>'
        self._message.value = line if text else ""

    def _ipython_display_(self) -> None:
        """The widgets, then the picture of the state in which the cell ran, for readers without a running kernel."""
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
    def observer(self: Explorer, *args: Any) -> bool:
        try:
            self.say("")
            self.refusal = ""
            work(self, *args)
        except EXPECTED as error:
            self.refusal = str(error)
            self.say(self.refusal, problem=True)
            return False
        return True

    return observer


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
    """One colour, clear at 0 and full at 1, so that the frame below keeps its own colours where there is no heat."""
    return ListedColormap([(*to_rgb(HEAT), alpha) for alpha in np.linspace(0, 1, 256)])


def on_white(colours: ListedColormap, opacity: float) -> ListedColormap:
    """The colours at this opacity on white paper: for a colour bar, whose own alpha would replace theirs."""
    rgba = colours(np.linspace(0, 1, 256))
    return ListedColormap(1 - (1 - rgba[:, :3]) * rgba[:, 3:] * opacity)


def heat_scale(n: int = 33) -> list[list]:
    """`heat_map` for plotly over the square root of the value, as matplotlib's PowerNorm(0.5) draws it."""
    places = np.linspace(0, 1, n)
    colours = heat_map()(places) * (255, 255, 255, 1)
    return [
        [float(x**2), f"rgba({r:.0f},{g:.0f},{b:.0f},{a:.3f})"] for x, (r, g, b, a) in zip(places, colours, strict=True)
    ]


def html_line(text: str, *, size: int = 15, strong: str = "") -> str:
    """One escaped paragraph, with an emphasised beginning."""
    head = f"<b>{html.escape(strong)}</b> " if strong else ""
    return f'<div style="font-size:{size}px;line-height:1.4;padding:2px 12px">{head}{html.escape(text)}</div>'


# of a figure with frames: a point whose customdata is a frame's number leads there, as the slider does
TO_FRAME = """const gd = document.getElementById('{plot_id}');
gd.on('plotly_click', ({points: [{customdata: at}]}) => {
  if (gd.layout.sliders && at !== undefined) Plotly.animate(gd, ...gd.layout.sliders[0].steps[at].args);
});"""


def offline_page(title: str, parts: list[go.Figure | str]) -> str:
    """One HTML document of plotly figures and HTML, plotly.js inside; its own policy keeps it from loading anything."""
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    own = {"full_html": False, "include_plotlyjs": False, "auto_play": False, "post_script": TO_FRAME}
    own["config"] = {"responsive": True, **CONFIG}
    body = "\n".join(part if isinstance(part, str) else part.to_html(**own) for part in parts)
    look = {"family": FONT["family"], "colour": FONT["color"], "plotly": get_plotlyjs()}
    return page.format(title=html.escape(title), body=body, **look)
