"""Fixtures of all tests: the reference folders (`outside.py` says where they lie) and the small model."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from outside import outside_folder

# Before torch is imported: MKL's sums otherwise depend on where a tensor lies in memory, and a near tie flips a reply.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
import declared  # noqa: F401


def _fixture(variable: str) -> Path:
    folder = outside_folder(variable)
    if folder is None:
        pytest.skip(f"no {variable} folder: set {variable} to the folder of reference files")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference tensors of the original code."""
    return _fixture("LLAMAVID_REFERENCE")


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of real annotation files, predictions and clips."""
    return _fixture("LLAMAVID_REAL")


@pytest.fixture
def in_this_process(monkeypatch):
    """Videos are read here instead of in a worker, for tests that change how they are read."""
    from llamavid_kit.data import video_readers, video_worker

    def run(function, path, *args, shape=None):
        answer = function(path.absolute(), *args)
        return np.stack([*answer]) if shape else answer

    monkeypatch.setattr(video_worker, "run", run)
    monkeypatch.setattr(video_readers, "_OPEN", OrderedDict())


@pytest.fixture(scope="session")
def tokenizers():
    """The small model's two tokenizers."""
    import small

    return small.tokenizers()


@pytest.fixture(scope="session")
def model(tokenizers):
    """The small random model, shared: a test that changes a model makes its own with `small.small_model`."""
    import small

    return small.small_model(*tokenizers)


@pytest.fixture
def films(tmp_path):
    """Folder of made-up films, each test's own."""
    from made_up_films import make_films

    return make_films(tmp_path / "films")


@pytest.fixture
def animals(tmp_path):
    """Folder of made-up Animal Kingdom lists, each test's own."""
    from made_up_animals import make_lists

    return make_lists(tmp_path / "animals")


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory, tokenizers):
    """Folder of a small random chat model."""
    import small

    return small.chat_model(tokenizers[0], tmp_path_factory.mktemp("chat_model"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where a reference folder is named, a skip of a test that uses it is a failure."""
    report = yield
    wants = {"reference": "LLAMAVID_REFERENCE", "real": "LLAMAVID_REAL"}
    named = [v for f, v in wants.items() if f in getattr(item, "fixturenames", ()) and os.environ.get(v)]
    if named and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {named[0]} is set: {report.longrepr}"
    return report
