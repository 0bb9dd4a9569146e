"""Figures say what their data say: values and labels are read back from the returned Figure."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from llamavid_kit.viz import plots


def texts(fig) -> str:
    """Every word in a figure."""
    return "\n".join(t.get_text() for t in fig.findobj(plt.Text))


ARMS = pd.DataFrame(
    [("zero-shot, 1 fps", 1.0, False, 50, 5, 0.04, 0.21), ("fine-tuned, 6 fps", 6.0, True, 50, 40, 0.67, 0.89)],
    columns=["arm", "fps", "fine_tuned", "n", "correct", "low", "high"],
)
PAIRED = pd.DataFrame(
    [("A", "B", 100, 4, 12, 0.08, 0.01, 0.16, 0.077, 0.154), ("A", "C", 100, 1, 40, 0.39, 0.3, 0.5, 1e-9, 2e-9)],
    columns=["a", "b", "n", "only_a", "only_b", "difference", "low", "high", "p", "p_holm"],
)


def test_visibility_curve_draws_the_shares_of_each_set_and_says_n():
    table = pd.DataFrame(
        [
            ("UCF-Crime", 1, 156, 156, 0.97, 1.0),
            ("UCF-Crime", 6, 156, 156, 0.97, 1.0),
            ("this set", 1, 10, 4, 0.2, 0.7),
            ("this set", 6, 10, 9, 0.6, 1.0),
        ],
        columns=["set", "fps", "n", "seen", "low", "high"],
    )
    fig = plots.visibility_curve(table)
    lines = [c.lines[0] for c in fig.axes[0].containers]
    assert [list(line.get_ydata()) for line in lines] == [[1.0, 1.0], [0.4, 0.9]]
    assert [list(line.get_xdata()) for line in lines] == [[1, 6], [1, 6]]
    assert "UCF-Crime (n = 156 events)" in texts(fig) and "40%" in texts(fig) and "(fps)" in texts(fig)


def test_accuracy_forest_has_points_intervals_counts_and_the_baseline():
    fig = plots.accuracy_forest(ARMS, baseline={"label": "Normal", "correct": 10, "n": 50}, title="tiny on toy")
    ax = fig.axes[0]
    assert [float(c.lines[0].get_xdata()[0]) for c in ax.containers] == [0.1, 0.8]
    assert not ax.containers[0].lines[0].get_clip_on()  # an arm at 0 is a whole point
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([0.67, 0.89])
    said = texts(fig)
    assert "5/50 = 10.0%" in said and "40/50 = 80.0%" in said and 'always "Normal": 20.0%' in said
    assert [t.get_text() for t in ax.get_yticklabels()] == list(ARMS["arm"]) and "tiny on toy" in said


def test_confusion_shows_counts_and_the_share_of_the_row_on_a_scale_from_0_to_1():
    fig = plots.confusion([[3, 1, 0], [0, 0, 2]], ["Fall", "Jump"], ["Fall", "Jump", "no label"], "tiny")
    mesh = fig.axes[0].collections[0]
    assert mesh.get_array().reshape(2, 3).tolist() == [[0.75, 0.25, 0], [0, 0, 1]] and mesh.get_clim() == (0, 1)
    said = texts(fig)
    assert all(x in said for x in ("3\n75%", "1\n25%", "2\n100%", "Fall (n = 4)", "no label", "tiny", "answered"))
    empty = plots.confusion([[0, 0], [1, 0]], ["a", "b"], ["a", "b"], "an empty class stays empty")
    assert empty.axes[0].collections[0].get_array().reshape(2, 2).tolist() == [[0, 0], [1, 0]]


def test_per_class_bars_leave_out_classes_without_clips_and_say_n():
    rows = [
        {"class": c, "arm": a.arm, "fps": a.fps, "fine_tuned": a.fine_tuned, "n": n, "correct": k, "low": 0, "high": 1}
        for a in ARMS.itertuples()
        for c, n, k in (("Arson", 4, 1), ("Empty", 0, 0), ("Abuse", 2, 2))
    ]
    fig = plots.per_class_bars(pd.DataFrame(rows))
    bars = [c for c in fig.axes[0].containers if hasattr(c, "patches")]
    assert [[p.get_height() for p in c.patches] for c in bars] == [[0.25, 1.0]] * 2
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["Arson  n=4", "Abuse  n=2"]


def test_training_curves_draw_every_logged_loss():
    logs = {"fps1-seed0": [{"step": s, "loss": 1 / s} for s in range(1, 31)]}
    fig = plots.training_curves(logs)
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx([1 / s for s in range(1, 31)])
    assert "fps1-seed0 (last" in texts(fig) and "nats a token" in texts(fig)


def test_paired_differences_fill_only_points_that_holm_decides():
    fig = plots.paired_differences(PAIRED)
    points = [c.lines[0] for c in fig.axes[0].containers]
    assert [float(p.get_xdata()[0]) for p in points] == pytest.approx([8, 39])
    assert points[0].get_markerfacecolor() == "white" != points[1].get_markerfacecolor()
    said = texts(fig)
    assert "only first right: 4, only second: 12\np = 0.077, Holm = 0.154" in said and "p < 0.001" in said


def test_arms_differ_in_colour_by_kind_and_by_rate():
    four = pd.DataFrame(
        [(f"{fine} {fps}", fps, fine) for fine in (False, True) for fps in (1, 6)], columns=["arm", "fps", "fine_tuned"]
    )
    assert len({tuple(colour) for colour in plots.arm_colours(four).values()}) == 4


def test_attention_overlay_puts_the_heat_where_the_attention_is():
    frames = np.zeros((5, 40, 60, 3), np.uint8)
    attention = np.full((5, 2, 16), 0.02)
    attention[:, :, 7] = 0.7  # row 1, column 3 of the 4 x 4 grid
    times = [0.0, 0.5, 1.0, 1.5, 2.0]
    fig = plots.attention_overlay(frames, attention, question="Where is the dog?", timestamps_s=times, n=3)
    heat = [ax.images[1] for ax in fig.axes if len(ax.images) == 2]
    assert len(heat) == 3 and len({image.get_clim() for image in heat}) == 1
    assert np.unravel_index(heat[0].get_array().argmax(), (4, 4)) == (1, 3)
    assert heat[0].get_array().mean() == pytest.approx(1)  # in multiples of even attention
    assert heat[0].get_extent() == [-0.5, 59.5, 39.5, -0.5]
    said = " ".join(texts(fig).split())  # titles are broken to the figure's width
    assert "Where is the dog?" in said and "1.00 s" in said and "mean over 2 queries" in said
    assert "one scale for all frames, 0 to 11.2" in said and "3 of 5 frames" in said and "reply" not in said
    assert heat[0].get_clim() == (0, pytest.approx(0.7 * 16))


def test_overlays_of_two_questions_share_a_scale_when_it_is_given():
    """On a scale of its own a faint map is as bright as a strong one; on a shared one it is not, and both say so."""
    frames, times = np.zeros((4, 40, 60, 3), np.uint8), [0.0, 0.5, 1.0, 1.5]
    strong, faint = (np.full((4, 1, 16), (1 - peak) / 15) for peak in (0.5, 0.1))
    strong[3, :, 5], faint[:, :, 5] = 0.5, 0.1  # the highest value is in a frame that n=2 leaves in
    top = plots.attention_top(faint, strong)
    assert top == pytest.approx(8) == plots.attention_top(strong, faint)
    shared, own = (
        [
            plots.attention_overlay(frames, a, question="?", timestamps_s=times, n=2, reply="a dog", **scale)
            for a in (strong, faint)
        ]
        for scale in ({"vmax": top}, {})
    )
    assert [limits(fig) for fig in shared] == [(0, pytest.approx(8))] * 2
    assert [limits(fig) for fig in own] == [(0, pytest.approx(8)), (0, pytest.approx(1.6))]
    assert "scale given: 0 to 8; here up to 8)" in texts(shared[0])
    assert "scale given: 0 to 8; here up to 1.6)" in texts(shared[1]) and "0 to 1.6)" in texts(own[1])
    assert "reply: “a dog”\n2 of 4 frames" in texts(shared[1])


def limits(fig) -> tuple[float, float]:
    (found,) = {ax.images[1].get_clim() for ax in fig.axes if len(ax.images) == 2}
    return found


def test_an_overlay_above_its_scale_says_how_far():
    given = {"question": "?", "timestamps_s": [0.0]}
    attention = np.eye(16)[None, [5]]
    fig = plots.attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=4.0, **given)
    assert limits(fig) == (0, 4) and "0 to 4; here up to 16)" in texts(fig) and "1 of 1 frames" in texts(fig)
    long = plots.attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, reply="a dog barks " * 9, **given)
    assert long.get_suptitle().count("barks") == 9 and max(map(len, long.get_suptitle().splitlines())) <= 40
    (bar,) = [image.colorbar for ax in fig.axes for image in ax.images if image.colorbar]
    assert bar.extend == "max"
    fits = plots.attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=16.0, **given)
    assert [image.colorbar.extend for ax in fits.axes for image in ax.images if image.colorbar] == ["neither"]
    for wrong in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"vmax={wrong}: expected a number above 0"):
            plots.attention_overlay(np.zeros((1, 8, 8, 3), np.uint8), attention, vmax=wrong, **given)


def test_attention_that_is_no_square_grid_or_no_match_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 1, 7\).*square"):
        plots.attention_grid(np.ones((2, 1, 7)))
    with pytest.raises(ValueError, match="3 frames, 2 maps"):
        plots.attention_overlay(np.zeros((3, 8, 8, 3), np.uint8), np.ones((2, 1, 4)), question="?", timestamps_s=[0, 1])


def test_figures_leave_nothing_open_and_no_global_style_behind():
    before = dict(plt.rcParams)
    plots.training_curves({"a": [{"step": 1, "loss": 1.0}]})
    assert not plt.get_fignums() and dict(plt.rcParams) == before


def test_names_under_narrow_panels_do_not_run_into_each_other():
    """Two panels side by side: each name ends, upwards and to the right, under its own column."""
    labels = ("Anomaly", "Normal Video")
    fig = plots.confusion_row({arm: ([[9, 1, 0], [2, 3, 5]], labels, (*labels, "no label")) for arm in ("a", "b")})
    fig.canvas.draw()
    for ax in fig.axes[:2]:
        names = ax.get_xticklabels()
        assert [name.get_text() for name in names] == ["Anomaly", "Normal Video", "no label"]
        assert all(name.get_rotation() > 0 and name.get_ha() == "right" for name in names)
