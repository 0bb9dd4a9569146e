"""A file that crashes its decoder, hangs or eats memory is a VideoError, and no process is left behind."""

import errno
import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import unruly

from llamavid_kit.data import video_worker
from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.data.video_worker import run


@pytest.fixture
def impatient(monkeypatch):
    """A worker that has begun is waited for half a second."""
    run(unruly.process_id, Path("any"))
    monkeypatch.setattr(video_worker, "STALL_S", 0.5)
    monkeypatch.setattr(video_worker, "TICK_S", 0.05)


def gone(pid: int) -> bool:
    """Whether the process ends within 5 seconds."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    "function, cause",
    [
        (unruly.crash, r"crashes its decoder \(SIGABRT\)"),
        (unruly.bloat, "needs more than 4 GiB of memory to decode"),
    ],
)
def test_what_a_file_does_is_its_error(tiny_clip, function, cause):
    with pytest.raises(VideoError, match=f"^{tiny_clip}: {cause}; .*leave it out"):
        run(function, tiny_clip)
    assert Video(tiny_clip).frames([3]).shape == (1, 64, 96, 3)


def test_no_progress_is_a_hang_and_a_long_clip_is_none(tiny_clip, impatient):
    with pytest.raises(VideoError, match=r"hangs: no packet and no frame came for 0\.5"):
        run(unruly.hang, tiny_clip)
    assert run(unruly.go_on, tiny_clip, 10, 0.15) == "done"


def test_time_in_which_all_stands_still_is_no_hang(tiny_clip):
    """Ctrl-Z, and on a second later."""
    script = "import time, unruly; from pathlib import Path; from llamavid_kit.data import video_worker\n"
    script += "video_worker.run(unruly.process_id, Path('a')); video_worker.STALL_S = 1.0; print(1, flush=True)\n"
    script += "print(video_worker.run(unruly.go_on, Path('a'), 10, 0.1))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True) as owner:
        owner.stdout.readline()
        time.sleep(0.3)
        os.killpg(owner.pid, signal.SIGSTOP)
        time.sleep(1.8)
        os.killpg(owner.pid, signal.SIGCONT)
        assert owner.stdout.read() == "done\n"


def test_other_errors_stay_what_they_are(tiny_clip):
    with pytest.raises(KeyError, match="shouted") as caught:
        run(unruly.shouts, tiny_clip)
    assert "unruly.py" in caught.value.__notes__[0]
    pid = run(unruly.process_id, tiny_clip)
    with pytest.raises(KeyError, match="stopped"):
        run(unruly.stops_early, tiny_clip, shape=(12 * 2**20,))
    assert run(unruly.process_id, tiny_clip) == pid


@pytest.mark.parametrize("n, size", [(1, 1), (3, 5 * 2**20), (50, 2**20 + 1), (8, 2**20), (2, 17 * 2**20)])
def test_arrays_of_any_size_come_over_whole(tiny_clip, n, size):
    """Smaller and larger than the pieces in which they are handed over, and exactly filling them."""
    for _ in range(2):
        out = run(unruly.counts, tiny_clip, n, size, shape=(n, size))
        np.testing.assert_array_equal(out, np.broadcast_to(np.arange(n)[:, None], (n, size)))


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(tiny_clip):
    """Ctrl-C while a clip is read."""
    pid = run(unruly.process_id, tiny_clip)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(unruly.go_on, tiny_clip, 100, 0.05)
    assert run(unruly.process_id, tiny_clip) != pid and gone(pid)


def test_threads_have_workers_of_their_own_and_leave_them_to_others(tiny_clip):
    video_worker._WORKERS.clear()
    both = threading.Barrier(2)
    for _ in range(3):
        with ThreadPoolExecutor(2) as threads:
            pids = [*threads.map(lambda _: (both.wait(), run(unruly.process_id, tiny_clip))[1], range(2))]
        assert len(set(pids)) == 2
    assert len(video_worker._WORKERS) == 2


def test_importing_starts_no_process(tiny_clip):
    code = "import psutil, llamavid_kit.data.video; print(len(psutil.Process().children()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"0\n"


OWNER = """
import os, sys, threading, time, unruly
from pathlib import Path
from llamavid_kit.data.video_worker import run
clip = Path(sys.argv[1])
print(run(unruly.process_id, clip), flush=True)
if sys.argv[2] == "fork" and os.fork() == 0:
    time.sleep(10)
    os._exit(0)
if sys.argv[2] == "busy":
    run(unruly.go_on, clip, 1000, 0.05)
if sys.argv[2] != "end":
    time.sleep(60)
"""


@pytest.mark.parametrize("what, number", [("end", None), ("idle", 9), ("idle", 15), ("busy", 9), ("fork", 9)])
def test_a_worker_ends_with_its_owner(tiny_clip, what, number):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OWNER, str(tiny_clip), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as owner:
        pid = int(owner.stdout.readline())
        if number:
            time.sleep(0.2)
            owner.send_signal(number)
        assert owner.wait(10) == -(number or 0) and gone(pid)


def test_a_forked_child_leaves_its_parents_worker_alone(tiny_clip):
    pid = run(unruly.process_id, tiny_clip)
    child = os.fork()
    if not child:
        os._exit(run(unruly.process_id, tiny_clip) == pid)
    assert os.waitpid(child, 0)[1] == 0 and run(unruly.process_id, tiny_clip) == pid


def test_no_room_for_the_frames(monkeypatch):
    """A system that lets no file grow (ulimit -f): said in one line, and nothing else when the worker is freed."""

    class Full(io.BytesIO):
        def truncate(self, size=None):
            raise OSError(errno.EFBIG, "File too large")

    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    monkeypatch.setattr(video_worker, "_memory", Full)
    with pytest.raises(OSError, match="the memory that frames pass through"):
        video_worker._Worker()
    gc.collect()
    assert not lost
