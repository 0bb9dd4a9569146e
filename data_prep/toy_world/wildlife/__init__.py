"""Wildlife clips with known truth: twelve species in seven habitats, doing one or two things for seconds and, for an
interval, one brief action. `plan_wild` plans and draws, `wild_set.render_wild_set` writes clips in Animal Kingdom's
layout."""

from data_prep.toy_world.wildlife.clip import WildPlan, plan_wild, sentence
from data_prep.toy_world.wildlife.species import (
    BRIEFS,
    NUMBERS,
    SEEN_SPECIES,
    SPECIES,
    STATES,
    UNSEEN_BRIEFS,
    UNSEEN_SPECIES,
)

__all__ = [
    "BRIEFS",
    "NUMBERS",
    "SEEN_SPECIES",
    "SPECIES",
    "STATES",
    "UNSEEN_BRIEFS",
    "UNSEEN_SPECIES",
    "WildPlan",
    "plan_wild",
    "sentence",
]
