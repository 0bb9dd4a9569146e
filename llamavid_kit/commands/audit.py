"""`audit`: what rates differ in for a model beside the number of frames; no language model runs."""

import argparse
import json
from pathlib import Path

from llamavid_kit.commands.options import present, refuse
from llamavid_kit.files import write_whole


def audit_options(parser: argparse.ArgumentParser) -> None:
    text = (
        '"tiny" (shipped), a converted folder, a published shape as of `plan`, or a folder of another video LLM that '
        "transformers opens (pip: [models]); configuration and processor are enough, weights are not read"
    )
    parser.add_argument("model", nargs="?", default="tiny", help=text)
    parser.add_argument("--fps", type=float, nargs="+", default=[1, 6], help="frames a second (default: 1 6)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--clip", type=Path, help="a video file, whose length, size and times are taken")
    length.add_argument("--duration", type=float, help="seconds of a made-up clip (default: 60)")
    parser.add_argument("--size", type=_size, metavar="WxH", help="its pixels (default: 1280x720)")
    text = "write settings that remove what they can, a file each; `ablate --model` takes each as a model"
    parser.add_argument("--fix", type=Path, metavar="FOLDER", help=text)
    parser.add_argument("--out", type=Path, help="keep the receipts of all rates in this .json")
    parser.add_argument("--figure", type=Path, help="save pixels and tokens a frame by rate as a picture")


def audit(args: argparse.Namespace) -> None:
    from llamavid_kit.model.audit import audit

    if args.clip is not None:
        refuse(args, ("size",), "of a made-up clip; --clip has its own")
    asked = {{"duration": "duration_s"}.get(k, k): v for k, v in present(args, "clip", "duration", "size").items()}
    result = audit(args.model, fps=args.fps, **asked)
    print(result)
    if args.out is not None:
        write_whole(args.out, json.dumps(result.record(), indent=1, ensure_ascii=False) + "\n")
    if args.figure is not None:
        from llamavid_kit.viz.plots import rate_audit

        rate_audit(result.table()).savefig(args.figure)
    if args.fix is not None:
        arms = [args.model, *map(str, result.write_fixes(args.fix))]
        print("arms of an ablation:", " ".join(f"--model {arm}" for arm in arms), "--no-finetune")


def _size(text: str) -> tuple[int, int]:
    """ "1280x720" → width, height."""
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected width x height in pixels, such as 1280x720") from None
    return width, height
