"""What a person sees in JupyterLab: sliders dragged, figures clicked, pictures looked at pixel by pixel."""

from pathlib import Path

import lab
import pytest
import small
from hands import (
    CHART,
    FRAME,
    HEAT,
    TITLE,
    cell_shown,
    changes,
    click_matrix,
    drag_slider,
    href,
    retype,
    save_as,
    slider,
    until,
)
from lessons import IN_BROWSER, ROOT

from llamavid_kit.experiments.browser_figures import cell_clips, probabilities, replies
from llamavid_kit.experiments.run import Run

pytestmark = pytest.mark.slow

ATTENTION, ABLATION = IN_BROWSER


@pytest.fixture
def run_whole(page, server):
    """Runs a lesson's every cell, as it is and with nothing beside it; gives the folder that it ran in."""

    def run(name: str) -> Path:
        folder, address = server[0] / name, server[1]
        folder.mkdir()
        path = lab.bare(ROOT / "notebooks" / f"{name}.ipynb", folder / f"{name}.ipynb")
        lab.open_and_run(page, address, f"{name}/{path.name}", patience_s=1800)
        outputs = [output for cell in lab.saved(page, path) for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
        return folder

    return run


def test_notebook_06_in_jupyterlab(page, run_whole, tmp_path):
    folder = run_whole(ATTENTION)
    heat, frame = page.locator(HEAT).first, page.locator(FRAME).first
    strip, heading = page.locator(CHART).nth(1), page.locator(TITLE).first
    heat.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "06-before.png")

    line = strip.locator(".shapelayer path")
    was = line.get_attribute("d")
    with changes(page, heat, href, "the heat"), changes(page, frame, href, "the frame under it"):
        at = drag_slider(page, "Frame", 400)  # after the event, where the queries disagree
    until(page, lambda: f"frame {int(at) + 1} of" in heading.text_content(), "the heading names the slider's frame")
    until(page, lambda: line.get_attribute("d") != was, "the line on the timeline moves")

    def opacity(image) -> str:
        return image.evaluate("e => e.style.opacity || e.getAttribute('opacity')")

    with changes(page, heat, opacity, "the opacity"):
        drag_slider(page, "Opacity", -30)
    drag_slider(page, "Opacity", 200)  # to the full, where the rest is seen best
    until(page, lambda: opacity(heat) == "1", "the full opacity")
    with changes(page, heat, href, "one query's heat"):
        page.get_by_label("Query").select_option("query 2")

    first, second = "How many people are there?", "Is it night?"
    with changes(page, heat, href, "the heat of another question"):
        retype(page, "Question", first)
    with changes(page, page.locator(HEAT).nth(1), href, "the heat of another second question"):
        retype(page, "Compare with", second)
    assert page.locator(".annotation-text").all_text_contents()[:2] == [f"● “{first}”", f"■ “{second}”"]
    for question in (first, second):
        page.locator(".widget-html", has_text=f"“{question}” →").wait_for()

    with changes(page, strip, lambda s: s.locator(".point").count(), "the timeline at another rate"):
        retype(page, "Frames a second", "2")
    until(page, lambda: " 2 fps: frame" in heading.text_content(), "the heading names the rate")

    with changes(page, frame, href, "the frame of a thumbnail"):
        strip.locator(".scatterlayer .points path").first.click(force=True)
    until(page, lambda: slider(page, "Frame")[1].inner_text() == "0", "the first thumbnail is the first frame")
    assert not page.locator(".modebar-btn").count()
    saved = save_as(page, "seen.html", folder)
    assert first in saved.read_text()
    heat.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "06-after.png")


def of_the_cell(run: Run, arm: str, truth: str, answered: str) -> tuple[list, list, list]:
    """What `cell_shown` must find there, from the run's files."""
    clips = cell_clips(run, arm, truth, answered)["clip"].tolist()
    answers = replies(run, clips[0])
    answers["right"] = answers["right"].map({True: "right", False: "wrong"})
    return clips, answers.astype(str).to_numpy().tolist(), probabilities(run, clips[0]).T.to_numpy().tolist()


def test_notebook_09_in_jupyterlab(page, run_whole, tmp_path):
    """Trainings and all; the notebook's last words on the browser choose the fullest wrong cell of this arm."""
    run, arm = Run(run_whole(ABLATION) / "runs" / "fps-lesson" / "run-tiny"), "lora-seed0-1fps-generation"
    browser = page.locator(".jp-OutputArea-output", has=page.locator(HEAT))
    bars, heat = browser.locator(CHART).nth(1), browser.locator(HEAT)
    for diagonal in (True, False):
        with changes(page, bars, lambda _: cell_shown(browser), "what the cell shows"):
            cell = click_matrix(page, diagonal=diagonal)
        until(page, lambda cell=cell: cell_shown(browser) == of_the_cell(run, arm, *cell), f"clips of {cell}")
        until(page, lambda: browser.locator(".widget-html img").count() == 6, "six seconds at 1 fps")
        heat.scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / f"09-{'right' if diagonal else 'wrong'}.png")
    with changes(page, heat, href, "another arm's matrix"):
        page.get_by_label("Arm", exact=True).select_option(index=2)


def test_the_sampler_is_dragged(page, opened, tmp_path):
    clip = small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)
    opened(f"import llamavid_kit as lvk\nlvk.FrameSampler({str(clip)!r}, [(0.9, 1.6)]).view")
    chart = page.locator(CHART)
    with changes(page, chart, lambda c: c.locator(".scatterlayer path.point").count(), "the budget's frames"):
        budget = drag_slider(page, "Budget", 40)
    until(page, lambda: f"budget of {budget}" in chart.locator(".ytick").last.text_content(), "the rule's name")
    page.get_by_label("Frames of").select_option("2 fps")
    until(page, lambda: page.locator(".widget-html img").count() == 6, "the rule's thumbnails")


def test_the_budget_is_dragged(page, opened):
    opened("import llamavid_kit as lvk\nlvk.TokenBudget(duration_s=600).view")
    chart = page.locator(CHART)
    with changes(page, chart, lambda c: c.locator(".barlayer .point path").first.get_attribute("d"), "the first bar"):
        fps = drag_slider(page, "Frames a second", 250)
    until(page, lambda: f"600 s at {float(fps):g} fps" in page.locator(TITLE).text_content(), "the title")
    page.get_by_role("alert").get_by_text("does not fit").wait_for()


def test_a_page_too_slow_for_anywidget_shows_and_moves_its_figure(page, opened):
    """anywidget drops what it is told of a widget whose code was not ready in two seconds; here none is in time."""
    page.add_init_script("{ const was = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = () => was(0); }")
    opened("import llamavid_kit as lvk\nbudget = lvk.TokenBudget(duration_s=600)\nbudget.fps.value = 2\nbudget")
    title = page.locator(TITLE)
    until(page, lambda: "600 s at 2 fps" in title.text_content(), "the state when the cell ran")
    with changes(page, page.locator(CHART), lambda _: title.text_content(), "the figure"):
        drag_slider(page, "Frames a second", 150)
