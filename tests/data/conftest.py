"""The clip that most tests of this room read."""

import pytest
from timed_clips import CFR_MS, write_clip


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """3 s at 30 frames a second."""
    return write_clip(tmp_path_factory.mktemp("clips") / "tiny.mp4", CFR_MS)
