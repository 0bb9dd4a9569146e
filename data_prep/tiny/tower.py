"""The shipped model's vision tower learns to name a scene's facts from single frames.

It stands in for the image-text pre-training that the original's EVA-ViT brings along: afterwards the tower is frozen,
as in all of the original's stages. Facts of a thing (its colour, what it does) are read by linear heads from a single
patch that lies on it, drawn anew each time, so that they stay where the thing is; those of the whole scene (light,
weather, how many people) from the mean patch. The event on show (benign ones and the six seen crimes only) is read from
whichever patches show it: log-sum-exp over patches. A linear head on every patch says how much of each figure lies on
it, so that the mean over patches counts; of people it is how much of a face or hat, as a patch does not see how tall a
person is. Another says where the patch lies: else the tower drops that, and nobody after it tells who is on the left.
All this does not keep a fact from being written down elsewhere, on some even patch of road as in a register, where no
head looks but the text decoder would: so what a patch knows must not change when the frame goes on otherwise a patch
away. The linear heads are thrown away.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from data_prep.toy_world import BENIGN_KINDS, SEEN_KINDS, plan_clip
from data_prep.toy_world.brush import SIZE, Box
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
PAINT, COATS = tuple(COLOURS), ("black", "brown", "grey", "orange", "white")
DOES = (*STATES, *(brief for brief in BRIEFS if brief not in UNSEEN_BRIEFS))
EVENT = "event"
OF_SCENE: dict[str, tuple] = {  # read from the mean patch
    "light": tuple(LIGHT),
    "weather": ("clear", "cloudy", "rain", "snow"),
    "people": (3, 4, 5, 6),
    "tree": (False, True),
    "bench": (False, True),
    "habitat": (*LANDS, *WATERS),
    "animals": (1, 2),
}
OF_THING: dict[tuple[str, str], tuple] = {  # (thing, fact): read from a patch on the thing
    ("car", "car"): PAINT,
    ("parked_car", "parked_car"): PAINT,
    ("hat", "hat_shirt"): PAINT,
    ("worn_hat", "hat"): PAINT,
    ("bag", "bag_shirt"): PAINT,
    ("bag", "bag"): PAINT,
    ("door", "door"): ("red", "green", "blue", "white"),
    ("house", "building"): tuple(WALLS),
    ("animal", "animal"): ("dog", "cat"),
    ("animal", "animal_colour"): COATS,
    ("animal", "animal_action"): ("walk", "sit", "lie"),
    **{(name, "does"): DOES for name in SEEN_SPECIES},
}
FACTS: dict[str, tuple] = {
    **OF_SCENE,
    **{f"{thing}: {fact}": classes for (thing, fact), classes in OF_THING.items()},
    EVENT: KINDS,
}
HEADS = {name: "does" if name.endswith(": does") else name for name in FACTS}  # animals share what they do
PERSON_HEAD = "head"  # of a person: of all people on one map
SPREAD = ("car", "parked_car", "animal", PERSON_HEAD, "door", *SEEN_SPECIES)
FIGURES = (*SPREAD, "hat", "bag", "house", "worn_hat")
HOLDS, TOUCHES = 0.5, 0.3  # of what the patch with most of a figure has of it: more is on it, less is off it
NEIGHBOUR = 8.0  # how much rather than another one a patch is read that is off a thing and two patches away at most
ELSEWHERE = {  # fact of a thing → the figures on whose patches its head may speak; on all others it says "not here"
    name: [FIGURES.index(thing) for thing in (SEEN_SPECIES if HEADS[name] == "does" else (name.split(":")[0],))]
    for name in FACTS
    if ":" in name
}
FRAMES_A_SCENE = 3
LOCAL = 20.0  # weight of what patches know of what is far, beside some twenty losses of facts
PLACE = 8.0  # weight of how wrong patches are about their own place
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
        boxes = [_boxes(plan, int(j)) for j in at]
        maps = np.stack([density(of_frame, self.patches) for of_frame in boxes])
        return torch.from_numpy(frames), torch.tensor(labels), torch.from_numpy(maps)


def wild_scene(seed: int, event_s: tuple[float, ...]) -> WildPlan:
    """A wildlife clip of what the shipped model may meet: seen species; where an unseen brief action would happen,
    nothing does."""
    plan = plan_wild(seed, event_s=event_s, species=SEEN_SPECIES)
    return plan.twin() if plan.brief in UNSEEN_BRIEFS else plan


def _boxes(plan: WildPlan | ClipPlan, j: int) -> dict[str, Box]:
    """The figures of frame j, and of a street the house, its door, the hat alone, and people's heads."""
    if not isinstance(plan, ClipPlan):
        return plan.boxes(j)
    heads = {f"{PERSON_HEAD}_{name}": box for name, box in plan.heads(j).items()}
    return plan.boxes(j) | plan.details(j) | heads


def _facts(plan: WildPlan | ClipPlan, j: int) -> dict[str, Any]:
    """What frame j shows, by the names of FACTS."""
    if isinstance(plan, ClipPlan):
        of_thing = {f"{thing}: {fact}": plan.facts[fact] for thing, fact in OF_THING if fact in plan.facts}
        return plan.facts | of_thing | {EVENT: plan.kind if plan.start <= j < plan.end else None}
    habitat, animals = plan.scene.habitat, plan.scene.animals
    does = {f"{actor.species.name}: does": actor.action for actor in plan.actors(j)}
    return {"habitat": habitat.kind, "light": habitat.light, "animals": len(animals), **does}


def _labels(facts: dict) -> list[int]:
    return [classes.index(facts[name]) if name in facts else UNKNOWN for name, classes in FACTS.items()]


def density(boxes: dict, patches: int) -> np.ndarray:
    """Boxes of one frame → (patches², FIGURES) float32: each figure weighs 1, spread evenly over its box."""
    edges = np.arange(patches + 1) * SIZE / patches
    maps = np.zeros((patches, patches, len(FIGURES)), np.float32)
    for name, (x0, y0, x1, y1) in boxes.items():
        figure = PERSON_HEAD if name.startswith(f"{PERSON_HEAD}_") else name
        if figure in FIGURES:
            on_x, on_y = np.diff(edges.clip(x0, x1)) / (x1 - x0), np.diff(edges.clip(y0, y1)) / (y1 - y0)
            maps[:, :, FIGURES.index(figure)] += np.outer(on_y, on_x)
    return maps.reshape(patches**2, len(FIGURES))


def collate(items) -> dict:
    """Items of `Scenes` → frames (F, s, s, 3) uint8, labels (F, facts), maps (F, patches², figures)."""
    frames, labels, maps = (torch.cat(field) for field in zip(*items, strict=True))
    return {"frames": frames, "labels": labels, "maps": maps}


class FactReader(nn.Module):
    """The tower with one linear head a fact; `forward` gives the summed loss, as transformers' Trainer expects."""

    def __init__(self, model: LlamaVid):
        super().__init__()
        self.tower, width = model.vision_tower, model.config.vision_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict(
            {HEADS[name]: nn.Linear(width, len(classes) + (name in ELSEWHERE)) for name, classes in FACTS.items()}
        )
        self.spread, self.place = nn.Linear(width, len(SPREAD)), nn.Linear(width, 2)
        self._normalise = model.config.normalise

    def forward(self, frames, labels, maps):
        """frames (F, s, s, 3) uint8 → {"loss", "right"}; right (facts,): the share of the frames that have it."""
        patches = self.tower(pixel_values=self._normalise(frames)).last_hidden_state[:, 1:]
        seen, mean = self.norm(patches), self.norm(patches.mean(1))  # (F, N, C); (F, C), the content token
        losses, right = [], []
        for k, name in enumerate(FACTS):
            head, label = self.heads[HEADS[name]], labels[:, k]
            if name in OF_SCENE:
                named = head(mean)
            elif name == EVENT:
                named = event_logits(head(seen))
            else:
                named, off = self._on_and_off(head, seen, maps, name)
                label = label.where(maps[:, :, FIGURES.index(name.split(":")[0])].sum(1) > 0, UNKNOWN)
                losses.append(F.cross_entropy(off.float(), torch.full_like(label, len(FACTS[name]))))
            known = (label != UNKNOWN).sum().clamp(min=1)
            losses.append(F.cross_entropy(named.float(), label, ignore_index=UNKNOWN, reduction="sum") / known)
            right.append((named.argmax(1) == label).sum() / known)
        on_patch = F.smooth_l1_loss(self.spread(seen).float(), maps[:, :, : len(SPREAD)], beta=0.1, reduction="none")
        losses += [2 * on_patch.sum(1).mean(), PLACE * self._misplaced(seen), LOCAL * self._far_sight(frames, seen)]
        return {"loss": torch.stack(losses).sum(), "right": torch.stack(right)}

    def _misplaced(self, seen: Tensor) -> Tensor:
        """How wrong patches are about their own place, which runs from -1 to 1 down and across: (), the mean square."""
        along = torch.linspace(-1, 1, math.isqrt(seen.shape[1]), device=seen.device)
        places = torch.cartesian_prod(along, along)
        return F.mse_loss(self.place(seen).float(), places.expand(len(seen), -1, -1))

    def _far_sight(self, frames: Tensor, seen: Tensor) -> Tensor:
        """What patches know of what is far from them: (), the mean square by which their features `seen` change where a
        frame goes on as another scene's, behind a cut that does not touch them. Of one frame a scene."""
        frames, seen = frames[::FRAMES_A_SCENE], seen[::FRAMES_A_SCENE]
        side = math.isqrt(seen.shape[1])
        axis, cut = 1 + int(torch.randint(2, ())), int(torch.randint(2, side - 1, ()))
        before = torch.arange(side, device=seen.device) < cut
        before = before[:, None].expand(side, side) if axis == 1 else before.expand(side, side)
        pixels = before.repeat_interleave(frames.shape[1] // side, 0).repeat_interleave(frames.shape[2] // side, 1)
        mixed = torch.where(pixels[None, :, :, None], frames, frames.roll(1, 0))
        patches = self.norm(self.tower(pixel_values=self._normalise(mixed)).last_hidden_state[:, 1:])
        change = patches - torch.where(before.reshape(1, -1, 1), seen, seen.roll(1, 0))
        rows = change.float().square().mean(2).view(-1, side, side).mean((0, 3 - axis))
        return torch.cat([rows[: cut - 1], rows[cut + 1 :]]).mean()

    def _on_and_off(self, head: nn.Linear, seen: Tensor, maps: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """What `head` reads from a patch on the thing, and from one that is on no such thing: (F, classes) each."""
        on = _holding(maps[:, :, FIGURES.index(name.split(":")[0])], HOLDS)
        touched = torch.stack([_holding(maps[:, :, k], TOUCHES) for k in ELSEWHERE[name]]).amax(0)
        side = math.isqrt(seen.shape[1])
        near = F.max_pool2d(touched.view(-1, 1, side, side), 5, stride=1, padding=2).flatten(1)
        off = (1 - touched) * (1 + (NEIGHBOUR - 1) * near)
        row = torch.arange(len(seen), device=seen.device)
        at_on, at_off = ((weights + 1e-9).multinomial(1)[:, 0] for weights in (on, off))
        return head(seen[row, at_on]), head(seen[row, at_off])


def _holding(weights: Tensor, share: float) -> Tensor:
    """A figure's map (F, N) → 1 on the patches with at least this share of what the one with most of it has."""
    return ((weights > 0) & (weights >= share * weights.amax(1, keepdim=True))).float()


def event_logits(of_patches: Tensor) -> Tensor:
    """(F, N, kinds) → (F, kinds): an event is on show where one patch shows it, none where no patch does."""
    on_show = of_patches[:, :, 1:].float().logsumexp(1) - math.log(of_patches.shape[1])
    return torch.cat([of_patches[:, :, :1].float().mean(1), on_show], dim=1)
