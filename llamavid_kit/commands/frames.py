"""`frames`: the frames that rates pick, written once as files for tools outside."""

import argparse
from pathlib import Path

from llamavid_kit.commands.options import frames_option, present, refuse
from llamavid_kit.data.frames_out import FORMATS, MANIFEST, QUALITY, write_frames

LISTS = (".csv", ".jsonl")


def frames_options(parser: argparse.ArgumentParser) -> None:
    text = "video files; or lists: your own CSV (video,label), JSONL files of instruction pairs"
    parser.add_argument("clips", nargs="+", help=text)
    parser.add_argument("--root", type=Path, help="of lists: folder of the clips (default: the first list's)")
    parser.add_argument("--fps", type=float, nargs="+", default=[1], help="frames a second, several too (default: 1)")
    frames_option(parser)
    text = (
        "jpg (default) loses a little of each frame; npz keeps every byte, in as much room as the frames take in memory"
    )
    parser.add_argument("--format", choices=FORMATS, default="jpg", help=text)
    parser.add_argument("--quality", type=int, help=f"of jpg, 1 to 100 (default: {QUALITY})")
    parser.add_argument("--out", type=Path, required=True, help="folder; an interrupted run continues")


def frames(args: argparse.Namespace) -> None:
    if args.format != "jpg":
        refuse(args, ("quality",), "for --format jpg, and npz loses nothing")
    videos, root = _videos(args)
    rule = {} if args.frames is None else {"rule": args.frames}
    options = rule | present(args, "quality")
    lines = write_frames(videos, root=root, out=args.out, fps=args.fps, format=args.format, **options)
    for fps in dict.fromkeys(line["fps"] for line in lines):
        sizes = [len(line["indices"]) for line in lines if line["fps"] == fps]
        print(f"{fps:g} fps: {sum(sizes):,} frames of {len(sizes):,} clip{'s' * (len(sizes) != 1)}")
    print(f"manifest: {args.out / MANIFEST}")


def _videos(args: argparse.Namespace) -> tuple[list[str], Path]:
    """The clips, as their list names them, and the folder from which they are seen."""
    from llamavid_kit.data.clips_csv import clips_from_csv
    from llamavid_kit.data.pairs import read_jsonl

    lists = [Path(name) for name in args.clips if Path(name).suffix.lower() in LISTS]
    if not lists:
        refuse(args, ("root",), "for lists; video files are named from here")
        return args.clips, Path()
    if len(lists) < len(args.clips):
        raise ValueError(f"{', '.join(map(str, lists))} beside video files: give lists or video files, not both")
    root = args.root or lists[0].parent
    pairs = (clips_from_csv(p, root=root) if p.suffix.lower() == ".csv" else read_jsonl(p) for p in lists)
    return [pair.video for some in pairs for pair in some], root
