"""Every recorded judge reply: read as the original read it, and strictly, each with its own expected column."""

import json
import re

import pytest
from test_verdicts import STRICT

from llamavid_kit.judge_prompts import AXES, PROMPTS, judge_prompt
from llamavid_kit.verdicts import ASKED_AGAIN, CRASHES, read, read_original

NAMES = {"detail": "video_chatgpt_detailed_orientation", "qa": "judge_study_llama3"}


@pytest.fixture(scope="module")
def cases(real):
    return json.loads((real / "scorers" / "judge_reply_parsing.json").read_text(encoding="utf-8"))["cases"]


def test_the_original_reading_equals_every_record(cases):
    """Value, score, verdict, the error's text (addresses aside), its stage and what it did to the run."""
    for case in cases:
        found = read_original(case["reply"])
        raised = case.get("error_while_judging") or case.get("error_while_aggregating") or ""
        assert found.error == re.sub(r" at 0x[0-9a-f]+", "", raised), case
        assert found.effect == case.get("effect", "")
        assert found.effect == (
            ASKED_AGAIN if "error_while_judging" in case else CRASHES if "error_while_aggregating" in case else ""
        )
        assert (found.int_score, found.verdict) == (case.get("int_score"), case.get("verdict"))
        assert found.effect == ASKED_AGAIN or repr(found.value) == case["literal_eval"]
        if not raised:
            verdict = read("i", case["reply"], mode="original")
            assert (verdict.score, verdict.correct) == (case["int_score"], case["verdict"] == "yes")
    print(f"\n{len(cases)} records of judge_reply_parsing.json, original and strict")


def test_every_record_has_a_strict_verdict_of_its_own(cases):
    """`test_verdicts.STRICT` says which, and why; a record that is not in it has nobody's judgement."""
    assert sorted(case["reply"] for case in cases) == sorted(reply for reply, _, _ in STRICT)


def test_malformed_replies_never_break_a_reader(real):
    lines = (real / "judge_replies.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        for yes_no in (True, False):
            for mode in ("strict", "original"):
                read("i", line["reply"], mode=mode, yes_no=yes_no)
        assert read("i", line["reply"], mode="original").problem
        if "aggregating" in line["stage"]:
            assert read_original(line["reply"]).effect == CRASHES == line["effect"]
    assert lines
    print(f"\n{len(lines)} replies of judge_replies.jsonl, four readings each")


def test_published_prompts_are_the_published_ones(real):
    published = json.loads((real / "prompts.json").read_text(encoding="utf-8"))
    used = set()
    for name in ("qa", *AXES):
        key = NAMES.get(name, f"video_chatgpt_{name}")
        system, user = published[key]
        prompt = judge_prompt(name, "published")
        assert (prompt.system, prompt.user) == (system["content"], user["content"])
        used.add(key)
    assert published["judge_original_qa"] == published["judge_study_llama3"]
    assert used == {k for k in published if k.startswith(("video_chatgpt", "judge_study"))}
    assert len(PROMPTS) == 12
