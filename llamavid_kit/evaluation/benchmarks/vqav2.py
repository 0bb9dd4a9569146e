"""VQA v2 (Goyal et al. 2017): 107,394 test-dev questions about COCO pictures.

Data folder: llava_vqav2_mscoco_test-dev2015.jsonl, llava_vqav2_mscoco_test2015.jsonl (LLaVA) and test2015/, scored by
the server; or v2_OpenEnded_mscoco_val2014_questions.json, v2_mscoco_val2014_annotations.json and val2014/, scored here.
The published numbers are the server's on test-dev.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import (
    WORD,
    Benchmark,
    Item,
    by_id,
    inside,
    needed,
    read_json,
    read_rows,
    same_ids,
    some,
)
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, score
from llamavid_kit.files import write_whole

QUESTIONS, ALL_TEST = "llava_vqav2_mscoco_test-dev2015.jsonl", "llava_vqav2_mscoco_test2015.jsonl"
VAL_QUESTIONS, VAL_LABELS = "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"
FILES = ALL_FILES["vqav2"]


def load(data: Path) -> list[Item]:
    """The test-dev questions if they are there, else the validation ones with ten people's answers, by answer type.

    The text decoder is asked question and instruction together, as the original's `model_vqa_loader.py` does.
    """
    if (Path(data) / QUESTIONS).is_file():
        return _test(Path(data))
    images = needed(data, "val2014", files=FILES)
    asked, labels = (
        _val(needed(data, n, files=FILES), k) for n, k in ((VAL_QUESTIONS, "questions"), (VAL_LABELS, "annotations"))
    )
    same_ids(asked, labels, where=VAL_LABELS)
    items = []
    for name, row in asked.items():
        label, given = labels[name], labels[name].get("answers")
        if not isinstance(row.get("question"), str) or type(row.get("image_id")) is not int:
            raise ValueError(f"{VAL_QUESTIONS}, id {name}: expected the text `question` and the number `image_id`")
        people = [a.get("answer") if isinstance(a, dict) else None for a in given] if isinstance(given, list) else []
        if label.get("image_id") != row["image_id"] or not people or not all(isinstance(a, str) for a in people):
            raise ValueError(f"{VAL_LABELS}, id {name}: expected people's answers about picture {row['image_id']}")
        text = row["question"] + WORD
        media = inside(images, f"COCO_val2014_{row['image_id']:012d}.jpg", where=f"{VAL_QUESTIONS}, id {name}")
        extra = {"question_type": label.get("question_type", "")}
        items.append(Item(name, media, text, text, tuple(people), str(label.get("answer_type", "")), extra=extra))
    return items


def _test(data: Path) -> list[Item]:
    path, images = data / QUESTIONS, needed(data, "test2015", files=FILES)
    every = read_rows(needed(data, ALL_TEST, files=FILES), {"question_id": int})
    uploaded = by_id(every, "question_id", where=ALL_TEST)
    rows = by_id(read_rows(path, {"question_id": int, "image": str, "text": str}), "question_id", where=path)
    if unknown := [name for name in rows if name not in uploaded]:
        raise ValueError(f"{ALL_TEST} lacks {len(unknown)} ids of {QUESTIONS} ({some(unknown)}); take one release")
    others = {"upload_ids": [row["question_id"] for row in every]}  # one list, shared by all items
    return [
        Item(n, inside(images, r["image"], where=f"{path}, id {n}"), r["text"], r["text"], extra=others)
        for n, r in rows.items()
    ]


def _val(path: Path, key: str) -> Mapping[str, Mapping[str, Any]]:
    found = read_json(path)
    rows = found.get(key) if isinstance(found, dict) else None
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("question_id"), int) for row in rows):
        raise ValueError(f"{path}: expected {key!r}, objects with a number `question_id`, as VQA publishes them")
    return by_id(rows, "question_id", where=path)


def submit(items: Sequence[Item], replies: Mapping[str, str], out: Path) -> Path | None:
    """The server's JSON (`convert_vqav2_for_submission.py`): every test2015 id, "" for those that test-dev lacks.

    None for labelled questions, which no server waits for.
    """
    if items[0].answers:
        return None
    path = out / "vqav2_upload.json"
    ids = items[0].extra.get("upload_ids") or [int(item.id) for item in items]
    answers = [{"question_id": k, "answer": evalai_answer(replies.get(str(k), ""))} for k in ids]
    write_whole(path, json.dumps(answers))
    return path


BENCHMARK = Benchmark(
    name="vqav2",
    title="VQA v2",
    columns={"": "VQA v2"},
    media="image",
    files=FILES,
    load=load,
    score=score,
    modes=("original",),
    size=107_394,
    submit=submit,
)
