"""What is said in a clip, and at which frame: subtitle files become cues, and each sampled frame gets its text.

Knows .srt and .vtt, as sloppy as they are found, and the rule that gives cues to frames. Which frames are sampled is
decided in `sampling`; how texts and image slots become a prompt, in `films`.
"""

import html
import logging
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from llamavid_kit.files import TO_UTF8, read_text

log = logging.getLogger(__name__)

CueRule = Literal["time", "original"]
FORMS = {  # how a cue looks
    ".srt": "a number, a line like 00:01:02,500 --> 00:01:04,000, the text, an empty line",
    ".vtt": "WEBVTT in the first line, then lines like 00:01:02.500 --> 00:01:04.000, each with its text below",
}
_STAMP = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)"  # hours and parts of a second may be absent
_TIMES = re.compile(rf"{_STAMP}\s*-->\s*{_STAMP}(?:\s+(.*))?")
_NUMBER = re.compile(r"\d{1,9}")
_SETTING = re.compile(r"\w+:\S+")  # where a cue stands, behind its times
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)\b")
_TAG = re.compile(r"</?[a-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}|\{an?\d\}", re.IGNORECASE)  # of HTML, WebVTT and ASS


class Cue(NamedTuple):
    """One subtitle: on screen in [start_s, end_s), seconds from the start of the film; one line without markup."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(path: str | Path) -> list[Cue]:
    """The cues of an .srt or .vtt file in UTF-8, in the file's order, without markup and without empty ones.

    Lines of a cue are joined by blanks. Lines that a cue shows again from the one before it, as rolling captions do,
    are read once. Cues without times that can be read, and cues that end before they start, are left out and counted
    in the log. Raises FileNotFoundError, and ValueError for another suffix, another encoding or a file without cues.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMS:
        raise ValueError(
            f"{path}: subtitles of the kind {path.suffix!r}, expected .srt or .vtt; convert it (ffmpeg -i IN OUT.srt)"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected subtitles (.srt or .vtt)")
    text = read_text(path, encoding="utf-8-sig", way_out=TO_UTF8).replace("\ufeff", "").strip("\n")
    if "-->" not in text if suffix == ".srt" else not text.startswith("WEBVTT"):
        raise ValueError(f"{path} could not be read as {path.suffix}; expected {FORMS[suffix]}")
    timed, untimed = _timed(text, suffix)
    if untimed:
        log.warning("%s: left out %d cues without times that can be read, first %r", path, len(untimed), untimed[0])
    if backwards := [Cue(*span, " ".join(lines)) for span, lines in timed if span[1] < span[0]]:
        log.warning("%s: left out %d cues that end before they start, first %s", path, len(backwards), backwards[0])
    cues = _once([(span, lines) for span, lines in timed if span[1] >= span[0]])
    if not cues:
        raise ValueError(f"{path} holds no subtitles; expected cues with a start, an end and a text")
    return cues


def _timed(text: str, suffix: str) -> tuple[list[tuple[tuple[float, float], list[str]]], list[str]]:
    """(((start_s, end_s), lines) of each cue, texts without times that can be read).

    A block without times is such a text in .srt if it has a number; else the text before it holds an empty line.
    """
    cues: list[tuple[tuple[float, float], list[str]]] = []
    untimed: list[str] = []
    timed = {int(number) for number in re.findall(r"^(\d{1,9})[^\S\n]*\n.*-->", text, re.MULTILINE)}
    lines: list[str] | None = None  # of the cue before, where its text may go on
    for k, block in enumerate(re.split(r"\n[^\S\n]*\n" if suffix == ".srt" else r"\n\n", text)):
        rows = [row.strip() for row in block.split("\n") if row.strip()]
        at = [i for i, row in enumerate(rows) if "-->" in row]
        firsts = [i - bool(i and (_NUMBER.fullmatch(rows[i - 1]) or (i == 1 and suffix == ".vtt"))) for i in at]
        head = rows[: firsts[0]] if at else rows
        numbered = bool(suffix == ".srt" and head and _NUMBER.fullmatch(head[0]))
        if suffix == ".srt" and lines is not None and not numbered:
            lines += head
        elif head[numbered:] and (suffix == ".srt" or not (k == 0 or _NO_CUE.match(head[0]))):
            untimed.append(" ".join(head[numbered:]))
        lines = None if numbered else lines
        for i, (first, end) in zip(at, pairwise([*firsts, len(rows)]), strict=True):
            lines = rows[i + 1 : end]
            number = int(rows[first]) + 1 if suffix == ".srt" and _NUMBER.fullmatch(rows[first]) else 0
            if number not in timed and number + 1 in timed and str(number) in lines[:-1]:
                cut = lines.index(str(number))  # the next cue, without its times and an empty line before it
                untimed.append(" ".join(lines[cut + 1 :]))
                lines = lines[:cut]
            if not (times := _TIMES.fullmatch(rows[i])):
                untimed.append(" ".join(lines))
                lines = None
                continue
            if (behind := times[7] or "") and not all(_SETTING.fullmatch(word) for word in behind.split()):
                lines.insert(0, behind)
            cues.append(((_seconds(*times.groups()[:3]), _seconds(*times.groups()[3:6])), lines))
    return cues, untimed


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return round(3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", ".")), 6)


def _once(timed: list[tuple[tuple[float, float], list[str]]]) -> list[Cue]:
    """Cues of plain text; lines that stand at the end of the cue before, which lasts until this one, are left out."""
    cues, before, end_before = [], list[str](), -math.inf
    n_again = 0
    for (start, end), lines in timed:
        texts = [text for line in lines if (text := _plain(line))]
        most = min(len(before), len(texts)) if start <= end_before else 0
        again = next((n for n in range(most, 0, -1) if before[-n:] == texts[:n]), 0)
        n_again += again
        if texts[again:]:
            cues.append(Cue(start, end, " ".join(texts[again:])))
        before, end_before = texts, end
    if n_again:
        log.info("%d lines of rolling captions were shown again and are read once", n_again)
    return cues


def _plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"\\[Nnh]", " ", _TAG.sub("", text))).split())


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
