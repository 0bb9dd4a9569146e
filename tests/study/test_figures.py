"""The study's figures hold what its tables hold."""

import pytest

from llamavid_kit.study import recount
from llamavid_kit.study.figures import figures, power
from llamavid_kit.study.results import SETTINGS


def test_figures_show_what_the_tables_hold(shipped):
    by_name = figures(shipped)
    assert {"table_2", "figure_4_confusion", "figure_5_confusion", "figures_4_5_binary", "figure_6_classes"} <= set(
        by_name
    )
    texts = {
        name: "\n".join(t.get_text() for t in fig.findobj(lambda x: hasattr(x, "get_text")))
        for name, fig in by_name.items()
    }
    assert "158/242 = 65.3%" in texts["table_2"] and "no log" in texts["table_2"] and "57.9%" in texts["table_2"]
    assert "n = 257" in texts["figure_4_confusion"] and "n = 242" in texts["figure_5_confusion"]
    assert "no label" in texts["figure_4_confusion"] and "no label" not in texts["figure_5_confusion"]
    assert "n = 140" in texts["figure_6_classes"] and "102/102" in texts["events_shown"]
    assert "only first right: 4, only second: 12" in texts["comparisons"]
    axes = by_name["figure_6_classes"].axes
    heights = [[bar.get_height() for bar in ax.patches] for ax in axes[:4]]
    fine = recount.per_class(shipped).query("key == 'finetuned_fps6'")
    assert heights[3] == pytest.approx(list(fine["correct"] / fine["n"])) and heights[1] == []
    diamonds = [next(line for line in ax.lines if line.get_marker() == "D").get_ydata() for ax in axes[:4]]
    assert [list(d * 100) for d in diamonds] == [pytest.approx(s.classes) for s in SETTINGS]
    curve = power(4 / 242, 12 / 242, marks={"80%": 510})
    assert "80%: n = 510, 80%" in "\n".join(t.get_text() for t in curve.axes[0].texts)
