"""Guards the context: how far it stretches, and refusals whose advice works."""

import re

import pytest
import torch

from llamavid_kit.model.config import LlamaVidConfig, check_fits
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.planner import plan

TINY = {"vocab_size": 1200, "question_vocab_size": 900}


@pytest.mark.parametrize("n_prompt", [50, 1500])
@pytest.mark.parametrize("fps", [0.5, 1, 6, 29.97])
@pytest.mark.parametrize("n_frames", [1100, 3333, 100_003])
def test_the_way_out_works(n_frames, fps, n_prompt):
    config = LlamaVidConfig.tiny(**TINY)
    with pytest.raises(ValueError, match=f"{n_frames} frames .* the model has 2048") as error:
        check_fits(config, n_frames=n_frames, n_prompt=n_prompt, fps=fps)
    slower, shorter = re.search(r"fps <= (\S+), cut the clip to (\S+) s", str(error.value)).groups()
    duration_s = n_frames / fps
    for seconds, rate in ((duration_s, float(slower)), (float(shorter), fps)):
        advised = plan(config, duration_s=seconds, fps=rate, n_prompt=n_prompt)
        assert advised.fits
        assert advised.total_tokens > 0.97 * 2048 - 12 * fps  # and does not throw away much
    assert float(shorter) < duration_s and float(slower) < fps


def test_a_prompt_that_fills_the_model_has_another_way_out():
    with pytest.raises(ValueError, match="shorten the question"):
        check_fits(LlamaVidConfig.tiny(**TINY), n_frames=1, n_prompt=2048, fps=1)


def test_the_last_token_that_fits():
    config = LlamaVidConfig.tiny(**TINY)
    check_fits(config, n_frames=1000, n_prompt=48, fps=1)
    with pytest.raises(ValueError, match="2049 tokens"):
        check_fits(config, n_frames=1000, n_prompt=49, fps=1)


@pytest.mark.parametrize(("n_tokens", "factor"), [(2048, None), (2049, 2), (4096, 2), (65536, 32)])
def test_context_stretches_by_whole_factors(n_tokens, factor):
    """Linear RoPE scaling: what `plan` then allows, and the angle of a position."""
    config = LlamaVidConfig.tiny(**TINY)
    plain = LlamaVid(config).language_model.model.rotary_emb.inv_freq.clone()
    config.extend_context(n_tokens)
    assert config.context == 2048 * (factor or 1) == plan(config, duration_s=1, fps=1).context
    assert torch.allclose(LlamaVid(config).language_model.model.rotary_emb.inv_freq * (factor or 1), plain)
    assert LlamaVidConfig.from_dict(config.to_dict()).context == config.context
    with pytest.raises(ValueError, match="context=0"):
        config.extend_context(0)
