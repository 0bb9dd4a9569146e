"""A JupyterLab server of a test's own, and a headless Chromium that reports what it loads and what it complains of.

Nothing is shared with other tests or with the person's own Jupyter: configuration, runtime files and user settings lie
in a temporary folder, and the server itself says which port it found free.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import outside

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# said where a widget's code took over two seconds; the kit's figures do not depend on it, and tests look at them
SLOW = "[anywidget] Failed to initialize model."
SETTINGS = {  # every cell is in the page, on the screen or not; nobody asks whether to fetch news
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
PATIENCE_S = 120  # for anything that a slow machine may take long for; nothing waits longer than it must


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serves folder/notebooks; the address without a slash at its end."""
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for name, setting in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting))
    own = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))  # kernels import this checkout
    env = {**os.environ, **own, "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--allow-root",
                "--no-browser",
                "--ip=127.0.0.1",
                "--IdentityProvider.token=",
                "--ServerApp.password=",
                f"--ServerApp.root_dir={folder / 'notebooks'}",
                "--LabApp.news_url=None",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--LabApp.extension_manager=readonly",
                f"--LabApp.workspaces_dir={folder / 'workspaces'}",
                f"--LabApp.user_settings_dir={folder / 'settings'}",
            ],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(server, folder)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(server: subprocess.Popen, folder: Path) -> str:
    """Where the server answers, by the file that it writes once it has a port."""
    said = folder / "JUPYTER_RUNTIME_DIR" / f"jpserver-{server.pid}.json"
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            address = f"http://127.0.0.1:{json.loads(said.read_text())['port']}"
            urllib.request.urlopen(f"{address}/api/status", timeout=10)
            return address
        except (OSError, ValueError):  # not written yet, half written, or not answering yet
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not come up:\n{(folder / 'lab.log').read_text()[-2000:]}")


@contextmanager
def chromium() -> Iterator:
    """Playwright's browser over the system's Chromium."""
    from playwright.sync_api import sync_playwright

    flags = [*FLAGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=outside.chromium(), args=flags)
        yield browser
        browser.close()


class Watch:
    """What a browser context asked for and complained of. `complaints()` is [] where all is well."""

    def __init__(self, context, *, allowed: str = ""):
        """allowed: host:port that may be asked; "" allows files and data only."""
        self.allowed, self.errors, self.asked = allowed, [], []
        context.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", lambda request: self.asked.append(request.url))
        context.route(self._is_elsewhere, lambda route: route.abort())  # a fault does not get off this machine
        context.on("page", lambda page: page.on("websocket", lambda socket: self.asked.append(socket.url)))

    def _is_elsewhere(self, url: str) -> bool:
        at = urlsplit(url)
        return at.scheme not in ("data", "blob", "file", "about") and at.netloc != self.allowed

    def complaints(self) -> list[str]:
        elsewhere = [url for url in self.asked if self._is_elsewhere(url)]
        errors = [text for text in self.errors if SLOW not in text]
        return [f"console: {text}" for text in errors] + [f"asked {url}" for url in elsewhere]


def bare(source: Path, target: Path) -> Path:
    """The notebook without outputs and counts, so that whatever the page shows was made there."""
    book = nbformat.read(source, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(book, target)
    return target


def open_and_run(page, address: str, name: str, *, patience_s: float = 300) -> None:
    """Open notebook `name` of the server, Run All Cells, wait until the last has run and none has failed."""
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=1000 * PATIENCE_S)
    # asked to run before its kernel is there, JupyterLab opens a dialog instead
    page.wait_for_selector(".jp-Toolbar-kernelName >> text=Python 3", timeout=1000 * PATIENCE_S)
    page.wait_for_selector("text=/Python 3.*[|] Idle/", timeout=1000 * PATIENCE_S)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
        const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
        const done = cells.every(c => /\\[\\d+\\]/.test(c.querySelector('.jp-InputPrompt').textContent));
        const complaints = [...document.querySelectorAll('.jp-OutputArea-output[data-mime-type*="stderr"]')];
        return done || complaints.some(o => /Traceback|Error/.test(o.textContent));  // not a progress bar
    }""",
        polling=500,
        timeout=1000 * patience_s,
    )
    failed = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert not failed.count(), failed.first.inner_text()


def saved(page, path: Path) -> list:
    """Save the open notebook, all of which was run; its code cells as they then lie on the disk."""
    page.locator("[data-command='docmanager:save']").first.click()
    end = time.monotonic() + PATIENCE_S
    while True:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        if [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)):
            return cells
        assert time.monotonic() < end, f"{path.name} is not on the disk as it was run"
        page.wait_for_timeout(200)
