"""The laboratory's declarations: what they may say, which commit holds them, which predictions held; its notebooks."""

import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from llamavid_kit.__main__ import main
from llamavid_kit.commands.demo import ANIMALS, CRIMES
from llamavid_kit.commands.experiments import LAB, chosen
from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.evaluation.resampling import Estimate
from llamavid_kit.evaluation.statistics import compare_scores
from llamavid_kit.experiments.laboratory import FOR_CHOICES, UNCOMMITTED, Declaration, Prediction, gain, reworded, shown

NOTEBOOKS = sorted(LAB.glob("[0-9]*.ipynb"))
TEXT = """question = "Is it so?"
worlds = [2001, 2002]
quick = 1002

[[prediction]]
of = "gain"
says = "it gains"
at_least = 0.0
"""


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "9_it_is.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.1, 0.3), "held"),
        ((0.0, 0.5), "held"),
        ((-0.1, 0.3), "undecided"),
        ((0.4, 0.6), "undecided"),
        ((-0.3, -0.1), "not held"),
        ((0.51, 0.6), "not held"),
    ],
)
def test_a_prediction_is_held_by_the_whole_interval(interval, verdict):
    assert Prediction("gain", "it gains", at_least=0.0, at_most=0.5).verdict(Estimate(0.2, *interval)) == verdict


def test_marks_have_a_row_for_each_prediction(tmp_path):
    declared = Declaration.read(written(tmp_path))
    (row,) = declared.marks({"gain": Estimate(0.25, 0.125, 0.5), "more": Estimate(1, 1, 1)}).to_dict("records")
    assert row == {
        "prediction": "it gains",
        "of": "gain",
        "expected": "at least 0",
        "measured": "0.25 [0.125, 0.5]",
        "verdict": "held",
    }
    with pytest.raises(ValueError, match=r"9_it_is: \['gain'\] were predicted and not measured; measured: \['more'\]"):
        declared.marks({"more": Estimate(1, 1, 1)})


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("worlds = [2001, 2002]", "worlds = [1500, 2001]", r"worlds=\[1500\] are for choosing settings"),
        ("quick = 1002", "quick = 7", "quick=7: expected one of the worlds for choices"),
        ("at_least = 0.0", "", "nothing could refute it"),
        ("at_least = 0.0", "at_least = 0.2\nat_most = 0.1", "from 0.2 to 0.1: nothing could refute it"),
        ("at_least = 0.0", "atleast = 0.0", "atleast"),
        ('question = "Is it so?"', "", "question"),
        ("[[prediction]]", "[prediction]", "expected question, worlds, quick"),
        ("at_least = 0.0", 'at_least = 0.0\n[[prediction]]\nof = "gain"\nsays = ""\nat_most = 1.0', "another number"),
    ],
)
def test_a_declaration_that_declares_nothing_is_refused(tmp_path, wrong, right, said):
    assert wrong in TEXT
    with pytest.raises(ValueError, match=f"9_it_is.toml.*{said}"):
        Declaration.read(written(tmp_path, TEXT.replace(wrong, right)))


def test_which_commit_holds_it(tmp_path):
    """Only the file as it was committed was declared; another file's change is nothing to it."""

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    path = written(tmp_path)
    assert Declaration.read(path).commit == UNCOMMITTED  # no repository
    git("init", "-q")
    assert Declaration.read(path).commit == UNCOMMITTED
    git("add", path.name)
    git("commit", "-qm", "declared")
    declared = git("log", "-1", "--format=%h of %cs").strip()
    (tmp_path / "other").write_text("x")
    git("add", "other")
    git("commit", "-qm", "more")
    (tmp_path / "other").write_text("y")
    assert Declaration.read(path).commit == declared
    written(tmp_path, TEXT.replace("at_least = 0.0", "at_least = -1.0"))
    assert Declaration.read(path).commit == UNCOMMITTED


def test_reworded_asks_in_other_words_what_these_can_answer():
    labels = ("Arson", "Robbery", "Normal Video")
    question = multiple_choice_question("Classify the activity in the video", labels)
    pairs = [
        InstructionPair(id=label, video=f"{label}.mp4", question=question, answer=label, choices=labels)
        for label in labels
    ]
    fire, quiet = reworded(pairs, task="Say what happens", words={"Normal Video": "Nothing", "Arson": "A fire"})
    assert fire.question == "Say what happens by using ONLY ONE of the mentioned categories: Nothing, or A fire."
    assert (fire.id, fire.answer, fire.choices) == ("Arson", "A fire", ("Nothing", "A fire"))
    assert (quiet.id, quiet.answer) == ("Normal Video", "Nothing")


def test_gain_is_of_clips_and_not_of_answers():
    """Two arms that say the same are no more sure than one; a clip in another place of the table is the same clip."""
    before = pd.DataFrame({"slow": [True, False, False, True, False] * 4}, index=range(20))
    after = pd.DataFrame({"fast": [True, True, True, False, True] * 4}, index=range(20))
    found, p = gain(before, after.iloc[::-1])
    paired = compare_scores(before["slow"].astype(int).to_dict(), after["fast"].astype(int).to_dict(), top=1)
    assert found == Estimate(paired.difference, *paired.interval95) and p == paired.p
    assert found.value == pytest.approx(0.4) and found.low < 0.4 < found.high < 1
    twice = [pd.concat([frame, frame], axis=1) for frame in (before, after)]
    assert gain(*twice) == (found, p)
    assert gain(before, before.iloc[::-1]) == (
        Estimate(0.0, -0.15, 0.15),
        1.0,
    )  # 3 of 20: no clip differs, yet others may
    assert gain(before[:2], before[:2])[0] == Estimate(0.0, -1.0, 1.0)
    with pytest.raises(ValueError, match="1 arms before and 2 after"):
        gain(before, twice[1])
    with pytest.raises(ValueError, match="must answer the same clips"):
        gain(before, after.iloc[1:])


def test_shown_says_what_kind_of_number_it_is():
    found = Estimate(0.0625, -0.125, 0.25)
    assert shown(found) == "6.2% [-12.5%, 25.0%]"
    assert shown(found, "points") == "+6.2 points [-12.5, +25.0]"
    assert shown(found, ".2f") == "0.06 [-0.12, 0.25]"


def test_every_experiment_is_declared_and_short():
    """A file of predictions beside each notebook, on worlds that nothing was shown on; about a hundred lines."""
    assert NOTEBOOKS
    shown = {CRIMES.world_seed, ANIMALS.world_seed}
    for path in NOTEBOOKS:
        declared = Declaration.read(path.with_suffix(".toml"))
        assert not shown & {*declared.worlds, declared.quick} and declared.quick in FOR_CHOICES
        cells = nbformat.read(path, as_version=4).cells
        (parameters,) = [c.source for c in cells if "parameters" in c.metadata.get("tags", ())]
        assert [line.split(" = ")[0] for line in parameters.splitlines()] == [
            "MODEL",
            "QUANTISE",
            "OUT",
            "QUICK",
            "FOLDER",
        ]
        lines = [line for c in cells if c.cell_type == "code" for line in c.source.splitlines() if line.strip()]
        assert len(lines) < 175, len(lines)
    worlds = [world for path in NOTEBOOKS for world in Declaration.read(path.with_suffix(".toml")).worlds]
    assert len({*worlds}) == len(worlds), "two experiments share a world"


def test_experiments_are_chosen_by_number_or_by_name():
    assert [path.stem.split("_")[0] for path in chosen([])] == [str(k + 1) for k in range(len(NOTEBOOKS))]
    assert [path.stem for path in chosen(["10", "1"])] == ["1_the_law", "10_mistakes_foretold"]
    assert [path.stem for path in chosen(["9_an"])] == ["9_an_honest_witness"]
    for names in (["0"], ["1", "the_law"], ["1_the_law_"]):
        with pytest.raises(ValueError, match="expected the beginning of one of 1_the_law, 2_"):
            chosen(names)


@pytest.mark.slow
def test_every_experiment_runs_at_its_smallest(tmp_path, monkeypatch, capsys):
    """One page with every declared prediction and a verdict, no progress bar, no warning."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["experiments", "--quick", "--out", str(tmp_path / "lab")]) == 0
    page = (tmp_path / "lab-quick" / "report.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        declared = Declaration.read(path.with_suffix(".toml"))
        assert declared.question.split(",")[0] in page
        for prediction in declared.predictions:
            assert f"<td>{prediction.says}</td>" in page
    assert page.count("<td>held</td>") + page.count("<td>not held</td>") + page.count("<td>undecided</td>") == sum(
        len(Declaration.read(path.with_suffix(".toml")).predictions) for path in NOTEBOOKS
    )
    assert "it/s" not in page and "Warning" not in page
    assert page.count("no verdict below counts") == len(NOTEBOOKS)
    assert main(["experiments", "nothing", "--out", str(tmp_path / "lab")]) == 2
    assert "expected the beginning of one of 1_the_law" in capsys.readouterr().err
