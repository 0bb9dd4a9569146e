"""The chooser of rates: its features and its bar against a slower way to say them, and what it learns where it can."""

import math
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest
from small import write_clip

from llamavid_kit.data.video import Video
from llamavid_kit.experiments.choosing_rates import RateChooser, rate_features

RATES = (1, 2, 6)
COST = np.array([16, 32, 96])


def world(rng, n: int):
    """Clips in whose first feature stands whether the slower rate has seen the event; right where it has."""
    seen = rng.random((2, n)) < np.array([[0.5], [0.7]])
    seen[1] |= seen[0]
    x = rng.normal(size=(2, n, 5))
    x[:, :, 0] = np.where(seen, 1.0, 0.3) + 0.05 * rng.normal(size=(2, n))
    knows = rng.random(n) < 0.8
    right = np.vstack([seen & knows, knows])
    return x, right, np.repeat(COST[:, None], n, 1)


def test_features_are_what_the_words_say(tmp_path):
    video = Video(write_clip(tmp_path / "a.mp4", seconds=3.0))
    rng = np.random.default_rng(0)
    out, moves = rng.random(18), rng.random(18)
    candidates = SimpleNamespace(video=video, sample=video.sample(6), standing_out=out, motion=moves)
    found = rate_features(candidates, RATES)
    assert found.shape == (2, 5)
    for row, step in zip(found, (6, 3), strict=True):
        expected = [max(x[k] for k in range(0, 18, step)) / max(x) for x in (out, moves)]
        expected += [math.log(max(x) / median(x)) for x in (out, moves)]
        expected.append(sum(value >= max(out) / 2 for value in out) / 18)
        assert row.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_clip_in_which_nothing_moves_has_finite_features(tmp_path):
    video = Video(write_clip(tmp_path / "a.mp4", seconds=1.0))
    still = SimpleNamespace(video=video, sample=video.sample(6), standing_out=np.zeros(6), motion=np.zeros(6))
    assert rate_features(still, RATES).tolist() == [[1, 1, 0, 0, 1]] * 2


def test_it_learns_which_clips_need_the_fast_rate():
    """On clips that it was not fitted on: nearly as right, for far fewer tokens, and as probable as it says."""
    rng = np.random.default_rng(1)
    chooser = RateChooser.fit(*world(rng, 300))
    x, right, tokens = world(rng, 1000)
    at, clips = chooser.choose(x), np.arange(1000)
    assert right[-1].mean() - right[at, clips].mean() < 0.01
    assert tokens[at, clips].sum() < 0.6 * tokens[-1].sum()
    enough = np.vstack([right[:-1] >= right[-1], np.ones(1000, bool)])
    assert abs(chooser.probability(x)[0].mean() - enough[0].mean()) < 0.03


def test_the_slowest_rate_above_the_bar_is_taken():
    x, right, tokens = world(np.random.default_rng(2), 60)
    chooser = RateChooser.fit(x, right, tokens)
    p, at = chooser.probability(x), chooser.choose(x)
    assert p.shape == (3, 60) and (p[-1] == 1).all() and (p[:-1] < 1).all()
    assert at.tolist() == [next((k for k in (0, 1) if p[k, clip] > chooser.bar), 2) for clip in range(60)]
    assert {*at} == {0, 1, 2}


def test_where_nothing_tells_clips_apart_no_reply_is_risked():
    """A model that needs the fast rate for every clip gets it for every clip."""
    rng = np.random.default_rng(3)
    right = np.array([[False] * 50, [False] * 50, [True] * 50])
    chooser = RateChooser.fit(rng.normal(size=(2, 50, 5)), right, np.repeat(COST[:, None], 50, 1))
    assert (chooser.choose(rng.normal(size=(2, 50, 5))) == 2).all()


def test_replies_that_are_all_alike_can_be_fitted():
    """No reply is right at any rate: any rate is as right, so the slowest will do."""
    rng = np.random.default_rng(4)
    chooser = RateChooser.fit(rng.normal(size=(2, 50, 5)), np.zeros((3, 50), bool), np.repeat(COST[:, None], 50, 1))
    assert (chooser.choose(rng.normal(size=(2, 200, 5))) == 0).mean() > 0.9


def test_what_does_not_fit_together_is_refused():
    x, right, tokens = world(np.random.default_rng(5), 20)
    with pytest.raises(ValueError, match=r"features \(2, 20, 5\), right \(2, 20\)"):
        RateChooser.fit(x, right[1:], tokens[1:])
    with pytest.raises(ValueError, match="4 clips: expected at least 5"):
        RateChooser.fit(x[:, :4], right[:, :4], tokens[:, :4])
