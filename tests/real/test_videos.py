"""Real clips with real troubles: expected.json through decord where it can, and through PyAV alone."""

import json
import sys

import numpy as np
import pytest

from llamavid_kit.data.video import Video, VideoError


@pytest.fixture(scope="module")
def clips(real):
    folder = real / "videos"
    expected = json.loads((folder / "expected.json").read_text())
    return {folder / name: facts for name, facts in expected.items() if isinstance(facts, dict)}


def check(video: Video, facts: dict) -> None:
    assert video.n_frames == facts["frames"], video
    assert video.fps == pytest.approx(facts["fps"], abs=1e-3)
    assert (video.height, video.width) == (facts["height"], facts["width"])
    frames = video.frames(range(video.n_frames))
    assert frames.shape == (facts["frames"], facts["height"], facts["width"], 3) and frames.dtype == np.uint8
    assert len(video.timestamps_s) == facts["frames"] and (np.diff(video.timestamps_s) > 0).all()
    assert video.duration_s == pytest.approx(facts["frames"] / facts["fps"], abs=0.02)


def test_through_decord_where_it_can(clips):
    pytest.importorskip("decord")
    for path, facts in clips.items():
        if "error" in facts:
            continue
        if facts.get("decord", True):
            check(Video(path, reader="decord"), facts)
        else:
            with pytest.raises(VideoError, match=r"reader='decord' refused.*use reader='auto'"):
                Video(path, reader="decord")
        check(Video(path), facts)


def test_through_pyav_alone(clips, monkeypatch, in_this_process):
    """As on a machine without decord: importing it fails."""
    monkeypatch.setitem(sys.modules, "decord", None)
    for path, facts in clips.items():
        if "error" not in facts:
            video = Video(path)
            assert (video.reader, video.reader_reason) == ("pyav", "decord is not installed")
            check(video, facts)


@pytest.mark.parametrize("reader", ["auto", "decord", "pyav"])
def test_broken_clips_raise_one_error(clips, reader):
    """File, cause and way out, at opening, whichever reader is asked for."""
    broken = [path for path, facts in clips.items() if "error" in facts]
    assert broken
    for path in broken:
        with pytest.raises(VideoError) as caught:
            Video(path, reader=reader)
        assert str(path) in str(caught.value)
        assert caught.value.cause in str(caught.value) and caught.value.way_out in str(caught.value)
        numbers = [word for word in clips[path]["error"].replace(",", " ").split() if word.isdigit()]
        assert all(number in caught.value.cause for number in numbers), caught.value.cause


def test_both_readers_give_the_same_bytes(clips):
    """In order, and at random places; 10-bit video is left out: its colours are interpolated differently."""
    pytest.importorskip("decord")
    rng = np.random.default_rng(0)
    for path, facts in clips.items():
        if "error" in facts or not facts.get("decord", True) or "10bit" in path.name:
            continue
        ours, theirs = Video(path, reader="pyav"), Video(path, reader="decord")
        frames = ours.frames(range(ours.n_frames))
        np.testing.assert_array_equal(frames, theirs.frames(range(ours.n_frames)), err_msg=path.name)
        for _ in range(6):
            some = rng.choice(ours.n_frames, size=min(3, ours.n_frames), replace=False)
            for video in (ours, theirs):
                np.testing.assert_array_equal(video.frames(some), frames[some], err_msg=f"{path.name} {some}")
