"""Animal Kingdom's real lines and rows, against a few lines that read them another way; the study's prompts."""

import ast
import csv
import json
import shutil
import statistics
from collections import Counter

import pytest

from data_prep import animal_kingdom
from data_prep.animal_kingdom.lists import SHEET, read_sheet
from llamavid_kit.study.setup import ANIMAL_QUESTION, ANIMAL_SENTENCE, ANIMAL_SENTENCES_JOINED_BY, ANIMAL_TURNS

NAMES = {"train": "train.head300.txt", "test": "test.head120.txt"}


@pytest.fixture
def lists(real, tmp_path):
    """The sample under the names that the authors' archive has."""
    folder = tmp_path / "Animal_Kingdom"
    (folder / "video_grounding" / "annotation").mkdir(parents=True)
    for split, name in NAMES.items():
        shutil.copyfile(real / "animal_kingdom" / name, folder / "video_grounding" / "annotation" / f"{split}.txt")
    shutil.copyfile(real / "animal_kingdom" / "AR_metadata_head50.csv", folder / SHEET)
    return folder


@pytest.fixture
def built(lists):
    return animal_kingdom.build(None, lists=lists, lists_only=True)


def lines_of(real, split):
    """(code, start, end, sentence) of every line."""
    for line in (real / "animal_kingdom" / NAMES[split]).read_text().split("\n"):
        if line:
            where, sentence = line.split("##")
            code, start, end = where.split(" ")
            yield code, float(start), float(end), sentence


def rows_of(real):
    with (real / "animal_kingdom" / "AR_metadata_head50.csv").open(newline="") as file:
        return {row["video_id"]: ast.literal_eval(row["list_animal_action"]) for row in csv.DictReader(file)}


def test_the_studys_prompts_are_verbatim(real):
    prompts = json.loads((real / "prompts.json").read_text())
    assert prompts["animal_grounding"]["question"] == ANIMAL_QUESTION
    turns = prompts["animal_action_recognition"]["turns"]
    assert [turn["human"] for turn in turns] == [human for human, _ in ANIMAL_TURNS]
    answers = [turn["gpt"] for turn in turns]
    assert answers[:2] == [gpt for _, gpt in ANIMAL_TURNS[:2]] and ANIMAL_TURNS[2][1] == "{sentences}"
    rule = f'{{sentences joined by "{ANIMAL_SENTENCES_JOINED_BY}"}}; sentence = "{ANIMAL_SENTENCE}"'
    assert answers[2] == rule


def test_counts(built):
    counts = built.counts()
    assert counts["listed"] == {
        "grounding": {"train": 78, "test": 26},
        **{kind: {"train": 50, "test": 0} for kind in ("choice_species", "choice_action", "actions")},
    }
    assert counts["excluded"] == {"choice_species": {"train": {"general name": 5}}}
    assert counts["sentences"] == {"videos": 104, "annotated": 420, "doubles_removed": 0, "median_a_video": 3.5}
    assert counts["choices"] == {"choice_species": {"4": 45}, "choice_action": {"4": 50}}
    assert counts["turns"] == {"2": 50}
    assert [note for note in built.notes if "no event" in note] == []


def test_grounding_pairs(real, built):
    for split in NAMES:
        texts: dict[str, list[str]] = {}
        spans: dict[str, set] = {}
        for code, start, end, sentence in lines_of(real, split):
            if sentence not in texts.setdefault(code, []):
                texts[code].append(sentence)
            spans.setdefault(code, set()).add((start, end))
        pairs = [p for p in built.pairs["grounding"] if p.split == split]
        assert {p.id: p.answer for p in pairs} == {code: " ".join(said) for code, said in texts.items()}
        assert [p.id for p in pairs] == list(texts)
        assert {p.id: set(p.events) for p in pairs} == spans
        told = [(p.id, s["start_s"], s["end_s"], s["sentence"]) for p in pairs for s in p.extra["sentences"]]
        assert sorted(told) == sorted(lines_of(real, split))
    every = Counter(code for split in NAMES for code, *_ in lines_of(real, split))
    assert len(every) == 104 and statistics.median(every.values()) == 3.5


def test_choices(real, built):
    """Exactly one choice is annotated for the video, and all come from the sheet; five general names are not asked."""
    rows = rows_of(real)
    for kind, place in (("species", 0), ("action", 1)):
        sheet = {pair[place] for pairs in rows.values() for pair in pairs}
        pairs = {p.id.split("-")[0]: p for p in built.pairs[f"choice_{kind}"]}
        for code, pair in pairs.items():
            true = {named[place] for named in rows[code]}
            assert set(pair.choices) & true == {pair.answer} and set(pair.choices) <= sheet
        gone = {code: {named[place] for named in rows[code]} for code in rows.keys() - pairs.keys()}
        assert sorted(gone.values(), key=sorted) == (
            [{"Bird"}, {"Fish"}, {"Fish"}, {"Snake"}, {"Snake"}] if kind == "species" else []
        )


def test_a_guess_without_the_video(lists):
    """Always the choice that is true most often in the sheet: near one in four for animals, above it for actions."""
    rows = {row.code: row.actions for row in read_sheet(lists / SHEET)}
    rates = {}
    for kind, place in (("species", 0), ("action", 1)):
        often = Counter(name for pairs in rows.values() for name in {pair[place] for pair in pairs})
        right = []
        for seed in range(20):
            pairs = animal_kingdom.build(None, lists=lists, lists_only=True, seed=seed).pairs[f"choice_{kind}"]
            right += [max(p.choices, key=lambda name: (often[name], name)) == p.answer for p in pairs]
        rates[kind] = sum(right) / len(right)
    assert 0.2 < rates["species"] < 0.35 and 0.3 < rates["action"] < 0.42, rates


def test_conversations(real, built):
    rows = rows_of(real)
    assert [talk.id for talk in built.conversations] == [f"{code}-actions" for code in rows]
    for talk, pairs in zip(built.conversations, rows.values(), strict=True):
        species, actions = [answer for _, answer in talk.turns]
        assert species == "The distinct species I see are " + ", ".join(dict.fromkeys(animal for animal, _ in pairs))
        assert actions == ". ".join(f"{animal} is {action}" for animal, action in pairs), "no pair is there twice"
    texts = [answer for talk in built.conversations for _, answer in talk.turns]
    assert texts[1] == "Common Crane is Attending. Common Crane is Eating"


def test_the_layout_with_classes(real, tmp_path):
    """The notebooks show the columns; their rows are cut off, so the complete ones are written out again here."""
    (shown, *_) = json.loads((real / "animal_kingdom" / "AR_metadata_rows_in_notebooks.json").read_text())
    rows = [dict(zip(shown["columns"], row, strict=True)) for row in shown["rows"]]
    whole = [row for row in rows if "..." not in "".join(row.values())]
    assert [row["video_id"] for row in whole] == ["AABKMGHE", "ZZKMOXIF", "ZZLRFAMC", "ZZMTPOYV", "ZZQVJVEI"]
    for row in whole:
        pairs = [tuple(pair.split(", ")) for pair in row["list_animal_action"].strip("[]()").split("), (")]
        row["list_animal_action"] = repr(pairs)
        for column in ("list_animal", "list_animal_parent_class"):
            row[column] = repr(row[column].strip("[]").split(", "))
    with (tmp_path / SHEET).open("w", newline="") as file:
        writer = csv.DictWriter(file, shown["columns"])
        writer.writeheader()
        writer.writerows(whole)
    built = animal_kingdom.build(None, lists=tmp_path, lists_only=True)
    assert built.counts()["kept"] == {
        kind: {"train": 1, "test": 4} for kind in ("choice_species", "choice_action", "choice_class", "actions")
    }
    lions = next(talk for talk in built.conversations if talk.id == "ZZLRFAMC-actions")
    assert [answer for _, answer in lions.turns] == [
        "The distinct species I see are Lion, Lion Young",
        "The distinct categories I see are Mammal",
        "Lion is Keeping still. Lion Young is Grooming",
    ]
    assert {p.answer for p in built.pairs["choice_class"]} == {"Reptile", "Mammal", "Insect", "Bird"}


def test_real_files(real, lists):
    """A clip that can be read, one with fewer frames than it says, an empty one; all others are missing."""
    videos = lists / "video_grounding" / "dataset"
    videos.mkdir()
    shutil.copyfile(real / "videos" / "mmaction2_demo.mp4", videos / "AADJBFXO.mp4")
    shutil.copyfile(real / "videos" / "decord_corrupted.mp4", videos / "AALAJYTZ.mp4")
    (videos / "AALBUFPE.mp4").write_bytes(b"")
    built = animal_kingdom.build(lists)
    reasons = Counter(e.reason for e in built.excluded if e.left_out_of == "grounding")
    assert reasons == {"missing": 101, "unreadable": 2}
    (pair,) = built.pairs["grounding"]
    expected = json.loads((real / "videos" / "expected.json").read_text())["mmaction2_demo.mp4"]
    assert (pair.id, pair.video) == ("AADJBFXO", "video_grounding/dataset/AADJBFXO.mp4")
    assert (pair.n_frames, pair.fps) == (expected["frames"], expected["fps"])
    assert pair.events == ((2.1, 6.0), (6.0, 7.6), (7.8, 10.0)), "the clip ends at 10 s"
