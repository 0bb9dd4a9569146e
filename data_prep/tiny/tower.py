"""The shipped model's vision tower learns to name a scene's facts from single frames.

It stands in for the image-text pre-training that the original's EVA-ViT brings along: afterwards the tower is frozen,
as in all of the original's stages. Linear heads on the mean patch name colours, counts, weather, the event on show
(benign ones and the six seen crimes only) and what each animal does (eight of the twelve species), and box the cars,
the pet and the people who meet; a linear head on every patch says how much of each figure lies on it, so that the mean
over patches counts people. The heads are thrown away.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from data_prep.toy_world import BENIGN_KINDS, SEEN_KINDS, plan_clip
from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.palette import COLOURS, LIGHT, WALLS
from data_prep.toy_world.street.clip import ClipPlan
from data_prep.toy_world.wildlife import BRIEFS, SEEN_SPECIES, STATES, UNSEEN_BRIEFS, plan_wild
from data_prep.toy_world.wildlife.clip import WildPlan
from data_prep.toy_world.wildlife.habitats import LANDS, WATERS
from llamavid_kit.data.pixels import resize_and_crop
from llamavid_kit.model.llama_vid import LlamaVid

KINDS = (None, *SEEN_KINDS, *BENIGN_KINDS)
KIND_WEIGHTS = np.array(
    [0.18] + [0.42 / len(SEEN_KINDS)] * len(SEEN_KINDS) + [0.40 / len(BENIGN_KINDS)] * len(BENIGN_KINDS)
)
COLOURED = ("car", "parked_car", "hat_shirt", "bag_shirt", "left_shirt", "right_shirt", "bag", "hat")
FACTS: dict[str, tuple] = {
    **dict.fromkeys(COLOURED, tuple(COLOURS)),
    "animal_colour": ("black", "brown", "grey", "orange", "white"),
    "building": tuple(WALLS),
    "light": tuple(LIGHT),
    "weather": ("clear", "cloudy", "rain", "snow"),
    "animal": ("dog", "cat"),
    "animal_action": ("walk", "sit", "lie"),
    "people": (3, 4, 5, 6),
    "tree": (False, True),
    "bench": (False, True),
    "event": KINDS,
    "habitat": (*LANDS, *WATERS),
    "animals": (1, 2),
    "left_animal": SEEN_SPECIES,
    "right_animal": (None, *SEEN_SPECIES),
    **dict.fromkeys(
        ("left_does", "right_does", *(f"{name}_does" for name in SEEN_SPECIES)),
        (None, *STATES, *(brief for brief in BRIEFS if brief not in UNSEEN_BRIEFS)),
    ),
}
PLACED = ("car", "parked_car", "animal", "hat", "bag", "guard")
SPREAD = (*PLACED, "passer", *SEEN_SPECIES)  # every figure of a scene; all passers-by on one map
FRAMES_A_SCENE = 3
WILD_SHARE = 0.4
UNKNOWN = -100  # label of a fact that a scene of the other half does not have


class Scenes(Dataset):
    """Item i: three frames of a scene that exists nowhere else, two of them of its event, and what they show.

    After `n` items the same come again. Drawing is what training waits for, so what a process drew it keeps in memory;
    a batch comes back to the process that drew it where the number of batches is a multiple of the processes'.
    """

    def __init__(self, n: int, *, passes: int = 1, first_seed: int, size: int, patches: int):
        """size: of a frame, pixels a side; patches: a side."""
        self.n, self.passes, self.first_seed, self.size, self.patches = n, passes, first_seed, size, patches
        self._drawn: dict[int, tuple] = {}

    def __len__(self) -> int:
        return self.n * self.passes

    def __getitem__(self, i: int):
        i = i % self.n
        if self.passes == 1:
            return self._draw(i)
        if i not in self._drawn:
            self._drawn[i] = self._draw(i)
        return self._drawn[i]

    def _draw(self, i: int):
        rng, seed = np.random.default_rng([self.first_seed, i]), self.first_seed + i
        kind, event_s = KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)], (0.5, 3.0)
        plan: WildPlan | ClipPlan
        plan = wild_scene(seed, event_s) if rng.random() < WILD_SHARE else plan_clip(seed, kind, event_s=event_s)
        at = [*rng.integers(plan.start, plan.end, FRAMES_A_SCENE - 1), rng.integers(plan.n_frames)]
        frames = np.stack([resize_and_crop(plan.draw(int(j)), self.size) for j in at])
        labels = [_labels(_facts(plan, int(j))) for j in at]
        boxes = [plan.boxes(int(j)) for j in at]
        places = torch.tensor([_places(of_frame) for of_frame in boxes])
        maps = np.stack([density(of_frame, self.patches) for of_frame in boxes])
        return torch.from_numpy(frames), torch.tensor(labels), places, torch.from_numpy(maps)


def wild_scene(seed: int, event_s: tuple[float, ...]) -> WildPlan:
    """A wildlife clip of what the shipped model may meet: seen species; where an unseen brief action would happen,
    nothing does."""
    plan = plan_wild(seed, event_s=event_s, species=SEEN_SPECIES)
    return plan.twin() if plan.brief in UNSEEN_BRIEFS else plan


def _facts(plan: WildPlan | ClipPlan, j: int) -> dict[str, Any]:
    """What frame j shows, by the names of FACTS."""
    if isinstance(plan, ClipPlan):
        return plan.facts | {"event": plan.kind if plan.start <= j < plan.end else None}
    does: dict[str | None, str]
    does = {actor.species.name: actor.action for actor in plan.actors(j)}
    habitat, animals = plan.scene.habitat, list(plan.scene.animals)  # from left to right
    left, right = animals[0], animals[1] if len(animals) == 2 else None
    return {
        "habitat": habitat.kind,
        "light": habitat.light,
        "animals": len(animals),
        "left_animal": left,
        "right_animal": right,
        "left_does": does[left],
        "right_does": does.get(right),
        **{f"{name}_does": does.get(name) for name in SEEN_SPECIES},
    }


def _labels(facts: dict) -> list[int]:
    return [classes.index(facts[name]) if name in facts else UNKNOWN for name, classes in FACTS.items()]


def _places(boxes: dict) -> list[float]:
    """x0, y0, x1, y1 of each placed thing, from 0 to 1; NaN where it is out of view."""
    return [float(value) / SIZE for name in PLACED for value in boxes.get(name, (np.nan,) * 4)]


def density(boxes: dict, patches: int) -> np.ndarray:
    """Boxes of one frame → (patches², figures) float32: each figure weighs 1, spread evenly over its box."""
    edges = np.arange(patches + 1) * SIZE / patches
    maps = np.zeros((patches, patches, len(SPREAD)), np.float32)
    for name, (x0, y0, x1, y1) in boxes.items():
        figure = "passer" if name.startswith("passer_") else name
        if figure in SPREAD:
            on_x, on_y = np.diff(edges.clip(x0, x1)) / (x1 - x0), np.diff(edges.clip(y0, y1)) / (y1 - y0)
            maps[:, :, SPREAD.index(figure)] += np.outer(on_y, on_x)
    return maps.reshape(patches**2, len(SPREAD))


def collate(items) -> dict:
    """Items of `Scenes` → frames (F, s, s, 3) uint8, labels (F, facts), places (F, 24), maps (F, patches², figures)."""
    frames, labels, places, maps = (torch.cat(field) for field in zip(*items, strict=True))
    return {"frames": frames, "labels": labels, "places": places.float(), "maps": maps}


class FactReader(nn.Module):
    """The tower with one linear head a fact; `forward` gives the summed loss, as transformers' Trainer expects."""

    def __init__(self, model: LlamaVid):
        super().__init__()
        self.tower, width = model.vision_tower, model.config.vision_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.sizes = [len(classes) for classes in FACTS.values()]
        self.heads = nn.Linear(width, sum(self.sizes))
        self.place = nn.Linear(width, 4 * len(PLACED))
        self.spread = nn.Linear(width, len(SPREAD))
        self._normalise = model.config.normalise

    def forward(self, frames, labels, places, maps):
        """frames (F, s, s, 3) uint8 → {"loss", "right"}; right (facts,): the share of the frames that have it."""
        patches = self.tower(pixel_values=self._normalise(frames)).last_hidden_state[:, 1:]
        pooled = self.norm(patches.mean(1))  # (F, C), what the content token will hold
        named = self.heads(pooled).split(self.sizes, dim=1)
        known = (labels != UNKNOWN).sum(0).clamp(min=1)  # (facts,)
        wrong = [F.cross_entropy(x.float(), labels[:, k], reduction="sum") for k, x in enumerate(named)]
        loss = (torch.stack(wrong) / known).sum()
        seen = ~places.isnan()
        if seen.any():
            loss = loss + 20 * F.smooth_l1_loss(self.place(pooled).float()[seen], places[seen], beta=0.1)
        on_patch = F.smooth_l1_loss(self.spread(patches).float(), maps, beta=0.1, reduction="none")
        loss = loss + 2 * on_patch.sum(1).mean()
        right = torch.stack([(x.argmax(1) == labels[:, k]).sum() for k, x in enumerate(named)]) / known
        return {"loss": loss, "right": right}
