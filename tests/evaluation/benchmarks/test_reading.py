"""How the files of a data folder are refused: what is wrong is named, and where."""

import json
import re
import shutil
from pathlib import Path

import pytest
from made_up_benchmarks import MAKERS, vqav2, write_jsonl
from made_up_video_benchmarks import change, clip, read_json, write_json

from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.reading import inside


def _rewrite(path: Path, change) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    write_jsonl(path, rows)


def _rewrite_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


GQA, POPE = "llava_gqa_testdev_balanced.jsonl", "llava_pope_test.jsonl"


RANDOM = "coco/coco_pope_random.json"


TSV = "mmbench_dev_20230712.tsv"


def _tsv(change):
    return lambda folder: (folder / TSV).write_text(change((folder / TSV).read_text()))


BROKEN = {
    "gqa, a doubled question": ("gqa", lambda f: _rewrite(f / GQA, lambda r: r.append(r[0])), r"once \(200\)"),
    "gqa, no label": (
        "gqa",
        lambda f: _rewrite_json(f / "testdev_balanced_questions.json", lambda c: c.pop("201")),
        r"1 questions have no label \(201\)",
    ),
    "gqa, no question": ("gqa", lambda f: _rewrite(f / GQA, lambda r: r.pop()), r"1 labels have no question \(203\)"),
    "gqa, another picture": (
        "gqa",
        lambda f: _rewrite_json(f / "testdev_balanced_questions.json", lambda c: c["200"].update(imageId="n9")),
        "asked about n0.png, labelled for n9",
    ),
    "gqa, out of the folder": (
        "gqa",
        lambda f: _rewrite(f / GQA, lambda r: r[0].update(image="../../n0.png")),
        "not a file name inside",
    ),
    "gqa, no file": ("gqa", lambda f: (f / GQA).unlink(), "the data folder must hold"),
    "gqa, no picture": ("gqa", lambda f: (f / "images" / "n0.png").unlink(), "n0.png is not there"),
    "gqa, no JSON": ("gqa", lambda f: (f / GQA).write_text("{"), "line 1 is not JSON"),
    "gqa, no text": ("gqa", lambda f: _rewrite(f / GQA, lambda r: r[1].pop("text")), "row 2: 'text' is None"),
    "gqa, no UTF-8": ("gqa", lambda f: (f / GQA).write_bytes(b"\xff"), r"llava_gqa_\S+, line 1 is not UTF-8"),
    "gqa, nested": ("gqa", lambda f: (f / GQA).write_text("[" * 100_000), r"llava_gqa_\S+ is not JSON"),
    "gqa, types that are none": (
        "gqa",
        lambda f: _rewrite_json(f / "testdev_balanced_questions.json", lambda c: c["200"].update(types="x")),
        "id 200: types 'x'",
    ),
    "pope, longer labels": (
        "pope",
        lambda f: _rewrite(f / RANDOM, lambda r: r.append(r[0] | {"question_id": 5})),
        r"1 labels have no question \(5\)",
    ),
    "pope, labels of another release": (
        "pope",
        lambda f: _rewrite(f / RANDOM, lambda r: r[0].update(text="Is there a cat in the image?")),
        "its label in coco_pope_random.json is for 'cat'",
    ),
    "pope, moved by one": (
        "pope",
        lambda f: _rewrite(f / RANDOM, lambda r: [x.update(question_id=x["question_id"] % 4 + 1) for x in r]),
        "its label in coco_pope_random.json is for",
    ),
    "pope, a third label": ("pope", lambda f: _rewrite(f / RANDOM, lambda r: r[0].update(label="maybe")), "yes or no"),
    "pope, a fourth category": ("pope", lambda f: _rewrite(f / POPE, lambda r: r[0].update(category="x")), "unknown"),
    "scienceqa, no such choice": (
        "scienceqa",
        lambda f: _rewrite_json(f / "problems.json", lambda c: c["10"].update(answer=7)),
        "id 10",
    ),
    "scienceqa, choices without words": (
        "scienceqa",
        lambda f: _rewrite_json(f / "problems.json", lambda c: c["10"].update(choices=[1, 2])),
        "id 10",
    ),
    "scienceqa, another split": (
        "scienceqa",
        lambda f: _rewrite_json(f / "pid_splits.json", lambda c: c["test"].append("77")),
        r"1 ids \(77\)",
    ),
    "scienceqa, out of the folder": (
        "scienceqa",
        lambda f: _rewrite_json(f / "llava_test_CQM-A.json", lambda c: c[0].update(image="/etc/passwd")),
        "not a file name inside",
    ),
    "mmbench, no picture": ("mmbench", _tsv(lambda text: text.replace("iVBOR", "!!!!!")), "is not base64"),
    "mmbench, a doubled row": ("mmbench", _tsv(lambda t: t + t.splitlines()[-1] + "\n"), "more than once"),
    "mmbench, rotations alone": (
        "mmbench",
        _tsv(lambda t: "\n".join(line for line in t.split("\n") if not line.startswith("240\t"))),
        "a rotation of 240, which is not there",
    ),
    "mmbench, empty": ("mmbench", _tsv(lambda t: ""), r"\.tsv is not a table"),
    "mmbench, no rows": ("mmbench", _tsv(lambda t: t.split("\n")[0] + "\n"), r"\.tsv holds no rows"),
    "mmbench, torn": ("mmbench", _tsv(lambda t: t + "\t".join("abcdefghijklmnopq") + "\n"), r"\.tsv is not a table"),
    "mmbench, no column": ("mmbench", _tsv(lambda t: t.replace("\tanswer\t", "\tlabel\t")), "no column answer"),
    "vizwiz, a picture twice": (
        "vizwiz",
        lambda f: _rewrite(f / "llava_test.jsonl", lambda r: r[1].update(image=r[0]["image"])),
        "than once",
    ),
    "vqav2, ids that the upload lacks": (
        "vqav2",
        lambda f: _rewrite(f / "llava_vqav2_mscoco_test2015.jsonl", lambda r: r.pop(1)),
        r"1 ids .* \(1000\)",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_data_are_named(fault, tmp_path):
    name, breaks, message = BROKEN[fault]
    MAKERS[name](tmp_path)
    breaks(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        benchmark(name).load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(image_id=9), "answers about picture 3"),
        (lambda row: row.update(answers=[]), "id 1003"),
        (lambda row: row.update(answers=5), "id 1003: expected people's answers"),
        (lambda row: row["answers"].append("red"), "id 1003: expected people's answers"),
        (lambda row: row.update(question_id=7), r"1 questions have no label \(1003\) and 1 labels have no question"),
    ],
)
def test_labels_of_another_question(change, message, tmp_path):
    vqav2(tmp_path, labelled=True)
    path = tmp_path / "v2_mscoco_val2014_annotations.json"
    _rewrite_json(path, lambda content: change(content["annotations"][0]))
    with pytest.raises(ValueError, match=message):
        benchmark("vqav2").load(tmp_path)


@pytest.mark.parametrize(
    "change", [lambda row: row.pop("question"), lambda row: row.pop("image_id"), lambda row: row.update(image_id="3")]
)
def test_questions_that_ask_nothing(change, tmp_path):
    vqav2(tmp_path, labelled=True)
    _rewrite_json(tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json", lambda c: change(c["questions"][0]))
    with pytest.raises(ValueError, match=r"val2014_questions\.json, id \d+: expected the text `question`"):
        benchmark("vqav2").load(tmp_path)


def test_a_name_that_leaves_the_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.png").write_bytes(b"")
    for name in ("../b.png", str(tmp_path / "b.png"), "", None, 3):
        with pytest.raises(ValueError, match="not a file name inside"):
            inside(tmp_path / "a", name, where="row 1")


# --- videos


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
        "not a file name inside",
    ),
    "a question without answer": (
        "activitynet",
        lambda d: write_json(d / "test_a.json", read_json(d / "test_a.json")[1:]),
        "1 questions have no label (v_b_c_0)",
    ),
    "an answer without question": (
        "activitynet",
        lambda d: write_json(d / "test_q.json", read_json(d / "test_q.json")[1:]),
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
