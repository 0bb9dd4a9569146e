"""A lesson's slides in a browser: every slide fits its screen, keys turn them, and nothing is asked for."""

import pytest
from lessons import BOOKS, LESSONS

from llamavid_kit.viz.slides import slides

pytestmark = pytest.mark.slow
TOO_TALL = (
    "[...document.querySelectorAll('section')].filter(s => s.scrollHeight > s.clientHeight).map(s => s.innerText)"
)


@pytest.mark.parametrize("name", LESSONS)
def test_slides_fit_the_screen(chromium, tmp_path, name):
    path = tmp_path / "slides.html"
    path.write_text(slides(BOOKS[name]), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate(TOO_TALL) == []
    for key, at in (("ArrowRight", 1), ("PageDown", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        page.wait_for_function(f"Math.round(scrollY / innerHeight) == {at}")
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()] and said == []
    page.close()
