"""Short surveillance-like clips with known truth: scenes from a seed, one event laid over an interval, every clip with
a twin in which nothing happens. `plan_clip` plans and draws, `questions.questions` asks about a plan, and
`render.render_set` writes clips in UCF-Crime's layout."""

from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.street.clip import (
    BENIGN_KINDS,
    CRIME_KINDS,
    NORMAL,
    SEEN_KINDS,
    UNSEEN_KINDS,
    ClipPlan,
    plan_clip,
)
from data_prep.toy_world.timing import FPS, SECONDS

__all__ = [
    "BENIGN_KINDS",
    "CRIME_KINDS",
    "FPS",
    "NORMAL",
    "SECONDS",
    "SEEN_KINDS",
    "SIZE",
    "UNSEEN_KINDS",
    "ClipPlan",
    "plan_clip",
]
