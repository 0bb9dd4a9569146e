"""Guards `doctor`: it tells the kinds of folders apart, what one lacks, what does not fit, what memory it takes."""

import json
import re
import shutil

import pytest
from case01 import CASE, HEADS

from llamavid_kit.model.checkpoints import load, save
from llamavid_kit.model.original.convert import convert
from llamavid_kit.model.original.doctor import examine


def test_doctor_on_a_whole_model(original, tmp_path):
    """Files with their bytes, the memory to convert and to run; the same model as ours."""
    result = examine(original, vision_heads=HEADS)
    text = str(result)
    assert result.kind == "full" and not result.problems and text.endswith("no problem found")
    shard = original / "pytorch_model-00001-of-00002.bin"
    assert f"{shard.name}  there  {shard.stat().st_size / 1024:.1f} KiB" in text
    assert "to convert: 2.0 GiB of memory" in text and "frames of 56 px, 2 tokens each" in text
    convert(original, out=tmp_path / "ours", vision_heads=HEADS)
    ours = examine(tmp_path / "ours")
    assert ours.kind == "ours" and not ours.problems and ours.machine[-2:] == result.machine[-2:]


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("checkpoint/pytorch_model-00002-of-00002.bin", r"pytorch_model-00002.*copy the folder again"),
        ("model_zoo/LAVIS/eva_vit_g.pth", r"eva_vit_g.pth is missing: get it from https://.*--vision-weights"),
        ("bert-base-uncased", r"bert-base-uncased is missing: get it from https://.*--bert-tokenizer"),
        ("checkpoint/tokenizer.model", "tokenizer.model is missing"),
        ("checkpoint/config.json", "no config.json"),
    ],
)
def test_doctor_names_what_is_missing(tmp_path, gone, expected):
    shutil.copytree(CASE, tmp_path / "case")
    path = tmp_path / "case" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = examine(tmp_path / "case/checkpoint", vision_heads=HEADS)
    assert len(result.problems) == 1 and re.search(expected, result.problems[0]), result.problems
    assert "MISSING" in str(result) or result.kind == "nothing"


def test_doctor_looks_into_the_files(tmp_path):
    """A tensor that does not fit, in the original's folder and in ours; a torn file; no folder at all."""
    shutil.copytree(CASE, tmp_path / "case")
    config = tmp_path / "case/checkpoint/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 401}))
    assert "misshapen" in examine(config.parent, vision_heads=HEADS).problems[0]
    save(load("tiny"), tmp_path / "ours")
    config = tmp_path / "ours/config.json"
    n_words = load("tiny").config.text_config.vocab_size
    config.write_text(config.read_text().replace(f'"vocab_size": {n_words}', f'"vocab_size": {n_words + 1}'))
    assert "misshapen language_model" in examine(config.parent).problems[0]
    weights = tmp_path / "ours/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert examine(config.parent).problems
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        examine(tmp_path / "nowhere")


def test_doctor_tells_the_kinds_apart(reference):
    case = reference / "case10_grad"
    for name, kind in (("lora", "lora"), ("vicuna_base", "llm")):
        result = examine(case / name)
        assert result.kind == kind and not result.problems
    assert "base model" in str(examine(case / "lora")) and "vicuna" in str(examine(case / "lora"))
