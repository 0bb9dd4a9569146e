"""Trimmed, cut-off, torn and foreign files are noticed when they are opened."""

import os
import re
import shutil
import socket
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from marked_clips import VIDEOS, places, replace_tag, write_brightening
from PIL import Image
from timed_clips import CFR_MS, READERS, write_clip

from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.data.video_container import brief


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


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tiff", "gif", "ppm", "tga", "ico", "avif"])
def test_a_picture_is_no_clip(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    shutil.copy(path, tmp_path / "a.mp4")
    for name in (path.name, "a.mp4") if suffix != "tga" else (path.name,):  # a tga is known by its name only
        with pytest.raises(VideoError, match=r"is a picture, not a video; ask about it with model\.ask_image"):
            Video(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gif", "png", "avif"])
def test_moving_pictures_are_clips(tmp_path, suffix):
    path, steps = tmp_path / f"a.{suffix}", [Image.new("RGB", (64, 48), (grey,) * 3) for grey in (0, 120, 240)]
    steps[0].save(path, save_all=True, append_images=steps[1:], duration=100)
    video = Video(path)
    np.testing.assert_allclose(video.frames(range(3)).mean(axis=(1, 2, 3)), [0, 120, 240], atol=3)
    np.testing.assert_allclose(video.timestamps_s, [0, 0.1, 0.2], atol=0.01)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_a_title_that_is_not_utf8(suffix, reader):
    """decord reads no AVI."""
    video = Video(VIDEOS / f"latin1_title.{suffix}", reader=reader if suffix == "mp4" else "auto")
    assert video.n_frames == 10 and video.frames(range(10)).shape == (10, 48, 64, 3)


@pytest.mark.parametrize("reader", READERS)
def test_no_tag_stands_in_the_way(tmp_path, reader):
    """Of a stream, a chapter or an attachment."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", metadata_encoding="latin-1") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = container.metadata["artist"] = "Zo\xeb"
        chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "\xe9t\xe9"}}
        container.set_chapters([chapter])
        container.add_attachment("\xe9.txt", "text/plain", b"hello")
        for grey in range(0, 250, 25):
            picture = np.full((48, 64, 3), grey, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert b"Zo\xeb" in path.read_bytes() and b"\xe9t\xe9" in path.read_bytes()
    assert Video(path, reader=reader).frames(range(10)).shape == (10, 48, 64, 3)


@pytest.mark.parametrize("name", [b"12:30.mp4", b"file:a.mp4", b"a%d.mp4", b"caf\xe9.mp4"])
def test_any_file_name(tmp_path, tiny_clip, monkeypatch, name):
    """A colon makes no address, and decord, which cannot open a name that is not UTF-8, is not asked to."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_clip, name)
    video = Video(os.fsdecode(name))
    np.testing.assert_array_equal(video.frames([50]), Video(tiny_clip).frames([50]))
    assert video.reader == ("pyav" if b"\xe9" in name else "decord")


def test_an_unknown_codec(tmp_path, tiny_clip):
    path = tmp_path / "a.mp4"
    shutil.copy(tiny_clip, path)
    with pytest.raises(VideoError, match="a.mp4: PyAV has no decoder for its video"):
        Video(replace_tag(path, b"avc1", b"zzzz"))


def test_the_advised_copy_takes_odd_sizes(tmp_path):
    """-pix_fmt yuv444p: libx264 refuses 33x17 in 4:2:0."""
    path = tmp_path / "copy.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 33, 17, "yuv444p"
        for grey in (0, 200):
            picture = np.full((17, 33, 3), grey, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    for reader in READERS:
        np.testing.assert_allclose(Video(path, reader=reader).frames([0, 1]).mean(axis=(1, 2, 3)), [0, 200], atol=3)


@pytest.mark.parametrize("name", ["list.mp4", "list.ffconcat", "list.txt"])
def test_a_list_of_files_does_not_open_its_neighbours(tmp_path, tiny_clip, name):
    shutil.copy(tiny_clip, tmp_path / "other.mp4")
    (tmp_path / name).write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(VideoError, match="not opened because it may lead to other files, such as a playlist"):
        Video(tmp_path / name)


@pytest.mark.parametrize("suffix", ["mp4", "m3u8"])
def test_a_playlist_calls_nobody(tmp_path, tiny_clip, suffix):
    path = tmp_path / f"list.{suffix}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError, match="playlist" if suffix == "m3u8" else "not readable"):
            Video(path)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_devices_and_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", "/dev/zero"):
        with pytest.raises(VideoError, match="is a device or a pipe, not a file"):
            Video(path)


@pytest.mark.parametrize("exponent", [9, 11, 13])
def test_frames_that_lie_centuries_apart(tmp_path, exponent):
    """decord asks for memory for all the time between them, and ends its process."""
    path = write_brightening(tmp_path / "a.mkv", times=[0, 30 * 10 ** (exponent - 3)], options={"g": "1"})
    video = Video(path)
    assert (video.n_frames, video.reader) == (2, "pyav") and video.duration_s == pytest.approx(10 ** (exponent - 3))
    np.testing.assert_allclose(places(video.frames(video.sample(6).indices)), [0, 1], atol=1)


@pytest.mark.parametrize("width, height", [(30_000, 1), (1, 30_000), (12_002, 64)])
def test_frames_of_absurd_sizes_are_refused_undecoded(tmp_path, width, height):
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        picture = np.zeros((height, width, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=f"a.mov: has {width} x {height} pixels; expected at most 12,000 .*scale="):
        Video(path)


def test_a_stream_that_begins_in_the_middle(tmp_path):
    """Sound after a minute, which the header of an FLV file does not announce: PyAV fails after the last packet."""
    path = write_clip(tmp_path / "a.flv", range(0, 60_000, 100))
    wanted = Video(path).frames(range(600))
    tag = b"\x08" + (401).to_bytes(3, "big") + (60_000).to_bytes(3, "big") + bytes(4) + b"\x2f" + bytes(400)
    path.write_bytes(path.read_bytes() + tag + struct.pack(">I", len(tag)))
    np.testing.assert_array_equal(Video(path).frames(range(600)), wanted)


def test_an_error_without_words_has_a_name():
    assert brief(StopIteration()) == "StopIteration" and brief(ValueError("no\nsuch")) == "no"
