"""Guards the reading of a sampler from answers: what stimuli show is what their pixels show, hidden samplers are found,
doubts are as large as they should be, and bad tables are refused by name."""

import csv
import math
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest
from pytest import approx

import data_prep.toy_world.stimuli
from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.stimuli import frames
from llamavid_kit import __main__ as cli
from llamavid_kit.evaluation.forensics import ASKED, SAMPLERS, Foretold, Sampler, black_box, clip_set
from llamavid_kit.evaluation.stimuli import FPS, KINDS, MOST_FLASHES, Stimulus, draw


@pytest.fixture(scope="module")
def clips():
    return clip_set(100, among=200)


@pytest.fixture(scope="module")
def foretold(clips):
    return Foretold(clips)


def looked_at(stimulus: Stimulus, pictures: list[np.ndarray]) -> str | None:
    """The answer of an eye that knows pixels only; None where they do not tell."""
    if stimulus.kind == "which way":
        angles = []
        for picture in pictures:
            red = (picture[..., 0] > 150) & (picture[..., 1] < 100)
            y, x = np.nonzero(red)
            angles.append(math.atan2(x.mean() - SIZE / 2, SIZE / 2 - y.mean()))
        turned = sum(math.remainder(b - a, math.tau) for a, b in pairwise(angles))
        return None if abs(turned) < 0.06 else "yes" if turned > 0 else "no"
    middle = SIZE // 2
    if stimulus.kind == "twinkle":
        left, right = (
            {half.tobytes() for half in halves} for halves in zip(*(np.split(p, 2, 1) for p in pictures), strict=True)
        )
        return None if (len(left) > 1) == (len(right) > 1) else "left" if len(left) > 1 else "right"
    if stimulus.kind == "first":
        for picture in pictures:
            on = [max(picture[middle, SIZE * k // 3]) > 200 for k in (1, 2)]
            if any(on):
                return None if all(on) else ("red", "blue")[on.index(True)]
        return None
    on = [max(picture[middle, middle]) > 200 for picture in pictures]
    if stimulus.kind == "how often":
        return str(sum(len(run.split()) for run in ["".join("x" if o else " " for o in on)]))
    share = 3 * sum(on) - len(on)
    if stimulus.kind == "how long":
        return None if share == 0 else "yes" if share > 0 else "no"
    return "yes" if any(on) else "no"


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_foretold_is_what_the_pixels_show(kind):
    """By a second way, from drawn frames: for the whole clip, and for a few of its frames."""
    rng, answers = np.random.default_rng(3), Counter()
    for _ in range(6):
        stimulus = draw(kind, rng, 4.0)
        pictures = list(frames(stimulus))
        assert len(pictures) == 4 * FPS and pictures[0].shape == (SIZE, SIZE, 3)
        if abs(stimulus.turns_per_s) < 7:
            assert looked_at(stimulus, pictures) == stimulus.answer
        for sampler in (Sampler(fps=1), Sampler(fps=3, middle=True), Sampler(fps=4, block=8), Sampler(fps=8, most=5)):
            times = sampler.times_s(4.0)
            said = looked_at(stimulus, [pictures[round(t * FPS)] for t in times])
            chances = dict(zip(stimulus.choices, stimulus.seen(times), strict=True))
            assert sum(chances.values()) == approx(1)
            if said is not None and max(chances.values()) == 1:
                assert chances[said] == 1, (stimulus, sampler)
                answers[said] += 1
    assert len(answers) >= 2 and answers.total() >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_dense_frames_never_mislead_and_sparse_ones_do(kind):
    """Dense is said of the clip, not of the answer: wherever it is said, the answer is the truth."""
    rng, counts = np.random.default_rng(5), Counter()
    for _ in range(300):
        stimulus = draw(kind, rng, 4.0)
        times = Sampler(fps=float(rng.choice((1, 2, 3, 4, 6, 8, 15))), middle=bool(rng.integers(2))).times_s(4.0)
        likely = stimulus.seen(times)[stimulus.choices.index(stimulus.answer)]
        counts[stimulus.dense(times), float(likely)] += 1
    assert not [likely for dense, likely in counts if dense and likely < 1]
    assert counts[True, 1.0] > 20 and sum(n for (dense, likely), n in counts.items() if likely < 1) > 5


def test_a_single_frame_of_dots_tells_nothing():
    """All four pictures are as likely whichever side twinkles; a frame at every second change shows a still wall."""
    sides = Counter()
    for k in range(400):
        stimulus = draw("twinkle", np.random.default_rng(k), 4.0)
        sides[stimulus.answer, next(frames(stimulus)).tobytes()] += 1
        assert stimulus.seen(np.array([1.0])).tolist() == [0.5, 0.5]
    assert len(sides) == 8 and min(sides.values()) > 30
    still = Stimulus("twinkle", 4.0, red=((0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (3.5, 4.0)))
    assert still.answer == "left" and still.seen(np.arange(4.0)).tolist() == [0.5, 0.5]
    assert not still.dense(np.arange(4.0)) and still.dense(np.arange(0, 4, 0.5))


@pytest.mark.parametrize(
    ("sampler", "times"),
    [
        (Sampler(fps=2), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
        (Sampler(fps=1, middle=True), [0.5, 1.5, 2.5, 3.5]),
        (Sampler(fps=0.5), [0, 2]),
        (Sampler(fps=2, most=3), [0, 2, 3.5]),
        (Sampler(fps=2, most=3, thinned=False), [0, 0.5, 1]),
        (Sampler(most=4), [0, 1, 2, 3]),
        (Sampler(most=4, middle=True), [0.5, 1.5, 2.5, 3.5]),
        (Sampler(fps=1, lost="the first"), [1, 2, 3]),
        (Sampler(fps=1, lost="the last", block=2), [0, 1, 2, 2]),
        (Sampler(fps=1, block=8), [0, 1, 2, 3, 3, 3, 3, 3]),
        (Sampler(fps=3), [0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 10 / 3, 11 / 3]),
        (Sampler(fps=7), [math.floor(k / 7 * 30 + 1e-6) / 30 for k in range(28)]),
    ],
)
def test_which_frames_a_sampler_takes(sampler, times):
    """Of a clip of 4 s, on the grid of its own frames."""
    assert sampler.times_s(4.0).tolist() == approx(times)


def test_mistakes_that_sampling_makes():
    """A wheel that turns 5 times in 6 frames runs backwards; flashes without a dark frame between them are one."""
    wheel = Stimulus("which way", 4.0, turns_per_s=5.0)
    assert wheel.answer == "yes" and wheel.seen(Sampler(fps=6).times_s(4.0)).tolist() == [0, 1]
    assert wheel.seen(Sampler(fps=5).times_s(4.0)).tolist() == [0.5, 0.5], "it seems to stand"
    blows = Stimulus("how often", 4.0, red=((0.0, 0.2), (1.0, 1.2), (2.0, 2.2), (3.5, 3.6)))
    said = {fps: blows.choices[int(blows.seen(Sampler(fps=fps).times_s(4.0)).argmax())] for fps in (0.5, 1, 2, 10)}
    assert blows.answer == "4" and said == {0.5: "1", 1: "1", 2: "4", 10: "4"}
    lamps = Stimulus("first", 4.0, red=((1.2, 4.0),), blue=((1.4, 4.0),))
    assert lamps.answer == "red" and lamps.seen(Sampler(fps=1).times_s(4.0)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("blind", [(), ("how often", "which way")])
def test_hidden_samplers_are_found(clips, foretold, blind):
    """Where a seventh of the answers is given at random; and where two kinds of questions are not understood at all."""
    rng, found, claimed = np.random.default_rng(5), [], []
    for _ in range(20):
        hidden = SAMPLERS[rng.integers(len(SAMPLERS))]
        answers = black_box(clips, hidden, lapse=0.15, rng=rng)
        answers = [str(rng.choice(c.choices)) if c.kind in blind else a for c, a in zip(clips, answers, strict=True)]
        reading = foretold.read(answers)
        assert sum(reading.chances) == approx(1) and sum(map(len, reading.samplers)) == len(SAMPLERS)
        assert all(reading.at_random[kind] > 0.4 for kind in blind)
        found.append(hidden in reading.samplers[0])
        claimed.append(reading.chances[0])
        rank = next(k for k, group in enumerate(reading.samplers) if hidden in group)
        assert reading.chances[rank] > 1e-4
    assert np.mean(found) >= (0.7 if blind else 0.85)
    assert np.mean(found) == approx(np.mean(claimed), abs=0.2), "as sure as it is right"


def test_a_black_box_that_says_no_to_everything_tells_nothing(clips, foretold):
    """It could have seen no frame at all, or not understood a word: neither is claimed."""
    answers = [c.choices[1] if len(c.choices) == 2 else "0" for c in clips]
    reading = foretold.read(answers)
    assert reading.chances[0] < 0.9
    silent = foretold.read([None] * len(clips))
    assert silent.chances.sum() == approx(1) and silent.at_random == {}
    assert silent.samplers == (SAMPLERS,), "nothing said: every sampler is as likely as before"


def test_answers_that_do_not_fit_are_refused(foretold):
    with pytest.raises(ValueError, match="3 answers to 100 clips"):
        foretold.read(["yes"] * 3)
    with pytest.raises(ValueError, match="'perhaps' to 'Does the lamp light up"):
        foretold.read(["perhaps"] + [None] * 99)


def test_a_set_repeats_itself_and_comes_back_from_its_file(clips):
    assert clip_set(10, among=20) == clip_set(10, among=20) != clip_set(10, seed=1, among=20)
    assert [Stimulus.of(c.as_dict()) for c in clips] == clips
    assert Counter(c.kind for c in clips) == dict.fromkeys(ASKED, 20)
    assert all(b <= c.seconds for c in clips for _, b in (*c.red, *c.blue))
    assert max(int(c.answer) for c in clips if c.kind == "how often") == MOST_FLASHES
    for bad in ({}, {"kind": "x", "seconds": 4, "turns_per_s": 0, "angle": 0}, {"kind": "lights", "red": [[1]]}):
        with pytest.raises(ValueError, match="stimulus|expected one of"):
            Stimulus.of(bad)


def test_the_command_from_clips_to_the_sampler(tmp_path, capsys, monkeypatch):
    """Made (three frames of each clip are enough here), answered by a black box of 2 frames a second, and read; an
    interrupted set continues, another is refused."""
    monkeypatch.setattr(data_prep.toy_world.stimuli, "frames", lambda stimulus: islice(frames(stimulus), 3))
    make = ["forensics", str(tmp_path), "--clips", "30", "--seed", "4"]
    assert cli.main(make) == 0
    (tmp_path / "007.mp4").unlink()
    kept = (tmp_path / "008.mp4").stat().st_mtime_ns
    assert cli.main(make) == 0 and (tmp_path / "007.mp4").is_file()
    assert (tmp_path / "008.mp4").stat().st_mtime_ns == kept
    assert cli.main([*make[:-1], "5"]) == 2
    assert "holds another set" in (said := capsys.readouterr().err) and "--clips 30 --seed 4" in said
    stimuli = clip_set(30, seed=4)
    rows = list(csv.DictReader((tmp_path / "questions.csv").open()))
    assert [row["question"] for row in rows] == [s.question for s in stimuli]
    answers = black_box(stimuli, Sampler(fps=2), lapse=0.0, rng=np.random.default_rng(0))
    for row, answer in zip(rows, answers, strict=True):
        row["reply"] = f"The answer is {answer.upper()}."
    rows[3]["reply"] = ""

    (tmp_path / "questions.csv").write_text("clip,question,reply\n000.mp4,?,yes\n")
    assert cli.main(make) == 0 and "yes" in (tmp_path / "questions.csv").read_text(), "replies are kept"
    capsys.readouterr()

    def write(rows):
        with (tmp_path / "said.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, ["clip", "question", "reply"])
            table.writeheader()
            table.writerows(rows)
        return cli.main(["forensics", str(tmp_path), "--answers", str(tmp_path / "said.csv")])

    assert write(rows) == 0
    said = capsys.readouterr().out
    assert "29 replies, 0 of them without one of the choices" in said
    best = said.splitlines()[2]
    assert "2 frames a second" in best
    for bad, message in (
        ([*rows, rows[1]], "line 32: a second reply about 001.mp4"),
        ([rows[0] | {"clip": "099.mp4"}], "line 2: clip '099.mp4'"),
        ([row | {"reply": " "} for row in rows], "no reply"),
    ):
        assert write(bad) == 2 and message in capsys.readouterr().err
    (tmp_path / "stimuli.json").write_text('{"seed": 4, "stimuli": [{"kind": "lights"}]}')
    assert write(rows) == 2 and "not a stimulus" in capsys.readouterr().err
