"""Guards strict conversion: every tensor of the original lands where it belongs or is named, and a fault in a folder
is one error that names the culprit. Works on the shipped case 01 (random weights, the original's layout on disk).
"""

import json
import pickle
import shutil
from functools import cache
from pathlib import Path

import pytest
import torch

from llamavid_kit.model import checkpoints
from llamavid_kit.model.checkpoints import CheckpointError, load
from llamavid_kit.model.original.convert import convert
from llamavid_kit.model.original.names import TOWER
from llamavid_kit.model.original.open import from_original
from llamavid_kit.model.original.tensors import read_original

CASE = Path(__file__).parents[1] / "assets" / "case01"
HEADS = json.loads((CASE / "tiny_dims.json").read_text())["vision"]["num_heads"]
INDEX = "pytorch_model.bin.index.json"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the checkpoint with its EVA file and BERT folder beside it."""
    shutil.copytree(CASE, tmp_path / "case")
    return tmp_path / "case" / "checkpoint"


def shards(folder: Path) -> dict[str, dict]:
    return {p.name: torch.load(p, weights_only=True) for p in sorted(folder.glob("pytorch_model-*.bin"))}


@cache
def names() -> tuple[str, ...]:
    return tuple(json.loads((CASE / "checkpoint" / INDEX).read_text())["weight_map"])


def edit(folder: Path, name: str, change) -> None:
    """Replace the tensor `name` by change(tensor); None takes it out of shard and index, as if never written."""
    index = json.loads((folder / INDEX).read_text())
    shard = folder / index["weight_map"][name]
    tensors = torch.load(shard, weights_only=True)
    new = change(tensors[name])
    if new is None:
        del tensors[name], index["weight_map"][name]
        (folder / INDEX).write_text(json.dumps(index))
    else:
        tensors[name] = new
    torch.save(tensors, shard)


def set_config(folder: Path, **values) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_every_tensor_is_used_or_named_with_a_reason():
    model, report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    eva = torch.load(CASE / "model_zoo/LAVIS/eva_vit_g.pth", weights_only=True)
    read = {*names(), *(f"eva:{n}" for n in eva)}
    sources = [s for entry in report.used.values() for s in entry.split(", ") if s != "0"]
    assert sorted([*sources, *report.unused]) == sorted(read)  # each exactly once
    assert report.used.keys() == model.state_dict().keys() and all(report.unused.values())
    for name in report.unused:
        own_tower = name.startswith(TOWER)
        buffer = name.endswith(("inv_freq", "position_ids"))
        past = name.startswith(("eva:blocks.2.", "eva:norm.", "eva:head."))
        assert own_tower or buffer or past, name
    text = str(report)
    assert f"{len(report.used)} tensors converted, {len(report.unused)} not used" in text
    assert set(report.unused.values()) <= {line.strip().rsplit(": ", 1)[0] for line in text.splitlines()[1:]}


def state_of(tensors: dict, eva: dict, monkeypatch) -> dict:
    """`read_original` of tensors in memory: thousands of files would take minutes."""
    from llamavid_kit.model.original import tensors as original

    monkeypatch.setattr(original, "read_shards", lambda folder: dict(tensors))
    monkeypatch.setattr(original, "load_tensors", lambda path: dict(eva))
    return read_original(CASE / "checkpoint", vision_weights="eva", vision_heads=HEADS)[1]


def whole() -> tuple[dict, dict]:
    tensors = {n: t for shard in shards(CASE / "checkpoint").values() for n, t in shard.items()}
    return tensors, torch.load(CASE / "model_zoo/LAVIS/eva_vit_g.pth", weights_only=True)


def test_each_original_tensor_moves_exactly_its_own(monkeypatch):
    """Add 1 to one tensor of the original at a time: exactly the mapped tensor of ours changes, by 1."""
    tensors, eva = whole()
    before = state_of(tensors, eva, monkeypatch)
    _, report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    ours_of = {s: ours for ours, entry in report.used.items() for s in entry.split(", ")}
    for source in [*tensors, *(f"eva:{n}" for n in eva)]:
        changed_tensors, changed_eva = dict(tensors), dict(eva)
        where, name = (changed_eva, source[4:]) if source.startswith("eva:") else (changed_tensors, source)
        where[name] = where[name] + 1
        after = state_of(changed_tensors, changed_eva, monkeypatch)
        moved = {n for n in after if not torch.equal(after[n], before[n])}
        assert moved == ({ours_of[source]} if source in ours_of else set()), source
        for ours in moved:
            delta = (after[ours] - before[ours]).flatten()
            if name.endswith(("q_bias", "v_bias")):  # q, k and v lie one behind the other; k has none
                third = {"q": 0, "v": 2}[name.split(".")[-1][0]]
                expected = torch.zeros(3, len(delta) // 3)
                expected[third] = 1
                torch.testing.assert_close(delta, expected.flatten(), atol=1e-5, rtol=0)
            else:
                torch.testing.assert_close(delta, torch.ones_like(delta), atol=1e-5, rtol=0)


def test_names_land_where_they_say():
    """Spot checks by hand, one of each kind, value by value."""
    model, _ = from_original(CASE / "checkpoint", vision_heads=HEADS)
    state, (tensors, eva) = model.state_dict(), whole()
    bert, qformer = "model.vlm_att_encoder.bert.", "text_decoder.qformer."
    for ours, theirs in {
        "language_model.model.embed_tokens.weight": "model.embed_tokens.weight",
        "language_model.model.layers.1.mlp.gate_proj.weight": "model.layers.1.mlp.gate_proj.weight",
        "language_model.lm_head.weight": "lm_head.weight",
        "content_projector.0.weight": "model.mm_projector.0.weight",
        "content_projector.2.bias": "model.mm_projector.2.bias",
        "text_decoder.query_tokens": "model.vlm_att_query",
        "vision_norm.bias": "model.vlm_att_ln.bias",
        "context_attention.text_projector.weight": "model.vlm_att_projector.weight",
        "context_attention.key_projector.weight": "model.vlm_att_key_projector.weight",
        "context_attention.value_projector.weight": "model.vlm_att_val_projector.weight",
        qformer + "embeddings.layernorm.weight": bert + "embeddings.LayerNorm.weight",
        qformer + "encoder.layer.1.attention.attention.query.weight": bert
        + "encoder.layer.1.attention.self.query.weight",
        qformer + "encoder.layer.2.crossattention.attention.key.weight": bert
        + "encoder.layer.2.crossattention.self.key.weight",
        qformer + "encoder.layer.0.attention.output.LayerNorm.bias": bert
        + "encoder.layer.0.attention.output.LayerNorm.bias",
    }.items():
        assert torch.equal(state[ours], tensors[theirs]), ours
    attention = "vision_tower.encoder.layers.1.self_attn.qkv.bias"
    q, v = eva["blocks.1.attn.q_bias"], eva["blocks.1.attn.v_bias"]
    assert torch.equal(state[attention], torch.cat([q, torch.zeros_like(q), v]))
    assert torch.equal(state["vision_tower.encoder.layers.0.mlp.fc1.weight"], eva["blocks.0.mlp.fc1.weight"])


# --- planted faults


def used_names() -> list[str]:
    _, report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    return [n for n in names() if n not in report.unused]


def mentions(error, original_name: str, report) -> bool:
    ours = next(o for o, source in report.used.items() if original_name in source.split(", "))
    return original_name in str(error) or ours in str(error)


def test_any_tensor_missing(monkeypatch):
    """Each tensor that is used, left out once, from the checkpoint or from the EVA file: an error names it."""
    from llamavid_kit.model.original import tensors as original

    tensors, eva = whole()
    _, report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    eva_used = [s[4:] for entry in report.used.values() for s in entry.split(", ") if s.startswith("eva:")]
    for name in [*used_names(), *eva_used]:
        left = {n: t for n, t in tensors.items() if n != name}
        left_eva = {n: t for n, t in eva.items() if n != name}
        monkeypatch.setattr(original, "read_shards", lambda folder, left=left: left)
        monkeypatch.setattr(original, "load_tensors", lambda path, left=left_eva: left)
        with pytest.raises(CheckpointError) as error:
            from_original(CASE / "checkpoint", vision_heads=HEADS)
        assert mentions(error.value, name if name in tensors else f"eva:{name}", report) or name in str(error.value), (
            name
        )


@pytest.mark.parametrize(
    "name",
    ["model.vlm_att_val_projector.weight", "model.layers.1.self_attn.q_proj.weight", "model.mm_projector.2.bias"],
)
def test_a_misshapen_tensor(folder, name):
    edit(folder, name, lambda t: torch.cat([t, t]))
    with pytest.raises(CheckpointError, match=r"misshapen .*expected"):
        from_original(folder, vision_heads=HEADS)


def test_several_faults_are_one_list(folder):
    edit(folder, "model.vlm_att_val_projector.weight", lambda t: t[:-1])
    edit(folder, "model.norm.weight", lambda t: None)
    message = r"missing language_model.model.norm.weight .*misshapen context_attention.value_projector.weight"
    with pytest.raises(CheckpointError, match=message):
        from_original(folder, vision_heads=HEADS)


@pytest.mark.parametrize(
    "name",
    [
        "model.vlm_att_second.weight",
        "stranger",
        "model.vlm_att_encoder.cls.predictions.bias",
        "xlm_head.weight",
        "model.layers.7.self_attn.q_proj.weight",
        "model.vlm_att_encoder.bert.pooler.dense.weight",
    ],
)
def test_an_unexpected_tensor(folder, name):
    index = json.loads((folder / INDEX).read_text())
    shard = sorted(shards(folder))[0]
    tensors = torch.load(folder / shard, weights_only=True)
    torch.save(tensors | {name: torch.ones(2)}, folder / shard)
    with pytest.raises(CheckpointError, match=f"disagree: unexpected {name}"):
        from_original(folder, vision_heads=HEADS)
    index["weight_map"][name] = shard
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="unexpected .*" + name.split(".")[-2 if "." in name else 0]):
        from_original(folder, vision_heads=HEADS)


def test_an_unexpected_tensor_in_the_eva_file(folder):
    path = folder.parent / "model_zoo/LAVIS/eva_vit_g.pth"
    torch.save(torch.load(path, weights_only=True) | {"blocks.0.attn.k_bias": torch.ones(32)}, path)
    with pytest.raises(CheckpointError, match="vision tower: unexpected tensors: eva:blocks.0.attn.k_bias"):
        from_original(folder, vision_heads=HEADS)


def test_a_shard_that_is_not_there(folder):
    shard = sorted(shards(folder))[1]
    (folder / shard).unlink()
    with pytest.raises(CheckpointError, match=f"{shard} does not exist"):
        from_original(folder, vision_heads=HEADS)


def test_a_tensor_that_the_index_promises(folder):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.ghost"] = sorted(shards(folder))[0]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="disagree: missing model.ghost"):
        from_original(folder, vision_heads=HEADS)


def test_a_tensor_in_two_shards(folder):
    first, second = sorted(shards(folder))
    tensors = torch.load(folder / first, weights_only=True)
    name = next(iter(tensors))
    torch.save(torch.load(folder / second, weights_only=True) | {name: tensors[name] + 1}, folder / second)
    with pytest.raises(CheckpointError, match=f"{name}.*two shards"):
        from_original(folder, vision_heads=HEADS)


@pytest.mark.parametrize("path", ["../{0}", "/{0}", "sub/{0}", "..", ""])
def test_an_index_that_points_outside(folder, path):
    index = json.loads((folder / INDEX).read_text())
    shard = sorted(shards(folder))[0]
    shutil.copy(folder / shard, folder.parent / shard)
    index["weight_map"] = {n: path.format(s) if s == shard else s for n, s in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=INDEX):
        from_original(folder, vision_heads=HEADS)


class Planted:
    """What a hostile file might hold."""

    def __reduce__(self):
        return (print, ("this must never run",))


@pytest.mark.parametrize("thing", [Planted(), 3, "text", [1.0], {"inner": torch.ones(1)}, None])
def test_a_file_that_holds_more_than_tensors(folder, thing, capfd):
    shard = sorted(shards(folder))[0]
    name = next(iter(torch.load(folder / shard, weights_only=True)))
    torch.save(torch.load(folder / shard, weights_only=True) | {name: thing}, folder / shard)
    with pytest.raises(CheckpointError, match=f"(?s){shard}.*(more than tensors|not a tensor)"):
        from_original(folder, vision_heads=HEADS)
    assert "never run" not in capfd.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1, 2]), None])
def test_a_file_that_is_no_weights(folder, content):
    path = folder.parent / "model_zoo/LAVIS/eva_vit_g.pth"
    if content is None:
        torch.save([torch.ones(1)], path)
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="eva_vit_g.pth"):
        from_original(folder, vision_heads=HEADS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_query": 9}, "num_query=9, the tensor holds 8"),
        ({"bert_type": "raw_bert_layer:2"}, "missing tensors: text_decoder.bert.*token_type"),
        ({"bert_type": "clip"}, "bert_type='clip'.*expected"),
        ({"bert_type": ""}, "bert_type=''"),
        ({"vocab_size": 401}, r"misshapen language_model.*embed_tokens"),
        ({"num_hidden_layers": 1}, r"unexpected language_model.model.layers.1"),
        ({"num_hidden_layers": 3}, r"missing language_model.model.layers.2"),
        ({"hidden_size": 32}, "misshapen"),
        ({"compress_type": "grid:1"}, "grid:1"),
        ({"mm_vision_tower": "./nowhere.pth"}, "nowhere.pth not found .*--vision-weights"),
    ],
)
def test_a_configuration_that_disagrees(folder, values, message):
    set_config(folder, **values)
    with pytest.raises(ValueError, match=message):
        from_original(folder, vision_heads=HEADS)


def test_heads_that_no_file_records():
    with pytest.raises(CheckpointError, match="vision-heads"):
        from_original(CASE / "checkpoint")


def test_without_norm_where_bert_type_says_so(folder):
    set_config(folder, bert_type="qformer")
    with pytest.raises(CheckpointError, match="unexpected vision_norm"):
        from_original(folder, vision_heads=HEADS)
    for part in ("weight", "bias"):
        edit(folder, f"model.vlm_att_ln.{part}", lambda t: None)
    model, _ = from_original(folder, vision_heads=HEADS)
    assert isinstance(model.vision_norm, torch.nn.Identity)


def test_the_towers_own_copy_where_no_file_is_given():
    config, state, report = read_original(CASE / "checkpoint", vision_heads=HEADS)
    tensors, _ = whole()
    name = "blocks.1.mlp.fc2.weight"
    assert torch.equal(state["vision_tower.encoder.layers.1.mlp.fc2.weight"], tensors[TOWER + name])
    assert config.vision_config.num_hidden_layers == 2 and not any(n.startswith("eva:") for n in report.unused)


def test_the_size_of_frames(folder):
    """The checkpoint's own position grid says it; without one the caller, then config.json, then the EVA-ViT file."""
    plain, _ = from_original(folder, vision_heads=HEADS)
    had, patch = plain.config.image_size, plain.config.vision_config.patch_size
    larger, largest = had + 2 * patch, had + 4 * patch
    set_config(folder, image_processor=f"./processor/clip-patch14-{larger}")
    for asked in (None, largest):
        model, _ = from_original(folder, vision_heads=HEADS, image_size=asked)
        assert model.config.image_size == had
    for name in [n for n in names() if n.startswith(TOWER)]:
        edit(folder, name, lambda t: None)
    for asked, size in ((None, larger), (largest, largest)):
        model, report = from_original(folder, vision_heads=HEADS, image_size=asked)
        positions = model.vision_tower.embeddings.position_embedding
        assert model.config.image_size == size and positions.shape[1] == (size // patch) ** 2 + 1
        assert any(f"to {size // patch} x {size // patch}" in source for source in report.used.values())
    set_config(folder, image_processor="./processor/clip-patch14-tiny")
    model, _ = from_original(folder, vision_heads=HEADS)
    assert model.config.image_size == had


def test_one_file_without_index(folder, tmp_path):
    tensors = {n: t for shard in shards(folder).values() for n, t in shard.items()}
    for shard in shards(folder):
        (folder / shard).unlink()
    (folder / INDEX).unlink()
    with pytest.raises(CheckpointError, match="neither pytorch_model.bin.index.json nor pytorch_model.bin"):
        from_original(folder, vision_heads=HEADS)
    torch.save(tensors, folder / "pytorch_model.bin")
    single, _ = from_original(folder, vision_heads=HEADS)
    sharded, _ = from_original(CASE / "checkpoint", vision_heads=HEADS)
    assert all(torch.equal(t, single.state_dict()[n]) for n, t in sharded.state_dict().items())


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


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_a_broken_index(folder, content):
    (folder / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=INDEX):
        from_original(folder, vision_heads=HEADS)


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
    asked = {}
    monkeypatch.setattr(checkpoints, "default_device", lambda: device)
    monkeypatch.setattr(checkpoints, "load", lambda name, **kwargs: asked.update(kwargs, name=name))
    checkpoints.load_to_train(name)
    assert asked == {"name": name, "device": device, "dtype": dtype}
