"""Wildlife clips to files in Animal Kingdom's layout: `render_wild_set`, and its command `python -m data_prep
toy-wildlife`. Whole files only, resumable, the same pixels for any number of processes, as the street's."""

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from data_prep.toy_world.render import Summary, draw_set
from data_prep.toy_world.sets import check_folder
from data_prep.toy_world.wildlife.layout import WildConfig, wild_entries, write_wild_lists
from llamavid_kit.files import writing


def render_wild_set(
    out: str | Path,
    *,
    n_train: int = 120,
    n_test: int = 60,
    seed: int = 0,
    event_s: tuple[float, ...] = (0.1, 3.0),
    workers: int = 1,
    force: bool = False,
    progress: bool = True,
) -> Summary:
    """Renders a set into `out` and returns a `Summary`. Files that are there stay; `force` draws them again.
    Raises ValueError for a folder that holds another set."""
    config = WildConfig(n_train, n_test, seed, tuple(map(float, event_s)))
    out, clips = Path(out), wild_entries(config)
    check_folder(out, asdict(config), workers=workers)  # before a lock lies in somebody's folder, and under it
    with writing(out):
        check_folder(out, asdict(config), workers=workers)
        return draw_set(out, clips, write_wild_lists, workers=workers, force=force, progress=progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
