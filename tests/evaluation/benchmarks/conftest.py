"""Fixtures of the benchmarks' tests."""

import pytest
from made_up_video_benchmarks import VIDEO


@pytest.fixture
def data(tmp_path):
    """Name of a video benchmark → a made-up data folder of the test's own."""
    return lambda name: VIDEO[name](tmp_path / name)
