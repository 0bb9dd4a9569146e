"""What a file can make a decoder do. A worker imports this module by its name."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llamavid_kit.data.video_worker import progress


def crash(path: Path) -> None:
    os.abort()


def hang(path: Path) -> None:
    time.sleep(60)


def go_on(path: Path, steps: int, pause_s: float) -> str:
    for _ in range(steps):
        time.sleep(pause_s)
        progress()
    return "done"


def bloat(path: Path) -> None:
    np.ones(5 * 2**30, np.uint8)


def process_id(path: Path) -> int:
    return os.getpid()


def shouts(path: Path) -> None:
    raise KeyError("shouted")


def counts(path: Path, n: int, size: int) -> Iterator[np.ndarray]:
    for k in range(n):
        yield np.full(size, k % 251, np.uint8)


def stops_early(path: Path) -> Iterator[np.ndarray]:
    yield np.zeros(10 * 2**20, np.uint8)
    raise KeyError("stopped")
