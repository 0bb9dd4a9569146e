"""UCF-Crime's preparation on made-up folders: what is kept, what is listed, and what is an error."""

import argparse
import json
import sys
import types
from pathlib import Path

import pytest

from data_prep import ucf_crime
from data_prep.ucf_crime import folder as command
from data_prep.ucf_crime.lists import TEST_LISTS, TRAIN_LIST, label_from_file_name, read_frame_counts
from llamavid_kit.data.pairs import read_jsonl, read_llava
from llamavid_kit.study.setup import CRIME

TEST = """\
Abuse028_x264.mp4  Abuse  165  240  -1  -1
Arson011_x264.mp4  Arson  150  420  680  1267

Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1
RoadAccidents012_x264.mp4  RoadAccidents  10  40  -1  -1
Stealing019_x264.mp4  Stealing  10  40  -1  -1
"""
TRAIN = """\
Abuse/Abuse001_x264.mp4
RoadAccidents/RoadAccidents001_x264.mp4
Vandalism/Vandalism001_x264.mp4
Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4
"""
LENGTHS = {
    "Abuse028_x264.mp4": (1412, 30),
    "Arson011_x264.mp4": (1266, 30),
    "Normal_Videos_003_x264.mp4": (9001, 30),  # 301 sampled frames at 1 fps, 1,801 at 6
    "RoadAccidents012_x264.mp4": (9000, 30),  # exactly 1,800 at 6 fps
    "Abuse001_x264.mp4": (3570, 30),  # 119 at 1 fps
    "RoadAccidents001_x264.mp4": (3571, 30),  # 120
    "Normal_Videos001_x264.mp4": (53971, 30),  # 1,800
}


@pytest.fixture
def folder(tmp_path):
    """Lists and a table of lengths; `fill` adds the (empty) video files."""
    (tmp_path / TEST_LISTS[0]).write_text(TEST)
    (tmp_path / TRAIN_LIST).write_text(TRAIN)
    rows = "".join(f"{name},{n},{fps}\n" for name, (n, fps) in LENGTHS.items())
    (tmp_path / "lengths.csv").write_text("video,n_frames,video_fps\n" + rows)
    return tmp_path


def fill(folder: Path, *, but: tuple[str, ...] = ()) -> None:
    for name in set(LENGTHS) - set(but):
        place = folder / "Videos" / label_from_file_name(name).replace(" ", "")
        place.mkdir(parents=True, exist_ok=True)
        (place / name).touch()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("RoadAccidents012_x264.mp4", "Road Accident"),
        ("Normal_Videos_003_x264.mp4", "Normal Video"),
        ("Normal_Videos001_x264.mp4", "Normal Video"),
        ("Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4", "Normal Video"),
        ("Shoplifting004_x264.mp4", "Shoplifting"),
        ("holiday.mp4", "holiday"),
    ],
)
def test_label_from_file_name(name, label):
    assert label_from_file_name(name) == label


def test_pairs_of_a_folder(folder):
    fill(folder)
    result = ucf_crime.build(folder, frame_counts=folder / "lengths.csv")
    assert [(p.id, p.answer) for p in result.test] == [
        ("Abuse028_x264", "Abuse"),
        ("Arson011_x264", "Arson"),
        ("RoadAccidents012_x264", "Road Accident"),
    ]
    assert {name: [p.id for p in pairs] for name, pairs in result.train.items()} == {
        "all": ["Abuse001_x264", "RoadAccidents001_x264", "Normal_Videos001_x264"],
        "under_1800": ["Abuse001_x264", "RoadAccidents001_x264"],
        "under_120": ["Abuse001_x264"],
    }
    arson = result.test[1]
    assert arson.video == "Videos/Arson/Arson011_x264.mp4" and arson.video_path(folder).is_file()
    assert arson.question == CRIME.question and arson.choices == CRIME.labels
    assert arson.events == ((5.0, 14.0), (680 / 30, 1266 / 30)), "the end 1267 is clipped to the last frame"
    assert arson.extra == {"event_frames": [[150, 420], [680, 1267]]}
    assert ["Arson011" in note and "1267" in note for note in result.notes] == [True]
    assert result.test_at_fps == {1: 4, 6: 3}
    assert [(e.video, e.left_out_of, e.reason) for e in result.excluded] == [
        ("Stealing019_x264.mp4", "test", "class"),
        ("Vandalism001_x264.mp4", "train", "class"),
        ("Normal_Videos_003_x264.mp4", "test", "too long"),
        ("Normal_Videos001_x264.mp4", "train_under_1800", "too long"),
        ("RoadAccidents001_x264.mp4", "train_under_120", "too long"),
        ("Normal_Videos001_x264.mp4", "train_under_120", "too long"),
    ]


def test_nothing_leaves_unlisted(folder):
    fill(folder, but=("Abuse028_x264.mp4", "Abuse001_x264.mp4"))
    result = ucf_crime.build(folder, frame_counts=folder / "lengths.csv")
    for split, n in (("test", 5), ("train", 4)):
        kept = len(result.test if split == "test" else result.train["all"])
        assert kept + sum(e.left_out_of == split for e in result.excluded) == n
    missing = [e.video for e in result.excluded if e.reason == "missing"]
    assert missing == ["Abuse028_x264.mp4", "Abuse001_x264.mp4"]


def test_files_are_opened_for_their_length_and_broken_ones_listed(folder, monkeypatch):
    class VideoError(ValueError):
        pass

    class Video:
        def __init__(self, path):
            if path.name.startswith("Abuse028"):
                raise VideoError(f"{path}: the file is empty (0 bytes)")
            self.n_frames, self.fps = LENGTHS[path.name]
            self.fps = 0.2 if path.name.startswith("RoadAccidents012") else self.fps

    monkeypatch.setitem(
        sys.modules, "llamavid_kit.data.video", types.SimpleNamespace(Video=Video, VideoError=VideoError)
    )
    fill(folder)
    result = ucf_crime.build(folder)
    unreadable = {e.video: e.detail for e in result.excluded if e.reason == "unreadable"}
    assert set(unreadable) == {"Abuse028_x264.mp4", "RoadAccidents012_x264.mp4"}
    assert (
        "is empty" in unreadable["Abuse028_x264.mp4"]
        and "0.2 frames a second" in unreadable["RoadAccidents012_x264.mp4"]
    )
    assert [p.id for p in result.test] == ["Arson011_x264"]


def test_events_of_another_cut_are_listed(folder):
    table = folder / "lengths.csv"
    table.write_text(table.read_text().replace("Arson011_x264.mp4,1266", "Arson011_x264.mp4,1200"))
    result = ucf_crime.build(folder, lists_only=True, frame_counts=table)
    (excluded,) = [e for e in result.excluded if e.reason == "annotation"]
    assert excluded.video == "Arson011_x264.mp4" and "680-1267" in excluded.detail and "line 2" in excluded.detail


def test_lists_only_needs_no_videos(folder):
    result = ucf_crime.build(None, lists=folder, lists_only=True)
    assert len(result.test) == 4 and len(result.train["all"]) == 3 and result.train["under_120"] == []
    assert result.test[0].events == ((5.5, 8.0),) and result.test[0].n_frames is None
    assert ["no known length" in note for note in result.notes] == [True, True]
    with pytest.raises(ValueError, match="root=None"):
        ucf_crime.build(None, lists=folder)


def test_no_bound_on_length(folder):
    result = ucf_crime.build(folder, lists_only=True, frame_counts=folder / "lengths.csv", max_sampled_frames=None)
    assert len(result.test) == 4 and result.test_at_fps == {1: 4, 6: 4}


def test_a_name_that_occurs_twice(folder):
    fill(folder)
    other = folder / "Normal_Videos_for_Event_Recognition"
    other.mkdir()
    (other / "Normal_Videos001_x264.mp4").touch()
    with pytest.raises(
        ValueError, match=r"Normal_Videos001_x264.mp4 occurs twice: .*Event_Recognition.* and .*Videos/N"
    ):
        ucf_crime.build(folder, frame_counts=folder / "lengths.csv")
    result = ucf_crime.build(folder, frame_counts=folder / "lengths.csv", ignore=[other.name])
    assert len(result.train["all"]) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Abuse028_x264.mp4  Abuse  165  240", "got 4 fields"),
        ("Abuse028_x264.mp4  Abuse  165  x  -1  -1", "must be whole"),
        ("Abuse028_x264.mp4  Abuse  240  165  -1  -1", "ends after its start"),
        ("Abuse028_x264.mp4  Abuse  -1  165  -1  -1", "ends after its start"),
        ("Abuse028_x264.mp4  Arson  165  240  -1  -1", "file name says 'Abuse', the class column 'Arson'"),
        ("Normal_Videos_004_x264.mp4  Normal  5  9  -1  -1", "normal video has no events"),
        ("Abuse028_x264.mp4  Abuse  165  240  -1  -1", "already listed in .*line 1"),
    ],
)
def test_a_line_that_does_not_parse(folder, line, message):
    (folder / TEST_LISTS[0]).write_text(f"Abuse028_x264.mp4  Abuse  165  240  -1  -1\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"{TEST_LISTS[0]}, line 3: .*{message}"):
        ucf_crime.build(folder, lists_only=True)


def test_windows_separators_are_read_in_every_list(folder):
    """As the lists are when they were written on Windows; what they say is the same."""
    plain = ucf_crime.build(folder, lists_only=True, frame_counts=folder / "lengths.csv")
    lines = [f"{label_from_file_name(line).replace(' ', '')}\\{line}" for line in TEST.splitlines() if line]
    (folder / TEST_LISTS[0]).write_text("\r\n".join(lines) + "\r\n")
    (folder / TRAIN_LIST).write_text(TRAIN.replace("/", "\\"))
    lengths = "".join(f"x\\{name},{n},{fps}\n" for name, (n, fps) in LENGTHS.items())
    (folder / "lengths.csv").write_text("video,n_frames,video_fps\n" + lengths)
    windows = ucf_crime.build(folder, lists_only=True, frame_counts=folder / "lengths.csv")
    assert windows.train == plain.train and windows.counts() == plain.counts()
    assert [pair.video for pair in windows.test] == [f"{p.answer.replace(' ', '')}/{p.video}" for p in plain.test]
    fill(folder)
    assert ucf_crime.build(folder, frame_counts=folder / "lengths.csv").test[0].video_path(folder).is_file()


@pytest.mark.parametrize("place", ["..\\..\\", "../", "C:\\UCF\\", "/UCF/", "Abuse\\..\\..\\"])
def test_a_path_that_leaves_its_root_is_refused(folder, place):
    for name, line in ((TRAIN_LIST, "Abuse001_x264.mp4"), (TEST_LISTS[0], "Abuse028_x264.mp4  Abuse  1  2  -1  -1")):
        kept = (folder / name).read_text()
        (folder / name).write_text(place + line)
        with pytest.raises(ValueError, match=f"{name}, line 1: .*leaves the folder of the videos"):
            ucf_crime.build(folder, lists_only=True)
        (folder / name).write_text(kept)


def test_a_train_line_that_is_no_video(folder):
    (folder / TRAIN_LIST).write_text("Abuse/Abuse001_x264.mp4\nAbuse\n")
    with pytest.raises(ValueError, match="line 2: 'Abuse'; expected one video a line"):
        ucf_crime.build(folder, lists_only=True)


def test_train_and_test_must_not_overlap(folder):
    (folder / TRAIN_LIST).write_text(TRAIN + "Arson/Arson011_x264.mp4\n")
    with pytest.raises(
        ValueError, match=r"1 videos are in the test and in the train list.*Arson011.*line 2 and .*line 5"
    ):
        ucf_crime.build(folder, lists_only=True)


def test_missing_lists_and_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        ucf_crime.build(tmp_path / "nowhere", lists=folder)
    (folder / TRAIN_LIST).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {TRAIN_LIST}"):
        ucf_crime.build(folder, lists_only=True)
    with pytest.raises(ValueError, match="max_sampled_frames=0"):
        ucf_crime.build(folder, lists_only=True, max_sampled_frames=0)


def test_an_fps_of_zero(folder):
    with pytest.raises(ValueError, match="fps=0"):
        ucf_crime.build(folder, lists_only=True, frame_counts=folder / "lengths.csv", fps=[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,frames\na.mp4,3\n", "columns .*n_frames.* are missing"),
        ("video,n_frames,video_fps\na.mp4,x,30\n", "line 2: n_frames='x'"),
        ("video,n_frames,video_fps\na.mp4,3\n", "line 2: .*video_fps=None"),
        ("video,n_frames,video_fps\na.mp4,3,0\n", "line 2"),
        ("video,n_frames,video_fps\na.mp4,3,30\na.mp4,4,30\n", "line 3: a.mp4 was already given"),
    ],
)
def test_a_bad_table_of_lengths(tmp_path, text, message):
    (tmp_path / "n.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_frame_counts(tmp_path / "n.csv")


def test_the_command_writes_and_says_what_it_did(folder, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    table = str(folder / "lengths.csv")
    out = tmp_path / "out"
    args = parser.parse_args(["--lists", str(folder), "--lists-only", "--frame-counts", table, "--out", str(out)])
    assert command.run(args) == 0
    printed = capsys.readouterr().out
    assert "test: 5 listed → 4 of the 11 classes" in printed and "left out of test: class 1, too long 1" in printed
    report = json.loads((out / "excluded.json").read_text())
    assert len(report["excluded"]) == 6 and report["excluded"][0]["reason"] == "class"
    assert report["counts"]["kept"] == {"test": 3, "train_all": 3, "train_under_1800": 2, "train_under_120": 1}
    assert report["counts"]["test_at_fps"] == {"1": 4, "6": 3}
    assert [p.id for p in read_jsonl(out / "train_under_1800.jsonl")] == ["Abuse001_x264", "RoadAccidents001_x264"]
    assert [p.answer for p in read_llava(out / "test.llava.json", split="test")] == ["Abuse", "Arson", "Road Accident"]
    assert read_frame_counts(out / "frame_counts.csv") == {k: (n, float(f)) for k, (n, f) in LENGTHS.items()}
