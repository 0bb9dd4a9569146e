"""Clips to files: draws each plan of a set and encodes it as H.264, in processes, each file under its final name only
when complete, so that a killed run goes on where it stopped. Pixels do not depend on the number of processes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.street.layout import SetConfig, check_folder, entries, write_lists
from data_prep.toy_world.timing import FPS, SECONDS


@dataclass(frozen=True)
class Summary:
    """What was done. Seconds are summed over processes; `wall_s` is the time that passed."""

    n_clips: int
    n_drawn: int
    drawing_s: float
    encoding_s: float
    wall_s: float
    n_bytes: int

    def __str__(self) -> str:
        done = f"{self.n_clips} clips, {self.n_drawn} drawn now, {self.n_bytes / 1e6:.1f} MB"
        return f"{done}; drawing {self.drawing_s:.1f} s, encoding {self.encoding_s:.1f} s, passed {self.wall_s:.1f} s"


def encode(frames: Iterator[np.ndarray], path: Path, *, crf: int, fps: int = FPS):
    """frames: (SIZE, SIZE, 3) uint8 RGB each, to an H.264 mp4 (veryfast, yuv420p, one thread). Without x264's
    macroblock tree, with which the same frames gave different bytes from run to run."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": str(crf), "threads": "1", "x264-params": "no-mbtree=1"}
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def render_clip(plan, path: Path) -> tuple[float, float]:
    """Draws and encodes one clip (a ClipPlan or a WildPlan); seconds of drawing and of encoding."""
    drawing = 0.0

    def drawn() -> Iterator[np.ndarray]:
        nonlocal drawing
        for i in range(plan.n_frames):
            began = time.perf_counter()
            frame = plan.draw(i)
            drawing += time.perf_counter() - began
            yield frame

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    began = time.perf_counter()
    encode(drawn(), part, crf=plan.scene.camera["crf"])
    part.replace(path)
    return drawing, time.perf_counter() - began - drawing


def _render(task) -> tuple[float, float]:
    entry, out = task
    return render_clip(entry.plan(), out / entry.path)


def render_set(
    out: str | Path,
    *,
    train_per_class: int = 60,
    test_per_class: int = 30,
    normal_train: int | None = None,
    normal_test: int | None = None,
    seed: int = 0,
    event_s: tuple[float, ...] = (0.1, 3.0),
    seconds: float = SECONDS,
    workers: int = 1,
    force: bool = False,
    progress: bool = True,
) -> Summary:
    """Renders a set in UCF-Crime's layout into `out` and returns a `Summary`. Files that are there are kept; `force`
    draws them again. normal_train, normal_test: clips in which nothing happens (default: as many as a class has);
    event_s, seconds: lengths of events and clips, see `timing.DURATIONS`.
    Raises ValueError for a folder that holds another set."""
    out = Path(out)
    if workers < 1:
        raise ValueError(f"workers={workers}: give at least 1")
    normal = [
        n if given is None else given for n, given in ((train_per_class, normal_train), (test_per_class, normal_test))
    ]
    config = SetConfig(train_per_class, test_per_class, *normal, seed, tuple(map(float, event_s)), float(seconds))
    clips = entries(config)
    check_folder(out, config)
    return draw_set(out, clips, write_lists, workers=workers, force=force, progress=progress)


def draw_set(out: Path, clips: list, write: Callable[[Path, list], None], *, workers, force, progress) -> Summary:
    """Draws those of `clips` (each with a `path` and a `plan()`) whose files are not there, then calls `write(out,
    clips)` for the lists."""
    began = time.perf_counter()
    todo = [(entry, out) for entry in clips if force or not (out / entry.path).exists()]
    bar = tqdm(total=len(todo), desc="toy clips", unit="clip", disable=not (progress and todo))
    spent = []
    with bar:
        for pair in _in_processes(todo, workers):
            spent.append(pair)
            bar.update()
    write(out, clips)
    drawing, encoding = (sum(column) for column in zip(*spent, strict=True)) if spent else (0.0, 0.0)
    n_bytes = sum((out / entry.path).stat().st_size for entry in clips)
    return Summary(len(clips), len(todo), drawing, encoding, time.perf_counter() - began, n_bytes)


def _in_processes(todo, workers):
    """Results of `_render` in order of `todo`. New interpreters, not forks: no open file or thread is inherited."""
    if workers == 1 or len(todo) < 2 * workers:
        yield from map(_render, todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_render, todo, chunksize=2)


def toy_clip(folder: Path | str = "runs/course") -> Path:
    """Path of the course's clip, drawn where it is not there yet: 8 s of a street; a ball of fire, 1.9 to 4.1 s."""
    from data_prep.toy_world import plan_clip
    from data_prep.toy_world.render import render_clip

    path = Path(folder) / "explosion.mp4"
    if not path.exists():
        render_clip(plan_clip(11, "Explosion", event_s=(2, 3)), path)
    return path
