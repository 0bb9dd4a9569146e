"""Clips to files: draws each plan of a set and encodes it as H.264, in processes, each file under its final name only
when complete, so that a killed run goes on where it stopped. Pixels do not depend on the number of processes."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Protocol, TypeVar

import av
import numpy as np
from tqdm import tqdm

from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.plan import Plan
from data_prep.toy_world.timing import FPS
from llamavid_kit.files import deaf_to_ctrl_c, whole


class Entry(Protocol):
    """One clip of a set, before anything is drawn. `path`: relative to the set's folder."""

    @property
    def path(self) -> str: ...

    def plan(self) -> Plan: ...


EntryType = TypeVar("EntryType", bound=Entry)


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


def encode(frames: Iterable[np.ndarray], path: Path, *, crf: int, fps: int = FPS) -> None:
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


def render_clip(plan: Plan, path: Path) -> tuple[float, float]:
    """Draws and encodes one clip; seconds of drawing and of encoding."""
    drawing = 0.0

    def drawn() -> Iterator[np.ndarray]:
        nonlocal drawing
        for i in range(plan.n_frames):
            began = time.perf_counter()
            frame = plan.draw(i)
            drawing += time.perf_counter() - began
            yield frame

    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with whole(path) as part:
        encode(drawn(), part, crf=plan.scene.camera["crf"])
    return drawing, time.perf_counter() - began - drawing


def _render(task: tuple[Entry, Path]) -> tuple[float, float]:
    entry, out = task
    return render_clip(entry.plan(), out / entry.path)


def draw_set(
    out: Path,
    clips: Sequence[EntryType],
    write: Callable[[Path, Sequence[EntryType]], None],
    *,
    workers: int,
    force: bool,
    progress: bool,
) -> Summary:
    """Draws those of `clips` whose files are not there, then calls `write(out, clips)` for the lists."""
    began = time.perf_counter()
    tasks = [(entry, out) for entry in clips if force or not (out / entry.path).exists()]
    seconds = []
    with tqdm(total=len(tasks), desc="toy clips", unit="clip", disable=not (progress and tasks)) as bar:
        for drawing_s, encoding_s in _in_processes(tasks, workers):
            seconds.append((drawing_s, encoding_s))
            bar.update()
    write(out, clips)
    drawing_s, encoding_s = (sum(column) for column in zip(*seconds, strict=True)) if seconds else (0.0, 0.0)
    n_bytes = sum((out / entry.path).stat().st_size for entry in clips)
    return Summary(len(clips), len(tasks), drawing_s, encoding_s, time.perf_counter() - began, n_bytes)


def _in_processes(tasks: Sequence[tuple[Entry, Path]], workers: int) -> Iterator[tuple[float, float]]:
    """Results of `_render` in order of `tasks`. New interpreters, not forks: no open file or thread is inherited."""
    if workers == 1 or len(tasks) < 2 * workers:
        yield from map(_render, tasks)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    resource_tracker.ensure_running()  # or it starts with the first worker, and lets Ctrl-C through from there on
    try:
        with deaf_to_ctrl_c():
            results = pool.map(_render, tasks, chunksize=2)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)  # whoever is stopped leaves no worker behind
