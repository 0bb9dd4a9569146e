"""Guards the way to a chat model: what is sent, what is tried again and when, what the log keeps, and the key."""

import email.utils
import json
import logging
import shutil
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
        chat, known = endpoint(fake, key="sk-secret"), ReplyLog(tmp_path / "replies.jsonl")
        known.reply(chat, MESSAGES)
        assert [h["Authorization"] for h in fake.headers] == ["Bearer sk-secret"] * 3
    wrong = Fault(status=401, body="Incorrect API key: sk-secret")
    with serve(lambda *_: wrong) as fake, pytest.raises(ValueError) as error:
        endpoint(fake, key="sk-secret").reply(MESSAGES)
    seen = caplog.text + str(error.value) + repr(chat) + json.dumps(chat.identity)
    assert "sk-secret" not in seen + (tmp_path / "replies.jsonl").read_text() and "***" in seen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "file:///etc/passwd"}, "expected an address such as"),
        ({"url": "127.0.0.1:8000"}, "expected an address such as"),
        ({"url": "http://me:pw@host/v1"}, "through the environment"),
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
    known = ReplyLog(path)
    known.reply(chat, MESSAGES[:1])
    one = path.read_bytes()
    known.reply(chat, MESSAGES)
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


def test_a_local_model_speaks_by_its_template(chat_model):
    from llamavid_kit.evaluation.judges.chat.local import LocalModel

    chat = LocalModel(str(chat_model), settings={"temperature": 0, "max_tokens": 6}, device="cpu")
    reply = chat.reply(MESSAGES)
    prompt = chat.tokenizer(
        "system: Be brief.\nuser: Grüße?\nassistant:", return_tensors="pt", add_special_tokens=False
    )
    whole = chat.model.generate(**prompt, max_new_tokens=6, do_sample=False)[0]
    n = prompt["input_ids"].shape[1]
    assert reply.text == chat.tokenizer.decode(whole[n:], skip_special_tokens=True)
    assert reply.finish == ("length" if len(whole) - n == 6 else "stop")
    assert reply.usage == (n, len(whole) - n)
    settings = {"temperature": 0, "max_tokens": 6}
    assert chat.identity == {"local_model": str(chat_model), "weights": chat.weights, "settings": settings}


def test_other_weights_under_the_same_name_are_another_model(chat_model):
    import torch

    from llamavid_kit.evaluation.judges.chat.local import LocalModel

    one, two = (LocalModel(str(chat_model), settings={"max_tokens": 6}, device="cpu") for _ in range(2))
    with torch.no_grad():
        two.model.lm_head.weight[3, 5] += 0.5
    assert one.identity["local_model"] == two.identity["local_model"] and one.identity != two.identity
    assert LocalModel(str(chat_model), settings={"max_tokens": 6}, device="cpu").identity == one.identity


def test_a_local_model_samples_by_its_seed(chat_model):
    from llamavid_kit.evaluation.judges.chat.local import LocalModel

    texts = [
        LocalModel(str(chat_model), settings={"temperature": 1.5, "max_tokens": 12, "seed": seed}).reply(MESSAGES).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_what_a_local_model_refuses(chat_model, tmp_path):
    import torch
    from safetensors.torch import load_file

    from llamavid_kit.evaluation.judges.chat.local import LocalModel

    with pytest.raises(RefusedError, match=r"max_tokens=4096 do not fit the model's 120"):
        LocalModel(str(chat_model)).reply(MESSAGES)
    with pytest.raises(ValueError, match=r"\['response_format'\] are unknown"):
        LocalModel(str(chat_model), settings={"response_format": {}})
    shutil.copytree(chat_model, tmp_path / "pickled")
    weights = tmp_path / "pickled" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(ValueError, match="could not be loaded: expected a chat model in safetensors"):
        LocalModel(str(tmp_path / "pickled"))
    shutil.copytree(chat_model, tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        LocalModel(str(tmp_path / "base"))
