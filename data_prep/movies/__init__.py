"""Films' texts → long-video question-answer pairs of the paper's three kinds, written by a chat model.

`build` reads the films, asks the model and gives a `MovieSet`; `plan` says beforehand what would be asked.
"""

from data_prep.movies.writer import build

__all__ = ["build"]
