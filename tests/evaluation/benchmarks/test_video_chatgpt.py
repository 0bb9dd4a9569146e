"""Video-ChatGPT: five axes of the right replies, their mean, and the interval of that mean."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_endpoint import serve
from judging import endpoint
from made_up_video_benchmarks import VIDEO, read_json, write_json

from llamavid_kit.evaluation.benchmarks import benchmark, video_chatgpt
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.run import Result
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Verdict, verdict_table
from llamavid_kit.evaluation.resampling import clustered_mean


def test_questions_of_video_chatgpt(data):
    folder = data("video_chatgpt")
    items = benchmark("video_chatgpt").load(folder)
    assert [i.split for i in items] == ["generic"] * 3 + ["temporal"] + ["consistency"] * 4
    assert [i.prompt for i in items[-4:]] == [
        "What moves?",
        "Which thing is moving?",
        "Which colour?",
        "What colour is it?",
    ]
    assert [i.media.name for i in items[:2]] == ["v_one.mp4", "v_two.x.mp4"]
    assert items[2].id == f"{items[0].id}-2" and len({i.id for i in items}) == 8
    for kind in ("generic", "temporal", "consistency"):
        path = folder / f"{kind}_qa.json"
        write_json(path, read_json(path)[::-1])
    assert {i.id: (i.media, i.prompt, i.answers) for i in benchmark("video_chatgpt").load(folder)} == {
        i.id: (i.media, i.prompt, i.answers) for i in items
    }


def test_video_chatgpt_asks_twice_about_a_row_of_consistency():
    assert video_chatgpt.BENCHMARK.size == 3493


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
        score = bench.score(items, replies, mode="strict", judge=ChatJudge(endpoint(fake)))
    messages = [body["messages"] for body in fake.bodies]
    assert len(messages) == 3 * 3 + 1 + 2
    pair = [i for i in items if i.split == "consistency"][2:]
    expected = JudgeItem("i", "Which colour?", "Green.", replies[pair[0].id], "What colour is it?", replies[pair[1].id])
    assert messages[-1] == judge_prompt("consistency").messages(expected)
    assert {name: (part.n, part.value) for name, part in score.parts.items()} == {
        "Correctness": (3, 5),
        "Detail": (3, 4),
        "Context": (3, 3),
        "Temporal": (1, 1),
        "Consistency": (2, 2),
    }
    assert score.value == 3 and set(bench.columns) == set(score.parts)
    assert {axis: len(values) for axis, values in score.axes.items()} == {n: p.n for n, p in score.parts.items()}


def test_pairs_of_consistency_are_joined_by_row_and_not_by_place(data):
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    replies = {item.id: item.prompt for item in items}
    one = bench.score(items, replies, mode="strict", judge=RuleJudge("words"))
    assert bench.score(items[::-1], replies, mode="strict", judge=RuleJudge("words")).axes == one.axes
    assert video_chatgpt.pairs(items[::-1]) == video_chatgpt.pairs(items)[::-1]
    with pytest.raises(ValueError, match="has 1 question; consistency is judged on two"):
        video_chatgpt.pairs(items[:-1])


def test_two_pairs_about_one_video_are_two_pairs(tmp_path):
    folder = VIDEO["video_chatgpt"](tmp_path)
    rows = [{"video_name": "v_one", "Q1": f"What is {k}?", "Q2": f"Which is {k}?", "A": str(k)} for k in (1, 2)]
    write_json(folder / "consistency_qa.json", rows)
    pairs = video_chatgpt.pairs(benchmark("video_chatgpt").load(folder))
    assert [(a.question, b.question, a.answers) for a, b in pairs] == [(r["Q1"], r["Q2"], (r["A"],)) for r in rows]


def test_an_axis_without_a_verdict_is_no_number(data):
    bench = benchmark("video_chatgpt")
    items = bench.load(data("video_chatgpt"))
    temporal = judge_prompt("temporal").system
    with serve(lambda b, _: "?" if b["messages"][0]["content"] == temporal else '{"score": 4}') as fake:
        score = bench.score(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert score.value is None and set(score.parts) == {"Correctness", "Detail", "Context", "Consistency"}
    assert score.more["Temporal"]["no_verdict"] == 1 and score.more["Temporal"]["score"] is None


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
        score = bench.score(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert (score.parts["Detail"].n, score.parts["Detail"].value) == (2, 1)
    assert (score.parts["Context"].n, score.parts["Context"].value) == (3, 2)
    assert score.more["Detail"]["no_verdict"] == 1 and len(score.axes["Detail"]) == 2
    videos = ["v_one.mp4", "v_two.x.mp4", "v_one.mp4"]
    scores = [Verdict(str(k), None, score) for k, score in enumerate((1, 4, 1))]
    assert score.more["Context"]["score95"] == verdict_table(scores, videos=videos).score95


def test_an_axis_is_resampled_by_video(tmp_path):
    """Twelve rows about one clip are one observation: no resample differs, and the interval is all that there is."""
    folder = VIDEO["video_chatgpt"](tmp_path)
    rows = [{"video_name": "v_one", "Q": f"What, {k}?", "A": "a red block"} for k in range(12)]
    write_json(folder / "generic_qa.json", rows)
    items = video_chatgpt.load(folder)
    replies = {i.id: "a red block" if k % 2 else "a" for k, i in enumerate(items)}
    score = video_chatgpt.score(items, replies, mode="strict", judge=RuleJudge("words"))
    assert score.parts["Detail"].value == TOP_SCORE / 2 and score.more["Detail"]["score95"] == (0, TOP_SCORE)


# --- the interval of the mean over the axes


class Judged:
    """A judge whose scores are drawn, by axis and video; None for no verdict."""

    def __init__(self, scores):
        self.scores, self.identity = scores, {"judge": "rule", "rule": "drawn"}

    def verdicts(self, items, *, task, mode):
        values = [self.scores(task, item.video) for item in items]
        return [
            Verdict(i.id, None, s, problem="" if s is not None else "none") for i, s in zip(items, values, strict=True)
        ]


def items_about(n_videos: int) -> list[Item]:
    items = []
    for video in range(n_videos):
        for kind, places in (("generic", ("Q", "Q")), ("temporal", ("Q",)), ("consistency", ("Q1", "Q2"))):
            for k, place in enumerate(places if kind != "temporal" or video % 3 < 2 else ()):
                extra = {"row": f"{kind}/{video}", "place": place}
                name, media = f"{kind}/{video}/{k}", Path(f"v{video}.mp4")
                items.append(Item(name, media, "?", "?", ("!",), split=kind, extra=extra))
    return items


def scored(scores, n_videos: int = 30, mode: str = "strict"):
    items = items_about(n_videos)
    return benchmark("video_chatgpt").score(items, {i.id: "x" for i in items}, mode=mode, judge=Judged(scores))


def test_the_row_of_video_chatgpt_has_an_interval():
    """Of what is counted: items without a verdict are in neither the mean nor its interval."""
    rng, rows = np.random.default_rng(3), []
    ease = {f"v{k}.mp4": int(rng.integers(0, 3)) for k in range(30)}

    def score(axis, video):
        value = None if rng.random() < 0.1 else ease[video] + int(rng.integers(0, 4))
        rows.append((value, video, axis))
        return value

    result = scored(score)
    counted = [row for row in rows if row[0] is not None]
    expected = clustered_mean(*zip(*counted, strict=True))
    assert len(counted) < len(rows) == 30 * (2 * 3 + 1) + 20
    assert result.value == pytest.approx(expected.mean) and result.interval95 == pytest.approx(expected.interval95)
    low, high = result.interval95
    run = Result(benchmark("video_chatgpt"), {"model": "m"}, 150, {"strict": result}, {"strict": {}})
    line = next(line for line in table(run, image_size=112).split("\n") if "mean of the five axes" in line)
    assert f"{result.value:.2f} of 5 [{low:.2f}, {high:.2f}]  mean of the five axes" in line
    assert json.dumps(replace(result, axes={}).interval95) == json.dumps([low, high])


def test_what_shows_no_spread_has_no_interval():
    """Of one video; of scores alike on each axis; where no axis alone could tell, no number at all."""
    assert scored(lambda axis, video: len(axis) % 5).interval95 is None
    assert scored(lambda axis, video: len(axis) % 5, n_videos=1).interval95 is None
    only_one = scored(lambda axis, video: 3 if axis != "temporal" or video == "v0.mp4" else None)
    assert only_one.value == 3 and only_one.interval95 is None
    none = scored(lambda axis, video: None if axis == "temporal" else 3)
    assert none.value is None and none.interval95 is None


def test_an_interval_stays_on_the_scale():
    low, high = scored(lambda axis, video: 5 if video != "v0.mp4" else 0, n_videos=3).interval95
    assert low == 0 and high == 5
    beyond = scored(lambda axis, video: 7 if video != "v0.mp4" else 6, mode="original")
    assert beyond.interval95[1] == pytest.approx(beyond.value) and 6.9 < beyond.value < 7  # the original counts them
