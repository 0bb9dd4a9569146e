"""Every lesson of the course runs with a converted checkpoint."""

import json
from pathlib import Path

import pytest
from lessons import LESSONS, ROOT, execute, parameters

from llamavid_kit.model.original.convert import convert

pytestmark = pytest.mark.slow

CASE = ROOT / "llamavid_kit" / "assets" / "case01"


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    """The small checkpoint of the original as a folder of ours: other sizes, another template, random weights."""
    folder = tmp_path_factory.mktemp("checkpoint") / "converted"
    heads = json.loads((CASE / "tiny_dims.json").read_text())["vision"]["num_heads"]
    convert(CASE / "checkpoint", out=folder, vision_heads=heads)
    return folder


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_with_a_converted_checkpoint(name, tmp_path, monkeypatch, converted):
    """Only the parameters cell changes: no size of the tiny model is written down anywhere. The quick way, if any."""
    quick = {"QUICK": True} if "QUICK" in parameters(name) else {}
    execute(name, tmp_path, monkeypatch, MODEL=str(converted), **quick)
