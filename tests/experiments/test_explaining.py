"""Guards the causal truth and each way to explain an answer, against slow second implementations."""

import numpy as np
import pandas as pd
import pytest
import torch
from small import QUESTION, random_frames, small_model

from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.experiments.explaining import (
    Case,
    agreement,
    gradient_input,
    leave_out,
    llm_attention,
    same_order,
    truth,
    ways,
)
from llamavid_kit.model.answering import choice_log_likelihood

ANSWERS = ("Red", "A car drives past a house.")
T = 4


@pytest.fixture(scope="module")
def case(tokenizers):
    """Frames 1 and 2 differ from the twin, frame 2 in its upper left quarter alone."""
    model = small_model(*tokenizers)
    frames, other = (model.config.normalise(random_frames(T, seed=seed)) for seed in (0, 1))
    twin = frames.clone()
    twin[1], twin[2, :, :14, :14] = other[1], other[2, :, :14, :14]
    return Case(model, QUESTION, ANSWERS, frames, twin, side=2)


@torch.no_grad()
def odds(case, frames):
    """Log-odds of a whole clip, from its pixels."""
    tokens = case.model.frame_tokens(case.model.encode_frames(frames), case.question)
    table = choice_log_likelihood(case.model, case.question, [tokens], case.answers)[0]
    return table[0] - table[1]


def shown(frames, t, other, y=None, x=None):
    """The frames with frame t, or its quarter (y, x), as `other` shows it."""
    frames = frames.clone()
    rows, columns = (slice(None) if k is None else slice(14 * k, 14 * k + 14) for k in (y, x))
    frames[t, :, rows, columns] = other[t, :, rows, columns]
    return frames


def test_the_truth_is_what_the_twin_takes_away_and_the_clip_brings(case):
    of_frames, of_blocks = truth(case)
    before, without = odds(case, case.frames), odds(case, case.twin)

    def effect(*place):
        lost = before - odds(case, shown(case.frames, place[0], case.twin, *place[1:]))
        return (lost + odds(case, shown(case.twin, place[0], case.frames, *place[1:])) - without) / 2

    np.testing.assert_allclose(of_frames, [effect(t) for t in range(T)], atol=2e-3)
    expected = [[effect(t, y, x) for y in (0, 1) for x in (0, 1)] for t in range(T)]
    np.testing.assert_allclose(of_blocks, expected, atol=2e-3)
    assert not of_frames[[0, 3]].any() and not of_blocks[[0, 3]].any()  # exactly 0
    assert not of_blocks[2, 1:].any() and of_blocks[2, 0] == pytest.approx(of_frames[2], abs=1e-3)
    assert np.abs(of_frames[1:3]).min() > 0.01


def test_a_clip_that_is_its_own_twin(case):
    of_frames, of_blocks = truth(Case(case.model, QUESTION, ANSWERS, case.frames, case.frames, side=2))
    assert not of_frames.any() and of_blocks.shape == (T, 4) and not of_blocks.any()


def test_occlusion_is_by_even_grey(case):
    of_frames, of_blocks = ways(case)
    grey, before = torch.zeros_like(case.frames), odds(case, case.frames)
    expected = [
        [before - odds(case, shown(case.frames, t, grey, y, x)) for y in (0, 1) for x in (0, 1)] for t in range(T)
    ]
    np.testing.assert_allclose(of_blocks["occlusion"], expected, atol=2e-3)
    np.testing.assert_allclose(of_frames["occlusion"], np.sum(expected, 1), atol=5e-3)


def test_leave_one_frame_out(case):
    kept = [odds(case, case.frames[[j for j in range(T) if j != t]]) for t in range(T)]
    np.testing.assert_allclose(leave_out(case), odds(case, case.frames) - np.array(kept), atol=2e-3)


def test_gradient_times_input_is_a_slope(case):
    """The log-odds where one feature vector grows by a thousandth of itself, by differences."""
    found = gradient_input(case)
    for t, n in ((0, 0), (1, 5), (3, 16)):
        values = []
        for sign in (1, -1):
            features = case.features.clone()
            features[t, n] *= 1 + sign * 0.01
            with torch.no_grad():
                tokens = case.model.frame_tokens(features, QUESTION)
            table = choice_log_likelihood(case.model, QUESTION, [tokens], ANSWERS)[0]
            values.append(table[0] - table[1])
        assert found[t, n] == pytest.approx((values[0] - values[1]) / 0.02, rel=0.05, abs=2e-2)
    assert found.shape == (T, 17) and np.abs(found).max() > 0.05


@torch.no_grad()
def test_attention_of_the_language_model(case):
    """All weights of the last position sum to 1; the rest is on words. Read layer by layer."""
    llm, weights = case.model.language_model, []
    ids = open_prompt(case.model.tokenizer, "plain", QUESTION)
    at, table = ids.index(-200), case.model.get_input_embeddings()
    rows = [table(torch.tensor(ids[:at])), case.model.project(case.tokens), table(torch.tensor(ids[at + 1 :]))]

    def look(layer, args, kwargs, output):
        x, (cos, sin) = kwargs["hidden_states"], kwargs["position_embeddings"]
        size = layer.head_dim
        q, k = (proj(x)[0].view(len(x[0]), -1, size).transpose(0, 1) for proj in (layer.q_proj, layer.k_proj))
        turned = []
        for z in (q, k):
            half = torch.cat([-z[..., size // 2 :], z[..., : size // 2]], -1)
            turned.append(z * cos[0] + half * sin[0])
        keys = turned[1].repeat_interleave(len(q) // len(k), 0)
        weights.append((turned[0][:, -1:] @ keys.transpose(1, 2) / size**0.5).softmax(-1)[:, 0])

    hooks = [layer.self_attn.register_forward_hook(look, with_kwargs=True) for layer in llm.model.layers]
    llm(inputs_embeds=torch.cat(rows)[None])
    for hook in hooks:
        hook.remove()
    mean = torch.stack(weights).mean((0, 1))
    assert float(mean.sum()) == pytest.approx(1, abs=1e-5)
    before = llm.config._attn_implementation
    np.testing.assert_allclose(llm_attention(case), mean[at : at + 2 * T].view(T, 2).sum(1), atol=1e-5)
    assert llm.config._attn_implementation == before != "eager"


def test_maps_by_frame_and_block(case):
    of_frames, of_blocks = ways(case, seed=3)
    maps = case.tokens.attention.mean(1).numpy()
    assert of_frames["context map"] == pytest.approx(maps.max(1))
    squares = maps.reshape(T, 4, 4)
    quarters = [
        [squares[t, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum() for y in (0, 1) for x in (0, 1)] for t in range(T)
    ]
    np.testing.assert_allclose(of_blocks["context map"], quarters, atol=1e-6)
    gradient = gradient_input(case)
    np.testing.assert_allclose(of_frames["gradient x input"], gradient.sum(1), atol=1e-5)
    np.testing.assert_allclose(of_blocks["gradient x input"].sum(1), gradient[:, 1:].sum(1), atol=1e-4)
    entropy = [-(p * np.log(p)).sum() for p in maps]
    np.testing.assert_allclose(of_frames["concentration"], 1 - np.array(entropy) / np.log(16), atol=1e-5)
    again = ways(case, seed=3)
    assert {len(scores) for scores in of_frames.values()} == {T} and {x.shape for x in of_blocks.values()} == {(T, 4)}
    assert (of_frames["random"] == again[0]["random"]).all() and (of_blocks["random"] == again[1]["random"]).all()
    assert (ways(case, seed=4)[0]["random"] != of_frames["random"]).any()


def test_agreement_is_by_ranks(case):
    """Of frames all four; of blocks those of the two frames that differ. Ranks and their correlation by hand."""
    table = agreement(case, seed=3).set_index(["place", "way"])["r"]
    (true_frames, true_blocks), (of_frames, of_blocks) = truth(case), ways(case, seed=3)

    def ranks(x):
        return np.array([(x < v).sum() + (x == v).sum() / 2 for v in x])

    for way in of_frames:
        expected = np.corrcoef(ranks(true_frames), ranks(of_frames[way]))[0, 1]
        assert table["when", way] == pytest.approx(expected, abs=1e-6)
    for way in of_blocks:
        expected = np.corrcoef(ranks(true_blocks[1:3].ravel()), ranks(of_blocks[way][1:3].ravel()))[0, 1]
        assert table["where", way] == pytest.approx(expected, abs=1e-6)
    assert len(table) == len(of_frames) + len(of_blocks) and table.notna().all()
    assert case.fall == pytest.approx(odds(case, case.frames) - odds(case, case.twin), abs=2e-3)
    same = Case(case.model, QUESTION, ANSWERS, case.frames, case.frames, side=2)
    assert agreement(same).r.isna().all() and same.fall == pytest.approx(0, abs=1e-4)


def test_same_order():
    """Means 0.5, 0.3, 0.1 against 0.2, 0.9, 0.1: of three pairs, one is turned round."""
    a = pd.DataFrame({"way": ["x", "x", "y", "z"], "r": [0.4, 0.6, 0.3, 0.1]})
    b = pd.DataFrame({"way": ["z", "y", "x"], "r": [0.1, 0.9, 0.2]})
    assert same_order(a, b) == pytest.approx(1 / 3) and same_order(a, a) == 1


def test_cases_that_are_refused(case):
    with pytest.raises(ValueError, match="side=3: expected a divisor of the 4 patches"):
        Case(case.model, QUESTION, ANSWERS, case.frames, case.twin, side=3)
    with pytest.raises(ValueError, match=r"frames \(4, .*, twin \(3, .*: expected the same"):
        Case(case.model, QUESTION, ANSWERS, case.frames, case.twin[:3])
