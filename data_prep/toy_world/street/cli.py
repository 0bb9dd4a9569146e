"""`python -m data_prep toy`: a set of toy clips from the command line."""

import argparse
import os

from data_prep.toy_world.render import render_set
from data_prep.toy_world.timing import DURATIONS


def add_arguments(parser: argparse.ArgumentParser):
    """Options of `python -m data_prep toy`."""
    parser.description = "Render the toy world's eleven classes as mp4 files in UCF-Crime's layout."
    parser.add_argument("--out", required=True, help="folder of the set")
    parser.add_argument("--train-per-class", type=int, default=60, metavar="N", help="(default: 60)")
    parser.add_argument("--test-per-class", type=int, default=30, metavar="N", help="(default: 30)")
    parser.add_argument("--normal-train", type=int, metavar="N", help="(default: as --train-per-class)")
    parser.add_argument("--normal-test", type=int, metavar="N", help="(default: as --test-per-class)")
    parser.add_argument("--seed", type=int, default=0, help="of the world (default: 0)")
    text = "short: events of 0.1-3 s in clips of 8 s; ucf: 1 s and more, median 8 s, in clips of 32 s (default: short)"
    parser.add_argument("--durations", choices=list(DURATIONS), default="short", help=text)
    parser.add_argument("--min-event-s", type=float, help="shortest event, seconds (default: by --durations)")
    parser.add_argument("--max-event-s", type=float, help="longest event, seconds (default: by --durations)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: 2)")
    parser.add_argument("--force", action="store_true", help="draw clips again that are there")


def run(args: argparse.Namespace) -> int:
    """Renders and prints the summary. Returns 0."""
    event_s, seconds = DURATIONS[args.durations]
    if args.min_event_s is not None or args.max_event_s is not None:
        event_s = (args.min_event_s or event_s[0], args.max_event_s or event_s[-1])
    summary = render_set(
        args.out,
        train_per_class=args.train_per_class,
        test_per_class=args.test_per_class,
        normal_train=args.normal_train,
        normal_test=args.normal_test,
        seed=args.seed,
        event_s=event_s,
        seconds=seconds,
        workers=args.workers,
        force=args.force,
    )
    print(f"{args.out}: {summary}")
    return 0
