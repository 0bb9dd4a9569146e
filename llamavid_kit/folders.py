"""Folders that several runs may meet: files that are whole or absent, and a record of what a folder was begun with.

Text is read back with an error that names file and line.
"""

import io
import json
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """All of the file or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_text(path: Path, *, encoding: str = "utf-8", way_out: str = "save it as UTF-8 and try again") -> str:
    """As `Path.read_text`; ValueError naming the file, the line and `way_out` where it is not UTF-8.

    encoding: "utf-8-sig" for files from elsewhere, which may begin with a mark
    """
    return io.StringIO(decoded(path.read_bytes(), path, encoding=encoding, way_out=way_out), newline=None).getvalue()


def csv_text(path: Path) -> io.StringIO:
    """A CSV file for `csv`, line ends as they are; ValueError as of `read_text`."""
    content = decoded(path.read_bytes(), path, encoding="utf-8-sig", way_out="save the sheet as CSV UTF-8")
    return io.StringIO(content, newline="")


def decoded(content: bytes, path: Path, *, encoding: str = "utf-8", way_out: str) -> str:
    """The text of what was read from `path`, line ends as they are; ValueError as of `read_text`."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise ValueError(f"{path}, line {line} is not UTF-8 (byte 0x{byte:02x}); {way_out}") from None


def read_json(path: Path, *, way_out: str) -> Any:
    """What stands in a JSON file; ValueError naming the file and `way_out` where it is none."""
    try:
        return json.loads(read_text(path, way_out=way_out))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); {way_out}") from None


def claim(path: Path, record: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Write `record` to `path`, or compare it with what stands there: name → (there, asked) of all that differs."""
    record = json.loads(json.dumps(record))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record, indent=1))
        return {}
    there = read_json(path, way_out="give another folder, or delete this one")
    names = sorted(there.keys() | record.keys())
    return {name: (there.get(name), record.get(name)) for name in names if there.get(name) != record.get(name)}
