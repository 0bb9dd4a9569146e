"""What the shipped model is trained and checked on: clips drawn directly, at mixed rates, and questions about them.

Knows the ranges of seeds, which events appear (benign ones and the six seen crimes), and that a question about an event
that no sampled frame shows is answered as for the twin without it. The training itself is `train_tiny.py`.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from data_prep.toy_world import BENIGN_KINDS, FPS, SEEN_KINDS, plan_clip
from data_prep.toy_world.questions import questions
from data_prep.toy_world.read_facts import KIND_WEIGHTS, KINDS
from llamavid_kit.pixels import resize_and_crop
from llamavid_kit.sampling import sample_times

TOWER_SEEDS, STILL_SEEDS, TRAIN_SEEDS, CORPUS_SEEDS, CHECK_SEEDS = (k * 10_000_000_000 for k in (4, 5, 1, 2, 3))
STILL = 0  # as a rate: one frame
FPS_MIX, FPS_WEIGHTS = (1, 2, 3, 6), (0.3, 0.25, 0.2, 0.25)
QUESTIONS_A_CLIP = 4
EVENT_QUESTIONS = ("event_happens", "event_closed", "event_yes_no", "caption")
PREAMBLE = "You will perform anomaly detection on a surveillance camera video. "  # of the study's question, label-free


class DrawnClips(Dataset):
    """Item i: a clip that exists nowhere else, (T, size, size, 3) uint8, and what is needed to ask about it."""

    def __init__(self, n: int, *, size: int, still: bool):
        self.n, self.size, self.still = n, size, still
        self.first_seed = STILL_SEEDS if still else TRAIN_SEEDS

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int):
        rng = np.random.default_rng([self.first_seed, i])
        kind = KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)]
        event_s = (0.1, 3.0) if rng.random() < 0.4 else (1.0, 3.0)
        plan = plan_clip(self.first_seed + i, kind, event_s=event_s)
        fps = STILL if self.still else int(rng.choice(FPS_MIX, p=FPS_WEIGHTS))
        frames, visible = watch(plan, fps=fps, size=self.size, rng=rng)
        return torch.from_numpy(frames), (plan.seed, kind if visible else None, event_s)


def watch(plan, *, fps: float, size: int, rng=None) -> tuple[np.ndarray, bool]:
    """The frames that sampling by time at `fps` picks, (T, size, size, 3) uint8, and whether one shows the event.

    With `rng`, some clips pass through JPEG, a cheap stand-in for what a video codec does to the pixels.
    """
    if fps == STILL:  # one frame, of the event twice in three
        inside = rng.random() < 0.67
        indices = rng.integers(plan.start, plan.end, 1) if inside else rng.integers(plan.n_frames, size=1)
    else:
        indices = sample_times(np.arange(plan.n_frames) / FPS, plan.n_frames / FPS, fps)
    drawn = [plan.draw(int(i)) for i in indices]
    if rng is not None and rng.random() < 0.3:
        quality = int(rng.integers(35, 95))
        drawn = [_through_jpeg(frame, quality) for frame in drawn]
    visible = bool(((indices >= plan.start) & (indices < plan.end)).any())
    return np.stack([resize_and_crop(frame, size) for frame in drawn]), visible


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def choose_questions(plan, rng, *, closed: bool) -> list[tuple[str, str]]:
    """One question about the event, the others about anything; no two alike. Multiple choice only, or none of it.

    Half of the multiple-choice ones open as the study's question does. Its labels are in none.
    """
    asked = [q for q in questions(plan, rng, allowed=(*SEEN_KINDS, *BENIGN_KINDS)) if bool(q[3]) == closed]
    order = [asked[k] for k in rng.permutation(len(asked))]
    about_event = next(q for q in order if q[0] in EVENT_QUESTIONS)
    chosen = [about_event, *[q for q in order if q is not about_event][: QUESTIONS_A_CLIP - 1]]
    opening = [PREAMBLE if closed and rng.random() < 0.5 else "" for _ in chosen]
    return [(words + question, answer) for words, (_, question, answer, _) in zip(opening, chosen, strict=True)]
