"""What a text claims about animals: English sentences → claims (animal, action), and the lexicon of a set's animals.

Knows sentences as Animal Kingdom writes them ("The lion is walking.") and nothing of videos, models or scores; what two
texts share is `animal_judge.py`'s. It compares words, not meanings: "sensing its surrounding" is not "sensing its
environment", "bird" is not "egret", "walking in the jungle" is not "walking". On 420 sentences of the real annotation,
with the lexicon of the same sentences, 417 are read as animal and action (397 without a lexicon).

How a sentence is read. First the text is cut at . ! ? ; : and line ends, and before a capital "The", "A", "Two" … in
the middle, where a full stop is missing. Then, in this order:
1. It begins with one or more animals of the lexicon (longest match; "the lion and the bird"), then is/are: the rest is
   the action.
2. is/are stands further on, and no linking word (and, while, that, …) before it: all before it is the animal, whether
   the lexicon knows it or not, unless it is a word that is no animal ("the video", "it", "no lion").
3. No such is/are, but the sentence begins with an animal of the lexicon: the rest is the action ("dips its face …").
4. Anything else stays unparsed: a claim without an animal, which only the same words can match. Never a guess.
"walking, eating and drinking" are three actions; "…, while the bird is flying" begins a new sentence if the lexicon
knows the bird. Nothing is dropped but pieces without a letter (list numbers) and openings such as "In the video,".
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

_CUT = re.compile(
    r"[!?;\n\r\u2028\u2029\x85]+|\.(?!\d)"
    r"|(?<=[^\W\d_])\s+(?=(?:The|An?|Another|Two|Three|Four|Five|Some|Several|Many|This|These)\s)"
)
_WORD = re.compile(r"[^\W_]+(?:['\-][^\W_]+)*|,")
_OPENING = re.compile(
    r"(?:in (?:the|this) (?:video|clip)|(?:the|this) (?:video|clip) (?:shows|depicts|features)"
    r"|(?:there|here) (?:is|are)|(?:we|you|i) (?:can )?see) (?:, )?"
)
_COPULA = re.compile(
    r"(?:is|are|was|were|can be|could be|(?:seems?|appears?) to be)(?: (?:also|now|then|currently|seen|shown))*(?= |$)"
)
_COUNTS = "the|an?|this|that|these|those|another|other|one|two|three|four|five|six|several|some|many|both|all|of"
_BARE = re.compile(rf"(?:(?:{_COUNTS}|(?:group|pair|flock|herd|pack|swarm) of) )*")
_NO_ANIMAL = re.compile(
    rf"(?:{_COUNTS}|video|clip|scene|camera|frame|image|footage|it|they|he|she|there|here|we|you|i|who|what"
    r"|no|none|nothing|nobody|neither)(?= |$)"
)
_ARTICLES = frozenset(("a", "an", "the"))
_CLAUSES = frozenset((",", "and", "but", "while", "as"))
_LINKS = _CLAUSES | {"or", "when", "where", "who", "which", "that", "what", "if", "because", "before", "after"}
_PLACE = frozenset(("in", "on", "at", "of", "with", "near", "behind", "under", "above", "beside", "by", "to", "from"))
_ING_NOUNS = frozenset(("nothing", "something", "anything", "everything", "morning", "evening", "spring", "string"))
_IRREGULAR = {"mice": "mouse", "geese": "goose", "wolves": "wolf", "calves": "calf", "larvae": "larva", "oxen": "ox"}
_SAME_WORD = {"their": "its", "themselves": "itself"}


@dataclass(frozen=True)
class AnimalAction:
    """One claim: an animal does something. Equal where animal and action are the same but for number and ending.

    animal: as written, lower case, without article or number; None for a sentence that could not be parsed
    action: what it does, without is/are and articles; the whole sentence where it could not be parsed
    key: what is compared: animal in the singular, "their" as "its", the verb's stem (walks, walking → walk)
    """

    animal: str | None = field(compare=False)
    action: str = field(compare=False)
    key: tuple[str | None, str] = field(init=False, repr=False)

    def __post_init__(self):
        verb, *rest = self.action.split()
        action = " ".join([_stem(verb), *(_SAME_WORD.get(word, word) for word in rest)])
        object.__setattr__(self, "key", (_singular(self.animal) if self.animal else None, action))

    def __str__(self) -> str:
        return f"{self.animal}: {self.action}" if self.animal else f'"{self.action}"'


def animals_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The lexicon of a data set's answers: what stands before is/are in their sentences, sorted, each once."""
    animals = {claim.key[0]: claim.animal for text in texts for claim in parse(text) if claim.animal}
    return tuple(sorted(animals.values()))


def parse(text: str, *, animals: Collection[str] = ()) -> list[AnimalAction]:
    """The claims of a text in reading order, each once; see the head of this file for how a sentence is read."""
    lexicon = _lexicon(tuple(animals))
    claims = [claim for sentence in _sentences(text, lexicon) for claim in _claims(sentence, lexicon)]
    return list(dict.fromkeys(claims))


@lru_cache(maxsize=8)
def _lexicon(animals: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_singular(" ".join(_bare(_words(animal)))) for animal in animals)


def _words(text: str) -> list[str]:
    """Lower-case words and commas; hyphens and apostrophes within a word stay, every other sign goes."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _bare(words: list[str]) -> list[str]:
    """Without articles, numbers and "a group of" at the start, but never empty: "the two lions" → "lions"."""
    text = " ".join(words)
    return _BARE.sub("", text, count=1).split()


def _sentences(text: str, lexicon: frozenset[str]) -> list[list[str]]:
    """The words of each piece that has a letter. "Lion: walking" reads "Lion is walking"; other colons end a piece."""

    def colon(match: re.Match) -> str:
        return match[1] + (" is " if _singular(" ".join(_bare(_words(match[1])))) in lexicon else "\n")

    pieces = _CUT.split(re.sub(r"([^.!?;:\n]+):", colon, text))
    return [_words(piece) for piece in pieces if any(map(str.isalpha, piece))]


def _claims(sentence: list[str], lexicon: frozenset[str]) -> list[AnimalAction]:
    words = sentence
    while words != (opened := _without_opening(words)):
        words = opened
    subjects, rest = _subjects(words, lexicon)
    if not (subjects and _copula(rest)):
        subjects, rest = _before_copula(words) or (subjects, rest)
    if subjects and rest and rest[0] not in _PLACE | {"and", ","}:
        predicate, following = _next_clause(rest, lexicon)
        if actions := _actions(predicate):
            claims = [AnimalAction(animal, action) for animal in subjects for action in actions]
            return claims + (_claims(following, lexicon) if following else [])
    return [AnimalAction(None, " ".join(word for word in sentence if word != ","))]


def _without_opening(words: list[str]) -> list[str]:
    text = " ".join(words)
    return text[match.end() :].split() if (match := _OPENING.match(text)) else words


def _copula(words: list[str]) -> int:
    """How many words of is/are, "also" and the like stand at the start."""
    return len(match[0].split()) if (match := _COPULA.match(" ".join(words))) else 0


def _subjects(words: list[str], lexicon: frozenset[str]) -> tuple[list[str], list[str]]:
    """The animals of the lexicon at the start, joined by "and" or commas, each the longest possible; and the rest."""
    bare = _bare(words)
    for n in range(len(bare), 0, -1):
        animal, rest = " ".join(bare[:n]), bare[n:]
        if _singular(animal) in lexicon:
            joined = rest[1:] if rest[:1] in (["and"], [","]) else []
            more, after = _subjects(joined[1:] if joined[:1] == ["and"] else joined, lexicon)
            return ([animal, *more], after) if more else ([animal], rest)
    return [], words


def _before_copula(words: list[str]) -> tuple[list[str], list[str]] | None:
    """What stands before the first is/are as the one animal, unless it cannot be one."""
    at = next((i for i in range(1, len(words)) if _copula(words[i:])), 0)
    animal = _bare(words[:at])
    if not animal or _NO_ANIMAL.match(" ".join(animal)) or _LINKS & set(animal):
        return None
    return [" ".join(animal)], words[at:]


def _next_clause(rest: list[str], lexicon: frozenset[str]) -> tuple[list[str], list[str]]:
    """Cuts before ", the bird is …" where the lexicon knows the bird."""
    for at in range(1, len(rest)):
        if rest[at] in _CLAUSES:
            after = rest[at + 2 :] if rest[at + 1 : at + 2] and rest[at + 1] in _CLAUSES else rest[at + 1 :]
            subjects, end = _subjects(after, lexicon)
            if subjects and _copula(end):
                return rest[:at], after
    return rest, []


def _actions(predicate: list[str]) -> list[str]:
    """Each action of a predicate: cut before "and" or a comma with a word in -ing, articles and commas left out."""
    words, at = predicate[_copula(predicate) :], 0
    parts: list[list[str]] = [[]]
    while at < len(words):
        if words[at] in ("and", ","):
            to = at + 1 + (words[at : at + 2] == [",", "and"])
            to += _copula(words[to:])
            if to < len(words) and _is_doing(words[to]):
                parts.append([])
                at = to
        parts[-1].append(words[at])
        at += 1
    texts = [" ".join(word for word in part if word not in _ARTICLES | {","}) for part in parts]
    return [text for text in texts if text]


def _is_doing(word: str) -> bool:
    return len(word) > 4 and word.endswith("ing") and word not in _ING_NOUNS


def _singular(text: str) -> str:
    """Without articles, every word in the singular as far as its ending tells, alike for all texts: lions → lion."""

    def word(plural: str) -> str:
        if plural in _IRREGULAR:
            return _IRREGULAR[plural]
        if re.search(r"..(?:ss|sh|ch|x|z|o|pus|rus)es$", plural):
            return plural[:-2]
        if re.search(r"..ies$", plural):
            return plural[:-3] + "y"
        return plural[:-1] if re.search(r"..[^siu]s$", plural) else plural

    return " ".join(word(each) for each in text.split() if each not in _ARTICLES)


def _stem(verb: str) -> str:
    """walks, walking → walk; flies, flying → fli; dives, diving → div; hugs, hugging → hug: compared, never shown."""
    for ending in ("ing", "es", "s"):
        if verb.endswith(ending) and re.search("[aeiouy]", verb[: -len(ending)]):
            verb = verb[: -len(ending)]
            break
    verb = re.sub("y$", "i", verb.rstrip("e") or verb)
    return re.sub(r"([^aeiou])\1$", r"\1", verb)
