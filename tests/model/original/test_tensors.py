"""Guards strict conversion: every tensor of the original lands where it belongs or is named, and a fault in a folder
is one error that names the culprit. Works on the shipped case 01 (random weights, the original's layout on disk).
"""

import json
import pickle
import shutil

import pytest
import torch
from case01 import CASE, HEADS, INDEX, edit, names, shards, whole

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.original import tensors as original
from llamavid_kit.model.original.names import TOWER
from llamavid_kit.model.original.open import from_original
from llamavid_kit.model.original.tensors import read_original


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
    monkeypatch.setattr(original, "read_shards", lambda folder: dict(tensors))
    monkeypatch.setattr(original, "load_tensors", lambda path: dict(eva))
    return read_original(CASE / "checkpoint", vision_weights="eva", vision_heads=HEADS)[1]


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


# --- planted faults


def used_names() -> list[str]:
    _, report = from_original(CASE / "checkpoint", vision_heads=HEADS)
    return [n for n in names() if n not in report.unused]


def mentions(error, original_name: str, report) -> bool:
    ours = next(o for o, source in report.used.items() if original_name in source.split(", "))
    return original_name in str(error) or ours in str(error)


def test_any_tensor_missing(monkeypatch):
    """Each tensor that is used, left out once, from the checkpoint or from the EVA file: an error names it."""
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


def test_the_towers_own_copy_where_no_file_is_given():
    config, state, report = read_original(CASE / "checkpoint", vision_heads=HEADS)
    tensors, _ = whole()
    name = "blocks.1.mlp.fc2.weight"
    assert torch.equal(state["vision_tower.encoder.layers.1.mlp.fc2.weight"], tensors[TOWER + name])
    assert config.vision_config.num_hidden_layers == 2 and not any(n.startswith("eva:") for n in report.unused)


def test_one_file_without_index(folder, tmp_path):
    tensors = {n: t for shard in shards(folder).values() for n, t in shard.items()}
    for shard in shards(folder):
        (folder / shard).unlink()
    (folder / INDEX).unlink()
    with pytest.raises(CheckpointError, match="holds no weights: neither model.safetensors nor pytorch_model.bin"):
        from_original(folder, vision_heads=HEADS)
    torch.save(tensors, folder / "pytorch_model.bin")
    single, _ = from_original(folder, vision_heads=HEADS)
    sharded, _ = from_original(CASE / "checkpoint", vision_heads=HEADS)
    assert all(torch.equal(t, single.state_dict()[n]) for n, t in sharded.state_dict().items())


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_a_broken_index(folder, content):
    (folder / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=INDEX):
        from_original(folder, vision_heads=HEADS)
