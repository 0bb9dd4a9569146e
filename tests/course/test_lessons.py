"""Every lesson of the course runs top to bottom in a fresh kernel, as it is.

Where a browser is, `browser/test_in_jupyterlab.py` does that to two of them.
"""

import pytest
from lessons import IN_BROWSER, LESSONS, execute
from outside import chromium

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [n for n in LESSONS if not (n in IN_BROWSER and chromium())])
def test_a_lesson_runs_in_a_fresh_kernel(name, tmp_path, monkeypatch):
    """With nothing beside it, and without a word on stderr."""
    done = execute(name, tmp_path, monkeypatch)
    errors = [o.text for c in done.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]
    assert not errors
