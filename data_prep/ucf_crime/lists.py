"""UCF-Crime's list files, read strictly: which videos there are and what a name says.

Knows the two official lists, the rule that turns a file name into the study's label, and tables of frame counts. Which
videos stay, and for which arm, is decided in `folder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from data_prep.dataset import lines_of, listed_path, rows_of
from llamavid_kit.evaluation.visibility import Events, read_events
from llamavid_kit.study.setup import CRIME, NORMAL

TEST_LISTS = ("Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Temporal_Anomaly_Annotation.txt")
TRAIN_LIST = "Anomaly_Train.txt"
VIDEO_SUFFIXES = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"}
NONE = -1  # the annotation's "no event"
UCF_CRIME_FPS = 30.0  # of all 259 videos in the study's logs: event times where no file was looked at


@dataclass(frozen=True)
class Entry:
    """One line of a list. name: file name; path: as the list writes it; where: "file, line n".

    event_frames: ((start, end), …) frame numbers as annotated; read as times, an event is [start/fps, end/fps)
    """

    name: str
    path: str
    split: str
    where: str
    event_frames: tuple[tuple[int, int], ...] = ()

    @property
    def label(self) -> str:
        return label_from_file_name(self.name)

    @property
    def id(self) -> str:
        return Path(self.name).stem


def label_from_file_name(name: str) -> str:
    """The study's rule: what stands before the first digit, underscores to blanks, then two names changed.

    "RoadAccidents012_x264.mp4" → "Road Accident", "Normal_Videos_003_x264.mp4" → "Normal Video". The result may be
    outside the study's labels ("Stealing").
    """
    stem = Path(name).name.partition(".")[0]
    digit = next((i for i, c in enumerate(stem) if c.isdigit()), len(stem))
    words = stem[:digit].replace("_", " ").strip()
    return CRIME.renamed.get(words, words)


def find_list(folder: Path, names: Sequence[str]) -> Path:
    """The first of `names` that lies in `folder`. Raises FileNotFoundError naming folder and names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected the one that holds {' or '.join(names)}")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds no {' or '.join(names)}; the lists come with UCF-Crime, put them there, or give their folder "
        "as lists= (python -m data_prep crime --lists)"
    )


def read_test_list(path: Path) -> list[Entry]:
    """The test videos with their events: "file class start end start end", in frames, -1 for none.

    Raises ValueError naming file, line and text for a line that does not parse or contradicts itself.
    """
    entries = []
    for where, line in lines_of(path):
        expected = f'{where}: {line.strip()!r}; expected "file class start end start end", frame numbers, -1 for none'
        fields = line.split()
        if len(fields) != 6:
            raise ValueError(f"{expected}; got {len(fields)} fields")
        video, class_name, *numbers = listed_path(fields[0], where), *fields[1:]
        try:
            a, b, c, d = map(int, numbers)
        except ValueError:
            raise ValueError(f"{expected}; frame numbers must be whole") from None
        events = tuple(event for event in ((a, b), (c, d)) if event != (NONE, NONE))
        if any(not 0 <= start < end for start, end in events):
            raise ValueError(f"{expected}; an event starts at 0 or later and ends after its start")
        label = label_from_file_name(video)
        if class_name.removesuffix("s") != {NORMAL: "Normal"}.get(label, label.replace(" ", "")).removesuffix("s"):
            raise ValueError(f"{expected}; the file name says {label!r}, the class column {class_name!r}")
        if label == NORMAL and events:
            raise ValueError(f"{expected}; a normal video has no events")
        entries.append(Entry(name=Path(video).name, path=video, split="test", where=where, event_frames=events))
    return _checked(entries, path)


def read_train_list(path: Path) -> list[Entry]:
    """The training videos: one "Class/file" a line. Raises ValueError naming file, line and text."""
    entries = []
    for where, line in lines_of(path):
        video = listed_path(line.strip(), where)
        if Path(video).suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f'{where}: {line.strip()!r}; expected one video a line, "Class/Class001_x264.mp4"')
        entries.append(Entry(name=Path(video).name, path=video, split="train", where=where))
    return _checked(entries, path)


def _checked(entries: list[Entry], path: Path) -> list[Entry]:
    if not entries:
        raise ValueError(f"{path} lists no videos")
    places: dict[str, str] = {}
    for entry in entries:
        if entry.id in places:
            raise ValueError(f"{entry.where}: {entry.name} was already listed in {places[entry.id]}; remove one")
        places[entry.id] = entry.where
    return entries


def check_overlap(test: Sequence[Entry], train: Sequence[Entry]) -> None:
    """Raises ValueError naming videos that both lists hold."""
    places = {entry.id: entry.where for entry in test}
    if both := [entry for entry in train if entry.id in places]:
        names = "; ".join(f"{e.name} ({places[e.id]} and {e.where})" for e in both[:3])
        raise ValueError(f"{len(both)} videos are in the test and in the train list, take them out of one: {names}")


def read_frame_counts(path: Path) -> dict[str, tuple[int, float]]:
    """{file name: (n_frames, fps)} from a CSV with the columns video, n_frames, video_fps; others are ignored.

    Raises FileNotFoundError, and ValueError naming file, line and value.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a CSV with the columns video, n_frames, video_fps")
    counts: dict[str, tuple[int, float]] = {}
    for where, row in rows_of(path, ("video", "n_frames", "video_fps")):
        try:
            n_frames, fps = int(row["n_frames"]), float(row["video_fps"])
        except (TypeError, ValueError):
            n_frames, fps = 0, 0.0
        if not (n_frames > 0 and 0 < fps < 1000):
            raise ValueError(
                f"{where}: n_frames={row['n_frames']!r}, video_fps={row['video_fps']!r}; "
                "expected a whole number above 0 and a rate in frames a second"
            )
        name = PureWindowsPath(row["video"]).name
        if counts.setdefault(name, (n_frames, fps)) != (n_frames, fps):
            raise ValueError(f"{where}: {name} was already given with {counts[name]}, here {(n_frames, fps)}")
    return counts


def events_of(path: Path | str) -> Events:
    """{video: [(start_s, end_s), …]} of UCF-Crime's list, read at 30 frames a second, or of a CSV."""
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return read_events(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected UCF-Crime's temporal annotation, or a CSV of events")
    return {e.name: [(a / UCF_CRIME_FPS, b / UCF_CRIME_FPS) for a, b in e.event_frames] for e in read_test_list(path)}
