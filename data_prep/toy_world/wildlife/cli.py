"""`python -m data_prep toy-wildlife`: a set of wildlife clips from the command line."""

import argparse
import os

from data_prep.toy_world.wildlife.wild_set import render_wild_set


def add_arguments(parser: argparse.ArgumentParser):
    """Options of `python -m data_prep toy-wildlife`."""
    parser.description = "Render the toy world's animals as mp4 files in Animal Kingdom's layout."
    parser.add_argument("--out", required=True, help="folder of the set")
    parser.add_argument("--train", type=int, default=120, metavar="N", help="clips to train on (default: 120)")
    parser.add_argument("--test", type=int, default=60, metavar="N", help="clips to test on (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the world (default: 0)")
    parser.add_argument("--min-event-s", type=float, default=0.1, help="shortest brief action, seconds (default: 0.1)")
    parser.add_argument("--max-event-s", type=float, default=3.0, help="longest brief action, seconds (default: 3)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: 2)")
    parser.add_argument("--force", action="store_true", help="draw clips again that are there")


def run(args: argparse.Namespace) -> int:
    """Renders and prints the summary. Returns 0."""
    summary = render_wild_set(
        args.out,
        n_train=args.train,
        n_test=args.test,
        seed=args.seed,
        event_s=(args.min_event_s, args.max_event_s),
        workers=args.workers,
        force=args.force,
    )
    print(f"{args.out}: {summary}")
    return 0
