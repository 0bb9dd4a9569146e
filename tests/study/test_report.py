"""The lines that a reading ends with, and a reading of a single log."""

from made_up_logs import make_logs

from llamavid_kit.study import recount
from llamavid_kit.study.claims import findings
from llamavid_kit.study.evidence import read_evidence
from llamavid_kit.study.figures import figures
from llamavid_kit.study.report import closing_lines


def test_settings_without_logs(tmp_path):
    evidence = read_evidence(make_logs(tmp_path / "logs", ["zero_shot_fps1"]))
    by_claim = {f.claim: f for f in findings(evidence)}
    assert by_claim["Fine-tuning helps"].verdict == "cannot be checked"
    assert by_claim["Fine-tuning helps"].text == "There is no log of fine-tuned, 1 fps."
    lines = closing_lines(evidence)
    assert len(lines) == 4 and all("no log of" in line for line in lines)
    assert "no log of zero-shot, 6 fps and fine-tuned, 6 fps" in lines[-1]
    assert recount.comparisons(evidence).empty
    assert evidence.source.endswith("1 settings (no file zero_shot_fps6.csv, finetuned_fps1.csv, finetuned_fps6.csv)")
    figures(evidence)


def test_closing_lines_of_the_study(shipped):
    lines = closing_lines(shipped)
    assert lines[1] == (
        "fine-tuned, 1 fps against fine-tuned, 6 fps: 150/242 = 62.0% against 158/242 = 65.3%; only first right 4, "
        "only second 12; McNemar p = 0.077, Holm 0.077"
    )
    assert "105/257 = 40.9% against 158/257 = 61.5%" in lines[2] and lines[2].endswith("p = 7.3e-11, Holm 1.5e-10")
    assert lines[0].endswith("no log of zero-shot, 6 fps")
