"""Pictures of a kept page: JPEG, and as coarse as the page asks."""

import io

import matplotlib.pyplot as plt
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from llamavid_kit.course import tidy_page


@pytest.fixture
def shown():
    """What a notebook would keep of a figure of 4 x 2 inches."""
    shell = InteractiveShell.instance()
    yield lambda: shell.display_formatter.format(plt.figure(figsize=(4, 2)))[0]
    InteractiveShell.clear_instance()
    plt.close("all")


def test_pictures_are_jpegs_of_the_dpi_and_quality_asked_for(shown):
    tidy_page(dpi=50, quality=30)
    small = shown()
    tidy_page(dpi=100)
    large = shown()
    assert "image/jpeg" in small and "image/png" not in small
    sizes = [Image.open(io.BytesIO(kept["image/jpeg"])).size for kept in (small, large)]
    assert sizes[1][0] == pytest.approx(2 * sizes[0][0], abs=2)
    tables = [Image.open(io.BytesIO(kept["image/jpeg"])).quantization[0][0] for kept in (small, large)]
    assert tables[0] > tables[1]  # coarser steps
