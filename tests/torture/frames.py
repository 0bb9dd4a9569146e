"""Every frame of every kind of container and codec, in a row, backwards and at random: is it the one asked for?

decord may refuse a kind, when it is named; it may never give another frame.
"""

import random
from fractions import Fraction
from pathlib import Path

import marked
from harness import Table, seeded
from marked import QUIET

from llamavid_kit.data.video import Video

X265, VP9 = {"codec": "libx265"}, {"codec": "libvpx-vp9"}
AV1 = {"codec": "libsvtav1", "options": {"preset": "12", "g": "15"}}
MPEG4, MPEG2 = (
    {"codec": c, "fps": 25, "options": {"bf": "2", "g": "12", "qscale": "3"}} for c in ("mpeg4", "mpeg2video")
)
B3, B2, MS = {"options": {"g": "12", "bf": "3"}}, {"options": {"g": "10", "bf": "2"}}, {"tick": Fraction(1, 1000)}
MORE: dict[str, tuple[str, dict]] = {  # as marked.KINDS; times may be a name, see `moments`
    "h264-avi-bframes": (".avi", {"options": {"g": "12", "bf": "2"}}),
    "h264-avi-plain-b": (".avi", {"options": {"x264-params": "bframes=3:b-pyramid=none:b-adapt=0"}}),
    "h264-raw": (".h264", {"container": "h264"}),
    "hevc-raw": (".hevc", X265 | {"container": "hevc", "options": {"x265-params": QUIET}}),
    "hevc-mkv": (".mkv", X265 | {"options": {"x265-params": f"{QUIET}:keyint=15"}}),
    "hevc-opengop": (".mp4", X265 | {"options": {"x265-params": f"{QUIET}:keyint=10:open-gop=1"}}),
    "hevc-ts": (".ts", X265 | {"options": {"x265-params": f"{QUIET}:keyint=15"}}),
    "av1-mp4": (".mp4", AV1),
    "av1-mkv": (".mkv", AV1),
    "vp9-mp4": (".mp4", VP9 | {"options": {"cpu-used": "8", "deadline": "realtime", "g": "15"}}),
    "vp9-altref": (".webm", VP9 | {"options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "30"}}),
    "vp8-altref": (".webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "30"}}),
    "mpeg4-avi-b": (".avi", MPEG4),
    "mpeg4-mp4-b": (".mp4", MPEG4),
    "mpeg4-ts-b": (".ts", MPEG4),
    "mpeg4-mkv-b": (".mkv", MPEG4),
    "mpeg2-ts-b": (".ts", MPEG2),
    "mpeg2-mpg-b": (".mpg", MPEG2),
    "mpeg2-mkv-b": (".mkv", MPEG2),
    "mpeg2-avi-b": (".avi", MPEG2),
    "wmv2-asf": (".wmv", {"codec": "wmv2", "options": {"g": "12", "qscale": "3"}}),
    "h264-asf": (".asf", {"container": "asf", "options": {"g": "12", "bf": "2"}}),
    "h264-flv-b": (".flv", B3),
    "h264-ts-b": (".ts", B3),
    "h264-mpg-b": (".mpg", B3 | {"container": "mpeg", "fps": 25}),
    "h264-nut": (".nut", B3),
    "flv1-flv": (".flv", {"codec": "flv", "options": {"g": "12", "qscale": "3"}}),
    "gif": (".gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    "apng": (".apng", {"codec": "apng", "pix_fmt": "rgb24"}),
    "prores-mov": (".mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    "ffv1-mkv": (".mkv", {"codec": "ffv1"}),
    "png-mov": (".mov", {"codec": "png", "pix_fmt": "rgb24"}),
    "rawvideo-avi": (".avi", {"codec": "rawvideo", "pix_fmt": "bgr24"}),
    "huffyuv-avi": (".avi", {"codec": "huffyuv", "pix_fmt": "yuv422p"}),
    "h264-10bit": (".mp4", {"pix_fmt": "yuv420p10le"}),
    "h264-444": (".mp4", {"pix_fmt": "yuv444p"}),
    "h264-grey": (".mp4", {"pix_fmt": "gray"}),
    "h264-3gp": (".3gp", {"options": {"bf": "0"}}),
    "h264-slow": (".mp4", {"fps": 1, "n": 12}),
    "h264-1000fps": (".mp4", {"fps": 1000}),
    "h264-big": (".mp4", {"scale": 12, "n": 24, "options": {"bf": "3"}}),
    "vfr-mkv": (".mkv", B2 | MS | {"times": "uneven"}),
    "vfr-mp4": (".mp4", B2 | {"times": "uneven", "tick": Fraction(1, 90000)}),
    "late-mp4": (".mp4", B2 | MS | {"times": "late"}),
    "late-mkv": (".mkv", B2 | MS | {"times": "late"}),
    "negative-mkv": (".mkv", B2 | MS | {"times": "negative"}),
    "one-frame": (".mp4", {"n": 1}),
    "two-frames": (".avi", {"n": 2}),
}
KINDS = marked.KINDS | MORE


def moments(kind: str, n: int, tick: Fraction) -> list[int]:
    """When n frames appear, in ticks: from 7 s on, from -3 s on, or at uneven distances."""
    per_s = int(1 / tick)
    if kind in ("late", "negative"):
        return [{"late": 7, "negative": -3}[kind] * per_s + k * per_s // 10 for k in range(n)]
    rng, at, found = random.Random(1), 0, []
    for _ in range(n):
        found.append(at)
        at += rng.choice([1, 1, 2, 5, 20]) * per_s // 30
    return found


def write(kind: str, folder: Path) -> tuple[Path, int]:
    """The clip and its number of frames."""
    suffix, given = KINDS[kind]
    n = given.get("n", 60)
    times = {"times": moments(given["times"], n, given["tick"])} if "times" in given else {}
    return marked.write(folder / f"{kind}{suffix}", **(given | times)), n


def faults(path: Path, n: int, reader: str, rng: random.Random) -> str:
    """What is wrong with the frames that a reader gives, or ""."""
    try:
        video = Video(path, reader=reader)
    except ValueError as error:
        return "" if reader == "decord" else f"refused: {error}"
    if video.n_frames != n:
        return f"{video.n_frames} frames, not {n}"
    orders = {"in a row": [[*range(n)]], "backwards": [[k] for k in reversed(range(0, n, 3))]}
    orders["alone, at random"] = [[k] for k in rng.choices(range(n), k=20)]
    for rate in (1, 2, 3, 6):
        orders[f"{rate} fps"] = [video.sample(rate).indices.tolist()]
    found = []
    for name, groups in orders.items():
        shown = [
            (k, marked.number(frame)) for group in groups for k, frame in zip(group, video.frames(group), strict=True)
        ]
        if wrong := [pair for pair in shown if pair[0] != pair[1]]:
            found.append(f"{name}: {len(wrong)} of {len(shown)} wrong, such as {wrong[:3]}")
    return "; ".join(found)


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    """Each kind of clip through each reader."""
    rng = seeded(seed, "frames")
    for kind in rng.sample([*KINDS], max(1, round(share * len(KINDS)))):
        path, n = write(kind, work)
        for reader in ("auto", "pyav", "decord"):
            wrong = faults(path, n, reader, rng)
            table.count(f"kinds of clips, {reader}", not wrong, f"{kind}: {wrong}")
