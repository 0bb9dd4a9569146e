"""Two readers, the same pictures: any codec option and container, few open decoders, forks, files that change."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from marked_clips import VIDEOS
from timed_clips import CFR_MS, READERS, write_clip

from llamavid_kit.data import video_readers
from llamavid_kit.data.video import Video, VideoError


@pytest.mark.parametrize(
    "options, safe",
    [
        ({}, True),
        ({"g": "1000"}, True),
        ({"g": "1"}, True),
        (
            {"x264-params": "open-gop=1:bframes=3"},
            True,
        ),  # keyframes at cuts only; decord's own seeking fails at its end
        ({"x264-params": "open-gop=1:bframes=3:scenecut=0"}, False),  # frames shown before a keyframe, stored after it
    ],
)
def test_readers_agree(tmp_path, options, safe):
    path = write_clip(tmp_path / "clip.mp4", CFR_MS, options=options)
    by_decord, by_pyav = Video(path, reader="decord"), Video(path, reader="pyav")
    whole = by_pyav.frames(range(90))
    np.testing.assert_array_equal(by_decord.frames(range(90)), whole)
    rng = np.random.default_rng(0)
    for _ in range(10):
        some = rng.choice(90, 4, replace=False)
        np.testing.assert_array_equal(by_decord.frames(some), whole[some])
        np.testing.assert_array_equal(by_pyav.frames(some), whole[some])
    assert Video(path).reader == ("decord" if safe else "pyav")


@pytest.mark.parametrize(
    "name, codec", [("a.ts", "libx264"), ("a.mkv", "libx264"), ("a.mkv", "mpeg4"), ("a.avi", "mpeg4")]
)
def test_other_containers_read_the_same_anywhere(tmp_path, name, codec):
    options = {"bf": "2"} if codec == "mpeg4" else {}
    video = Video(write_clip(tmp_path / name, CFR_MS, codec=codec, options=options))
    whole = video.frames(range(video.n_frames))
    assert video.n_frames == 90
    for some in ([70, 20], [5, 6, 7], [89], [23, 24, 25, 47, 48]):
        np.testing.assert_array_equal(video.frames(some), whole[some])


def test_pyav_jumps_instead_of_decoding_everything(tmp_path, monkeypatch, in_this_process):
    """At a low rate only the stretch from the last keyframe to each wanted frame is decoded."""
    path = write_clip(tmp_path / "long.mp4", [round(i * 1000 / 30) for i in range(600)])
    video = Video(path, reader="pyav")
    upright, decoded = [], []
    forward = video_readers.PyavReader._forward_to

    def counting(self, index):
        self._decoded = (decoded.append(1) or frame for frame in self._decoded)
        upright.append(index)
        return forward(self, index)

    monkeypatch.setattr(video_readers.PyavReader, "_forward_to", counting)
    video.frames([0, 240, 480])
    assert len(upright) == 3 and len(decoded) < 60


def _mean_in_child(video, queue):
    queue.put(float(video.frames([0, 45, 89]).mean()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("reader", READERS)
def test_a_forked_child_reads(tiny_clip, reader):
    """decord hangs when a reader opened before the fork is used, or freed, in the child."""
    video = Video(tiny_clip, reader=reader)
    wanted = float(video.frames([0, 45, 89]).mean())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_mean_in_child, args=(video, queue), daemon=True)
    child.start()
    try:
        assert queue.get(timeout=30) == wanted
        child.join(30)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert float(video.frames([0, 45, 89]).mean()) == wanted  # and the parent still reads


def test_many_videos_hold_few_decoders(tmp_path, in_this_process):
    clips = [write_clip(tmp_path / f"{i}.mp4", CFR_MS[: 3 + i]) for i in range(8)]
    videos = [Video(clip) for clip in clips]
    for video in videos:
        video.frames([0])
    assert len(video_readers._OPEN) <= video_readers._MAX_OPEN


def test_a_replaced_file_is_not_read_with_the_old_decoder(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    video = Video(path)
    video.frames([0])
    path.unlink()
    with pytest.raises(VideoError, match="has gone"):
        video.frames([0])


def go_bad(path: Path) -> None:
    """Zeroes from the middle of the first picture on."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 900
    path.write_bytes(data[:start] + bytes(len(data) - start))


@pytest.mark.parametrize("reader", READERS)
def test_damage_after_opening_is_a_video_error(tmp_path, reader):
    """A file that goes bad between opening and reading."""
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    video = Video(path, reader=reader)
    go_bad(path)
    with pytest.raises(VideoError, match=r"clip\.mp4: .*decode"):
        video.frames(range(90))


def test_realtime_vp9_that_decord_loses_with_many_threads():
    for reader in ("auto", *READERS):
        video = Video(VIDEOS / "vp9_realtime_704x480.webm", reader=reader)
        assert video.frames(range(30)).shape == (30, 480, 704, 3)
        assert video.reader == ("pyav" if reader == "pyav" else "decord")


@pytest.fixture
def decord_stops(monkeypatch, in_this_process):
    """decord fails at frame 40 of any clip."""
    forward = video_readers.DecordReader._forward_to

    def stopping(self, index):
        if index >= 40:
            raise RuntimeError("Error sending packet.")
        return forward(self, index)

    monkeypatch.setattr(video_readers.DecordReader, "_forward_to", stopping)
    monkeypatch.setattr(video_readers, "_DECORD_FAILED", set())


def test_pyav_takes_over_where_decord_stops(tmp_path, decord_stops, caplog):
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    wanted = Video(path, reader="pyav").frames(range(90))
    videos = [Video(path), Video(path)]
    for video in videos:
        assert video.reader == "decord"
        np.testing.assert_array_equal(video.frames([3, 39]), wanted[[3, 39]])
        assert video.reader == "decord"
        np.testing.assert_array_equal(video.frames(range(90)), wanted)
        assert video.reader == "pyav" and "Error sending packet" in video.reader_reason
    later = Video(path)
    assert later.reader == "pyav" and later.reader_reason == "decord failed while decoding it"
    assert caplog.text.count("read through PyAV after all") == 1
    assert Video(path, reader="decord").reader == "decord"  # named: tried again
    path.write_bytes(path.read_bytes() + b"\0\0\0\x08free")
    assert Video(path).reader == "decord"  # another file under the name


def test_a_named_reader_is_never_exchanged(tmp_path, decord_stops):
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    video = Video(path, reader="decord")
    for _ in range(2):
        with pytest.raises(VideoError, match=r"Error sending packet.*; use reader='auto' or reader='pyav'"):
            video.frames([50])
    assert video.reader == "decord" and Video(path).reader == "decord"


def test_a_file_that_both_readers_refuse_blames_the_file(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    video = Video(path)
    go_bad(path)
    with pytest.raises(VideoError, match=r"PyAV cannot decode .*make a clean copy"):
        video.frames(range(90))
