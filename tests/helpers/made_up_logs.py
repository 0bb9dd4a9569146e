"""Made-up prediction files in the study's format: a few videos, every kind of reply, a skipped one."""

import csv
from pathlib import Path

COLUMNS = ("video", "n_frames", "video_fps", "sampled_frames", "truth", "prediction")
TRUTHS = {
    "Arson001_x264.mp4": "Arson",
    "Arson002_x264.mp4": "Arson",
    "Fighting001_x264.mp4": "Fighting",
    "Normal_Videos_001_x264.mp4": "Normal Video",
    "Normal_Videos_002_x264.mp4": "Normal Video",
    "Normal_Videos_003_x264.mp4": "Normal Video",
}
REPLIES = {
    "zero_shot_fps1": (
        "Abuse",
        "There is no arson. Normal Video.",
        "Fighting",
        "Normal Video",
        "arson.",
        "Normal Video",
    ),
    "finetuned_fps1": ("Arson", "Normal Video", "Assault", "Normal Video", "Normal Video", "Road"),
    "finetuned_fps6": ("Arson", "Arson", "Fighting", "Normal Video", "Normal Video", ""),
}
EVENTS = {"Arson001_x264.mp4": (300, 330), "Arson002_x264.mp4": (10, 20), "Fighting001_x264.mp4": (0, 900)}  # frames


def rows_of(setting: str, **changes) -> list[dict]:
    same = {"n_frames": 900, "video_fps": 30, "sampled_frames": 30 * int(setting[-1])}
    return [
        {"video": video, **same, "truth": truth, "prediction": reply} | changes
        for (video, truth), reply in zip(TRUTHS.items(), REPLIES[setting], strict=True)
    ]


def write(path: Path, rows: list[dict], columns=COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_logs(folder: Path, settings=tuple(REPLIES)) -> Path:
    folder.mkdir(exist_ok=True)
    for setting in settings:
        write(folder / f"{setting}.csv", rows_of(setting))
    return folder


def make_annotation(path: Path) -> Path:
    """In UCF-Crime's own format."""
    lines = []
    for video, truth in TRUTHS.items():
        start, end = EVENTS.get(video, (-1, -1))
        lines.append(f"{video}  {truth.removesuffix(' Video')}  {start}  {end}  -1  -1\n")
    path.write_text("".join(lines))
    return path
