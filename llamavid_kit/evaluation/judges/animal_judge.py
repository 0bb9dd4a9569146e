"""A rule judge of open answers about animals: what a reply shares with the truth, as counts and a score from 0 to 5.

Knows claims (`animal_claims.parse`) and sets of them; no model, no file. Being a rule it gives the same verdict every
time and can be checked by hand; it grants no synonym and no paraphrase, so its numbers are a lower bound of a kind
reader's, and are not comparable with those of a language model as judge.
"""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from llamavid_kit.evaluation.judges.animal_claims import AnimalAction, animals_of, parse

__all__ = ["RULE", "YES_SCORE", "AnimalAction", "AnimalVerdict", "animals_of", "judge", "parse"]

YES_SCORE = 3  # the study's judge also said "yes" or "no": ours says yes from this score, F1 of at least one half
RULE = f"animal-action pairs by rule, score 0-5 from their F1, right from {YES_SCORE}"


@dataclass(frozen=True)
class AnimalVerdict:
    """What a reply shares with the truth. Order and repetition do not matter; each claim counts once.

    matched, missing: the truth's claims that the reply makes, and that it does not make
    invented: the reply's claims that the truth does not hold; its unparsed sentences are among them
    """

    matched: tuple[AnimalAction, ...]
    missing: tuple[AnimalAction, ...]
    invented: tuple[AnimalAction, ...]

    @property
    def n_reply(self) -> int:
        return len(self.matched) + len(self.invented)

    @property
    def n_truth(self) -> int:
        return len(self.matched) + len(self.missing)

    @property
    def precision(self) -> float:
        """Share of the reply's claims that are true; 0 for a reply without one."""
        return len(self.matched) / self.n_reply if self.n_reply else 0.0

    @property
    def recall(self) -> float:
        return len(self.matched) / self.n_truth

    @property
    def f1(self) -> float:
        return 2 * len(self.matched) / (self.n_reply + self.n_truth)

    @property
    def score(self) -> int:
        """0 where nothing matches, 5 where everything does, else 1 + 4·F1 rounded down, in whole numbers.

        So 1 is F1 below 1/4, 2 below 1/2, 3 below 3/4, 4 below 1: whatever is missing or invented costs a perfect
        reply its 5. Animals and actions that are right only apart are not in it: see `animals_f1`, `actions_f1`.
        """
        if not self.matched:
            return 0
        if not self.missing and not self.invented:
            return 5
        return 1 + 8 * len(self.matched) // (self.n_reply + self.n_truth)

    @property
    def correct(self) -> bool:
        """The judge's "yes": score 3 or more, F1 of at least 1/2."""
        return self.score >= YES_SCORE

    @property
    def animals_f1(self) -> float:
        """F1 of the sets of animals alone: who is there, whatever it does. An unparsed sentence stands for itself."""
        return self._apart(lambda claim: claim.key[0] or claim.key)

    @property
    def actions_f1(self) -> float:
        """F1 of the sets of actions alone: what is done, whoever does it."""
        return self._apart(lambda claim: claim.key[1] if claim.animal else claim.key)

    def _apart(self, part: Callable[[AnimalAction], Hashable]) -> float:
        reply, truth = ({part(c) for c in (*self.matched, *more)} for more in (self.invented, self.missing))
        return 2 * len(reply & truth) / (len(reply) + len(truth))

    @property
    def unparsed(self) -> tuple[AnimalAction, ...]:
        """The reply's sentences that name no animal with an action."""
        return tuple(claim for claim in (*self.matched, *self.invented) if claim.animal is None)

    @property
    def errors(self) -> dict[str, list[str]]:
        """Kind of error → claims, in words: missed action, invented action, wrong animal, not parsed; {} if perfect.

        Wrong animal: an invented claim about an animal that the truth does not name. A reply of which nothing could be
        parsed has the one kind "nothing parsed"; an empty one "empty reply".
        """
        if self.n_reply == len(self.unparsed) and not self.matched:
            return {"nothing parsed" if self.n_reply else "empty reply": [str(claim) for claim in self.invented]}
        animals = {claim.key[0] for claim in (*self.matched, *self.missing)}
        errors: dict[str, list[str]] = {"missed action": [str(claim) for claim in self.missing]}
        for claim in self.invented:
            kind = "invented action" if claim.key[0] in animals else "wrong animal"
            errors.setdefault(kind if claim.animal else "not parsed", []).append(str(claim))
        return {kind: claims for kind, claims in errors.items() if claims}


def judge(reply: str, truth: str, animals: Collection[str] = ()) -> AnimalVerdict:
    """Compare two texts claim by claim. Raises ValueError for a truth without a word.

    animals: the lexicon, in any number and case; `animals_of` makes one of a data set's own answers.
    """
    claims, true = parse(reply, animals=animals), parse(truth, animals=animals)
    if not true:
        raise ValueError(f'truth={truth!r} holds no sentence; expected something like "The lion is walking."')
    return AnimalVerdict(
        matched=tuple(claim for claim in true if claim in claims),
        missing=tuple(claim for claim in true if claim not in claims),
        invented=tuple(claim for claim in claims if claim not in true),
    )
