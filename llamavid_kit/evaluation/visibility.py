"""What sampling can show of annotated clips: the share of clips of which a sampled frame lies in an annotated event.

Takes events as (start, end), in seconds or in frames, clip by clip, from any list; gives counts with Wilson intervals,
and the curve of them over frame rates. It bounds what a model could see before any model looks: that a frame of the
event was sampled does not mean that the frame shows it well. `statistics.visibility_curve` counts events, this clips.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from llamavid_kit.data.sampling import EPSILON_S, check_fps, sample_indices
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.files import csv_text

Events = Mapping[str, Sequence[tuple[float, float]]]
COLUMNS = ("clip", "start_s", "end_s")
FRAME_COLUMNS = ("clip", "start_frame", "end_frame", "video_fps")


@dataclass(frozen=True)
class ClipVisibility:
    """Of n clips with an annotated event, how many have at least `at_least` sampled frames inside their events."""

    fps: float
    n: int
    seen: int
    at_least: int = 1

    @property
    def share(self) -> float:
        return self.seen / self.n

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.seen, self.n)


def read_events(path: str | Path) -> dict[str, list[tuple[float, float]]]:
    """{clip: [(start_s, end_s), …]} from a CSV, a row an event: clip, start_s, end_s, or with frame numbers clip,
    start_frame, end_frame, video_fps.

    A row with both bounds empty says that the clip has no event. A frame number f is read as the time f / video_fps.
    UCF-Crime's own list is read by `data_prep.ucf_crime.lists.read_test_list`.

    Raises ValueError naming file, line and value.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a CSV with the columns {', '.join(COLUMNS)}")
    events: dict[str, list[tuple[float, float]]] = {}
    with csv_text(path) as file:
        rows = csv.DictReader(file)
        columns = next((c for c in (COLUMNS, FRAME_COLUMNS) if set(c) <= set(rows.fieldnames or ())), None)
        if columns is None:
            raise ValueError(
                f"{path}: columns {rows.fieldnames}; expected {', '.join(COLUMNS)}, or {', '.join(FRAME_COLUMNS)}"
            )
        for row in rows:
            found = events.setdefault(_filled(row["clip"], "clip", path, rows.line_num), [])
            if any((row[column] or "").strip() for column in columns[1:3]):
                found.append(_bounds(row, columns, f"{path}, line {rows.line_num}"))
    if not events:
        raise ValueError(f"{path} lists no clips")
    return events


def _filled(value: str | None, name: str, path: Path, line: int) -> str:
    if not (value or "").strip():
        raise ValueError(f"{path}, line {line}: {name} is empty")
    return value.strip()


def _bounds(row: dict[str, str], columns: tuple[str, ...], where: str) -> tuple[float, float]:
    try:
        start, end, *rate = (float(row[column]) for column in columns[1:])
    except (TypeError, ValueError):
        start, end, rate = math.nan, math.nan, []
    start, end = (start / rate[0], end / rate[0]) if rate and rate[0] > 0 else (start, end)
    if not 0 <= start < end < math.inf or (rate and not rate[0] > 0):
        shown = ", ".join(f"{column}={row[column]!r}" for column in columns[1:])
        raise ValueError(f"{where}: {shown}; expected numbers with 0 <= start < end, and a rate above 0")
    return start, end


def clip_curve(events: Events, *, fps: Sequence[float], at_least: int = 1) -> list[ClipVisibility]:
    """For each rate, the share of clips with `at_least` sampled frames in their events; frames at 0, 1/fps, 2/fps, … s.

    events: clip → its (start_s, end_s), half open. Clips without events are no part of the share; overlapping events
    are joined first, so that no frame counts twice. Raises ValueError where no clip has an event.
    """
    eventful = {clip: _joined(found) for clip, found in events.items() if len(found)}
    if not eventful or at_least < 1:
        raise ValueError(f"{len(eventful)} clips with an event, {at_least=}: expected at least one of each")
    curve = []
    for rate in fps:
        counts = [sum(n_samples_in(event, rate) for event in found) for found in eventful.values()]
        curve.append(ClipVisibility(float(check_fps(rate)), len(counts), sum(k >= at_least for k in counts), at_least))
    return curve


def _joined(found: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def n_frames_shown(
    event_frames: Sequence[tuple[int, int]], *, n_frames: int, video_fps: float, fps: float, rule: str = "eval_repro"
) -> int:
    """How many of the frames that a stride rule takes (`sampling.sample_indices`) lie in the events [start, end)."""
    indices = sample_indices(n_frames, video_fps, fps, rule=rule)
    inside = np.zeros(len(indices), bool)
    for start, end in event_frames:
        inside |= (indices >= start) & (indices < end)
    return int(inside.sum())


def curve_table(curve: Sequence[ClipVisibility], name: str) -> pd.DataFrame:
    """What `plots.visibility_curve` draws: set, fps, n, seen, low, high."""
    rows = [
        {"set": name, "fps": p.fps, "n": p.n, "seen": p.seen, "low": p.wilson95[0], "high": p.wilson95[1]}
        for p in curve
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Visibility:
    """How many of n events hold at least one of the frames sampled at `fps`.

    seen: on the sampler's own grid, frames at 0, 1/fps, 2/fps, … seconds; wilson95: interval of share = seen / n
    expected: mean over the events of min(1, duration · fps), the share if events began anywhere with equal chance
    """

    fps: float
    n: int
    seen: int
    wilson95: tuple[float, float]
    expected: float

    @property
    def share(self) -> float:
        return self.seen / self.n


def n_samples_in(event: tuple[float, float], fps: float) -> int:
    """How many of the moments 0, 1/fps, 2/fps, … lie in the event [start_s, end_s): the frames of it that are sampled.

    As `sampling.sample_times` does, a moment may come 1 ms before the frame it shows, because containers round.
    """
    start_s, end_s = event
    if not 0 <= start_s < end_s or not math.isfinite(end_s):
        raise ValueError(f"event={event!r}: expected (start_s, end_s) with 0 <= start_s < end_s in seconds")
    fps = check_fps(fps)
    first = max(0, math.ceil((start_s - EPSILON_S) * fps))
    return max(0, math.ceil((end_s - EPSILON_S) * fps) - first)


def visibility_curve(events: Sequence[tuple[float, float]], *, fps: Sequence[float]) -> list[Visibility]:
    """For each rate, the share of `events` ((start_s, end_s) in seconds, half open) that sampling shows at all.

    It is an upper bound by arithmetic, before any model looks: an event without a sampled frame cannot be seen.
    Raises ValueError for no events and for an fps that is not above 0.
    """
    if not len(events):
        raise ValueError("no events: a visibility curve needs at least one (start_s, end_s)")
    durations_s = np.array([end - start for start, end in events])
    curve = []
    for rate in fps:
        seen = sum(n_samples_in(event, rate) > 0 for event in events)
        expected = float(np.minimum(1.0, durations_s * check_fps(rate)).mean())
        curve.append(Visibility(float(rate), len(events), seen, wilson(seen, len(events)), expected))
    return curve
