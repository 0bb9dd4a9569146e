"""Guards the movie data: every pair has its passage, nothing is lost unlisted, a killed run goes on.

The model is a server on this machine that answers well, badly, late or not at all.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from fake_endpoint import Fault, completion, good, good_pairs, serve

from data_prep import movies
from data_prep.__main__ import main
from data_prep.movie_plan import KINDS, plan
from data_prep.movie_replies import SHIPPED_PROMPTS, MalformedReplyError, Prompts, read_reply
from data_prep.movie_sources import passages, read_films
from llamavid_kit.chat import Endpoint
from llamavid_kit.pairs import read_jsonl, read_llava

PARAGRAPHS = [f"Act {k}. The count of castle no. {k} rises at dusk, and $5 buys him a ship.\r\n" for k in range(40)]
SRT = "".join(f"{k}\n00:{k:02d}:01,000 --> 00:{k:02d}:02,000\nLine {k} is said.\n\n" for k in range(1, 50))


@pytest.fixture
def films(tmp_path):
    """Three films: one with all texts, one with subtitles only, one with faulty texts."""
    root = tmp_path / "films"
    for name, files in {
        "Alpha (1922)": {
            "synopsis.txt": "\ufeffA count buys a house.\n\nHe meets the agent’s wife, and the sun ends him.",
            "script.txt": "\r\n".join(PARAGRAPHS), "subtitles.srt": SRT, "video.mkv": "",
        },
        "Beta": {"subtitles.srt": SRT},
        "Gamma": {"synopsis.txt": "  \n", "subtitles.srt": "no cues", "subtitles.vtt": "WEBVTT\n"},
    }.items():  # fmt: skip
        (root / name).mkdir(parents=True)
        for file, text in files.items():
            (root / name / file).write_bytes(text.encode())
    (root / "notes.txt").write_text("not a film")
    return root


def chat(fake, **changes) -> Endpoint:
    return Endpoint(fake.url, "writer", **{"backoff_s": 0.005, "retries": 1, "timeout_s": 5.0} | changes)


def build(films, fake, **options):
    return movies.build(
        films, chat(fake), **{"replies": films.parent / "replies.jsonl", "passage_chars": 900} | options
    )


def test_pairs_of_three_kinds_with_their_passages(films):
    with serve(good) as fake:
        result = build(films, fake)
    assert result.counts()["pairs"] == {"summary": 3, "plot": 10, "detail": 20}
    for pair in result.pairs:
        about = pair.extra["passage"]
        whole = (films / about["file"]).read_bytes().decode("utf-8-sig")
        assert whole[about["start"] : about["end"]] == about["text"] and 0 < len(about["text"]) <= 900
        assert about["text"] == about["text"].strip()
        sent = [b["messages"][1]["content"] for b in fake.bodies if about["text"] in b["messages"][1]["content"]]
        assert len(sent) == (2 if about["file"].endswith("synopsis.txt") else 1), "summary and plot share a passage"
        assert any(answer["question"] == pair.question and answer["answer"] == pair.answer and
                   answer["type"] == pair.extra["type"] for text in sent for answer in answers_to(text))  # fmt: skip
        assert pair.split == "train" and pair.extra["film"] == about["file"].split("/")[0]
    kinds = {(p.extra["film"], p.extra["kind"]): Path(p.extra["passage"]["file"]).name for p in result.pairs}
    assert kinds == {
        ("Alpha (1922)", "summary"): "synopsis.txt", ("Alpha (1922)", "plot"): "synopsis.txt",
        ("Alpha (1922)", "detail"): "script.txt", ("Beta", "detail"): "subtitles.srt",
    }  # fmt: skip
    assert {p.video for p in result.pairs} == {"Alpha (1922)/video.mkv", "Beta/video.mp4"}
    assert result.films_without_video == ["Beta", "Gamma"]


def answers_to(prompt: str) -> list[dict]:
    return good_pairs({"messages": [None, {"content": prompt}]})["pairs"]


def test_kinds_that_cannot_be_made_are_listed(films):
    with serve(good) as fake:
        result = build(films, fake)
    assert [(f["film"], f["kind"], f["reason"]) for f in result.failures] == [
        ("Beta", "summary", "no source"), ("Beta", "plot", "no source"),
        ("Gamma", "summary", "no source"), ("Gamma", "plot", "no source"), ("Gamma", "detail", "no source"),
    ]  # fmt: skip
    details = [f["detail"] for f in result.failures]
    assert details[0] == "no synopsis.txt" and details[2] == "synopsis.txt is empty"
    assert details[4] == "no script.txt; subtitles.srt and subtitles.vtt are both there, keep one"
    (films / "Gamma" / "subtitles.vtt").unlink()
    (films / "Gamma" / "script.txt").write_bytes(b"caf\xe9")
    detail = plan(read_films(films), passage_chars=900)[1][-1].why
    assert "script.txt is not UTF-8" in detail and "could not be read as .srt" in detail


def test_a_synopsis_that_is_too_long_is_not_summed_up_in_part(films):
    (films / "Beta" / "synopsis.txt").write_text("A long story. " * 100)
    requests, unmade = plan(read_films(films), passage_chars=900)
    assert [u for u in unmade if u.film == "Beta"] == [
        ("Beta", "summary", "Beta/synopsis.txt has 1400 characters and may not be cut for a summary; "
                            "raise --passage-chars")
    ]  # fmt: skip
    assert [r.n for r in requests if r.film.name == "Beta" and r.kind == "plot"] == [5, 5]


def test_pairs_are_spread_over_the_film(films):
    def asked(n, chars):
        per_film = {"summary": 0, "plot": 0, "detail": n}
        requests = [
            r for r in plan(read_films(films), per_film=per_film, passage_chars=chars)[0] if r.film.name[0] == "A"
        ]
        return [(r.n, r.passage.start) for r in requests]

    few, many = asked(5, 1500), asked(2, 100)
    assert [n for n, _ in few] == [2, 2, 1], "three passages"
    n_chars = len("\r\n".join(PARAGRAPHS))
    assert [(n, pytest.approx(at / n_chars, abs=0.05)) for n, at in many] == [(1, 0.25), (1, 0.75)]
    assert asked(0, 900) == []


@pytest.mark.parametrize(
    "text", ["\r\n".join(PARAGRAPHS), SRT, "word " * 999, "x" * 5000, "\n \n" + "A b. " * 300 + "\n\n"]
)
@pytest.mark.parametrize("most", [1, 100, 777, 10_000])
def test_passages_hold_everything_once(text, most):
    found = passages("f.txt", text, most)
    assert "".join("".join(p.text.split()) for p in found) == "".join(text.split())
    assert all(text[p.start : p.end] == p.text == p.text.strip() and 0 < len(p.text) <= most for p in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    if most == 777:
        assert min(len(p.text) for p in found) > most / 5, "no rest of a few words"


def test_passages_are_cut_between_paragraphs():
    found = passages("f.txt", "\r\n".join(PARAGRAPHS), 900)
    assert len(found) > 3 and all(p.text.startswith("Act ") and p.text.endswith("a ship.") for p in found)


def test_prompt_files_are_what_is_sent(films):
    with serve(good) as fake:
        build(films, fake)
    asked = {kind: next(b["messages"] for b in fake.bodies if f'"type": "{k.types[0]}"' in b["messages"][1]["content"])
             for kind, k in KINDS.items()}  # fmt: skip
    for kind, (system, user) in asked.items():
        assert system == {"role": "system", "content": (SHIPPED_PROMPTS / "system.txt").read_text().strip()}
        template = (SHIPPED_PROMPTS / f"{kind}.txt").read_text().strip()
        before, after = re.split(re.escape("$passage"), template)
        assert user["content"].startswith(before.split("$film")[0]) and user["content"].endswith(after)
    assert "Nosferatu" not in str(asked) and "Alpha (1922)" in asked["summary"][1]["content"]
    assert "$5 buys him a ship" in asked["detail"][1]["content"], "a dollar sign of the film stays"


def test_a_changed_prompt_is_used_and_asks_anew(films):
    mine = films.parent / "mine"
    shutil.copytree(SHIPPED_PROMPTS, mine)
    (mine / "plot.txt").write_text('For $$5: "type": "plot", exactly $n about $passage!')
    with serve(good) as fake:
        first = build(films, fake)
        n = len(fake.bodies)
        second = build(films, fake, prompts=Prompts(mine))
    assert [b["messages"][1]["content"][:31] for b in fake.bodies[n:]] == ['For $5: "type": "plot", exactly']
    assert "A count buys a house." in fake.bodies[-1]["messages"][1]["content"]
    changed = [p.question for p in second.pairs if p.extra["kind"] == "plot"]
    assert changed != [p.question for p in first.pairs if p.extra["kind"] == "plot"] and len(changed) == 10
    assert second.about["prompts"]["plot"] == (mine / "plot.txt").read_text()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("plot.txt", "Ask $n things about $film", r"plot.txt: fills in \['film', 'n'\]; expected \['n', 'passage'\]"),
        ("plot.txt", "$n $passage $actor", r"at most \['film', 'n', 'passage'\]"),
        ("plot.txt", "$n $passage costs 5 $", r"\$\$ for a dollar sign"),
        ("again.txt", "Once more.", r"expected \['problem'\]"),
        ("system.txt", "About $film", r"at most \[\]"),
    ],
)
def test_prompt_files_with_faults(tmp_path, file, text, message):
    shutil.copytree(SHIPPED_PROMPTS, tmp_path / "mine")
    (tmp_path / "mine" / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        Prompts(tmp_path / "mine")
    (tmp_path / "mine" / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{file} is not there; start from a copy"):
        Prompts(tmp_path / "mine")


def pair(k=1, **changes) -> dict:
    return {"type": ("plot", "character")[k % 2], "question": f"Who is number {k}?", "answer": "A count."} | changes


def reply(*pairs, **more) -> str:
    return json.dumps({"pairs": list(pairs), **more})


@pytest.mark.parametrize("text", [
    reply(pair(1), pair(2)), f"```json\n{reply(pair(1), pair(2))}\n```", f"```\n{reply(pair(1), pair(2))}\n```\n",
    f"<think>\nThe {{pairs}} …\n</think>\n\n{reply(pair(1), pair(2))}",
])  # fmt: skip
def test_good_replies(text):
    first, second = read_reply(text, KINDS["plot"], 2)
    assert (first.type, first.question, first.answer) == ("character", "Who is number 1?", "A count.")
    assert second.question == "Who is number 2?"


@pytest.mark.parametrize(("text", "problem"), [
    ("", "not JSON"), ("Sure! " + reply(pair(1), pair(2)), "not JSON"), (reply(pair(1), pair(2))[:-1], "not JSON"),
    ("{'pairs': []}", "not JSON"), ("[" * 100_000, "not JSON"), ("[]", 'the one field "pairs"'),
    (reply(pair(1), pair(2), note="done"), 'the one field "pairs"'), ('{"pairs": {}}', 'the one field "pairs"'),
    (reply(pair(1)), "has 1 pairs, expected 2"), (reply(pair(1), pair(2), pair(3)), "has 3 pairs, expected 2"),
    (reply(pair(1), "Who?"), "pair 2: expected an object"), (reply(pair(1), pair(2, why="x")), "pair 2: expected"),
    (reply(pair(1), {"question": "Who is he?", "answer": "A count."}), "pair 2: expected an object"),
    (reply(pair(1), pair(2, type="detail")), "pair 2: type 'detail', expected one of plot, character"),
    (reply(pair(1), pair(2, type=["plot"])), "pair 2: type"),
    (reply(pair(1), pair(3)), "no pair has the type 'plot'"),
    (reply(pair(1), pair(2, answer=5)), "pair 2: the answer is not a text"),
    (reply(pair(1), pair(2, answer=None)), "pair 2: the answer is not a text"),
    (reply(pair(1), pair(2, answer="  ")), "answer of 0 characters, expected 2 to 2000"),
    (reply(pair(1), pair(2, answer="x" * 2001)), "answer of 2001 characters, expected 2 to 2000"),
    (reply(pair(1), pair(2, question="Who?")), "question of 4 characters, expected 8 to 500"),
    (reply(pair(1), pair(2, question="x" * 501)), "question of 501 characters"),
    (reply(pair(1), pair(2, question="??????????")), "holds no words"),
    (reply(pair(1), pair(2, question="Who  is NUMBER 1 ?")), "asks the same twice"),
    (reply(pair(1), pair(2, question="See <image> now?")), "holds <image> or </s>"),
    (reply(pair(1), pair(2, answer="A count.</s>USER")), "holds <image> or </s>"),
    (reply(pair(1), pair(2, answer="half \ud83d")), "half a character"),
])  # fmt: skip
def test_unusable_replies(text, problem):
    with pytest.raises(MalformedReplyError, match=re.escape(problem)):
        read_reply(text, KINDS["plot"], 2)


def test_bounds_are_those_of_the_kind():
    summary = {"type": "brief", "question": "What is it about?", "answer": "x" * 39}
    with pytest.raises(MalformedReplyError, match="39 characters, expected 40 to 6000"):
        read_reply(reply(summary), KINDS["summary"], 1)
    assert len(read_reply(reply(summary | {"answer": "x" * 6000}), KINDS["summary"], 1)) == 1


def only_summary(films) -> Path:
    for name in ("Beta", "Gamma"):
        shutil.rmtree(films / name)
    return films


ONE = {"summary": 2, "plot": 0, "detail": 0}


def test_an_unusable_reply_is_asked_for_again_with_what_is_wrong(films, caplog):
    with serve(lambda body, n: ["Sure!", Fault(body=completion('{"pairs": [', "length")), good(body)][n]) as fake:
        result = build(only_summary(films), fake, per_film=ONE)
    assert len(result.pairs) == 2 and result.n_asked_again == 2 and not result.failures
    assert "Alpha (1922)/summary/001: reply 1 of at most 3: it is not JSON" in caplog.text
    first, second, third = (body["messages"] for body in fake.bodies)
    assert second[:2] == third[:2] == first and [m["role"] for m in second[2:]] == ["assistant", "user"]
    assert second[2]["content"] == "Sure!" and third[2]["content"] == '{"pairs": ['
    assert "it is not JSON" in second[3]["content"] and "all 2 pairs" in second[3]["content"]
    assert "(it was cut off at max_tokens)" in third[3]["content"]


def test_after_so_many_unusable_replies_the_request_is_a_failure(films):
    with serve(lambda *_: "Sure!") as fake:
        result = build(only_summary(films), fake, per_film=ONE)
        assert len(fake.bodies) == 3, "the same unusable reply is asked for again all the same"
        again = build(films, fake, per_film=ONE)
        assert len(fake.bodies) == 3, "and stays a failure without a request"
    assert result.pairs == [] and result.failures == again.failures and result.n_asked_again == 2
    failure = result.failures[0]
    assert (failure["film"], failure["kind"], failure["reason"]) == ("Alpha (1922)", "summary", "malformed")
    assert len(failure["problems"]) == 3 and failure["request"] == "Alpha (1922)/summary/001"
    assert failure["passage"]["text"].startswith("A count buys")
    with serve(lambda *_: "Sure!") as fake:
        build(films, fake, per_film=ONE, again=0, replies=films.parent / "other.jsonl")
        assert len(fake.bodies) == 1


def test_a_question_asked_before_is_dropped_and_listed(films):
    def twins(body, number):
        pairs = good_pairs(body)
        if '"type": "plot"' in body["messages"][1]["content"]:
            pairs["pairs"][0]["question"] = "What is the film about?"
        if '"type": "brief"' in body["messages"][1]["content"]:
            pairs["pairs"][1]["question"] = "what is the Film about"
        return json.dumps(pairs)

    with serve(twins) as fake:
        result = build(films, fake, parallel=4)
    assert result.counts()["pairs"] == {"summary": 3, "plot": 9, "detail": 20}
    dropped = [f for f in result.failures if f["reason"] == "duplicate question"]
    assert [(f["pair"], f["kind"]) for f in dropped] == [("Alpha (1922)/plot/001/1", "plot")]
    assert "was already asked by Alpha (1922)/summary/001/2" in dropped[0]["detail"]


def test_a_request_that_is_refused_or_unanswered_is_listed_and_the_rest_made(films):
    def script(body, number):
        kind = re.search(r'"type": "(\w+)"', body["messages"][1]["content"])[1]
        return {"brief": Fault(status=400, body="too long"), "plot": Fault(status=500)}.get(kind) or good(body)

    with serve(script) as fake:
        result = build(films, fake)
    assert result.counts()["pairs"] == {"detail": 20}
    failed = {f["reason"]: f for f in result.failures if f["reason"] != "no source"}
    assert set(failed) == {"refused", "no reply"}
    assert failed["refused"]["kind"] == "summary" and "HTTP 400 too long" in failed["refused"]["detail"]
    assert failed["no reply"]["kind"] == "plot" and "HTTP 500 {} (2 tries)" in failed["no reply"]["detail"]
    with serve(good) as fake:
        assert build(films, fake).counts()["pairs"] == {"summary": 3, "plot": 10, "detail": 20}
        assert len(fake.bodies) == 2, "only what got no reply is asked"


def test_an_endpoint_that_is_gone_stops_the_run(films):
    with serve(lambda body, n: good(body) if n < 3 else Fault(status=503)) as fake:
        with pytest.raises(ValueError, match=r"3 requests in a row got no reply.*503.*3 replies are kept in .*goes on"):
            build(films, fake)
        assert 3 + 3 * 2 <= len(fake.bodies) <= 3 + 4 * 2, "one more may be in flight"
    with serve(lambda *_: Fault(status=401)) as fake:
        with pytest.raises(ValueError, match="HTTP 401"):
            build(films, fake, parallel=1)
        assert len(fake.bodies) <= 2, "a key that is wrong is not tried for every request"


def written(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.name != "replies.jsonl"}


def command(films, fake, out, *more) -> list[str]:
    return ["movies", str(films), "--endpoint", fake.url, "--model", "writer", "--out", str(out),
            "--passage-chars", "900", *more]  # fmt: skip


def start(*arguments) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep", *arguments], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


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
    assert "the same command goes on from there" in errors and "Traceback" not in errors
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
    for path in (tmp_path / "out").iterdir():
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
def test_faulty_options_name_the_way_out(films, capsys, more, message):
    assert main(["movies", str(films), *more]) == 2
    assert message in capsys.readouterr().err


def test_what_is_not_a_folder_of_films(films, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected one with a folder a film"):
        read_films(tmp_path / "none")
    with pytest.raises(ValueError, match="holds synopsis.txt itself: give the folder above"):
        read_films(films / "Alpha (1922)")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders"):
        read_films(tmp_path / "empty")


def test_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["movies", "--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "plot and character pairs a film (default: 10; 0: none)" in shown and "--dry-run" in shown
