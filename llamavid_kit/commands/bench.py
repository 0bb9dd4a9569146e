"""`bench`: speed, each time beside a baseline measured in the same run. Nothing here is a test."""

import argparse
from pathlib import Path

from llamavid_kit.commands.options import MODEL_HELP, refuse


def bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help=MODEL_HELP)
    text = "measure each stage at real size beside the original's way: a published shape (7b_224), or a folder"
    parser.add_argument("--size", help=text)
    parser.add_argument("--rows", nargs="+", help="of --size: some of its rows (default: all)")
    parser.add_argument("--out", type=Path, help="of --size: keep the rows in this .jsonl, beside those there")


def bench(args: argparse.Namespace) -> None:
    if args.size is None:
        from llamavid_kit.commands.bench_small import bench_small

        refuse(args, ("rows", "out"), "of --size alone")
        bench_small(args.model or "tiny")
    else:
        from llamavid_kit.commands.bench_size import bench_size

        refuse(args, ("model",), "--size names the model")
        bench_size(args.size, args.rows or [], args.out)
