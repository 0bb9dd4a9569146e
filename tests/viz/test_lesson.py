"""The lessons' pictures say what their numbers are, and a kept page is as small as it asks to be."""

import base64
import io
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import to_hex
from PIL import Image

from llamavid_kit.viz import lesson
from llamavid_kit.viz.lesson import KINDS, architecture, maps, stacked, tidy_page

ROWS = {"test": {"kept": 3, "missing": 1}, "train": {"missing": 2, "broken": 0, "kept": 4}}


def pieces(fig) -> dict[str, list]:
    """Legend's name of a piece → its bars, a row each."""
    ax = fig.axes[0]
    handles, names = ax.get_legend_handles_labels()
    return {name: list(handle) for handle, name in zip(handles, names, strict=True)}


def test_pieces_lie_end_to_end_in_the_order_they_first_occur():
    drawn = pieces(stacked(ROWS, x="clips", title="t"))
    assert list(drawn) == ["kept", "missing", "broken"]
    assert [(bar.get_x(), bar.get_width()) for bar in drawn["kept"]] == [(0, 3), (0, 4)]
    assert [(bar.get_x(), bar.get_width()) for bar in drawn["missing"]] == [(3, 1), (4, 2)]


def test_rows_numbers_and_axes_are_named():
    ax = stacked(ROWS, x="clips", title="What was kept").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["test", "train"] and ax.yaxis_inverted()
    assert [text.get_text() for text in ax.texts] == ["3", "4", "1", "2", "", ""]
    assert (ax.get_xlabel(), ax.get_title("left")) == ("clips", "What was kept")


def test_a_piece_has_one_colour_and_grey_ones_are_grey():
    drawn = pieces(stacked(ROWS, x="clips", title="t", grey=["missing"]))
    colours = {name: {to_hex(bar.get_facecolor()).upper() for bar in bars} for name, bars in drawn.items()}
    assert colours["missing"] == {KINDS["ignored"]}
    assert len(colours["kept"]) == 1 and len(set.union(*colours.values())) == 3


def test_more_pieces_than_colours_are_refused():
    with pytest.raises(ValueError, match="7 pieces .* colours for 6"):
        stacked({"a": {str(k): 1 for k in range(7)}}, x="clips", title="t")
    stacked({"a": {str(k): 1 for k in range(7)}}, x="clips", title="t", grey=["0"])


def test_the_axis_of_bars_counts_as_their_notes_do():
    def ticks(note: str, *values: float, log: bool = False) -> set[str]:
        fig = lesson.bars(dict(zip("ab", values, strict=True)), x="x", title="t", note=note, log=log)
        fig.canvas.draw()
        return {label.get_text() for label in fig.axes[0].get_xticklabels()}

    assert {"0%", "20%", "100%"} <= ticks("{:.0%}", 0.25, 1)
    assert {"0", "1", "2", "3"} <= ticks("{:.0f}", 1, 3) and "0.5" in ticks("{:.1f}", 1, 3)
    assert {"0.01", "1", "1,000"} <= ticks("{:.1f}", 0.005, 2000, log=True)  # numbers, not a formula's letters


def test_a_tidy_page_hides_one_warning_and_no_other(monkeypatch):
    monkeypatch.setattr(lesson, "set_matplotlib_formats", lambda *_, **__: None)
    monkeypatch.setattr(lesson.logging, "disable_progress_bar", lambda: None)
    with pd.option_context("display.max_colwidth", 10), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        tidy_page()
        assert "x" * 200 in pd.DataFrame(["x" * 200]).to_html()
        warnings.warn("`is_gradient_checkpointing` is deprecated and will be removed", FutureWarning, stacklevel=1)
        warnings.warn("`frames` is deprecated and will be removed", FutureWarning, stacklevel=1)
    assert [str(warning.message)[:8] for warning in seen] == ["`frames`"]


FAINT_AND_STRONG = {"faint": np.array([[0.5, 1.0], [2.0, 0.25]]), "strong": np.array([[-4.0, 1.0], [20.0, 0.1]])}


@pytest.mark.parametrize(
    ("own_scales", "limits", "note"),
    [(False, [(-4, 20), (-4, 20)], "one scale for all maps"), (True, [(0, 2), (-4, 20)], "a scale of its own")],
)
@pytest.mark.parametrize("over", [None, np.zeros((8, 8, 3), np.uint8)])
def test_maps_share_a_scale_or_have_their_own_and_say_which(own_scales, limits, note, over):
    """The bar beside a map is that map's own: what a reader takes from it holds for the colours."""
    fig = maps(FAINT_AND_STRONG, unit="weight", title="t", own_scales=own_scales, over=over)
    drawn = [ax.images[-1] for ax in fig.axes if ax.get_title("center")]
    assert [image.get_clim() for image in drawn] == limits
    assert [image.get_array().tolist() for image in drawn] == [grid.tolist() for grid in FAINT_AND_STRONG.values()]
    assert len(fig.axes) - len(drawn) == (2 if own_scales else 1)
    assert all(image.colorbar is not None for image in drawn) == own_scales
    if own_scales:
        ends = [[tick.get_text() for tick in image.colorbar.ax.get_xticklabels()] for image in drawn]
        assert ends == [["0", "2"], ["-4", "20"]]
    assert fig.get_supxlabel().startswith("weight; ") and note in fig.get_supxlabel()


@pytest.fixture
def kept_picture():
    """The picture that a notebook would keep of a figure of 4 x 2 inches."""
    formatters = InteractiveShell.instance().display_formatter.formatters
    yield lambda: Image.open(io.BytesIO(base64.b64decode(formatters["image/jpeg"](plt.subplots(figsize=(4, 2))[0]))))
    InteractiveShell.clear_instance()
    plt.close("all")


def test_pictures_are_jpegs_of_the_dpi_and_quality_asked_for(kept_picture):
    tidy_page(dpi=50, quality=30)
    small = kept_picture()
    tidy_page(dpi=100)
    large = kept_picture()
    assert small.format == large.format == "JPEG"
    assert large.width == pytest.approx(2 * small.width, rel=0.05)
    assert small.quantization[0][0] > large.quantization[0][0]  # coarser steps


@pytest.mark.parametrize("content", ["mean", "grid:2"])
def test_the_architecture_has_the_model_s_names_and_the_shapes_that_leave_its_parts(model, content, monkeypatch):
    monkeypatch.setattr(model.config, "content", content)
    size, left, hooks = model.config.image_size, {}, []
    for name in ("vision_tower", "text_decoder", "content_projector"):
        part = getattr(model, name)
        hooks.append(part.register_forward_hook(lambda _, __, out, name=name: left.update({name: out})))
    with torch.no_grad():
        tokens = model.frame_tokens(model.encode_frames(torch.zeros(5, 3, size, size)), "What is it?")
        rows = model.project(tokens)
    for hook in hooks:
        hook.remove()
    shown = architecture(model, here=["text_decoder"])
    boxes = [text for text in shown.axes[0].texts if "\n" in text.get_text()]
    texts = dict(box.get_text().split("\n") for box in boxes)
    assert all(hasattr(model, name) for name in texts) and len(texts) == 5
    numbers = {name: [int(n) for n in re.findall(r"\d+", words)] for name, words in texts.items()}
    patches, queries = left["vision_tower"].last_hidden_state, left["text_decoder"]
    assert numbers["vision_tower"] == [patches.shape[1] - 1, patches.shape[2]]
    assert numbers["text_decoder"] == list(queries.shape[1:])
    assert numbers["context_attention"] == [rows.shape[1]]
    assert numbers["content_projector"] == [n for n in left["content_projector"].shape[1:] if n > 1]
    colours = {name: to_hex(box.get_bbox_patch().get_facecolor()) for name, box in zip(texts, boxes, strict=True)}
    assert [name for name in texts if colours[name].upper() == KINDS["context token"]] == ["text_decoder"]
