"""What stands beside the numbers: each sentence where it holds, with counts made by hand, and none elsewhere."""

import html
import json
from dataclasses import replace

import pytest
from made_up_runs import MadeUp, write_run

from llamavid_kit.evaluation.scoring import score
from llamavid_kit.experiments.report import figures, text
from llamavid_kit.experiments.report.answer import beside, result_lines
from llamavid_kit.experiments.report.cautions import cautions
from llamavid_kit.experiments.report.page import absent_tags, mistakes_section
from llamavid_kit.experiments.run import Run

MADE = MadeUp(
    {(False, 1): 1.0, (False, 6): 1.0},
    n_test=12,
    labels=("fire", "fight", "nothing"),
    answering=("generation",),
    groups=False,
    source="my clips",
)


@pytest.fixture
def made(tmp_path):
    """A run whose arms are right on all of twelve clips, four a label; `answers` sets the replies of one arm."""
    folder = write_run(tmp_path / "run", MADE)

    def answers(key: str = "zero-shot-6fps-generation", replies: dict[int, str] | None = None, **head) -> Run:
        path = folder / "arms" / f"{key}.jsonl"
        top, *lines = map(json.loads, path.read_text().splitlines())
        for k, reply in (replies or {}).items():
            label = reply if reply in MADE.labels else None
            lines[k] |= {"reply": reply, "label": label, "correct": label == lines[k]["truth"]}
        path.write_text("\n".join(map(json.dumps, (top, *lines))) + "\n")
        summary = json.loads((folder / "summary.json").read_text())
        table = score([x["truth"] for x in lines], [x["label"] for x in lines], labels=MADE.labels).to_dict()
        summary["arms"] = [arm | (table if arm["name"] == key else {}) for arm in summary["arms"]]
        (folder / "summary.json").write_text(json.dumps(summary))
        return Run(folder)

    return answers


def rows_of(run: Run, label: str) -> list[int]:
    return [k for k, truth in enumerate(run.of(run.arms[0].name)["truth"]) if truth == label]


def test_nothing_is_said_where_nothing_is_odd(made):
    assert cautions(made()) == [] and beside(made()) == ""


def test_a_label_that_is_never_answered_and_false_alarms(made):
    run = made()
    replies = dict.fromkeys((*rows_of(run, "fight"), *rows_of(run, "nothing")[:3]), "fire")
    run = made(replies=replies)
    (line,) = cautions(run)
    assert line == "Zero-shot, 6 fps: never answers “fight”, and calls 3 of 4 clips of “nothing” something else."
    assert f"note: {line}" in result_lines(run) and html.unescape(beside(run)) == f"- {line}"


def test_an_arm_that_names_no_label_at_all_is_not_listed_label_by_label(made):
    assert cautions(made(replies=dict.fromkeys(range(12), "a dog"))) == []


def test_replies_that_mention_a_label_after_all(made):
    """Of four silent replies three mention one label alone, two of them the right one; one mentions two."""
    run = made()
    fires, fights = rows_of(run, "fire"), rows_of(run, "fight")
    replies = {
        fires[0]: "A fire burns at the wall",
        fires[1]: "FIRE!",
        fights[0]: "no fire",
        fights[1]: "fire or fight",
    }
    mention, several = cautions(made(replies=replies))
    assert mention.startswith("3 of the 4 written replies without a label mention one label alone. By rule unique_men")
    assert "right: zero-shot, 1 fps: 12 of 12; zero-shot, 6 fps: 10 of 12. Start" in mention
    assert "--rule unique_mention" in mention
    assert several == "1 of the 4 written replies without a label mention several labels, so none is counted."
    assert "4 of 24 replies name none in this way and count as wrong" in text.accuracy(Run(made().folder), "generation")


def test_rates_that_clips_do_not_have(tmp_path):
    run = Run(write_run(tmp_path / "run", replace(MADE, skill={(False, 1): 1.0, (False, 100): 1.0})))
    (line,) = cautions(run)
    assert line.startswith("12 of 12 clips have fewer than 100 frames a second (30): at 100 fps each of their frames")


def test_labels_that_stand_alone_or_in_one_split(tmp_path):
    folder = write_run(tmp_path / "run", replace(MADE, skill={(False, 1): 1.0, (True, 1): 1.0}))
    clips = json.loads((folder / "clips.json").read_text())
    clips["train"] = [row for row in clips["train"] if row["answer"] != "fight"]
    clips["labels"] += ["fihgt", "rare"]
    clips["train"][0]["answer"], clips["train"][1]["answer"], clips["train"][2]["answer"] = "fihgt", "rare", "rare"
    (folder / "clips.json").write_text(json.dumps(clips))
    once, untrained, untested = cautions(Run(folder))
    assert once == "Only one clip has the label “fihgt”: is it misspelt?"
    assert untrained == "No training clip has the label “fight”: adapters never met it."
    assert untested == "No test clip has the label “fihgt” or “rare”: nothing is known about it."


def test_ties_of_mistakes_are_called_ties(made):
    run = made()
    run = made(replies=dict.fromkeys((*rows_of(run, "fire"), *rows_of(run, "fight")), "a dog"))
    words = text.mistakes(run, "zero-shot-6fps-generation")
    assert "8 mistakes, most often" in words and "(4 times each; 2 are equally frequent)" in words
    assert words.count("answered as no label") == 2


def test_an_arm_that_names_no_label_gets_a_sentence_and_no_figure(made):
    made(replies=dict.fromkeys(range(12), "a dog"))
    run = made("zero-shot-1fps-generation")
    silent, speaking = "zero-shot-6fps-generation", "zero-shot-1fps-generation"
    (sentence,) = mistakes_section(run, silent)
    assert sentence.data == "Zero-shot, 6 fps: none of the 12 replies names a label, so there is nothing to draw."
    assert len([*mistakes_section(run, speaking)]) == 2
    assert "so they are not drawn: zero-shot, 6 fps." in text.classes(run)
    names = set(figures.figures(run))
    assert f"confusion_{speaking}" in names and f"confusion_{silent}" not in names
    legend = figures.figure(run, "per_class_generation").axes[0].get_legend()
    assert [words.get_text() for words in legend.get_texts()] == ["zero-shot, 1 fps"]
    run = made("zero-shot-1fps-generation", dict.fromkeys(range(12), "a dog"))
    assert not {"per_class_generation", "confusion_binary_generation"} & set(figures.figures(run))
    assert "binary" in absent_tags(run) and "binary" not in absent_tags(made(silent, {0: "fire"}))


def test_own_clips_are_not_called_drawn(made, runs):
    assert "The clips are drawn" in text.limits(runs["normal"])
    run = made()
    run.summary["worlds"] = {"tiny": "the toy world: drawn scenes; about any other clip it can only guess"}
    limits = text.limits(run)
    assert "drawn, of a small made-up world" not in limits
    assert "Tiny knows only the toy world&#58; drawn scenes; about any other clip it can only guess." in limits
