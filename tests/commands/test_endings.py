"""Guards how a command ends: a place that cannot be written is one sentence with its path, Ctrl-C one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import write_clip

from data_prep.__main__ import main as prepare
from llamavid_kit import files
from llamavid_kit.__main__ import COMMANDS, main
from llamavid_kit.commands import checkpoints
from llamavid_kit.viz.overlay import picture_path

CONVERTED = Path(__file__).parents[2] / "llamavid_kit" / "assets" / "tiny"


@pytest.mark.parametrize(
    "command",
    [
        ["ask", "{clip}", "What happens?", "--attention", "{file}/a.png"],
        ["attention", "{clip}", "What happens?", "--out", "{file}/a.png"],
        ["attention", "{clip}", "What happens?", "--out", "{folder}.png"],
        ["export", "{tiny}", "--out", "{file}"],
        ["export", "{tiny}", "--out", "{file}/deeper"],
        ["restudy", "--out", "{file}"],
        ["prepare", "toy", "--out", "{file}", "--train", "1", "--test", "1"],
    ],
)
def test_a_place_that_cannot_be_written(tmp_path, capsys, command):
    """Its path, and no number of an error, whichever command writes there."""
    clip = write_clip(tmp_path / "clip.mp4")
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.png").mkdir()
    places = {"clip": clip, "file": tmp_path / "file", "folder": tmp_path / "folder", "tiny": CONVERTED}
    words = [word.format(**places) for word in command]
    assert (prepare(words[1:]) if words[0] == "prepare" else main(words)) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}") and "cannot be read or written: " in last and "Errno" not in last


def test_the_path_of_a_picture(tmp_path, capsys):
    """PNG where the name says nothing, and said so; a format that is not known is refused before the model is asked."""
    clip = write_clip(tmp_path / "clip.mp4")
    assert main(["ask", str(clip), "What happens?", "--attention", str(tmp_path / "att")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"context attention: {tmp_path / 'att.png'}"
    assert (tmp_path / "att.png").read_bytes().startswith(b"\x89PNG") and not (tmp_path / "att").exists()
    for name in ("x.gif", "x.mp4", "v1.5"):
        assert main(["attention", str(clip), "What happens?", "--out", str(tmp_path / name)]) == 2
        printed = capsys.readouterr()
        assert f"{tmp_path / name}: pictures are written as .png" in printed.err and not printed.out
    assert picture_path("a.JPG") == Path("a.JPG") and picture_path("b/c") == Path("b/c.png")


FULL = "the memory of this machine is full: ask for less at a time (--batch, --fps), or free some"


class PanicException(BaseException):
    """As pyo3 calls what Rust throws."""


def interrupted(*_):
    raise KeyboardInterrupt


def test_ctrl_c_in_a_command(monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "doctor", interrupted)
    assert main(["doctor", "x"]) == 130 and capsys.readouterr().err == "interrupted\n"
    assert files.exit_status(interrupted) == 130 and set(COMMANDS) >= {"doctor"}


SLOW = """
import sys, time
from llamavid_kit.__main__ import main
from llamavid_kit.commands import checkpoints
checkpoints.doctor = lambda args: print("begun", flush=True) or time.sleep(60)
sys.exit(main(["doctor", "x"]))
"""


def test_ctrl_c_from_outside():
    """The signal itself, at a command that works: one line, no traceback."""
    process = subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == "interrupted\n"


FREED = """
import os, signal, sys, time
from llamavid_kit.files import exit_status

class Freed:
    def __del__(self):
        signal.raise_signal(getattr(signal, sys.argv[1]))
        time.sleep(0)

def command():
    Freed()
    time.sleep(60)

sys.exit(exit_status(command))
"""


@pytest.mark.parametrize(("name", "status", "said"), [("SIGINT", 130, "interrupted\n"), ("SIGTERM", 143, "")])
def test_a_stop_while_an_object_is_freed(name, status, said):
    """Python drops an exception there, and a report went on as if nobody had pressed Ctrl-C."""
    done = subprocess.run([sys.executable, "-c", FREED, name], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "No", "/x/y"), "/x/y cannot be read or written: No; name another path"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (FileNotFoundError("x is not a folder"), "x is not a folder"),
        (ValueError("fps=6"), "fps=6"),
        (MemoryError(), f"{FULL}; no more is said"),
        (RuntimeError("CUDA out of memory.\n Tried"), f"{FULL}; CUDA out of memory. Tried"),
        (RuntimeError("could not create a primitive"), f"{FULL}; could not create a primitive"),
        (RuntimeError("std::bad_alloc"), f"{FULL}; std::bad_alloc"),
        (ImportError("x.so: failed to map segment"), f"{FULL}; x.so: failed to map segment"),
        (PanicException("Resource temporarily unavailable"), f"{FULL}; Resource temporarily unavailable"),
    ],
)
def test_the_line_of_an_error(capsys, error, line):
    def command():
        raise error

    assert files.exit_status(command) == 2 and capsys.readouterr().err == f"error: {line}\n"


def test_a_fault_of_ours_is_no_error_of_the_user():
    def command():
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        files.exit_status(command)


def test_sigterm_leaves_no_worker(tmp_path):
    """Sent to the command alone, as a scheduler does, while two processes draw; what was begun is not kept half."""
    argv = [sys.executable, "-m", "data_prep", "toy", "--out", str(tmp_path / "set"), "--train-per-class", "30"]
    command = subprocess.Popen([*argv, "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + 60
    while not list((tmp_path / "set").rglob("*.mp4")):
        assert time.monotonic() < end and command.poll() is None
        time.sleep(0.05)
    workers = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    command.send_signal(signal.SIGTERM)
    assert command.wait(60) == 143 and len(workers) >= 2
    while [pid for pid in workers if Path(f"/proc/{pid}").exists()]:  # one is multiprocessing's own, a moment later
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_while_workers_start(tmp_path):
    """A terminal sends it to all processes: those that draw are starting, and print nothing of their own."""
    argv = [sys.executable, "-m", "data_prep", "toy", "--out", str(tmp_path / "set"), "--train-per-class", "30"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    command = subprocess.Popen([*argv, "--workers", "2"], **pipes)
    children, end = Path(f"/proc/{command.pid}/task/{command.pid}/children"), time.monotonic() + 60
    while len(children.read_text().split()) < 3:  # one is multiprocessing's own
        assert time.monotonic() < end and command.poll() is None
        time.sleep(0.01)
    os.killpg(command.pid, signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 130 and "Traceback" not in errors and errors.splitlines()[-1] == "interrupted"
