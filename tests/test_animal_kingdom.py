"""Animal Kingdom's preparation on made-up folders: what is asked, what is kept, what is listed, what is an error."""

import csv
import json
import random
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from data_prep import animal_kingdom
from data_prep.__main__ import main
from data_prep.animal_choices import TASKS, fold
from data_prep.animal_lists import SHEET, read_durations, read_grounding, read_sheet
from llamavid_kit.pairs import read_choices, read_jsonl, read_llava
from llamavid_kit.study import ANIMAL_QUESTION, ANIMAL_TURNS

TRAIN = """\
FROGFROG 9.4 10.6##The frog is keeping still.
SWANSWAN 19.2 20.0##The swan makes a landing.

FROGFROG 2.0 16.3##The frog is moving.
FROGFROG 27.7 29.2##The frog is keeping still.
FROGFROG 2.0 16.3##The frog is hugging another frog to
"""
TEST = """\
LIONLION 0.0 4.5##The lion roars.
LIONLION 3.0 3.0##The young of the lion (cub) is walking.
LIONLION 8.0 7.0##The lion is walking.
"""
DURATIONS = {"FROGFROG": 29.2, "SWANSWAN": 20.0, "LIONLION": 300.0}
ANIMALS = {
    "Grey Heron": "Bird", "Great Egret": "Bird", "Tit Bird": "Bird", "Hawk": "Bird", "Bird": "Bird", "Egret": "Bird",
    "Frog": "Amphibian", "Alpine Newt": "Amphibian", "Lion": "Mammal", "Lion Young": "Mammal", "Meerkat": "Mammal",
    "Orca": "Mammal", "Honey Bee": "Insect", "Snake": "Reptile", "Horned Adder": "Reptile", "Iguana": "Reptile",
}  # fmt: skip
VERBS = ["Walking", "Eating", "Sensing", "Keeping still", "Attacking", "Chirping", "Swimming", "Yawning"]
COLUMNS = ["S/N", "video_id", "type", "labels", "list_animal_action", "list_animal", "list_animal_parent_class"]
Row = tuple[str, str, list[tuple[str, str]]]


def made_up_rows(n: int = 60, seed: int = 0) -> list[Row]:
    """(code, split, [(animal, action), …])"""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        pairs = [(rng.choice(list(ANIMALS)), rng.choice(VERBS)) for _ in range(rng.randint(1, 4))]
        rows.append((f"CLIP{i:04d}", "test" if i % 5 == 0 else "train", pairs))
    return rows


def write_sheet(path: Path, rows: list[Row], *, classes: bool = True, **more: str) -> None:
    """more: name of a column → a cell for every row."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS if classes else COLUMNS[:5])
        for i, (code, split, pairs) in enumerate(rows, start=1):
            animals = [animal for animal, _ in pairs]
            of = sorted({ANIMALS[animal] for animal in animals if animal in ANIMALS})
            cells = dict(zip(COLUMNS, (i, code, split, "2,40", repr(pairs), repr(animals), repr(of)), strict=True))
            writer.writerow([(cells | more)[name] for name in (COLUMNS if classes else COLUMNS[:5])])


@pytest.fixture
def folder(tmp_path):
    """All lists, as the toy world lays them out; `fill` adds the (empty) video files."""
    root = tmp_path / "animals"
    (root / "annotation").mkdir(parents=True)
    (root / "annotation" / "train.txt").write_text(TRAIN)
    (root / "annotation" / "test.txt").write_text(TEST)
    rows = "".join(f"{code},{seconds}\n" for code, seconds in DURATIONS.items())
    (root / "annotation" / "durations.csv").write_text("video_id,duration_s\n" + rows)
    write_sheet(root / SHEET, made_up_rows())
    return root


def fill(folder: Path, *, but: tuple[str, ...] = ()) -> None:
    codes = {*DURATIONS, *(code for code, _, _ in made_up_rows())} - set(but)
    (folder / "Videos").mkdir(exist_ok=True)
    for code in codes:
        (folder / "Videos" / f"{code}.mp4").touch()


@pytest.fixture
def fake_video(monkeypatch):
    """Files that need not be opened: 8 s at 30 frames a second; a name with BROKEN cannot be read."""

    class VideoError(ValueError):
        pass

    class Video:
        opened: list[str] = []  # noqa: RUF012

        def __init__(self, path):
            self.opened.append(path.stem)
            if path.stem in ("CLIP0003", "SWANSWAN"):
                raise VideoError(f"{path}: the file is empty (0 bytes)")
            self.n_frames, self.fps, self.duration_s = (240, 30, 8.0) if path.stem != "CLIP0004" else (2, 0.2, 10.0)

    monkeypatch.setitem(sys.modules, "llamavid_kit.video", types.SimpleNamespace(Video=Video, VideoError=VideoError))
    return Video


def only_grounding(folder, train=TRAIN, test=TEST, **settings):
    (folder / "annotation" / "train.txt").write_text(train)
    (folder / "annotation" / "test.txt").write_text(test)
    (folder / SHEET).unlink(missing_ok=True)
    return animal_kingdom.build(None, lists=folder, lists_only=True, **settings)


def only_sheet(folder, rows=None, *, classes=True, more=None, **settings):
    for name in ("train.txt", "test.txt"):
        (folder / "annotation" / name).unlink(missing_ok=True)
    write_sheet(folder / SHEET, made_up_rows() if rows is None else rows, classes=classes, **(more or {}))
    return animal_kingdom.build(None, lists=folder, lists_only=True, **settings)


def choices_of(result) -> dict[str, tuple]:
    return {p.id: (p.answer, p.choices) for k, pairs in result.pairs.items() if k != "grounding" for p in pairs}


def left_out(result, kind=None) -> list[tuple]:
    return [(e.video, e.reason) for e in result.excluded if kind in (None, e.left_out_of)]


# Grounding


def test_a_grounding_pair(folder):
    result = only_grounding(folder)
    frog, swan, lion = result.pairs["grounding"]
    assert [frog.id, swan.id, lion.id] == ["FROGFROG", "SWANSWAN", "LIONLION"]
    assert [p.split for p in (frog, swan, lion)] == ["train", "train", "test"]
    assert frog.question == ANIMAL_QUESTION and frog.choices == () and frog.source == "Animal Kingdom"
    assert frog.answer == "The frog is keeping still. The frog is moving. The frog is hugging another frog to"
    assert frog.events == ((2.0, 16.3), (9.4, 10.6), (27.7, 29.2)), "distinct intervals, by time"
    lines = [(s["sentence"], s["start_s"], s["end_s"]) for s in frog.extra["sentences"]]
    assert lines == [
        ("The frog is keeping still.", 9.4, 10.6),
        ("The frog is moving.", 2.0, 16.3),
        ("The frog is keeping still.", 27.7, 29.2),
        ("The frog is hugging another frog to", 2.0, 16.3),
    ], "every line as annotated, in the list's order"
    assert result.counts()["sentences"] == {
        "videos": 3, "annotated": 8, "doubles_removed": 1, "median_a_video": 3,
    }  # fmt: skip


def test_intervals_that_are_no_events_keep_their_sentence(folder):
    result = only_grounding(folder, test=TEST + "LIONLION -1.0 2.0##The lion is attending.\n")
    lion = result.pairs["grounding"][-1]
    assert lion.events == ((0.0, 4.5),)
    assert lion.answer.endswith("(cub) is walking. The lion is walking. The lion is attending.")
    told = [note for note in result.notes if "no event" in note]
    assert ["test.txt, line 2" in told[0], "8 to 7 s" in told[1], "-1 to 2 s" in told[2]] == [True] * 3
    assert len(told) == 3 and not result.excluded


def test_ends_past_the_clip(folder):
    """Up to half a second an event is cut, beyond it the video is another cut."""
    table = folder / "annotation" / "durations.csv"
    table.write_text(
        table.read_text().replace("FROGFROG,29.2", "FROGFROG,28.7").replace("SWANSWAN,20.0", "SWANSWAN,19.4")
    )
    result = only_grounding(folder)
    (excluded,) = result.excluded
    assert (excluded.video, excluded.left_out_of, excluded.reason) == ("SWANSWAN", "grounding", "annotation")
    assert "19.2 to 20 s" in excluded.detail and "19.4 s" in excluded.detail and "train.txt, line 2" in excluded.detail
    frog = result.pairs["grounding"][0]
    assert frog.events[-1] == (27.7, 28.7) and frog.extra["sentences"][2]["end_s"] == 29.2
    assert [note for note in result.notes if "cut" in note] == [
        "1 videos end before an annotated end, by at most 0.5 s: their events were cut"
    ]


def test_an_interval_after_the_end_is_no_event(folder):
    result = only_grounding(folder, test="LIONLION 300.1 300.4##The lion roars.\n")
    lion = result.pairs["grounding"][-1]
    assert lion.events == () and lion.answer == "The lion roars." and any("300.1 to 300.4 s" in n for n in result.notes)


@pytest.mark.parametrize(
    "line",
    [
        "FROGFROG 1.0 2.0 The frog is moving.",
        "FROGFROG 1.0##The frog is moving.",
        "FROGFROG 1.0 x##The frog is moving.",
        "FROGFROG 1.0 inf##The frog is moving.",
        "FROGFROG nan 2.0##The frog is moving.",
        "FROGFROG 1.0 2.0##  ",
        "FROGFROG 1.0 2.0 3.0##The frog is moving.",
        "../FROG 1.0 2.0##The frog is moving.",
        "FROGFROG 1.0 2.0##The frog##is moving.",
    ],
)
def test_a_grounding_line_that_does_not_parse(folder, line):
    with pytest.raises(ValueError) as raised:
        only_grounding(folder, train=TRAIN + line + "\n")
    told = str(raised.value)
    assert "train.txt, line 7: " in told and line.strip() in told and 'expected "CODE start end##sentence."' in told


def test_an_empty_grounding_list(folder):
    with pytest.raises(ValueError, match="test.txt lists no videos"):
        only_grounding(folder, test="\n")


# Lengths


def test_a_video_that_is_too_long(folder):
    """300 s are 1,800 sampled frames at 6 fps: exactly the bound."""
    assert not only_grounding(folder).excluded
    table = folder / "annotation" / "durations.csv"
    table.write_text(table.read_text().replace("300.0", "300.1"))
    (excluded,) = only_grounding(folder).excluded
    assert (excluded.video, excluded.split, excluded.reason) == ("LIONLION", "test", "too long")
    assert excluded.detail.startswith("1801 sampled frames at 6 fps, at most 1800 (")
    assert not only_grounding(folder, fps=[1]).excluded
    assert not only_grounding(folder, max_sampled_frames=None).excluded


def test_the_authors_durations(folder):
    (folder / "annotation" / "durations.csv").unlink()
    table = folder / "annotation" / "ak_vg_duration.json"
    table.write_text(json.dumps([{"vid": "LIONLION", "duration": 301.0}, {"vid": "FROGFROG", "duration": 29.2}]))
    result = only_grounding(folder)
    assert left_out(result) == [("LIONLION", "too long")]
    assert "1 of 3 videos have no known length: no rule of length was applied" in result.notes


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.csv", "video_id,seconds\nA,1\n", "columns .*duration_s.* are missing"),
        ("d.csv", "video_id,duration_s\nA,1\nB,x\n", "line 3: duration of 'B' is 'x'"),
        ("d.csv", "video_id,duration_s\nA,0\n", "line 2: .*above 0"),
        ("d.csv", "video_id,duration_s\nA,1\nA,2\n", "line 3: A was already given with 1 s, here 2 s"),
        ("d.json", '{"A": 1}', "expected .*duration"),
        ("d.json", "[", "expected .*duration"),
        ("d.json", '[{"vid": "A", "duration": "inf"}]', "entry 0: duration of 'A'"),
    ],
)
def test_a_bad_table_of_durations(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_durations(tmp_path / name)


# Multiple choice


def truth_of(rows, kind) -> dict[str, set[str]]:
    named = {
        "species": lambda pairs: {animal for animal, _ in pairs},
        "action": lambda pairs: {action for _, action in pairs},
        "class": lambda pairs: {ANIMALS[animal] for animal, _ in pairs},
    }[kind]
    return {code: named(pairs) for code, _, pairs in rows}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", TASKS)
def test_exactly_one_choice_is_true(folder, kind, seed):
    result = only_sheet(folder, seed=seed)
    truth, pairs = truth_of(made_up_rows(), kind), result.pairs[f"choice_{kind}"]
    assert len(pairs) >= 55
    for pair in pairs:
        true = truth[pair.id.removesuffix(f"-{kind}")]
        assert [choice for choice in pair.choices if choice in true] == [pair.answer]
        assert read_choices(pair.question) == pair.choices and pair.question.startswith(TASKS[kind])
        assert {pair.answer, *pair.extra["also_true"]} == true and pair.answer not in pair.extra["also_true"]
    sizes = Counter(len(pair.choices) for pair in pairs)
    assert set(sizes) <= {2, 3, 4} and (sizes[4] > 0.9 * len(pairs) or kind == "class")
    assert result.counts()["choices"][f"choice_{kind}"] == {str(n): k for n, k in sorted(sizes.items())}


def test_choices_do_not_depend_on_any_order(folder):
    rows = made_up_rows()
    first = choices_of(only_sheet(folder, rows))
    mixed = [(code, split, pairs[::-1]) for code, split, pairs in rows]
    random.Random(1).shuffle(mixed)
    assert choices_of(only_sheet(folder, mixed)) == first
    assert choices_of(only_sheet(folder, rows)) == first
    assert list(choices_of(only_sheet(folder, mixed))) != list(first), "the order of pairs is the list's"


def test_choices_depend_on_seed_and_video(folder):
    zero, one = (choices_of(only_sheet(folder, seed=seed)) for seed in (0, 1))
    assert sum(zero[name] != one[name] for name in zero.keys() & one.keys()) > 0.8 * len(zero)
    rows = [(f"SAME{i:04d}", "train", [("Meerkat", "Walking")]) for i in range(30)]
    same = choices_of(only_sheet(folder, rows + made_up_rows()))
    assert len({same[f"SAME{i:04d}-species"] for i in range(30)}) > 10


def test_choices_do_not_depend_on_which_videos_are_there(folder, fake_video):
    fill(folder)
    every = choices_of(animal_kingdom.build(folder))
    (folder / "Videos" / "CLIP0010.mp4").unlink()
    fewer = choices_of(animal_kingdom.build(folder))
    assert fewer == {name: asked for name, asked in every.items() if not name.startswith("CLIP0010")}


@pytest.mark.parametrize("n_choices", [2, 3, 4])
def test_the_true_answer_stands_anywhere(folder, n_choices):
    places = Counter()
    for seed in range(10):
        for answer, choices in choices_of(only_sheet(folder, seed=seed, n_choices=n_choices)).values():
            if len(choices) == n_choices:
                places[choices.index(answer)] += 1
    n = sum(places.values())
    assert n > 1000 and len(places) == n_choices
    assert all(abs(count / n - 1 / n_choices) < 4 * (0.25 / n) ** 0.5 for count in places.values())


def test_every_true_name_of_a_video_can_be_the_answer(folder):
    rows = [("MANYMANY", "train", [("Lion", "Walking"), ("Orca", "Eating"), ("Hawk", "Yawning")]), *made_up_rows()]
    asked = [choices_of(only_sheet(folder, rows, seed=seed)) for seed in range(40)]
    assert {a["MANYMANY-species"][0] for a in asked} == {"Lion", "Orca", "Hawk"}
    assert {a["MANYMANY-action"][0] for a in asked} == {"Walking", "Eating", "Yawning"}


def test_distractors_are_drawn_as_often_as_they_are_true(folder):
    """Evenly drawn ones would give the most frequent name away."""
    often = [(f"OFTEN{i:03d}", "train", [("Hawk", "Sensing")]) for i in range(60)]
    rare = [(f"RARE{i:04d}", "train", [("Hawk", VERBS[i % 2])]) for i in range(60)]
    once = [(f"ONCE{i:04d}", "train", [("Hawk", f"Doing {i}")]) for i in range(20)]
    asked = choices_of(only_sheet(folder, [*often, *rare, *once]))
    with_it = sum("Sensing" in asked[f"RARE{i:04d}-action"][1] for i in range(60))
    assert with_it > 50, "3 of 22 names evenly drawn would be 8 of 60"


def test_names_that_say_the_same_are_not_in_one_question(folder):
    """An annotated Bird may be a Hawk, a Lion's cub is a Lion; the class keeps others apart from a general name."""
    for seed in range(30):
        for pair in only_sheet(folder, made_up_rows(80), seed=seed).pairs["choice_species"]:
            wrong = set(pair.choices) - {pair.answer}
            true = {pair.answer, *pair.extra["also_true"]}
            if true & {"Lion", "Lion Young"}:
                assert not wrong & {"Lion", "Lion Young"}
            if true & {"Great Egret", "Egret"}:
                assert not wrong & {"Great Egret", "Egret"}
            if pair.answer in ("Bird", "Egret", "Snake", "Frog"):
                assert not {ANIMALS[name] for name in wrong} & {ANIMALS[name] for name in true}
            if wrong & {"Bird", "Snake"}:
                assert not {ANIMALS[n] for n in wrong & {"Bird", "Snake"}} & {ANIMALS[n] for n in true}


def test_general_names_are_offered_too_where_classes_are_known(folder):
    """A name that was an answer only would give itself away."""
    offered = Counter()
    for seed in range(10):
        for answer, choices in choices_of(only_sheet(folder, seed=seed)).values():
            offered.update(set(choices) - {answer})
    assert offered["Bird"] > 5 and offered["Snake"] > 5


def test_general_names_without_classes(folder):
    rows = [
        ("BIRDONLY", "test", [("Bird", "Walking")]),
        ("BOTHBOTH", "train", [("Bird", "Eating"), ("Orca", "Eating")]),
    ]
    result = only_sheet(folder, [*rows, *made_up_rows()], classes=False)
    assert ("BIRDONLY", "general name") in left_out(result, "choice_species")
    asked = choices_of(result)
    assert asked["BOTHBOTH-species"][0] == "Orca" and "BIRDONLY-action" in asked
    for pair in result.pairs["choice_species"]:
        assert not set(pair.choices) & {"Bird", "Snake", "Egret", "Frog"}


def test_names_that_no_question_can_hold(folder):
    rows = [
        ("COMMA001", "train", [("Bee, Honey", "Flying"), ("Orca", "Swimming")]),
        ("COMMA002", "test", [("Bee, Honey", "Flying")]),
        ("STOP0001", "test", [("Anax sp.", "Flying")]),
    ]
    result = only_sheet(folder, [*rows, *made_up_rows()])
    asked = choices_of(result)
    assert asked["COMMA001-species"][0] == "Orca"
    assert [e for e in left_out(result) if e[1] == "name"] == [("COMMA002", "name"), ("STOP0001", "name")]
    assert "'Bee, Honey'" in result.excluded[0].detail and f"{SHEET}, line 3" in result.excluded[0].detail
    assert result.refused == {"choice_species": ["Anax sp.", "Bee, Honey"]}
    assert any("'Bee, Honey'" in note for note in result.notes)
    for _, choices in asked.values():
        assert not set(choices) & {"Bee, Honey", "Anax sp."}
    (turns,) = [c.turns for c in result.conversations if c.id == "COMMA002-actions"]
    assert turns[0][1] == "The distinct species I see are Bee, Honey", "a conversation may hold the name"


def test_letter_case_is_no_difference(folder):
    rows = [(f"CASE{i:04d}", "train", [("Fox", "Shaking Head"), ("fox", "Shaking  head")]) for i in range(3)]
    rows += [("ONEONEON", "train", [("FOX", "shaking head")]), ("OTHEROTH", "train", [("Orca", "Eating")])]
    result = only_sheet(folder, rows, classes=False)
    for pair in result.pairs["choice_species"]:
        assert set(map(fold, pair.choices)) == {"fox", "orca"}
        assert pair.answer == ("Orca" if pair.id.startswith("OTHER") else "Fox"), "the spelling that is used most"
        assert pair.extra["also_true"] == []
    assert {p.answer for p in result.pairs["choice_action"]} == {"Shaking Head", "Eating"}
    assert result.conversations[0].turns[0][1] == "The distinct species I see are Fox"


def test_too_few_names(folder):
    result = only_sheet(
        folder, [("AAAAAAAA", "train", [("Orca", "Eating")]), ("BBBBBBBB", "train", [("Orca", "Swimming")])]
    )
    assert left_out(result, "choice_species") == [("AAAAAAAA", "too few names"), ("BBBBBBBB", "too few names")]
    assert [len(p.choices) for p in result.pairs["choice_action"]] == [2, 2]
    assert result.counts()["choices"]["choice_action"] == {"2": 2}
    with pytest.raises(ValueError, match="n_choices=1"):
        only_sheet(folder, n_choices=1)


# Conversations


def test_a_conversation(folder):
    pairs = [("Lion", "Walking"), ("Hawk", "Flying"), ("Lion", "Eating"), ("Lion", "Walking")]
    result = only_sheet(folder, [("MANYMANY", "test", pairs)])
    (talk,) = result.conversations
    humans, answers = zip(*talk.turns, strict=True)
    assert humans == tuple(human for human, _ in ANIMAL_TURNS)
    assert answers == (
        "The distinct species I see are Lion, Hawk",
        "The distinct categories I see are Bird, Mammal",
        "Lion is Walking. Hawk is Flying. Lion is Eating",
    )
    record = talk.to_llava()
    assert (record["id"], record["video"], talk.split) == ("MANYMANY-actions", "MANYMANY.mp4", "test")
    assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"] * 3
    assert [turn["value"].count("<image>") for turn in record["conversations"]] == [1, 0, 0, 0, 0, 0]


def test_a_conversation_without_classes(folder):
    result = only_sheet(folder, classes=False)
    assert "choice_class" not in result.pairs and result.counts()["turns"] == {"2": 60}
    assert {len(c.turns) for c in result.conversations} == {2}
    assert result.conversations[0].turns[1][0] == ANIMAL_TURNS[2][0]
    assert any("no column list_animal_parent_class" in note and "two turns" in note for note in result.notes)
    some = only_sheet(folder, [("AAAAAAAA", "train", [("Unknown", "Eating")]), *made_up_rows()])
    assert some.counts()["turns"] == {"2": 1, "3": 60}
    assert left_out(some, "choice_class") == [("AAAAAAAA", "no class")]


# The sheet


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("list_animal_action", "[('Snake', 'Moving'"),
        ("list_animal_action", "[(Snake, Moving)]"),
        ("list_animal_action", "[('Snake', 'Moving', 'Eating')]"),
        ("list_animal_action", "[('Snake', '')]"),
        ("list_animal_action", "['Snake']"),
        ("list_animal_action", "__import__('os').getcwd()"),
        ("list_animal_action", ""),
        ("list_animal", "['Snake', 3]"),
        ("list_animal", "Snake"),
        ("list_animal_parent_class", "[Reptile]"),
        ("type", "val"),
        ("video_id", "../SNAKE"),
    ],
)
def test_a_cell_that_does_not_parse(folder, column, cell):
    with pytest.raises(ValueError) as raised:
        only_sheet(folder, [("AAAAAAAA", "train", [("Snake", "Moving")])], more={column: cell})
    assert f"{SHEET}, line 2: {column}=" in str(raised.value) and "expected" in str(raised.value)


def test_a_list_inside_a_text(folder):
    """Some rows of the sheet hold a list of pairs as text inside the list."""
    cell = repr([str([("Montagu'S Harrier", "Eating"), ("Montagu'S Harrier", "Flying")])])
    write_sheet(folder / SHEET, [("AAAAAAAA", "train", [("Montagu's Harrier", "-")])], list_animal_action=cell)
    (row,) = read_sheet(folder / SHEET)
    assert row.actions == (("Montagu'S Harrier", "Eating"), ("Montagu'S Harrier", "Flying")) and not row.objection


def test_rows_that_contradict_themselves_are_listed(folder):
    rows = [("AAAAAAAA", "train", [("Snake", "Moving")]), ("BBBBBBBB", "test", [])]
    write_sheet(folder / SHEET, rows, list_animal="['Fish']")
    (folder / "annotation" / "train.txt").unlink()
    (folder / "annotation" / "test.txt").unlink()
    result = animal_kingdom.build(None, lists=folder, lists_only=True)
    for kind in ("choice_species", "choice_action", "choice_class", "actions"):
        assert left_out(result, kind) == [("AAAAAAAA", "annotation"), ("BBBBBBBB", "annotation")]
    assert "names ['fish', 'snake']" in result.excluded[0].detail
    result = only_sheet(folder, [*made_up_rows(), ("EMPTYEMP", "train", [])])
    assert [e.detail[:19] for e in result.excluded if e.video == "EMPTYEMP"] == ["no action is listed"] * 4


def test_a_sheet_that_is_none(folder):
    sheet = folder / SHEET
    sheet.write_text("video_id;type;list_animal_action\nAAAAAAAA;train;x\n")
    with pytest.raises(ValueError, match=r"columns \['list_animal_action', 'type', 'video_id'\] are missing"):
        read_sheet(sheet)
    sheet.write_text("video_id,type,list_animal_action\n")
    with pytest.raises(ValueError, match="lists no videos"):
        read_sheet(sheet)
    sheet.write_text("video_id,type,list_animal_action\nAAAAAAAA,train\n")
    with pytest.raises(ValueError, match="line 2: more or fewer fields"):
        read_sheet(sheet)
    sheet.write_bytes("video_id,type,list_animal_action\nAAAAAAAA,train,[('B\xfcffel', 'Eating')]\n".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        read_sheet(sheet)
    write_sheet(sheet, [("AAAAAAAA", "train", [("Orca", "Eating")]), ("AAAAAAAA", "test", [("Orca", "Eating")])])
    with pytest.raises(ValueError, match="line 3: AAAAAAAA was already listed in .*line 2"):
        read_sheet(sheet)


# Everything together


def test_every_video_is_accounted_for(folder, fake_video):
    """Listed = kept + left out, for each kind and split, and every reason is told."""
    fill(folder, but=("LIONLION", "CLIP0001", "CLIP0005"))
    (folder / "annotation" / "durations.csv").unlink()
    with (folder / "annotation" / "train.txt").open("a") as file:
        file.write("CLIP0000 1.0 2.0##The orca is swimming.\nCLIP0002 1.0 2.0##The orca is swimming.\n")
    result = animal_kingdom.build(folder)
    counts = result.counts()
    assert counts["listed"]["grounding"] == {"train": 4, "test": 1}
    assert counts["listed"]["choice_species"] == counts["listed"]["actions"] == {"train": 48, "test": 12}
    for kind, listed in counts["listed"].items():
        for split, n in listed.items():
            excluded = [e.video for e in result.excluded if (e.left_out_of, e.split) == (kind, split)]
            kept = next(records for k, s, records in result.kinds() if (k, s) == (kind, split))
            assert len({*excluded, *(Path(record.video).stem for record in kept)}) == len(excluded) + len(kept) == n
            assert sum(counts["excluded"].get(kind, {}).get(split, {}).values()) == len(excluded)
    assert left_out(result, "grounding") == [
        ("SWANSWAN", "unreadable"), ("CLIP0000", "both splits"), ("LIONLION", "missing"), ("FROGFROG", "annotation"),
    ]  # fmt: skip
    assert left_out(result, "actions") == [
        ("CLIP0001", "missing"), ("CLIP0003", "unreadable"), ("CLIP0004", "unreadable"), ("CLIP0005", "missing"),
    ]  # fmt: skip
    told = {e.video: e.detail for e in result.excluded if e.left_out_of in ("actions", "grounding")}
    assert "is empty" in told["CLIP0003"] and "0.2 frames a second" in told["CLIP0004"]
    assert f"{SHEET}, line 3" in told["CLIP0001"] and "train.txt, line 7" in told["CLIP0000"]
    pair = next(p for p in result.pairs["grounding"] if p.id == "CLIP0002")
    assert (pair.n_frames, pair.fps, pair.video) == (240, 30.0, "Videos/CLIP0002.mp4")
    assert pair.video_path(folder).is_file()
    assert {(p.n_frames, p.fps) for p in result.pairs["choice_action"]} == {(240, 30.0)}


def test_only_videos_without_a_duration_are_opened(folder, fake_video):
    fill(folder)
    result = animal_kingdom.build(folder)
    assert sorted(fake_video.opened) == sorted(code for code, _, _ in made_up_rows())
    assert [p.id for p in result.pairs["grounding"]] == ["FROGFROG", "SWANSWAN", "LIONLION"]
    assert {p.n_frames for p in result.pairs["grounding"]} == {None}


def test_a_video_of_both_grounding_lists_stays_in_test(folder):
    result = only_grounding(folder, test=TEST + "FROGFROG 2.0 3.0##The frog is moving.\n")
    assert left_out(result) == [("FROGFROG", "both splits")]
    assert [(p.id, p.split) for p in result.pairs["grounding"] if p.id == "FROGFROG"] == [("FROGFROG", "test")]
    assert result.counts()["excluded"] == {"grounding": {"train": {"both splits": 1}}}


def test_lists_may_lie_anywhere(folder, tmp_path, fake_video):
    fill(folder)
    deep = tmp_path / "lists" / "video_grounding" / "annotation"
    deep.mkdir(parents=True)
    for name in ("train.txt", "test.txt", "durations.csv"):
        (folder / "annotation" / name).rename(deep / name)
    (folder / SHEET).rename(tmp_path / "lists" / SHEET)
    result = animal_kingdom.build(folder, lists=tmp_path / "lists")
    assert len(result.pairs["grounding"]) == 3 and len(result.conversations) == 58
    (folder / "links").mkdir()
    for name in ("train.txt", "test.txt", "durations.csv"):
        (folder / "annotation" / name).symlink_to(deep / name)
        (folder / "links" / name).symlink_to(deep / name)
    (folder / "links" / "CLIP0000.mp4").symlink_to(folder / "Videos" / "CLIP0000.mp4")
    assert len(animal_kingdom.build(folder).pairs["grounding"]) == 3, "a link is no second file"


def test_a_file_that_is_there_twice(folder):
    other = folder / "old"
    other.mkdir()
    (other / "train.txt").write_text(TRAIN)
    with pytest.raises(ValueError, match=r"train.txt occurs twice: .*annotation.* and .*old"):
        animal_kingdom.build(folder, lists_only=True)
    assert animal_kingdom.build(folder, lists_only=True, ignore=["old"]).pairs["grounding"]
    (other / "train.txt").rename(other / "LIONLION.mp4")
    fill(folder)
    with pytest.raises(ValueError, match=r"LIONLION.mp4 occurs twice: .*Videos.* and .*old"):
        animal_kingdom.build(folder)


def test_lists_that_are_missing(folder, tmp_path):
    (folder / SHEET).rename(tmp_path / SHEET)
    result = animal_kingdom.build(folder, lists_only=True)
    assert list(result.pairs) == ["grounding"] and result.conversations == []
    assert "no AR_metadata.csv: no multiple-choice pairs, no conversations" in result.notes
    (folder / "annotation" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no test.txt anywhere below .*, only .*train.txt; .*--lists"):
        animal_kingdom.build(folder, lists_only=True)
    (folder / "annotation" / "train.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no train.txt and test.txt anywhere below .*, and no AR_metadata.csv"):
        animal_kingdom.build(folder, lists_only=True)
    (tmp_path / SHEET).rename(folder / SHEET)
    result = animal_kingdom.build(folder, lists_only=True)
    assert "grounding" not in result.pairs and "no grounding lists: no grounding pairs" in result.notes
    (folder / SHEET).rename(folder / "AR_metadata.xlsx")
    with pytest.raises(FileNotFoundError, match="AR_metadata.xlsx: the sheet is read as CSV; .*save its sheet AR as"):
        animal_kingdom.build(folder, lists_only=True)


def test_folders_and_settings_that_are_wrong(folder):
    with pytest.raises(ValueError, match="root=None"):
        animal_kingdom.build(None, lists=folder)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; expected Animal Kingdom's videos"):
        animal_kingdom.build(folder / "nowhere", lists=folder)
    for wrong in ({"fps": []}, {"fps": [0]}, {"max_sampled_frames": 0}):
        with pytest.raises(ValueError, match="expected rates of 1 or more, and a bound"):
            animal_kingdom.build(folder, lists_only=True, **wrong)


def test_grounding_lists_are_read_alone(folder):
    lion = read_grounding(folder / "annotation" / "test.txt", "test")[0]
    assert (lion.code, lion.split, len(lion.sentences)) == ("LIONLION", "test", 3)
    assert lion.where.endswith("test.txt, line 1")


def test_the_command_writes_and_says_what_it_did(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(["animal", "--lists", str(folder), "--lists-only", "--out", str(out), "--seed", "7", "--choices", "3"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "grounding train: 2 listed → 2 kept" in printed and "actions test: 12 listed → 12 kept" in printed
    assert "sentences: 8, 1 of them doubles, median 3 a video" in printed and "note: LIONLION: 8 to 7 s" in printed
    kinds = ("grounding", "choice_species", "choice_action", "choice_class")
    expected = {
        f"{kind}_{split}.{end}" for kind in kinds for split in ("train", "test") for end in ("jsonl", "llava.json")
    }
    expected |= {"actions_train.llava.json", "actions_test.llava.json", "excluded.json"}
    assert {path.name for path in out.iterdir()} == expected and all(f"{out / name}\n" in printed for name in expected)
    result = animal_kingdom.build(None, lists=folder, lists_only=True, seed=7, n_choices=3)
    for kind, split, records in result.kinds():
        if kind != "actions":
            assert read_jsonl(out / f"{kind}_{split}.jsonl") == records
            again = read_llava(out / f"{kind}_{split}.llava.json", split=split)
            assert [(p.question, p.answer, p.choices) for p in again] == [
                (p.question, p.answer, p.choices) for p in records
            ]
        else:
            written = json.loads((out / f"actions_{split}.llava.json").read_text())
            assert written == [talk.to_llava() for talk in records]
    report = json.loads((out / "excluded.json").read_text())
    assert report["settings"] == {"seed": 7, "n_choices": 3, "max_sampled_frames": 1800}
    assert report["counts"] == result.counts() and report["notes"] == result.notes
    assert len(report["excluded"]) == len(result.excluded)


def test_the_command_names_the_fault(folder, capsys):
    assert main(["animal", str(folder / "nowhere")]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
