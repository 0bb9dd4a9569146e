"""What explorers export, in a browser that may ask nobody."""

import lab
import numpy as np
import pytest
import small
from hands import HEAT, UPLOADS, changes, drag, href, until
from PIL import Image

from llamavid_kit.experiments.browser import PredictionBrowser
from llamavid_kit.viz.explorers.attention import AttentionExplorer
from llamavid_kit.viz.explorers.budget import TokenBudget
from llamavid_kit.viz.explorers.sampler import FrameSampler

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer(request, model, tmp_path):
    clip = small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)
    make = {
        "attention": lambda: AttentionExplorer(model, clip, "What </script><b>happens?", fps=2, name="small"),
        "frames": lambda: FrameSampler(clip, [(0.9, 1.6)]),
        "budget": lambda: TokenBudget(duration_s=600, fps=2),
        "predictions": lambda: PredictionBrowser(request.getfixturevalue("made_up_run"), root=tmp_path),
    }
    return make[request.param]()


EXPLORERS = ("attention", "frames", "budget", "predictions")


@pytest.mark.parametrize("explorer", EXPLORERS, indirect=True)
def test_an_exported_page_shows_itself_offline(alone, explorer, tmp_path):
    alone.goto(explorer.export(tmp_path / "page.html").as_uri())
    drawn = alone.locator(".js-plotly-plot .main-svg")
    drawn.first.wait_for()
    alone.screenshot(path=tmp_path / "page.png", full_page=True)
    assert alone.locator("h1").inner_text() == explorer.title
    assert alone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")  # nothing is cut off
    assert alone.locator(".modebar-btn").count() and not alone.locator(UPLOADS).count()
    if isinstance(explorer, AttentionExplorer):
        heat = alone.locator(HEAT).first
        with changes(alone, heat, href, "the heat of another frame"):
            drag(alone, alone.locator(".slider-grip-rect"), 300)
        first = alone.locator(".scatterlayer .point").first.bounding_box()
        with changes(alone, heat, href, "the heat of the second where the timeline was clicked"):
            alone.mouse.click(first["x"] + 12, first["y"] - 12)  # near the first second's point, not on it
        alone.screenshot(path=tmp_path / "dragged.png", full_page=True)


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("explorer", EXPLORERS, indirect=True)
def test_an_exported_picture_shows_itself(alone, explorer, kind, tmp_path):
    alone.goto(explorer.export(tmp_path / f"picture.{kind}").as_uri())
    seen = tmp_path / "seen.png"
    alone.screenshot(path=seen)
    assert np.asarray(Image.open(seen).convert("L")).std() > 5


def test_the_watch_sees_complaints_and_requests_elsewhere(chromium):
    """What all tests here rely on."""
    context = chromium.new_context()
    watch = lab.Watch(context)
    page = context.new_page()
    page.set_content("<script>console.error('a'); setTimeout(() => { throw Error('b') })</script>")
    page.set_content("<img src='http://elsewhere.invalid/c.png'>")
    until(page, lambda: len(watch.complaints()) >= 3, "three complaints")
    context.close()
    said = " ".join(watch.complaints())
    assert "console: a" in said and "b" in said and "asked http://elsewhere.invalid/c.png" in said
