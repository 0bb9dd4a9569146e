"""Pictures of unknown origin: those of absurd sizes are refused before they are decoded, and no program is started."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from llamavid_kit.data.pictures import MOST_PIXELS, misfit, read_picture
from llamavid_kit.data.pixels import pixel_values


def bomb(width: int, height: int) -> bytes:
    """A PNG with one bit a pixel whose header says this size; there is little behind it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header, content = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0), zlib.compress(bytes(9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("width, height", [(1, 30_000), (90_000, 1), (12_001, 100), (13_000, 13_000), (14_000, 14_000)])
def test_absurd_sizes_are_refused_before_decoding(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(width, height))
    with pytest.raises(
        ValueError, match=r"bomb.png .*pixels.*; expected at most 12,000 pixels a side.*make it smaller"
    ):
        read_picture(path)


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("width, height", [(1, 30_000), (30_000, 1), (12_001, 100)])
def test_arrays_of_absurd_sizes_too(width, height, pad):
    """A square of 30,000 pixels, or a strip of 336 times 10 million."""
    with pytest.raises(ValueError, match=f"{width} x {height} pixels; expected at most 12,000 pixels a side"):
        pixel_values(np.zeros((1, height, width, 3), np.uint8), pad=pad)


def test_usual_sizes_are_taken(tmp_path):
    assert not any((misfit(9_000, 9_900), misfit(12_000, 47), misfit(1, 256), misfit(1, 1)))
    assert misfit(1, 257) and misfit(257, 1) and misfit(9_460, 9_460) and MOST_PIXELS < 9_460**2
    Image.new("L", (600, 3), 7).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.full((3, 600, 3), 7))


def test_formats_that_start_other_programs_are_refused(tmp_path):
    """Pillow gives EPS to Ghostscript."""
    path = tmp_path / "a.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match=r"a.png cannot be read as a picture \(cannot identify image file"):
        read_picture(path)


def test_a_broken_picture_is_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(bomb(300, 300))
    with pytest.raises(ValueError, match=r"a.png cannot be read as a picture"):
        read_picture(path)
    with path.open("rb") as file, pytest.raises(ValueError, match="^item 3 cannot be read"):
        read_picture(file, name="item 3")
