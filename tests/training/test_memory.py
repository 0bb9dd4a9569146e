"""Guards the memory modes of a fine-tuning: the same adapter, smaller parts in full memory, the model put back."""

import json

import pytest
import torch
from safetensors.torch import load_file
from small import QUESTION, assert_same, random_frames, random_tokens, snapshot

from llamavid_kit.training import finetune as module
from llamavid_kit.training.finetune import LoraSettings, TrainSettings, finetune
from llamavid_kit.training.memory import VISION, aside, recomputed

pytestmark = pytest.mark.slow

SETTINGS = TrainSettings(batch_size=2, max_steps=6, learning_rate=5e-3, save_every=2)
LORA = LoraSettings(r=4, alpha=8)


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "training.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_recomputed_layers_change_no_bit(own_model, data, tmp_path, monkeypatch, share):
    expected = weights(finetune(own_model, *data, out=tmp_path / "plain", settings=SETTINGS, lora=LORA))
    calls, kept = [], torch.utils.checkpoint.checkpoint
    monkeypatch.setattr("llamavid_kit.training.memory.checkpoint", lambda *a, **k: calls.append(1) or kept(*a, **k))
    monkeypatch.setattr(module, "_parts", lambda *_: (SETTINGS.batch_size, share))
    found = weights(finetune(own_model, *data, out=tmp_path / "less", settings=SETTINGS, lora=LORA))
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert len(calls) == SETTINGS.max_steps * 2 * share  # of the 2 layers
    assert not any(getattr(m, "gradient_checkpointing", False) for m in own_model.modules())


def test_a_batch_in_parts_is_the_same_batch(own_model, data, tmp_path, monkeypatch):
    """Answers of different lengths: a token counts alike in whichever part it is."""
    for name, parts in (("whole", (2, 0.0)), ("parts", (1, 0.0))):
        monkeypatch.setattr(module, "_parts", lambda *_, parts=parts: parts)
        finetune(own_model, *data, out=tmp_path / name, settings=SETTINGS, lora=LORA)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), abs=2e-4)
    settings = [json.loads((tmp_path / name / "settings.json").read_text()) for name in ("whole", "parts")]
    assert settings[0] == settings[1]


def test_full_memory_halves_what_passes_at_once(own_model, data, tmp_path, monkeypatch, caplog):
    asked, kept = [], module.fit

    def fit(*args, settings, **kwargs):
        asked.append((settings.batch_size, settings.accumulate))
        if settings.batch_size > 1:
            raise torch.OutOfMemoryError("full")
        kept(*args, settings=settings, **kwargs)

    monkeypatch.setattr(module, "fit", fit)
    folder = finetune(own_model, *data, out=tmp_path, settings=SETTINGS, lora=LORA)
    assert asked == [(2, 1), (1, 2)] and (folder / "adapter_config.json").is_file()
    assert "no memory for 2 samples at once, from now on 1" in caplog.text
    monkeypatch.setattr(module, "fit", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        finetune(own_model, *data, out=tmp_path / "never", settings=SETTINGS, lora=LORA)


@torch.no_grad()
def test_parts_that_are_put_aside_come_back(model):
    before, tokens = snapshot(model), random_tokens(model, 2)
    pixels = random_frames(2)
    expected = model.frame_tokens(model.encode_frames(pixels), QUESTION)
    n_parameters = model.num_parameters()
    with pytest.raises(RuntimeError, match="planted"), aside(model, VISION), recomputed(model.language_model, 1.0):
        assert model.num_parameters() < n_parameters and len(model.project(tokens)) == 4
        raise RuntimeError("planted")
    assert torch.equal(model.frame_tokens(model.encode_frames(pixels), QUESTION).context, expected.context)
    assert_same(before, model)
