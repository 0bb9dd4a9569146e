"""Guards fine-tuning: what is trained, that the base model is left alone, and that an interrupted run ends the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import COLOURS, LABELS, QUESTION, assert_same, pair, random_tokens, small_model, snapshot
from transformers import Trainer, TrainerCallback

from llamavid_kit.data.prompt import human_turn, supervised
from llamavid_kit.model import checkpoints
from llamavid_kit.model.answering import choice_log_likelihood, generate_texts
from llamavid_kit.training import finetune as module
from llamavid_kit.training.finetune import LoraSettings, TrainSettings, adapter, finetune

pytestmark = pytest.mark.slow

SETTINGS = TrainSettings(batch_size=2, max_steps=6, learning_rate=5e-3, save_every=2)
LORA = LoraSettings(r=4, alpha=8)


def weights(folder: Path) -> dict:
    return load_file(folder / "adapter_model.safetensors")


def curve(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]


def test_exactly_the_adapter_and_the_content_projector_train(own_model, data, tmp_path, monkeypatch):
    trained = {}

    def look(model, *args, **kwargs):
        trained.update({n: p.requires_grad for n, p in model.named_parameters()})

    monkeypatch.setattr(module, "fit", look)
    finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    llm = "base_model.model.language_model.model.layers"
    linears = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    expected = {
        f"{llm}.{layer}.{linear}.lora_{side}.default.weight" for layer in (0, 1) for linear in linears for side in "AB"
    } | {
        f"base_model.model.content_projector.modules_to_save.default.{k}.{x}"
        for k in (0, 2)
        for x in ("weight", "bias")
    }
    assert {n for n, trains in trained.items() if trains} == expected


def test_what_is_saved_is_what_trained(own_model, data, tmp_path):
    folder = finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    assert folder == tmp_path / "adapter"
    saved = weights(folder)
    assert len([n for n in saved if "lora_" in n]) == 2 * 7 * 2 and len([n for n in saved if "projector" in n]) == 4
    assert all(tuple(t.shape)[1] == 4 for n, t in saved.items() if "lora_B" in n)
    assert all((t != 0).any() for n, t in saved.items() if "lora_B" in n)  # B starts at 0: it has moved
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["lora"]["r"] == 4 and settings["train"]["max_steps"] == 6


def test_the_base_model_is_left_as_it_was(own_model, data, tmp_path):
    before, grads = snapshot(own_model), [p.requires_grad for p in own_model.parameters()]
    names = [type(m).__name__ for m in own_model.modules()]
    folder = finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    for _ in range(2):
        assert_same(before, own_model)
        assert [type(m).__name__ for m in own_model.modules()] == names
        assert [p.requires_grad for p in own_model.parameters()] == grads and not own_model.training
        with adapter(own_model, folder):
            pass


def test_the_adapter_works_inside_its_block_only(own_model, data, tmp_path):
    folder = finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    clips = data[1]

    def logits(model):
        ids, _ = supervised(model.tokenizer, "plain", [(human_turn(QUESTION), "Red")])
        with torch.no_grad():
            return model(torch.tensor([ids]), visual=[[clips[0]]]).logits

    before = logits(own_model)
    with adapter(own_model, folder) as adapted:
        assert not adapted.training
        inside = logits(adapted)
    assert not torch.allclose(inside, before, atol=1e-2) and torch.equal(logits(own_model), before)
    with pytest.raises(RuntimeError, match="planted"), adapter(own_model, folder):
        raise RuntimeError("planted")
    assert torch.equal(logits(own_model), before)
    with adapter(own_model, None) as plain:
        assert plain is own_model
    with adapter(own_model, folder) as adapted:
        assert torch.equal(logits(adapted), inside)


def test_one_fine_tuning_does_not_reach_into_the_next(tokenizers, data, tmp_path):
    """The arm at 6 fps must not start from what the arm at 1 fps learned."""
    shared, others = small_model(*tokenizers), (data[0][::-1], data[1])
    finetune(shared, *others, out=tmp_path / "first", settings=SETTINGS, lora=LORA)
    second = weights(finetune(shared, *data, out=tmp_path / "second", settings=SETTINGS, lora=LORA))
    alone = weights(finetune(small_model(*tokenizers), *data, out=tmp_path / "alone", settings=SETTINGS, lora=LORA))
    assert [n for n in alone if not torch.equal(alone[n], second[n])] == []


def test_a_failed_run_leaves_the_base_model_too(own_model, data, tmp_path, monkeypatch):
    before, grads = snapshot(own_model), [p.requires_grad for p in own_model.parameters()]
    monkeypatch.setattr(Trainer, "training_step", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("planted")))
    with pytest.raises(RuntimeError, match="planted"):
        finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    assert_same(before, own_model)
    assert [p.requires_grad for p in own_model.parameters()] == grads and not own_model.training


@pytest.mark.parametrize(
    ("settings", "dropout"),
    [(SETTINGS, 0.2), (TrainSettings(batch_size=2, epochs=2, save_every=4, learning_rate=5e-3), 0.0)],
)
def test_interrupted_and_started_again(tokenizers, data, tmp_path, monkeypatch, settings, dropout):
    """Killed after steps 1, 3 and 5, or in the middle of saving: bit for bit the adapter of an undisturbed run."""
    lora = LoraSettings(r=4, alpha=8, dropout=dropout)
    whole = finetune(small_model(*tokenizers), *data, out=tmp_path / "whole", settings=settings, lora=lora)

    class Stop(TrainerCallback):
        def __init__(self, at):
            self.at = at

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == self.at:
                raise KeyboardInterrupt

    out, real = tmp_path / "cut", Trainer.__init__
    for at in (1, 3, 5):
        monkeypatch.setattr(
            Trainer,
            "__init__",
            lambda self, *a, at=at, **k: real(self, *a, **k | {"callbacks": [*k["callbacks"], Stop(at)]}),
        )
        torch.manual_seed(at)  # another process would not be in this one's random state
        with pytest.raises(KeyboardInterrupt):
            finetune(small_model(*tokenizers), *data, out=out, settings=settings, lora=lora)
        assert not (out / "adapter").exists()
    monkeypatch.setattr(Trainer, "__init__", real)
    steps = sorted(int(p.name.split("-")[1]) for p in (out / "checkpoints").iterdir())
    assert steps == [4]
    again = finetune(small_model(*tokenizers), *data, out=out, settings=settings, lora=lora)
    ours, theirs = weights(again), weights(whole)
    assert ours.keys() == theirs.keys()
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == []


@pytest.mark.parametrize("left", [["adapter_model.safetensors"], [], ["trainer_state.json"]])
def test_killed_while_saving_a_checkpoint(tokenizers, data, tmp_path, left):
    """A half-written checkpoint is not resumed from: the one before it is, or the beginning."""
    whole = finetune(small_model(*tokenizers), *data, out=tmp_path / "whole", settings=SETTINGS, lora=LORA)
    out = tmp_path / "cut"
    torn = out / "checkpoints" / "checkpoint-4"
    torn.mkdir(parents=True)
    for name in left:
        (torn / name).write_bytes(b'{"global_step": 4, "lo')
    again = finetune(small_model(*tokenizers), *data, out=out, settings=SETTINGS, lora=LORA)
    ours, theirs = weights(again), weights(whole)
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs)


def test_done_is_done(own_model, data, tmp_path, monkeypatch):
    finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA) == tmp_path / "adapter"


def test_seeds(tokenizers, data, tmp_path):
    """Equal seeds give equal adapters whatever was drawn before; other seeds others."""
    runs = []
    for k, seed in enumerate((0, 0, 1)):
        torch.manual_seed(100 + k)
        settings = TrainSettings(batch_size=2, max_steps=2, seed=seed)
        runs.append(
            weights(finetune(small_model(*tokenizers), *data, out=tmp_path / str(k), settings=settings, lora=LORA))
        )
    same = [all(torch.equal(runs[0][n], other[n]) for n in runs[0]) for other in runs[1:]]
    assert same == [True, False]


def test_interrupted_after_its_last_step(tokenizers, data, tmp_path):
    """No step is taken twice, and none too many: the adapter and the curve of an undisturbed run."""
    settings = TrainSettings(batch_size=2, max_steps=5, save_every=2, scheduler="constant")
    folder = finetune(small_model(*tokenizers), *data, out=tmp_path, settings=settings, lora=LORA)
    whole, rows = weights(folder), curve(tmp_path)
    shutil.rmtree(folder)
    finetune(small_model(*tokenizers), *data, out=tmp_path, settings=settings, lora=LORA)
    again = weights(folder)
    assert whole.keys() == again.keys() and all(torch.equal(whole[name], again[name]) for name in whole)
    assert curve(tmp_path) == rows


def test_the_loss_curve_has_each_step_once(tokenizers, data, tmp_path, monkeypatch):
    """Interrupted after the step 20 was logged, resumed from step 15, ended at 30: the curve of an undisturbed run."""
    settings = TrainSettings(batch_size=2, max_steps=30, save_every=15)
    finetune(small_model(*tokenizers), *data, out=tmp_path / "whole", settings=settings, lora=LORA)
    tmp_path = tmp_path / "cut"

    class Stop(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 22:
                raise KeyboardInterrupt

    real = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *a, **k: real(self, *a, **k | {"callbacks": [*k["callbacks"], Stop()]})
    )
    with pytest.raises(KeyboardInterrupt):
        finetune(small_model(*tokenizers), *data, out=tmp_path, settings=settings, lora=LORA)
    assert [row["step"] for row in curve(tmp_path)] == [1, 5, 10, 15, 20]
    monkeypatch.setattr(Trainer, "__init__", real)
    finetune(small_model(*tokenizers), *data, out=tmp_path, settings=settings, lora=LORA)
    rows = curve(tmp_path)
    assert rows == curve(tmp_path.with_name("whole")) and [row["step"] for row in rows] == [1, *range(5, 31, 5)]
    assert rows[-1]["epoch"] == pytest.approx(10) and all(row["lr"] >= 0 and row["loss"] > 0 for row in rows)


def test_the_schedule(own_model, data, tmp_path):
    """Warm-up is a share of the steps, then half a cosine down to zero."""
    settings = TrainSettings(batch_size=5, max_steps=20, warmup_ratio=0.1, learning_rate=1e-2)
    finetune(own_model, *data, out=tmp_path, settings=settings, lora=LORA)
    rates = {row["step"]: row["lr"] for row in curve(tmp_path)}  # the rate of the step just taken
    assert rates[1] == pytest.approx(0, abs=6e-3) and rates[20] < 2e-4
    assert 3e-3 < rates[10] < 8e-3


def test_a_few_clips_are_memorised(own_model, tmp_path):
    """Loss falls, and the four answers come out again, each for its clip."""
    answers = [*LABELS, "Red"]
    assert len(COLOURS) == 3
    pairs = [pair(f"c{k}", answer, split="train") for k, answer in enumerate(answers)]
    clips = [random_tokens(own_model, 3, seed=k) for k in range(4)]
    settings = TrainSettings(batch_size=4, max_steps=80, learning_rate=1e-2)
    assert generate_texts(own_model, QUESTION, clips, max_new_tokens=8) != answers
    folder = finetune(own_model, pairs, clips, out=tmp_path, settings=settings, lora=LoraSettings(r=8, alpha=16))
    losses = [row["loss"] for row in curve(tmp_path)]
    assert losses[-1] < 0.7 < losses[0] / 8  # the frozen, random head allows no less
    with adapter(own_model, folder) as adapted:
        assert generate_texts(adapted, QUESTION, clips, max_new_tokens=8) == answers


def test_no_pairs(own_model, tmp_path):
    with pytest.raises(ValueError, match="no training pairs"):
        finetune(own_model, [], [], out=tmp_path)


def test_pairs_and_tokens_must_agree(own_model, data, tmp_path):
    with pytest.raises(ValueError, match="5 pairs but frame tokens of 4 clips"):
        finetune(own_model, data[0], data[1][:4], out=tmp_path)


def test_a_folder_begun_with_something_else_is_refused(own_model, data, tmp_path):
    """Other settings, other answers, other frames of the same clips: none is taken for what lies there."""
    pairs, tokens = data
    finetune(own_model, pairs, tokens, out=tmp_path, settings=SETTINGS, lora=LORA)
    kept = weights(tmp_path / "adapter")
    answers = [pair(p.id, "Blue", split="train") for p in pairs]
    others = [random_tokens(own_model, 2 + k, seed=k) for k in range(5)]
    for arguments, word in (
        ((pairs, tokens, replace(SETTINGS, max_steps=1), LORA), "train"),
        ((pairs, tokens, SETTINGS, LoraSettings(r=1)), "lora"),
        ((answers, tokens, SETTINGS, LORA), "data"),
        ((pairs, others, SETTINGS, LORA), "data"),
    ):
        with pytest.raises(ValueError, match=f"trained with another {word}: give another output folder"):
            finetune(own_model, *arguments[:2], out=tmp_path, settings=arguments[2], lora=arguments[3])
    assert all(torch.equal(tensor, kept[name]) for name, tensor in weights(tmp_path / "adapter").items())


def test_load_with_an_adapter(own_model, data, tmp_path):
    """From its folder or the fine-tuning's: the same answers as with the adapter beside the model, merged for good."""
    checkpoints.save(own_model, tmp_path / "model")
    folder = finetune(own_model, *data, out=tmp_path / "tuned", settings=SETTINGS, lora=LORA)
    with adapter(own_model, folder) as tuned:
        expected = choice_log_likelihood(tuned, QUESTION, data[1], LABELS)
    plain = choice_log_likelihood(own_model, QUESTION, data[1], LABELS)
    for path in (folder, tmp_path / "tuned"):
        model = checkpoints.load(tmp_path / "model", adapter=path)
        table = choice_log_likelihood(model, QUESTION, data[1], LABELS)
        np.testing.assert_allclose(table, expected, atol=1e-4)
        assert not [name for name, _ in model.named_parameters() if "lora" in name or "modules_to_save" in name]
    assert not np.allclose(table, plain, atol=1e-3)
    with pytest.raises(checkpoints.CheckpointError, match="holds no adapter of this kit"):
        checkpoints.load(tmp_path / "model", adapter=tmp_path / "model")
