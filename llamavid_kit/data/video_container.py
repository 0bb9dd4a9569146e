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

from llamavid_kit.data.pictures import misfit
from llamavid_kit.data.video_worker import CLEAN_COPY, VideoError, progress

log = logging.getLogger(__name__)
ONE_PACKET_A_FRAME = {"h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "libvpx-vp9", "mjpeg", "png"}
NAL_LENGTH_AT = {"h264": 4, "hevc": 21}  # the byte of a codec's extra data that says how long a unit's length is
INDEXED = ("mov,mp4", "matroska")  # elsewhere a seek gave wrong frames: decord in MPEG-TS, PyAV with MPEG-4 in MPEG-TS
# of one file; playlists, lists of files, scripts and devices are not among them; those of the last line hold no videos,
# and are named so below
CONTAINERS = (
    "mov,matroska,avi,asf,flv,live_flv,mpegts,mpeg,mxf,ogg,nut,ivf,dv,gxf,wtv,rm,swf,nuv,dhav,kux,yuv4mpegpipe,"
    "gif,apng,jpegxl_anim,mjpeg,smjpeg,flic,"
    "h261,h263,h264,hevc,vvc,evc,av1,obu,m4v,mpegvideo,vc1,vc1test,dirac,dnxhd,"
    "tty,wav,mp3,flac,aac"
)
PICTURES = {"image2", "ico"}  # and FFmpeg's pipes, one for each kind of picture file
PICTURE_BRANDS = {"avif", "heic", "heix", "heim", "heis", "mif1", "miaf"}  # pictures in MP4's clothes
STORED_ORDER = {"avi", "asf", "mxf"}  # each packet has a time, in the order of storage, and none when it is shown
MOST_REORDERED = 16  # frames that an H.264 or HEVC decoder may hold back
ONE_OR_MANY = {"gif", "apng", "mjpeg"}  # a picture or a clip: their packets tell
A_PICTURE = "is a picture, not a video", "ask about it with model.ask_image, or give a video"
COPY_AGAIN = "copy or download it again, or leave it out"


@dataclass(frozen=True, eq=False)
class ClipTable:
    """What a file's video stream holds, in presentation order.

    container, codec: FFmpeg's names. timestamps_s: (n,) float64, seconds from the first frame
    duration_s: when the last frame ends; fps: average rate, frames a second
    pts: (n,) int64, the same in units of the stream's time base, not shifted; None when frames carry no usable pts
    seekable: the container has an index of its frames; others are decoded from the start
    keyframe_pts: (k,) int64, where decoding can start besides the start of the file; empty unless seekable
    open_gop: some frames shown before a keyframe are stored after it, so that they cannot be decoded from there
    mirrored, quarter_turns: what brings a decoded picture upright: exchanging top and bottom, then anticlockwise turns
    height, width: after turning
    """

    stream_index: int
    container: str
    codec: str
    timestamps_s: np.ndarray
    duration_s: float
    fps: float
    pts: np.ndarray | None
    seekable: bool
    keyframe_pts: np.ndarray
    open_gop: bool
    mirrored: bool
    quarter_turns: int
    height: int
    width: int


def scan(path: Path) -> ClipTable:
    """The table of the stream that a player picks (FFmpeg's best stream). Raises VideoError.

    Counts packets, which takes milliseconds. The whole clip is decoded (streaming) only where packets cannot be
    trusted: no timestamps, equal timestamps, times in the order of storage where frames may be shown in another (H.264
    in AVI or ASF, and copies of them), no keyframe at the start, a codec with packets that show nothing, or damage:
    H.264/HEVC packets whose inner lengths do not add up, packets flagged corrupt, fewer packets than the container
    announces. Damage that decoding confirms raises, with the counts. Flipped bits inside a packet are not noticed:
    H.264 has no checksums, decoders paint over them, and the two readers may paint differently.
    """
    check_file(path)
    try:
        with open_container(path) as container:
            stream = _describe(path, container)
            if "matroska" in stream.container and (size := matroska_size(path)) > path.stat().st_size:
                cause = f"is cut off: {path.stat().st_size} of {size} bytes are here"
                raise VideoError(path, cause, f"copy it again, or keep what is here ({CLEAN_COPY})")
            av_stream = container.streams[stream.index]
            packets = _read_packets(av_stream, container)
            announced = max(_announced(av_stream, packets), len(packets.pts))
        if len(packets.pts) == 1 and stream.container in ONE_OR_MANY:
            raise VideoError(path, *A_PICTURE)
        height, width, mirrored, turns = _display(path, stream.index)
        reordered = stream.container in STORED_ORDER and stream.codec in NAL_LENGTH_AT
        if not (doubt := packets.doubt) and (reordered or stream.codec not in ONE_PACKET_A_FRAME):
            doubt = f"codec {stream.codec} in {stream.container}"
        if packets.damage or len(packets.pts) < announced:
            _confirm_damage(path, stream.index, announced, packets.damage)
        seekable, in_order = stream.container.startswith(INDEXED), np.sort(packets.pts)
        times_s, trusted = in_order * stream.tick_s, True
        if doubt:
            decoded_pts, times_s = _decoded_times(path, stream, doubt)
            trusted = seekable and decoded_pts == in_order.tolist()
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, f"not readable as a video ({brief(error)})", COPY_AGAIN) from error
    timestamps_s = times_s - times_s[0]
    gaps_s = np.diff(timestamps_s)
    fps = stream.fps or (len(gaps_s) / float(timestamps_s[-1]) if len(gaps_s) else 1.0)
    last_s = float(packets.durations[packets.pts.argmax()]) * stream.tick_s if trusted else 0.0
    last_s = last_s or (float(np.median(gaps_s)) if len(gaps_s) else 1.0 / fps)
    return ClipTable(
        stream_index=stream.index,
        container=stream.container,
        codec=stream.codec,
        timestamps_s=timestamps_s,
        duration_s=float(timestamps_s[-1]) + last_s,
        fps=fps,
        pts=in_order if trusted else None,
        seekable=seekable,
        keyframe_pts=packets.keyframe_pts[: None if seekable else 0],
        open_gop=packets.open_gop,
        mirrored=mirrored,
        quarter_turns=turns,
        height=height,
        width=width,
    )


def check_file(path: Path) -> None:
    """Raises VideoError for a path that is missing, a folder, a device, a pipe, or empty."""
    if path.is_dir():
        raise VideoError(path, "is a folder, not a video file", "give one file, or loop over the folder's files")
    if not path.exists():
        raise VideoError(path, "no such file", f"check the name and the folder ({path.absolute().parent})")
    if not path.is_file():
        raise VideoError(path, "is a device or a pipe, not a file", "write what it gives to a file, and give that")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty (0 bytes)", "copy or download it again")


def open_container(path: Path) -> Any:
    """PyAV's container of a file. Titles and names in it may be in any encoding; a name with a colon is no address.

    FFmpeg looks at the content first and opens it only as one of CONTAINERS or as a picture. Raises VideoError where it
    is something else, such as a playlist, which could name any file and address.
    """
    pictures = {name for name in av.formats_available if name.endswith("_pipe")} - {"svg_pipe"}
    formats = ",".join((CONTAINERS, *PICTURES, *pictures))
    options = {"format_whitelist": formats, "protocol_whitelist": "file", "pattern_type": "none"}
    try:
        return av.open(str(path.absolute()), metadata_errors="replace", options=options)
    except av.ArgumentError as error:
        cause = "is not a video, or of a kind that is not opened because it may lead to other files, such as a playlist"
        raise VideoError(path, cause, f"give the video itself or, if you trust it, a copy ({CLEAN_COPY})") from error


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
    kind = container.format.name
    if kind == "tty":
        raise VideoError(path, "is a text file, not a video", "give a video file such as clip.mp4")
    if kind in PICTURES or kind.endswith("_pipe") or container.metadata.get("major_brand") in PICTURE_BRANDS:
        raise VideoError(path, *A_PICTURE)
    cover = av.stream.Disposition.attached_pic
    stream = container.streams.best("video")
    if stream is not None and stream.disposition & cover:
        stream = next((s for s in container.streams.video if not s.disposition & cover), None)
    if stream is None:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(path, f"has no video stream (it holds {kinds})", "give a file with pictures")
    if stream.codec_context is None:
        raise VideoError(path, "PyAV has no decoder for its video", "convert it with the program that made it")
    if wrong := misfit(stream.codec_context.height or 1, stream.codec_context.width or 1):
        raise VideoError(
            path, wrong, "make a copy of a usual size (ffmpeg -i IN -vf scale=640:360 OUT.mp4), or leave it out"
        )
    raw = container.format.flags & av.format.Flags.no_timestamps.value  # FFmpeg's average rate of these is always 25
    rate = (raw and stream.codec_context.framerate) or stream.average_rate or stream.guessed_rate or 0
    return _Stream(stream.index, kind, stream.codec_context.name, float(rate), float(stream.time_base))


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
        for packet in demux(container, stream):
            progress()
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
    if not doubt and stream.codec_context.has_b_frames and len(pts) > 1 and all(a < b for a, b in pairwise(pts)):
        doubt = "times in the order of storage"
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


def _display(path: Path, stream_index: int) -> tuple[int, int, bool, int]:
    """(height, width, mirrored, quarter turns) of the first frame, as in `ClipTable`. Raises VideoError.

    A display matrix ((a, b), (c, d)) shows pixel (x, y) at (ax + cy, bx + dy). Its scale is left out, as is the shape
    of pixels, and, as players do, all of it where it shows nothing. Other turns and slanting are refused.
    """
    frame = next(decode(path, stream_index), None)
    if frame is None:
        raise VideoError(path, "its video stream holds no frame that can be decoded", COPY_AGAIN)
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return frame.height, frame.width, False, 0
    matrix = np.frombuffer(side_data, dtype=np.int32)[[0, 1, 3, 4]].astype(np.float64).reshape(2, 2)
    if (determinant := np.linalg.det(matrix)) == 0:
        log.warning("%s: its display matrix shows nothing; frames are taken as they are stored", path)
        return frame.height, frame.width, False, 0
    none = np.abs(matrix) < 0.02 * np.abs(matrix).max(axis=1, keepdims=True)  # up to 1 degree, as FFmpeg takes it
    degrees = -float(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
    if (none[0] == none[1]).any():
        cause = f"its display matrix turns it by {degrees:.0f} degrees or slants it; expected quarter turns"
        raise VideoError(path, cause, f"make an upright copy ({CLEAN_COPY}), or leave it out")
    turns = round(degrees / 90) % 4
    height, width = (frame.width, frame.height) if turns % 2 else (frame.height, frame.width)
    return height, width, bool(determinant < 0), turns


def decode(path: Path, stream_index: int) -> Iterator[Any]:
    """All frames in presentation order, one at a time."""
    with open_container(path) as container:
        yield from decode_on(container, container.streams[stream_index])


def decode_on(container: Any, stream: Any) -> Iterator[Any]:
    """The frames from where the container stands."""
    for packet in demux(container, stream):
        for frame in packet.decode():
            progress()
            yield frame


def demux(container: Any, stream: Any) -> Iterator[Any]:
    """The packets from where the container stands, and an empty one at the end."""
    try:
        yield from container.demux(stream)
    except IndexError:  # PyAV, after the last packet, where another stream has begun that the header does not name
        log.info("%s: a stream begins in its middle", container.name)


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
    """(pts of each frame, seconds of each frame) of a clip whose packets are in doubt, from decoding all of it once.

    Frames leave the decoder in the order in which they are shown. Where no time of showing is named, that of the packet
    which brought a frame out counts, and for the last few frames, which none brings out, the rate.
    """
    log.info("%s: decoding the whole clip once to count its frames (%s)", path, doubt)
    frames = [(frame.pts, frame.dts) for frame in decode(path, stream.index)]  # `_display` has decoded one at least
    pts, dts = (list(ticks) for ticks in zip(*frames, strict=True))
    for ticks in (dts, pts) if stream.container in STORED_ORDER else (pts, dts):
        n = ticks.index(None) if None in ticks else len(ticks)
        n_last = len(ticks) - n
        if n and n_last <= (MOST_REORDERED if stream.fps else 0) and all(a < b for a, b in pairwise(ticks[:n])):
            times_s = np.asarray(ticks[:n], dtype=np.float64) * stream.tick_s
            return pts, np.append(times_s, times_s[-1] + np.arange(1, n_last + 1) / (stream.fps or 1))
    if not stream.fps:
        way_out = f"give it one ({CLEAN_COPY.replace('-i', '-r 25 -i')})"
        raise VideoError(path, "its frames carry no times and the file names no rate", way_out)
    log.warning("%s: its frames carry no times: taken at %g frames a second", path, stream.fps)
    return pts, np.arange(len(frames)) / stream.fps


def brief(error: BaseException) -> str:
    """One line of an FFmpeg or decord error, without the library's build paths."""
    text = getattr(error, "strerror", None) or (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text.rsplit("Check failed:", 1)[-1].strip()[:160]
