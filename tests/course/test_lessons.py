"""Every lesson of the course runs top to bottom in a fresh kernel, as it is.

Where a browser is, `browser/test_in_jupyterlab.py` does that to two of them.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from lessons import IN_BROWSER, LESSONS, execute, installed
from outside import chromium

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [n for n in LESSONS if not (n in IN_BROWSER and chromium())])
def test_a_lesson_runs_in_a_fresh_kernel(name, tmp_path, monkeypatch):
    """With nothing beside it, of the kit only what a wheel holds, and without a word on stderr."""
    done = execute(name, tmp_path, monkeypatch)
    errors = [o.text for c in done.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]
    assert not errors


def test_what_the_lessons_import_is_not_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", installed().name)
    ask = "import llamavid_kit, data_prep; print(llamavid_kit.__file__, data_prep.__file__, sep='\\n')"
    said = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [Path(line).parents[1] for line in said.split()] == [Path(installed().name)] * 2
