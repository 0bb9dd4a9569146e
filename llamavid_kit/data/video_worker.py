"""Where video files are opened and decoded: in a process of their own, which a file may crash, hang or fill up.

`run` hands a function and a file to this thread's worker and gives back what the function returns. A file that ends the
worker is a `VideoError`, and the next one gets a new worker. Workers start when the first file is read (0.3 s), serve
many files, and end with the process that started them, however that ends.
"""

import atexit
import logging
import mmap
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any

import numpy as np

from llamavid_kit.files import deaf_to_ctrl_c

STALL_S, TICK_S = 60.0, 0.2  # a file that gives no packet and no frame for so long hangs; opening it may take longer:
READ_SPEED = 10e6  # bytes a second at which a slow disk reads all of it
MOST_BYTES = 4 * 2**30  # of a worker, besides the frames asked for; 16 threads with 4K pictures take less than half
PIECE, N_PIECES = 4 * 2**20, 2  # bytes; frames pass through so many pieces of memory, one filled as another is emptied
KIT = Path(__file__).resolve().parents[2]
CLEAN_COPY = "ffmpeg -i IN -c:v libx264 -pix_fmt yuv444p OUT.mp4"  # 4:4:4 takes odd sizes, too
WAY_OUT = f"play it to check, make a clean copy ({CLEAN_COPY}), or leave it out"


class VideoError(ValueError):
    """A video that cannot be read. The message names the file, the cause and a way out."""

    def __init__(self, path: str | Path, cause: str, way_out: str = WAY_OUT):
        super().__init__(f"{path}: {cause}; {way_out}")
        self.path, self.cause, self.way_out = str(path), cause, way_out

    def __reduce__(self):
        return (type(self), (self.path, self.cause, self.way_out))


def run(function: Callable, path: Path, *args: Any, shape: tuple[int, ...] | None = None) -> Any:
    """function(path, *args), run in this thread's worker, which imports the function by its name.

    shape: the function yields arrays uint8, which make up one array (*shape) when laid one behind the other.
    Raises what the function raises, and VideoError where the file ends the worker.
    """
    return _worker().run(function, path, args, shape)


class _Worker:
    """One process, the connection to it, and memory that both see; `waiting` for an answer, also after a Ctrl-C."""

    process: Any = None  # until it is started

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.owner, self.waiting, self.limit_s = os.getpid(), False, 0.0
        with _memory() as file:
            try:
                file.truncate(N_PIECES * PIECE + 8)
            except OSError as error:
                raise OSError(error.errno, error.strerror, "the memory that frames pass through") from error
            self.pieces, self.progress = _map(file.fileno())
            code = f"from {__name__} import serve; serve({theirs.fileno()}, {file.fileno()})"
            folders = os.pathsep.join([*filter(None, sys.path), str(KIT)])
            with deaf_to_ctrl_c():
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-c", code],
                    pass_fds=[theirs.fileno(), file.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": folders, "OPENBLAS_NUM_THREADS": "1"},
                )
        theirs.close()

    def __del__(self) -> None:
        self.end()

    def end(self) -> None:
        self.connection.close()
        if self.process and os.getpid() == self.owner:  # not in a forked child
            self.process.kill()
            self.process.wait()

    @property
    def usable(self) -> bool:
        return not self.waiting and self.process.poll() is None

    def run(self, function: Callable, path: Path, args: tuple, shape: tuple[int, ...] | None) -> Any:
        self.waiting, self.limit_s = True, STALL_S + (path.stat().st_size / READ_SPEED if path.is_file() else 0)
        out = np.empty(shape or 0, np.uint8)
        try:
            self.connection.send((function, path.absolute(), args))
            answer = self._answer(out.reshape(-1))
        except (EOFError, ConnectionError) as error:
            raise self._ended(path) from error
        self.waiting = False
        if isinstance(answer, MemoryError):
            raise VideoError(path, f"needs more than {MOST_BYTES // 2**30} GiB of memory to decode") from answer
        if isinstance(answer, VideoError):
            raise VideoError(path, answer.cause, answer.way_out) from answer
        if isinstance(answer, Exception):
            raise answer
        return out if shape else answer

    def _answer(self, out: np.ndarray) -> Any:
        """What the function returned or raised; what it logs is logged here, what it yields goes to out (bytes,)."""
        at = n = 0
        while True:
            self._watch()
            answer = self.connection.recv()
            if isinstance(answer, _Piece):
                out[at : at + answer.n_bytes] = self.pieces[n % N_PIECES, : answer.n_bytes]
                self.connection.send(None)
                at, n = at + answer.n_bytes, n + 1
            elif isinstance(answer, logging.LogRecord):
                if (log := logging.getLogger(answer.name)).isEnabledFor(answer.levelno):
                    log.handle(answer)
            else:
                return answer

    def _watch(self) -> None:
        """Waits for what comes next, and ends a worker that hangs. Time in which this process stands still is none."""
        stalled_s, before = 0.0, -1
        while not self.connection.poll(TICK_S):
            now = int(self.progress[0])
            stalled_s, before = (stalled_s + TICK_S if now == before else 0.0), now
            if stalled_s > self.limit_s:
                self.process.send_signal(signal.SIGALRM)

    def _ended(self, path: Path) -> Exception:
        """What the end of the worker says of the file."""
        status = self.process.wait()
        if status >= 0:
            return RuntimeError(
                f"the process that reads videos ended with status {status}; its own message stands above"
            )
        if -status == signal.SIGALRM:
            return VideoError(path, f"hangs: no packet and no frame came for {self.limit_s:.3g} s")
        return VideoError(path, f"crashes its decoder ({signal.Signals(-status).name})")


def _memory() -> IO[bytes]:
    """A file without a name, in memory where the system can; not in /dev/shm, which is small in containers."""
    return os.fdopen(os.memfd_create("pieces"), "r+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def _map(fd: int) -> tuple[np.ndarray, np.ndarray]:
    """The pieces, (N_PIECES, PIECE) uint8, and the count of packets and frames, (1,) int64."""
    memory = mmap.mmap(fd, N_PIECES * PIECE + 8)
    return np.ndarray((N_PIECES, PIECE), np.uint8, memory), np.ndarray(1, np.int64, memory, N_PIECES * PIECE)


_WORKERS: dict[int | None, _Worker] = {}  # by the thread that it serves
_LOCK = threading.Lock()


def _worker() -> _Worker:
    """This thread's worker: the one it had, one that a thread has left behind, or a new one."""
    me = threading.current_thread()
    with _LOCK:
        alive = {thread.ident for thread in threading.enumerate()}
        left = next((ident for ident in _WORKERS if ident not in alive), None)
        worker = _WORKERS.pop(me.ident, None) or (_WORKERS.pop(left) if left is not None else None)
        if worker and not worker.usable:
            worker.end()
        _WORKERS[me.ident] = worker if worker and worker.usable else _Worker()
        return _WORKERS[me.ident]


def _start_anew() -> None:
    """In a forked child: the parent's workers are left to it, and no longer held by a connection from here."""
    for worker in _WORKERS.values():
        worker.end()
    _WORKERS.clear()
    _LOCK.release()


os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_start_anew)
atexit.register(_WORKERS.clear)


# --- in the worker

_count = np.zeros(1, np.int64)  # in a worker, of memory that its owner sees


def progress() -> None:
    """Said with each packet and frame: a file with which this is not said for long hangs."""
    _count[0] += 1


def serve(fd: int, memory: int) -> None:
    """A worker's life: answers one call after the other until the owner closes the connection, or has gone."""
    global _count
    threading.Thread(target=_end_with_owner, args=(fd,), daemon=True).start()
    for limit, most in ((resource.RLIMIT_DATA, MOST_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    connection: Any = Connection(fd)
    pieces, _count = _map(memory)
    log = logging.getLogger("llamavid_kit")
    log.setLevel(logging.INFO)
    log.addHandler(_ToOwner(connection))
    try:
        while True:
            if (call := connection.recv()) is None:
                continue  # the last pieces of the call before have been taken
            function, path, args = call
            try:
                answer = function(path, *args)
                if isinstance(answer, Iterator):
                    _hand_over(answer, pieces, connection)
                    answer = None
            except Exception as error:  # whatever it is, it is raised on the other side
                error.add_note(traceback.format_exc())
                answer = error
            connection.send(answer)
    except (EOFError, ConnectionError):
        os._exit(0)  # not sys.exit: freeing some decoders never returns


def _end_with_owner(fd: int) -> None:
    """Ends this process, whatever it does, when the other end of the connection is closed."""
    closed = select.poll()
    closed.register(fd, 0)
    closed.poll()
    os._exit(0)


@dataclass(frozen=True)
class _Piece:
    n_bytes: int


def _hand_over(arrays: Iterator[np.ndarray], pieces: np.ndarray, connection: Any) -> None:
    """The bytes of arrays uint8, one behind the other, in pieces; each is acknowledged once it has been taken."""
    n = filled = 0
    for array in arrays:
        rest = array.reshape(-1)
        while len(rest):
            part, rest = np.split(rest, [PIECE - filled])
            pieces[n % N_PIECES, filled : filled + len(part)] = part
            filled += len(part)
            if filled == PIECE:
                connection.send(_Piece(filled))
                n, filled = n + 1, 0
                if n >= N_PIECES:
                    connection.recv()
    if filled:
        connection.send(_Piece(filled))


class _ToOwner(logging.Handler):
    """Hands what is logged over to the owner, whose settings say what is shown."""

    def __init__(self, connection: Any):
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.connection.send(record)
