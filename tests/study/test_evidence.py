"""What a reading rests on, of made-up logs by hand: labels, counts by rule, and the annotated events."""

import pytest
from made_up_logs import TRUTHS

from data_prep.ucf_crime.lists import events_of
from llamavid_kit.study.claims import findings
from llamavid_kit.study.evidence import event_lengths, read_evidence, with_road
from llamavid_kit.study.logs import read_logs
from llamavid_kit.study.results import BY_RULE


def test_labels_by_hand(evidence):
    outcomes = evidence.outcomes
    assert list(outcomes["truth"]) == list(TRUTHS.values()) and list(outcomes.columns[1:]) == list(BY_RULE)
    assert list(outcomes["zero_shot_fps1"]) == [
        "Abuse",
        "no label",
        "Fighting",
        "Normal Video",
        "no label",
        "Normal Video",
    ]
    assert list(outcomes["finetuned_fps6"])[-1] == "skipped" and len(evidence.common) == 5
    assert [len(evidence.answered(key)) for key in BY_RULE] == [6, 6, 5]
    assert list(with_road(outcomes)["finetuned_fps1"])[-1] == "Road Accident"
    assert list(with_road(outcomes)["zero_shot_fps1"]) == list(outcomes["zero_shot_fps1"])


def test_counts_by_rule_by_hand(evidence):
    """Right and without label, of six and of the common five."""
    zero = evidence.by_rule["zero_shot_fps1"]
    assert zero["exact"] == (3, 2, 2, 2) and zero["normalised"] == (3, 1, 2, 1)
    assert zero["first_mention"] == (4, 0, 3, 0) and zero["last_mention"] == (3, 0, 2, 0)
    assert zero["unique_mention"] == (3, 1, 2, 1)
    assert evidence.by_rule["finetuned_fps1"]["exact_plus_Road_prefix"] == (3, 0, 3, 0)
    assert evidence.paired_by_rule["finetuned_fps1", "finetuned_fps6"]["exact"] == (5, 0, 2)
    assert evidence.paired_by_rule["zero_shot_fps1", "finetuned_fps1"]["exact"] == (6, 2, 2)


def test_events_by_hand(evidence, logs, tmp_path):
    """Arson002 lasts a third of a second between two frames of 1 fps; Fighting001 lasts as long as the video."""
    by_video = event_lengths(read_logs(logs), events_of(tmp_path / "annotation.txt")).set_index("video")
    assert list(by_video.index) == ["Arson002_x264.mp4", "Arson001_x264.mp4", "Fighting001_x264.mp4"]
    assert list(by_video["sampled_1"]) == [0, 1, 30] and list(by_video["sampled_6"]) == [2, 6, 180]
    assert list(by_video["length_s"]) == pytest.approx([1 / 3, 1, 30])
    assert list(by_video["finetuned_fps6"]) == [True, True, True]
    halves = evidence.halves.set_index("half")
    assert list(halves.loc["shorter", ["n", "first", "second"]]) == [2, 1, 2]
    assert list(halves.loc["longer", ["n", "first", "second"]]) == [1, 0, 1]
    visible = {point.fps: (point.n_visible, point.n) for point in evidence.curve}
    assert visible[1] == (2, 3) and visible[6] == (3, 3)
    finding = next(f for f in findings(evidence) if "misses" in f.claim)
    assert finding.verdict == "holds in part" and "1 at 1 fps, 0 at 6 fps" in finding.text
    assert "annotation.txt" in finding.text and "Whatever" not in finding.text


def test_an_annotation_as_a_table(logs, tmp_path):
    table = tmp_path / "events.csv"
    rows = [f"{v},{a / 30},{b / 30}" for v, (a, b) in {"Arson001_x264.mp4": (300, 330)}.items()]
    table.write_text("\n".join(["clip,start_s,end_s", *rows, *(f"{v},," for v in list(TRUTHS)[1:])]))
    assert read_evidence(logs, events_of(table)).curve[0].n == 1
    table.write_text("clip,start_s,end_s\nArson001_x264.mp4,1,2\n")
    with pytest.raises(ValueError, match="does not list 4 of the videos, such as Arson002"):
        read_evidence(logs, events_of(table))
    table.write_text(table.read_text().replace("1,2", "50,60") + "".join(f"{v},,\n" for v in list(TRUTHS)[1:]))
    with pytest.raises(
        ValueError, match="Arson001_x264.mp4: the event from 50 to 60 s begins when the clip, 30 s long"
    ):
        read_evidence(logs, events_of(table))
    with pytest.raises(FileNotFoundError, match="no.txt is not a file"):
        events_of(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="without predictions"):
        read_evidence(None, events_of(table))
