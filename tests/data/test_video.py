"""Reading clips made here: sampling, streaming, trimmed and broken files, forks. No file outside the test's folder."""

import multiprocessing
import os
import pickle
import re
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamavid_kit.data import video_readers
from llamavid_kit.data.sampling import EPSILON_S, sample_indices, sample_times, stride_of
from llamavid_kit.data.video import Video, VideoError

READERS = ["decord", "pyav"]
CFR_MS = [round(i * 1000 / 30) for i in range(90)]  # 3 s at 30 frames a second


def write_clip(path, times_ms, *, height=64, width=96, codec="libx264", options=None):
    """A small clip whose frame i appears at times_ms[i]; stripes and a moving block tell the frames apart."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "24", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, time_ms in enumerate(times_ms):
            picture = np.full((height, width, 3), (i * 37) % 256, dtype=np.uint8)
            picture[8:24, (3 * i) % (width - 16) :][:, :16] = (255, i % 256, 0)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "tiny.mp4", CFR_MS)


def test_what_a_clip_says(tiny_clip):
    video = Video(tiny_clip)
    assert (video.n_frames, video.height, video.width) == (90, 64, 96)
    assert video.fps == pytest.approx(30, abs=0.01) and video.duration_s == pytest.approx(3, abs=0.002)
    np.testing.assert_allclose(video.timestamps_s, np.array(CFR_MS) / 1000, atol=1e-9)
    assert video.reader in READERS and video.reader_reason
    assert "90 frames" in repr(video) and "tiny.mp4" in repr(video)


# --- which frames


def test_by_time_at_constant_rate(tiny_clip):
    video = Video(tiny_clip)
    assert video.sample(1).indices.tolist() == [0, 30, 60]
    assert video.sample(6).indices.tolist() == list(range(0, 90, 5))
    sample = video.sample()
    assert (sample.fps, sample.rule, len(sample)) == (1.0, "time", 3) and sample.indices.dtype == np.int64
    np.testing.assert_array_equal(sample.timestamps_s, video.timestamps_s[sample.indices])


def test_more_than_the_clip_has_gives_every_frame_once(tiny_clip, caplog):
    caplog.set_level("INFO", logger="llamavid_kit")
    assert Video(tiny_clip).sample(1000).indices.tolist() == list(range(90))
    assert "no frame is taken twice" in caplog.text


def test_slow_rate_and_single_frame_give_the_first():
    assert sample_times(np.array([0.0]), 1 / 30, 1).tolist() == [0]
    assert sample_times(np.arange(30) / 30, 1.0, 0.01).tolist() == [0]
    assert sample_times(np.array([0.0]), 0.0, 1).tolist() == [0]


def test_variable_rate_is_even_in_time(tmp_path):
    """1 s at 30 frames a second, 4 s at 2.5, 1 s at 60: an index stride would look 60 times at the last second."""
    times = np.cumsum([0] + [33] * 30 + [400] * 10 + [16] * 60)
    for reader in READERS:
        video = Video(write_clip(tmp_path / "vfr.mp4", times), reader=reader)
        np.testing.assert_allclose(video.timestamps_s, times / 1000, atol=1e-9)
        sample = video.sample(1)
        shown = [int(np.flatnonzero(times <= 1000 * k + 1)[-1]) for k in range(6)]
        assert sample.indices.tolist() == shown
        assert (np.arange(6) - sample.timestamps_s < 0.4).all()


@given(
    gaps=st.lists(st.integers(1, 900), max_size=150),
    rates=st.sampled_from([(1, 2), (1, 3), (1, 6), (2, 6), (3, 6), (0.5, 1), (0.1, 0.3), (2.5, 10)]),
)
def test_grids_are_nested(gaps, rates):
    """What the slow rate sees, the fast rate sees too; indices increase; nothing outside the clip."""
    timestamps = np.cumsum([0, *gaps]) / 1000
    duration = timestamps[-1] + 0.033
    slow, fast = (sample_times(timestamps, duration, fps) for fps in rates)
    assert rates == (0.1, 0.3) or set(slow) <= set(fast)  # 0.3 is not three times 0.1 in binary
    for indices in (slow, fast):
        assert (np.diff(indices) > 0).all() and indices[0] == 0 and indices[-1] < len(timestamps)


@given(n=st.integers(1, 400), rate=st.sampled_from([10, 15, 24, 25, 29.97, 30, 60]), fps=st.sampled_from([1, 2, 3, 6]))
def test_number_of_samples_follows_from_the_duration(n, rate, fps):
    assert len(sample_times(np.arange(n) / rate, n / rate, fps)) == max(1, int(np.ceil((n / rate - EPSILON_S) * fps)))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "fast", None])
def test_impossible_rates(tiny_clip, fps):
    for rule in ("time", "train", "eval_repro"):
        with pytest.raises(ValueError, match=f"fps={fps!r}"):
            Video(tiny_clip).sample(fps, rule=rule)


def test_historical_rules_by_name(tiny_clip):
    video = Video(tiny_clip)
    assert video.sample(6, rule="train").indices.tolist() == list(range(0, 90, 5))
    assert stride_of("train", 15, 6) == 2  # 2.5 rounds to even: 7.5 fps where 6 was asked
    assert stride_of("eval_repro", 5, 6) == 5  # slower than asked: 1 fps instead of every frame
    with pytest.raises(ValueError, match="stride 0.*rule='time'"):
        video.sample(100, rule="train")
    with pytest.raises(ValueError, match="whole numbers"):
        video.sample(2.5, rule="eval_repro")
    with pytest.raises(ValueError, match="'time', 'train', 'eval_repro'"):
        video.sample(1, rule="stride")
    with pytest.raises(ValueError, match="n_frames=0"):
        sample_indices(0, 30, 1, rule="train")
    with pytest.raises(ValueError, match="no timestamps"):
        sample_times(np.empty(0), 0, 1)


# --- the frames themselves


@pytest.mark.parametrize("reader", READERS)
def test_frames_in_any_order(tiny_clip, reader):
    video = Video(tiny_clip, reader=reader)
    whole = video.frames(range(90))
    assert whole.shape == (90, 64, 96, 3) and whole.dtype == np.uint8
    greys = whole[:, 60, 5].mean(axis=1)
    np.testing.assert_allclose(greys, [(i * 37) % 256 for i in range(90)], atol=12)  # the right picture at each index
    for asked in ([80, 3, 3, 50], [0], [89, 0], list(range(89, 0, -7))):
        np.testing.assert_array_equal(video.frames(asked), whole[asked])
    assert video.frames([]).shape == (0, 64, 96, 3)
    for wrong in ([90], [-1], [0, 500]):
        with pytest.raises(IndexError, match="the clip has 0 to 89"):
            video.frames(wrong)
    with pytest.raises(TypeError, match="flat list of integers"):
        video.frames([0.5])


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


@pytest.mark.parametrize("reader", READERS)
def test_chunks_are_the_frames_in_small_pieces(tiny_clip, reader):
    video = Video(tiny_clip, reader=reader)
    sample = video.sample(12)
    pieces = list(video.chunks(sample, chunk=7))
    assert [len(frames) for _, _, frames in pieces] == [7, 7, 7, 7, 7, 1]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), sample.indices)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), sample.timestamps_s)
    np.testing.assert_array_equal(np.concatenate([p[2] for p in pieces]), video.frames(sample.indices))
    with pytest.raises(ValueError, match="chunk=0"):
        next(video.chunks(sample, chunk=0))


def test_pyav_jumps_instead_of_decoding_everything(tmp_path, monkeypatch):
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


def test_content_key(tiny_clip, tmp_path):
    copy = tmp_path / "other name.mp4"
    copy.write_bytes(tiny_clip.read_bytes())
    assert Video(copy).content_key() == Video(tiny_clip).content_key()
    assert len(Video(copy).content_key()) == 64
    other = write_clip(tmp_path / "other.mp4", CFR_MS[:30])
    assert Video(other).content_key() != Video(copy).content_key()


# --- processes


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


def test_pickled_and_many(tiny_clip):
    video = Video(tiny_clip)
    frames = video.frames([3, 4])
    again = pickle.loads(pickle.dumps(video))
    assert again.content_key() == video.content_key()
    np.testing.assert_array_equal(again.frames([3, 4]), frames)
    error = pickle.loads(pickle.dumps(VideoError("clip.mp4", "cause", "way out")))
    assert str(error) == "clip.mp4: cause; way out" and isinstance(error, ValueError)


def test_many_videos_hold_few_decoders(tmp_path):
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


# --- trimmed and broken files


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


def test_unusual_reader_name(tiny_clip):
    with pytest.raises(ValueError, match="'auto', 'decord' or 'pyav'"):
        Video(tiny_clip, reader="opencv")


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


@pytest.mark.parametrize("reader", READERS)
def test_damage_after_opening_is_a_video_error(tmp_path, reader):
    """A file that goes bad between opening and reading."""
    path = write_clip(tmp_path / "clip.mp4", CFR_MS)
    video = Video(path, reader=reader)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 900
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"clip\.mp4: .*decode"):
        video.frames(range(90))


def test_sound_only(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"no video stream \(it holds audio\)"):
        Video(path)
