"""The README is the front door: every command in it runs, every file in its tree exists.

A ```bash block runs line by line in a copy of nothing but the installed kit: an empty folder with the repository's
`.venv`. Blocks marked `GPU` or `interactive` are checked by `--help`; `make` lines are run by CI itself.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python|csv)([^\n]*)\n(.*?)```", README, re.S)


def lines(kind: str, *, marked: bool) -> list[str]:
    found = []
    for language, info, body in BLOCKS:
        if language == kind and bool({"GPU", "interactive"} & set(info.split())) == marked:
            found += [line for line in body.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a newcomer types: the CSV that the README shows lies there as my.csv."""
    path = tmp_path_factory.mktemp("newcomer")
    csv = next(body for language, _, body in BLOCKS if language == "csv")
    (path / "my.csv").write_text(csv)
    return path


def run(command: str, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_commands(folder):
    """In the README's order, each in the same folder."""
    commands = [line for line in lines("bash", marked=False) if not line.startswith(("make ", "git ", "cd "))]
    assert len(commands) >= 5
    for command in commands:
        run(command, folder)


def test_python(folder):
    """The quick start, as one script."""
    blocks = [body for language, info, body in BLOCKS if language == "python" and "GPU" not in info]
    assert blocks
    for body in blocks:
        run(f"{shlex.quote(sys.executable)} -c {shlex.quote(body)}", folder)


@pytest.mark.parametrize("command", lines("bash", marked=True))
def test_marked_commands_know_their_options(command, folder):
    """A command for a GPU or a person is not run, but every option in it must exist."""
    words = shlex.split(command)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
        return
    assert words[:2] == ["python", "-m"], command
    shown = subprocess.run(
        [sys.executable, *words[1:4], "--help"], capture_output=True, text=True, cwd=folder, check=True
    ).stdout
    for option in (w for w in words if w.startswith("--")):
        assert option in shown, f"{option} of {command!r}"


def test_make_targets_exist():
    """Every `make x` of the README is a target."""
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_file_tree():
    """Every path of the annotated tree exists."""
    tree = re.search(r"```text\n(.*?)```", README, re.S).group(1)
    names = [line.split()[0] for line in tree.splitlines() if line.strip()]
    assert len(names) > 10
    folder = ROOT
    for line, name in zip([x for x in tree.splitlines() if x.strip()], names, strict=True):
        if not line.startswith(" "):
            folder = ROOT / name if name.endswith("/") else ROOT
            assert (ROOT / name).exists(), name
        else:
            assert (folder / name).exists(), f"{folder.name}/{name}"


def test_links():
    """Links to files of the repository lead somewhere."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", README):
        assert (ROOT / target).exists(), target
