"""Every lesson of the course runs top to bottom in a fresh kernel, as it is."""

import pytest
from lessons import LESSONS, execute


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_in_a_fresh_kernel(name, tmp_path, monkeypatch):
    """With nothing beside it, and without a word on stderr."""
    done = execute(name, tmp_path, monkeypatch)
    said = [o.text for c in done.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]
    assert not said
