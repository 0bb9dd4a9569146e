"""Shortcut controls: can the kind of event be told without seeing it? Forests on what a lazy model could look at.

    python -m data_prep.toy_world.street.controls

Input: seeds. Output: a `Control` each, with its share of clips named right and Wilson's interval beside chance. The
first frame, frames before and outside the event and everything else that is written down about a clip must stay at
chance. The mean frame holds a shadow of the event and may not, but a model that looks at frames must do better.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction import DictVectorizer

from data_prep.toy_world.street.clip import CRIME_KINDS, ClipPlan, plan_clip
from data_prep.toy_world.timing import stream
from llamavid_kit.evaluation.statistics import wilson

CLASSES = (*CRIME_KINDS, None)
SIDE = 16  # frames are looked at as SIDE x SIDE colours
TRAIN_SEEDS, TEST_SEEDS = 6 * 10**10, 7 * 10**10
PICK = 50  # random stream of a clip, used by no drawing


@dataclass(frozen=True)
class Control:
    """`right` of `n` clips were named right from `looks_at`; chance is 1 / number of classes."""

    looks_at: str
    right: int
    n: int
    chance: float = 1 / len(CLASSES)

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.right, self.n)

    def __str__(self) -> str:
        low, high = self.wilson95
        return (
            f"{self.looks_at:28s} {self.right:5d}/{self.n:<5d} {self.right / self.n:6.1%} [{low:.1%}, {high:.1%}], "
            f"chance {self.chance:.1%}"
        )


def small(plan: ClipPlan, i: int) -> np.ndarray:
    """Frame i as SIDE x SIDE mean colours, flat."""
    frame = plan.draw(i)
    k = frame.shape[0] // SIDE
    return frame.reshape(SIDE, k, SIDE, k, 3).mean((1, 3)).ravel()


def first_frame(plan: ClipPlan) -> np.ndarray:
    return small(plan, 0)


def four_before(plan: ClipPlan) -> np.ndarray:
    """The last frame before the event, and a third, two thirds and a whole second earlier."""
    return np.concatenate([small(plan, plan.start - back) for back in (1, 10, 20, 30)])


def four_outside(plan: ClipPlan) -> np.ndarray:
    """Four frames in order, drawn from all that do not show the event."""
    outside = [i for i in range(plan.n_frames) if not plan.start <= i < plan.end]
    return np.concatenate([small(plan, i) for i in sorted(stream(plan.seed, PICK).choice(outside, 4, replace=False))])


def mean_frame(plan: ClipPlan) -> np.ndarray:
    """The mean of five frames a second."""
    return np.mean([small(plan, i) for i in range(0, plan.n_frames, 6)], axis=0)


def written_down(plan: ClipPlan) -> dict:
    """Everything that is known of a clip but the event: length, camera, the scene's facts, the pseudo-event."""
    camera = {f"camera_{name}": value for name, value in plan.scene.camera.items()}
    times = {"n_frames": plan.n_frames, "start": plan.start, "length": plan.end - plan.start}
    return {**plan.scene_facts, **camera, **times}


AT_CHANCE: dict[str, Callable] = {
    "first frame": first_frame,
    "four frames before the event": four_before,
    "four frames outside the event": four_outside,
    "metadata": written_down,
}


def control(looks_at: str, look: Callable, *, n_train: int, n_test: int, **durations) -> Control:
    """A forest learns `n_train` clips of each class and names `n_test` of each; `durations` go to `plan_clip`."""
    looks, kinds = _look(look, TRAIN_SEEDS, n_train, durations)
    test_looks, truth = _look(look, TEST_SEEDS, n_test, durations)
    if isinstance(looks[0], dict):
        table = DictVectorizer(sparse=False).fit(looks)
        looks, test_looks = table.transform(looks), table.transform(test_looks)
    forest = ExtraTreesClassifier(300, random_state=0).fit(looks, kinds)
    return Control(looks_at, int((forest.predict(test_looks) == truth).sum()), len(truth))


def _look(look: Callable, first_seed: int, n: int, durations: dict) -> tuple[list, np.ndarray]:
    """Clips of their own seed each: no two share a scene, within a class or between."""
    kinds = np.repeat(np.arange(len(CLASSES)), n)
    return [look(plan_clip(first_seed + k, CLASSES[kind], **durations)) for k, kind in enumerate(kinds)], kinds


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=60, help="clips a class to learn from (default: 60)")
    parser.add_argument("--test", type=int, default=100, help="clips a class to name (default: 100)")
    args = parser.parse_args(argv)
    for name, look in {**AT_CHANCE, "mean frame": mean_frame}.items():
        print(control(name, look, n_train=args.train, n_test=args.test), flush=True)


if __name__ == "__main__":
    main()
