"""The prompts of the movie data, and what counts as a usable reply to them.

Knows the files in `prompts/` and the JSON that they ask for. Which passage is asked about is told in `plan`, how a
request reaches a model in `llamavid_kit.evaluation.judges.chat.endpoint`.
"""

import json
import re
import string
from dataclasses import dataclass
from pathlib import Path

from data_prep.movies.plan import KINDS, Kind
from llamavid_kit.data.prompt import IMAGE, TEMPLATES
from llamavid_kit.evaluation.answer_part import answer_part
from llamavid_kit.evaluation.judges.chat.endpoint import Messages
from llamavid_kit.files import read_text

SHIPPED_PROMPTS = Path(__file__).parent / "prompts"
QUESTION_CHARS = (8, 500)
QUOTED_CHARS = 2000  # of an unusable reply, when it is sent back
_FORBIDDEN = (IMAGE, TEMPLATES["imgsp_v1"].answer_end)  # would end an answer or open a slot in training


class MalformedReplyError(Exception):
    """A reply that cannot be used; the text says why, in words that the model can act on."""


@dataclass(frozen=True)
class QuestionAnswer:
    type: str
    question: str
    answer: str


class Prompts:
    """The text files of a folder: system, one a kind, and again (after an unusable reply).

    `$film`, `$n`, `$passage` (and `$problem` in again.txt) are filled in; a plain dollar sign is written `$$`.
    Raises FileNotFoundError for a file that is not there, ValueError for an unknown or missing `$name`.
    """

    _FIELDS = {"system": set(), "again": {"problem", "n"}} | {kind: {"film", "n", "passage"} for kind in KINDS}
    _NEEDED = {"again": {"problem"}} | {kind: {"n", "passage"} for kind in KINDS}

    def __init__(self, folder: str | Path = SHIPPED_PROMPTS):
        self.texts: dict[str, str] = {}
        for name, known in self._FIELDS.items():
            path = Path(folder) / f"{name}.txt"
            if not path.is_file():
                raise FileNotFoundError(f"{path} is not there; start from a copy of {SHIPPED_PROMPTS}")
            template = string.Template(read_text(path).strip())
            used = set(template.get_identifiers())
            if not template.is_valid() or used - known or self._NEEDED.get(name, set()) - used:
                raise ValueError(
                    f"{path}: fills in {sorted(used)}; expected {sorted(self._NEEDED.get(name, set()))}, "
                    f"at most {sorted(known)}, and $$ for a dollar sign"
                )
            self.texts[name] = template.template

    def ask(self, kind: str, *, film: str, n: int, passage: str) -> Messages:
        """The messages of a first try."""
        return [
            {"role": "system", "content": self._filled("system")},
            {"role": "user", "content": self._filled(kind, film=film, n=n, passage=passage)},
        ]

    def ask_again(self, first: Messages, reply: str, problem: str, n: int) -> Messages:
        """The messages of a further try: the first, the reply (its beginning), and what is wrong with it."""
        beginning = reply[:QUOTED_CHARS].encode("utf-8", "replace").decode("utf-8")
        return [
            *first,
            {"role": "assistant", "content": beginning or "(nothing)"},
            {"role": "user", "content": self._filled("again", problem=problem, n=n)},
        ]

    def _filled(self, name: str, **values) -> str:
        return string.Template(self.texts[name]).substitute(values)


def read_reply(text: str, kind: Kind, n: int) -> list[QuestionAnswer]:
    """The `n` pairs of a reply. Raises MalformedReplyError unless everything is as asked for.

    Expected is {"pairs": [{"type", "question", "answer"}, …]} and nothing else; only a code fence around it, thoughts
    before it and marks of the end are taken off. Types are those of the kind, all of them where n allows; texts lie
    within their bounds and hold no marks of the training format; no question occurs twice.
    """
    bare = answer_part(text)
    if fence := re.fullmatch(r"```(?:json)?\s*\n(.*)\n```", bare, flags=re.DOTALL):
        bare = fence[1]
    try:
        value = json.loads(bare)
    except (ValueError, RecursionError) as error:
        raise MalformedReplyError(f"it is not JSON ({error})") from None
    if not isinstance(value, dict) or set(value) != {"pairs"} or not isinstance(value["pairs"], list):
        raise MalformedReplyError('expected an object with the one field "pairs", a list')
    if len(value["pairs"]) != n:
        raise MalformedReplyError(f"it has {len(value['pairs'])} pairs, expected {n}")
    pairs = [_read_pair(pair, number, kind) for number, pair in enumerate(value["pairs"], start=1)]
    questions = [same_question(pair.question) for pair in pairs]
    if twice := sorted({pair.question for pair, q in zip(pairs, questions, strict=True) if questions.count(q) > 1}):
        raise MalformedReplyError(f"it asks the same twice: {twice[0]!r}")
    if n >= len(kind.types) and (unused := sorted(set(kind.types) - {pair.type for pair in pairs})):
        raise MalformedReplyError(f"no pair has the type {unused[0]!r}")
    return pairs


def same_question(question: str) -> str:
    """What two questions share that differ only in case, punctuation and blanks."""
    return " ".join(re.findall(r"\w+", question.casefold()))


def _read_pair(pair: object, number: int, kind: Kind) -> QuestionAnswer:
    if not isinstance(pair, dict) or set(pair) != {"type", "question", "answer"}:
        raise MalformedReplyError(f'pair {number}: expected an object with "type", "question" and "answer" only')
    if pair["type"] not in kind.types:
        raise MalformedReplyError(f"pair {number}: type {pair['type']!r}, expected one of {', '.join(kind.types)}")
    for name, (least, most) in (("question", QUESTION_CHARS), ("answer", kind.answer_chars)):
        if not isinstance(pair[name], str):
            raise MalformedReplyError(f"pair {number}: the {name} is not a text")
        text = pair[name] = pair[name].strip()
        if not least <= len(text) <= most:
            raise MalformedReplyError(f"pair {number}: {name} of {len(text)} characters, expected {least} to {most}")
        if any(mark in text for mark in _FORBIDDEN) or not _is_unicode(text):
            raise MalformedReplyError(f"pair {number}: the {name} holds {' or '.join(_FORBIDDEN)} or half a character")
    if not same_question(pair["question"]):
        raise MalformedReplyError(f"pair {number}: the question holds no words")
    return QuestionAnswer(**pair)


def _is_unicode(text: str) -> bool:
    """False for half a surrogate pair, which JSON can hold and no file can."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
