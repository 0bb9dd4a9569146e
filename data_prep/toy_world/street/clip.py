"""A clip as a plan: the scene of a seed with one event laid over an interval, or with none. `plan_clip` is cheap and
deterministic; frames are drawn one by one when asked for. Outside [start_s, end_s) a plan and its twin without event
are the same pixels, because the event only changes the stage inside the interval and draws from a stream of its own."""

import math
from dataclasses import dataclass, field

import numpy as np

from data_prep.toy_world.brush import SIZE, Box, Brush, in_view
from data_prep.toy_world.effects import Effect
from data_prep.toy_world.plan import Plan
from data_prep.toy_world.street.backdrop import paint_backdrop
from data_prep.toy_world.street.benign import BENIGN
from data_prep.toy_world.street.crimes import CRIMES
from data_prep.toy_world.street.figures import Actor
from data_prep.toy_world.street.scene import Cue, Scene, Stage, make_scene
from data_prep.toy_world.timing import CAMERA, EVENT, FPS, SECONDS, checked_durations, stream

NORMAL = "Normal_Videos"
CRIME_KINDS = tuple(CRIMES)
BENIGN_KINDS = tuple(BENIGN)
UNSEEN_KINDS = ("Abuse", "Arrest", "Robbery", "Shooting")
SEEN_KINDS = tuple(k for k in CRIME_KINDS if k not in UNSEEN_KINDS)


@dataclass
class ClipPlan(Plan):
    """One clip. `kind` is None where nothing happens. Frames and boxes are those after mirroring."""

    seed: int
    kind: str | None
    scene: Scene
    scene_facts: dict
    start: int
    end: int
    n_frames: int
    event_s: tuple[float, ...]
    _cache: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def event(self) -> str | None:
        return self.kind

    @property
    def facts(self) -> dict:
        """JSON-able; `event` is the kind, everything else belongs to the scene and to every twin."""
        return {**self.scene_facts, "event": self.kind}

    def twin(self) -> "ClipPlan":
        """The same clip without its event."""
        return plan_clip(self.seed, None, event_s=self.event_s, seconds=self.n_frames / FPS)

    def stage(self, i: int) -> Stage:
        """The figures and effects of frame i."""
        self._check(i)
        stage = self.scene.stage(i / FPS)
        if self.kind is not None and self.start <= i < self.end:
            t = (i - self.start) / FPS
            event = CRIMES.get(self.kind) or BENIGN[self.kind]
            event(stage, Cue(t, (i - self.start) / (self.end - self.start), self._once("roll", self._roll)))
        return stage

    def draw(self, i: int) -> np.ndarray:
        """Frame i: (224, 224, 3) uint8 RGB."""
        stage = self.stage(i)
        brush = Brush(self._once("backdrop", lambda: paint_backdrop(self.scene)).copy(), mirrored=self.scene.mirrored)
        things: list[Actor | Effect] = [*stage.actors.values(), *stage.effects]
        for thing in sorted(things, key=lambda thing: thing.depth):
            thing.paint(brush)
        self._weather(brush, i)
        for colour, share in stage.washes:
            brush.wash(colour, share)
        return self._filmed(brush, i, camera_stream=CAMERA)

    def boxes(self, i: int) -> dict[str, Box]:
        """Name → (x0, y0, x1, y1) of each figure and event object in view at frame i, pixels, clipped to the frame."""
        stage = self.stage(i)
        boxes = {name: actor.box for name, actor in stage.actors.items()}
        for effect in stage.effects:
            name, k = effect.name, 2
            while name in boxes:
                name, k = f"{effect.name}_{k}", k + 1
            boxes[name] = effect.box
        return self._in_view(boxes)

    def details(self, i: int) -> dict[str, Box]:
        """As `boxes`, what questions are about beside figures: the house without its roof, its door, and the hat alone,
        where it is to be seen."""
        house, hat = self.scene.house, self.stage(i).actors["hat"].hat
        x, top, base = house["door"], house["top"], house["base"]
        boxes = {"house": (house["left"], top, house["right"], base), "door": (x, house["door_top"], x + 26, base)}
        return self._in_view(boxes | ({"worn_hat": hat} if hat else {}))

    def heads(self, i: int) -> dict[str, Box]:
        """As `boxes`, the heads of people, under the people's names."""
        people = {name: actor for name, actor in self.stage(i).actors.items() if actor.what == "person"}
        return self._in_view({name: actor.head for name, actor in people.items()})

    def _in_view(self, boxes: dict[str, Box]) -> dict[str, Box]:
        """Boxes before mirroring, as they lie in the frame; without those that do not."""
        if self.scene.mirrored:
            boxes = {name: (SIZE - x1, y0, SIZE - x0, y1) for name, (x0, y0, x1, y1) in boxes.items()}
        return {name: part for name, box in boxes.items() if (part := in_view(*box))}

    def _weather(self, brush: Brush, i: int) -> None:
        if self.scene.weather not in ("rain", "snow"):
            return
        n, speed = (120, 9.0) if self.scene.weather == "rain" else (45, 1.6)
        drops = self._once("drops", lambda: stream(self.seed, CAMERA + 100).uniform(0, SIZE + 20, (n, 2)).tolist())
        fall = i * speed
        for k, (x, y) in enumerate(drops):
            py = (y + fall * (0.8 + 0.4 * (k % 5) / 5)) % (SIZE + 20) - 10
            if self.scene.weather == "rain":
                brush.line([(x, py), (x - 2.5, py + 12)], (206, 216, 232), 0.9)
            else:
                brush.disc((x + 3 * math.sin(0.05 * i + k)) % SIZE, py, 1.2, (248, 250, 252))

    def _roll(self) -> tuple[float, ...]:
        return tuple(stream(self.seed, EVENT).uniform(0, 1, 8).tolist())


def plan_clip(
    seed: int, kind: str | None, *, event_s: tuple[float, ...] = (0.1, 3.0), seconds: float = SECONDS
) -> ClipPlan:
    """The clip of `seed` with the event `kind` (a crime, a benign event, or None: nothing happens). `event_s`: shortest
    and longest event in seconds, log-uniform between, or more knots (`timing.DURATIONS`); equal for every kind."""
    if kind == NORMAL:
        kind = None
    if kind is not None and kind not in CRIMES and kind not in BENIGN:
        raise ValueError(f"kind {kind!r} is unknown; use None or one of {', '.join((*CRIMES, *BENIGN))}")
    event_s = checked_durations(event_s, seconds)
    scene, facts, (start, end) = make_scene(int(seed), event_s, round(seconds * FPS))
    return ClipPlan(int(seed), kind, scene, facts, start, end, round(seconds * FPS), event_s)
