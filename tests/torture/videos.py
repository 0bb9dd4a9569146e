"""Mutated and odd videos and giant pictures: an answer or a clear refusal, in time, in little memory, of it alone.

Survived: frames come, or a ValueError or OSError says why not. Lost: any other exception, a process that ends, no
answer in 30 seconds, more than 2 GB, a file or an address outside the clip that is read, and, where only a container's
times were changed, so that decoding is exact, a frame that FFmpeg shows neither then nor in that place.
"""

import json
import os
import random
import socket
import struct
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import harness
import marked
import numpy as np
from harness import Table, seeded
from PIL import Image

from llamavid_kit.data import video_worker
from llamavid_kit.data.pictures import read_picture
from llamavid_kit.data.pixels import pixel_values
from llamavid_kit.data.video import Video

N_MUTATED = 420
SECONDS, STALL_S, GB = 30, 8.0, 2.0
HIDDEN, OTHER = 200, 100  # numbers from which on the frames of clips count that must not be read
TIMES = (b"stts", b"ctts", b"elst", b"mdhd", b"mvhd")  # boxes that say when frames appear
TABLES = (b"tkhd", b"stss", b"stsz", b"stco", b"stsc", b"stsd", b"avcC")  # where frames lie, how they are decoded


@dataclass(frozen=True)
class Trial:
    """make() → the file; what it is looked at with; what the table calls it."""

    kind: str
    name: str
    make: Callable[[], Path]
    look: Callable[[Path], str]  # what is wrong, or ""


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    """All trials in one child, as in one run; one that ends it is lost, and the next child goes on behind it."""
    clips, pictures = work / "clips", work / "pictures"
    clips.mkdir()
    pictures.mkdir()
    made = {kind: marked.make(kind, work) for kind in marked.KINDS}
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        trials = [*mutated(made, work, seed, round(share * N_MUTATED))]
        rest = [*untouched(made), *odd_videos(clips, server.getsockname()[1]), *giant_pictures(pictures)]
        trials += seeded(seed, "odd").sample(rest, round(share * len(rest)))
        _look_at_all(table, work, trials, server)


def _look_at_all(table: Table, work: Path, trials: list[Trial], server: socket.socket) -> None:
    at = 0
    while at < len(trials):
        said = work / f"said-{at}"
        said.touch()
        pid = harness.spawn(lambda at=at, said=said: _child(trials[at:], said), log=work / "log")
        ended = False
        n, began = 0, time.monotonic()
        while at < len(trials) and not ended and time.monotonic() - began < SECONDS:
            ended = bool(os.waitpid(pid, os.WNOHANG)[0])
            lines = said.read_text().splitlines()
            for line in lines[n:]:
                wrong = json.loads(line) or ("an address was called" if _called(server) else "")
                table.count(trials[at].kind, not wrong, f"{trials[at].name}: {wrong}")
                at, n, began = at + 1, n + 1, time.monotonic()
            time.sleep(0.005)
        if not ended:
            harness.kill(pid)
        if at < len(trials):
            wrong = "the process ended" if ended else f"no answer in {SECONDS} s"
            table.count(trials[at].kind, False, f"{trials[at].name}: {wrong}; {(work / 'log').read_text()[-300:]}")
            at += 1


def _called(server: socket.socket) -> bool:
    try:
        server.accept()
    except BlockingIOError:
        return False
    return True


def _child(trials: list[Trial], said: Path) -> None:
    video_worker.STALL_S = STALL_S
    with said.open("a", buffering=1) as file:
        for trial in trials:
            path = trial.make()
            for pid in _processes():
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # its peak begins anew
            try:
                wrong = trial.look(path)
            except (ValueError, OSError) as error:
                wrong = "" if str(path) in str(error) else f"an error that does not name the file: {error!r}"
            except Exception as error:
                wrong = f"leaks {error!r} {getattr(error, '__notes__', '')}"
            if (gb := sum(map(_peak_gb, _processes()))) > GB:
                wrong = wrong or f"took {gb:.1f} GB"
            file.write(json.dumps(wrong[:1500]) + "\n")


def _processes() -> list[int]:
    return [os.getpid(), *(w.process.pid for w in video_worker._WORKERS.values() if w.process.poll() is None)]


def _peak_gb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1e6


# --- what is looked at


def look(path: Path, fps: float | None = None, reference: bool = False) -> str:
    """Frames at 1 and 6 frames a second, in a row and some alone. fps: each number is its time; reference: FFmpeg's."""
    video = Video(path)
    found: dict[int, tuple[int | None, float]] = {}
    for rate in (1, 6):
        sample = video.sample(rate)
        sample = type(sample)(sample.indices[:500], sample.timestamps_s[:500], sample.fps, sample.rule)
        for indices, times, frames in video.chunks(sample):
            pixel_values(frames, size=28)
            shown = map(marked.number, frames)
            found |= {
                k: (number, time) for k, number, time in zip(indices.tolist(), shown, times.tolist(), strict=True)
            }
    if not (fps or reference):
        return ""
    for k in random.Random(0).sample(sorted(found), min(5, len(found))):
        if (alone := marked.number(video.frames([k])[0])) != found[k][0]:
            return f"frame {k} shows {found[k][0]} in a row and {alone} alone ({video.reader})"
    order, at_time = _reference(path) if reference else ([], {})
    for k, (shown, time_s) in sorted(found.items()):
        if fps:
            wanted = {round(time_s * fps)}
        else:  # where a container's times contradict the pictures, either order is an answer
            wanted = {*order[k : k + 1], *at_time[round(time_s, 3)]}
        if shown not in wanted:
            return f"frame {k} at {time_s:.3f} s shows {shown}, not {wanted} ({video.reader})"
    return ""


def _look_for_strangers(path: Path) -> str:
    wrong, video = look(path), Video(path)
    shown = map(marked.number, video.frames(range(min(video.n_frames, 30))))
    strangers = [number for number in shown if number is not None and number >= OTHER]
    return wrong or (f"another file is shown: {strangers[:3]}" if strangers else "")


def _reference(path: Path) -> tuple[list, dict]:
    """The numbers in the order in which FFmpeg shows them; the same by seconds from the earliest of them."""
    with av.open(str(path)) as container:
        frames = [(f.pts, marked.number(f.to_ndarray(format="rgb24"))) for f in container.decode(video=0)]
        tick_s = float(container.streams.video[0].time_base)
    first, at_time = min((pts for pts, _ in frames if pts is not None), default=0), defaultdict(set)
    for pts, number in frames:
        at_time[round(((pts or 0) - first) * tick_s, 3)].add(number)
    return [number for _, number in frames], at_time


def untouched(made: dict[str, tuple[Path, int]]) -> Iterator[Trial]:
    for kind, (path, fps) in made.items():
        yield Trial("untouched videos", kind, lambda path=path: path, lambda path, fps=fps: look(path, fps))


# --- mutated videos


def mutated(made: dict[str, tuple[Path, int]], work: Path, seed: int, n: int) -> Iterator[Trial]:
    names = [*made]
    for k in range(n):
        rng = seeded(seed, k)
        kind = names[k % len(names)]
        path, other = made[kind][0], made[rng.choice(names)][0]
        part, what, data = mutate(path.read_bytes(), rng, other.read_bytes())

        def make(path: Path = work / f"mutated{path.suffix}", data: bytes = data) -> Path:
            path.write_bytes(data)
            return path

        exact = part == "times"
        yield Trial(f"videos, {part} changed", f"{k}, {kind}, {what}", make, lambda p, e=exact: look(p, reference=e))


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the boxes of an MP4, with those inside of moov, trak, mdia, minf, stbl."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        size = size if 8 <= size <= end - at else end - at
        yield kind, at, at + size
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"):
            yield from boxes(data, at + 8, at + size)
        at += size


def mutate(data: bytes, rng: random.Random, other: bytes) -> tuple[str, str, bytes]:
    """(part, what was done, the new bytes); part: "times", "tables", "length" or "bytes"."""
    changed, n = bytearray(data), len(data)
    found = [b for b in boxes(data) if b[0] in TIMES + TABLES] if data[4:8] == b"ftyp" else []
    ways = ["cut", "flip", "zero", "head", "drop", "twice", "splice", "tail", *["box", "table"] * 4 * bool(found)]
    way, at = rng.choice(ways), rng.randrange(n)
    if way in ("box", "table"):
        kind, start, end = rng.choice(found)
        if way == "table" and end - start >= 16:
            at = rng.randrange(start + 12, end - 3) & ~3 if end - start > 24 else start + 12
            value = rng.choice([0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(2**32)])
            changed[at : at + 4] = struct.pack(">I", value)
        else:
            changed[rng.randrange(start + 8, end)] = rng.randrange(256)
        return "times" if kind in TIMES else "tables", kind.decode(), bytes(changed)
    if way == "cut":
        return "length", "cut off", data[:at]
    if way == "tail":
        return "length", "more behind the end", data + rng.randbytes(rng.choice([1, 4000]))
    if way == "flip":
        for _ in range(rng.choice([1, 3, 30])):
            changed[rng.randrange(n)] ^= 1 << rng.randrange(8)
    if way == "head":
        for _ in range(rng.choice([1, 4])):
            changed[rng.randrange(min(n, 600))] = rng.randrange(256)
    if way == "zero":
        end = min(n, at + rng.choice([16, 500, n // 10]))
        changed[at:end] = bytes(end - at)
    if way in ("drop", "twice"):
        end = at + rng.choice([1, 50, n // 20])
        changed = data[:at] + data[end:] if way == "drop" else data[:end] + data[at:]
    if way == "splice":
        changed = data[:at] + other[rng.randrange(len(other)) :]
    return "bytes", way, bytes(changed)


# --- odd videos


def plain(
    path: Path, size: tuple[int, int], *, n: int = 3, codec: str = "mpeg4", pix_fmt: str = "yuv420p", fps: int = 5
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for k in range(n):
            picture = np.full((size[1], size[0], 3), 40 * k % 256, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)))
        out.mux(stream.encode())
    return path


def odd_videos(folder: Path, port: int) -> Iterator[Trial]:
    """Made here and now: about fifty files, most of them small."""
    made = [*odd_headers(folder), *odd_sizes(folder), *leading_elsewhere(folder, port), *no_videos(folder)]
    for path in made:
        yield Trial("odd videos", path.name, lambda path=path: path, _look_for_strangers)


def _write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def odd_headers(folder: Path) -> Iterator[Path]:
    data = marked.write(folder / "good.mp4", options={"bf": "0", "g": "10"}).read_bytes()

    def replaced(name: str, box: bytes, after: int, *values: int) -> Path:
        at = data.index(box) + after
        new = struct.pack(f">{len(values)}I", *values)
        return _write(folder / f"{name}.mp4", data[:at] + new + data[at + len(new) :])

    yield _write(folder / "unknown codec.mp4", data.replace(b"avc1", b"zzzz"))
    yield _write(folder / "no time base.mp4", data.replace(b"mdhd", b"mdhx"))
    for value in (0, 1, 0xFFFFFFFF):
        yield replaced(f"time scale {value}", b"mdhd", 16, value)
    for value in (0, 0x7FFFFFFF, 0xFFFFFFFF):
        yield replaced(f"frames last {value} ticks", b"stts", 12, value)
        yield replaced(f"{value} samples", b"stsz", 12, value)
        yield replaced(f"{value} samples of 1 byte", b"stsz", 8, 1, value)
    yield replaced("header says 60000 wide", b"tkhd", 80, 60000 << 16, 60000 << 16)
    for zeros in range(6, 14):
        times = [0, 10**zeros]
        yield marked.write(folder / f"1e{zeros} ms.mkv", n=2, times=times, tick=Fraction(1, 1000))
        yield marked.write(folder / f"1e{zeros} ms.mp4", n=2, times=times, tick=Fraction(1, 1000))


def odd_sizes(folder: Path) -> Iterator[Path]:
    for w, h in ((2, 2), (16, 2), (2, 4096), (8000, 2), (4096, 2304)):
        yield plain(folder / f"{w} x {h}.mp4", (w, h), n=1)
    for w, h in ((4096, 4096), (8190, 4320)):
        yield plain(folder / f"{w} x {h}.mp4", (w, h), n=1, codec="mjpeg", pix_fmt="yuvj420p")
    for w, h in ((1, 1), (3, 5), (1, 4000)):
        yield plain(folder / f"{w} x {h}.mov", (w, h), n=2, codec="png", pix_fmt="rgb24")
    for w, h in ((14_000, 14_000), (30_000, 1), (1, 30_000), (60_000, 60_000)):
        yield in_a_video(
            plain(folder / f"s{w}.mov", (64, 48), n=2, codec="png", pix_fmt="rgb24"),
            png(w, h),
            folder / f"png {w} x {h}.mov",
        )
    yield plain(folder / "1000 fps.mp4", (64, 64), n=30, fps=1000)
    for pix_fmt in ("yuva420p", "gray16le", "yuv444p16le", "rgb48le"):
        yield plain(folder / f"{pix_fmt}.mkv", (64, 64), codec="ffv1", pix_fmt=pix_fmt)
    for pix_fmt in ("pal8", "monob"):
        yield plain(folder / f"{pix_fmt}.avi", (64, 64), codec="png", pix_fmt="monob")


def png(width: int, height: int) -> bytes:
    """A black PNG with one bit a pixel: a hundred million pixels in a few kilobytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows, row = zlib.compressobj(1), bytes(1 + -(-width // 8))
    content = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def in_a_video(source: Path, content: bytes, target: Path) -> Path:
    """The video with this content in each packet."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for k, _ in enumerate(p for p in old.demux(video=0) if p.size):
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts, packet.time_base = copy, k, k, Fraction(1, 5)
            packet.is_keyframe = True
            new.mux(packet)
    return target


def leading_elsewhere(folder: Path, port: int) -> Iterator[Path]:
    """Playlists and the like, which lead to a neighbour, a file outside, or an address."""
    marked.write(folder / "other.mp4", first=OTHER, n=20)
    hidden = marked.write(folder.parent / "hidden.ts", first=HIDDEN, n=20)
    for n in (1, 2):
        Image.fromarray(marked.picture(OTHER + n)).save(folder / f"still{n}.png")
    for where in (
        str(hidden),
        "other.mp4",
        f"file:{hidden}",
        f"http://127.0.0.1:{port}/a.ts",
        f"tcp://127.0.0.1:{port}",
    ):
        name = f"{len(where)}"
        hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{where}\n#EXT-X-ENDLIST\n"
        base = f"<Representation id='1'><BaseURL>{where}</BaseURL><SegmentBase/></Representation>"
        base = f"<Period><AdaptationSet mimeType='video/mp4'>{base}</AdaptationSet></Period>"
        dash = f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'>{base}</MPD>"
        for suffix in (".mp4", ".m3u8"):
            yield _write(folder / f"hls {name}{suffix}", hls)
        for suffix in (".mp4", ".ffconcat", ".txt"):
            yield _write(folder / f"concat {name}{suffix}", f"ffconcat version 1.0\nfile {where}\n")
        for suffix in (".mp4", ".mpd"):
            yield _write(folder / f"dash {name}{suffix}", dash)
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    for suffix in (".mp4", ".sdp"):
        yield _write(folder / f"sdp{suffix}", f"{sdp}a=rtpmap:96 H264/90000\n")
    yield _write(folder / "still%d.png", b"no picture")
    yield _write(folder / "still%d.mp4", b"no video")
    for suffix in (".mp4", ".svg"):
        yield _write(
            folder / f"svg{suffix}",
            '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="still1.png"/></svg>',
        )


def no_videos(folder: Path) -> Iterator[Path]:
    mkv = marked.write(folder / "good.mkv", n=10).read_bytes()
    yield _write(folder / "text.mp4", "hello\n" * 50)
    yield _write(folder / "zeros.mp4", bytes(100_000))
    yield _write(folder / "head of mkv alone.mp4", b"\x1a\x45\xdf\xa3")
    yield _write(folder / "ebml of odd length.mkv", b"\x1a\x45\xdf\xa3\x00" + bytes(80))
    for n in (5, 64, 100):
        yield _write(folder / f"mkv of {n} bytes.mkv", mkv[:n])
    for kind in ("PNG", "JPEG", "GIF"):
        Image.new("RGB", (64, 48), "red").save(folder / f"picture {kind}.mp4", kind)
        yield folder / f"picture {kind}.mp4"
    for name, make in (("folder", Path.mkdir), ("pipe", os.mkfifo), ("link", lambda path: path.symlink_to("nowhere"))):
        make(folder / f"{name}.mp4")
        yield folder / f"{name}.mp4"
    yield from map(Path, ("/dev/zero", "/dev/stdin", "/proc/self/mem"))


# --- giant pictures


def look_at_picture(path: Path) -> str:
    picture = read_picture(path)
    for pad in (False, True):
        pixel_values(picture[None], size=336, pad=pad)
    return ""


def giant_pictures(folder: Path) -> Iterator[Trial]:
    sizes = [(1, 30_000), (30_000, 1), (90_000, 1), (12_000, 47), (12_000, 7_000), (9_400, 9_400), (13_000, 13_000)]
    for w, h in [*sizes, (14_000, 14_000), (60_000, 60_000), (2**31 - 1, 1), (1, 1), (256, 1)]:
        content = png(w, h) if w < 2**24 else png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", w, h))
        path = _write(folder / f"{w} x {h}.png", content)
        yield Trial("giant pictures", path.name, lambda path=path: path, look_at_picture)
    for mode, kind in (("RGB", "jpeg"), ("L", "tiff"), ("RGB", "webp")):
        path = folder / f"big.{kind}"
        Image.new(mode, (11_000, 8_000) if kind != "webp" else (11_000, 2_000)).save(path)
        yield Trial("giant pictures", path.name, lambda path=path: path, look_at_picture)
    eps = _write(folder / "program.png", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    yield Trial("giant pictures", "EPS", lambda: eps, look_at_picture)
