"""The audit's figure shows each model's own numbers, at each rate."""

import pandas as pd

import llamavid_kit as lvk


def test_a_line_a_model():
    other = pd.DataFrame({"model": "x", "fps": [6, 1], "pixels a frame": [100, 400], "tokens a frame": [33.0, 195.0]})
    figure = lvk.plots.rate_audit([lvk.audit("tiny").table(), other], title="60 s")
    pixels, tokens = figure.axes
    assert figure.get_suptitle() == "60 s" and [t.get_text() for t in figure.legends[0].get_texts()] == ["tiny", "x"]
    assert [line.get_xydata().tolist() for line in pixels.lines] == [[[1, 12544], [6, 12544]], [[1, 400], [6, 100]]]
    assert [line.get_xydata().tolist() for line in tokens.lines] == [[[1, 2], [6, 2]], [[1, 195], [6, 33]]]
    assert [tick.get_text() for tick in tokens.get_xticklabels()] == ["1", "6"]
