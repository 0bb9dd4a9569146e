"""The front doors agree: pyproject is the one source of dependencies, and what CI ran lies within its ranges."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = packages_distributions()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def requirements():
    extras = [r for group in PROJECT["optional-dependencies"].values() for r in group]
    return [Requirement(r) for r in [*PROJECT["dependencies"], *extras] if not r.startswith("llamavid-kit")]


def test_constraints_lie_within_the_ranges():
    """Every dependency that this platform installs is pinned, at a version that its range admits."""
    versions = pinned()
    for need in requirements():
        if (need.marker and not need.marker.evaluate()) or need.name == "bitsandbytes":
            continue
        assert need.specifier.contains(versions[need.name.lower()]), need


def test_both_environments_are_admitted():
    """CPU: torch 2.13, transformers 5.23; GPU: torch 2.11, transformers 5.17, peft 0.21 on Python 3.12."""
    ranges = {need.name: need.specifier for need in requirements()}
    both = {"torch": ("2.11.0", "2.13.0"), "transformers": ("5.17.0", "5.23.0"), "peft": ("0.21.0",)}
    for name, versions in both.items():
        assert all(ranges[name].contains(v) for v in versions)
    assert PROJECT["requires-python"] == ">=3.11"


def test_environment_yml_only_points_at_pyproject():
    """No version lives in two places."""
    parts = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert parts[0] == "python" + PROJECT["requires-python"]
    assert parts[1] == "pip" and parts[2] == {"pip": ["-c constraints.txt", "-e .[notebooks,test]"]}
    assert {"notebooks", "test"} <= PROJECT["optional-dependencies"].keys()


def test_constraints_are_exact():
    """constraints.txt holds versions and nothing else: no path, no address."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.\-+!]+", line), line


def test_every_public_name_is_there():
    import llamavid_kit

    for name in llamavid_kit.__all__:
        assert getattr(llamavid_kit, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = llamavid_kit.nothing


NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
COME_ALONG = {"ipython"}  # with ipykernel


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_needs_one_pip_install(path):
    """It imports what comes with the wheel, reaches for no file of the checkout, and names its kernel."""
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["notebooks"]]
    installs = {Requirement(need).name.lower() for need in needed} | COME_ALONG
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    book = nbformat.read(path, as_version=4)
    assert book.metadata.kernelspec.name == "python3"
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    for name in names - {*own} - sys.stdlib_module_names:
        assert {dist.lower() for dist in DISTRIBUTIONS[name]} & installs, f"{name} is not installed with the kit"
    assert not re.search(r"__file__\)\.parents|\.\./|[\"']tests", code), "a file of the checkout"
