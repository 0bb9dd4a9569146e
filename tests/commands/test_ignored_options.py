"""Guards that no command ignores an option silently."""

import json

import numpy as np
import pytest
from made_up_benchmarks import MAKERS
from made_up_video_benchmarks import VIDEO
from PIL import Image

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.judges.chat.named import named_chat
from llamavid_kit.model.original.convert import convert


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """What does not apply is said before a model is loaded."""
    monkeypatch.setattr("llamavid_kit.model.checkpoints.load", lambda *_, **__: pytest.fail("a model is loaded"))


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fps", "1"), "--fps: for a clip, and"),
        (("--context", "900"), "--context: for a clip, and"),
        (("--fps", "2", "--attention", "o.png"), "--fps and --attention: for a clip, and"),
        (("--subtitles", "a.srt"), "--subtitles: for a clip, and"),
    ],
)
def test_ask_about_a_picture(options, message, picture, capsys):
    assert main(["ask", str(picture), "What?", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}") and "a.png is a picture; leave" in error


def test_ask_about_features(tmp_path, capsys):
    film = tmp_path / "film.pkl"
    film.write_bytes(b"")
    both = ("--fps", "1", "--subtitles", "s.srt")
    for options, names in ((("--fps", "1"), "--fps"), (both, "--fps and --subtitles")):
        assert main(["ask", str(film), "What?", *options]) == 2
        assert f"error: {names}: for a clip, and {film} holds features" in capsys.readouterr().err
    assert main(["ask", str(tmp_path / "no.pkl"), "What?"]) == 2
    assert "no.pkl is not a file; expected a feature file of the original (.pkl)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pope", ("--fps", "1"), "fps=1.0 for POPE: pictures have no rate; leave --fps out"),
        ("pope", ("--batch", "0"), "batch=0: expected at least 1 (--batch)"),
        ("pope", ("--max-new-tokens", "0"), "max_new_tokens=0: expected at least 1"),
        ("msvd", ("--batch", "16", "--judge-rule", "words"), "answered one at a time; leave --batch out"),
        ("msvd", ("--fps", "nan", "--judge-rule", "words"), "fps=nan samples nothing"),
        ("pope", ("--judge-rule", "words"), "POPE is scored by its own rule and takes no judge"),
    ],
)
def test_evaluate(name, options, message, tmp_path, capsys):
    (MAKERS | VIDEO)[name](tmp_path / "data")
    argv = ["evaluate", name, "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *options]
    assert main(argv) == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("--clips", ("--tier", "all"), "--tier: for --crime"),
        ("--crime", ("--root", "x"), "--root: for --clips and"),
        ("--clips", ("--no-finetune", "--seeds", "0"), "--seeds: for fine-tuned arms"),
        ("--clips", ("--no-finetune", "--seeds", "1", "--shuffle-labels", "0"), "--seeds and --shuffle-labels: for"),
    ],
)
def test_ablate(source, options, message, tmp_path, capsys):
    assert main(["ablate", source, str(tmp_path), "--out", str(tmp_path / "out"), *options]) == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_finetune(tmp_path, capsys):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"id": "a", "video": "a.mp4", "question": "Q?", "answer": "A", "split": "train"}))
    argv = ["finetune", "--pairs", str(pairs), "--root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*argv, "--stage", "align", "--lora-rank", "16"]) == 2
    assert "error: --lora-rank: for fixed-token LoRA, and --stage align" in capsys.readouterr().err


def test_a_key_without_an_endpoint():
    with pytest.raises(ValueError, match="--judge-key-env K: for an endpoint, and --judge-endpoint is missing"):
        named_chat("folder", endpoint=None, key_env="K", changed=(), settings={}, prefix="--judge-")


def test_a_text_decoder_for_a_lora_folder(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="LoRA folder: --text-decoder is for .*; leave it out"):
        convert(tmp_path, base=tmp_path, text_decoder=tmp_path / "t.pth", out=tmp_path / "out")
