"""What all explorers share: refusals and colours."""

import pytest
from matplotlib.colors import to_hex, to_rgb, to_rgba

from llamavid_kit.experiments.browser import PredictionBrowser
from llamavid_kit.viz.explorers.attention import AttentionExplorer
from llamavid_kit.viz.explorers.sampler import FrameSampler
from llamavid_kit.viz.explorers.shell import HEAT, colour_scale, heat_map, heat_scale, on_white


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
        assert explorer.save_note.value.startswith("Not saved")
    explorer = AttentionExplorer(model, nothing)
    explorer.opacity.value = 0.3
    assert "no such file" in explorer.message  # still the reason


def test_print_and_screen_have_the_same_colours():
    assert colour_scale("Blues")[0] == [0.0, "#f7fbff"]
    for place, colour in heat_scale():
        r, g, b, a = map(float, colour[5:-1].split(","))
        expected = to_rgba(heat_map()(place**0.5))
        assert (r / 255, g / 255, b / 255, a) == pytest.approx(expected, abs=0.005)
    assert heat_map()(0.0)[3] == 0 and heat_map()(1.0)[3] == 1
    paper = on_white(heat_map(), 0.5)
    assert to_hex(paper(0.0)) == "#ffffff" and to_rgb(HEAT) == pytest.approx([2 * x - 1 for x in paper(1.0)[:3]])
