"""Choosers of frames: each against a second, slower way to say it, and a model that is shown their choice alone."""

from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from colour_clips import good_clips
from small import QUESTION, write_clip

from llamavid_kit.data.video import Video
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.choosing import (
    Candidates,
    ChosenFrames,
    evenly,
    most_motion,
    motion_energy,
    relevant,
    uniform,
)
from llamavid_kit.experiments.run import Run
from llamavid_kit.model.answering import LlamaVidAnswerer, View, generate_texts
from llamavid_kit.model.frame_cache import FrameCache


@dataclass
class Known:
    """What choosers read of `Candidates`."""

    motion: np.ndarray
    standing_out: np.ndarray
    sample: SimpleNamespace

    def __len__(self):
        return len(self.motion)


def known(rng, n: int, fps: float = 6) -> Known:
    """Values on a coarse scale, so that there are equal ones."""
    times = SimpleNamespace(timestamps_s=np.arange(n) / fps)
    return Known(rng.integers(0, 5, n) / 4, rng.integers(0, 9, n) / 4, times)


@pytest.fixture
def clip(tmp_path):
    return Video(write_clip(tmp_path / "clips" / "a.mp4", seconds=3.0))


@pytest.mark.parametrize("n_candidates", [1, 3, 7, 8, 48, 49, 61])
def test_an_even_spread(n_candidates):
    """Gaps differ by one at most, the first frame is there; 8 of 48 frames of 6 fps are those of 1 fps."""
    at = evenly(n_candidates, 8)
    assert at.tolist() == sorted({int(k * n_candidates / len(at)) for k in range(len(at))}) and at[0] == 0
    assert len(at) == min(8, n_candidates)
    gaps = np.diff([*at, n_candidates])
    assert gaps.max() - gaps.min() <= 1
    assert evenly(48, 8).tolist() == list(range(0, 48, 6)) and evenly(0, 8).tolist() == []


def test_an_even_spread_is_the_slower_rate(clip):
    fast, slow = clip.sample(6), clip.sample(1)
    assert fast.indices[evenly(len(fast), len(slow))].tolist() == slow.indices.tolist()


def test_motion_is_the_change_of_pixels(clip):
    sample = clip.sample(6)
    frames = clip.frames(sample.indices).astype(float)
    expected = [0.0] + [np.mean(np.sqrt((b - a) ** 2)) for a, b in pairwise(frames)]
    assert motion_energy(clip, sample) == pytest.approx(expected)
    assert max(expected) > 0


def test_motion_goes_on_over_chunks(clip, monkeypatch):
    sample = clip.sample(6)
    whole, chunks = motion_energy(clip, sample), Video.chunks
    monkeypatch.setattr(Video, "chunks", lambda self, sample: chunks(self, sample, 4))
    assert motion_energy(clip, sample).tolist() == whole.tolist()


def test_the_frames_with_most_motion():
    rng = np.random.default_rng(0)
    for n_candidates in (1, 5, 8, 30):
        candidates = known(rng, n_candidates)
        order = sorted(range(n_candidates), key=lambda k: (-candidates.motion[k], k))
        assert most_motion(candidates, 8).tolist() == sorted(order[:8])


def slowly(candidates: Known, n: int) -> list[int]:
    """`relevant`, from its words: every sum is computed anew from all that was chosen."""
    times, out = candidates.sample.timestamps_s, candidates.standing_out
    even = (times[-1] - times[0]) / n
    chosen: list[int] = []
    while len(chosen) < min(n, len(times)):
        best, place = -1.0, -1
        for k in range(len(times)):
            if k in chosen:
                continue
            far = min([abs(times[k] - times[j]) / even for j in chosen], default=1.0) if even else 1.0
            score = out[k] / max(out) + min(1.0, far)
            if score > best + 1e-12:
                best, place = score, k
        chosen.append(place)
    return sorted(chosen)


def test_relevant_frames_stand_out_and_cover_the_clip():
    rng = np.random.default_rng(1)
    for n_candidates in (2, 5, 8, 9, 30, 48):
        candidates = known(rng, n_candidates)
        candidates.standing_out[rng.integers(n_candidates)] = 3.0
        assert relevant(candidates, 8).tolist() == slowly(candidates, 8)


def test_relevance_alone_and_coverage_alone():
    n = SimpleNamespace(timestamps_s=np.arange(48) / 6)
    flat = Known(np.zeros(48), np.zeros(48), n)
    assert np.diff(relevant(flat, 8)).max() <= 12  # nothing stands out: no hole of more than two seconds
    peak = Known(np.zeros(48), np.where(np.arange(48) == 29, 9.0, 0.0), n)
    assert 29 in relevant(peak, 1) and 29 in relevant(peak, 8)
    one = Known(np.zeros(1), np.zeros(1), SimpleNamespace(timestamps_s=np.zeros(1)))
    assert relevant(one, 8).tolist() == [0]


def test_what_stands_out_is_far_from_the_median(clip):
    context = np.random.default_rng(2).normal(size=(9, 4)).astype(np.float32)
    found = Candidates(clip, clip.sample(3), context).standing_out
    median = [sorted(column)[4] for column in context.T]
    expected = [sum((a - b) ** 2 for a, b in zip(row, median, strict=True)) ** 0.5 for row in context]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_model_is_shown_the_choice_alone(model, clip, tmp_path):
    """Tokens, times, reply and receipt are of the chosen frames; the candidates' tokens lie in the cache below."""
    below, asked = FrameCache(model, tmp_path / "cache"), []

    def middle(candidates, n):
        asked.append((len(candidates), n, candidates.context.shape))
        return np.array([4, 7])

    answerer = LlamaVidAnswerer(model, below, max_new_tokens=4)
    chosen = replace(answerer, cache=ChosenFrames(below, middle, budget=3, name="middle"), name="middle")
    tokens, times_s = below.tokens(clip, QUESTION, fps=4)
    (reply,) = chosen.generate([clip], QUESTION, View(4))
    assert asked == [(12, 3, tuple(tokens.context.shape))]
    assert reply.timestamps_s == pytest.approx(times_s[[4, 7]], abs=0.01)
    assert reply.text == generate_texts(model, QUESTION, [tokens[torch.tensor([4, 7])]], max_new_tokens=4)[0]
    assert reply.receipt.n_arrived == 2 and reply.n_visual == 2 * (1 + tokens.content.shape[1])
    with pytest.raises(ValueError, match="2 questions: frames are chosen for one"):
        chosen.watch(clip, [QUESTION, "Why?"], fps=4)


def test_chooser_and_budget_are_part_of_what_a_model_is(model):
    below = FrameCache(model)
    names = [("a", 8), ("a", 9), ("b", 8)]
    caches = [ChosenFrames(below, uniform, budget=n, name=name) for name, n in names]
    answerers = [LlamaVidAnswerer(model, cache) for cache in (below, *caches)]
    assert len({one.identity for one in answerers}) == 4


@pytest.mark.parametrize("wrong", [[], [1, 1], [3, 2], [-1, 2], [2, 12], [0, 1, 2, 3]])
def test_what_is_no_choice_is_refused(model, clip, wrong):
    cache = ChosenFrames(FrameCache(model), lambda candidates, n: np.array(wrong, int), budget=3, name="odd")
    with pytest.raises(ValueError, match="odd chose .* of 12 frames of .*a.mp4: expected 1 to 3 places"):
        cache.tokens(clip, QUESTION, fps=4)


def test_a_budget_of_nothing_is_refused(model):
    with pytest.raises(ValueError, match="budget=0"):
        ChosenFrames(FrameCache(model), uniform, budget=0, name="none")


@pytest.mark.slow
def test_choosers_are_arms_of_an_ablation(model, tmp_path):
    """Every chooser answers the same clips, each with its own frames."""
    pairs = good_clips(tmp_path / "clips")
    below = FrameCache(model, tmp_path / "cache")
    answerer = LlamaVidAnswerer(model, below, max_new_tokens=4)
    first, *rest = (
        replace(answerer, cache=ChosenFrames(below, chooser, budget=2, name=chooser.__name__), name=chooser.__name__)
        for chooser in (uniform, most_motion, relevant)
    )
    config = AblationConfig(fps=(4,), finetune=False, answering=("generation",), max_new_tokens=4)
    ablate(pairs, root=tmp_path / "clips", out=tmp_path / "run", config=config, model=first, rivals=rest)
    run = Run(tmp_path / "run")
    assert run.models == ["uniform", "most_motion", "relevant"]
    assert {len(times) for times in run.replies.timestamps_s} == {2}
    assert run.check()
