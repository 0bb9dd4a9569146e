"""FrameSampler and TokenBudget, driven by their controls and read back from their figures; no browser."""

import numpy as np
import pytest
import small
from driving import saved, words

import llamavid_kit as lvk
from llamavid_kit.viz.explorers import budget as lvk_budget
from llamavid_kit.viz.explorers import sampler as lvk_sampler
from llamavid_kit.viz.explorers.budget import TokenBudget
from llamavid_kit.viz.explorers.sampler import FrameSampler


@pytest.fixture
def clip(tmp_path):
    return small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)


# --- FrameSampler -----------------------------------------------------------------------------------------------------


def test_frames_in_the_event_are_counted_for_each_rule(clip):
    table = lvk_sampler.picks(lvk.Video(clip), [(0.9, 1.6)], fps=(1, 2, 6), budget=5)
    assert table["n_frames"].tolist() == [3, 6, 18, 5]
    assert table["inside"].tolist() == [1, 2, 4, 1]  # at 1; 1, 1.5; 1, 1.17, 1.33, 1.5; 5 frames lie 0.6 s apart: 1.2
    found = [np.array(row.times_s)[row.is_inside].round(2).tolist() for row in table.itertuples()]
    assert found == [[1.0], [1.0, 1.5], [1.0, 1.17, 1.33, 1.5], [1.17]]
    twice = lvk_sampler.picks(lvk.Video(clip), [(0.9, 1.6), (0.9, 1.6), (2.4, 3.0)], fps=(2,))
    assert twice["inside"].tolist() == [3]
    edge = lvk_sampler.picks(lvk.Video(clip), [(1.0, 1.5)], fps=(2,))
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


# --- TokenBudget ------------------------------------------------------------------------------------------------------


def test_the_budget_shows_the_planners_numbers(model):
    budget = TokenBudget(model.config, duration_s=60, fps=2)
    expected = lvk.plan(model.config, duration_s=60, fps=2, content="mean")
    assert budget.plan == expected and str(expected) in budget._verdict.value
    table = lvk_budget.parts(expected, gpu_gib=24).set_index(["bar", "part"])["amount"]
    assert table["context"].to_dict() == {"frames": 240, "prompt and answer": 128, "left": 400 - 368}
    assert table["GPU"].sum() == pytest.approx(24) and table["GPU", "weights"] == expected.weight_bytes / 2**30
    assert [bar.x[0] for bar in budget.chart.figure.data[:3]] == [240, 128, 32]
    budget.fps.value = 3
    assert "does not fit" in budget.message and budget.chart.figure.data[2].name == "too much: 88 tokens"
    assert budget.chart.figure.data[2].base[0] + budget.chart.figure.data[2].x[0] == 360 + 128
    assert "too much: 88 tokens" in words(budget.figure())
    budget.model.value = "LLaMA-VID 7B, 224 px"
    assert budget.message == "" and budget.plan.context == 4096 and "left" in budget.chart.figure.data[2].name
    budget.dtype.value = "float32"
    assert budget.chart.figure.data[5].name.startswith("too much") and "more than the GPU has" in budget._verdict.value
    budget.gpu_gib.value = 80
    assert budget.chart.figure.data[5].name.startswith("left")
    budget.model.value, budget.content.value = "this model", "grid:8"
    assert "4 x 4 patches" in budget.message
    with pytest.raises(ValueError, match="4 x 4 patches"):
        budget.figure()


def test_the_budget_saves_what_it_shows(tmp_path):
    budget = TokenBudget(duration_s=600, fps=8)
    page = saved(budget, tmp_path)
    assert "(does not fit)" in page and "too much: 5,632 tokens" in page
