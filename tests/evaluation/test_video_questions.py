"""Guards how the video benchmarks' files are read, and how they are refused."""

import json
import re
import shutil

import pytest
from made_up_video_benchmarks import ABOUT, VIDEO, clip, write_json

from llamavid_kit.evaluation.benchmarks import benchmark


@pytest.fixture
def data(tmp_path):
    """Name → a data folder of the test's own."""
    return lambda name: VIDEO[name](tmp_path / name)


def rows_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["msvd", "msrvtt"])
def test_questions_of_msvd_and_msrvtt(name, data):
    items = benchmark(name).load(data(name))
    assert [(i.id, i.prompt, i.question, *i.answers) for i in items] == [
        (str(40 + k), q, q, a) for k, (q, a) in ABOUT.items()
    ]
    first = {"msvd": "vid1301.mp4", "msrvtt": "video1301.mp4"}[name]
    assert [i.media.name for i in items] == [first, first, "1302.avi"] == [i.group for i in items]


def test_clips_of_msvd_with_their_youtube_names(data):
    """youtube_mapping.txt counts from 1 and says which clip a number is: rows in any order, a name may begin with -."""
    folder = data("msvd")
    (folder / "video" / "vid1301.mp4").rename(folder / "video" / "-4wsuPCjDBc_5_15.avi")
    (folder / "video" / "1302.avi").rename(folder / "video" / "zzit5b_-ukg_5_20.avi")
    clip(folder / "video", "-7KMZQEsJW4_205_208.avi")
    lines = ["zzit5b_-ukg_5_20 vid1302", "-7KMZQEsJW4_205_208 vid1300", "-4wsuPCjDBc_5_15 vid1301"]
    (folder / "youtube_mapping.txt").write_text("\n".join(lines) + "\r\n")
    names = [i.media.name for i in benchmark("msvd").load(folder)]
    assert names == ["-4wsuPCjDBc_5_15.avi"] * 2 + ["zzit5b_-ukg_5_20.avi"]
    change(folder / "test_qa.json", 0, video_id="vid1300")
    assert benchmark("msvd").load(folder)[0].media.name == "-7KMZQEsJW4_205_208.avi"
    clip(folder / "video", "vid1301.avi")
    with pytest.raises(ValueError, match="id 41: 2 clips fit"):
        benchmark("msvd").load(folder)


def test_a_clip_without_a_name_in_the_mapping_is_found_by_its_number(data):
    folder = data("msvd")
    items = benchmark("msvd").load(folder)
    (folder / "youtube_mapping.txt").write_text("-4wsuPCjDBc_5_15 vid1\n\n")
    assert benchmark("msvd").load(folder) == items


def test_questions_of_activitynet_take_their_answers_by_id(data):
    folder = data("activitynet")
    items = benchmark("activitynet").load(folder)
    expected = [
        ("v_a_0", "v_a.mp4", "is it red", "yes", "Yes/No"),
        ("v_a_1", "v_a.mp4", "what is moving", "a block", "Motion"),
        ("v_b_c_0", "v_b_c.mp4", "how many blocks", "1", "Number"),
    ]
    assert [(i.id, i.media.name, i.prompt, *i.answers, i.split) for i in items] == expected
    write_json(folder / "test_a.json", rows_of(folder / "test_a.json")[::-1])
    assert benchmark("activitynet").load(folder) == items


def test_questions_of_video_chatgpt(data):
    folder = data("video_chatgpt")
    items = benchmark("video_chatgpt").load(folder)
    assert [i.split for i in items] == ["generic"] * 3 + ["temporal"] + ["consistency"] * 4
    assert [i.prompt for i in items[-4:]] == [
        "What moves?",
        "Which thing is moving?",
        "Which colour?",
        "What colour is it?",
    ]
    assert [i.media.name for i in items[:2]] == ["v_one.mp4", "v_two.x.mp4"]
    assert items[2].id == f"{items[0].id}-2" and len({i.id for i in items}) == 8
    for kind in ("generic", "temporal", "consistency"):
        path = folder / f"{kind}_qa.json"
        write_json(path, rows_of(path)[::-1])
    assert {i.id: (i.media, i.prompt, i.answers) for i in benchmark("video_chatgpt").load(folder)} == {
        i.id: (i.media, i.prompt, i.answers) for i in items
    }


def change(path, at, **changes):
    rows = rows_of(path)
    rows[at] |= changes
    write_json(path, [{k: v for k, v in row.items() if v != "gone"} for row in rows])


BAD = {
    "no folder of clips": ("msvd", lambda d: shutil.rmtree(d / "video"), "must hold test_qa.json and video/"),
    "no file": ("activitynet", lambda d: (d / "test_a.json").unlink(), "must hold test_q.json, test_a.json"),
    "no JSON": ("msvd", lambda d: (d / "test_qa.json").write_text("[{"), "is not JSON"),
    "no rows": ("msvd", lambda d: (d / "test_qa.json").write_text("[]"), "holds no rows"),
    "a missing key": ("msrvtt", lambda d: change(d / "test_qa.json", 1, answer="gone"), "row 2: 'answer' is None"),
    "an empty question": ("msvd", lambda d: change(d / "test_qa.json", 1, question=" "), "id 41: 'question' is empty"),
    "an empty answer": ("msrvtt", lambda d: change(d / "test_qa.json", 0, answer=""), "id 40: 'answer' is empty"),
    "an id twice": ("msvd", lambda d: change(d / "test_qa.json", 1, id=40), "more than once (40)"),
    "no video": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id="gone"), "'video_id' is None"),
    "a video that is true": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id=True), "'video_id' is True"),
    "a path": ("msvd", lambda d: change(d / "test_qa.json", 0, video_id="../video/1302"), "no clip '../video/1302'"),
    "a clip that is missing": (
        "msvd",
        lambda d: (d / "video" / "1302.avi").unlink(),
        "id 42: no clip '1302' or 'vid1302'",
    ),
    "a clip twice": ("msvd", lambda d: clip(d / "video", "1301.mkv"), "id 40: 2 clips fit (1301.mkv, vid1301.mp4)"),
    "a mapping of other words": (
        "msvd",
        lambda d: (d / "youtube_mapping.txt").write_text("a vid1\nb vid2 c\n"),
        "line 2: 'b vid2 c'",
    ),
    "a mapping the wrong way round": (
        "msvd",
        lambda d: (d / "youtube_mapping.txt").write_text("vid1 -4wsuPCjDBc_5_15\n"),
        "expected a clip's name",
    ),
    "a mapping that is no UTF-8": (
        "msvd",
        lambda d: (d / "youtube_mapping.txt").write_bytes(b"a vid1\n\xff vid2\n"),
        "line 2 is not UTF-8",
    ),
    "a mapping with a number twice": (
        "msvd",
        lambda d: (d / "youtube_mapping.txt").write_text("a vid1\nb vid1\n"),
        "line 2: vid1 stands there more",
    ),
    "a mapping to elsewhere": (
        "msvd",
        lambda d: (
            (d / "youtube_mapping.txt").write_text("../1302 vid1302\n"),
            (d / "video" / "1302.avi").rename(d / "1302.avi"),
        ),
        "no clip '1302' or 'vid1302'",
    ),
    "a link outside": (
        "msvd",
        lambda d: (
            (d / "video" / "1302.avi").rename(d.parent / "x.avi"),
            (d / "video" / "1302.avi").symlink_to(d.parent / "x.avi"),
        ),
        "no file name below",
    ),
    "a question without answer": (
        "activitynet",
        lambda d: write_json(d / "test_a.json", rows_of(d / "test_a.json")[1:]),
        "1 questions have no label (v_b_c_0)",
    ),
    "an answer without question": (
        "activitynet",
        lambda d: write_json(d / "test_q.json", rows_of(d / "test_q.json")[1:]),
        "1 labels have no question (v_a_0)",
    ),
    "an answer twice": ("activitynet", lambda d: change(d / "test_a.json", 0, question_id="v_a_1"), "more than once"),
    "an unknown type": (
        "activitynet",
        lambda d: change(d / "test_a.json", 0, type=9),
        "id v_b_c_0: type 9; expected 0 to 8",
    ),
    "a type in quotes": ("activitynet", lambda d: change(d / "test_a.json", 0, type="3"), "row 1: 'type' is '3'"),
    "no v_ before the name": (
        "activitynet",
        lambda d: (d / "all_test" / "v_a.mp4").rename(d / "all_test" / "a.mp4"),
        "no clip 'v_a'",
    ),
    "half a row": ("video_chatgpt", lambda d: change(d / "consistency_qa.json", 1, Q2="gone"), "row 2: 'Q2' is None"),
    "an empty second question": (
        "video_chatgpt",
        lambda d: change(d / "consistency_qa.json", 0, Q2=""),
        "row 1: 'Q2' is empty",
    ),
    "no file of an axis": (
        "video_chatgpt",
        lambda d: (d / "temporal_qa.json").unlink(),
        "temporal_qa.json is not there",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_the_files_is_said(name, data):
    which, spoil, message = BAD[name]
    folder = data(which)
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        benchmark(which).load(folder)
