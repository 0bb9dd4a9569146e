"""How VQA answers are normalised and compared with ten people's: what VizWiz and VQAv2 have in common.

`evalai_answer` is what a submission file holds (Pythia's EvalAIAnswerProcessor, which LLaVA and LLaMA-VID call),
`vqa_accuracy` what the official VQAEval of GT-Vision-Lab gives for it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import Item, Mode, Score, accuracy_score, part
from llamavid_kit.files import write_whole

ARTICLES = ("a", "an", "the")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)} | {"none": "0"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
N_PERIODS = 32  # the original hands re.UNICODE (32) to `sub` where the count belongs: later periods stay

_CONTRACTED = Path(__file__).with_name("contractions.txt").read_text(encoding="utf-8")
CONTRACTIONS = {
    word[:i] + word[i + 1 :]: word for word in _CONTRACTED.split() for i, letter in enumerate(word) if letter == "'"
}
CONTRACTIONS["somebody'd"] = "somebodyd"  # the original's slip: the other way round
"""Words that lack one apostrophe → the word. The original's entries in capitals never apply, for words are lowered."""


def evalai_answer(reply: str) -> str:
    """A reply as submission files hold it: lower case, digits, no articles, little punctuation.

    Faults of the original are kept: "no-one" becomes "no 1", a possessive splits off ("tom 's"), "somebody'd" loses
    its apostrophe, and only the first 32 periods are removed.
    """
    text = reply.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return _plain_words(_without_punctuation(text.replace("\n", " ").replace("\t", " ").strip()))


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """The official VQA accuracy of one question, 0 to 1: the mean over people of min(1, others who said it / 3).

    As VQAEval does, answers are only normalised where the people disagree: "Donut." is wrong where all ten said "donut"
    and right where one said "bagel". Raises ValueError without people's answers.
    """
    if not people:
        raise ValueError("no people's answers to compare with")
    answer, people = _one_line(answer), [_one_line(a) for a in people]
    if len(set(people)) > 1:
        answer, *people = [_plain_words(_without_punctuation(a)) for a in (answer, *people)]
    return _leave_one_out(answer, people)


def people_of(answers: Any) -> tuple[str, ...]:
    """The texts of a label's list of {"answer": text}; none at all where it holds anything else."""
    texts = [a.get("answer") if isinstance(a, dict) else None for a in answers] if isinstance(answers, list) else []
    people = tuple(text for text in texts if isinstance(text, str))
    return people if len(people) == len(texts) else ()


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: object = None) -> Score:
    """The mean of `vqa_accuracy` of what would be submitted, in percent; None where people's answers are the server's.

    Parts are the answer types; `more` the question types, where the labels name them. The only mode is "original".
    """
    if not items[0].answers:
        return Score(mode, None)
    outcomes = {item.id: vqa_accuracy(evalai_answer(replies[item.id]), item.answers) for item in items}
    by_type: dict[str, list[float]] = {}
    for item in items:
        by_type.setdefault(item.extra.get("question_type", ""), []).append(outcomes[item.id])
    more = {"perQuestionType": {name: part(values).value for name, values in by_type.items() if name}}
    return accuracy_score(mode, items, outcomes, more=more)


def write_upload(path: Path, items: Sequence[Item], rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """`rows` as the server's JSON; None for labelled questions, which no server waits for."""
    if items[0].answers:
        return None
    write_whole(path, json.dumps(rows))
    return path


def _leave_one_out(answer: str, people: Sequence[str]) -> float:
    same = [a == answer for a in people]
    return sum(min(1.0, (sum(same) - mine) / 3) for mine in same) / len(people)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _without_punctuation(text: str) -> str:
    """A mark beside a blank goes, another becomes a blank; all go where a comma stands between digits."""
    out, number = text, re.search(r"\d,\d", text) is not None
    for mark in PUNCTUATION:
        out = out.replace(mark, "" if number or f"{mark} " in text or f" {mark}" in text else " ")
    return re.sub(r"\.(?!\d)", "", out, count=N_PERIODS)


def _plain_words(text: str) -> str:
    words = [NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
