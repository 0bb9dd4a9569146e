"""The video benchmarks, run end to end: what is asked, judged and counted."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from benchmark_runs import Parrot, evaluate_tiny
from fake_endpoint import serve
from judging import YES, endpoint
from made_up_video_benchmarks import VIDEO, read_json

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.benchmarks import FILES, benchmark
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import AXES


@pytest.fixture(scope="module", params=VIDEO)
def made_up(request, tmp_path_factory):
    """(name, its data folder): not to be changed."""
    return request.param, VIDEO[request.param](tmp_path_factory.mktemp(request.param) / "data")


def run(name, folder, out, judge, **replies):
    model = Parrot(**replies)
    return model, evaluate(
        benchmark(name), model, data=folder, out=out, name="parrot", judges=[judge] if judge else (), fps=2
    )


def test_a_run_asks_every_question_about_its_clip(made_up, tmp_path):
    name, folder = made_up
    model, result = run(name, folder, tmp_path / "run", RuleJudge("words"))
    items = benchmark(name).load(folder)
    assert sorted(model.calls) == sorted((i.media.name, i.prompt, 2) for i in items)
    rows = pd.read_csv(tmp_path / "run" / "outcomes.csv")
    assert rows["id"].astype(str).tolist() == [i.id for i in items] and rows["reply"].tolist() == [
        i.prompt for i in items
    ]
    written = read_json(tmp_path / "run" / "result.json")
    assert written["n"] == len(items) and list(written["scores"]) == list(benchmark(name).modes)
    assert written["scores"]["strict"]["value"] == result.scores["strict"].value
    text = table(result, image_size=224)
    assert "judge: the rule 'words', which knows no synonym" in text and text.count("judge:") == 1


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
        evaluate(benchmark(name), Parrot(), data=folder, out=tmp_path / "two", name="parrot", judges=[judge], fps=1)
        assert len(fake.bodies) == 3 * n
    text = table(result, image_size=224)
    reason = "score is not a whole number" if name == "video_chatgpt" else "neither yes nor no"
    assert "no verdict to count, read as strict" in text and "judge: a-judge, corrected prompt" in text
    assert re.search(rf"(\d) of \1 without a verdict \({reason} \1\)", text)


def test_mean_scores_and_their_intervals_are_in_units_of_the_scale(tmp_path, data, monkeypatch):
    name, folder = "video_chatgpt", data("video_chatgpt")
    calls = []

    def interval(outcomes, groups):
        calls.append((dict(outcomes), dict(groups)))
        return min(outcomes.values()), max(outcomes.values())

    monkeypatch.setattr("llamavid_kit.evaluation.benchmarks.run.clustered_interval", interval)

    with serve(
        lambda b, _: '{"score": 5}' if '"What is seen?"' in b["messages"][1]["content"] else '{"score": 1}'
    ) as fake:
        result = evaluate(
            benchmark(name),
            Parrot(),
            data=folder,
            out=tmp_path / "run",
            name="p",
            judges=[ChatJudge(endpoint(fake))],
        )
    assert result.intervals["strict"]["Correctness"] == (5, 5) and result.intervals["strict"]["Temporal"] == (1, 1)
    assert result.intervals["strict"][""] is None
    assert all(0 <= v <= 1 for outcomes, _ in calls for v in outcomes.values())
    assert all(outcomes.keys() == groups.keys() for outcomes, groups in calls)
    written = pd.read_csv(tmp_path / "run" / "outcomes.csv")
    assert written["strict Detail"].notna().sum() == 3 and written["strict Consistency"].notna().sum() == 2


def test_tiny_and_a_rule_end_to_end(made_up, tmp_path, capsys):
    name, folder = made_up
    assert main(evaluate_tiny(name, folder, tmp_path / "run", "--judge-rule", "words")) == 0
    text = capsys.readouterr().out
    bench, n = benchmark(name), len(benchmark(name).load(folder))
    assert text.startswith(f"{bench.title}, {n} items, tiny at ") and "scorer: strict" in text
    replies = (tmp_path / "run" / "replies.jsonl").read_text().splitlines()
    assert len(replies) == n + 1
    head = json.loads(replies[0])["run"]
    assert head["benchmark"] == name and head["max_new_tokens"] == 6


def test_tiny_and_an_endpoint_end_to_end(made_up, tmp_path, capsys, monkeypatch):
    name, folder = made_up
    monkeypatch.setenv("JUDGE_KEY", "secret")
    reply = '{"score": 3}' if name == "video_chatgpt" else YES
    with serve(lambda *_: reply) as fake:
        options = ["--judge-model", "llama", "--judge-endpoint", fake.url, "--judge-key-env", "JUDGE_KEY"]
        options += ["--judge-prompt", "published", "--judge-set", "temperature=0.6", "--judge-price", "1", "2"]
        assert main(evaluate_tiny(name, folder, tmp_path / "run", *options)) == 0
    text = capsys.readouterr().out
    assert ("3.00 of 5" if name == "video_chatgpt" else "100.00%") in text
    assert "judge: llama, published prompt" in text and f"judge: {len(fake.bodies)} requests" in text
    assert fake.bodies[0]["temperature"] == 0.6 and fake.headers[0]["Authorization"] == "Bearer secret"
    assert not any("secret" in path.read_text(errors="replace") for path in (tmp_path / "run").glob("*.json*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "no/such/model"), "is scored by a judge: name one with --judge-rule or --judge-model"),
        (("--judge-rule", "words", "--judge-rule", "words"), "a judge is named twice"),
        (("--judge-endpoint", "http://127.0.0.1:1/v1"), "--judge-model is missing"),
        (("--judge-model", "m", "--judge-endpoint", "http://127.0.0.1:1/v1", "--judge-set", "seed=x"), "NAME=JSON"),
        (("--judge-model", "m", "--judge-endpoint", "http://127.0.0.1:1/v1", "--judge-key-env", "NO_SUCH"), "not set"),
    ],
)
def test_judges_that_a_command_line_cannot_have(options, message, data, tmp_path, capsys):
    assert main(evaluate_tiny("msvd", data("msvd"), tmp_path / "run", *options)) == 2
    assert message in capsys.readouterr().err


def test_an_endpoint_that_is_away_is_one_line(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("llamavid_kit.evaluation.judges.chat.endpoint.time.sleep", lambda _: None)
    judge = ("--judge-model", "m", "--judge-endpoint", "http://127.0.0.1:9/v1")
    assert main(evaluate_tiny("msvd", data("msvd"), tmp_path / "run", *judge)) == 2
    assert "error: no reply" in capsys.readouterr().err


def test_a_row_says_its_rate_and_no_certainty_of_equal_scores(data, tmp_path):
    for name in ("msvd", "video_chatgpt"):
        _, result = run(name, data(name), tmp_path / "runs" / name, RuleJudge("words"))
        assert read_json(tmp_path / "runs" / name / "result.json")["run"]["fps"] == result.head["fps"] == 2
        alike = {
            axis: numbers | {"score95": (0.0, 0.0)} if isinstance(numbers, dict) and "score95" in numbers else numbers
            for axis, numbers in result.scores["strict"].more.items()
        }
        alike |= {"score95": (0.0, 0.0)} if name == "msvd" else {}
        scores = {"strict": replace(result.scores["strict"], more=alike)}
        text = table(replace(result, scores=scores), image_size=112)
        assert text.splitlines()[0].endswith("parrot at 112 px, 2 fps")
        assert "of 5" in text and "[0.0" not in text.replace("%", "").split("right")[0]


def test_every_video_benchmark_is_known_and_made_up():
    assert {n for n in FILES if benchmark(n).media == "video"} == set(VIDEO)
    for name in VIDEO:
        bench = benchmark(name)
        assert (bench.name, bench.judged, bench.max_new_tokens, bench.modes[0]) == (name, True, 1024, "strict")
    assert list(benchmark("video_chatgpt").columns) == [axis.capitalize() for axis in AXES]
