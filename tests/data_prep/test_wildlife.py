"""The wildlife clips keep their promises: nothing but the brief action differs, boxes hold the animals, the files agree
with the truth and with Animal Kingdom's layout."""

import ast
import csv
import hashlib
import json
import pickle
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations, pairwise
from multiprocessing import get_context

import av
import numpy as np
import pytest
from scipy.stats import binom, chisquare
from sklearn.ensemble import RandomForestClassifier

from data_prep.__main__ import main as data_prep
from data_prep.toy_world.brush import SIZE
from data_prep.toy_world.street.render import render_set
from data_prep.toy_world.timing import FPS
from data_prep.toy_world.timing import stream as scene_stream
from data_prep.toy_world.wildlife import BRIEFS, SPECIES, STATES, plan_wild
from data_prep.toy_world.wildlife import clip as wild_clip
from data_prep.toy_world.wildlife import scene as wild_scene
from data_prep.toy_world.wildlife.clip import possible_briefs, sentence
from data_prep.toy_world.wildlife.habitats import LANDS, WATERS
from data_prep.toy_world.wildlife.layout import WildConfig, annotation, wild_entries
from data_prep.toy_world.wildlife.render import render_wild_set
from data_prep.toy_world.wildlife.scene import first_species
from data_prep.toy_world.wildlife.species import NUMBERS

pytestmark = pytest.mark.slow


def plans_with(brief: str, n: int, first: int = 0, **options) -> list:
    """n clips whose animals can do `brief`, doing it."""
    plans = []
    for seed in range(first, first + 4000):
        if brief in possible_briefs(plan_wild(seed, brief=None, **options).scene):
            plans.append(plan_wild(seed, brief=brief, **options))
        if len(plans) == n:
            return plans
    raise AssertionError(brief)


def digest(seed: int) -> str:
    plan = plan_wild(seed)
    return hashlib.sha256(b"".join(plan.draw(i).tobytes() for i in (0, plan.start, plan.end, 200))).hexdigest()


@pytest.mark.parametrize("brief", BRIEFS)
def test_only_the_brief_action_differs_and_each_of_its_frames_shows_it(brief):
    for plan in plans_with(brief, 4, event_s=(0.1, 0.6)):
        twin = plan.twin()
        assert (twin.brief, twin.who, twin.start, twin.end) == (None, None, plan.start, plan.end)
        for i in {0, 60, plan.start - 1, plan.end, 180, plan.n_frames - 1} - set(range(plan.start, plan.end)):
            assert np.array_equal(plan.draw(i), twin.draw(i)), (plan.seed, i)
        for i in range(plan.start, plan.end):
            small, other = (p.draw(i).reshape(56, 4, 56, 4, 3).mean((1, 3)) for p in (plan, twin))
            changed = (np.abs(small - other).max(axis=2) > 12).sum()
            assert changed >= 25, f"{plan.who}, seed {plan.seed}, frame {i}: only {changed} of 3,136 blocks changed"


def test_another_brief_action_changes_nothing_outside_the_interval():
    for seed in range(8):
        able = possible_briefs(plan_wild(seed, brief=None).scene)
        plans = [plan_wild(seed, brief=brief) for brief in (None, *able)]
        assert len({(p.start, p.end) for p in plans}) == 1
        assert len({json.dumps({**p.facts, "brief": None, "brief_animal": None}) for p in plans}) == 1
        assert len({pickle.dumps(p.scene) for p in plans}) == 1
        for i in (plans[0].start - 1, plans[0].end):
            frames = [plan.draw(i) for plan in plans]
            assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_every_brief_action_looks_different():
    for seed in range(10):
        able = possible_briefs(plan_wild(seed, brief=None).scene)
        plans = [plan_wild(seed, brief=brief) for brief in able]
        small = [p.draw((p.start + p.end) // 2).reshape(56, 4, 56, 4, 3).mean((1, 3)) for p in plans]
        for (a, x), (b, y) in combinations(zip(plans, small, strict=True), 2):
            changed = (np.abs(x - y).max(axis=2) > 12).sum()
            assert changed >= 25, f"seed {seed}: {a.who} {a.brief} and {b.who} {b.brief} differ in {changed} blocks"


def test_every_action_has_its_own_sign(monkeypatch):
    """Without its marks a brief action looks otherwise: none of them is a change of pose alone."""
    for brief in BRIEFS:
        for plan in plans_with(brief, 3, first=50):
            i = (plan.start + plan.end) // 2
            marked = plan.draw(i).astype(int)
            with monkeypatch.context() as patch:
                patch.setattr(wild_clip.signs, "after", lambda *_: None)
                bare = plan.draw(i)
            changed = np.abs(marked - bare).max(axis=2) > 12
            assert changed.sum() >= 60, f"{plan.who} {brief}: {changed.sum()} pixels"


def test_the_scene_and_the_brief_action_draw_from_different_streams(monkeypatch):
    read = {"scene": set(), "clip": set()}

    def listening(module):
        return lambda seed, name: read[module].add(name) or scene_stream(seed, name)

    monkeypatch.setattr(wild_clip, "stream", listening("clip"))
    monkeypatch.setattr(wild_scene, "stream", listening("scene"))
    wild_scene.make_scene.cache_clear()
    for seed in range(30):
        plan_wild(seed).actors(100)
    assert len(read["clip"]) >= 1 and len(read["scene"]) >= 3
    assert not read["clip"] & read["scene"]


def test_the_choice_of_the_brief_action_is_fair():
    counted, expected, none = Counter(), Counter(), 0
    for seed in range(1500):
        plan = plan_wild(seed)
        able = possible_briefs(plan.scene)
        none += plan.brief is None
        counted[plan.brief] += 1
        expected.update(dict.fromkeys(able, 0.7 / len(able)))
    assert 0.26 < none / 1500 < 0.34
    kinds = list(BRIEFS)
    share = sum(counted[k] for k in kinds) / sum(expected[k] for k in kinds)
    assert chisquare([counted[k] for k in kinds], [expected[k] * share for k in kinds]).pvalue > 0.001


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_classifier_reads_the_brief_action_and_nothing_else(moment):
    """A lone lion on the ground: six kinds, each seed's own choice, from one small frame."""
    at = {"before": lambda p: p.start - 1, "during": lambda p: (p.start + p.end) // 2, "after": lambda p: p.end}[moment]
    frames, kinds = [], []
    for seed in range(20_000, 22_000):
        plan = plan_wild(seed, species=["lion"])
        if plan.brief and plan.facts["medium"] == {"lion": "ground"}:
            frames.append(plan.draw(at(plan)).reshape(32, 7, 32, 7, 3).mean((1, 3)).ravel())
            kinds.append(plan.brief)
        if len(kinds) == 420:
            break
    forest = RandomForestClassifier(100, random_state=0).fit(frames[:270], kinds[:270])
    right = int((forest.predict(frames[270:]) == np.array(kinds[270:])).sum())
    if moment == "during":
        assert right / 150 > 0.45
    else:
        assert right <= binom.ppf(0.999, 150, Counter(kinds[270:]).most_common(1)[0][1] / 150), f"{moment}: {right}"


def test_the_habitat_does_not_tell_the_animal():
    counted = Counter()
    for seed in range(4000):
        facts = plan_wild(seed, brief=None).facts
        counted.update((name, facts["habitat"]) for name in facts["species"])
    for name, species in SPECIES.items():
        for kinds in (LANDS, WATERS):
            seen = [counted[name, kind] for kind in kinds]
            if sum(seen):
                assert chisquare(seen).pvalue > 1e-4, (name, seen)
        assert bool(sum(counted[name, kind] for kind in WATERS)) == bool(
            {"water", "surface", "air"} & set(species.states)
        )


def test_how_many_animals_and_where():
    plans = [plan_wild(seed) for seed in range(1500)]
    assert 0.35 < np.mean([len(p.scene.animals) == 2 for p in plans]) < 0.45
    for plan in plans[:300]:
        names = plan.facts["species"]
        assert len(set(names)) == len(names) in (1, 2)
        if len(names) == 2:
            middles = {}
            for name, (x0, _, x1, _) in plan.boxes(0).items():
                middles[name] = (x0 + x1) / 2
            left, right = names
            assert plan.facts["side"] == {left: "left", right: "right"} and middles[left] < middles[right]


def test_intervals_have_every_phase_and_log_uniform_lengths():
    plans = [plan_wild(seed, brief=None) for seed in range(1500)]
    assert chisquare(np.bincount([p.start % 30 for p in plans], minlength=30)).pvalue > 0.001
    lengths = np.log([p.end_s - p.start_s for p in plans])
    assert np.median(lengths) == pytest.approx(np.log(0.1 * 30**0.5), abs=0.12)
    assert all(p.start_s >= 1 and p.end_s <= 7.5 for p in plans)


def test_the_same_in_another_process_and_after_pickling():
    seeds = [1, 2, 3, 4]
    here = [digest(seed) for seed in seeds]
    plan = plan_wild(1)
    plan.draw(0)
    assert np.array_equal(pickle.loads(pickle.dumps(plan)).draw(100), plan.draw(100))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(digest, seeds)) == here


@pytest.mark.parametrize("name", SPECIES)
def test_boxes_hold_the_animal_and_nothing_much_else(name, monkeypatch):
    for part in ("shadow", "before", "after"):
        monkeypatch.setattr(wild_clip.signs, part, lambda *_: None)
    widths = []
    for seed in range(12):
        plan = plan_wild(seed, species=[name])
        empty = replace(plan, brief=None, scene=replace(plan.scene, animals={}), _cache={})
        for i in (0, (plan.start + plan.end) // 2, 200):
            x0, y0, x1, y1 = plan.boxes(i)[name]
            assert 0 <= x0 < x1 <= SIZE and 0 <= y0 < y1 <= SIZE
            differs = (plan.draw(i) != empty.draw(i)).any(axis=2)
            rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
            seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            outward = (seen - np.array([x0, y0, x1, y1])) * (1, 1, -1, -1)
            assert (outward > -1.01).all(), f"seed {seed}, frame {i}: drawn {seen}, box {(x0, y0, x1, y1)}"
            assert (outward < 7).all(), f"seed {seed}, frame {i}: drawn {seen}, box {(x0, y0, x1, y1)}"
            widths.append(max(x1 - x0, y1 - y0))
    assert np.median(widths) >= SIZE / 4


def test_an_animal_changes_nothing_outside_its_box(monkeypatch):
    for part in ("shadow", "before", "after"):
        monkeypatch.setattr(wild_clip.signs, part, lambda *_: None)
    pairs = [p for p in (plan_wild(seed, brief=None) for seed in range(150)) if len(p.scene.animals) == 2]
    swimmers = [p for p in pairs if "surface" in p.facts["medium"].values()]
    assert len(swimmers) >= 3
    for plan in (*pairs[:12], *swimmers):
        for name, animal in plan.scene.animals.items():
            alone = replace(plan, scene=replace(plan.scene, animals={name: animal}), _cache={})
            (other,) = set(plan.scene.animals) - {name}
            x0, y0, x1, y1 = (round(v) for v in plan.boxes(120)[other])
            differs = (plan.draw(120) != alone.draw(120)).any(axis=2)
            differs[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
            assert not differs.any(), (plan.seed, other)


def test_segments_cover_the_clip_and_say_what_happens():
    kinds = set()
    for seed in range(300):
        plan = plan_wild(seed)
        assert list(plan.segments) == sorted(plan.segments, key=lambda s: s[2])
        for name, animal in plan.scene.animals.items():
            states = [s for s in plan.segments if s[0] == name and s[1] in STATES]
            assert states[0][2] == 0 and states[-1][3] == 8 and len(states) <= 2
            assert all(a[3] == b[2] and a[1] != b[1] for a, b in pairwise(states))
            assert all(action in animal.species.states[animal.medium] for _, action, _, _ in states)
            kinds |= {(name, action) for _, action, _, _ in states}
        briefs = [s for s in plan.segments if s[1] in BRIEFS]
        assert briefs == ([] if plan.brief is None else [(plan.who, plan.brief, plan.start_s, plan.end_s)])
        assert json.loads(json.dumps(plan.facts)) == plan.facts
        assert len(plan.sentences) == len(plan.segments)
        for text, (animal, action, _, _) in zip(plan.sentences, plan.segments, strict=True):
            assert text == sentence(animal, action) and re.fullmatch(r"The [a-z]+ is [a-z]+ing( \w+)*\.", text)
    assert len(kinds) > 40


def test_which_segments_a_sampling_sees():
    plan = next(p for p in plans_with("Calling", 40) if len(p.scene.animals) == 1 and p.end - p.start < 20)
    brief = (plan.who, "Calling", plan.start_s, plan.end_s)
    inside, outside = (plan.start + 0.5) / FPS, plan.end_s
    assert plan.visible_segments([inside]) == (brief,)
    assert brief not in plan.visible_segments([0.0, plan.start_s - 0.01, outside])
    assert set(plan.visible_segments(np.arange(240) / FPS)) == set(plan.segments)
    assert plan.twin().visible_segments([inside])[0][1] in STATES
    assert plan.visible_segments([]) == () == plan.visible_segments([8.0])


def test_the_table_of_species_and_actions():
    assert len(SPECIES) == 12 and len({species.parent for species in SPECIES.values()}) == 6
    assert set(NUMBERS) == {*STATES, *BRIEFS} and len(set(NUMBERS.values())) == len(NUMBERS)
    for species in SPECIES.values():
        actions = {a for table in (species.states, species.briefs) for row in table.values() for a in row}
        assert len(actions) >= 4 and actions <= set(NUMBERS)
        assert set(species.briefs) == set(species.states) and all(species.briefs.values())
        assert set(species.poses) <= {*actions, "", "Swimming", "Flying"}


def test_species_can_be_held_out():
    for seed in range(60):
        assert set(plan_wild(seed, species=["lion", "frog"]).facts["species"]) <= {"lion", "frog"}
        assert plan_wild(seed, species=["shark"]).facts["habitat"] in WATERS
        assert plan_wild(seed, species=["giraffe", "shark"]).facts["species"] in (["giraffe"], ["shark"])


def test_bad_arguments_name_the_fix():
    with pytest.raises(ValueError, match="possible are"):
        plan_wild(0, brief="Walking")
    with pytest.raises(ValueError, match="possible are"):
        plan_wild(0, brief="Hissing", species=["lion"])
    with pytest.raises(ValueError, match="unicorn"):
        plan_wild(0, species=["unicorn"])
    with pytest.raises(ValueError, match="species empty"):
        plan_wild(0, species=[])
    for event_s in ((0, 1), (2, 1), (0.1, 7), (-1, 1)):
        with pytest.raises(ValueError, match="event_s"):
            plan_wild(0, event_s=event_s)
    with pytest.raises(ValueError, match="n_test=-1"):
        WildConfig(n_test=-1)
    with pytest.raises(ValueError, match="frames 0 to 239"):
        plan_wild(0).draw(240)


def test_sets_are_balanced_and_names_are_unique():
    clips = wild_entries(WildConfig(n_train=120, n_test=60, seed=9))
    for split, n in (("train", 10), ("test", 5)):
        seeds = [c.seed for c in clips if c.split == split]
        assert Counter(first_species(seed, tuple(SPECIES)) for seed in seeds) == dict.fromkeys(SPECIES, n)
        assert all(first_species(seed, tuple(SPECIES)) in plan_wild(seed).scene.animals for seed in seeds)
    assert len({c.seed for c in clips}) == len({c.code for c in clips}) == 180
    assert all(re.fullmatch("[A-Z]{8}", c.code) for c in clips)
    assert not {c.code for c in wild_entries(WildConfig(seed=10))} & {c.code for c in clips}


@pytest.fixture(scope="module")
def wild_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("wild") / "set"
    return out, render_wild_set(out, n_train=4, n_test=3, seed=7, workers=2, progress=False)


def test_a_set_has_animal_kingdoms_layout(wild_set):
    out, summary = wild_set
    assert summary.n_clips == summary.n_drawn == 7 and summary.drawing_s > 0 and summary.encoding_s > 0
    truths = [json.loads(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert {t["video"] for t in truths} == {str(p.relative_to(out)) for p in out.rglob("*.mp4")}
    rows = list(csv.DictReader((out / "AR_metadata.csv").open()))
    durations = list(csv.DictReader((out / "annotation/durations.csv").open()))
    assert [r["video_id"] for r in rows] == [d["video_id"] for d in durations] == [t["video_id"] for t in truths]
    assert {d["duration_s"] for d in durations} == {"8.0"}
    for row, known in zip(rows, truths, strict=True):
        pairs = ast.literal_eval(row["list_animal_action"])
        assert set(pairs) == {(animal.capitalize(), action) for animal, action, _, _ in known["segments"]}
        assert ast.literal_eval(row["list_animal"]) == [animal for animal, _ in pairs]
        assert set(ast.literal_eval(row["list_animal_parent_class"])) == set(known["facts"]["classes"])
        assert {int(n) for n in row["labels"].split(",")} == {NUMBERS[action] for _, action in pairs}
        assert row["type"] == known["split"]
        plan = plan_wild(known["seed"])
        assert known["events"] == ([] if plan.brief is None else [[plan.who, plan.brief, *known["pseudo_event"]]])
        assert all(row[0] in (plan.start, *range(0, 240, 5)) for rows in known["boxes"].values() for row in rows)
        assert all(any(row[0] == plan.start for row in rows) for rows in known["boxes"].values())


def test_sentence_lists_read_as_animal_kingdoms(wild_set):
    out, _ = wild_set
    truths = {t["video_id"]: t for t in map(json.loads, (out / "truth.jsonl").read_text().splitlines())}
    for split in ("train", "test"):
        n_sentences = Counter()
        for line in (out / f"annotation/{split}.txt").read_text().splitlines():
            code, start, end, text = re.fullmatch(r"([A-Z]{8}) (\d+\.\d) (\d+\.\d)##(The .*\.)", line).groups()
            assert 0 <= float(start) < float(end) <= 8
            n_sentences[code] += 1
            known = truths[code]["segments"]
            assert any(
                text == sentence(a, b) and abs(float(start) - s) < 0.06 and abs(float(end) - e) < 0.11
                for a, b, s, e in known
            )
        assert n_sentences == {code: len(t["segments"]) for code, t in truths.items() if t["split"] == split}


def test_rounded_times_stay_in_order():
    for seed in range(400):
        for line in annotation("ABCDEFGH", plan_wild(seed, event_s=(0.03, 0.12))):
            start, end = line.split("##")[0].split()[1:]
            assert float(start) < float(end)


def test_files_read_back_as_drawn(wild_set):
    out, _ = wild_set
    entry = wild_entries(WildConfig(4, 3, 7))[0]
    with av.open(str(out / entry.path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 30.0)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    plan = entry.plan()
    assert len(decoded) == 240 and decoded[0].shape == (SIZE, SIZE, 3)
    for i in (0, plan.start, 239):
        assert np.abs(decoded[i].astype(int) - plan.draw(i)).mean() < 8


def test_a_set_goes_on_where_it_stopped_and_does_not_depend_on_workers(wild_set, capsys):
    out, _ = wild_set
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for lost in sorted(out.rglob("*.mp4"))[1:3]:
        lost.unlink()
    arguments = ["toy-wildlife", "--out", str(out), "--train", "4", "--test", "3", "--seed", "7", "--workers", "1"]
    assert data_prep(arguments) == 0
    assert "7 clips, 2 drawn now" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert data_prep([*arguments, "--min-event-s", "1.2"]) == 2
    assert "holds another set" in capsys.readouterr().err


def test_foreign_folders_are_refused(wild_set, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="not empty"):
        render_wild_set(tmp_path, n_train=1, n_test=0, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ValueError, match="holds another set"):
        render_set(wild_set[0], train_per_class=0, test_per_class=0, progress=False)
    with pytest.raises(ValueError, match="workers=0"):
        render_wild_set(tmp_path / "new", workers=0)
