"""Clips, pairs and a model that a test may change."""

import pytest
from small import COLOURS, LABELS, pair, random_tokens, small_model, write_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three clips of unequal length, one of each colour."""
    root = tmp_path_factory.mktemp("clips")
    for k, label in enumerate(COLOURS):
        write_clip(root / f"c{k}.mp4", seconds=1 + k, label=label, seed=k)
    return root


@pytest.fixture
def pairs():
    return [pair(f"c{k}", label, split="train") for k, label in enumerate(COLOURS)]


@pytest.fixture
def own_model(tokenizers):
    return small_model(*tokenizers)


@pytest.fixture
def data(own_model):
    """Five pairs: an odd number, so that batches of two do not divide an epoch."""
    answers = [*LABELS, "Red", "Blue"]
    pairs = [pair(f"c{k}", answer, split="train") for k, answer in enumerate(answers)]
    return pairs, [random_tokens(own_model, 1 + k, seed=k) for k in range(5)]
