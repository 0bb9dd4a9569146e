"""Ten benchmarks, one file each: `benchmark(name)` is the object BENCHMARK of its file, imported when asked for."""

import importlib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamavid_kit.evaluation.benchmarks.base import Benchmark

TABLE = tomllib.loads(Path(__file__).with_name("benchmarks.toml").read_text(encoding="utf-8"))
FILES: dict[str, str] = {name: fields.pop("files") for name, fields in TABLE.items()}
"""Name → what the data folder must hold."""


def benchmark(name: str) -> "Benchmark":
    """The benchmark called `name`. ValueError lists the known names."""
    if name not in FILES:
        raise ValueError(f"unknown benchmark {name!r}: expected one of {', '.join(FILES)}")
    return importlib.import_module(f"llamavid_kit.evaluation.benchmarks.{name}").BENCHMARK
