"""ScienceQA (Lu et al. 2022), the 2,017 test questions with a picture: a letter from up to five choices.

Data folder: llava_test_CQM-A.json (LLaVA), problems.json and pid_splits.json (ScienceQA), images/test/.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import (
    LETTER,
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
    some,
)
from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter

QUESTIONS, PROBLEMS, SPLITS = "llava_test_CQM-A.json", "problems.json", "pid_splits.json"
LETTERS = "ABCDE"
FAILED = "FAILED"
FILES = ALL_FILES["scienceqa"]


def load(data: Path) -> list[Item]:
    """The test questions that have a picture, with their choices in `extra`.

    The text decoder is asked question, choices and instruction, and the picture's centre is seen: both as the
    original's `model_vqa_science.py` does.
    """
    path = needed(data, QUESTIONS, files=FILES)
    images = needed(data, "images/test", files=FILES)
    problems = read_json(needed(data, PROBLEMS, files=FILES))
    splits = read_json(needed(data, SPLITS, files=FILES))
    if not isinstance(problems, dict) or not isinstance(splits, dict) or not isinstance(splits.get("test"), list):
        raise ValueError(f"{data}: {PROBLEMS} must be an object of problems, {SPLITS} one with a list of ids `test`")
    test = list(map(str, splits["test"]))
    rows = by_id(read_rows(path, {"id": str, "conversations": list}), "id", where=path)
    if unknown := [name for name in test if name not in rows] + [name for name in rows if name not in test]:
        raise ValueError(f"{path} and {SPLITS} differ in {len(unknown)} ids ({some(unknown)}); take one release")
    items = []
    for name, row in rows.items():
        if "image" in row:
            items.append(_item(name, row, _problem(problems, name), images))
    if not items:
        raise ValueError(f"{path} holds no question with a picture")
    return items


def _problem(problems: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    problem = problems.get(name)
    choices = problem.get("choices") if isinstance(problem, dict) else None
    answer = problem.get("answer") if isinstance(problem, dict) else None
    texts = isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    if not texts or not isinstance(answer, int) or not 0 <= answer < len(choices) <= len(LETTERS):
        raise ValueError(f"{PROBLEMS}, id {name}: {problem!r:.120}; expected up to five texts and answer, an index")
    return problem


def _item(name: str, row: Mapping[str, Any], problem: Mapping[str, Any], images: Path) -> Item:
    turn = row["conversations"][0] if row["conversations"] else None
    if not isinstance(turn, dict) or "<image>" not in str(turn.get("value")):
        raise ValueError(f"{QUESTIONS}, id {name}: no human turn with <image>; download it again")
    asked = turn["value"].replace("<image>", "").strip() + LETTER
    media = inside(images, row["image"], where=f"{QUESTIONS}, id {name}")
    return Item(
        name,
        media,
        prompt=asked,
        question=asked,
        answers=(LETTERS[problem["answer"]],),
        cluster=str(row["image"]),
        extra={"choices": problem["choices"]},
    )


def original_letter(reply: str) -> str:
    """The letter that `eval_science_qa.py` reads, or "FAILED": the reply is a letter, begins "X. ", or says once
    "The answer is X" and any further character.

    Its faults: "The answer is AB." is A, "The answer is A" at the very end is none, nor are "A." and "(A)". A letter
    beyond the choices is returned here and wrong in the count.
    """
    if reply in LETTERS and len(reply) == 1:
        return reply
    if len(reply) >= 3 and reply[0] in LETTERS and reply[1:3] == ". ":
        return reply[0]
    found = re.findall(r"The answer is ([A-Z]).", reply)
    return found[0] if len(found) == 1 else FAILED


def original_report(
    problems: Mapping[str, Mapping[str, Any]], ids: Sequence[str], predictions: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """What `eval_science_qa.py` computes for `ids`: parsed letters, ids that are right, accuracies in percent.

    predictions: id → {"text", "prompt"}. As there, an id without a prediction is FAILED and without a picture, silently
    (`score` never meets that case: the run holds every id); a picture is what the prompt says with `<image>`.
    """
    asked = {name: predictions.get(name, {"text": FAILED, "prompt": "Unknown"}) for name in ids}
    parsed = {name: original_letter(row["text"]) for name, row in asked.items()}
    right = {
        name
        for name in ids
        if parsed[name] in LETTERS[: len(problems[name]["choices"])]
        and LETTERS.index(parsed[name]) == problems[name]["answer"]
    }
    shown = [name for name, row in asked.items() if "<image>" in row["prompt"]]
    with_picture = sum(name in right for name in shown)
    return {
        "parsed": parsed,
        "correct_ids": [name for name in ids if name in right],
        "count": len(ids),
        "correct": len(right),
        "acc": 100 * len(right) / len(ids),
        "img_correct": with_picture,
        "img_total": len(shown),
        "img_acc": 100 * with_picture / len(shown) if shown else None,
    }


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Any = None) -> Score:
    """IMG-Accuracy in percent, by `original_letter` or `choice_letters.strict_letter`."""
    if mode == "original":
        problems = {i.id: {"choices": i.extra["choices"], "answer": LETTERS.index(i.answers[0])} for i in items}
        rows = {name: {"text": text, "prompt": "<image>"} for name, text in replies.items()}
        report = original_report(problems, [item.id for item in items], rows)
        right, letters = set(report["correct_ids"]), report["parsed"]
    else:
        letters = {
            i.id: strict_letter(replies[i.id], dict(zip(LETTERS, i.extra["choices"], strict=False))) or FAILED
            for i in items
        }
        right = {item.id for item in items if letters[item.id] == item.answers[0]}
    outcomes = {item.id: float(item.id in right) for item in items}
    none = tuple(name for name, letter in letters.items() if letter == FAILED)
    return Score(mode, part(list(outcomes.values())).value, accuracy_parts(items, outcomes), outcomes, none)


BENCHMARK = Benchmark(
    name="scienceqa",
    title="ScienceQA-IMG",
    columns={"": "SQA-Image"},
    media="image",
    files=FILES,
    load=load,
    score=score,
    modes=("original", "strict"),
    size=2_017,
    max_new_tokens=1024,
    pad=False,
)
