"""UCF-Crime → instruction pairs: the study's question and 11 classes, its test set and its three training sets.

Takes a folder of videos plus the official lists (read by `lists`) and gives a `CrimeSet`; nothing leaves it unlisted:
each video that is not kept has an entry that says why. The toy world writes the same layout, and goes through the
same code.
"""

import argparse
import csv
import json
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.dataset import index_files
from data_prep.ucf_crime.lists import (
    TEST_LISTS,
    TRAIN_LIST,
    Entry,
    check_overlap,
    find_list,
    read_frame_counts,
    read_test_list,
    read_train_list,
)
from llamavid_kit.data.pairs import InstructionPair, write_jsonl, write_llava
from llamavid_kit.data.sampling import sample_indices
from llamavid_kit.study.setup import CRIME, MAX_SAMPLED_FRAMES, STUDY_FPS, TRAINING_TIERS

log = logging.getLogger(__name__)

NOMINAL_FPS = 30.0  # UCF-Crime's rate (all 259 videos in the study's logs): event times where no file was looked at
CLIPPED_AT_MOST = 2  # annotated ends lie up to so many frames past the last one, in five official lines


@dataclass(frozen=True)
class Exclusion:
    """A video that is not in `left_out_of` ("test", "train" for all training sets, or one of them), and why.

    reason: "class" (outside the 11), "missing", "unreadable", "too long", "annotation" (events do not fit the file)
    """

    video: str
    left_out_of: str
    reason: str
    detail: str


@dataclass
class CrimeSet:
    """What `build` made. test: pairs that every rate in `fps` admits; train: training set name → pairs.

    test_at_fps: rate → number of test videos that this rate alone admits (lengths unknown count as admitted)
    lengths: file name → (n_frames, fps) of every video that was looked at or given
    """

    test: list[InstructionPair] = field(default_factory=list)
    train: dict[str, list[InstructionPair]] = field(default_factory=dict)
    excluded: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_listed: dict[str, int] = field(default_factory=dict)
    test_at_fps: dict[int, int] = field(default_factory=dict)
    lengths: dict[str, tuple[int, float]] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        """Listed, left out by set and reason, kept; JSON values."""
        left_out: dict[str, dict[str, int]] = {}
        for (name, reason), n in sorted(Counter((e.left_out_of, e.reason) for e in self.excluded).items()):
            left_out.setdefault(name, {})[reason] = n
        of_the_classes = {split: n - left_out.get(split, {}).get("class", 0) for split, n in self.n_listed.items()}
        return {
            "listed": self.n_listed,
            "of_the_11_classes": of_the_classes,
            "excluded": left_out,
            "test_at_fps": {str(fps): n for fps, n in self.test_at_fps.items()},
            "kept": {"test": len(self.test), **{f"train_{tier}": len(pairs) for tier, pairs in self.train.items()}},
        }

    def write(self, out: str | Path) -> list[Path]:
        """Writes each set as JSONL and LLaVA JSON, `excluded.json` and `frame_counts.csv`. Returns their paths."""
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for name, pairs in (("test", self.test), *((f"train_{tier}", pairs) for tier, pairs in self.train.items())):
            written += [write_jsonl(pairs, out / f"{name}.jsonl"), write_llava(pairs, out / f"{name}.llava.json")]
        report = {"counts": self.counts(), "excluded": [asdict(e) for e in self.excluded], "notes": self.notes}
        (out / "excluded.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        with (out / "frame_counts.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["video", "n_frames", "video_fps"])
            writer.writerows([name, n, f"{fps:g}"] for name, (n, fps) in sorted(self.lengths.items()))
        return [*written, out / "excluded.json", out / "frame_counts.csv"]


def n_sampled(n_frames: int, video_fps: float, fps: int) -> int:
    """Frames that the study's evaluation samples (`sampling.stride_of`, rule "eval_repro"): its measure of length."""
    return len(sample_indices(n_frames, video_fps, fps, rule="eval_repro"))


def build(
    root: str | Path | None,
    *,
    lists: str | Path | None = None,
    lists_only: bool = False,
    frame_counts: str | Path | None = None,
    fps: Sequence[int] = STUDY_FPS,
    max_sampled_frames: int | None = MAX_SAMPLED_FRAMES,
    ignore: Collection[str] = (),
) -> CrimeSet:
    """Instruction pairs from the videos anywhere below `root` and the official lists in `lists` (default: `root`).

    lists_only: opens and looks for no videos; paths are then as the lists write them
    frame_counts: CSV with video, n_frames, video_fps; a video in it is not opened to learn its length
    fps, max_sampled_frames: a test video stays if at every rate it has at most so many sampled frames (None: no bound)
    ignore: folder names below `root` not to enter

    Raises FileNotFoundError for missing lists or folders, ValueError for a line that does not parse, a video in both
    lists or in two places. Videos that are missing, unreadable, too long or of other classes are listed in `excluded`.
    """
    if root is None and (lists is None or not lists_only):
        raise ValueError("root=None: give the folder with UCF-Crime's videos, or lists= together with lists_only=True")
    if not fps or (max_sampled_frames is not None and max_sampled_frames < 1):
        raise ValueError(f"{fps=}, {max_sampled_frames=}: expected at least one rate, and a bound above 0 or None")
    folder = Path(lists if lists is not None else root)
    test = read_test_list(find_list(folder, TEST_LISTS))
    train = read_train_list(find_list(folder, [TRAIN_LIST]))
    check_overlap(test, train)
    result = CrimeSet(n_listed={"test": len(test), "train": len(train)})
    kept = _of_the_classes([*test, *train], result)
    if lists_only:
        paths = {entry.name: entry.listed for entry in kept}
    else:
        paths = _found(kept, Path(root), ignore, result)
    given = read_frame_counts(Path(frame_counts)) if frame_counts is not None else {}
    pairs = []
    for entry in tqdm([e for e in kept if e.name in paths], desc="videos", unit="video", disable=lists_only):
        path = None if lists_only else Path(root) / paths[entry.name]
        length = _length(entry, path, given, result)
        if length is not None or lists_only:
            pairs += _pair(entry, paths[entry.name], length, result)
    _choose_test([p for p in pairs if p.split == "test"], fps, max_sampled_frames, result)
    _choose_train([p for p in pairs if p.split == "train"], result)
    return result


def _of_the_classes(entries: Sequence[Entry], result: CrimeSet) -> list[Entry]:
    kept = []
    for entry in entries:
        if entry.label in CRIME.labels:
            kept.append(entry)
        else:
            why = "left out by the study" if entry.label in CRIME.excluded_classes else "not among the study's 11"
            detail = f"class {entry.label!r} is {why} ({entry.where})"
            result.excluded.append(Exclusion(entry.name, entry.split, "class", detail))
    return kept


def _found(entries: Sequence[Entry], root: Path, ignore: Collection[str], result: CrimeSet) -> dict[str, str]:
    """{name: path relative to root}; what is not there is listed as missing."""
    names = [entry.name for entry in entries]
    found = index_files(root, names, ignore=ignore, expected="UCF-Crime's videos")
    for entry in entries:
        if entry.name not in found:
            detail = f"not found anywhere below {root} ({entry.where})"
            result.excluded.append(Exclusion(entry.name, entry.split, "missing", detail))
    return {name: path.relative_to(root).as_posix() for name, path in found.items()}


def _length(
    entry: Entry, path: Path | None, given: dict[str, tuple[int, float]], result: CrimeSet
) -> tuple[int, float] | None:
    """(n_frames, fps) from the table, else from the file; None without either. An unreadable file is listed."""
    if entry.name in given:
        result.lengths[entry.name] = given[entry.name]
    elif path is not None:
        from llamavid_kit.data.video import Video, VideoError

        try:
            video = Video(path)
            n_sampled(video.n_frames, video.fps, 1)  # a file slower than 0.5 fps has no frames under the study's rule
            result.lengths[entry.name] = (video.n_frames, float(video.fps))
        except (VideoError, ValueError) as error:
            result.excluded.append(Exclusion(entry.name, entry.split, "unreadable", str(error)))
    return result.lengths.get(entry.name)


def _pair(entry: Entry, video: str, length: tuple[int, float] | None, result: CrimeSet) -> list[InstructionPair]:
    """The pair of one video as a list of one; empty, and listed, where its events do not fit the file."""
    n_frames, fps = length or (None, None)
    events = []
    for start, end in entry.event_frames:
        if n_frames is not None and end > n_frames:
            if end - n_frames > CLIPPED_AT_MOST or start >= n_frames:
                detail = f"event {start}-{end} lies outside its {n_frames} frames: another cut? ({entry.where})"
                result.excluded.append(Exclusion(entry.name, entry.split, "annotation", detail))
                return []
            note = f"{entry.name}: annotated end {end} clipped to the last of {n_frames} frames ({entry.where})"
            log.info(note)
            result.notes.append(note)
            end = n_frames
        events.append((start / (fps or NOMINAL_FPS), end / (fps or NOMINAL_FPS)))
    extra = {"event_frames": [list(event) for event in entry.event_frames]} if entry.event_frames else {}
    pair = InstructionPair(
        id=entry.id,
        video=video,
        question=CRIME.question,
        answer=entry.label,
        choices=CRIME.labels,
        split=entry.split,
        source="UCF-Crime",
        events=tuple(events),
        n_frames=n_frames,
        fps=fps,
        extra=extra,
    )
    return [pair]


def _choose_test(pairs: list[InstructionPair], fps: Sequence[int], most: int | None, result: CrimeSet) -> None:
    """Fills `test` and `test_at_fps` by the study's rule: at most so many sampled frames, at every rate."""
    result.test_at_fps = dict.fromkeys(fps, 0)
    for pair in pairs:
        over = []
        for rate in fps:
            sampled = n_sampled(pair.n_frames, pair.fps, rate) if most and pair.n_frames else 0
            if most and sampled > most:
                over.append(f"{sampled} sampled frames at {rate} fps, at most {most}")
            else:
                result.test_at_fps[rate] += 1
        if over:
            result.excluded.append(Exclusion(Path(pair.video).name, "test", "too long", "; ".join(over)))
        else:
            result.test.append(pair)
    _note_unknown(pairs, "test", result)


def _choose_train(pairs: list[InstructionPair], result: CrimeSet) -> None:
    """Fills the training sets: all, and those with fewer than so many frames at 1 fps (unknown lengths: `all` only)."""
    known = [pair for pair in pairs if pair.n_frames]
    for tier, below in TRAINING_TIERS.items():
        if below is None:
            result.train[tier] = pairs
            continue
        result.train[tier] = []
        for pair in known:
            sampled = n_sampled(pair.n_frames, pair.fps, 1)
            if sampled < below:
                result.train[tier].append(pair)
            else:
                detail = f"{sampled} frames at 1 fps, fewer than {below} wanted"
                result.excluded.append(Exclusion(Path(pair.video).name, f"train_{tier}", "too long", detail))
    _note_unknown(pairs, "train", result)


def _note_unknown(pairs: Sequence[InstructionPair], split: str, result: CrimeSet) -> None:
    if unknown := sum(pair.n_frames is None for pair in pairs):
        result.notes.append(
            f"{unknown} of {len(pairs)} {split} videos have no known length: no length rule was applied to them"
            + (", and they are in no training set by length" if split == "train" else "")
            + f"; event times assume {NOMINAL_FPS:g} frames a second"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m data_prep crime`."""
    parser.description = "UCF-Crime videos and lists → instruction pairs (JSONL and LLaVA JSON)."
    parser.add_argument("root", nargs="?", help="folder with UCF-Crime's videos, anywhere below it")
    parser.add_argument("--lists", help=f"folder with {TEST_LISTS[0]} and {TRAIN_LIST} (default: root)")
    parser.add_argument("--out", default="crime_pairs", help="folder for the pairs (default: crime_pairs)")
    parser.add_argument("--lists-only", action="store_true", help="look for no videos: check and count the lists")
    parser.add_argument("--frame-counts", metavar="CSV", help="table of lengths: video, n_frames, video_fps")
    parser.add_argument("--fps", type=int, nargs="+", default=list(STUDY_FPS), help="rates of the arms (default: 1 6)")
    most = "leave out test videos with more sampled frames than this at any rate; 0: keep all (default: 1800)"
    parser.add_argument("--max-frames", type=int, default=MAX_SAMPLED_FRAMES, metavar="N", help=most)
    parser.add_argument("--ignore", nargs="+", default=[], metavar="FOLDER", help="folder names not to look into")


def run(args: argparse.Namespace) -> int:
    """Builds, writes and prints counts: read, kept, left out and why. Returns 0."""
    result = build(
        args.root,
        lists=args.lists,
        lists_only=args.lists_only,
        frame_counts=args.frame_counts,
        fps=args.fps,
        max_sampled_frames=args.max_frames or None,
        ignore=args.ignore,
    )
    counts = result.counts()
    for split in ("test", "train"):
        print(f"{split}: {counts['listed'][split]} listed → {counts['of_the_11_classes'][split]} of the 11 classes")
    for rate, n in result.test_at_fps.items():
        print(f"test at {rate} fps: {n} videos")
    print("kept:", ", ".join(f"{name} {n}" for name, n in counts["kept"].items()))
    for name, reasons in counts["excluded"].items():
        print(f"left out of {name}:", ", ".join(f"{reason} {n}" for reason, n in reasons.items()))
    for note in result.notes:
        print("note:", note)
    for path in result.write(args.out):
        print("wrote", path)
    return 0
