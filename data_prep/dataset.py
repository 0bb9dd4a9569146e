"""What the preparations of all data sets share: the lines of a list, and where named files lie below a folder."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from llamavid_kit.files import read_text


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """("file, line n", text) of every line that is not blank."""
    text = read_text(path, encoding="utf-8-sig", way_out="download it again, or save it as UTF-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line


def index_files(root: Path, names: Collection[str], *, ignore: Collection[str] = (), expected: str) -> dict[str, Path]:
    """Where each of `names` lies anywhere below `root`, in one pass; names that are not there are left out.

    ignore: names of folders not to enter; expected: what should lie there, for the error.
    A link to a file that was found already is no second place. Raises ValueError naming both places when a name occurs
    twice, and FileNotFoundError when `root` is not a folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected {expected} anywhere below it")
    wanted, found = set(names), {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - set(ignore))
        for name in sorted(wanted.intersection(files)):
            path = Path(folder) / name
            if name in found and path.resolve() != found[name].resolve():
                raise ValueError(
                    f"{name} occurs twice: {found[name]} and {path}; remove one, or leave a folder out with ignore= "
                    "(--ignore FOLDER)"
                )
            found.setdefault(name, path)
    return found
