"""UCF-Crime's official lists give the study's numbers: 290 → 259 → 257 at 1 fps and 242 at 6 fps."""

import csv
import json
from collections import Counter

import pytest

from data_prep import ucf_crime
from data_prep.dataset import n_sampled
from data_prep.ucf_crime.lists import label_from_file_name
from llamavid_kit.evaluation.visibility import visibility_curve
from llamavid_kit.study.setup import CRIME, TRAINING_TIERS, UCF_CRIME_EVENTS

LOGS = ("zero_shot_fps1", "finetuned_fps1", "finetuned_fps6")


def rows_of(real, log):
    with (real / "crime_predictions" / f"{log}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_studys_task_is_verbatim(real):
    prompts = json.loads((real / "prompts.json").read_text())
    assert CRIME.question == prompts["crime"]["question"]
    assert list(CRIME.labels) == prompts["crime"]["labels"]
    assert list(CRIME.excluded_classes) == prompts["crime"]["excluded_classes"]
    tiers = prompts["fine_tuning_study"]["crime_tiers"]
    assert len(tiers) == len(TRAINING_TIERS) and "1,800" in tiers[1] and "120" in tiers[2]


def test_without_lengths(real):
    result = ucf_crime.build(None, lists=real / "ucf_crime", lists_only=True)
    counts = result.counts()
    assert counts["listed"] == {"test": 290, "train": 1610}
    assert counts["of_the_11_classes"] == {"test": 259, "train": 1441}
    assert counts["kept"] == {"test": 259, "train_all": 1441, "train_under_1800": 0, "train_under_120": 0}
    classes = Counter(label_from_file_name(e.video) for e in result.excluded if e.left_out_of == "test")
    assert classes == {"Shoplifting": 21, "Stealing": 5, "Vandalism": 5}
    classes = Counter(label_from_file_name(e.video) for e in result.excluded if e.left_out_of == "train")
    assert classes == {"Shoplifting": 29, "Stealing": 95, "Vandalism": 45}
    sizes = Counter(pair.answer for pair in result.test)
    assert (sizes["Abuse"], sizes["Road Accident"], sizes["Normal Video"]) == (2, 23, 150)


@pytest.mark.parametrize("log", LOGS)
def test_with_lengths(real, log):
    table = real / "crime_predictions" / f"{log}.csv"
    result = ucf_crime.build(None, lists=real / "ucf_crime", lists_only=True, frame_counts=table)
    assert result.test_at_fps == {1: 257, 6: 242} and len(result.test) == 242
    assert Counter(e.reason for e in result.excluded if e.left_out_of == "test") == {"class": 31, "too long": 17}
    assert len([note for note in result.notes if "clipped" in note]) == 5
    rows = rows_of(real, log)
    assert {row["video"]: row["truth"] for row in rows} == {
        **{p.id + ".mp4": p.answer for p in result.test},
        **{e.video: label_from_file_name(e.video) for e in result.excluded if e.reason == "too long"},
    }


@pytest.mark.parametrize("log", LOGS)
def test_the_rule_skips_what_the_study_skipped(real, log):
    fps = int(log[-1])
    for row in rows_of(real, log):
        sampled = n_sampled(int(row["n_frames"]), float(row["video_fps"]), fps)
        assert sampled == int(row["sampled_frames"]), row["video"]
        assert (sampled > 1800) == (row["prediction"] == ""), row["video"]


def test_training_tiers_from_a_table_of_lengths(real, tmp_path):
    """No real table of training lengths is at hand: lengths are made up, counts follow from them."""
    listed = (real / "ucf_crime" / "Anomaly_Train.txt").read_text().split()
    sampled = {line.split("/")[1]: 1 + (i * 37) % 2500 for i, line in enumerate(listed)}
    table = tmp_path / "n.csv"
    rows = "".join(f"{name},{(n - 1) * 30 + 1},30\n" for name, n in sampled.items())
    table.write_text("video,n_frames,video_fps\n" + rows)
    train = ucf_crime.build(None, lists=real / "ucf_crime", lists_only=True, frame_counts=table).train
    ours = [n for name, n in sampled.items() if label_from_file_name(name) in CRIME.labels]
    assert [len(pairs) for pairs in train.values()] == [1441, sum(n < 1800 for n in ours), sum(n < 120 for n in ours)]


def test_at_one_fps_no_annotated_event_is_missed(real):
    """All 290 lines, the classes that the study left out included."""
    from data_prep.ucf_crime.lists import TEST_LISTS, read_test_list

    entries = read_test_list(real / "ucf_crime" / TEST_LISTS[0])
    events = [(start / 30, end / 30) for entry in entries for start, end in entry.event_frames]
    lengths_s = sorted(end - start for start, end in events)
    curve = visibility_curve(events, fps=list(UCF_CRIME_EVENTS["seen"]))
    assert len(events) == UCF_CRIME_EVENTS["n"]
    assert lengths_s[0] == pytest.approx(UCF_CRIME_EVENTS["shortest_s"])
    assert (lengths_s[77] + lengths_s[78]) / 2 == pytest.approx(UCF_CRIME_EVENTS["median_s"])
    assert {point.fps: point.n_visible for point in curve} == UCF_CRIME_EVENTS["seen"]
    assert all(point.expected == pytest.approx(1) for point in curve)
