"""ActivityNet-QA: answers by id, by type, by a judge and by the official rule, its fault included."""

import pytest
from made_up_video_benchmarks import read_json, write_json
from official_scripts import activitynet_lines

from llamavid_kit.evaluation.benchmarks import activitynet, benchmark
from llamavid_kit.evaluation.judges.judge import RuleJudge


def test_questions_of_activitynet_take_their_answers_by_id(data):
    folder = data("activitynet")
    items = benchmark("activitynet").load(folder)
    expected = [
        ("v_a_0", "v_a.mp4", "is it red", "yes", "Yes/No"),
        ("v_a_1", "v_a.mp4", "what is moving", "a block", "Motion"),
        ("v_b_c_0", "v_b_c.mp4", "how many blocks", "1", "Number"),
    ]
    assert [(i.id, i.media.name, i.prompt, *i.answers, i.split) for i in items] == expected
    write_json(folder / "test_a.json", read_json(folder / "test_a.json")[::-1])
    assert benchmark("activitynet").load(folder) == items


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
    n = {3: 10, 0: 4, 1: 4, 4: 2}
    right = dict.fromkeys(range(9), 0) | {3: 5, 4: 1, 0: 2}
    shares = activitynet.official_accuracy(right, n)
    assert shares["Free"] == 6 / 2 and shares["Free, right"] == 6 / 12
    assert shares["All"] == 8 / 20 and shares["Yes/No"] == 0.5 and shares["Other"] is None
    lines = activitynet_lines(right, n)
    assert "\tFree: 3.0000\n\tAll: 0.4000\n" in lines and "\tOther: none\n" in lines


@pytest.mark.parametrize("reply", ["Yes", "yes ", " yes", "ye", "yes.", "", "yesyes", "y\u0435s"])
def test_the_official_rule_asks_for_the_same_characters(reply):
    assert activitynet.official_counts({"a": reply}, [("a", "yes", 3)])[0][3] == 0
    assert activitynet.official_counts({"a": reply}, [("a", reply, 3)])[0][3] == 1


def test_official_counts_refuse_unknown_questions_and_count_missing_ones():
    answers = [("a", "yes", 3), ("b", "no", 3)]
    assert activitynet.official_counts({"a": "yes"}, answers) == (dict.fromkeys(range(9), 0) | {3: 1}, {3: 2})
    with pytest.raises(ValueError, match="1 unknown questions, such as 'c'"):
        activitynet.official_counts({"c": "yes"}, answers)
