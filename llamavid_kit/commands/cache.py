"""`cache`: how much room the frame tokens of runs take, and less of it."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llamavid_kit.commands.options import gib

if TYPE_CHECKING:
    from llamavid_kit.model.frame_cache import Kept


def cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, nargs="+", metavar="folder", help="a run, or its folder frame_tokens")
    text = "remove what was used longest ago until each folder holds at most so much; it is computed again if need be"
    parser.add_argument("--limit", type=gib, metavar="GIB", help=text)


def cache(args: argparse.Namespace) -> None:
    from llamavid_kit.model.frame_cache import FRAME_TOKENS, entries, prune

    for named in args.folders:
        if not named.is_dir():
            raise FileNotFoundError(f"{named} is not a folder; expected a run, or its {FRAME_TOKENS}")
    for named in args.folders:
        folder = named / FRAME_TOKENS if (named / FRAME_TOKENS).is_dir() else named
        removed = [] if args.limit is None else prune(folder, args.limit)
        kept = entries(folder)
        words = f"{folder}: {_files(kept)}"
        if kept:
            first, last = (datetime.fromtimestamp(kept[k].used_s).isoformat(" ", "minutes") for k in (0, -1))
            words += f", last used {first} to {last}"
        if removed:
            words += f"; {_files(removed)} removed"
        print(words)


def _files(files: "list[Kept]") -> str:
    from llamavid_kit.model.planner import size

    return f"{len(files):,} file{'s' * (len(files) != 1)}, {size(sum(file.n_bytes for file in files))}"
