"""Animal Kingdom: a folder of videos and lists → grounding pairs, multiple-choice pairs and conversations.

`build` reads the folder and gives an `AnimalSet`; `lists` reads the lists alone.
"""

from data_prep.animal_kingdom.folder import build

__all__ = ["build"]
