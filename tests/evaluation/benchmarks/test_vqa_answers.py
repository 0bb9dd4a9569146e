"""VizWiz and VQA v2: answers normalised, compared with people, and written for the server."""

import json
from pathlib import Path

import pytest
from made_up_benchmarks import vizwiz, vqav2
from official_scripts import m4c_accuracy
from scripted_model import run

from llamavid_kit.evaluation.benchmarks import benchmark, vqa_answers
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, vqa_accuracy


def test_vqa_accuracy_needs_people():
    with pytest.raises(ValueError, match="no people"):
        vqa_accuracy("red", [])


def test_a_possessive_in_capitals_splits_off_too():
    assert evalai_answer("TOM'S cat") == "tom 's cat"


def test_textvqa_normalises_where_all_people_agree_too():
    assert m4c_accuracy("donut", ["Donut."] * 10) == 1 and vqa_accuracy("donut", ["Donut."] * 10) == 0


def test_the_first_32_periods_go():
    assert (evalai_answer("." * 32), evalai_answer("." * 33)) == ("", ".")


def test_fewer_than_ten_people():
    assert vqa_accuracy("x", ["x", "y", "x"]) == pytest.approx((1 / 3 + 2 / 3 + 1 / 3) / 3)


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ("1000day", "1,000/day"),  # a comma between digits: every mark goes without a blank
        ("15", "1,5"),  # whether it is one of thousands or not
        ("x cd", "x, c,d"),  # one comma beside a blank decides for all of them
        ("c d", "c,d"),
    ],
)
def test_marks_in_people_s_answers(answer, written):
    assert vqa_accuracy(answer, [*[written] * 9, "other"]) == 1


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("red?blue", "redblue"),  # these two go before a mark could become a blank
        ("red,blue", "redblue"),
        ("red;blue", "red blue"),
        ("x /y c/d", "x y cd"),  # a blank before one stroke decides for the other
        ("x/ y c/d", "x y cd"),
    ],
)
def test_marks_in_replies(reply, answer):
    assert evalai_answer(reply) == answer


def test_people_who_agree_are_compared_as_they_wrote():
    """The official scorer normalises where people disagree; LLaVA's evaluator of TextVQA would always."""
    people = (["Donut."] * 10, ["Donut."] * 9 + ["bagel"])
    items = [Item(str(k), Path(f"{k}.jpg"), "", "", tuple(answers)) for k, answers in enumerate(people)]
    assert list(vqa_answers.score(items, {"0": "Donut.", "1": "Donut."}, mode="original").outcomes.values()) == [0, 1]


def test_answer_and_question_types_of_vqa_are_not_mixed_up(tmp_path):
    vqav2(tmp_path, labelled=True)
    items = benchmark("vqav2").load(tmp_path)
    assert [i.split for i in items] == ["yes/no", "other", "yes/no", "other"]
    score = vqa_answers.score(items, {i.id: "red" for i in items}, mode="original")
    assert set(score.parts) == {"yes/no", "other"} and set(score.more["perQuestionType"]) == {"what"}


def test_answer_types_of_vizwiz(tmp_path):
    vizwiz(tmp_path, labelled=True)
    assert {i.split for i in benchmark("vizwiz").load(tmp_path)} == {"other"}


@pytest.mark.parametrize(("name", "make"), [("vizwiz", vizwiz), ("vqav2", vqav2)])
def test_labelled_questions_are_asked_as_the_server_s(name, make, tmp_path):
    """Those hold LLaVA's instructions in the file; ours are put together here, and the text decoder gets all of it."""
    prompts = []
    for labelled in (False, True):
        make(tmp_path / str(labelled), labelled=labelled)
        items = benchmark(name).load(tmp_path / str(labelled))
        assert all(item.question == item.prompt for item in items)
        prompts.append({item.prompt for item in items})
    assert prompts[0] == prompts[1] and all("\nAnswer the question using" in prompt for prompt in prompts[0])


@pytest.mark.parametrize("name", ["vizwiz", "vqav2"])
def test_labelled_questions_are_scored_here(name, tmp_path):
    """Nine of ten people said the colour: the reply scores 1, "colour" scores what leaving one out gives."""
    result, _, items = run(name, tmp_path / "a", labelled=True)
    assert result.scores["original"].value == pytest.approx(100) and result.submission is None
    assert all(len(item.answers) == 10 for item in items)
    once, _, _ = run(name, tmp_path / "b", replies=lambda _: "A colour.", labelled=True)
    assert once.scores["original"].value == pytest.approx(30)  # nine of ten draws leave one who said it: 9/10 · 1/3
    assert once.intervals["original"][""] is None  # equal scores in part show no spread


def test_server_files(tmp_path):
    """VizWiz by picture, VQA v2 every test id with "" for those not asked; answers normalised."""
    vizwiz_file = json.loads(run("vizwiz", tmp_path / "a", replies=lambda c: f"A {c}.")[0].submission.read_text())
    assert vizwiz_file[0] == {"image": "VizWiz_test_00000000.png", "answer": "red"} and len(vizwiz_file) == 4
    vqa_file = json.loads(run("vqav2", tmp_path / "b", replies=lambda c: f"The {c}!")[0].submission.read_text())
    assert vqa_file[:2] == [{"question_id": 5, "answer": ""}, {"question_id": 1000, "answer": "red"}]
    assert len(vqa_file) == 5
