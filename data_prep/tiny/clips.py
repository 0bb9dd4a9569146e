"""What the shipped model is trained and checked on: clips drawn directly, at mixed rates, and questions about them.

Knows the ranges of seeds, which events and animals appear (benign events and the six seen crimes; eight of the twelve
species, without the unseen brief actions), and that a question about what no sampled frame shows is answered as for a
clip without it. The training itself is in `train`.
"""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from data_prep.tiny.tower import KIND_WEIGHTS, KINDS, WILD_SHARE, wild_scene
from data_prep.toy_world import FPS, plan_clip
from data_prep.toy_world.asking import Question
from data_prep.toy_world.plan import Plan
from data_prep.toy_world.street.clip import ClipPlan
from data_prep.toy_world.street.questions import questions
from data_prep.toy_world.wildlife.questions import ABOUT_ACTION, wild_questions
from llamavid_kit.data.pixels import resize_and_crop
from llamavid_kit.data.sampling import sample_times

TOWER_SEEDS, STILL_SEEDS, TRAIN_SEEDS, CORPUS_SEEDS, CHECK_SEEDS = (k * 10_000_000_000 for k in (4, 5, 1, 2, 3))
STILL = 0  # as a rate: one frame
FPS_MIX, FPS_WEIGHTS = (1, 2, 3, 6), (0.3, 0.25, 0.2, 0.25)
QUESTIONS_A_CLIP = 4
EVENT_QUESTIONS = ("event_happens", "event_closed", "event_new_word", "event_yes_no", "caption", *ABOUT_ACTION)
CAPTIONS = ("caption", "wild_caption")
NEEDS_TIME = ("event_when", "moves", "car_moves")  # no single frame tells
SOUGHT = {  # what is learned late is asked about more often
    **dict.fromkeys(NEEDS_TIME, 20.0),  # clips alone ask these
    "car_and_animal": 5.0,  # two things at once, as what moves
    **dict.fromkeys(("hat_colour", "wild_first", "wild_last", "wild_doing", "wild_sentences"), 5.0),
    **dict.fromkeys(
        ("bag_colour", "door_colour", "left_shirt", "right_shirt", "weather", "there_is", "wild_there"), 3.0
    ),
    "people": 8.0,
    **dict.fromkeys(("event_yes_no", "wild_is"), 3.0),
    "event_happens": 9.0,
}
ABOUT = {  # kind of question → the thing that has to be in view for it
    **dict.fromkeys(("car_colour", "closed_car_colour", "car_and_animal"), "car"),
    **dict.fromkeys(("parked_colour", "closed_parked_colour"), "parked_car"),
    **dict.fromkeys(("hat_colour", "hat_shirt", "closed_hat_shirt"), "hat"),
    **dict.fromkeys(("bag_colour", "bag_shirt", "closed_bag_shirt"), "bag"),
}
PREAMBLE = "You will perform anomaly detection on a surveillance camera video. "  # of the study's question, label-free


@dataclass(frozen=True)
class Watched:
    """A clip as it was sampled: enough to ask about it again. `happens`: the kind of event, or brief action, that a
    sampled frame shows, or None; `times_s`: the seconds at which a wildlife clip was seen, () for a street scene;
    `still`: one frame alone was seen; `absent`: things of ABOUT that no frame shows."""

    seed: int
    happens: str | None
    event_s: tuple[float, ...]
    times_s: tuple[float, ...] = ()
    still: bool = False
    absent: tuple[str, ...] = ()

    def questions(self, rng: np.random.Generator) -> list[Question]:
        """All that can be asked."""
        if self.times_s:
            return wild_questions(wild_scene(self.seed, self.event_s), rng, self.times_s)
        of_street = questions(plan_clip(self.seed, self.happens, event_s=self.event_s), rng)
        of_street = [question for question in of_street if ABOUT.get(question.kind) not in self.absent]
        return [question for question in of_street if not (self.still and question.kind in NEEDS_TIME)]


class DrawnClips(Dataset):
    """Item i: a clip that exists nowhere else, (T, size, size, 3) uint8, and what is needed to ask about it."""

    def __init__(self, n: int, *, size: int, still: bool):
        self.n, self.size, self.still = n, size, still
        self.first_seed = STILL_SEEDS if still else TRAIN_SEEDS

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int):
        rng, seed = np.random.default_rng([self.first_seed, i]), self.first_seed + i
        event_s = (0.1, 3.0) if rng.random() < 0.4 else (1.0, 3.0)
        fps = STILL if self.still else int(rng.choice(FPS_MIX, p=FPS_WEIGHTS))
        wild = rng.random() < WILD_SHARE
        plan: Plan
        if wild:
            plan = wild_scene(seed, event_s)
        else:
            plan = plan_clip(seed, KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)], event_s=event_s)
        indices = pick(plan, fps=fps, rng=rng)
        frames = draw(plan, indices, size=self.size, rng=rng)
        event, times_s = plan.event if visible(plan, indices) else None, seconds(indices) if wild else ()
        seen = {name for j in indices for name in plan.boxes(int(j))} if isinstance(plan, ClipPlan) else set()
        absent = () if wild else tuple(sorted({*ABOUT.values()} - seen))
        return torch.from_numpy(frames), Watched(seed, event, event_s, times_s, self.still, absent)


def pick(plan: Plan, *, fps: float, rng: np.random.Generator | None = None) -> np.ndarray:
    """Indices of the frames that sampling by time at `fps` picks; STILL: of one frame, of the event twice in three."""
    if fps == STILL and rng is not None:
        inside = rng.random() < 0.67
        return rng.integers(plan.start, plan.end, 1) if inside else rng.integers(plan.n_frames, size=1)
    return sample_times(np.arange(plan.n_frames) / FPS, plan.n_frames / FPS, fps)


def draw(plan: Plan, indices: np.ndarray, *, size: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Those frames, (T, size, size, 3) uint8. With `rng`, some clips pass through JPEG, a cheap stand-in for what a
    video codec does to the pixels."""
    frames = [plan.draw(int(i)) for i in indices]
    if rng is not None and rng.random() < 0.3:
        quality = int(rng.integers(35, 95))
        frames = [_through_jpeg(frame, quality) for frame in frames]
    return np.stack([resize_and_crop(frame, size) for frame in frames])


def visible(plan: Plan, indices: np.ndarray) -> bool:
    """Whether one of the frames lies in the event's interval."""
    return bool(((indices >= plan.start) & (indices < plan.end)).any())


def watch(plan: Plan, *, fps: float, size: int) -> tuple[np.ndarray, bool]:
    """The frames that sampling by time at `fps` picks, (T, size, size, 3) uint8, and whether one shows the event."""
    indices = pick(plan, fps=fps)
    return draw(plan, indices, size=size), visible(plan, indices)


def seconds(indices: np.ndarray) -> tuple[float, ...]:
    """When the frames are on show, from the clip's start."""
    return tuple((indices / FPS).tolist())


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def choose_questions(watched: Watched, rng: np.random.Generator, *, long: bool) -> list[tuple[str, str]]:
    """One question about the event or action, the others about anything, `SOUGHT` ones rather than others; no two
    alike, each with its answer. Long ones only (multiple choice, requests for sentences), or none: padding costs time.

    Half of the multiple-choice ones open as the study's question does. Its labels are in none.
    """
    questions = [q for q in watched.questions(rng) if (q.choices is not None or q.kind == "wild_sentences") == long]
    order = weighted(questions, rng)
    first = next((q for q in order if q.kind in EVENT_QUESTIONS), order[0])
    batch = [first, *[q for q in order if q is not first][: QUESTIONS_A_CLIP - 1]]
    return [((PREAMBLE if q.choices and rng.random() < 0.5 else "") + q.question, q.answer) for q in batch]


def weighted(questions: list[Question], rng: np.random.Generator) -> list[Question]:
    """In a random order, `SOUGHT` ones rather early."""
    weights = np.array([SOUGHT.get(q.kind, 1.0) for q in questions])
    return [questions[k] for k in rng.choice(len(questions), len(questions), replace=False, p=weights / weights.sum())]


def captions(watched: Watched, rng: np.random.Generator) -> list[tuple[str, str]]:
    """What modality alignment sees: a request to describe, and the description; nothing where there is none."""
    return [(q.question, q.answer) for q in watched.questions(rng) if q.kind in CAPTIONS]
