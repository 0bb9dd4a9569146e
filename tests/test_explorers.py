"""Explorers are driven as a person drives them, by their controls, and read back from their figures; no browser.

Hooks on the model's parts count calls: what may not compute, does not.
"""

import html
import json
import re
from pathlib import Path

import made_up_runs
import nbformat
import numpy as np
import pytest
import small
from matplotlib.patches import Rectangle
from nbclient import NotebookClient

import llamavid_kit as lvk
from llamavid_kit import attention_maps
from llamavid_kit.explorers import attention_figures, prediction_figures
from llamavid_kit.explorers import budget as lvk_budget
from llamavid_kit.explorers import sampler as lvk_sampler
from llamavid_kit.explorers.attention import AttentionExplorer
from llamavid_kit.explorers.budget import TokenBudget
from llamavid_kit.explorers.prediction_figures import cell_clips, probabilities, replies
from llamavid_kit.explorers.predictions import PredictionBrowser
from llamavid_kit.explorers.sampler import FrameSampler
from llamavid_kit.explorers.shell import colour_scale, heat_map, heat_scale
from llamavid_kit.run_folder import Run


def words(fig) -> str:
    """Every word in a matplotlib figure."""
    return "\n".join(t.get_text() for t in fig.findobj(lambda x: hasattr(x, "get_text")))


@pytest.fixture
def clip(tmp_path):
    return small.write_clip(tmp_path / "red.mp4", seconds=3, fps=12)


@pytest.fixture
def calls(model):
    """How often each part of the model ran, by name."""
    counts = {"vision_tower": 0, "text_decoder": 0, "language_model": 0}

    def count(name):
        def hook(*_):
            counts[name] += 1

        return hook

    hooks = [getattr(model, name).register_forward_hook(count(name)) for name in counts]
    yield counts
    for hook in hooks:
        hook.remove()


@pytest.fixture
def explorer(model, clip):
    return AttentionExplorer(model, clip, "What happens?", fps=2, name="small")


# --- what a map says --------------------------------------------------------------------------------------------------


def test_concentration_is_0_for_even_attention_and_1_for_one_patch():
    even, one = np.full((1, 2, 16), 1 / 16), np.eye(16)[None, [5, 5]]
    assert attention_maps.concentration(even) == pytest.approx([0])
    assert attention_maps.concentration(one) == pytest.approx([1])
    two = (np.eye(16)[5] + np.eye(16)[6])[None, None] / 2
    assert attention_maps.concentration(two) == pytest.approx([1 - np.log(2) / np.log(16)])
    apart = np.eye(16)[None, [5, 6]]  # each query on its own patch: the mean is as of `two`, each query is at 1
    assert attention_maps.concentration(apart) == pytest.approx([0.75])
    assert attention_maps.concentration(apart, 1) == pytest.approx([1])


def test_the_peak_is_where_the_highest_patch_is():
    attention = np.full((2, 1, 16), 0.02)
    attention[0, 0, 7] = attention[1, 0, 12] = 0.7  # row 1, column 3; row 3, column 0
    table = attention_maps.timeline(attention, np.array([0.0, 0.5]))
    assert table["peak_x"].tolist() == [0.875, 0.125] and table["peak_y"].tolist() == [0.375, 0.875]
    assert table["peak"].tolist() == pytest.approx([0.7 * 16] * 2) and table["time_s"].tolist() == [0.0, 0.5]
    assert attention_maps.shown_maps(attention)[1, 3, 0] == pytest.approx(0.7 * 16)


def test_maps_that_are_no_square_and_queries_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="7 patches a frame: expected a square"):
        attention_maps.shown_maps(np.ones((1, 1, 7)))
    with pytest.raises(ValueError, match="query 3: this model has queries 0 to 1"):
        attention_maps.shown_maps(np.ones((1, 2, 4)), 3)


def test_the_explorer_sees_what_ask_sees(model, clip, explorer):
    reply = model.ask(lvk.Video(clip), "What happens?", fps=2, max_new_tokens=attention_maps.MAX_NEW_TOKENS)
    np.testing.assert_allclose(explorer.state.looks[0].attention, reply.tokens.attention.numpy(), rtol=1e-4, atol=1e-6)
    assert explorer.replies == [reply.text]
    assert explorer.state.watched.timestamps_s.tolist() == pytest.approx(list(reply.timestamps_s))


# --- AttentionExplorer ------------------------------------------------------------------------------------------------


def test_the_first_view_has_heat_thumbnails_timeline_reply_and_the_warning(explorer):
    state, panels, strip = explorer.state, explorer.panels, explorer.strip
    assert explorer.message == "" and len(state.watched) == 6 and explorer.frame.max == 5
    np.testing.assert_allclose(panels.data[1].z, state.maps[0][0])
    assert panels.data[1].opacity == 0.6 and panels.data[3].opacity == 0  # no second question: the frame itself
    assert (
        "frame 1 of 6, 0.00 s, mean over 3 queries" in panels.layout.title.text and "2 fps" in panels.layout.title.text
    )
    assert len(strip.layout.images) == 6
    np.testing.assert_allclose(strip.data[1].y, state.timelines[0]["concentration"])
    shown = " ".join(w.value for w in explorer.view.children if hasattr(w, "value") and isinstance(w.value, str))
    assert "does not say how much a frame matters for the answer" in shown and "entropy" in shown
    assert len(explorer.query.options) == 4 and explorer.query.index == 0
    assert explorer.query.value is not None  # None is "nothing chosen": a browser shows an empty box


def test_scrubbing_and_looks_change_the_figures_and_run_no_model(explorer, calls):
    before = explorer.panels.data[1].z.copy(), explorer.panels.data[0].source
    explorer.frame.value = 4
    np.testing.assert_allclose(explorer.panels.data[1].z, explorer.state.maps[0][4])
    assert not np.allclose(explorer.panels.data[1].z, before[0]) and explorer.panels.data[0].source != before[1]
    assert explorer.strip.layout.shapes[0].x0 == explorer.strip.layout.shapes[0].x1 == 2.0
    assert "frame 5 of 6, 2.00 s" in explorer.panels.layout.title.text
    explorer.opacity.value = 0.3
    assert explorer.panels.data[1].opacity == 0.3
    mean, line = explorer.panels.data[1].z.copy(), np.array(explorer.strip.data[1].y)
    explorer.query.value = 2
    expected = explorer.state.looks[0].attention[4, 2].reshape(4, 4) * 16
    np.testing.assert_allclose(explorer.panels.data[1].z, expected, rtol=1e-6)
    assert not np.allclose(expected, mean) and not np.allclose(explorer.strip.data[1].y, line)
    assert "query 3 of 3" in explorer.panels.layout.title.text
    explorer.figure()
    assert calls == {"vision_tower": 0, "text_decoder": 0, "language_model": 0}


def test_a_new_question_runs_the_text_decoder_and_never_the_tower(explorer, calls):
    before = explorer.panels.data[1].z.copy()
    explorer.frame.value = 3
    explorer.question.value = "How many people are there?"
    assert calls["vision_tower"] == 0 and calls["text_decoder"] == 1 and calls["language_model"] > 0
    assert explorer.frame.value == 3 and not np.allclose(explorer.panels.data[1].z, before)
    assert explorer.panels.layout.annotations[0].text == "“How many people are there?”"
    explorer.question.value = "What happens?"
    assert calls["text_decoder"] == 1  # asked before


def test_each_rate_is_watched_once(explorer, calls):
    explorer.frame.value = 5
    explorer.fps.value = 1
    assert calls["vision_tower"] == 1 and explorer.frame.max == 2 and explorer.frame.value == 2
    assert len(explorer.strip.layout.images) == 3 and "1 fps" in explorer.panels.layout.title.text
    assert explorer.strip.layout.shapes[0].x0 == 2.0
    explorer.fps.value = 2
    explorer.fps.value = 1
    assert calls["vision_tower"] == 1 and len(explorer.strip.data[1].y) == 3


def test_two_questions_share_one_colour_scale(explorer):
    explorer.second.value = "How many people are there?"
    a, b = explorer.state.maps
    assert not np.allclose(a, b) and len(explorer.replies) == 2
    top = max(a.max(), b.max())
    assert explorer.panels.data[1].zmax == explorer.panels.data[3].zmax == pytest.approx(top)
    np.testing.assert_allclose(explorer.panels.data[3].z, b[0])
    assert explorer.panels.data[3].opacity == 0.6
    assert explorer.panels.layout.annotations[1].text == "“How many people are there?”"
    heat = [ax.images[1] for ax in explorer.figure().axes if len(ax.images) == 2]
    assert [image.get_clim() for image in heat] == [(0, pytest.approx(top))] * 2
    explorer.question.value, explorer.second.value = explorer.second.value, explorer.question.value
    assert explorer.panels.data[1].zmax == explorer.panels.data[3].zmax == pytest.approx(top)  # whoever has the highest
    np.testing.assert_allclose(explorer.panels.data[1].z, b[0])
    explorer.second.value = ""
    assert (
        explorer.panels.data[3].opacity == 0
        and "frame that the model saw" in explorer.panels.layout.annotations[1].text
    )


def test_a_click_on_a_thumbnail_or_a_point_goes_to_its_frame(explorer):
    class At:
        point_inds = (4,)

    explorer._clicked(explorer.strip.data[1], At, None)
    assert explorer.frame.value == 4
    explorer.fps.value = 12  # 36 frames: every third has a thumbnail
    explorer._clicked(explorer.strip.data[0], At, None)
    assert explorer.frame.value == 12 and explorer.strip.data[0].x[4] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "control, value, said",
    [("question", "  ", "the question is empty"), ("question", "people " * 400, "tokens, the model has")],
)
def test_what_cannot_be_asked_is_said_in_the_view_and_mends(explorer, control, value, said):
    getattr(explorer, control).value = value
    assert said in explorer.message and said in explorer._message.value and 'role="alert"' in explorer._message.value
    getattr(explorer, control).value = "What happens?"
    assert explorer.message == "" and explorer._message.value == ""


def test_a_clip_too_long_for_the_model_is_refused_before_the_tower_runs(model, tmp_path, calls):
    path = small.write_clip(tmp_path / "long.mp4", seconds=20, fps=12)
    explorer = AttentionExplorer(model, path, fps=12)
    assert re.search(r"240 frames at 12 fps need .* tokens, the model has 400: ask with fps <= ", explorer.message)
    assert calls["vision_tower"] == 0 and explorer.state is None
    with pytest.raises(ValueError, match="240 frames"):
        explorer.figure()
    explorer.fps.value = 1
    assert explorer.message == "" and len(explorer.state.watched) == 20


def test_clips_that_cannot_be_read_are_said_and_words_in_messages_are_no_markup(model, tmp_path):
    assert "no such file" in AttentionExplorer(model, tmp_path / "none.mp4").message
    (tmp_path / "a<b>.mp4").write_bytes(b"no video")
    explorer = AttentionExplorer(model, tmp_path / "a<b>.mp4")
    assert "a<b>.mp4" in explorer.message and "a&lt;b&gt;" in explorer._message.value


def saved(explorer, folder: Path) -> str:
    """Saves all three kinds by the button; the page's text, after checks that hold for every explorer."""
    for name in ("map.png", "map.svg", "map.html"):
        explorer.target.value = str(folder / "new" / name)
        explorer.save_button.click()
        assert explorer.message == f"Saved {folder / 'new' / name}"
    assert explorer.saving in explorer.view.children
    assert (folder / "new" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "new" / "map.svg").read_text()
    page = (folder / "new" / "map.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"'](?!data:)", page)
    assert "default-src 'none'" in page and "plotly.js v" in page and f"<h1>{html.escape(explorer.title)}</h1>" in page
    explorer.target.value = str(folder / "map.doc")
    explorer.save_button.click()
    assert "ends in .png, .svg or .html" in explorer.message and not (folder / "map.doc").exists()
    return page


def test_exports_are_self_contained(explorer, tmp_path):
    explorer.frame.value = 2
    page = saved(explorer, tmp_path)
    assert "does not say how much a frame matters" in page and html.escape(explorer.replies[0]) in page
    figure = attention_figures.page(explorer.state)
    assert len(figure.frames) == 6 and figure.layout.sliders[0].active == 2
    np.testing.assert_allclose(figure.frames[4].data[1].z, explorer.state.maps[0][4])


def test_words_in_an_exported_page_are_no_markup(model, clip, tmp_path):
    explorer = AttentionExplorer(model, clip, "</script><b>people", fps=2, name="a<b>")
    page = explorer.export(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "</script><b>" not in page and "a<b>" not in page and "&lt;b&gt;people" in page


def test_what_shows_nothing_saves_nothing_and_says_why(model, tmp_path):
    nothing = tmp_path / "none.mp4"
    for explorer, why in ((AttentionExplorer(model, nothing), "no such file"), (FrameSampler(nothing), "no such file"),
                          (PredictionBrowser(tmp_path), "config.json is not there")):  # fmt: skip
        for name in ("a.doc", "a.png", "a.html"):
            explorer.target.value = str(tmp_path / name)
            explorer.save_button.click()
        assert why in explorer.message and not list(tmp_path.glob("a.*"))
    explorer = AttentionExplorer(model, nothing)
    explorer.opacity.value = 0.3
    assert "no such file" in explorer.message  # still the reason


def test_the_static_picture_says_what_the_view_says(explorer):
    explorer.frame.value = 1
    said = words(explorer.figure())
    assert "“What happens?”" in said and "0.50 s" in said and "2 fps" in said and "does not say how much" in said
    assert explorer.replies[0] in said


def test_print_and_screen_have_the_same_colours():
    from matplotlib.colors import to_rgba

    assert colour_scale("Blues")[0] == [0.0, "#f7fbff"]
    for place, colour in heat_scale():
        r, g, b, a = map(float, colour[5:-1].split(","))
        expected = to_rgba(heat_map()(place**0.5))
        assert (r / 255, g / 255, b / 255, a) == pytest.approx(expected, abs=0.005)
    assert heat_map()(0.0)[3] == 0 and heat_map()(1.0)[3] == 1


def test_display_gives_the_widgets_and_a_picture_beside_them(explorer, monkeypatch):
    from IPython import display

    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    explorer._ipython_display_()
    assert shown[0] is explorer.view and isinstance(shown[-1], display.Image) and shown[-1].data.startswith(b"\xff\xd8")


# --- the notebook -----------------------------------------------------------------------------------------------------

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "06_attention_maps.ipynb"


def test_the_notebook_is_small_has_no_widget_state_and_more_prose_than_code():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < 500_000 and "widgets" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert code[0] is notebook.cells[1] and code[0].metadata["tags"] == ["parameters"]
    assert code[0].source == 'MODEL = "tiny"'
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert len(" ".join(prose).split()) >= 4 * len(lines) and max(len(c.source.splitlines()) for c in code) <= 25
    for cell in code:
        shown = [set(output.get("data", {})) for output in cell.outputs]
        if any("application/vnd.jupyter.widget-view+json" in kinds for kinds in shown):
            assert any("image/jpeg" in kinds for kinds in shown), cell.source  # for readers without a kernel


def test_the_notebook_runs_and_prints_what_it_says():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    saved = [
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "stream"
    ]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    now = [
        output.text for cell in notebook.cells for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    ]  # fmt: skip
    assert now == saved


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
    assert sampler.message == "" and len(sampler.chart.data) == 4
    sampler.budget.value = 10
    assert len(sampler.chart.data[3].x) == 10 and "budget of 10" in sampler.chart.layout.yaxis.ticktext[3]
    assert "10 frames, 2 of them in the event" in sampler.chart.layout.yaxis.ticktext[3]
    sampler.end_s.value = 0.95
    assert "it is missed" in sampler.chart.layout.yaxis.ticktext[0] and sampler.chart.layout.shapes[0].x1 == 0.95
    assert "it is missed" in words(sampler.figure())
    before = sampler._thumbnails.value
    assert before.count("<img") == 3
    sampler.rule.value = "2 fps"
    assert sampler._thumbnails.value.count("<img") == 6
    sampler.start_s.value = 2.0
    assert "expected 0 <= start_s < end_s" in sampler.message
    sampler.end_s.value = 2.0  # no event
    assert sampler.message == "" and "in the event" not in "".join(sampler.chart.layout.yaxis.ticktext)
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
    assert [bar.x[0] for bar in budget.chart.data[:3]] == [240, 128, 32]
    budget.fps.value = 3
    assert "does not fit" in budget.message and budget.chart.data[2].name == "too much: 88 tokens"
    assert budget.chart.data[2].base[0] + budget.chart.data[2].x[0] == 360 + 128
    assert "too much: 88 tokens" in words(budget.figure())
    budget.model.value = "LLaMA-VID 7B, 224 px"
    assert budget.message == "" and budget.plan.context == 4096 and "left" in budget.chart.data[2].name
    budget.dtype.value = "float32"
    assert budget.chart.data[5].name.startswith("too much") and "more than the GPU has" in budget._verdict.value
    budget.gpu_gib.value = 80
    assert budget.chart.data[5].name.startswith("left")
    budget.model.value, budget.content.value = "this model", "grid:8"
    assert "4 x 4 patches" in budget.message
    with pytest.raises(ValueError, match="4 x 4 patches"):
        budget.figure()


def test_the_budget_saves_what_it_shows(tmp_path):
    budget = TokenBudget(duration_s=600, fps=8)
    page = saved(budget, tmp_path)
    assert "(does not fit)" in page and "too much: 5,632 tokens" in page


# --- PredictionBrowser ------------------------------------------------------------------------------------------------

LABELS = ("Red", "Blue", "Nothing")


@pytest.fixture
def run(tmp_path):
    """A run of 30 clips with likelihoods; the choice that an arm made has 0.8 of the probability."""
    made = made_up_runs.MadeUp({(False, 1): 0.3, (True, 6): 0.7}, n_test=30, labels=LABELS, groups=False)
    folder = made_up_runs.write_run(tmp_path / "run", made)
    for path in (folder / "arms").glob("*likelihood.jsonl"):
        head, *lines = map(json.loads, path.read_text().splitlines())
        for line in lines:
            line["log_likelihood"] = {x: float(np.log(0.4 if x == line["label"] else 0.05)) for x in LABELS}
        path.write_text("\n".join(map(json.dumps, [head, *lines])))
    return folder


def test_a_cell_holds_as_many_clips_as_it_says(run):
    run = Run(run)
    for arm in run.summary["arms"]:
        found = [[len(cell_clips(run, arm["name"], row, column)) for column in arm["columns"]] for row in arm["labels"]]
        assert found == [list(row) for row in arm["confusion"]]
    assert any("no label" in arm["columns"] for arm in run.summary["arms"])


def test_a_click_shows_the_cells_clips_with_every_arms_reply_and_probabilities(run):
    browser = PredictionBrowser(run)
    arm = browser.run.arm(browser.arm.value)
    np.testing.assert_allclose(browser.chart.data[0].z, np.array(arm["confusion"]) / 10)
    truth, answered = next(
        (t, a) for t in LABELS for a in LABELS if t != a and len(cell_clips(browser.run, arm["name"], t, a))
    )

    class At:
        xs, ys = (answered,), (truth,)

    browser._clicked(None, At, None)
    rows = browser.run.arms[(browser.run.arms["key"] == arm["name"]) & (browser.run.arms["truth"] == truth)]
    expected = rows[rows["label"] == answered]["clip"].tolist()
    assert list(browser.clip.options) == expected and browser.clip.value == expected[0]
    box = browser.chart.layout.shapes[0]
    assert (box.x0, box.y0) == (LABELS.index(answered) - 0.5, LABELS.index(truth) - 0.5)
    shown = browser._clip_view.value
    assert expected[0] in shown and all(browser.run.shown(a) in shown for a in browser.run.summary["arms"])
    table = probabilities(browser.run, expected[0])
    assert table.sum().tolist() == pytest.approx([1, 1]) and table.max().tolist() == pytest.approx([0.8, 0.8])
    chosen = replies(browser.run, expected[0]).query("answering == 'likelihood'")["label"].tolist()
    assert table.idxmax().tolist() == chosen
    assert [bar.y.tolist() for bar in browser.chances.data] == [table[arm].tolist() for arm in table]
    assert f"true: {truth}" in words(browser.figure())


def test_the_browser_saves_the_matrix_and_the_clip(run, tmp_path):
    browser = PredictionBrowser(run)
    page = saved(browser, tmp_path)
    assert f"<b>{browser.clip.value}</b>" in page and page.count('class="plotly-graph-div"') == 2
    assert '"shapes":[{' in page  # the frame around the chosen cell


def test_another_arm_and_another_clip_change_what_is_seen(run):
    browser = PredictionBrowser(run)
    first = browser.chart.data[0].z.copy(), browser._clip_view.value
    browser.clip.index = 1
    assert browser.clip.value in browser._clip_view.value and browser._clip_view.value != first[1]
    browser.arm.index = 2
    assert not np.array_equal(browser.chart.data[0].z, first[0]) and "fine-tuned" in browser.chart.layout.title.text


def test_replies_are_text_and_no_markup(run):
    browser = PredictionBrowser(run)
    silent = browser.run.arms[browser.run.arms["label"].isna()].iloc[0]
    browser.arm.value, browser.truth.value, browser.answered.value = silent["key"], silent["truth"], "no label"
    browser.clip.value = silent["clip"]
    assert "a &lt;b&gt;dog&lt;/b&gt;" in browser._clip_view.value and "<b>dog" not in browser._clip_view.value


def test_frames_are_shown_where_the_clip_is_and_its_absence_is_said(run, tmp_path):
    browser = PredictionBrowser(run, root=tmp_path)
    assert "no such file" in browser.message and "true class" in browser._clip_view.value and not browser.frames
    small.write_clip(tmp_path / f"{browser.clip.options[1]}.mp4", seconds=8)
    browser.clip.index = 1
    assert browser.message == "" and browser._clip_view.value.count("<img") == 8
    assert [s for s, _, _ in browser.frames] == pytest.approx(range(8)) and "2.0 s" in words(browser.figure())
    small.write_clip(tmp_path / f"{browser.clip.options[2]}.mp4", seconds=3)
    browser.clip.index = 2
    assert "gives 3 frames, the arm saw 8" in browser.message and not browser.frames


def test_the_receipt_says_whether_the_arm_saw_the_event(run):
    run = Run(run)
    clip = run.test.iloc[0]["clip"]
    slow, fast = (next(a["name"] for a in run.summary["arms"] if a["fps"] == fps) for fps in (1, 6))

    def said(key, *events):
        run.clips.at[run.clips.index[run.clips["clip"] == clip][0], "events"] = list(events)
        times, inside, text = prediction_figures.receipt(run, key, clip)
        return times[inside].round(2).tolist(), text

    assert said(slow, (2.3, 2.8)) == ([], "zero-shot, 1 fps saw 8 frames, 0 of them in the event (2.30 to 2.80 s): it "
                                          "lies between two frames.")  # fmt: skip
    assert said(fast, (2.3, 2.8))[0] == [2.33, 2.5, 2.67] and "48 frames, 3 of them" in said(fast, (2.3, 2.8))[1]
    assert said(slow, (1.0, 2.0), (4.9, 5.1)) == ([1, 5], said(slow, (1.0, 2.0), (4.9, 5.1))[1])
    assert said(slow)[1] == "zero-shot, 1 fps saw 8 frames; no event is marked in this clip."


def test_of_many_frames_one_of_the_event_is_shown():
    inside = np.zeros(36, bool)
    assert prediction_figures.chosen_frames(inside) == list(range(0, 36, 5))
    inside[22:24] = True
    assert prediction_figures.chosen_frames(inside) == [0, 5, 10, 15, 20, 23, 30, 35]  # 25 is nearest to 23
    inside[20] = True
    assert prediction_figures.chosen_frames(inside) == list(range(0, 36, 5))
    assert prediction_figures.chosen_frames(np.ones(3, bool)) == [0, 1, 2]


def test_the_static_picture_frames_the_cell_and_shows_probabilities(run):
    browser = PredictionBrowser(run)
    wrong = browser.run.arms[~browser.run.arms["correct"].astype(bool)].dropna(subset="label").iloc[-1]
    browser.arm.value, browser.truth.value, browser.answered.value = wrong["key"], wrong["truth"], wrong["label"]
    browser.clip.value = wrong["clip"]
    figure = browser.figure()
    box = next(p for p in figure.findobj(Rectangle) if p.get_linewidth() == 3.5)
    assert (box.get_x(), box.get_y()) == (LABELS.index(wrong["label"]), LABELS.index(wrong["truth"]))
    said, table = words(figure), probabilities(browser.run, wrong["clip"])
    assert "probability of the choice" in said and f"→ {wrong['truth'].upper()}" in said
    bars = [p.get_height() for p in figure.findobj(Rectangle) if p.get_height() in table.to_numpy()]
    assert bars == table.to_numpy().T.ravel().tolist()
    assert all(f"{arm}, likelihood" in said for arm in table)
    browser.run.arms = browser.run.arms.assign(label=None)  # then no cell has a clip
    browser.answered.value = LABELS[1] if wrong["label"] != LABELS[1] else LABELS[2]
    assert browser.clip.value is None and "probability of the choice" not in words(browser.figure())
    assert browser.figure().get_figheight() < figure.get_figheight() - 3


def test_folders_that_are_no_closed_run_and_empty_cells_are_said(run, tmp_path):
    browser = PredictionBrowser(tmp_path)
    assert "config.json is not there" in browser.message
    with pytest.raises(ValueError, match="not there"):
        browser.figure()
    browser = PredictionBrowser(run)
    arm = browser.run.summary["arms"][0]["name"]
    browser.run.arms = browser.run.arms.drop(cell_clips(browser.run, arm, "Red", "Blue").index)
    browser.truth.value, browser.answered.value = "Red", "Blue"
    assert browser.message == "No clip of Red was answered Blue." and browser.clip.options == ()
    browser.figure()
