"""Folders that several runs may meet: files that are whole or absent, and a record of what a folder was begun with."""

import json
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """All of the file or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def claim(path: Path, record: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Write `record` to `path`, or compare it with what stands there: name → (there, asked) of all that differs."""
    record = json.loads(json.dumps(record))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record, indent=1))
        return {}
    there = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(there.keys() | record.keys())
    return {name: (there.get(name), record.get(name)) for name in names if there.get(name) != record.get(name)}
