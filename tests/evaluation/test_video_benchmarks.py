"""Guards the video benchmarks: what is asked, judged and counted, run end to end."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from fake_endpoint import serve
from made_up_video_benchmarks import VIDEO
from test_judge import YES, endpoint

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.benchmarks import FILES, benchmark
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import AXES
from llamavid_kit.model.ask import Reply


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


# --- runs


def run(name, folder, out, judge, **said):
    model = Parrot(**said)
    return model, evaluate(benchmark(name), model, data=folder, out=out, name="parrot", judge=judge, fps=2)


def test_a_run_asks_every_question_about_its_clip(made_up, tmp_path):
    name, folder = made_up
    model, result = run(name, folder, tmp_path / "run", RuleJudge("words"))
    items = benchmark(name).load(folder)
    assert sorted(model.asked) == sorted((i.media.name, i.prompt, 2) for i in items)
    rows = pd.read_csv(tmp_path / "run" / "outcomes.csv")
    assert rows["id"].astype(str).tolist() == [i.id for i in items] and rows["reply"].tolist() == [
        i.prompt for i in items
    ]
    written = rows_of(tmp_path / "run" / "result.json")
    assert written["n"] == len(items) and list(written["scores"]) == list(benchmark(name).modes)
    assert written["scores"]["strict"]["value"] == result.scores["strict"].value
    shown = table(result, image_size=224)
    assert "judge: the rule 'words', which knows no synonym" in shown and shown.count("judge:") == 1


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
    reason = "score is not a whole number" if name == "video_chatgpt" else "neither yes nor no"
    assert "no verdict to count, read as strict" in shown and "judge: a-judge, corrected prompt" in shown
    assert re.search(rf"(\d) of \1 without a verdict \({reason} \1\)", shown)


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
            benchmark(name),
            Parrot(),
            data=folder,
            out=tmp_path / "run",
            name="p",
            judge=ChatJudge(endpoint(fake)),
            interval=interval,
        )
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
    assert shown.startswith(f"{bench.title}, {n} items, tiny at ") and "scorer: strict" in shown
    replies = (tmp_path / "run" / "replies.jsonl").read_text().splitlines()
    assert len(replies) == n + 1
    head = json.loads(replies[0])["run"]
    assert head["benchmark"] == name and head["max_new_tokens"] == 6


def test_tiny_and_an_endpoint_end_to_end(made_up, tmp_path, capsys, monkeypatch):
    name, folder = made_up
    monkeypatch.setenv("JUDGE_KEY", "secret")
    reply = '{"score": 3}' if name == "video_chatgpt" else YES
    with serve(lambda *_: reply) as fake:
        asked = ["--judge-model", "llama", "--judge-endpoint", fake.url, "--judge-key-env", "JUDGE_KEY"]
        asked += ["--judge-prompt", "published", "--judge-set", "temperature=0.6", "--judge-price", "1", "2"]
        assert main(evaluate_tiny(name, folder, tmp_path / "run", *asked)) == 0
    shown = capsys.readouterr().out
    assert ("3.00 of 5" if name == "video_chatgpt" else "100.00%") in shown
    assert "judge: llama, published prompt" in shown and f"judge: {len(fake.bodies)} requests" in shown
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
        assert rows_of(tmp_path / "runs" / name / "result.json")["run"]["fps"] == result.fps == 2
        alike = {
            axis: found | {"score95": (0.0, 0.0)} if isinstance(found, dict) and "score95" in found else found
            for axis, found in result.scores["strict"].more.items()
        }
        alike |= {"score95": (0.0, 0.0)} if name == "msvd" else {}
        scores = {"strict": replace(result.scores["strict"], more=alike)}
        shown = table(replace(result, scores=scores), image_size=112)
        assert shown.splitlines()[0].endswith("parrot at 112 px, 2 fps")
        assert "of 5" in shown and "[0.0" not in shown.replace("%", "").split("right")[0]


def test_every_video_benchmark_is_known_and_made_up():
    assert {n for n in FILES if benchmark(n).media == "video"} == set(VIDEO)
    for name in VIDEO:
        bench = benchmark(name)
        assert (bench.name, bench.judged, bench.max_new_tokens, bench.modes[0]) == (name, True, 1024, "strict")
    assert list(benchmark("video_chatgpt").columns) == [axis.capitalize() for axis in AXES]
