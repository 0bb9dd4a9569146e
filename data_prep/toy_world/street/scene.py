"""A scene before anything happens: who is there, where the house, the cars and the light are, how everybody moves, and
when the (pseudo-)event begins and ends. All of it comes from the seed alone, in separate random streams, and none of
it knows the kind of event; `Scene.stage(t)` puts the figures in place at second t.

An event is a function of a `Stage` and a `Cue` that changes the stage; the events are in `crimes` and `benign`.

The plot is always the same, so that it tells nothing: a person with a hat and a person with a bag walk towards one
another and stand close while the event may happen, a guard comes by, a dog or cat is near, 0-3 others walk behind,
one car stands at the kerb and a second one stops behind it."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

from data_prep.toy_world.motion import Track, blend
from data_prep.toy_world.palette import ANIMALS, COATS, COLOURS, HAIRS, SKINS, TROUSERS, UNIFORM, WALLS, mix, tone
from data_prep.toy_world.street.figures import Actor
from data_prep.toy_world.street.poses import stand, walk
from data_prep.toy_world.timing import CAST, FPS, LAYOUT, MOTION, event_frames, stream

MEET = (-15, 15, 47)  # pixels from where the two meet to the person with the hat, the one with the bag, the guard
PASS, CLEAR = range(24, 193, 24), 26  # where others walk, beside those who meet: at least this far, three can


@dataclass(frozen=True)
class Figure:
    """One member of the cast: its track, its ground line, its height or length, its colours."""

    what: str
    track: Track
    y: float
    size: float
    style: dict
    facing: int
    wobble: float = 0.0
    action: str = "walk"


@dataclass
class Stage:
    """One moment: the figures in place, and whatever an event adds to it."""

    t: float
    actors: dict[str, Actor]
    scene: "Scene"
    effects: list = field(default_factory=list)
    washes: list[tuple[tuple[int, int, int], float]] = field(default_factory=list)


@dataclass(frozen=True)
class Cue:
    """`t`: seconds since the event began; `u`: its progress, 0-1; `roll`: eight uniform numbers that vary the event."""

    t: float
    u: float
    roll: tuple[float, ...]


def face(a: Actor, b: Actor):
    """Turn both towards one another."""
    a.facing = 1 if b.x > a.x else -1
    b.facing = -a.facing


@dataclass(frozen=True)
class Scene:
    """Everything that lasts. Coordinates are those before mirroring."""

    seed: int
    light: str
    weather: str
    wall: str
    house: dict
    props: dict
    mirrored: bool
    camera: dict
    cast: dict[str, Figure]
    start_s: float
    end_s: float

    def stage(self, t: float) -> Stage:
        return Stage(t, {name: _placed(figure, t) for name, figure in self.cast.items()}, self)


def _placed(figure: Figure, t: float) -> Actor:
    x, speed, way = figure.track.at(t)
    facing = figure.facing if abs(speed) < 1 else (1 if speed > 0 else -1)
    actor = Actor(figure.what, x, figure.y, figure.size, facing, figure.style)
    if figure.what == "person":
        phase = way / (0.8 * figure.size) * 2 * math.pi + figure.wobble
        share = min(1.0, abs(speed) / 10)
        resting = stand(figure.wobble + 4.5 * t)
        actor.pose = blend(resting, walk(phase), share) if share > 0.02 else resting
        actor.extras = ("bag",) if "bag" in figure.style else ()
    elif figure.what == "animal":
        actor.action = figure.action
        actor.phase = way / (0.45 * figure.size) * 2 * math.pi if figure.action == "walk" else 3.0 * t
    else:
        actor.facing = figure.facing
        if figure.style["lane"] and t > figure.style["leaves"]:
            actor.y += figure.style["lane"] * min(1.0, (t - figure.style["leaves"]) / 0.6)
    return actor


@lru_cache(maxsize=512)
def make_scene(seed: int, event_s: tuple[float, ...], n_frames: int) -> tuple[Scene, dict, tuple[int, int]]:
    """The scene of `seed`, its facts (JSON-able), and the event's frames [first, last)."""
    frames = event_frames(seed, event_s, n_frames)
    start_s, end_s = frames[0] / FPS, frames[1] / FPS
    rng = stream(seed, LAYOUT)
    light = str(rng.choice(["day", "day", "dusk", "night"]))
    weather = str(rng.choice(["clear", "clear", "cloudy", "rain", "snow"]))
    wall = str(rng.choice(list(WALLS)))
    left = rng.uniform(-8, 4)
    house = {
        "left": left,
        "right": left + rng.uniform(128, 142),
        "top": rng.uniform(12, 22),
        "base": 124.0,
        "door_top": 58.0,
        "upper": int(rng.integers(3, 5)),
        "door_first": bool(rng.random() < 0.5),
    }
    swap = rng.uniform(0, 6)
    house["door"] = left + (14 if house["door_first"] else 96) + swap
    house["window"] = left + (62 if house["door_first"] else 22) + swap
    props = {
        "tree": bool(rng.random() < 0.5),
        "bench": bool(rng.random() < 0.5),
        "lamp": rng.uniform(196, 212),
        "door": str(rng.choice(["red", "green", "blue", "white"])),
        "skyline": rng.uniform(8, 30, 7).round().tolist(),
    }
    camera = {"noise": int(rng.integers(3, 9)), "number": int(rng.integers(1, 13)), "crf": int(rng.integers(23, 28))}
    mirrored = bool(rng.random() < 0.5)
    cast, traits = _cast(seed, light, start_s, end_s, n_frames / FPS)
    scene = Scene(seed, light, weather, wall, house, props, mirrored, camera, cast, start_s, end_s)
    return scene, _facts(scene, traits), frames


def _cast(seed, light, start_s, end_s, seconds):
    """Styles from CAST, movement from MOTION."""
    rng, move = stream(seed, CAST), stream(seed, MOTION)
    shirt_a, shirt_b = rng.choice(list(COLOURS), 2, replace=False)
    car, parked = rng.choice(list(COLOURS), 2, replace=False)
    bag = str(rng.choice([c for c in COLOURS if c != shirt_b]))
    hat = str(rng.choice([c for c in ("red", "yellow", "blue", "white", "black") if c != shirt_a]))
    n_behind = int(rng.integers(0, 4))
    species = str(rng.choice(list(ANIMALS)))
    coat = str(rng.choice(list(ANIMALS[species])))
    drives, action = bool(rng.random() < 0.65), str(rng.choice(["walk", "walk", "sit", "lie"]))

    def colour(name):
        return tone(COLOURS[str(name)], light)

    side = 1 if move.random() < 0.5 else -1
    centre = move.uniform(94, 126)
    shirts = {
        "hat": {"shirt": colour(shirt_a), "hat": colour(hat)},
        "bag": {"shirt": colour(shirt_b), "bag": colour(bag)},
    }
    cast = _who_meet(rng, move, light, side, centre, shirts, start_s, end_s)
    cast["animal"] = _animal(move, centre - side * 40, light, species, coat, action, seconds)
    cast |= _passers(rng, move, light, n_behind, [centre + side * offset for offset in MEET], seconds)
    cast.update(_cars(move, light, colour(car), colour(parked), drives, start_s, end_s))
    traits = {
        "hat_shirt": str(shirt_a),
        "bag_shirt": str(shirt_b),
        "bag": bag,
        "hat": hat,
        "car": str(car),
        "parked_car": str(parked),
        "car_moves": drives,
        "animal": species,
        "animal_colour": coat,
        "animal_action": action,
        "people": 3 + n_behind,
        "hat_first": side > 0,
    }
    return cast, traits


def _who_meet(rng, move, light, side, centre, shirts, start_s, end_s) -> dict[str, Figure]:
    """The person with the hat, the one with the bag, and the guard, who comes by."""
    uniform = {"shirt": tone(UNIFORM, light), "trousers": tone((44, 50, 70), light), "vest": True}
    people = {
        "hat": ({**_person(rng, light), **shirts["hat"]}, MEET[0], move.uniform(16, 44)),
        "bag": ({**_person(rng, light), **shirts["bag"]}, MEET[1], move.uniform(6, 34)),
        "guard": ({**_person(rng, light), **uniform}, MEET[2], move.uniform(4, 26)),
    }
    cast = {}
    for name, (style, offset, way) in people.items():
        track = _meeting(move, centre + side * offset, side * way * (1 if offset > 0 else -1), start_s, end_s)
        y, height, facing = move.uniform(155, 159), move.uniform(55, 60), side if offset < 0 else -side
        cast[name] = Figure("person", track, y, height, style, facing, move.uniform(0, 6.28))
    return cast


def _passers(rng, move, light, n, meet, seconds) -> dict[str, Figure]:
    """Others behind them, beside rather than behind those who `meet`: who is hidden all the time cannot be counted."""
    cast = {}
    places = sorted(move.permutation(PASS), key=lambda x: min(abs(x - other) for other in meet) < CLEAR)
    for k, x in enumerate(places[:n]):
        style = {**_person(rng, light), "shirt": tone(COATS[rng.integers(len(COATS))], light)}
        track, y, height = _pacing(move, float(x), 12, seconds), move.uniform(129, 134), move.uniform(42, 46)
        cast[f"passer_{k + 1}"] = Figure("person", track, y, height, style, 1, move.uniform(0, 6.28))
    return cast


def _person(rng, light):
    return {
        "skin": tone(SKINS[rng.integers(len(SKINS))], light),
        "hair": tone(HAIRS[rng.integers(len(HAIRS))], light),
        "trousers": tone(TROUSERS[rng.integers(len(TROUSERS))], light),
    }


def _meeting(move, meet, way, start_s, end_s):
    """From `meet + way` to `meet` shortly before the event, and away again after it."""
    arrive = start_s - move.uniform(0.25, 0.7)
    leave = end_s + move.uniform(0.25, 0.7)
    begin = min(arrive - 0.6, move.uniform(-1.0, max(-0.9, arrive - 1.4)))
    gone = meet + way * move.uniform(0.4, 1.1)
    first, last = (min(208.0, max(16.0, x)) for x in (meet + way, gone))
    return Track((begin, arrive, leave, leave + move.uniform(1.2, 2.4)), (first, meet, meet, last))


def _pacing(move, centre, reach, seconds):
    times, places, t = [move.uniform(-2, 0)], [centre + move.uniform(-reach, reach)], 0.0
    while t < seconds:
        t = times[-1] + move.uniform(1.6, 3.2)
        times.append(t)
        places.append(centre + (reach if places[-1] < centre else -reach) * move.uniform(0.6, 1.0))
    return Track(tuple(times), tuple(places))


def _animal(move, centre, light, species, coat, action, seconds):
    track = _pacing(move, centre, 9, seconds)
    if action != "walk":
        track = Track((0.0,), (centre,))
    size = move.uniform(33, 36) if species == "dog" else move.uniform(29, 32)
    style = {"species": species, "coat": tone(ANIMALS[species][coat], light)}
    return Figure("animal", track, move.uniform(167, 170), size, style, int(move.choice([-1, 1])), 0.0, action)


def _cars(move, light, paint, paint_parked, drives, start_s, end_s):
    glass = tone(mix((150, 190, 214), (40, 50, 70), 0.25), light, "scenery")
    kerb, y, size = move.uniform(158, 178), move.uniform(205, 208), move.uniform(76, 80)
    wait = kerb - size - move.uniform(5, 10)
    arrive, leave = start_s - move.uniform(0.3, 0.8), end_s + move.uniform(0.4, 0.9)
    enter, gone = arrive - move.uniform(1.2, 2.0), leave + move.uniform(1.6, 2.4)
    track = Track((enter, arrive, leave, gone), (-48.0, wait, wait, 280.0))
    if not drives:
        track = Track((0.0,), (wait,))
    style = {"paint": paint, "glass": glass, "lane": 8 if drives else 0, "leaves": leave}
    parked = {"paint": paint_parked, "glass": glass, "lane": 0, "leaves": 0.0}
    return {
        "parked_car": Figure("car", Track((0.0,), (kerb,)), y, size, parked, 1),
        "car": Figure("car", track, y, size, style, 1),
    }


def _facts(scene: Scene, traits: dict) -> dict:
    """What a viewer can know. Left and right are those of the picture."""
    pair = ("hat", "bag") if traits["hat_first"] != scene.mirrored else ("bag", "hat")
    facts = {k: v for k, v in traits.items() if k != "hat_first"}
    return {
        **facts,
        "light": scene.light,
        "weather": scene.weather,
        "building": scene.wall,
        "door": scene.props["door"],
        "tree": scene.props["tree"],
        "bench": scene.props["bench"],
        "left_person": pair[0],
        "right_person": pair[1],
        "left_shirt": traits[f"{pair[0]}_shirt"],
        "right_shirt": traits[f"{pair[1]}_shirt"],
    }
