"""Replies at the edges of each scorer, by hand: each keeps one step of a rule that no other test needs."""

import json
from pathlib import Path

import pytest
from made_up_benchmarks import MAKERS, vizwiz, vqav2
from made_up_video_benchmarks import VIDEO, write_json
from scripted_model import run

from llamavid_kit.evaluation.benchmarks import benchmark, gqa, mmbench, pope, video_chatgpt
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter
from llamavid_kit.evaluation.benchmarks.run import REPLIES, score_run
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, m4c_accuracy, vqa_accuracy
from llamavid_kit.evaluation.judges.judge import RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import ASKED_AGAIN, CRASHES, read_original


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


def test_a_reply_twice_as_long_as_the_choices_is_still_read():
    choices = {"A": "dog", "B": "cat"}
    assert mmbench.infer_text("it is a dog!", choices) == "A" and len("it is a dog!") == 2 * len("dogcat")
    assert mmbench.infer_text("it is a dog!!", choices) is None
    assert mmbench.infer_text("A DOG", choices) == "A" and strict_letter("a dog", choices) is None


def test_a_question_of_one_row_is_a_question():
    items = [
        Item(str(k), Path("t.tsv"), "", "", ("A",), cluster=str(k % 10), extra={"choices": {"A": "dog", "B": "cat"}})
        for k in (1, 2, 11)
    ]
    found = mmbench.score(items, {"1": "A", "11": "B", "2": "A"}, mode="original")
    assert found.outcomes == {"1": 0, "2": 1} and found.value == 50


def test_a_choice_that_names_other_letters_is_no_answer():
    choices = {"A": "Option B and option C", "B": "dog", "C": "cat"}
    assert strict_letter("Option B and option C", choices) is None
    assert strict_letter("dog", choices) == "B"
    assert strict_letter("dog", choices | {"C": "Dog"}) is None  # two choices of the same words


def test_a_possessive_in_capitals_splits_off_too():
    assert evalai_answer("TOM'S cat") == "tom 's cat"


def test_textvqa_normalises_where_all_people_agree_too():
    assert m4c_accuracy("donut", ["Donut."] * 10) == 1 and vqa_accuracy("donut", ["Donut."] * 10) == 0


def test_the_first_32_periods_go():
    assert (evalai_answer("." * 32), evalai_answer("." * 33)) == ("", ".")


def test_what_json_cannot_hold_is_a_crash():
    """The original writes each verdict as JSON: a set beside a good score leaves half a file."""
    found = read_original("{'pred': 'yes', 'score': 4, 'why': {1, 2}}")
    assert found.effect == CRASHES and found.error.startswith("TypeError") and found.verdict is None


def test_two_pairs_about_one_video_are_two_pairs(tmp_path):
    folder = VIDEO["video_chatgpt"](tmp_path)
    rows = [{"video_name": "v_one", "Q1": f"What is {k}?", "Q2": f"Which is {k}?", "A": str(k)} for k in (1, 2)]
    write_json(folder / "consistency_qa.json", rows)
    pairs = video_chatgpt.pairs(benchmark("video_chatgpt").load(folder))
    assert [(a.question, b.question, a.answers) for a, b in pairs] == [(r["Q1"], r["Q2"], (r["A"],)) for r in rows]


def test_kept_replies_are_joined_by_id(tmp_path):
    """The file's lines in another order give the same outcomes."""
    result, _, items = run("gqa", tmp_path)
    path = tmp_path / "out" / REPLIES
    head, *lines = path.read_text().splitlines()
    lines[0] = lines[0].replace('"reply": "', '"reply": "not ')
    found = []
    for order in (lines, lines[::-1]):
        path.write_text("\n".join([head, *order, ""]))
        found.append(score_run(result.benchmark, items, path).scores["original"].outcomes)
    assert found[0] == found[1] and list(found[0].values()) == [0.0] + [1.0] * (len(items) - 1)


def test_pictures_of_one_name_are_several(tmp_path):
    """ScienceQA calls each picture image.png, in a folder of its own."""
    MAKERS["scienceqa"](tmp_path)
    items = benchmark("scienceqa").load(tmp_path)
    assert len({item.group for item in items}) == len({item.media for item in items}) > 1
    assert {item.media.name for item in items} == {"image.png"}


def test_the_rule_of_words_counts_repeats():
    (said,) = RuleJudge("words").verdicts([JudgeItem("i", "?", "dog dog cat", "dog dog")])
    assert said.score == 1 + 8 * 2 // 5


@pytest.mark.parametrize(("name", "make"), [("vizwiz", vizwiz), ("vqav2", vqav2)])
def test_labelled_questions_are_asked_as_the_server_s(name, make, tmp_path):
    """Those hold LLaVA's instructions in the file; ours are put together here, and the text decoder gets all of it."""
    asked = []
    for labelled in (False, True):
        make(tmp_path / str(labelled), labelled=labelled)
        items = benchmark(name).load(tmp_path / str(labelled))
        assert all(item.question == item.prompt for item in items)
        asked.append({item.prompt for item in items})
    assert asked[0] == asked[1] and all("\nAnswer the question using" in prompt for prompt in asked[0])


def test_gqa_is_split_by_the_structural_type(tmp_path):
    MAKERS["gqa"](tmp_path)
    labels = json.loads((tmp_path / gqa.LABELS).read_text())
    for k, label in enumerate(labels.values()):
        label["types"] = {"structural": ("query", "verify")[k % 2], "semantic": "attr", "detailed": "color"}
    (tmp_path / gqa.LABELS).write_text(json.dumps(labels))
    assert {i.id: i.split for i in gqa.load(tmp_path)} == {k: v["types"]["structural"] for k, v in labels.items()}


def test_the_rule_of_mentions_knows_an_answer_that_is_an_article():
    (said,) = RuleJudge("mention").verdicts([JudgeItem("i", "which letter?", "A", "a.")])
    assert said.correct


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("Red..", "red", True),
        ("It is red.", "red", False),
        ("red car", "red", False),
        (" red", "red", False),
        ("red. ", "red", False),
        (".red", "red", False),
        ("Red", "Red", False),  # the label is compared as it is
    ],
)
def test_gqa_asks_for_the_whole_answer(reply, answer, right):
    items = [Item("1", Path("a.jpg"), "", "", (answer,))]
    assert gqa.score(items, {"1": reply}, mode="original").value == 100 * right


def test_accuracy_is_the_mean_over_questions_and_not_over_types():
    items = [Item(str(k), Path("a.jpg"), "", "", ("red",), split="query" if k else "verify") for k in range(4)]
    found = gqa.score(items, {"0": "red", "1": "blue", "2": "blue", "3": "red"}, mode="original")
    assert found.value == 50 and {n: p.k for n, p in found.parts.items()} == {"verify": 1, "query": 1}


def test_pope_is_the_mean_of_as_many_f1_as_there_are_categories():
    """F1 1 of one question and 2/3 of three: the categories weigh alike, whatever their sizes."""
    truth = {"a": ("yes", "popular"), "b": ("yes", "random"), "c": ("no", "random"), "d": ("no", "random")}
    items = [Item(k, Path(f"{k}.jpg"), "", "", (label,), split=split) for k, (label, split) in truth.items()]
    found = pope.score(items, {"a": "Yes", "b": "yes", "c": "Yes.", "d": "No"}, mode="original")
    assert found.value == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert {n: (p.n, p.k) for n, p in found.parts.items()} == {"popular": (1, 1), "random": (3, 2)}


def test_a_reply_on_an_indented_second_line_is_not_read_by_the_original():
    """`ast.literal_eval` takes blanks before a dictionary away, but no line break."""
    assert read_original("  {'pred': 'yes', 'score': 4}").verdict == "yes"
    assert read_original("\n  {'pred': 'yes', 'score': 4}").effect == ASKED_AGAIN
