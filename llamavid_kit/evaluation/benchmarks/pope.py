"""POPE (Li et al. 2023): "Is there a … in the image?" in three categories; the mean of three F1 of "yes"."""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llamavid_kit.evaluation.answer_part import answer_part
from llamavid_kit.evaluation.benchmarks.base import Benchmark, Interval, Item, Mode, Part, Score
from llamavid_kit.evaluation.benchmarks.reading import inside, needed, read_by_id, same_ids
from llamavid_kit.evaluation.resampling import resamples

QUESTIONS = "llava_pope_test.jsonl"
CATEGORIES = ("adversarial", "popular", "random")
OFFSET = 10_000_000  # LLaVA's ids: 10,000,000 for each category before it, and the label's id


def load(data: Path) -> list[Item]:
    """Questions joined with the labels of their category by id; picture and object of both must agree.

    The original zips them by position and cuts the longer list: with the 3,000-row random file of POPE's present
    repository the score falls silently to about 50%. That file is an error here: the 2,910-row one (POPE @28f884a or
    @e3e3926) belongs to LLaVA's questions.
    """
    label_names = [f"coco/coco_pope_{category}.json" for category in CATEGORIES]
    path, images, *label_paths = needed(data, "pope", QUESTIONS, "val2014", *label_names)
    rows = list(read_by_id(path, {"question_id": int, "image": str, "text": str, "category": str}).values())
    if unknown := {row["category"] for row in rows} - set(CATEGORIES):
        raise ValueError(f"{path}: unknown categories {sorted(unknown)}; expected {', '.join(CATEGORIES)}")
    labels = {c: _labels(label_path, c, rows) for c, label_path in zip(CATEGORIES, label_paths, strict=True)}
    items = []
    for row in rows:
        label = labels[row["category"]][_label_id(row)]
        name, text = str(row["question_id"]), row["text"]
        if (row["image"], _object(text)) != (label["image"], _object(label["text"])):
            raise ValueError(
                f"{path}, id {name}: {_object(text)!r} in {row['image']}, but its label in "
                f"coco_pope_{row['category']}.json is for "
                f"{_object(label['text'])!r} in {label['image']}: take POPE's labels of 2,910 random questions"
            )
        media = inside(images, row["image"], where=f"{QUESTIONS}, id {name}")
        answers = (label["label"],)
        items.append(Item(name, media, prompt=text, question=text, answers=answers, split=row["category"]))
    return items


def _labels(path: Path, category: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    labels = read_by_id(path, {"question_id": int, "image": str, "text": str, "label": str})
    if wrong := [name for name, row in labels.items() if row["label"] not in ("yes", "no")]:
        raise ValueError(f"{path}, id {wrong[0]}: label {labels[wrong[0]]['label']!r}; expected yes or no")
    same_ids((_label_id(row) for row in rows if row["category"] == category), labels, where=path)
    return labels


def _label_id(row: Mapping[str, Any]) -> str:
    return str(row["question_id"] % OFFSET)


def _object(text: str) -> str:
    """What the question is about; releases spell the words around it differently ("imange")."""
    match = re.match(r"Is there an? (.+) in the im", text)
    return match[1] if match else text.split("\n")[0]


def answer_of(reply: str, *, mode: Mode) -> str | None:
    """ "yes", "no", or None for no answer.

    "original" (`eval_pope.py`): "no" where the first sentence holds the word No, no or not, and otherwise "yes": so
    "NO", "nothing", "isn't" and an empty reply say yes. "strict": the first word must be yes or no, in any case.
    """
    if mode == "original":
        words = reply.split(".")[0].replace(",", "").split(" ")
        return "no" if {"No", "not", "no"} & set(words) else "yes"
    first = (answer_part(reply).split() or [""])[0].strip(".,;:!*'\"").lower()
    return first if first in ("yes", "no") else None


def counts(pairs: Sequence[tuple[str | None, str]]) -> dict[str, float]:
    """(answer, label) pairs of one category → the numbers that `eval_pope.py` prints, by its names.

    No answer is wrong and neither a yes nor a no. Where the original divides by zero the ratio is 0.
    """
    tp, fp = pairs.count(("yes", "yes")), pairs.count(("yes", "no"))
    tn, n_yes = pairs.count(("no", "no")), sum(label == "yes" for _, label in pairs)
    precision, recall = tp / (tp + fp) if tp + fp else 0.0, tp / n_yes if n_yes else 0.0
    both = precision + recall
    return {
        "samples": len(pairs),
        "TP": tp,
        "FP": fp,
        "TN": tn,
        "FN": n_yes - tp,
        "Accuracy": (tp + tn) / len(pairs),
        "Precision": precision,
        "Recall": recall,
        "F1 score": 2 * precision * recall / both if both else 0.0,
        "Yes ratio": (tp + fp) / len(pairs),
    }


def f1_intervals(
    items: Sequence[Item], answers: Mapping[str, str | None], *, seed: int = 0
) -> dict[str, Interval | None]:
    """Category ("" for the mean over categories) → percentile bootstrap interval of its F1, in percent.

    Pictures are drawn anew with all their questions, because those share what the model made of the picture. A category
    in which a draw has no yes, as answer or as label, has no F1 and is left out of its mean. None where nothing varies.
    """
    categories, pictures = (
        {name: k for k, name in enumerate(dict.fromkeys(names))}
        for names in ([i.split for i in items], [i.group for i in items])
    )
    table = np.zeros((len(pictures), len(categories), 2))  # true positives; yes as answer plus yes as label
    for item in items:
        yes, true = answers[item.id] == "yes", item.answers[0] == "yes"
        table[pictures[item.group], categories[item.split]] += (yes and true, yes + true)
    without = np.where(table[..., 1].sum(0) > 0, np.nan, 0.0)  # a whole category without a yes counts as 0 in `score`
    draws = []
    for weights in resamples(np.ones(len(pictures), int), np.random.default_rng(seed)):
        both, sums = np.moveaxis(np.tensordot(weights, table, 1), -1, 0)  # (resamples, categories) each
        draws.append(np.where(sums > 0, 2 * both / np.maximum(sums, 1), without))
    f1 = np.concatenate(draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw of few pictures may have no yes at all
        whole = np.column_stack([np.nanmean(f1, 1), f1])
        low, high = np.nanquantile(whole, [0.025, 0.975], axis=0) * 100
    spread = [(float(a), float(b)) if b > a else None for a, b in zip(low, high, strict=True)]
    return dict(zip(["", *categories], spread, strict=True))


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: object = None) -> Score:
    """The mean of the categories' F1 in percent; a part's `k` counts right answers, its value is the F1.

    `interval95` of a part and of the whole belong to these F1, other intervals to the share of right answers.
    """
    answers = {item.id: answer_of(replies[item.id], mode=mode) for item in items}
    more = {
        category: counts([(answers[i.id], i.answers[0]) for i in items if i.split == category])
        for category in dict.fromkeys(item.split for item in items)
    }
    intervals = f1_intervals(items, answers)
    parts = {
        c: Part(int(m["samples"]), 100 * m["F1 score"], int(m["TP"] + m["TN"]), intervals[c]) for c, m in more.items()
    }
    outcomes = {item.id: float(answers[item.id] == item.answers[0]) for item in items}
    none = tuple(name for name, answer in answers.items() if answer is None)
    value = sum(p.value for p in parts.values()) / len(parts)
    return Score(mode, value, parts, outcomes, none, more, interval95=intervals[""])


BENCHMARK = Benchmark.of("pope", load, score)
