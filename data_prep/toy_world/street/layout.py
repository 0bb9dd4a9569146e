"""Where the clips of a set lie and what they are called: UCF-Crime's folders, file names, lists and annotation, for the
toy world's classes. Knows which clip has which seed; draws nothing."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_prep.toy_world.street.clip import CRIME_KINDS, NORMAL, ClipPlan, plan_clip
from data_prep.toy_world.timing import FPS, SECONDS
from llamavid_kit.files import read_json, write_whole

TEST_LIST, TRAIN_LIST = "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Anomaly_Train.txt"
TRUTH, CONFIGURATION = "truth.jsonl", "toy.json"
SPLITS = ("train", "test")
VERSION = 1  # of the drawing: a set drawn by another version is another set
SEED_LIMIT = 9_999_999_967  # clip seeds stay below, so that training can use seeds from 10^10 on
BOX_STRIDE = 5  # frames between stored boxes: those that 1, 2, 3 and 6 frames a second pick


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
    words = [world, SPLITS.index(split), (*CRIME_KINDS, NORMAL).index(kind), index]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] % SEED_LIMIT)


def entries(config: SetConfig) -> list[Entry]:
    """All clips, training first, classes in the list's order. Numbers of a class run on from training to test."""
    found = []
    for split in SPLITS:
        for kind in (*CRIME_KINDS, NORMAL):
            n_train, n_test = (
                (config.normal_train, config.normal_test)
                if kind == NORMAL
                else (config.train_per_class, config.test_per_class)
            )
            first, n = (1, n_train) if split == "train" else (n_train + 1, n_test)
            for index in range(n):
                path = _path(split, kind, first + index)
                seed = clip_seed(config.seed, split, kind, index)
                found.append(Entry(path, split, kind, seed, config.event_s, config.seconds))
    if len({entry.seed for entry in found}) < len(found):
        raise ValueError(f"seed={config.seed} gives two clips the same seed; use another one")
    return found


def _path(split: str, kind: str, number: int) -> str:
    if kind != NORMAL:
        return f"Videos/{kind}/{kind}{number:03d}_x264.mp4"
    if split == "train":
        return f"Videos/Training_Normal_Videos_Anomaly/{NORMAL}{number:03d}_x264.mp4"
    return f"Videos/Testing_Normal_Videos_Anomaly/{NORMAL}_{number:03d}_x264.mp4"


def write_lists(out: Path, clips: list[Entry]):
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


def truth(entry: Entry) -> dict:
    """All that is known of a clip. `events`: [kind, start_s, end_s]; `pseudo_event`: the interval that every clip has,
    also one in which nothing happens; `boxes`: object → [[frame, x0, y0, x1, y1], …] in pixels, every BOX_STRIDE frames
    and at each event's first frame."""
    plan = entry.plan()
    boxes = stored_boxes(plan)
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
        "boxes": boxes,
    }


def stored_boxes(plan) -> dict[str, list[list[int]]]:
    """Object → [[frame, x0, y0, x1, y1], …] in pixels, every BOX_STRIDE frames and at the event's first frame."""
    boxes: dict[str, list] = {}
    for i in sorted({*range(0, plan.n_frames, BOX_STRIDE), plan.start}):
        for name, box in plan.boxes(i).items():
            boxes.setdefault(name, []).append([i, *(round(v) for v in box)])
    return boxes


def check_folder(out: Path, config):
    """Makes `out`, or makes sure that it holds this very set; writes the configuration (any dataclass) down."""
    path = out / CONFIGURATION
    wanted = json.loads(json.dumps(asdict(config)))
    if path.exists():
        there = read_json(path, way_out="delete the folder or choose another --out")
        if there != wanted:
            keys = [k for k in wanted if not isinstance(there, dict) or there.get(k) != wanted[k]]
            differ = ", ".join(
                f"{k}={there.get(k) if isinstance(there, dict) else '?'} there, {wanted[k]} asked" for k in keys
            )
            raise ValueError(f"{out} holds another set ({differ}); choose another --out or delete the folder")
        return
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no {CONFIGURATION}; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(wanted, indent=1) + "\n")
