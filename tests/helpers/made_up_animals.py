"""Made-up lists of Animal Kingdom, as the toy world lays them out, and short ways to prepare some of them."""

import csv
import random
from pathlib import Path

from data_prep import animal_kingdom
from data_prep.animal_kingdom.lists import SHEET

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
    "Grey Heron": "Bird",
    "Great Egret": "Bird",
    "Tit Bird": "Bird",
    "Hawk": "Bird",
    "Bird": "Bird",
    "Egret": "Bird",
    "Frog": "Amphibian",
    "Alpine Newt": "Amphibian",
    "Lion": "Mammal",
    "Lion Young": "Mammal",
    "Meerkat": "Mammal",
    "Orca": "Mammal",
    "Honey Bee": "Insect",
    "Snake": "Reptile",
    "Horned Adder": "Reptile",
    "Iguana": "Reptile",
}
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


def make_lists(root: Path) -> Path:
    """All lists below `root`; `fill` adds the (empty) video files. Returns `root`."""
    (root / "annotation").mkdir(parents=True)
    (root / "annotation" / "train.txt").write_text(TRAIN)
    (root / "annotation" / "test.txt").write_text(TEST)
    rows = "".join(f"{code},{seconds}\n" for code, seconds in DURATIONS.items())
    (root / "annotation" / "durations.csv").write_text("video_id,duration_s\n" + rows)
    write_sheet(root / SHEET, made_up_rows())
    return root


def fill(root: Path, *, but: tuple[str, ...] = ()) -> None:
    """Empty files in place of the videos."""
    codes = {*DURATIONS, *(code for code, _, _ in made_up_rows())} - set(but)
    (root / "Videos").mkdir(exist_ok=True)
    for code in codes:
        (root / "Videos" / f"{code}.mp4").touch()


def only_grounding(root, train=TRAIN, test=TEST, **settings):
    """The set of these grounding lists, without the sheet and without videos."""
    (root / "annotation" / "train.txt").write_text(train)
    (root / "annotation" / "test.txt").write_text(test)
    (root / SHEET).unlink(missing_ok=True)
    return animal_kingdom.build(None, lists=root, lists_only=True, **settings)


def only_sheet(root, rows=None, *, classes=True, more=None, **settings):
    """The set of this sheet, without grounding lists and without videos."""
    for name in ("train.txt", "test.txt"):
        (root / "annotation" / name).unlink(missing_ok=True)
    write_sheet(root / SHEET, made_up_rows() if rows is None else rows, classes=classes, **(more or {}))
    return animal_kingdom.build(None, lists=root, lists_only=True, **settings)


def choices_of(result) -> dict[str, tuple]:
    """{id: (answer, choices)} of all multiple-choice pairs."""
    return {p.id: (p.answer, p.choices) for k, pairs in result.pairs.items() if k != "grounding" for p in pairs}


def left_out(result, kind=None) -> list[tuple]:
    """(video, reason) of every exclusion, or of one kind's."""
    return [(e.video, e.reason) for e in result.excluded if kind in (None, e.left_out_of)]
