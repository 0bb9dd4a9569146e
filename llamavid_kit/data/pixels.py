"""From frames to what the vision tower takes: resize, crop, rescale, normalise, bit-equal to the original's processor.

Input are uint8 RGB frames, output is a float tensor; no file is read here. The numbers are those of transformers'
`CLIPImageProcessor` (PIL backend): bicubic resize of the shorter side, centre crop, division by 255, mean and std.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from llamavid_kit.data.pictures import misfit
from llamavid_kit.data.resize import resize_and_crop_on

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def pixel_values(
    frames: np.ndarray,
    *,
    size: int = 224,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    pad: bool = False,
    device: torch.device | None = None,
) -> torch.Tensor:
    """frames (T, H, W, 3) uint8 RGB 0–255 → (T, 3, size, size) float32, normalised, on `device`, by default the CPU.

    pad: first pad each frame to a square with the mean colour (the original's image_aspect_ratio 'pad'); otherwise the
    centre square is kept and the rest of the longer side is cut away, as the original does with video.
    Equals `CLIPImageProcessor` bit for bit (tests/parity/test_images.py). It uses PIL and a table of 256 values
    a channel directly: faster, and the same whether torchvision is installed or not. A GPU computes the same bits.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(
            f"frames have shape {frames.shape} and dtype {frames.dtype}; expected (T, H, W, 3) uint8 RGB, "
            "as Video.frames returns them (one picture: picture[None])"
        )
    if 0 in frames.shape[1:3]:
        raise ValueError(f"frames of {frames.shape[1]}x{frames.shape[2]} pixels hold no picture")
    if wrong := misfit(*frames.shape[1:3]):
        raise ValueError(f"each picture {wrong}: make them smaller, or cut out a part")
    if pad:
        frames = pad_to_square(frames, mean)
    table = _normalised(mean, std)  # (3, 256)
    if device is not None and device.type != "cpu":
        return _on_device(frames, size, table, device)
    out = np.empty((len(frames), 3, size, size), dtype=np.float32)
    for t, frame in enumerate(frames):
        square = resize_and_crop(frame, size)  # (size, size, 3)
        for channel in range(3):
            np.take(table[channel], square[..., channel], out=out[t, channel])
    return torch.from_numpy(out)


def _on_device(frames: np.ndarray, size: int, table: np.ndarray, device: torch.device) -> torch.Tensor:
    height, width = frames.shape[1:3]
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device, non_blocking=True)
    squares = resize_and_crop_on(pixels, *_resized(height, width, size), size)
    values = torch.from_numpy(table).to(device)
    return torch.stack([values[c][squares[..., c].int()] for c in range(3)], 1)


def pad_to_square(frames: np.ndarray, mean: Sequence[float] = CLIP_MEAN) -> np.ndarray:
    """(T, H, W, 3) uint8 → (T, S, S, 3) with S = max(H, W), on the colour int(255 · mean): LLaVA's expand2square."""
    n_frames, height, width, _ = frames.shape
    side = max(height, width)
    square = np.empty((n_frames, side, side, 3), dtype=np.uint8)
    square[:] = [int(255 * m) for m in mean]
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = frames
    return square


def resize_and_crop(frame: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 → (size, size, 3) uint8: shorter side to `size` (the longer truncated), centre crop."""
    height, width, _ = frame.shape
    (new_height, new_width), (top, left) = _resized(height, width, size)
    if (new_height, new_width) != (height, width):
        frame = np.asarray(Image.fromarray(frame).resize((new_width, new_height), Image.Resampling.BICUBIC))
    return frame[top : top + size, left : left + size]


def _resized(height: int, width: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(rows, columns) that a frame is resized to, and the first row and column of the square that is kept."""
    if height <= width:
        new_height, new_width = size, int(size * width / height)
    else:
        new_height, new_width = int(size * height / width), size
    return (new_height, new_width), ((new_height - size) // 2, (new_width - size) // 2)


def _normalised(mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """(3, 256) float32: what each of the 256 pixel values becomes, in the processor's own order of operations."""
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"mean and std have {len(mean)} and {len(std)} values; expected 3 each, for R, G and B")
    rescaled = (np.arange(256, dtype=np.uint8).astype(np.float64) * (1 / 255)).astype(np.float32)
    mean32, std32 = np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32)
    return (rescaled[None, :] - mean32[:, None]) / std32[:, None]
