"""Ctrl-C, SIGTERM, a disk that takes no more, memory that runs out: one sentence, the documented exit status, no worker
left behind; and the same command finishes the work later.
"""

import os
import resource
import signal
import time
from functools import partial
from pathlib import Path

import harness
import jobs
from harness import Table

from llamavid_kit.files import exit_status

N_SIGNALS, N_FILES, N_MEMORY = 1, 1, 1  # of each job at share 1
ENDS = {  # what libraries say of full memory, where no error can be raised, and how they end the process
    "memory allocation of ": -signal.SIGABRT,  # Rust's: safetensors, tokenizers
    "Resource temporarily unavailable (src/thread.cpp": -signal.SIGABRT,  # ZeroMQ's, of a notebook's kernel
    "cannot allocate memory for thread-local data": 127,  # the C library's
}
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    with jobs.endpoint():
        for job in jobs.JOBS:
            prepared, rng = jobs.prepared(job, work / job.name), harness.seeded(seed, job.name)
            check = partial(_check, table, job, work / job.name, prepared)
            seconds = check()
            for number in STATUS:
                for _ in range(max(1, round(N_SIGNALS * share))):
                    check("signals", number=number, after_s=rng.uniform(0, seconds))
            for _ in range(max(1, round(N_FILES * share))):
                check("file size", limits=partial(file_size, rng.choice([500, 5_000, 20_000, 60_000])))
            for _ in range(round(N_MEMORY * share)):
                check("memory", limits=partial(more_memory, rng.uniform(5, 120) * 2**20))


def file_size(n_bytes: int) -> None:
    """What a full disk does to a file, without one: writing past the limit is an OSError."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def more_memory(n_bytes: float) -> None:
    """The child may take so much more than its parent has."""
    here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + round(n_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (here, here))


def _check(
    table: Table,
    job: jobs.Job,
    work: Path,
    prepared: Path,
    kind: str = "",
    *,
    number: signal.Signals | None = None,
    after_s: float = 0.0,
    limits=None,
) -> float:
    """One trial, and what becomes of the work afterwards; without a kind the undisturbed run → its seconds."""
    log, calm = work / "log", work / "calm" / "run"
    folder = jobs.begun(job, work / "hurt" if kind else work / "calm", prepared)
    log.unlink(missing_ok=True)
    began = time.monotonic()
    pid = harness.spawn(lambda: exit_status(partial(job.run, folder, prepared)), log=log, limits=limits)
    ran, code = harness.kill_after(pid, after_s, number) if number else (False, harness.wait(pid))
    seconds, text = time.monotonic() - began, log.read_text(errors="replace")
    if not kind:
        assert code == 0, text[-3000:]
        return seconds
    expected = (0, STATUS[number]) if number and ran else (0, 2)
    if kind == "memory":
        expected = (*expected, *(status for words, status in ENDS.items() if words in text))
    what = f"{number.name} after {after_s:.2f} s" if number else f"{limits}"
    quiet = "Traceback" not in text or number == signal.SIGTERM  # a notebook's kernel may say how it was stopped
    fine = code in expected and quiet and not _alive(pid)
    again = harness.wait(jobs.child(job, folder, prepared, work / "again"))
    left_out = job.leave_out
    wrong = harness.differences(*(harness.contents(place, leave_out=left_out) for place in (calm, folder)))
    said = f"{text.strip().splitlines()[-1:]}{' and a traceback' * ('Traceback' in text)}"
    table.count(
        kind, fine and again == 0 and not wrong, f"{job.name}, {what}: status {code}, {said}; again {again} {wrong[:3]}"
    )
    return seconds


def _alive(group: int) -> bool:
    """Whether somebody of the child's session is there after a few seconds; who is, is killed."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True
