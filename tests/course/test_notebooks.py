"""What is saved of the course's notebooks is fit to be read, and keeps the lessons' promises and pace."""

import re
import statistics
from itertools import pairwise

import pytest
from lessons import BOOKS, LESSONS, PATHS, REPORTS, ROOT, SOLUTIONS, code_cells

WORDS_A_LINE, LONGEST_CELL, MEDIAN_CELL, CELLS_TO_A_PICTURE = 4, 25, 6, 5
WIDEST_LINE = 100  # characters: what JupyterLab shows uncut in a window of 1,280 pixels


def prose(name: str) -> list[str]:
    return [cell.source for cell in BOOKS[name].cells if cell.cell_type == "markdown"]


def told(name: str) -> list:
    """The cells of code that stand before the exercises."""
    at = next(i for i, cell in enumerate(BOOKS[name].cells) if "## Exercises\n" in cell.source)
    return [cell for cell in BOOKS[name].cells[:at] if cell.cell_type == "code"]


def n_lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def test_every_notebook_is_a_lesson_or_a_report_or_the_solutions():
    assert sorted([*LESSONS, *REPORTS, "solutions"]) == sorted(BOOKS) and SOLUTIONS == ["solutions"]
    numbered = [name for name in BOOKS if re.match(r"\d\d_", name)]
    assert len(LESSONS) >= 6 and set(LESSONS) <= set(numbered)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_begins_as_promised(name):
    first, second = BOOKS[name].cells[:2]
    assert first.cell_type == "markdown" and first.source.startswith(f"# {name[:2]} · ")
    assert all(promise in first.source for promise in ("After this notebook you can", "Minutes:", "Builds on:", "GPU"))
    assert second.source.split("\n")[0] == 'MODEL = "tiny"' and second.metadata["tags"] == ["parameters"]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_keeps_its_pace(name):
    """At least four words a line of code, short cells, a picture within every five cells of code before exercises."""
    lines = [n_lines(cell) for cell in code_cells(name)]
    assert len(" ".join(prose(name)).split()) >= WORDS_A_LINE * sum(lines)
    assert statistics.median(lines) <= MEDIAN_CELL and max(lines) <= LONGEST_CELL
    shown = [any({"image/png", "image/jpeg"} & set(o.get("data", ())) for o in c.outputs) for c in told(name)]
    for start in range(len(shown) - CELLS_TO_A_PICTURE + 1):
        assert any(shown[start : start + CELLS_TO_A_PICTURE]), told(name)[start].source


@pytest.mark.parametrize("name", BOOKS)
def test_code_is_not_cut_off_on_a_small_screen(name):
    lines = [line for cell in code_cells(name) for line in cell.source.splitlines()]
    assert not [line for line in lines if len(line) > WIDEST_LINE]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_asks_before_it_tells(name):
    """Guesses are written down in a cell of their own, before a cell that says something; exercises have answers."""
    cells = code_cells(name)
    guesses = [i for i, cell in enumerate(cells) if "my_guess = " in cell.source]
    assert len(guesses) >= 2
    assert all("my_guess" not in line.split("=")[-1] for i in guesses for line in cells[i].source.splitlines())
    assert all(cells[i + 1].outputs or cells[i + 2].outputs or "assert" in cells[i + 1].source for i in guesses)
    text = "\n".join(prose(name))
    exercises = re.search(r"## Exercises\n(.*?)<details>", text, re.S).group(1)
    assert exercises.count("\n1. ") == 1 and exercises.count("\n2. ") == 1
    assert "</details>" in text and "## Recap" in text and "**Next:**" in text


@pytest.mark.parametrize("name", [name for name in LESSONS if name[:2] not in ("08", "09")])
def test_a_guess_is_printed_beside_what_came_out(name):
    """By a later cell, before the next guess is asked for."""
    sources = [cell.source for cell in code_cells(name)]
    guesses = [i for i, source in enumerate(sources) if "my_guess = " in source]
    for i, until in pairwise([*guesses, len(sources)]):
        assert "my_guess" in "".join(sources[i + 1 : until]), sources[i]


@pytest.mark.parametrize("name", [name for name in LESSONS if any("\ncheck(" in c.source for c in code_cells(name))])
def test_an_exercise_says_how_long_it_takes_and_gives_hints(name):
    text = "\n".join(prose(name)).split("## Exercises\n")[1]
    assert "★ five minutes, ★★ a quarter of an hour.\n" in text
    exercises = re.findall(r"^\d\. (.*)", text.split("<details>")[0], re.M)
    assert len(exercises) >= 2 and all(re.match("★{1,2} ", line) for line in exercises)
    assert re.findall(r"<summary>(.*)</summary>", text) == ["Hint 1", "Hint 2", "Answers"]


@pytest.mark.parametrize("name", LESSONS[1:5])
def test_a_part_built_by_hand_equals_the_librarys(name):
    assert any("torch.testing.assert_close" in cell.source for cell in code_cells(name))


@pytest.mark.parametrize("name", LESSONS + SOLUTIONS)
def test_saved_outputs_come_from_one_run(name):
    """Restart and run all: cells are counted from 1, without a gap, and no cell failed."""
    assert [c.execution_count for c in code_cells(name)] == list(range(1, len(code_cells(name)) + 1))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_is_saved_is_clean(path):
    """Small, without errors, widgets, warnings, progress bars, or paths of the machine that made it."""
    book = BOOKS[path.stem]
    assert path.stat().st_size < 500_000
    assert "widgets" not in book.metadata
    outputs = [output for cell in code_cells(path.stem) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert not [kind for o in outputs for kind in o.get("data", ()) if "widget" in kind]
    texts = [c.source for c in book.cells] + [o.get("text", "") for o in outputs]
    texts += [v for o in outputs for kind, v in o.get("data", {}).items() if kind.startswith("text/")]
    for text in texts:
        assert not re.search(r"(?<![\w.:/<])/\w[\w.-]*/\w[\w.-]*/|[A-Z]:\\\\|it/s\]", text), text


@pytest.mark.parametrize("name", BOOKS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", "\n".join(prose(name))):
        assert (ROOT / "notebooks" / target).exists(), target


def test_lessons_lead_from_one_to_the_next():
    for name, following in pairwise(LESSONS):
        assert f"({following}.ipynb)" in prose(name)[-1], name


@pytest.mark.parametrize("name", BOOKS)
def test_the_readme_lists_every_notebook(name):
    assert f"](notebooks/{name}.ipynb)" in (ROOT / "README.md").read_text(encoding="utf-8")
