"""What will be asked about each film: the three kinds of questions, and the passages that they are spread over.

Knows the kinds and which text each of them needs (`sources` reads the texts). Asking is left to `writer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from data_prep.movies.sources import Film, Passage, passages

PASSAGE_CHARS = 12_000  # about 3,000 tokens of English


@dataclass(frozen=True)
class Kind:
    """One of the paper's three kinds of long-video questions.

    sources: where passages come from, the first that a film has      whole: the source may not be cut
    types: what a question can be      answer_chars: shortest and longest answer, characters
    per_film: about as many pairs a film as the paper made (LLaMA-VID, arXiv 2311.17043: 1,000, 4,000 and 4,000 for 400)
    """

    sources: tuple[str, ...]
    types: tuple[str, str]
    per_film: int
    answer_chars: tuple[int, int]
    whole: bool = False


KINDS = {
    "summary": Kind(("synopsis",), ("brief", "detailed"), 3, (40, 6000), whole=True),
    "plot": Kind(("synopsis",), ("plot", "character"), 10, (2, 2000)),
    "detail": Kind(("script", "subtitles"), ("detail", "reasoning"), 10, (2, 2000)),
}
PER_FILM = {name: kind.per_film for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Request:
    """One question to the model: `n` pairs of a kind about one passage of a film."""

    film: Film
    kind: str
    number: int
    passage: Passage
    n: int

    @property
    def id(self) -> str:
        return f"{self.film.name}/{self.kind}/{self.number:03d}"


class Unmade(NamedTuple):
    """A kind that cannot be made of a film, and why."""

    film: str
    kind: str
    why: str


def plan(
    films: Sequence[Film], *, per_film: Mapping[str, int] = PER_FILM, passage_chars: int = PASSAGE_CHARS
) -> tuple[list[Request], list[Unmade]]:
    """(what will be asked, what cannot be made). per_film: kind → pairs a film, 0 for none.

    The pairs of a film are spread evenly over its passages; of more passages than pairs, every so-manieth is asked.
    """
    if set(per_film) != set(KINDS) or min(per_film.values()) < 0 or passage_chars < 100:
        raise ValueError(f"{per_film=}, {passage_chars=}: expected a number a kind ({list(KINDS)}), and 100 or more")
    requests: list[Request] = []
    unmade: list[Unmade] = []
    for film in films:
        for name, n in per_film.items():
            stretches, why = _passages(film, name, passage_chars) if n else ([], "")
            if why:
                unmade.append(Unmade(film.name, name, why))
            requests += [
                Request(film, name, number, passage, share)
                for number, (passage, share) in enumerate(_spread(stretches, n), start=1)
            ]
    return requests, unmade


def _passages(film: Film, kind: str, most_chars: int) -> tuple[list[Passage], str]:
    """(passages of the first source that the film has, "") or ([], why there are none)."""
    sources = KINDS[kind].sources
    source = next((source for source in sources if source in film.texts), None)
    if source is None:
        return [], "; ".join(film.faults[source] for source in sources)
    file, text = film.texts[source]
    if KINDS[kind].whole and len(text) > most_chars:
        return [], f"{file} has {len(text)} characters and may not be cut for a {kind}; raise --passage-chars"
    return passages(file, text, most_chars), ""


def _spread(stretches: Sequence[Passage], n: int) -> list[tuple[Passage, int]]:
    if len(stretches) > n:
        return [(stretches[int((k + 0.5) * len(stretches) / n)], 1) for k in range(n)]
    return [(s, n // len(stretches) + (k < n % len(stretches))) for k, s in enumerate(stretches)]
