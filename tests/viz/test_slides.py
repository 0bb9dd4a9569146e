"""Slides are made of what a notebook has anyway, hold their pictures, and fetch nothing."""

import re

import nbformat
import pytest
from lessons import BOOKS, LESSONS, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from llamavid_kit.__main__ import main
from llamavid_kit.viz.slides import slides

PICTURE = new_output("display_data", {"image/png": "aGVsbG8=\n"})


def printed(text: str):
    return new_output("stream", name="stdout", text=text)


def book(*outputs):
    return new_notebook(
        cells=[
            new_markdown_cell("# 77 · Toys\n\n**After this notebook you can** do a thing.\n\n**Minutes:** none."),
            new_markdown_cell("## 1. Count\n\nOne product:\n\n    a × b\n\nMore words.\n\n**Predict.** How many?"),
            new_code_cell("my_guess = None", outputs=[printed("the side is 4")]),
            new_code_cell("secret_code()", outputs=[printed("your guess: None | it is 12\n"), *outputs]),
            new_markdown_cell("Is it twelve? It is. So we see how:"),
            new_code_cell("x", outputs=[printed("not after a guess")]),
            new_markdown_cell(
                "## Recap\n\n- All of [it](https://a.b/c).\n\n"
                "<script>run()</script>\n\n![p](//a.b/c.png)\n\n**Next:** 78"
            ),
        ]
    )


def shown(page: str) -> list[tuple[str, str]]:
    """(kind, words) of each slide, its header aside."""
    found = re.findall(r'<section class="(\w+)"><header>.*?</header>(.*?)</section>', page, re.S)
    return [(kind, " ".join(re.sub(r"<[^>]+>", " ", text).split())) for kind, text in found]


def test_a_slide_a_thought_in_the_notebooks_order():
    assert shown(slides(book(PICTURE))) == [
        ("title", "77 · Toys After this notebook you can do a thing."),
        ("section", "1. Count One product: a × b"),
        ("guess", "Predict More words. How many?"),
        ("guess", "the side is 4"),
        ("result", "it is 12 Is it twelve? It is."),
        ("list", "Recap All of it. run()"),
    ]


def test_slides_fetch_and_run_nothing_of_the_notebook():
    page = slides(book(PICTURE))
    assert "default-src 'none'" in page and page.count("<script>") == 1
    assert not re.search(r"<(link|iframe|a)\b|@import|url\(|(src|href)=\"?(https?:)?//", page)
    assert '<img alt="1. Count" src="data:image/png;base64,aGVsbG8=">' in page and "secret_code" not in page


def test_a_notebook_that_was_saved_without_its_outputs_is_refused(tmp_path, capsys):
    nbformat.write(book(), tmp_path / "bare.ipynb")
    assert main(["slides", str(tmp_path / "bare.ipynb"), "--out", str(tmp_path)]) == 2
    assert "bare.ipynb: no picture is saved" in capsys.readouterr().err


@pytest.mark.parametrize("name", LESSONS)
def test_every_lesson_becomes_slides(name, tmp_path):
    """A title, each section or a slide of it, guesses, all pictures, the recap."""
    assert main(["slides", str(ROOT / "notebooks" / f"{name}.ipynb"), "--out", str(tmp_path)]) == 0
    page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    kinds = [kind for kind, _ in shown(page)]
    assert kinds[0] == "title" and kinds.count("guess") >= 2 and kinds[-1] == "list"
    outputs = [output.get("data", {}) for cell in BOOKS[name].cells for output in cell.get("outputs", ())]
    assert page.count("<img ") == sum(bool({"image/png", "image/jpeg"} & data.keys()) for data in outputs)
