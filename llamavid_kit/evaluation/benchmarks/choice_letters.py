"""Which option a reply means, read strictly: for the multiple-choice benchmarks.

Each benchmark has its own original reader besides. This one reads as a careful person does: one clear answer, or none
and why. It never takes a letter out of the middle of a sentence, and never takes the article of "A dog" for option A.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from llamavid_kit.evaluation.answer_part import answer_part
from llamavid_kit.evaluation.benchmarks.base import Item

EMPTY, SEVERAL, NONE = "nothing is said", "several options are named", "no option is named"
_NEXT = r"(?=[.,:;!?/&+]|\s*$|\s(?:[-–—(]|(?:because|since|as|and|or)\b))"  # what follows a letter that is no article
_LETTER = rf"'?[(\[{{]*(?:([A-Za-z])(?:[)\]}}]+|'?{_NEXT}))"
_IS = r" (?:is|(?:would|should|must) be)(?: (?:most likely|likely|probably|definitely|clearly))?\b ?:?"
_LEADS = rf"(?:answer|option|choice|letter)(?:{_IS}| ?[:=-])|choose\b|pick\b|select\b|go with\b|say\b|boxed\b"
_LEAD = re.compile(
    rf"\b(?:{_LEADS}|(?:it|this|that)(?:'s| is)\b|(?:so|thus|hence)\b,?)\s*(?:(?:option|choice)\b\s*)?", re.I
)
_RIGHT = r"\b([A-Z])\)? is (?:the )?(?:correct|right|best|answer)\b"
_STATED = re.compile(rf"{_LEAD.pattern}{_LETTER}|{_RIGHT}", re.I | re.M)
_LEADING = re.compile(rf"(?:(?i:option|choice) )?{_LETTER}")
_OPTION = re.compile(rf"\b(?:option|choice|answer) {_LETTER}|\(([A-Z])\)", re.I | re.M)
_LISTED = re.compile(r"(?<![\w'])([A-Z])(?:[):.]|$)")
_MORE = re.compile(rf" ?(?:[,/&+]|,? ?\b(?:and|or)\b) ?(?:option )?{_LETTER}")
_NOT = re.compile(r"\b(?:not|never|no|neither|nor|cannot)\b|n't\b", re.I)
_IS_NOT = re.compile(r"[ :)\]]*(?:(?:is|was|does|can|could) ?)?(?:n't|(?:not|no|never|wrong|incorrect|false)\b)", re.I)


def strict_letter(reply: str, choices: Mapping[str, str]) -> str | None:
    """The letter of `choices` (letter → text) that the reply names, or None: see `read_letter`."""
    return read_letter(reply, choices)[0]


def read_letter(reply: str, choices: Mapping[str, str]) -> tuple[str | None, str]:
    """(the letter of `choices` that the reply names, "") or (None, why it names none).

    Letters in words like "The answer is B" come first, then one at the beginning of a line, then "option B" or "(B)"
    anywhere, then exactly one choice's text and nothing else. A letter that is denied ("not B", "B is wrong") is none.
    """
    text = _plain(answer_part(reply))
    stated = _letters(_STATED, text)
    leading: set[str] = set()
    for line in text.splitlines():
        if (match := _LEADING.match(line)) and not _denied(match):
            leading |= {match[1].upper()} | _beside(match, choices)
    names = stated if len(stated) == 1 and len(leading) != 1 else stated | leading  # more: the options are said again
    names |= {more[1].upper() for m in _STATED.finditer(text) if (more := _MORE.match(text, m.end()))}
    names = names or _letters(_OPTION, text)
    if not names:
        ends = [text, *(text[m.end() :].partition("\n")[0] for m in _LEAD.finditer(text) if not _denied(m))]
        names = {letter for end in ends for letter in _same(end, choices)}
    if len(names) == 1 and names <= choices.keys():
        return names.pop(), ""
    return None, EMPTY if not text else SEVERAL if len(names) > 1 else NONE


def causes(items: Sequence[Item], replies: Mapping[str, str]) -> dict[str, int]:
    """Why replies name no letter of their item's `extra["choices"]` → how often."""
    readings = [read_letter(replies[item.id], item.extra["choices"]) for item in items]
    return dict(Counter(why for _, why in readings if why).most_common())


def _plain(text: str) -> str:
    """Without marks of emphasis, code and formulas and double blanks; full-width letters and curly quotes as plain."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    text = re.sub(r"[*`$\"\u201c\u201d]|\\text|\\mathrm", "", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def _letters(pattern: re.Pattern, text: str) -> set[str]:
    return {(m[1] or m[2]).upper() for m in pattern.finditer(text) if not _denied(m)}


def _denied(match: re.Match) -> bool:
    """Whether the clause around a letter says that it is not the answer."""
    before = re.split(r"[.!?;,\n]|\b(?:but|so|then)\b", match.string[max(0, match.start() - 200) : match.start()])[-1]
    return bool(_NOT.search(before) or _IS_NOT.match(match.string, match.end()))


def _beside(match: re.Match, choices: Mapping[str, str]) -> set[str]:
    """Other letters that the line of a leading letter names, by letter or by a choice's text alone."""
    rest = match.string[match.end() :]
    if match[1].upper() in (same := _same(rest, choices)):
        return set()
    more = _MORE.match(rest)
    return {*same, *([more[1].upper()] if more else []), *(m[1] for m in _LISTED.finditer(rest) if not _denied(m))}


def _same(text: str, choices: Mapping[str, str]) -> set[str]:
    """Letters of the choices that `text` is, with their letter before it or not; case, article and marks aside."""
    texts = {letter: _bare(_plain(choice)) for letter, choice in choices.items()}
    first, _, rest = text.strip().partition(" ")
    return {k for k, same in texts.items() if same and (_bare(text) == same or (first == k and _bare(rest) == same))}


def _bare(text: str) -> str:
    return re.sub(r"^(?:an?|the)\s+(?=\S)", "", " ".join(text.casefold().split()).strip(" .,:;!?-–—'()[]{}"))
