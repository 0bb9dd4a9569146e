"""Single clips of a run: what an arm saw of one, three clips by a stated rule for the first page, and every reply.

Frames come from the clips' folder, where the caller names it; all else is read from the run.
"""

import base64
import html
import io
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from IPython.display import HTML
from PIL import Image

from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.visibility import in_events
from llamavid_kit.experiments.report.answer import KEYS, main_pair
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz.look import short

N_FRAMES, THUMBNAIL_PX = 8, 160  # shown of a clip, and their longer side
LONGEST_REPLY, MOST_SPANS = 180, 2  # letters of a reply on the first page, events whose seconds are said
MOST_REPLIES, A_FOLD = 40_000, 100  # listed in a page, which must still open; clips of an open question in a fold
Frames = list[tuple[float, bool, np.ndarray]]  # time in seconds, whether in an event, (H, W, 3) uint8


# --- what an arm saw of a clip


def receipt(run: Run, key: str, clip: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Of the frames that the arm saw of a clip: their seconds, whether each is in an event, and both in a sentence."""
    row = run.of(key).set_index("clip").loc[clip]
    times, events = np.sort(np.array(row["timestamps_s"], float)), run.test.set_index("clip").loc[clip, "events"]
    inside = in_events(times, events)
    tokens = "" if pd.isna(row.get("n_visual")) else f" ({int(row['n_visual']):,} tokens)"
    saw = f"{row['arm']} saw {len(times)} frames{tokens}"
    if not events:
        return times, inside, f"{saw}; no event is marked in this clip."
    if len(events) > MOST_SPANS:
        return times, inside, f"{saw}, {inside.sum()} of them in one of its {len(events)} events."
    spans = " and ".join(f"{start_s:.2f} to {end_s:.2f} s" for start_s, end_s in events)
    sentence = f"{saw}, {inside.sum()} of them in the event ({spans})"
    return times, inside, sentence + ("." if inside.any() or not len(times) else ": it lies between two frames.")


def chosen_frames(inside: np.ndarray, n: int = N_FRAMES) -> list[int]:
    """At most n positions, evenly chosen; where an event was seen but lies in none, the nearest one moves to it."""
    at = np.arange(0, len(inside), -(-len(inside) // n))
    hits = np.flatnonzero(inside)
    if len(hits) and not inside[at].any():
        event = hits[len(hits) // 2]
        at[np.abs(at - event).argmin()] = event
    return at.tolist()


def frames_seen(run: Run, root: Path, key: str, clip: str) -> Frames:
    """At most N_FRAMES of the frames that the arm saw, one of the event among them if it saw one.

    root: folder of the clips. Raises ValueError for a clip that cannot be read (`VideoError`) or is another.
    """
    times, inside, _ = receipt(run, key, clip)
    if not len(times):
        return []
    video, at = Video(root / run.test.set_index("clip").loc[clip, "video"]), chosen_frames(inside)
    apart = np.abs(video.timestamps_s - times[at][:, None])
    if apart.min(1).max() > 0.5 / video.fps:
        raise ValueError(f"{video.path} has no frame at {times[at][-1]:.2f} s, which the arm saw: it is another clip")
    return list(zip(times[at], inside[at], video.frames(apart.argmin(1)), strict=True))


# --- three clips


class Kind(NamedTuple):
    """words: which arms were right; clips: those of which it holds, in the list's order."""

    words: str
    clips: list[str]


def compared(run: Run) -> list[str]:
    """Keys of the two arms that the report is about, or of the one that there is."""
    pair = main_pair(run, run.answering[0])
    return [run.arms[0].name] if pair is None else [pair[key] for key in KEYS]


def kinds(run: Run) -> list[Kind]:
    """The clips by which compared arms are right: only the second, only the first, none, all; a kind may be empty."""
    right = [run.of(key).set_index("clip")["correct"].astype(bool).loc[run.test["clip"]] for key in compared(run)]
    if len(right) == 1:
        found = [("Wrong", ~right[0]), ("Right", right[0])]
    else:
        a, b = right
        first, second = (short(run.name_in_tables(key)) for key in compared(run))
        found = [(f"Only {second} is right", b & ~a), (f"Only {first} is right", a & ~b)]
        found += [("Neither is right", ~a & ~b), ("Both are right", a & b)]
    return [Kind(words, list(holds.index[holds])) for words, holds in found]


def three_clips(run: Run, root: Path | str | None = None) -> HTML:
    """The first clip of the first three kinds that occur: frames, receipt and reply of each arm beside the truth."""
    present = [kind for kind in kinds(run) if kind.clips]
    cards = "".join(_card(run, root, kind) for kind in present[:3])
    return HTML(f'{cards}<p class="small">{html.escape(_rule(run, present, frames=root is not None))}</p>')


def _rule(run: Run, present: list[Kind], *, frames: bool) -> str:
    """How the three were chosen, what is not shown, and how to read the frames."""
    lines = [
        "Nobody picked these clips: each is the first of its kind in the list that was fixed before any arm answered."
    ]
    lines += [f"Not shown: “{kind.words}”, {len(kind.clips)} of {len(run.test)}." for kind in present[3:]]
    if absent := [f"“{kind.words}”" for kind in kinds(run) if not kind.clips]:
        lines.append(f"No clip: {', '.join(absent)}.")
    if frames:
        lines.append(
            f"At most {N_FRAMES} frames of each arm are shown; a bar above a frame says that it lies in the event."
        )
    else:
        lines.append("To see their frames, name the clips' folder: write_report(RUN, root=CLIPS).")
    return " ".join(lines)


def _card(run: Run, root: Path | str | None, kind: Kind) -> str:
    clip = kind.clips[0]
    truth = html.escape(_short(run.test.set_index("clip").loc[clip, "label"]))
    head = f"<strong>{html.escape(kind.words)}</strong>, {len(kind.clips)} of {len(run.test)} clips. The first: "
    arms = "".join(_arm(run, root, key, clip) for key in compared(run))
    return f'<div class="clip"><p>{head}{html.escape(clip)}, truth: <strong>{truth}</strong></p>{arms}</div>'


def _arm(run: Run, root: Path | str | None, key: str, clip: str) -> str:
    """One arm's line of a card."""
    row, (*_, saw) = run.of(key).set_index("clip").loc[clip], receipt(run, key, clip)
    unread = " (names no label)" if not run.open and pd.isna(row["label"]) else ""
    reply = html.escape(_short(row["reply"])) or "(nothing)"
    says = f"{_mark(row['correct'])} It replied: <strong>{reply}</strong>{unread}"
    text = f"<div>{html.escape(saw[:1].upper() + saw[1:])}<br>{says}</div>"
    return f'<div class="arm">{text}{_strip(run, root, key, clip)}</div>'


def _strip(run: Run, root: Path | str | None, key: str, clip: str) -> str:
    if root is None:
        return ""
    try:
        frames = frames_seen(run, Path(root), key, clip)
    except (OSError, ValueError):  # a VideoError is a ValueError
        return "<div>Its file cannot be read here, or is another one now.</div>"
    pictures = ""
    for time_s, inside, frame in frames:
        kind = "event" if inside else "quiet"
        pictures += f'<span class="{kind}"><img src="{_data_uri(frame)}" alt="frame">{time_s:.2f} s</span>'
    return f'<div class="strip">{pictures}</div>'


def _data_uri(frame: np.ndarray) -> str:
    image, file = Image.fromarray(frame), io.BytesIO()
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    image.save(file, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _short(text: str) -> str:
    return textwrap.shorten(text, LONGEST_REPLY, placeholder=" …")


def _mark(correct: bool) -> str:
    return "✓" if correct else "✗"


# --- every reply


def every_reply(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """(summary, table) of each fold: a row a clip, in it the reply of every arm, marked right or wrong.

    A fold holds the clips of one true label, or some clips in the list's order where there are no labels.
    """
    clips = run.test[["clip", "label"]].head(_n_listed(run)).rename(columns={"label": "truth"})
    for arm in run.arms:
        rows = run.of(arm.name).set_index("clip").loc[clips["clip"]]
        marks = [f"{_mark(right)} {reply}" for right, reply in zip(rows["correct"], rows["reply"], strict=True)]
        clips[run.words(arm)] = marks
    if run.labels:
        for label, rows in clips.groupby("truth", sort=False):
            yield f"{label}: {len(rows)} clips", rows.drop(columns="truth")
    else:
        for start in range(0, len(clips), A_FOLD):
            rows = clips[start : start + A_FOLD]
            yield f"Clips {start + 1} to {start + len(rows)}", rows


def left_out(run: Run) -> str:
    """Says where the rest is, of a run with more clips than a page can list; else ""."""
    n, of = _n_listed(run), len(run.test)
    return f"The first {n:,} of {of:,} clips are listed: more would be too much for one page." if n < of else ""


def _n_listed(run: Run) -> int:
    return min(len(run.test), max(1, MOST_REPLIES // len(run.arms)))
