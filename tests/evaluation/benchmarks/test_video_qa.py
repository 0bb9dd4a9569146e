"""MSVD-QA and MSRVTT-QA: which clip a row is about, and how verdicts become a number."""

import pytest
from fake_endpoint import serve
from judging import NO, YES, endpoint
from made_up_video_benchmarks import ABOUT, change, clip

from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.video_qa import score_qa
from llamavid_kit.evaluation.judges.judge import ChatJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import Verdict, verdict_table


@pytest.mark.parametrize("name", ["msvd", "msrvtt"])
def test_questions_of_msvd_and_msrvtt(name, data):
    items = benchmark(name).load(data(name))
    assert [(i.id, i.prompt, i.question, *i.answers) for i in items] == [
        (str(40 + k), q, q, a) for k, (q, a) in ABOUT.items()
    ]
    first = {"msvd": "vid1301.mp4", "msrvtt": "video1301.mp4"}[name]
    assert [i.media.name for i in items] == [first, first, "1302.avi"] == [i.group for i in items]


def test_clips_of_msvd_with_their_youtube_names(data):
    """youtube_mapping.txt counts from 1 and says which clip a number is: rows in any order, a name may begin with -."""
    folder = data("msvd")
    (folder / "video" / "vid1301.mp4").rename(folder / "video" / "-4wsuPCjDBc_5_15.avi")
    (folder / "video" / "1302.avi").rename(folder / "video" / "zzit5b_-ukg_5_20.avi")
    clip(folder / "video", "-7KMZQEsJW4_205_208.avi")
    lines = ["zzit5b_-ukg_5_20 vid1302", "-7KMZQEsJW4_205_208 vid1300", "-4wsuPCjDBc_5_15 vid1301"]
    (folder / "youtube_mapping.txt").write_text("\n".join(lines) + "\r\n")
    names = [i.media.name for i in benchmark("msvd").load(folder)]
    assert names == ["-4wsuPCjDBc_5_15.avi"] * 2 + ["zzit5b_-ukg_5_20.avi"]
    change(folder / "test_qa.json", 0, video_id="vid1300")
    assert benchmark("msvd").load(folder)[0].media.name == "-7KMZQEsJW4_205_208.avi"
    clip(folder / "video", "vid1301.avi")
    with pytest.raises(ValueError, match="id 41: 2 clips fit"):
        benchmark("msvd").load(folder)


def test_a_clip_without_a_name_in_the_mapping_is_found_by_its_number(data):
    folder = data("msvd")
    items = benchmark("msvd").load(folder)
    (folder / "youtube_mapping.txt").write_text("-4wsuPCjDBc_5_15 vid1\n\n")
    assert benchmark("msvd").load(folder) == items


def test_accuracy_is_of_the_items_with_a_verdict(data):
    items = benchmark("msvd").load(data("msvd"))
    replies = {"40": "It is red.", "41": "a car", "42": "blue"}

    def unsure(body, number):
        words = body["messages"][1]["content"]
        return '{"pred": "not sure", "score": 2}' if "a car" in words else YES if "It is red" in words else NO

    with serve(unsure) as fake:
        judge = ChatJudge(endpoint(fake))
        strict, original = (score_qa(items, replies, mode=mode, judge=judge) for mode in ("strict", "original"))
    assert strict.value == 50 and strict.outcomes == {"40": 1.0, "42": 0.0}
    assert (strict.parts["all"].n, strict.parts["all"].k) == (2, 1) and strict.more["score"] == 2.5
    assert strict.more["no_verdict"] == 1 and strict.more["problems"] == {"neither yes nor no": 1}
    assert strict.more["accuracy_between"] == (1 / 3, 2 / 3)
    assert original.value == pytest.approx(100 / 3) and original.more["score"] == pytest.approx(7 / 3)
    verdicts = [Verdict("40", True, 5), Verdict("41", False, 2), Verdict("42", False, 0)]
    assert original.more["score95"] == verdict_table(verdicts, videos=["vid1301.mp4"] * 2 + ["1302.avi"]).score95
    assert original.outcomes == {"40": 1.0, "41": 0.0, "42": 0.0} and original.more["no_verdict"] == 0


def test_what_the_judge_of_an_answer_is_shown(data):
    items = benchmark("msvd").load(data("msvd"))[:1]
    with serve(lambda *_: YES) as fake:
        score_qa(items, {"40": "a red one"}, mode="strict", judge=ChatJudge(endpoint(fake)))
    item = JudgeItem("40", ABOUT[0][0], "red", "a red one")
    assert fake.bodies[0]["messages"] == judge_prompt("qa").messages(item)


def test_no_verdict_at_all_is_no_number(data):
    items = benchmark("msvd").load(data("msvd"))
    with serve(lambda *_: "Sure!") as fake:
        score = score_qa(items, {i.id: "x" for i in items}, mode="strict", judge=ChatJudge(endpoint(fake)))
    assert score.value is None and not score.outcomes and not score.parts and score.more["no_verdict"] == 3
