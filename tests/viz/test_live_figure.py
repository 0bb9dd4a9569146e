"""A figure in a notebook is state that a page can read, and tells of every click."""

import json

import plotly.graph_objects as go
from driving import click

from llamavid_kit.viz.explorers import live_figure
from llamavid_kit.viz.explorers.live_figure import Click, LiveFigure


def test_a_live_figure_is_state_that_a_page_can_read_at_any_time():
    figure = LiveFigure()
    assert figure.figure is None and figure.drawing.value == ""
    figure.show(go.Figure(go.Bar(y=[1, 2]), layout={"title": {"text": "a"}}))
    told = figure.get_state(["drawing", "library"])
    assert told == {name: f"IPY_MODEL_{getattr(figure, name).model_id}" for name in told}
    drawn = json.loads(figure.drawing.get_state()["value"])
    assert drawn["data"][0]["y"] == [1, 2] and drawn["layout"]["title"]["text"] == "a"
    assert drawn["layout"]["width"] == live_figure.WIDTH_PX
    figure.show(go.Figure(layout={"width": 600}))
    assert figure.figure.layout.width == 600
    assert LiveFigure(buttons=False).config["displayModeBar"] is False
    figure.show(None)
    assert figure.figure is None and figure.drawing.value == ""


def test_figures_share_one_plotly_and_bring_little_code_of_their_own():
    """anywidget gives a widget's own code two seconds."""
    one, two = LiveFigure(), LiveFigure()
    assert one.library is two.library and "plotly.js v" in one.library.value
    assert len(one._esm) < 10_000
    one.library.close()
    again = LiveFigure()
    assert again.library is not one.library and again.library.value == one.library.value


def test_a_click_reaches_everyone_who_asked():
    figure, seen = LiveFigure(), []
    figure.on_click(seen.append)
    figure.on_click(lambda at: seen.append(at.trace))
    click(figure, trace=1, index=[2, 3], x="Red", y=0.5)
    assert seen == [Click(1, [2, 3], "Red", 0.5), 1]
