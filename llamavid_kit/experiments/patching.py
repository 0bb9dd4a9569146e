"""Causal patching of a language model's moves: which of them carry what a clip shows to the word that answers.

A *move* is what one head of one layer brings from one position to another. In a clip and its twin, drawn again without
its event, each move of the first can be kept, or patched with what the twin's carries; between moves each position
works by itself. Layers of LLaMA alone.
"""

import numpy as np
import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from llamavid_kit.evaluation.resampling import Estimate
from llamavid_kit.model.llama_vid import LlamaVid

Moves = list[tuple[Tensor, Tensor]]  # of each layer: attention (B, heads, L, L), values (B, heads, L, d)


def run(model: LlamaVid, read: Tensor, keep: Tensor | None = None, twin: Moves | None = None) -> tuple[Tensor, Moves]:
    """Embeddings (B, L, D), all of one length → log-probabilities of the next token (B, V), and all moves.

    keep: (layers, heads, L, L), how much of each move is kept; the rest is what `twin` moves there. None keeps all.
    """
    language, n, moves = model.language_model, read.shape[1], []
    turn = language.model.rotary_emb(read, torch.arange(n, device=read.device)[None])
    future = torch.full((n, n), -torch.inf, device=read.device).triu(1)
    for k, layer in enumerate(language.model.layers):
        part, normed = layer.self_attn, layer.input_layernorm(read)
        query, key, value = (
            project(normed).unflatten(2, (-1, part.head_dim)).transpose(1, 2)
            for project in (part.q_proj, part.k_proj, part.v_proj)
        )
        query, key = apply_rotary_pos_emb(query, key, *turn)
        key, value = (x.repeat_interleave(part.num_key_value_groups, 1) for x in (key, value))  # heads may share them
        attention = (query @ key.transpose(2, 3) * part.scaling + future).softmax(-1)
        moves.append((attention, value))
        moved = attention @ value
        if keep is not None and twin is not None:
            other, other_value = twin[k]
            moved = (keep[k] * attention) @ value + ((1 - keep[k]) * other) @ other_value
        read = read + part.o_proj(moved.transpose(1, 2).flatten(2))
        read = read + layer.mlp(layer.post_attention_layernorm(read))
    return language.lm_head(language.model.norm(read[:, -1])).log_softmax(-1), moves


class Twins:
    """Clips and their twins as one model reads them.

    Args:
        read, read_twin: embeddings (B, L, D) of the prompt with the frame tokens of each clip, and of its twin.
        words: (B, 2) the first token of the true answer, and of the one that the twin deserves.

    fall: (B,) how far the log-odds of the two tokens fall from the clip to its twin, in nats; without: (B,) the twin's;
    all: (layers, heads, L, L) a switch at every move, 1 where there is one.
    """

    def __init__(self, model: LlamaVid, read: Tensor, read_twin: Tensor, words: Tensor):
        self.model, self.read, self.words = model, read, words
        with torch.no_grad():
            (with_event, self.moves), (without, self.twin_moves) = run(model, read), run(model, read_twin)
        self.without = self._odds(without)
        self.fall = self._odds(with_event) - self.without
        n = read.shape[1]
        self.all = torch.ones(
            len(self.moves), model.config.text_config.num_attention_heads, n, n, device=read.device
        ).tril()

    def _odds(self, log: Tensor) -> Tensor:
        picked = log.gather(1, self.words)
        return picked[:, 0] - picked[:, 1]

    def worth(self, keep: Tensor, read: Tensor | None = None) -> Tensor:
        """(B,) nats of `fall` that are left with these moves kept; read: other embeddings in the clips' place."""
        return self._odds(run(self.model, self.read if read is None else read, keep, self.twin_moves)[0]) - self.without

    def credit(self, clips: Tensor | slice = slice(None), *, steps: int = 12) -> Tensor:
        """What each move is worth, as `all`; in sum the mean fall: integrated gradients (arXiv 1703.01365) of the
        switches, all turned from off to on together."""
        total = torch.zeros_like(self.all)
        for step in range(steps):
            keep = torch.full_like(self.all, (step + 0.5) / steps, requires_grad=True)
            (gradient,) = torch.autograd.grad(self.worth(keep)[clips].mean(), keep)
            total += gradient / steps
        return total

    def share(self, worth: Tensor) -> Estimate:
        """What is left (B,) as a share of the fall, with the interval for other clips."""
        drawn = torch.from_numpy(np.random.default_rng(0).integers(0, len(worth), (2000, len(worth))))
        shares = worth[drawn].sum(1) / self.fall[drawn].sum(1)
        return Estimate(float(worth.sum() / self.fall.sum()), *np.percentile(shares.numpy(), [2.5, 97.5]))

    @torch.no_grad()
    def path(self, credit: Tensor, clips: Tensor | slice = slice(None), *, enough: float = 0.95) -> Tensor:
        """The switches of the fewest moves, those worth most first, that keep so much of the fall."""
        moves = int(self.all.sum())

        def keeps(k: int) -> bool:
            return float(self.worth(self.best(credit, k))[clips].sum() / self.fall[clips].sum()) >= enough

        low = 0
        for k in map(int, np.unique(np.geomspace(1, moves, 60).astype(int))):
            if keeps(k):
                return self.best(credit, next(j for j in range(low + 1, k + 1) if keeps(j)))
            low = k
        return self.all

    def best(self, score: Tensor, k: int) -> Tensor:
        """The switches of the k moves of the highest score (as `all`)."""
        keep = torch.zeros(score.numel(), device=score.device)
        keep[score.masked_fill(self.all == 0, -torch.inf).flatten().topk(k).indices] = 1
        return keep.view_as(score)
