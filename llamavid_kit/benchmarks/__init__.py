"""Ten benchmarks, one file each: name → `Benchmark`. A name is imported when it is first asked for."""

import importlib

from llamavid_kit.benchmarks.base import Benchmark

NAMES = ("gqa", "pope", "scienceqa", "mmbench", "vizwiz", "vqav2")


def benchmark(name: str) -> Benchmark:
    """The benchmark called `name`: the object BENCHMARK of its file. ValueError lists the known names."""
    if name not in NAMES:
        raise ValueError(f"unknown benchmark {name!r}: expected one of {', '.join(NAMES)}")
    return importlib.import_module(f"llamavid_kit.benchmarks.{name}").BENCHMARK
