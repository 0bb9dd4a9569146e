"""Which option a reply means, read strictly: for the multiple-choice benchmarks.

Each benchmark has its own original reader besides; this one never takes a letter out of the middle of a sentence.
"""

import re
from collections.abc import Mapping

_LETTER = re.compile(r"\(?([A-Z])\)?(?:[.:)]|$)")
_SENTENCE = re.compile(r"(?i:the answer is|answer:|option)\s*\(?([A-Z])\b\)?")


def strict_letter(reply: str, choices: Mapping[str, str]) -> str | None:
    """The letter of `choices` (letter → text) that the reply names, or None.

    A letter alone or before "." ":" or ")" at the reply's beginning; one after "The answer is", "Answer:" or "option",
    if all such agree; or exactly one choice's text and nothing else.
    """
    reply = reply.strip().strip("*")
    if (match := _LETTER.match(reply)) and match[1] in choices:
        return match[1]
    letters = set(_SENTENCE.findall(reply))
    if len(letters) == 1:
        return next((letter for letter in letters if letter in choices), None)
    same = [letter for letter, text in choices.items() if text.strip().lower() == reply.rstrip(".").lower()]
    return same[0] if len(same) == 1 and not letters else None
