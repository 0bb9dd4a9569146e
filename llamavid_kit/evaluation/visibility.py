"""What sampling can show of annotated events: how many events, or clips, have a sampled frame in them.

Takes events as (start, end), half open, in seconds or in frames, from any list; gives counts with Wilson intervals, and
the curve of them over frame rates. It bounds what a model could see before any model looks: that a frame of the event
was sampled does not mean that the frame shows it well. `visibility_curve` counts events, `clip_curve` clips;
`share_shown` needs no list, and `still_likely` says what a "no" leaves open.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llamavid_kit.data.sampling import EPSILON_S, check_fps, sample_indices, sample_times
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.files import csv_text

Event = tuple[float, float]
Events = Mapping[str, Sequence[Event]]
COLUMNS = ("clip", "start_s", "end_s")
FRAME_COLUMNS = ("clip", "start_frame", "end_frame", "video_fps")


@dataclass(frozen=True)
class Visibility:
    """Of n events, or n clips with an event, how many have sampled frames inside; frames at 0, 1/fps, 2/fps, … s.

    wilson95: interval of share = n_visible / n
    expected: mean over events of min(1, duration · fps), the share if events began anywhere with equal chance; None
    for clips
    """

    fps: float
    n: int
    n_visible: int
    expected: float | None = None

    @property
    def share(self) -> float:
        return self.n_visible / self.n

    @property
    def wilson95(self) -> tuple[float, float]:
        return wilson(self.n_visible, self.n)


def read_events(path: str | Path) -> dict[str, list[Event]]:
    """{clip: [(start_s, end_s), …]} from a CSV, a row an event: clip, start_s, end_s, or with frame numbers clip,
    start_frame, end_frame, video_fps.

    A row with both bounds empty says that the clip has no event. A frame number f is read as the time f / video_fps.
    UCF-Crime's own list is read by `data_prep.ucf_crime.lists.read_test_list`.

    Raises ValueError naming file, line and value.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a CSV with the columns {', '.join(COLUMNS)}")
    events: dict[str, list[Event]] = {}
    with csv_text(path) as file:
        rows = csv.DictReader(file)
        columns = next((c for c in (COLUMNS, FRAME_COLUMNS) if set(c) <= set(rows.fieldnames or ())), None)
        if columns is None:
            raise ValueError(
                f"{path}: columns {rows.fieldnames}; expected {', '.join(COLUMNS)}, or {', '.join(FRAME_COLUMNS)}"
            )
        for row in rows:
            where, clip = f"{path}, line {rows.line_num}", (row["clip"] or "").strip()
            if not clip:
                raise ValueError(f"{where}: clip is empty")
            of_clip = events.setdefault(clip, [])
            if any((row[column] or "").strip() for column in columns[1:3]):
                of_clip.append(_event(row, columns, where))
    if not events:
        raise ValueError(f"{path} lists no clips")
    return events


def _event(row: dict[str, str], columns: tuple[str, ...], where: str) -> Event:
    try:
        start, end, *rate = (float(row[column]) for column in columns[1:])
    except (TypeError, ValueError):
        start, end, rate = math.nan, math.nan, []
    start, end = (start / rate[0], end / rate[0]) if rate and rate[0] > 0 else (start, end)
    if not 0 <= start < end < math.inf or (rate and not rate[0] > 0):
        cells = ", ".join(f"{column}={row[column]!r}" for column in columns[1:])
        raise ValueError(f"{where}: {cells}; expected numbers with 0 <= start < end, and a rate above 0")
    return start, end


def check_events(events: Sequence[Event], duration_s: float, *, clip: str) -> tuple[Event, ...]:
    """The events [start_s, end_s) of `clip` as far as it shows them: an end behind its end, duration_s, is cut.

    Raises ValueError naming clip, event and duration for an event that begins at or after the end: no frame is in it.
    """
    if outside := [event for event in events if event[0] >= duration_s]:
        start_s, end_s = outside[0]
        raise ValueError(
            f"{clip}: the event from {start_s:g} to {end_s:g} s begins when the clip, {duration_s:g} s long, is over; "
            "correct the annotation, or take the clip that it was made for"
        )
    return tuple((start_s, min(end_s, duration_s)) for start_s, end_s in events)


def n_samples_in(event: Event, fps: float) -> int:
    """How many of the moments 0, 1/fps, 2/fps, … lie in the event [start_s, end_s): the frames of it that are sampled.

    As `sampling.sample_times` does, a moment may come 1 ms before the frame it shows, because containers round.
    """
    start_s, end_s = event
    if not 0 <= start_s < end_s or not math.isfinite(end_s):
        raise ValueError(f"event={event!r}: expected (start_s, end_s) with 0 <= start_s < end_s in seconds")
    fps = check_fps(fps)
    first = max(0, math.ceil((start_s - EPSILON_S) * fps))
    return max(0, math.ceil((end_s - EPSILON_S) * fps) - first)


def in_events(times_s: Sequence[float] | np.ndarray, events: Sequence[Event]) -> np.ndarray:
    """Of each moment, whether it lies in one of the `events` [start_s, end_s); 1 ms before counts, as in sampling."""
    times = np.asarray(times_s, dtype=float)
    spans = [(times >= start - EPSILON_S) & (times < end - EPSILON_S) for start, end in events]
    return np.any(spans, axis=0) if spans else np.zeros(len(times), dtype=bool)


def n_events_seen(events: Sequence[Event], timestamps_s: np.ndarray, duration_s: float, fps: float) -> int:
    """How many events hold a frame that `fps` takes of a clip whose frames begin at `timestamps_s` (n,)."""
    times = timestamps_s[sample_times(timestamps_s, duration_s, fps)]
    return sum(bool(in_events(times, [event]).any()) for event in events)


def visibility_curve(events: Sequence[Event], *, fps: Sequence[float]) -> list[Visibility]:
    """For each rate, the share of `events` ((start_s, end_s) in seconds) that sampling shows at all.

    It is an upper bound by arithmetic, before any model looks: an event without a sampled frame cannot be seen.
    Raises ValueError for no events and for an fps that is not above 0.
    """
    if not len(events):
        raise ValueError("no events: a visibility curve needs at least one (start_s, end_s)")
    durations_s = np.array([end - start for start, end in events])
    curve = clip_curve({str(k): [event] for k, event in enumerate(events)}, fps=fps)
    return [replace(p, expected=float(np.minimum(1.0, durations_s * p.fps).mean())) for p in curve]


def clip_curve(events: Events, *, fps: Sequence[float]) -> list[Visibility]:
    """For each rate, the share of clips with a sampled frame in one of their events.

    events: clip → its (start_s, end_s), within the clip: `check_events` sees to it where durations are known. Clips
    without events are no part of the share. Raises ValueError where no clip has an event.
    """
    eventful = [of_clip for of_clip in events.values() if len(of_clip)]
    if not eventful:
        raise ValueError("0 clips with an event: expected at least one")
    curve = []
    for rate in fps:
        visible = [sum(n_samples_in(event, rate) for event in of_clip) > 0 for of_clip in eventful]
        curve.append(Visibility(float(rate), len(visible), sum(visible)))
    return curve


def n_frames_shown(event_frames: Sequence[tuple[int, int]], *, n_frames: int, video_fps: float, fps: float) -> int:
    """How many of the frames that the study's own stride rule takes lie in the events [start, end)."""
    indices = sample_indices(n_frames, video_fps, fps, rule="eval_repro")
    return sum(any(start <= index < end for start, end in event_frames) for index in indices)


def share_shown(times_s: Sequence[float] | np.ndarray, *, event_s: float, seconds: float) -> float:
    """How likely one of the frames at `times_s` lies in an event of `event_s` seconds that may begin anywhere, with
    equal chance, in a clip of `seconds` that holds it whole.

    Raises ValueError for an event that is no longer than 0 s or not shorter than the clip.
    """
    room = seconds - event_s
    if not 0 < event_s < seconds:
        raise ValueError(
            f"event_s={event_s:g} in a clip of {seconds:g} s: expected more than 0, and less than the clip"
        )
    times = np.sort(np.asarray(times_s, float))  # a frame shows what began at most event_s before it
    first, last = (times - event_s).clip(0, room), times.clip(0, room)
    shown = last - np.maximum(first, np.concatenate([[0.0], last[:-1]]))  # what the frame before it does not show
    return float(shown.clip(0).sum() / room)


def still_likely(share: float | np.ndarray, *, before: float, hit: float = 1.0, false_alarm: float = 0.0):
    """How likely the event happened although the reply is "no".

    share: how likely a frame lies in it (`share_shown`), a number or an array; before: how likely it was anyway.
    hit: of events with a frame, how many the model says; false_alarm: of clips that show none, how many it says.
    """
    silent = share * (1 - hit) + (1 - share) * (1 - false_alarm)
    return before * silent / (before * silent + (1 - before) * (1 - false_alarm))
