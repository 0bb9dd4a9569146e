"""What the sets of both halves share, whatever their layout: splits, seeds, what is stored of every clip, and a folder
that holds one set."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.toy_world.plan import Plan
from llamavid_kit.files import holds_files, read_json, write_whole

TRUTH, CONFIGURATION = "truth.jsonl", "toy.json"
SPLITS = ("train", "test")
VERSION = 1  # of the drawing: a set drawn by another version is another set
SEED_LIMIT = 9_999_999_967  # clip seeds stay below, so that training can use seeds from 10^10 on
BOX_STRIDE = 5  # frames between stored boxes: those that 1, 2, 3 and 6 frames a second pick


def hash_of(numbers: Sequence[int]) -> int:
    """64 bits that depend on all of `numbers`."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def stored_boxes(plan: Plan) -> dict[str, list[list[int]]]:
    """Object → [[frame, x0, y0, x1, y1], …] in pixels, every BOX_STRIDE frames and at the event's first frame."""
    boxes: dict[str, list[list[int]]] = {}
    for i in sorted({*range(0, plan.n_frames, BOX_STRIDE), plan.start}):
        for name, box in plan.boxes(i).items():
            boxes.setdefault(name, []).append([i, *(round(v) for v in box)])
    return boxes


def check_folder(out: Path, config: Mapping[str, object], *, workers: int) -> None:
    """Makes `out`, or makes sure that it holds this very set; writes the configuration down.

    Raises ValueError where it holds another set or anything else, or there are no workers to fill it.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}: give at least 1")
    path = out / CONFIGURATION
    record = json.loads(json.dumps(config))
    if path.exists():
        old = read_json(path, way_out="delete the folder or choose another --out")
        if old != record:
            values = old if isinstance(old, dict) else dict.fromkeys(record, "?")
            differ = [f"{k}={values.get(k)} there, {v} asked" for k, v in record.items() if values.get(k) != v]
            raise ValueError(
                f"{out} holds another set ({', '.join(differ)}); choose another --out or delete the folder"
            )
        return
    if holds_files(out):
        raise ValueError(f"{out} is not empty and holds no {CONFIGURATION}; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record, indent=1) + "\n")
