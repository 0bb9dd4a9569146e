"""Guards how replies about videos become numbers: verdicts, axes, and ActivityNet-QA's official rule, by hand."""

import json

import pytest
from fake_endpoint import serve
from made_up_video_benchmarks import ABOUT, VIDEO
from test_judge import NO, YES, endpoint

from llamavid_kit.evaluation.benchmarks import activitynet, benchmark, video_chatgpt
from llamavid_kit.evaluation.benchmarks.video_qa import score_qa
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import Verdict
from llamavid_kit.evaluation.judges.verdict_parser import table as verdict_table


@pytest.fixture
def data(tmp_path):
    """Name → a data folder of the test's own."""
    return lambda name: VIDEO[name](tmp_path / name)


def test_accuracy_is_of_the_items_with_a_verdict(data):
    items = benchmark("msvd").load(data("msvd"))
    replies = {"40": "It is red.", "41": "a car", "42": "blue"}

    def unsure(body, number):
        said = body["messages"][1]["content"]
        return '{"pred": "not sure", "score": 2}' if "a car" in said else YES if "It is red" in said else NO

    with serve(unsure) as fake:
        judge = ChatJudge(endpoint(fake))
        strict, original = (score_qa(items, replies, mode=mode, judge=judge) for mode in ("strict", "original"))
    assert strict.value == 50 and strict.outcomes == {"40": 1.0, "42": 0.0}
    assert (strict.parts["all"].n, strict.parts["all"].k) == (2, 1) and strict.more["score"] == 2.5
    assert strict.more["no_verdict"] == 1 and strict.more["problems"] == {"neither yes nor no": 1}
    assert strict.more["accuracy_between"] == (1 / 3, 2 / 3)
    assert original.value == pytest.approx(100 / 3) and original.more["score"] == pytest.approx(7 / 3)
    given = [Verdict("40", True, 5), Verdict("41", False, 2), Verdict("42", False, 0)]
    assert original.more["score95"] == verdict_table(given, videos=["vid1301.mp4"] * 2 + ["1302.avi"]).score95
    assert original.outcomes == {"40": 1.0, "41": 0.0, "42": 0.0} and original.more["no_verdict"] == 0


def test_what_the_judge_of_an_answer_is_shown(data):
    items = benchmark("msvd").load(data("msvd"))[:1]
    with serve(lambda *_: YES) as fake:
        score_qa(items, {"40": "a red one"}, mode="strict", judge=ChatJudge(endpoint(fake)))
    item = JudgeItem("40", ABOUT[0][0], "red", "a red one")
    assert fake.bodies[0]["messages"] == judge_prompt("qa").messages(item)


def test_no_verdict_at_all_is_no_number(data):
    items = benchmark("msvd").load(data("msvd"))
    with serve(lambda *_: "Sure!") as fake:
        found = score_qa(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert found.value is None and not found.outcomes and not found.parts and found.more["no_verdict"] == 3


def test_activitynet_by_type_and_by_the_official_rule(data):
    bench = benchmark("activitynet")
    items = bench.load(data("activitynet"))
    replies = {"v_a_0": "Yes", "v_a_1": "a block", "v_b_c_0": "2"}
    by_rule = bench.score(items, replies, mode="strict", judge=RuleJudge())
    assert by_rule.value == pytest.approx(200 / 3)
    assert {name: (p.k, p.n) for name, p in by_rule.parts.items()} == {
        "Yes/No": (1, 1),
        "Motion": (1, 1),
        "Number": (0, 1),
    }
    official = bench.score(items, replies, mode="official")
    assert official.value == pytest.approx(100 / 3) and official.outcomes["v_a_0"] == 0  # "Yes" is not "yes"
    assert official.more["Motion"] == 1 and official.more["All"] == pytest.approx(1 / 3)
    assert official.more["Free, right"] == 0 and official.more["Color"] is None


def test_the_official_free_questions_are_divided_by_the_wrong_number():
    """Types in order of appearance 3, 0, 1, 4: the script takes what comes after the third for the free ones."""
    asked = {3: 10, 0: 4, 1: 4, 4: 2}
    right = dict.fromkeys(range(9), 0) | {3: 5, 4: 1, 0: 2}
    found = activitynet.official_accuracy(right, asked)
    assert found["Free"] == 6 / 2 and found["Free, right"] == 6 / 12
    assert found["All"] == 8 / 20 and found["Yes/No"] == 0.5 and found["Other"] is None
    lines = activitynet.official_lines(right, asked)
    assert "\tFree: 3.0000\n\tAll: 0.4000\n" in lines and "\tOther: none\n" in lines


@pytest.mark.parametrize("said", ["Yes", "yes ", " yes", "ye", "yes.", "", "yesyes", "y\u0435s"])
def test_the_official_rule_asks_for_the_same_characters(said):
    assert activitynet.official_counts({"a": said}, [("a", "yes", 3)])[0][3] == 0
    assert activitynet.official_counts({"a": said}, [("a", said, 3)])[0][3] == 1


def test_official_counts_refuse_unknown_questions_and_count_missing_ones():
    answers = [("a", "yes", 3), ("b", "no", 3)]
    assert activitynet.official_counts({"a": "yes"}, answers) == (dict.fromkeys(range(9), 0) | {3: 1}, {3: 2})
    with pytest.raises(ValueError, match="1 unknown questions, such as 'c'"):
        activitynet.official_counts({"c": "yes"}, answers)


def test_five_axes_ask_for_what_they_name(data):
    """Generic answers three times, temporal ones once, and a row of consistency once with both its replies."""
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    replies = {item.id: f"reply to {item.id}" for item in items}
    scores = {"correctness": 5, "detail": 4, "context": 3, "temporal": 1, "consistency": 2}

    def by_axis(body, number):
        system = body["messages"][0]["content"]
        return json.dumps({"score": next(s for a, s in scores.items() if judge_prompt(a).system == system)})

    with serve(by_axis) as fake:
        found = bench.score(items, replies, mode="strict", judge=ChatJudge(endpoint(fake)))
    asked = [body["messages"] for body in fake.bodies]
    assert len(asked) == 3 * 3 + 1 + 2
    pair = [i for i in items if i.split == "consistency"][2:]
    expected = JudgeItem("i", "Which colour?", "Green.", replies[pair[0].id], "What colour is it?", replies[pair[1].id])
    assert asked[-1] == judge_prompt("consistency").messages(expected)
    assert {name: (part.n, part.value) for name, part in found.parts.items()} == {
        "Correctness": (3, 5),
        "Detail": (3, 4),
        "Context": (3, 3),
        "Temporal": (1, 1),
        "Consistency": (2, 2),
    }
    assert found.value == 3 and set(bench.columns) == set(found.parts)
    assert {axis: len(values) for axis, values in found.axes.items()} == {n: p.n for n, p in found.parts.items()}


def test_pairs_of_consistency_are_joined_by_row_and_not_by_place(data):
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    replies = {item.id: item.prompt for item in items}
    one = bench.score(items, replies, mode="strict", judge=RuleJudge("words"))
    assert bench.score(items[::-1], replies, mode="strict", judge=RuleJudge("words")).axes == one.axes
    assert video_chatgpt.pairs(items[::-1]) == video_chatgpt.pairs(items)[::-1]
    with pytest.raises(ValueError, match="has 1 question; consistency is judged on two"):
        video_chatgpt.pairs(items[:-1])


def test_an_axis_without_a_verdict_is_no_number(data):
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    temporal = judge_prompt("temporal").system
    with serve(lambda b, _: "?" if b["messages"][0]["content"] == temporal else '{"score": 4}') as fake:
        found = bench.score(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert found.value is None and set(found.parts) == {"Correctness", "Detail", "Context", "Consistency"}
    assert found.more["Temporal"]["no_verdict"] == 1 and found.more["Temporal"]["score"] is None


def test_an_axis_is_the_mean_of_its_verdicts(data):
    """One of three generic replies gets none about its detail."""
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    detail = judge_prompt("detail").system

    def once(body, number):
        green = "A green picture." in body["messages"][1]["content"]
        return (
            "?" if green and body["messages"][0]["content"] == detail else '{"score": 4}' if green else '{"score": 1}'
        )

    with serve(once) as fake:
        found = bench.score(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert (found.parts["Detail"].n, found.parts["Detail"].value) == (2, 1)
    assert (found.parts["Context"].n, found.parts["Context"].value) == (3, 2)
    assert found.more["Detail"]["no_verdict"] == 1 and len(found.axes["Detail"]) == 2
    videos = ["v_one.mp4", "v_two.x.mp4", "v_one.mp4"]
    scores = [Verdict(str(k), None, score) for k, score in enumerate((1, 4, 1))]
    assert found.more["Context"]["score95"] == verdict_table(scores, videos=videos).score95
