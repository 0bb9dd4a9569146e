"""`evaluate` and `judge`: answer and score a benchmark, or have a run's replies judged by others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamavid_kit.commands.judge_options import add_judge_options, judges_of, spent
from llamavid_kit.commands.options import ADAPTER_HELP, ANY_MODEL_HELP, PACKED, QUANTISE_HELP, present
from llamavid_kit.evaluation.benchmarks import FILES, benchmark
from llamavid_kit.processes import n_processes

if TYPE_CHECKING:
    from llamavid_kit.evaluation.benchmarks.run import Result
    from llamavid_kit.evaluation.judges.judge import Judge
    from llamavid_kit.model.transformers_video import TransformersVideo


def evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", choices=FILES, metavar="benchmark", help=", ".join(FILES))
    parser.add_argument("--model", help=f"{ANY_MODEL_HELP}, for videos")
    parser.add_argument("--adapter", type=Path, help=ADAPTER_HELP)
    parser.add_argument("--quantise", choices=PACKED, help=QUANTISE_HELP)
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark's files, see below")
    parser.add_argument("--out", type=Path, required=True, help="run folder; an interrupted run continues")
    text = "score the finished run in --out again, by other judges say: no model is loaded, no clip is decoded"
    parser.add_argument("--score-only", action="store_true", help=text)
    parser.add_argument("--batch", type=int, help="pictures answered at once (default: 16); videos: one at a time")
    parser.add_argument("--max-new-tokens", type=int, help="of a reply (default: as in the original's script)")
    parser.add_argument("--fps", type=float, help="frames a second, of video benchmarks alone (default: 1)")
    add_judge_options(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "what --data must hold:\n" + "\n".join(f"  {name:13s} {files}" for name, files in FILES.items())


def evaluate(args: argparse.Namespace) -> None:
    from llamavid_kit.evaluation.benchmarks.run import check_scoring, media_settings
    from llamavid_kit.evaluation.benchmarks.table import table

    judges, bench = judges_of(args), benchmark(args.benchmark)
    media_settings(bench, batch=args.batch, fps=args.fps)  # both before a model is loaded
    check_scoring(bench, judges, args.judge_again)
    if args.score_only and n_processes() > 1:
        raise ValueError("--score-only is work for one process: start it without accelerate launch")
    result = _scored_again(args, judges) if args.score_only else _answered(args, judges)
    print(table(result, image_size=result.head.get("image_size")))
    print(f"written to {args.out}: numbers in result.json, item by item in outcomes.csv", file=sys.stderr)
    for line in spent(judges):
        print(line)


def _answered(args: argparse.Namespace, judges: "Sequence[Judge]") -> "Result":
    from llamavid_kit.evaluation.benchmarks.run import evaluate
    from llamavid_kit.model.answering import LlamaVidAnswerer
    from llamavid_kit.model.checkpoints import default_device
    from llamavid_kit.model.frame_cache import FrameCache
    from llamavid_kit.model.llama_vid import LlamaVid
    from llamavid_kit.model.loading import folder_of, is_another, load

    bench, name = benchmark(args.benchmark), args.model or "tiny"
    length = bench.max_new_tokens if args.max_new_tokens is None else args.max_new_tokens
    if length < 1:
        raise ValueError(f"max_new_tokens={length}: expected at least 1")
    if bench.media == "image" and is_another(folder_of(name)):
        raise ValueError(
            f"{bench.title} asks about pictures, and {name} answers about videos alone: take a video benchmark, or "
            "LLaMA-VID"
        )
    model, settings = load(name, device=default_device(), adapter=args.adapter, quantise=args.quantise), {}
    answerer: LlamaVidAnswerer | TransformersVideo
    if isinstance(model, LlamaVid):
        answerer = LlamaVidAnswerer(model, FrameCache(model), length)  # a run looks once: nothing of it is kept
        settings["image_size"] = model.config.image_size
    else:
        answerer = model
    return evaluate(
        bench,
        answerer,
        data=args.data,
        out=args.out,
        name=_named(name, args),
        settings={"weights": answerer.identity, "max_new_tokens": length, **settings},
        batch=args.batch,
        fps=args.fps,
        judges=judges,
        again=args.judge_again,
    )


def _scored_again(args: argparse.Namespace, judges: "Sequence[Judge]") -> "Result":
    """Options of the model and of answering are compared with the run's, where they are named."""
    from llamavid_kit.evaluation.benchmarks.run import rescore

    for name, value in present(args, "adapter", "quantise").items():
        if not args.model:
            raise ValueError(f"--{name} {value} without --model: name both, or neither; the run knows its model")
    settings = present(args, "batch", "fps", "max_new_tokens")
    if args.model:
        settings["model"] = _named(args.model, args)
    bench, again = benchmark(args.benchmark), args.judge_again
    return rescore(bench, data=args.data, out=args.out, judges=judges, again=again, settings=settings)


def _named(model: str, args: argparse.Namespace) -> str:
    """How tables and the run's head call the model."""
    packed = f" ({args.quantise})" if args.quantise else ""
    return f"{model}{packed} + {args.adapter}" if args.adapter else f"{model}{packed}"


def judge_options(parser: argparse.ArgumentParser) -> None:
    text = "folder that `ablate` wrote for pairs without choices; judge A is its rule"
    parser.add_argument("run", type=Path, help=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_judge_options(parser, of="beside the rule of the run: rules and chat models, one or several", first="")


def judge(args: argparse.Namespace) -> None:
    from llamavid_kit.evaluation.benchmarks.panel_table import open_lines
    from llamavid_kit.experiments.judging import judge_open_run

    judges = judges_of(args)
    if not judges and not args.judge_again:
        raise ValueError("no judge beside the run's own rule: name one with --judge-model or --judge-rule")
    print(open_lines(judge_open_run(args.run, judges, again=args.judge_again)))
    for line in spent([None, *judges]):
        print(line)
    print(f"written to {args.run}: judging.json, clip by clip in judging_verdicts.csv", file=sys.stderr)
