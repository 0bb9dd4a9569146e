"""Runs with made-up replies that the report's tests read; a test that changes one copies it first."""

import pytest


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Name → Run, of `made_up_runs.RUNS`."""
    from made_up_runs import RUNS, write_run

    from llamavid_kit.experiments.run import Run

    folder = tmp_path_factory.mktemp("made_up")
    return {name: Run(write_run(folder / name, made)) for name, made in RUNS.items()}


@pytest.fixture(scope="session")
def open_run(tmp_path_factory):
    """Four arms that answered about animals."""
    from made_up_open_runs import by_hand

    from llamavid_kit.experiments.run import Run

    by_hand(folder := tmp_path_factory.mktemp("open") / "run")
    return Run(folder)


@pytest.fixture(scope="session")
def open_zero_shot(tmp_path_factory):
    """Its two zero-shot arms, without training clips."""
    from made_up_open_runs import ARMS, REPLIES, by_hand

    from llamavid_kit.experiments.run import Run

    by_hand(folder := tmp_path_factory.mktemp("open") / "zero", replies={x: REPLIES[x] for x in ARMS[:2]}, train=False)
    return Run(folder)
