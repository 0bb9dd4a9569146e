"""A selection of `make torture`: nothing lost, and the table says what was tried."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TORTURE = Path(__file__).parent / "torture"


@pytest.mark.parametrize(
    ("part", "share"),
    [("kills", 0.1), ("videos", 0.05), ("frames", 0.1), ("texts", 0.05), ("wrong", 1), ("strangers", 0.1)],
)
def test_nothing_is_lost(part, share):
    argv = [sys.executable, str(TORTURE), part, "--share", str(share)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-1000:]
    assert "nothing lost" in ended.stdout and f"| **{part}** |" in ended.stdout


def test_a_loss_is_counted_and_said(monkeypatch, capsys):
    """The harness itself: what is lost is named, counted by kind, and ends the command with 1."""
    monkeypatch.syspath_prepend(str(TORTURE))
    from harness import Table

    table = Table("part")
    table.count("kind", True, "one")
    table.count("kind", False, "another")
    assert (table.tried["kind"], table.survived["kind"], table.n_lost) == (2, 1, 1)
    assert capsys.readouterr().out == "LOST  part, kind: another\n"
