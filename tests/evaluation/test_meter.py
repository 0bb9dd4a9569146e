"""Guards what asking costs: requests, tokens and money counted, and a pace that is kept."""

import json

import pytest
from fake_endpoint import Fault, completion, serve
from judging import CAT, DOG, YES, by_words, endpoint

from llamavid_kit.evaluation.judges.chat.meter import Meter
from llamavid_kit.evaluation.judges.judge import ChatJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem


def test_a_meter_counts_what_was_asked_and_changes_nothing(tmp_path):
    def priced(body, number):
        if number == 2:
            return by_words(body, number)
        return Fault(
            body=json.dumps(json.loads(completion(YES)) | {"usage": {"prompt_tokens": 300, "completion_tokens": 20}})
        )

    with serve(priced) as fake:
        meter = Meter(endpoint(fake), price=(0.5, 1.5))
        judge = ChatJudge(meter).for_arm(tmp_path, "arm")
        assert judge.identity == ChatJudge(endpoint(fake)).identity
        for _ in range(2):  # the second time from the file, for nothing
            judge.verdicts([DOG, CAT])
        assert (meter.n_requests, meter.n_prompt_tokens, meter.n_reply_tokens, meter.n_uncounted) == (2, 600, 40, 0)
        assert meter.cost == pytest.approx((600 * 0.5 + 40 * 1.5) / 1e6)
        judge.verdicts([JudgeItem("q9", "?", "a", "b")])
    assert (meter.n_requests, meter.n_uncounted, meter.n_prompt_tokens) == (3, 1, 600)
    assert str(meter) == (
        "3 requests, 600 tokens sent, 40 tokens received (1 replies did not say), 0.0004 at 0.5 and 1.5 a million"
    ).replace("40 tokens received", "40 received")
    assert Meter(endpoint(fake)).cost is None


def test_a_meter_keeps_its_pace():
    """Also where several ask at a time."""
    with serve(by_words) as fake:
        judge = ChatJudge(Meter(endpoint(fake), per_minute=600), workers=4)
        judge.verdicts([JudgeItem(f"q{k}", "?", "a", str(k)) for k in range(5)])
    assert len(fake.times_s) == 5 and fake.times_s[-1] - fake.times_s[0] > 0.3
    for odd in ({"per_minute": 0}, {"price": (1, -1)}, {"price": (1,)}):
        with pytest.raises(ValueError, match="expected"):
            Meter(endpoint(fake), **odd)
