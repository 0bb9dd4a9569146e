"""`python -m llamavid_kit …`: each command parses its arguments and calls one function of the library."""

import argparse
import logging
import math
import sys
import warnings
from dataclasses import replace
from pathlib import Path

VIDEO_HELP = "a video file"
ASK_HELP = "a video, a picture, or a feature file of the original (.pkl)"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MODEL_HELP = 'model: "tiny" (shipped), a converted folder, or a folder of the original (default: tiny)'


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


def bench(args) -> None:
    from llamavid_kit.bench import run

    run(args.model)


def restudy(args) -> None:
    from llamavid_kit.restudy_report import run

    print(run(args.predictions, annotation=args.annotation, out=args.out))
    if args.out:
        print(f"written to {args.out}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="python -m llamavid_kit", description="Understand and stress LLaMA-VID.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(function, text):
        sub = commands.add_parser(function.__name__, help=text, description=text)
        sub.set_defaults(function=function)
        return sub

    sub = command(demo, "render a toy set, fine-tune, run the FPS ablation, write the report")
    sub.add_argument("--out", type=Path, default=Path("runs/demo"), help="run folder (default: runs/demo)")
    sub.add_argument("--quick", action="store_true", help="the same path on a few clips")
    sub.add_argument("--animals", action="store_true", help="then the same for animals, into OUT-animals")
    sub.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")

    for function, text in (
        (ask, "ask about a clip, a picture, or a film's features"),
        (attention, "save a clip's context-attention overlay"),
    ):
        sub = command(function, text)
        sub.add_argument("video", type=Path, help=ASK_HELP if function is ask else VIDEO_HELP)
        sub.add_argument("question")
        sub.add_argument("--model", default="tiny", help=MODEL_HELP)
        sub.add_argument("--adapter", type=Path, help="what `finetune` wrote for this model")
        sub.add_argument("--fps", type=float, help="frames a second of a clip (default: 1)")
        if function is ask:
            sub.add_argument("--max-new-tokens", type=int, default=64)
            sub.add_argument("--subtitles", type=Path, help=".srt or .vtt: each frame is followed by what is said")
            sub.add_argument("--context", type=int, help="tokens that must fit, by linear RoPE scaling if need be")
            sub.add_argument("--attention", type=Path, help="save the context-attention overlay to this PNG")
            sub.set_defaults(scale=None)
        else:
            sub.add_argument("--out", type=Path, default=Path("attention.png"), help="PNG to write")
            sub.add_argument("--scale", type=float, help="upper end of the colours, to compare questions (1 = even)")

    _checkpoint_commands(command)
    _finetune_arguments(command(finetune, "LoRA, or one of the paper's stages, on instruction pairs at one fps"))
    _ablate_arguments(command(ablate, "zero-shot and fine-tuned arms at several fps, on the same clips"))
    _evaluate_arguments(command(evaluate, "answer and score a benchmark, beside what was published"))
    sub = command(judge, "judge the replies of a finished open ablation by others too: agreement, arm by arm")
    _judge_arguments(sub)
    sub = command(restudy, "count the study's own predictions again: tables, figures, and which claims hold")
    sub.add_argument("--predictions", type=Path, help="folder of its CSV files (default: the counts that ship)")
    sub.add_argument("--annotation", type=Path, help="UCF-Crime's temporal annotation, or a CSV of events")
    sub.add_argument("--out", type=Path, help="folder for restudy.md, restudy.json, tables and figures")
    sub = command(bench, "measure speed against baselines in the same run")
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    return top


def _checkpoint_commands(command) -> None:
    sub = command(convert, "convert a checkpoint of the original code")
    sub.add_argument("original", type=Path, help="full model, LoRA folder, stage-1 folder, or bare language model")
    sub.add_argument("--base", type=Path, help="the model that a LoRA or stage-1 folder belongs to")
    sub.add_argument("--text-decoder", type=Path, help="InstructBLIP's file: begins stage 1 on a bare language model")
    sub.add_argument("--vision-weights", type=Path, help="EVA-ViT file (default: looked for beside the folder)")
    sub.add_argument("--bert-tokenizer", type=Path, help="bert-base-uncased folder (default: looked for likewise)")
    sub.add_argument("--vision-heads", type=int, help="heads of a tower that is not EVA-ViT-G")
    sub.add_argument("--image-size", type=int, help="pixels a side, where no file says it (default: the tower's 224)")
    sub.add_argument("--out", type=Path, required=True)

    sub = command(export, "write a converted or trained model in the original's layout")
    sub.add_argument("folder", type=Path, help="a folder of this kit")
    sub.add_argument("--out", type=Path, required=True)

    sub = command(doctor, "what a folder holds, what is missing, where to get it, whether it fits this machine")
    sub.epilog = "Exit status: 0, or 1 where something stands between this folder and a model that loads."
    sub.add_argument("folder", type=Path)
    sub.add_argument("--vision-heads", type=int, help="heads of a tower that is not EVA-ViT-G")


def _finetune_arguments(sub) -> None:
    sub.add_argument("--pairs", type=Path, required=True, help="JSONL of instruction pairs; its train split is used")
    sub.add_argument("--root", type=Path, required=True, help="folder of the clips")
    sub.add_argument("--fps", type=float, default=1.0)
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    sub.add_argument("--stage", help="align, instruct, long_video, freeze_all (the study's) … (default: LoRA alone)")
    sub.add_argument("--epochs", type=float, help="default: 6, or the stage's")
    sub.add_argument("--learning-rate", type=float, help="default: 0.002, or the stage's")
    sub.add_argument("--lora-rank", type=int, help="without --stage (default: 16)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, required=True)


def _ablate_arguments(sub) -> None:
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="your own CSV: video,label[,start_s,end_s][,split]")
    source.add_argument("--crime", type=Path, help="UCF-Crime folder with its lists (or a toy set)")
    source.add_argument("--pairs", type=Path, nargs="+", help="JSONL files of instruction pairs, of one question")
    sub.add_argument("--root", type=Path, help="folder of the clips (default: the CSV's or JSONL's)")
    sub.add_argument(
        "--tier", choices=["all", "under_1800", "under_120"], help="training tier of --crime (default: all)"
    )
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    sub.add_argument("--fps", type=float, nargs="+", default=[1, 6])
    sub.add_argument("--seeds", type=int, nargs="+", help="training seeds of the fine-tuned arms (default: 0)")
    sub.add_argument("--no-finetune", dest="finetune", action="store_false", help="zero-shot arms only")
    sub.add_argument("--rule", default="normalised", help="how a reply becomes a label, see scoring.RULES")
    sub.add_argument("--prompts", default="study", help=(
        'words of a closed question, each its own arms on the same clips: "study" (its wording, the default), "plain", '
        '"short" (ours, see wordings.PROMPTS); for example study,plain,short'
    ))  # fmt: skip
    sub.add_argument("--shuffle-choices", type=int, metavar="SEED", help=(
        "ask every arm a second time with the options shuffled clip by clip: does the answer depend on their order?"
    ))  # fmt: skip
    sub.add_argument("--max-new-tokens", type=int, help="of a reply (default: 24; 128 for an open question)")
    sub.add_argument("--shuffle-labels", type=int, help="control: permute the training answers with this seed")
    sub.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")


def _evaluate_arguments(sub) -> None:
    from llamavid_kit.benchmarks import FILES
    from llamavid_kit.judge_options import add_judge_options

    sub.add_argument("benchmark", choices=FILES, metavar="benchmark", help=", ".join(FILES))
    sub.add_argument("--model", help=MODEL_HELP)
    sub.add_argument("--adapter", type=Path, help="what `finetune` wrote for this model")
    sub.add_argument("--data", type=Path, required=True, help="folder of the benchmark's files, see below")
    sub.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")
    text = "score the finished run in --out again, by other judges say: no model is loaded, no clip is opened"
    sub.add_argument("--score-only", action="store_true", help=text)
    sub.add_argument("--batch", type=int, help="pictures answered at once (default: 16); videos: one at a time")
    sub.add_argument("--max-new-tokens", type=int, help="of a reply (default: as in the original's script)")
    sub.add_argument("--fps", type=float, help="frames a second, of video benchmarks alone (default: 1)")
    add_judge_options(sub)
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = "what --data must hold:\n" + "\n".join(f"  {name:13s} {files}" for name, files in FILES.items())


def _judge_arguments(sub) -> None:
    from llamavid_kit.judge_options import add_judge_options

    sub.add_argument("run", type=Path, help="folder that `ablate` wrote for pairs without choices; judge A is its rule")
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    add_judge_options(sub, of="beside the rule of the run: rules and chat models, one or several", first="")


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
