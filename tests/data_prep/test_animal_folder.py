"""Animal Kingdom's preparation on made-up folders: what is asked, what is kept and what is listed."""

import json
import sys
import types
from pathlib import Path

import pytest
from made_up_animals import TEST, TRAIN, choices_of, fill, left_out, made_up_rows, only_grounding, only_sheet

from data_prep import animal_kingdom
from data_prep.animal_kingdom.lists import SHEET
from llamavid_kit.study.setup import ANIMAL_QUESTION, ANIMAL_TURNS


@pytest.fixture
def fake_video(monkeypatch):
    """8 s at 30 frames a second each; CLIP0003 and SWANSWAN cannot be read, CLIP0004 is slower than 0.5 fps."""

    class VideoError(ValueError):
        pass

    class Video:
        opened: list[str] = []  # noqa: RUF012

        def __init__(self, path):
            self.opened.append(path.stem)
            if path.stem in ("CLIP0003", "SWANSWAN"):
                raise VideoError(f"{path}: the file is empty (0 bytes)")
            self.n_frames, self.fps, self.duration_s = (240, 30, 8.0) if path.stem != "CLIP0004" else (2, 0.2, 10.0)

    monkeypatch.setitem(
        sys.modules, "llamavid_kit.data.video", types.SimpleNamespace(Video=Video, VideoError=VideoError)
    )
    return Video


def test_a_grounding_pair(animals):
    result = only_grounding(animals)
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
        "videos": 3,
        "annotated": 8,
        "doubles_removed": 1,
        "median_a_video": 3,
    }


def test_the_median_counts_each_sentence_once(animals):
    result = only_grounding(animals, train="".join(f"FROGFROG {i} 9##The frog is moving.\n" for i in range(5)))
    assert result.counts()["sentences"] == {
        "videos": 2,
        "annotated": 8,
        "doubles_removed": 4,
        "median_a_video": 2,
    }


def test_intervals_that_are_no_events_keep_their_sentence(animals):
    result = only_grounding(animals, test=TEST + "LIONLION -1.0 2.0##The lion is attending.\n")
    lion = result.pairs["grounding"][-1]
    assert lion.events == ((0.0, 4.5),)
    assert lion.answer.endswith("(cub) is walking. The lion is walking. The lion is attending.")
    told = [note for note in result.notes if "no event" in note]
    assert ["test.txt, line 2" in told[0], "8 to 7 s" in told[1], "-1 to 2 s" in told[2]] == [True] * 3
    assert len(told) == 3 and not result.excluded


def test_ends_past_the_clip(animals):
    """Up to half a second an event is cut, beyond it the video is another cut."""
    table = animals / "annotation" / "durations.csv"
    table.write_text(
        table.read_text().replace("FROGFROG,29.2", "FROGFROG,28.7").replace("SWANSWAN,20.0", "SWANSWAN,19.4")
    )
    result = only_grounding(animals)
    (excluded,) = result.excluded
    assert (excluded.video, excluded.left_out_of, excluded.reason) == ("SWANSWAN", "grounding", "annotation")
    assert "19.2 to 20 s" in excluded.detail and "19.4 s" in excluded.detail and "train.txt, line 2" in excluded.detail
    frog = result.pairs["grounding"][0]
    assert frog.events[-1] == (27.7, 28.7) and frog.extra["sentences"][2]["end_s"] == 29.2
    assert [note for note in result.notes if "cut" in note] == [
        "1 videos end before an annotated end, by at most 0.5 s: their events were cut"
    ]


def test_an_interval_after_the_end_is_no_event(animals):
    result = only_grounding(animals, test="LIONLION 300.1 300.4##The lion roars.\n")
    lion = result.pairs["grounding"][-1]
    assert lion.events == () and lion.answer == "The lion roars." and any("300.1 to 300.4 s" in n for n in result.notes)


def test_a_video_that_is_too_long(animals):
    """300 s are 1,800 sampled frames at 6 fps: exactly the bound."""
    assert not only_grounding(animals).excluded
    table = animals / "annotation" / "durations.csv"
    table.write_text(table.read_text().replace("300.0", "300.1"))
    (excluded,) = only_grounding(animals).excluded
    assert (excluded.video, excluded.split, excluded.reason) == ("LIONLION", "test", "too long")
    assert excluded.detail.startswith("1801 sampled frames at 6 fps, at most 1800 (")
    assert not only_grounding(animals, fps=[1]).excluded
    assert not only_grounding(animals, max_sampled_frames=None).excluded


def test_the_authors_durations(animals):
    (animals / "annotation" / "durations.csv").unlink()
    table = animals / "annotation" / "ak_vg_duration.json"
    table.write_text(json.dumps([{"vid": "LIONLION", "duration": 301.0}, {"vid": "FROGFROG", "duration": 29.2}]))
    result = only_grounding(animals)
    assert left_out(result) == [("LIONLION", "too long")]
    assert "1 of 3 videos have no known length: no rule of length was applied" in result.notes


def test_a_conversation(animals):
    pairs = [("Lion", "Walking"), ("Hawk", "Flying"), ("Lion", "Eating"), ("Lion", "Walking")]
    result = only_sheet(animals, [("MANYMANY", "test", pairs)])
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


def test_a_conversation_without_classes(animals):
    result = only_sheet(animals, classes=False)
    assert "choice_class" not in result.pairs and result.counts()["turns"] == {"2": 60}
    assert {len(c.turns) for c in result.conversations} == {2}
    assert result.conversations[0].turns[1][0] == ANIMAL_TURNS[2][0]
    assert any("no column list_animal_parent_class" in note and "two turns" in note for note in result.notes)
    some = only_sheet(animals, [("AAAAAAAA", "train", [("Unknown", "Eating")]), *made_up_rows()])
    assert some.counts()["turns"] == {"2": 1, "3": 60}
    assert left_out(some, "choice_class") == [("AAAAAAAA", "no class")]


def test_choices_do_not_depend_on_which_videos_are_there(animals, fake_video):
    fill(animals)
    every = choices_of(animal_kingdom.build(animals))
    (animals / "Videos" / "CLIP0010.mp4").unlink()
    fewer = choices_of(animal_kingdom.build(animals))
    assert fewer == {name: choices for name, choices in every.items() if not name.startswith("CLIP0010")}


def test_every_video_is_accounted_for(animals, fake_video):
    """Listed = kept + left out, for each kind and split, and every reason is told."""
    fill(animals, but=("LIONLION", "CLIP0001", "CLIP0005"))
    (animals / "annotation" / "durations.csv").unlink()
    with (animals / "annotation" / "train.txt").open("a") as file:
        file.write("CLIP0000 1.0 2.0##The orca is swimming.\nCLIP0002 1.0 2.0##The orca is swimming.\n")
    result = animal_kingdom.build(animals)
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
        ("SWANSWAN", "unreadable"),
        ("CLIP0000", "both splits"),
        ("LIONLION", "missing"),
        ("FROGFROG", "annotation"),
    ]
    assert left_out(result, "actions") == [
        ("CLIP0001", "missing"),
        ("CLIP0003", "unreadable"),
        ("CLIP0004", "unreadable"),
        ("CLIP0005", "missing"),
    ]
    told = {e.video: e.detail for e in result.excluded if e.left_out_of in ("actions", "grounding")}
    assert "is empty" in told["CLIP0003"] and "0.2 frames a second" in told["CLIP0004"]
    assert not any("no known length" in note for note in result.notes), "nobody wants the length of what is not there"
    assert f"{SHEET}, line 3" in told["CLIP0001"] and "train.txt, line 7" in told["CLIP0000"]
    pair = next(p for p in result.pairs["grounding"] if p.id == "CLIP0002")
    assert (pair.n_frames, pair.fps, pair.video) == (240, 30.0, "Videos/CLIP0002.mp4")
    assert pair.video_path(animals).is_file()
    assert {(p.n_frames, p.fps) for p in result.pairs["choice_action"]} == {(240, 30.0)}


def test_only_videos_without_a_duration_are_opened(animals, fake_video):
    fill(animals)
    result = animal_kingdom.build(animals)
    assert sorted(fake_video.opened) == sorted(code for code, _, _ in made_up_rows())
    assert [p.id for p in result.pairs["grounding"]] == ["FROGFROG", "SWANSWAN", "LIONLION"]
    assert {p.n_frames for p in result.pairs["grounding"]} == {None}


def test_a_video_of_both_grounding_lists_stays_in_test(animals):
    result = only_grounding(animals, test=TEST + "FROGFROG 2.0 3.0##The frog is moving.\n")
    assert left_out(result) == [("FROGFROG", "both splits")]
    assert [(p.id, p.split) for p in result.pairs["grounding"] if p.id == "FROGFROG"] == [("FROGFROG", "test")]
    assert result.counts()["excluded"] == {"grounding": {"train": {"both splits": 1}}}


def test_lists_may_lie_anywhere(animals, tmp_path, fake_video):
    fill(animals)
    deep = tmp_path / "lists" / "video_grounding" / "annotation"
    deep.mkdir(parents=True)
    for name in ("train.txt", "test.txt", "durations.csv"):
        (animals / "annotation" / name).rename(deep / name)
    (animals / SHEET).rename(tmp_path / "lists" / SHEET)
    result = animal_kingdom.build(animals, lists=tmp_path / "lists")
    assert len(result.pairs["grounding"]) == 3 and len(result.conversations) == 58
    (animals / "links").mkdir()
    for name in ("train.txt", "test.txt", "durations.csv"):
        (animals / "annotation" / name).symlink_to(deep / name)
        (animals / "links" / name).symlink_to(deep / name)
    (animals / "links" / "CLIP0000.mp4").symlink_to(animals / "Videos" / "CLIP0000.mp4")
    assert len(animal_kingdom.build(animals).pairs["grounding"]) == 3, "a link is no second file"


def test_a_file_that_is_there_twice(animals):
    other = animals / "old"
    other.mkdir()
    (other / "train.txt").write_text(TRAIN)
    with pytest.raises(ValueError, match=r"train.txt occurs twice: .*annotation.* and .*old"):
        animal_kingdom.build(animals, lists_only=True)
    assert animal_kingdom.build(animals, lists_only=True, ignore=["old"]).pairs["grounding"]
    (other / "train.txt").rename(other / "LIONLION.mp4")
    fill(animals)
    with pytest.raises(ValueError, match=r"LIONLION.mp4 occurs twice: .*Videos.* and .*old"):
        animal_kingdom.build(animals)


def test_lists_that_are_missing(animals, tmp_path):
    (animals / SHEET).rename(tmp_path / SHEET)
    result = animal_kingdom.build(animals, lists_only=True)
    assert list(result.pairs) == ["grounding"] and result.conversations == []
    assert "no AR_metadata.csv: no multiple-choice pairs, no conversations" in result.notes
    (animals / "annotation" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no test.txt anywhere below .*, only .*train.txt; .*--lists"):
        animal_kingdom.build(animals, lists_only=True)
    (animals / "annotation" / "train.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no train.txt and test.txt anywhere below .*, and no AR_metadata.csv"):
        animal_kingdom.build(animals, lists_only=True)
    (tmp_path / SHEET).rename(animals / SHEET)
    result = animal_kingdom.build(animals, lists_only=True)
    assert "grounding" not in result.pairs and "no grounding lists: no grounding pairs" in result.notes
    (animals / SHEET).rename(animals / "AR_metadata.xlsx")
    with pytest.raises(FileNotFoundError, match="AR_metadata.xlsx: the sheet is read as CSV; .*save its sheet AR as"):
        animal_kingdom.build(animals, lists_only=True)


def test_folders_and_settings_that_are_wrong(animals):
    with pytest.raises(ValueError, match="root=None"):
        animal_kingdom.build(None, lists=animals)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; expected Animal Kingdom's videos"):
        animal_kingdom.build(animals / "nowhere", lists=animals)
    for wrong in ({"fps": []}, {"fps": [0]}, {"max_sampled_frames": 0}):
        with pytest.raises(ValueError, match="expected rates of 1 or more, and a bound"):
            animal_kingdom.build(animals, lists_only=True, **wrong)
