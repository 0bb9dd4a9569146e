"""What all explorers share: figures in a notebook, refusals, colours."""

import json

import plotly.graph_objects as go
import pytest
from driving import click

from llamavid_kit.experiments.browser import PredictionBrowser
from llamavid_kit.viz.explorers import live_figure
from llamavid_kit.viz.explorers.attention import AttentionExplorer
from llamavid_kit.viz.explorers.live_figure import Click, LiveFigure
from llamavid_kit.viz.explorers.sampler import FrameSampler
from llamavid_kit.viz.explorers.shell import colour_scale, heat_map, heat_scale


def test_what_shows_nothing_saves_nothing_and_says_why(model, tmp_path):
    nothing = tmp_path / "none.mp4"
    for explorer, why in (
        (AttentionExplorer(model, nothing), "no such file"),
        (FrameSampler(nothing), "no such file"),
        (PredictionBrowser(tmp_path), "config.json is not there"),
    ):
        for name in ("a.doc", "a.png", "a.html"):
            explorer.target.value = str(tmp_path / name)
            explorer.save_button.click()
        assert why in explorer.message and not list(tmp_path.glob("a.*"))
        assert explorer.saved.value.startswith("Not saved")
    explorer = AttentionExplorer(model, nothing)
    explorer.opacity.value = 0.3
    assert "no such file" in explorer.message  # still the reason


def test_print_and_screen_have_the_same_colours():
    from matplotlib.colors import to_rgba

    assert colour_scale("Blues")[0] == [0.0, "#f7fbff"]
    for place, colour in heat_scale():
        r, g, b, a = map(float, colour[5:-1].split(","))
        expected = to_rgba(heat_map()(place**0.5))
        assert (r / 255, g / 255, b / 255, a) == pytest.approx(expected, abs=0.005)
    assert heat_map()(0.0)[3] == 0 and heat_map()(1.0)[3] == 1


def test_a_live_figure_is_state_that_a_page_can_read_at_any_time():
    figure = LiveFigure()
    assert figure.figure is None and figure.drawing.value == ""
    figure.show(go.Figure(go.Bar(y=[1, 2]), layout={"title": {"text": "a"}}))
    told = figure.get_state(["drawing", "library"])
    assert told == {name: f"IPY_MODEL_{getattr(figure, name).model_id}" for name in told}
    drawn = json.loads(figure.drawing.get_state()["value"])
    assert drawn["data"][0]["y"] == [1, 2] and drawn["layout"]["title"]["text"] == "a"
    assert drawn["layout"]["width"] == live_figure.WIDTH_PX
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
