"""`bench --size`: speed and memory at real size, each stage beside the original's way (`bench_rows`).

Random weights do for time and memory; a folder is measured likewise.
"""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from llamavid_kit.commands.bench_rows import ROWS, SMALL, Bench, Counts, Row, free
from llamavid_kit.experiments.report.provenance import commit
from llamavid_kit.files import read_lines, write_whole
from llamavid_kit.model.checkpoints import default_device, load
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid

log = logging.getLogger(__name__)


def bench_size(size: str, names: Sequence[str], out: Path | None) -> None:
    """Measure the rows of `names` (all by default), print the table, and keep the lines in `out` beside those there."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f"unknown rows {', '.join(unknown)}: expected some of {', '.join(ROWS)}")
    model = _model(size)
    machine = {"size": size, "device": _device_name(model.device), "dtype": str(model.dtype)}
    machine["commit"] = commit() or version("llamavid-kit")
    machine |= {package: version(package) for package in ("torch", "transformers")}
    lines = [] if out is None or not out.is_file() else read_lines(out)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(model, SMALL if size == "tiny" else Counts(), Path(folder), size)
        for name in names or ROWS:
            grads = torch.enable_grad() if name.startswith("lora") else torch.inference_mode()
            with grads:
                row = replace(ROWS[name](bench), name=name)
            free(model)
            log.info("%s", _line(row))
            lines = [line for line in lines if (line["name"], line["size"]) != (name, size)]
            lines.append({**asdict(row), "ratio": row.ratio, **machine})
            if out is not None:
                write_whole(out, "".join(json.dumps(line) + "\n" for line in lines))
    print(table(lines))


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    head = [
        "| what | as the original | here | times | GiB original | GiB here | note |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    rows = [Row(**{name: line[name] for name in Row.__dataclass_fields__}) for line in lines]
    return "\n".join([*head, *map(_line, rows)])


def _line(row: Row) -> str:
    def value(x: float | None) -> str:
        return "–" if x is None else f"{x:,.0f} {row.unit}" if x >= 100 else f"{x:.3g} {row.unit}"

    ratio = "–" if row.ratio is None else f"{row.ratio:.1f}"
    cells = [
        row.what,
        value(row.baseline),
        value(row.ours),
        ratio,
        f"{row.baseline_gib:.1f}",
        f"{row.gib:.1f}",
        row.note,
    ]
    return f"| {' | '.join(cells)} |"


# --- the model and its machine


def _model(size: str) -> LlamaVid:
    """A folder, "tiny", or a published shape with random weights, in which the tokenizers of tiny stand in."""
    device, shape = torch.device(default_device()), f"llama_vid_{size}"
    if not hasattr(LlamaVidConfig, shape):
        model = load(size, device=device)
        model.config.extend_context(65536)
        return model
    stand_in = load("tiny")
    config = getattr(LlamaVidConfig, shape)()
    config.extend_context(65536)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaVid(config)
    finally:
        torch.set_default_dtype(before)
    model.tokenizer, model.question_tokenizer = stand_in.tokenizer, stand_in.question_tokenizer
    with torch.no_grad():
        model.get_output_embeddings().weight[len(model.tokenizer) :] = 0  # never the likeliest: nothing to decode
    return model.to(device, dtype).eval()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
