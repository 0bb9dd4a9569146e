"""The result in two sentences: which comparison it is about, and that its numbers are those of the replies."""

import json
import shutil

import pytest
from made_up_runs import USUAL, MadeUp, write_run

from llamavid_kit.experiments.report import answer, tables
from llamavid_kit.experiments.report.answer import main_pair, result_lines, verdict
from llamavid_kit.experiments.report.cautions import cautions
from llamavid_kit.experiments.run import Run

pytestmark = pytest.mark.slow


def main_verdict(run: Run, way: str = "generation") -> str:
    return verdict(main_pair(run, way))


def test_the_verdict_names_the_better_arm_and_flips_with_the_arms(runs, tmp_path):
    better = "**fine-tuned, {} fps** answered more of the same 330 clips right than **fine-tuned, {} fps**"
    assert main_verdict(runs["normal"]).startswith(better.format(6, 1))
    swapped = MadeUp({**USUAL, (True, 1): USUAL[True, 6], (True, 6): USUAL[True, 1]})
    assert main_verdict(Run(write_run(tmp_path / "swapped", swapped))).startswith(better.format(1, 6))
    equal = MadeUp({**USUAL, (True, 1): 0.6, (True, 6): 0.6})
    run = Run(write_run(tmp_path / "equal", equal))
    assert "**No clear difference** between" in main_verdict(run)
    assert "leaves open anything from -" in main_verdict(run)
    assert "**too little to tell the two apart**" in answer.answer(run)
    assert "apart" not in answer.answer(runs["normal"])


def test_the_verdicts_numbers_are_those_of_the_replies(runs):
    run = runs["normal"]
    row = main_pair(run, "generation")
    a, b = (run.of(row[key]).set_index("clip")["correct"] for key in ("key_a", "key_b"))
    only_b = int((b & ~a).sum())
    assert f"clips that only it got right: {only_b}, only the other: {int((a & ~b).sum())};" in verdict(row)
    clips = tables.discordant(run, row["key_a"], row["key_b"])
    assert len(clips) == row["only_a"] + row["only_b"] and (clips["right in"] == "second").sum() == only_b


def test_the_answer_says_both_shares_the_difference_and_the_baseline(runs):
    run = runs["normal"]
    slow, fast = (run.scores[f"lora-seed0-{fps}fps-generation"]["correct"] for fps in (1, 6))
    text = answer.answer(run)
    assert f"Of the same 330 clips **fine-tuned, 6 fps** answered {fast} ({fast / 330:.1%}) right and " in text
    assert f"**fine-tuned, 1 fps** answered {slow} ({slow / 330:.1%})" in text
    assert f"a difference of {100 * (fast - slow) / 330:+.1f} points (95% interval " in text
    assert text.endswith("Always answering “Abuse” would be right on 30 of 330 (9.1%).")


def test_the_main_pair_is_the_widest_in_rate_fine_tuned_where_there_is_one(runs, open_run, tmp_path):
    assert main_pair(runs["no_train"], "generation")["key_b"] == "zero-shot-6fps-generation"
    row = main_pair(runs["one_rate"], "generation")
    assert row["family"] == "adapter" and (row["a"], row["b"]) == ("zero-shot, 1 fps", "fine-tuned, 1 fps")
    three = MadeUp({(True, fps): 0.5 for fps in (1, 2, 6)}, n_test=22)
    row = main_pair(Run(write_run(tmp_path / "three", three)), "likelihood")
    assert (row["key_a"], row["key_b"]) == ("lora-seed0-1fps-likelihood", "lora-seed0-6fps-likelihood")
    assert main_pair(open_run, "generation")["key_a"] == "lora-seed0-1fps-generation"


def test_a_run_of_one_arm_says_its_share(tmp_path):
    run = Run(write_run(tmp_path, MadeUp({(False, 1): 0.5}, n_test=22, answering=("generation",))))
    assert main_pair(run, "generation") is None and run.families == []
    n = run.scores["zero-shot-1fps-generation"]["correct"]
    assert answer.answer(run).startswith(f"Of 22 clips **zero-shot, 1 fps** answered {n} ({n / 22:.1%}) right.")
    lines = [line for line in result_lines(run) if not line.startswith("note: ")]
    assert len(lines) == 1 + 1 + 1  # the arm, the clip that was left out, the answer


def test_lines_for_a_terminal(runs, open_run):
    lines, notes = result_lines(runs["normal"]), [f"note: {x}" for x in cautions(runs["normal"])]
    at = lines.index(notes[0])
    assert lines[at : at + len(notes)] == notes
    del lines[at : at + len(notes)]
    shares = [f"{arm.name}" for arm in runs["normal"].arms]
    assert len(lines) == len(shares) + 4 + 1 + 1 and lines[-1] == answer.answer(runs["normal"]).replace("**", "")
    assert lines[0].startswith("zero-shot, 1 fps, generation ") and " of 330 right = " in lines[0]
    assert lines[8].startswith("zero-shot, 1 fps, generation → zero-shot, 6 fps, generation: only first ")
    assert lines[-2] == "left out: Arson900_x264 (test): more frames than the model can read"
    assert [line.split(", score ")[1] for line in result_lines(open_run)[:4]] == [
        f"{score} of 5" for score in ("1.00", "2.20", "3.60", "4.80")
    ]


def test_a_label_with_markup_is_shown_as_text(runs, tmp_path):
    folder = shutil.copytree(runs["own_labels"].folder, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["baseline"]["label"] = "<b>Fall</b>"
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "“&#60;b&#62;Fall&#60;&#47;b&#62;”" in answer.answer(Run(folder))


@pytest.mark.parametrize("way", ["generation", "likelihood"])
def test_every_way_of_answering_has_its_pair(runs, way):
    for run in runs.values():
        if way in run.answering:
            row = main_pair(run, way)
            assert run.arm(row["key_a"]).answering == run.arm(row["key_b"]).answering == way
