"""Guards the way to a chat model: what is sent, what is tried again and when, what the log keeps, and the key."""

import email.utils
import json
import logging
import time

import pytest
from fake_endpoint import Fault, completion, serve

from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint, RefusedError, Reply, ReplyLog, UnreachableError

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße?"}]


def endpoint(fake, **changes) -> Endpoint:
    options = {"backoff_s": 0.005, "retries": 2, "timeout_s": 5.0, "max_wait_s": 2.0} | changes
    return Endpoint(fake.url, "a-model", **options)


def test_what_is_sent():
    with serve(lambda *_: "Hello.") as fake:
        settings = {"temperature": None, "max_tokens": 7, "response_format": {"type": "json_object"}}
        assert endpoint(fake, settings=settings).reply(MESSAGES) == Reply("Hello.", "stop")
    assert fake.paths == ["/v1/chat/completions"]
    assert fake.bodies == [
        {"model": "a-model", "messages": MESSAGES, "max_tokens": 7, "response_format": {"type": "json_object"}}
    ]
    assert "Authorization" not in fake.headers[0] and fake.headers[0]["Content-Type"] == "application/json"


def test_a_reply_without_text_or_cut_off():
    replies = [Fault(body=completion(None)), Fault(body=completion("Hal", "length"))]
    with serve(lambda _, n: replies[n]) as fake:
        assert endpoint(fake).reply(MESSAGES) == Reply("", "stop")
        assert endpoint(fake).reply(MESSAGES) == Reply("Hal", "length")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, body="<html>"),
        Fault(status=429),
        Fault(status=408),
        Fault(reset=True),
        Fault(body="<html>busy</html>"),
        Fault(body='{"error": "overloaded"}'),
        Fault(body='{"choices": []}'),
        Fault(body=completion("half")[:20], missing_bytes=50),
        Fault(body='{"choices": [{"message": {"content": 3}}]}'),
        Fault(body="[" * 100_000),
    ],
    ids=["500", "503", "429", "408", "reset", "html", "error", "none", "half", "number", "deep"],
)
def test_what_passes_is_tried_again(fault):
    with serve(lambda _, n: fault if n < 2 else "Hello.") as fake:
        assert endpoint(fake).reply(MESSAGES).text == "Hello."
        assert len(fake.bodies) == 3 and fake.bodies[0] == fake.bodies[2]
    with serve(lambda *_: fault) as fake, pytest.raises(UnreachableError, match="3 tries"):
        endpoint(fake).reply(MESSAGES)
    assert len(fake.bodies) == 3


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {"prompt_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 1},
    ],
)
def test_usage_that_makes_no_sense_is_none(usage):
    body = json.dumps(json.loads(completion("Hi")) | {"usage": usage})
    with serve(lambda *_: Fault(body=body)) as fake:
        assert endpoint(fake).reply([{"role": "user", "content": "?"}]).usage is None


def test_what_usage_is_no_part_of():
    assert Reply("a", "stop", (1, 2)) == Reply("a")


def test_a_slow_reply_times_out_and_is_tried_again():
    with serve(lambda _, n: Fault(wait_s=3, body=completion("late")) if n == 0 else "In time.") as fake:
        started = time.monotonic()
        assert endpoint(fake, timeout_s=0.5).reply(MESSAGES).text == "In time."
        assert time.monotonic() - started < 2 and len(fake.bodies) == 2


def test_a_reply_that_drips_is_cut_off_too():
    """Each byte comes in time, the reply does not."""
    with serve(lambda _, n: Fault(drip_s=0.05, body=completion("late")) if n == 0 else "In time.") as fake:
        started = time.monotonic()
        assert endpoint(fake, timeout_s=0.5).reply(MESSAGES).text == "In time."
        assert time.monotonic() - started < 2 and len(fake.bodies) == 2


def test_a_reply_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr("llamavid_kit.evaluation.judges.chat.endpoint.MAX_REPLY_BYTES", 1000)
    with serve(lambda *_: "x" * 2000) as fake, pytest.raises(UnreachableError, match="more than 1000 bytes"):
        endpoint(fake).reply(MESSAGES)


def test_no_server_at_all():
    with serve(lambda *_: "") as fake:
        pass
    with pytest.raises(UnreachableError, match="no reply.*2 tries"):
        endpoint(fake, retries=1).reply(MESSAGES)


def test_waits_double_and_retry_after_is_honoured():
    answers = [Fault(status=500), Fault(status=500), Fault(status=429, headers={"Retry-After": "0.4"}), "Hello."]
    with serve(lambda _, n: answers[n]) as fake:
        endpoint(fake, retries=3, backoff_s=0.1).reply(MESSAGES)
    first, second, third = (b - a for a, b in zip(fake.times_s, fake.times_s[1:], strict=False))
    assert first >= 0.05 and second >= 0.1 and third >= 0.4, "at least half of 0.1, half of 0.2, and what was asked"


def test_retry_after_may_be_a_date():
    date = email.utils.format_datetime(email.utils.localtime().astimezone(), usegmt=False)
    for value, tries in ((date, 2), ("soon", 2), ("-3", 2), ("3600", 1)):
        with serve(lambda _, n, v=value: Fault(status=429, headers={"Retry-After": v}) if n == 0 else "Hi") as fake:
            if tries == 1:
                with pytest.raises(UnreachableError, match="wait of 3600 s asked"):
                    endpoint(fake).reply(MESSAGES)
            else:
                assert endpoint(fake).reply(MESSAGES).text == "Hi"
        assert len(fake.bodies) == tries


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_is_not_repeated(status):
    with serve(lambda *_: Fault(status=status, body="too long")) as fake:
        with pytest.raises(RefusedError, match=f"HTTP {status} too long"):
            endpoint(fake).reply(MESSAGES)
        assert len(fake.bodies) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 302, 307])
def test_what_no_request_can_pass_stops_the_run(status):
    elsewhere = {"Location": "http://127.0.0.1:1/steal"} if status in (302, 307) else {}
    with serve(lambda *_: Fault(status=status, headers=elsewhere)) as fake:
        with pytest.raises(ValueError, match=f"HTTP {status}.*check its address.*a-model.*key"):
            endpoint(fake, key="sk-secret").reply(MESSAGES)
        assert len(fake.bodies) == 1


def test_the_key_is_sent_and_nowhere_else(caplog, tmp_path):
    """Servers like to repeat it in their errors."""
    caplog.set_level(logging.DEBUG)
    answers = [Fault(status=500, body="bad key sk-secret"), Fault(body="sk-secret"), "Hello."]
    with serve(lambda _, n: answers[n]) as fake:
        chat, log = endpoint(fake, key="sk-secret"), ReplyLog(tmp_path / "replies.jsonl")
        log.reply(chat, MESSAGES)
        assert [h["Authorization"] for h in fake.headers] == ["Bearer sk-secret"] * 3
    wrong = Fault(status=401, body="Incorrect API key: sk-secret")
    with serve(lambda *_: wrong) as fake, pytest.raises(ValueError) as error:
        endpoint(fake, key="sk-secret").reply(MESSAGES)
    texts = caplog.text + str(error.value) + repr(chat) + json.dumps(chat.identity)
    assert "sk-secret" not in texts + (tmp_path / "replies.jsonl").read_text() and "***" in texts


def test_a_key_that_a_reply_repeats_is_not_written_down(tmp_path):
    with serve(lambda *_: Fault(body=completion("you sent sk-secret", "sk-secret"))) as fake:
        reply = ReplyLog(tmp_path / "replies.jsonl").reply(endpoint(fake, key="sk-secret"), MESSAGES)
    assert reply == Reply("you sent ***", "***")
    assert "sk-secret" not in (tmp_path / "replies.jsonl").read_text()


SECRET = (  # where a key is put by mistake
    "http://:sk-secret@host/v1",
    "http://sk-secret@host/v1",
    "http://host/v1#sk-secret",
    "http://host/v1?key=sk-secret",
    "http://host/v1;key=sk-secret",
    "http://host:sk-secret/v1",
    "ftp://:sk-secret@host/v1",
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "file:///etc/passwd"}, "expected an address such as"),
        ({"url": "127.0.0.1:8000"}, "expected an address such as"),
        ({"url": "http://me:pw@host/v1"}, "through the environment"),
        *(({"url": url}, "holds a user, a key, a query or a port that is not a number") for url in SECRET),
        ({"url": "http:///v1"}, "endpoint 'http:///v1': expected an address such as"),
        ({"model": ""}, "expected the name"),
        ({"settings": {"stream": True, "n": 2}}, r"\['n', 'stream'\] are not free"),
        ({"key": "sk-secret\n"}, "the key holds"),
        ({"timeout_s": 0}, "timeout_s must be above 0"),
        ({"retries": -1}, "at least 0"),
    ],
)
def test_what_an_endpoint_refuses(options, message):
    with pytest.raises(ValueError, match=message) as error:
        Endpoint(**{"url": "http://127.0.0.1:1/v1", "model": "m"} | options)
    assert "sk-secret" not in str(error.value) and ":pw@" not in str(error.value)


class Counting:
    """A chat that numbers its replies."""

    def __init__(self, **identity):
        self.identity, self.n = identity, 0

    def reply(self, messages):
        self.n += 1
        return Reply(f"reply {self.n} é \ud800", "stop")


def test_the_log_asks_nothing_twice(tmp_path):
    path, chat = tmp_path / "deep" / "replies.jsonl", Counting(model="a")
    first = ReplyLog(path)
    texts = [first.reply(chat, MESSAGES).text, first.reply(chat, MESSAGES).text]
    texts += [first.reply(chat, MESSAGES, attempt=2).text, first.reply(chat, MESSAGES[1:]).text]
    assert [text[:7] for text in texts] == ["reply 1", "reply 1", "reply 2", "reply 3"]
    again = ReplyLog(path)
    assert len(again) == 3 and again.reply(Counting(model="a"), MESSAGES) == Reply("reply 1 é \ud800", "stop")
    other = Counting(model="b")
    again.reply(other, MESSAGES)
    assert other.n == 1, "another model or setting is asked"


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_cut_short_is_asked_again(tmp_path, cut, caplog):
    path, chat = tmp_path / "replies.jsonl", Counting()
    log = ReplyLog(path)
    log.reply(chat, MESSAGES[:1])
    one = path.read_bytes()
    log.reply(chat, MESSAGES)
    path.write_bytes(path.read_bytes()[:-cut])
    again = ReplyLog(path)
    assert len(again) == 1 and path.read_bytes() == one and "cut short" in caplog.text
    again.reply(chat, MESSAGES)
    assert chat.n == 3 and len(ReplyLog(path)) == 2


@pytest.mark.parametrize("line", ["[]", '{"key": "k", "te', '{"key": "k", "text": 5, "finish": "stop"}'])
def test_a_foreign_line_is_named(line, tmp_path):
    (tmp_path / "replies.jsonl").write_text(f'{{"key": "k", "text": "t", "finish": "stop"}}\n{line}\n')
    with pytest.raises(ValueError, match=r"replies.jsonl, line 2: not a logged reply"):
        ReplyLog(tmp_path / "replies.jsonl")
