"""Where a page comes from: when its run answered, with which versions, and the command and commit that wrote it."""

import html
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from IPython.display import HTML

from llamavid_kit.experiments.run import Run

PACKAGE = Path(__file__).resolve().parents[2]
PACKAGES = ("llamavid-kit", "torch", "transformers")


def command_line() -> str:
    """The command that this process is, as it can be typed; "" where Python called us otherwise.

    Of a folder from the root of the disk only the last part stands there: a page is passed on.
    """
    called, *words = sys.argv
    if called == str(PACKAGE / "__main__.py"):
        start = "python -m llamavid_kit"
    elif Path(called).name == "llamavid-kit":
        start = "llamavid-kit"
    else:
        return ""
    short = [re.sub(r"^(--[\w-]+=)?/.*/(?=.)", r"\1", word) for word in words]
    return f"{start} {shlex.join(short)}"


def commit() -> str:
    """Of this code, where it lies in a clone; "" for an installed package."""
    if not (PACKAGE.parent / ".git").exists():
        return ""
    git = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def provenance(run: Run, command: str) -> HTML:
    """One line of small print. command: as of `command_line`; "" says that Python wrote the page.

    The date is the last reply's, so that a page that is written again from the same run stays the same.
    """
    last_s = max((run.folder / "arms" / f"{arm.name}.jsonl").stat().st_mtime for arm in run.arms)
    versions = run.config.get("versions") or {}
    packages = [f"{name} {versions[name]}" for name in PACKAGES if name in versions]
    parts = [f"Last reply: {datetime.fromtimestamp(last_s, UTC):%Y-%m-%d %H:%M} UTC"]
    parts += [f"answered by {', '.join(packages)}"] if packages else []
    code = " ".join(filter(None, (version("llamavid-kit"), commit() and f"(commit {commit()})")))
    parts.append(f"page written by llamavid-kit {code}")
    how = f"with <code>{html.escape(command)}</code>" if command else "from Python, by <code>write_report</code>"
    return HTML(f'<p class="small">{html.escape("; ".join(parts))}, {how}.</p>')
