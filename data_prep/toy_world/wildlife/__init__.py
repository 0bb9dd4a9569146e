"""Wildlife clips with known truth: twelve species in seven habitats, doing one or two things for seconds and, for an
interval, one brief action. `plan_wild` plans and draws, `wild_set.render_wild_set` writes clips in Animal Kingdom's
layout."""

from .clip import WildPlan, plan_wild, sentence
from .species import BRIEFS, NUMBERS, SPECIES, STATES

__all__ = ["BRIEFS", "NUMBERS", "SPECIES", "STATES", "WildPlan", "plan_wild", "sentence"]
