"""The one door for pickles: arrays and strings come in, all else is refused unrun."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llamavid_kit.data.films import movie_turn, show_frames
from llamavid_kit.data.prompt import IMAGE, tokenize
from llamavid_kit.files import CheckpointError
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.original.features import import_features
from llamavid_kit.model.tokenizers import load_llm_tokenizer

FEATURES = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float16)
INPUTS = "<image><image>Hello.<image>"


def write(path: Path, value, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("old_numpy", [False, True])
def test_arrays_and_strings_come_in(tmp_path, protocol, old_numpy):
    path = write(tmp_path / "film.pkl", {"feats": FEATURES, "inputs": INPUTS}, protocol)
    if old_numpy and protocol < 4:  # names without their length before them
        path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    video = import_features(path)
    assert torch.equal(video.features, torch.from_numpy(FEATURES[:, 1:])) and video.inputs == INPUTS


class Runs:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "attack",
    [
        Runs(os.system, "touch {}"),
        Runs(subprocess.call, ["touch", "{}"]),
        Runs(exec, "open('{}', 'w')"),
        Runs(getattr, Path("{}"), "touch"),
        Runs(__import__, "os"),
        Runs(np.load, "{}", None, True),
    ],
)
def test_nothing_else_runs(tmp_path, attack):
    marker = tmp_path / "ran"
    attack.arguments = tuple(
        [a.format(marker) if isinstance(a, str) else a for a in x]
        if isinstance(x, list)
        else x.format(marker)
        if isinstance(x, str)
        else x
        for x in attack.arguments
    )
    for value in ({"feats": FEATURES, "inputs": INPUTS, "x": attack}, attack):
        with pytest.raises(CheckpointError, match="is not loaded: it asks for"):
            import_features(write(tmp_path / "film.pkl", value))
    assert not marker.exists()


def test_other_codecs_are_refused(tmp_path):
    import _codecs

    with pytest.raises(CheckpointError, match="latin1"):
        import_features(write(tmp_path / "film.pkl", Runs(_codecs.encode, "text", "rot13")))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([FEATURES], "expected"),
        ({"feats": FEATURES}, "expected"),
        ({"feats": "no", "inputs": INPUTS}, "expected"),
        ({"feats": FEATURES[0], "inputs": INPUTS}, r"feats are float16 \(4, 5\)"),
        ({"feats": FEATURES.astype(int), "inputs": INPUTS}, "of kind 'i8', expected f2 or f4 or f8"),
        ({"feats": FEATURES.astype(object), "inputs": INPUTS}, "of kind 'O8', expected f2"),
        ({"feats": np.zeros(3, "U9"), "inputs": INPUTS}, "of kind 'U9', expected f2"),
        ({"feats": FEATURES, "inputs": "<image>"}, "1 <image> in inputs for 3 frames"),
    ],
)
def test_files_that_are_none(tmp_path, value, message):
    with pytest.raises(CheckpointError, match=message):
        import_features(write(tmp_path / "film.pkl", value))


def test_torn_files(tmp_path):
    whole = write(tmp_path / "film.pkl", {"feats": FEATURES, "inputs": INPUTS}).read_bytes()
    for size in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / "torn.pkl").write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="torn.pkl"):
            import_features(tmp_path / "torn.pkl")
    with pytest.raises(FileNotFoundError):
        import_features(tmp_path / "none.pkl")


def test_the_originals_own_file(reference):
    """Every feature file of the cases, against the tensors that the case was run with."""
    files = sorted(reference.glob("case*/data/*.pkl"))
    assert files
    for path in files:
        case, io = (
            json.loads((path.parents[1] / "case.json").read_text()),
            load_file(path.parents[1] / "io.safetensors"),
        )
        video = import_features(path)
        assert torch.equal(video.features.float(), io["images.0"]) and video.inputs == case["subtitles_inputs"]
        tokenizer = load_llm_tokenizer(path.parents[1] / "checkpoint")
        frames = video.inputs.replace(IMAGE, IMAGE * case["video_token"])
        for k, run in enumerate(case["generate"]):
            question = run["prompts"][0][0]
            turn = show_frames(movie_turn(question), frames)
            head, _, tail = run["prompt_text"].partition("USER: ")
            assert f"{head}USER: {turn} ASSISTANT:" == run["prompt_text"], tail[-200:]
            assert tokenize(tokenizer, run["prompt_text"]) == io[f"generate{k}.input_ids"][0].tolist()
            new = io[f"generate{k}.new_ids"][0].tolist()
            end = new.index(2) if 2 in new else len(new)
            heads = json.loads((path.parents[1] / "tiny_dims.json").read_text())["vision"]["num_heads"]
            model = load(path.parents[1] / "checkpoint", vision_heads=heads)
            reply = model.ask(video, question, max_new_tokens=len(new))
            assert reply.text == tokenizer.decode(new[:end], skip_special_tokens=True).strip()
            assert len(reply.tokens) == len(video.features) and reply.timestamps_s == ()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("by_columns", [False, True])
def test_floats_of_any_order(tmp_path, dtype, by_columns):
    values = FEATURES.astype(dtype)
    stored = np.asfortranarray(values) if by_columns else values
    path = write(tmp_path / "film.pkl", {"feats": stored, "inputs": INPUTS})
    assert np.array_equal(import_features(path).features.numpy(), FEATURES[:, 1:].astype(dtype))


class Array:
    """Pickled as numpy's arrays are, with whatever state: shape, kind and bytes that do not belong together."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        reconstruct, arguments, _ = FEATURES.__reduce__()
        return reconstruct, arguments, self.state


F4 = np.dtype("f4")


@pytest.mark.parametrize(
    "state",
    [
        (1, (3, 4, 5), F4, False, b"\0" * 8),
        (1, (2**62, 4, 5), F4, False, b"\0" * 8),
        (1, (-1, 4, 5), F4, False, b"\0" * 80),
        (1, (3, 4, 5), F4, False, [1.0] * 60),
        (1, (1, 1, 1), np.dtype(object), False, [0xDEAD]),
        (1, (1, 1, 1), np.dtype(object), False, b"\xde\xad\0\0\0\0\0\0"),
        (1, [3, 4, 5], F4, False, b"\0" * 240),
        (1, (3, 4, 5), "f4", False, b"\0" * 240),
        (1, (True, 1, 1), F4, False, b"\0" * 4),
        (),
        (1,),
        3,
    ],
)
def test_an_array_that_lies_reaches_no_numpy(tmp_path, state):
    with pytest.raises(CheckpointError, match=r"film\.pkl"):
        import_features(write(tmp_path / "film.pkl", {"feats": Array(state), "inputs": INPUTS}))
