"""`python -m data_prep toy`: a set of toy clips from the command line."""

import argparse
import os

from .render import render_set


def add_arguments(parser: argparse.ArgumentParser):
    """Options of `python -m data_prep toy`."""
    parser.description = "Render the toy world's eleven classes as mp4 files in UCF-Crime's layout."
    parser.add_argument("--out", required=True, help="folder of the set")
    parser.add_argument("--train-per-class", type=int, default=60, metavar="N", help="(default: 60)")
    parser.add_argument("--test-per-class", type=int, default=30, metavar="N", help="(default: 30)")
    parser.add_argument("--normal-train", type=int, metavar="N", help="(default: as --train-per-class)")
    parser.add_argument("--normal-test", type=int, metavar="N", help="(default: as --test-per-class)")
    parser.add_argument("--seed", type=int, default=0, help="of the world (default: 0)")
    parser.add_argument("--min-event-s", type=float, default=0.1, help="shortest event, seconds (default: 0.1)")
    parser.add_argument("--max-event-s", type=float, default=3.0, help="longest event, seconds (default: 3)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: 2)")
    parser.add_argument("--force", action="store_true", help="draw clips again that are there")


def run(args: argparse.Namespace) -> int:
    """Renders and prints the summary. Returns 0."""
    summary = render_set(
        args.out,
        train_per_class=args.train_per_class,
        test_per_class=args.test_per_class,
        normal_train=args.normal_train,
        normal_test=args.normal_test,
        seed=args.seed,
        event_s=(args.min_event_s, args.max_event_s),
        workers=args.workers,
        force=args.force,
    )
    print(f"{args.out}: {summary}")
    return 0
