"""Picture files, and which sizes of pictures and of video frames are taken.

A size is judged before anything is decoded: a file of a few kilobytes can announce gigabytes of pixels.
"""

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

MOST_PIXELS = 89_478_485  # up to here Pillow does not warn; decoding takes 1.1 GB at most
MOST_SIDE = 12_000  # padded to a square: 1.5 GB at most
MOST_RATIO = 256  # of the sides: the shorter becomes the vision tower's 224 or 336, and the longer grows with it
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "BMP",
    "DIB",
    "TIFF",
    "PPM",
    "TGA",
    "ICO",
    "AVIF",
    "JPEG2000",
    "PCX",
    "SGI",
    "QOI",
)
TAKEN = f"expected at most {MOST_SIDE:,} pixels a side, {MOST_PIXELS:,} in all, and sides of at most {MOST_RATIO} to 1"


def misfit(height: int, width: int) -> str:
    """Why pictures of this size are not taken, or ""."""
    short, long = sorted((height, width))
    if long <= MOST_SIDE and height * width <= MOST_PIXELS and long <= MOST_RATIO * short:
        return ""
    return f"has {width} x {height} pixels; {TAKEN}"


def read_picture(file: Path | str | IO[bytes], *, name: str = "") -> np.ndarray:
    """A picture file → (H, W, 3) uint8 RGB; name: what errors call it, for a file without a path.

    FileNotFoundError, and ValueError for a file that is no picture, is broken, or has a size that is not taken.
    Formats that Pillow hands to other programs (EPS) are refused.
    """
    if isinstance(file, Path | str):
        name, file = name or f"{file}", Path(file)
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not a file; expected a picture")
    try:
        with Image.open(file, formats=FORMATS) as picture:
            wrong = misfit(picture.height, picture.width)
            if not wrong:
                return np.asarray(picture.convert("RGB"))
    except Image.DecompressionBombError as error:
        wrong = f"is too large ({error}); {TAKEN}"
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for broken files
        raise ValueError(f"{name} cannot be read as a picture ({error}); convert it to PNG or JPEG") from error
    raise ValueError(f"{name} {wrong}: make it smaller, or cut out a part")
