"""The house's look stays in its own figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from llamavid_kit.viz import plots
from llamavid_kit.viz.look import house_axes, whiskers


def test_figures_leave_nothing_open_and_no_global_style_behind():
    before = dict(plt.rcParams)
    plots.training_curves({"a": [{"step": 1, "loss": 1.0}]})
    assert not plt.get_fignums() and dict(plt.rcParams) == before


def test_axes_of_a_subfigure_are_refused():
    (upper, _) = plt.figure().subfigures(2, 1)
    with pytest.raises(ValueError, match="ax lies in a subfigure"):
        house_axes(upper.subplots(), (1, 1))
    plt.close("all")


def test_whiskers_are_distances_of_one_value_or_many():
    assert whiskers(0.5, 0.25, 1.0) == pytest.approx(np.array([[0.25], [0.5]]))
    assert whiskers([0.0, 1.0], np.zeros(2), np.ones(2)) == pytest.approx(np.array([[0, 1], [1, 0]]))
    assert whiskers(0.5, 0.6, 0.4).tolist() == [[0], [0]]  # an interval that rounding puts beside its value
