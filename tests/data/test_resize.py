"""Guards the resize that a GPU does: the bits of Pillow's, for sizes that grow, shrink, stay and are cut."""

import numpy as np
import pytest
import torch

from llamavid_kit.data.pixels import pixel_values, resize_and_crop
from llamavid_kit.data.resize import resize_and_crop_on

META = torch.device("meta")
SIZES = [(240, 320), (301, 207), (28, 28), (29, 28), (97, 531), (3, 5), (1, 1), (1080, 1920), (57, 28)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_pillow_bit_for_bit(height, width):
    rng = np.random.default_rng(height)
    noise = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    edges = (rng.random((1, height, width, 3)) > 0.5).astype(np.uint8) * 255  # where a bicubic filter overshoots
    frames = np.concatenate([noise, edges])
    for side in (28, 224):
        size = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
        crop = ((size[0] - side) // 2, (size[1] - side) // 2)
        ours = resize_and_crop_on(torch.from_numpy(frames), size, crop, side).numpy()
        np.testing.assert_array_equal(ours, np.stack([resize_and_crop(frame, side) for frame in frames]))


def test_a_device_gets_frames_there():
    """The path of a GPU, on torch's device without memory: shape, type and place; its values are tested above."""
    values = pixel_values(np.zeros((2, 30, 40, 3), np.uint8), size=28, device=META)
    assert values.device == META and values.shape == (2, 3, 28, 28) and values.dtype == torch.float32
