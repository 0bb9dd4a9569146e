"""Files that several runs may meet: whole or absent, resumed line by line, read with an error that names file and line.

A folder keeps the record that it was begun with (`claim`). A file of replies is a head and one JSON object a reply; a
killed run goes on where its file ends (`resume`, `append`).
"""

import csv
import errno
import fnmatch
import io
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

PARTIAL, LOCK, WRITER = ".*.partial*", ".lock", ".writer.json"
OUT_OF_MEMORY = (  # in errors of torch, Python, the system
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "can't start new thread",
    "failed to map segment",
    "could not create a primitive",
    "bad_alloc",
    "Resource temporarily unavailable",
    "MemoryError",
)
BEGIN_AGAIN = "delete this line and all after it, or the whole file, and run again"

ANOTHER_FOLDER = "give another output folder, or delete this one"
TO_UTF8 = "convert it with iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW, or from UTF-16 or what else it is in"


class CheckpointError(ValueError):
    """A folder is no checkpoint that this code understands: the message names the tensors or files and the way out."""


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command → its exit status: 2 after an error that a user can mend and 130 after Ctrl-C, each in one line.

    SIGTERM, by which machines and schedulers stop a process, ends it with 143 after its workers and locks are let go.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        sys.unraisablehook = _not_lost
    try:
        return command() or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        what = str(error)
        if error.filename is not None and error.strerror is not None:  # of the system; our own say all themselves
            what = f"{error.filename} cannot be read or written: {error.strerror}; name another path"
    except ValueError as error:
        what = str(error)
    except BaseException as error:
        if not _of_memory(error):
            raise
        what = "the memory of this machine is full: ask for less at a time (--batch, --fps), or free some; " + (
            " ".join(str(error).split())[:200] or "no more is said"
        )
    print(f"error: {what}", file=sys.stderr)
    return 2


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """What is started inside never hears a Ctrl-C: it is its owner's, who hears it after the block and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is full; a panic of Rust is no `Exception`."""
    if isinstance(error, RuntimeError | ImportError) or type(error).__name__ == "PanicException":
        return any(mark in str(error) for mark in OUT_OF_MEMORY)
    return isinstance(error, MemoryError)


def _not_lost(unraisable: Any) -> None:
    """A stop that came while an object was freed is lost to Python, which says and ignores it: it is sent again."""
    number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(unraisable.exc_type)
    if number is None:
        sys.__unraisablehook__(unraisable)
    else:
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()


def check_whole(path: Path) -> None:
    """CheckpointError where a failed download or copy left something else in the place of the file."""
    with path.open("rb") as file:
        begin = file.read(200).lstrip().lower()
    again = "download the file itself again"
    for mark, what in (
        (b"version https://git-lfs", "is a Git LFS pointer, a note of where the file lies: run `git lfs pull` there"),
        (b"<!doctype html", f"is a web page: {again}"),
        (b"<html", f"is a web page: {again}"),
    ):
        if begin.startswith(mark):
            raise CheckpointError(f"{path} {what}")
    if not begin:
        raise CheckpointError(f"{path} is empty: {again}")


def some(names: Iterable[object], *, at_most: int = 5) -> str:
    """The first few names, in their order, and how many more; "none" where there are none."""
    words = [str(name) for name in names]
    more = f" and {len(words) - at_most} more" if len(words) > at_most else ""
    return (", ".join(words[:at_most]) + more) or "none"


class BusyError(ValueError):
    """Another process writes into the folder; the message says which one, and since when."""


@contextmanager
def writing(folder: Path | str) -> Iterator[None]:
    """The folder for this process alone while it writes there; who comes second is refused, by name, within a second.

    The lock is the operating system's: it ends with its process, however that ends, and holds on a shared disk. What a
    killed process left of unfinished files is taken away. Raises BusyError.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(folder / LOCK), folder / WRITER
    try:
        lock.acquire(timeout=1)  # what a killed process was about to start may hold it for a moment
    except Timeout:
        raise BusyError(f"{folder} is being written by {_writer(note)}: wait for it, or give another folder") from None
    try:
        for part in list(_partial(folder)):
            _remove(part)
        began = datetime.now().astimezone().isoformat(timespec="seconds")
        write_whole(note, json.dumps({"process": os.getpid(), "machine": socket.gethostname(), "since": began}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _partial(folder: Path) -> Iterator[Path]:
    """What killed writers left anywhere below, but for folders that are locked for themselves."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in fnmatch.filter([*folders, *files], PARTIAL))
        folders[:] = [f for f in folders if not Path(place, f, LOCK).exists() and not fnmatch.fnmatch(f, PARTIAL)]


@contextmanager
def filling(folder: Path | str) -> Iterator[None]:
    """A new folder that becomes a model by its `config.json`, which the block writes last; as `writing`, besides.

    What an interrupted one left is taken away first. Raises CheckpointError for a folder that holds anything else.
    """
    folder = Path(folder)
    with writing(folder):
        begun = folder / ".begun"
        if (folder / "config.json").exists():
            raise CheckpointError(f"{folder} holds a model already: give another folder, or remove it")
        if holds_files(folder) and not begun.exists():
            raise CheckpointError(f"{folder} is not empty: give another folder, or empty it")
        begun.touch()
        for left in folder.iterdir():
            if not left.name.startswith("."):
                _remove(left)
        yield
        begun.unlink()


def _writer(note: Path) -> str:
    try:
        values = json.loads(note.read_text(encoding="utf-8"))
        return f"process {values['process']} on {values['machine']} since {values['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or just ended
        return "another process"


def holds_files(folder: Path) -> bool:
    """Whether something lies there that somebody may miss: hidden files, such as a lock, do not count."""
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def partial_path(path: Path) -> Path:
    """Where a file is written before it takes the place of `path`: beside it, under a name that no other writer has."""
    return path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file or folder in the block: at its end it takes the place of `path`, on an error it goes."""
    partial = partial_path(path)
    try:
        with saving(path):
            yield partial
        if path.is_dir() and not partial.is_dir():  # somebody's folder, and no place for a file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        _remove(partial)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """OSError naming `path` where safetensors or torch cannot write there: their own errors are no OSErrors."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if isinstance(error, SafetensorError) or "inline_container" in str(error):
            raise OSError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """All of the file or nothing, whoever else writes it."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_text(path: Path, *, encoding: str = "utf-8", way_out: str = "save it as UTF-8 and try again") -> str:
    """As `Path.read_text`; ValueError naming the file, the line and `way_out` where it is not UTF-8.

    encoding: "utf-8-sig" for files from elsewhere, which may begin with a mark
    """
    return io.StringIO(decoded(path.read_bytes(), path, encoding=encoding, way_out=way_out), newline=None).getvalue()


def csv_text(path: Path) -> io.StringIO:
    """A CSV file for `csv`, line ends as they are; ValueError as of `read_text`, and for what `csv` cannot read."""
    content = decoded(path.read_bytes(), path, encoding="utf-8-sig", way_out="save the sheet as CSV UTF-8")
    if (at := content.find("\0")) >= 0:
        raise ValueError(
            f"{path}, line {content.count(chr(10), 0, at) + 1} holds a NUL byte; save the sheet as CSV UTF-8"
        )
    rows, line = csv.reader(io.StringIO(content, newline="")), 1
    try:
        for _ in rows:
            line = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}; close the double quotes that are opened there") from None
    return io.StringIO(content, newline="")


def decoded(content: bytes, path: Path, *, encoding: str = "utf-8", way_out: str) -> str:
    """The text of what was read from `path`, line ends as they are; ValueError as of `read_text`."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise ValueError(f"{path}, line {line} is not UTF-8 (byte 0x{byte:02x}); {way_out}") from None


def read_json(path: Path, *, way_out: str, encoding: str = "utf-8", **kwargs: Any) -> Any:
    """What stands in a JSON file; ValueError naming it and `way_out` where it is none. kwargs: of `json.loads`."""
    return parse_json(read_text(path, encoding=encoding, way_out=way_out), path, way_out=way_out, **kwargs)


def parse_json(text: str, where: object, *, way_out: str, **kwargs: Any) -> Any:
    """`json.loads` of a text of unknown origin; ValueError naming `where` it stands, and `way_out`."""
    try:
        return json.loads(text, **kwargs)
    except (ValueError, RecursionError) as error:  # numbers of many digits, and lists in lists, are no JSONDecodeError
        raise ValueError(f"{where} is not JSON ({error}); {way_out}") from None


def check_shape(value: Any, shape: Any, where: str, *, way_out: str) -> None:
    """ValueError naming the first field of parsed JSON that is not of `shape`, and `way_out`.

    shape: str, int, float, bool, None (null) or object (any), or several of these in a tuple; [shape] for a list of
    such, [shape, shape] for one of two; {name: shape} for an object with these fields, those that end in "?" where they
    are there; {str: shape} for an object whose fields are all such
    """
    shapes = shape if isinstance(shape, tuple) else (shape,)
    fitting = next((one for one in shapes if _is_a(value, one)), shapes)
    if fitting is shapes:
        raise ValueError(f"{where}: {value!r:.60}, expected {' or '.join(map(_kind, shapes))}; {way_out}")
    if isinstance(fitting, list):
        for k, item in enumerate(value):
            check_shape(item, fitting[0], f"{where}[{k}]", way_out=way_out)
    for name, inner in fitting.items() if isinstance(fitting, dict) else ():
        if name is str:
            check_shape(list(value.values()), [inner], where, way_out=way_out)
        elif (field := name.removesuffix("?")) in value:
            check_shape(value[field], inner, f"{where}, {field}", way_out=way_out)
        elif field == name:
            raise ValueError(f"{where}: {name} is missing; {way_out}")


def _is_a(value: Any, shape: Any) -> bool:
    if isinstance(shape, list):
        return isinstance(value, list) and len(shape) in (1, len(value))
    if shape is None or isinstance(shape, dict):
        return type(value) is type(shape)
    return shape is object or type(value) is shape or (shape is float and type(value) is int)


def _kind(shape: Any) -> str:
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
    if isinstance(shape, list):
        return "a list" if len(shape) == 1 else f"a list of {len(shape)}"
    return words.get(shape if isinstance(shape, type) else type(shape), "null")


def claim(path: Path, record: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Write `record` to `path`, or compare it with what stands there: name → (stored, now) of all that differs."""
    now = json.loads(json.dumps(record))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(now, indent=1))
        return {}
    stored = read_json(path, way_out=ANOTHER_FOLDER)
    check_shape(stored, {}, str(path), way_out=ANOTHER_FOLDER)
    return dict(sorted(_differences(stored, now).items()))


def _differences(stored: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*stored, *now])
    return {name: (stored.get(name), now.get(name)) for name in names if stored.get(name) != now.get(name)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Package → version, of those that are installed: what may change bytes that are written."""
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def refuse_versions(folder: Path, then: dict[str, str], now: dict[str, str]) -> None:
    """ValueError where what is missing in `folder` would be made by other versions than what lies there."""
    if differing := [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]:
        text = ", ".join(f"{name} {then.get(name, 'unknown')} (now {now.get(name, 'none')})" for name in differing)
        raise ValueError(
            f"{folder} was begun with {text}: what is still missing could differ for that reason alone; go on with "
            "those versions, or give another output folder"
        )


def resume(
    path: Path,
    head: dict[str, Any],
    *,
    n: int,
    batch: int,
    what: str = "arm",
    items: Sequence[dict[str, Any]] | None = None,
) -> int:
    """How many of `n` replies stand in `path`, cut to whole batches; a new file gets `{what: head}` as first line.

    items: what each line must hold, such as its clip and the clip's content; the first line that holds something else
    is cut away with all after it. Raises ValueError where the file was begun with another head and holds replies,
    naming what differs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({what: head}) + "\n"
    content = path.read_bytes() if path.is_file() else b""  # bytes: a cut may lie within a letter
    text = decoded(content[: content.rfind(b"\n") + 1], path, way_out=BEGIN_AGAIN)
    lines = [line + "\n" for line in text.split("\n")[:-1]]
    if lines and lines[0] != header:
        stored = _head(path, _parsed(path, 1, lines[0]), what)
        if len(lines) > 1:
            differing = _differences(stored, json.loads(json.dumps(head)))
            words = "; ".join(f"{name} {old!r:.80}, now {new!r:.80}" for name, (old, new) in differing.items())
            words = words or "the order of its settings"
            raise ValueError(f"{path} belongs to another {what}: {words}; give another output folder")
    n_lines = max(0, len(lines) - 1)
    wrong = (
        k
        for k, (item, line) in enumerate(zip(items or (), lines[1:], strict=False))
        if not item.items() <= _parsed(path, k + 2, line).items()
    )
    n_right = min(next(wrong, n_lines), n)
    done = n if n_right == n_lines == n else n_right // batch * batch
    whole = "".join([header, *lines[1 : 1 + done]])
    if content != whole.encode():
        write_whole(path, whole)
    return done


def append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Writes a batch of replies as one piece, safe on the disk when this returns."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_head(path: Path, *, what: str = "arm") -> tuple[dict[str, Any], int]:
    """A file's head and how many whole lines follow it. Raises ValueError where its first line is no such head."""
    first, _, rest = path.read_bytes().partition(b"\n")
    return _head(path, _parsed(path, 1, first.decode("utf-8", "replace")), what), rest.count(b"\n")


def read_replies(path: Path, *, what: str = "arm") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A finished file → its head and its lines. Raises ValueError naming a line that is no JSON object, or no UTF-8."""
    head, *replies = read_lines(path)
    return _head(path, head, what), replies


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A file of one JSON object a line. Raises ValueError as `read_replies`."""
    lines = read_text(path, way_out=BEGIN_AGAIN).removesuffix("\n").split("\n")  # replies may hold U+2028
    return [_parsed(path, number, line) for number, line in enumerate(lines, 1)]


def read_texts(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """As `read_replies`, of a run whose lines have an id and a reply, both text. ValueError names another."""
    head, lines = read_replies(path, what="run")
    for number, line in enumerate(lines, 2):
        if not (isinstance(line.get("id"), str) and isinstance(line.get("reply"), str)):
            raise ValueError(f"{path}, line {number} has no id and reply, both text: {str(line)!r:.80}; {BEGIN_AGAIN}")
    return head, lines


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{path}, line {number} is damaged: {line!r:.80}; {BEGIN_AGAIN}")
    return value


def _head(path: Path, line: dict[str, Any], what: str) -> dict[str, Any]:
    head = line.get(what)
    if not isinstance(head, dict):
        raise ValueError(f"{path}, line 1: not the head of a {what}; give another output folder")
    return head
