"""The paper's idea on one page: a frame becomes one context token and a few content tokens.

Input: a frame's patch features and the text-guided queries that the text decoder made of the question. Output:
`VisualTokens`, before the projection into the language model's width, with the attention map as a field. What the
question means (text decoder) and what becomes of the tokens (projectors, splice) is left to others.

Shapes: F frames (of one or many clips), N patches, M queries, C vision width, H text-decoder width, n content tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llamavid_kit.model.config import parse_content


@dataclass(frozen=True)
class VisualTokens:
    """What a clip's frames say about one question, before the projectors.

    context: (T, C) text-guided context token of each frame (paper Eq. 1, before the value projection); (T, 0, C) where
    it was left out.
    content: (T, n, C) content tokens of each frame (paper section 3.2, before the projector).
    attention: (T, M, N) softmax over patches of each query: rows sum to 1; None where it was not kept.
    """

    context: Tensor
    content: Tensor
    attention: Tensor | None = None

    def __len__(self) -> int:
        return self.context.shape[0]

    @property
    def n_tokens(self) -> int:
        """Tokens that the frames take in the language model's context."""
        return len(self) * (self.content.shape[1] + (self.context.ndim == 2))

    def __getitem__(self, frames) -> "VisualTokens":
        """The tokens of some frames (slice, index list or mask along T)."""
        attention = None if self.attention is None else self.attention[frames]
        return VisualTokens(self.context[frames], self.content[frames], attention)

    @classmethod
    def cat(cls, parts: Sequence["VisualTokens"]) -> "VisualTokens":
        """The frames of several parts of a clip, one after the other."""
        maps = [part.attention for part in parts if part.attention is not None]
        attention = torch.cat(maps) if len(maps) == len(parts) else None
        return cls(torch.cat([p.context for p in parts]), torch.cat([p.content for p in parts]), attention)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "VisualTokens":
        """Context and content on another device, in another float type; the attention map is left behind."""
        return VisualTokens(self.context.to(device, dtype), self.content.to(device, dtype))


class ContextAttention(nn.Module):
    """Context token of the paper's Eq. 1: mean over queries of softmax(Q Kᵀ/√C) applied to the patches.

    Matches `vlm_attention` of the original `llamavid/model/llamavid_arch.py`. Departures of that code from the paper,
    kept because checkpoints depend on them: queries and keys pass learned linear maps and scores are divided by √C
    (Eq. 1 has neither); the values are the *raw* patches, and the value projection comes after the mean over queries.
    The bias of `key_projector` cancels in the softmax and has no effect.
    """

    def __init__(self, query_width: int, vision_width: int, llm_width: int):
        super().__init__()
        self.text_projector = nn.Linear(query_width, vision_width)
        self.key_projector = nn.Linear(vision_width, vision_width)
        self.value_projector = nn.Linear(vision_width, llm_width)

    def forward(self, queries: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """queries (F, M, H), patches (F, N, C) → context (F, C) before `value_projector`, attention (F, M, N)."""
        text = self.text_projector(queries)  # (F, M, C)
        keys = self.key_projector(patches)  # (F, N, C)
        scores = text @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5  # (F, M, N)
        attention = scores.softmax(-1)
        context = (attention @ patches).mean(1)  # (F, C)
        return context, attention


def content_tokens(patches: Tensor, content: str) -> Tensor:
    """Pool patches (F, N, C) to content tokens (F, n, C); `content` as in `config.parse_content`.

    "grid:k" averages windows of side//k patches with the same step, as the original does: where k does not divide the
    grid the count is not k². Raises ValueError where the patches form no square grid or k exceeds its side.
    """
    pool, k = parse_content(content)
    if pool == "all":
        return patches
    if pool == "mean":
        return patches.mean(1, keepdim=True)
    n_frames, n_patches, width = patches.shape
    side = int(n_patches**0.5)
    if side * side != n_patches or k > side:
        raise ValueError(f"content=grid:{k} needs a square grid of at least {k} x {k} patches, got {n_patches} patches")
    image = patches.transpose(1, 2).reshape(n_frames, width, side, side)
    pooled = F.avg_pool2d(image, kernel_size=side // k, stride=side // k)
    return pooled.flatten(2).transpose(1, 2)  # (F, n, C)


def interleave(context: Tensor, content: Tensor) -> Tensor:
    """Projected context (T, D) and content (T, n, D) → one sequence (T*(n+1), D): per frame context first.

    A context of (T, 0, D) adds nothing to it.
    """
    context = context[:, None] if context.ndim == 2 else context
    return torch.cat([context, content], dim=1).flatten(0, 1)
