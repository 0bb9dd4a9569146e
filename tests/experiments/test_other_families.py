"""Another video LLM takes arms beside ours, and is asked from the command line: end to end, with receipts."""

import json

import pytest
from colour_clips import listed_clips

pytest.importorskip("torchvision", reason="the extra [models] is not installed: no torchvision")

from data_prep.tiny.families import save_family
from llamavid_kit.__main__ import main
from llamavid_kit.files import read_replies

pytestmark = pytest.mark.slow

N = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of 1.5 seconds with their CSV, and a Qwen3-VL."""
    folder = tmp_path_factory.mktemp("rivals")
    listed_clips(folder, N)
    save_family("qwen3_vl", folder / "qwen3")
    return folder


def test_both_take_arms(folder):
    """2 frames of 1.5 seconds at 1 fps and 9 at 6; Qwen3-VL sees pairs, so 2 and 10, a place for 32 x 32 of a pair."""
    options = ["--model", "tiny", "--model", str(folder / "qwen3"), "--no-finetune", "--max-new-tokens", "3"]
    assert main(["ablate", "--clips", str(folder / "clips.csv"), *options, "--out", str(folder / "run")]) == 0
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert len(summary["arms"]) == 8 and {row["family"] for row in summary["paired"]} >= {"model", "fps"}
    for arm in summary["arms"]:
        n, ours = {1: 2, 6: 9}[arm["fps"]], arm["model"] == "tiny"
        _, lines = read_replies(folder / "run" / "arms" / f"{arm['name']}.jsonl")
        for line in lines:
            seen = n if ours else n + n % 2
            assert (line["receipt"]["n_given"], line["receipt"]["n_arrived"]) == (n, seen)
            height, width = line["receipt"]["frame_size"]
            a_pair = 4 if ours else height * width // 32**2
            assert line["receipt"]["n_tokens"] == line["n_visual"] == seen * a_pair // 2
            assert line["receipt"]["n_doubled"] == seen - n and line["receipt"]["n_dropped"] == 0
            told = line["receipt"]["times_told_s"]
            assert len(told) == (0 if ours else seen // 2)
    assert (folder / "run" / "report.html").is_file()


def test_asked_from_the_command_line(folder, capsys):
    command = ["ask", str(folder / "t0.mp4"), "Which colour?", "--model", str(folder / "qwen3"), "--fps", "6"]
    assert main([*command, "--max-new-tokens", "3"]) == 0
    assert "seen: 9 frames, 0.00 to 1.33 s" in capsys.readouterr().out
    assert main([*command, "--choices", "red", "blue"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] in ("red", "blue") and out[2].endswith(f"%  {out[0]}")
    assert main([*command, "--attention", str(folder / "a.png")]) == 2
    assert "--attention: for LLaMA-VID" in capsys.readouterr().err
