"""The lecturer's page: plans last as long as they say, sections that it names exist, the quiz has its answers."""

import re

import pytest
from lessons import BOOKS, ROOT

import llamavid_kit as lvk
from llamavid_kit.evaluation.statistics import paired_interval

TEXT = (ROOT / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")
PARTS = {part.split("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
NAMED = r"\[\d\d\]\((\w+)\.ipynb\)((?:, (?:and )?\*[^*\n]+\*(?: to \*[^*\n]+\*)?)*)"  # a notebook, and its sections


def prose(name: str) -> str:
    return "\n".join(cell.source for cell in BOOKS[name].cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(("plan", "minutes"), [("One hour", 60), ("Three hours", 180), ("A day", 420)])
def test_a_plan_lasts_as_long_as_it_says(plan, minutes):
    (part,) = (part for title, part in PARTS.items() if title.startswith(plan))
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| \d.*$", part, re.M)]
    assert sum(int(row[0]) for row in rows) == minutes
    assert all(len(row) == 5 for row in rows) and all(all(row) for row in rows if "](" in row[1])


def test_sections_exist():
    """A heading that a notebook no longer has is named here: write its new one into TEACHING.md."""
    named = [(book, section) for book, rest in re.findall(NAMED, TEXT) for section in re.findall(r"\*([^*]+)\*", rest)]
    gone = [(book, section) for book, section in named if f"\n## {section}\n" not in f"\n{prose(book)}\n"]
    assert len(named) > 40 and not gone


def test_the_quiz_has_twenty_questions_and_every_answer_says_where_it_stands():
    questions = re.split(r"^\*\*(\d+)\.\*\* ", PARTS["The quiz"], flags=re.M)[1:]
    assert [int(number) for number in questions[::2]] == [*range(1, 21)]
    for text in questions[1::2]:
        asked, answer = text.split("\n<details><summary>Answer</summary>\n\n")
        assert asked.strip().endswith("?") and "\n</details>" in answer
        assert all(rest for _, rest in re.findall(NAMED, answer)) and "See [" in " ".join(answer.split())


def test_what_a_good_student_is_told():
    """Notebook 11 on the hour, notebook 10 on the interval."""
    short, long = lvk.LlamaVidConfig.llama_vid_7b_224(), lvk.LlamaVidConfig.llama_vid_7b_224_long_video()

    def hour(config, fps):
        return str(lvk.plan(config, duration_s=3600, fps=fps))

    assert "= 7200," in hour(short, 1) and "does not fit" in hour(short, 1) and "(fits)" in hour(short, 0.5)
    assert "does not fit" in hour(long, 10) and "= 64800," in hour(long, 9) and "(fits)" in hour(long, 9)
    assert "weights 14.8 GiB; about 20.6 GiB of a GPU" in hour(long, 1)
    assert "cache 31.7 GiB" in hour(long, 9) and "about 52.3 GiB" in hour(long, 9)
    low, high = paired_interval(4, 12, 242)
    assert low > 0 and (round(100 * low, 1), round(100 * high, 1)) == (0.1, 7.0) and (12 - 4) / 16**0.5 == 2
    assert "an hour at 1 fps takes about 21 GiB" in prose("11_hours_of_video")
    assert "(12 − 4) / √(12 + 4) = 2.0" in prose("10_what_the_study_shows")
