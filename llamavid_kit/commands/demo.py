"""The main job as one call: render a toy set, prepare pairs, run the ablation, write the report; crimes, or animals.

What the demo is, is written here and was committed before its first ablation ran: seeds and durations are not tuned to
a result.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data_prep import animal_kingdom, ucf_crime
from data_prep.toy_world import SEEN_KINDS, UNSEEN_KINDS
from data_prep.toy_world.street.render import render_set
from data_prep.toy_world.wildlife.render import render_wild_set
from llamavid_kit.data.video import Video
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report.answer import result_lines
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.run import Run
from llamavid_kit.model.checkpoints import load
from llamavid_kit.study.setup import CRIME
from llamavid_kit.training.finetune import TrainSettings
from llamavid_kit.viz.overlay import save_overlay

QUESTION, FPS = "What happens in the video?", 2


@dataclass(frozen=True)
class Demo:
    """Size and seed. Brief events last 0.1-3 s, log-uniform; their kinds, or species, are equally frequent."""

    render: Callable[..., object]
    animals: bool = False
    world_seed: int = 1
    event_s: tuple[float, float] = (0.1, 3.0)
    train: TrainSettings = TrainSettings()  # noqa: RUF009 - frozen


CRIMES = Demo(partial(render_set, train_per_class=32, test_per_class=28))
ANIMALS = Demo(partial(render_wild_set, n_train=240, n_test=156), animals=True)
QUICK = TrainSettings(epochs=2)
QUICK_CRIMES = Demo(partial(render_set, train_per_class=3, test_per_class=2), train=QUICK)
QUICK_ANIMALS = Demo(partial(render_wild_set, n_train=24, n_test=12), animals=True, train=QUICK)


def demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="run folder (default: runs/demo)")
    parser.add_argument("--quick", action="store_true", help="the same path on a few clips")
    parser.add_argument("--animals", action="store_true", help="then the same for animals, into OUT-animals")
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")


def demo(args: argparse.Namespace) -> None:
    run(args.out, QUICK_CRIMES if args.quick else CRIMES, workers=args.workers)
    if args.animals:
        out = args.out.with_name(f"{args.out.name}-animals")
        run(out, QUICK_ANIMALS if args.quick else ANIMALS, workers=args.workers)


def run(out: Path | str, demo: Demo, *, workers: int = 2) -> Path:
    """One demo, resumable, into `out`; prints seconds per stage and the result, and returns the report's path.

    Crimes are asked about with the study's closed question, animals with its open one, which a rule judges.
    """
    out, began = Path(out), time.perf_counter()
    clips = out.with_name(out.name + "-clips")
    print(demo.render(clips, seed=demo.world_seed, event_s=demo.event_s, workers=workers))
    rendered = time.perf_counter()
    if demo.animals:
        pairs = animal_kingdom.build(clips).pairs["grounding"]
        config = AblationConfig.for_pairs(pairs, source=f"toy wildlife {demo.world_seed}", train=demo.train)
    else:
        crime = ucf_crime.build(clips)
        pairs = [*crime.test, *crime.train["all"]]
        config = AblationConfig(source=f"toy world {demo.world_seed}", groups=event_groups(), train=demo.train)
    seconds = ablate(pairs, root=clips, out=out, config=config)["seconds"]
    ablated = time.perf_counter()
    if not demo.animals:
        answer(clips / pairs[0].video, out)
    report = write_report(out, root=clips)
    ended = time.perf_counter()
    stages = {"render clips": rendered - began, **seconds, "question and report": ended - ablated}
    print("\nseconds per stage")
    for stage, spent in {**stages, "in all": ended - began}.items():
        print(f"  {stage:26s} {spent:7.1f}")
    print("", *result_lines(Run(out)), f"\nreport: {report}", sep="\n")
    return report


def answer(clip: Path, out: Path) -> None:
    """Ask one question about one clip and save its context-attention overlay."""
    video = Video(clip)
    reply = load("tiny").ask(video, QUESTION, fps=FPS)
    path = save_overlay(video, QUESTION, reply, fps=FPS, model="tiny", out=out / "figures" / "attention.png")
    print(f"\n{clip.name}: {QUESTION}\n{reply}\ncontext attention: {path}")


def event_groups() -> dict[str, tuple[str, ...]]:
    """Labels by whether the shipped model met the event in its training."""

    kinds = {"event types seen in pre-training": SEEN_KINDS, "unseen event types": UNSEEN_KINDS}
    return {name: tuple(CRIME.renamed.get(kind, kind) for kind in some) for name, some in kinds.items()}
