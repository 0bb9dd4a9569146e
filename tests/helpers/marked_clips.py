"""Clips that name each picture's place by its brightness or by four corners, and copies of them in other clothes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

VIDEOS = Path(__file__).parents[1] / "assets" / "videos"
STEP = 4  # how much brighter each frame is than the one before

# a display matrix ((a, b), (c, d)) shows pixel (x, y) at (ax + cy, bx + dy); red and green above blue and black becomes
ORIENTATIONS = {
    (1, 0, 0, 1): "RG/BK",
    (0, 1, -1, 0): "BR/KG",
    (-1, 0, 0, -1): "KB/GR",
    (0, -1, 1, 0): "GK/RB",
    (-1, 0, 0, 1): "GR/KB",
    (1, 0, 0, -1): "BK/RG",
    (0, 1, 1, 0): "RB/GK",
    (0, -1, -1, 0): "KG/BR",
}


def write_brightening(path: Path, *, codec: str = "libx264", times=range(60), options=None) -> Path:
    """Frame k has brightness STEP * k and appears at times[k] thirtieths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), STEP * k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def places(frames: np.ndarray) -> np.ndarray:
    """Which frame of a brightening clip each of (T, H, W, 3) is, as a float: the codec rounds."""
    return frames.mean(axis=(1, 2, 3)) / STEP


def write_corners(path: Path, *, width: int = 64, height: int = 48, matrix=None, black_first: bool = False) -> Path:
    """Red, green, blue and black quarters; `matrix` (a, b, c, d) goes into the container."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = slice(None, height // 2), slice(None, width // 2)
    picture[top, left, 0] = picture[top, width // 2 :, 1] = picture[height // 2 :, left, 2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if matrix is not None:
            a, b, c, d = (round(value * 65536) for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for k in range(3):
            shown = picture * (k > 0) if black_first else picture
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode())
    return path


def corners(picture: np.ndarray) -> str:
    """(H, W, 3) → the colours of its quarters, such as "RG/BK"."""
    height, width = picture.shape[:2]
    rows = [[picture[y, x] for x in (width // 4, 3 * width // 4)] for y in (height // 4, 3 * height // 4)]
    return "/".join("".join("K" if c.max() < 80 else "RGB"[c.argmax()] for c in row) for row in rows)


def copy_stream(source: Path, target: Path, *, bit_filter: str = "") -> Path:
    """The same packets in another container, with the times that the first names."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        edit = av.BitStreamFilterContext(bit_filter, stream) if bit_filter else None
        for packet in old.demux(stream):
            for part in edit.filter(packet if packet.size else None) if edit else [packet]:
                if part.size:
                    part.stream = copy
                    new.mux(part)
    return target


def write_packed(source: Path, target: Path) -> Path:
    """MPEG-4 as DivX packed it in AVI: a B picture in one packet with the next P, then a packet that shows nothing."""
    start, mark, nothing = b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p\0", b"\0\0\1\xb6\x51\x80\x7f"
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy, packets = new.add_stream_from_template(stream), [bytes(p) for p in old.demux(stream) if p.size]
        is_b = [data[data.rindex(start) + 4] >> 6 == 2 for data in packets]
        packed = []
        for data, b, b_next, after in zip(packets, is_b, [*is_b[1:], False], [*packets[1:], b""], strict=True):
            packed.append(nothing if b else data + after if b_next else data)
        at = packed[0].index(start)
        packed[0] = packed[0][:at] + mark + packed[0][at:]
        for k, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = copy, k, k, Fraction(1, 30)
            packet.is_keyframe = k == 0
            new.mux(packet)
    return target


def replace_tag(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path
