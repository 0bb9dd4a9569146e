"""LiveFigure: a plotly figure in a running notebook, which shows the last figure that it got, however slow the page.

plotly's own FigureWidget is not used. It opens empty, brings 5 MB of JavaScript a figure, and sends its contents in
messages; anywidget 0.11 drops all messages to a widget whose JavaScript was not ready within two seconds of its making.
On a busy computer its axes therefore stay empty for good, and no slider moves them. Here the JavaScript is small, and
figure and plotly.js are values of core widgets, which wait for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

try:
    import anywidget
    import ipywidgets as widgets
    from traitlets import Dict, Instance
except ImportError as error:
    raise ImportError("explorers need ipywidgets and anywidget: pip install 'llamavid-kit[notebooks]'") from error

WIDTH_PX = 830  # of a figure: what JupyterLab leaves of 1280 pixels beside its file list
# plotly 7 offers to upload a chart, and with it frames of somebody's video; only its buttons for looking are kept
CONFIG = {
    "displaylogo": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "select2d", "lasso2d"],
}
_library: widgets.Label | None = None


@dataclass(frozen=True)
class Click:
    """Where a figure was clicked. trace, index: of the point, (row, column) in a heat map; x, y: as on the axes."""

    trace: int
    index: int | list[int]
    x: float | str
    y: float | str


class LiveFigure(anywidget.AnyWidget):
    """A widget that shows a plotly figure.

    figure: what is shown, None at first; change it by `show` only. A zoom by hand outlives a change of the figure.
    buttons: plotly's own, over the figure's upper edge while the mouse is there; without them nothing is hidden.
    drawing: holds the figure as JSON, "" for none; library: holds plotly.js, one for all figures of a kernel.
    """

    _esm = Path(__file__).with_name("live_figure.js")
    config = Dict(CONFIG).tag(sync=True)
    drawing = Instance(widgets.Label).tag(sync=True, **widgets.widget_serialization)
    library = Instance(widgets.Label).tag(sync=True, **widgets.widget_serialization)

    def __init__(self, *, buttons: bool = True) -> None:
        self.figure: go.Figure | None = None
        self._callbacks: list[Callable[[Click], None]] = []
        config = {**CONFIG, "displayModeBar": "hover" if buttons else False}
        super().__init__(config=config, drawing=widgets.Label(), library=_plotly_js())
        self.on_msg(self._on_message)

    def show(self, figure: go.Figure | None) -> None:
        """Show this figure; None shows nothing. One without a width becomes as wide as a laptop's notebook."""
        self.figure = figure
        if figure is not None:
            figure.update_layout(width=figure.layout.width or WIDTH_PX, uirevision="one")
        self.drawing.value = "" if figure is None else figure.to_json()

    def on_click(self, call: Callable[[Click], None]) -> None:
        """Call it with every point of the figure that is clicked."""
        self._callbacks.append(call)

    def _on_message(self, _widget, content: dict, _buffers) -> None:
        for call in self._callbacks:
            call(Click(**content))


def _plotly_js() -> widgets.Label:
    """The one widget that holds plotly.js; made again where somebody closed it."""
    global _library
    if _library is None or _library.comm is None:
        _library = widgets.Label(get_plotlyjs())
    return _library
