"""GQA: the whole answer, split by the structural type."""

import json
from pathlib import Path

import pytest
from made_up_benchmarks import MAKERS

from llamavid_kit.evaluation.benchmarks import gqa
from llamavid_kit.evaluation.benchmarks.base import Item


def test_gqa_is_split_by_the_structural_type(tmp_path):
    MAKERS["gqa"](tmp_path)
    labels = json.loads((tmp_path / gqa.LABELS).read_text())
    for k, label in enumerate(labels.values()):
        label["types"] = {"structural": ("query", "verify")[k % 2], "semantic": "attr", "detailed": "color"}
    (tmp_path / gqa.LABELS).write_text(json.dumps(labels))
    assert {i.id: i.split for i in gqa.load(tmp_path)} == {k: v["types"]["structural"] for k, v in labels.items()}


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("Red..", "red", True),
        ("It is red.", "red", False),
        ("red car", "red", False),
        (" red", "red", False),
        ("red. ", "red", False),
        (".red", "red", False),
        ("Red", "Red", False),  # the label is compared as it is
    ],
)
def test_gqa_asks_for_the_whole_answer(reply, answer, right):
    items = [Item("1", Path("a.jpg"), "", "", (answer,))]
    assert gqa.score(items, {"1": reply}, mode="original").value == 100 * right


def test_accuracy_is_the_mean_over_questions_and_not_over_types():
    items = [Item(str(k), Path("a.jpg"), "", "", ("red",), split="query" if k else "verify") for k in range(4)]
    score = gqa.score(items, {"0": "red", "1": "blue", "2": "blue", "3": "red"}, mode="original")
    assert score.value == 50 and {n: p.k for n, p in score.parts.items()} == {"verify": 1, "query": 1}
