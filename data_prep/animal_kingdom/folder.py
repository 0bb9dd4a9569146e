"""Animal Kingdom → the study's grounding pairs, multiple-choice pairs, and its action-recognition conversations.

Takes a folder of videos plus the lists (read by `lists`) and gives an `AnimalSet`; nothing leaves it unlisted: each
video that is left out has an entry that says why. What is asked about a video is left to `pairs`. The toy world writes
the same layout, and goes through the same code.
"""

import argparse
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from data_prep.animal_kingdom.choices import TASKS, Names, NotAskedError
from data_prep.animal_kingdom.lists import (
    DURATION_TABLES,
    GROUNDING_LISTS,
    SHEET,
    Grounding,
    SheetRow,
    find_lists,
    read_durations,
    read_grounding,
    read_sheet,
)
from data_prep.animal_kingdom.pairs import AnnotationError, Length, choice_pair, conversation, grounding_pair, names_of
from data_prep.animal_kingdom.result import ACTIONS, AnimalSet
from data_prep.dataset import (
    Exclusion,
    add_shared_arguments,
    folders,
    index_files,
    open_video,
    shared_settings,
    too_long,
)
from llamavid_kit.data.pairs import SPLITS, check_disjoint
from llamavid_kit.study.setup import MAX_SAMPLED_FRAMES, STUDY_FPS

CHOICES = {kind: f"choice_{kind}" for kind in TASKS}
ListEntry = TypeVar("ListEntry", Grounding, SheetRow)


@dataclass(frozen=True)
class Videos:
    """By code: paths relative to the root, lengths where known, and (reason, detail) of those that cannot be used."""

    paths: dict[str, str]
    lengths: dict[str, Length]
    problems: dict[str, tuple[str, str]]


def build(
    root: str | Path | None,
    *,
    lists: str | Path | None = None,
    lists_only: bool = False,
    seed: int = 0,
    n_choices: int = 4,
    fps: Sequence[int] = STUDY_FPS,
    max_sampled_frames: int | None = MAX_SAMPLED_FRAMES,
    ignore: Collection[str] = (),
) -> AnimalSet:
    """Pairs and conversations from the videos and lists anywhere below `root` (lists: below `lists`, if named).

    lists_only: opens and looks for no videos; paths are then CODE.mp4
    seed, n_choices: of the multiple-choice questions; a question has fewer choices where the sheet has fewer names
    fps, max_sampled_frames: a video stays if at every rate it has at most so many sampled frames (None: no bound)
    ignore: folder names not to enter

    A list that is not there costs its kinds and is noted. Raises FileNotFoundError where no list is there, or one
    grounding list of two; ValueError for a line or cell that does not parse, and for a file that is there twice.
    Videos that are missing, unreadable, too long, in both splits or contradict their annotation are in `excluded`.
    """
    list_folder, video_folder = folders(root, lists, lists_only=lists_only, data_set="Animal Kingdom")
    if not fps or min(fps) < 1 or (max_sampled_frames is not None and max_sampled_frames < 1):
        raise ValueError(f"{fps=}, {max_sampled_frames=}: expected rates of 1 or more, and a bound above 0 or None")
    if n_choices < 2:
        raise ValueError(f"{n_choices=}: a multiple-choice question needs at least two")
    result = AnimalSet()
    list_paths = find_lists(list_folder, ignore=ignore)
    grounding, rows = _read(list_paths, result)
    splits = [(entry.code, entry.split) for entry in grounding] + [(row.code, row.split) for row in rows]
    codes = list(dict.fromkeys(code for code, _ in splits))
    table = next((read_durations(list_paths[name]) for name in DURATION_TABLES if name in list_paths), {})
    videos = _look(codes, video_folder, ignore, table)
    for code, length in videos.lengths.items():
        if over := too_long({rate: length.sampled(rate) for rate in fps}, max_sampled_frames):
            videos.problems[code] = ("too long", "; ".join(over.values()))
    test_codes = {code for code, split in splits if split == "test"}
    _make_grounding(_usable(grounding, ["grounding"], videos, test_codes, result), videos, result)
    kinds = [kind for kind in (*CHOICES.values(), ACTIONS) if kind in result.n_listed]
    usable = _usable(rows, kinds, videos, test_codes, result)
    for kind in TASKS:
        if CHOICES[kind] in kinds:
            names = names_of(rows, kind)  # of all rows: a draw does not depend on which videos are there
            _make_choices(names, usable, videos, result, n_choices=n_choices, seed=seed)
    result.conversations = [conversation(row, videos.paths[row.code]) for row in usable]
    if unknown := sum(code not in videos.lengths and code not in videos.problems for code in codes):
        result.notes.append(f"{unknown} of {len(codes)} videos have no known length: no rule of length was applied")
    records = [*(pair for pairs in result.pairs.values() for pair in pairs), *result.conversations]
    check_disjoint(records)  # type: ignore[arg-type]  # it reads split and video alone, which conversations have
    return result


def _read(paths: dict[str, Path], result: AnimalSet) -> tuple[list[Grounding], list[SheetRow]]:
    """The entries of the lists that are there; opens the kinds that they allow and notes the others."""
    grounding = []
    for split, name in GROUNDING_LISTS.items():
        grounding += read_grounding(paths[name], split) if name in paths else []
    rows = read_sheet(paths[SHEET]) if SHEET in paths else []
    sheet_splits = tuple(row.split for row in rows)
    splits = {"grounding": tuple(entry.split for entry in grounding)}
    splits |= dict.fromkeys((*CHOICES.values(), ACTIONS), sheet_splits)
    if not grounding:
        result.notes.append("no grounding lists: no grounding pairs")
    if not rows:
        result.notes.append(f"no {SHEET}: no multiple-choice pairs, no conversations")
    elif rows[0].classes is None:
        del splits[CHOICES["class"]]
        lost = "no question about classes, and conversations have two turns, not three"
        result.notes.append(f"{SHEET} has no column list_animal_parent_class: {lost}")
    for kind, of_kind in splits.items():
        if of_kind:
            result.n_listed[kind] = {split: Counter(of_kind)[split] for split in SPLITS}
            if kind != ACTIONS:
                result.pairs[kind] = []
    return grounding, rows


def _look(codes: Sequence[str], root: Path | None, ignore: Collection[str], table: dict[str, float]) -> Videos:
    """Where videos lie and how long they are, by the table, else by their files; root: None for the lists alone."""
    if root is None:
        paths = {code: f"{code}.mp4" for code in codes}
        return Videos(paths, {code: Length(table[code]) for code in codes if code in table}, {})
    files = index_files(root, [f"{c}.mp4" for c in codes], ignore=ignore, expected="Animal Kingdom's videos")
    paths = {path.stem: path.relative_to(root).as_posix() for path in files.values()}
    problems = {code: ("missing", f"{code}.mp4 is nowhere below {root}") for code in codes if code not in paths}
    videos = Videos(paths, {code: Length(table[code]) for code in paths if code in table}, problems)
    unknown = [code for code in paths if code not in table]
    for code in tqdm(unknown, desc="videos", unit="video", disable=not unknown):
        try:
            video = open_video(root / paths[code])
            videos.lengths[code] = Length(float(video.duration_s), video.n_frames, float(video.fps))
        except ValueError as error:
            problems[code] = ("unreadable", str(error))
    return videos


def _usable(
    entries: Sequence[ListEntry],
    kinds: Sequence[str],
    videos: Videos,
    test_codes: Collection[str],
    result: AnimalSet,
) -> list[ListEntry]:
    """The entries that nothing speaks against; the others are listed once for each of `kinds`."""
    usable = []
    for entry in entries:
        if entry.split == "train" and entry.code in test_codes:
            reason, detail = "both splits", "it is a test video as well, so it is in no training set"
        elif entry.code in videos.problems:
            reason, detail = videos.problems[entry.code]
        elif isinstance(entry, SheetRow) and entry.objection:
            reason, detail = "annotation", entry.objection
        else:
            usable.append(entry)
            continue
        detail = f"{detail} ({entry.where})"
        result.excluded += [Exclusion(entry.code, entry.split, kind, reason, detail) for kind in kinds]
    return usable


def _make_grounding(entries: Sequence[Grounding], videos: Videos, result: AnimalSet) -> None:
    cuts = []
    for entry in entries:
        try:
            pair, notes, cut_s = grounding_pair(entry, videos.paths[entry.code], videos.lengths.get(entry.code))
        except AnnotationError as error:
            result.excluded.append(Exclusion(entry.code, entry.split, "grounding", "annotation", str(error)))
            continue
        result.pairs["grounding"].append(pair)
        result.notes += notes
        cuts += [cut_s] if cut_s else []
    if cuts:
        ends = f"{len(cuts)} videos end before an annotated end, by at most {max(cuts):.2g} s"
        result.notes.append(f"{ends}: their events were cut")


def _make_choices(
    names: Names, rows: Sequence[SheetRow], videos: Videos, result: AnimalSet, *, n_choices: int, seed: int
) -> None:
    kind = CHOICES[names.kind]
    if refused := sorted(names.spelling[name] for name in names.refused):
        result.refused[kind] = refused
        result.notes.append(f"{kind}: {len(refused)} names cannot stand among choices, none of them is: {refused}")
    for row in tqdm(rows, desc=kind, unit="video", delay=2):
        path, length = videos.paths[row.code], videos.lengths.get(row.code)
        try:
            result.pairs[kind].append(choice_pair(row, names, path, length, n_choices=n_choices, seed=seed))
        except NotAskedError as error:
            detail = f"{error} ({row.where})"
            result.excluded.append(Exclusion(row.code, row.split, kind, error.reason, detail))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m data_prep animal`."""
    parser.description = "Animal Kingdom's videos and lists → instruction pairs (JSONL and LLaVA JSON)."
    parser.add_argument("root", nargs="?", help="folder with Animal Kingdom's videos and lists, anywhere below it")
    names = f"{', '.join(GROUNDING_LISTS.values())} and {SHEET}"
    parser.add_argument("--lists", metavar="DIR", help=f"folder with {names}, anywhere below it (default: root)")
    parser.add_argument("--out", default="animal_pairs", metavar="DIR", help="for the pairs (default: animal_pairs)")
    parser.add_argument("--seed", type=int, default=0, help="of the multiple-choice questions (default: 0)")
    parser.add_argument("--choices", type=int, default=4, metavar="N", help="of a question, at most (default: 4)")
    add_shared_arguments(parser, videos="videos")


def run(args: argparse.Namespace) -> int:
    """Builds, writes and prints counts: listed, kept, left out and why. Returns 0."""
    result = build(**shared_settings(args), seed=args.seed, n_choices=args.choices)
    counts = result.counts()
    for kind, listed in counts["listed"].items():
        for split in SPLITS:
            reasons = counts["excluded"].get(kind, {}).get(split, {})
            left_out = "".join(f", {n} {reason}" for reason, n in reasons.items())
            print(f"{kind} {split}: {listed[split]} listed{left_out} → {counts['kept'][kind][split]} kept")
    if n_sentences := counts["sentences"]["annotated"]:
        doubles, middle = counts["sentences"]["doubles_removed"], counts["sentences"]["median_a_video"]
        print(f"sentences: {n_sentences}, {doubles} of them doubles, median {middle:g} a video")
    for kind, sizes in counts["choices"].items():
        print(f"{kind}:", ", ".join(f"{n} with {size} choices" for size, n in sizes.items()) or "none")
    for note in result.notes:
        print("note:", note)
    settings = {"seed": args.seed, "n_choices": args.choices, "fps": args.fps, "max_sampled_frames": args.max_frames}
    for path in result.write(args.out, settings=settings):
        print("wrote", path)
    return 0
