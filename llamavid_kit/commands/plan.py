"""`plan`: tokens and memory of clips at several rates, before anything runs."""

import argparse
from pathlib import Path

from llamavid_kit.commands.options import PACKED


def plan_options(parser: argparse.ArgumentParser) -> None:
    from llamavid_kit.model.loading import SHAPES

    text = f'"tiny", a converted folder, or a published shape: {", ".join(SHAPES)}'
    parser.add_argument("--model", default="tiny", help=f"{text} (default: tiny)")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--clip", type=Path, help="a video file")
    length.add_argument("--duration", type=float, help="seconds")
    parser.add_argument("--fps", type=float, nargs="+", default=[1, 6], help="frames a second (default: 1 6)")
    parser.add_argument("--content", help='content tokens a frame: "mean", "grid:2", "all" (default: the model\'s)')
    parser.add_argument("--dtype", default="bfloat16", help="of weights and cache (default: bfloat16)")
    parser.add_argument("--quantise", choices=PACKED, help="count the language model's layers in 4 bits")


def plan(args: argparse.Namespace) -> None:
    from llamavid_kit.data.video import Video
    from llamavid_kit.model.loading import config_of
    from llamavid_kit.model.planner import plan

    config = config_of(args.model)
    duration_s = args.duration if args.clip is None else Video(args.clip).duration_s
    options = {"content": args.content, "dtype": args.dtype, "quantise": args.quantise}
    for fps in args.fps:
        print(plan(config, duration_s=duration_s, fps=fps, **options))
