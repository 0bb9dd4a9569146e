"""FrameSampler, driven by its controls and read back from its figures; no browser."""

import numpy as np
import pytest
import small
from driving import saved, words

import llamavid_kit as lvk
from llamavid_kit.viz.explorers.sampler import FrameSampler, picks


@pytest.fixture
def clip(tmp_path):
    return small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)


def test_frames_in_the_event_are_counted_for_each_rule(clip):
    table = picks(lvk.Video(clip), [(0.9, 1.6)], fps=(1, 2, 6), budget=5)
    assert table["n_frames"].tolist() == [3, 6, 18, 5]
    assert table["inside"].tolist() == [1, 2, 4, 1]  # at 1; 1, 1.5; 1, 1.17, 1.33, 1.5; 5 frames lie 0.6 s apart: 1.2
    inside = [np.array(row.times_s)[row.is_inside].round(2).tolist() for row in table.itertuples()]
    assert inside == [[1.0], [1.0, 1.5], [1.0, 1.17, 1.33, 1.5], [1.17]]
    twice = picks(lvk.Video(clip), [(0.9, 1.6), (0.9, 1.6), (2.4, 3.0)], fps=(2,))
    assert twice["inside"].tolist() == [3]
    edge = picks(lvk.Video(clip), [(1.0, 1.5)], fps=(2,))
    assert edge["inside"].tolist() == [1]  # from the start on, up to and without the end


def test_the_sampler_moves_with_budget_event_and_rule(clip):
    sampler = FrameSampler(clip, [(0.9, 1.6)])
    assert sampler.message == "" and len(sampler.chart.figure.data) == 4
    sampler.budget.value = 10
    assert len(sampler.chart.figure.data[3].x) == 10 and "budget of 10" in sampler.chart.figure.layout.yaxis.ticktext[3]
    assert "10 frames, 2 of them in the event" in sampler.chart.figure.layout.yaxis.ticktext[3]
    sampler.end_s.value = 0.95
    assert (
        "it is missed" in sampler.chart.figure.layout.yaxis.ticktext[0]
        and sampler.chart.figure.layout.shapes[0].x1 == 0.95
    )
    assert "it is missed" in words(sampler.figure())
    before = sampler._thumbnails.value
    assert before.count("<img") == 3
    sampler.rule.value = "2 fps"
    assert sampler._thumbnails.value.count("<img") == 6
    sampler.start_s.value = 2.0
    assert "expected 0 <= start_s < end_s" in sampler.message
    sampler.end_s.value = 2.0  # no event
    assert sampler.message == "" and "in the event" not in "".join(sampler.chart.figure.layout.yaxis.ticktext)
    assert FrameSampler(clip, [(0.9, 46 / 30)]).end_s.value == 1.533  # as much as there is room for
    assert "no such file" in FrameSampler(clip.with_name("none.mp4")).message


def test_the_sampler_saves_what_it_shows_and_no_refused_setting(clip, tmp_path):
    sampler = FrameSampler(clip, [(0.9, 1.6)])
    sampler.rule.value = "2 fps"
    page = saved(sampler, tmp_path)
    assert page.count("<img") == 6 and "2 of them in the event" in page and "Frames of 2 fps:" in page
    sampler.start_s.value = 2.0
    with pytest.raises(ValueError, match="expected 0 <= start_s < end_s"):
        sampler.figure()
