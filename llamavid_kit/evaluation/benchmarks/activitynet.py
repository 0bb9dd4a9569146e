"""ActivityNet-QA (Yu et al. 2019): 8,000 questions of nine types about long videos, by a judge or the official rule.

Data folder: test_q.json, test_a.json (the authors'), all_test/. The published numbers of video LLMs are a judge's; the
authors' own scorer asks for the same characters, which a model that answers in sentences hardly ever writes. Sources:
MILVLG/activitynet-qa (`dataset/`, `evaluation/eval.py`); dvlab-research/LLaMA-VID, `model_activitynet_qa.py` of its
`llamavid/eval/`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import (
    Benchmark,
    Item,
    Score,
    accuracy_parts,
    by_id,
    needed,
    part,
    read_rows,
    same_ids,
)
from llamavid_kit.evaluation.benchmarks.video_qa import MAX_NEW_TOKENS, MODES, Clips, score_qa, words
from llamavid_kit.evaluation.judges.judge import Judge

FILES = ALL_FILES["activitynet"]
TYPES = ("Motion", "Spatial Relation", "Temporal Relation", "Yes/No", "Color", "Object", "Location", "Number", "Other")
FREE = range(3, len(TYPES))  # types from here on are kinds of the "Free" questions
OFFICIAL = "official"


def load(data: Path) -> list[Item]:
    """Questions joined with their answers by id; the original takes the answer that stands at the same place.

    The part is the type; the bare question is prompt and text-guided query, as in `model_activitynet_qa.py`.
    """
    q_path, a_path = needed(data, "test_q.json", files=FILES), needed(data, "test_a.json", files=FILES)
    clips = Clips(needed(data, "all_test", files=FILES))
    questions = by_id(
        read_rows(q_path, {"question_id": str, "question": str, "video_name": str}), "question_id", where=q_path
    )
    answers = by_id(read_rows(a_path, {"question_id": str, "answer": str, "type": int}), "question_id", where=a_path)
    same_ids(questions, answers, where=a_path)
    items = []
    for name, row in questions.items():
        where, answer = f"{q_path}, id {name}", answers[name]
        words(row, "question", "video_name", where=where)
        words(answer, "answer", where=f"{a_path}, id {name}")
        if answer["type"] not in range(len(TYPES)):
            raise ValueError(f"{a_path}, id {name}: type {answer['type']}; expected 0 to {len(TYPES) - 1}")
        items.append(
            Item(
                name,
                clips.find([f"v_{row['video_name']}"], where=where),
                prompt=row["question"],
                question=row["question"],
                answers=(answer["answer"],),
                split=TYPES[answer["type"]],
                extra={"type": answer["type"]},
            )
        )
    return items


def official_counts(
    predictions: Mapping[str, str], answers: Iterable[tuple[str, str, int]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Right answers of each type, and questions of each type in order of appearance: `eval` of the authors' eval.py.

    answers: (id, answer, type) of every question; a prediction is right if it is the answer, character by character.
    A question without a prediction counts as wrong, as there. Raises ValueError for a prediction of no question.
    """
    known = {name: (answer, kind) for name, answer, kind in answers}
    if unknown := sorted(set(predictions) - set(known)):
        raise ValueError(f"predictions of {len(unknown)} unknown questions, such as {unknown[0]!r}")
    asked = Counter(kind for _, kind in known.values())
    right = dict.fromkeys(range(len(TYPES)), 0)
    for name, said in predictions.items():
        answer, kind = known[name]
        right[kind] += said == answer
    return right, dict(asked)


def official_accuracy(right: Mapping[int, int], asked: Mapping[int, int]) -> dict[str, float | None]:
    """What the authors' eval.py prints, by its names, as shares; None where there are no such questions.

    Its "Free" divides by the wrong number: by all questions but those of the three types that happen to come first in
    the file, instead of types 0 to 2 (on its own example 0.7583 for 0.5055). "Free" repeats that, so that published
    numbers can be made again; "Free, right" does not.
    """
    free = sum(right[kind] for kind in FREE)
    by_type = {name: _share(right[kind], asked.get(kind, 0)) for kind, name in enumerate(TYPES)}
    return {
        **by_type,
        "All": _share(sum(right.values()), sum(asked.values())),
        "Free": _share(free, sum(list(asked.values())[3:])),
        "Free, right": _share(free, sum(asked.get(kind, 0) for kind in FREE)),
    }


def official_lines(right: Mapping[int, int], asked: Mapping[int, int]) -> str:
    """The text that the authors' eval.py prints; "none" where it would stop because a type has no question."""
    share = official_accuracy(right, asked)

    def lines(names: Iterable[str]) -> str:
        return "".join(f"\t{n}: {'none' if share[n] is None else format(share[n], '.04f')}\n" for n in names)

    return (
        "Accuracy (per question type):\n"
        + lines((*TYPES[:3], "Free", "All"))
        + "Accuracy of the Free type questions(per answer type):\n"
        + lines(TYPES[k] for k in FREE)
    )


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Judge | None = None) -> Score:
    """By a judge (see `video_qa.score_qa`), or "official": percent of replies that are the answer to the letter."""
    if mode != OFFICIAL:
        return score_qa(items, replies, mode=mode, judge=judge)
    counts = official_counts(replies, ((item.id, item.answers[0], item.extra["type"]) for item in items))
    outcomes = {item.id: float(replies[item.id] == item.answers[0]) for item in items}
    return Score(
        mode,
        part(list(outcomes.values())).value,
        accuracy_parts(items, outcomes),
        outcomes,
        more=official_accuracy(*counts),
    )


BENCHMARK = Benchmark(
    name="activitynet",
    title="ActivityNet-QA",
    columns={"": "ActivityNet-QA"},
    media="video",
    files=FILES,
    load=load,
    score=score,
    modes=(*MODES, OFFICIAL),
    size=8_000,
    max_new_tokens=MAX_NEW_TOKENS,
    judged=True,
)
