"""The attention explorer is driven as a person drives it, by its controls, and read back from its figures; no browser.

Hooks on the model's parts count calls: what may not compute, does not.
"""

import html
import re

import numpy as np
import pytest
import small
from driving import click, saved, words

import llamavid_kit as lvk
from llamavid_kit.viz import attention_maps
from llamavid_kit.viz.explorers import attention_figures
from llamavid_kit.viz.explorers.attention import AttentionExplorer
from llamavid_kit.viz.explorers.shell import data_uri


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


def test_the_explorer_sees_what_ask_sees(model, clip, explorer):
    reply = model.ask(lvk.Video(clip), "What happens?", fps=2, max_new_tokens=attention_maps.MAX_NEW_TOKENS)
    np.testing.assert_allclose(
        explorer.state.questions[0].attention, reply.tokens.attention.numpy(), rtol=1e-4, atol=1e-6
    )
    assert explorer.replies == [reply.text]
    assert explorer.state.clip.timestamps_s.tolist() == pytest.approx(list(reply.timestamps_s))


def test_the_first_view_has_heat_thumbnails_timeline_reply_and_the_warning(explorer):
    state, panels, strip = explorer.state, explorer.panels.figure, explorer.strip.figure
    assert explorer.message == "" and len(state.clip) == 6 and explorer.frame.max == 5
    np.testing.assert_allclose(panels.data[1].z, state.maps[0][0])
    assert panels.data[1].opacity == 0.8 and panels.data[3].opacity == 0  # no second question: the frame itself
    assert (
        "frame 1 of 6, 0.00 s, mean over 3 queries" in panels.layout.title.text and "2 fps" in panels.layout.title.text
    )
    assert len(strip.layout.images) == 6
    np.testing.assert_allclose(strip.data[1].y, state.timelines[0]["concentration"])
    assert "does not say how much a frame matters for the answer" in explorer._notes and "entropy" in explorer._notes
    assert len(explorer.query.options) == 4 and explorer.query.index == 0
    assert explorer.query.value is not None  # None is "nothing chosen": a browser shows an empty box


def test_scrubbing_and_looks_change_the_figures_and_run_no_model(explorer, calls):
    before = explorer.panels.figure.data[1].z.copy(), explorer.panels.figure.data[0].source
    explorer.frame.value = 4
    np.testing.assert_allclose(explorer.panels.figure.data[1].z, explorer.state.maps[0][4])
    assert (
        not np.allclose(explorer.panels.figure.data[1].z, before[0])
        and explorer.panels.figure.data[0].source != before[1]
    )
    assert explorer.strip.figure.layout.shapes[0].x0 == explorer.strip.figure.layout.shapes[0].x1 == 2.0
    assert "frame 5 of 6, 2.00 s" in explorer.panels.figure.layout.title.text
    explorer.opacity.value = 0.3
    assert explorer.panels.figure.data[1].opacity == 0.3
    mean, line = explorer.panels.figure.data[1].z.copy(), np.array(explorer.strip.figure.data[1].y)
    explorer.query.value = 2
    expected = explorer.state.questions[0].attention[4, 2].reshape(4, 4) * 16
    np.testing.assert_allclose(explorer.panels.figure.data[1].z, expected, rtol=1e-6)
    assert not np.allclose(expected, mean) and not np.allclose(explorer.strip.figure.data[1].y, line)
    assert "query 3 of 3" in explorer.panels.figure.layout.title.text
    explorer.figure()
    assert calls == {"vision_tower": 0, "text_decoder": 0, "language_model": 0}


def test_a_new_question_runs_the_text_decoder_and_never_the_tower(explorer, calls):
    before = explorer.panels.figure.data[1].z.copy()
    explorer.frame.value = 3
    explorer.question.value = "How many people are there?"
    assert calls["vision_tower"] == 0 and calls["text_decoder"] == 1 and calls["language_model"] > 0
    assert explorer.frame.value == 3 and not np.allclose(explorer.panels.figure.data[1].z, before)
    assert explorer.panels.figure.layout.annotations[0].text == "“How many people are there?”"
    explorer.question.value = "What happens?"
    assert calls["text_decoder"] == 1  # asked before


def test_each_rate_is_watched_once(explorer, calls):
    explorer.frame.value = 5
    explorer.fps.value = 1
    assert calls["vision_tower"] == 1 and explorer.frame.max == 2 and explorer.frame.value == 2
    assert len(explorer.strip.figure.layout.images) == 3 and "1 fps" in explorer.panels.figure.layout.title.text
    assert explorer.strip.figure.layout.shapes[0].x0 == 2.0
    explorer.fps.value = 2
    explorer.fps.value = 1
    assert calls["vision_tower"] == 1 and len(explorer.strip.figure.data[1].y) == 3


def test_two_questions_share_one_colour_scale(explorer):
    explorer.second.value = "How many people are there?"
    a, b = explorer.state.maps
    assert not np.allclose(a, b) and len(explorer.replies) == 2
    top = max(a.max(), b.max())
    assert explorer.panels.figure.data[1].zmax == explorer.panels.figure.data[3].zmax == pytest.approx(top)
    np.testing.assert_allclose(explorer.panels.figure.data[3].z, b[0])
    assert explorer.panels.figure.data[3].opacity == 0.8
    assert explorer.panels.figure.layout.annotations[1].text == "■ “How many people are there?”"
    heat = [ax.images[1] for ax in explorer.figure().axes if len(ax.images) == 2]
    assert [image.get_clim() for image in heat] == [(1, pytest.approx(top))] * 2
    scale = f"attention, from 1 = even to {top:.3g}"
    assert explorer.panels.figure.data[1].colorbar.title.text == scale and scale in words(explorer.figure())
    explorer.question.value, explorer.second.value = explorer.second.value, explorer.question.value
    assert (
        explorer.panels.figure.data[1].zmax == explorer.panels.figure.data[3].zmax == pytest.approx(top)
    )  # whoever has the highest
    np.testing.assert_allclose(explorer.panels.figure.data[1].z, b[0])
    explorer.second.value = ""
    assert (
        explorer.panels.figure.data[3].opacity == 0
        and "frame that the model saw" in explorer.panels.figure.layout.annotations[1].text
    )


def test_the_frame_keeps_its_colours_under_the_map_on_screen_and_paper(explorer):
    """A red clip: where attention is even or less, red stays red."""
    assert explorer.state.picture[..., 0].mean() > explorer.state.picture[..., 2].mean() + 50
    assert explorer.panels.figure.data[0].source == data_uri(explorer.state.picture)
    heat, drawn = explorer.panels.figure.data[1], [ax.images for ax in explorer.figure().axes if len(ax.images) == 2]
    np.testing.assert_array_equal(drawn[0][0].get_array(), explorer.state.picture)
    assert heat.zmin == 1 and heat.colorscale[0][1].endswith(",0.000)")
    assert drawn[0][1].to_rgba([[0.2, 1.0, heat.zmax]], alpha=None)[0, :, 3].tolist() == [0, 0, 1]


def test_the_view_fits_a_laptop(explorer):
    """JupyterLab leaves 848 x 679 pixels of 1280 x 800. 96: questions, replies in two lines, and the slider."""
    explorer.second.value = "How many people are there?"
    panels, strip = explorer.panels.figure.layout, explorer.strip.figure.layout
    assert 96 + panels.height + strip.height <= 640 and panels.width <= 620 and strip.width <= 848
    explorer.question.value = "Who is that? " * 8
    assert explorer.panels.figure.layout.annotations[0].text.count("<br>") == 1
    assert explorer.panels.figure.layout.height <= panels.height + 20


def test_a_click_on_the_timeline_goes_to_the_nearest_frame(explorer):
    layout = explorer.strip.figure.layout
    assert layout.hovermode == "x" and layout.hoverdistance == -1 and layout.dragmode is False
    click(explorer.strip, trace=1, index=4, x=2.0, y=0.5)
    assert explorer.frame.value == 4
    np.testing.assert_allclose(explorer.panels.figure.data[1].z, explorer.state.maps[0][4])
    explorer.fps.value = 12  # 36 frames: every third has a thumbnail
    click(explorer.strip, trace=2, index=35, x=2.9, y=0.5)
    assert explorer.frame.value == 35
    click(explorer.strip, trace=0, index=4, x=1.0, y=0.5)
    assert explorer.frame.value == 12 and explorer.strip.figure.data[0].x[4] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "control, value, reason",
    [("question", "  ", "the question is empty"), ("question", "people " * 400, "tokens, the model has")],
)
def test_what_cannot_be_asked_is_said_in_the_view_and_mends(explorer, control, value, reason):
    getattr(explorer, control).value = value
    assert (
        reason in explorer.message and reason in explorer._message.value and 'role="alert"' in explorer._message.value
    )
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
    assert explorer.message == "" and len(explorer.state.clip) == 20


def test_clips_that_cannot_be_read_are_said_and_words_in_messages_are_no_markup(model, tmp_path):
    assert "no such file" in AttentionExplorer(model, tmp_path / "none.mp4").message
    (tmp_path / "a<b>.mp4").write_bytes(b"no video")
    explorer = AttentionExplorer(model, tmp_path / "a<b>.mp4")
    assert "a<b>.mp4" in explorer.message and "a&lt;b&gt;" in explorer._message.value


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


def test_the_static_picture_says_what_the_view_says(explorer):
    explorer.frame.value = 1
    text = words(explorer.figure())
    assert "“What happens?”" in text and "0.50 s" in text and "2 fps" in text and "does not say how much" in text
    assert explorer.replies[0] in text


def test_display_gives_the_widgets_and_a_picture_beside_them(explorer, monkeypatch):
    from IPython import display

    outputs = []
    monkeypatch.setattr(display, "display", outputs.append)
    explorer._ipython_display_()
    picture = outputs[-1]
    assert outputs[0] is explorer.view and isinstance(picture, display.Image) and picture.data.startswith(b"\xff\xd8")
