"""frames(k) is the k-th picture that is shown, at its time, whatever the container says about order and times."""

import logging

import numpy as np
import pytest
from marked_clips import VIDEOS, copy_stream, places, write_brightening, write_packed
from timed_clips import READERS

from llamavid_kit.data.video import Video

REORDERED = {"x264-params": "bframes=5:b-adapt=0:b-pyramid=normal:scenecut=0"}
UNEVEN = np.cumsum([3 if k % 5 == 0 else 1 for k in range(60)]) - 3


def check(video: Video, times=range(60), *, off: float = 0.6) -> None:
    np.testing.assert_allclose(places(video.frames(range(video.n_frames))), range(len(times)), atol=off)
    np.testing.assert_allclose(video.timestamps_s, np.asarray(times) / 30, atol=0.001)
    some = [41, 3, 40, 59, 0]
    np.testing.assert_allclose(places(video.frames(some)), some, atol=off)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["bframes.avi", "bframes.mp4"])
def test_the_same_pictures_in_avi_and_mp4(name, reader):
    video = Video(VIDEOS / name, reader="auto" if name.endswith("avi") else reader)  # decord reads no AVI
    brightness = video.frames(range(60)).mean(axis=(1, 2, 3))
    assert (np.diff(brightness) > 2).all()
    np.testing.assert_allclose(video.timestamps_s, np.arange(60) / 30, atol=1e-6)
    assert video.duration_s == pytest.approx(2) and video.sample(1).indices.tolist() == [0, 30]


@pytest.mark.parametrize("times", [range(60), UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("options", [REORDERED, {"bf": "0"}], ids=["reordered", "in order"])
@pytest.mark.parametrize("suffix", ["avi", "asf", "mkv", "ts", "flv"])
def test_h264_in_any_container(tmp_path, suffix, options, times):
    check(Video(write_brightening(tmp_path / f"a.{suffix}", options=options, times=times)), times)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts", "flv", "nut"])
def test_a_copy_of_an_avi_inherits_its_wrong_times(tmp_path, suffix):
    """ffmpeg -c copy out of an AVI: times in the order of storage, in a container that could name the right ones."""
    avi = write_brightening(tmp_path / "a.avi", options=REORDERED)
    copy = copy_stream(avi, tmp_path / f"b.{suffix}")
    for reader in ("auto", "pyav"):
        check(Video(copy, reader=reader))


@pytest.mark.parametrize("suffix", ["h264", "mxf", "mpg"])
def test_containers_without_times(tmp_path, suffix, caplog):
    """The rate is the stream's own 30, not the 25 that FFmpeg takes for raw streams."""
    video = Video(write_brightening(tmp_path / f"a.{suffix}", options=REORDERED))
    check(video)
    assert video.fps == 30 and ("taken at 30 frames a second" in caplog.text) == (suffix != "mxf")


@pytest.mark.parametrize("times", [range(60), UNEVEN], ids=["even", "uneven"])
def test_mpeg4_with_b_pictures(tmp_path, times):
    options = {"bf": "2", "qmin": "1", "qmax": "1"}
    check(Video(write_brightening(tmp_path / "a.avi", codec="mpeg4", options=options, times=times)), times, off=1.2)


def test_packed_b_pictures(tmp_path):
    options = {"bf": "1", "qmin": "1", "qmax": "1", "b_strategy": "0"}
    plain = write_brightening(tmp_path / "a.avi", codec="mpeg4", options=options)
    packed = Video(write_packed(plain, tmp_path / "packed.avi"))
    check(packed, off=1.2)
    np.testing.assert_array_equal(packed.frames(range(60)), Video(plain).frames(range(60)))


def test_reordering_without_doubt_decodes_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    check(Video(write_brightening(tmp_path / "a.mp4", options=REORDERED)))
    assert "decoding the whole clip" not in caplog.text
