"""A wildlife clip as a plan: the scene of a seed with one brief action laid over an interval, or with none. `plan_wild`
is cheap and deterministic; frames are drawn one by one when asked for. Outside [start, end) a plan and its twin without
brief action are the same pixels, because the brief action only changes the pose of one animal inside the interval and
draws from streams of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

from data_prep.toy_world.brush import SCALE, SIZE, Box, Brush, in_view
from data_prep.toy_world.motion import blend
from data_prep.toy_world.palette import mix, tone
from data_prep.toy_world.plan import Plan
from data_prep.toy_world.timing import FPS, SECONDS, checked_durations, event_frames, stream
from data_prep.toy_world.wildlife import signs
from data_prep.toy_world.wildlife.actions import Moment, pose_of
from data_prep.toy_world.wildlife.habitats import SURFACE, paint_habitat
from data_prep.toy_world.wildlife.pen import Pen
from data_prep.toy_world.wildlife.scene import ACTION, CAMERA, CHANGE_S, KIND, TEXTURE, Animal, WildScene, make_scene
from data_prep.toy_world.wildlife.signs import Actor
from data_prep.toy_world.wildlife.species import BRIEFS, SPECIES

BRIEF_SHARE = 0.7  # of the clips with brief="any" have one
Segment = tuple[str, str, float, float]


@dataclass
class WildPlan(Plan):
    """One clip. `brief` is None where no brief action happens. `who` does the brief action."""

    seed: int
    brief: str | None
    who: str | None
    scene: WildScene
    start: int
    end: int
    n_frames: int
    event_s: tuple[float, ...]
    species: tuple[str, ...]
    _cache: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def event(self) -> str | None:
        return self.brief

    def actors(self, i: int) -> list[Actor]:
        """The animals at frame i, back to front."""
        self._check(i)
        actors = []
        for name, animal in self.scene.animals.items():
            if self.brief is not None and name == self.who and self.start <= i < self.end:
                actors.append(self._brief_actor(animal, self.brief, i))
            else:
                actors.append(_state_actor(animal, i / FPS))
        return sorted(actors, key=lambda actor: actor.y)

    def _brief_actor(self, animal: Animal, brief: str, i: int) -> Actor:
        x, _, way = animal.track.at(i / FPS)
        roll = self._once("roll", lambda: tuple(stream(self.seed, ACTION).uniform(0, 1, 4).tolist()))
        t, u = (i - self.start) / FPS, (i - self.start) / (self.end - self.start)
        at = Moment(t, u, way / animal.k, animal.level, (animal.y - SURFACE) / animal.k, animal.medium, roll)
        facing = math.copysign(1.0, animal.facing_at(i / FPS))
        edge = min(SIZE / 2, (animal.width / 2 + 36) * animal.k)
        x = min(max(x, edge), SIZE - edge)
        pose = pose_of(animal.species, brief, at)
        return Actor(animal.species, x, animal.y, animal.k, facing, pose, brief, at, 1.0, SURFACE)

    def draw(self, i: int) -> np.ndarray:
        """Frame i: (224, 224, 3) uint8 RGB."""
        habitat = self.scene.habitat
        backdrop = self._once("backdrop", lambda: paint_habitat(habitat, stream(self.seed, TEXTURE)))
        brush = Brush(backdrop.copy(), mirrored=False)
        for actor in self.actors(i):
            self._paint(brush, actor)
        if habitat.is_water:
            _waves(brush, i / FPS)
        return self._filmed(brush, i, camera_stream=CAMERA)

    def _paint(self, brush: Brush, actor: Actor) -> None:
        signs.shadow(brush, actor)
        if actor.action == "Eating" and actor.species.food == "flower":
            signs.before(brush, actor, _drawn(None, actor).points)
        below = _below_surface(actor) if actor.at.medium == "surface" else None
        behind = brush.canvas.crop(below) if below else None
        pen = _drawn(brush, actor, tint=self._once(actor.at.medium, lambda: self._tint(actor.at.medium)))
        if below and behind:
            brush.canvas.paste(Image.blend(brush.canvas.crop(below), behind, 0.4), below[:2])
        signs.after(brush, actor, pen.points)

    def _tint(self, medium: str):
        """Colours as light and water show them."""
        known, habitat = {}, self.scene.habitat

        def tint(colour):
            if colour not in known:
                lit = tone(colour, habitat.light)
                known[colour] = mix(lit, habitat.water, 0.16) if medium == "water" else lit
            return known[colour]

        return tint

    def boxes(self, i: int) -> dict[str, Box]:
        """Animal → (x0, y0, x1, y1) at frame i, pixels, clipped to the frame."""
        boxes = {}
        for actor in self.actors(i):
            x0, y0, x1, y1 = _drawn(None, actor).box
            if box := in_view(x0 - 1, y0 - 1, x1 + 1, y1 + 1):
                boxes[actor.species.name] = box
        return boxes

    def twin(self) -> "WildPlan":
        """The same clip without its brief action."""
        return plan_wild(self.seed, brief=None, event_s=self.event_s, seconds=self.n_frames / FPS, species=self.species)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """(animal, action, start_s, end_s), sorted by start. A state goes on through the brief action that interrupts
        it."""
        segments = [(name, *state) for name, animal in self.scene.animals.items() for state in animal.states]
        if self.who is not None and self.brief is not None:
            segments.append((self.who, self.brief, self.start_s, self.end_s))
        return tuple(sorted(segments, key=lambda s: (s[2], s[3], s[0])))

    @property
    def sentences(self) -> tuple[str, ...]:
        """One a segment, in Animal Kingdom's wording."""
        return tuple(sentence(animal, action) for animal, action, _, _ in self.segments)

    def visible_segments(self, times_s: Sequence[float]) -> tuple[Segment, ...]:
        """The segments of which a frame at one of `times_s` shows an instant."""
        return tuple(s for s in self.segments if any(self._shows(s, math.floor(t * FPS + 1e-6)) for t in times_s))

    def _shows(self, segment: Segment, i: int) -> bool:
        animal, action, start_s, end_s = segment
        if not round(start_s * FPS) <= i < round(end_s * FPS):
            return False
        return animal != self.who or action == self.brief or not self.start <= i < self.end

    @property
    def facts(self) -> dict:
        """JSON-able. `brief` and `brief_animal` belong to the brief action, everything else to the scene and every
        twin."""
        animals = self.scene.animals
        return {
            "species": list(animals),
            "classes": [animals[name].species.parent for name in animals],
            "habitat": self.scene.habitat.kind,
            "light": self.scene.habitat.light,
            "cloudy": self.scene.habitat.cloudy,
            "side": dict(self.scene.side),
            "medium": {name: animal.medium for name, animal in animals.items()},
            "states": {name: [action for action, _, _ in animal.states] for name, animal in animals.items()},
            "brief": self.brief,
            "brief_animal": self.who,
        }


def _state_actor(animal: Animal, t: float) -> Actor:
    """The animal at second t as its states have it; around a change one pose passes into the other."""
    x, _, way = animal.track.at(t)
    at = Moment(t, 0.0, way / animal.k, animal.level, (animal.y - SURFACE) / animal.k, animal.medium, animal.roll)
    action, pose, grow = animal.states[0][0], None, 1.0
    pose = pose_of(animal.species, action, at)
    if len(animal.states) == 2 and (u := (t - animal.states[1][1]) / CHANGE_S + 0.5) > 0:
        later = animal.states[1][0]
        u = min(1.0, u)
        share = u * u * (3 - 2 * u)
        pose = blend(pose, pose_of(animal.species, later, at), share)
        action, grow = (later, 2 * share - 1) if share >= 0.5 else (action, 1 - 2 * share)
    return Actor(animal.species, x, animal.y, animal.k, animal.facing_at(t), pose, action, at, grow, SURFACE)


def _drawn(brush: Brush | None, actor: Actor, tint=None) -> Pen:
    """Draws the animal alone (or, without a brush, measures it); its pen."""
    pen = Pen(brush, actor.x, actor.y, actor.k, facing=actor.facing, tint=tint)
    actor.species.paint(pen.at(actor.pose.ahead + actor.species.shift, 0.0), actor.pose)
    return pen


def _below_surface(actor: Actor) -> tuple[int, int, int, int]:
    """Canvas pixels where a swimmer's body is under water: there it shows less."""
    half = actor.species.width * actor.k
    x0, x1 = max(0, int((actor.x - half) * SCALE)), min(SIZE * SCALE, int((actor.x + half) * SCALE))
    return x0, SURFACE * SCALE, x1, int(actor.y) * SCALE


def _waves(brush: Brush, t: float):
    for row, (shade, width) in enumerate((((255, 255, 255, 150), 1.4), ((255, 255, 255, 70), 1.0))):
        points = [
            (x, SURFACE + 3 * row + 1.3 * math.sin(0.14 * x + 2.2 * t + row) + 0.8 * math.sin(0.31 * x - 1.7 * t))
            for x in range(-4, SIZE + 8, 8)
        ]
        brush.line(points, shade, width)


def sentence(animal: str, action: str) -> str:
    """Animal Kingdom's wording: "The lion is walking." """
    words = {"Flapping": "flapping its wings", "Shaking Head": "shaking its head"}
    return f"The {animal} is {words.get(action, action.lower())}."


def possible_briefs(scene: WildScene) -> dict[str, list[str]]:
    """Brief action → animals that could do it where they are."""
    animals = scene.animals.items()
    able = {brief: [n for n, a in animals if brief in a.species.briefs.get(a.medium, ())] for brief in BRIEFS}
    return {brief: names for brief, names in able.items() if names}


def plan_wild(
    seed: int,
    *,
    brief: str | Literal["any"] | None = "any",
    event_s: tuple[float, ...] = (0.1, 3.0),
    seconds: float = SECONDS,
    species: Sequence[str] | None = None,
) -> WildPlan:
    """The clip of `seed`. `brief`: a brief action that an animal of this clip can do, None: none happens, "any": the
    seed's own choice. `event_s`: shortest and longest brief action in seconds (`timing.DURATIONS`); the interval is
    there for every choice. `species`: the animals to draw from (default: all twelve)."""
    pool = tuple(SPECIES) if species is None else tuple(species)
    unknown = [name for name in pool if name not in SPECIES]
    if unknown or not pool:
        raise ValueError(f"species {unknown or 'empty'}: give one or more of {', '.join(SPECIES)}")
    event_s, n_frames = checked_durations(event_s, seconds), round(seconds * FPS)
    scene = make_scene(int(seed), event_s, n_frames, tuple(sorted(set(pool))))
    able = possible_briefs(scene)
    rng = stream(int(seed), KIND)
    happens, kind, lot = rng.random() < BRIEF_SHARE, str(rng.choice(list(able))), rng.random()
    if brief == "any":
        brief = kind if happens else None
    if brief is not None and brief not in able:
        raise ValueError(f"brief {brief!r}: in the clip of seed {seed} possible are {', '.join(able)}, None or 'any'")
    who = None if brief is None else able[brief][int(lot * len(able[brief]))]
    start, end = event_frames(int(seed), event_s, n_frames)
    return WildPlan(int(seed), brief, who, scene, start, end, n_frames, event_s, pool)
