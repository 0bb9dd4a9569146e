"""A run that is started again knows what its results depend on: what changed is answered anew or refused, by name; what
is new is added; and what lies there afterwards is, byte for byte, what a fresh run gives.
"""

import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from colour_clips import TEST, make_clips
from small import LABELS, small_model, write_clip

from llamavid_kit.evaluation.scoring import label_of
from llamavid_kit.experiments import resume
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.files import read_replies
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

ZERO_SHOT = AblationConfig(
    model="small",
    source="colours",
    fps=(1, 4),
    finetune=False,
    batch=2,
    max_new_tokens=4,
    train=TrainSettings(batch_size=2, max_steps=2, learning_rate=5e-3),
    lora=LoraSettings(r=2, alpha=4),
)
TUNED = replace(ZERO_SHOT, finetune=True, fps=(1,), answering=("likelihood",))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return root, make_clips(root)


@pytest.fixture(scope="module")
def runs(clips, tokenizers, tmp_path_factory):
    """A zero-shot run and a fine-tuned one, by name."""
    out = tmp_path_factory.mktemp("runs")
    for name, config in (("zero-shot", ZERO_SHOT), ("tuned", TUNED)):
        start(clips, tokenizers, out / name, config)
    return out


@pytest.fixture
def own(clips, runs, tmp_path):
    """Copies of clips and runs that a test may change."""
    root = Path(shutil.copytree(clips[0], tmp_path / "clips"))
    return (root, clips[1]), Path(shutil.copytree(runs, tmp_path / "runs"))


@pytest.fixture
def asked(monkeypatch):
    """Arm's rate and clips, of each call of the model."""
    calls = []
    for name in ("generate", "choose"):
        whole = getattr(LlamaVidAnswerer, name)

        def listen(self, videos, question, *args, whole=whole, **kwargs):
            calls.append((next(x for x in args if hasattr(x, "fps")).fps, [video.path.stem for video in videos]))
            return whole(self, videos, question, *args, **kwargs)

        monkeypatch.setattr(LlamaVidAnswerer, name, listen)
    return calls


def start(clips, tokenizers, out, config=ZERO_SHOT, model=None):
    return ablate(clips[1], root=clips[0], out=out, config=config, model=model or small_model(*tokenizers))


def arms(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "arms").iterdir())}


def same_as_fresh(clips, tokenizers, out, config, tmp_path) -> dict:
    """Arm files, clip list and numbers of the run are those of a fresh one; returns the summary."""
    fresh = start(clips, tokenizers, tmp_path / "fresh", config)
    assert arms(out) == arms(tmp_path / "fresh")
    assert (out / "clips.json").read_bytes() == (tmp_path / "fresh" / "clips.json").read_bytes()
    summary = json.loads((out / "summary.json").read_text())
    assert summary | {"seconds": 0} == fresh | {"seconds": 0}
    return summary


# --- clips


def test_a_replaced_clip_is_answered_anew(own, tokenizers, asked, caplog, tmp_path):
    clips, runs = own
    before = arms(runs / "zero-shot")
    write_clip(clips[0] / "t3.mp4", seconds=2.5, label="Blue", seed=99)
    start(clips, tokenizers, runs / "zero-shot")
    assert "clips have changed: t3 has other content" in caplog.text
    assert [clip for _, clip in asked] == [["t2", "t3"], ["t4"]] * 4  # its batch and what follows
    after = arms(runs / "zero-shot")
    for name in before:
        lines = [content.split(b"\n") for content in (before[name], after[name])]
        assert lines[0][:3] == lines[1][:3] and lines[0][4] != lines[1][4] and lines[0][5:] == lines[1][5:]
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_repaired_clip_comes_in(own, tokenizers, caplog, tmp_path):
    clips, runs = own
    write_clip(clips[0] / "torn.mp4", seconds=1.5, label="Blue", seed=7)
    summary = start(clips, tokenizers, runs / "zero-shot")
    assert "torn can be used now" in caplog.text and "torn" not in {x["clip"] for x in summary["excluded"]}
    assert {arm["n"] for arm in summary["arms"]} == {len(TEST) + 1}
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_clip_that_went_away_is_left_out(own, tokenizers, caplog, tmp_path):
    clips, runs = own
    (clips[0] / "t4.mp4").unlink()
    start(clips, tokenizers, runs / "zero-shot")
    assert "t4 is left out now (" in caplog.text
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_clip_changed_and_the_run_cut_while_it_was_answered_anew(own, tokenizers, monkeypatch, tmp_path):
    clips, runs = own
    write_clip(clips[0] / "t0.mp4", seconds=2.5, label="Blue", seed=99)
    whole = LlamaVidAnswerer.choose

    def interrupted(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(LlamaVidAnswerer, "choose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(clips, tokenizers, runs / "zero-shot")
    monkeypatch.setattr(LlamaVidAnswerer, "choose", whole)
    start(clips, tokenizers, runs / "zero-shot")
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_unchanged_clips_are_neither_decoded_nor_asked(own, tokenizers, asked, caplog):
    clips, runs = own
    for file in clips[0].iterdir():
        file.touch()
    with caplog.at_level(logging.INFO):
        start(clips, tokenizers, runs / "zero-shot")
    assert asked == [] and "changed" not in caplog.text and "added" not in caplog.text


def test_adapters_of_other_training_clips_are_refused_until_they_are_taken_away(own, tokenizers, tmp_path):
    clips, runs = own
    before = arms(runs / "tuned")
    write_clip(clips[0] / "r6.mp4", seconds=2, label="Blue", seed=99)
    with pytest.raises(ValueError, match=r"adapters of .* were trained, clips have changed: r6 has other content; del"):
        start(clips, tokenizers, runs / "tuned", TUNED)
    assert arms(runs / "tuned") == before
    shutil.rmtree(runs / "tuned" / "finetune")
    start(clips, tokenizers, runs / "tuned", TUNED)
    name = "lora-seed0-1fps-likelihood.jsonl"
    assert arms(runs / "tuned")[name] != before[name]
    same_as_fresh(clips, tokenizers, runs / "tuned", TUNED, tmp_path)


# --- what is added


@pytest.mark.parametrize(
    "more",
    [{"fps": (2,)}, {"fps": (1, 2, 4)}, {"content": ("mean", "grid:2")}, {"frames": ("time", "train")}],
)
def test_more_values_are_more_arms(own, tokenizers, asked, caplog, tmp_path, more):
    clips, runs = own
    before = arms(runs / "zero-shot")
    with caplog.at_level(logging.INFO):
        start(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, **more))
    after = arms(runs / "zero-shot")
    added = sorted(after.keys() - before.keys())
    assert added and {name: after[name] for name in before} == before
    assert f"arms are added to its {len(before)}: {', '.join(x.removesuffix('.jsonl') for x in added)}" in caplog.text
    assert len(asked) == 3 * len(added)
    values = {name: tuple(dict.fromkeys([*getattr(ZERO_SHOT, name), *x])) for name, x in more.items()}
    same_as_fresh(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, **values), tmp_path)


def test_a_seed_is_added_and_fewer_values_take_nothing_away(own, tokenizers, tmp_path):
    clips, runs = own
    before = arms(runs / "tuned")
    start(clips, tokenizers, runs / "tuned", replace(TUNED, seeds=(1,)))
    both = replace(TUNED, seeds=(0, 1))
    summary = same_as_fresh(clips, tokenizers, runs / "tuned", both, tmp_path)
    assert [arm["adapter"] and arm["adapter"]["seed"] for arm in summary["arms"]] == [None, 0, 1]
    assert {name: arms(runs / "tuned")[name] for name in before} == before
    again = start(clips, tokenizers, runs / "tuned", replace(TUNED, finetune=False, seeds=(5,)))
    assert again | {"seconds": 0} == summary | {"seconds": 0}
    record = json.loads((runs / "tuned" / "config.json").read_text())
    assert record["seeds"] == [0, 1] and record["finetune"]


def test_fine_tuning_is_added_to_a_run_without(own, tokenizers, tmp_path):
    clips, runs = own
    config = replace(ZERO_SHOT, finetune=True, seeds=(3,))
    start(clips, tokenizers, runs / "zero-shot", config)
    same_as_fresh(clips, tokenizers, runs / "zero-shot", config, tmp_path)


# --- the rule


def test_another_rule_counts_the_same_replies_anew(own, tokenizers, asked, tmp_path):
    clips, runs = own
    path = runs / "zero-shot" / "arms" / "zero-shot-1fps-generation.jsonl"
    text = path.read_text(encoding="utf-8")
    reply = json.loads(text.split("\n")[1])["reply"]
    path.write_text(text.replace(json.dumps(reply, ensure_ascii=False), '"It is red."'), encoding="utf-8")
    likelihoods = {name: content for name, content in arms(runs / "zero-shot").items() if "likelihood" in name}
    for rule in ("unique_mention", "exact", "normalised"):
        summary = start(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, rule=rule))
        head, lines = read_replies(path)
        assert asked == [] and head["rule"] == rule == summary["rule"] and "It is red." in [x["reply"] for x in lines]
        assert [x["label"] for x in lines] == [label_of(x["reply"], LABELS, rule=rule) for x in lines]
        assert [x["correct"] for x in lines] == [x["label"] == x["truth"] for x in lines]
        assert summary["arms"][0]["correct"] == sum(x["correct"] for x in lines)
        assert {name: arms(runs / "zero-shot")[name] for name in likelihoods} == likelihoods


# --- models and versions


@pytest.mark.parametrize("setting", ["content", "template", "question_max_length"])
def test_a_loaded_model_whose_settings_changed_is_another(own, tokenizers, setting):
    clips, runs = own
    model = small_model(*tokenizers)
    before = getattr(model.config, setting)
    setattr(model.config, setting, {"content": "grid:2", "template": "vicuna_v1"}.get(setting, 7))
    assert getattr(model.config, setting) != before
    with pytest.raises(ValueError, match="another run, they differ in weights"):
        start(clips, tokenizers, runs / "zero-shot", model=model)


def test_a_model_is_itself_after_it_has_answered(clips, runs, tokenizers, asked):
    """Neither training nor answering leaves a setting changed."""
    model = small_model(*tokenizers)
    before = LlamaVidAnswerer(model, None)
    before._weights = ""
    identity = before.identity
    start(clips, tokenizers, runs / "tuned", replace(TUNED, seeds=(0, 9)), model=model)
    assert asked and before.identity == identity


def test_other_versions_finish_no_run_and_leave_a_whole_one_alone(own, tokenizers, asked, monkeypatch):
    clips, runs = own
    now = resume.versions()
    assert {"llamavid-kit", "torch", "transformers", "av"} <= set(now)
    version = resume.version
    monkeypatch.setattr(resume, "version", lambda name: "9.9" if name == "torch" else version(name))
    start(clips, tokenizers, runs / "zero-shot")
    for change in (
        lambda: (runs / "zero-shot" / "arms" / "zero-shot-4fps-likelihood.jsonl").unlink(),
        lambda: write_clip(clips[0] / "t1.mp4", seconds=1, label="Blue", seed=99),
    ):
        change()
        with pytest.raises(
            ValueError, match=f"begun with torch {re.escape(now['torch'])} .now 9.9.: .*go on with those versions"
        ):
            start(clips, tokenizers, runs / "zero-shot")
    assert asked == []


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"groups": 3}', '{"model": "small"', '{"fps": null}'])
def test_a_damaged_configuration_is_named(own, tokenizers, content):
    clips, runs = own
    before = arms(runs / "zero-shot")
    (runs / "zero-shot" / "config.json").write_text(content)
    with pytest.raises(
        ValueError, match=r"config\.json is (no run's configuration|not JSON).*give another output folder"
    ):
        start(clips, tokenizers, runs / "zero-shot")
    assert arms(runs / "zero-shot") == before
