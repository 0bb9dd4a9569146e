"""What tests use that lies outside the checkout: the reference folders, and a browser. Only this file knows where.

A test asks for the fixtures of `conftest.py` and of `browser/conftest.py`.

`LLAMAVID_REFERENCE` and `LLAMAVID_REAL` name folders of reference tensors and of real files. Without the
variable the folders beside the checkout are tried, and a test that finds none skips with the reason. Where a
variable is set, a skipped test is a failed test: whoever names the folder wants the whole suite.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"LLAMAVID_REFERENCE": "reference", "LLAMAVID_REAL": "real"}


def outside_folder(variable: str) -> Path | None:
    """The folder that `variable` names, else the one beside the checkout, else None."""
    if named := os.environ.get(variable):
        path = Path(named).resolve()
        if not path.is_dir():
            raise pytest.UsageError(f"{variable}={named} is not a folder")
        return path
    beside = ROOT.parent / "shared" / FOLDERS[variable]
    return beside if beside.is_dir() else None


def chromium() -> str | None:
    """The system's Chromium, or None where there is none or no playwright to drive it."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return next(found, None) if find_spec("playwright") else None
