"""Guards the video benchmarks: how files are read and refused, what is asked, judged and counted, run end to end."""

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from fake_endpoint import serve
from made_up_benchmarks import ABOUT, VIDEO, clip, write_json
from test_judge import NO, YES, endpoint

from llamavid_kit.__main__ import main
from llamavid_kit.answering import Reply
from llamavid_kit.benchmarks import FILES, activitynet, benchmark, video_chatgpt
from llamavid_kit.benchmarks.run import evaluate
from llamavid_kit.benchmarks.table import table
from llamavid_kit.benchmarks.video_qa import score_qa
from llamavid_kit.judge import ChatJudge, RuleJudge
from llamavid_kit.judge_prompts import AXES, JudgeItem, judge_prompt


@pytest.fixture(scope="module", params=VIDEO)
def made_up(request, tmp_path_factory):
    """(name, its data folder): not to be changed."""
    return request.param, VIDEO[request.param](tmp_path_factory.mktemp(request.param) / "data")


@pytest.fixture
def data(tmp_path):
    """Name → a data folder of the test's own."""
    return lambda name: VIDEO[name](tmp_path / name)


class Parrot:
    """Answers each question about each clip by a table, `said`, else with the question; notes what it was asked."""

    def __init__(self, **said):
        self.said, self.asked = said, []

    def generate(self, clips, question, *, fps):
        self.asked += [(c.path.name, question, fps) for c in clips]
        return [Reply(self.said.get(question, question), (0.0,)) for _ in clips]


def rows_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


# --- reading


@pytest.mark.parametrize("name", ["msvd", "msrvtt"])
def test_questions_of_msvd_and_msrvtt(name, data):
    items = benchmark(name).load(data(name))
    assert [(i.id, i.prompt, i.question, *i.answers) for i in items] == [
        (str(40 + k), q, q, a) for k, (q, a) in ABOUT.items()
    ]
    first = {"msvd": "vid1301.mp4", "msrvtt": "video1301.mp4"}[name]
    assert [i.media.name for i in items] == [first, first, "1302.avi"] == [i.group for i in items]


def test_questions_of_activitynet_take_their_answers_by_id(data):
    folder = data("activitynet")
    items = benchmark("activitynet").load(folder)
    expected = [
        ("v_a_0", "v_a.mp4", "is it red", "yes", "Yes/No"), ("v_a_1", "v_a.mp4", "what is moving", "a block", "Motion"),
        ("v_b_c_0", "v_b_c.mp4", "how many blocks", "1", "Number"),
    ]  # fmt: skip
    assert [(i.id, i.media.name, i.prompt, *i.answers, i.split) for i in items] == expected
    write_json(folder / "test_a.json", rows_of(folder / "test_a.json")[::-1])
    assert benchmark("activitynet").load(folder) == items


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
        write_json(path, rows_of(path)[::-1])
    assert {i.id: (i.media, i.prompt, i.answers) for i in benchmark("video_chatgpt").load(folder)} == {
        i.id: (i.media, i.prompt, i.answers) for i in items
    }


def change(path, at, **changes):
    rows = rows_of(path)
    rows[at] |= changes
    write_json(path, [{k: v for k, v in row.items() if v != "gone"} for row in rows])


BAD = {
    "no folder of clips": ("msvd", lambda d: shutil.rmtree(d / "video"), "must hold test_qa.json and video/"),
    "no file": ("activitynet", lambda d: (d / "test_a.json").unlink(), "must hold test_q.json, test_a.json"),
    "no JSON": ("msvd", lambda d: (d / "test_qa.json").write_text("[{"), "is not JSON"),
    "no rows": ("msvd", lambda d: (d / "test_qa.json").write_text("[]"), "holds no rows"),
    "a missing key": ("msrvtt", lambda d: change(d / "test_qa.json", 1, answer="gone"), "row 2: 'answer' is None"),
    "an empty question": ("msvd", lambda d: change(d / "test_qa.json", 1, question=" "), "id 41: 'question' is empty"),
    "an empty answer": ("msrvtt", lambda d: change(d / "test_qa.json", 0, answer=""), "id 40: 'answer' is empty"),
    "an id twice": ("msvd", lambda d: change(d / "test_qa.json", 1, id=40), "more than once (40)"),
    "no video": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id="gone"), "'video_id' is None"),
    "a video that is true": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id=True), "'video_id' is True"),
    "a path": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id="../video/1302"), "no clip '../video/1302'"),
    "a clip that is missing": ("msvd", lambda d: (d / "video" / "1302.avi").unlink(), "id 42: no clip '1302' or 'vid1302'"),
    "a clip twice": ("msvd", lambda d: clip(d / "video", "1301.mkv"), "id 40: 2 clips fit (1301.mkv, vid1301.mp4)"),
    "a link outside": (
        "msvd", lambda d: ((d / "video" / "1302.avi").rename(d.parent / "x.avi"),
                           (d / "video" / "1302.avi").symlink_to(d.parent / "x.avi")), "no file name below",
    ),
    "a question without answer": (
        "activitynet", lambda d: write_json(d / "test_a.json", rows_of(d / "test_a.json")[1:]),
        "1 questions have no label (v_b_c_0)",
    ),
    "an answer without question": (
        "activitynet", lambda d: write_json(d / "test_q.json", rows_of(d / "test_q.json")[1:]),
        "1 labels have no question (v_a_0)",
    ),
    "an answer twice": ("activitynet", lambda d: change(d / "test_a.json", 0, question_id="v_a_1"), "more than once"),
    "an unknown type": ("activitynet", lambda d: change(d / "test_a.json", 0, type=9), "id v_b_c_0: type 9; expected 0 to 8"),
    "a type in quotes": ("activitynet", lambda d: change(d / "test_a.json", 0, type="3"), "row 1: 'type' is '3'"),
    "no v_ before the name": (
        "activitynet", lambda d: (d / "all_test" / "v_a.mp4").rename(d / "all_test" / "a.mp4"), "no clip 'v_a'",
    ),
    "half a row": ("video_chatgpt", lambda d: change(d / "consistency_qa.json", 1, Q2="gone"), "row 2: 'Q2' is None"),
    "an empty second question": (
        "video_chatgpt", lambda d: change(d / "consistency_qa.json", 0, Q2=""), "consistency_qa.json, row 1: 'Q2' is empty",
    ),
    "no file of an axis": ("video_chatgpt", lambda d: (d / "temporal_qa.json").unlink(), "temporal_qa.json is not there"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_the_files_is_said(name, data):
    which, spoil, message = BAD[name]
    folder = data(which)
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        benchmark(which).load(folder)


# --- scoring, by hand


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
        "Correctness": (3, 5), "Detail": (3, 4), "Context": (3, 3), "Temporal": (1, 1), "Consistency": (2, 2),
    }  # fmt: skip
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


# --- runs


def run(name, folder, out, judge, **said):
    model = Parrot(**said)
    return model, evaluate(benchmark(name), model, data=folder, out=out, name="parrot", judge=judge, fps=2)


def test_a_run_asks_every_question_about_its_clip(made_up, tmp_path):
    name, folder = made_up
    model, result = run(name, folder, tmp_path / "run", RuleJudge("words"))
    items = benchmark(name).load(folder)
    assert model.asked == [(i.media.name, i.prompt, 2) for i in items]
    rows = pd.read_csv(tmp_path / "run" / "outcomes.csv")
    assert rows["id"].astype(str).tolist() == [i.id for i in items] and rows["reply"].tolist() == [
        i.prompt for i in items
    ]
    written = rows_of(tmp_path / "run" / "result.json")
    assert written["n"] == len(items) and list(written["scores"]) == list(benchmark(name).modes)
    assert written["scores"]["strict"]["value"] == result.scores["strict"].value
    assert "judge: words (a rule" in table(result, image_size=224)


def test_no_judge_no_run(made_up, tmp_path):
    name, folder = made_up
    with pytest.raises(ValueError, match="is scored by a judge"):
        run(name, folder, tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


def test_verdicts_belong_to_one_run_and_are_read_in_both_modes(made_up, tmp_path):
    """Scoring again asks nothing; another arm, or another judge, asks everything."""
    name, folder = made_up
    with serve(
        lambda *_: "{'pred': 'not sure', 'score': 4.8}" if name != "video_chatgpt" else "{'score': 4.8}"
    ) as fake:
        judge = ChatJudge(endpoint(fake))
        _, result = run(name, folder, tmp_path / "one", judge)
        n = len(fake.bodies)
        assert n == len({json.dumps(b["messages"]) for b in fake.bodies})  # once, for all modes
        strict, original = result.scores["strict"], result.scores["original"]
        assert strict.value is None and original.value == (4 if name == "video_chatgpt" else 0)
        run(name, folder, tmp_path / "one", judge)
        assert len(fake.bodies) == n
        run(name, folder, tmp_path / "one", replace(judge, prompt="published"))
        assert len(fake.bodies) == 2 * n
        evaluate(benchmark(name), Parrot(), data=folder, out=tmp_path / "two", name="parrot", judge=judge, fps=1)
        assert len(fake.bodies) == 3 * n
    shown = table(result, image_size=224)
    assert "no verdict to count (strict)" in shown and "without a verdict (" in shown and "a-judge, corrected" in shown


def test_mean_scores_and_their_intervals_are_in_units_of_the_scale(tmp_path, data):
    name, folder = "video_chatgpt", data("video_chatgpt")
    seen = []

    def interval(outcomes, groups):
        seen.append((dict(outcomes), dict(groups)))
        return min(outcomes.values()), max(outcomes.values())

    with serve(
        lambda b, _: '{"score": 5}' if '"What is seen?"' in b["messages"][1]["content"] else '{"score": 1}'
    ) as fake:
        result = evaluate(
            benchmark(name), Parrot(), data=folder, out=tmp_path / "run", name="p", judge=ChatJudge(endpoint(fake)),
            interval=interval,
        )  # fmt: skip
    assert result.intervals["strict"]["Correctness"] == (5, 5) and result.intervals["strict"]["Temporal"] == (1, 1)
    assert result.intervals["strict"][""] is None
    assert all(0 <= v <= 1 for outcomes, _ in seen for v in outcomes.values())
    assert all(outcomes.keys() == groups.keys() for outcomes, groups in seen)
    written = pd.read_csv(tmp_path / "run" / "outcomes.csv")
    assert written["strict Detail"].notna().sum() == 3 and written["strict Consistency"].notna().sum() == 2


def evaluate_tiny(name, folder, out, *options) -> list[str]:
    return [
        "evaluate",
        name,
        "--model",
        "tiny",
        "--data",
        str(folder),
        "--out",
        str(out),
        "--max-new-tokens",
        "6",
        *options,
    ]


def test_tiny_and_a_rule_end_to_end(made_up, tmp_path, capsys):
    name, folder = made_up
    assert main(evaluate_tiny(name, folder, tmp_path / "run", "--judge-rule", "words")) == 0
    shown = capsys.readouterr().out
    bench, n = benchmark(name), len(benchmark(name).load(folder))
    assert shown.startswith(f"{bench.title}, {n} items, tiny at ") and "scored as strict" in shown
    replies = (tmp_path / "run" / "replies.jsonl").read_text().splitlines()
    assert len(replies) == n + 1
    head = json.loads(replies[0])["run"]
    assert head["benchmark"] == name and head["max_new_tokens"] == 6


def test_tiny_and_an_endpoint_end_to_end(made_up, tmp_path, capsys, monkeypatch):
    name, folder = made_up
    monkeypatch.setenv("JUDGE_KEY", "secret")
    reply = '{"score": 3}' if name == "video_chatgpt" else YES
    with serve(lambda *_: reply) as fake:
        asked = ("--judge-model", "llama", "--judge-endpoint", fake.url, "--judge-key-env", "JUDGE_KEY",
                 "--judge-prompt", "published", "--judge-set", "temperature=0.6", "--judge-price", "1", "2")  # fmt: skip
        assert main(evaluate_tiny(name, folder, tmp_path / "run", *asked)) == 0
    shown = capsys.readouterr().out
    assert ("3.00 of 5" if name == "video_chatgpt" else "100.00%") in shown
    assert "judge: llama, published prompt" in shown and f"judge: {len(fake.bodies)} requests" in shown
    assert fake.bodies[0]["temperature"] == 0.6 and fake.headers[0]["Authorization"] == "Bearer secret"
    assert not any("secret" in path.read_text(errors="replace") for path in (tmp_path / "run").glob("*.json*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "is scored by a judge"),
        (("--judge-rule", "words", "--judge-model", "m"), "expected one judge"),
        (("--judge-endpoint", "http://127.0.0.1:1/v1"), "--judge-model is missing"),
        (("--judge-model", "m", "--judge-endpoint", "http://127.0.0.1:1/v1", "--judge-set", "seed=x"), "NAME=JSON"),
        (("--judge-model", "m", "--judge-endpoint", "http://127.0.0.1:1/v1", "--judge-key-env", "NO_SUCH"), "not set"),
    ],
)
def test_judges_that_a_command_line_cannot_have(options, message, data, tmp_path, capsys):
    assert main(evaluate_tiny("msvd", data("msvd"), tmp_path / "run", *options)) == 2
    assert message in capsys.readouterr().err


def test_every_video_benchmark_is_known_and_made_up():
    assert {n for n in FILES if benchmark(n).media == "video"} == set(VIDEO)
    for name in VIDEO:
        bench = benchmark(name)
        assert (bench.name, bench.judged, bench.max_new_tokens, bench.modes[0]) == (name, True, 1024, "strict")
    assert list(benchmark("video_chatgpt").columns) == [axis.capitalize() for axis in AXES]
