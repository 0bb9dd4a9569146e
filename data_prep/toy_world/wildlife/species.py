"""The twelve species: their class, how they are drawn, how large, what they do where, and the poses that are their own.
What an action adds to such a pose (gait, chewing, beating wings) is in `actions`.

An animal is on one of four media: "ground", "air", "water" (under the surface) or "surface" (swimming, back above it).
STATES last for seconds; BRIEFS are the brief actions that may be laid over them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from data_prep.toy_world.wildlife.birds import eagle, flamingo, penguin
from data_prep.toy_world.wildlife.cold_blooded import butterfly, frog, shark, snake, turtle
from data_prep.toy_world.wildlife.mammals import elephant, giraffe, lion, zebra
from data_prep.toy_world.wildlife.pen import Pen
from data_prep.toy_world.wildlife.pose import TUCKED, Pose

STATES = ("Walking", "Running", "Moving", "Eating", "Drinking", "Sleeping", "Keeping still", "Swimming", "Flying")
BRIEFS = ("Jumping", "Attacking", "Calling", "Hissing", "Digging", "Rolling", "Flapping", "Diving", "Shaking Head")
# The number of each action in Animal Kingdom's list of 140.
NUMBERS = {
    "Attacking": 1,
    "Calling": 10,
    "Digging": 25,
    "Diving": 28,
    "Drinking": 38,
    "Eating": 40,
    "Flapping": 48,
    "Flying": 52,
    "Hissing": 62,
    "Jumping": 67,
    "Keeping still": 68,
    "Moving": 78,
    "Rolling": 98,
    "Running": 100,
    "Shaking Head": 104,
    "Sleeping": 109,
    "Swimming": 123,
    "Walking": 133,
}
GRAZERS = ("Walking", "Running", "Eating", "Drinking", "Sleeping", "Keeping still")
REARING = ((-8, 0), (2, 0), (20, 16), (26, 24))
LEAPING = ((-20, 8), (-26, 12), (18, 14), (26, 20))
SPLAYED = ((0, 0), (0, 0), (15, 0), (-15, 0))
ONE_LEG = ((2, 30), (-4, 0), (0, 0), (0, 0))
DOWN_ON_BACK = ((6, 8), (-5, 4), (8, 5), (-4, 9))


@dataclass(frozen=True)
class Species:
    """`parent`: its class; `size`: frame units of 100 own units where the animal is alone; `stride`: half a step, own
    units; `width`: own units from tail to nose, with `widths` on single media; `shift`: moves the drawing forward so
    that its middle is its zero; `states`, `briefs`: medium → actions; `poses`: action → changes of the resting Pose
    (action "": of all poses)."""

    name: str
    parent: str
    paint: Callable[[Pen, Pose], None]
    size: float
    stride: float
    width: float
    food: str
    states: dict[str, tuple[str, ...]]
    briefs: dict[str, tuple[str, ...]]
    poses: dict[str, dict]
    widths: dict[str, float] = field(default_factory=dict)
    shift: float = 0.0

    def pose(self, action: str, **more) -> Pose:
        """The species' own pose for `action`."""
        return Pose(**{**self.poses.get("", {}), **self.poses.get(action, {}), **more})


LYING = {"lie": 1.0, "feet": TUCKED, "shut": 1.0}
ALL = (
    Species(
        "elephant",
        "Mammal",
        elephant,
        size=122,
        stride=12,
        width=112,
        shift=-6,
        food="branch",
        states={"ground": GRAZERS, "surface": ("Swimming",)},
        briefs={
            "ground": ("Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
            "surface": ("Calling", "Shaking Head"),
        },
        poses={
            "Eating": {"trunk": (-20.0, 26.0), "neck": -6},
            "Drinking": {"trunk": (-92.0, 3.0), "neck": 6},
            "Sleeping": {**LYING, "sink": 28, "neck": 14, "trunk": (-34.0, 8.0)},
            "Swimming": {"neck": -8, "trunk": (30.0, 20.0)},
            "Attacking": {"neck": 14, "tilt": 12, "feet": REARING, "trunk": (-24.0, 34.0), "flap": -24, "jaw": 0.8},
            "Calling": {"neck": -24, "trunk": (26.0, 18.0), "flap": -14},
            "Digging": {"neck": 16, "tilt": -5},
            "Rolling": {"feet": DOWN_ON_BACK, "trunk": (-50.0, 14.0)},
            "Shaking Head": {"flap": -20},
        },
    ),
    Species(
        "giraffe",
        "Mammal",
        giraffe,
        size=108,
        stride=12,
        width=98,
        shift=-11,
        food="branch",
        states={"ground": GRAZERS},
        briefs={"ground": ("Jumping", "Attacking", "Shaking Head")},
        poses={
            "Drinking": {"neck": 140, "head": -110, "sink": 8, "tilt": -8, "feet": SPLAYED},
            "Sleeping": {**LYING, "sink": 46, "neck": 18, "head": 34},
            "Jumping": {"tilt": 12, "feet": LEAPING},
            "Attacking": {"neck": 34, "tilt": 14, "feet": REARING},
        },
    ),
    Species(
        "lion",
        "Mammal",
        lion,
        size=138,
        stride=12,
        width=124,
        shift=5,
        food="meat",
        states={"ground": GRAZERS, "surface": ("Swimming",)},
        briefs={
            "ground": ("Jumping", "Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
            "surface": ("Calling", "Shaking Head"),
        },
        poses={
            "Eating": {"neck": 82, "head": -46, "tilt": -10, "sink": 4},
            "Drinking": {"neck": 86, "head": -44, "tilt": -10, "sink": 5},
            "Sleeping": {**LYING, "sink": 24, "neck": 26},
            "Swimming": {"neck": -10},
            "Jumping": {"tilt": 12, "feet": LEAPING},
            "Attacking": {"tilt": 20, "feet": REARING, "neck": 14},
            "Calling": {"neck": -14, "head": -8},
            "Digging": {"neck": 60, "head": -30, "tilt": -12},
            "Rolling": {"feet": DOWN_ON_BACK},
        },
    ),
    Species(
        "zebra",
        "Mammal",
        zebra,
        size=126,
        stride=12,
        width=112,
        shift=-10,
        food="grass",
        states={"ground": GRAZERS, "surface": ("Swimming",)},
        briefs={
            "ground": ("Jumping", "Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
            "surface": ("Calling", "Shaking Head"),
        },
        poses={
            "Eating": {"neck": 112, "head": -62},
            "Drinking": {"neck": 114, "head": -66},
            "Sleeping": {**LYING, "sink": 38, "neck": 42, "head": 10},
            "Swimming": {"neck": 4},
            "Jumping": {"tilt": 14, "feet": LEAPING},
            "Attacking": {"tilt": 22, "feet": REARING, "neck": 22},
            "Calling": {"neck": -10, "head": -34},
            "Digging": {"neck": 84, "head": -50, "tilt": -4},
            "Rolling": {"feet": DOWN_ON_BACK, "neck": 26},
        },
    ),
    Species(
        "flamingo",
        "Bird",
        flamingo,
        size=122,
        stride=8,
        width=76,
        widths={"air": 132},
        food="shrimps",
        states={"ground": ("Walking", "Eating", "Drinking", "Sleeping", "Keeping still"), "air": ("Flying",)},
        briefs={
            "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
            "air": ("Calling", "Diving"),
        },
        poses={
            "Eating": {"neck": 100, "head": 100},
            "Drinking": {"neck": 98, "head": 36},
            "Keeping still": {"feet": ONE_LEG},
            "Sleeping": {"neck": -100, "head": 150, "shut": 1, "feet": ONE_LEG},
            "Jumping": {"wing": 0.7, "flap": 42, "feet": ((-10, 8), (-16, 14), (0, 0), (0, 0))},
            "Attacking": {"neck": 36, "wing": 0.8, "flap": 50, "tilt": 8},
            "Flying": {"stretch": 1, "wing": 1},
            "Calling": {"head": -34},
            "Flapping": {"wing": 1},
        },
    ),
    Species(
        "eagle",
        "Bird",
        eagle,
        size=126,
        stride=9,
        width=86,
        widths={"air": 96},
        food="fish",
        states={"ground": ("Walking", "Eating", "Sleeping", "Keeping still"), "air": ("Flying",)},
        briefs={
            "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
            "air": ("Attacking", "Calling", "Diving"),
        },
        poses={
            "Eating": {"neck": 64, "head": 22},
            "Sleeping": {"neck": 30, "head": 26, "shut": 1, "sink": 5},
            "Jumping": {"wing": 0.8, "flap": 40, "feet": ((4, 4), (6, 6), (0, 0), (0, 0))},
            "Attacking": {
                "stretch": 0.8,
                "wing": 1,
                "flap": 62,
                "tilt": 16,
                "jaw": 0.8,
                "feet": ((22, -6), (24, -2), (0, 0), (0, 0)),
            },
            "Flying": {"stretch": 1, "wing": 1},
            "Calling": {"head": -22},
            "Flapping": {"wing": 1},
        },
    ),
    Species(
        "penguin",
        "Bird",
        penguin,
        size=136,
        stride=8,
        width=56,
        widths={"water": 96},
        food="fish",
        states={"ground": ("Walking", "Eating", "Sleeping", "Keeping still"), "water": ("Swimming", "Eating")},
        briefs={
            "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
            "water": ("Jumping", "Diving"),
        },
        poses={
            "Eating": {"head": -28},
            "Sleeping": {"stretch": 1, "shut": 1, "flap": -20, "head": 18},
            "Swimming": {"stretch": 1},
            "Jumping": {"flap": 66, "tilt": 6},
            "Calling": {"head": -36, "flap": 26},
            "Attacking": {"tilt": -24, "flap": 50, "jaw": 0.8},
        },
    ),
    Species(
        "snake",
        "Reptile",
        snake,
        size=118,
        stride=10,
        width=140,
        shift=-8,
        food="mouse",
        states={"ground": ("Moving", "Eating", "Drinking", "Sleeping", "Keeping still"), "water": ("Swimming",)},
        briefs={"ground": ("Attacking", "Hissing", "Shaking Head"), "water": ("Attacking", "Diving")},
        poses={
            "Moving": {"wind": 1},
            "Eating": {"jaw": 0.9, "neck": -8},
            "Drinking": {"wind": 1, "stretch": 1},
            "Sleeping": {"lie": 1, "shut": 1, "head": 26},
            "Swimming": {"wind": 1, "stretch": 0.7},
            "Attacking": {"wind": 0.72, "jaw": 1, "neck": -6},
            "Hissing": {"head": -14},
        },
    ),
    Species(
        "turtle",
        "Reptile",
        turtle,
        size=144,
        stride=10,
        width=108,
        shift=-8,
        food="sprig",
        states={
            "ground": ("Walking", "Eating", "Drinking", "Sleeping", "Keeping still"),
            "water": ("Swimming", "Eating", "Sleeping"),
        },
        briefs={"ground": ("Attacking", "Digging", "Rolling"), "water": ("Attacking", "Diving", "Rolling")},
        poses={
            "Eating": {"neck": 16},
            "Drinking": {"neck": 30, "head": 14},
            "Sleeping": {"lie": 1, "shut": 1},
            "Swimming": {"stretch": 1},
            "Attacking": {"neck": -10, "jaw": 1, "tilt": 6},
            "Digging": {"neck": 20, "tilt": -6},
            "Rolling": {"feet": DOWN_ON_BACK},
        },
    ),
    Species(
        "frog",
        "Amphibian",
        frog,
        size=128,
        stride=6,
        width=80,
        widths={"water": 120},
        food="fly",
        states={"ground": ("Eating", "Sleeping", "Keeping still"), "water": ("Swimming", "Keeping still")},
        briefs={"ground": ("Jumping", "Calling", "Digging"), "water": ("Jumping", "Calling", "Diving")},
        poses={
            "Eating": {"jaw": 0.6},
            "Sleeping": {"shut": 1, "sink": 3},
            "Swimming": {"stretch": 1},
            "Jumping": {"stretch": 1, "tilt": 32},
            "Calling": {"puff": 1, "head": -6},
            "Digging": {"tilt": -6},
        },
    ),
    Species(
        "shark",
        "Fish",
        shark,
        size=118,
        stride=10,
        width=134,
        food="fish",
        states={"water": ("Swimming", "Eating", "Keeping still")},
        briefs={"water": ("Jumping", "Attacking", "Diving", "Rolling")},
        poses={"Eating": {"jaw": 0.8}, "Attacking": {"jaw": 1, "tilt": 14}, "Jumping": {"tilt": 42, "jaw": 0.5}},
    ),
    Species(
        "butterfly",
        "Insect",
        butterfly,
        size=128,
        stride=4,
        width=84,
        food="flower",
        states={"ground": ("Eating", "Drinking", "Sleeping", "Keeping still"), "air": ("Flying",)},
        briefs={"ground": ("Jumping", "Flapping"), "air": ("Diving", "Rolling")},
        poses={
            "": {"wing": 1},
            "Eating": {"lift": 24, "wing": 0.8},
            "Drinking": {"wing": 0.8, "tilt": -50, "lift": 14},
            "Sleeping": {"wing": 0.0, "shut": 1},
            "Rolling": {"roll": 180},
        },
    ),
)
SPECIES = {species.name: species for species in ALL}
# What the shipped model never meets, neither drawn nor in words: one of each class that has several, two whole classes.
UNSEEN_SPECIES = ("giraffe", "eagle", "frog", "shark")
SEEN_SPECIES = tuple(name for name in SPECIES if name not in UNSEEN_SPECIES)
UNSEEN_BRIEFS = ("Calling", "Rolling")
CLASSES = tuple(dict.fromkeys(species.parent for species in ALL))
