"""`evaluate` and `judge`: answer and score a benchmark, or have a run's replies judged by others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamavid_kit.commands.judge_options import add_judge_options, judges_of, spent
from llamavid_kit.commands.options import ADAPTER_HELP, MODEL_HELP, present
from llamavid_kit.evaluation.benchmarks import FILES, benchmark

if TYPE_CHECKING:
    from llamavid_kit.evaluation.benchmarks.base import Benchmark


def evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", choices=FILES, metavar="benchmark", help=", ".join(FILES))
    parser.add_argument("--model", help=MODEL_HELP)
    parser.add_argument("--adapter", type=Path, help=ADAPTER_HELP)
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark's files, see below")
    parser.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")
    text = "score the finished run in --out again, by other judges say: no model is loaded, no clip is opened"
    parser.add_argument("--score-only", action="store_true", help=text)
    parser.add_argument("--batch", type=int, help="pictures answered at once (default: 16); videos: one at a time")
    parser.add_argument("--max-new-tokens", type=int, help="of a reply (default: as in the original's script)")
    parser.add_argument("--fps", type=float, help="frames a second, of video benchmarks alone (default: 1)")
    add_judge_options(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "what --data must hold:\n" + "\n".join(f"  {name:13s} {files}" for name, files in FILES.items())


def evaluate(args: argparse.Namespace) -> None:
    judges = judges_of(args)
    settings = present(args, "model", "adapter", "batch", "fps", "max_new_tokens")
    run = rescore_command if args.score_only else evaluate_command
    print(
        run(benchmark(args.benchmark), data=args.data, out=args.out, judges=judges, again=args.judge_again, **settings)
    )
    print(f"written to {args.out}: numbers in result.json, item by item in outcomes.csv", file=sys.stderr)
    for line in spent(judges):
        print(line)


def judge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, help="folder that `ablate` wrote for pairs without choices; judge A is its rule"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_judge_options(parser, of="beside the rule of the run: rules and chat models, one or several", first="")


def judge(args: argparse.Namespace) -> None:
    from llamavid_kit.experiments.judging import judge_open_run, open_lines

    judges = judges_of(args)
    if not judges and not args.judge_again:
        raise ValueError("no judge beside the run's own rule: name one with --judge-model or --judge-rule")
    print(open_lines(judge_open_run(args.run, judges, again=args.judge_again)))
    for line in spent([None, *judges]):
        print(line)
    print(f"written to {args.run}: judging.json, clip by clip in judging_verdicts.csv", file=sys.stderr)


def evaluate_command(
    benchmark: "Benchmark",
    *,
    data: Path,
    out: Path,
    model: str = "tiny",
    adapter: Path | None = None,
    batch: int | None = None,
    fps: float | None = None,
    max_new_tokens: int | None = None,
    judges: Sequence[Any] = (),
    again: int = 0,
) -> str:
    """Answer and score with a checkpoint by name or folder; returns the lines to print.

    max_new_tokens: of a reply, by default as in the original's script. batch, fps and errors: see `run.evaluate`.
    judges, again: see `judges.judge_run`
    """
    from llamavid_kit.evaluation.benchmarks.run import asked_with, evaluate
    from llamavid_kit.evaluation.benchmarks.table import table
    from llamavid_kit.model.answering import LlamaVidAnswerer
    from llamavid_kit.model.checkpoints import default_device, load
    from llamavid_kit.model.frame_cache import FrameCache, weights_key

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
        benchmark,
        answerer,
        data=data,
        out=out,
        name=_name(model, adapter),
        settings=settings,
        batch=batch,
        fps=fps,
        judge=first,
        more_judges=more,
        again=again,
    )
    return table(result, image_size=size)


def rescore_command(
    benchmark: "Benchmark",
    *,
    data: Path,
    out: Path,
    judges: Sequence[Any] = (),
    again: int = 0,
    model: str | None = None,
    adapter: Path | None = None,
    **given: Any,
) -> str:
    """Score the finished run in `out` again without its model; returns the lines to print. Errors: see `run.rescore`.

    model, adapter, given (batch, fps, max_new_tokens): compared with the run's, where they are named
    """
    from llamavid_kit.evaluation.benchmarks.run import asked_with, rescore
    from llamavid_kit.evaluation.benchmarks.table import table

    _check(benchmark, judges, again)
    if adapter and not model:
        raise ValueError(f"--adapter {adapter} without --model: name both, or neither; the run knows its model")
    asked_with(benchmark, batch=given.get("batch"), fps=given.get("fps"))
    named = {"model": _name(model, adapter)} if model else {}
    result, head = rescore(benchmark, data=data, out=out, judges=judges, again=again, given=named | given)
    return table(result, image_size=head.get("image_size"))


def _name(model: str, adapter: Path | None) -> str:
    return f"{model} + {adapter}" if adapter else model


def _check(benchmark: "Benchmark", judges: Sequence[Any], again: int) -> None:
    if benchmark.judged and not judges:
        raise ValueError(f"{benchmark.title} is scored by a judge: name one with --judge-rule or --judge-model")
    if not benchmark.judged and (judges or again):
        raise ValueError(f"{benchmark.title} is scored by its own rule and takes no judge: leave --judge-… out")
    if judges:
        from llamavid_kit.evaluation.benchmarks.panel import check_judges

        check_judges(judges, again)
