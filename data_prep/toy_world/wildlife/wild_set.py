"""Wildlife clips to files in Animal Kingdom's layout: draws and encodes the clips of a set with the same care as the
street scenes' `render_set` (whole files only, resumable, same pixels for any number of processes)."""

from pathlib import Path

from data_prep.toy_world.render import Summary, draw_set
from data_prep.toy_world.street.layout import check_folder
from data_prep.toy_world.wildlife.layout import WildConfig, wild_entries, write_wild_lists


def render_wild_set(
    out: str | Path,
    *,
    n_train: int = 120,
    n_test: int = 60,
    seed: int = 0,
    event_s: tuple[float, ...] = (0.1, 3.0),
    workers: int = 1,
    force: bool = False,
    progress: bool = True,
) -> Summary:
    """Renders a set into `out` and returns a `Summary`. Files that are there are kept; `force` draws them again.
    Raises ValueError for a folder that holds another set."""
    if workers < 1:
        raise ValueError(f"workers={workers}: give at least 1")
    out = Path(out)
    config = WildConfig(n_train, n_test, seed, tuple(map(float, event_s)))
    clips = wild_entries(config)
    check_folder(out, config)
    return draw_set(out, clips, write_wild_lists, workers=workers, force=force, progress=progress)
