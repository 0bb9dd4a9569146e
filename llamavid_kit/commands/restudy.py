"""`restudy`: the reproduction study's own predictions, counted again."""

import argparse
import sys
from pathlib import Path


def restudy_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predictions", type=Path, help="folder of its CSV files (default: the counts that ship)")
    parser.add_argument("--annotation", type=Path, help="UCF-Crime's temporal annotation, or a CSV of events")
    parser.add_argument("--out", type=Path, help="for restudy.md, tables, figures, and of --predictions restudy.json")


def restudy(args: argparse.Namespace) -> None:
    from data_prep.ucf_crime.lists import events_of
    from llamavid_kit.study.report import run

    events = {}
    if args.annotation:
        events = {"events": events_of(args.annotation), "event_source": args.annotation.name}
    print(run(args.predictions, **events, out=args.out))
    if args.out:
        print(f"written to {args.out}", file=sys.stderr)
