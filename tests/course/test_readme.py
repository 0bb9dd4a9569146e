"""README and guides are the front door: every command in them runs, every file that they name exists.

Each page runs in an empty folder of its own, with nothing but the installed kit: its blocks in order, bash line by
line, a python block as one script, a `csv NAME` block as a file. The text block after a command is what it prints, "…"
for anything. A block marked `fails` is refused with that text; one marked `GPU` or `interactive` is checked by `--help`
alone, what stands behind `accelerate launch` like any other; `make` lines are run by CI itself, and `pip install` of
the kit by its `make wheel`.
"""

import ast
import contextlib
import importlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "notebooks" / "guides"
TEACHING = ROOT / "notebooks" / "TEACHING.md"
PAGES = {path.stem: path for path in (ROOT / "README.md", TEACHING, *sorted(GUIDES.glob("*.md")))}
LONGEST_README = 144
NOT_RUN = {"GPU", "interactive"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
DRAWS = "python -m data_prep toy"


@dataclass(frozen=True)
class Block:
    """A fenced block. marks: the words after its language; shown: the text block right after it, or ""."""

    language: str
    marks: tuple[str, ...]
    body: str
    shown: str

    @property
    def run(self) -> bool:
        return not NOT_RUN & set(self.marks)

    @property
    def lines(self) -> list[str]:
        return [line for line in self.body.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def blocks(page: str) -> list[Block]:
    text = PAGES[page].read_text(encoding="utf-8")
    found = list(re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```\n?", text, re.S | re.M))
    made = []
    for block, after in zip(found, [*found[1:], None], strict=False):
        follows = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
        made.append(Block(block[1], tuple(block[2].split()), block[3], after[3] if follows and after else ""))
    return made


def prose(page: str) -> str:
    return re.sub(r"^```.*?^```", "", PAGES[page].read_text(encoding="utf-8"), flags=re.S | re.M)


def inline(page: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def check_shown(shown: str, output: str, command: str) -> None:
    """What the page shows stands in the output, line breaks aside."""
    pattern = ".*?".join(re.escape(part) for part in " ".join(shown.split()).split("…"))
    found = re.search(pattern, " ".join(output.split()))
    assert found, f"{command}\n--- the page shows\n{shown}\n--- it gives\n{output}"


def run(command: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def script(body: str) -> str:
    """A python block, in this process and in names of its own → what it prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(body, "<page>", "exec"), {"__name__": "__main__"})
    return said.getvalue()


def call(words: list[str]) -> tuple[int, str]:
    """`python -m PACKAGE …` in this process → exit status, all that it says."""
    assert words[:2] == ["python", "-m"], words
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = importlib.import_module(f"{words[2]}.__main__").main(words[3:])
        except SystemExit as stopped:
            status = stopped.code
    return int(status or 0), said.getvalue()


@cache
def help_of(package: str, command: str) -> str:
    return call(["python", "-m", package, command, "--help"])[1]


def commands(package: str) -> list[str]:
    return list(importlib.import_module(f"{package}.__main__").COMMANDS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Command that draws clips → what it has drawn: the same command on another page then finds its clips there."""
    return {}, tmp_path_factory.mktemp("drawn")


def draw(command: str, folder: Path, drawn: tuple[dict[str, Path], Path]) -> None:
    made, kept = drawn
    words = shlex.split(command)
    name = words[words.index("--out") + 1]
    if command in made:
        shutil.copytree(made[command], folder / name)
    run(command, folder)
    if command not in made:
        made[command] = kept / str(len(made))
        shutil.copytree(folder / name, made[command])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands(page, tmp_path, monkeypatch, drawn):
    """In the page's order, all in one folder that was empty."""
    monkeypatch.chdir(tmp_path)
    for block in filter(lambda block: block.run, blocks(page)):
        if block.language == "csv":
            (tmp_path / block.marks[0]).write_text(block.body, encoding="utf-8")
        elif block.language == "python":
            check_shown(block.shown, script(block.body), block.body)
        elif block.language == "bash" and "fails" in block.marks:
            (command,) = block.lines
            status, said = call(shlex.split(command))
            assert status, f"{command} was to fail"
            check_shown(block.shown, said, command)
        elif block.language == "bash":
            for command in (line for line in block.lines if not line.startswith("make ")):
                if command.startswith(DRAWS):
                    draw(command, tmp_path, drawn)
                else:
                    check_shown(block.shown, run(command, tmp_path), command)


@pytest.mark.parametrize("page", PAGES)
def test_marked_commands_know_their_options(page, tmp_path):
    """A command for a GPU or a person is not run, but every option in it must exist, and every name of the kit."""
    for block in blocks(page):
        if block.run:
            continue
        if block.language == "python":
            ast.parse(block.body)
        if block.language == "yaml":
            (tmp_path / "machine.yaml").write_text(block.body)
            load_config_from_file(str(tmp_path / "machine.yaml"))  # raises ValueError for a key that it does not know
        for words in map(shlex.split, block.lines if block.language == "bash" else ()):
            if words[0] == "make":
                continue
            if words[0] == "pip":
                assert set(re.findall(r"\[(\w+)\]", words[-1])) <= EXTRAS.keys(), words
                continue
            if words[:2] == ["accelerate", "launch"]:
                launched = launch_command_parser().parse_args(words[2:])
                words = ["python", "-m" if launched.module else "", launched.training_script]
                words += launched.training_script_args
            assert words[:2] == ["python", "-m"] and words[3] in commands(words[2]), words
            for option in (word for word in words if word.startswith("--")):
                assert option in help_of(*words[2:4]), f"{option} of {words}"


@pytest.mark.parametrize("page", PAGES)
def test_names_in_the_text_exist(page):
    """Targets of make, commands, options and public names, in sentences as in blocks."""
    import llamavid_kit

    text = PAGES[page].read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make (\w+)", text, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for name in set(re.findall(r"\blvk\.(\w+)", text)):
        assert name in llamavid_kit.__all__, f"lvk.{name}"
    for package, command in set(re.findall(r"python -m (\w+) ([a-z][\w-]*)", text)):
        assert command in commands(package), f"{package} {command}"
    for module in set(re.findall(r"python -m ([\w.]+)", text)):
        assert importlib.util.find_spec(module), module
    options = {option for code in inline(page) for option in re.findall(r"(?<!\S)--[a-z][\w-]*", code)}
    known = "".join(help_of(package, name) for package in ("llamavid_kit", "data_prep") for name in commands(package))
    assert not [option for option in options if not re.search(rf"{option}(?![\w-])", known)]


def slugs(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    made = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", [*PAGES, "LOG"])
def test_links(page):
    """Links to files of the repository lead somewhere, down to the heading."""
    path = PAGES.get(page, ROOT / "notebooks" / "LOG.md")
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            assert anchor in slugs(linked), target


def test_the_readme_is_a_door():
    """Short, and it leads to every page; the notebooks' links into it hold."""
    text = PAGES["README"].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_README
    others = [path.relative_to(ROOT).as_posix() for page, path in PAGES.items() if page != "README"]
    missing = [path for path in others if f"]({path})" not in text]
    assert not missing, f"link {missing} from the README"
    for book in (ROOT / "notebooks").glob("*.ipynb"):
        for anchor in re.findall(r"\.\./README\.md#([\w-]+)", book.read_text(encoding="utf-8")):
            assert anchor in slugs(PAGES["README"]), f"{book.name}: README.md#{anchor}"


@pytest.mark.parametrize("package", ["llamavid_kit", "data_prep"])
def test_every_command_is_listed(package):
    section = PAGES["commands"].read_text(encoding="utf-8").split(f"## `python -m {package} …`")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([\w-]+)`", section, re.M)
    assert listed == commands(package), "notebooks/guides/commands.md lists other commands, or in another order"


def test_the_map_of_the_readme():
    """Where is …: every place exists."""
    section = PAGES["README"].read_text(encoding="utf-8").split("## Map")[1].split("\n## ")[0]
    places = re.findall(r"`([\w/]+(?:\.py|/))`", section)
    assert len(places) > 12
    gone = [place for place in places if place != "llamavid_kit/" and not (ROOT / "llamavid_kit" / place).exists()]
    assert not gone, f"README.md, the table below Map: {gone} have moved"


def test_the_drawn_map():
    """Every room is drawn, and every file in it exists."""
    picture = ROOT / "notebooks" / "pictures" / "house.svg"
    svg = ElementTree.parse(picture).getroot()
    rooms = {group.get("data-room"): group for group in svg.findall("{*}g") if group.get("data-room")}
    packages = [folder.parent for folder in (ROOT / "llamavid_kit").glob("*/__init__.py")]
    assert set(rooms) == {"data_prep", *(folder.relative_to(ROOT).as_posix() for folder in packages)}
    for room, group in rooms.items():
        words = [word for text in group.iter() for word in f"{text.text or ''} {text.tail or ''}".split()]
        files = [word for word in words if word.endswith((".py", "/")) and word != f"{room.split('/')[-1]}/"]
        gone = [file for file in files if not (ROOT / room / file).exists()]
        assert not gone, f"{picture.name} shows {gone} in {room}: write their new names there"
    assert min(int(size) for size in re.findall(r"font[^;}]*?(\d+)px", picture.read_text())) >= 12


def test_file_tree():
    """Every line of the tree is a file; every module beside a listed one has its line."""
    page = PAGES["files"]
    tree = next(block.body for block in blocks("files") if block.language == "text")
    listed: list[Path] = []
    above: list[Path] = []
    for line in filter(str.strip, tree.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        name, *words = line.split()
        path = (above[depth - 1] if depth else ROOT) / name
        shown = path.relative_to(ROOT).as_posix()
        assert path.exists(), f"{page.name} lists {shown}, which is not there: rename its line or take it out"
        assert words, f"{page.name}: say in a few words what {shown} is"
        above[depth:] = [path]
        listed.append(path)
    for folder in {path.parent for path in listed} - {ROOT, ROOT / "notebooks", ROOT / "tests"}:
        modules = [path for path in folder.glob("*") if path.suffix == ".py" or (path / "__init__.py").is_file()]
        absent = [path for path in modules if not path.stem.startswith("__") and path not in listed]
        names = sorted(path.relative_to(ROOT).as_posix() for path in absent)
        assert not names, f"{page.name} lacks {names}: give each a line in its folder's part of the tree"


def test_the_log_begins_with_a_table():
    """Newest first; every commit of a row stands in the entries below, every entry has a row."""
    table, entries = (ROOT / "notebooks" / "LOG.md").read_text(encoding="utf-8").split("\n## ", 1)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if re.match(r"\| \d", line)]
    assert all(len(row) == 6 and all(row) for row in rows)
    for part in table.split("\n\n"):
        dates = re.findall(r"^\| (\d{4}-\d\d-\d\d) \|", part, re.M)
        assert dates == sorted(dates, reverse=True)
    for commit in {word for row in rows for word in re.findall(r"\b[0-9a-f]{7}\b", row[1])}:
        assert commit in entries, f"LOG.md: no entry names commit {commit}"
    dated = re.findall(r"^(?:## |<summary><b>)?(\d{4}-\d\d-\d\d): ", f"## {entries}", re.M)
    assert set(dated) == {row[0] for row in rows}, "LOG.md: an entry without a row in the table, or the other way round"
