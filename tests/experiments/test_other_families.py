"""Another video LLM takes arms beside ours, and is asked from the command line: end to end, with receipts."""

import pytest
from colour_clips import good_clips
from small import write_clip

pytest.importorskip("torchvision", reason="the extra [models] is not installed: no torchvision")

from tiny_video_llms import save_family

from llamavid_kit.__main__ import main
from llamavid_kit.experiments.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_family("qwen3_vl", tmp_path_factory.mktemp("llm") / "qwen3")
