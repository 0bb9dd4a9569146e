"""Several processes that run one command together, as `accelerate launch` starts them: who is main, who does what.

All of them run the same lines. The main one decides, writes and holds the run's folder (`from_main`, `held`); work on
clips is dealt out (`shared`). They talk through the launcher's store, which they ask again and again: who waits can be
stopped at any moment, and may wait for hours. Values go through pickle, as in torch's own `gather_object`: whoever
reaches the launcher's port can run code in every process. Started alone, a command goes through none of this.
"""

import atexit
import itertools
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from llamavid_kit.files import WRITER, writing

Task = TypeVar("Task")
Result = TypeVar("Result")
ASK_S, GRACE_S = 0.02, 5.0
BEAT_S, DEAD_S = 5.0, 120.0  # a launcher ends those of its machine when one dies; it does not hear of other machines
PIECE = 4 * 2**20  # bytes; the store takes twice as many at once
FAILED = "failed"
OF_A_CLIP = ("llamavid_kit.data.video", "llamavid_kit.model.frame_cache")  # what only the process knows that looks
_CALLS = itertools.count()  # the same number in every process for what they call together


def n_processes() -> int:
    """How many run this command together: 1 where it was started alone."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "LOCAL_RANK" in os.environ else 1


def rank() -> int:
    """Which of them this is; 0 is the main one."""
    return int(os.environ["RANK"]) if n_processes() > 1 else 0


def from_main(function: Callable[[], Result]) -> Result:
    """What `function` returns in the main process, for all of them. The others wait for it, and do not call it.

    What it returns goes through pickle; nothing in it may be called together.
    """
    if n_processes() == 1:
        return function()
    key = f"{next(_CALLS)}"
    if rank():
        return _get(key, giver=0)
    result = function()
    _put(key, result)
    return result


def shared(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, mapped: Callable[..., Iterable[Result]] = map
) -> Iterator[tuple[Task, Result]]:
    """(task, work(task)) of every task in order, for the main process; the others go through it too, and get none.

    Task k of the list is done by process k modulo their number, so that it is the same one whenever a list comes again.
    The others go on when the main one has had everything.

    mapped: how a process goes through its own tasks, as `map`, or an executor's, does
    """
    n, me, call = n_processes(), rank(), next(_CALLS)
    mine = zip(range(me, len(tasks), n), mapped(work, tasks[me::n]), strict=True)
    done: dict[int, Result] = {}  # by the main process
    turn = 0

    def result_of(k: int) -> Result:
        return done.pop(k) if k % n == 0 else _get(f"{call}/{k}", giver=k % n)

    for k, result in mine:
        if me:
            _put(f"{call}/{k}", result)
            continue
        done[k] = result
        while turn < len(tasks) and (turn in done if turn % n == 0 else _is_there(f"{call}/{turn}")):
            yield tasks[turn], result_of(turn)
            turn += 1
    for k in range(turn, 0 if me else len(tasks)):
        yield tasks[k], result_of(k)
    from_main(_nothing)


@contextmanager
def held(folder: Path | str) -> Iterator[None]:
    """`files.writing` by the main process, for all of them: none begins before it holds the folder, or ends before it.

    Raises BusyError, and ValueError where a process does not see the main one's folder.
    """
    with ExitStack() as lock:
        from_main(lambda: lock.enter_context(writing(folder)))
        if rank() and not (Path(folder) / WRITER).is_file():
            raise ValueError(f"process {rank()} does not find {folder}: give a folder that all machines share")
        yield
        from_main(_nothing)


def _nothing() -> None: ...


# --- what people see


@contextmanager
def one_voice() -> Iterator[None]:
    """What the processes print within the block is the main one's; where they fail, the first one's error is raised.

    The others end without a word. What only they know, about clips that they look at, is logged. SIGTERM, by which the
    launcher ends those that are left, ends a process even while torch waits for another one.
    """
    if n_processes() == 1:
        yield
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _store()  # from now on it is known to live
    try:
        with ExitStack() as quiet:
            if rank():
                nowhere = quiet.enter_context(Path(os.devnull).open("w"))
                quiet.enter_context(redirect_stdout(nowhere))
                quiet.enter_context(redirect_stderr(nowhere))
                for handler in logging.getLogger().handlers:
                    handler.addFilter(_of_a_clip)
            yield
    except BaseException as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher hands a Ctrl-C on that is known already
        if isinstance(error, SystemExit) or _first_to_fail():
            raise
        if isinstance(error, KeyboardInterrupt):
            sys.exit(130)
        _end_after_another()
    atexit.register(_leave)


def _of_a_clip(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or record.name.startswith(OF_A_CLIP)


def _first_to_fail() -> bool:
    try:
        return _store().add(FAILED, 1) == 1
    except RuntimeError:  # the launcher is gone
        return True


def _leave() -> None:
    """Ends what a training has begun, or torch warns of it."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


def _end_after_another() -> NoReturn:
    """Not before it has said why: the launcher ends all as soon as one ends."""
    time.sleep(GRACE_S)
    sys.exit("another process has failed; its own error says why" if not rank() else 1)


# --- the store


@cache
def _store() -> Any:
    from torch.distributed import PrefixStore, rendezvous

    store, ended = PrefixStore("llamavid_kit", next(rendezvous("env://"))[0]), threading.Event()
    beats = threading.Thread(target=_beat, args=(store, ended), daemon=True)
    beats.start()
    atexit.register(beats.join)
    atexit.register(ended.set)
    return store


def _beat(store: Any, ended: threading.Event) -> None:
    """Signs of life, for those who wait for this process."""
    with suppress(RuntimeError):  # the launcher is gone
        for n in itertools.count():
            store.set(_life(rank()), f"{n}")
            if ended.wait(BEAT_S):
                return


def _life(of: int) -> str:
    return f"life of {of}"


def _is_there(key: str) -> bool:
    return _store().check([key])


def _put(key: str, value: Any) -> None:
    content = pickle.dumps(value)
    for at in range(0, len(content), PIECE):
        _store().set(f"{key}/{at}", content[at : at + PIECE])
    _store().set(key, f"{len(content)}")


def _get(key: str, *, giver: int) -> Any:
    """What process `giver` puts there. Ends this process where one has failed; TimeoutError where `giver` is dead."""
    sign, since = b"", time.monotonic()
    while not _is_there(key):
        if _is_there(FAILED):
            _end_after_another()
        new = _store().get(_life(giver)) if _is_there(_life(giver)) else b""
        if new != sign:
            sign, since = new, time.monotonic()
        elif time.monotonic() - since > DEAD_S:
            raise TimeoutError(
                f"no sign of life from process {giver} for {DEAD_S:g} s: look at its machine, start again"
            )
        time.sleep(ASK_S)
    size = int(_store().get(key))
    return pickle.loads(b"".join(_store().get(f"{key}/{at}") for at in range(0, size, PIECE)))
