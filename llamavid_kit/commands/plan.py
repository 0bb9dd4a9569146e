"""`plan`: tokens and memory of clips at several rates, before anything runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from llamavid_kit.commands.options import PACKED

if TYPE_CHECKING:
    from llamavid_kit.model.config import LlamaVidConfig

SHAPES = ("7b_224", "7b_336", "7b_224_long_video", "13b_224", "13b_336")


def plan_options(parser: argparse.ArgumentParser) -> None:
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
    from llamavid_kit.model.planner import plan

    config = _config(args.model)
    duration_s = args.duration if args.clip is None else Video(args.clip).duration_s
    options = {"content": args.content, "dtype": args.dtype, "quantise": args.quantise}
    for fps in args.fps:
        print(plan(config, duration_s=duration_s, fps=fps, **options))


def _config(name: str) -> "LlamaVidConfig":
    from llamavid_kit.files import read_json
    from llamavid_kit.model.checkpoints import ASSETS
    from llamavid_kit.model.config import LlamaVidConfig
    from llamavid_kit.model.original.open import ours_config

    if name in SHAPES:
        return getattr(LlamaVidConfig, f"llama_vid_{name}")()
    folder = ASSETS / "tiny" if name == "tiny" else Path(name)
    path = folder / "config.json"
    config = read_json(path, way_out="convert the model again") if path.is_file() else None
    if not isinstance(config, dict) or config.get("model_type") != LlamaVidConfig.model_type:
        shapes = ", ".join(SHAPES)
        raise ValueError(
            f"{name!r} is no model of this kit: expected tiny, what `convert` wrote, or a shape ({shapes})"
        )
    return ours_config(folder)
