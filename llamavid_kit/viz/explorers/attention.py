"""AttentionExplorer: type a question, scrub through a clip, see where the context token looks, and what it cannot say.

The frames' features are computed once per clip and rate and kept by the explorer, so a new question costs the text
decoder and the reply; moving through frames, queries and opacity runs no model at all.
"""

from functools import cache, partial
from pathlib import Path

import plotly.graph_objects as go
from matplotlib.figure import Figure

from llamavid_kit.data.video import Video
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.viz import attention_maps
from llamavid_kit.viz.attention_maps import DEFINITION, WARNING, EncodedClip, QuestionAttention
from llamavid_kit.viz.explorers import attention_figures as figures
from llamavid_kit.viz.explorers.attention_figures import State
from llamavid_kit.viz.explorers.live_figure import Click, LiveFigure, widgets
from llamavid_kit.viz.explorers.shell import WIDE, Explorer, guarded, html_line

EXPLAINED = html_line(f"{DEFINITION} {WARNING}", size=12, strong="The timeline.")
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
        self._video = video
        self._clip = cache(self._watch)  # each rate, question and reply is worked out once
        self._attend = cache(lambda fps, text: attention_maps.attend(model, self._clip(fps), text))
        self._reply = cache(partial(attention_maps.reply, model))
        self.state: State | None = None
        self.replies: list[str] = []
        self.panels, self.strip = LiveFigure(buttons=False), LiveFigure(buttons=False)
        self._make_controls(question, second, fps)
        self._ask()

    def _make_controls(self, question: str, second: str, fps: float) -> None:
        long = {"layout": {"flex": "1 1 0"}, "style": WIDE, "continuous_update": False}
        self.question = widgets.Text(question, description="Question", **long)
        hint = "a second question, or nothing"
        self.second = widgets.Text(second, description="Compare with", placeholder=hint, **long)
        rate = {"description": "Frames a second", "style": WIDE, "layout": {"width": "174px"}}
        self.fps = widgets.BoundedFloatText(fps, min=0.05, max=60, step=1, **rate)
        beside = {"style": {"description_width": "60px"}, "layout": {"width": "auto"}}
        self.query = widgets.Dropdown(options=[MEAN], description="Query", **beside)
        self.opacity = widgets.FloatSlider(0.8, min=0, max=1, step=0.05, description="Opacity", **beside)
        self.frame = widgets.IntSlider(0, 0, 0, description="Frame", style=WIDE, layout={"width": "auto"})
        self._words = widgets.HTML()
        world = self.model.config.world
        self._notes = EXPLAINED + (html_line(f"This model only knows {world}", size=12) if world else "")
        column = [self.query, self.opacity, widgets.HTML(self._notes)]
        beside_maps = widgets.VBox(column, layout={"flex": "1 1 200px", "min_width": "0"})
        asking = [widgets.HBox([self.question, self.second, self.fps]), self._message, self._words]
        looking = [widgets.HBox([self.panels, beside_maps]), self.frame, self.strip]
        self.view = widgets.VBox([*asking, *looking, self.saving])
        for control in (self.question, self.second, self.fps):
            control.observe(self._ask, "value")
        for control in (self.frame, self.query, self.opacity):
            control.observe(self._move, "value")
        self.strip.on_click(self._go_to)

    @guarded
    def _ask(self, *_) -> None:
        """Encode the clip at this rate, ask each question, draw; what was done before is kept. The reply comes last."""
        fps, texts = self.fps.value, [self.question.value.strip()]
        texts += [self.second.value.strip()] if self.second.value.strip() else []
        questions = tuple(self._attend(fps, text) for text in texts)
        self._show(self._clip(fps), questions)
        self.replies = [self._reply(question) for question in questions]
        self._words.value = self._reply_lines()

    def _reply_lines(self) -> str:
        """Each question with its reply, side by side, as HTML."""
        lines = [
            f'<div style="flex:1 1 0">{html_line(reply or "(no words)", strong=f"“{question.question}” →")}</div>'
            for question, reply in zip(self._need(self.state).questions, self.replies, strict=True)
        ]
        return f'<div style="display:flex">{"".join(lines)}</div>'

    def _watch(self, fps: float) -> EncodedClip:
        self.say("Watching the clip …")
        video = self._video if isinstance(self._video, Video) else Video(self._video)
        clip = attention_maps.encode_clip(self.model, video, fps=fps)
        self.say("")
        return clip

    def _show(self, clip: EncodedClip, questions: tuple[QuestionAttention, ...]) -> None:
        """Set the controls to what this clip has without asking again, then draw both figures."""
        self.state = None  # the controls' observers have nothing to draw until all of them fit the clip
        self._words.value = html_line("…", strong="Reply:")
        self.frame.max = len(clip) - 1
        options = [MEAN, *((f"query {k + 1}", k) for k in range(questions[0].attention.shape[1]))]
        if len(self.query.options) != len(options):
            self.query.options = options
        self._draw(State(clip, questions, self.name, *self._controls()))

    def _controls(self) -> tuple[int, int | None, float]:
        """frame, query, opacity."""
        query = None if self.query.value == MEAN[1] else self.query.value
        return self.frame.value, query, self.opacity.value

    def _draw(self, state: State) -> None:
        self.state = state
        self.panels.show(figures.panels(state))
        self.strip.show(figures.strip(state))

    def _move(self, _) -> None:
        """Another frame, query or opacity: arithmetic on what is there, no model."""
        if self.state is not None:  # else the message that says why nothing is shown stays
            self.say("")
            self._draw(self.state.at(*self._controls()))

    def _go_to(self, click: Click) -> None:
        """The timeline was clicked, on or near a thumbnail or a point of a line: go to its frame."""
        self.frame.value = int(self._need(self.strip.figure).data[click.trace].customdata[click.index])

    @property
    def title(self) -> str:
        return self._need(self.state).heading(with_frame=False)

    def figure(self) -> Figure:
        """The present state as a matplotlib Figure. Raises ValueError where nothing could be shown yet."""
        return figures.picture(self._need(self.state), self.replies)

    def page(self) -> list[go.Figure | str]:
        """All frames behind a slider and the timeline, the replies above and what the timeline says below."""
        return [self._reply_lines(), figures.page(self._need(self.state)), self._notes]
