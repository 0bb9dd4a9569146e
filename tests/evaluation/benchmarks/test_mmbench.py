"""MMBench: letters as VLMEvalKit reads them, every rotation, and the sheet for the server."""

from pathlib import Path

import pytest
from scripted_model import made, run

from llamavid_kit.evaluation.benchmarks import mmbench
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter
from llamavid_kit.evaluation.benchmarks.run import RESULT


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A or B or Z", None),  # "Z" is for replies that name no letter of the choices
        ("A is what I see in it, Z", None),
        ("It is Z", "Z"),
        ("the B of these four", "B"),  # the second of five words is among the last five but one, the first is not
        ("B is one of these", None),
        ("Cannot determine the answer A", "Z"),  # a refusal, as it is written
        ("cannot determine the answer A", "A"),
    ],
)
def test_z_is_read_where_no_other_letter_stands(reply, letter):
    assert mmbench.infer_option(reply, {"A": "dog", "B": "cat"}) == letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [("It is A?", None), ("It is #A", "A"), ("It is {A}", "A"), ("It is A!", "A")],
)
def test_marks_around_a_letter(reply, letter):
    assert mmbench.infer_option(reply, {"A": "dog", "B": "cat"}) == letter


def test_a_reply_twice_as_long_as_the_choices_is_still_read():
    choices = {"A": "dog", "B": "cat"}
    assert mmbench.infer_text("it is a dog!", choices) == "A" and len("it is a dog!") == 2 * len("dogcat")
    assert mmbench.infer_text("it is a dog!!", choices) is None
    assert mmbench.infer_text("A DOG", choices) == "A" and strict_letter("it is dog or cat", choices) is None


def test_a_reply_that_names_two_choices_names_none():
    choices = {"A": "big dog", "B": "small cat"}
    assert mmbench.infer_text("dog? a big dog", choices) == "A"
    assert mmbench.infer_text("big dog, small cat", choices) is None


def test_a_refusal_is_no_answer_and_rows_are_counted_as_rows():
    choices = {"A": "dog", "B": "cat"}
    items = [
        Item(name, Path("t.tsv"), "", "", (answer,), cluster=name[0], extra={"choices": choices})
        for name, answer in (("1a", "A"), ("1b", "B"), ("2a", "A"))
    ]
    score = mmbench.score(items, {"1a": "A", "1b": "It is Z", "2a": "A"}, mode="original")
    assert score.no_answer == ("1b",) and score.value == 50
    assert score.more["plain accuracy"] == pytest.approx(100 * 2 / 3)


def test_a_question_of_one_row_is_a_question():
    items = [
        Item(str(k), Path("t.tsv"), "", "", ("A",), cluster=str(k % 10), extra={"choices": {"A": "dog", "B": "cat"}})
        for k in (1, 2, 11)
    ]
    score = mmbench.score(items, {"1": "A", "11": "B", "2": "A"}, mode="original")
    assert score.outcomes == {"1": 0, "2": 1} and score.value == 50


def test_mmbench_wants_every_rotation(tmp_path):
    """One wrong row of one question costs the question, and one row of the plain accuracy."""
    pytest.importorskip("openpyxl")
    chosen, items, truth = made("mmbench", tmp_path)
    replies = truth | {"1000240": "A" if truth["1000240"] == "B" else "B"}
    for mode in chosen.modes:
        score = chosen.score(items, replies, mode=mode)
        assert score.value == 75 and score.outcomes == {"240": 0, "241": 1, "242": 1, "243": 1}
        assert score.more["rows right"] == len(items) - 1 and score.more["questions with missing rotations"] == 0
    short = [item for item in items if item.id != "1000241"]
    rest = {item.id: truth[item.id] for item in short}
    assert chosen.score(short, rest, mode="original").more["questions with missing rotations"] == 1


def test_mmbench_submission_holds_text(tmp_path):
    """A row an item with the reply as it is; one that begins with "=" is no formula."""
    openpyxl = pytest.importorskip("openpyxl")
    result, _, items = run("mmbench", tmp_path, replies=lambda letter: f"={letter}")
    sheet = openpyxl.load_workbook(result.submission).active
    header, *rows = sheet.iter_rows(values_only=True)
    assert header == ("index", "question", "A", "B", "C", "D", "prediction", "answer", "split")
    assert [str(row[0]) for row in rows] == [item.id for item in items]
    assert [row[6] for row in rows] == [f"={item.answers[0]}" for item in items]
    assert {cell.data_type for cell in sheet["G"]} == {"s"}
    assert rows[0][4:6] == (None, None)


def test_mmbench_submission_of_a_reply_that_no_sheet_can_hold(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    result, _, items = run("mmbench", tmp_path, replies=lambda letter: f"{letter}\x08\n")
    sheet = openpyxl.load_workbook(result.submission).active
    cells = [row[6] for row in sheet.iter_rows(values_only=True)][1:]
    assert cells == [f"{item.answers[0]}_x0008_\n" for item in items] and (tmp_path / "out" / RESULT).is_file()
