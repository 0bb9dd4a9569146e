"""The course's notebooks as the tests meet them: which there are, their cells, and running one in a fresh kernel.

The rule that tells three kinds apart: a notebook whose `parameters` cell sets MODEL is a lesson (`test_lessons.py`,
`test_lessons_converted.py`); one that sets RUN is a report and runs on a finished run (`test_page.py`); one without
parameters answers the lessons' exercises (`test_exercises.py`).
"""

import shutil
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import papermill

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BOOKS = {path.stem: nbformat.read(path, as_version=4) for path in PATHS}
IN_BROWSER = ("06_attention_maps", "09_fps_ablation")  # where there is one, its tests run these as a reader does
PATIENCE_S = 600  # for one cell: a stuck kernel ends, a slow hour of a machine does not fail


def code_cells(name: str) -> list:
    return [cell for cell in BOOKS[name].cells if cell.cell_type == "code"]


def parameters(name: str) -> str:
    return next((c.source for c in code_cells(name) if "parameters" in c.metadata.get("tags", ())), "")


LESSONS = [name for name in BOOKS if parameters(name).startswith("MODEL")]
REPORTS = [name for name in BOOKS if parameters(name).startswith("RUN")]
SOLUTIONS = [name for name in BOOKS if not parameters(name)]


@cache
def installed() -> tempfile.TemporaryDirectory:
    """The kit as a wheel installs it: what pyproject packs, and nothing else of the checkout."""
    folder = tempfile.TemporaryDirectory()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, Path(folder.name) / package)
    for source, place in wheel["force-include"].items():
        shutil.copy2(ROOT / source, Path(folder.name) / place)
    return folder


def execute(name: str, folder: Path, monkeypatch, **settings):
    """The notebook after a run in `folder` with the `installed` kit, `settings` in the place of its parameters.

    One thread for each kernel.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", installed().name)
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(folder / "done.ipynb"),
        parameters=settings,
        cwd=folder,
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=PATIENCE_S,
    )
    return nbformat.read(folder / "done.ipynb", as_version=4)
