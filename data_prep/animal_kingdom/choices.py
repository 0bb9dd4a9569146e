"""One multiple-choice question about a video of Animal Kingdom's sheet, with drawn distractors: species, action, class.

Input: the sheet's names of one kind and those that are true of a video. Output: the true answer and its companions in
the order asked. Each question is about one true name, so that exactly one choice is true; the study asked no such
questions, the words are ours. What becomes of a video that cannot be asked about is left to `folder`.

True means annotated. Animals whose names say the same in words ("Bird" and "Tit Bird", "Lion" and "Lion Young") are
never in one question; that Anas Platyrhynchos Bird is another name of the Mallard Duck, or that whoever walks is also
moving, is not known here.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llamavid_kit.data.pairs import multiple_choice_question

TASKS = {
    "species": "Classify the animal in the video",
    "action": "Classify the action of an animal in the video",
    "class": "Classify the animal class in the video",
}
GENERAL = frozenset(
    {
        *("animal", "amphibian", "bird", "fish", "insect", "mammal", "reptile"),  # classes
        *("frog", "lizard", "monkey", "snake", "spider"),
    }
)


class NotAskedError(ValueError):
    """No question about this video; `reason` as listed in `draw`."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


def fold(name: str) -> str:
    """What names are compared by: letter case and blanks aside."""
    return " ".join(name.split()).casefold()


def distinct(names: Iterable[str]) -> list[str]:
    """Each name once, letter case aside: the first occurrence, in order."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(fold(name), name)
    return list(first.values())


def words_of(name: str) -> frozenset[str]:
    """The words of an animal's name, its age aside: of "Lion Young" and "Lion" the same."""
    words = frozenset(fold(name).replace("-", " ").split())
    return words - {"young"} or words


@dataclass(frozen=True)
class Names:
    """All names of one kind in a sheet; keys are folded and sorted.

    spelling: as asked, the most frequent one; n_videos: how many videos each name is true of
    classes: which all videos with that name have, folded: its own is among them
    words: of animals; general: animals that may be seen where another is annotated: `GENERAL` ones, classes ("Bird"),
        and names that are part of others ("Egret" of "Great Egret")
    refused: names that a multiple-choice question cannot hold, such as those with a comma
    """

    kind: str
    spelling: dict[str, str]
    n_videos: dict[str, int]
    classes: dict[str, frozenset[str]]
    words: dict[str, frozenset[str]]
    general: frozenset[str]
    refused: frozenset[str]


def collect(kind: str, videos: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Names:
    """`Names` from the (true names, classes) of every video of the sheet, in any order."""
    spellings: dict[str, Counter[str]] = {}
    classes: dict[str, frozenset[str]] = {}
    all_classes: set[str] = set()
    n_videos: Counter[str] = Counter()
    for true, of_classes in videos:
        own = frozenset(map(fold, of_classes))
        all_classes |= own
        for name in true:
            spellings.setdefault(fold(name), Counter())[name] += 1
            if own:
                classes[fold(name)] = classes.get(fold(name), own) & own
        n_videos.update({fold(name) for name in true})
    spelling = {name: min(n, key=lambda s: (-n[s], s)) for name, n in sorted(spellings.items())}
    words = {name: words_of(name) for name in spelling} if kind == "species" else {}
    ways_to_say = set(words.values())
    general = {name for name, part in words.items() if any(part < other for other in ways_to_say)}
    general |= set(words) & (GENERAL | all_classes)
    refused = frozenset(name for name in spelling if not _can_be_asked(spelling[name]))
    return Names(kind, spelling, dict(n_videos), classes, words, frozenset(general), refused)


def _can_be_asked(name: str) -> bool:
    try:
        multiple_choice_question("?", (name, f"not {name}"))
    except ValueError:
        return False
    return True


def draw(
    names: Names, true: Sequence[str], classes: Sequence[str], *, video: str, n_choices: int, seed: int
) -> tuple[str, tuple[str, ...]]:
    """(answer, choices): one of the names `true` of `video` among names that are not, fewer where the sheet has fewer.

    The answer is drawn evenly, general names only where there are no others. Distractors are drawn by how often they
    are true of other videos: among evenly drawn ones the most frequent name is the answer too often (of the actions of
    the first 50 videos, a guess without the video then hits 64%, and 36% as it is). A general name and the other
    choices must be of different classes. Draws come from seed, kind and video; the order of lists does not matter.

    Raises NotAskedError: nothing is true ("no class"), all true names are refused ("name"), all are general and no
    class is known ("general name"), or nothing is left to choose from ("too few names").
    """
    truth = {fold(name) for name in true}
    if not truth:
        raise NotAskedError(f"no {names.kind}", "the sheet gives none")
    askable = sorted(truth - names.refused)
    if not askable:
        raise NotAskedError("name", f"no choice can be called so: {sorted(true)}")
    own = {fold(c) for c in classes}
    candidates = [name for name in askable if name not in names.general] or (askable if own else [])
    if not candidates:
        raise NotAskedError("general name", f"{sorted(true)}: others may be seen as well, and no class is known")
    rng = random.Random(f"{seed}/{names.kind}/{video}")
    answer = candidates[int(rng.random() * len(candidates))]
    others = [
        name for name in _distractors(names, truth, own) if answer not in names.general or _apart(names, name, own)
    ]
    race = {name: -math.log(1 - rng.random()) / names.n_videos[name] for name in others}
    drawn = sorted(others, key=lambda name: (race[name], name))[: n_choices - 1]
    if not drawn:
        raise NotAskedError("too few names", f"no name is left to stand beside {names.spelling[answer]!r}")
    place = {name: rng.random() for name in sorted([answer, *drawn])}
    return names.spelling[answer], tuple(names.spelling[name] for name in sorted(place, key=place.__getitem__))


def _distractors(names: Names, truth: set[str], own: set[str]) -> Iterator[str]:
    """Names that are certainly not true, sorted. own: the video's classes."""
    true_words = [names.words[name] for name in truth if name in names.words]
    for name in names.spelling:
        if name in truth or name in names.refused or (name in names.general and not _apart(names, name, own)):
            continue
        words = names.words.get(name)
        if words is None or not any(words <= other or other <= words for other in true_words):
            yield name


def _apart(names: Names, name: str, own: set[str]) -> bool:
    """Whether this animal is of another class than all of `own`; not so where its class is not known."""
    classes = names.classes.get(name)
    return bool(own and classes and not classes & own)
