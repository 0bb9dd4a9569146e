"""Every published checkpoint's shapes: our presets, written in the original's names and read back."""

import json

import pytest
import torch

from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.original.config import image_size_of, read_config, write_config
from llamavid_kit.model.planner import count_parameters

PRESETS = {
    "YanweiLi/llama-vid-7b-full-224": "llama_vid_7b_224",
    "YanweiLi/llama-vid-7b-full-336": "llama_vid_7b_336",
    "YanweiLi/llama-vid-13b-full-336": "llama_vid_13b_336",
    "YanweiLi/llama-vid-7b-full-224-video-fps-1": "llama_vid_7b_224",
    "YanweiLi/llama-vid-13b-full-224-video-fps-1": "llama_vid_13b_224",
    "YanweiLi/llama-vid-7b-full-224-long-video": "llama_vid_7b_224_long_video",
}


@pytest.fixture(scope="module")
def published(real) -> list[dict]:
    return json.loads((real / "published.json").read_text())["full_models"]


def test_each_has_a_preset(published):
    assert set(PRESETS) == {row["repo"] for row in published}


@pytest.mark.parametrize("repo", PRESETS)
def test_the_preset_has_its_shape(published, repo):
    """Size of the frames, context and language model as published; the way through the original's names keeps them."""
    row = next(row for row in published if row["repo"] == repo)
    config = getattr(LlamaVidConfig, PRESETS[repo])(content="mean")
    assert config.image_size == row["image_size"] and config.context == int(row["max_token"].rstrip("K")) * 1024
    assert row["llm"] in ("Vicuna-7B-v1.5", "Vicuna-13B-v1.5")
    billions = count_parameters(config) / 1e9
    assert round(billions - 1.2) == (7 if "7B" in row["llm"] else 13)  # tower and text decoder are 1.2 of them
    with torch.device("meta"):
        model = LlamaVid(config)
    assert count_parameters(config) == sum(p.numel() for p in model.parameters())
    written = json.loads(json.dumps(write_config(config)))
    assert image_size_of(written) == row["image_size"]
    back = read_config(written, model.state_dict(), depth=39, bert={}, heads=None)
    ours, theirs = config.to_dict(), back.to_dict()
    assert ours == theirs, {k: (ours[k], theirs[k]) for k in ours if ours[k] != theirs[k]}
