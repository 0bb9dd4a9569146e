"""Attention over frames: the heat lies where the attention is, on a scale that the figure names."""

import numpy as np
import pytest
from driving import words

from llamavid_kit.viz.overlay import attention_grid, attention_overlay, attention_top


def test_attention_overlay_puts_the_heat_where_the_attention_is():
    frames = np.zeros((5, 40, 60, 3), np.uint8)
    attention = np.full((5, 2, 16), 0.02)
    attention[:, :, 7] = 0.7  # row 1, column 3 of the 4 x 4 grid
    times = [0.0, 0.5, 1.0, 1.5, 2.0]
    fig = attention_overlay(frames, attention, question="Where is the dog?", timestamps_s=times, n=3)
    heat = [ax.images[1] for ax in fig.axes if len(ax.images) == 2]
    assert len(heat) == 3 and len({image.get_clim() for image in heat}) == 1
    assert np.unravel_index(heat[0].get_array().argmax(), (4, 4)) == (1, 3)
    assert heat[0].get_array().mean() == pytest.approx(1)  # in multiples of even attention
    assert heat[0].get_extent() == [-0.5, 59.5, 39.5, -0.5]
    text = " ".join(words(fig).split())  # titles are broken to the figure's width
    assert "Where is the dog?" in text and "1.00 s" in text and "mean over 2 queries" in text
    assert "one scale for all frames, 0 to 11.2" in text and "3 of 5 frames" in text and "reply" not in text
    assert heat[0].get_clim() == (0, pytest.approx(0.7 * 16))


def test_overlays_of_two_questions_share_a_scale_when_it_is_given():
    """On a scale of its own a faint map is as bright as a strong one; on a shared one it is not, and both say so."""
    frames, times = np.zeros((4, 40, 60, 3), np.uint8), [0.0, 0.5, 1.0, 1.5]
    strong, faint = (np.full((4, 1, 16), (1 - peak) / 15) for peak in (0.5, 0.1))
    strong[3, :, 5], faint[:, :, 5] = 0.5, 0.1  # the highest value is in a frame that n=2 leaves in
    top = attention_top(faint, strong)
    assert top == pytest.approx(8) == attention_top(strong, faint)
    shared, own = (
        [
            attention_overlay(frames, a, question="?", timestamps_s=times, n=2, reply="a dog", **scale)
            for a in (strong, faint)
        ]
        for scale in ({"vmax": top}, {})
    )
    assert [limits(fig) for fig in shared] == [(0, pytest.approx(8))] * 2
    assert [limits(fig) for fig in own] == [(0, pytest.approx(8)), (0, pytest.approx(1.6))]
    assert "scale given: 0 to 8; here up to 8)" in words(shared[0])
    assert "scale given: 0 to 8; here up to 1.6)" in words(shared[1]) and "0 to 1.6)" in words(own[1])
    assert "reply: “a dog”\n2 of 4 frames" in words(shared[1])


def limits(fig) -> tuple[float, float]:
    (ends,) = {ax.images[1].get_clim() for ax in fig.axes if len(ax.images) == 2}
    return ends


def test_an_overlay_above_its_scale_says_how_far():
    frame = {"question": "?", "timestamps_s": [0.0]}
    attention = np.eye(16)[None, [5]]
    fig = attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=4.0, **frame)
    assert limits(fig) == (0, 4) and "0 to 4; here up to 16)" in words(fig) and "1 of 1 frames" in words(fig)
    long = attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, reply="a dog barks " * 9, **frame)
    assert long.get_suptitle().count("barks") == 9 and max(map(len, long.get_suptitle().splitlines())) <= 40
    (bar,) = [image.colorbar for ax in fig.axes for image in ax.images if image.colorbar]
    assert bar.extend == "max"
    fits = attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=16.0, **frame)
    assert [image.colorbar.extend for ax in fits.axes for image in ax.images if image.colorbar] == ["neither"]
    for wrong in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"vmax={wrong}: expected a number above 0"):
            attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=wrong, **frame)


def test_attention_that_is_no_square_grid_or_no_match_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 1, 7\).*square"):
        attention_grid(np.ones((2, 1, 7)))
    with pytest.raises(ValueError, match="3 frames, 2 maps"):
        attention_overlay(np.zeros((3, 8, 8, 3), np.uint8), np.ones((2, 1, 4)), question="?", timestamps_s=[0, 1])


def test_maps_that_are_no_square_and_queries_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="7 patches a frame: expected a square"):
        attention_grid(np.ones((1, 1, 7)))
    with pytest.raises(ValueError, match="query 3: this model has queries 0 to 1"):
        attention_grid(np.ones((1, 2, 4)), 3)
