"""Which frames of a clip a model is shown when there is room for a few: choosers, and a cache that shows their choice.

A chooser picks among the frames of a rate, from what is known before the language model runs: how much moves, and what
the question makes of each frame. `LlamaVidAnswerer` on a `ChosenFrames` is a `VideoModel` that sees the chosen frames
alone, so that an ablation compares choosers as it compares models. What a choice is worth is measured in
`notebooks/lab/5_choosing_frames.ipynb`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from llamavid_kit.data.sampling import FrameSample, Rule
from llamavid_kit.data.video import Video
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.frame_cache import FrameCache


@dataclass(frozen=True, eq=False)
class Candidates:
    """The T frames of a clip that may be chosen, and what is known of each before the language model runs.

    sample: which frames, with timestamps_s (T,) in seconds. context: (T, C) float32, their context tokens for the
    question, before the value projection.
    """

    video: Video
    sample: FrameSample
    context: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)

    @cached_property
    def motion(self) -> np.ndarray:
        """(T,) as `motion_energy`; the frames are decoded for it, once."""
        return motion_energy(self.video, self.sample)

    @cached_property
    def standing_out(self) -> np.ndarray:
        """(T,) distance of each context token from the clip's median one: what is unusual *for the question*."""
        return np.linalg.norm(self.context - np.median(self.context, axis=0), axis=1)


Chooser = Callable[[Candidates, int], np.ndarray]
"""Candidates, and how many of them at most → (n,) int, their places, increasing, each once."""


def motion_energy(video: Video, sample: FrameSample) -> np.ndarray:
    """(T,) mean absolute difference of each frame of `sample` from the one before, 0 to 255 levels; the first has 0.

    A chunk of frames lies in memory. Raises VideoError for frames that do not decode.
    """
    energy, before = [0.0], None
    for _, _, frames in video.chunks(sample):
        for frame in frames:
            if before is not None:
                energy.append(float(np.abs(frame.astype(np.int16) - before).mean()))
            before = frame
    return np.array(energy)


def evenly(n_candidates: int, n: int) -> np.ndarray:
    """(min(n, n_candidates),) int places spread evenly, the first at 0: of 48 candidates 8 are every sixth."""
    n = min(n, n_candidates)
    return np.arange(n) * n_candidates // max(1, n)


def uniform(candidates: Candidates, n: int) -> np.ndarray:
    """A `Chooser`: an even spread, whatever the frames show."""
    return evenly(len(candidates), n)


def most_motion(candidates: Candidates, n: int) -> np.ndarray:
    """A `Chooser`: the frames that differ most from the one before; of equal ones the earlier."""
    return np.sort(np.argsort(-candidates.motion, kind="stable")[:n])


def relevant(candidates: Candidates, n: int) -> np.ndarray:
    """A `Chooser`: frames that stand out for the question, and cover the clip; picked one by one.

    Each next frame has the highest sum of how far it stands out (1: the clip's most) and how far in time it lies from
    the nearest chosen one (1: as far as in an even spread, or farther). The first is the one that stands out most.
    """
    times_s, out = candidates.sample.timestamps_s, candidates.standing_out
    relevance = out / max(float(out.max()), np.finfo(float).tiny)
    even_s = (times_s[-1] - times_s[0]) / n or 1.0
    chosen: list[int] = []
    away_s = np.full(len(times_s), np.inf)
    for _ in range(min(n, len(times_s))):
        score = relevance + np.minimum(1, away_s / even_s)
        score[chosen] = -np.inf
        chosen.append(int(score.argmax()))
        away_s = np.minimum(away_s, np.abs(times_s - times_s[chosen[-1]]))
    return np.sort(chosen)


class ChosenFrames(FrameCache):
    """A frame cache that shows at most `budget` of the frames asked for: those that `chooser` picks.

    cache: where the frame tokens of all candidates come from. name: the chooser's; with another name or budget a model
    has another identity (`answering.LlamaVidAnswerer.identity`), so a changed chooser needs another name.
    """

    def __init__(self, cache: FrameCache, chooser: Chooser, *, budget: int, name: str):
        if budget < 1:
            raise ValueError(f"budget={budget}: give at least one frame")
        super().__init__(cache.model)
        self.cache, self.chooser, self.budget, self.name = cache, chooser, budget, name

    @cached_property
    def vision_key(self) -> str:
        return hashlib.sha256(f"{self.cache.vision_key}\0{self.name}\0{self.budget}".encode()).hexdigest()

    def tokens_of(
        self, video: Video, questions: Sequence[str], *, fps: float, content: str | None = None, rule: Rule = "time"
    ) -> tuple[list[VisualTokens], np.ndarray]:
        """As `FrameCache.tokens_of`, of the chosen frames, for one question: for another one others may be chosen.

        Raises ValueError for several questions, and where the chooser's answer is no choice.
        """
        if len(questions) != 1:
            raise ValueError(f"{len(questions)} questions: frames are chosen for one; ask them one by one")
        (tokens,), times_s = self.cache.tokens_of(video, questions, fps=fps, content=content, rule=rule)
        candidates = Candidates(video, video.sample(fps, rule=rule), tokens.context.float().cpu().numpy())
        at = np.asarray(self.chooser(candidates, self.budget))
        if not 0 < len(at) <= self.budget or (np.diff(at) < 1).any() or at[0] < 0 or at[-1] >= len(candidates):
            raise ValueError(
                f"{self.name} chose {at.tolist()} of {len(candidates)} frames of {video.path}: expected 1 to "
                f"{self.budget} places from 0, increasing, each once"
            )
        return [tokens[torch.from_numpy(at)]], times_s[at]

    def fill(self, *args: Any, **kwargs: Any) -> None:
        """All candidates' tokens are kept, in the cache that they come from."""
        self.cache.fill(*args, **kwargs)
