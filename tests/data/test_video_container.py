"""Trimmed, cut-off, torn and foreign files are noticed when they are opened."""

import re
import struct

import av
import numpy as np
import pytest
from timed_clips import CFR_MS, READERS, write_clip

from llamavid_kit.data.video import Video, VideoError


def test_frames_after_an_edit_lists_end_do_not_count(tmp_path, tiny_clip):
    """decord counts them, as copies of the last one; a player never shows them."""
    data = tiny_clip.read_bytes()
    at, clock = data.index(b"elst"), data.index(b"mvhd")
    ticks_a_second = struct.unpack(">I", data[clock + 16 : clock + 20])[0]
    trimmed = tmp_path / "trimmed.mp4"
    trimmed.write_bytes(data[: at + 12] + struct.pack(">I", 2 * ticks_a_second) + data[at + 16 :])
    video = Video(trimmed)
    assert video.n_frames == 60 and video.duration_s == pytest.approx(2, abs=0.01)
    assert video.reader == "pyav" and re.search(
        "decord counts [0-9]+ frames, the container shows 60", video.reader_reason
    )
    np.testing.assert_array_equal(video.frames([0, 59]), Video(tiny_clip).frames([0, 59]))
    with pytest.raises(VideoError, match="reader='decord' refused"):
        Video(trimmed, reader="decord")


@pytest.mark.parametrize("reader", ["auto", *READERS])
@pytest.mark.parametrize(
    "name, content, cause",
    [
        ("missing.mp4", None, "no such file"),
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"not a video\n" * 40, "not readable as a video"),
        ("notes.txt", b"not a video\n" * 40, "is a text file"),  # FFmpeg would draw it
        (".", None, "is a folder"),
    ],
)
def test_not_a_video(tmp_path, reader, name, content, cause):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=cause) as caught:
        Video(path, reader=reader)
    assert str(path) in str(caught.value) and caught.value.way_out in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_off_files(tmp_path, tiny_clip, share):
    """Header first: the header still announces every frame. Header last: there is none. Matroska: neither."""
    data = tiny_clip.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(VideoError, match="announces 90 frames, [0-9]+ decodable|not readable|no frame"):
        Video(cut)
    matroska = write_clip(tmp_path / "whole.mkv", CFR_MS)
    assert Video(matroska).n_frames == 90
    data = matroska.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(VideoError, match="is cut off"):
        Video(cut)


def test_a_zeroed_stretch_is_found_at_opening(tmp_path, tiny_clip):
    data = bytearray(tiny_clip.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 800] = bytes(800)
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(data)
    with pytest.raises(VideoError, match="announces 90 frames, [0-9]+ decodable"):
        Video(torn)


def test_sound_only(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"no video stream \(it holds audio\)"):
        Video(path)
