"""Share of events and of clips with a sampled frame, against the sampler itself, and events read from tables."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamavid_kit.data.sampling import sample_times
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.evaluation.visibility import (
    check_events,
    clip_curve,
    in_events,
    n_events_seen,
    n_frames_shown,
    n_samples_in,
    read_events,
    share_shown,
    still_likely,
    visibility_curve,
)

spans = st.tuples(st.integers(0, 120), st.integers(1, 40)).map(lambda x: (x[0] / 30, (x[0] + x[1]) / 30))


@given(st.lists(st.lists(spans, max_size=3), min_size=1, max_size=6), st.sampled_from([1, 2, 3, 6]))
@settings(deadline=None)
def test_against_the_sampler(clips, fps):
    """Second way: sample a clip of 30 frames a second, count the chosen frames that lie in any of its events."""
    events = {f"c{k}": of_clip for k, of_clip in enumerate(clips)}
    if not any(clips):
        with pytest.raises(ValueError, match="0 clips with an event"):
            clip_curve(events, fps=[fps])
        return
    sampled = sample_times(np.arange(200) / 30, 200 / 30, fps)
    inside = [
        sum(any(round(30 * a) <= i < round(30 * b) for a, b in of_clip) for i in sampled)
        for of_clip in clips
        if of_clip
    ]
    (point,) = clip_curve(events, fps=[fps])
    assert (point.n, point.n_visible) == (len(inside), sum(k > 0 for k in inside))
    assert point.share == point.n_visible / point.n and point.wilson95 == wilson(point.n_visible, point.n)


@given(st.lists(spans, max_size=3), st.sampled_from([1, 2, 3, 6]))
def test_moments_and_events_that_hold_a_sampled_frame(events, fps):
    """Second way: frame numbers of a clip of 30 frames a second."""
    times = np.arange(200) / 30
    numbers = [range(round(30 * start), round(30 * end)) for start, end in events]
    inside = in_events(times, events)
    assert inside.dtype == bool and inside.tolist() == [any(k in event for event in numbers) for k in range(200)]
    sampled = sample_times(times, 200 / 30, fps)
    assert n_events_seen(events, times, 200 / 30, fps) == sum(any(k in event for k in sampled) for event in numbers)


def test_a_clip_is_seen_by_any_of_its_events_and_without_events_does_not_count():
    events = {"one": [(0.2, 0.4), (2.0, 2.1)], "two": [(0.2, 0.4)], "none": []}
    curve = clip_curve(events, fps=[1, 4])
    assert [(p.fps, p.n, p.n_visible) for p in curve] == [(1, 2, 1), (4, 2, 2)]


@given(st.integers(0, 200), st.integers(1, 120), st.integers(0, 60), st.sampled_from([1, 2, 3, 6, 30]))
def test_events_against_the_sampler(start, length, rest, fps):
    """Second way: sample a clip of 30 frames a second by time, and count the chosen frames inside the event."""
    n = start + length + rest
    sampled = sample_times(np.arange(n) / 30, n / 30, fps)
    inside = int(((sampled >= start) & (sampled < start + length)).sum())
    assert n_samples_in((start / 30, (start + length) / 30), fps) == inside


@given(
    st.fractions(0, 20, max_denominator=30), st.fractions(Fraction(1, 30), 5, max_denominator=30), st.integers(1, 12)
)
def test_an_event_longer_than_the_gap_is_always_seen(start, length, fps):
    if length * fps >= 1 + Fraction(fps, 500):
        assert n_samples_in((float(start), float(start + length)), fps) >= 1


def test_expected_share_is_the_average_over_phases():
    """Events of 0.25 s starting at every 1/1000 s: the grid of 2 fps shows half of them, d·f = 0.5."""
    events = [(1 + i / 1000 + 0.0005, 1.25 + i / 1000 + 0.0005) for i in range(1000)]
    curve = visibility_curve(events, fps=[1, 2, 6])
    assert [point.expected for point in curve] == pytest.approx([0.25, 0.5, 1.0])
    assert [point.share for point in curve] == pytest.approx([0.25, 0.5, 1.0], abs=0.002)
    assert curve[1].wilson95 == wilson(curve[1].n_visible, 1000) and [p.fps for p in curve] == [1, 2, 6]


@pytest.mark.parametrize(
    ("events", "fps", "message"),
    [
        ([], 1, "no events"),
        ([(1, 2)], 0, "fps=0"),
        ([(2, 1)], 1, "start_s"),
        ([(-1, 1)], 1, "start_s"),
        ([(0, np.inf)], 1, "start_s"),
    ],
)
def test_what_has_no_visibility(events, fps, message):
    with pytest.raises(ValueError, match=message):
        visibility_curve(events, fps=[fps])


def test_frames_of_a_stride_rule():
    """30 frames a second at 1 fps: frames 0, 30, 60, …; an event [60, 90) holds one, [59, 91) two."""
    options = {"n_frames": 300, "video_fps": 30, "fps": 1}
    assert [n_frames_shown(e, **options) for e in ([(60, 90)], [(59, 91)], [(61, 90)], [], [(0, 31), (20, 61)])] == [
        1,
        2,
        0,
        0,
        3,
    ]
    assert n_frames_shown([(0, 300)], n_frames=300, video_fps=25, fps=6) == 75  # 25 // 6 = 4: every 4th frame
    assert n_frames_shown([(290, 400)], **options) == 0


def test_events_from_tables(tmp_path):
    seconds, frames = tmp_path / "s.csv", tmp_path / "f.csv"
    seconds.write_text("clip,start_s,end_s\na,1.5,2\na,4,5\nb,,\nc,0,2\nd,,\n")
    frames.write_text("clip,video_fps,start_frame,end_frame\na,30,45,60\nb,,,\na,25,100,125\nc,0.5,0,1\nd,30,,\n")
    expected = {"a": [(1.5, 2.0), (4.0, 5.0)], "b": [], "c": [(0.0, 2.0)], "d": []}
    assert read_events(seconds) == read_events(frames) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start\na,1\n", "columns"),
        ("clip,start_s,end_s\na,2,1\n", "line 2: start_s='2', end_s='1'"),
        ("clip,start_s,end_s\na,1,1\n", "line 2: start_s='1', end_s='1'"),
        ("clip,start_s,end_s\na,x,1\n", "start_s='x'"),
        ("clip,start_s,end_s\na,,1\n", "start_s=''"),
        ("start_s,end_s,clip\n1,2\n", "line 2: clip is empty"),
        ("", "columns None"),
        ("clip,start_s,end_s\n,1,2\n", "line 2: clip is empty"),
        ("clip,start_s,end_s\na,1,\n", "end_s=''"),
        ("clip,start_s,end_s\na,-1,1\n", "start_s='-1'"),
        ("clip,start_s,end_s\na,0,inf\n", "end_s='inf'"),
        ("clip,start_s,end_s\n", "lists no clips"),
        ("clip,start_frame,end_frame,video_fps\na,1,2,0\n", "video_fps='0'"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_events(tmp_path / "x.csv")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.csv is not a file"):
        read_events(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="fps=0"):
        clip_curve({"a": [(0, 1)]}, fps=[0])


@pytest.mark.parametrize("event", [(50, 60), (8, 9)])
def test_an_event_behind_the_end_of_its_clip_is_an_error(event):
    """Moments behind the end would count as sampled: none is a frame."""
    message = rf"a.mp4: the event from {event[0]} to {event[1]} s begins when the clip, 8 s long, is over"
    with pytest.raises(ValueError, match=message):
        check_events([(1, 2), event], 8.0, clip="a.mp4")


def test_an_event_ends_with_its_clip():
    events = check_events([(1, 2), (7.5, 60)], 8.0, clip="a.mp4")
    assert events == ((1, 2), (7.5, 8.0)) and check_events([], 8.0, clip="a.mp4") == ()
    assert clip_curve({"a.mp4": events[1:]}, fps=[1, 2])[0].n_visible == 0  # its last frame is at 7 s
    assert clip_curve({"a.mp4": events[1:]}, fps=[1, 2])[1].n_visible == 1


@pytest.mark.parametrize("event_s", [0.1, 0.4, 1.3])
@pytest.mark.parametrize(
    "times_s", [np.arange(8), np.arange(16) / 2 + 0.25, [0.2, 0.3, 5.0], [7.9], [5.0, 0.2, 5.0, 0.3]]
)
def test_the_share_shown_is_that_of_all_places_where_the_event_could_begin(times_s, event_s):
    """Counted over a fine grid of beginnings."""
    begins = np.linspace(0, 8 - event_s, 20_001)
    times = np.asarray(times_s, float)
    seen = ((begins[:, None] <= times) & (times < begins[:, None] + event_s)).any(1)
    assert share_shown(times_s, event_s=event_s, seconds=8) == pytest.approx(seen.mean(), abs=2e-3)


def test_no_frame_shows_nothing_and_a_long_event_has_no_place():
    assert share_shown([], event_s=1, seconds=8) == 0
    with pytest.raises(ValueError, match="event_s=8 in a clip of 8 s: expected more than 0, and less than the clip"):
        share_shown([0], event_s=8, seconds=8)


def test_what_a_no_leaves_open_is_bayes_rule():
    """By counting a large made-up sample: who is silent, and of them, where it happened."""
    rng = np.random.default_rng(0)
    happened, shown = rng.random(400_000) < 0.3, rng.random(400_000) < 0.6
    says = np.where(happened & shown, rng.random(400_000) < 0.9, rng.random(400_000) < 0.05)
    assert still_likely(0.6, before=0.3, hit=0.9, false_alarm=0.05) == pytest.approx(happened[~says].mean(), abs=4e-3)
    assert still_likely(1.0, before=0.5) == 0 and still_likely(0.0, before=0.3) == pytest.approx(0.3)
