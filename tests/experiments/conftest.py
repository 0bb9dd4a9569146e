"""Runs that several files read; a test that changes one copies it first."""

import pytest


@pytest.fixture(scope="session")
def worded_clips(tmp_path_factory):
    """(root, pairs) of the clips below."""
    from worded_runs import make_clips

    return make_clips(tmp_path_factory.mktemp("worded_clips"))


@pytest.fixture(scope="session")
def worded_run(worded_clips, tokenizers, tmp_path_factory):
    """(folder, summary) of 24 arms: two rates, three prompts, two orders, both ways of answering."""
    from worded_runs import go

    out = tmp_path_factory.mktemp("worded") / "run"
    return out, go(worded_clips, tokenizers, out)
