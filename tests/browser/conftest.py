"""One JupyterLab and one Chromium for all browser tests; pages that report what they asked for and complained of.

Whatever a page complains of in its console, and every request to another host, is a failure. Each test leaves its
screenshots in its tmp_path.
"""

import json
from pathlib import Path

import lab
import made_up_runs
import nbformat
import outside
import pytest
import small

LABELS = ("Red", "Dark Blue", "Nothing")  # one with a blank, which a dropdown shows otherwise


@pytest.fixture(scope="session")
def chromium():
    if outside.chromium() is None:
        pytest.skip("browser tests need Chromium and playwright: apt-get install chromium, pip install playwright")
    with lab.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """(folder of its notebooks, address) of a JupyterLab of these tests' own."""
    folder = tmp_path_factory.mktemp("lab")
    with lab.jupyter_lab(folder) as address:
        yield folder / "notebooks", address


@pytest.fixture
def page(chromium, server, tmp_path):
    """An empty page as wide as a small laptop, which may ask the server and nobody else, and must not complain."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    watch = lab.Watch(context, allowed=server[1].removeprefix("http://"))
    page = context.new_page()
    page.set_default_timeout(1000 * lab.PATIENCE_S)
    yield page
    page.screenshot(path=tmp_path / "last.png")
    context.close()
    assert watch.complaints() == []


@pytest.fixture
def opened(page, server, tmp_path):
    """Runs cells in a notebook of its own, named after the test."""

    def run(*sources: str):
        name = f"{tmp_path.name}.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), server[0] / name)
        lab.open_and_run(page, server[1], name)
        page.locator(".js-plotly-plot .main-svg").first.wait_for()

    return run


@pytest.fixture
def alone(chromium):
    """A page that may ask nobody at all; fails where it tried, or complained."""
    context = chromium.new_context(viewport={"width": 1120, "height": 900}, offline=True)
    watch = lab.Watch(context)
    yield context.new_page()
    context.close()
    assert watch.complaints() == []


@pytest.fixture
def made_up_run(tmp_path) -> Path:
    """A run of 12 clips with likelihoods, and the clips."""
    made = made_up_runs.MadeUp({(True, 1): 0.3, (True, 6): 0.6}, n_test=12, labels=LABELS, groups=False)
    run = made_up_runs.write_run(tmp_path / "run", made)
    for pair in json.loads((run / "clips.json").read_text())["test"]:
        small.write_clip(tmp_path / pair["video"], seconds=int(made_up_runs.LENGTH_S), fps=6)
    return run
