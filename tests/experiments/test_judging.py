"""Guards an open ablation judged by others: its own rule first, every arm for itself, nothing of the run changed."""

import json

import numpy as np
import pandas as pd
import pytest
from benchmark_runs import Minds
from fake_endpoint import Fault, serve
from made_up_open_runs import ARMS, OPEN_QUESTION, REPLIES, TEST, TRUTHS, by_hand
from sklearn.metrics import cohen_kappa_score

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.judges.animal_judge import animals_of
from llamavid_kit.evaluation.judges.animal_judge import judge as by_rule
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem, judge_prompt
from llamavid_kit.experiments.judging import judge_open_run


@pytest.fixture
def run(tmp_path):
    by_hand(tmp_path / "run")
    return tmp_path / "run"


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_arm_by_every_judge(run, capsys):
    before = contents(run)
    minds = Minds()
    with serve(minds) as fake:
        argv = ["judge", str(run), "--judge-endpoint", fake.url, "--judge-model", "anna", "--judge-again", "1"]
        assert main(argv) == 0
        text, n = capsys.readouterr().out, len(fake.bodies)
        assert f"judge B: {n} requests" in text
        assert main(argv) == 0 and len(fake.bodies) == n  # kept
        again = capsys.readouterr().out
        assert again.split("judge B: 0 requests")[0] == text.split(f"judge B: {n} requests")[0]
        first = [
            judge_prompt("qa").messages(JudgeItem("q", OPEN_QUESTION, TRUTHS[k], REPLIES[ARMS[0]][k])) for k in range(5)
        ]
        assert [body["messages"] for body in fake.bodies[:5]] == first
    assert {p: content for p, content in contents(run).items() if p in before} == before
    assert text.count("  by A: ") == text.count("  by B: ") == len(ARMS)
    assert max(map(len, text.split("\n"))) <= 120 and "resamples, left out of its interval)" in text
    assert "[low, high] of a share of right: 95% interval (Wilson)" in text
    record = json.loads((run / "judging.json").read_text())
    rows = pd.read_csv(run / "judging_verdicts.csv", keep_default_na=False, dtype=str)
    assert len(record) == len(ARMS) and len(rows) == len(ARMS) * len(TEST) * 3
    animals = animals_of(TRUTHS)
    for (arm, judging), key in zip(record.items(), ARMS, strict=True):
        own = [by_rule(reply, truth, animals) for reply, truth in zip(REPLIES[key], TRUTHS, strict=True)]
        of_arm = rows[rows["arm"] == arm]
        a, b = (of_arm[(of_arm["judge"] == j) & (of_arm["asking"] == "1")].set_index("item") for j in "AB")
        assert a["score"].tolist() == [str(v.score) for v in own]
        assert f"  by A: {sum(v.correct for v in own)}/{len(TEST)} right" in text
        both = (b["score"] != "").to_numpy()
        pair = judging["agreement"][0]
        assert pair["no_verdict"] == [0, int((~both).sum())] and len(judging["agreement"]) == 1
        if both.any():
            yes = [x["correct"][both].eq("True") for x in (a, b)]
            assert pair["agreement"]["same"] == pytest.approx(float((yes[0] == yes[1]).mean()))
            kappa = pair["agreement"]["kappa"]["value"]
            if len({*yes[0], *yes[1]}) > 1:
                assert kappa == pytest.approx(cohen_kappa_score(*yes))
            else:
                assert kappa is None
        assert judging["repeatability"][0]["steady"] and len(judging["repeatability"][1]["values"]) == 2


def test_arms_never_share_a_verdict_and_a_cut_goes_on(run, tmp_path):
    """Two arms gave some equal replies: each is judged for its own arm."""
    by_hand(tmp_path / "whole")
    with serve(Minds()) as fake:
        whole = judge_open_run(tmp_path / "whole", [ChatJudge(Endpoint(fake.url, "anna", retries=0))])
        prompts = [(b["messages"][1]["content"]) for b in fake.bodies]
    n_distinct = sum(len({(r, t) for r, t in zip(REPLIES[key], TRUTHS, strict=True)}) for key in ARMS)
    assert len(prompts) == n_distinct > len(set(prompts))
    minds = Minds()
    with serve(lambda body, n: Fault(status=500) if n == 8 else minds(body, n)) as fake:
        judge = ChatJudge(Endpoint(fake.url, "anna", retries=0))
        with pytest.raises(ConnectionError):
            judge_open_run(run, [judge])
        assert not (run / "judging.json").exists()
        cut = judge_open_run(run, [judge])
        assert len(fake.bodies) == n_distinct + 1
    assert {arm: j.record() for arm, j in cut.items()} == {arm: j.record() for arm, j in whole.items()}


def test_runs_that_cannot_be_judged(run, tmp_path, capsys):
    assert main(["judge", str(run)]) == 2 and "no judge beside the run's own rule" in capsys.readouterr().err
    assert main(["judge", str(tmp_path), "--judge-rule", "words"]) == 2
    assert "expected the folder of a finished ablation" in capsys.readouterr().err
    clip_list = json.loads((run / "clips.json").read_text())
    path = run / "arms" / f"{ARMS[2]}.jsonl"
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["score"], lines[4]["score"] = lines[4]["score"], lines[0]["score"]  # the counts still agree
    path.write_text("".join(json.dumps(line) + "\n" for line in [head, *lines]))
    with pytest.raises(
        ValueError, match=r"t0 has score 0 in lora-seed0-1fps.*now gives 5; .*another version of the rule"
    ):
        judge_open_run(run, [RuleJudge("words")])
    (run / "clips.json").write_text(json.dumps(clip_list | {"labels": ["a", "b"]}))
    with pytest.raises(ValueError, match="asked a closed question"):
        judge_open_run(run, [RuleJudge("words")])


def test_intervals_are_wilsons_and_clips_of_one_video_count_together(run):
    clip_list = json.loads((run / "clips.json").read_text())
    for pair in clip_list["test"]:
        pair["video"] = f"{int(pair['id'][1]) // 2}.mp4"
    (run / "clips.json").write_text(json.dumps(clip_list))
    by_arm = judge_open_run(run, [RuleJudge("words"), RuleJudge("exact")])
    for judging in by_arm.values():
        assert [(p.first, p.second, p.agreement.n_groups) for p in judging.pairs] == [
            ("A", "B", 3),
            ("A", "C", 3),
            ("B", "C", 3),
        ]
        for one in judging.judges:
            more, low_high = one.scores["strict"].more, one.intervals["strict"][""]
            assert low_high == pytest.approx(100 * np.array(more["wilson95"]))
