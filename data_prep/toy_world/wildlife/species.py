"""The twelve species: their class, how they are drawn, how large, what they do where, and the poses that are their own.
What an action adds to such a pose (gait, chewing, beating wings) is in `actions`.

An animal is on one of four media: "ground", "air", "water" (under the surface) or "surface" (swimming, back above it).
STATES last for seconds; BRIEFS are the brief actions that may be laid over them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


OnMedia = dict[str, tuple[str, ...]]  # medium → actions


@dataclass(frozen=True)
class Species:
    """`parent`: its class; `size`: frame units of 100 own units where the animal is alone; `stride`: half a step, own
    units; `width`: own units from tail to nose, with `widths` on single media; `shift`: moves the drawing forward so
    that its middle is its zero; `states`, `briefs`: medium → actions; `poses`: action → changes of the resting Pose
    (action "": of all poses)."""

    name: str
    parent: str
    paint: Callable[[Pen, Pose], None]
    food: str
    size: float
    stride: float
    width: float
    shift: float
    widths: dict[str, float]
    states: OnMedia
    briefs: OnMedia
    poses: dict[str, dict[str, Any]]

    def pose(self, action: str) -> Pose:
        """The species' own pose for `action`."""
        return Pose(**self.poses.get("", {}) | self.poses.get(action, {}))


LYING = {"lie": 1.0, "feet": TUCKED, "shut": 1.0}
# Species → class, painter, food, size, stride, width, shift: see `Species`.
BODIES = {
    "elephant": ("Mammal", elephant, "branch", 122, 12, 112, -6),
    "giraffe": ("Mammal", giraffe, "branch", 108, 12, 98, -11),
    "lion": ("Mammal", lion, "meat", 138, 12, 124, 5),
    "zebra": ("Mammal", zebra, "grass", 126, 12, 112, -10),
    "flamingo": ("Bird", flamingo, "shrimps", 122, 8, 76, 0),
    "eagle": ("Bird", eagle, "fish", 126, 9, 86, 0),
    "penguin": ("Bird", penguin, "fish", 136, 8, 56, 0),
    "snake": ("Reptile", snake, "mouse", 118, 10, 140, -8),
    "turtle": ("Reptile", turtle, "sprig", 144, 10, 108, -8),
    "frog": ("Amphibian", frog, "fly", 128, 6, 80, 0),
    "shark": ("Fish", shark, "fish", 118, 10, 134, 0),
    "butterfly": ("Insect", butterfly, "flower", 128, 4, 84, 0),
}
WIDTHS: dict[str, dict[str, float]] = {  # on single media
    "flamingo": {"air": 132},
    "eagle": {"air": 96},
    "penguin": {"water": 96},
    "frog": {"water": 120},
}
STATES_ON: dict[str, OnMedia] = {  # what lasts for seconds
    "elephant": {"ground": GRAZERS, "surface": ("Swimming",)},
    "giraffe": {"ground": GRAZERS},
    "lion": {"ground": GRAZERS, "surface": ("Swimming",)},
    "zebra": {"ground": GRAZERS, "surface": ("Swimming",)},
    "flamingo": {"ground": ("Walking", "Eating", "Drinking", "Sleeping", "Keeping still"), "air": ("Flying",)},
    "eagle": {"ground": ("Walking", "Eating", "Sleeping", "Keeping still"), "air": ("Flying",)},
    "penguin": {"ground": ("Walking", "Eating", "Sleeping", "Keeping still"), "water": ("Swimming", "Eating")},
    "snake": {"ground": ("Moving", "Eating", "Drinking", "Sleeping", "Keeping still"), "water": ("Swimming",)},
    "turtle": {
        "ground": ("Walking", "Eating", "Drinking", "Sleeping", "Keeping still"),
        "water": ("Swimming", "Eating", "Sleeping"),
    },
    "frog": {"ground": ("Eating", "Sleeping", "Keeping still"), "water": ("Swimming", "Keeping still")},
    "shark": {"water": ("Swimming", "Eating", "Keeping still")},
    "butterfly": {"ground": ("Eating", "Drinking", "Sleeping", "Keeping still"), "air": ("Flying",)},
}
BRIEFS_ON: dict[str, OnMedia] = {  # what may be laid over it
    "elephant": {
        "ground": ("Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
        "surface": ("Calling", "Shaking Head"),
    },
    "giraffe": {"ground": ("Jumping", "Attacking", "Shaking Head")},
    "lion": {
        "ground": ("Jumping", "Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
        "surface": ("Calling", "Shaking Head"),
    },
    "zebra": {
        "ground": ("Jumping", "Attacking", "Calling", "Digging", "Rolling", "Shaking Head"),
        "surface": ("Calling", "Shaking Head"),
    },
    "flamingo": {
        "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
        "air": ("Calling", "Diving"),
    },
    "eagle": {
        "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
        "air": ("Attacking", "Calling", "Diving"),
    },
    "penguin": {
        "ground": ("Jumping", "Attacking", "Calling", "Flapping", "Shaking Head"),
        "water": ("Jumping", "Diving"),
    },
    "snake": {"ground": ("Attacking", "Hissing", "Shaking Head"), "water": ("Attacking", "Diving")},
    "turtle": {"ground": ("Attacking", "Digging", "Rolling"), "water": ("Attacking", "Diving", "Rolling")},
    "frog": {"ground": ("Jumping", "Calling", "Digging"), "water": ("Jumping", "Calling", "Diving")},
    "shark": {"water": ("Jumping", "Attacking", "Diving", "Rolling")},
    "butterfly": {"ground": ("Jumping", "Flapping"), "air": ("Diving", "Rolling")},
}
POSES: dict[str, dict[str, dict[str, Any]]] = {  # what differs from an animal at rest; action "": always
    "elephant": {
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
    "giraffe": {
        "Drinking": {"neck": 140, "head": -110, "sink": 8, "tilt": -8, "feet": SPLAYED},
        "Sleeping": {**LYING, "sink": 46, "neck": 18, "head": 34},
        "Jumping": {"tilt": 12, "feet": LEAPING},
        "Attacking": {"neck": 34, "tilt": 14, "feet": REARING},
    },
    "lion": {
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
    "zebra": {
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
    "flamingo": {
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
    "eagle": {
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
    "penguin": {
        "Eating": {"head": -28},
        "Sleeping": {"stretch": 1, "shut": 1, "flap": -20, "head": 18},
        "Swimming": {"stretch": 1},
        "Jumping": {"flap": 66, "tilt": 6},
        "Calling": {"head": -36, "flap": 26},
        "Attacking": {"tilt": -24, "flap": 50, "jaw": 0.8},
    },
    "snake": {
        "Moving": {"wind": 1},
        "Eating": {"jaw": 0.9, "neck": -8},
        "Drinking": {"wind": 1, "stretch": 1},
        "Sleeping": {"lie": 1, "shut": 1, "head": 26},
        "Swimming": {"wind": 1, "stretch": 0.7},
        "Attacking": {"wind": 0.72, "jaw": 1, "neck": -6},
        "Hissing": {"head": -14},
    },
    "turtle": {
        "Eating": {"neck": 16},
        "Drinking": {"neck": 30, "head": 14},
        "Sleeping": {"lie": 1, "shut": 1},
        "Swimming": {"stretch": 1},
        "Attacking": {"neck": -10, "jaw": 1, "tilt": 6},
        "Digging": {"neck": 20, "tilt": -6},
        "Rolling": {"feet": DOWN_ON_BACK},
    },
    "frog": {
        "Eating": {"jaw": 0.6},
        "Sleeping": {"shut": 1, "sink": 3},
        "Swimming": {"stretch": 1},
        "Jumping": {"stretch": 1, "tilt": 32},
        "Calling": {"puff": 1, "head": -6},
        "Digging": {"tilt": -6},
    },
    "shark": {"Eating": {"jaw": 0.8}, "Attacking": {"jaw": 1, "tilt": 14}, "Jumping": {"tilt": 42, "jaw": 0.5}},
    "butterfly": {
        "": {"wing": 1},
        "Eating": {"lift": 24, "wing": 0.8},
        "Drinking": {"wing": 0.8, "tilt": -50, "lift": 14},
        "Sleeping": {"wing": 0.0, "shut": 1},
        "Rolling": {"roll": 180},
    },
}
ALL = tuple(
    Species(name, *body, WIDTHS.get(name, {}), STATES_ON[name], BRIEFS_ON[name], POSES[name])
    for name, body in BODIES.items()
)
SPECIES = {species.name: species for species in ALL}
# What the shipped model never meets, neither drawn nor in words: one of each class that has several, two whole classes.
UNSEEN_SPECIES = ("giraffe", "eagle", "frog", "shark")
SEEN_SPECIES = tuple(name for name in SPECIES if name not in UNSEEN_SPECIES)
UNSEEN_BRIEFS = ("Calling", "Rolling")
