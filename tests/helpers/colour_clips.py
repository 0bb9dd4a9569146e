"""Clips of the closed colour question, good ones and such that cannot be used."""

import csv
from pathlib import Path

from small import LABELS, pair, write_clip

from llamavid_kit.data.pairs import InstructionPair

TEST = ["t0", "t1", "t2", "t3", "t4"]


def make_clips(root: Path) -> list[InstructionPair]:
    """Five good test clips and four that cannot be used, four good training clips and a broken one."""
    pairs = []
    for k in range(9):
        name, label, split = (f"t{k}", LABELS[k % 3], "test") if k < 5 else (f"r{k}", LABELS[k % 3], "train")
        events = ((0.3, 0.8),) if k < 2 else ()
        write_clip(root / f"{name}.mp4", seconds=1.5 + 0.25 * (k % 3), label=label, seed=k)
        pairs.append(pair(name, label, split=split, events=events))
    (root / "empty.mp4").write_bytes(b"")
    whole = (root / "t0.mp4").read_bytes()
    (root / "torn.mp4").write_bytes(whole[: len(whole) // 3])
    (root / "trainbad.mp4").write_bytes(b"no video at all")
    write_clip(root / "long.mp4", seconds=60)
    odd = [pair("empty", "Red"), pair("torn", "Blue"), pair("missing", "Red"), pair("long", "Blue")]
    return [*pairs[:2], odd[0], pairs[2], *odd[1:], *pairs[3:], pair("trainbad", "Red", split="train")]


def good_clips(root: Path, *, n_test: int = 5, n_train: int = 3) -> list[InstructionPair]:
    """Clips of 1.5 seconds that can all be used: 2 frames at 1 fps, 6 at 4 fps, 9 at 6 fps."""
    pairs = []
    for k in range(n_test + n_train):
        name, split = (f"t{k}", "test") if k < n_test else (f"r{k}", "train")
        write_clip(root / f"{name}.mp4", seconds=1.5, label=LABELS[k % 3], seed=k)
        pairs.append(pair(name, LABELS[k % 3], split=split))
    return pairs


def listed_clips(root: Path, n: int) -> Path:
    """n clips of 1.5 seconds → their CSV, beside them."""
    pairs = good_clips(root, n_test=n, n_train=0)
    with (root / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "label"), *((pair.video, pair.answer) for pair in pairs)])
    return root / "clips.csv"
