"""Guards the movie data: every pair has its passage, nothing is lost unlisted, a killed run goes on.

The model is a server on this machine that answers well, badly, late or not at all.
"""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest
from fake_endpoint import Fault, completion, good, good_pairs, serve

from data_prep import movies
from data_prep.movies.plan import KINDS, plan
from data_prep.movies.replies import SHIPPED_PROMPTS, Prompts
from data_prep.movies.sources import read_films
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint


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
        assert any(
            answer["question"] == pair.question
            and answer["answer"] == pair.answer
            and answer["type"] == pair.extra["type"]
            for text in sent
            for answer in answers_to(text)
        )
        file = {"Alpha (1922)": "subtitles.srt", "Beta": "subtitles.srt"}.get(pair.extra["film"])
        assert pair.extra.get("subtitles") == (file and f"{pair.extra['film']}/{file}")  # what training shows
        assert pair.split == "train" and pair.extra["film"] == about["file"].split("/")[0]
    kinds = {(p.extra["film"], p.extra["kind"]): Path(p.extra["passage"]["file"]).name for p in result.pairs}
    assert kinds == {
        ("Alpha (1922)", "summary"): "synopsis.txt",
        ("Alpha (1922)", "plot"): "synopsis.txt",
        ("Alpha (1922)", "detail"): "script.txt",
        ("Beta", "detail"): "subtitles.srt",
    }
    assert {p.video for p in result.pairs} == {"Alpha (1922)/video.mkv", "Beta/video.mp4"}
    assert result.films_without_video == ["Beta", "Gamma"]


def answers_to(prompt: str) -> list[dict]:
    return good_pairs({"messages": [None, {"content": prompt}]})["pairs"]


def test_kinds_that_cannot_be_made_are_listed(films):
    with serve(good) as fake:
        result = build(films, fake)
    assert [(f["film"], f["kind"], f["reason"]) for f in result.failures] == [
        ("Beta", "summary", "no source"),
        ("Beta", "plot", "no source"),
        ("Gamma", "summary", "no source"),
        ("Gamma", "plot", "no source"),
        ("Gamma", "detail", "no source"),
    ]
    details = [f["detail"] for f in result.failures]
    assert details[0] == "no synopsis.txt" and details[2] == "synopsis.txt is empty"
    assert details[4] == "no script.txt; subtitles.srt and subtitles.vtt are both there, keep one"
    (films / "Gamma" / "subtitles.vtt").unlink()
    (films / "Gamma" / "script.txt").write_bytes(b"caf\xe9")
    detail = plan(read_films(films), passage_chars=900)[1][-1].why
    assert "script.txt, line 1 is not UTF-8" in detail and "could not be read as .srt" in detail


def test_prompt_files_are_what_is_sent(films):
    with serve(good) as fake:
        build(films, fake)
    messages = {
        kind: next(b["messages"] for b in fake.bodies if f'"type": "{k.types[0]}"' in b["messages"][1]["content"])
        for kind, k in KINDS.items()
    }
    for kind, (system, user) in messages.items():
        assert system == {"role": "system", "content": (SHIPPED_PROMPTS / "system.txt").read_text().strip()}
        template = (SHIPPED_PROMPTS / f"{kind}.txt").read_text().strip()
        before, after = re.split(re.escape("$passage"), template)
        assert user["content"].startswith(before.split("$film")[0]) and user["content"].endswith(after)
    assert "Nosferatu" not in str(messages) and "Alpha (1922)" in messages["summary"][1]["content"]
    assert "$5 buys him a ship" in messages["detail"][1]["content"], "a dollar sign of the film stays"


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


def test_two_films_may_ask_the_same_and_are_asked_at_once(films):
    """Both requests must be under way before either is answered; one at a time would get no replies."""
    both = threading.Barrier(2)

    def alike(body, number):
        both.wait(timeout=3)
        names = ("plain", "tricky")
        qas = [
            {"type": t, "question": f"What is {n}?", "answer": "A door."}
            for t, n in zip(KINDS["detail"].types, names, strict=True)
        ]
        return json.dumps({"pairs": qas})

    with serve(alike) as fake:
        result = movies.build(
            films,
            chat(fake, retries=0, timeout_s=30),
            replies=films.parent / "replies.jsonl",
            parallel=2,
            per_film={"summary": 0, "plot": 0, "detail": 2},
            passage_chars=9000,
        )
    assert [p.id for p in result.pairs] == [f"{f}/detail/001/{k}" for f in ("Alpha (1922)", "Beta") for k in (1, 2)]


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
        with pytest.raises(ValueError, match=r"3 requests in a row got no reply.*503.*3 replies are kept.*continues"):
            build(films, fake)
        assert 3 + 3 * 2 <= len(fake.bodies) <= 3 + 4 * 2, "one more may be in flight"
    with serve(lambda *_: Fault(status=401)) as fake:
        with pytest.raises(ValueError, match="HTTP 401"):
            build(films, fake, parallel=1)
        n_requests = len(plan(read_films(films))[0])
        assert len(fake.bodies) <= n_requests / 2, "a key that is wrong is not tried for every request"
