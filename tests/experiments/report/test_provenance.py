"""The small print says when a run answered, and which command and code wrote the page."""

import os
import subprocess
from importlib.metadata import version

import pytest

from llamavid_kit.experiments.report import provenance
from llamavid_kit.experiments.report.provenance import PACKAGE, command_line, commit


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ([str(PACKAGE / "__main__.py"), "demo", "--quick"], "python -m llamavid_kit demo --quick"),
        (
            ["/home/me/bin/llamavid-kit", "ablate", "--clips", "my clips.csv"],
            "llamavid-kit ablate --clips 'my clips.csv'",
        ),
        (["llamavid-kit", "--out=/home/me/runs/a", "/data/x/", "runs/b"], "llamavid-kit --out=a x/ runs/b"),
        (["/usr/bin/pytest", "-q"], ""),
    ],
)
def test_the_command_as_it_can_be_typed_without_the_machines_folders(monkeypatch, argv, command):
    monkeypatch.setattr("sys.argv", argv)
    assert command_line() == command


def test_the_commit_is_the_clones(monkeypatch, tmp_path):
    if (PACKAGE.parent / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PACKAGE, capture_output=True, text=True).stdout
        assert head.startswith(commit().removesuffix("-dirty")) and len(commit()) >= 7
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "site-packages" / "llamavid_kit")
    assert commit() == ""


def test_the_line_is_the_runs_and_does_not_change_when_written_again(runs):
    run = runs["one_rate"]
    for arm in run.arms:
        os.utime(run.folder / "arms" / f"{arm.name}.jsonl", (0, 0))
    os.utime(run.folder / "arms" / f"{run.arms[1].name}.jsonl", (86_400, 86_400))
    line = provenance.provenance(run, "python -m llamavid_kit ablate --clips '<b>'").data
    assert "Last reply: 1970-01-02 00:00 UTC" in line and f"llamavid-kit {version('llamavid-kit')}" in line
    assert "<code>python -m llamavid_kit ablate --clips &#x27;&lt;b&gt;&#x27;</code>" in line
    assert provenance.provenance(run, "").data.endswith("from Python, by <code>write_report</code>.</p>")
