"""Which frames a rate picks: evenly in time, each once, nested; and the two strides that were in use before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timed_clips import READERS, write_clip

from llamavid_kit.data.sampling import EPSILON_S, sample_indices, sample_times, stride_of
from llamavid_kit.data.video import Video


def test_by_time_at_constant_rate(tiny_clip):
    video = Video(tiny_clip)
    assert video.sample(1).indices.tolist() == [0, 30, 60]
    assert video.sample(6).indices.tolist() == list(range(0, 90, 5))
    sample = video.sample()
    assert (sample.fps, sample.rule, len(sample)) == (1.0, "time", 3) and sample.indices.dtype == np.int64
    np.testing.assert_array_equal(sample.timestamps_s, video.timestamps_s[sample.indices])


def test_more_than_the_clip_has_gives_every_frame_once(tiny_clip, caplog):
    caplog.set_level("DEBUG", logger="llamavid_kit")
    assert Video(tiny_clip).sample(1000).indices.tolist() == list(range(90))
    assert "no frame is taken twice" in caplog.text


def test_slow_rate_and_single_frame_give_the_first():
    assert sample_times(np.array([0.0]), 1 / 30, 1).tolist() == [0]
    assert sample_times(np.arange(30) / 30, 1.0, 0.01).tolist() == [0]
    assert sample_times(np.array([0.0]), 0.0, 1).tolist() == [0]
    assert sample_times(np.array([0.5, 1.5]), 2.5, 1).tolist() == [0, 1]  # before its first frame, the first


def test_the_log_says_when_moments_show_the_same_frame(caplog):
    caplog.set_level("DEBUG", logger="llamavid_kit")
    sample_times(np.arange(3.0), 3.0, 1)
    assert not caplog.records
    sample_times(np.arange(3.0), 3.0, 2)
    assert "asks for 6 moments, but they show only 3 different frames" in caplog.text


def test_variable_rate_is_even_in_time(tmp_path):
    """1 s at 30 frames a second, 4 s at 2.5, 1 s at 60: an index stride would look 60 times at the last second."""
    times = np.cumsum([0] + [33] * 30 + [400] * 10 + [16] * 60)
    for reader in READERS:
        video = Video(write_clip(tmp_path / "vfr.mp4", times), reader=reader)
        np.testing.assert_allclose(video.timestamps_s, times / 1000, atol=1e-9)
        sample = video.sample(1)
        on_show = [int(np.flatnonzero(times <= 1000 * k + 1)[-1]) for k in range(6)]
        assert sample.indices.tolist() == on_show
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


@given(gaps=st.lists(st.integers(1, 9000), max_size=60), fps=st.sampled_from([0.1, 0.3, 1, 2.5, 6, 29.97, 1000, 1e5]))
def test_as_if_every_moment_were_looked_at(gaps, fps):
    times = np.cumsum([0, *gaps]) / 10_000
    moments = np.arange(max(1, int(np.ceil((times[-1] + 0.02 - EPSILON_S) * fps)))) / fps
    wanted = np.unique(np.maximum(np.searchsorted(times, moments + EPSILON_S, side="right") - 1, 0))
    np.testing.assert_array_equal(sample_times(times, times[-1] + 0.02, fps), wanted)


def test_frames_that_lie_centuries_apart_take_no_memory():
    assert sample_times(np.array([0, 1e12, 1e13]), 1e13 + 1, 6).tolist() == [0, 1, 2]


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
    with pytest.raises(ValueError, match="rule='time' has no stride"):
        stride_of("time", 30, 1)
    with pytest.raises(ValueError, match="n_frames=0"):
        sample_indices(0, 30, 1, rule="train")
    with pytest.raises(ValueError, match="no timestamps"):
        sample_times(np.empty(0), 0, 1)
