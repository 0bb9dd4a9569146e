"""A run's folder reads back what was written, and what does not agree with itself is refused."""

import json
import shutil

import pandas as pd
import pytest
from made_up_open_runs import ARMS, by_hand
from made_up_runs import RUNS, write_run

from llamavid_kit.experiments.arms import Arm, Lora
from llamavid_kit.experiments.run import Run


@pytest.fixture(scope="module")
def normal(tmp_path_factory) -> Run:
    return Run(write_run(tmp_path_factory.mktemp("runs") / "normal", RUNS["normal"]))


@pytest.fixture(scope="module")
def open_run(tmp_path_factory) -> Run:
    by_hand(folder := tmp_path_factory.mktemp("runs") / "open")
    return Run(folder)


def test_a_run_reads_back_what_was_written(normal, tmp_path):
    run = normal
    assert (len(run.test), len(run.clips), len(run.replies)) == (330, 350, 8 * 330)
    assert run.fps == [1, 6] and run.seeds == [0] and run.answering == ["generation", "likelihood"]
    assert list(run.training) == ["fps1-seed0", "fps6-seed0"] and len(run.training["fps1-seed0"]) == 100
    assert run.check() == "8 arms answered the same 330 clips; counts agree with the replies."
    assert (run.name, run.source, run.models, run.rule) == ("normal", "toy", ["tiny"], "exact")
    seeds = Run(write_run(tmp_path / "seeds", RUNS["seeds"]))
    assert seeds.words(seeds.arms[-1]) == "fine-tuned, seed 1, 6 fps" and seeds.seeds == [0, 1]
    assert seeds.families == ["fps", "adapter", "seed"]


def test_its_arms_are_records_of_factors(normal):
    arm = normal.arm("lora-seed0-6fps-likelihood")
    assert arm == Arm(adapter=Lora(0), fps=6, answering="likelihood") and arm in normal.arms
    assert normal.words(arm) == "fine-tuned, 6 fps, likelihood" == normal.words(arm.name)
    assert normal.name_in_tables(arm) == "fine-tuned, 6 fps"
    assert all(normal.is_main(arm) for arm in normal.arms) and normal.varied == []
    assert normal.families == ["fps", "adapter", "answering"]
    assert list(normal.scores) == [arm.name for arm in normal.arms]
    rows = normal.of(arm.name)
    assert len(rows) == 330 and set(rows["key"]) == {arm.name} and set(rows["arm"]) == {"fine-tuned, 6 fps"}
    assert set(rows["seed"]) == {0} and rows["fine_tuned"].all() and set(rows["fps"]) == {6.0}
    assert rows["timestamps_s"].map(len).eq(48).all() and rows["n_visual"].eq(96).all()
    head = normal.head(arm.name)
    assert Arm.of(head) == arm and (head["question"], head["rule"]) == (normal.question, "likeliest choice")


def test_a_summary_that_the_replies_contradict_is_refused(tmp_path):
    folder = write_run(tmp_path, RUNS["one_rate"])
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][0]["correct"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(
        ValueError, match=r"zero-shot-1fps-generation.jsonl: summary.json says \d of 5, its replies say"
    ):
        Run(folder).check()


def test_an_arm_that_answered_other_clips_is_refused(tmp_path):
    folder = write_run(tmp_path, RUNS["one_rate"])
    path = folder / "arms" / "zero-shot-1fps-generation.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="zero-shot-1fps-generation.jsonl answers 4 clips, which are not the 5"):
        Run(folder).check()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="summary.json lists the arm; run ablate again"):
        Run(folder).check()


DAMAGE = {  # file → (change of its JSON, what the error says)
    "summary.json": (lambda x: x["arms"][0].pop("content"), r"arms\[0\]: content is missing; run ablate again"),
    "clips.json": (lambda x: x["test"][2].update(fps="30"), r"test\[2\], fps: '30', expected a number or null"),
    "config.json": (lambda x: x.update(prompts=None), "prompts: None, expected a list"),
    "arms/zero-shot-1fps-generation.jsonl": (lambda x: x.update(correct="yes"), "line 3, correct: 'yes'"),
    "arms/lora-seed0-1fps-likelihood.jsonl": (lambda x: x["log_likelihood"].update(Fighting="x"), "line 3, log_like"),
    "arms/lora-seed0-1fps-generation.jsonl": (lambda x: x.update(label="Bird"), "line 3: label='Bird' is none of"),
    "arms/zero-shot-1fps-likelihood.jsonl": (lambda x: x["log_likelihood"].pop("Arson"), "line 3: log_like.* labels"),
    "arms/lora-seed0-1fps-likelihood.jsonl ": (lambda x: x["log_likelihood"].update(Arson=0.5), "line 3: .*at most 0"),
    "summary.json ": (
        lambda x: x["paired"][0]["interval95"].pop(),
        r"paired\[0\], interval95: .*, expected a list of 2",
    ),
    "finetune/fps1-seed0/training.jsonl": (lambda x: x.update(loss=None), "line 3, loss: None, expected a number"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_field_of_another_kind_is_named_with_its_file(tmp_path, name):
    change, message = DAMAGE[name]
    path = write_run(tmp_path, RUNS["one_rate"]) / name.strip()
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    at = 2 if path.suffix == ".jsonl" else 0
    change(content := json.loads(lines[at]))
    path.write_text("\n".join([*lines[:at], json.dumps(content), *lines[at + 1 :]]) + "\n")
    with pytest.raises(ValueError, match=f"{path.name}, {message}"):
        Run(tmp_path).check(), Run(tmp_path).training


def test_a_comparison_of_an_arm_that_is_none_is_named(tmp_path):
    run = Run(write_run(tmp_path, RUNS["one_rate"]))
    with pytest.raises(ValueError, match=r"summary.json compares 'other', which is none of its arms; run ablate again"):
        run.arm("other")


def test_a_line_that_contradicts_itself_or_the_list_is_refused(tmp_path):
    """In numbers that no count shows: the summary is wrong in the same way."""
    path = write_run(tmp_path, RUNS["one_rate"]) / "arms" / "zero-shot-1fps-generation.jsonl"
    summary, whole = json.loads((tmp_path / "summary.json").read_text()), path.read_text()
    head, *lines = map(json.loads, whole.splitlines())
    next(line for line in lines if not line["correct"])["correct"] = True
    summary["arms"][0]["correct"] += 1
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    path.write_text("\n".join(map(json.dumps, [head, *lines])) + "\n")
    with pytest.raises(ValueError, match="is not right where label and truth are one"):
        Run(tmp_path).check()
    lines[0]["truth"] = lines[1]["truth"]
    path.write_text("\n".join(map(json.dumps, [head, *lines])) + "\n")
    with pytest.raises(ValueError, match="of clips.json with their true answers"):
        Run(tmp_path).check()


def test_a_folder_that_is_no_run_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config.json is not there.*finished ablation"):
        Run(tmp_path)


# --- an open question


def test_the_open_folder_is_read_back(open_run):
    run = open_run
    assert run.open and run.labels == [] and run.animals == ("frog", "goby fish", "lion")
    assert run.check() == "4 arms answered the same 5 clips; counts agree with the replies."
    assert run.judge == {"judge": "rule", "rule": "animals", "animals": ["frog", "goby fish", "lion"]}
    assert isinstance(run.excluded, pd.DataFrame) and run.excluded["clip"].tolist() == ["torn"]


def test_scores_that_the_replies_contradict_are_refused(open_run, tmp_path):
    folder = shutil.copytree(open_run.folder, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][1]["scores"] = [0, 1, 1, 1, 0, 2]
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=f"{ARMS[1]}.jsonl: its replies have other scores"):
        Run(folder).check()
