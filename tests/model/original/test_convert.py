"""Guards `convert` and `export`: original → ours → original gives every tensor back, bit for bit, and every kind of
folder converts to what loading it in memory gives.
"""

import json
import shutil

import pytest
import torch
from case01 import CASE, HEADS, contents, heads
from in_memory import from_lora, from_parts

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.checkpoints import load, save
from llamavid_kit.model.original import convert as conversion
from llamavid_kit.model.original.convert import convert, export
from llamavid_kit.model.original.names import TOWER, shard_names
from llamavid_kit.model.original.tensors import original_tensors


def test_there_and_back_is_bit_for_bit(original, tmp_path, monkeypatch):
    """Same files, names, dtypes, bits, configuration and tokenizer; what the original recomputes is listed."""
    monkeypatch.setattr(conversion, "PIECE_BYTES", 20_000)  # many pieces
    convert(original, out=tmp_path / "ours", vision_heads=HEADS)
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 5
    report = export(tmp_path / "ours", out=tmp_path / "back")
    before, after = contents(original), contents(tmp_path / "back")
    assert {n: f for n, (f, _) in before.items()} == {n: f for n, (f, _) in after.items()}
    for name, (_, tensor) in before.items():
        assert after[name][1].dtype == tensor.dtype, name
        if name in report.exact:
            assert torch.equal(after[name][1], tensor), name
        else:
            torch.testing.assert_close(after[name][1].float(), tensor.float(), atol=1e-6, rtol=1e-2, msg=name)
    assert sorted([*report.exact, *report.rebuilt]) == sorted(before)
    assert all(n.startswith(TOWER) or n.endswith(("inv_freq", "position_ids")) for n in report.rebuilt)
    assert "rebuilt model.layers.0.self_attn.rotary_emb.inv_freq" in str(report)
    for name in ("config.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert json.loads((tmp_path / "back" / name).read_text()) == json.loads((original / name).read_text())
    assert (tmp_path / "back/tokenizer.model").read_bytes() == (original / "tokenizer.model").read_bytes()


def test_a_model_that_was_never_the_originals(tmp_path):
    """The shipped model in the original's layout, and converted again: the same tensors, with its own tower."""
    model = load("tiny")
    save(model, tmp_path / "ours")
    report = export(tmp_path / "ours", out=tmp_path / "theirs")
    assert (
        not report.rebuilt
        and len(report.exact) == len(model.state_dict()) + model.config.vision_config.num_hidden_layers
    )
    config = json.loads((tmp_path / "theirs/config.json").read_text())
    assert (config["bert_type"], config["compress_type"], config["num_query"]) == ("qformer_pretrain", "mean", 8)
    back = {name: tensor for _, tensors in original_tensors(tmp_path / "theirs") for name, tensor in tensors.items()}
    for name, tensor in model.state_dict().items():
        for original, (_, part) in shard_names([name]):
            assert torch.equal(back[original], tensor if part is None else tensor.chunk(3)[part])


def test_what_a_converted_folder_says_of_the_originals_is_checked(tmp_path):
    """A torn shard, a foreign one beside it, and settings of the original that are none."""
    ours, tensors = tmp_path / "ours", tmp_path / "ours" / "original" / "tensors.json"
    convert(CASE / "checkpoint", out=ours, vision_heads=HEADS)
    (ours / "other.safetensors").write_bytes(b"not of this model")
    export(ours, out=tmp_path / "fine")
    whole = json.loads(tensors.read_text())
    for change, message in (
        ({"dtype": "os"}, "dtype='os', expected one of float16"),
        ({"shape": "big"}, r"shape: 'big', expected a list; remove .*original"),
    ):
        tensors.write_text(json.dumps(whole | {"lm_head.weight": whole["lm_head.weight"] | change}))
        with pytest.raises(ValueError, match=rf"tensors.json.*{message}"):
            export(ours, out=tmp_path / "back")
    tensors.write_text(json.dumps(whole))
    (shard := next(ours.glob("model*.safetensors"))).write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=rf"{shard.name} cannot be read as weights"):
        export(ours, out=tmp_path / "back")


def test_a_lora_folder_is_merged_as_in_memory(reference, tmp_path):
    case = reference / "case10_grad"
    base, options = reference / "case01_video_mean/checkpoint", {"vision_heads": heads(case)}
    with pytest.raises(CheckpointError, match="--base"):
        convert(case / "lora", out=tmp_path / "ours", **options)
    convert(case / "lora", base=base, out=tmp_path / "ours", **options)
    expected, _ = from_lora(case / "lora", base=base, **options)
    ours = load(tmp_path / "ours").state_dict()
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=0, msg=name)
    untouched = load(base, **options).state_dict()
    changed = {n for n in ours if not torch.equal(ours[n], untouched[n])}
    assert any(".q_proj." in n for n in changed) and any(".down_proj." in n for n in changed)


def test_pieces_of_stage_1_and_2(reference, tmp_path):
    case, parts = reference / "case10_grad", reference / "case01_video_mean"
    zoo = parts / "model_zoo/LAVIS"
    options = {
        "vision_weights": zoo / "eva_vit_g.pth",
        "bert_folder": parts / "bert-base-uncased",
        "vision_heads": heads(case),
    }
    stage1 = tmp_path / "stage1"
    stage1.mkdir()
    shutil.copy(case / "mm_projector.bin", stage1)
    own = json.loads((parts / "checkpoint/config.json").read_text())
    decoder = zoo / "instruct_blip_vicuna7b_trimmed.pth"
    convert(stage1, base=case / "vicuna_base", out=tmp_path / "two", **options)  # stage 1 saved its text decoder too
    convert(case / "vicuna_base", text_decoder=decoder, out=tmp_path / "one", **options)
    for out, extra in (("one", {"text_decoder": decoder}), ("two", {"adapter": case / "mm_projector.bin"})):
        expected, _ = from_parts(case / "vicuna_base", **extra, **options)
        ours = load(tmp_path / out).state_dict()
        assert all(torch.equal(ours[name], tensor) for name, tensor in expected.state_dict().items())
    side = (load(tmp_path / "two").config.grid + 2) * load(tmp_path / "two").config.vision_config.patch_size
    own |= {"image_processor": f"./processor/clip-patch14-{side}", "compress_type": "grid:2"}
    (stage1 / "config.json").write_text(json.dumps(own))
    convert(stage1, base=case / "vicuna_base", out=tmp_path / "wide", **options)
    config = load(tmp_path / "wide").config
    assert (config.image_size, config.content) == (side, "grid:2")  # what the stage-1 folder says of itself
    with pytest.raises(CheckpointError, match="--base is for those"):
        convert(case / "vicuna_base", base=case / "vicuna_base", out=tmp_path / "three", **options)


def test_what_is_refused(original, tmp_path):
    """An interrupted conversion is no model; a model is not overwritten; changed weights are not passed off."""
    convert(original, out=tmp_path / "ours", vision_heads=HEADS)
    with pytest.raises(CheckpointError, match="holds a model already"):
        convert(original, out=tmp_path / "ours", vision_heads=HEADS)
    with pytest.raises(CheckpointError, match="is a folder of this kit already"):
        convert(tmp_path / "ours", out=tmp_path / "again")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        convert(tmp_path / "nowhere", out=tmp_path / "again")
    with pytest.raises(CheckpointError, match="not a folder of this kit"):
        export(original, out=tmp_path / "back")
    export(tmp_path / "ours", out=tmp_path / "back")
    with pytest.raises(CheckpointError, match="holds a model already"):
        export(tmp_path / "ours", out=tmp_path / "back")
    kept = tmp_path / "ours/original/tensors.json"
    kept.write_text(kept.read_text().replace('"float16"', '"float64"').replace('"float32"', '"float64"'))
    with pytest.raises(CheckpointError, match=r"changed since; remove the folder `original`"):
        export(tmp_path / "ours", out=tmp_path / "changed")
    (tmp_path / "ours/config.json").unlink()
    with pytest.raises(CheckpointError, match="is not a model"):
        load(tmp_path / "ours")
