"""The notebook of attention maps is fit to be kept, and prints what it printed when it was saved."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "06_attention_maps.ipynb"


def test_the_notebook_is_small_has_no_widget_state_and_more_prose_than_code():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < 500_000 and "widgets" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert code[0] is notebook.cells[1] and code[0].metadata["tags"] == ["parameters"]
    assert code[0].source == 'MODEL = "tiny"'
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert len(" ".join(prose).split()) >= 4 * len(lines) and max(len(c.source.splitlines()) for c in code) <= 25
    for cell in code:
        outputs = [set(output.get("data", {})) for output in cell.outputs]
        if any("application/vnd.jupyter.widget-view+json" in kinds for kinds in outputs):
            assert any("image/jpeg" in kinds for kinds in outputs), cell.source  # for readers without a kernel


def printed(notebook) -> list[str]:
    """What each cell says; a kernel may hand it over in one piece or in several."""
    cells = [[o.text for o in cell.get("outputs", []) if o.get("name") == "stdout"] for cell in notebook.cells]
    return ["".join(pieces) for pieces in cells]


@pytest.mark.slow
def test_the_notebook_runs_and_prints_what_it_says():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    saved = printed(notebook)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    now = printed(notebook)
    assert now == saved
