"""The frames that a rate picks, written once as files for tools outside: a folder a clip and rate, and a manifest.

Clips in, JPEG files or one npz a folder out. `manifest.jsonl` has a line a clip and rate: indices and times of the
frames, hashes of the clip and of each file, or the reason why there are none. `settings.json` holds what the folder was
begun with.
"""

import hashlib
import json
import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from tqdm import tqdm

from llamavid_kit.data.sampling import RULES, FrameSample, Rule, check_fps
from llamavid_kit.data.video import Video, VideoError, content_key
from llamavid_kit.files import (
    ANOTHER_FOLDER,
    BEGIN_AGAIN,
    append,
    check_shape,
    claim,
    holds_files,
    installed,
    read_lines,
    refuse_versions,
    some,
    whole,
    write_whole,
    writing,
)

log = logging.getLogger(__name__)

Format = Literal["jpg", "npz"]
FORMATS: tuple[Format, ...] = get_args(Format)
QUALITY = 95  # of JPEG
MANIFEST, SETTINGS = "manifest.jsonl", "settings.json"
PACKAGES = ("llamavid-kit", "av", "decord", "decord2", "numpy", "pillow")
LINE = {"video": str, "fps": float}
WRITTEN = {"content": str, "files": {str: str}, "versions": {str: str}}
Lines = dict[tuple[str, float], dict[str, Any]]


def write_frames(
    videos: Sequence[str | Path],
    *,
    out: str | Path,
    root: str | Path = ".",
    fps: Sequence[float] = (1.0,),
    rule: Rule = "time",
    format: Format = "jpg",
    quality: int = QUALITY,
) -> list[dict[str, Any]]:
    """Writes the frames of every clip at every rate into `out` → the manifest's lines, in the order of both.

    videos: paths seen from `root`, or absolute; one that comes twice is written once
    format: "jpg" loses a little (`quality` 1 to 100, full colour resolution); "npz" holds `frames`, (T, H, W, 3) uint8
    RGB, exactly as `Video.frames` gives them

    A run that was cut off goes on, to the same bytes; files that are whole are left alone. Clips that cannot be read
    have a line with their reason and, once all others are written, raise ValueError. So do settings, versions or a clip
    that are not those with which the folder was begun; BusyError while another process writes there.
    """
    out, root, names = Path(out), Path(root), [*dict.fromkeys(map(str, videos))]
    rates = [*dict.fromkeys(map(check_fps, fps))]
    _check(names, rates, rule, format, quality)
    how = {"rule": rule, "format": format} | ({"quality": quality} if format == "jpg" else {})
    if holds_files(out) and not (out / SETTINGS).is_file():
        raise ValueError(f"{out} is not empty and holds no frames of this kit: {ANOTHER_FOLDER}")
    with writing(out):
        _claim(out / SETTINGS, {"fps": rates, **how, "videos": names})
        lines, versions, left_out = _begun(out / MANIFEST), installed(PACKAGES), {}
        for name in tqdm(names, desc="clips", unit="clip"):
            missing = [rate for rate in rates if not _stands(lines.get((name, rate)), root / name, out)]
            if not missing:
                continue
            if lines:  # all of them are of the same versions
                refuse_versions(out, next(iter(lines.values()))["versions"], versions)
            for line in _clip_lines(name, root / name, missing, out, how):
                key = name, line["fps"]
                if "reason" in line:
                    left_out[key] = line
                else:
                    lines[key] = line | {"versions": versions}
                    append(out / MANIFEST, [lines[key]])
        ordered = [(lines | left_out)[name, rate] for name in names for rate in rates]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ordered)
        if not (out / MANIFEST).is_file() or (out / MANIFEST).read_bytes() != text.encode():
            write_whole(out / MANIFEST, text)
    if left_out:
        raise ValueError(_reasons(left_out, len(ordered), out))
    return ordered


def _check(names: Sequence[str], rates: Sequence[float], rule: str, format: str, quality: int) -> None:
    for value, expected, what in ((rule, RULES, "rule"), (format, FORMATS, "format")):
        if value not in expected:
            raise ValueError(f"{what}={value!r}; expected one of {', '.join(map(repr, expected))}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality={quality}: expected 1 to 100; 95 is hardly to be told from the clip")
    if not (names and rates):
        raise ValueError(f"{len(names)} clips at {len(rates)} rates: give at least one of each")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name!r}: a name that is not UTF-8 fits into no manifest; rename the file") from None


def _claim(path: Path, settings: dict[str, Any]) -> None:
    differing = claim(path, settings)
    words = [f"{name} {then!r}, asked {now!r}" for name, (then, now) in differing.items() if name != "videos"]
    if "videos" in differing:
        then, now = ({*videos} for videos in differing["videos"])
        words.append(f"videos (in one of both lists: {some(sorted(then ^ now))})")
    if words:
        raise ValueError(f"{path.parent} was begun with other settings, {'; '.join(words)}: {ANOTHER_FOLDER}")


def _begun(manifest: Path) -> Lines:
    """The lines of what is written, by clip and rate; half a line that a killed process left is cut away."""
    content = manifest.read_bytes() if manifest.is_file() else b""
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with manifest.open("r+b") as file:
            file.truncate(end)
    lines = read_lines(manifest) if end else []
    for number, line in enumerate(lines, 1):
        shape = LINE if "reason" in line else LINE | WRITTEN
        check_shape(line, shape, f"{manifest}, line {number}", way_out=BEGIN_AGAIN)
    return {(line["video"], line["fps"]): line for line in lines if "reason" not in line}


def _stands(line: dict[str, Any] | None, path: Path, out: Path) -> bool:
    """Whether all files of a line lie there as they were written; ValueError where the clip is another one by now."""
    if line is None:
        return False
    if content_key(path) != line["content"]:
        raise ValueError(
            f"{path} has changed since its frames were written to {out}: put it back as it was, or give another "
            "output folder"
        )
    for name, content in line["files"].items():
        if not (out / name).is_file() or content_key(out / name) != content:
            log.warning("%s is gone or changed: the frames of %s at %g fps are written again", name, path, line["fps"])
            return False
    return True


def _clip_lines(
    name: str, path: Path, rates: Sequence[float], out: Path, how: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """A clip's line for each rate, its files written; a reason in their place where it cannot be read."""
    heads = [{"video": name, "fps": fps, "rule": how["rule"]} for fps in rates]
    try:
        video = Video(path)
    except VideoError as error:
        yield from (head | {"reason": error.cause} for head in heads)
        return
    clip = clip_folder(name)
    for head in heads:
        folder = out / f"{clip}-{str(head['fps']).removesuffix('.0')}fps"
        try:
            sample = video.sample(head["fps"], rule=how["rule"])
        except ValueError as error:  # a rate that a historical rule does not have
            yield head | {"reason": str(error)}
            continue
        try:
            reader, files = video.reader, _write(video, sample, folder, how)
            if video.reader != reader:  # decord failed on the way: all frames of a folder are of one reader
                files = _write(video, sample, folder, how)
        except VideoError as error:
            yield head | {"reason": error.cause}
            continue
        yield {
            "clip": clip,
            **head,
            "content": video.content_key(),
            "indices": sample.indices.tolist(),
            "timestamps_s": sample.timestamps_s.tolist(),
            "height": video.height,
            "width": video.width,
            "reader": video.reader,
            "lossy": how["format"] == "jpg",
            **how,
            "files": files,
        }


def clip_folder(video: str) -> str:
    """A clip's path → how its folders' names begin: letters of its own name, and a hash that tells it from all others.

    "Arson/Arson001_x264.mp4" gives "Arson001_x264-bb3471584688"
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(video).stem)[:60]
    return f"{stem}-{hashlib.sha256(video.encode()).hexdigest()[:12]}"


def _write(video: Video, sample: FrameSample, folder: Path, how: dict[str, Any]) -> dict[str, str]:
    """The sample's frames as a whole folder or none → name of each file, seen from the manifest, and its sha256."""
    with whole(folder) as partial:
        partial.mkdir()
        if how["format"] == "npz":
            names = ["frames.npz"]
            _write_npz(video, sample, partial / names[0])
        else:
            names = [f"{index:06}.jpg" for index in sample.indices]
            for indices, _, frames in video.chunks(sample):
                for index, frame in zip(indices, frames, strict=True):
                    path = partial / f"{index:06}.jpg"
                    Image.fromarray(frame).save(path, format="JPEG", quality=how["quality"], subsampling="4:4:4")
        return {f"{folder.name}/{name}": content_key(partial / name) for name in names}


def _write_npz(video: Video, sample: FrameSample, path: Path) -> None:
    """As `np.savez(path, frames=…)`, a chunk at a time, and without the hour, so that equal frames are equal bytes."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(sample), video.height, video.width, 3)}
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open(zipfile.ZipInfo("frames.npy"), "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for _, _, frames in video.chunks(sample):
            file.write(frames.data)


def _reasons(left_out: Lines, n: int, out: Path) -> str:
    reasons = "\n  ".join(f"{name} at {fps:g} fps: {line['reason']}" for (name, fps), line in left_out.items())
    return (
        f"{len(left_out)} of {n} clips and rates have no frames, each with its reason in {out / MANIFEST}:\n"
        f"  {reasons}\nAll others are written: put whole files in their place and run the same again, or "
        "leave them out in another output folder"
    )
