"""What an ablation asks: a closed question with labels, or an open one whose replies are judged.

A question knows how a reply becomes a line of an arm file, and what an arm's lines are worth. Who is asked about which
clips is `ablation`'s; how a label is found is `evaluation.scoring`'s, who judges `evaluation.judges`', intervals and
tests are `evaluation.statistics`'.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llamavid_kit.data.pairs import InstructionPair, check_disjoint, check_unique
from llamavid_kit.evaluation.judges.animal_judge import RULE, AnimalAction, animals_of, judge, parse
from llamavid_kit.evaluation.judges.judge import Judge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.scoring import RuleName, check_labels, label_of, score
from llamavid_kit.evaluation.statistics import bootstrap_ratio, compare_arms, compare_scores, wilson
from llamavid_kit.model.ask import Reply

Line = dict[str, Any]
Lines = Sequence[Line]  # of one arm, in the order of the clips
TOP_SCORE = 5
BASELINE = "baseline"  # the arm under which a chat model's verdicts on the baseline are kept


@dataclass(frozen=True)
class ClosedQuestion:
    """One of `labels` is right; a generated reply names one by `rule` (see `scoring.RULE_TEXT`) or none."""

    text: str
    labels: tuple[str, ...]
    rule: RuleName = "normalised"

    def rule_of(self, answering: str) -> str:
        """How replies are judged, in the words that head an arm file."""
        return self.rule if answering == "generation" else "likeliest choice"

    def record(self) -> dict[str, Any]:
        """What `clips.json` says of the question."""
        return {"question": self.text, "labels": list(self.labels)}

    def lines(self, arm: str, pairs: Sequence[InstructionPair], replies: Sequence[Reply], verdicts: Path) -> list[Line]:
        """What an arm file says of each clip: "clip", "truth", "reply", "correct", "timestamps_s", "n_visual", more.

        arm, verdicts: for judges that keep what they said, each arm for itself, in this folder.
        """
        return [self._line(pair, reply) for pair, reply in zip(pairs, replies, strict=True)]

    def counted(self, line: Line) -> Line:
        """A line of a written reply with the label that `rule` gives it."""
        label = label_of(line["reply"], self.labels, rule=self.rule)
        return line | {"label": label, "correct": label == line["truth"]}

    def _line(self, pair: InstructionPair, reply: Reply) -> Line:
        label = reply.text if reply.log_likelihood else label_of(reply.text, self.labels, rule=self.rule)
        line = _line(pair, reply, label=label, correct=label == pair.answer)
        if reply.log_likelihood:
            line["log_likelihood"] = {choice: round(value, 4) for choice, value in reply.log_likelihood.items()}
        if reply.n_tokens:
            line["n_tokens"] = dict(reply.n_tokens)
        return line

    def score(self, lines: Lines) -> dict[str, Any]:
        """An arm's numbers: "n", "correct", "accuracy", "wilson95" and more."""
        return score([x["truth"] for x in lines], [x["label"] for x in lines], labels=self.labels).to_dict()

    def baseline(self, clips: dict, lines: Lines, verdicts: Path) -> dict[str, Any]:
        """Always answering the most frequent class of these clips."""
        truths = [x["truth"] for x in lines]
        return asdict(score(truths, truths, labels=self.labels).baseline)

    def compare(self, a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
        """Two arms on the same clips. Each key "p" or "…_p" is a p-value, to be adjusted within its family."""
        return _compare_right(a, b, names)


@dataclass(frozen=True)
class OpenQuestion:
    """A reply in free words is right where `judge` says so: any judge of `evaluation.judges`, a rule or a chat model.

    A reply that gets no verdict counts as wrong, with score 0 and its reason, and is counted as such.
    """

    text: str
    judge: Judge
    labels: tuple[str, ...] = ()

    def rule_of(self, answering: str) -> str:
        return judge_words(self.judge.identity)

    def record(self) -> dict[str, Any]:
        return {"question": self.text, "labels": [], "judge": self.judge.identity}

    def lines(self, arm: str, pairs: Sequence[InstructionPair], replies: Sequence[Reply], verdicts: Path) -> list[Line]:
        texts = {pair.id: reply.text for pair, reply in zip(pairs, replies, strict=True)}
        judged = self._judged(arm, [(pair.id, texts[pair.id], pair.answer) for pair in pairs], verdicts)
        return [_line(pair, reply, **more) for pair, reply, more in zip(pairs, replies, judged, strict=True)]

    def _judged(self, arm: str, answers: Sequence[tuple[str, str, str]], verdicts: Path) -> list[Line]:
        """(id, reply, truth) → "score", "correct" and "problem", why there is no verdict."""
        items = [JudgeItem(name, self.text, truth, reply) for name, reply, truth in answers]
        return [
            {"score": verdict.score or 0, "correct": bool(verdict.correct), "problem": verdict.problem}
            for verdict in self.judge.for_arm(verdicts, arm).verdicts(items)
        ]

    def score(self, lines: Lines) -> dict[str, Any]:
        """Accuracy and mean score with 95% intervals; scores: how many clips got 0, 1, … 5; no_verdict: how many."""
        n, correct = len(lines), sum(x["correct"] for x in lines)
        counts = Counter(x["score"] for x in lines)
        return {
            "n": n,
            "correct": correct,
            "accuracy": correct / n,
            "wilson95": list(wilson(correct, n)),
            **_with_interval("score", [x["score"] for x in lines], top=TOP_SCORE),
            "scores": [counts[k] for k in range(TOP_SCORE + 1)],
            "no_verdict": sum(bool(x.get("problem")) for x in lines),
        }

    def baseline(self, clips: dict, lines: Lines, verdicts: Path) -> dict[str, Any]:
        """Always answering what most training answers are, the first met among equals.

        Without training clips it is taken of the test clips themselves ("from"), and knows more than any model may.
        """
        split = "train" if clips["train"] else "test"
        answer, n_answers = self._commonest([pair["answer"] for pair in clips[split]])
        judged = self._judged(BASELINE, [(x["clip"], answer, x["truth"]) for x in lines], verdicts)
        return {"label": answer, "from": split, "n_answers": n_answers, **self.score(judged)}

    def _commonest(self, answers: Sequence[str]) -> tuple[str, int]:
        return Counter(answers).most_common(1)[0]

    def compare(self, a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
        """McNemar's test of who was right, and beside it the difference of mean scores."""
        first, second = ({x["clip"]: x["score"] for x in lines} for lines in (a, b))
        scores = compare_scores(first, second, top=TOP_SCORE, names=names)
        return _compare_right(a, b, names) | {
            "score_difference": scores.difference,
            "score_interval95": list(scores.interval95),
            "score_p": scores.p,
        }


@dataclass(frozen=True)
class AnimalQuestion(OpenQuestion):
    """An open question about animals, judged by the kit's own rule, which also says what was missed and invented.

    The rule's lexicon is `animals`, those of the data set's own answers.
    """

    animals: tuple[str, ...] = ()

    @classmethod
    def about(cls, text: str, animals: Sequence[str]) -> "AnimalQuestion":
        return cls(text, RuleJudge("animals", animals=tuple(animals)), animals=tuple(animals))

    def record(self) -> dict[str, Any]:
        return super().record() | {"animals": list(self.animals)}

    def _judged(self, arm: str, answers: Sequence[tuple[str, str, str]], verdicts: Path) -> list[Line]:
        """Claims are [animal, action], with null for the animal of a sentence that could not be parsed."""
        return [self._verdict(reply, truth) for _, reply, truth in answers]

    def _verdict(self, reply: str, truth: str) -> Line:
        verdict = judge(reply, truth, self.animals)
        numbers = {name: getattr(verdict, name) for name in ("score", "correct", "f1", "animals_f1", "actions_f1")}
        return numbers | {name: _claims(getattr(verdict, name)) for name in ("matched", "missing", "invented")}

    def score(self, lines: Lines) -> dict[str, Any]:
        """Also precision, recall and F1 over all claims of all clips, each with a 95% interval.

        animals_f1, actions_f1: means over the clips. unparsed: sentences of the replies that could not be parsed;
        nothing_parsed: replies with no other.
        """
        matched, missing, invented = ([len(x[part]) for x in lines] for part in ("matched", "missing", "invented"))
        claimed = [m + i for m, i in zip(matched, invented, strict=True)]
        true = [m + i for m, i in zip(matched, missing, strict=True)]
        unparsed = [sum(animal is None for animal, _ in (*x["matched"], *x["invented"])) for x in lines]
        common = super().score(lines)
        common.pop("no_verdict")  # a rule has one for every reply
        return common | {
            **_with_interval("precision", matched, claimed),
            **_with_interval("recall", matched, true),
            **_with_interval("f1", [2 * m for m in matched], [a + b for a, b in zip(claimed, true, strict=True)]),
            **_with_interval("animals_f1", [x["animals_f1"] for x in lines]),
            **_with_interval("actions_f1", [x["actions_f1"] for x in lines]),
            "matched": sum(matched),
            "missing": sum(missing),
            "invented": sum(invented),
            "unparsed": sum(unparsed),
            "nothing_parsed": sum(u == c for u, c in zip(unparsed, claimed, strict=True)),
        }

    def _commonest(self, answers: Sequence[str]) -> tuple[str, int]:
        """The sentence that most answers hold, by its claims."""
        sentences: dict[tuple, str] = {}
        counts: Counter = Counter()
        for answer in answers:
            parsed = {tuple(parse(x, animals=self.animals)): x for x in re.split(r"(?<=[.!?])\s+", answer)}
            parsed.pop((), None)
            sentences = parsed | sentences
            counts.update(list(parsed))
        claims, n_answers = counts.most_common(1)[0]
        return sentences[claims], n_answers


def judge_words(identity: Mapping[str, Any]) -> str:
    """A judge in the words that head an arm file."""
    if identity.get("rule") == "animals":
        return RULE
    if identity.get("judge") == "rule":
        return f"rule {identity['rule']}"
    model = identity.get("endpoint_model") or identity.get("local_model") or "chat model"
    return f"judged by {model}, {identity.get('prompt', 'corrected')} prompt"


Question = ClosedQuestion | OpenQuestion


def question_of(
    pairs: Sequence[InstructionPair], *, rule: RuleName = "normalised", judge: Judge | None = None
) -> Question:
    """The one question of all pairs: closed where they have choices, else open.

    judge: of an open question; None is the rule about animals. Raises ValueError for no test pairs, ids used twice, a
    clip in both splits, more than one question or label set, a judge of a closed question, and an open question with an
    answer without a word, or without a judge where no answer says which animal does what.
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
        check_labels(labels)
        if judge is not None:
            raise ValueError("a judge for a closed question: its replies name a label by a rule; leave the judge out")
        return ClosedQuestion(text, labels, rule)
    if wordless := [p.id for p in pairs if not parse(p.answer)]:
        raise ValueError(f"pair {wordless[0]!r}: its answer holds no word, nothing can be right about it; leave it out")
    if judge is not None:
        return OpenQuestion(text, judge)
    animals = animals_of(p.answer for p in pairs)
    if not animals:
        raise ValueError(
            f"{text!r} has no choices, and no answer says which animal does what (the first: {pairs[0].answer!r}), so "
            "the rule about animals cannot judge it: name a judge (--judge-rule mention, or a chat model by "
            "--judge-model; in Python judge=RuleJudge(…) or ChatJudge(…)), or give the pairs choices"
        )
    return AnimalQuestion.about(text, animals)


def _line(pair: InstructionPair, reply: Reply, **more: Any) -> Line:
    """What every arm file says of a clip, with what the question adds."""
    seen: Line = {"timestamps_s": list(reply.timestamps_s), "n_visual": reply.n_visual}
    if reply.receipt is not None:
        seen["receipt"] = asdict(reply.receipt)
    return {"clip": pair.id, "truth": pair.answer, "reply": reply.text, **more, **seen}


def _compare_right(a: Lines, b: Lines, names: tuple[str, str]) -> dict[str, Any]:
    return compare_arms(*({x["clip"]: x["correct"] for x in lines} for lines in (a, b)), names=names).to_dict()


def _claims(claims: Sequence[AnimalAction]) -> list[list[str | None]]:
    return [[claim.animal, claim.action] for claim in claims]


def _with_interval(name: str, parts: Sequence[float], wholes: Sequence[float] | None = None, *, top: int = 1) -> dict:
    """The sum of `parts` over that of `wholes` (the mean without), and its bootstrap interval over clips."""
    whole = len(parts) if wholes is None else sum(wholes)
    interval = bootstrap_ratio(parts, wholes, bounds=(0, top))
    return {name: sum(parts) / whole if whole else 0.0, f"{name}_interval95": list(interval)}
