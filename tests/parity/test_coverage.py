"""The whole reference folder is asserted: a record that no test compares fails here, by name.

Tensors of the cases are counted off in test_cases.py and test_stages.py, texts in test_text_basics.py and
test_subtitles.py, each of which fails for a record that it leaves out. What remains is that no *file* and no *kind of
record* is unknown to all of them.
"""

import fnmatch
import json

from safetensors.torch import load_file

ASSERTED = {
    "case*/io.safetensors": "test_cases.py, test_stages.py",
    "case*/case.json": "test_cases.py, test_stages.py",
    "case*/data/*.pkl": "test_films.py",
    "text/text_legacy_*.json": "test_text_basics.py, test_subtitles.py",
    "text/bert_tokenizer.json": "test_text_basics.py",
    "frames/frame_indices.json": "test_frames.py, test_subtitles.py",
    "images/images.safetensors": "test_images.py",
}
# What the records are computed from.
INPUTS = (
    "README.md",
    "case*/checkpoint/*",
    "case*/model_zoo/*",
    "case*/bert-base-uncased/*",
    "case*/processor/*",
    "case*/tiny_dims.json",
    "case*/data/train.json",
    "case*/vicuna_base/*",
    "case*/lora/*",
    "case*/mm_projector.bin",
    "case*/stage1_new_modules.bin",
    "text/tokenizer_legacy_*/*",
    "text/bert-base-uncased/*",
    "images/images.json",
)


def test_every_file_is_known(reference):
    unknown, asserted = [], 0
    for path in sorted(p.relative_to(reference).as_posix() for p in reference.rglob("*") if p.is_file()):
        if any(fnmatch.fnmatch(path, pattern) for pattern in ASSERTED):
            asserted += 1
        elif not any(fnmatch.fnmatch(path, pattern) for pattern in INPUTS):
            unknown.append(path)
    assert not unknown, f"nothing compares {unknown}"
    print(f"\n{asserted} files of records")
    assert asserted >= 2 * len(list(reference.glob("case*")))


def test_every_kind_of_record_is_known(reference):
    """Text and frame records by their keys, image tensors by the end of their names; the counts are printed."""
    text = {"conversations", "truncation", "movie", "eval_prompts", "raw_tokenization"}
    for path in sorted(reference.glob("text/text_legacy_*.json")):
        stored = json.loads(path.read_text())
        records = {key for key, value in stored.items() if isinstance(value, list)}
        assert records == text, f"{path.name}: {records ^ text}"
    frames = json.loads((reference / "frames/frame_indices.json").read_text())
    assert {key for key, value in frames.items() if isinstance(value, list)} == {"combos", "load_video_input"}
    rules = {"train", "eval_repro_ucf", "eval_repro_grounding_same", "eval_orig_msvd", "extract_features_tool"}
    known = {"total_frames", "avg_fps", "target_fps"} | rules
    assert all(set(combo) <= known for combo in frames["combos"])
    images = load_file(reference / "images/images.safetensors")
    assert {name.rsplit(".", 1)[1] for name in images} == {"uint8", "plain", "pad"}
    n_tensors = sum(len(load_file(path)) for path in reference.glob("case*/io.safetensors"))
    print(f"\n{n_tensors} tensors, {len(frames['combos'])} combinations of frames, {len(images)} image tensors")
