"""Street clips to files in UCF-Crime's layout: `render_set`, its command `python -m data_prep toy`, and the clip of the
course."""

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from data_prep.toy_world.render import Summary, draw_set, render_clip
from data_prep.toy_world.sets import check_folder
from data_prep.toy_world.street.clip import plan_clip
from data_prep.toy_world.street.layout import SetConfig, entries, write_lists
from data_prep.toy_world.timing import DURATIONS, SECONDS
from llamavid_kit.files import writing


def render_set(
    out: str | Path,
    *,
    train_per_class: int = 60,
    test_per_class: int = 30,
    normal_train: int | None = None,
    normal_test: int | None = None,
    seed: int = 0,
    event_s: tuple[float, ...] = (0.1, 3.0),
    seconds: float = SECONDS,
    workers: int = 1,
    force: bool = False,
    progress: bool = True,
) -> Summary:
    """Renders a set into `out` and returns a `Summary`. Files that are there stay; `force` draws them again.

    normal_train, normal_test: clips in which nothing happens (default: as many as a class has); event_s, seconds:
    lengths of events and clips, see `timing.DURATIONS`. Raises ValueError for a folder that holds another set.
    """
    config = SetConfig(
        train_per_class,
        test_per_class,
        train_per_class if normal_train is None else normal_train,
        test_per_class if normal_test is None else normal_test,
        seed,
        tuple(map(float, event_s)),
        float(seconds),
    )
    out, clips = Path(out), entries(config)
    check_folder(out, asdict(config), workers=workers)  # before a lock lies in somebody's folder, and under it
    with writing(out):
        check_folder(out, asdict(config), workers=workers)
        return draw_set(out, clips, write_lists, workers=workers, force=force, progress=progress)


def toy_clip(folder: Path | str = "runs/course") -> Path:
    """Path of the course's clip, drawn where it is not there yet: 8 s of a street; a ball of fire, 1.9 to 4.1 s."""
    path = Path(folder) / "explosion.mp4"
    if not path.exists():
        render_clip(plan_clip(11, "Explosion", event_s=(2, 3)), path)
    return path


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
