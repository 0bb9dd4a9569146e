"""`frames`: video files, a CSV or pairs in; what would be ignored is refused; a clip without frames is no success."""

import json

import pytest
from small import pair, write_clip

from llamavid_kit.__main__ import main
from llamavid_kit.files import read_lines


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Two clips of 2 s, their CSV, and three questions about them."""
    for name, label in (("a", "Red"), ("b", "Blue")):
        write_clip(tmp_path / "set" / f"{name}.mp4", label=label)
    (tmp_path / "set" / "my.csv").write_text("video,label\na.mp4,x\nb.mp4,y\n")
    asked = [pair("a", "Red").to_dict() | {"id": f"a{k}"} for k in range(2)]
    lines = [json.dumps(line) for line in (*asked, pair("b", "Blue").to_dict())]
    (tmp_path / "set" / "pairs.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("named", "videos"),
    [
        (["set/my.csv"], ["a.mp4", "b.mp4"]),
        (["set/pairs.jsonl"], ["a.mp4", "b.mp4"]),
        (["set/my.csv", "set/pairs.jsonl", "--root", "set"], ["a.mp4", "b.mp4"]),
        (["set/b.mp4", "set/a.mp4"], ["set/b.mp4", "set/a.mp4"]),
    ],
)
def test_each_clip_once(clips, named, videos, capsys):
    options = ["--fps", "1", "3", "--quality", "80", "--frames", "train", "--out", "out"]
    assert main(["frames", *named, *options]) == 0
    said = "1 fps: 4 frames of 2 clips\n3 fps: 12 frames of 2 clips\nmanifest: out/manifest.jsonl\n"
    assert capsys.readouterr().out == said
    lines = read_lines(clips.parent / "out" / "manifest.jsonl")
    assert [line["video"] for line in lines] == [video for video in videos for _ in range(2)]
    assert {(line["rule"], line["quality"]) for line in lines} == {("train", 80)}


def test_a_clip_without_frames_ends_with_its_reason(clips, capsys):
    (clips / "a.mp4").write_bytes(b"no video")
    assert main(["frames", "set/my.csv", "--format", "npz", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert "error: 1 of 2 clips and rates have no frames" in error and "a.mp4 at 1 fps: " in error
    first, second = read_lines(clips.parent / "out" / "manifest.jsonl")
    assert first["reason"] and [*second["files"]] == [f"{second['clip']}-1fps/frames.npz"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["set/a.mp4", "--root", "set"], "--root: for lists; video files are named from here; leave it out"),
        (["set/a.mp4", "set/my.csv"], "set/my.csv beside video files: give lists or video files, not both"),
        (["set/a.mp4", "--format", "npz", "--quality", "90"], "--quality: for --format jpg, and npz loses nothing"),
        (["set/a.mp4", "--fps", "0"], "fps=0.0 samples nothing"),
    ],
)
def test_what_would_be_ignored_is_refused(clips, argv, message, capsys):
    assert main(["frames", *argv, "--out", "out"]) == 2
    assert message in capsys.readouterr().err and not (clips.parent / "out").exists()
