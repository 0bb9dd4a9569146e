"""A report follows its run: tables and sentences change with the numbers, and the page fetches nothing."""

import json
import re

import nbformat
import pytest
from made_up_runs import USUAL, MadeUp, write_run

from llamavid_kit.experiments.report import page as report
from llamavid_kit.experiments.report import tables as report_tables
from llamavid_kit.experiments.report import text as findings
from llamavid_kit.experiments.report.page import Run, write_figures, write_report

RUNS = {
    "normal": MadeUp(USUAL),
    "no_train": MadeUp({(False, 1): 0.1, (False, 6): 0.12}, n_test=44),
    "no_events": MadeUp(USUAL, events=False, groups=False, n_test=22, answering=("generation",)),
    "own_labels": MadeUp(USUAL, labels=("Fall", "Jump", "Nothing"), n_test=30, groups=False, answering=("generation",)),
    "seeds": MadeUp(USUAL, seeds=(0, 1), n_test=110, answering=("generation",)),
    "one_rate": MadeUp({(False, 1): 0.5, (True, 1): 0.6}, n_test=5),
    "likelihood_only": MadeUp(USUAL, answering=("likelihood",), n_test=33),
}
REPORTED = ("normal", "no_train", "own_labels")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: Run(write_run(folder / name, made)) for name, made in RUNS.items()}


def test_a_run_reads_back_what_was_written(runs):
    run = runs["normal"]
    assert (len(run.test), len(run.clips), len(run.arms)) == (330, 350, 8 * 330)
    assert run.fps == [1, 6] and run.seeds == [0] and run.answering == ["generation", "likelihood"]
    assert list(run.training) == ["fps1-seed0", "fps6-seed0"] and len(run.training["fps1-seed0"]) == 100
    assert run.check() == "8 arms answered the same 330 clips; counts agree with the replies."
    assert runs["seeds"].shown(runs["seeds"].summary["arms"][-1]) == "fine-tuned, 6 fps, seed 1"


def test_a_summary_that_the_replies_contradict_is_refused(tmp_path):
    folder = write_run(tmp_path, RUNS["one_rate"])
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][0]["correct"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=r"zero-shot-1fps-generation: summary.json says \d of 5, its replies say"):
        Run(folder).check()


def test_a_folder_that_is_no_run_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config.json is not there.*finished ablation"):
        Run(tmp_path)


@pytest.mark.parametrize("name", RUNS)
def test_every_sentence_table_and_figure_can_be_made(runs, name):
    run = runs[name]
    if name not in REPORTED:  # the others' figures are drawn for their reports
        assert all(path.stat().st_size > 0 for path in write_figures(run))
    for say in (
        findings.asked,
        findings.clips,
        findings.visibility,
        findings.seeds,
        findings.classes,
        findings.training,
        findings.seconds,
        findings.limits,
    ):
        assert say(run).strip() and "nan" not in say(run)
    for mode in run.answering:
        assert findings.accuracy(run, mode) and findings.pairs(run, mode)


def test_the_verdict_names_the_better_arm_and_flips_with_the_arms(runs, tmp_path):
    said = findings.pairs(runs["normal"], "generation")
    assert said.startswith("**fine-tuned, 6 fps** answered more of the same 330 clips right than **fine-tuned, 1 fps**")
    swapped = MadeUp({**USUAL, (True, 1): USUAL[True, 6], (True, 6): USUAL[True, 1]})
    said = findings.pairs(Run(write_run(tmp_path / "swapped", swapped)), "generation")
    assert said.startswith("**fine-tuned, 1 fps** answered more of the same 330 clips right than **fine-tuned, 6 fps**")
    equal = MadeUp({**USUAL, (True, 1): 0.6, (True, 6): 0.6})
    said = findings.pairs(Run(write_run(tmp_path / "equal", equal)), "generation")
    assert "are **not told apart** on 330 clips" in said and "leaves open anything from -" in said


def test_the_verdicts_numbers_are_those_of_the_replies(runs):
    run = runs["normal"]
    row = findings.main_pair(run, "generation")
    a, b = (run.arms[run.arms["key"] == k].set_index("clip")["correct"] for k in (row["key_a"], row["key_b"]))
    only_b = int((b & ~a).sum())
    assert f"{only_b} clips only it got right, {int((a & ~b).sum())} only the other" in findings.verdict(row)
    listed = report_tables.discordant(run, row["key_a"], row["key_b"])
    assert len(listed) == row["only_a"] + row["only_b"] and (listed["right in"] == "second").sum() == only_b


def test_sentences_know_what_a_run_lacks(runs):
    assert "Nobody has marked" in findings.visibility(runs["no_events"])
    assert "must not be taken for UCF-Crime's" in findings.visibility(runs["normal"])
    assert "Nothing was fine-tuned" in findings.seeds(runs["no_train"])
    assert "trained once (seed 0)" in findings.seeds(runs["normal"])
    assert "repeated with 2 seeds" in findings.seeds(runs["seeds"])
    assert "says nothing about frame rates" in findings.pairs(runs["one_rate"], "generation")
    assert "**5 clips are too few" in findings.clips(runs["one_rate"])
    assert "too few" not in findings.clips(runs["normal"])
    assert findings.published(runs["own_labels"]) == "" and "match no log" in findings.published(runs["normal"])


def test_published_numbers_stand_beside_the_studys_labels_only(runs):
    table = report_tables.accuracy_table(runs["normal"], "generation")
    assert list(table["study: published"]) == ["57.5%", "57.9%", "62.0%", "65.3%"]
    assert list(table["study: its logs give"])[2:] == ["150/242 = 62.0%", "158/242 = 65.3%"]
    assert "study: published" not in report_tables.accuracy_table(runs["own_labels"], "generation")


def test_accuracy_by_what_the_frames_held_adds_up(runs):
    run = runs["normal"]
    for row, arm in zip(report_tables.by_receipt(run).itertuples(index=False), run.summary["arms"], strict=False):
        counted = [re.match(r"(\d+)/(\d+)", cell) for cell in row[2:]]
        assert sum(int(c[2]) for c in counted) == 330
        assert row[0] != run.shown(arm) or sum(int(c[1]) for c in counted) == arm["correct"]


def test_the_binary_matrix_counts_every_clip_and_keeps_no_label_apart(runs):
    matrix, labels, columns = report_tables.binary(runs["normal"], "zero-shot-1fps-generation")
    assert labels == ("Anomaly", "Normal Video") and columns[-1] == "no label"
    assert [sum(row) for row in matrix] == [300, 30]
    assert report_tables.normal_label(runs["own_labels"]) == "Nothing"


@pytest.mark.parametrize("name", REPORTED)
def test_the_report_is_one_page_that_fetches_nothing(runs, name):
    run = runs[name]
    page = write_report(run.folder).read_text()
    assert page.startswith("<!doctype html>") and f"<title>FPS ablation: {name}</title>" in page
    assert not re.search(r"<(script|link|iframe)\b|@import|url\(|(src|href)=\"?(https?:)?//", page)
    assert re.findall(r'src="(?!data:image/png;base64,)', page) == []
    assert "No description has been provided" not in page and 'alt="Figure: ' in page
    assert "from llamavid_kit import" not in page and str(run.folder) not in page  # no code, no machine path
    assert page.index("What sampling can show at all") < page.index("How many clips each arm got right")
    assert ("Table 3" in page) == (name != "own_labels")
    assert page.index("Does the answer depend on how it was asked?") < page.index("Fine-tuning</h2>")
    assert "place and label are the same thing here" in page and "in another order</h3>" not in page
    assert ("likelihoods were <strong>not recorded</strong>" in page) == (name != "own_labels")
    assert ("choosing among the labels" in page) == (name != "own_labels")
    assert "<b>dog</b>" not in page  # replies are shown as text


def test_a_failing_cell_is_named(runs, monkeypatch, tmp_path):
    notebook = nbformat.read(report.notebook_path(), as_version=4)
    notebook.cells = [*notebook.cells[:3], nbformat.v4.new_code_cell("broken = 1 / 0")]
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    monkeypatch.setattr(report, "notebook_path", lambda _: tmp_path / "broken.ipynb")
    with pytest.raises(RuntimeError, match=r"'broken = 1 / 0'\): ZeroDivisionError"):
        write_report(runs["one_rate"].folder)


def test_the_notebook_is_small_and_its_cells_fit_a_slide():
    path = report.notebook_path()
    cells = nbformat.read(path, as_version=4).cells
    assert path.stat().st_size < 500_000
    assert all(len(c.source.splitlines()) <= 25 for c in cells if c.cell_type == "code")
    assert [c.source for c in cells if "parameters" in c.metadata.get("tags", ())] == ['RUN = "runs/demo"']
