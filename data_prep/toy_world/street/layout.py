"""Where the clips of a set lie and what they are called: UCF-Crime's folders, file names, lists and annotation, for the
toy world's classes. Knows which clip has which seed; draws nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.toy_world.sets import SEED_LIMIT, SPLITS, TRUTH, VERSION, hash_of, stored_boxes
from data_prep.toy_world.street.clip import CRIME_KINDS, NORMAL, ClipPlan, plan_clip
from data_prep.toy_world.timing import FPS, SECONDS
from llamavid_kit.files import write_whole

TEST_LIST, TRAIN_LIST = "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Anomaly_Train.txt"


@dataclass(frozen=True)
class SetConfig:
    """What a set consists of. Clips a class and split; `event_s`, `seconds`: lengths, see `timing.DURATIONS`."""

    train_per_class: int = 60
    test_per_class: int = 30
    normal_train: int = 60
    normal_test: int = 30
    seed: int = 0
    event_s: tuple[float, ...] = (0.1, 3.0)
    seconds: float = SECONDS
    version: int = VERSION

    def __post_init__(self):
        for name in ("train_per_class", "test_per_class", "normal_train", "normal_test"):
            if not 0 <= (n := getattr(self, name)) <= 499:
                raise ValueError(f"{name}={n}: give a number from 0 to 499 (file names have three digits)")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: give 0 or more")
        plan_clip(0, None, event_s=self.event_s, seconds=self.seconds)


@dataclass(frozen=True)
class Entry:
    """One clip of a set, before anything is drawn. `path`: relative to the set's folder."""

    path: str
    split: str
    kind: str
    seed: int
    event_s: tuple[float, ...]
    seconds: float

    def plan(self) -> ClipPlan:
        kind = None if self.kind == NORMAL else self.kind
        return plan_clip(self.seed, kind, event_s=self.event_s, seconds=self.seconds)


def clip_seed(world: int, split: str, kind: str, index: int) -> int:
    """Seed of a clip: a hash of world, split, class and index."""
    return hash_of([world, SPLITS.index(split), (*CRIME_KINDS, NORMAL).index(kind), index]) % SEED_LIMIT


def entries(config: SetConfig) -> list[Entry]:
    """All clips, training first, classes in the list's order. Numbers of a class run on from training to test."""
    clips = []
    for split in SPLITS:
        for kind in (*CRIME_KINDS, NORMAL):
            n_train, n_test = config.train_per_class, config.test_per_class
            if kind == NORMAL:
                n_train, n_test = config.normal_train, config.normal_test
            first, n = (1, n_train) if split == "train" else (n_train + 1, n_test)
            for index in range(n):
                path = _path(split, kind, first + index)
                seed = clip_seed(config.seed, split, kind, index)
                clips.append(Entry(path, split, kind, seed, config.event_s, config.seconds))
    if len({entry.seed for entry in clips}) < len(clips):
        raise ValueError(f"seed={config.seed} gives two clips the same seed; use another one")
    return clips


def _path(split: str, kind: str, number: int) -> str:
    if kind != NORMAL:
        return f"Videos/{kind}/{kind}{number:03d}_x264.mp4"
    if split == "train":
        return f"Videos/Training_Normal_Videos_Anomaly/{NORMAL}{number:03d}_x264.mp4"
    return f"Videos/Testing_Normal_Videos_Anomaly/{NORMAL}_{number:03d}_x264.mp4"


def write_lists(out: Path, clips: Sequence[Entry]) -> None:
    """The two official lists and `truth.jsonl`, each replaced as a whole."""
    train = [entry.path.removeprefix("Videos/") for entry in clips if entry.split == "train"]
    write_whole(out / TRAIN_LIST, "".join(f"{line}\n" for line in train))
    write_whole(out / TEST_LIST, "".join(_annotation(entry) for entry in clips if entry.split == "test"))
    write_whole(out / TRUTH, "".join(json.dumps(truth(entry), separators=(",", ":")) + "\n" for entry in clips))


def _annotation(entry: Entry) -> str:
    """File, class, first frame of the event and the frame after its last, twice -1: two blanks between and after."""
    plan, label = entry.plan(), "Normal" if entry.kind == NORMAL else entry.kind
    start, end = (-1, -1) if entry.kind == NORMAL else (plan.start, plan.end)
    return "  ".join([Path(entry.path).name, label, str(start), str(end), "-1", "-1", "\n"])


def truth(entry: Entry) -> dict[str, Any]:
    """All that is known of a clip. `events`: [kind, start_s, end_s]; `pseudo_event`: the interval that every clip has,
    also one in which nothing happens; `boxes`: object → [[frame, x0, y0, x1, y1], …] in pixels, every BOX_STRIDE frames
    and at each event's first frame."""
    plan = entry.plan()
    span = [round(plan.start_s, 4), round(plan.end_s, 4)]
    return {
        "video": entry.path,
        "split": entry.split,
        "kind": entry.kind,
        "seed": entry.seed,
        "n_frames": plan.n_frames,
        "fps": FPS,
        "events": [] if plan.kind is None else [[entry.kind, *span]],
        "pseudo_event": span,
        "facts": plan.facts,
        "boxes": stored_boxes(plan),
    }
