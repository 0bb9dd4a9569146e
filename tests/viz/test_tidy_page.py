"""Pictures of a kept page: JPEG, and as coarse as the page asks."""

import base64
import io

import matplotlib.pyplot as plt
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from llamavid_kit.viz.lesson import tidy_page


@pytest.fixture
def kept():
    """The picture that a notebook would keep of a figure of 4 x 2 inches."""
    formatters = InteractiveShell.instance().display_formatter.formatters
    yield lambda: Image.open(io.BytesIO(base64.b64decode(formatters["image/jpeg"](plt.subplots(figsize=(4, 2))[0]))))
    InteractiveShell.clear_instance()
    plt.close("all")


def test_pictures_are_jpegs_of_the_dpi_and_quality_asked_for(kept):
    tidy_page(dpi=50, quality=30)
    small = kept()
    tidy_page(dpi=100)
    large = kept()
    assert small.format == large.format == "JPEG"
    assert large.width == pytest.approx(2 * small.width, rel=0.05)
    assert small.quantization[0][0] > large.quantization[0][0]  # coarser steps
