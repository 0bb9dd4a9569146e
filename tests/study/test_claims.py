"""The verdicts on the study's claims, with the counts that ship and with others."""

from dataclasses import replace

import pandas as pd
from made_up_logs import write

from llamavid_kit.study import recount
from llamavid_kit.study.claims import findings, more_frames, same_clips
from llamavid_kit.study.evidence import read_evidence
from llamavid_kit.study.report import closing_lines


def test_what_the_study_shows(shipped):
    verdicts = {f.claim: f.verdict for f in findings(shipped)}
    assert [v for c, v in verdicts.items() if c.startswith("The fine-tuned columns")] == ["holds"]
    assert [v for c, v in verdicts.items() if c.startswith("The zero-shot columns")] == ["not shown"]
    assert verdicts["Fine-tuning helps"] == "holds"
    assert verdicts["With fine-tuning, 6 frames a second give more right answers than 1"] == "suggested"
    assert verdicts["6 frames a second see brief events that 1 frame a second misses"] == "not shown"
    assert verdicts["Without fine-tuning, more frames change little"] == "cannot be checked"
    assert verdicts["The settings are compared on the same videos"] == "holds in part"
    text = " ".join(f.text for f in findings(shipped))
    assert "published are shares of the common ones" in text
    for number in (
        "22 of 22",
        "140/242 = 57.9%",
        "p = 0.077",
        "80% needs 510",
        "105/257",
        "133/257",
        "149 of 259",
        "Arson 43% of 9",
        "34.2 to 100.0%",
        "24 → 24 of 51",
        "16 → 22 of 51",
        "noticed 6",
        "mid-p form: 0.049",
        "0.027 by Holm",
        "22 of them rightly",
        "40 and 46 of 102 right, 7 only at 6 fps, 1 only at 1 fps, p = 0.070",
    ):
        assert number in text, number


def test_findings_follow_the_numbers(tmp_path):
    """Other logs, other verdicts: six of six new right answers, and the same videos for all."""
    folder = tmp_path / "logs"
    folder.mkdir()
    truths = [(f"Arson{i:03d}_x264.mp4", "Arson") for i in range(12)]
    for setting, replies in {
        "zero_shot_fps1": ["Abuse"] * 12,
        "zero_shot_fps6": ["Abuse"] * 12,
        "finetuned_fps1": ["Abuse"] * 12,
        "finetuned_fps6": ["Arson"] * 12,
    }.items():
        row = {"n_frames": 900, "video_fps": 30, "sampled_frames": 30}
        write(
            folder / f"{setting}.csv",
            [{**row, "video": v, "truth": t, "prediction": r} for (v, t), r in zip(truths, replies, strict=True)],
        )
    evidence = read_evidence(folder)
    verdicts = {f.claim: f.verdict for f in findings(evidence)}
    assert verdicts["With fine-tuning, 6 frames a second give more right answers than 1"] == "holds"
    assert verdicts["The settings are compared on the same videos"] == "holds"
    assert verdicts["Fine-tuning helps"] == "not shown"
    assert verdicts["The fine-tuned columns of Tables 2 and 3 follow from the logs"] == "not shown"
    assert len(recount.comparisons(evidence)) == 4 and not any("no log" in line for line in closing_lines(evidence))


def test_a_loss_is_no_hint_of_a_gain(shipped):
    """With the two fine-tuned columns exchanged, all that suggested more frames speaks against them."""
    swapped = shipped.outcomes.rename(columns={"finetuned_fps1": "finetuned_fps6", "finetuned_fps6": "finetuned_fps1"})
    more = more_frames(replace(shipped, outcomes=swapped))
    assert more.verdict == "not shown" and "-3.3 points, 95% interval -7.0 to -0.1" in more.text
    assert same_clips(replace(shipped, outcomes=swapped)).verdict == "not shown", "no longer the published numbers"
    rows = [("Normal Video", "Normal Video", "Arson")] * 9 + [("Normal Video",) * 3] * 131
    rows += [("Arson", "Abuse", "Arson")] * 7  # fewer right answers, though better balanced
    outcomes = pd.DataFrame(rows, columns=["truth", "finetuned_fps1", "finetuned_fps6"])
    less = more_frames(replace(shipped, outcomes=outcomes))
    assert less.verdict == "not shown" and "accuracy, which the study did not report, it is +0.4" in less.text
