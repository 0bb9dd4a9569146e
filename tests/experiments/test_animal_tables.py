"""The open run's tables, figures, sentences and report follow its replies, and examples are drawn, not picked."""

import json
import re
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from made_up_open_runs import ARMS, REPLIES, TEST, TRUTHS, by_hand

from llamavid_kit.evaluation.judges.animal_judge import judge
from llamavid_kit.experiments.report import page as report
from llamavid_kit.experiments.report import tables_open as animal_tables
from llamavid_kit.experiments.report import text as findings
from llamavid_kit.experiments.report import text_open as animal_findings
from llamavid_kit.experiments.report.page import Run, write_figures, write_report
from llamavid_kit.viz import plots

SHOWN = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]


def write_run(folder, **kwargs) -> Run:
    by_hand(folder, **kwargs)
    return Run(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_run(tmp_path_factory.mktemp("open") / "run")


@pytest.fixture(scope="module")
def zero_shot(tmp_path_factory) -> Run:
    replies = {name: REPLIES[name] for name in ARMS[:2]}
    return write_run(tmp_path_factory.mktemp("open") / "zero", replies=replies, train=False)


def test_the_folder_is_read_back(run):
    assert run.open and run.labels == [] and run.animals == ("frog", "goby fish", "lion")
    assert run.check() == "4 arms answered the same 5 clips; counts agree with the replies."


def test_scores_that_the_replies_contradict_are_refused(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][1]["scores"] = [0, 1, 1, 1, 0, 2]
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=f"arm {ARMS[1]}: its replies have other scores"):
        Run(folder).check()


def test_table_4_has_an_arm_a_row_the_baseline_and_the_published_numbers(run):
    table = animal_tables.animal_table(run.summary)
    assert table["arm"].tolist() == [*SHOWN, 'always "The frog is jumping."']
    assert table["right"].tolist() == ["1/5", "2/5", "4/5", "5/5", "1/5"]
    assert [cell.split()[0] for cell in table["score, 0 to 5"]] == ["1.00", "2.20", "3.60", "4.80", "1.00"]
    assert table["study: accuracy"].tolist() == ["18.04%", "–", "34.06%", "–", "–"]
    assert table["study: score"].tolist() == ["1.32", "–", "2.65", "–", "–"]
    arm = run.summary["arms"][3]
    low, high = arm["f1_interval95"]
    assert table["F1"][3] == f"{100 * arm['f1']:.1f}% ({100 * low:.1f} to {100 * high:.1f}%)"
    assert table["accuracy"][0] == "20.0% (3.6 to 62.4%)"


def test_pairs_for_reading(run):
    table = animal_tables.paired_table(run)
    assert (table["first"][0], table["second"][0]) == (SHOWN[0], SHOWN[1])
    assert table["only second right"][0] == 1 and table["accuracy, points"][0].startswith("+20.0 (")
    assert table["score"][0].startswith("+1.20 (") and table["p of the score"][0] == "= 1.000"  # 8/32 after Holm


def test_errors_are_counted_over_all_replies(run):
    table = animal_tables.error_counts(run).set_index("arm")
    assert list(table.columns) == ["replies", *animal_tables.KINDS, "rule"]
    assert set(table.pop("rule")) == {run.summary["rule"]}
    assert table.loc[SHOWN[0]].tolist() == [5, 1, 2, 1, 1, 0, 1, 1]
    assert table.loc[SHOWN[3]].tolist() == [5, 4, 0, 0, 1, 0, 0, 0]
    for shown, key in zip(SHOWN, ARMS, strict=True):
        perfect = sum(judge(r, t, run.animals).score == 5 for r, t in zip(REPLIES[key], TRUTHS, strict=True))
        assert table.loc[shown, "perfect"] == perfect


def test_table_5_shows_replies_with_their_errors_in_words(run):
    table = animal_tables.example_errors(run.folder, fps=1).set_index("clip")
    assert list(table.index) == TEST  # t0 to t3 zero-shot, t4 fine-tuned
    assert list(table.columns) == [
        "truth",
        "zero-shot",
        "zero-shot: score",
        "zero-shot: errors",
        "fine-tuned",
        "fine-tuned: score",
        "fine-tuned: errors",
        "rule",
    ]
    for k, clip in enumerate(TEST):
        assert table.loc[clip, "truth"] == TRUTHS[k] and table.loc[clip, "zero-shot"] == REPLIES[ARMS[0]][k]
        assert table.loc[clip, "fine-tuned"] == REPLIES[ARMS[2]][k]
    assert table["zero-shot: errors"].tolist() == [
        "missed action (lion: walking, lion: eating); invented action (lion: sleeping)",
        "empty reply",
        'nothing parsed ("lovely day")',
        "missed action (frog: keeping still); wrong animal (bird: flying)",
        "none",
    ]
    assert table["fine-tuned: errors"].tolist()[2:] == [
        "missed action (goby fish: swimming)",
        "none",
        "missed action (lion: walking); wrong animal (frog: keeping still)",
    ]
    assert table["fine-tuned: score"].tolist() == [5, 5, 3, 5, 0]


def test_examples_are_drawn_by_the_stated_rule(run):
    wrong = [0, 1, 2, 3]  # at 4 fps; on the last clip both are perfect
    for seed in range(4):
        table = animal_tables.example_errors(run, 2, seed=seed)
        drawn = np.random.default_rng(seed).choice(4, 2, replace=False)
        assert table["clip"].tolist() == [TEST[wrong[k]] for k in sorted(drawn)]
        assert table.attrs["chosen"] == (
            "2 of the 4 clips (of 5) on which not every reply at 4 fps is perfect, drawn by numpy's "
            f"default_rng({seed}) from the clip list: nobody picked them."
        )
    assert animal_tables.example_errors(run, 99)["clip"].tolist() == TEST[:4]
    with pytest.raises(ValueError, match="fps=6: the run has 1, 4 fps"):
        animal_tables.example_errors(run, fps=6)


def test_examples_of_a_run_without_training_or_without_errors(zero_shot, tmp_path):
    assert "fine-tuned" not in animal_tables.example_errors(zero_shot)
    perfect = write_run(tmp_path / "run", replies=dict.fromkeys(ARMS, TRUTHS))
    table = animal_tables.example_errors(perfect)
    assert table.empty and table.attrs["chosen"].startswith("0 of the 0 clips (of 5)")


def test_the_score_figure_says_what_the_table_says(run):
    scores = animal_tables.scores(run)
    fig = plots.score_forest(scores, baseline=run.summary["baseline"], title="small")
    ax = fig.axes[0]
    assert [float(c.lines[0].get_xdata()[0]) for c in ax.containers] == pytest.approx([1, 2.2, 3.6, 4.8])
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx(run.summary["arms"][1]["score_interval95"])
    said = [text.get_text() for text in ax.texts]
    assert "2.20, n = 5" in said and 'always "The frog is jumping.": 1.00' in said
    assert [label.get_text() for label in ax.get_yticklabels()] == SHOWN


def test_sentences_know_the_run(run, zero_shot):
    said = animal_findings.clips(run)
    assert "**5 test clips** whose true answers hold 7 claims about 3 animals" in said and "too few" in said
    assert "could not read 0 of them" in said and "(2 of them)" in said and "1 of 5 clips (20.0%)" in said
    assert "these very clips** (3 answers)" in animal_findings.clips(zero_shot)
    assert "In 2 of 20 replies" in animal_findings.accuracy(run)
    assert "Above it by the 95% interval of accuracy: fine-tuned, 1 fps; fine-tuned, 4 fps" in animal_findings.accuracy(
        run
    )
    assert "No log supports" in animal_findings.published(run)
    said = animal_findings.pairs(run)
    assert said.startswith("**fine-tuned, 1 fps** and **fine-tuned, 4 fps** are **not told apart** on 5 clips")
    assert "By mean score they are not told apart: the second is +1.20" in said and "Of 8 tests (4 comparisons" in said
    assert "a zero-shot model has not" in animal_findings.limits(run).replace("\n", " ")
    assert "zero-shot" not in animal_findings.limits(zero_shot)
    assert 'begins with "lion: walking"' in animal_findings.rule(run) and "score 4" in animal_findings.rule(run)


def test_arms_without_spread_are_named(tmp_path):
    replies = REPLIES | {ARMS[0]: ("",) * 5}
    said = animal_findings.accuracy(write_run(tmp_path / "run", replies=replies))
    assert "**All clips score alike in: zero-shot, 1 fps.**" in said


@pytest.mark.parametrize("name", ["run", "zero_shot"])
def test_the_report_is_one_page_that_fetches_nothing(name, request):
    run = request.getfixturevalue(name)
    page = write_report(run.folder).read_text()
    assert page.startswith("<!doctype html>") and not re.search(r"<(script|link)\b|@import|(src|href)=\"?https?:", page)
    assert "from llamavid_kit import" not in page and str(run.folder) not in page and "FileNotFound" not in page
    assert page.index("How good the arms are") < page.index("Do two arms differ") < page.index("What goes wrong")
    for words in (
        "18.04%",
        "No log supports these numbers",
        "nobody picked them",
        'always "The ',
        "What sampling can show",
    ):
        assert words in page, words
    assert ("missed action (goby fish: swimming)" in page) and ("lion: walking" in page)
    assert {p.name for p in (run.folder / "figures").iterdir()} >= {"accuracy.png", "score.png", "paired.png"}
    table = pd.read_csv(run.folder / "tables" / "animal_table.csv")
    assert table["arm"].tolist()[:2] == SHOWN[:2]
    for say in (findings.asked, findings.seeds, findings.training, findings.seconds):
        assert say(run).strip() and "nan" not in say(run)


def test_without_marked_events_no_curve_is_shown(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text()) | {"visibility": []}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert report.absent_tags(Run(folder)) == {"events", "training"}
    assert not any(path.stem == "visibility" for path in write_figures(Run(folder)))


def test_the_notebook_is_small_and_its_cells_fit_a_slide():
    path = report.notebook_path(report.OPEN_NOTEBOOK)
    cells = nbformat.read(path, as_version=4).cells
    assert path.stat().st_size < 500_000
    assert all(len(c.source.splitlines()) <= 25 for c in cells if c.cell_type == "code")
    assert [c.source for c in cells if "parameters" in c.metadata.get("tags", ())] == ['RUN = "runs/animals"']
