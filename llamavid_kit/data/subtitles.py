"""What is said in a clip, and at which frame: subtitle files become cues, and each sampled frame gets its text.

Knows .srt and .vtt (read by webvtt-py) and the rule that gives cues to frames. Which frames are sampled is decided in
`sampling`; how texts and image slots become a prompt, in `films`.
"""

import html
import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from webvtt import WebVTT
from webvtt.errors import MalformedCaptionError, MalformedFileError

from llamavid_kit.files import read_text

log = logging.getLogger(__name__)

CueRule = Literal["time", "original"]
FORMS = {  # how a cue looks
    ".srt": "a number, a line like 00:01:02,500 --> 00:01:04,000, the text, an empty line",
    ".vtt": "WEBVTT in the first line, then lines like 00:01:02.500 --> 00:01:04.000, each with its text below",
}


class Cue(NamedTuple):
    """One subtitle: on screen in [start_s, end_s), seconds from the start of the film; one line without markup."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(path: str | Path) -> list[Cue]:
    """The cues of an .srt or .vtt file in UTF-8, in the file's order, without markup and without empty ones.

    Lines of a cue are joined by blanks. Cues that end before they start, and cue times that the reader could not use,
    are left out and counted in the log. Raises FileNotFoundError, and ValueError for another suffix, another encoding
    or a file without cues.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMS:
        raise ValueError(f"{path}: subtitles of the kind {path.suffix!r}, expected .srt or .vtt; convert the file")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected subtitles (.srt or .vtt)")
    try:
        text = read_text(path, encoding="utf-8-sig", way_out="convert it, for example with iconv -t UTF-8")
        captions = WebVTT.from_buffer(io.StringIO(text), format=suffix[1:]).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        raise ValueError(f"{path} could not be read as {path.suffix} ({error}); expected {FORMS[suffix]}") from None
    cues = [Cue(_seconds(c.start_time), _seconds(c.end_time), _plain(c.text)) for c in captions]
    if (announced := text.count("-->")) != len(cues):
        log.warning("%s: %d of %d cue times could not be used", path, announced - len(cues), announced)
    if backwards := [cue for cue in cues if cue.end_s < cue.start_s]:
        log.warning("%s: left out %d cues that end before they start, first %s", path, len(backwards), backwards[0])
    cues = [cue for cue in cues if cue.text and cue.end_s >= cue.start_s]
    if not cues:
        raise ValueError(f"{path} holds no subtitles; expected cues with a start, an end and a text")
    return cues


def _seconds(stamp) -> float:
    return stamp.hours * 3600 + stamp.minutes * 60 + stamp.seconds + stamp.milliseconds / 1000


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())


def frame_texts(
    cues: Sequence[Cue],
    timestamps_s: Sequence[float] | np.ndarray,
    *,
    end_s: float | None = None,
    rule: CueRule = "time",
) -> list[str]:
    """timestamps_s (T,) seconds, increasing → T texts: what is said at each frame, "" where nothing is.

    A cue goes to one frame, the last one before the cue ends, so that frame i speaks for [t_i, t_i+1) and a cue between
    two frames is not lost. Several cues of a frame are joined by blanks, in the given order.

    rule="time": a cue that is over at the first frame (`end_s` of the cue <= t_0) is left out, and so is one that
    starts at or after `end_s`, where the clip ends (None: the last frame speaks for all that follows). Both are
    counted in the log.
    rule="original": `load_video_input` of the original, record for record. There a cue that is over at the first
    frame gets index -1 and is written to the *last* frame, and nothing is left out.

    Raises ValueError for no frames, times that do not increase, an `end_s` before the last frame or with "original".
    """
    if rule not in get_args(CueRule):
        raise ValueError(f"rule={rule!r}, expected one of {get_args(CueRule)}")
    times = np.asarray(timestamps_s, dtype=np.float64)
    if times.ndim != 1 or not times.size or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"timestamps_s={timestamps_s!r}: expected increasing seconds of at least one frame")
    if end_s is not None and (rule == "original" or not end_s >= times[-1]):
        raise ValueError(f'{end_s=}: expected seconds at or after the last frame ({times[-1]:g}), and rule="time"')
    texts: list[list[str]] = [[] for _ in times]
    n_outside = 0
    for cue in cues:
        frame = int(np.searchsorted(times, cue.end_s, side="left")) - 1
        if rule == "time" and (frame < 0 or cue.start_s >= (math.inf if end_s is None else end_s)):
            n_outside += 1
        else:
            texts[frame].append(cue.text)
    if n_outside:
        log.info("%d of %d subtitles lie outside the %d frames", n_outside, len(cues), len(times))
    return [" ".join(lines) for lines in texts]
