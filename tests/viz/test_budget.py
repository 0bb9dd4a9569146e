"""TokenBudget, driven by its controls and read back from its figures; no browser."""

import pytest
from driving import saved, words

import llamavid_kit as lvk
from llamavid_kit.viz.explorers.budget import TokenBudget, parts


def test_the_budget_shows_the_planners_numbers(model):
    budget = TokenBudget(model.config, duration_s=60, fps=2)
    expected = lvk.plan(model.config, duration_s=60, fps=2, content="mean")
    assert budget.plan == expected and str(expected) in budget._verdict.value
    table = parts(expected, gpu_gib=24).set_index(["bar", "part"])["amount"]
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
