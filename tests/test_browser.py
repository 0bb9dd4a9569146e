"""What a person sees: JupyterLab in headless Chromium, its sliders dragged, its pictures looked at pixel by pixel.

Whatever the page complains of in its console, and every request to another host, is a failure. Each test leaves its
screenshots in its tmp_path.
"""

import io
import json
import time
from contextlib import contextmanager
from pathlib import Path

import lab
import made_up_runs
import nbformat
import numpy as np
import pytest
import small
from PIL import Image

from llamavid_kit.explorers.attention import AttentionExplorer
from llamavid_kit.explorers.budget import TokenBudget
from llamavid_kit.explorers.predictions import PredictionBrowser
from llamavid_kit.explorers.sampler import FrameSampler

pytest.importorskip("playwright.sync_api", reason="browser tests need playwright: pip install 'llamavid-kit[test]'")
pytestmark = pytest.mark.skipif(lab.CHROMIUM is None, reason="browser tests need Chromium: apt-get install chromium")

ROOT = Path(__file__).resolve().parents[1]
LABELS = ("Red", "Blue", "Nothing")
HEAT, FRAME, TITLE = ".heatmaplayer image", ".imagelayer image", ".gtitle"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(folder of its notebooks, address) of a JupyterLab of this file's own."""
    folder = tmp_path_factory.mktemp("lab")
    with lab.jupyter_lab(folder) as address:
        yield folder / "notebooks", address


@pytest.fixture(scope="module")
def chromium():
    with lab.chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, server, tmp_path):
    """An empty page as wide as a small laptop, which may ask the server and nobody else, and must not complain."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    watch = lab.Watch(context, allowed=server[1].removeprefix("http://"))
    page = context.new_page()
    page.set_default_timeout(1000 * lab.PATIENCE_S)
    yield page
    page.screenshot(path=tmp_path / "last.png")
    context.close()
    assert watch.complaints() == []


# --- reading and doing ------------------------------------------------------------------------------------------------


def until(page, true, what: str):
    """Wait until `true()` holds, at most `PATIENCE_S`; returns what it gave."""
    end = time.monotonic() + lab.PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < end, f"{what}: not within {lab.PATIENCE_S} s"
        page.wait_for_timeout(100)
    return found


def href(locator) -> str:
    """The picture that an SVG image holds."""
    return locator.get_attribute("xlink:href") or locator.get_attribute("href")


def pixels(locator) -> np.ndarray:
    """(H, W, 3) int of an element as it stands on the screen."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


@contextmanager
def changes(page, locator, read, what: str):
    """What `read(locator)` gives must become another, and a hundredth of the element's pixels visibly so."""
    before, seen = read(locator), pixels(locator)
    yield
    until(page, lambda: read(locator) != before, f"{what} changes")

    def visibly() -> bool:
        now = pixels(locator)
        return now.shape != seen.shape or (np.abs(now - seen).max(-1) > 12).mean() > 0.01

    until(page, visibly, f"{what} looks different")


def drag(page, handle, by_px: int) -> None:
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px, y, steps=6)
    page.mouse.up()


def slider(page, name: str):
    """(handle, readout) of the slider with that label."""
    box = page.locator(".widget-slider", has=page.get_by_text(name, exact=True))
    return box.locator(".noUi-handle"), box.locator(".widget-readout")


def drag_slider(page, name: str, by_px: int) -> str:
    """Drag it; what its readout says then."""
    handle, readout = slider(page, name)
    before = readout.inner_text()
    drag(page, handle, by_px)
    until(page, lambda: readout.inner_text() != before, f"slider {name} moves")
    return readout.inner_text()


def save_as(page, name: str, folder: Path) -> Path:
    box = page.get_by_label("Save as")
    box.fill(name)
    box.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(f"Saved {name}").wait_for()
    return folder / name


def matrix_cell(page, chart, *, diagonal: bool) -> tuple[str, str, dict]:
    """(true class, answered, place on the screen) of a cell that holds clips, on or off the diagonal."""
    cell = chart.evaluate("""(gd, diagonal) => {
        const {z, x, y} = gd._fullData[0], {xaxis, yaxis} = gd._fullLayout, found = [];
        z.forEach((row, i) => row.forEach((share, j) => {
            if (share > 0 && (y[i] === x[j]) === diagonal) found.push([y[i], x[j], xaxis._offset + xaxis.c2p(j),
                                                                    yaxis._offset + yaxis.c2p(i)]);
        }));
        return found.at(-1);
    }""", diagonal)  # fmt: skip
    assert cell, "no such cell holds a clip"
    return cell[0], cell[1], {"x": cell[2], "y": cell[3]}


def click_matrix(page, *, diagonal: bool) -> None:
    """A click on a cell chooses it: selections, the frame around it, and the clip's table follow."""
    chart = page.locator(".js-plotly-plot", has=page.locator(HEAT)).first
    chart.scroll_into_view_if_needed()
    truth, answered, place = matrix_cell(page, chart, diagonal=diagonal)
    with changes(page, chart, lambda c: c.locator(".shapelayer path").get_attribute("d"), "the frame around the cell"):
        chart.click(position=place)
    chosen = [page.get_by_label(name, exact=True) for name in ("True class", "Answered")]
    until(page, lambda: [c.locator("option:checked").inner_text() for c in chosen] == [truth, answered], "selections")
    clip = until(page, lambda: page.get_by_label("Clip", exact=True).locator("option:checked").inner_text(), "a clip")
    page.locator(".widget-html", has_text=f"{clip} true class: {truth}").wait_for()


# --- the notebooks ----------------------------------------------------------------------------------------------------


def test_notebook_06_in_jupyterlab(page, server, tmp_path):
    folder, address = server
    lab.bare(ROOT / "notebooks" / "06_attention_maps.ipynb", folder / "06.ipynb")
    lab.open_and_run(page, address, "06.ipynb")
    heat, frame = page.locator(HEAT).first, page.locator(FRAME).first
    heading = page.locator(TITLE).first
    heat.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "06-before.png")

    line = page.locator(".js-plotly-plot").nth(1).locator(".shapelayer path")
    was = line.get_attribute("d")
    with changes(page, heat, href, "the heat"), changes(page, frame, href, "the frame under it"):
        at = drag_slider(page, "Frame", 70)
    until(page, lambda: f"frame {int(at) + 1} of" in heading.text_content(), "the heading names the slider's frame")
    until(page, lambda: line.get_attribute("d") != was, "the line on the timeline moves")

    with changes(page, heat, lambda x: x.evaluate("e => e.style.opacity || e.getAttribute('opacity')"), "the opacity"):
        drag_slider(page, "Opacity", 30)
    with changes(page, heat, href, "one query's heat"):
        page.get_by_label("Query").select_option("query 1")

    asked = "How many people are there?"
    with changes(page, heat, href, "the heat of another question"):
        box = page.get_by_label("Question")
        box.click()
        box.press("Control+a")
        page.keyboard.type(asked)
        page.keyboard.press("Enter")
    assert page.locator(".annotation-text").first.text_content() == f"“{asked}”"
    page.locator(".widget-html", has_text=f"“{asked}” →").wait_for()

    with changes(page, frame, href, "the frame of a thumbnail"):
        strip = page.locator(".js-plotly-plot").nth(1)
        strip.locator(".scatterlayer .points path").first.click(force=True)
    until(page, lambda: slider(page, "Frame")[1].inner_text() == "0", "the first thumbnail is the first frame")
    saved = save_as(page, "seen.html", folder)
    assert asked in saved.read_text()
    heat.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "06-after.png")


def made_up_run(folder: Path) -> Path:
    """A run of 12 clips with likelihoods, and the clips."""
    made = made_up_runs.MadeUp({(True, 1): 0.3, (True, 6): 0.6}, n_test=12, labels=LABELS, groups=False)
    run = made_up_runs.write_run(folder / "run", made)
    for path in (run / "arms").glob("*likelihood.jsonl"):
        head, *lines = map(json.loads, path.read_text().splitlines())
        for line in lines:
            line["log_likelihood"] = {x: float(np.log(0.4 if x == line["label"] else 0.05)) for x in LABELS}
        path.write_text("\n".join(map(json.dumps, [head, *lines])))
    for pair in json.loads((run / "clips.json").read_text())["test"]:
        small.write_clip(folder / pair["video"], seconds=int(made_up_runs.LENGTH_S), fps=6)
    return run


@pytest.fixture
def opened(page, server, tmp_path):
    """Runs cells in a notebook of its own, named after the test."""

    def run(*sources: str):
        name = f"{tmp_path.name}.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), server[0] / name)
        lab.open_and_run(page, server[1], name)
        page.locator(".js-plotly-plot .main-svg").first.wait_for()

    return run


def test_the_matrix_of_notebook_09_is_clicked(page, opened, tmp_path):
    """Its imports and its browser, over a made-up run instead of minutes of training."""
    book = nbformat.read(ROOT / "notebooks" / "09_fps_ablation.ipynb", as_version=4)
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    imports = next(source for source in code if "import llamavid_kit as lvk" in source)
    browser = next(source for source in code if "lvk.PredictionBrowser(" in source)
    run = made_up_run(tmp_path)
    made = f"run, clips, slow = Run({str(run)!r}), {str(tmp_path)!r}, 'lora-1fps-seed0-generation'"
    opened(imports, made, browser)
    click_matrix(page, diagonal=True)
    until(page, lambda: page.locator(".widget-html img").count() == 8, "the clip's frames")
    page.screenshot(path=tmp_path / "cell.png")
    click_matrix(page, diagonal=False)
    with changes(page, page.locator(HEAT).first, href, "another arm's matrix"):
        page.get_by_label("Arm", exact=True).select_option(index=2)


def test_the_sampler_is_dragged(page, opened, tmp_path):
    clip = small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)
    opened(f"import llamavid_kit as lvk\nlvk.FrameSampler({str(clip)!r}, [(0.9, 1.6)]).view")
    chart = page.locator(".js-plotly-plot")
    with changes(page, chart, lambda c: c.locator(".scatterlayer path.point").count(), "the budget's frames"):
        budget = drag_slider(page, "Budget", 40)
    until(page, lambda: f"budget of {budget}" in chart.locator(".ytick").last.text_content(), "the rule's name")
    page.get_by_label("Frames of").select_option("2 fps")
    until(page, lambda: page.locator(".widget-html img").count() == 6, "the rule's thumbnails")


def test_the_budget_is_dragged(page, opened):
    opened("import llamavid_kit as lvk\nlvk.TokenBudget(duration_s=600).view")
    chart = page.locator(".js-plotly-plot")
    with changes(page, chart, lambda c: c.locator(".barlayer .point path").first.get_attribute("d"), "the first bar"):
        fps = drag_slider(page, "Frames a second", 250)
    until(page, lambda: f"600 s at {float(fps):g} fps" in page.locator(TITLE).text_content(), "the title")
    page.get_by_role("alert").get_by_text("does not fit").wait_for()


# --- what explorers export --------------------------------------------------------------------------------------------


@pytest.fixture
def alone(chromium):
    """A page that may ask nobody at all; fails where it tried, or complained."""
    context = chromium.new_context(viewport={"width": 1120, "height": 900}, offline=True)
    watch = lab.Watch(context)
    yield context.new_page()
    context.close()
    assert watch.complaints() == []


@pytest.fixture
def explorer(request, model, tmp_path):
    clip = small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)
    make = {
        "attention": lambda: AttentionExplorer(model, clip, "What </script><b>happens?", fps=2, name="small"),
        "frames": lambda: FrameSampler(clip, [(0.9, 1.6)]),
        "budget": lambda: TokenBudget(duration_s=600, fps=2),
        "predictions": lambda: PredictionBrowser(made_up_run(tmp_path), root=tmp_path),
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
    if isinstance(explorer, AttentionExplorer):
        heat = alone.locator(HEAT).first
        with changes(alone, heat, href, "the heat of another frame"):
            drag(alone, alone.locator(".slider-grip-rect"), 300)
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
