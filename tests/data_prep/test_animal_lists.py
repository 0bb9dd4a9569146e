"""Animal Kingdom's lists: what parses, what is an error that names its place, what contradicts itself."""

import pytest
from made_up_animals import TRAIN, left_out, made_up_rows, only_grounding, only_sheet, write_sheet

from data_prep import animal_kingdom
from data_prep.animal_kingdom.lists import SHEET, read_durations, read_grounding, read_sheet


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
def test_a_grounding_line_that_does_not_parse(animals, line):
    with pytest.raises(ValueError) as raised:
        only_grounding(animals, train=TRAIN + line + "\n")
    told = str(raised.value)
    assert "train.txt, line 7: " in told and line.strip() in told and 'expected "CODE start end##sentence."' in told


def test_an_empty_grounding_list(animals):
    with pytest.raises(ValueError, match="test.txt lists no videos"):
        only_grounding(animals, test="\n")


def test_grounding_lists_are_read_alone(animals):
    lion = read_grounding(animals / "annotation" / "test.txt", "test")[0]
    assert (lion.code, lion.split, len(lion.sentences)) == ("LIONLION", "test", 3)
    assert lion.where.endswith("test.txt, line 1")


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
        ("list_animal_action", "3"),
        ("list_animal_action", "{'Snake': 'Moving'}"),
        ("list_animal", "['Snake', 3]"),
        ("list_animal", "Snake"),
        ("list_animal_parent_class", "[Reptile]"),
        ("type", "val"),
        ("video_id", "../SNAKE"),
    ],
)
def test_a_cell_that_does_not_parse(animals, column, cell):
    with pytest.raises(ValueError) as raised:
        only_sheet(animals, [("AAAAAAAA", "train", [("Snake", "Moving")])], more={column: cell})
    assert f"{SHEET}, line 2: {column}=" in str(raised.value) and "expected" in str(raised.value)


def test_a_list_inside_a_text(animals):
    """Some rows of the sheet hold a list of pairs as text inside the list."""
    cell = repr([str([("Montagu'S Harrier", "Eating"), ("Montagu'S Harrier", "Flying")])])
    write_sheet(animals / SHEET, [("AAAAAAAA", "train", [("Montagu's Harrier", "-")])], list_animal_action=cell)
    (row,) = read_sheet(animals / SHEET)
    assert row.actions == (("Montagu'S Harrier", "Eating"), ("Montagu'S Harrier", "Flying")) and not row.objection


def test_rows_that_contradict_themselves_are_listed(animals):
    rows = [("AAAAAAAA", "train", [("Snake", "Moving")]), ("BBBBBBBB", "test", [])]
    write_sheet(animals / SHEET, rows, list_animal="['Fish']")
    (animals / "annotation" / "train.txt").unlink()
    (animals / "annotation" / "test.txt").unlink()
    result = animal_kingdom.build(None, lists=animals, lists_only=True)
    for kind in ("choice_species", "choice_action", "choice_class", "actions"):
        assert left_out(result, kind) == [("AAAAAAAA", "annotation"), ("BBBBBBBB", "annotation")]
    assert "names ['fish', 'snake']" in result.excluded[0].detail
    rows = [("AAAAAAAA", "train", [("Orca", "Eating")]), ("BBBBBBBB", "train", [("Hawk", "Flying")])]
    write_sheet(animals / SHEET, rows, list_animal="['Orca']")
    result = animal_kingdom.build(None, lists=animals, lists_only=True)
    assert left_out(result, "choice_action") == [("BBBBBBBB", "annotation"), ("AAAAAAAA", "too few names")], (
        "a row with an objection gives no names"
    )
    result = only_sheet(animals, [*made_up_rows(), ("EMPTYEMP", "train", [])])
    assert [e.detail[:19] for e in result.excluded if e.video == "EMPTYEMP"] == ["no action is listed"] * 4


def test_a_sheet_saved_by_excel_begins_with_a_byte_order_mark(animals):
    sheet = animals / SHEET
    sheet.write_bytes(
        b"\xef\xbb\xbf" + b"video_id,type,list_animal_action\r\nAAAAAAAA,train,\"[('Orca', 'Eating')]\"\r\n"
    )
    assert [row.actions for row in read_sheet(sheet)] == [(("Orca", "Eating"),)]


def test_a_sheet_that_is_none(animals):
    sheet = animals / SHEET
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


@pytest.mark.parametrize("video", ["videos\\FROGFROG.mp4", "videos/train/FROGFROG", "FROGFROG.mp4", "FROGFROG"])
def test_codes_may_stand_in_paths_of_either_kind(tmp_path, video):
    (tmp_path / "train.txt").write_text(f"{video} 1.0 2.0##The frog is moving.\n")
    (tmp_path / "d.csv").write_text(f"video_id,duration_s\n{video},3\n")
    (tmp_path / SHEET).write_text(f"video_id,type,list_animal_action\n{video},train,\"[('Frog', 'Moving')]\"\n")
    assert [entry.code for entry in read_grounding(tmp_path / "train.txt", "train")] == ["FROGFROG"]
    assert read_durations(tmp_path / "d.csv") == {"FROGFROG": 3}
    assert [row.code for row in read_sheet(tmp_path / SHEET)] == ["FROGFROG"]
