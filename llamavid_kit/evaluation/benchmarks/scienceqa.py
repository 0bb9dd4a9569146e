"""ScienceQA (Lu et al. 2022), the 2,017 test questions with a picture: a letter from up to five choices."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import LETTER, Benchmark, Item, Mode, Score, accuracy_score
from llamavid_kit.evaluation.benchmarks.choice_letters import causes, strict_letter
from llamavid_kit.evaluation.benchmarks.reading import DOWNLOAD, inside, needed, read_by_id
from llamavid_kit.files import read_json, some

QUESTIONS, PROBLEMS, SPLITS = "llava_test_CQM-A.json", "problems.json", "pid_splits.json"
LETTERS = "ABCDE"


def load(data: Path) -> list[Item]:
    """The test questions that have a picture, with their choices in `extra`.

    The text decoder is asked question, choices and instruction, and the picture's centre is seen: both as the
    original's `model_vqa_science.py` does.
    """
    path, images, problems_path, splits_path = needed(data, "scienceqa", QUESTIONS, "images/test", PROBLEMS, SPLITS)
    problems, splits = read_json(problems_path, way_out=DOWNLOAD), read_json(splits_path, way_out=DOWNLOAD)
    if not isinstance(problems, dict) or not isinstance(splits, dict) or not isinstance(splits.get("test"), list):
        raise ValueError(f"{data}: {PROBLEMS} must be an object of problems, {SPLITS} one with a list of ids `test`")
    test, rows = list(map(str, splits["test"])), read_by_id(path, {"id": str, "conversations": list})
    if unknown := [name for name in test if name not in rows] + [name for name in rows if name not in test]:
        raise ValueError(f"{path} and {SPLITS} differ in {len(unknown)} ids ({some(unknown)}); take one release")
    items = [_item(name, row, problems.get(name), images) for name, row in rows.items() if "image" in row]
    if not items:
        raise ValueError(f"{path} holds no question with a picture")
    return items


def _item(name: str, row: Mapping[str, Any], problem: Any, images: Path) -> Item:
    choices, answer = (problem.get("choices"), problem.get("answer")) if isinstance(problem, dict) else (None, None)
    texts = choices if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices) else []
    if not isinstance(answer, int) or not 0 <= answer < len(texts) <= len(LETTERS):
        raise ValueError(f"{PROBLEMS}, id {name}: {problem!r:.120}; expected up to five texts and answer, an index")
    turn = row["conversations"][0] if row["conversations"] else None
    if not isinstance(turn, dict) or "<image>" not in str(turn.get("value")):
        raise ValueError(f"{QUESTIONS}, id {name}: no human turn with <image>; download it again")
    question = turn["value"].replace("<image>", "").strip() + LETTER
    media = inside(images, row["image"], where=f"{QUESTIONS}, id {name}")
    extra = {"choices": dict(zip(LETTERS, texts, strict=False))}
    return Item(name, media, question, question, (LETTERS[answer],), cluster=str(row["image"]), extra=extra)


def original_letter(reply: str) -> str | None:
    """The letter that `eval_science_qa.py` reads, None where it says FAILED.

    The reply is a letter, begins "X. ", or says once "The answer is X" and any further character. Its faults: "The
    answer is AB." is A, "The answer is A" at the very end is none, nor are "A." and "(A)". A letter beyond the choices
    is returned too, and is wrong.
    """
    if reply in tuple(LETTERS):
        return reply
    if len(reply) >= 3 and reply[0] in LETTERS and reply[1:3] == ". ":
        return reply[0]
    letters = re.findall(r"The answer is ([A-Z]).", reply)
    return letters[0] if len(letters) == 1 else None


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: object = None) -> Score:
    """IMG-Accuracy in percent, by `original_letter` or `choice_letters.strict_letter`."""
    letters = {
        i.id: original_letter(replies[i.id]) if mode == "original" else strict_letter(replies[i.id], i.extra["choices"])
        for i in items
    }
    outcomes = {item.id: float(letters[item.id] == item.answers[0]) for item in items}
    none = tuple(name for name, letter in letters.items() if letter is None)
    more = {"no answer": causes(items, replies)} if mode == "strict" else {}
    return accuracy_score(mode, items, outcomes, no_answer=none, more=more)


BENCHMARK = Benchmark.of("scienceqa", load, score)
