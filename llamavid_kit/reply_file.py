"""A JSONL file of replies that a killed run leaves and the next one finishes: its first line says what it belongs to.

Replies come in batches of fixed size and a batch is written as one piece; what is left of an unfinished one is cut
away, so that the file does not depend on where a run was killed.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.folders import decoded, read_text, write_whole

BEGIN_AGAIN = "delete this line and all after it, or the whole file, and run again"


def resume(path: Path, head: dict[str, Any], *, n: int, batch: int, what: str = "arm") -> int:
    """How many of `n` replies stand in `path`, cut to whole batches; a new file gets `{what: head}` as first line.

    Raises ValueError where the file was begun with another head and holds replies, naming what differs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({what: head}) + "\n"
    found = path.read_bytes() if path.is_file() else b""  # bytes: a cut may lie within a letter
    text = decoded(found[: found.rfind(b"\n") + 1], path, way_out=BEGIN_AGAIN)
    whole = [line + "\n" for line in text.split("\n")[:-1]]
    if whole and whole[0] != header:
        differing = _differing(path, whole[0], head, what)
        if len(whole) > 1:
            raise ValueError(f"{path} belongs to another {what}: {differing}; give another output folder")
    n_lines = max(0, len(whole) - 1)
    done = n if n_lines == n else n_lines // batch * batch
    kept = "".join([header, *whole[1 : 1 + done]])
    if found != kept.encode():
        write_whole(path, kept)
    return done


def _differing(path: Path, line: str, head: dict[str, Any], what: str) -> str:
    """What the first line says otherwise than `head`, in words."""
    there = _parsed(path, 1, line)
    there = there.get(what)
    if not isinstance(there, dict):
        raise ValueError(f"{path}, line 1: not the head of a {what}; give another output folder")
    asked = json.loads(json.dumps(head))
    names = [name for name in dict.fromkeys([*there, *asked]) if there.get(name) != asked.get(name)]
    said = [f"{name} {there.get(name)!r:.80}, now {asked.get(name)!r:.80}" for name in names]
    return "; ".join(said) or "the order of its settings"


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path}, line {number} is damaged: {line!r:.80}; {BEGIN_AGAIN}")
    return found


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


def _head(path: Path, line: dict[str, Any], what: str) -> dict[str, Any]:
    if not isinstance(line.get(what), dict):
        raise ValueError(f"{path}, line 1: not the head of a {what}; give another folder")
    return line[what]


def read_replies(path: Path, *, what: str = "arm") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A finished file → its head and its lines. Raises ValueError naming a line that is no JSON object, or no UTF-8."""
    lines = read_text(path, way_out=BEGIN_AGAIN).removesuffix("\n").split("\n")  # replies may hold U+2028
    head, *replies = (_parsed(path, number, line) for number, line in enumerate(lines, 1))
    return _head(path, head, what), replies


def read_texts(path: Path, *, what: str = "run") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """As `read_replies`, of a file whose lines are {"id", "reply"}: (id, reply) of each. ValueError names another."""
    head, lines = read_replies(path, what=what)
    for number, line in enumerate(lines, 2):
        if not (isinstance(line.get("id"), str) and isinstance(line.get("reply"), str)):
            raise ValueError(f"{path}, line {number} has no id and reply, both text: {str(line)!r:.80}; {BEGIN_AGAIN}")
    return head, [(line["id"], line["reply"]) for line in lines]
