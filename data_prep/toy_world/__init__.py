"""Short clips with known truth: a scene from a seed, one event laid over an interval, every clip with a twin in which
nothing happens. `plan_clip` plans and draws a street scene, `render_clip` makes a file of it, `toy_clip` gives the
course's. `street` writes sets in UCF-Crime's layout, `wildlife` has the animals, in Animal Kingdom's.
"""

from data_prep.toy_world.render import render_clip
from data_prep.toy_world.street.clip import BENIGN_KINDS, CRIME_KINDS, SEEN_KINDS, UNSEEN_KINDS, plan_clip
from data_prep.toy_world.street.render import toy_clip
from data_prep.toy_world.timing import FPS

__all__ = [
    "BENIGN_KINDS",
    "CRIME_KINDS",
    "FPS",
    "SEEN_KINDS",
    "UNSEEN_KINDS",
    "plan_clip",
    "render_clip",
    "toy_clip",
]
