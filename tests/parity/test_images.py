"""Pixel preprocessing against images/ and against transformers' own processor, bit for bit."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llamavid_kit.data.pixels import pixel_values


@pytest.fixture(scope="module")
def images(reference):
    return load_file(reference / "images" / "images.safetensors")


@pytest.mark.parametrize("kind", ["plain", "pad"])
def test_equals_the_original(images, reference, kind):
    processor = json.loads((reference / "images" / "images.json").read_text())["processor"]
    names = [key.removesuffix(f".{kind}") for key in images if key.endswith(f".{kind}")]
    assert names
    for name in names:
        got = pixel_values(
            images[f"{name}.uint8"][None].numpy(),
            size=processor["crop_size"]["height"],
            mean=processor["image_mean"],
            std=processor["image_std"],
            pad=kind == "pad",
        )
        assert got.dtype == torch.float32
        assert torch.equal(got[0], images[f"{name}.{kind}"]), name


@pytest.mark.parametrize("height, width, size", [(224, 224, 112), (225, 301, 112), (50, 31, 64), (333, 111, 96)])
def test_equals_transformers_pil_processor(height, width, size):
    """The sizes of the toy world and odd ones, where no reference lies."""
    pil = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    processor = pil.CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    theirs = np.stack(processor(list(frames))["pixel_values"])
    np.testing.assert_array_equal(pixel_values(frames, size=size).numpy(), theirs)


def test_refuses_what_is_not_frames():
    with pytest.raises(ValueError, match="expected \\(T, H, W, 3\\) uint8"):
        pixel_values(np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="float32"):
        pixel_values(np.zeros((1, 8, 8, 3), dtype=np.float32))
    assert pixel_values(np.zeros((0, 8, 8, 3), dtype=np.uint8), size=4).shape == (0, 3, 4, 4)
