"""What the preparations of all data sets share: where lists and videos lie, how a list is read, the study's rule of
length, what is left out and why, and the options of their commands."""

import argparse
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from llamavid_kit.data.sampling import sample_indices
from llamavid_kit.files import csv_text, read_text
from llamavid_kit.study.setup import MAX_SAMPLED_FRAMES, STUDY_FPS

if TYPE_CHECKING:
    from llamavid_kit.data.video import Video


@dataclass(frozen=True)
class Exclusion:
    """A video of a list that is not in the set `left_out_of`, and why. Each data set says which sets and reasons."""

    video: str
    split: str
    left_out_of: str
    reason: str
    detail: str


def count_by(exclusions: Sequence[Exclusion], *fields: str) -> dict[str, Any]:
    """How many there are by `fields`, nested in that order and sorted: {"test": {"class": 31, "too long": 17}}."""
    counts: dict[str, Any] = {}
    keys = Counter(tuple(getattr(exclusion, field) for field in fields) for exclusion in exclusions)
    for (*outer, last), n in sorted(keys.items()):
        level = counts
        for key in outer:
            level = level.setdefault(key, {})
        level[last] = n
    return counts


def folders(
    root: str | Path | None, lists: str | Path | None, *, lists_only: bool, data_set: str
) -> tuple[Path, Path | None]:
    """(folder of the lists, folder of the videos), both `root` unless `lists` is given; no videos with `lists_only`.

    Raises ValueError where neither folder is named, or videos are needed and `root` is None.
    """
    home = root if lists is None else lists
    if home is None or (root is None and not lists_only):
        raise ValueError(
            f"root=None: give the folder with {data_set}'s videos, or lists= together with lists_only=True"
        )
    return Path(home), None if root is None or lists_only else Path(root)


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """("file, line n", text) of every line that is not blank."""
    text = read_text(path, encoding="utf-8-sig", way_out="download it again, or save it as UTF-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line


def rows_of(path: Path, columns: Collection[str]) -> Iterator[tuple[str, dict[Any, Any]]]:
    """("file, line n", row) of a CSV. Raises ValueError where one of `columns` is missing."""
    with csv_text(path) as file:
        rows = DictReader(file)
        if lacking := set(columns) - set(rows.fieldnames or ()):
            raise ValueError(f"{path}: columns {sorted(lacking)} are missing; it has {list(rows.fieldnames or ())}")
        for row in rows:
            yield f"{path}, line {rows.line_num}", row


def listed_path(path: str, where: str) -> str:
    """A path as a list writes it, with Windows' separators or others, as "Class/file". ValueError if it leaves root."""
    windows = PureWindowsPath(path)
    if windows.anchor or ".." in windows.parts:
        raise ValueError(f'{where}: {path!r} leaves the folder of the videos; expected a path below it, "Class/file"')
    return windows.as_posix()


def index_files(root: Path, names: Collection[str], *, ignore: Collection[str] = (), expected: str) -> dict[str, Path]:
    """Where each of `names` lies anywhere below `root`, in one pass; names that are not there are left out.

    ignore: names of folders not to enter; expected: what should lie there, for the error.
    A link to a file that has a place already is no second place. Raises ValueError naming both places when a name
    occurs twice, and FileNotFoundError when `root` is not a folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected {expected} anywhere below it")
    targets = set(names)
    paths: dict[str, Path] = {}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - set(ignore))
        for name in sorted(targets.intersection(files)):
            path = Path(folder) / name
            if name in paths and path.resolve() != paths[name].resolve():
                raise ValueError(
                    f"{name} occurs twice: {paths[name]} and {path}; remove one, or leave a folder out with ignore= "
                    "(--ignore FOLDER)"
                )
            paths.setdefault(name, path)
    return paths


def open_video(path: Path) -> "Video":
    """The video. Raises ValueError where it cannot be read, or is too slow for the study's rule (below 0.5 fps)."""
    from llamavid_kit.data.video import Video

    video = Video(path)
    n_sampled(video.n_frames, video.fps, 1)
    return video


def n_sampled(n_frames: int, video_fps: float, fps: int) -> int:
    """Frames that the study's evaluation samples (`sampling.stride_of`, rule "eval_repro"): its measure of length."""
    return len(sample_indices(n_frames, video_fps, fps, rule="eval_repro"))


def too_long(n_sampled_at: Mapping[int, int], most: int | None) -> dict[int, str]:
    """{rate: why} for each rate at which a video has more than `most` sampled frames. most: None for no bound.

    n_sampled_at: rate → frames that the study samples of the video
    """
    over = {} if most is None else {rate: n for rate, n in n_sampled_at.items() if n > most}
    return {rate: f"{n} sampled frames at {rate} fps, at most {most}" for rate, n in over.items()}


def add_shared_arguments(parser: argparse.ArgumentParser, *, videos: str) -> None:
    """Options that `shared_settings` reads, besides root and --lists. videos: which ones --max-frames leaves out."""
    parser.add_argument("--lists-only", action="store_true", help="look for no videos: check and count the lists")
    parser.add_argument("--fps", type=int, nargs="+", default=list(STUDY_FPS), help="rates of the arms (default: 1 6)")
    most = f"leave out {videos} with more sampled frames than this at any rate; 0: keep all (default: 1800)"
    parser.add_argument("--max-frames", type=int, default=MAX_SAMPLED_FRAMES, metavar="N", help=most)
    parser.add_argument("--ignore", nargs="+", default=[], metavar="FOLDER", help="folder names not to look into")


def shared_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that `build` of every data set takes."""
    return {
        "root": args.root,
        "lists": args.lists,
        "lists_only": args.lists_only,
        "fps": args.fps,
        "max_sampled_frames": args.max_frames or None,
        "ignore": args.ignore,
    }
