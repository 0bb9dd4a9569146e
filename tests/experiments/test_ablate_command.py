"""`ablate` through the public door: what a command line makes, and that Python makes the same."""

import csv
import json
from dataclasses import replace

import pytest
from colour_clips import good_clips, listed_clips
from made_up_open_runs import ARMS, by_hand, open_pairs, train_pairs

from llamavid_kit.__main__ import main, parser
from llamavid_kit.commands.ablate import RULES as OPTION_RULES
from llamavid_kit.data.clips_csv import clips_from_csv
from llamavid_kit.data.pairs import write_jsonl
from llamavid_kit.evaluation.scoring import RULES
from llamavid_kit.experiments import ablation
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report import page as report
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import read_replies
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

pytestmark = pytest.mark.slow

NAMES = [
    f"zero-shot-{fps}fps-{content}-{way}"
    for content in ("mean", "grid_2")
    for fps in (1, 6)
    for way in ("generation", "likelihood")
]
N = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three clips of 1.5 seconds, a CSV of them, and the run that the command made of it."""
    folder = tmp_path_factory.mktemp("own")
    listed_clips(folder, N)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    options = ["--fps", "1", "6", "--content", "mean", "grid:2", "--no-finetune", "--model", "tiny"]
    assert main(["ablate", "--clips", str(folder / "clips.csv"), *options, "--out", str(folder / "run")]) == 0
    return folder / "run", json.loads((folder / "run" / "summary.json").read_text())


def test_content_and_rate_are_crossed(run):
    assert [arm["name"] for arm in run[1]["arms"]] == NAMES
    assert [(arm["content"], arm["fps"]) for arm in run[1]["arms"][::2]] == [
        ("mean", 1),
        ("mean", 6),
        ("grid:2", 1),
        ("grid:2", 6),
    ]
    assert sorted(path.stem for path in (run[0] / "arms").iterdir()) == sorted(NAMES)


def test_receipts_by_hand(run):
    """1.5 seconds: 2 frames at 1 fps, 9 at 6 fps; a context token with 1 or with 2 · 2 content tokens each."""
    for arm in run[1]["arms"]:
        n_frames, n_tokens = {1: 2, 6: 9}[arm["fps"]], {"mean": 2, "grid:2": 5}[arm["content"]]
        _, lines = read_replies(run[0] / "arms" / f"{arm['name']}.jsonl")
        assert [len(line["timestamps_s"]) for line in lines] == [n_frames] * N
        assert [line["n_visual"] for line in lines] == [n_frames * n_tokens] * N
        assert arm["receipt"] == {
            "n_frames": N * n_frames,
            "visual_tokens": N * n_frames * n_tokens,
            "tokens_a_frame": n_tokens,
        }


def test_arms_are_paired_within_a_factor(run):
    pairs = {}
    for row in run[1]["paired"]:
        pairs.setdefault(row["family"], []).append((row["a"], row["b"]))
    ways = ("generation", "likelihood")
    assert set(pairs) == {"content", "fps", "answering"}
    assert sorted(pairs["content"]) == sorted(
        tuple(f"zero-shot-{fps}fps-{x}-{way}" for x in ("mean", "grid_2")) for fps in (1, 6) for way in ways
    )
    assert sorted(pairs["fps"]) == sorted(
        tuple(f"zero-shot-{fps}fps-{x}-{way}" for fps in (1, 6)) for x in ("mean", "grid_2") for way in ways
    )


def test_the_report_has_a_section_for_every_factor_that_varied(run):
    page = (run[0] / "report.html").read_text()
    titles = ("Does the frame rate matter?", "Do more tokens a frame help?", "Written replies against likelihoods")
    assert all(f">{title}</h3>" in page for title in titles)
    assert page.index(titles[0]) < page.index(titles[1]) and "Does fine-tuning help?" not in page
    assert "zero-shot, 6 fps, content grid:2" in page and "Every arm, likelihood" in page
    assert {path.stem for path in (run[0] / "figures").iterdir()} >= {
        "paired_fps",
        "paired_content",
        "every_arm_generation",
    }


def test_python_makes_the_same_run(run, folder, tmp_path):
    config = AblationConfig(
        model="tiny",
        source=str(folder / "clips.csv"),
        fps=(1, 6),
        content=("mean", "grid:2"),
        finetune=False,
        rule="unique_mention",
    )
    pairs = clips_from_csv(folder / "clips.csv", for_training=False)
    summary = ablate(pairs, root=folder, out=tmp_path / "run", config=config)
    for name in NAMES:
        path = f"arms/{name}.jsonl"
        assert (tmp_path / "run" / path).read_bytes() == (run[0] / path).read_bytes()
    assert summary | {"seconds": 0} == run[1] | {"seconds": 0}
    assert Run(summary).folder == tmp_path / "run" and Run(summary).summary == summary  # as `write_report` does
    configs = [json.loads((out / "config.json").read_text()) for out in (tmp_path / "run", run[0])]
    assert configs[0] == configs[1]
    assert (
        ablate(pairs, root=folder, out=run[0], config=config)["arms"] == summary["arms"]
    )  # one goes on with the other


# --- what the options become


@pytest.mark.parametrize(("options", "n"), [([], 128), (["--max-new-tokens", "70"], 70)])
def test_the_command_takes_open_pairs(tmp_path, monkeypatch, capsys, options, n):
    calls = {}
    by_hand(tmp_path / "out")
    monkeypatch.setattr(ablation, "ablate", lambda pairs, **kwargs: calls.update(kwargs))
    monkeypatch.setattr(report, "write_report", lambda out, **_: out)
    write_jsonl([*open_pairs(), *train_pairs()], tmp_path / "animals.jsonl")
    out = ["--out", str(tmp_path / "out")]
    assert main(["ablate", "--pairs", str(tmp_path / "animals.jsonl"), *out, *options]) == 0
    config = calls["config"]
    assert (config.answering, config.max_new_tokens, config.fps) == (("generation",), n, (1, 6))
    lines = capsys.readouterr().out.splitlines()
    arms = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]
    assert len(arms) == len(ARMS) and [line.split(", generation")[0] for line in lines[:4]] == arms
    assert [line.split(", score ")[1] for line in lines[:4]] == [f"{x} of 5" for x in ("1.00", "2.20", "3.60", "4.80")]
    assert lines[-1] == f"report: {tmp_path / 'out'}" and lines[-2].startswith("Of the same 5 clips fine-tuned, 4 fps")


def config_of(monkeypatch, folder, *options: str) -> tuple[AblationConfig, list]:
    """What the command makes of options about own clips: the configuration and the pairs."""
    calls = []
    monkeypatch.setattr(ablation, "ablate", lambda pairs, **kwargs: calls.append((kwargs["config"], pairs)))
    monkeypatch.setattr(report, "write_report", lambda out, **_: out)
    if not (out := folder / "out").exists():
        by_hand(out)
    assert main(["ablate", "--clips", str(folder / "clips.csv"), "--out", str(out), *options]) == 0
    return calls[0]


def own_clips(folder, *, split: bool = False):
    good_clips(folder, n_test=4, n_train=0)
    rows = [(f"t{k}.mp4", "fire" if k % 2 else "fight", "train" if k > 1 else "test") for k in range(4)]
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(row[: 2 + split] for row in [("video", "label", "split"), *rows])


def test_own_clips_without_a_train_split_give_zero_shot_arms(tmp_path, monkeypatch, caplog):
    own_clips(tmp_path)
    config, pairs = config_of(monkeypatch, tmp_path)
    assert not config.finetune and config.rule == "unique_mention" and len(pairs) == 4
    assert "no clip has the split train: zero-shot arms only (as with --no-finetune)" in caplog.text
    assert pairs[0].question.startswith("Classify the activity in the video by using ONLY ONE")
    _, pairs = config_of(monkeypatch, tmp_path, "--question", "Say what burns")
    assert pairs[0].question.startswith("Say what burns by using ONLY ONE")


def test_who_asks_for_training_without_training_clips_is_told_the_way_out(tmp_path, capsys):
    own_clips(tmp_path)
    argv = ["ablate", "--clips", str(tmp_path / "clips.csv"), "--out", str(tmp_path / "run"), "--epochs", "2"]
    assert main(argv) == 2
    assert "--no-finetune" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_training_is_set_on_the_command_line(tmp_path, monkeypatch):
    own_clips(tmp_path, split=True)
    options = ["--epochs", "2", "--learning-rate", "0.01", "--lora-rank", "4", "--rule", "exact"]
    config, _ = config_of(monkeypatch, tmp_path, *options)
    assert config.finetune and (config.train.epochs, config.train.learning_rate, config.lora.r) == (2, 0.01, 4)
    assert config.rule == "exact"
    assert config_of(monkeypatch, tmp_path)[0] == replace(
        config, train=TrainSettings(), lora=LoraSettings(), rule="unique_mention"
    )


def test_changes_stand_beside_the_clips_as_they_are(tmp_path, monkeypatch, capsys):
    own_clips(tmp_path)
    config, _ = config_of(monkeypatch, tmp_path, "--change", "each:6", "context:What colour is it?")
    assert config.change == (None, "each:6", "context:What colour is it?")
    assert config_of(monkeypatch, tmp_path)[0].change == (None,)
    assert main(["ablate", "--clips", str(tmp_path / "clips.csv"), "--change", "each", "--out", "o"]) == 2
    assert "change='each': expected each:N" in capsys.readouterr().err


def test_the_rules_of_the_help_are_those_of_scoring():
    assert tuple(RULES) == OPTION_RULES


def test_the_command_line():
    usual = ["ablate", "--pairs", "a.jsonl", "--out", "o"]
    args = parser(usual).parse_args([*usual, "--prompts", "study,short", "--shuffle-choices", "3"])
    assert (args.prompts, args.shuffle_choices) == ("study,short", 3)
    args = parser(usual).parse_args(usual)
    assert (args.prompts, args.shuffle_choices, args.content, args.model, args.train_fps) == ("study",) + (None,) * 4
    args = parser(usual).parse_args([*usual, "--model", "a", "--model", "b", "--train-fps", "1", "6"])
    assert (args.model, args.train_fps) == (["a", "b"], [1, 6])


def test_a_judge_of_the_command_line_reaches_the_run(tmp_path, monkeypatch, capsys):
    calls = {}
    by_hand(tmp_path / "out")
    monkeypatch.setattr(ablation, "ablate", lambda pairs, **kwargs: calls.update(kwargs))
    monkeypatch.setattr(report, "write_report", lambda out, **_: out)
    write_jsonl(open_pairs(), tmp_path / "open.jsonl")
    argv = ["ablate", "--pairs", str(tmp_path / "open.jsonl"), "--no-finetune", "--out", str(tmp_path / "out")]
    assert main([*argv, "--judge-rule", "mention"]) == 0 and calls["judge"].identity["rule"] == "mention"
    assert main(argv) == 0 and calls["judge"] is None
    assert main([*argv, "--judge-rule", "mention", "--judge-rule", "words"]) == 2
    assert "one judge decides what is right" in capsys.readouterr().err
