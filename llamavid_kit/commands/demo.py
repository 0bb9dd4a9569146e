"""The main job as one call: render a toy set, prepare pairs, run the ablation, write the report; crimes, or animals.

What the demo is, is written here and was committed before its first ablation ran: seeds and durations are not tuned to
a result.
"""

import argparse
import time
from dataclasses import dataclass
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
    """Size and seed of the crime demo. Events last 0.1-3 s, log-uniform; their kinds are equally frequent."""

    world_seed: int = 1
    train_per_class: int = 32
    test_per_class: int = 28
    event_s: tuple[float, float] = (0.1, 3.0)
    train: TrainSettings = TrainSettings()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class AnimalDemo:
    """Size and seed of the animal demo. Brief actions last 0.1-3 s, log-uniform; species are equally frequent."""

    world_seed: int = 1
    n_train: int = 240
    n_test: int = 156
    event_s: tuple[float, float] = (0.1, 3.0)
    train: TrainSettings = TrainSettings()  # noqa: RUF009 - frozen


QUICK = Demo(train_per_class=3, test_per_class=2, train=TrainSettings(epochs=2))
QUICK_ANIMALS = AnimalDemo(n_train=24, n_test=12, train=TrainSettings(epochs=2))


def demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="run folder (default: runs/demo)")
    parser.add_argument("--quick", action="store_true", help="the same path on a few clips")
    parser.add_argument("--animals", action="store_true", help="then the same for animals, into OUT-animals")
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")


def demo(args: argparse.Namespace) -> None:
    run(args.out, demo=QUICK if args.quick else None, workers=args.workers)
    if args.animals:
        out = args.out.with_name(f"{args.out.name}-animals")
        run_animals(out, demo=QUICK_ANIMALS if args.quick else None, workers=args.workers)


def run(out: Path | str, *, demo: Demo | None = None, workers: int = 2) -> Path:
    """The crime demo, resumable, into `out`; prints seconds per stage and returns the report's path."""
    out, demo, began = Path(out), demo or Demo(), time.perf_counter()
    clips = out.with_name(out.name + "-clips")
    print(
        render_set(
            clips,
            train_per_class=demo.train_per_class,
            test_per_class=demo.test_per_class,
            seed=demo.world_seed,
            event_s=demo.event_s,
            workers=workers,
        )
    )
    rendered = time.perf_counter()
    crime = ucf_crime.build(clips)
    config = AblationConfig(source=f"toy world {demo.world_seed}", groups=event_groups(), train=demo.train)
    summary = ablate([*crime.test, *crime.train["all"]], root=clips, out=out, config=config)
    ablated = time.perf_counter()
    answer(clips / crime.test[0].video, out)
    return _finish(out, summary["seconds"], began, rendered, ablated)


def run_animals(out: Path | str, *, demo: AnimalDemo | None = None, workers: int = 2) -> Path:
    """The animal demo: the study's open question about wildlife clips, judged by rule; otherwise as `run`."""
    out, demo, began = Path(out), demo or AnimalDemo(), time.perf_counter()
    clips = out.with_name(out.name + "-clips")
    print(
        render_wild_set(
            clips,
            n_train=demo.n_train,
            n_test=demo.n_test,
            seed=demo.world_seed,
            event_s=demo.event_s,
            workers=workers,
        )
    )
    rendered = time.perf_counter()
    pairs = animal_kingdom.build(clips).pairs["grounding"]
    config = AblationConfig.for_pairs(pairs, source=f"toy wildlife {demo.world_seed}", train=demo.train)
    summary = ablate(pairs, root=clips, out=out, config=config)
    return _finish(out, summary["seconds"], began, rendered, time.perf_counter())


def _finish(out: Path, seconds: dict[str, float], began: float, rendered: float, ablated: float) -> Path:
    """Write the report; print seconds per stage, then the result itself, then where the report lies."""
    report = write_report(out)
    ended = time.perf_counter()
    stages = {"render clips": rendered - began, **seconds, "question and report": ended - ablated}
    print("\nseconds per stage")
    for stage, spent in stages.items():
        print(f"  {stage:26s} {spent:7.1f}")
    print(f"  {'in all':26s} {ended - began:7.1f}\n")
    print("\n".join(result_lines(Run(out))))
    print(f"\nreport: {report}")
    return report


def answer(clip: Path, out: Path) -> None:
    """Ask one question about one clip and save its context-attention overlay."""
    video = Video(clip)
    reply = load("tiny").ask(video, QUESTION, fps=FPS)
    path = save_overlay(video, QUESTION, reply, fps=FPS, model="tiny", out=out / "figures" / "attention.png")
    print(f"\n{clip.name}: {QUESTION}\n{reply}\ncontext attention: {path}")


def event_groups() -> dict[str, tuple[str, ...]]:
    """Labels by whether the shipped model met the event in its training."""

    def labels(kinds):
        return tuple(CRIME.renamed.get(kind, kind) for kind in kinds)

    return {"event types seen in pre-training": labels(SEEN_KINDS), "unseen event types": labels(UNSEEN_KINDS)}
