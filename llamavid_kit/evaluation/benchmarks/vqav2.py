"""VQA v2 (Goyal et al. 2017): 107,394 test-dev questions about COCO pictures.

They are scored by the server, and published numbers are of these; the validation questions are scored here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import WORD, Benchmark, Item
from llamavid_kit.evaluation.benchmarks.reading import DOWNLOAD, by_id, inside, needed, read_by_id, read_rows, same_ids
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, people_of, score, write_upload
from llamavid_kit.files import read_json, some

QUESTIONS, ALL_TEST = "llava_vqav2_mscoco_test-dev2015.jsonl", "llava_vqav2_mscoco_test2015.jsonl"
VAL_QUESTIONS, VAL_LABELS = "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"


def load(data: Path) -> list[Item]:
    """The test-dev questions if they are there, else the validation ones with ten people's answers, by answer type.

    The text decoder is asked question and instruction together, as the original's `model_vqa_loader.py` does.
    """
    if (Path(data) / QUESTIONS).is_file():
        return _test(data)
    images, questions_path, labels_path = needed(data, "vqav2", "val2014", VAL_QUESTIONS, VAL_LABELS)
    questions, labels = _val(questions_path, "questions"), _val(labels_path, "annotations")
    same_ids(questions, labels, where=VAL_LABELS)
    items = []
    for name, row in questions.items():
        label, people = labels[name], people_of(labels[name].get("answers"))
        if not isinstance(row.get("question"), str) or type(row.get("image_id")) is not int:
            raise ValueError(f"{VAL_QUESTIONS}, id {name}: expected the text `question` and the number `image_id`")
        if label.get("image_id") != row["image_id"] or not people:
            raise ValueError(f"{VAL_LABELS}, id {name}: expected people's answers about picture {row['image_id']}")
        text = row["question"] + WORD
        media = inside(images, f"COCO_val2014_{row['image_id']:012d}.jpg", where=f"{VAL_QUESTIONS}, id {name}")
        extra = {"question_type": label.get("question_type", "")}
        items.append(Item(name, media, text, text, people, str(label.get("answer_type", "")), extra=extra))
    return items


def _test(data: Path) -> list[Item]:
    path, images, all_path = needed(data, "vqav2", QUESTIONS, "test2015", ALL_TEST)
    every = read_rows(all_path, {"question_id": int})
    all_ids = by_id(every, "question_id", where=ALL_TEST)
    rows = read_by_id(path, {"question_id": int, "image": str, "text": str})
    if unknown := [name for name in rows if name not in all_ids]:
        raise ValueError(f"{ALL_TEST} lacks {len(unknown)} ids of {QUESTIONS} ({some(unknown)}); take one release")
    extra = {"upload_ids": [row["question_id"] for row in every]}  # one list, shared by all items
    return [
        Item(name, inside(images, row["image"], where=f"{path}, id {name}"), row["text"], row["text"], extra=extra)
        for name, row in rows.items()
    ]


def _val(path: Path, key: str) -> Mapping[str, Mapping[str, Any]]:
    content = read_json(path, way_out=DOWNLOAD)
    rows = content.get(key) if isinstance(content, dict) else None
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("question_id"), int) for row in rows):
        raise ValueError(f"{path}: expected {key!r}, objects with a number `question_id`, as VQA publishes them")
    return by_id(rows, "question_id", where=path)


def submit(items: Sequence[Item], replies: Mapping[str, str], out: Path) -> Path | None:
    """The server's JSON (`convert_vqav2_for_submission.py`): every test2015 id, "" for those that test-dev lacks."""
    ids = items[0].extra.get("upload_ids", ())
    rows = [{"question_id": k, "answer": evalai_answer(replies.get(str(k), ""))} for k in ids]
    return write_upload(out / "vqav2_upload.json", items, rows)


BENCHMARK = Benchmark.of("vqav2", load, score, submit=submit)
