"""GQA (Hudson and Manning 2019), testdev-balanced: 12,578 short answers about real pictures, compared exactly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import Benchmark, Item, Mode, Score, accuracy_score
from llamavid_kit.evaluation.benchmarks.reading import DOWNLOAD, inside, needed, read_by_id, same_ids
from llamavid_kit.files import read_json

QUESTIONS, LABELS = "llava_gqa_testdev_balanced.jsonl", "testdev_balanced_questions.json"


def load(data: Path) -> list[Item]:
    """Questions with the official answer; the part is its structural type (verify, query, …) where the labels say it.

    The text decoder is asked question and instruction together, as the original's `model_vqa_loader.py` does.
    """
    path, labels_path, images = needed(data, "gqa", QUESTIONS, LABELS, "images")
    rows = read_by_id(path, {"question_id": (str, int), "image": str, "text": str})
    labels = read_json(labels_path, way_out=DOWNLOAD)
    if not isinstance(labels, dict):
        raise ValueError(f"{labels_path} is not an object; expected question id → label, as GQA publishes it")
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


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: object = None) -> Score:
    """Percent of predictions equal to the answer, as GQA's `eval.py`; the only mode is "original"."""
    return accuracy_score(mode, items, {i.id: float(prediction(replies[i.id]) == i.answers[0]) for i in items})


BENCHMARK = Benchmark.of("gqa", load, score)
