"""What an ablation asks: a closed question with labels, or an open one about animals whose replies a rule judges.

A question knows how long an answer may be, how a reply becomes a line of an arm file, and what an arm's lines are
worth. Who is asked about which clips is `ablation.py`'s; how a label is found is `scoring.py`'s, how sentences are
judged `animal_judge.py`'s, intervals and tests are `statistics.py`'s.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from llamavid_kit.data.pairs import InstructionPair, check_disjoint, check_unique
from llamavid_kit.evaluation.judges.animal_judge import RULE, AnimalAction, animals_of, judge, parse
from llamavid_kit.evaluation.scoring import label_of, score
from llamavid_kit.evaluation.statistics import bootstrap_ratio, compare_arms, compare_scores, wilson
from llamavid_kit.model.answering import answer_ids
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.llama_vid import LlamaVid

log = logging.getLogger(__name__)

Lines = Sequence[dict[str, Any]]  # of one arm, in the order of the clips
TOP_SCORE = 5


class Question(Protocol):
    """What an ablation needs to know of a question: `text` is asked, `labels` are the choices, () if it is open."""

    text: str
    labels: tuple[str, ...]

    def rule_of(self, answering: str) -> str:
        """How replies are judged, in the words that head an arm file."""

    def n_reply(self, model: LlamaVid, pairs: Sequence[InstructionPair], max_new_tokens: int) -> int:
        """Tokens of context that every clip leaves free for its answer."""

    def listed(self) -> dict[str, Any]:
        """What `clips.json` says of the question: enough to judge the replies again."""

    def line(self, pair: InstructionPair, reply: Reply) -> dict[str, Any]:
        """What an arm file says of one clip: "clip", "truth", "reply", "correct", "timestamps_s" and more."""

    def score(self, lines: Lines) -> dict[str, Any]:
        """An arm's numbers: "n", "correct", "accuracy", "wilson95" and more."""

    def baseline(self, clips: dict, lines: Lines) -> dict[str, Any]:
        """What giving all clips one answer would get: "label" (the answer), "correct", "n" and more."""

    def compare(self, a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
        """Two arms on the same clips. Each key "p" or "…_p" is a p-value, to be adjusted with all others."""


@dataclass(frozen=True)
class ClosedQuestion:
    """One of `labels` is right; a generated reply names one by `rule` (see `scoring.RULE_TEXT`) or none."""

    text: str
    labels: tuple[str, ...]
    rule: str = "normalised"

    def rule_of(self, answering: str) -> str:
        return self.rule if answering == "generation" else "likeliest choice"

    def n_reply(self, model: LlamaVid, pairs: Sequence[InstructionPair], max_new_tokens: int) -> int:
        """A choice may be longer than the longest reply."""
        return max(max_new_tokens, *(len(answer_ids(model, self.text, label)) for label in self.labels))

    def listed(self) -> dict[str, Any]:
        return {"question": self.text, "labels": list(self.labels)}

    def line(self, pair: InstructionPair, reply: Reply) -> dict[str, Any]:
        label = reply.text if reply.log_likelihood else label_of(reply.text, self.labels, rule=self.rule)
        row = {
            "clip": pair.id,
            "truth": pair.answer,
            "reply": reply.text,
            "label": label,
            "correct": label == pair.answer,
            "timestamps_s": list(reply.timestamps_s),
        }
        if reply.log_likelihood:
            row["log_likelihood"] = {choice: round(value, 4) for choice, value in reply.log_likelihood.items()}
        if reply.n_tokens:
            row["n_tokens"] = dict(reply.n_tokens)
        return row

    def score(self, lines: Lines) -> dict[str, Any]:
        return score([x["truth"] for x in lines], [x["label"] for x in lines], labels=self.labels).to_dict()

    def baseline(self, clips: dict, lines: Lines) -> dict[str, Any]:
        """Always answering the most frequent class of these clips."""
        truths = [x["truth"] for x in lines]
        return asdict(score(truths, truths, labels=self.labels).baseline)

    def compare(self, a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
        return _compare_right(a, b, names)


@dataclass(frozen=True)
class OpenQuestion:
    """Sentences about animals are right; the judge's lexicon is `animals`, those of the data set's own answers."""

    text: str
    animals: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def rule_of(self, answering: str) -> str:
        return RULE

    def n_reply(self, model: LlamaVid, pairs: Sequence[InstructionPair], max_new_tokens: int) -> int:
        """Raises ValueError where a true answer is longer than any reply may be: no model could give it."""
        lengths = {p.id: len(model.tokenizer(p.answer, add_special_tokens=False).input_ids) + 1 for p in pairs}
        longer = [clip for clip, n in lengths.items() if n > max_new_tokens]
        if longer:
            longest = max(lengths, key=lengths.get)
            raise ValueError(
                f"max_new_tokens={max_new_tokens}: {len(longer)} of {len(pairs)} true answers are longer, that of "
                f"{longest!r} has {lengths[longest]} tokens; give max_new_tokens={lengths[longest]} or more"
            )
        return max_new_tokens

    def listed(self) -> dict[str, Any]:
        return {"question": self.text, "labels": [], "animals": list(self.animals)}

    def line(self, pair: InstructionPair, reply: Reply) -> dict[str, Any]:
        """Claims are [animal, action], with null for the animal of a sentence that could not be parsed."""
        return {
            "clip": pair.id,
            "truth": pair.answer,
            "reply": reply.text,
            **self._judged(reply.text, pair.answer),
            "timestamps_s": list(reply.timestamps_s),
        }

    def _judged(self, reply: str, truth: str) -> dict[str, Any]:
        verdict = judge(reply, truth, self.animals)
        return {
            "score": verdict.score,
            "correct": verdict.correct,
            "f1": verdict.f1,
            "animals_f1": verdict.animals_f1,
            "actions_f1": verdict.actions_f1,
            "matched": _claims(verdict.matched),
            "missing": _claims(verdict.missing),
            "invented": _claims(verdict.invented),
        }

    def score(self, lines: Lines) -> dict[str, Any]:
        """Accuracy, mean score, precision, recall and F1 over all claims of all clips, each with a 95% interval.

        animals_f1, actions_f1: means over the clips. unparsed: sentences of the replies that could not be parsed;
        nothing_parsed: replies with no other. scores: how many clips got 0, 1, … 5.
        """
        n, correct = len(lines), sum(x["correct"] for x in lines)
        matched, missing, invented = ([len(x[part]) for x in lines] for part in ("matched", "missing", "invented"))
        said = [m + i for m, i in zip(matched, invented, strict=True)]
        true = [m + i for m, i in zip(matched, missing, strict=True)]
        unparsed = [sum(animal is None for animal, _ in (*x["matched"], *x["invented"])) for x in lines]
        counts = Counter(x["score"] for x in lines)
        return {
            "n": n,
            "correct": correct,
            "accuracy": correct / n,
            "wilson95": list(wilson(correct, n)),
            **_with_interval("score", [x["score"] for x in lines], top=TOP_SCORE),
            **_with_interval("precision", matched, said),
            **_with_interval("recall", matched, true),
            **_with_interval("f1", [2 * m for m in matched], [a + b for a, b in zip(said, true, strict=True)]),
            **_with_interval("animals_f1", [x["animals_f1"] for x in lines]),
            **_with_interval("actions_f1", [x["actions_f1"] for x in lines]),
            "matched": sum(matched),
            "missing": sum(missing),
            "invented": sum(invented),
            "unparsed": sum(unparsed),
            "nothing_parsed": sum(u == s for u, s in zip(unparsed, said, strict=True)),
            "scores": [counts[k] for k in range(TOP_SCORE + 1)],
        }

    def baseline(self, clips: dict, lines: Lines) -> dict[str, Any]:
        """Always answering the sentence that most training answers hold, the first met among equals.

        Without training clips it is taken of the test clips themselves ("from"), and knows more than any model may.
        """
        split = "train" if clips["train"] else "test"
        sentences: dict[tuple, str] = {}
        counts: Counter = Counter()
        for pair in clips[split]:
            found = {tuple(parse(x, animals=self.animals)): x for x in re.split(r"(?<=[.!?])\s+", pair["answer"])}
            found.pop((), None)
            sentences = found | sentences
            counts.update(list(found))
        claims, n_answers = counts.most_common(1)[0]
        judged = [self._judged(sentences[claims], x["truth"]) for x in lines]
        return {"label": sentences[claims], "from": split, "n_answers": n_answers, **self.score(judged)}

    def compare(self, a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
        """McNemar's test of who was right, and beside it the difference of mean scores."""
        first, second = ({x["clip"]: x["score"] for x in lines} for lines in (a, b))
        found = compare_scores(first, second, top=TOP_SCORE, names=names)
        return _compare_right(a, b, names) | {
            "score_difference": found.difference,
            "score_interval95": list(found.interval95),
            "score_p": found.p,
        }


def _compare_right(a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
    return compare_arms(*({x["clip"]: x["correct"] for x in lines} for lines in (a, b)), names=names).to_dict()


def _claims(claims: Sequence[AnimalAction]) -> list[list[str | None]]:
    return [[claim.animal, claim.action] for claim in claims]


def _with_interval(name: str, parts: Sequence[float], wholes: Sequence[float] | None = None, *, top: int = 1) -> dict:
    """The sum of `parts` over that of `wholes` (the mean without), and its bootstrap interval over clips."""
    whole = len(parts) if wholes is None else sum(wholes)
    interval = bootstrap_ratio(parts, wholes, bounds=(0, top))
    return {name: sum(parts) / whole if whole else 0.0, f"{name}_interval95": list(interval)}


def question_of(pairs: Sequence[InstructionPair], *, rule: str = "normalised") -> Question:
    """The one question of all pairs: closed where they have choices, else open.

    Raises ValueError for no test pairs, ids used twice, a clip in both splits, more than one question or label set, and
    an open question with an answer without a word, or with no answer that says which animal does what.
    """
    if not any(p.split == "test" for p in pairs):
        raise ValueError("no test pairs: an ablation needs clips to answer")
    check_unique(pairs)
    check_disjoint(pairs)
    questions = {(p.question, p.choices) for p in pairs}
    if len(questions) != 1:
        raise ValueError(f"{len(questions)} different questions or label sets: an ablation asks one question")
    text, labels = questions.pop()
    if labels:
        return ClosedQuestion(text, labels, rule)
    if wordless := [p.id for p in pairs if not parse(p.answer)]:
        raise ValueError(f"pair {wordless[0]!r}: its answer holds no word, nothing can be right about it; leave it out")
    animals = animals_of(p.answer for p in pairs)
    if not animals:
        raise ValueError(
            f"{text!r} has no choices, and no answer says which animal does what (the first: {pairs[0].answer!r}): an "
            'ablation asks one closed question (give choices), or an open one with answers like "The lion is walking."'
        )
    return OpenQuestion(text, animals)


def question_listed(clips: dict, *, rule: str = "normalised") -> Question:
    """The question of a run, from its `clips.json`."""
    if clips["labels"]:
        return ClosedQuestion(clips.get("question", ""), tuple(clips["labels"]), rule)
    return OpenQuestion(clips["question"], tuple(clips["animals"]))
