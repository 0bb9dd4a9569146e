"""Guards that whatever `doctor` meets becomes a true sentence: folders of other families, failed downloads, damaged
fields. It never raises, and `convert` says the same.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from case01 import CASE, HEADS, INDEX, set_config, shards
from safetensors.torch import save_file

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.original import convert as module
from llamavid_kit.model.original.convert import convert, export
from llamavid_kit.model.original.doctor import examine
from llamavid_kit.model.original.open import from_original

ASSETS = Path(__file__).parents[2] / "assets" / "doctor"
LFS = (ASSETS / "lfs_pointer.txt").read_bytes()
PAGE = b"\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>"


def problem(folder: Path) -> str:
    """The one problem of a folder, which `convert` must name as well."""
    result = examine(folder, vision_heads=HEADS)
    assert len(result.problems) == 1 and str(result).endswith(f"problem: {result.problems[0]}")
    with pytest.raises((CheckpointError, FileNotFoundError)):
        convert(folder, out=folder.parent / "never", vision_heads=HEADS)
    assert not (folder.parent / "never").exists()
    return result.problems[0]


OTHERS = {
    "llava": json.loads((ASSETS / "llava15_config.json").read_text()),
    "llava-hf": {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}},
    "video-llava": {"model_type": "llava", "mm_video_tower": "LanguageBind/LanguageBind_Video_merge"},
    "video-llava-hf": {"model_type": "video_llava", "text_config": {"model_type": "llama"}},
    "qwen-vl": {"model_type": "qwen", "architectures": ["QWenLMHeadModel"], "visual": {"heads": 16}},
    "llava-llama": {"model_type": "llama", "mm_vision_tower": "openai/clip-vit-large-patch14"},
    "mistral": {"model_type": "mistral", "sliding_window": 4096},
    "nameless": {"hidden_size": 64},
}


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
def test_models_of_other_families(folder, config):
    """No bare language model, no LLaMA-VID; said with the family's own names."""
    (folder / "config.json").write_text(json.dumps(config))
    assert f"model_type {config.get('model_type')!r}" in problem(folder) and "no LLaMA-VID" in problem(folder)
    assert examine(folder).kind == "other"


def test_an_index_without_a_map(folder):
    shutil.copy(ASSETS / "index_weight_map_list.json", folder / INDEX)
    assert f"{INDEX} holds no weight_map" in problem(folder)


@pytest.mark.parametrize("shard", [None, 3, ["a"], "..\\pytorch_model-00001-of-00002.bin", "C:\\weights.bin"])
def test_an_index_with_odd_files(folder, shard):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = shard
    (folder / INDEX).write_text(json.dumps(index))
    assert re.search(f"{INDEX}: shard .* is not a file name", problem(folder))


@pytest.mark.parametrize("content", [LFS, PAGE, b"", b"no such thing"], ids=["lfs", "page", "empty", "text"])
@pytest.mark.parametrize(
    "name",
    [
        "checkpoint/pytorch_model-00002-of-00002.bin",
        "checkpoint/config.json",
        "checkpoint/tokenizer.model",
        f"checkpoint/{INDEX}",
        "model_zoo/LAVIS/eva_vit_g.pth",
    ],
)
def test_what_lies_in_a_files_place(folder, name, content):
    """The file, and what it is; a pointer comes with the command that fetches the file itself."""
    (folder.parent / name).write_bytes(content)
    sentence = problem(folder)
    words = {LFS: "Git LFS pointer.*git lfs pull", PAGE: "web page", b"": "empty"}.get(content, "")
    place = "its tokenizer" if name.endswith("tokenizer.model") and not words else Path(name).name
    assert re.search(words, sentence) and place in sentence


@pytest.mark.parametrize(
    ("spelling", "context"),
    [
        (json.loads((ASSETS / "rope_scaling_new_key.json").read_text()), 16 * 2048),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 4096),
        ({"rope_scaling": None, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, 4096),
        ({"rope_scaling": {"rope_type": "default"}}, 2048),
    ],
)
def test_rope_scaling_in_each_spelling(folder, spelling, context):
    set_config(folder, **spelling)
    assert examine(folder, vision_heads=HEADS).problems == []
    plain, scaled = (from_original(place, vision_heads=HEADS)[0] for place in (CASE / "checkpoint", folder))
    assert scaled.config.context == context
    frequencies = [m.language_model.model.rotary_emb.inv_freq for m in (plain, scaled)]
    torch.testing.assert_close(frequencies[1] * (context / 2048), frequencies[0])


def as_safetensors(folder: Path, *, whole: bool) -> None:
    """The folder's shards as safetensors, in one file or in as many as there were."""
    stored = shards(folder).items()
    files = {name.replace("pytorch_", "").replace(".bin", ".safetensors"): tensors for name, tensors in stored}
    if whole:
        files = {"model.safetensors": {n: t for tensors in files.values() for n, t in tensors.items()}}
    else:
        index = {"metadata": {}, "weight_map": {n: file for file, tensors in files.items() for n in tensors}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for file, tensors in files.items():
        save_file({n: t.clone() for n, t in tensors.items()}, folder / file, metadata={"format": "pt"})
    for path in [*folder.glob("pytorch_model*")]:
        path.unlink()


@pytest.mark.parametrize("whole", [True, False])
def test_weights_in_safetensors(folder, tmp_path, whole):
    """Read as PyTorch's files are, and written back as what they were."""
    as_safetensors(folder, whole=whole)
    assert examine(folder, vision_heads=HEADS).problems == []
    convert(folder, out=tmp_path / "ours", vision_heads=HEADS)
    plain = from_original(CASE / "checkpoint", vision_heads=HEADS)[0].state_dict()
    assert all(torch.equal(t, plain[n]) for n, t in load(tmp_path / "ours").state_dict().items())
    export(tmp_path / "ours", out=tmp_path / "back")
    assert {p.name for p in (tmp_path / "back").glob("*.safetensors")} == {p.name for p in folder.glob("*.safetensors")}
    again = from_original(
        tmp_path / "back",
        vision_heads=HEADS,
        vision_weights=CASE / "model_zoo/LAVIS/eva_vit_g.pth",
        bert_folder=CASE / "bert-base-uncased",
    )[0]
    assert all(torch.equal(t, plain[n]) for n, t in again.state_dict().items())


def test_safetensors_shards_that_are_missing_or_damaged(folder):
    as_safetensors(folder, whole=False)
    first, second = sorted(folder.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:1000])
    assert f"{first.name} cannot be read" in problem(folder)
    second.unlink()
    assert f"{second.name} is missing" in problem(folder)


def test_a_windows_path_of_the_tower(folder):
    set_config(folder, mm_vision_tower="C:\\LLaMA-VID\\model_zoo\\LAVIS\\eva_vit_g.pth")
    assert examine(folder, vision_heads=HEADS).problems == []


def test_the_tokenizers_are_opened(folder):
    vocabulary = folder.parent / "bert-base-uncased" / "vocab.txt"
    vocabulary.write_bytes(PAGE)
    assert "vocab.txt is a web page" in problem(folder)


DAMAGED = (None, [], "x", -1, 10**30)
# Fields with which a reply is computed, and the damaged values of each that mean something all the same.
FULL = {
    "bert_type": (),
    "compress_type": (None,),
    "hidden_act": (),
    "hidden_size": (),
    "intermediate_size": (),
    "max_position_embeddings": (),
    "mm_hidden_size": (),
    "mm_vision_tower": (),
    "model_type": (),
    "num_attention_heads": (),
    "num_hidden_layers": (),
    "num_key_value_heads": (None,),
    "num_query": (),
    "rms_norm_eps": (),
    "rope_scaling": (None,),
    "tie_word_embeddings": (),
    "vocab_size": (),
}


SHAPE = ("num_hidden_layers", "num_attention_heads", "hidden_size", "n_query", "image_mean", "content")


def test_doctor_never_raises_over_a_field(folder):
    """Each field of the original's config.json damaged in turn: a problem where the field counts, never a traceback."""
    text = (folder / "config.json").read_text()
    for name in json.loads(text):
        for value in DAMAGED if name in FULL else DAMAGED[-1:]:
            set_config(folder, **{name: value})
            problems = examine(folder, vision_heads=HEADS).problems
            if name in FULL:
                assert bool(problems) == (value not in FULL[name]), (name, value, problems)
                assert not problems or name in problems[0] or re.search("config.json|x is missing", problems[0])
            (folder / "config.json").write_text(text)


def test_doctor_never_raises_over_a_field_of_bert(folder):
    file = folder.parent / "bert-base-uncased" / "config.json"
    text = file.read_text()
    for name in ("hidden_size", "num_attention_heads", "layer_norm_eps", "hidden_act"):
        for value in DAMAGED:
            file.write_text(json.dumps(json.loads(text) | {name: value}))
            problems = examine(folder, vision_heads=HEADS).problems
            assert problems and "bert-base-uncased" in problems[0], (name, value)


def test_doctor_never_raises_over_a_folder_of_this_kit(tmp_path):
    """Damaged fields of the whole and of its three parts; layers are counted before they are made."""
    convert(CASE / "checkpoint", out=tmp_path / "ours", vision_heads=HEADS)
    file = tmp_path / "ours" / "config.json"
    text = file.read_text()
    for part, values in {None: json.loads(text), **json.loads(text)}.items():
        if part is not None and not isinstance(values, dict):
            continue
        for name in values:
            for value in (None, 10**30) if name in SHAPE else (10**30,):
                config = json.loads(text)
                (config if part is None else config[part])[name] = value
                file.write_text(json.dumps(config))
                problems = examine(file.parent).problems
                if name in SHAPE:
                    assert problems and "config.json" in problems[0], (part, name, value, problems)


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("config.json", {"compress_type": "grid:2"}, "'compress_type': 'grid:2'} is not known"),
        ("config.json", {"template": "vicuna_v7"}, "unknown conversation template 'vicuna_v7'"),
        ("config.json", {"image_std": [0.2, 0.2, 0]}, "image_std"),
        ("config.json", {"vision_config": {"model_type": "clip_vision_model"}}, "model_type='clip_vision_model'"),
        ("config.json", {"qformer_config": {"model_type": "roberta"}}, "model_type='roberta'"),
        ("generation_config.json", None, "holds a NoneType"),
    ],
)
def test_a_folder_of_this_kit_with_fields_that_are_none(tmp_path, file, fields, message):
    """`load` and `doctor` name file and field."""
    convert(CASE / "checkpoint", out=tmp_path / "ours", vision_heads=HEADS)
    path = tmp_path / "ours" / file
    path.write_text(json.dumps(fields and json.loads(path.read_text()) | fields))
    with pytest.raises(CheckpointError, match=re.escape(message)) as error:
        load(tmp_path / "ours")
    assert file in str(error.value) and examine(tmp_path / "ours").problems == [str(error.value)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none(folder, value):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"rms_norm_eps": 1e-05', f'"rms_norm_eps": {value}'))
    assert "config.json" in problem(folder)


def test_an_index_of_ours_without_what_transformers_reads_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 20_000)
    convert(CASE / "checkpoint", out=tmp_path / "ours", vision_heads=HEADS)
    index = tmp_path / "ours" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": json.loads(index.read_text())["weight_map"]}))
    with pytest.raises(CheckpointError, match=rf"{re.escape(str(index))} holds no metadata: copy"):
        load(tmp_path / "ours")
