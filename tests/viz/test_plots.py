"""Figures say what their data say: values and labels are read back from the returned Figure."""

import warnings

import pandas as pd
import pytest
from driving import words

from llamavid_kit.viz import look, plots

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
    assert "UCF-Crime (n = 156 events)" in words(fig) and "40%" in words(fig) and "(fps)" in words(fig)


def test_accuracy_forest_has_points_intervals_counts_and_the_baseline():
    fig = plots.accuracy_forest(ARMS, baseline={"label": "Normal", "correct": 10, "n": 50}, title="tiny on toy")
    ax = fig.axes[0]
    assert [float(c.lines[0].get_xdata()[0]) for c in ax.containers] == [0.1, 0.8]
    assert not ax.containers[0].lines[0].get_clip_on()  # an arm at 0 is a whole point
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([0.67, 0.89])
    text = words(fig)
    assert "5/50 = 10.0%" in text and "40/50 = 80.0%" in text and 'always "Normal": 20.0%' in text
    assert [t.get_text() for t in ax.get_yticklabels()] == list(ARMS["arm"]) and "tiny on toy" in text


def test_confusion_shows_counts_and_the_share_of_the_row_on_a_scale_from_0_to_1():
    fig = plots.confusion([[3, 1, 0], [0, 0, 2]], ["Fall", "Jump"], ["Fall", "Jump", "no label"], "tiny")
    mesh = fig.axes[0].collections[0]
    assert mesh.get_array().reshape(2, 3).tolist() == [[0.75, 0.25, 0], [0, 0, 1]] and mesh.get_clim() == (0, 1)
    text = words(fig)
    assert all(x in text for x in ("3\n75%", "1\n25%", "2\n100%", "Fall (n = 4)", "no label", "tiny", "answered"))
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
    assert "fps1-seed0 (last" in words(fig) and "nats a token" in words(fig)


def test_paired_differences_fill_only_points_that_holm_decides():
    fig = plots.paired_differences(PAIRED)
    points = [c.lines[0] for c in fig.axes[0].containers]
    assert [float(p.get_xdata()[0]) for p in points] == pytest.approx([8, 39])
    assert points[0].get_markerfacecolor() == "white" != points[1].get_markerfacecolor()
    text = words(fig)
    assert "only first right: 4, only second: 12\np = 0.077, Holm = 0.154" in text and "p < 0.001" in text


def test_arms_differ_in_colour_by_kind_and_by_rate():
    four = pd.DataFrame(
        [(f"{fine} {fps}", fps, fine) for fine in (False, True) for fps in (1, 6)], columns=["arm", "fps", "fine_tuned"]
    )
    assert len({tuple(colour) for colour in plots.arm_colours(four).values()}) == 4


def test_arms_that_differ_in_another_factor_do_not_share_a_colour():
    """A factor that is neither rate nor fine-tuning: other shades of the same hue, and faster stays darker."""
    names = [("plain 1", 1), ("study 1", 1), ("plain 6", 6), ("study 6", 6)]
    table = pd.DataFrame([(arm, fps, False) for arm, fps in names * 2], columns=["arm", "fps", "fine_tuned"])
    colours = plots.arm_colours(table)
    reds = [colours[arm][0] for arm, _ in names]  # of a blue: the less, the darker
    assert list(colours) == [arm for arm, _ in names] and reds == sorted(set(reds), reverse=True)


LONG = "/models/of/somebody/with/long/names/llama-vid-7b-full-224-video-fps-1"


def test_long_names_lose_their_middle_and_leave_room_for_the_axes():
    """Two that differ in their end alone are told apart, and matplotlib warns where axes would have no width."""
    name = f"{LONG}, zero-shot, 6 fps"
    assert look.short(name) == "/models/of/somebo…-224-video-fps-1, zero-shot, 6 fps"
    assert look.short("tiny") == "tiny"
    arms = ARMS.assign(arm=[f"{LONG}{LONG}, {rate} fps" for rate in (1, 6)])
    panels = {arm: ([[9, 1], [2, 3]], ("fire", "nothing"), ("fire", "nothing")) for arm in arms["arm"]}
    title = f"{LONG} on {LONG}, n = 50 clips"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest = plots.accuracy_forest(arms, title=title)
        plots.confusion_row(panels, title=title)
        plots.confusion(*panels[arms["arm"][0]], title)
    labels = [label.get_text() for label in forest.axes[0].get_yticklabels()]
    assert labels[0] != labels[1] and all(len(label) == 52 for label in labels)
    assert "\n" in forest.axes[0].get_title(loc="left")


def test_names_under_narrow_panels_do_not_run_into_each_other():
    """Two panels side by side: each name ends, upwards and to the right, under its own column."""
    labels = ("Anomaly", "Normal Video")
    fig = plots.confusion_row({arm: ([[9, 1, 0], [2, 3, 5]], labels, (*labels, "no label")) for arm in ("a", "b")})
    fig.canvas.draw()
    for ax in fig.axes[:2]:
        names = ax.get_xticklabels()
        assert [name.get_text() for name in names] == ["Anomaly", "Normal Video", "no label"]
        assert all(name.get_rotation() > 0 and name.get_ha() == "right" for name in names)
