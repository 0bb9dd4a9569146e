"""Guards the paper's equation: the context token, its attention map, and how patches become content tokens.

The second implementation is written in loops over single numbers' rows, straight from the docstrings.
"""

import math

import pytest
import torch

from llamavid_kit.model.config import LlamaVidConfig, parse_content
from llamavid_kit.model.context_attention import ContextAttention, VisualTokens, content_tokens, interleave

F, N, M, C, H, D = 3, 16, 4, 6, 5, 7


@pytest.fixture
def parts():
    torch.manual_seed(0)
    attention = ContextAttention(H, C, D)
    torch.nn.init.normal_(attention.key_projector.bias)
    return attention, torch.randn(F, M, H), torch.randn(F, N, C)


def explicit(attention, queries, patches):
    """Eq. 1 as the original computes it, one query of one frame at a time."""
    contexts, maps = [], []
    for f in range(len(queries)):
        keys = [attention.key_projector.weight @ x + attention.key_projector.bias for x in patches[f]]
        rows, seen = [], []
        for q in queries[f]:
            text = attention.text_projector.weight @ q + attention.text_projector.bias
            weight = torch.stack([(text * key).sum() / math.sqrt(C) for key in keys]).exp()
            weight = weight / weight.sum()
            rows.append(weight)
            seen.append(sum(w * x for w, x in zip(weight, patches[f], strict=True)))
        contexts.append(sum(seen) / len(seen))
        maps.append(torch.stack(rows))
    return torch.stack(contexts), torch.stack(maps)


def test_context_token_is_the_equation(parts):
    context, attention = parts[0](*parts[1:])
    expected, expected_attention = explicit(*parts)
    assert context.shape == (F, C) and attention.shape == (F, M, N)
    torch.testing.assert_close(context, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(attention, expected_attention, atol=1e-6, rtol=1e-5)


def test_attention_rows_are_distributions_over_patches(parts):
    _, attention = parts[0](*parts[1:])
    assert (attention >= 0).all()
    torch.testing.assert_close(attention.sum(-1), torch.ones(F, M))


def test_key_bias_has_no_effect_and_the_key_weight_has(parts):
    attention, queries, patches = parts
    before, _ = attention(queries, patches)
    with torch.no_grad():
        attention.key_projector.bias += 3
        torch.testing.assert_close(attention(queries, patches)[0], before, atol=1e-5, rtol=1e-4)
        attention.key_projector.weight += 0.5
        assert not torch.allclose(attention(queries, patches)[0], before, atol=1e-3)


def test_values_are_the_raw_patches(parts):
    """With equal patches the context is that patch, whatever the projections."""
    attention, queries, patches = parts
    context, _ = attention(queries, patches[:, :1].expand(-1, N, -1))
    torch.testing.assert_close(context, patches[:, 0])


def naive_pool(patches, k, side):
    """Windows of side // k patches, the same step, whole windows only; reading order."""
    step = side // k
    tokens = []
    for top in range(0, side - step + 1, step):
        for left in range(0, side - step + 1, step):
            inside = [patches[:, y * side + x] for y in range(top, top + step) for x in range(left, left + step)]
            tokens.append(sum(inside) / len(inside))
    return torch.stack(tokens, 1)


@pytest.mark.parametrize(("side", "k", "n"), [(4, 2, 4), (4, 4, 16), (4, 3, 16), (6, 4, 36), (8, 3, 16), (5, 2, 4)])
def test_grid_content_also_where_it_does_not_divide(side, k, n):
    patches = torch.randn(2, side * side, 3, generator=torch.Generator().manual_seed(side))
    pooled = content_tokens(patches, f"grid:{k}")
    assert pooled.shape == (2, n, 3)
    torch.testing.assert_close(pooled, naive_pool(patches, k, side))
    config = LlamaVidConfig(content=f"grid:{k}")
    config.vision_config.image_size, config.vision_config.patch_size = 14 * side, 14
    assert config.n_content() == n and config.tokens_per_frame() == n + 1


def test_mean_and_all_content():
    patches = torch.randn(2, 10, 3)  # no square grid: mean and all need none
    torch.testing.assert_close(content_tokens(patches, "mean"), (sum(patches.unbind(1)) / 10)[:, None])
    assert content_tokens(patches, "all") is patches


@pytest.mark.parametrize("n_patches", [10, 17])
def test_a_grid_needs_a_square(n_patches):
    with pytest.raises(ValueError, match=f"grid:2 needs a square grid .* got {n_patches} patches"):
        content_tokens(torch.zeros(1, n_patches, 3), "grid:2")


def test_a_grid_finer_than_the_patches_is_refused():
    with pytest.raises(ValueError, match="at least 5 x 5"):
        content_tokens(torch.zeros(1, 16, 3), "grid:5")


@pytest.mark.parametrize("content", ["", "grid", "grid:", "grid:1", "grid:0", "grid:-2", "grid:x", "mean:2", "Mean"])
def test_unknown_content_is_refused(content):
    with pytest.raises(ValueError, match='"mean" .* "grid:k" .* or "all"'):
        parse_content(content)


def test_context_comes_before_content_in_each_frame():
    context, content = torch.tensor([[1.0], [5.0]]), torch.tensor([[[2.0], [3.0]], [[6.0], [7.0]]])
    assert interleave(context, content).flatten().tolist() == [1, 2, 3, 5, 6, 7]


def test_tokens_in_another_type_leave_their_map_behind():
    tokens = VisualTokens(torch.rand(2, 3), torch.rand(2, 4, 3), torch.rand(2, 5, 6))
    moved = tokens.to("cpu", torch.bfloat16)
    assert torch.equal(moved.context, tokens.context.bfloat16()) and torch.equal(
        moved.content, tokens.content.bfloat16()
    )
    assert moved.attention is None and torch.equal(tokens.to("cpu").context, tokens.context)


def test_some_frames_of_the_tokens():
    tokens = VisualTokens(
        torch.arange(3.0)[:, None], torch.arange(3.0)[:, None, None], torch.arange(3.0)[:, None, None]
    )
    assert len(tokens) == 3
    assert [len(tokens[at]) for at in (slice(1), [0, 2], torch.tensor([True, False, True]))] == [1, 2, 2]
    last = tokens[[2]]
    assert last.context.item() == last.content.item() == last.attention.item() == 2
    assert VisualTokens(tokens.context, tokens.content)[:1].attention is None
