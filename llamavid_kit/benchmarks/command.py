"""`python -m llamavid_kit evaluate`: loads the model, runs the benchmark, gives the table; or only scores again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.answering import LlamaVidAnswerer
from llamavid_kit.benchmarks.base import Benchmark
from llamavid_kit.benchmarks.judges import check_judges
from llamavid_kit.benchmarks.run import asked_with, evaluate, rescore
from llamavid_kit.benchmarks.table import table
from llamavid_kit.checkpoints import default_device, load
from llamavid_kit.frame_cache import FrameCache, weights_key


def evaluate_command(
    benchmark: Benchmark, *, data: Path, out: Path, model: str = "tiny", adapter: Path | None = None,
    batch: int | None = None, fps: float | None = None, max_new_tokens: int | None = None, judges: Sequence[Any] = (),
    again: int = 0,
) -> str:  # fmt: skip
    """Answer and score with a checkpoint by name or folder; returns the lines to print.

    max_new_tokens: of a reply, by default as in the original's script. batch, fps and errors: see `run.evaluate`.
    judges, again: see `judges.judge_run`
    """
    length = benchmark.max_new_tokens if max_new_tokens is None else max_new_tokens
    if length < 1:
        raise ValueError(f"max_new_tokens={length}: expected at least 1")
    asked_with(benchmark, batch=batch, fps=fps)  # before the model is loaded
    _check(benchmark, judges, again)
    loaded = load(model, device=default_device(), adapter=adapter)
    answerer = LlamaVidAnswerer(loaded, FrameCache(loaded), length)  # a run looks once: nothing of it is kept
    size = loaded.config.image_size
    settings = {"weights": weights_key(loaded), "max_new_tokens": length, "image_size": size}
    first, *more = judges or (None,)
    result = evaluate(
        benchmark, answerer, data=data, out=out, name=_name(model, adapter), settings=settings, batch=batch, fps=fps,
        judge=first, more_judges=more, again=again,
    )  # fmt: skip
    return table(result, image_size=size)


def rescore_command(
    benchmark: Benchmark, *, data: Path, out: Path, judges: Sequence[Any] = (), again: int = 0,
    model: str | None = None, adapter: Path | None = None, **given: Any,
) -> str:  # fmt: skip
    """Score the finished run in `out` again without its model; returns the lines to print. Errors: see `run.rescore`.

    model, adapter, given (batch, fps, max_new_tokens): compared with the run's, where they are named
    """
    _check(benchmark, judges, again)
    if adapter and not model:
        raise ValueError(f"--adapter {adapter} without --model: name both, or neither; the run knows its model")
    asked_with(benchmark, batch=given.get("batch"), fps=given.get("fps"))
    named = {"model": _name(model, adapter)} if model else {}
    result, head = rescore(benchmark, data=data, out=out, judges=judges, again=again, given=named | given)
    return table(result, image_size=head.get("image_size"))


def _name(model: str, adapter: Path | None) -> str:
    return f"{model} + {adapter}" if adapter else model


def _check(benchmark: Benchmark, judges: Sequence[Any], again: int) -> None:
    if benchmark.judged and not judges:
        raise ValueError(f"{benchmark.title} is scored by a judge: name one with --judge-rule or --judge-model")
    if not benchmark.judged and (judges or again):
        raise ValueError(f"{benchmark.title} is scored by its own rule and takes no judge: leave --judge-… out")
    if judges:
        check_judges(judges, again)
