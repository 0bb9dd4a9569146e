"""What is true about a video file: when each frame appears, where keyframes are, the display size, what is broken.

`scan` reads the container with PyAV, nearly always without decoding more than one frame. The readers in
`video_readers` fetch frames by their place in this table, and one that disagrees with it is not used.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

log = logging.getLogger(__name__)
ONE_PACKET_A_FRAME = {"h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "libvpx-vp9", "mjpeg", "png"}
NAL_LENGTH_AT = {"h264": 4, "hevc": 21}  # the byte of a codec's extra data that says how long a unit's length is
INDEXED = ("mov,mp4", "matroska")  # elsewhere a seek gave wrong frames: decord in MPEG-TS, PyAV with MPEG-4 in MPEG-TS
WAY_OUT = "play it to check, make a clean copy (ffmpeg -i IN -c:v libx264 OUT.mp4), or leave it out"


class VideoError(ValueError):
    """A video that cannot be read. The message names the file, the cause and a way out."""

    def __init__(self, path: str | Path, cause: str, way_out: str = WAY_OUT):
        super().__init__(f"{path}: {cause}; {way_out}")
        self.path, self.cause, self.way_out = str(path), cause, way_out

    def __reduce__(self):
        return (type(self), (self.path, self.cause, self.way_out))


@dataclass(frozen=True, eq=False)
class ClipTable:
    """What a file's video stream holds, in presentation order.

    container: FFmpeg's name. timestamps_s: (n,) float64, seconds from the first frame
    duration_s: when the last frame ends; fps: average rate, frames a second
    pts: (n,) int64, the same in units of the stream's time base, not shifted; None when frames carry no usable pts
    seekable: the container has an index of its frames; others are decoded from the start
    keyframe_pts: (k,) int64, where decoding can start besides the start of the file; empty unless seekable
    open_gop: some frames shown before a keyframe are stored after it, so that they cannot be decoded from there
    quarter_turns: anticlockwise turns that bring a decoded picture upright; height, width: after turning
    """

    stream_index: int
    container: str
    timestamps_s: np.ndarray
    duration_s: float
    fps: float
    pts: np.ndarray | None
    seekable: bool
    keyframe_pts: np.ndarray
    open_gop: bool
    quarter_turns: int
    height: int
    width: int


def scan(path: Path) -> ClipTable:
    """The table of the stream that a player picks (FFmpeg's best stream). Raises VideoError.

    Counts packets, which takes milliseconds. The whole clip is decoded (streaming) only where packets cannot be
    trusted: no timestamps, equal timestamps, no keyframe at the start, a codec with packets that show nothing, or
    damage: H.264/HEVC packets whose inner lengths do not add up, packets flagged corrupt, fewer packets than the
    container announces. Damage that decoding confirms raises, with the counts. Flipped bits inside a packet are not
    noticed: H.264 has no checksums, decoders paint over them, and the two readers may paint differently.
    """
    check_file(path)
    try:
        with av.open(str(path)) as container:
            stream = _describe(path, container)
            if "matroska" in stream.container and (size := matroska_size(path)) > path.stat().st_size:
                raise VideoError(path, f"is cut off: {path.stat().st_size} of {size} bytes are here", "copy it again")
            av_stream = container.streams[stream.index]
            packets = _read_packets(av_stream, container)
            announced = max(_announced(av_stream, packets), len(packets.pts))
        height, width, turns = _display(path, stream.index)
        doubt = packets.doubt if stream.codec in ONE_PACKET_A_FRAME else packets.doubt or f"codec {stream.codec}"
        if packets.damage or len(packets.pts) < announced:
            _confirm_damage(path, stream.index, announced, packets.damage)
        seekable, in_order = stream.container.startswith(INDEXED), np.sort(packets.pts)
        times_s, trusted = in_order * stream.tick_s, True
        if doubt:
            decoded_pts, times_s = _decoded_times(path, stream, doubt)
            trusted = seekable and decoded_pts == in_order.tolist()
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, f"not readable as a video ({brief(error)})") from error
    timestamps_s = times_s - times_s[0]
    gaps_s = np.diff(timestamps_s)
    fps = stream.fps or (len(gaps_s) / float(timestamps_s[-1]) if len(gaps_s) else 1.0)
    last_s = float(packets.durations[packets.pts.argmax()]) * stream.tick_s if trusted else 0.0
    last_s = last_s or (float(np.median(gaps_s)) if len(gaps_s) else 1.0 / fps)
    return ClipTable(
        stream_index=stream.index,
        container=stream.container,
        timestamps_s=timestamps_s,
        duration_s=float(timestamps_s[-1]) + last_s,
        fps=fps,
        pts=in_order if trusted else None,
        seekable=seekable,
        keyframe_pts=packets.keyframe_pts[: None if seekable else 0],
        open_gop=packets.open_gop,
        quarter_turns=turns,
        height=height,
        width=width,
    )


def check_file(path: Path) -> None:
    """Raises VideoError for a path that is missing, a folder, or empty."""
    if path.is_dir():
        raise VideoError(path, "is a folder, not a video file", "give one file, or loop over the folder's files")
    if not path.exists():
        raise VideoError(path, "no such file", f"check the name and the working directory ({Path.cwd()})")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty (0 bytes)", "copy or download it again")


@dataclass(frozen=True)
class _Stream:
    """The stream that counts, and what its header says."""

    index: int
    container: str  # FFmpeg's name of the format, such as "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    fps: float  # average rate, 0 if unknown
    tick_s: float  # the stream's time base


def matroska_size(path: Path) -> int:
    """Bytes that a Matroska or WebM file announces for itself (EBML header, then one segment); 0 if left open."""
    with path.open("rb") as file:
        start = file.read(64)
    position, id_bytes, size = 0, 4, 0
    for _ in range(2):
        first = start[position + id_bytes]
        n_bytes = 9 - first.bit_length()  # leading zeros of the first byte tell how long the number is
        number = int.from_bytes(start[position + id_bytes : position + id_bytes + n_bytes], "big")
        size = number & ((1 << 7 * n_bytes) - 1)
        if size == (1 << 7 * n_bytes) - 1:
            return 0  # all ones: unknown, as live recordings write
        position += id_bytes + n_bytes + size
        if position + 16 > len(start):
            break
    return position


def _describe(path: Path, container: Any) -> _Stream:
    """The best video stream. Cover art, and text that FFmpeg would draw as a picture, do not count."""
    if container.format.name == "tty":
        raise VideoError(path, "is a text file, not a video", "give a video file such as clip.mp4")
    cover = av.stream.Disposition.attached_pic
    stream = container.streams.best("video")
    if stream is not None and stream.disposition & cover:
        stream = next((s for s in container.streams.video if not s.disposition & cover), None)
    if stream is None:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(path, f"has no video stream (it holds {kinds})", "give a file with pictures")
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    return _Stream(stream.index, container.format.name, stream.codec_context.name, fps, float(stream.time_base))


@dataclass
class _Packets:
    """The video packets of a file in file order, and what is odd about them."""

    pts: np.ndarray  # (n,) int64
    durations: np.ndarray  # (n,) int64
    keyframe_pts: np.ndarray  # (k,) int64, sorted; also those that an edit list hides
    open_gop: bool  # frames shown before a later keyframe are stored after it
    doubt: str  # why their times cannot be trusted, or ""
    damage: str  # what is broken, or ""


def _read_packets(stream: Any, container: Any) -> _Packets:
    """Reads every packet of `stream` without decoding."""
    length_bytes = _nal_length_bytes(stream.codec_context)
    pts: list[int] = []
    durations: list[int] = []
    keyframes: list[int] = []
    n_discarded, open_gop, doubt, damage = 0, False, "", ""
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.is_corrupt or (length_bytes and not _lengths_add_up(packet, length_bytes)):
                damage = damage or f"packet {len(pts) + n_discarded} is damaged"
            if packet.is_keyframe and packet.pts is not None:
                keyframes.append(packet.pts)
            elif keyframes and packet.pts is not None and packet.pts < keyframes[-1] and len(keyframes) > 1:
                open_gop = True
            if packet.is_discard:
                n_discarded += 1
                continue
            if packet.pts is None:
                doubt = doubt or "packets without timestamps"
            elif not keyframes:
                doubt = doubt or "no keyframe at the start"
            pts.append(packet.pts or 0)
            durations.append(packet.duration or 0)
    except av.FFmpegError as error:
        damage = damage or f"reading stops after packet {len(pts) + n_discarded} ({brief(error)})"
    if not doubt and len(set(pts)) < len(pts):
        doubt = "packets with equal timestamps"
    if not pts:
        doubt = doubt or "no packets"
    times, lengths, starts = (np.asarray(values, dtype=np.int64) for values in (pts, durations, keyframes))
    return _Packets(times, lengths, np.unique(starts), open_gop, doubt, damage)


def _nal_length_bytes(codec: Any) -> int:
    """Bytes of the length before each unit of an H.264 or HEVC packet in MP4 and Matroska; 0 for anything else."""
    extra, at = codec.extradata or b"", NAL_LENGTH_AT.get(codec.name, 0)
    return (extra[at] & 3) + 1 if at and len(extra) > at and extra[0] == 1 else 0


def _lengths_add_up(packet: Any, length_bytes: int) -> bool:
    """Whether the packet's units fill it exactly: torn and zeroed data does not."""
    data = memoryview(packet)
    position, end = 0, len(data)
    while position + length_bytes <= end:
        unit = int.from_bytes(data[position : position + length_bytes], "big")
        if unit == 0:
            return False
        position += length_bytes + unit
    return position == end


def _announced(stream: Any, packets: _Packets) -> int:
    """Frames that the container says are shown: its index, without those that an edit list hides; 0 if it has none."""
    entries = stream.index_entries
    if not stream.frames or len(entries) < len(packets.pts):
        return 0  # Matroska and others index keyframes only
    return sum(not entry.is_discard for entry in entries)


def _display(path: Path, stream_index: int) -> tuple[int, int, int]:
    """(height, width, quarter turns anticlockwise) of the first frame, upright. Raises VideoError when none decodes."""
    for frame in decode(path, stream_index):
        turns = round(frame.rotation / 90) % 4
        return (frame.width, frame.height, turns) if turns % 2 else (frame.height, frame.width, turns)
    raise VideoError(path, "its video stream holds no frame that can be decoded")


def decode(path: Path, stream_index: int) -> Iterator[Any]:
    """All frames in presentation order, one at a time."""
    with av.open(str(path)) as container:
        yield from container.decode(container.streams[stream_index])


def _confirm_damage(path: Path, stream_index: int, announced: int, damage: str) -> None:
    """Decodes the whole clip; raises VideoError unless every announced frame comes out."""
    n_decoded, cause = 0, damage or "the file ends early"
    try:
        for _ in decode(path, stream_index):
            n_decoded += 1
    except av.FFmpegError as error:
        cause = f"{cause}: {brief(error)}"
    if n_decoded < announced:
        raise VideoError(path, f"announces {announced} frames, {n_decoded} decodable ({cause})")
    log.warning("%s: %s, yet all %d frames decode", path, damage, n_decoded)


def _decoded_times(path: Path, stream: _Stream, doubt: str) -> tuple[list, np.ndarray]:
    """(pts of each frame, seconds of each frame) of a clip whose packets are in doubt, from decoding all of it once."""
    log.info("%s: decoding the whole clip once to count its frames (%s)", path, doubt)
    frames = [(frame.pts, frame.dts) for frame in decode(path, stream.index)]  # `_display` has decoded one at least
    pts, dts = (list(ticks) for ticks in zip(*frames, strict=True))
    for ticks in (pts, dts):  # AVI gives H.264 no pts, and its dts come out in order
        if None not in ticks and all(a < b for a, b in pairwise(ticks)):
            return pts, np.asarray(ticks, dtype=np.float64) * stream.tick_s
    if not stream.fps:
        raise VideoError(path, "its frames carry no times and the file names no rate")
    return pts, np.arange(len(frames)) / stream.fps


def brief(error: BaseException) -> str:
    """One line of an FFmpeg or decord error, without the library's build paths."""
    text = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
    return text.rsplit("Check failed:", 1)[-1].strip()[:160]
