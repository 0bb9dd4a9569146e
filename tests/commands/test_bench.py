"""Guards `bench --size`: rows beside their baselines, kept and merged; the model comes back as it was."""

import json

import pytest
import torch

from llamavid_kit.__main__ import main
from llamavid_kit.commands import bench_size
from llamavid_kit.commands.bench_rows import SMALL, Bench, Row, as_original
from llamavid_kit.model.checkpoints import load


def lines(path):
    return {line["name"]: line for line in map(json.loads, path.read_text().splitlines())}


@pytest.mark.slow
def test_rows_are_kept_beside_those_of_before(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    assert main(["bench", "--size", "tiny", "--rows", "decode_batch", "start", "--out", str(out)]) == 0
    first = lines(out)
    assert [*first] == ["decode_batch", "start"] and first["decode_batch"]["note"].startswith("100% of the ids")
    assert main(["bench", "--size", "tiny", "--rows", "start", "choices_batch", "lora", "--out", str(out)]) == 0
    rows = lines(out)
    assert [*rows] == ["decode_batch", "start", "choices_batch", "lora"]
    assert rows["decode_batch"] == first["decode_batch"] and rows["start"] != first["start"]
    for row in rows.values():
        assert row["ours"] > 0 and {"device", "torch", "transformers", "commit", "size"} <= row.keys()
        assert row["name"] == "start" or row["ratio"] == pytest.approx(
            row["ours"] / row["baseline"] if "/s" in row["unit"] else row["baseline"] / row["ours"]
        )
    assert capsys.readouterr().out.count("| decoding, batch 3 |") == 2  # in both tables


def test_what_is_not_asked_of_it(capsys):
    assert main(["bench", "--size", "tiny", "--rows", "nothing"]) == 2
    assert "unknown rows nothing: expected some of tower, tokens" in capsys.readouterr().err
    assert main(["bench", "--rows", "tower"]) == 2 and "--rows: of --size alone" in capsys.readouterr().err
    assert main(["bench", "--size", "tiny", "--model", "tiny"]) == 2
    assert "--model: --size names the model" in capsys.readouterr().err


def test_full_memory_is_a_row_without_a_number(tmp_path):
    bench = Bench(load("tiny"), SMALL, tmp_path)

    def full():
        raise torch.OutOfMemoryError("full")

    assert bench.measure(full)[0] is None
    row = Row("x", "x", "s", 2.0, None, 1.0, 140.0, "out of memory")
    assert row.ratio is None and bench_size._line(row) == "| x | – | 2 s | – | 140.0 | 1.0 | out of memory |"
    with pytest.raises(RuntimeError, match="planted"), as_original(bench.model):
        assert bench.model.language_model.config._attn_implementation == "eager"
        raise RuntimeError("planted")
    assert bench.model.language_model.config._attn_implementation == "sdpa" and bench.model.dtype == torch.float32
