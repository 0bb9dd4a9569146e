"""Guards adapters, this kit's and the original's: merged with the right factor, or refused by the name of the fault."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from case01 import CASE, HEADS
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from small import QUESTION, assert_same, small_model, snapshot, write_clip

from llamavid_kit.__main__ import main
from llamavid_kit.data.video import Video
from llamavid_kit.files import CheckpointError
from llamavid_kit.model.checkpoints import load, save, with_adapter
from llamavid_kit.model.identity import fingerprint
from llamavid_kit.model.lora import LORA_LINEARS, LoraSettings, lora_config, read_settings
from llamavid_kit.model.original.convert import convert
from llamavid_kit.model.original.doctor import examine
from llamavid_kit.training.finetune import adapter

ASSETS = Path(__file__).parents[1] / "assets" / "lora_safetensors"
WEIGHTS = "adapter_model.safetensors"
DEFAULTS = {"use_rslora": False, "alpha_pattern": {}, "init_lora_weights": True, "layers_to_transform": None}
ODD = {
    "alpha_pattern": {"q_proj": 64},
    "rank_pattern": {"q_proj": 1},
    "use_dora": True,
    "bias": "lora_only",
    "lora_bias": True,
    "fan_in_fan_out": True,
    "layers_to_transform": 0,
    "layers_pattern": "layers",
    "modules_to_save": ["lm_head"],
    "exclude_modules": ["v_proj"],
    "trainable_token_indices": [5],
    "layer_replication": [[0, 2], [1, 2]],
    "target_parameters": ["mlp.experts.weight"],
    "megatron_config": {"x": 1},
    "use_qalora": True,
    "use_bdlora": {"x": 1},
    "alora_invocation_tokens": [1, 2],
    "scale": 2.0,
    "peft_type": "IA3",
    "r": 0,
    "lora_alpha": "16",
    "lora_dropout": None,
    "use_rslora": "yes",
    "loftq_config []": [],
    "rank_pattern null": None,
    **{f"init_lora_weights {name}": name for name in ("pissa", "pissa_niter_4", "olora", "loftq", "corda", "eva")},
}


@pytest.fixture
def folder(tmp_path, tokenizers) -> Path:
    """What a fine-tuning of the small model leaves, its tensors drawn at random."""
    own = small_model(*tokenizers)
    adapted = get_peft_model(own, lora_config(LoraSettings(r=2, alpha=6), modules_to_save=["content_projector"]))
    adapted.save_pretrained(tmp_path / "adapter")
    rng = torch.Generator().manual_seed(0)
    drawn = {n: torch.randn(t.shape, generator=rng) for n, t in load_file(tmp_path / "adapter" / WEIGHTS).items()}
    save_file(drawn, tmp_path / "adapter" / WEIGHTS)
    return tmp_path / "adapter"


def set_settings(folder: Path, **values) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def merged(own_model, folder: Path, tmp_path: Path) -> dict:
    save(own_model, tmp_path / "model")
    return load(tmp_path / "model", adapter=folder).state_dict()


@pytest.mark.parametrize(("values", "factor"), [({}, 3.0), ({"use_rslora": True}, 6 / math.sqrt(2)), (DEFAULTS, 3.0)])
def test_the_merged_weight(own_model, folder, tmp_path, values, factor):
    """W + alpha / r B A, or alpha / √r with `use_rslora`; the projector is the adapter's own."""
    set_settings(folder, **values)
    state, base, tensors = merged(own_model, folder, tmp_path), own_model.state_dict(), load_file(folder / WEIGHTS)
    name = "language_model.model.layers.0.self_attn.q_proj"
    a, b = (tensors[f"base_model.model.{name}.lora_{x}.weight"] for x in "AB")
    torch.testing.assert_close(state[f"{name}.weight"], base[f"{name}.weight"] + factor * b @ a, atol=1e-5, rtol=1e-5)
    assert torch.equal(state["content_projector.0.bias"], tensors["base_model.model.content_projector.0.bias"])
    assert torch.equal(state["vision_norm.weight"], base["vision_norm.weight"])


@pytest.mark.parametrize("name", ODD)
def test_settings_that_plain_lora_does_not_compute(own_model, folder, name):
    """Refused by name, both ways in; the model is as it was, and `doctor` says the same."""
    before, (field, *_) = snapshot(own_model), name.split()
    set_settings(folder, **{field: ODD[name]})
    with pytest.raises(CheckpointError, match=rf"adapter_config.json: .*{field}"), adapter(own_model, folder):
        pass
    assert_same(before, own_model)
    assert field in examine(folder).problems[0]


def test_no_setting_of_peft_is_read_past():
    """Every setting that this version of peft knows: at its default it passes, with another value it has to be obeyed
    or named."""
    defaults = {name: value for name, value in LoraConfig().to_dict().items() if name != "runtime_config"}
    plain = defaults | {"peft_type": "LORA", "r": 2, "lora_alpha": 6}
    assert read_settings(plain, Path("x")) == (LoraSettings(2, 6, 0.0), 3.0)
    silent = {"task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"}
    silent |= {"target_modules", "megatron_core", "qalora_group_size"}  # checked with the tensors; mean nothing alone
    for name in plain.keys() - silent - {"r", "lora_alpha", "lora_dropout", "use_rslora"}:
        with pytest.raises(CheckpointError, match=name):
            read_settings(plain | {name: "other"}, Path("x"))


PROJECTOR, UP = "base_model.model.content_projector", "base_model.model.language_model.model.layers.1.mlp.up_proj"
FAULTS = {
    "missing": (lambda t: t.pop(f"{UP}.lora_B.weight"), "missing .*up"),
    "missing projector": (lambda t: t.pop(f"{PROJECTOR}.2.bias"), "missing .*projector.2.bias"),
    "unexpected": (lambda t: t.update({f"{UP}.odd.weight": torch.ones(1)}), "unexpected .*up_proj.odd"),
    "misshapen": (lambda t: t.update({f"{PROJECTOR}.0.bias": torch.ones(3)}), r"misshapen .*0.bias: \(3,\) in"),
    "nan": (lambda t: t[f"{PROJECTOR}.0.bias"].fill_(float("nan")), f"{WEIGHTS}: NaN or infinity in {PROJECTOR}.0"),
    "none": (lambda t: t.clear(), "missing .*up_proj"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tensors_that_do_not_fit(own_model, folder, fault):
    before, (change, message) = snapshot(own_model), FAULTS[fault]
    tensors = {n: t.clone() for n, t in load_file(folder / WEIGHTS).items()}
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=message), adapter(own_model, folder):
        pass
    assert_same(before, own_model)


SLOW = ("(.*)*(.*)*(.*)*z$", r"language_model\..*\.((.*)*(.*)*z)", r"language_model\..*\.(q_proj|(.*)*z)", ".*")


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_no_fine_tuning_writes_is_never_matched(own_model, folder, pattern):
    """One that backtracks for years would hang the load."""
    set_settings(folder, target_modules=pattern)
    with pytest.raises(CheckpointError, match=r"adapter_config.json: target_modules=.*list of layers' names"):
        with_adapter(own_model, folder)
    assert "target_modules=" in examine(folder).problems[0]


def test_a_list_of_names_is_as_good_as_the_pattern(own_model, folder, tmp_path):
    expected = merged(own_model, folder, tmp_path)
    set_settings(folder, target_modules=list(LORA_LINEARS))
    state = merged(own_model, folder, tmp_path)
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("targets", [None, "", "nothing", "(", ["nothing"], "vision_norm", 3])
def test_targets_that_are_no_linears(own_model, folder, targets):
    set_settings(folder, target_modules=targets)
    with pytest.raises(CheckpointError, match=r"target_modules="), adapter(own_model, folder):
        pass


def test_an_adapter_of_another_model(folder):
    """Of another width: each tensor is named with both shapes."""
    with pytest.raises(CheckpointError, match=r"missing|misshapen"):
        load("tiny", adapter=folder)


def test_an_adapter_of_other_weights_of_these_shapes(own_model, folder, caplog):
    """What training wrote of its base decides; where nothing was written, a warning says so."""
    (folder / "base.json").write_text(json.dumps({"weights": fingerprint(own_model)}))
    with_adapter(own_model, folder).unload()
    assert "cannot be told" not in caplog.text
    (folder / "base.json").write_text(json.dumps({"weights": "of another"}))
    with pytest.raises(CheckpointError, match="was trained on another model of these shapes"):
        with_adapter(own_model, folder)
    (folder / "base.json").unlink()
    with_adapter(own_model, folder)
    assert "whether it was trained on this model cannot be told" in caplog.text


def test_a_lora_of_the_original_is_not_taken_for_ours(tmp_path, capsys):
    """Its names match nothing here: `ask` refuses it and names the way, `doctor` calls it what it is."""
    clip = write_clip(tmp_path / "clip.mp4")
    assert main(["ask", str(clip), "What happens?", "--adapter", str(ASSETS)]) == 2
    printed = capsys.readouterr()
    assert "a LoRA folder of the original: convert it with --base" in printed.err and not printed.out
    assert examine(ASSETS).kind == "lora"


@pytest.mark.parametrize("rank_stabilized", [False, True])
def test_a_lora_of_the_original_in_safetensors(tmp_path, rank_stabilized):
    """Converted with its base it is what peft makes of it: deltas of plain LoRA and of `use_rslora` differ by √r."""
    shutil.copytree(ASSETS, tmp_path / "lora")
    set_settings(tmp_path / "lora", use_rslora=rank_stabilized)
    torch.save({}, tmp_path / "lora" / "non_lora_trainables.bin")
    for place in ("base", "lora"):
        out, source = tmp_path / f"ours_{place}", CASE / "checkpoint" if place == "base" else tmp_path / "lora"
        convert(source, out=out, vision_heads=HEADS, **({} if place == "base" else {"base": CASE / "checkpoint"}))
    base, ours = (load(tmp_path / f"ours_{place}") for place in ("base", "lora"))
    before = {n: t.clone() for n, t in base.language_model.state_dict().items()}
    theirs = PeftModel.from_pretrained(base.language_model, tmp_path / "lora").merge_and_unload().state_dict()
    state = ours.language_model.state_dict()
    for name, tensor in theirs.items():
        torch.testing.assert_close(state[name], tensor, atol=1e-4, rtol=1e-5)
    name = "model.layers.0.self_attn.q_proj.weight"
    delta = (state[name] - before[name]).abs().sum()
    assert delta > 1 and state.keys() == theirs.keys()
    tensors = load_file(ASSETS / WEIGHTS)
    a, b = (tensors[f"base_model.model.{name.removesuffix('.weight')}.lora_{x}.weight"] for x in "AB")
    factor = 6 / math.sqrt(2) if rank_stabilized else 3
    torch.testing.assert_close(delta, factor * (b @ a).abs().sum(), rtol=1e-4, atol=1e-4)


def test_an_adapter_answers_after_all_checks(own_model, folder, tmp_path):
    """The checked adapter, beside the weights and merged, gives one reply."""
    save(own_model, tmp_path / "model")
    clip = write_clip(tmp_path / "clip.mp4")
    one = load(tmp_path / "model", adapter=folder).ask(Video(clip), QUESTION, fps=1)
    with adapter(own_model, folder) as adapted:
        assert adapted.ask(Video(clip), QUESTION, fps=1).text == one.text
