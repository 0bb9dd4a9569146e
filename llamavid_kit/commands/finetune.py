"""`finetune`: fixed-token LoRA, or one of the published stages, on the train split of a file of pairs."""

import argparse
from dataclasses import replace
from pathlib import Path

from llamavid_kit.commands.options import MODEL_HELP, PACKED, QUANTISE_HELP, present, refuse


def finetune_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=Path, required=True, help="JSONL of instruction pairs; its train split is used")
    parser.add_argument("--root", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--model", default="tiny", help=MODEL_HELP)
    parser.add_argument("--quantise", choices=PACKED, help=f"without --stage: {QUANTISE_HELP}; as QLoRA trains")
    parser.add_argument("--stage", help="align, instruct, long_video, freeze_all … (default: fixed-token LoRA)")
    parser.add_argument("--epochs", type=float, help="default: 6, or the stage's")
    parser.add_argument("--learning-rate", type=float, help="default: 0.002, or the stage's")
    parser.add_argument("--lora-rank", type=int, help="without --stage (default: 16)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)


def finetune(args: argparse.Namespace) -> None:
    from llamavid_kit.data.pairs import read_jsonl
    from llamavid_kit.data.video import Video
    from llamavid_kit.model.checkpoints import load_to_train
    from llamavid_kit.model.frame_cache import FRAME_TOKENS, FrameCache
    from llamavid_kit.model.lora import LoraSettings
    from llamavid_kit.training.dataset import look_at_all
    from llamavid_kit.training.finetune import finetune
    from llamavid_kit.training.stage import train_stage
    from llamavid_kit.training.stages import TrainSettings, stage_named

    if args.stage:
        refuse(args, ("lora_rank",), f"for fixed-token LoRA, and --stage {args.stage} brings its own settings")
        refuse(args, ("quantise",), f"for fixed-token LoRA, and --stage {args.stage} saves whole weights")
    model = load_to_train(args.model, quantise=args.quantise)
    pairs = [pair for pair in read_jsonl(args.pairs) if pair.split == "train"]
    options = present(args, "learning_rate", "epochs", "seed")
    if args.stage:
        settings = replace(stage_named(args.stage).settings, **options)
        clips = {"root": args.root, "fps": args.fps}
        folder = train_stage(model, pairs, stage=args.stage, settings=settings, out=args.out, **clips)
    else:
        cache = FrameCache(model, args.out / FRAME_TOKENS)
        tokens = look_at_all(
            lambda pair: cache.tokens(Video(pair.video_path(args.root)), pair.question, fps=args.fps)[0], pairs
        )
        lora = LoraSettings() if args.lora_rank is None else LoraSettings(r=args.lora_rank)
        folder = finetune(model, pairs, tokens, out=args.out, settings=TrainSettings(**options), lora=lora)
    print(folder)
