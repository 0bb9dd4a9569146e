"""Two ways to fetch frames by index, decord and PyAV; which one a clip gets, and the few that are open. For `Video`.

Both take a path and its `ClipTable` and answer `frames(indices)` for increasing indices; both give upright RGB. decord
is imported inside functions, so that a machine without it can read videos through PyAV.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from llamavid_kit.data import video_worker
from llamavid_kit.data.video_container import ClipTable, brief, decode_on, open_container
from llamavid_kit.data.video_worker import VideoError, progress

log = logging.getLogger(__name__)

ReaderName = Literal["auto", "decord", "pyav"]
SMALL_PIXELS = 640 * 480  # up to here one thread was fastest for both libraries (2 cores, 8-s clips of 224 and 340 px)
OTHER_READER = "use reader='auto' or reader='pyav'"
LONG_FRAMES = 9000  # 5 minutes at 30 frames a second: beyond, jumping to keyframes is worth more than decord


class DecordReader:
    """Reads through decord, frame after frame from the start; a step back starts again.

    decord can seek, but its `get_batch` and `skip_frames` return a neighbouring frame, without an error, after a seek
    to an open group of pictures (HEVC, seen in a real clip), near the end of some H.264 files, and in MPEG-TS. Its
    `next` was right in every clip tried outside MPEG-TS, and costs about 10 ms more on an 8-s clip of 224 px.
    """

    def __init__(self, path: Path, table: ClipTable):
        self.path, self.table = path, table
        one = table.height * table.width <= SMALL_PIXELS or "vp9" in table.codec  # VP9: more lose packets now and then
        self._reader = open_decord(path, n_threads=1 if one else 0)
        self._next_index = 0

    def frames(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The frames (H, W, 3) uint8 RGB at indices (T,), increasing. Raises VideoError on damaged data."""
        import decord

        try:
            for index in indices.tolist():
                yield self._forward_to(index)
        except (RuntimeError, StopIteration, decord.DECORDError) as error:
            cause = f"decord cannot decode frames {indices[0]} to {indices[-1]} ({brief(error)})"
            raise VideoError(self.path, cause, OTHER_READER) from error

    def _forward_to(self, index: int) -> np.ndarray:
        """(H, W, 3) frame at `index`. decord turns it in MP4, mirrors nothing, and ends short lines with padding."""
        if index < self._next_index:
            self._reader.seek(0)
            self._next_index = 0
        while self._next_index <= index:
            progress()
            frame = self._reader.next()
            self._next_index += 1
        height, width = self.table.height, self.table.width
        if frame.shape[:2] != (height, width):
            cause = f"decord gives frame {index} as {frame.shape[1]}x{frame.shape[0]}, the clip is {width}x{height}"
            raise VideoError(self.path, cause, OTHER_READER)
        rgb = frame.asnumpy().reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)
        return np.flip(rgb, axis=self.table.quarter_turns % 2) if self.table.mirrored else rgb


class PyavReader:
    """Reads through PyAV: decodes forward, and jumps to a keyframe when one lies between here and the frame.

    Frames are recognised by their presentation time, never by counting from a seek. A container that seeks past the
    frame is read again from its start. At most one decoded frame is held besides those returned.
    """

    def __init__(self, path: Path, table: ClipTable):
        self.path, self.table = path, table
        self._container: Any = None
        self._reformatter: Any = None  # kept: a new one for each frame costs as much as decoding
        self._decoded: Iterator[Any] = iter(())
        self._position = -1  # index in the table of the last decoded frame; counted where frames carry no usable pts

    def frames(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """As `DecordReader.frames`."""
        for index in indices.tolist():
            yield self._upright(self._fetch(index))

    def _fetch(self, index: int) -> Any:
        """The decoded frame at `index`; first from a keyframe, then, if the seek went wrong, from the start."""
        try:
            self._approach(index)
            frame = self._forward_to(index)
            if frame is None:
                self._open()
                frame = self._forward_to(index)
        except av.FFmpegError as error:
            self._container = None
            raise VideoError(self.path, f"PyAV cannot decode frame {index} ({brief(error)})") from error
        if frame is None:
            raise VideoError(self.path, f"frame {index} of {len(self.table.timestamps_s)} never leaves the decoder")
        return frame

    def _open(self) -> None:
        """(Re)opens the file at its start."""
        if self._container is not None:
            self._container.close()
        self._container, self._reformatter = open_container(self.path), VideoReformatter()
        stream = self._container.streams[self.table.stream_index]
        stream.thread_type = "NONE" if self.table.height * self.table.width <= SMALL_PIXELS else "AUTO"
        self._decoded, self._position = decode_on(self._container, stream), -1

    def _approach(self, index: int) -> None:
        """Goes to the best place to decode `index` from: here, a keyframe between here and it, or the start."""
        pts, keyframes = self.table.pts, self.table.keyframe_pts
        if self._container is None or (pts is None and self._position >= index):
            self._open()
        if pts is None:
            return
        before, passed = np.searchsorted(keyframes, pts[index], side="right") - 1, self._position >= index
        if before < 0:
            if passed:
                self._open()
        elif passed or keyframes[before] > (keyframes[0] if self._position < 0 else pts[self._position + 1]):
            stream = self._container.streams[self.table.stream_index]
            self._container.seek(int(keyframes[before]), stream=stream, backward=True)
            self._decoded, self._position = decode_on(self._container, stream), -1

    def _forward_to(self, index: int) -> Any | None:
        """Decodes forward until `index`; None when it has been passed or the file ends."""
        for frame in self._decoded:
            if self.table.pts is None:
                self._position += 1
            elif frame.pts is not None:
                self._position = int(np.searchsorted(self.table.pts, frame.pts, side="right")) - 1
                if self._position >= 0 and self.table.pts[self._position] != frame.pts:
                    continue  # a frame that the table does not show
            if self._position == index:
                return frame
            if self._position > index:
                return None
        return None

    def _upright(self, frame: Any) -> np.ndarray:
        """(H, W, 3) uint8 RGB at the clip's display size, turned as its display matrix says."""
        turns = self.table.quarter_turns
        height, width = (self.table.width, self.table.height) if turns % 2 else (self.table.height, self.table.width)
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        picture = rgb.to_ndarray()
        return np.rot90(picture[::-1] if self.table.mirrored else picture, turns)


def choose_reader(path: Path, table: ClipTable, reader: ReaderName) -> tuple[str, str]:
    """(name, reason) of the reader for a clip; VideoError where decord is named and cannot read it."""
    if reader not in get_args(ReaderName):
        raise ValueError(f"reader={reader!r}; expected 'auto', 'decord' or 'pyav'")
    if reader == "pyav":
        return "pyav", "asked for"
    forced = reader == "decord"
    if file_key(path) in _DECORD_FAILED and not forced:
        return "pyav", "decord failed while decoding it"
    try:
        objection = video_worker.run(decord_objection, path, table, forced)
    except VideoError as error:
        objection = f"decord cannot open it ({error.cause})"
    if not objection:
        return "decord", "asked for" if forced else "decord agrees with the container"
    if forced:
        raise VideoError(path, f"reader='decord' refused: {objection}", OTHER_READER)
    log.info("%s: pyav (%s)", path, objection)
    return "pyav", objection


def decord_objection(path: Path, table: ClipTable, forced: bool = False) -> str:
    """Why decord must not read this clip, or "" when it may. Opens it once; forced: only what would be wrong, not slow.

    decord fails to open some codecs (AV1), counts copies after an edit list's end as frames, and may pick another
    stream: its frame count and its frame times are compared with the table's. VideoError: it cannot open it.
    """
    if not table.seekable:
        return f"decord is trusted in MP4 and Matroska only, this is {table.container}"
    if table.pts is None:
        return "its packets carry no trustworthy times, which decord relies on"
    try:
        reader = open_decord(path)
    except ImportError:
        return "decord is not installed"
    n_frames = len(table.timestamps_s)
    if len(reader) != n_frames:
        return f"decord counts {len(reader)} frames, the container shows {n_frames}"
    starts_s = np.asarray(reader.get_frame_timestamp(range(n_frames)), dtype=np.float64)[:, 0]
    off_s = float(np.abs(starts_s - starts_s[0] - table.timestamps_s).max())
    if off_s > 0.3 / table.fps:
        return f"decord's frame times are off by up to {off_s:.3f} s"
    if table.quarter_turns and not _turned_alike(path, table):
        return "it is turned by its display matrix, and decord does not turn it or its first picture cannot tell"
    if table.open_gop and not forced:
        return "it has open groups of pictures, which decord has been seen to miscount"
    if n_frames > LONG_FRAMES and not forced:
        return f"it is long ({n_frames} frames), and decord would decode all of it where PyAV jumps"
    return ""


def _turned_alike(path: Path, table: ClipTable) -> bool:
    """Whether decord turns the first frame as PyAV does: it follows matrices in MP4, not in Matroska or the stream."""
    try:
        ours, theirs = (next(reader(path, table).frames(np.zeros(1, int))) for reader in (PyavReader, DecordReader))
    except VideoError:
        return False
    stored = np.rot90(ours, -table.quarter_turns)
    return _alike(ours, theirs) and not _alike(ours, stored)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two (H, W, 3) pictures have one shape and differ by less than 1 of 255 on average."""
    return a.shape == b.shape and float(np.abs(a.astype(np.int16) - b).mean()) < 1


def open_decord(path: Path, *, n_threads: int = 1) -> Any:
    """A `decord.VideoReader` (0 threads: decord decides). Raises VideoError; ImportError when decord is missing."""
    import decord

    try:
        return decord.VideoReader(str(path.absolute()), num_threads=n_threads)
    except UnicodeEncodeError as error:
        raise VideoError(path, "its name is not UTF-8") from error
    except (RuntimeError, AssertionError, decord.DECORDError) as error:
        raise VideoError(path, brief(error)) from error


_OPEN: OrderedDict[tuple, DecordReader | PyavReader] = OrderedDict()  # the last few used, by file and name
_MAX_OPEN = 4
_DECORD_FAILED: set[tuple] = set()  # files that this process reads through PyAV after all


def read_frames(path: Path, table: ClipTable, name: str, indices: np.ndarray) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB at indices (T,), increasing, through "decord" or "pyav". Raises VideoError.

    Keeps the decoder open: the next frames of a clip go on from here.
    """
    key = (*file_key(path), name)
    if key not in _OPEN:
        _OPEN[key] = (DecordReader if name == "decord" else PyavReader)(path, table)
    _OPEN.move_to_end(key)
    if len(_OPEN) > _MAX_OPEN:
        _OPEN.popitem(last=False)
    return _OPEN[key].frames(indices)


def file_key(path: Path) -> tuple:
    """What tells a file from another under its name. Raises VideoError for one that has gone."""
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(path, f"has gone since it was opened ({error.strerror})", "restore the file") from error
    return path.absolute(), status.st_mtime_ns, status.st_size


def leave_decord(path: Path, error: VideoError) -> None:
    """From here on this process reads the file through PyAV where a choice is left; logged once a file."""
    if (key := file_key(path)) not in _DECORD_FAILED:
        _DECORD_FAILED.add(key)
        log.warning("%s: read through PyAV after all (%s)", path, error.cause)
