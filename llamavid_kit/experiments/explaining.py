"""Ways to explain an answer by frames and by places in them, beside the exact effect of what the clip shows.

Input: a `Case`, a question about a drawn clip and about its twin, the same frames without what the answer speaks of.
Output: numbers a frame and a block, larger where the answer depends more on it. `truth` exchanges one place of clip and
twin and takes by how much the log-odds of the answer change; the ways do without the twin. `agreement` says how well
each agrees with the truth.

Shapes as in `llama_vid`: T frames, N patches, C vision width; S² blocks, S rows and S columns of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, spearmanr
from torch import Tensor

from llamavid_kit.data.prompt import IMAGE_SLOT, open_prompt
from llamavid_kit.model.answering import answer_ids, choice_log_likelihood
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.viz.attention_maps import concentration

Scores = dict[str, np.ndarray]
AT_ONCE = 64  # variants of a clip that the language model is asked about together


@dataclass(frozen=True)
class Case:
    """What is explained: log P(answers[0]) - log P(answers[1]) of `question`.

    frames, twin: (T, 3, h, w) as the tower takes them (`config.pixel_values`); equal outside the event. side: S; the
    patches of a frame, and its pixels, must be whole blocks.
    """

    model: LlamaVid
    question: str
    answers: tuple[str, str]
    frames: Tensor
    twin: Tensor
    side: int = 4

    def __post_init__(self):
        if self.frames.shape != self.twin.shape:
            raise ValueError(f"frames {tuple(self.frames.shape)}, twin {tuple(self.twin.shape)}: expected the same")
        if self.side < 1 or self.model.config.grid % self.side:
            raise ValueError(f"side={self.side}: expected a divisor of the {self.model.config.grid} patches of a row")

    @cached_property
    def features(self) -> Tensor:
        """(T, N+1, C)."""
        with torch.inference_mode():
            return self.model.encode_frames(self.frames)

    @cached_property
    def tokens(self) -> VisualTokens:
        with torch.inference_mode():
            return self.model.frame_tokens(self.features, self.question)

    def log_odds(self, clips: Sequence[VisualTokens]) -> np.ndarray:
        """(B,) nats, of clips of equal or other lengths."""
        parts = [clips[k : k + AT_ONCE] for k in range(0, len(clips), AT_ONCE)]
        table = [choice_log_likelihood(self.model, self.question, part, self.answers) for part in parts]
        return np.concatenate(table) @ [1.0, -1.0]

    @cached_property
    def whole(self) -> float:
        """Log-odds of the clip as it is, in nats."""
        return float(self.log_odds([self.tokens])[0])

    @cached_property
    def fall(self) -> float:
        """How far the log-odds fall where the twin is shown in the place of all frames, in nats."""
        with torch.inference_mode():
            tokens = self.model.frame_tokens(self.model.encode_frames(self.twin), self.question)
        return self.whole - float(self.log_odds([tokens])[0])

    @torch.inference_mode()
    def falls(self, at: Sequence[int], frames: Tensor) -> np.ndarray:
        """(K,) nats: how far the log-odds fall where frames[k] (3, h, w) is shown in the place of frame at[k]."""
        if not len(at):
            return np.zeros(0)
        new, clips = self.model.frame_tokens(self.model.encode_frames(frames), self.question), []
        for k, t in enumerate(at):
            context, content = self.tokens.context.clone(), self.tokens.content.clone()
            context[t], content[t] = new.context[k], new.content[k]
            clips.append(VisualTokens(context, content))
        return self.whole - self.log_odds(clips)

    def block_falls(self, at: Sequence[int], other: Tensor) -> np.ndarray:
        """(K, S²) nats: as `falls`, where one block alone is that of `other` (T, 3, h, w)."""
        step, variants = self.frames.shape[-1] // self.side, []
        for t in at:
            for y, x in np.ndindex(self.side, self.side):
                frame, block = (
                    self.frames[t].clone(),
                    (slice(y * step, (y + 1) * step), slice(x * step, (x + 1) * step)),
                )
                frame[:, *block] = other[t][:, *block]
                variants.append(frame)
        places = np.repeat(np.asarray(at, int), self.side**2).tolist()
        return self.falls(places, torch.stack(variants) if variants else self.frames[:0]).reshape(-1, self.side**2)


def truth(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """What frame and block do for the log-odds, exactly: (T,) and (T, S²) nats; 0 where the twin is the same.

    Half of how far the log-odds fall where the clip shows the twin's pixels there, and half of how far they rise where
    the twin shows the clip's. Of two frames that show the same, neither is missed as long as the other is there, and
    each is enough.
    """
    at = (case.frames != case.twin).flatten(1).any(1).nonzero().flatten().tolist()
    of_frames, of_blocks = np.zeros(len(case.frames)), np.zeros((len(case.frames), case.side**2))
    back = replace(case, frames=case.twin, twin=case.frames)
    of_frames[at] = (case.falls(at, case.twin[at]) - back.falls(at, case.frames[at])) / 2
    of_blocks[at] = (case.block_falls(at, case.twin) - back.block_falls(at, case.frames)) / 2
    return of_frames, of_blocks


def ways(case: Case, *, seed: int = 0) -> tuple[Scores, Scores]:
    """Way → (T,) of frames, and way → (T, S²) of blocks. seed: of "random".

    context map: the highest of a frame's weights, mean over queries; of a block, their sum. concentration: of the map
    (`attention_maps.concentration`). language model's attention: on the frame's tokens, from where the answer begins,
    mean over layers and heads. gradient x input: of the log-odds by the tower's features. leave one frame out: the
    fall without the frame's tokens. occlusion: the fall where a block is even grey; of a frame, the sum over blocks.
    """
    attention = case.tokens.attention
    assert attention is not None
    maps, gradient = attention.mean(1).cpu().numpy(), gradient_input(case)
    grey = case.block_falls(range(len(case.frames)), torch.zeros_like(case.frames))
    rng = np.random.default_rng(seed)
    of_frames = {
        "context map": maps.max(1),
        "concentration": concentration(attention.cpu().numpy()),
        "language model's attention": llm_attention(case),
        "gradient x input": gradient.sum(1),
        "leave one frame out": leave_out(case),
        "occlusion": grey.sum(1),
        "random": rng.normal(size=len(maps)),
    }
    n, first = case.model.config.grid**2, gradient.shape[1] - case.model.config.grid**2  # the class token comes first
    of_blocks = {
        "context map": _in_blocks(maps[:, -n:], case.side),
        "gradient x input": _in_blocks(gradient[:, first:], case.side),
        "occlusion": grey,
        "random": rng.normal(size=grey.shape),
    }
    return of_frames, of_blocks


def agreement(case: Case, *, seed: int = 0) -> pd.DataFrame:
    """A row a place and way: place, way, and r, Spearman's rank correlation with the truth.

    place "when": over frames; "where": over the blocks of the frames in which the twin differs. NaN where one of the
    two is the same everywhere.
    """
    differs = (case.frames != case.twin).flatten(1).any(1).cpu().numpy()
    rows = []
    for place, true, scores in zip(("when", "where"), truth(case), ways(case, seed=seed), strict=True):
        cut = slice(None) if place == "when" else differs
        for way, score in scores.items():
            known = np.ptp(true[cut]) > 0 and np.ptp(score[cut]) > 0 if differs.any() else False
            r = spearmanr(true[cut].ravel(), score[cut].ravel()).statistic if known else np.nan
            rows.append({"place": place, "way": way, "r": float(r)})
    return pd.DataFrame(rows)


def same_order(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """Kendall's tau, 1 for the same order, of the ways by their mean r in two tables (way, r) of one place."""
    orders = pd.concat([rows.groupby("way")["r"].mean() for rows in (a, b)], axis=1)
    return float(kendalltau(*orders.to_numpy().T).statistic)


def leave_out(case: Case) -> np.ndarray:
    """(T,) nats: how far the log-odds fall without a frame's tokens; the later ones move up."""
    n = len(case.frames)
    return case.whole - case.log_odds([case.tokens[[j for j in range(n) if j != t]] for t in range(n)])


def gradient_input(case: Case) -> np.ndarray:
    """(T, N+1) nats: the gradient of the log-odds by each feature, times the feature, summed over the width."""
    model, signs = case.model, (1.0, -1.0)
    with torch.enable_grad():
        features = case.features.clone().requires_grad_()
        tokens = model.frame_tokens(features, case.question)
        odds = sum(s * _log_likelihood(case, tokens, a) for s, a in zip(signs, case.answers, strict=True))
        (gradient,) = torch.autograd.grad(odds, features)
    return (gradient * features).sum(-1).detach().float().cpu().numpy()


def _log_likelihood(case: Case, tokens: VisualTokens, answer: str) -> Tensor:
    """() natural log of P(answer), by one pass in which gradients flow."""
    prompt, new = _prompt(case), answer_ids(case.model, case.question, answer)
    ids = torch.tensor([[*prompt, *new]], device=case.model.device)
    embeds, _, _ = case.model.splice(ids, [[tokens]])
    logits = case.model.language_model(inputs_embeds=embeds, use_cache=False).logits[0, -len(new) - 1 : -1]
    return logits.float().log_softmax(-1)[range(len(new)), new].sum()


@torch.inference_mode()
def llm_attention(case: Case) -> np.ndarray:
    """(T,) from 0 to 1: the attention on a frame's tokens from the prompt's last one, mean over layers and heads."""
    prompt, llm = _prompt(case), case.model.language_model
    embeds, _, _ = case.model.splice(torch.tensor([prompt], device=case.model.device), [[case.tokens]])
    before = llm.config._attn_implementation
    llm.set_attn_implementation("eager")  # the only one that gives its weights
    try:
        layers = llm(inputs_embeds=embeds, use_cache=False, output_attentions=True).attentions
    finally:
        llm.set_attn_implementation(before)
    last = torch.stack([layer[0, :, -1].float() for layer in layers]).mean((0, 1))  # (L',)
    first = prompt.index(IMAGE_SLOT)
    return last[first : first + case.tokens.n_tokens].reshape(len(case.frames), -1).sum(1).cpu().numpy()


def _prompt(case: Case) -> list[int]:
    return open_prompt(case.model.tokenizer, case.model.config.template, case.question)


def _in_blocks(patches: np.ndarray, side: int) -> np.ndarray:
    """(T, N) of patches → (T, S²), sums over the patches of a block."""
    step = int(patches.shape[1] ** 0.5) // side
    return patches.reshape(-1, side, step, side, step).sum((2, 4)).reshape(-1, side**2)
