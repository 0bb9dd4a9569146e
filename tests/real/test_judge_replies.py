"""Malformed replies of judges, real and made up, and the published prompts. The recorded readings: `test_scorers`."""

import json

from llamavid_kit.evaluation.judges.prompts import AXES, DETERMINISTIC, PROMPTS, SAMPLED, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import CRASHES, read_original, read_verdict

NAMES = {"detail": "video_chatgpt_detailed_orientation", "qa": "judge_study_llama3"}


def test_malformed_replies_never_break_a_reader(real):
    lines = (real / "judge_replies.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        for yes_no in (True, False):
            for mode in ("strict", "original"):
                read_verdict("i", line["reply"], mode=mode, yes_no=yes_no)
        assert read_verdict("i", line["reply"], mode="original").problem
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
    names = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_new_tokens"}
    sampled, greedy = published["decoding"]["study_judge"], published["decoding"]["study_judge_deterministic"]
    assert {names[k]: v for k, v in SAMPLED.items()} == {k: v for k, v in sampled.items() if k != "do_sample"}
    assert {"temperature": 0, "max_tokens": greedy["max_new_tokens"]} == DETERMINISTIC and not greedy["do_sample"]
