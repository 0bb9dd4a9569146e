"""`python -m llamavid_kit …`: each command takes its options and calls one function of the library."""

import argparse
import logging
import math
import sys
import warnings
from dataclasses import replace

from llamavid_kit import command_options

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def demo(args) -> None:
    from llamavid_kit.demo import QUICK, QUICK_ANIMALS, run, run_animals

    run(args.out, demo=QUICK if args.quick else None, workers=args.workers)
    if args.animals:
        out = args.out.with_name(f"{args.out.name}-animals")
        run_animals(out, demo=QUICK_ANIMALS if args.quick else None, workers=args.workers)


def ask(args) -> None:
    from llamavid_kit.checkpoints import default_device, load
    from llamavid_kit.feature_file import SUFFIX, import_features
    from llamavid_kit.video import Video

    if args.video.suffix.lower() in PICTURES:
        if args.function is attention:
            raise ValueError(f"{args.video} is a picture: the overlay is drawn on a clip's frames; name a clip")
        of_clips = ("fps", "context", "subtitles", "attention")
        _refuse(args, of_clips, f"for a clip, and {args.video} is a picture")
        model = load(args.model, device=default_device(), adapter=args.adapter)
        print(model.ask_image(args.video, args.question, max_new_tokens=args.max_new_tokens))
        return
    film = args.video.suffix.lower() == SUFFIX
    if film:
        brings = f"for a clip, and {args.video} holds features, which bring their own rate and subtitles"
        _refuse(args, ("fps", "subtitles"), brings)
        if args.attention:
            raise ValueError(f"{args.video} holds features and no frames: there is nothing to draw an overlay on")
    video = import_features(args.video) if film else Video(args.video)
    model = load(args.model, device=default_device(), context=args.context, adapter=args.adapter)
    fps = 1.0 if args.fps is None else args.fps
    options = {"max_new_tokens": args.max_new_tokens, "subtitles": args.subtitles}
    reply = model.ask(video, args.question, fps=fps, **options)
    print(reply)
    times = reply.timestamps_s
    print(f"seen: {len(reply.tokens)} frames" + (f", {times[0]:.2f} to {times[-1]:.2f} s" if times else ""))
    if args.attention:
        from llamavid_kit.overlay import save_overlay

        looks = {"fps": fps, "model": args.model, "scale": args.scale}
        out = save_overlay(video, args.question, reply, out=args.attention, **looks)
        print(f"context attention: {out}")


def _refuse(args, names, why: str) -> None:
    """ValueError naming the options among `names` that are given and would be ignored: None is the default of each."""
    if given := [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) is not None]:
        raise ValueError(f"{' and '.join(given)}: {why}; leave {'it' if len(given) == 1 else 'them'} out")


def attention(args) -> None:
    args.attention, args.max_new_tokens, args.subtitles, args.context = args.out, 64, None, None
    ask(args)


def convert(args) -> None:
    from llamavid_kit.conversion import convert

    given = {
        "vision_weights": args.vision_weights, "bert_folder": args.bert_tokenizer, "vision_heads": args.vision_heads,
        "image_size": args.image_size,
    }  # fmt: skip
    report = convert(
        args.original, out=args.out, base=args.base, text_decoder=args.text_decoder,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    print(f"{report}\nwritten to {args.out}")


def export(args) -> None:
    from llamavid_kit.conversion import export

    print(f"{export(args.folder, out=args.out)}\nwritten to {args.out}")


def doctor(args) -> int:
    from llamavid_kit.doctor import examine

    found = examine(args.folder, vision_heads=args.vision_heads)
    print(found)
    return 1 if found.problems else 0


def finetune(args) -> None:
    from llamavid_kit.checkpoints import load_to_train
    from llamavid_kit.finetune import finetune
    from llamavid_kit.frame_cache import FrameCache
    from llamavid_kit.pairs import read_jsonl
    from llamavid_kit.stages import LoraSettings, TrainSettings, stage_named
    from llamavid_kit.training import train_stage
    from llamavid_kit.video import Video

    if args.stage:
        _refuse(args, ("lora_rank",), f"for LoRA alone, and --stage {args.stage} brings its own settings")
    model = load_to_train(args.model)
    pairs = [p for p in read_jsonl(args.pairs) if p.split == "train"]
    asked = {"learning_rate": args.learning_rate, "epochs": args.epochs, "seed": args.seed}
    given = {name: value for name, value in asked.items() if value is not None}
    if args.stage:
        settings = replace(stage_named(args.stage).settings, **given)
        where = {"root": args.root, "fps": args.fps, "out": args.out}
        print(train_stage(model, pairs, stage=args.stage, settings=settings, **where))
        return
    cache = FrameCache(model, args.out / "frame_tokens")
    tokens = [cache.tokens(Video(p.video_path(args.root)), p.question, fps=args.fps)[0] for p in pairs]
    lora = LoraSettings() if args.lora_rank is None else LoraSettings(r=args.lora_rank)
    print(finetune(model, pairs, tokens, out=args.out, settings=TrainSettings(**given), lora=lora))


def ablate(args) -> None:
    from llamavid_kit.ablation import AblationConfig, ablate
    from llamavid_kit.report import write_report

    if not args.finetune:
        _refuse(args, ("seeds", "shuffle_labels"), "for fine-tuned arms, and --no-finetune leaves them out")
    pairs, root = _pairs(args)
    length = {} if args.max_new_tokens is None else {"max_new_tokens": args.max_new_tokens}
    config = AblationConfig.for_pairs(
        pairs, model=args.model, source=str(args.clips or args.crime or args.pairs[0]), fps=tuple(args.fps),
        finetune=args.finetune, seeds=tuple(args.seeds or (0,)), rule=args.rule, shuffle_labels=args.shuffle_labels,
        prompts=tuple(args.prompts.split(",")), shuffle_choices=args.shuffle_choices, **length,
    )  # fmt: skip
    summary = ablate(pairs, root=root, out=args.out, config=config)
    for arm in summary["arms"]:
        low, high = arm["wilson95"]
        score = f" score {arm['score']:.2f}" if "score" in arm else ""
        share = f"{arm['accuracy']:6.1%} [{low:.1%}, {high:.1%}]"
        print(f"{arm['name']:34s} {arm['correct']:4d}/{arm['n']:<4d} {share}{score}  by {arm['rule']}")
    for row in summary["excluded"]:
        print(f"left out: {row['clip']} ({row['split']}): {row['reason']}")
    print(f"report: {write_report(args.out)}")


def _pairs(args):
    """The pairs and the clips' root of one of the three ways to name them."""
    if args.crime:
        _refuse(args, ("root",), "for --clips and --pairs; --crime names the folder that holds the clips, too")
    else:
        _refuse(args, ("tier",), "for --crime, whose training lists have tiers")
    if args.clips:
        from llamavid_kit.own_data import clips_from_csv

        return clips_from_csv(args.clips, root=args.root, for_training=args.finetune), args.root or args.clips.parent
    if args.crime:
        from data_prep.ucf_crime import build

        crime = build(args.crime, fps=[math.ceil(rate) for rate in args.fps])  # its frame rule counts in whole rates
        return [*crime.test, *crime.train[args.tier or "all"]], args.crime
    from llamavid_kit.pairs import read_jsonl

    return [pair for path in args.pairs for pair in read_jsonl(path)], args.root or args.pairs[0].parent


def evaluate(args) -> None:
    from llamavid_kit.benchmarks import benchmark
    from llamavid_kit.benchmarks.command import evaluate_command, rescore_command
    from llamavid_kit.judge_options import judges_of, spent

    judges = judges_of(args)
    asked = {name: getattr(args, name) for name in ("model", "adapter", "batch", "fps", "max_new_tokens")}
    given = {name: value for name, value in asked.items() if value is not None}
    run = rescore_command if args.score_only else evaluate_command
    what = {"data": args.data, "out": args.out, "judges": judges, "again": args.judge_again}
    print(run(benchmark(args.benchmark), **what, **given))
    print(f"written to {args.out}: numbers in result.json, item by item in outcomes.csv", file=sys.stderr)
    for line in spent(judges):
        print(line)


def judge(args) -> None:
    from llamavid_kit.judge_options import judges_of, spent
    from llamavid_kit.open_judges import judge_open_run, open_lines

    judges = judges_of(args)
    if not judges and not args.judge_again:
        raise ValueError("no judge beside the run's own rule: name one with --judge-model or --judge-rule")
    print(open_lines(judge_open_run(args.run, judges, again=args.judge_again)))
    for line in spent([None, *judges]):
        print(line)
    print(f"written to {args.run}: judging.json, clip by clip in judging_verdicts.csv", file=sys.stderr)


def bench(args) -> None:
    from llamavid_kit.bench import run

    run(args.model)


def restudy(args) -> None:
    from llamavid_kit.restudy_report import run

    print(run(args.predictions, annotation=args.annotation, out=args.out))
    if args.out:
        print(f"written to {args.out}", file=sys.stderr)


COMMANDS = {
    demo: "render a toy set, fine-tune, run the FPS ablation, write the report",
    ask: "ask about a clip, a picture, or a film's features",
    attention: "save a clip's context-attention overlay",
    convert: "convert a checkpoint of the original code",
    export: "write a converted or trained model in the original's layout",
    doctor: "what a folder holds, what is missing, where to get it, whether it fits this machine",
    finetune: "LoRA, or one of the paper's stages, on instruction pairs at one fps",
    ablate: "zero-shot and fine-tuned arms at several fps, on the same clips",
    evaluate: "answer and score a benchmark, beside what was published",
    judge: "judge the replies of a finished open ablation by others too: agreement, arm by arm",
    restudy: "count the study's own predictions again: tables, figures, and which claims hold",
    bench: "measure speed against baselines in the same run",
}


def parser() -> argparse.ArgumentParser:
    """All commands; their options are in `command_options`, under the same names."""
    top = argparse.ArgumentParser(prog="python -m llamavid_kit", description="Understand and stress LLaMA-VID.")
    commands = top.add_subparsers(dest="command", required=True)
    for function, text in COMMANDS.items():
        sub = commands.add_parser(function.__name__, help=text, description=text)
        sub.set_defaults(function=function)
        getattr(command_options, function.__name__)(sub)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command → exit status: 0; 1 where `doctor` found a problem; 2 after a user's error, said in one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "matplotlib", "papermill", "transformers", "traitlets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)  # peft's call
    args = parser().parse_args(argv)
    try:
        return args.function(args) or 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
