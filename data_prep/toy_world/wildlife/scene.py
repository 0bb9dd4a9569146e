"""A wildlife scene before any brief action: habitat, animals, where they go and what they do for seconds at a time. All
of it comes from the seed alone, in streams of its own; the kind of a brief action is drawn elsewhere (`clip`) and
changes nothing here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.motion import Track
from data_prep.toy_world.timing import FPS, event_frames, stream
from data_prep.toy_world.wildlife.habitats import BED, LANDS, SURFACE, WATERS, Habitat
from data_prep.toy_world.wildlife.species import ALL, SPECIES, Species

# Random streams of one seed, beside those of the street scenes. Only KIND and ACTION belong to the brief action.
CAST, PLACE, MOTION, CAMERA, TEXTURE, KIND, ACTION = range(20, 27)
PAIRS = 0.4  # share of clips with two animals
SPEED = {"Walking": 24.0, "Running": 74.0, "Moving": 20.0, "Swimming": 27.0, "Flying": 36.0}  # frame units a second
CHANGE_S = 0.5  # seconds in which one state passes into the next
TURN_S = 0.14  # seconds in which an animal turns round


@dataclass(frozen=True)
class Animal:
    """`y`: ground line; `k`: frame units of one own unit; `states`: (action, start_s, end_s), one or two; `level`: of
    its medium above the ground line, own units; `turns`: (second, facing before, facing after)."""

    species: Species
    medium: str
    track: Track
    y: float
    k: float
    level: float
    facing: int
    turns: tuple[tuple[float, int, int], ...]
    states: tuple[tuple[str, float, float], ...]
    roll: tuple[float, ...]

    @property
    def width(self) -> float:
        """Own units from tail to nose, on this medium."""
        return self.species.widths.get(self.medium, self.species.width)

    def facing_at(self, t: float) -> float:
        """+1 right, -1 left; between while it turns round."""
        now = self.facing
        for second, old, new in self.turns:
            if t < second - TURN_S / 2:
                return now
            now = new
            if t < second + TURN_S / 2:
                share = math.cos(math.pi * (t - second + TURN_S / 2) / TURN_S)
                return old * math.copysign(max(0.5, abs(share)), share)
        return now


@dataclass(frozen=True)
class WildScene:
    """Everything that lasts. `side`: animal → "left", "middle" or "right"."""

    seed: int
    habitat: Habitat
    animals: dict[str, Animal]
    side: dict[str, str]
    camera: dict


def media(species: Species, water: bool) -> list[str]:
    """Where `species` may be in a water or on a land."""
    return [m for m in species.states if (m == "air") or (m in ("water", "surface")) == water]


@lru_cache(maxsize=512)
def make_scene(seed: int, event_s: tuple[float, ...], n_frames: int, pool: tuple[str, ...]) -> WildScene:
    """The scene of `seed` with animals of `pool`."""
    start, end = event_frames(seed, event_s, n_frames)
    cast, water = draw_cast(seed, pool)
    rng, camera = stream(seed, PLACE), stream(seed, CAMERA)
    kind = str(rng.choice(WATERS if water else tuple(LANDS)))
    habitat = Habitat(kind, str(rng.choice(["day", "day", "dusk"])), bool(rng.random() < 0.25))
    move = stream(seed, MOTION)
    n = len(cast)
    rows = move.permutation([0.0, 1.0])
    animals, sides = {}, {}
    for place, species in enumerate(cast):
        animals[species.name] = _animal(
            move, species, water, place, n, rows[place], (start / FPS, end / FPS), n_frames / FPS
        )
        sides[species.name] = "middle" if n == 1 else ("left", "right")[place]
    quality = {"noise": int(camera.integers(2, 6)), "crf": int(camera.integers(23, 28))}
    return WildScene(seed, habitat, animals, sides, quality)


def draw_cast(seed: int, pool: tuple[str, ...]) -> tuple[list[Species], bool]:
    """One species, or two from left to right, and whether they are in water. Which of the two kinds of habitat it is
    depends on the species only where they could not live in the other one."""
    rng, names = stream(seed, CAST), _names(pool)
    cast = [SPECIES[str(rng.choice(names))]]
    two, water_share = rng.random() < PAIRS, rng.random()
    order = rng.permutation(names)
    for name in order:
        other = SPECIES[str(name)]
        if two and other is not cast[0] and any(_can_live([*cast, other], water) for water in (True, False)):
            cast.append(other)
            break
    if rng.random() < 0.5:
        cast.reverse()
    both = [water for water in (True, False) if _can_live(cast, water)]
    water = both[0] if len(both) == 1 else water_share < len(WATERS) / (len(WATERS) + len(LANDS))
    return cast, water


def first_species(seed: int, pool: tuple[str, ...]) -> str:
    """The animal that `seed` draws first; cheap."""
    return str(stream(seed, CAST).choice(_names(pool)))


def _names(pool: tuple[str, ...]) -> list[str]:
    return [species.name for species in ALL if species.name in pool]


def _can_live(cast: Sequence[Species], water: bool) -> bool:
    return all(media(species, water) for species in cast) and not (
        water and all(media(s, True) == ["air"] for s in cast)
    )


def _animal(move, species: Species, water: bool, place: int, n: int, row: float, event, seconds: float) -> Animal:
    """Number `place` of `n` animals; `event`: seconds of the brief interval; `row`: nearer (1) or farther (0)."""
    medium = str(move.choice(media(species, water)))
    width = species.widths.get(medium, species.width)
    k = min(species.size / 100 * (1.0 if n == 1 else 0.76), (150 if n == 1 else 92) / width)
    if water and medium == "air":
        k = min(k, 0.72)
    k *= move.uniform(0.94, 1.06)
    y = BED + 2 if water else (move.uniform(184, 196) if n == 1 else 176 + 20 * row + move.uniform(-3, 3))
    states = _states(move, species, medium, n, event, seconds)
    centre, reach = _room(move, {action for action, _, _ in states}, place, n, width * k)
    track = _track(move, states, centre, reach, seconds, pace=1.0 if n == 1 else 0.7)
    inward = track.places[0] < SIZE / 2 if n == 1 else place == 0
    facing, turns = _turns(track, 1 if inward else -1)
    level = _level(move, species, medium, water, y, k)
    return Animal(species, medium, track, y, k, level, facing, turns, states, tuple(move.uniform(0, 1, 4).tolist()))


def _room(move, actions: set[str], place: int, n: int, width: float) -> tuple[float, float]:
    """Middle and half of the way along x that an animal `width` frame units long has for itself."""
    if n == 2:
        return (SIZE / 4 + 2, SIZE * 3 / 4 - 2)[place], 16.0
    free = SIZE / 2 - width / 2
    reach = max(30.0, min(free, 60.0 if "Running" in actions else 44.0)) if actions & set(SPEED) else 16.0
    return SIZE / 2 + move.uniform(-0.5, 0.5) * max(0.0, free - reach), reach


def _states(move, species, medium, n, event, seconds):
    """One state for the whole clip, or two in sequence that change outside the brief interval."""
    able = [a for a in species.states[medium] if n == 1 or a != "Running"]
    first = str(move.choice(able))
    later = str(move.choice([a for a in able if a != first] or [first]))
    change = move.uniform(0.3 * seconds, 0.7 * seconds)
    if event[0] - CHANGE_S < change < event[1] + CHANGE_S:
        change = event[0] - CHANGE_S if change - event[0] < event[1] - change else event[1] + CHANGE_S
    change = round(change * FPS) / FPS
    if move.random() < 0.5 or later == first or not 1.0 <= change <= seconds - 1.0:
        return ((first, 0.0, seconds),)
    return ((first, 0.0, change), (later, change, seconds))


def _track(move, states, centre, reach, seconds, *, pace) -> Track:
    """To and fro between centre ± reach while a state moves, at rest otherwise."""
    times, places = [-1.5], [centre + reach * move.uniform(-0.7, 0.7)]
    way = 1 if move.random() < 0.5 else -1
    for action, start, end in states:
        end = seconds + 1.5 if end >= seconds else end
        if action not in SPEED:
            if start > times[-1]:
                times, places = [*times, start], [*places, places[-1]]
            continue
        times, places = ([*times, start], [*places, places[-1]]) if start > 0 else (times, places)
        while times[-1] < end - 1e-6:
            goal = centre + way * reach * move.uniform(0.75, 1.0)
            takes = max(0.3, abs(goal - places[-1]) / (SPEED[action] * pace * move.uniform(0.85, 1.15)))
            if times[-1] + takes > end - 0.5:
                share = min(1.0, (end - times[-1]) / takes)
                goal, takes = places[-1] + (goal - places[-1]) * share, end - times[-1]
            times, places, way = [*times, times[-1] + takes], [*places, goal], -way
    return Track(tuple(times), tuple(places))


def _turns(track: Track, facing: int):
    """Where the track turns round: the facing at the start and (second, old, new)."""
    turns, now = [], None
    for t, a, b in zip(track.times, track.places, track.places[1:], strict=False):
        way = 0 if abs(b - a) < 0.5 else 1 if b > a else -1
        if way and now is not None and way != now:
            turns.append((t, now, way))
        now = way or now
    return next((old for _, old, _ in turns), now or facing), tuple(turns)


def _level(move, species, medium, water, y, k) -> float:
    """Height of the animal's zero above its ground line, own units."""
    if medium == "air":
        middle = {"flamingo": 58, "eagle": 40, "butterfly": 28}[species.name]
        target = move.uniform(48, 56) if water else move.uniform(92, 110)
        return (y - target) / k - middle
    if medium == "water":
        middle = {"penguin": 22, "snake": 9, "turtle": 24, "frog": 20, "shark": 0}[species.name]
        return (y - move.uniform(SURFACE + 46, BED - 42)) / k - middle
    if medium == "surface":
        middle = {"elephant": 54, "lion": 38, "zebra": 54}[species.name]
        return (y - SURFACE - 8) / k - middle
    return 0.0
