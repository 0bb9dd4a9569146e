"""Frames as files: the right ones, byte for byte, whatever the clips are called and whenever the writer was stopped."""

import json
import multiprocessing
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from timed_clips import write_clip

from llamavid_kit.data import frames_out
from llamavid_kit.data.frames_out import clip_folder, write_frames
from llamavid_kit.data.video import Video, content_key
from llamavid_kit.files import read_lines

FORK = multiprocessing.get_context("fork")
VIDEOS = ["a/x.mp4", "b/x.mp4"]
AT = [round(i * 1000 / 30) for i in range(40)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two clips of one name that differ in size; of 40 frames, 30 a second."""
    root = tmp_path_factory.mktemp("clips")
    for folder, width in (("a", 96), ("b", 64)):
        (root / folder).mkdir()
        write_clip(root / folder / "x.mp4", AT, width=width)
    return root


def content(out: Path) -> dict[str, bytes]:
    """Every folder and file by its name, hidden ones but for the lock too."""
    paths = (path for path in out.rglob("*") if path.name != ".lock")
    return {str(path.relative_to(out)): path.read_bytes() if path.is_file() else b"" for path in paths}


def stamps(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def test_npz_is_what_a_video_gives(root, tmp_path):
    """More frames than a chunk holds; times and hashes are the clip's."""
    lines = write_frames(VIDEOS, root=root, out=tmp_path / "out", fps=(1, 30), format="npz")
    assert read_lines(tmp_path / "out" / "manifest.jsonl") == json.loads(json.dumps(lines))
    assert [(line["video"], line["fps"]) for line in lines] == [(v, fps) for v in VIDEOS for fps in (1, 30)]
    for line in lines:
        video = Video(root / line["video"])
        assert line["indices"] == ([0, 30] if line["fps"] == 1 else [*range(40)]) and not line["lossy"]
        assert line["timestamps_s"] == video.timestamps_s[line["indices"]].tolist()
        assert (line["height"], line["width"], line["reader"]) == (video.height, video.width, video.reader)
        assert line["content"] == video.content_key() and line["versions"]["llamavid-kit"]
        ((name, digest),) = line["files"].items()
        path = tmp_path / "out" / name
        assert content_key(path) == digest
        assert zipfile.ZipFile(path).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
        with np.load(path, allow_pickle=False) as stored:
            assert stored.files == ["frames"] and stored["frames"].dtype == np.uint8
            np.testing.assert_array_equal(stored["frames"], video.frames(line["indices"]))


def test_jpeg_is_close(root, tmp_path):
    """Neighbouring frames of these clips differ by 37 of 255."""
    lines = write_frames(VIDEOS, root=root, out=tmp_path / "out", fps=[30])
    for line in lines:
        assert (line["format"], line["quality"], line["lossy"]) == ("jpg", 95, True)
        pictures = [np.asarray(Image.open(tmp_path / "out" / name)).astype(int) for name in line["files"]]
        assert [Path(name).stem for name in line["files"]] == [f"{index:06}" for index in range(40)]
        off = np.abs(pictures - Video(root / line["video"]).frames(line["indices"])).mean((1, 2, 3))
        assert 0 < off.max() < 2
        assert get_sampling(Image.open(tmp_path / "out" / next(iter(line["files"])))) == 0  # 4:4:4
        for name, digest in line["files"].items():
            assert content_key(tmp_path / "out" / name) == digest


def test_names_stay_in_the_folder(root, tmp_path):
    """Clips outside the root, rates that look alike, a long name in another script: each has files of its own."""
    odd = tmp_path / ("é" * 100 + " ; .mp4")
    odd.write_bytes((root / "a" / "x.mp4").read_bytes())
    videos, out = ["x.mp4", "../b/x.mp4", str(odd), "x.mp4"], tmp_path / "out"
    lines = write_frames(videos, root=root / "a", out=out, fps=(1, 1.0000001))
    assert [line["video"] for line in lines] == [video for video in videos[:3] for _ in range(2)]
    names = [name for line in lines for name in line["files"]]
    assert len({*names}) == len(names) == 12
    assert stamps(out).keys() == {out / name for name in (*names, "manifest.jsonl", "settings.json")}
    assert {*tmp_path.iterdir()} == {odd, out}
    assert not [sign for sign in "/.\\\0" if sign in clip_folder("/../a\\..\0.mp4")]


MOMENTS = [("_write_npz", 2), ("append", 1), ("append", 3), ("claim", 1)]


def killed(root: Path, out: Path, function: str, n: int, options: dict) -> None:
    """In a process of its own: killed before the n-th call of a function."""
    calls, whole = iter(range(1, 100)), getattr(frames_out, function)

    def or_die(*args):
        if next(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(*args)
        return {}

    setattr(frames_out, function, or_die)
    write_frames(VIDEOS, root=root, out=out, **options)


def test_killed_and_gone_on_with(root, tmp_path):
    """Wherever it is killed, the same command ends in the same bytes, and half files are gone."""
    options = {"fps": (1, 6), "format": "npz"}
    write_frames(VIDEOS, root=root, out=tmp_path / "calm", **options)
    expected = content(tmp_path / "calm")
    for k, moment in enumerate(MOMENTS):
        out = tmp_path / str(k)
        process = FORK.Process(target=killed, args=(root, out, *moment, options))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL and content(out) != expected
        write_frames(VIDEOS, root=root, out=out, **options)
        assert content(out) == expected


def test_half_a_line_and_files_that_are_gone(root, tmp_path, caplog):
    out = tmp_path / "out"
    write_frames(VIDEOS, root=root, out=out, fps=(1, 6))
    expected, before = content(out), stamps(out)
    write_frames(VIDEOS, root=root, out=out, fps=(1, 6))
    assert stamps(out) == before  # all is there: nothing is written
    last = read_lines(out / "manifest.jsonl")[-1]
    gone, changed = [*last["files"]][:2]
    (out / gone).unlink()
    (out / changed).write_bytes(b"another picture")
    manifest = out / "manifest.jsonl"
    manifest.write_bytes(expected["manifest.jsonl"][:-40])
    write_frames(VIDEOS, root=root, out=out, fps=(1, 6))
    (out / gone).unlink()
    write_frames(VIDEOS, root=root, out=out, fps=(1, 6))
    assert content(out) == expected and "000000.jpg is gone or changed: the frames of" in caplog.text
    touched = {path.parent.name for path, stamp in stamps(out).items() if before[path] != stamp}
    assert touched == {"out", Path(gone).parent.name}


def test_clips_that_cannot_be_read_have_their_reason(root, tmp_path):
    """All others are written; once a whole file is in its place, the folder is as if it had always been there."""
    whole = (root / "a" / "x.mp4").read_bytes()
    (tmp_path / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    videos, out = ["torn.mp4", "none.mp4", str(root / "b" / "x.mp4")], tmp_path / "out"
    with pytest.raises(ValueError, match=r"2 of 3 clips and rates have no frames(.|\n)*none.mp4 at 1 fps: .*no such"):
        write_frames(videos, root=tmp_path, out=out)
    torn, none, good = read_lines(out / "manifest.jsonl")
    assert torn["reason"] and "files" not in torn and none["video"] == "none.mp4" and len(good["files"]) == 2
    before = stamps(out)
    with pytest.raises(ValueError, match="2 of 3"):
        write_frames(videos, root=tmp_path, out=out)
    assert stamps(out) == before
    for name in videos[:2]:
        (tmp_path / name).write_bytes(whole)
    write_frames(videos, root=tmp_path, out=out)
    write_frames(videos, root=tmp_path, out=tmp_path / "calm")
    assert content(out) == content(tmp_path / "calm")


def test_a_rate_that_a_rule_does_not_have(root, tmp_path):
    """At 100 fps the original's stride comes to 0."""
    with pytest.raises(ValueError, match="1 of 2 clips and rates .*\n.* at 100 fps: rule='train' has stride 0"):
        write_frames(VIDEOS[:1], root=root, out=tmp_path, fps=(1, 100), rule="train")
    assert [line.get("indices") for line in read_lines(tmp_path / "manifest.jsonl")] == [[0, 30], None]


def test_a_reader_that_fails_on_the_way(root, tmp_path, monkeypatch):
    """All frames of a folder are of the reader that its line names."""

    class Failing(Video):
        def chunks(self, sample, chunk=32):
            for indices, times_s, frames in super().chunks(sample, chunk):
                yield indices, times_s, frames if self.reader == "pyav" else frames * 0
            self.reader = "pyav"

    monkeypatch.setattr(frames_out, "Video", Failing)
    (line,) = write_frames(VIDEOS[:1], root=root, out=tmp_path, format="npz")
    assert line["reader"] == "pyav"
    with np.load(tmp_path / next(iter(line["files"]))) as stored:
        np.testing.assert_array_equal(stored["frames"], Video(root / VIDEOS[0]).frames([0, 30]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": [2]}, r"was begun with other settings, fps \[1.0\], asked \[2.0\]: give another output folder"),
        ({"quality": 90}, "quality 95, asked 90"),
        ({"format": "npz"}, "format 'jpg', asked 'npz'; quality 95, asked None"),
        ({"rule": "eval_repro"}, "rule 'time', asked 'eval_repro'"),
        ({"videos": ["a/x.mp4", "c.mp4"]}, r"videos \(in one of both lists: b/x.mp4, c.mp4\)"),
        ({"rule": "often"}, "rule='often'; expected one of 'time', 'train', 'eval_repro'"),
        ({"quality": 0}, "quality=0: expected 1 to 100"),
        ({"videos": []}, "0 clips at 1 rates"),
        ({"videos": ["\udcff.mp4"]}, r"'\\udcff.mp4': a name that is not UTF-8"),
    ],
)
def test_other_settings_are_refused(begun, root, options, message):
    before = stamps(begun)
    with pytest.raises(ValueError, match=message):
        write_frames(**({"videos": VIDEOS, "root": root, "out": begun} | options))
    assert stamps(begun) == before


@pytest.fixture(scope="module")
def begun(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("frames")
    write_frames(VIDEOS, root=root, out=out)
    return out


def test_what_lies_there_is_not_mixed_with_others(begun, root, tmp_path, monkeypatch):
    """Somebody's folder, other versions, a clip that has changed, a manifest that somebody edited."""
    with pytest.raises(ValueError, match="is not empty and holds no frames of this kit"):
        write_frames(VIDEOS, root=root, out=root)
    monkeypatch.setattr(frames_out, "installed", lambda packages: {"av": "1"})
    write_frames(VIDEOS, root=root, out=begun)  # nothing is left to write
    manifest = begun / "manifest.jsonl"
    text = manifest.read_text()
    manifest.write_text(text.splitlines(keepends=True)[0])
    with pytest.raises(ValueError, match=r"was begun with av .* \(now 1\), .*: what is still missing could"):
        write_frames(VIDEOS, root=root, out=begun)
    manifest.write_text(text.replace('"content"', '"contents"'))
    with pytest.raises(ValueError, match=r"manifest.jsonl, line 1: content is missing"):
        write_frames(VIDEOS, root=root, out=begun)
    manifest.write_text(text)
    for folder in "ba":
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "x.mp4", AT[:20])
    with pytest.raises(ValueError, match=r"a/x.mp4 has changed since its frames were written to"):
        write_frames(VIDEOS, root=tmp_path, out=begun)
    assert manifest.read_text() == text
