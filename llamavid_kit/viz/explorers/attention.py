"""AttentionExplorer: type a question, scrub through a clip, see where the context token looks, and what it cannot say.

The frames' features are computed once per clip and rate and kept by the explorer, so a new question costs the text
decoder and the reply; moving through frames, queries and opacity runs no model at all.
"""

from pathlib import Path

import plotly.graph_objects as go
from matplotlib.figure import Figure

from llamavid_kit.data.video import Video
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.viz import attention_maps
from llamavid_kit.viz.attention_maps import DEFINITION, WARNING, Look, Watched
from llamavid_kit.viz.explorers import attention_figures as figures
from llamavid_kit.viz.explorers.attention_figures import State
from llamavid_kit.viz.explorers.live_figure import Click
from llamavid_kit.viz.explorers.shell import WIDE, Explorer, LiveFigure, guarded, html_line, widgets

EXPLAINED = html_line(f"{DEFINITION} {WARNING}", strong="How to read the timeline:")
MEAN = ("mean of all", -1)  # a dropdown takes None for "nothing chosen"


class AttentionExplorer(Explorer):
    """Context attention of a model on one clip, in JupyterLab.

    Args:
        video: a clip or its path. question: asked first. fps: frames a second.
        second: another question, shown beside the first on the same colour scale; "" shows the frame itself there.
        name: what the model is called in titles.

    question, second, fps, frame, query, opacity: the controls (ipywidgets); setting `.value` is what a person does.
    state: what is shown, None before the first success; replies: the model's words, one a question.
    panels, strip: the figures.
    """

    def __init__(
        self,
        model: LlamaVid,
        video: Video | Path | str,
        question: str = "What happens in the video?",
        *,
        fps: float = 2.0,
        second: str = "",
        name: str = "",
    ):
        super().__init__("attention.png")
        self.model, self.name = model, name or Path(model.config.name_or_path or "model").name
        self._given = video
        self._watched: dict[float, Watched] = {}
        self._asked: dict[tuple[float, str], tuple[Look, str]] = {}
        self.state: State | None = None
        self.replies: list[str] = []
        self.panels, self.strip = LiveFigure(), LiveFigure()
        self._make_controls(question, second, fps)
        self._observe()
        self._ask()

    def _make_controls(self, question: str, second: str, fps: float) -> None:
        long = {"layout": {"width": "70%"}, "style": WIDE, "continuous_update": False}
        self.question = widgets.Text(question, description="Question", **long)
        self.second = widgets.Text(
            second, description="Compare with", placeholder="a second question, or nothing", **long
        )
        self.fps = widgets.BoundedFloatText(
            fps, min=0.05, max=60, step=1, description="Frames a second", style=WIDE, layout={"width": "200px"}
        )
        self.frame = widgets.IntSlider(0, 0, 0, description="Frame", style=WIDE, layout={"width": "42%"})
        self.query = widgets.Dropdown(
            options=[MEAN], description="Query", style={"description_width": "60px"}, layout={"width": "190px"}
        )
        self.opacity = widgets.FloatSlider(
            0.6,
            min=0,
            max=1,
            step=0.05,
            description="Opacity",
            style={"description_width": "60px"},
            layout={"width": "32%"},
        )
        self._words = widgets.HTML()
        self.view = widgets.VBox(
            [
                self.question,
                widgets.HBox([self.second, self.fps]),
                self._message,
                self._words,
                widgets.HBox([self.frame, self.query, self.opacity]),
                self.panels,
                self.strip,
                widgets.HTML(EXPLAINED),
                self.saving,
            ]
        )

    def _observe(self) -> None:
        for control in (self.question, self.second, self.fps):
            control.observe(self._ask, "value")
        for control in (self.frame, self.query, self.opacity):
            control.observe(self._move, "value")
        self.strip.on_click(self._clicked)

    @guarded
    def _ask(self, *_) -> None:
        """Watch the clip at this rate unless it was, ask what was not yet asked, draw; the reply comes last."""
        fps, questions = self.fps.value, [self.question.value.strip()]
        questions += [self.second.value.strip()] if self.second.value.strip() else []
        watched = self._watch(fps)
        looks = tuple(
            self._asked[fps, q][0] if (fps, q) in self._asked else attention_maps.look(self.model, watched, q)
            for q in questions
        )
        self._show(watched, looks)
        for look in looks:
            if (fps, look.question) not in self._asked:
                self._asked[fps, look.question] = look, attention_maps.reply(self.model, look)
        self.replies = [self._asked[fps, look.question][1] for look in looks]
        self._words.value = self._said()

    def _said(self) -> str:
        """Each question with its reply, and what world the model knows, as HTML."""
        lines = [
            html_line(reply or "(no words)", size=17, strong=f"“{look.question}” →")
            for look, reply in zip(self.state.looks, self.replies, strict=True)
        ]
        world = self.model.config.world
        return "".join([*lines, *([html_line(f"This model only knows {world}", size=14)] if world else [])])

    def _watch(self, fps: float) -> Watched:
        if fps not in self._watched:
            self.say("Watching the clip …")
            video = self._given if isinstance(self._given, Video) else Video(self._given)
            self._watched[fps] = attention_maps.watch(self.model, video, fps=fps)
            self.say("")
        return self._watched[fps]

    def _show(self, watched: Watched, looks: tuple[Look, ...]) -> None:
        """Set the controls to what this clip has without asking again, then draw both figures."""
        n_queries = looks[0].attention.shape[1]
        self.state = None  # the controls' observers have nothing to draw until all of them fit the clip
        self._words.value = html_line("…", size=17, strong="Reply:")
        self.frame.max = len(watched) - 1
        options = [MEAN, *((f"query {k + 1}", k) for k in range(n_queries))]
        if len(self.query.options) != len(options):
            self.query.options = options
        self.state = State(watched, looks, self.name, self.frame.value, self._query(), self.opacity.value)
        self._draw()

    def _query(self) -> int | None:
        return None if self.query.value == MEAN[1] else self.query.value

    def _draw(self) -> None:
        self.panels.show(figures.panels(self.state))
        self.strip.show(figures.strip(self.state))

    def _move(self, change) -> None:
        if self.state is not None:  # else the message that says why nothing is shown stays
            self._redraw(change)

    @guarded
    def _redraw(self, change) -> None:
        """Another frame, query or opacity: arithmetic on what is there, no model."""
        old = self.state
        self.state = State(old.watched, old.looks, self.name, self.frame.value, self._query(), self.opacity.value)
        if change["owner"] is not self.query:
            self.state.__dict__["maps"] = old.maps
        self._draw()

    def _clicked(self, click: Click) -> None:
        """A thumbnail or a point of a line was clicked: go to its frame."""
        frames = self.strip.figure.data[click.trace].customdata
        self.frame.value = int(click.index if frames is None else frames[click.index])

    @property
    def title(self) -> str:
        self._need(self.state)
        return self.state.setting

    def figure(self) -> Figure:
        """The present state as a matplotlib Figure. Raises ValueError where nothing could be shown yet."""
        self._need(self.state)
        return figures.picture(self.state, self.replies)

    def page(self) -> list[go.Figure | str]:
        """All frames behind a slider, the replies above and what the timeline says below."""
        self._need(self.state)
        return [self._said(), figures.page(self.state), EXPLAINED]
