"""What a person sees in JupyterLab: sliders dragged, figures clicked, pictures looked at pixel by pixel."""

from pathlib import Path

import lab
import nbformat
import small
from hands import FRAME, HEAT, TITLE, UPLOADS, changes, click_matrix, drag_slider, href, save_as, slider, until

ROOT = Path(__file__).resolve().parents[2]


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
    assert page.locator(".modebar-btn").count() and not page.locator(UPLOADS).count()
    saved = save_as(page, "seen.html", folder)
    assert asked in saved.read_text()
    heat.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "06-after.png")


def test_the_matrix_of_notebook_09_is_clicked(page, opened, made_up_run, tmp_path):
    """Its imports and its browser, over a made-up run instead of minutes of training."""
    book = nbformat.read(ROOT / "notebooks" / "09_fps_ablation.ipynb", as_version=4)
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    imports = next(source for source in code if "import llamavid_kit as lvk" in source)
    browser = next(source for source in code if "lvk.PredictionBrowser(" in source)
    made = f"run, clips, slow = Run({str(made_up_run)!r}), {str(tmp_path)!r}, 'lora-1fps-seed0-generation'"
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


def test_a_page_too_slow_for_anywidget_shows_and_moves_its_figure(page, opened):
    """anywidget drops what it is told of a widget whose code was not ready in two seconds; here none is in time."""
    page.add_init_script("{ const was = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = () => was(0); }")
    opened("import llamavid_kit as lvk\nbudget = lvk.TokenBudget(duration_s=600)\nbudget.fps.value = 2\nbudget")
    title = page.locator(TITLE)
    until(page, lambda: "600 s at 2 fps" in title.text_content(), "the state when the cell ran")
    with changes(page, page.locator(".js-plotly-plot"), lambda _: title.text_content(), "the figure"):
        drag_slider(page, "Frames a second", 150)
