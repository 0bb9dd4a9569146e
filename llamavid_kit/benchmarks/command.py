"""`python -m llamavid_kit evaluate`: loads the model, runs the benchmark, gives the table."""

from pathlib import Path
from typing import Any

from llamavid_kit.answering import LlamaVidAnswerer
from llamavid_kit.benchmarks.base import Benchmark
from llamavid_kit.benchmarks.run import asked_with, evaluate
from llamavid_kit.benchmarks.table import table
from llamavid_kit.checkpoints import default_device, load
from llamavid_kit.frame_cache import FrameCache, weights_key


def evaluate_command(
    benchmark: Benchmark, *, model: str, adapter: Path | None, data: Path, out: Path, batch: int | None = None,
    fps: float | None = None,    max_new_tokens: int | None = None, judge: Any = None,
) -> str:  # fmt: skip
    """Answer and score with a checkpoint by name or folder; returns the lines to print.

    max_new_tokens: of a reply, by default as in the original's script. batch, fps and errors: see `run.evaluate`.
    """
    length = benchmark.max_new_tokens if max_new_tokens is None else max_new_tokens
    if length < 1:
        raise ValueError(f"max_new_tokens={length}: expected at least 1")
    asked_with(benchmark, batch=batch, fps=fps)  # before the model is loaded
    if benchmark.judged and judge is None:
        raise ValueError(f"{benchmark.title} is scored by a judge: name one with --judge-rule or --judge-model")
    if judge is not None and not benchmark.judged:
        raise ValueError(f"{benchmark.title} is scored by its own rule and takes no judge: leave --judge-… out")
    loaded = load(model, device=default_device(), adapter=adapter)
    answerer = LlamaVidAnswerer(loaded, FrameCache(loaded), length)  # a run looks once: nothing of it is kept
    result = evaluate(
        benchmark, answerer, data=data, out=out, name=f"{model} + {adapter}" if adapter else model,
        settings={"weights": weights_key(loaded), "max_new_tokens": length}, batch=batch, fps=fps, judge=judge,
    )  # fmt: skip
    return table(result, image_size=loaded.config.image_size)
