"""ActivityNet-QA (Yu et al. 2019): 8,000 questions of nine types about long videos, by a judge or the official rule.

The published numbers of video LLMs are a judge's; the authors' own scorer asks for the same characters, which a model
that answers in sentences hardly ever writes. Sources: MILVLG/activitynet-qa (`dataset/`, `evaluation/eval.py`);
dvlab-research/LLaMA-VID, `model_activitynet_qa.py` of its `llamavid/eval/`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from llamavid_kit.evaluation.benchmarks.base import Benchmark, Item, Mode, Score, accuracy_score
from llamavid_kit.evaluation.benchmarks.reading import needed, read_by_id, same_ids
from llamavid_kit.evaluation.benchmarks.video_qa import Clips, check_words, score_qa
from llamavid_kit.evaluation.judges.judge import Judge

TYPES = ("Motion", "Spatial Relation", "Temporal Relation", "Yes/No", "Color", "Object", "Location", "Number", "Other")
FREE = range(3, len(TYPES))  # types from here on are kinds of the "Free" questions


def load(data: Path) -> list[Item]:
    """Questions joined with their answers by id; the original takes the answer that stands at the same place.

    The part is the type; the bare question is prompt and text-guided query, as in `model_activitynet_qa.py`.
    """
    q_path, a_path, folder = needed(data, "activitynet", "test_q.json", "test_a.json", "all_test")
    clips, items = Clips(folder), []
    questions = read_by_id(q_path, {"question_id": str, "question": str, "video_name": str})
    answers = read_by_id(a_path, {"question_id": str, "answer": str, "type": int})
    same_ids(questions, answers, where=a_path)
    for name, row in questions.items():
        where, answer, kind = f"{q_path}, id {name}", answers[name], answers[name]["type"]
        check_words(row, "question", "video_name", where=where)
        check_words(answer, "answer", where=f"{a_path}, id {name}")
        if kind not in range(len(TYPES)):
            raise ValueError(f"{a_path}, id {name}: type {kind}; expected 0 to {len(TYPES) - 1}")
        media, question = clips.find([f"v_{row['video_name']}"], where=where), row["question"]
        items.append(Item(name, media, question, question, (answer["answer"],), TYPES[kind], extra={"type": kind}))
    return items


def official_counts(
    predictions: Mapping[str, str], answers: Iterable[tuple[str, str, int]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Right answers of each type, and questions of each type in order of appearance: `eval` of the authors' eval.py.

    answers: (id, answer, type) of every question; a prediction is right if it is the answer, character by character.
    A question without a prediction counts as wrong, as there. Raises ValueError for a prediction of no question.
    """
    truth = {name: (answer, kind) for name, answer, kind in answers}
    if unknown := sorted(set(predictions) - set(truth)):
        raise ValueError(f"predictions of {len(unknown)} unknown questions, such as {unknown[0]!r}")
    right = dict.fromkeys(range(len(TYPES)), 0)
    for name, text in predictions.items():
        answer, kind = truth[name]
        right[kind] += text == answer
    return right, dict(Counter(kind for _, kind in truth.values()))


def official_accuracy(right: Mapping[int, int], n: Mapping[int, int]) -> dict[str, float | None]:
    """What the authors' eval.py prints, by its names, as shares; None where there are no such questions.

    right, n: see `official_counts`
    Its "Free" divides by the wrong number: by all questions but those of the three types that happen to come first in
    the file, instead of types 0 to 2 (on its own example 0.7583 for 0.5055). "Free" repeats that, so that published
    numbers can be made again; "Free, right" does not.
    """
    free = sum(right[kind] for kind in FREE)
    return {
        **{name: _share(right[kind], n.get(kind, 0)) for kind, name in enumerate(TYPES)},
        "All": _share(sum(right.values()), sum(n.values())),
        "Free": _share(free, sum(list(n.values())[3:])),
        "Free, right": _share(free, sum(n.get(kind, 0) for kind in FREE)),
    }


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: Judge | None = None) -> Score:
    """By a judge (see `video_qa.score_qa`), or "official": percent of replies that are the answer to the letter."""
    if mode != "official":
        return score_qa(items, replies, mode=mode, judge=judge)
    counts = official_counts(replies, ((item.id, item.answers[0], item.extra["type"]) for item in items))
    outcomes = {item.id: float(replies[item.id] == item.answers[0]) for item in items}
    return accuracy_score(mode, items, outcomes, more=official_accuracy(*counts))


BENCHMARK = Benchmark.of("activitynet", load, score)
