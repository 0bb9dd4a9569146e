"""Wildlife clips with known truth: twelve species in seven habitats, doing one or two things for seconds and, for an
interval, one brief action. `plan_wild` plans and draws, `render.render_wild_set` writes clips in Animal Kingdom's
layout."""

from data_prep.toy_world.wildlife.clip import plan_wild
from data_prep.toy_world.wildlife.species import BRIEFS, SEEN_SPECIES, SPECIES, STATES, UNSEEN_BRIEFS, UNSEEN_SPECIES

__all__ = ["BRIEFS", "SEEN_SPECIES", "SPECIES", "STATES", "UNSEEN_BRIEFS", "UNSEEN_SPECIES", "plan_wild"]
