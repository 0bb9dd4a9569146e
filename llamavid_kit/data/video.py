"""A clip on disk: what it holds, which of its frames to look at, and those frames, in bounded memory.

`Video` takes a path and gives frames with timestamps; it decodes only what is asked for. Which frames a rate means is
decided in `sampling`, pixel preprocessing lies in `pixels`, and `video_table` and `video_readers` are the only other
files that know decord and PyAV.
"""

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from llamavid_kit.data.pixels import pad_to_square, pixel_values
from llamavid_kit.data.sampling import RULES, FrameSample, Rule, check_fps, sample_indices, sample_times
from llamavid_kit.data.video_container import ClipTable, VideoError, scan
from llamavid_kit.data.video_readers import DecordReader, PyavReader, decord_objection

__all__ = ["FrameSample", "Video", "VideoError", "pad_to_square", "pixel_values", "sample_indices", "sample_times"]

log = logging.getLogger(__name__)

ReaderName = Literal["auto", "decord", "pyav"]


class Video:
    """One video file. Opening reads its container and decodes one frame; damaged or empty files raise VideoError here.

    path: Path. reader: "decord" or "pyav"; reader_reason: why that one.
    n_frames: frames a player shows; fps: average rate, frames a second; duration_s: when the last frame ends.
    height, width: pixels as displayed, after rotation. timestamps_s: (n_frames,) float64, seconds from the first frame.

    reader="auto" takes decord unless it is missing, cannot open the file, or disagrees with the container about the
    number of frames or their times (a copy trimmed by an edit list), or the clip is of a kind that decord reads wrongly
    or slowly (`video_readers.decord_objection` lists them); then PyAV. A reader named explicitly is used or
    refused, never exchanged. Both give the same bytes for 8-bit video (with more bits they interpolate colour
    differently).
    A damaged stretch that only decoding reveals raises VideoError from `frames`; torn or zeroed H.264/HEVC data and
    truncated files are found here (see `video_table.scan`).
    The object itself holds no decoder: it can be pickled, copied and used after a fork.
    """

    def __init__(self, path: str | os.PathLike, *, reader: ReaderName = "auto"):
        if reader not in ("auto", "decord", "pyav"):
            raise ValueError(f"reader={reader!r}; expected 'auto', 'decord' or 'pyav'")
        self.path = Path(path)
        self._table: ClipTable = scan(self.path)
        self._content_key: str | None = None
        self.n_frames = len(self._table.timestamps_s)
        self.timestamps_s = self._table.timestamps_s
        self.fps, self.duration_s = self._table.fps, self._table.duration_s
        self.height, self.width = self._table.height, self._table.width
        self.reader, self.reader_reason = self._choose(reader)
        expected = self.reader == "decord" or reader == "pyav"
        log.log(logging.DEBUG if expected else logging.INFO, "%s: %s (%s)", path, self.reader, self.reader_reason)

    def _choose(self, reader: ReaderName) -> tuple[str, str]:
        """(name, reason) of the reader for this clip. Raises VideoError when the one asked for cannot read it."""
        if reader == "pyav":
            return "pyav", "asked for"
        objection = decord_objection(self.path, self._table, forced=reader == "decord")
        if not objection:
            return "decord", "asked for" if reader == "decord" else "decord agrees with the container"
        if reader == "decord":
            raise VideoError(self.path, f"reader='decord' refused: {objection}", "use reader='auto' or reader='pyav'")
        return "pyav", objection

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}"
        return f"Video({str(self.path)!r}: {self.n_frames} frames, {self.fps:g} fps, {self.duration_s:.2f} s, {size})"

    def __len__(self) -> int:
        return self.n_frames

    def sample(self, fps: float = 1.0, *, rule: Rule = "time") -> FrameSample:
        """Which frames to look at, at `fps` frames a second; decodes nothing.

        rule: "time" picks by timestamp (`sampling.sample_times`); "train" and "eval_repro" are the index strides in use
        before us (`sampling.stride_of`). Raises ValueError for an fps that is not a finite number above 0, an unknown
        rule, and a historical rule that comes to stride 0.
        """
        fps = check_fps(fps)
        if rule not in RULES:
            raise ValueError(f"rule={rule!r}; expected one of {', '.join(map(repr, RULES))}")
        if rule == "time":
            indices = sample_times(self.timestamps_s, self.duration_s, fps)
            if fps > self.fps * 1.001:
                log.info("%s: fps=%g asked, the clip is %g fps: no frame is taken twice", self.path, fps, self.fps)
        else:
            indices = sample_indices(self.n_frames, self.fps, fps, rule=rule)
        return FrameSample(indices=indices, timestamps_s=self.timestamps_s[indices], fps=fps, rule=rule)

    def frames(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """indices (T,) in any order, repeats allowed → (T, H, W, 3) uint8 RGB 0–255. All T lie in memory: see `chunks`.

        Raises IndexError outside 0 … n_frames - 1 and VideoError for frames that do not decode.
        """
        wanted = np.asarray(indices)
        if wanted.size == 0:
            return np.empty((0, self.height, self.width, 3), dtype=np.uint8)
        if wanted.ndim != 1 or not np.issubdtype(wanted.dtype, np.integer):
            raise TypeError(f"indices of shape {wanted.shape}, {wanted.dtype}; expected a flat list of integers")
        if wanted.min() < 0 or wanted.max() >= self.n_frames:
            raise IndexError(
                f"{self.path}: frames {wanted.min()} to {wanted.max()} asked, the clip has 0 to {self.n_frames - 1}; "
                "take indices from Video.sample"
            )
        increasing, place = np.unique(wanted, return_inverse=True)
        frames = _open_reader(self).frames(increasing)
        if frames.shape[1:3] != (self.height, self.width):
            raise VideoError(self.path, f"frames are {frames.shape[1:3]}, the container says {self.height, self.width}")
        return frames if len(increasing) == len(wanted) and (place[:-1] < place[1:]).all() else frames[place]

    def chunks(self, sample: FrameSample, chunk: int = 32) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(indices, timestamps_s, frames) of at most `chunk` frames at a time, in order; one chunk lies in memory."""
        if chunk < 1:
            raise ValueError(f"chunk={chunk}: at least one frame must fit; use chunk=32")
        for start in range(0, len(sample), chunk):
            part = slice(start, start + chunk)
            indices = sample.indices[part]
            yield indices, sample.timestamps_s[part], self.frames(indices)

    def content_key(self) -> str:
        """sha256 (hex) of the file's bytes, read in pieces once and kept: the same clip under another name is equal."""
        if self._content_key is None:
            with self.path.open("rb") as file:
                self._content_key = hashlib.file_digest(file, "sha256").hexdigest()
        return self._content_key


# Open decoders, the last few used, by (thread, clip, reader). They live here, not on Video, so that a list of a
# thousand videos holds no thousand decoders, and so that a forked child can let go of its parent's: using or even
# freeing a decord reader that was opened before the fork never returns.
_OPEN: OrderedDict[tuple, DecordReader | PyavReader] = OrderedDict()
_INHERITED: list = []
_LOCK = threading.Lock()
_MAX_OPEN = 4


def _open_reader(video: Video) -> DecordReader | PyavReader:
    """The open reader of this thread for `video`; opens one when there is none. Raises VideoError."""
    try:
        status = video.path.stat()
    except OSError as error:
        raise VideoError(video.path, f"has gone since it was opened ({error.strerror})", "restore the file") from error
    key = (threading.get_ident(), video.path.absolute(), status.st_mtime_ns, status.st_size, video.reader)
    with _LOCK:
        if key in _OPEN:
            _OPEN.move_to_end(key)
            return _OPEN[key]
    reader = (DecordReader if video.reader == "decord" else PyavReader)(video.path, video._table)
    with _LOCK:
        _OPEN[key] = reader
        while len(_OPEN) > _MAX_OPEN:
            _OPEN.popitem(last=False)
    return reader


def _forget_inherited() -> None:
    """In a forked child: keep the parent's readers alive and untouched, and start with none."""
    global _LOCK
    _LOCK = threading.Lock()
    _INHERITED.append(list(_OPEN.values()))
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
