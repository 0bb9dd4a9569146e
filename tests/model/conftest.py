"""A model, and folders of the original, that a test may change."""

import shutil
from pathlib import Path

import pytest
import torch
from case01 import CASE
from small import small_model

from llamavid_kit.model.original.tensors import original_tensors


@pytest.fixture
def own_model(tokenizers):
    """A model that the test may change."""
    return small_model(*tokenizers)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the checkpoint with its EVA file and BERT folder beside it."""
    shutil.copytree(CASE, tmp_path / "case")
    return tmp_path / "case" / "checkpoint"


@pytest.fixture(params=["float32", "float16", "bfloat16"])
def original(request, tmp_path) -> Path:
    """Case 01 with its checkpoint in another precision; the projectors stay float32, as mixed files exist."""
    shutil.copytree(CASE, tmp_path / "case")
    folder = tmp_path / "case" / "checkpoint"
    for file, tensors in original_tensors(folder):
        cast = {n: t.clone() if "proj" in n else t.to(getattr(torch, request.param)) for n, t in tensors.items()}
        (folder / file).unlink()
        torch.save({n: t if t.is_floating_point() else tensors[n] for n, t in cast.items()}, folder / file)
    return folder
