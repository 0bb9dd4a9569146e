"""Guards scoring a finished run alone: by which judges, without model and clips, and what is no such run."""

import json

import pytest
from benchmark_runs import Minds, N, evaluate_tiny, many_questions
from fake_endpoint import serve
from made_up_benchmarks import gqa
from made_up_video_benchmarks import read_json, write_json

from llamavid_kit.__main__ import main
from llamavid_kit.data.video import content_key
from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.clips import reply_line
from llamavid_kit.evaluation.benchmarks.run import items_key, rescore
from llamavid_kit.evaluation.judges.judge import RuleJudge


@pytest.fixture
def data(tmp_path):
    return many_questions(tmp_path / "msvd")


@pytest.fixture
def no_model(monkeypatch):
    """Whoever loads a model or opens a clip fails."""

    def never(*_, **__):
        raise AssertionError("a model or a clip was touched")

    for place in ("data.video.Video.__init__", "model.checkpoints.load"):
        monkeypatch.setattr(f"llamavid_kit.{place}", never)


def test_a_finished_run_is_judged_by_others_without_its_model(data, tmp_path, capsys, request):
    out = tmp_path / "run"
    assert main(evaluate_tiny("msvd", data, out, "--judge-rule", "words")) == 0
    first, replies = capsys.readouterr().out, (out / "replies.jsonl").read_bytes()
    request.getfixturevalue("no_model")
    alone = ["evaluate", "msvd", "--data", str(data), "--out", str(out), "--score-only"]
    assert main([*alone, "--judge-rule", "words"]) == 0
    assert capsys.readouterr().out == first  # the resolution too, which stands in the run
    with serve(Minds()) as fake:
        judges = ["--judge-endpoint", fake.url, "--judge-model", "anna", "--judge-rule", "words", "--judge-again", "1"]
        settings = ["--model", "tiny", "--fps", "1", "--max-new-tokens", "6"]
        assert main([*alone, *settings, *judges]) == 0
        text = capsys.readouterr().out
        assert len(fake.bodies) == 2 * N and f"judge A: {2 * N} requests" in text
    assert "judge A: anna" in text and "judge B: the rule 'words'" in text and "A and B: both judged" in text
    assert (out / "replies.jsonl").read_bytes() == replies


def test_a_benchmark_without_judge_is_scored_alone_too(tmp_path, monkeypatch, capsys, request):
    gqa(tmp_path / "data")
    argv = ["evaluate", "gqa", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    assert main([*argv, "--max-new-tokens", "4"]) == 0
    text = capsys.readouterr().out
    request.getfixturevalue("no_model")
    assert main([*argv, "--score-only"]) == 0 and capsys.readouterr().out == text
    assert main([*argv, "--score-only", "--judge-again", "1"]) == 2 and "takes no judge" in capsys.readouterr().err


def unfinished(data, out):
    lines = (out / "replies.jsonl").read_text().splitlines(keepends=True)
    (out / "replies.jsonl").write_text("".join(lines[:6]) + lines[6][:9])


def edited(data, out):
    rows = read_json(data / "test_qa.json")
    rows[3]["question"] += "?"
    write_json(data / "test_qa.json", rows)


def clip_changed(data, out):
    (data / "video" / "1302.avi").write_bytes(b"another")


def shorter(data, out):
    write_json(data / "test_qa.json", read_json(data / "test_qa.json")[:-1])


def no_head(data, out):
    (out / "replies.jsonl").write_text('{"arm": {}}\n')


def no_model_named(data, out):
    path = out / "replies.jsonl"
    path.write_text(path.read_text().replace('"model": "parrot", ', "", 1))


def no_reply(data, out):
    lines = (out / "replies.jsonl").read_text().splitlines(keepends=True)
    lines[3] = json.dumps(json.loads(lines[3]) | {"reply": None}) + "\n"
    (out / "replies.jsonl").write_text("".join(lines))


SPOILED = {
    "no model": (no_model_named, {}, "line 1 names no model"),
    "no reply": (no_reply, {}, "line 4 has no id and reply, both text"),
    "unfinished": (unfinished, {}, f"holds 5 of {N} replies: finish the run first"),
    "edited": (edited, {}, f"answers {N} other items than the {N} in .*put them back"),
    "clip": (clip_changed, {}, r"1302\.avi: changed since questions about them were answered in .*put them back"),
    "shorter": (shorter, {}, f"answers {N} other items than the {N - 1} in"),
    "head": (no_head, {}, "line 1: not the head of a run"),
    "no run": (lambda data, out: (out / "replies.jsonl").unlink(), {}, "expected the folder of a finished run"),
    "benchmark": (lambda *_: None, {"name": "msrvtt"}, "is a run of 'msvd', not of 'msrvtt'"),
    "fps": (lambda *_: None, {"settings": {"fps": 3.0, "batch": 16}}, "was made with fps 2, not 3.0: leave that out"),
    "judge": (lambda *_: None, {"judges": [RuleJudge(), RuleJudge()]}, "a judge is named twice"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_cannot_be_scored_alone(case, data, tmp_path, no_model):
    spoil, options, message = SPOILED[case]
    path = tmp_path / "run"
    answered(data, path)
    spoil(data, path)
    options = {"name": "msvd", "judges": [RuleJudge()]} | options
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        rescore(benchmark(options.pop("name")), data=data, out=path, **options)


def answered(data, out):
    """A finished run's reply file, as `answer` leaves it; made without opening a clip."""
    items = benchmark("msvd").load(data)
    head = {
        "benchmark": "msvd",
        "model": "parrot",
        "items": items_key(items, "video"),
        "n": len(items),
        "batch": 16,
        "fps": 2,
    }
    lines = [{"run": head}, *(reply_line(item, item.question, content_key(item.media)) for item in items)]
    out.mkdir()
    (out / "replies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_label_that_was_corrected_is_scored_anew(data, tmp_path, no_model):
    """Replies do not depend on labels."""
    answered(data, tmp_path / "run")
    before = rescore(benchmark("msvd"), data=data, out=tmp_path / "run", judges=[RuleJudge()])
    rows = read_json(data / "test_qa.json")
    for k, row in enumerate(rows):
        row["answer"] = f"{k}"
    write_json(data / "test_qa.json", rows)
    after = rescore(benchmark("msvd"), data=data, out=tmp_path / "run", judges=[RuleJudge()])
    assert before.scores["strict"].value < after.scores["strict"].value == 100 and after.head["fps"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge-rule", "words", "--judge-again", "-1"], "again=-1"),
        (
            ["--score-only", "--adapter", "a", "--judge-rule", "words"],
            "--adapter a without --model: name both, or neither",
        ),
        (["--score-only", "--quantise", "4bit", "--judge-rule", "words"], "--quantise 4bit without --model"),
        (["--score-only"], "is scored by a judge"),
        (["--score-only", "--judge-rule", "words"], "expected the folder of a finished run"),
    ],
)
def test_commands_that_cannot_be(options, message, data, tmp_path, capsys, no_model):
    assert main(["evaluate", "msvd", "--data", str(data), "--out", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_packed_model_has_another_name(data, tmp_path, capsys, no_model):
    """In the run's head and in the table; replies of the one are not scored as the other's."""
    answered(data, run := tmp_path / "run")
    path = run / "replies.jsonl"
    path.write_text(path.read_text().replace("parrot", "parrot (4bit) + lora", 1))
    argv = ["evaluate", "msvd", "--data", str(data), "--out", str(run), "--score-only", "--judge-rule", "words"]
    argv += ["--model", "parrot", "--adapter", "lora"]
    assert main([*argv, "--quantise", "4bit"]) == 0 and "items, parrot (4bit) + lora at" in capsys.readouterr().out
    assert main(argv) == 2 and "made with model 'parrot (4bit) + lora', not" in capsys.readouterr().err
