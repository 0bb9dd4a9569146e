"""GQA (Hudson and Manning 2019), testdev-balanced: 12,578 short answers about real pictures, compared exactly.

Data folder: llava_gqa_testdev_balanced.jsonl (LLaVA), testdev_balanced_questions.json (the official labels), images/.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import (
    Benchmark,
    Item,
    Score,
    accuracy_parts,
    by_id,
    inside,
    needed,
    part,
    read_json,
    read_rows,
    same_ids,
)

QUESTIONS, LABELS = "llava_gqa_testdev_balanced.jsonl", "testdev_balanced_questions.json"
FILES = ALL_FILES["gqa"]


def load(data: Path) -> list[Item]:
    """Questions with the official answer; the part is its structural type (verify, query, …) where the labels say it.

    The text decoder is asked question and instruction together, as the original's `model_vqa_loader.py` does.
    """
    path, labels_path = needed(data, QUESTIONS, files=FILES), needed(data, LABELS, files=FILES)
    images = needed(data, "images", files=FILES)
    rows = by_id(read_rows(path, {"question_id": (str, int), "image": str, "text": str}), "question_id", where=path)
    labels = read_json(labels_path)
    if not isinstance(labels, dict):
        raise ValueError(f"{labels_path} is no object; expected question id → label, as GQA publishes it")
    same_ids(rows, labels, where=labels_path)
    return [_item(name, row, labels[name], images, labels_path) for name, row in rows.items()]


def _item(name: str, row: Mapping[str, Any], label: Any, images: Path, where: Path) -> Item:
    if not isinstance(label, dict) or not isinstance(label.get("answer"), str):
        raise ValueError(f"{where}, id {name}: no answer; expected an object with the text `answer`")
    if "imageId" in label and Path(row["image"]).stem != str(label["imageId"]):
        raise ValueError(f"id {name}: asked about {row['image']}, labelled for {label['imageId']}; take one release")
    types = label.get("types") or {}
    if not isinstance(types, dict):
        raise ValueError(f"{where}, id {name}: types {types!r:.80}; expected an object with `structural`")
    kind = str(types.get("structural") or "")
    media = inside(images, row["image"], where=f"{QUESTIONS}, id {name}")
    return Item(id=name, media=media, prompt=row["text"], question=row["text"], answers=(label["answer"],), split=kind)


def prediction(reply: str) -> str:
    """`convert_gqa_for_eval.py`: periods at the end go, lower case; blanks stay."""
    return reply.rstrip(".").lower()


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Any = None) -> Score:
    """Percent of predictions equal to the answer, as GQA's `eval.py`; the only mode is "original"."""
    outcomes = {item.id: float(prediction(replies[item.id]) == item.answers[0]) for item in items}
    return Score(mode, part(list(outcomes.values())).value, accuracy_parts(items, outcomes), outcomes)


BENCHMARK = Benchmark(
    name="gqa",
    title="GQA",
    columns={"": "GQA"},
    media="image",
    files=FILES,
    load=load,
    score=score,
    modes=("original",),
    size=12_578,
)
