"""What a map says: how concentrated it is, and where its peak lies."""

import numpy as np
import pytest

from llamavid_kit.viz.attention_maps import concentration, timeline
from llamavid_kit.viz.overlay import attention_grid


def test_concentration_is_0_for_even_attention_and_1_for_one_patch():
    even, one = np.full((1, 2, 16), 1 / 16), np.eye(16)[None, [5, 5]]
    assert concentration(even) == pytest.approx([0])
    assert concentration(one) == pytest.approx([1])
    two = (np.eye(16)[5] + np.eye(16)[6])[None, None] / 2
    assert concentration(two) == pytest.approx([1 - np.log(2) / np.log(16)])
    apart = np.eye(16)[None, [5, 6]]  # each query on its own patch: the mean is as of `two`, each query is at 1
    assert concentration(apart) == pytest.approx([0.75])
    assert concentration(apart, 1) == pytest.approx([1])


def test_the_peak_is_where_the_highest_patch_is():
    attention = np.full((2, 1, 16), 0.02)
    attention[0, 0, 7] = attention[1, 0, 12] = 0.7  # row 1, column 3; row 3, column 0
    table = timeline(attention, np.array([0.0, 0.5]))
    assert table["peak_x"].tolist() == [0.875, 0.125] and table["peak_y"].tolist() == [0.375, 0.875]
    assert table["peak"].tolist() == pytest.approx([0.7 * 16] * 2) and table["time_s"].tolist() == [0.0, 0.5]
    assert attention_grid(attention)[1, 3, 0] == pytest.approx(0.7 * 16)
