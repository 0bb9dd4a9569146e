"""UCF-Crime → instruction pairs: the study's question and 11 classes, its test set and its three training sets.

Takes a folder of videos plus the official lists (read by `lists`) and gives a `CrimeSet`; nothing leaves it unlisted:
each video that is left out has an entry that says why. The toy world writes the same layout, and goes through the same
code.
"""

import argparse
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep.dataset import (
    Exclusion,
    add_shared_arguments,
    folders,
    index_files,
    n_sampled,
    open_video,
    shared_settings,
    too_long,
)
from data_prep.ucf_crime.lists import (
    TEST_LISTS,
    TRAIN_LIST,
    UCF_CRIME_FPS,
    Entry,
    check_overlap,
    find_list,
    read_frame_counts,
    read_test_list,
    read_train_list,
)
from data_prep.ucf_crime.result import CrimeSet
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.study.setup import CRIME, MAX_SAMPLED_FRAMES, STUDY_FPS, TRAINING_TIERS

log = logging.getLogger(__name__)

CLIPPED_AT_MOST = 2  # annotated ends lie up to so many frames past the last one, in five official lines
Length = tuple[int, float]  # frames, and frames a second


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
    list_folder, video_folder = folders(root, lists, lists_only=lists_only, data_set="UCF-Crime")
    if not fps or (max_sampled_frames is not None and max_sampled_frames < 1):
        raise ValueError(f"{fps=}, {max_sampled_frames=}: expected at least one rate, and a bound above 0 or None")
    test = read_test_list(find_list(list_folder, TEST_LISTS))
    train = read_train_list(find_list(list_folder, [TRAIN_LIST]))
    check_overlap(test, train)
    result = CrimeSet(n_listed={"test": len(test), "train": len(train)})
    entries = _of_the_classes([*test, *train], result)
    paths = _paths(entries, video_folder, ignore, result)
    table = read_frame_counts(Path(frame_counts)) if frame_counts is not None else {}
    pairs: dict[str, list[InstructionPair]] = {"test": [], "train": []}
    for entry in tqdm([e for e in entries if e.name in paths], desc="videos", unit="video", disable=lists_only):
        path = paths[entry.name]
        length = _length(entry, video_folder and video_folder / path, table, result)
        if (length or lists_only) and (pair := _pair(entry, path, length, result)):
            pairs[pair.split].append(pair)
    _choose_test(pairs["test"], fps, max_sampled_frames, result)
    _choose_train(pairs["train"], result)
    return result


def _exclude(result: CrimeSet, entry: Entry, reason: str, detail: str) -> None:
    result.excluded.append(Exclusion(entry.name, entry.split, entry.split, reason, detail))


def _of_the_classes(entries: Sequence[Entry], result: CrimeSet) -> list[Entry]:
    """The entries of the study's classes; the others are listed."""
    of_the_classes = []
    for entry in entries:
        if entry.label in CRIME.labels:
            of_the_classes.append(entry)
        else:
            why = "left out by the study" if entry.label in CRIME.excluded_classes else "not among the study's 11"
            _exclude(result, entry, "class", f"class {entry.label!r} is {why} ({entry.where})")
    return of_the_classes


def _paths(entries: Sequence[Entry], root: Path | None, ignore: Collection[str], result: CrimeSet) -> dict[str, str]:
    """{name: path relative to root}, without a root as in the lists; a video that is not there is listed as missing."""
    if root is None:
        return {entry.name: entry.path for entry in entries}
    paths = index_files(root, [entry.name for entry in entries], ignore=ignore, expected="UCF-Crime's videos")
    for entry in entries:
        if entry.name not in paths:
            _exclude(result, entry, "missing", f"not found anywhere below {root} ({entry.where})")
    return {name: path.relative_to(root).as_posix() for name, path in paths.items()}


def _length(entry: Entry, path: Path | None, table: dict[str, Length], result: CrimeSet) -> Length | None:
    """The length from the table, else from the file; None without either. An unreadable file is listed."""
    if entry.name in table:
        result.lengths[entry.name] = table[entry.name]
    elif path is not None:
        try:
            video = open_video(path)
            result.lengths[entry.name] = (video.n_frames, float(video.fps))
        except ValueError as error:
            _exclude(result, entry, "unreadable", str(error))
    return result.lengths.get(entry.name)


def _pair(entry: Entry, video: str, length: Length | None, result: CrimeSet) -> InstructionPair | None:
    """The pair of one video; None, and listed, where its events do not fit the file."""
    n_frames, fps = length or (None, None)
    events = []
    for start, end in entry.event_frames:
        if n_frames is not None and end > n_frames:
            if end - n_frames > CLIPPED_AT_MOST or start >= n_frames:
                detail = f"event {start}-{end} lies outside its {n_frames} frames: another cut? ({entry.where})"
                _exclude(result, entry, "annotation", detail)
                return None
            note = f"{entry.name}: annotated end {end} clipped to the last of {n_frames} frames ({entry.where})"
            log.info(note)
            result.notes.append(note)
            end = n_frames
        events.append((start / (fps or UCF_CRIME_FPS), end / (fps or UCF_CRIME_FPS)))
    return InstructionPair(
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
        extra={"event_frames": [list(event) for event in entry.event_frames]} if entry.event_frames else {},
    )


def _choose_test(pairs: list[InstructionPair], fps: Sequence[int], most: int | None, result: CrimeSet) -> None:
    """Fills `test` and `test_at_fps` by the study's rule: at most so many sampled frames, at every rate."""
    result.test_at_fps = dict.fromkeys(fps, 0)
    for pair in pairs:
        over = too_long(_n_sampled_at(pair, fps), most) if most else {}
        for rate in fps:
            result.test_at_fps[rate] += rate not in over
        if over:
            name, why = Path(pair.video).name, "; ".join(over.values())
            result.excluded.append(Exclusion(name, "test", "test", "too long", why))
        else:
            result.test.append(pair)
    _note_unknown(pairs, "test", result)


def _choose_train(pairs: list[InstructionPair], result: CrimeSet) -> None:
    """Fills the training sets: all, and those with fewer than so many frames at 1 fps (unknown lengths: `all` only)."""
    n_frames = {pair.id: n for pair in pairs for n in _n_sampled_at(pair, [1]).values()}
    for tier, below in TRAINING_TIERS.items():
        result.train[tier] = [p for p in pairs if below is None or n_frames.get(p.id, below) < below]
        for pair in pairs:
            if below is not None and n_frames.get(pair.id, 0) >= below:
                detail = f"{n_frames[pair.id]} frames at 1 fps, fewer than {below} wanted"
                name = Path(pair.video).name
                result.excluded.append(Exclusion(name, "train", f"train_{tier}", "too long", detail))
    _note_unknown(pairs, "train", result)


def _n_sampled_at(pair: InstructionPair, fps: Sequence[int]) -> dict[int, int]:
    """{rate: frames that the study samples}; empty where the length is not known."""
    if pair.n_frames is None or pair.fps is None:
        return {}
    return {rate: n_sampled(pair.n_frames, pair.fps, rate) for rate in fps}


def _note_unknown(pairs: Sequence[InstructionPair], split: str, result: CrimeSet) -> None:
    if unknown := sum(pair.n_frames is None for pair in pairs):
        result.notes.append(
            f"{unknown} of {len(pairs)} {split} videos have no known length: no length rule was applied to them"
            + (", and they are in no training set by length" if split == "train" else "")
            + f"; event times assume {UCF_CRIME_FPS:g} frames a second"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m data_prep crime`."""
    parser.description = "UCF-Crime videos and lists → instruction pairs (JSONL and LLaVA JSON)."
    parser.add_argument("root", nargs="?", help="folder with UCF-Crime's videos, anywhere below it")
    parser.add_argument("--lists", help=f"folder with {TEST_LISTS[0]} and {TRAIN_LIST} (default: root)")
    parser.add_argument("--out", default="crime_pairs", help="folder for the pairs (default: crime_pairs)")
    parser.add_argument("--frame-counts", metavar="CSV", help="table of lengths: video, n_frames, video_fps")
    add_shared_arguments(parser, videos="test videos")


def run(args: argparse.Namespace) -> int:
    """Builds, writes and prints counts: read, kept, left out and why. Returns 0."""
    result = build(**shared_settings(args), frame_counts=args.frame_counts)
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
