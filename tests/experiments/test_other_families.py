"""Another video LLM takes arms beside ours, and is asked from the command line: end to end, with receipts."""

import json

import pytest
from colour_clips import listed_clips
from made_up_video_benchmarks import msvd

pytest.importorskip("torchvision", reason="the extra [models] is not installed: no torchvision")
pytest.importorskip("num2words", reason="the extra [models] is not installed: no num2words")

import llamavid_kit as lvk
from data_prep.tiny.families import save_family
from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.experiments.report.tables import arm_table
from llamavid_kit.experiments.run import Run
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
    table = arm_table(Run(folder / "run"), "likelihood", every=True).set_index("arm")
    shown = ["frames given, arrived", "different times told a clip"]
    rows = [["2.0, 2.0", "0.0"], ["2.0, 2.0", "1.0"], ["9.0, 9.0", "0.0"], ["9.0, 10.0", "5.0"]]  # by rate, then model
    assert table[shown].to_numpy().tolist() == rows
    assert table["pixels of a frame"].iloc[0] == "112x112"
    page = (folder / "run" / "report.html").read_text()
    assert "<th>frames given, arrived</th>" in page and "<td>9.0, 10.0</td>" in page


def test_fixed_settings_are_an_arm(folder, tmp_path):
    """As shipped beside the times in the prompt: the audit's file is a model to `ablate`."""
    save_family("smolvlm", tmp_path / "smol")
    assert main(["audit", str(tmp_path / "smol"), "--clip", str(folder / "t0.mp4"), "--fix", str(tmp_path)]) == 0
    arms = ["--model", str(tmp_path / "smol"), "--model", str(tmp_path / "times-in-prompt.json"), "--no-finetune"]
    options = ["--fps", "6", "--max-new-tokens", "2", "--out", str(tmp_path / "run")]
    assert main(["ablate", "--clips", str(folder / "clips.csv"), *arms, *options]) == 0
    for name, n_times in (("smol", 2), ("times_in_prompt.json", 9)):
        _, lines = read_replies(tmp_path / "run" / "arms" / f"{name}-zero-shot-6fps-generation.jsonl")
        assert [len({*line["receipt"]["times_told_s"]}) for line in lines] == [n_times] * N


def test_a_benchmark_of_videos(folder, tmp_path, capsys):
    """Each question once; a clip at 6 fps is 6 frames. Benchmarks of pictures are for LLaMA-VID."""
    data, run = msvd(tmp_path / "msvd"), tmp_path / "run"
    options = ["--data", str(data), "--model", str(folder / "qwen3"), "--max-new-tokens", "3", "--fps", "6"]
    assert main(["evaluate", "msvd", *options, "--judge-rule", "mention", "--out", str(run)]) == 0
    assert "resolution unknown" in capsys.readouterr().out
    head, lines = read_replies(run / "replies.jsonl", what="run")
    llm = lvk.load(folder / "qwen3")
    assert head["weights"] == llm.identity and len(lines) == 3
    for item, line in zip(benchmark("msvd").load(data), lines, strict=True):
        assert line["reply"] == llm.ask(item.media, item.prompt, fps=6, max_new_tokens=3).text
    options = ["--data", str(tmp_path), "--model", str(folder / "qwen3"), "--out", str(tmp_path / "no")]
    assert main(["evaluate", "gqa", *options]) == 2
    assert "asks about pictures, and" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_asked_from_the_command_line(folder, capsys):
    command = ["ask", str(folder / "t0.mp4"), "Which colour?", "--model", str(folder / "qwen3"), "--fps", "6"]
    assert main([*command, "--max-new-tokens", "3"]) == 0
    assert "seen: 9 frames, 0.00 to 1.33 s" in capsys.readouterr().out
    assert main([*command, "--choices", "red", "blue"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] in ("red", "blue") and out[2].endswith(f"%  {out[0]}")
    assert main([*command, "--attention", str(folder / "a.png")]) == 2
    assert "--attention: for LLaMA-VID" in capsys.readouterr().err
