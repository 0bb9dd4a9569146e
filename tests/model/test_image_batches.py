"""Pictures with a question each, in batches: what the image benchmarks ask of a model."""

import numpy as np
import pytest
from small import QUESTION

from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.model.frame_cache import FrameCache


def test_pictures_with_a_question_each(model, tmp_path):
    """A batch of prompts of different lengths gives the replies that each gives alone; queries go to the decoder."""
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(3)]
    prompts = [QUESTION, "What happens?", "How many people are there? Two, three or four of them?"]
    answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=5)
    for pad in (True, False):
        replies = answerer.look(pictures, prompts, queries=prompts, pad=pad)
        alone = [model.ask_image(p, q, pad=pad, max_new_tokens=5).text for p, q in zip(pictures, prompts, strict=True)]
        assert [reply.text for reply in replies] == alone and len(set(alone)) > 1
    queries = []
    with pytest.MonkeyPatch.context() as patch:
        see = model.frame_tokens
        patch.setattr(model, "frame_tokens", lambda x, query, **k: queries.append(query) or see(x, query, **k))
        answerer.look(pictures[:2], prompts[:2], queries=["one", "two"], pad=True)
    assert queries == ["one", "two"]
    with pytest.raises(ValueError, match="shorten the question"):
        answerer.look(pictures[:1], [QUESTION + " word" * 400], queries=["one"], pad=True)
