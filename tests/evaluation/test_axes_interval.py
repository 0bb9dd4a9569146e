"""Guards the interval of a mean over dependent axes: by hand, beside a bootstrap over videos, and in drawn worlds."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.run import Result
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.judges.verdict_parser import Verdict
from llamavid_kit.evaluation.resampling import clustered_mean, clustered_mean_of_means

ASKED = {"correctness": 4, "detail": 4, "context": 4, "temporal": 1, "consistency": 1}  # about each video


def world(rng, n_videos: int, *, shared: float):
    """(scores, videos, axes) of true mean 2.5 on each axis; a third of the videos has no temporal question."""
    rows = []
    for video in range(n_videos):
        ease = shared * rng.normal()
        rows += [
            (2.5 + ease + rng.normal(0, 0.4), video, axis)
            for axis, n in ASKED.items()
            for _ in range(n)
            if axis != "temporal" or video % 3
        ]
    return tuple(map(np.array, zip(*rows, strict=True)))


def mean_of_means(scores, axes) -> float:
    return float(np.mean([scores[axes == axis].mean() for axis in ASKED]))


def test_by_hand():
    """Two axes, three videos; what each video adds to the value, squared and summed."""
    found = clustered_mean_of_means([4, 2, 0, 5, 1], list("aabac"), ["x", "x", "x", "y", "y"])
    # x: mean 2 of a, a, b; y: mean 3 of a, c
    u = np.array([((4 - 2) + (2 - 2)) / 3 + (5 - 3) / 2, (0 - 2) / 3, (1 - 3) / 2]) / 2
    assert (found.mean, found.n, found.n_clusters) == (2.5, 5, 3)
    assert found.se == pytest.approx(math.sqrt(3 / 2 * 4 / 3 * (u**2).sum()))
    assert found.naive_se == pytest.approx(math.sqrt(5 / 3 * (8 / 9 + 8 / 4)) / 2)
    assert found.interval95 == pytest.approx(tuple(2.5 + s * 4.302652730 * found.se for s in (-1, 1)))


def test_one_part_is_the_clustered_mean():
    scores, videos, _ = world(np.random.default_rng(0), 20, shared=1)
    one, plain = clustered_mean_of_means(scores, videos, ["all"] * len(scores)), clustered_mean(scores, videos)
    assert (one.mean, one.se, *one.interval95) == pytest.approx((plain.mean, plain.se, *plain.interval95))
    assert one.naive_se == pytest.approx(plain.naive_se)


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_as_wide_as_a_bootstrap_over_videos(shared):
    """Videos drawn with all that was asked about them. Axes taken as independent would be half as wide where shared."""
    rng = np.random.default_rng(1)
    scores, videos, axes = world(rng, 150, shared=shared)
    found = clustered_mean_of_means(scores, videos, axes)
    assert found.mean == pytest.approx(mean_of_means(scores, axes)) != pytest.approx(scores.mean())
    of = [np.flatnonzero(videos == video) for video in range(150)]
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([of[video] for video in rng.integers(0, 150, 150)])
        drawn.append(mean_of_means(scores[rows], axes[rows]))
    assert found.se == pytest.approx(np.std(drawn), rel=0.06)
    assert found.interval95 == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.15 * found.se * 2)
    alone = [clustered_mean(scores[axes == axis], videos[axes == axis]).se for axis in ASKED]
    apart = math.sqrt(np.square(alone).sum()) / len(ASKED)
    assert apart == pytest.approx(found.se, rel=0.1) if not shared else apart < 0.55 * found.se


def test_it_holds_the_truth():
    """400 worlds of 40 videos; as if all scores were independent, few intervals do."""
    rng, hits = np.random.default_rng(2), np.zeros(2)
    for _ in range(400):
        found = clustered_mean_of_means(*world(rng, 40, shared=1))
        hits += [found.interval95[0] < 2.5 < found.interval95[1], abs(found.mean - 2.5) < 1.96 * found.naive_se]
    assert 0.92 < hits[0] / 400 < 0.975 and hits[1] / 400 < 0.65


@pytest.mark.parametrize(
    ("outcomes", "videos", "parts"),
    [
        ([1, 0], "ab", "x"),
        ([1, 0, 1], "aba", "xxy"),
        ([1, math.nan], "ab", "xx"),
        ([1, 0], ["a", None], "xx"),
        ([], [], []),
    ],
)
def test_what_has_no_such_error(outcomes, videos, parts):
    with pytest.raises(ValueError, match="two videos or more in each part"):
        clustered_mean_of_means(outcomes, list(videos), list(parts))


# --- Video-ChatGPT


class Judged:
    """A judge whose scores are drawn, by axis and video; None for no verdict."""

    def __init__(self, scores):
        self.scores, self.identity = scores, {"judge": "rule", "rule": "drawn"}

    def verdicts(self, items, *, task, mode):
        said = [self.scores(task, item.video) for item in items]
        return [
            Verdict(i.id, None, s, problem="" if s is not None else "none") for i, s in zip(items, said, strict=True)
        ]


def asked(n_videos: int) -> list[Item]:
    items = []
    for video in range(n_videos):
        for kind, places in (("generic", ("Q", "Q")), ("temporal", ("Q",)), ("consistency", ("Q1", "Q2"))):
            for k, place in enumerate(places if kind != "temporal" or video % 3 < 2 else ()):
                extra = {"row": f"{kind}/{video}", "place": place}
                name, media = f"{kind}/{video}/{k}", Path(f"v{video}.mp4")
                items.append(Item(name, media, "?", "?", ("!",), split=kind, extra=extra))
    return items


def scored(scores, n_videos: int = 30, mode: str = "strict"):
    items = asked(n_videos)
    return benchmark("video_chatgpt").score(items, {i.id: "x" for i in items}, mode=mode, judge=Judged(scores))


def test_the_row_of_video_chatgpt_has_an_interval():
    """Of what is counted: items without a verdict are in neither the mean nor its interval."""
    rng, given = np.random.default_rng(3), []
    ease = {f"v{k}.mp4": int(rng.integers(0, 3)) for k in range(30)}

    def score(axis, video):
        said = None if rng.random() < 0.1 else ease[video] + int(rng.integers(0, 4))
        given.append((said, video, axis))
        return said

    found = scored(score)
    counted = [row for row in given if row[0] is not None]
    expected = clustered_mean_of_means(*zip(*counted, strict=True))
    assert len(counted) < len(given) == 30 * (2 * 3 + 1) + 20
    assert found.value == pytest.approx(expected.mean) and found.interval95 == pytest.approx(expected.interval95)
    low, high = found.interval95
    run = Result(benchmark("video_chatgpt"), "m", 150, {"strict": found}, {"strict": {}}, None)
    row = next(line for line in table(run, image_size=112).split("\n") if "mean of the five axes" in line)
    assert f"{found.value:.2f} of 5 [{low:.2f}, {high:.2f}]  mean of the five axes" in row
    assert json.dumps(replace(found, axes={}).interval95) == json.dumps([low, high])


def test_what_shows_no_spread_has_no_interval():
    """Of one video; of scores alike on each axis; where no axis alone could tell, no number at all."""
    assert scored(lambda axis, video: len(axis) % 5).interval95 is None
    assert scored(lambda axis, video: len(axis) % 5, n_videos=1).interval95 is None
    only_one = scored(lambda axis, video: 3 if axis != "temporal" or video == "v0.mp4" else None)
    assert only_one.value == 3 and only_one.interval95 is None
    none = scored(lambda axis, video: None if axis == "temporal" else 3)
    assert none.value is None and none.interval95 is None


def test_an_interval_stays_on_the_scale():
    low, high = scored(lambda axis, video: 5 if video != "v0.mp4" else 0, n_videos=3).interval95
    assert low == 0 and high == 5
    beyond = scored(lambda axis, video: 7 if video != "v0.mp4" else 6, mode="original")
    assert beyond.interval95[1] == pytest.approx(beyond.value) and 6.9 < beyond.value < 7  # the original counts them
