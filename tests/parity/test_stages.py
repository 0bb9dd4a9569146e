"""Every training stage against the original's own runs: what trains, the loss, and every gradient.

The case holds what the original's `train()` left trainable under its real command lines, and one backward pass in
train mode. Checkpoints are read from the same pieces: a bare language model, an adapter, a LoRA folder.
"""

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from in_memory import from_lora, from_parts
from original_options import trained_by
from safetensors.torch import load_file

from llamavid_kit.data.conversation import training_text
from llamavid_kit.model.original.names import EVA_MAP, KEY_MAP, TOWER, rename
from llamavid_kit.model.original.open import from_original
from llamavid_kit.model.original.parts import PEFT_PREFIX
from llamavid_kit.training.dataset import collate_text
from llamavid_kit.training.stages import STAGES, part_of, set_trainable

RUNS = {  # the case's run → our stage
    "stage1": "align",
    "stage2": "instruct",
    "finetune_freeze_all": "freeze_all",
    "finetune_qformer_pretrain": "instruct",
    "finetune_freeze_mm_mlp_adapter": "freeze_content",
    "lora": "moving_token_lora",
}
ATOL = 5e-5
NORM_RTOL = 5e-5
ZERO = 1e-7  # a gradient that cancels: the key projector's bias moves nothing, but in float32 it is not exactly 0


@dataclass
class Run:
    folder: Path
    name: str
    about: dict
    io: dict
    model: torch.nn.Module

    @property
    def options(self) -> dict[str, str]:
        flags = self.about["argv"]
        return {flag.removeprefix("--"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)}


def open_model(folder: Path, options: dict[str, str], heads: int):
    """The run's model, from the files that its command line names."""
    base = folder / options["model_name_or_path"]
    tower = folder / options["vision_tower"]
    if options.get("lora_enable") == "True":
        model, _ = from_lora(folder / "lora", base=base, vision_heads=heads, merge=False)
    elif "pretrain_qformer" in options:
        model, report = from_parts(
            base,
            vision_weights=tower,
            text_decoder=folder / options["pretrain_qformer"],
            bert_folder=folder / "bert-base-uncased",
            content=options["compress_type"],
            vision_heads=heads,
        )
        put_projectors(model, folder / "stage1_new_modules.bin", report)
    elif "pretrain_mm_mlp_adapter" in options:
        model, _ = from_parts(
            base,
            vision_weights=tower,
            adapter=folder / options["pretrain_mm_mlp_adapter"],
            content=options["compress_type"],
            vision_heads=heads,
        )
    else:
        model, _ = from_original(base, vision_heads=heads)
    return model


def put_projectors(model, path: Path, report):
    """Stage 1 draws its projectors; the case writes down what it used instead."""
    tensors = {rename(name)[0]: t for name, t in torch.load(path, weights_only=True).items()}
    assert set(tensors) == set(report.drawn)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and set(missing) == set(model.state_dict()) - set(tensors)


@cache
def opened(reference: Path, name: str) -> Run:
    folder = next(f for f in reference.iterdir() if f.name.startswith("case10"))
    case = json.loads((folder / "case.json").read_text())
    assert set(case["stages"]) == set(RUNS)
    io = {n.removeprefix(f"{name}."): t for n, t in load_file(folder / "io.safetensors").items()}
    run = Run(folder, name, case["stages"][name] | {"conversation": case["conversation"]}, io, None)
    run.model = open_model(folder, run.options, case["tiny_dims"]["vision"]["num_heads"])
    return run


@pytest.fixture(params=RUNS)
def run(request, reference) -> Run:
    return opened(reference, request.param)


def ours_of(name: str) -> str:
    """The original's parameter → ours; q_bias and v_bias are both one bias of ours."""
    adapter, name = name.startswith(PEFT_PREFIX), name.removeprefix(PEFT_PREFIX).replace(".base_layer.", ".")
    if name.startswith(TOWER):
        return rename(name.removeprefix(TOWER), EVA_MAP)[0].replace("q_bias", "qkv.bias").replace("v_bias", "qkv.bias")
    ours, reason = rename(name, KEY_MAP)
    assert ours and not reason and (adapter or ".lora_" not in ours)
    return ours


def parameters_of(model) -> dict[str, torch.nn.Parameter]:
    return {name.replace(".base_layer.", "."): p for name, p in model.named_parameters()}


def test_exactly_the_same_parameters_train(run):
    """Nothing more and nothing less, in both directions; every parameter of either side has a partner."""
    trained = {n.replace(".base_layer.", ".") for n in set_trainable(run.model, STAGES[RUNS[run.name]])}
    theirs = {ours_of(name) for name in run.about["trainable"]}
    frozen = {ours_of(name) for name in run.about["frozen"]}
    assert len(theirs) == len(run.about["trainable"]) == run.about["n_trainable"] == len(trained)
    assert trained == theirs
    assert set(parameters_of(run.model)) - trained == frozen and not theirs & frozen
    halves = sum(name.endswith((".q_bias", ".v_bias")) for name in run.about["frozen"])  # two of theirs, one of ours
    assert len(parameters_of(run.model)) == run.about["n_params"] - halves // 2


def test_the_option_strings_mean_the_stage(run):
    stage = STAGES[RUNS[run.name]]
    assert set(stage.trains) == set(trained_by(run.options))
    assert (stage.lora is not None) == (run.options.get("lora_enable") == "True")
    assert stage.template == run.options["version"] == run.about["default_conversation"]


def test_the_batch(run):
    """The stored ids, labels and mask come from the conversation; and the text decoder is asked the stored prompt."""
    stage, tokenizer = STAGES[RUNS[run.name]], run.model.tokenizer
    text = training_text(tokenizer, stage.template, run.about["conversation"], rng=random.Random(0))
    batch = collate_text([(text.ids, text.labels)], tokenizer.pad_token_id)
    assert [list(text.questions)] == run.about["prompts"]
    for name, tensor in batch.items():
        assert torch.equal(tensor, run.io[name].to(tensor.dtype)), name


def backward(run: Run):
    """One step in train mode, through the frozen tower; the gradients by our names."""
    model, stage = run.model, STAGES[RUNS[run.name]]
    set_trainable(model, stage)
    model.zero_grad(set_to_none=True)
    model.train()
    assert len(run.about["prompts"]) == 1 and len(run.about["prompts"][0]) == 1
    ids, mask = model.question_ids(run.about["prompts"][0])
    out = model(
        input_ids=run.io["input_ids"],
        attention_mask=run.io["attention_mask"],
        labels=run.io["labels"],
        frames=[run.io["images.0"]],
        question_ids=ids,
        question_mask=mask,
        clip_of=torch.tensor([0]),
    )
    out.loss.backward()
    model.eval()
    return out, {name: p.grad for name, p in parameters_of(model).items() if p.requires_grad}


def close(actual, expected, what):
    torch.testing.assert_close(actual, expected, atol=ATOL, rtol=0, msg=lambda m: f"{what}: {m}")


def test_loss_and_gradients(run):
    """Loss, logits, whole gradients, the norm of each gradient and of each group, and those that are exactly 0."""
    out, grads = backward(run)
    assert out.loss.item() == pytest.approx(run.about["loss"], abs=ATOL)
    close(out.loss, run.io["loss"], "loss")
    seen = {"input_ids", "labels", "attention_mask", "loss"}
    if "logits" in run.io:
        close(out.logits, run.io["logits"], "logits")
        seen.add("logits")
    for name in (n for n in run.io if n.startswith("grad.")):
        close(grads[ours_of(name.removeprefix("grad."))], run.io[name], f"{run.name} {name}")
        seen.add(name)
    other_runs = tuple(f"{name}." for name in RUNS)
    assert {n for n in run.io if not n.startswith((*other_runs, "images."))} == seen
    norms = {name: 0.0 if g is None else g.double().norm().item() for name, g in grads.items()}
    stored = {ours_of(name): norm for name, norm in run.about["grad_norm"].items()}
    assert stored.keys() == norms.keys()
    for name, norm in stored.items():
        assert norms[name] == pytest.approx(norm, rel=NORM_RTOL, abs=ZERO), name
    assert run.about["trainable_without_grad"] == []
    nothing = {ours_of(name) for name in run.about["trainable_with_exactly_zero_grad"]}
    assert {name for name, norm in norms.items() if norm == 0} == nothing
    check_groups(run, norms)


def check_groups(run, norms):
    groups: dict[str, float] = {}
    for theirs in run.about["trainable"]:
        words = theirs.removeprefix(PEFT_PREFIX).removeprefix("model.").split(".")
        lora = next((w for w in words if w.startswith("lora_")), None)
        group = lora or words[0]
        groups[group] = groups.get(group, 0.0) + norms[ours_of(theirs)] ** 2
    stored = run.about["grad_norm_group"]
    assert groups.keys() == stored.keys()
    for group, square in groups.items():
        assert square**0.5 == pytest.approx(stored[group], rel=NORM_RTOL), group


def test_the_tower_gets_no_gradient(run):
    """It is frozen in every stage."""
    backward(run)
    assert all(p.grad is None for p in run.model.vision_tower.parameters())
    assert all(part_of(n) != "vision_tower" for n in set_trainable(run.model, STAGES[RUNS[run.name]]))


@torch.no_grad()
def test_merged_adapters_compute_the_same(reference):
    """As the original merges a LoRA folder before it answers: no adapter is left, the logits stay."""
    run = opened(reference, "lora")
    merged, report = from_lora(
        run.folder / "lora",
        base=run.folder / run.options["model_name_or_path"],
        vision_heads=run.model.config.vision_config.num_attention_heads,
    )
    assert not any("lora" in name or "base_layer" in name for name, _ in merged.named_parameters())
    tokens = merged.frame_tokens(merged.encode_frames(run.io["images.0"]), run.about["prompts"][0][0])
    out = merged(input_ids=run.io["input_ids"], attention_mask=run.io["attention_mask"], visual=[[tokens]])
    close(out.logits, run.io["logits"], "merged logits")
    files = [run.folder / "lora" / name for name in ("adapter_model.bin", "non_lora_trainables.bin")]
    read = {name for file in files for name in torch.load(file, weights_only=True)}
    buffers = {f"lora:{n.removeprefix(PEFT_PREFIX)}" for n in read if n.endswith("position_ids")}
    assert buffers <= set(report.unused)
    used = {source.removeprefix("lora:") for source in report.used.values() if source.startswith("lora:")}
    assert used | {n.removeprefix("lora:") for n in buffers} == {n.removeprefix(PEFT_PREFIX) for n in read}


def test_stage_1_and_2_account_for_every_tensor(reference):
    """Each tensor of each file is used once, or named with its reason."""
    for name in ("stage1", "stage2"):
        run = opened(reference, name)
        base, tower = run.folder / run.options["model_name_or_path"], run.folder / run.options["vision_tower"]
        key = "pretrain_qformer" if "pretrain_qformer" in run.options else "pretrain_mm_mlp_adapter"
        brings = run.folder / run.options[key]
        heads = run.model.config.vision_config.num_attention_heads
        part = {"text_decoder": brings} if key == "pretrain_qformer" else {"adapter": brings}
        bert = run.folder / "bert-base-uncased"
        model, report = from_parts(base, vision_weights=tower, bert_folder=bert, vision_heads=heads, **part)
        tensors = torch.load(brings, weights_only=True)
        tensors = tensors.get("model", tensors)
        prefix = "instructblip:" if key == "pretrain_qformer" else "adapter:"
        named = {s for s in [*report.used.values(), *report.unused] if s.startswith(prefix)}
        assert len(named) == len(tensors)
        ignored = [n for n in report.unused if n.startswith(f"{prefix}llm_proj.")]
        assert len(ignored) == sum(n.startswith("llm_proj.") for n in tensors)
        assert set(report.used) | set(report.drawn) == set(model.state_dict()) and not set(report.used) & set(
            report.drawn
        )
        assert bool(report.drawn) == (name == "stage1")
