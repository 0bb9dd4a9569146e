"""Guards models that lie in pieces: a bare language model with new parts, a stage-1 adapter, a LoRA folder.

The pieces are cut from the shipped case 01 (random weights), so that everybody can check them; a fault in a piece is
one error that names the culprit.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from case01 import CASE, HEADS
from in_memory import from_lora, from_parts

from llamavid_kit.model.checkpoints import CheckpointError, load
from llamavid_kit.model.original.convert import convert
from llamavid_kit.model.original.open import from_original

TOWER = CASE / "model_zoo/LAVIS/eva_vit_g.pth"
LLM = ("model.embed_tokens.", "model.layers.", "model.norm.", "lm_head.")
NEW = (
    "model.mm_projector.",
    "model.vlm_att_projector.",
    "model.vlm_att_key_projector.",
    "model.vlm_att_val_projector.",
)
VISUAL = ("bert_type", "num_query", "compress_type", "image_processor", "image_aspect_ratio", "use_mm_proj")
LINEARS = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]


@pytest.fixture(scope="module")
def tensors() -> dict:
    shards = sorted((CASE / "checkpoint").glob("pytorch_model-*.bin"))
    return {n: t for shard in shards for n, t in torch.load(shard, weights_only=True).items()}


@pytest.fixture
def pieces(tmp_path, tensors) -> Path:
    """llm/ · mm_projector.bin · instruct_blip.pth · lora/, all of case 01's values."""
    llm = tmp_path / "llm"
    llm.mkdir()
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(CASE / "checkpoint" / name, llm)
    config = json.loads((CASE / "checkpoint" / "config.json").read_text())
    kept = {n: v for n, v in config.items() if not n.startswith("mm_") and n not in VISUAL}
    (llm / "config.json").write_text(json.dumps(kept | {"model_type": "llama"}))
    torch.save({n: t for n, t in tensors.items() if n.startswith(LLM)}, llm / "pytorch_model.bin")
    rest = {n: t for n, t in tensors.items() if not n.startswith((*LLM, "model.vision_tower."))}
    torch.save(rest, tmp_path / "mm_projector.bin")
    torch.save({"model": instruct_blip(rest)}, tmp_path / "instruct_blip.pth")
    write_lora(tmp_path / "lora", config, tensors, rest)
    return tmp_path


def instruct_blip(rest: dict) -> dict:
    """InstructBLIP's own names, its projection to another language model included."""
    renamed = {"model.vlm_att_query": "query_tokens"}
    tensors = {renamed.get(n, n): t for n, t in rest.items() if not n.startswith(NEW)}
    tensors = {n.replace("model.vlm_att_encoder.", "Qformer."): t for n, t in tensors.items()}
    tensors = {n.replace("model.vlm_att_ln.", "ln_vision."): t for n, t in tensors.items()}
    return tensors | {"llm_proj.weight": torch.ones(5, 3), "llm_proj.bias": torch.ones(5)}


def write_lora(folder: Path, config: dict, tensors: dict, rest: dict, *, r: int = 2, alpha: int = 6) -> None:
    folder.mkdir()
    rng, adapters = torch.Generator().manual_seed(0), {}
    for layer in range(config["num_hidden_layers"]):
        for linear in LINEARS:
            n_out, n_in = tensors[f"model.layers.{layer}.{linear}.weight"].shape
            at = f"base_model.model.model.layers.{layer}.{linear}"
            adapters[f"{at}.lora_A.weight"] = torch.randn(r, n_in, generator=rng)
            adapters[f"{at}.lora_B.weight"] = torch.randn(n_out, r, generator=rng)
    torch.save(adapters, folder / "adapter_model.bin")
    moved = {f"base_model.model.{n}": t + 1 if t.is_floating_point() else t for n, t in rest.items()}
    torch.save(moved, folder / "non_lora_trainables.bin")
    (folder / "config.json").write_text(json.dumps(config | {"compress_type": "grid:2"}))
    settings = {"peft_type": "LORA", "r": r, "lora_alpha": alpha, "lora_dropout": 0.25, "bias": "none"}
    targets = {"target_modules": [linear.split(".")[1] for linear in LINEARS], "modules_to_save": None}
    (folder / "adapter_config.json").write_text(json.dumps(settings | targets))


def parts(pieces: Path, **kwargs):
    bert = CASE / "bert-base-uncased"
    return from_parts(pieces / "llm", vision_weights=TOWER, bert_folder=bert, vision_heads=HEADS, **kwargs)


def lora(pieces: Path, **kwargs):
    return from_lora(pieces / "lora", base=CASE / "checkpoint", vision_heads=HEADS, **kwargs)


def edit(path: Path, change, *, inside: str | None = None) -> None:
    """Let `change` alter the tensors of a file."""
    loaded = torch.load(path, weights_only=True)
    change(loaded[inside] if inside else loaded)
    torch.save(loaded, path)


def not_a_number(tensors: dict) -> None:
    next(t for t in tensors.values() if t.is_floating_point()).view(-1)[0] = float("nan")


def equal(ours, theirs) -> list[str]:
    return [n for n in theirs if not torch.equal(ours[n], theirs[n])]


def test_an_adapter_on_its_base_is_the_whole(pieces):
    """All pieces together give the model that the whole checkpoint gives, with the same configuration."""
    whole, _ = from_original(CASE / "checkpoint", vision_heads=HEADS)
    model, report = parts(pieces, adapter=pieces / "mm_projector.bin")
    assert model.state_dict().keys() == whole.state_dict().keys() == report.used.keys()
    assert equal(model.state_dict(), whole.state_dict()) == [] and not report.drawn and not model.training
    different = ("dtype", "architectures", "_name_or_path", "transformers_version")
    ours, theirs = ({k: v for k, v in m.config.to_dict().items() if k not in different} for m in (model, whole))
    assert ours == theirs
    assert model.tokenizer("a").input_ids == whole.tokenizer("a").input_ids
    assert parts(pieces, adapter=pieces / "mm_projector.bin", content="grid:2")[0].config.content == "grid:2"


def test_stage_1_begins_from_instruct_blip(pieces):
    """Its Q-Former, norm and queries are taken, its projection is named and left, ours are drawn from the seed."""
    whole = from_original(CASE / "checkpoint", vision_heads=HEADS)[0].state_dict()
    model, report = parts(pieces, text_decoder=pieces / "instruct_blip.pth", seed=3)
    state = model.state_dict()
    drawn = {n for n in state if n.startswith(("content_projector.", "context_attention."))}
    assert set(report.drawn) == drawn and len(drawn) == 10 and set(equal(state, whole)) == drawn
    ignored = [n for n in report.unused if "llm_proj" in n]
    assert ignored == ["instructblip:llm_proj.weight", "instructblip:llm_proj.bias"]
    assert all("InstructBLIP" in report.unused[n] for n in ignored)
    assert f"drawn at random: 10 ({report.drawn[0]}" in str(report)
    again = parts(pieces, text_decoder=pieces / "instruct_blip.pth", seed=3)[0].state_dict()
    other = parts(pieces, text_decoder=pieces / "instruct_blip.pth", seed=4)[0].state_dict()
    assert equal(again, state) == [] and set(equal(other, state)) == drawn


def test_new_projectors_are_drawn_as_linears_are(pieces):
    """Uniform within 1/√(inputs), weight and bias, as `nn.Linear` of the original."""
    model, _ = parts(pieces, text_decoder=pieces / "instruct_blip.pth")
    attention = model.context_attention
    linears = [model.content_projector[0], model.content_projector[2], attention.text_projector]
    for linear in [*linears, attention.key_projector, attention.value_projector]:
        bound = linear.in_features**-0.5
        assert 0.9 * bound < linear.weight.abs().max() <= bound and linear.bias.abs().max() <= bound
        assert abs(linear.weight.std() / (bound / 3**0.5) - 1) < 0.1 and abs(linear.weight.mean()) < 0.1 * bound


def test_lora_is_merged_with_its_scaling(pieces, tensors):
    model, report = lora(pieces)
    base = from_original(CASE / "checkpoint", vision_heads=HEADS)[0].state_dict()
    state = model.state_dict()
    assert state.keys() == base.keys() and model.config.content == "grid:2"
    adapters = torch.load(pieces / "lora" / "adapter_model.bin", weights_only=True)
    assert len(report.used) == len(state) + len(adapters) and state.keys() <= report.used.keys()
    for name in state:
        kind = name.removesuffix(".weight").removeprefix("language_model.")
        if f"base_model.model.{kind}.lora_A.weight" in adapters:
            a, b = (adapters[f"base_model.model.{kind}.lora_{x}.weight"] for x in "AB")
            torch.testing.assert_close(state[name], base[name] + 3 * b @ a, atol=1e-5, rtol=1e-5)
        elif name.startswith(("language_model.", "vision_tower.")):
            assert torch.equal(state[name], base[name]), name
        else:
            assert torch.equal(state[name], base[name] + 1), name


def test_rank_stabilized_lora_is_merged_with_its_own_scaling(pieces, tensors):
    """alpha / √r: √2 times the plain delta at rank 2; peft's merge is the second opinion."""
    path = pieces / "lora" / "adapter_config.json"
    plain = convert_lora(pieces, "plain")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_rslora": True}))
    ours, theirs = convert_lora(pieces, "stabilized"), lora(pieces)[0].state_dict()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=1e-5)
    name = "model.layers.0.self_attn.q_proj.weight"
    deltas = [(state[f"language_model.{name}"] - tensors[name]).norm() for state in (plain, ours)]
    torch.testing.assert_close(deltas[1] / deltas[0], torch.tensor(2**0.5), atol=1e-4, rtol=0)


def convert_lora(pieces: Path, name: str) -> dict:
    convert(pieces / "lora", base=CASE / "checkpoint", out=pieces / name, vision_heads=HEADS)
    return load(pieces / name).state_dict()


def test_lora_left_beside_its_base(pieces):
    """Unmerged it computes the same as merged, in eval mode; its dropout is the folder's."""
    beside, merged = lora(pieces, merge=False)[0], lora(pieces)[0]
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        torch.testing.assert_close(beside(ids).logits, merged(ids).logits, atol=1e-3, rtol=1e-4)
    linear = beside.language_model.model.layers[0].self_attn.q_proj
    assert linear.scaling == {"default": 3.0} and linear.lora_dropout["default"].p == 0.25
    assert sum(".lora_" in n for n, _ in beside.named_parameters()) == 2 * 7 * len(beside.language_model.model.layers)


@pytest.mark.parametrize(
    ("file", "inside", "change", "message"),
    [
        ("mm_projector.bin", None, lambda t: t.update(extra=torch.ones(1)), "unexpected tensors: adapter:extra"),
        ("mm_projector.bin", None, lambda t: not_a_number(t), r"mm_projector\.bin: NaN or infinity in model\."),
        ("mm_projector.bin", None, lambda t: t.pop("model.vlm_att_ln.bias"), r"missing vision_norm\.bias"),
        ("mm_projector.bin", None, lambda t: t.pop("model.vlm_att_query"), "missing tensors: text_decoder.query_tok"),
        ("mm_projector.bin", None, lambda t: t.pop("model.mm_projector.2.bias"), r"missing content_projector\.2\.bias"),
        ("mm_projector.bin", None, lambda t: t.update({"lm_head.weight": torch.ones(1)}), r"two files: .*lm_head"),
        (
            "mm_projector.bin",
            None,
            lambda t: t.update({"model.mm_projector.2.bias": torch.ones(7)}),
            r"misshapen content_projector\.2\.bias: \(7,\)",
        ),
        ("llm/pytorch_model.bin", None, lambda t: t.pop("model.norm.weight"), r"missing language_model\.model\.norm"),
        (
            "llm/pytorch_model.bin",
            None,
            lambda t: t.update({"model.vlm_att_query": torch.ones(1)}),
            r"not a bare language model: it also holds llm:model\.vlm_att_query",
        ),
    ],
)
def test_faults_of_an_adapter_and_its_base(pieces, file, inside, change, message):
    edit(pieces / file, change, inside=inside)
    with pytest.raises(CheckpointError, match=message):
        parts(pieces, adapter=pieces / "mm_projector.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.update({"Qformer.cls.bias": torch.ones(1)}),
            r"unexpected tensors: instructblip:Qformer\.cls\.bias",
        ),
        (lambda t: t.pop("ln_vision.weight"), r"missing vision_norm\.weight"),
        (lambda t: t.pop("Qformer.bert.embeddings.word_embeddings.weight"), r"missing tensors: .*word_embeddings"),
    ],
)
def test_faults_of_instruct_blip(pieces, change, message):
    edit(pieces / "instruct_blip.pth", change, inside="model")
    with pytest.raises(CheckpointError, match=message):
        parts(pieces, text_decoder=pieces / "instruct_blip.pth")


def test_a_part_given_twice_or_never(pieces):
    both = {"adapter": pieces / "mm_projector.bin", "text_decoder": pieces / "instruct_blip.pth"}
    with pytest.raises(CheckpointError, match=r"given by two files: .*text_decoder\.query_tokens"):
        parts(pieces, **both)
    with pytest.raises(CheckpointError, match=r"missing tensors: .*text_decoder\."):
        parts(pieces)
    with pytest.raises(CheckpointError, match="expected tensors by name"):
        parts(pieces, text_decoder=pieces / "mm_projector.bin")  # it has no "model" inside
    with pytest.raises(CheckpointError, match="no config.json"):
        from_parts(pieces, vision_weights=TOWER)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("adapter_model.bin", lambda t: t.popitem(), r"missing language_model.*\.1\.mlp\.down_proj\.lora_B"),
        ("adapter_model.bin", lambda t: t.update(stray=torch.ones(1)), "unexpected tensors: stray"),
        ("adapter_model.bin", lambda t: not_a_number(t), r"adapter_model\.bin: NaN or infinity in base_model"),
        ("non_lora_trainables.bin", lambda t: not_a_number(t), r"non_lora_trainables\.bin: NaN or infinity"),
        (
            "adapter_model.bin",
            lambda t: t.update({"base_model.model.model.layers.9.x.lora_A.weight": torch.ones(1)}),
            r"unexpected language_model\.model\.layers\.9\.x\.lora_A",
        ),
        ("non_lora_trainables.bin", lambda t: t.update({"base_model.model.odd": torch.ones(1)}), "tensors: lora:odd"),
        (
            "non_lora_trainables.bin",
            lambda t: t.update({"base_model.model.model.norm.scale": torch.ones(1)}),
            r"not in .*: lora:model\.norm\.scale",
        ),
    ],
)
def test_faults_of_a_lora_folder(pieces, file, change, message):
    edit(pieces / "lora" / file, change)
    with pytest.raises(CheckpointError, match=message):
        lora(pieces)
    with pytest.raises(CheckpointError, match=message):
        convert(pieces / "lora", base=CASE / "checkpoint", out=pieces / "ours", vision_heads=HEADS)
    assert not (pieces / "ours").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": "all"}, "'bias': 'all'.* is not supported"),
        ({"modules_to_save": ["lm_head"]}, "is not supported"),
        ({"use_dora": True}, "adapter_config.json: {'use_dora': True} is not supported"),
        ({"lora_bias": True, "alpha_pattern": {"q_proj": 1}}, "'lora_bias': True, 'alpha_pattern': {'q_proj': 1}"),
        ({"init_lora_weights": "pissa"}, "'init_lora_weights': 'pissa'"),
        ({"target_modules": [["q_proj"]]}, "target_modules="),
        ({"r": None}, "r=None, lora_alpha=6"),
        ({"target_modules": ["q_proj", "query"]}, "target_modules=.*expected some of q_proj"),
        ({"target_modules": "all-linear"}, "target_modules='all-linear'"),
        ({"r": 3}, "misshapen .*lora_A"),
    ],
)
def test_faults_of_an_adapter_config(pieces, change, message):
    path = pieces / "lora" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        lora(pieces)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.bin", "non_lora_trainables.bin", "config.json"])
def test_a_lora_folder_without_one_of_its_files(pieces, name):
    (pieces / "lora" / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}"):
        lora(pieces)


def test_the_tower_is_looked_for_beside_the_language_model(pieces):
    arguments = {"adapter": pieces / "mm_projector.bin", "bert_folder": CASE / "bert-base-uncased"}
    with pytest.raises(CheckpointError, match=r"eva_vit_g\.pth not found .*--vision-weights"):
        from_parts(pieces / "llm", vision_heads=HEADS, **arguments)
    shutil.copy(TOWER, pieces)
    beside, _ = from_parts(pieces / "llm", vision_heads=HEADS, **arguments)
    named, _ = parts(pieces, adapter=pieces / "mm_projector.bin")
    assert equal(beside.state_dict(), named.state_dict()) == []
