"""UCF-Crime: a folder of videos and the official lists → instruction pairs, with the study's question and classes.

`build` reads the folder and gives a `CrimeSet`; `lists` reads the official lists alone.
"""

from data_prep.ucf_crime.folder import build

__all__ = ["build"]
