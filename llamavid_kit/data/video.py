"""A clip on disk: what it holds, which of its frames to look at, and those frames, in bounded memory.

`Video` takes a path and gives frames with timestamps; it decodes only what is asked for. Which frames a rate means is
decided in `sampling`, what the vision tower takes in `pixels`; `video_container` and `video_readers` alone know decord
and PyAV.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from llamavid_kit.data import video_worker
from llamavid_kit.data.sampling import RULES, FrameSample, Rule, check_fps, sample_indices, sample_times
from llamavid_kit.data.video_container import ClipTable, scan
from llamavid_kit.data.video_readers import ReaderName, choose_reader, leave_decord, read_frames
from llamavid_kit.data.video_worker import VideoError

log = logging.getLogger(__name__)


class Video:
    """One video file. Opening reads its container and decodes one frame; damaged or empty files raise VideoError here.

    path: Path. reader: "decord" or "pyav"; reader_reason: why that one.
    n_frames: frames a player shows; fps: average rate, frames a second; duration_s: when the last frame ends.
    height, width: pixels as displayed, after rotation. timestamps_s: (n_frames,) float64, seconds from the first frame.

    reader="auto" takes decord unless it is missing, cannot open the file, or disagrees with the container about the
    number of frames or their times (a copy trimmed by an edit list), or the clip is of a kind that decord reads wrongly
    or slowly (`video_readers.decord_objection` lists them); then PyAV. Where decord fails in the middle of a clip, PyAV
    reads all of the frames asked for, and this process's later ones of that file; `reader` says so. A reader named
    explicitly is used or refused, never exchanged. Both give the same bytes for 8-bit video (with more bits they
    interpolate colour differently).
    A damaged stretch that only decoding reveals raises VideoError from `frames`; torn or zeroed H.264/HEVC data and
    truncated files are noticed here (see `video_container.scan`).
    The object itself holds no decoder: it can be pickled, copied and used after a fork.
    """

    def __init__(self, path: str | os.PathLike, *, reader: ReaderName = "auto"):
        self.path = Path(path)
        self._table: ClipTable = video_worker.run(scan, self.path)
        self._content_key: str | None = None
        self.n_frames = len(self._table.timestamps_s)
        self.timestamps_s = self._table.timestamps_s
        self.fps, self.duration_s = self._table.fps, self._table.duration_s
        self.height, self.width = self._table.height, self._table.width
        self.reader, self.reader_reason = choose_reader(self.path, self._table, reader)
        self._may_change = reader == "auto"

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
                log.debug("%s: fps=%g asked, the clip is %g fps: no frame is taken twice", self.path, fps, self.fps)
        else:
            indices = sample_indices(self.n_frames, self.fps, fps, rule=rule)
        return FrameSample(indices=indices, timestamps_s=self.timestamps_s[indices], fps=fps, rule=rule)

    def frames(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """indices (T,) in any order, repeats allowed → (T, H, W, 3) uint8 RGB 0–255. All T lie in memory: see `chunks`.

        Raises IndexError outside 0 … n_frames - 1 and VideoError for frames that do not decode.
        """
        indices = np.asarray(indices)
        if indices.size == 0:
            return np.empty((0, self.height, self.width, 3), dtype=np.uint8)
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
            raise TypeError(f"indices of shape {indices.shape}, {indices.dtype}; expected a flat list of integers")
        if indices.min() < 0 or indices.max() >= self.n_frames:
            raise IndexError(
                f"{self.path}: frames {indices.min()} to {indices.max()} asked, the clip has 0 to {self.n_frames - 1}; "
                "take indices from Video.sample"
            )
        increasing, place = np.unique(indices, return_inverse=True)
        frames = self._read(increasing)
        return frames if np.array_equal(increasing, indices) else frames[place]

    def _read(self, increasing: np.ndarray) -> np.ndarray:
        """The frames through `reader`; where decord was a choice and fails, through PyAV from here on."""
        name, shape = self.reader, (len(increasing), self.height, self.width, 3)
        try:
            return video_worker.run(read_frames, self.path, self._table, name, increasing, shape=shape)
        except VideoError as error:
            if name == "pyav" or not self._may_change:
                raise
            leave_decord(self.path, error)
            self.reader, self.reader_reason = "pyav", f"decord failed: {error.cause}"
        return video_worker.run(read_frames, self.path, self._table, "pyav", increasing, shape=shape)

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
            self._content_key = content_key(self.path)
        return self._content_key


def content_key(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
