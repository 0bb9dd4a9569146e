"""Share of clips with a sampled frame of an event, against the sampler itself, and events read from tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamavid_kit.data.sampling import sample_times
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.evaluation.visibility import clip_curve, curve_table, n_frames_shown, read_events

spans = st.tuples(st.integers(0, 120), st.integers(1, 40)).map(lambda x: (x[0] / 30, (x[0] + x[1]) / 30))


@given(st.lists(st.lists(spans, max_size=3), min_size=1, max_size=6), st.sampled_from([1, 2, 3, 6]), st.integers(1, 3))
@settings(deadline=None)
def test_against_the_sampler(clips, fps, at_least):
    """Second way: sample a clip of 30 frames a second, count the chosen frames that lie in any of its events."""
    events = {f"c{k}": found for k, found in enumerate(clips)}
    if not any(clips):
        with pytest.raises(ValueError, match="0 clips with an event"):
            clip_curve(events, fps=[fps])
        return
    chosen = sample_times(np.arange(200) / 30, 200 / 30, fps)
    inside = [
        sum(any(round(30 * a) <= i < round(30 * b) for a, b in found) for i in chosen) for found in clips if found
    ]
    (point,) = clip_curve(events, fps=[fps], at_least=at_least)
    assert (point.n, point.seen) == (len(inside), sum(k >= at_least for k in inside))
    assert point.share == point.seen / point.n and point.wilson95 == wilson(point.seen, point.n)


def test_a_clip_is_seen_by_any_of_its_events_and_without_events_does_not_count():
    events = {"one": [(0.2, 0.4), (2.0, 2.1)], "two": [(0.2, 0.4)], "none": []}
    curve = clip_curve(events, fps=[1, 4])
    assert [(p.fps, p.n, p.seen) for p in curve] == [(1, 2, 1), (4, 2, 2)]
    table = curve_table(curve, "made up")
    assert list(table.columns) == ["set", "fps", "n", "seen", "low", "high"] and list(table["seen"]) == [1, 2]
    assert clip_curve({"x": [(0, 1.5), (0.5, 1.2)]}, fps=[1], at_least=2)[0].seen == 1
    assert clip_curve({"x": [(0, 0.9), (0.0, 0.9)]}, fps=[1], at_least=2)[0].seen == 0  # one frame, twice annotated


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
    assert n_frames_shown([(0, 300)], n_frames=300, video_fps=25, fps=6, rule="train") == 75
    assert n_frames_shown([(290, 400)], **options) == 0


def test_events_from_tables(tmp_path):
    seconds, frames = tmp_path / "s.csv", tmp_path / "f.csv"
    seconds.write_text("clip,start_s,end_s\na,1.5,2\na,4,5\nb,,\n")
    frames.write_text("clip,video_fps,start_frame,end_frame\na,30,45,60\nb,,,\na,25,100,125\n")
    assert read_events(seconds) == read_events(frames) == {"a": [(1.5, 2.0), (4.0, 5.0)], "b": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start\na,1\n", "columns"),
        ("clip,start_s,end_s\na,2,1\n", "line 2: start_s='2', end_s='1'"),
        ("clip,start_s,end_s\na,x,1\n", "start_s='x'"),
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
