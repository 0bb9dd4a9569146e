"""Replies at the edges of the rules that read them, by hand, and what labelled data are split by."""

from pathlib import Path

import pytest
from made_up_benchmarks import vizwiz, vqav2
from made_up_video_benchmarks import VIDEO, write_json

from llamavid_kit.evaluation.benchmarks import benchmark, mmbench, pope, scienceqa, video_chatgpt, vqa_answers
from llamavid_kit.evaluation.benchmarks.base import Item, part
from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, vqa_accuracy
from llamavid_kit.evaluation.judges.judge import RuleJudge
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE


def items_of(*answers, **options):
    return [Item(str(k), Path(f"{k}.jpg"), "", "", tuple(a), **options) for k, a in enumerate(answers)]


def test_answer_and_question_types_of_vqa_are_not_mixed_up(tmp_path):
    vqav2(tmp_path, labelled=True)
    items = benchmark("vqav2").load(tmp_path)
    assert [i.split for i in items] == ["yes/no", "other", "yes/no", "other"]
    found = vqa_answers.score(items, {i.id: "red" for i in items}, mode="original")
    assert set(found.parts) == {"yes/no", "other"} and set(found.more["perQuestionType"]) == {"what"}


def test_answer_types_of_vizwiz(tmp_path):
    vizwiz(tmp_path, labelled=True)
    assert {i.split for i in benchmark("vizwiz").load(tmp_path)} == {"other"}


def test_people_who_agree_are_compared_as_they_wrote():
    """The official scorer normalises where people disagree; LLaVA's evaluator of TextVQA would always."""
    items = items_of(["Donut."] * 10, ["Donut."] * 9 + ["bagel"])
    assert list(vqa_answers.score(items, {"0": "Donut.", "1": "Donut."}, mode="original").outcomes.values()) == [0, 1]


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
    ("reply", "kept"),
    [
        ("red?blue", "redblue"),  # these two go before a mark could become a blank
        ("red,blue", "redblue"),
        ("red;blue", "red blue"),
        ("x /y c/d", "x y cd"),  # a blank before one stroke decides for the other
        ("x/ y c/d", "x y cd"),
    ],
)
def test_marks_in_replies(reply, kept):
    assert evalai_answer(reply) == kept


def test_the_original_says_an_answer_once():
    said = {"The answer is A.": "A", "The answer is A. The answer is A.": scienceqa.FAILED, "A.b": scienceqa.FAILED}
    said |= {"A. b": "A", "A.": scienceqa.FAILED}
    assert {reply: scienceqa.original_letter(reply) for reply in said} == said


def test_a_prompt_that_talks_of_an_image_shows_none():
    problems = {"1": {"choices": ["a", "b"], "answer": 0}}
    found = scienceqa.original_report(problems, ["1"], {"1": {"text": "A", "prompt": "In the image, which?"}})
    assert (found["img_total"], found["correct"]) == (0, 1)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [("It is A?", None), ("It is #A", "A"), ("It is {A}", "A"), ("It is A!", "A")],
)
def test_marks_around_a_letter(reply, letter):
    assert mmbench.infer_option(reply, {"A": "dog", "B": "cat"}) == letter


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
    found = mmbench.score(items, {"1a": "A", "1b": "It is Z", "2a": "A"}, mode="original")
    assert found.no_answer == ("1b",) and found.value == 50
    assert found.more["plain accuracy"] == pytest.approx(100 * 2 / 3)


def test_a_choice_s_text_may_end_in_a_full_stop():
    assert strict_letter("A dog.", {"A": "cat", "B": "a dog"}) == "B"
    assert strict_letter("A dog!", {"A": "cat", "B": "a dog"}) is None


def test_a_comma_belongs_to_no_word():
    assert pope.said("No, a dog", mode="original") == "no" and pope.said("No; a dog", mode="original") == "yes"


def test_only_whole_outcomes_are_counted_as_right():
    assert part([0.5, 1.0]).k is None and part([0.0, 1.0]).k == 1


def test_an_axis_is_resampled_by_video(tmp_path):
    """Twelve rows about one clip are one observation: no resample differs, and the interval is all that there is."""
    folder = VIDEO["video_chatgpt"](tmp_path)
    rows = [{"video_name": "v_one", "Q": f"What, {k}?", "A": "a red block"} for k in range(12)]
    write_json(folder / "generic_qa.json", rows)
    items = video_chatgpt.load(folder)
    replies = {i.id: "a red block" if k % 2 else "a" for k, i in enumerate(items)}
    found = video_chatgpt.score(items, replies, mode="strict", judge=RuleJudge("words"))
    assert found.parts["Detail"].value == TOP_SCORE / 2 and found.more["Detail"]["score95"] == (0, TOP_SCORE)


def test_video_chatgpt_asks_twice_about_a_row_of_consistency():
    assert video_chatgpt.BENCHMARK.size == 3493
