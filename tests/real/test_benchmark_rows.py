"""Real rows of the benchmarks' own files through our loaders: prompts, labels and uploads as LLaVA's run had them."""

import base64
import json

import pandas as pd
import pytest
from made_up_benchmarks import picture, write_jsonl

from llamavid_kit.evaluation.benchmarks import benchmark, gqa, mmbench, pope, scienceqa, vizwiz
from llamavid_kit.evaluation.benchmarks.published import BLOG, IMAGE, README, ROWS, VIDEO, published


@pytest.fixture(scope="module")
def rows(real):
    """Reads one of the files of real rows."""
    folder = real / "benchmarks"

    def read(name):
        text = (folder / name).read_text(encoding="utf-8")
        return json.loads(text) if text[0] in "[{" and "\n{" not in text.rstrip() else read_lines(text)

    def read_lines(text):
        return [json.loads(line) for line in text.split("\n") if line.strip()]

    return read


def _pictures(folder, names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture("red").save(folder / name, "JPEG")


def _asked(items, answers) -> int:
    """The prompts are those that LLaVA logged, id by id."""
    logged = {str(row["question_id"]): row["prompt"] for row in answers}
    assert {item.id: item.prompt for item in items} == logged
    return len(logged)


def test_gqa(rows, tmp_path):
    questions = rows("gqa_llava_gqa_testdev_balanced.head20.jsonl")
    answers = rows("gqa_answers_llava15_13b.head20.jsonl")
    write_jsonl(tmp_path / gqa.QUESTIONS, questions)
    labels = {row["question_id"]: {"answer": gqa.prediction(row["text"])} for row in answers}
    (tmp_path / gqa.LABELS).write_text(json.dumps(labels))
    _pictures(tmp_path / "images", [row["image"] for row in questions])
    items = gqa.load(tmp_path)
    assert _asked(items, answers) == 20
    replies = {row["question_id"]: row["text"] for row in answers}
    assert gqa.score(items, replies, mode="original").value == 100


def test_pope(rows, tmp_path):
    """LLaVA's adversarial questions meet POPE's labels, which spell "imange" better; the other two by their ids."""
    questions = rows("pope_llava_pope_test.head20.jsonl")
    for k, category in enumerate(pope.CATEGORIES):
        labels = rows(f"coco_pope_{category}.head20.json")
        write_jsonl(tmp_path / "coco" / f"coco_pope_{category}.json", labels)
        if category != "adversarial":
            questions += [
                row | {"question_id": row["question_id"] + k * pope.OFFSET, "category": category} for row in labels
            ]
    write_jsonl(tmp_path / pope.QUESTIONS, questions)
    _pictures(tmp_path / "val2014", {row["image"] for row in questions})
    items = pope.load(tmp_path)
    assert len(items) == 60 and {item.answers for item in items} == {("yes",), ("no",)}
    answers = rows("pope_answers_llava15_13b.head20.jsonl")
    assert _asked([item for item in items if item.split == "adversarial"], answers) == 20


def test_scienceqa(rows, tmp_path):
    """The picture's questions of the test head; a text-only row's logged prompt has the same instruction."""
    questions, splits = rows("scienceqa_llava_test_CQM-A.head20.json"), rows("scienceqa_pid_splits.head20.json")
    problems = {
        row["id"]: {
            "choices": [line for line in row["conversations"][0]["value"].split("\n") if line[1:3] == ". "],
            "answer": "ABCDE".index(row["conversations"][1]["value"]),
        }
        for row in questions
    }
    for name, content in ((scienceqa.QUESTIONS, questions), (scienceqa.PROBLEMS, problems), (scienceqa.SPLITS, splits)):
        (tmp_path / name).write_text(json.dumps(content))
    _pictures(tmp_path / "images" / "test", [row["image"] for row in questions if "image" in row])
    items = scienceqa.load(tmp_path)
    assert [item.id for item in items] == [row["id"] for row in questions if "image" in row]
    assert {i.id: i.answers[0] for i in items} == {
        row["id"]: row["conversations"][1]["value"] for row in questions if "image" in row
    }
    logged = rows("scienceqa_answers_llava15_13b.head.jsonl")
    logged = logged[0] if isinstance(logged, list) else logged
    assert logged["prompt"].endswith(scienceqa.LETTER) and all(i.prompt.endswith(scienceqa.LETTER) for i in items)
    assert not any("<image>" in item.prompt for item in items)


def test_vizwiz(rows, tmp_path):
    """LLaVA's answers give the file that LLaVA uploaded."""
    questions, answers = rows("vizwiz_llava_test.head20.jsonl"), rows("vizwiz_answers_llava15_13b.head20.jsonl")
    write_jsonl(tmp_path / vizwiz.QUESTIONS, questions)
    _pictures(tmp_path / "test", [row["image"] for row in questions])
    items = vizwiz.load(tmp_path)
    assert _asked(items, answers) == 20
    replies = {str(row["question_id"]): row["text"] for row in answers}
    uploaded = json.loads(vizwiz.submit(items, replies, tmp_path).read_text())
    assert uploaded == rows("vizwiz_answers_upload.head20.json")


def test_mmbench(rows, tmp_path):
    """Prompts as logged (without the instruction, which LLaVA's log leaves out), and the sheet that LLaVA uploaded."""
    openpyxl = pytest.importorskip("openpyxl")
    answers, upload = rows("mmbench_dev_answers_llava15_13b.head20.jsonl"), rows("mmbench_upload_xlsx.head20.json")
    encoded = base64.b64encode(b"picture").decode()
    table = pd.DataFrame(upload["rows"], columns=upload["columns"])
    prompts = [row["prompt"].removesuffix(mmbench.LETTER) for row in answers]
    hints = [p[: p.index(q)].rstrip("\n") or None for p, q in zip(prompts, table["question"], strict=True)]
    table.assign(hint=hints, image=encoded, category="c").to_csv(tmp_path / mmbench.TABLE, sep="\t", index=False)
    items = mmbench.load(tmp_path)
    assert [item.question for item in items] == prompts
    replies = {str(row["question_id"]): row["text"] for row in answers}
    sheet = openpyxl.load_workbook(mmbench.submit(items, replies, tmp_path)).active
    header, *written = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert header == upload["columns"] and written == upload["rows"]


def test_published_numbers(real):
    """Every published benchmark result, each at its resolution; nothing else."""
    record = json.loads((real / "published.json").read_text())
    results, study = record["published_results"], dict(record["study_results"]["table1"])
    n = 0
    for kind, columns in (("image", IMAGE), ("video", VIDEO)):
        table = dict(results[kind])
        assert table.pop("columns") == list(columns)
        for name, values in table.items():
            llm, size = name.rsplit(" ", 1)
            (row,) = [
                r
                for r in ROWS
                if (r.who, r.llm, r.image_size) == ("authors", llm, int(size)) and set(r.values) == set(columns)
            ]
            assert row.values == dict(zip(columns, values, strict=True))
            n += len(values)
    ours = [row for row in ROWS if row.who == "study"]
    assert {k: v for row in ours for k, v in row.values.items()} == study
    assert {row.image_size for row in ours if "GQA" in row.values} == {336}
    assert sum(len(row.values) for row in ROWS) == n + len(study)
    assert {(row.who, row.source) for row in ROWS} == {("authors", README), ("study", BLOG)}  # as the record's sources
    assert record["sources"] == "the README of dvlab-research/LLaMA-VID; the study's blog post"
    print(f"\npublished.json: {n + len(study)} benchmark results agree")
    for name in ("gqa", "pope", "scienceqa", "mmbench", "vizwiz", "vqav2"):
        for column in benchmark(name).columns.values():
            assert [row.who for row in published(column, image_size=336)] == ["authors", "authors", "study"]
