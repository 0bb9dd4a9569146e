"""Own clips from a CSV: what comes out, and one clear error for each thing that can be wrong."""

import logging

import pytest

from llamavid_kit.data.clips_csv import clips_from_csv
from llamavid_kit.data.pairs import read_choices


@pytest.fixture
def table(tmp_path):
    """A function that writes a CSV beside three empty clips."""
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()

    def write(text: str):
        path = tmp_path / "my.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_full_table(table):
    path = table(
        "\ufeffVideo, Label, start_s, end_s, split, camera\n"
        "a.mp4, Fall, 1.5, 2, test, left\na.mp4, Fall, 0.5, 1, test, left\n"
        "b.mp4, Walk,,, train,\nc.mp4, Fall,,, train,\n"
    )
    clips = clips_from_csv(path, for_training=True)
    assert [(c.id, c.answer, c.split, c.events) for c in clips] == [
        ("a.mp4", "Fall", "test", ((0.5, 1.0), (1.5, 2.0))),
        ("b.mp4", "Walk", "train", ()),
        ("c.mp4", "Fall", "train", ()),
    ]
    assert clips[0].question == (
        "Classify the activity in the video by using ONLY ONE of the mentioned categories: Fall, or Walk."
    )
    assert read_choices(clips[0].question) == clips[0].choices == ("Fall", "Walk")
    assert clips[0].extra == {"camera": "left"} and clips[0].source == "my"


def test_without_split_everything_is_test_and_it_says_so(table, caplog):
    with caplog.at_level(logging.WARNING):
        clips = clips_from_csv(table("video,label\na.mp4,Fall\nb.mp4,Walk\n"))
    assert {c.split for c in clips} == {"test"}
    assert "every clip is a test clip" in caplog.text


def test_a_root_of_its_own(table, tmp_path):
    (tmp_path / "lists").mkdir()
    path = table("video,label\na.mp4,Fall\nb.mp4,Walk\n").rename(tmp_path / "lists" / "my.csv")
    assert len(clips_from_csv(path, root=tmp_path)) == 2
    with pytest.raises(ValueError, match=r"2 clips are not where .*a.mp4 \(.*line 2\)"):
        clips_from_csv(path)


def test_labels_of_few_clips_are_mentioned_in_one_sentence(table, caplog):
    """Two events of one clip are one clip."""
    path = table(
        "video,label,start_s,end_s,split\na.mp4,Fall,1,2,train\na.mp4,Fall,3,4,train\nb.mp4,Walk,,,test\n"
        "c.mp4,Walk,,,test\n"
    )
    clips_from_csv(path)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: labels that only one clip has, perhaps misspelt: Fall (1, from line 2); "
        "labels without a training clip: Walk (2, from line 4); labels without a test clip: Fall (1, from line 2)"
    )


def test_nothing_is_said_where_every_label_has_clips(table, caplog, tmp_path):
    (tmp_path / "d.mp4").touch()
    clips_from_csv(table("video,label,split\na.mp4,Fall,train\nb.mp4,Fall,test\nc.mp4,Walk,train\nd.mp4,Walk,test\n"))
    assert not caplog.text


def test_windows_separators(table, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.mp4").touch()
    (tmp_path / "e\\f.mp4").touch()  # a name, where the file system allows it
    clips = clips_from_csv(table("video,label\nsub\\d.mp4,Fall\ne\\f.mp4,Walk\n"))
    assert [clip.video for clip in clips] == ["sub/d.mp4", "e\\f.mp4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,class\na.mp4,Fall\n", "no column label; its first line reads"),
        ("", "no column video and no column label"),
        ("video,label\n", "no clips"),
        ("video,label\na.mp4,Fall\nb.mp4,Fall\n", "every clip has the label 'Fall'"),
        ("video,label\na.mp4,Fall\nz.mp4,Walk\n", r"1 clip is not where .*z.mp4 \(.*line 3\)"),
        ("video,label\na.mp4,\n", "line 2: label is empty"),
        ("video,label\na.mp4,Fall,2\n", "line 2: more fields than columns"),
        ("video,label,start_s,end_s\na.mp4,Fall,2,1\n", "line 2: start_s='2', end_s='1'"),
        ("video,label,start_s,end_s\na.mp4,Fall,2,\n", "line 2: start_s='2', end_s=''"),
        ("video,label,start_s,end_s\na.mp4,Fall,x,y\n", "line 2: start_s='x'"),
        ("video,label,split\na.mp4,Fall,val\n", "line 2: split='val'"),
        ("video,label,split\na.mp4,Fall,train\nb.mp4,Walk,train\n", "needs test clips"),
        ("video,label,split\na.mp4,Fall,test\nb.mp4,Walk,test\n", "nothing to fine-tune on"),
        ("video,label,split\na.mp4,Fall,test\na.mp4,Walk,train\n", "line 3: a.mp4 was already given in .*line 2"),
        ("video,label,split\na.mp4,Fall,test\na.mp4,Fall,test\nb.mp4,Walk,train\n", "line 3: .*only events may repeat"),
        ('video,label,split\na.mp4,"Fall, hard",test\nb.mp4,Walk,train\n', "my.csv: .*hold a comma"),
        (
            "video,label,split\na.mp4,fall,test\nb.mp4,Fall,train\n",
            r"my.csv: the labels Fall \(1, from line 3\) and fall \(1, from line 2\) differ in letter case",
        ),
        ("video,label,split\na.mp4,Big Fall,test\nb.mp4,Big  Fall,train\n", "Big  Fall .* and Big Fall .*blanks alone"),
        ("video,label,split\na.mp4,BigFall,test\nb.mp4,Big\u00a0Fall,train\n", "blanks alone"),
        ("video,label,split\na.mp4,Cafe\u0301,test\nb.mp4,Caf\u00e9,train\n", "write them alike"),
        ("video,label\na.mp4,  \n", r"line 2: label is empty; the line reads \['a.mp4', ''\]"),
        ("video,label\na.mp4,\u200b\n", "line 2: label is empty"),
        ("video,label\na.mp4;Fall\n", "line 2: label is empty; the line reads .*a.mp4;Fall"),
        ("video\tlabel\na.mp4\tFall\n", "by commas, not by '.t'"),
        ("sep=;\nvideo;label\na.mp4;Fall\n", "by commas, not by ';'"),
        ("video,label,label\na.mp4,Fall,Walk\n", "my.csv: several columns label"),
        ("video,label\na.mp4,Fall\nb.mp4,Wa\0lk\n", "line 3 holds a NUL byte; save the sheet as CSV UTF-8"),
        ('video,label\na.mp4,Fall\nb.mp4,"Wa\nlk"\n', r"line 3: label='Wa\\nlk' holds a line break"),
        (
            'video,label\na.mp4,"Fall\nb.mp4,Walk\n',
            r"line 2: label='Fall\\nb.mp4,Walk' holds a line break.*close double",
        ),
        ('video,label\na.mp4,"' + 70_000 * "x\n", "line 2: field larger than .*close the double quotes"),
        ("video,label,start_s,end_s\na.mp4,Fall,2,2\n", "line 2: start_s='2', end_s='2'"),
    ],
)
def test_one_clear_error(table, text, message):
    with pytest.raises(ValueError, match=message):
        clips_from_csv(table(text), for_training=True)


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.csv is not a file"):
        clips_from_csv(tmp_path / "no.csv")


def test_another_separator_is_named(tmp_path):
    (tmp_path / "clips.csv").write_text("video;label\na.mp4;Red\n")
    with pytest.raises(ValueError, match="separate the columns by commas, not by ';'"):
        clips_from_csv(tmp_path / "clips.csv")
