"""Guards `python -m data_prep movies`: killed, interrupted or side by side, it writes the same files and no key."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_endpoint import Fault, completion, good, serve

from data_prep.__main__ import main
from llamavid_kit.data.pairs import read_jsonl, read_llava


def written(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.glob("[!.]*")) if p.name != "replies.jsonl"}


def command(films, fake, out, *more) -> list[str]:
    return [
        "movies",
        str(films),
        "--endpoint",
        fake.url,
        "--model",
        "writer",
        "--out",
        str(out),
        "--passage-chars",
        "900",
        *more,
    ]


def start(*arguments) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep", *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )


def wait_for(happened, process) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.005)


def test_parallel_and_killed_runs_write_the_same_files(films, tmp_path):
    """Undisturbed, four at a time, and killed twice by SIGKILL with the log's last line torn."""

    def steady(body, number):
        """Whether a first reply is unusable depends on the prompt alone, as with a model at temperature 0."""
        first = len(body["messages"]) == 2 and len(body["messages"][1]["content"]) % 2
        return Fault(wait_s=0.03, body=completion("Sure!" if first else good(body)))

    with serve(steady) as fake:
        assert main(command(films, fake, tmp_path / "calm")) == 0
        n_requests = len(fake.bodies)
    calm = written(tmp_path / "calm")
    assert sorted(calm) == ["failures.jsonl", "pairs.jsonl", "pairs.llava.json", "run.json"]
    assert json.loads(calm["run.json"])["counts"]["asked_again"] > 0
    with serve(steady) as fake:
        assert main(command(films, fake, tmp_path / "four", "--parallel", "4")) == 0
    assert written(tmp_path / "four") == calm
    replies = tmp_path / "killed" / "replies.jsonl"
    with serve(steady) as fake:
        for n in (2, 5):
            process = start(*command(films, fake, tmp_path / "killed"))
            wait_for(lambda n=n: replies.is_file() and replies.read_bytes().count(b"\n") >= n, process)
            process.kill()
            process.communicate()
            with replies.open("ab") as file:
                file.write(b'{"key": "torn')
        assert not (tmp_path / "killed" / "pairs.jsonl").exists()
        assert main(command(films, fake, tmp_path / "killed")) == 0
        assert n_requests <= len(fake.bodies) <= n_requests + 2, "at most the request in flight is asked twice"
    assert written(tmp_path / "killed") == calm


def test_ctrl_c_leaves_at_once_and_says_how_to_go_on(films, tmp_path):
    with serve(lambda body, n: good(body) if n < 2 else Fault(wait_s=20)) as fake:
        process = start(*command(films, fake, tmp_path / "out", "--parallel", "2"))
        wait_for(lambda: len(fake.bodies) >= 4, process)
        process.send_signal(signal.SIGINT)
        asked_s = time.monotonic()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130 and time.monotonic() - asked_s < 5
    assert "the same command continues from there" in errors and "Traceback" not in errors
    assert len((tmp_path / "out" / "replies.jsonl").read_text().splitlines()) == 2


def test_the_command(films, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "sk-secret")
    with serve(good) as fake:
        more = ("--key-env", "SECRET", "--set", "seed=7", "--set", "temperature=null", "--summary", "2", "--plot", "0")
        assert main(command(films, fake, tmp_path / "out", *more)) == 0
        assert {h["Authorization"] for h in fake.headers} == {"Bearer sk-secret"}
        assert all(b["seed"] == 7 and b["max_tokens"] == 4096 and "temperature" not in b for b in fake.bodies)
    printed = capsys.readouterr().out
    assert "pairs: summary 2, detail 20" in printed and "failures: no source 3" in printed
    assert "note: no video.mp4 in 2 films" in printed
    pairs = read_jsonl(tmp_path / "out" / "pairs.jsonl")
    assert len(pairs) == 22 and [p.id for p in read_llava(tmp_path / "out" / "pairs.llava.json")] == [
        p.id for p in pairs
    ]
    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert [f["film"] for f in failures] == ["Beta", "Gamma", "Gamma"]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["endpoint_model"] == "writer" and run["settings"]["seed"] == 7 and "system" in run["prompts"]
    for path in (tmp_path / "out").glob("[!.]*"):
        assert "sk-secret" not in path.read_text(encoding="utf-8") and fake.url not in path.read_text(encoding="utf-8")


def test_without_an_endpoint_the_model_is_loaded_here(films, tmp_path, capsys, chat_model):
    """The small model's context is too short for any passage, which is a failure with a reason."""
    local = ["movies", str(films), "--out", str(tmp_path / "out"), "--summary", "0", "--plot", "0"]
    assert main([*local, "--model", str(chat_model), "--set", "max_tokens=8"]) == 1
    assert "refused 2" in capsys.readouterr().out
    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert ["do not fit the model's 120" in f["detail"] for f in failures] == [False, True, True]
    assert main([*local, "--model", str(tmp_path / "nothing")]) == 2
    assert "could not be loaded" in capsys.readouterr().err


def test_nothing_made_is_an_exit_code(films, tmp_path, capsys):
    with serve(lambda *_: "Sure!") as fake:
        assert main(command(films, fake, tmp_path / "out", "--again", "0")) == 1
    assert "pairs: none" in capsys.readouterr().out


def test_a_dry_run_asks_nothing(films, tmp_path, capsys):
    assert main(["movies", str(films), "--dry-run", "--out", str(tmp_path / "out"), "--passage-chars", "900"]) == 0
    printed = capsys.readouterr().out
    assert "summary: 1 requests, 3 pairs, 71 characters" in printed and "detail: 7 requests, 20 pairs" in printed
    assert "no detail for Gamma: no script.txt; " in printed and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--endpoint", "http://127.0.0.1:1/v1"], "--model is missing"),
        (["--model", "m", "--endpoint", "127.0.0.1"], "expected an address such as"),
        (["--model", "m", "--endpoint", "http://127.0.0.1:1/v1", "--key-env", "NO_SUCH_VARIABLE"], "is not set"),
        (
            ["--model", "m", "--endpoint", "http://127.0.0.1:1/v1", "--set", "stop=END"],
            "--set stop=END: expected NAME=",
        ),
        (["--model", "m", "--endpoint", "http://127.0.0.1:1/v1", "--plot", "-1"], "'plot': -1"),
        (["--model", "m", "--endpoint", "http://127.0.0.1:1/v1", "--parallel", "0"], "parallel=0"),
        (["--dry-run", "--passage-chars", "10"], "passage_chars=10"),
        (["--dry-run", "--prompts", "nowhere"], "start from a copy of"),
    ],
)
def test_faulty_options_name_the_way_out(films, tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)  # where --out is by default
    assert main(["movies", str(films), *more]) == 2
    assert message in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["movies", "--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "plot and character pairs a film (default: 10; 0: none)" in text and "--dry-run" in text
