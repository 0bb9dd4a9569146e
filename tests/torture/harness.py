"""What the parts share: the count of what was tried and survived, jobs in forked children, folders compared.

A child is forked from a parent that has imported everything, so that a kill hits work and not imports. Children stand
in a session of their own: a kill takes their helpers along.
"""

import hashlib
import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

IGNORED_KEYS = {"seconds"}  # times stand there
IGNORED_FILES = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")  # pickles name their own folder


class Table:
    """Counts by kind what was tried and what survived; every loss is printed as it happens."""

    def __init__(self, part: str):
        self.part, self.tried, self.survived = part, Counter[str](), Counter[str]()

    def count(self, kind: str, survived: bool, what: str = "", *, n: int = 1) -> None:
        """n trials of one kind that ended alike; what: which trial, and what became of it."""
        self.tried[kind] += n
        self.survived[kind] += n * survived
        if not survived:
            print(f"LOST  {self.part}, {kind}: {what}", flush=True)

    @property
    def n_lost(self) -> int:
        return self.tried.total() - self.survived.total()


def spawn(job: Callable[[], object], *, log: Path | None = None, limits: Callable[[], None] | None = None) -> int:
    """Runs `job` in a child → its pid. Its exit status: 0, what `job` returns, 1 after a traceback."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        out = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if limits:
            limits()
        found = job()
        code = found if isinstance(found, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(pid: int, timeout_s: float = 120) -> int | None:
    """The exit status (negative: a signal), or None after the time-out, when the child is killed."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    kill(pid)
    return None


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
    if number == signal.SIGKILL:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def kill_after(pid: int, seconds: float, number: int = signal.SIGKILL) -> tuple[bool, int | None]:
    """Sends the signal after so many seconds → (whether the child still ran, its exit status)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return False, os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    kill(pid, number)
    return True, -number if number == signal.SIGKILL else wait(pid, 60)


def contents(folder: Path, *, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Relative path → hash of every file that is not hidden; JSON without the keys in which times stand."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not path.is_file() or path.name in IGNORED_FILES or hidden or any(part in name for part in leave_out):
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            try:
                data = json.dumps(_timeless(json.loads(data)), sort_keys=True).encode()
            except ValueError:
                data = b"TORN " + data
        found[name] = hashlib.sha256(data).hexdigest()[:16]
    return found


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in IGNORED_KEYS}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def differences(a: dict[str, str], b: dict[str, str]) -> list[str]:
    return [
        f"{name}: {'missing' if name not in b else 'left over' if name not in a else 'differs'}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]


def seeded(seed: int, *more: object) -> random.Random:
    return random.Random(f"{seed} {more}")
