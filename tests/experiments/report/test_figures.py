"""A run's figures say what its tables say, and there is one for all that the run has data for."""

import pytest
from made_up_runs import REPORTED, RUNS

from llamavid_kit.experiments.report import figures, tables
from llamavid_kit.experiments.report.page import write_figures

pytestmark = pytest.mark.slow

ARMS = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]


@pytest.mark.parametrize("name", [name for name in RUNS if name not in REPORTED])
def test_every_figure_and_table_can_be_written(runs, name):
    paths = write_figures(runs[name])
    assert all(path.stat().st_size > 0 for path in paths)
    assert {path.stem for path in paths if path.suffix == ".png"} == set(figures.figures(runs[name]))


def test_figures_are_those_that_the_run_has_data_for(runs, open_run):
    normal = set(figures.figures(runs["normal"]))
    ways = ("generation", "likelihood")
    assert normal >= {f"{name}_{way}" for name in ("accuracy", "per_class", "confusion_binary") for way in ways}
    assert normal >= {"paired_fps", "paired_adapter", "paired_answering", "calibration", "training", "visibility"}
    assert not {"every_arm_generation", "paired_content", "score"} & normal
    assert normal >= {f"confusion_{arm.name}" for arm in runs["normal"].arms}
    assert not {"calibration", "accuracy_likelihood"} & set(figures.figures(runs["no_events"]))
    assert "training" not in figures.figures(runs["no_train"])
    assert {"score", "paired_fps", "paired_adapter"} <= set(figures.figures(open_run))
    assert figures.figure(open_run, "calibration") is None


def test_the_score_figure_says_what_the_table_says(open_run):
    ax = figures.figure(open_run, "score").axes[0]
    assert [float(c.lines[0].get_xdata()[0]) for c in ax.containers] == pytest.approx([1, 2.2, 3.6, 4.8])
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx(open_run.summary["arms"][1]["score_interval95"])
    words = [text.get_text() for text in ax.texts]
    assert "2.20, n = 5" in words and 'always "The frog is jumping.": 1.00' in words
    assert [label.get_text() for label in ax.get_yticklabels()] == ARMS


def test_titles_name_model_set_and_n(runs):
    run = runs["normal"]
    assert figures.where(run) == "tiny on toy, n = 330 clips"
    assert figures.where(run, "zero-shot, 1 fps") == "tiny on toy, zero-shot, 1 fps, n = 330 clips"
    title = figures.accuracy(run, "generation").axes[0].get_title(loc="left")
    assert title == "tiny on toy, n = 330 clips, rule exact"
    assert "likeliest choice" in figures.accuracy(run, "likelihood").axes[0].get_title(loc="left")
    points = figures.accuracy(run, "generation").axes[0].containers
    assert len(points) == len(tables.of_arms(run, "generation")) == 4
