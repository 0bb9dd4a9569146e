"""Guards `load` and `save`: the same weights, tokenizers and precision come back; what is no checkpoint is named."""

import copy
import json
import shutil

import pytest
import torch
from case01 import CASE, HEADS, edit
from safetensors.torch import load_file, save_file
from small import QUESTION, assert_same, random_frames, snapshot

from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.model import checkpoints
from llamavid_kit.model.checkpoints import CheckpointError, load
from llamavid_kit.model.original.convert import convert
from llamavid_kit.model.original.doctor import examine
from llamavid_kit.model.original.open import from_original


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_saved_and_loaded(own_model, tmp_path, dtype):
    """The file holds the weights rounded to its dtype; saving leaves the model, and its buffers, as they were."""
    before = snapshot(own_model)
    checkpoints.save(own_model, tmp_path, dtype=dtype)
    assert_same(before, own_model)
    again = checkpoints.load(tmp_path)
    assert again.dtype == dtype and not again.training
    rounded = {n: t.to(dtype) for n, t in own_model.state_dict().items()}
    assert again.state_dict().keys() == rounded.keys()
    assert all(torch.equal(t, rounded[n]) for n, t in again.state_dict().items())
    wide = checkpoints.load(tmp_path, dtype=torch.float32)
    reference = copy.deepcopy(own_model)
    reference.load_state_dict({n: t.float() for n, t in rounded.items()})
    assert_same(snapshot(reference), wide)
    frames, ids = random_frames(3), torch.tensor([open_prompt(wide.tokenizer, "plain", QUESTION)])
    assert ids.tolist() == [open_prompt(own_model.tokenizer, "plain", QUESTION)]
    logits = [m(ids, visual=[[m.frame_tokens(m.encode_frames(frames), QUESTION)]]).logits for m in (reference, wide)]
    torch.testing.assert_close(logits[1], logits[0], atol=2e-5, rtol=1e-4)


FOREIGN = {
    "attn_implementation": "somebody/kernels",
    "_attn_implementation": "somebody/kernels",
    "text_config/attn_implementation": "somebody/kernels:fast",
    "qformer_config/_attn_implementation_internal": {"": "somebody/kernels"},
    "text_config/rope_parameters/attn_implementation": "paged|somebody/kernels",
    "text_config/auto_map": {"AutoModel": "evil.Model"},
    "auto_map": {"AutoModel": "somebody/else--evil.Model"},
}


@pytest.mark.parametrize("place", FOREIGN)
def test_a_configuration_that_names_code_is_refused_before_transformers_sees_it(
    own_model, tmp_path, place, monkeypatch
):
    checkpoints.save(own_model, tmp_path)
    path = tmp_path / "config.json"
    inner = whole = json.loads(path.read_text())
    *parts, name = place.split("/")
    for part in parts:
        inner = inner[part]
    inner[name] = FOREIGN[place]
    path.write_text(json.dumps(whole))
    monkeypatch.setattr(checkpoints.LlamaVidConfig, "from_pretrained", None)
    with pytest.raises(CheckpointError, match=rf"config.json: {name}=.* names code from elsewhere, never run"):
        load(tmp_path)
    assert "names code from elsewhere" in examine(tmp_path).problems[0]


def test_attention_that_transformers_brings_is_taken(own_model, tmp_path):
    checkpoints.save(own_model, tmp_path)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    settings["text_config"] |= {"_attn_implementation": "eager", "auto_map": {}}
    path.write_text(json.dumps(settings))
    load(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_named(own_model, tmp_path, value):
    """In a folder of ours, and in one of the original."""
    checkpoints.save(own_model, tmp_path / "ours")
    name = "language_model.model.layers.1.mlp.up_proj.weight"
    tensors = load_file(tmp_path / "ours" / "model.safetensors")
    tensors[name][3, 5] = value
    save_file(tensors, tmp_path / "ours" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"ours: NaN or infinity in {name}"):
        load(tmp_path / "ours")
    shutil.copytree(CASE, tmp_path / "case")
    edit(tmp_path / "case" / "checkpoint", "model.norm.weight", lambda t: t.fill_(value))
    with pytest.raises(CheckpointError, match="checkpoint: NaN or infinity in language_model.model.norm.weight"):
        load(tmp_path / "case" / "checkpoint", vision_heads=HEADS)


def test_a_tensor_missing_on_disk_is_an_error(own_model, tmp_path):

    checkpoints.save(own_model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "context_attention.value_projector.weight"
    save_file(
        {n: t for n, t in tensors.items() if n != name} | {"stranger": torch.ones(1)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(checkpoints.CheckpointError, match=f"(?s){name}.*stranger"):
        checkpoints.load(tmp_path)


def test_convert_and_load(tmp_path):
    report = convert(CASE / "checkpoint", out=tmp_path / "ours", vision_heads=HEADS)
    direct, direct_report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    assert report == direct_report
    for model in (load(tmp_path / "ours"), load(CASE / "checkpoint", vision_heads=HEADS)):
        assert not model.training and model.dtype == torch.float32
        assert all(torch.equal(t, model.state_dict()[n]) for n, t in direct.state_dict().items())
        assert model.question_tokenizer.truncation_side == "left" and model.tokenizer.pad_token_id == 0
        assert model.tokenizer("a").input_ids == direct.tokenizer("a").input_ids
    assert load(tmp_path / "ours", dtype=torch.bfloat16).dtype == torch.bfloat16
    assert checkpoints.ASSETS.name == "assets"


def test_a_lower_precision_keeps_the_rotary_frequencies(tmp_path):
    """Rounded to bfloat16 they would shift every position of a long prompt."""
    convert(CASE / "checkpoint", out=tmp_path / "ours", vision_heads=HEADS)
    expected = load(tmp_path / "ours").language_model.model.rotary_emb.inv_freq
    for folder, options in ((tmp_path / "ours", {}), (CASE / "checkpoint", {"vision_heads": HEADS})):
        model = load(folder, dtype=torch.bfloat16, **options)
        assert torch.equal(model.language_model.model.rotary_emb.inv_freq.float(), expected), folder


def test_a_longer_context_is_set_before_the_weights_are_loaded(folder, tmp_path):
    """The original's folder and ours: same angles, same weights, and `context` says how many tokens fit."""
    plain, _ = from_original(folder, vision_heads=HEADS)
    long = load(folder, vision_heads=HEADS, context=5000)
    checkpoints.save(plain, tmp_path / "ours")
    again = load(tmp_path / "ours", context=5000)
    factor = -(-5000 // plain.config.context)
    for model in (long, again):
        assert model.config.context == factor * plain.config.context >= 5000
        angles = model.language_model.model.rotary_emb.inv_freq
        torch.testing.assert_close(angles * factor, plain.language_model.model.rotary_emb.inv_freq)
    assert all(torch.equal(t, plain.state_dict()[name]) for name, t in again.state_dict().items())


@pytest.mark.parametrize(
    ("device", "name", "dtype"),
    [
        ("cpu", "tiny", torch.float32),
        ("cpu", "folder", torch.float32),
        ("cuda", "tiny", torch.float32),
        ("cuda", "folder", torch.bfloat16),
    ],
)
def test_commands_train_in_a_precision_that_trains(monkeypatch, device, name, dtype):
    """Published checkpoints are float16, which `fit` refuses."""
    arguments = {}
    monkeypatch.setattr(checkpoints, "default_device", lambda: device)
    monkeypatch.setattr(checkpoints, "load", lambda name, **kwargs: arguments.update(kwargs, name=name))
    checkpoints.load_to_train(name, quantise="4bit")
    assert arguments == {"name": name, "device": device, "dtype": dtype, "quantise": "4bit"}


@pytest.mark.parametrize(
    "content", [None, "", "no json", "[]", "{}", '{"model_type": "llama_vid"}', '{"model_type": "bert"}']
)
def test_a_folder_that_is_no_checkpoint(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="tiny"):
        load("no-such-model")


@pytest.mark.parametrize(
    ("kwargs", "dtype"),
    [({"device": "cuda:0"}, torch.bfloat16), ({"device": "cuda", "dtype": torch.float16}, torch.float16), ({}, None)],
)
def test_a_folder_of_the_original_takes_half_the_memory_on_a_gpu(monkeypatch, kwargs, dtype):
    seen = {}

    def opened(folder, *, context, **kwargs):
        seen.update(kwargs)
        raise CheckpointError("enough")

    monkeypatch.setattr(checkpoints, "from_original", opened)
    with pytest.raises(CheckpointError, match="enough"):
        checkpoints.load(CASE / "checkpoint", **kwargs)
    assert seen.get("dtype") == dtype
