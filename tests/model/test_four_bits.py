"""Guards `quantise="4bit"`: the language model's layers are packed and nothing else, and no result mixes the two.

Where bitsandbytes is installed the tests run on it, else on a stand-in (`fake_bitsandbytes`): its numbers are others.
"""

import json
import sys
from importlib.util import find_spec

import fake_bitsandbytes
import pytest
import torch
from safetensors.torch import load_file, save_file
from small import QUESTION, pair, random_tokens, small_config, small_model, write_clip
from torch import nn
from transformers import BitsAndBytesConfig, QuantoConfig
from transformers.quantizers.quantizers_utils import should_convert_module

from llamavid_kit.__main__ import COMMANDS, main, parser
from llamavid_kit.data.video import Video
from llamavid_kit.files import CheckpointError
from llamavid_kit.model import checkpoints, four_bits
from llamavid_kit.model.checkpoints import load, save
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.identity import fingerprint, settings_key, vision_key, weights_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import LoraSettings
from llamavid_kit.model.planner import plan
from llamavid_kit.training.finetune import adapter, finetune
from llamavid_kit.training.stage import train_stage
from llamavid_kit.training.stages import TrainSettings

LINEARS = [*(f"self_attn.{x}_proj" for x in "qkvo"), *(f"mlp.{x}_proj" for x in ("gate", "up", "down"))]
PACKED = [f"language_model.model.layers.{layer}.{linear}" for layer in (0, 1) for linear in LINEARS]
UP = "language_model.model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def device(monkeypatch) -> str:
    """Where a model can be packed, by what is installed."""
    if find_spec("bitsandbytes") is None:
        fake_bitsandbytes.install(monkeypatch)
    monkeypatch.setattr(four_bits, "lacking", list)
    return checkpoints.default_device()


@pytest.fixture
def saved(own_model, tmp_path):
    """The small model in bfloat16, as the real ones are."""
    save(own_model, tmp_path / "model", dtype=torch.bfloat16)
    return tmp_path / "model"


class WithNewPart(LlamaVid):
    def __init__(self, config):
        super().__init__(config)
        self.audio_tower = nn.Sequential(nn.Linear(4, 4))


@pytest.mark.parametrize("model_class", [LlamaVid, WithNewPart])
@pytest.mark.parametrize("projected", [True, False])
def test_the_language_models_layers_alone_are_converted(tokenizers, model_class, projected):
    """By transformers' own rule, on every linear that there is; a part that is added later is spared, too."""
    with torch.device("meta"):
        model = model_class(small_config(*tokenizers, feature_projector=projected))
    skipped = four_bits.sparing(BitsAndBytesConfig(load_in_4bit=True), model).llm_int8_skip_modules
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert {"vision_tower", "text_decoder", "content_projector"} <= {name.split(".")[0] for name in linears}
    assert [name for name in linears if should_convert_module(name, skipped)] == PACKED
    assert list(four_bits.packed_linears(model)) == PACKED


def test_what_is_not_packed_is_untouched(saved, device):
    plain, packed = load(saved, device=device), load(saved, device=device, quantise="4bit")
    kind = sys.modules["bitsandbytes"].nn.Linear4bit
    assert [name for name, module in packed.named_modules() if isinstance(module, kind)] == PACKED
    before, after = dict(plain.named_parameters()), dict(packed.named_parameters())
    assert before.keys() == after.keys()
    for name, parameter in after.items():
        if name.removesuffix(".weight") in PACKED:
            assert parameter.dtype == torch.uint8 and parameter.numel() == before[name].numel() / 2
        else:
            assert parameter.dtype == torch.bfloat16 and torch.equal(parameter, before[name]), name
    config = packed.config.quantization_config
    assert config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16 and packed.device.type == device


def test_replies_are_nearly_those_of_the_whole_weights(saved, device):
    models = [load(saved, device=device, **options) for options in ({}, {"quantise": "4bit"})]
    ids, tokens = torch.tensor([[5, 6, 7, 8]], device=device), random_tokens(models[0], 3).to("cpu")
    assert tokens.context.dtype == torch.float32
    whole, packed = (model(ids).logits.float().flatten() for model in models)
    assert not torch.equal(whole, packed) and torch.corrcoef(torch.stack([whole, packed]))[0, 1] > 0.8


def test_a_folder_of_the_original_is_packed_as_it_is(folder, device):
    from case01 import HEADS

    plain, packed = (load(folder, device=device, vision_heads=HEADS, quantise=q) for q in (None, "4bit"))
    names = list(four_bits.packed_linears(plain))
    assert names and [n for n, p in packed.named_parameters() if p.dtype == torch.uint8] == [
        f"{n}.weight" for n in names
    ]
    assert fingerprint(packed) == fingerprint(plain) and weights_key(packed) != weights_key(plain)


def test_a_packed_model_is_another_one_with_the_same_eyes(saved, device):
    """Results, and a training that goes on, belong to the packed weights; frame tokens and adapters to both."""
    plain, packed, again = (load(saved, device=device, quantise=quantise) for quantise in (None, "4bit", "4bit"))
    for key, same in ((settings_key, False), (weights_key, False), (vision_key, True), (fingerprint, True)):
        assert (key(plain) == key(packed)) == same, key.__name__
        assert key(again) == key(packed), key.__name__
    before = weights_key(packed)
    packed.get_parameter(UP).data[3] ^= 1
    assert weights_key(packed) != before


def test_a_setting_of_ones_own_spares_the_same_parts(saved, device):
    own = BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=["language_model.model.layers.0"])
    model = load(saved, device=device, quantization_config=own)
    packed = [name for name, parameter in model.named_parameters() if parameter.dtype == torch.uint8]
    assert packed == [f"{name}.weight" for name in PACKED if ".layers.1." in name]
    assert own.llm_int8_skip_modules == ["language_model.model.layers.0"]
    with pytest.raises(ValueError, match=r"of type QuantoConfig: expected BitsAndBytesConfig"):
        load(saved, quantization_config=QuantoConfig())
    with pytest.raises(ValueError, match="quantise='4bit' and a quantization_config: give one"):
        load(saved, quantise="4bit", quantization_config=own)
    with pytest.raises(ValueError, match="quantise='8bit': expected \"4bit\""):
        load(saved, quantise="8bit")


@pytest.mark.parametrize(
    ("gpu", "library", "message"),
    [
        (False, False, "a GPU that torch sees and bitsandbytes .pip install 'llamavid-kit.quantisation.'"),
        (True, False, "4 bits need bitsandbytes .pip install 'llamavid-kit.quantisation.'"),
        (False, True, "4 bits need a GPU that torch sees, not found here; or leave quantise .--quantise. out"),
    ],
)
def test_what_the_machine_lacks_is_named_with_the_way_to_it(monkeypatch, gpu, library, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(four_bits, "is_bitsandbytes_available", lambda: library)
    with pytest.raises(ValueError, match=message):
        load("tiny", quantise="4bit")


def test_packed_weights_are_not_saved_nor_trained_whole(saved, device, tmp_path):
    model = load(saved, device=device, quantise="4bit")
    with pytest.raises(ValueError, match="packed weights are rounded and not saved"):
        save(model, tmp_path / "again")
    with pytest.raises(ValueError, match="stage 'align' saves whole weights, and these are packed"):
        train_stage(model, [pair("a", "Red")], stage="align", out=tmp_path / "again")
    assert not (tmp_path / "again").exists()
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": {"load_in_4bit": True}}))
    with pytest.raises(CheckpointError, match="quantization_config.* is not known to this kit"):
        load(saved)


def test_a_weight_that_is_no_number_is_named_though_it_is_packed(saved, device):
    tensors = load_file(saved / "model.safetensors")
    tensors[UP][3, 5] = float("nan")
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"NaN or infinity in {UP}"):
        load(saved, device=device, quantise="4bit")


@pytest.fixture
def trained(saved, device, tmp_path):
    """The folder of an adapter that was trained on the packed model, and what trained, by dtype."""
    model = load(saved, device=device, quantise="4bit")
    pairs = [pair(f"c{k}", label, split="train") for k, label in enumerate(("Red", "Blue"))]
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    settings = TrainSettings(batch_size=2, max_steps=2, learning_rate=0.05)
    tokens = [random_tokens(model, 2, seed=k) for k in range(2)]
    finetune(model, pairs, tokens, out=tmp_path / "lora", settings=settings, lora=LoraSettings(r=2))
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], parameter.data) for name, parameter in after.items())
    return tmp_path / "lora"


def test_an_adapter_is_trained_on_packed_weights_and_stays_beside_them(saved, trained, device, caplog, tmp_path):
    """What trained has moved; merged it would be rounded, so that `load` gives what the training saw."""
    tensors = load_file(trained / "adapter" / "adapter_model.safetensors")
    assert all(tensor.is_floating_point() for tensor in tensors.values())
    sides = [tensor for name, tensor in tensors.items() if "lora_B" in name]
    assert len(sides) == len(PACKED) and all(side.abs().max() > 0 for side in sides)
    bare, alone = (load(saved, device=device, quantise="4bit", adapter=a) for a in (None, trained))
    packed = {n.replace(".base_layer", ""): p for n, p in alone.named_parameters() if p.dtype == torch.uint8}
    assert len(packed) == len(PACKED)
    assert all(torch.equal(p, bare.get_parameter(name)) for name, p in packed.items())
    assert weights_key(alone) != weights_key(bare) and vision_key(alone) == vision_key(bare)
    clip = Video(write_clip(tmp_path / "clip.mp4"))
    with adapter(bare, trained) as adapted:
        assert type(adapted.get_submodule(PACKED[0])).__module__ == "peft.tuners.lora.bnb"
        text = adapted.ask(clip, QUESTION, fps=1).text
    assert alone.ask(clip, QUESTION, fps=1).text == text != bare.ask(clip, QUESTION, fps=1).text
    load(saved, adapter=trained)  # on the weights that were packed, merged
    assert "cannot be told" not in caplog.text


def test_an_adapter_of_other_weights_is_refused(tokenizers, trained, device, tmp_path):
    save(small_model(*tokenizers, seed=1), tmp_path / "other", dtype=torch.bfloat16)
    for quantise in (None, "4bit"):
        with pytest.raises(CheckpointError, match="trained on another model of these shapes"):
            load(tmp_path / "other", device=device, quantise=quantise, adapter=trained)


def test_planned_bytes_by_hand():
    """Of the 7B: 32 layers with 4 linears of 4096² and 3 of 4096 x 11008; half a byte each, and its part of scales."""
    config = LlamaVidConfig.llama_vid_7b_224()
    n_packed = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    expected = (7_941_443_072 - n_packed) * 2 + n_packed * (0.5 + 1 / 64 + 1 / 4096)
    planned = plan(config, duration_s=60, fps=1, quantise="4bit")
    assert planned.weight_bytes == pytest.approx(expected, abs=1)
    assert planned.kv_cache_bytes == plan(config, duration_s=60, fps=1).kv_cache_bytes


LOAD = ("ask", "attention", "finetune", "ablate", "evaluate")


def test_every_command_that_takes_a_model_can_pack_it():
    """But `bench`, whose rows are compared on the CPU."""
    takes: dict[str, set[str]] = {"--model": set(), "--quantise": set()}
    for name in COMMANDS:
        command = parser([name])._subparsers._group_actions[0].choices[name]
        for option, names in takes.items():
            if option in command._option_string_actions:
                names.add(name)
    assert takes["--quantise"] == {*LOAD, "plan", "experiments"} == takes["--model"] - {"bench"}


@pytest.mark.parametrize("command", [*LOAD, "ablate --no-finetune"])
def test_the_option_reaches_the_model(command, tmp_path, monkeypatch, capsys):
    def stop(quantise):
        raise ValueError(f"{quantise} it is")

    monkeypatch.setattr(checkpoints, "four_bits", stop)
    clip, out = str(write_clip(tmp_path / "a.mp4")), str(tmp_path / "out")
    write_clip(tmp_path / "c.mp4", seed=1)
    (tmp_path / "b.csv").write_text("video,label,split\na.mp4,x,test\nc.mp4,y,train\n")
    (tmp_path / "b.jsonl").write_text(json.dumps(pair("a", "Red", split="train").to_dict()) + "\n")
    argv = {
        "ask": [clip, "What?"],
        "attention": [clip, "What?"],
        "finetune": ["--pairs", str(tmp_path / "b.jsonl"), "--root", str(tmp_path), "--out", out],
        "ablate": ["--clips", str(tmp_path / "b.csv"), "--out", out],
        "ablate --no-finetune": ["--clips", str(tmp_path / "b.csv"), "--out", out],
        "evaluate": ["pope", "--data", str(tmp_path), "--out", out],
    }[command]
    assert main([*command.split(), *argv, "--quantise", "4bit"]) == 2
    assert "error: 4bit it is" in capsys.readouterr().err


def test_a_stage_takes_no_packed_model(tmp_path, capsys):
    argv = ["finetune", "--pairs", "p", "--root", "r", "--out", "o", "--stage", "align", "--quantise", "4bit"]
    assert main(argv) == 2
    assert "error: --quantise: for fixed-token LoRA, and --stage align saves whole weights" in capsys.readouterr().err
