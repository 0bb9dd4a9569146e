"""The toy world keeps its promises: nothing but the event differs, every event frame shows it, the files agree."""

import hashlib
import json
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import av
import numpy as np
import pytest
from scipy.stats import binom, chisquare, kstest
from sklearn.ensemble import RandomForestClassifier

from data_prep.__main__ import main as data_prep
from data_prep.toy_world import BENIGN_KINDS, CRIME_KINDS, SEEN_KINDS, UNSEEN_KINDS, plan_clip
from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.street.layout import TEST_LIST, TRAIN_LIST, SetConfig, entries, truth
from data_prep.toy_world.street.questions import questions, scene_answers
from data_prep.toy_world.street.render import render_set
from data_prep.toy_world.street.wording import EVENT_LABELS, NO_EVENT
from data_prep.toy_world.timing import DURATIONS, FPS
from data_prep.ucf_crime.lists import read_test_list, read_train_list
from llamavid_kit.data.pairs import read_choices

pytestmark = pytest.mark.slow

KINDS = (*CRIME_KINDS, *BENIGN_KINDS)
CLASSES = (*CRIME_KINDS, None)
# Words that would give away a crime label, or any unseen kind.
FORBIDDEN = re.compile(
    r"abus|arrest|arson|assault|burgl|explo|fight|robb|shoot|shot|accident|normal|crime|anomal|police|officer|handcuff|"
    r"\bgun|pistol|weapon|steal|stole|thief|thiev|mask|beat|\bstick",
    re.IGNORECASE,
)


def digest(task: tuple[int, str | None]) -> str:
    plan = plan_clip(*task)
    return hashlib.sha256(b"".join(plan.draw(i).tobytes() for i in (0, plan.start, plan.end, 200))).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_event_differs_and_each_of_its_frames_shows_it(kind):
    for seed in (11, 12):
        plan = plan_clip(seed, kind, event_s=(0.1, 1.0))
        twin = plan.twin()
        assert (twin.kind, twin.start, twin.end) == (None, plan.start, plan.end)
        outside = {0, 60, plan.start - 1, plan.end, 180, plan.n_frames - 1} - set(range(plan.start, plan.end))
        for i in outside:
            assert np.array_equal(plan.draw(i), twin.draw(i)), (kind, i)
        for i in range(plan.start, plan.end):
            small, other = (p.draw(i).reshape(56, 4, 56, 4, 3).mean((1, 3)) for p in (plan, twin))
            changed = (np.abs(small - other).max(axis=2) > 12).sum()
            assert changed >= 25, f"{kind}, frame {i}: only {changed} of 3,136 blocks changed"


def test_events_move():
    for kind in CRIME_KINDS:
        plan = plan_clip(3, kind, event_s=(1, 1))
        assert np.abs(plan.draw(plan.start).astype(int) - plan.draw(plan.start + 12)).max() > 60, kind


def test_frames_and_boxes():
    plan = plan_clip(4, "Robbery")
    frame = plan.draw(plan.start)
    assert frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8
    boxes = plan.boxes(plan.start)
    assert {"hat", "bag", "guard", "animal", "parked_car"} <= boxes.keys()
    assert all(0 <= x0 < x1 <= SIZE and 0 <= y0 < y1 <= SIZE for x0, y0, x1, y1 in boxes.values())
    with pytest.raises(ValueError, match="frames 0 to 239"):
        plan.draw(240)


def test_boxes_lie_where_the_figures_are():
    for seed in range(6):
        plan = plan_clip(seed, None)
        x0, y0, x1, y1 = (int(v) for v in plan.boxes(plan.start)["parked_car"])
        paint = np.array(plan.scene.cast["parked_car"].style["paint"])
        near = np.abs(plan.draw(plan.start).astype(int) - paint).max(axis=2) < 40
        assert near[y0:y1, x0:x1].mean() > 0.2


def test_everybody_can_be_counted():
    """In some frame of a quiet clip, nobody who walks by is hidden by those who meet."""
    for seed in range(40):
        plan = plan_clip(seed, None)
        passers = [name for name in plan.scene.cast if name.startswith("passer")]
        for name in passers:
            covered = []
            for j in range(0, plan.n_frames, 12):
                boxes = plan.boxes(j)
                if name in boxes:
                    x0, _, x1, _ = boxes[name]
                    before = [boxes[other] for other in ("hat", "bag", "guard") if other in boxes]
                    covered.append(max(min(x1, right) - max(x0, left) for left, _, right, _ in before) / (x1 - x0))
            assert covered and min(covered) < 0.5, (seed, name)


def test_the_kind_touches_nothing_but_the_event():
    for seed in range(40):
        plans = [plan_clip(seed, kind) for kind in (None, *KINDS)]
        assert len({(p.start, p.end) for p in plans}) == 1
        assert len({json.dumps({**p.facts, "event": None}) for p in plans}) == 1
        assert len({pickle.dumps(p.scene) for p in plans}) == 1


def test_durations_are_log_uniform_and_starts_have_every_phase():
    plans = [plan_clip(seed, None) for seed in range(1500)]
    lengths = np.array([p.end_s - p.start_s for p in plans])
    blurred = lengths + np.random.default_rng(0).uniform(-0.5, 0.5, len(lengths)) / 30  # whole frames → a continuum
    share = np.log(np.clip(blurred, 0.1, 3) / 0.1) / np.log(30)
    assert kstest(share, "uniform").pvalue > 0.001
    assert lengths.min() >= 0.1 - 1e-9 and lengths.max() <= 3 + 1e-9
    assert all(p.start_s >= 1 and p.end_s <= 7.5 for p in plans)
    assert kstest([(p.start % 30 + 0.5) / 30 for p in plans], "uniform").pvalue > 0.001
    seen = np.mean([any(p.start <= f < p.end for f in range(0, 240, 30)) for p in plans])
    assert seen == pytest.approx(np.minimum(1, lengths).mean(), abs=0.04)


def test_the_same_in_another_process_and_after_pickling():
    tasks = [(1, "Arson"), (2, None), (3, "Shooting")]
    here = [digest(task) for task in tasks]
    plan = plan_clip(1, "Arson")
    assert np.array_equal(pickle.loads(pickle.dumps(plan)).draw(100), plan.draw(100))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(digest, tasks)) == here


def looks(n: int, base: int, at) -> tuple[np.ndarray, np.ndarray]:
    """n clips a class, one small frame each: (n·11, 32·32·3) and classes."""
    frames, classes = [], []
    for k, kind in enumerate(CLASSES):
        for seed in range(base + 1000 * k, base + 1000 * k + n):
            plan = plan_clip(seed, kind)
            frame = plan.draw(at(plan))
            frames.append(frame.reshape(32, 7, 32, 7, 3).mean((1, 3)).ravel())
            classes.append(k)
    return np.array(frames), np.array(classes)


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_classifier_reads_the_event_and_nothing_else(moment):
    at = {"before": lambda p: p.start - 1, "during": lambda p: (p.start + p.end) // 2, "after": lambda p: p.end}[moment]
    forest = RandomForestClassifier(150, random_state=0).fit(*looks(35, 500_000, at))
    frames, classes = looks(20, 900_000, at)
    right = int((forest.predict(frames) == classes).sum())
    if moment == "during":
        assert right / len(classes) > 0.6
    else:
        assert right <= binom.ppf(0.999, len(classes), 1 / len(CLASSES)), f"{moment}: {right} of {len(classes)}"


def test_questions_are_true_and_give_nothing_away():
    kinds_of_question = set()
    for seed in range(40):
        for kind in (None, *KINDS):
            plan = plan_clip(seed, kind)
            about_clip = questions(plan, np.random.default_rng(seed))
            facts, true = plan.facts, scene_answers(plan.facts)
            for name, question, answer, choices in about_clip:
                kinds_of_question.add(name)
                assert not FORBIDDEN.search(f"{question} {answer}"), (question, answer)
                assert "{" not in question + answer
                if name in true:
                    assert answer == true[name]
                if choices:
                    assert answer in choices and read_choices(question) in ((), choices)
                    listed = ", ".join(choices[:-1]) + f" or {choices[-1]}"
                    assert read_choices(question) or listed in question
                if name == "closed_car_colour":
                    assert answer.lower() == facts["car"]
                if name == "car_and_animal":
                    assert answer == f"the {facts['car']} car and the {facts['animal']}"
                if name == "event_when":
                    assert answer.endswith("first half") == (plan.end <= 120)
            names = {name for name, *_ in about_clip}
            speaks = any(name.startswith("event_") or name == "caption" for name in names)
            assert speaks == (kind not in UNSEEN_KINDS)
    assert len(kinds_of_question) >= 25


def test_a_new_word_is_true_only_where_no_known_name_is():
    """Else a question would have two right answers; and it is asked often enough to be learned."""
    counts = {"event_closed": 0, "event_new_word": 0}
    for seed in range(60):
        for k, kind in enumerate((None, *SEEN_KINDS)):
            plan = plan_clip(seed, kind)
            for name, _, answer, choices in questions(plan, np.random.default_rng([seed, k])):
                if name in counts:
                    counts[name] += 1
                    known = {label.lower() for label in (NO_EVENT if kind is None else EVENT_LABELS[kind])}
                    named = [choice for choice in choices if choice.lower() in known]
                    if name == "event_new_word":
                        assert not named and answer in choices
                        assert all(re.fullmatch("([bdfgklmnprstvz][aeiou])+", word.lower()) for word in answer.split())
                    else:
                        assert named in ([], [answer])
    assert 0.1 < counts["event_new_word"] / sum(counts.values()) < 0.2


def test_only_allowed_events_have_words():
    about_clip = questions(plan_clip(5, "Arson"), np.random.default_rng(0), allowed=BENIGN_KINDS)
    assert not any(re.search(r"fire|flames", f"{question} {answer}") for _, question, answer, _ in about_clip)
    with pytest.raises(ValueError, match="no words"):
        questions(plan_clip(5, None), np.random.default_rng(0), allowed=CRIME_KINDS)
    assert set(SEEN_KINDS) | set(UNSEEN_KINDS) == set(CRIME_KINDS) and len(BENIGN_KINDS) >= 10


def test_bad_arguments_name_the_fix():
    with pytest.raises(ValueError, match="unknown"):
        plan_clip(0, "Theft")
    for event_s in ((0, 1), (2, 1), (0.1, 7), (-1, 1)):
        with pytest.raises(ValueError, match="event_s"):
            plan_clip(0, None, event_s=event_s)
    with pytest.raises(ValueError, match="test_per_class=-1"):
        SetConfig(test_per_class=-1)


def test_seeds_and_names_are_disjoint():
    clips = entries(SetConfig(train_per_class=60, test_per_class=30, normal_train=60, normal_test=60, seed=9))
    assert len(clips) == 10 * 90 + 120
    assert len({c.seed for c in clips}) == len({c.path for c in clips}) == len(clips)
    numbers = [(c.kind, int(re.search(r"(\d+)_x264", c.path)[1])) for c in clips]
    assert len(set(numbers)) == len(numbers)
    other = entries(SetConfig(seed=10))
    assert not {c.seed for c in other} & {c.seed for c in clips}


@pytest.fixture(scope="module")
def toy_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("toy") / "set"
    summary = render_set(out, train_per_class=1, test_per_class=1, seed=7, workers=2, progress=False)
    return out, summary


def test_a_set_has_ucf_crimes_layout_and_annotation(toy_set):
    out, summary = toy_set
    assert summary.n_clips == summary.n_drawn == 22 and summary.drawing_s > 0 and summary.encoding_s > 0
    lines = [json.loads(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert {line["video"] for line in lines} == {str(p.relative_to(out)) for p in out.rglob("*.mp4")}
    listed = {entry.name: entry for entry in read_test_list(out / TEST_LIST)}
    for line in lines:
        name = line["video"].rsplit("/", 1)[1]
        assert (name in listed) == (line["split"] == "test")
        if name in listed:
            expected = tuple((round(start * 30), round(end * 30)) for _, start, end in line["events"])
            assert listed[name].event_frames == expected
        assert bool(line["events"]) == (line["kind"] != "Normal_Videos")
        assert all(len(row) == 5 for rows in line["boxes"].values() for row in rows)
    assert len(read_train_list(out / TRAIN_LIST)) == 11
    raw = (out / TEST_LIST).read_text().splitlines()
    assert all(re.fullmatch(r"\S+_x264\.mp4  \w+  -?\d+  -?\d+  -1  -1  ", line) for line in raw)
    assert (out / "Videos/Testing_Normal_Videos_Anomaly/Normal_Videos_002_x264.mp4").exists()
    assert (out / "Videos/Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4").exists()


def test_files_read_back_as_drawn(toy_set):
    out, _ = toy_set
    entry = next(e for e in entries(SetConfig(1, 1, 1, 1, 7)) if e.kind == "Fighting" and e.split == "test")
    with av.open(str(out / entry.path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 30.0)
        assert (stream.codec_context.pix_fmt, stream.width, stream.height) == ("yuv420p", SIZE, SIZE)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 240 == truth(entry)["n_frames"]
    plan = entry.plan()
    for i in (0, plan.start, 239):
        assert np.abs(decoded[i].astype(int) - plan.draw(i)).mean() < 8


def test_a_set_goes_on_where_it_stopped_and_refuses_another(toy_set, capsys):
    out, _ = toy_set
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    lost = sorted(out.rglob("*.mp4"))[3]
    lost.unlink()
    arguments = ["toy", "--out", str(out), "--train-per-class", "1", "--test-per-class", "1", "--seed", "7"]
    assert data_prep([*arguments, "--workers", "1"]) == 0
    assert "22 clips, 1 drawn now" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert data_prep([*arguments, "--min-event-s", "1.2"]) == 2
    assert "holds another set" in capsys.readouterr().err


def test_long_events_in_long_clips_have_ucf_crimes_median_and_none_is_missed():
    """At one frame a second, whatever the phase, an event of a second and more has a frame of its own."""
    event_s, seconds = DURATIONS["ucf"]
    plans = [plan_clip(seed, None, event_s=event_s, seconds=seconds) for seed in range(3000, 4000)]
    lengths = np.array([plan.end_s - plan.start_s for plan in plans])
    assert lengths.min() >= event_s[0] and lengths.max() <= event_s[-1]
    below = (lengths < 8).sum()
    assert binom.ppf(0.001, 1000, 0.5) <= below <= binom.ppf(0.999, 1000, 0.5)
    shortest, longest = lengths[lengths < 8], lengths[lengths >= 8]
    assert kstest(np.log(shortest), "uniform", (0, np.log(8))).pvalue > 0.01
    assert kstest(np.log(longest), "uniform", (np.log(8), np.log(3))).pvalue > 0.01
    assert chisquare(np.bincount([plan.start % FPS for plan in plans], minlength=FPS)).pvalue > 1e-3
    for plan in plans:
        seconds_seen = range(0, plan.n_frames, FPS)
        assert any(plan.start <= i < plan.end for i in seconds_seen) and plan.end <= plan.n_frames
