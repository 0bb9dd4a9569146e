"""The report is one page that begins with its answer, has a section a factor, and fetches nothing."""

import json
import re
import shutil

import nbformat
import pandas as pd
import pytest
from made_up_runs import REPORTED, RUNS

from llamavid_kit.experiments.report import answer, page
from llamavid_kit.experiments.report.page import family_section, write_figures, write_report
from llamavid_kit.experiments.run import Run

pytestmark = pytest.mark.slow

ARMS = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]


@pytest.fixture(scope="module")
def pages(runs):
    """Name → the report's HTML, made when it is first asked for."""

    class Pages(dict):
        def __missing__(self, name):
            self[name] = write_report(runs[name].folder).read_text()
            return self[name]

    return Pages()


@pytest.mark.parametrize("name", REPORTED)
def test_the_report_is_one_page_that_fetches_nothing(runs, pages, name):
    text = pages[name]
    assert text.startswith("<!doctype html>") and f"<title>Ablation: {name}</title>" in text
    assert not re.search(r"<(script|link|iframe)\b|@import|url\(|(src|href)=\"?(https?:)?//", text)
    assert re.findall(r'src="(?!data:image/png;base64,)', text) == []
    assert "No description has been provided" not in text and 'alt="Figure: ' in text
    assert "from llamavid_kit import" not in text and "import Markdown" not in text  # no code
    assert str(runs[name].folder) not in text  # no machine path
    assert text.index("What sampling can show at all") < text.index("How many clips each arm got right")
    assert ("Table 3" in text) == (name != "own_labels")
    assert text.index("Does the answer depend on how it was asked?") < text.index("Fine-tuning</h2>")
    assert "place and label cannot be told apart here" in text and "in another order</h3>" not in text
    assert ("match no log" in " ".join(text.split())) == (name != "own_labels")
    assert ("one model, trained once" in text) == (name != "no_train") == ("Nothing was fine-tuned: one" not in text)
    assert ("choosing among the labels" in text) == (name != "own_labels")
    assert ("Is it as sure as it is right?" in text) == (name != "own_labels")
    assert "<b>dog</b>" not in text  # replies are shown as text


@pytest.mark.parametrize("name", REPORTED)
def test_the_page_begins_with_its_answer(runs, pages, name):
    """Title, two sentences, three clips, where it comes from, a figure; then section 1."""
    head = pages[name][: pages[name].index("1. What was asked")]
    places = ["<h1", "Of the same", 'class="clip"', "Nobody picked", "Last reply", "<img"]
    assert sorted(places, key=head.index) == places and head.count("<img") == 1 and head.count('class="clip"') == 3
    plain = re.sub(r"<[^>]+>", "", head).replace("&lt;", "<").replace("&gt;", ">")
    sentences = answer.answer(runs[name]).replace("**", "")
    assert sentences in plain and sentences.count("Always answering") == 1
    assert len(re.findall(r"[.]\W+(?=[A-Z])|[.]$", sentences)) == 2


def test_every_factor_that_varies_has_a_section_of_its_own(runs, pages):
    sections = pages["normal"][pages["normal"].index("5. Do two arms differ") : pages["normal"].index("6. Class by")]
    titles = ["Does the frame rate matter?", "Does fine-tuning help?", "Written replies against likelihoods"]
    places = [sections.index(f">{title}</h3>") for title in titles]
    assert places == sorted(places)
    assert "Do more tokens a frame help?" not in pages["normal"]
    assert "Does fine-tuning help?" not in pages["no_train"]


def test_a_section_holds_sentences_a_figure_a_table_and_the_single_clips(runs):
    run = runs["seeds"]
    heading, figure, table, *clips = family_section(run, "seed")
    title, sentence = heading.data.split("\n\n")[:2]
    assert title == "### How much the training seed alone decides"
    assert "**fine-tuned, seed 0, 1 fps**" in sentence and "**fine-tuned, seed 1, 1 fps**" in sentence
    assert len(figure.axes) == 1 and table.data.count("<tr") == 1 + 2
    assert len(clips) == 2 and all("right in only one: fine-tuned, " in one.data for one in clips)
    assert "seed 0 (first) against fine-tuned, 1 fps, seed 1 (second)" not in clips[0].data.replace("1 fps, ", "")


@pytest.mark.parametrize("name", ["open_run", "open_zero_shot"])
def test_the_open_report_is_one_page_that_fetches_nothing(name, request):
    run = request.getfixturevalue(name)
    text = write_report(run.folder).read_text()
    assert text.startswith("<!doctype html>") and not re.search(r"<(script|link)\b|@import|(src|href)=\"?https?:", text)
    assert "import Markdown" not in text and str(run.folder) not in text and "FileNotFound" not in text
    assert text.index("How good the arms are") < text.index("Do two arms differ") < text.index("What goes wrong")
    assert text.index("Of the same 5 clips") < text.index("<img") < text.index("1. What was asked")
    for words in (
        "18.04%",
        "No log supports these numbers",
        "nobody picked them",
        "always &quot;The " if "always &quot;The " in text else 'always "The ',
        "What sampling can show",
    ):
        assert words in " ".join(text.split()), words
    assert ("missed action (goby fish: swimming)" in text) and ("lion: walking" in text)
    figures = {path.name for path in (run.folder / "figures").iterdir()}
    assert figures >= {"accuracy_generation.png", "score.png", "paired_fps.png"}
    table = pd.read_csv(run.folder / "tables" / "arms_generation.csv")
    assert table["arm"].tolist()[:2] == ARMS[:2]


def test_without_marked_events_no_curve_is_shown(open_run, tmp_path):
    folder = shutil.copytree(open_run.folder, tmp_path / "run")
    for name, key in (("summary", "visibility"), ("clips", "test")):
        record = json.loads((folder / f"{name}.json").read_text())
        record[key] = [] if name == "summary" else [row | {"events": []} for row in record[key]]
        (folder / f"{name}.json").write_text(json.dumps(record))
    tags = page.absent_tags(Run(folder))
    assert {"events", "training"} <= tags and not {"animals", "generation", "study"} & tags
    assert not any(path.stem == "visibility" for path in write_figures(Run(folder)))


def test_a_failing_cell_is_named(runs, monkeypatch, tmp_path):
    notebook = nbformat.read(page.notebook_path(), as_version=4)
    notebook.cells = [*notebook.cells[:3], nbformat.v4.new_code_cell("broken = 1 / 0")]
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    monkeypatch.setattr(page, "notebook_path", lambda _: tmp_path / "broken.ipynb")
    with pytest.raises(RuntimeError, match=r"'broken = 1 / 0'\): ZeroDivisionError"):
        write_report(runs["one_rate"].folder)


def test_a_run_whose_counts_disagree_gets_no_report(runs, tmp_path):
    folder = shutil.copytree(runs["one_rate"].folder, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][0]["correct"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match="summary.json says"):
        write_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("notebook", "parameter"), [(page.NOTEBOOK, "runs/demo"), (page.OPEN_NOTEBOOK, "runs/animals")]
)
def test_the_notebook_is_small_and_its_cells_fit_a_slide(notebook, parameter):
    path = page.notebook_path(notebook)
    cells = nbformat.read(path, as_version=4).cells
    assert path.stat().st_size < 500_000
    assert all(len(c.source.splitlines()) <= 25 for c in cells if c.cell_type == "code")
    (given,) = [c.source.splitlines() for c in cells if "parameters" in c.metadata.get("tags", ())]
    assert given[0] == f'RUN = "{parameter}"' and [line.split(" = ")[0] for line in given[1:]] == ["ROOT", "COMMAND"]


def test_the_made_up_runs_differ_in_what_they_lack(runs):
    absent = {name: page.absent_tags(run) for name, run in runs.items()}
    assert set(absent) == set(RUNS)
    closed = {"animals", "judged", "order", "prompts"}
    assert absent["normal"] == closed | {"no-training", "several-seeds"}
    assert absent["no_train"] == closed | {"training", "one-seed", "several-seeds"}
    assert {"no-training", "one-seed"} <= absent["seeds"] and "several-seeds" not in absent["seeds"]
    assert {"events", "groups", "likelihood"} <= absent["no_events"] and "generation" in absent["likelihood_only"]
    assert "study" in absent["own_labels"] and "binary" not in absent["own_labels"]
