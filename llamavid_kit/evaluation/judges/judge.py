"""Who says whether an answer is right: rules, or any chat model, behind one protocol.

Takes `JudgeItem`s (question, true answer, prediction); gives a `Verdict` each. A chat model is an OpenAI-compatible
endpoint (`chat.endpoint.Endpoint`) or one in this process (`chat.local.LocalModel`, such as the study's
Llama-3-8B-Instruct); its questions stand in `prompts.py`, `verdict_parser.py` reads its words, and `agreement.py` says
how much two judges agree.
"""

import hashlib
import json
import logging
import re
import string
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from tqdm import tqdm

from llamavid_kit.evaluation.judges.animal_judge import RULE, YES_SCORE
from llamavid_kit.evaluation.judges.animal_judge import judge as judge_animals
from llamavid_kit.evaluation.judges.chat.endpoint import Chat, RefusedError, ReplyLog, UnreachableError
from llamavid_kit.evaluation.judges.prompts import JudgeItem, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Mode, Verdict, read_verdict

log = logging.getLogger(__name__)

REFUSED = "refused by the judge"


class Judge(Protocol):
    """Anything that judges. `identity`: JSON values that, with an item, decide its verdict.

    A judge that has nothing to keep, and says the same at every asking, inherits `for_arm` and `at_asking`.
    """

    @property
    def identity(self) -> dict[str, Any]: ...

    def verdicts(self, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict") -> list[Verdict]:
        """A verdict for each item, in order. task: "qa" or an axis (`prompts.AXES`); mode: how words are read."""

    def for_arm(self, folder: Path | str, arm: str) -> "Judge":
        """This judge for one arm: it keeps in `folder`, apart from all other arms, what it need not be asked twice."""
        return self

    @property
    def steady(self) -> str:
        """Why asking again would change nothing, in words; "" where it may."""

    def at_asking(self, number: int) -> "Judge":
        """This judge, asked for the `number`-th time, from 1: what it said at another asking is not used."""
        return self


def _check(items: Sequence[JudgeItem], task: str) -> None:
    judge_prompt(task)
    if twice := [name for name, n in Counter(item.id for item in items).items() if n > 1]:
        raise ValueError(f"item {twice[0]!r} is given twice ({len(twice)} such items); expected each id once")
    if task == "consistency" and (bare := [item.id for item in items if not item.question2]):
        raise ValueError(f"item {bare[0]!r} has no question2; consistency is judged on two questions and two replies")


# --- a chat model


@dataclass(frozen=True)
class ChatJudge:
    """A chat model as judge.

    prompt: "corrected", or "published" (see `prompts`, which says what is wrong with those)
    workers: requests under way at a time; more than 1 helps with an endpoint only
    asking: the how-manieth time the items are put to it (`at_asking`); the file keeps each asking's replies apart
    Verdicts are kept only by `for_arm`; its file holds what the model said, so that both modes read the same replies.
    Raises ValueError for an unknown prompt; `verdicts` raises what `chat.reply` raises when there is no reply, and
    goes on from there when called again on the same arm. A model that refuses one item gives no verdict on it.
    """

    chat: Chat
    prompt: Literal["corrected", "published"] = "corrected"
    workers: int = 1
    log: ReplyLog | None = field(default=None, repr=False)
    arm: str = ""
    asking: int = 1

    def __post_init__(self):
        judge_prompt("qa", self.prompt)
        if self.workers < 1 or self.asking < 1:
            raise ValueError(f"workers={self.workers}, asking={self.asking}: expected at least 1 each")

    @property
    def identity(self) -> dict[str, Any]:
        return {"judge": "chat", **self.chat.identity, "prompt": self.prompt}

    def for_arm(self, folder: Path | str, arm: str) -> "ChatJudge":
        """The same judge with a file of its own for `arm`, in `folder`: one line a reply.

        A reply is found again by the sha256 of judge, arm and messages (prompt, question, answer, prediction), so that
        a file that was copied or renamed serves no other arm and no other judge.
        """
        if not arm:
            raise ValueError("arm='': expected the name of the arm whose replies are judged")
        whole = hashlib.sha256(json.dumps([arm, self.identity], sort_keys=True).encode()).hexdigest()[:12]
        name = f"{re.sub(r'[^A-Za-z0-9._-]+', '_', arm)[:80].lstrip('.')}.{whole}.verdicts.jsonl"
        return replace(self, log=ReplyLog(Path(folder) / name), arm=arm)

    @property
    def steady(self) -> str:
        """A model in this process, greedy or with a fixed seed, repeats itself; what an endpoint does is not known."""
        who = self.chat.identity
        if "local_model" not in who:
            return ""
        if not who["settings"].get("temperature"):
            return "a model in this process that decodes greedily repeats itself"
        return "a model in this process with a fixed seed repeats itself" if "seed" in who["settings"] else ""

    def at_asking(self, number: int) -> "ChatJudge":
        return replace(self, asking=number)

    def verdicts(self, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict") -> list[Verdict]:
        _check(items, task)
        pool, failed = ThreadPoolExecutor(self.workers), threading.Event()

        def verdict(item: JudgeItem) -> Verdict | None:
            if failed.is_set():  # nothing more is asked once a request has failed for good; that one raises
                return None
            try:
                return self._verdict(item, task, mode)
            except BaseException:
                failed.set()
                raise

        progress = {"desc": "judging", "unit": "item", "total": len(items), "disable": len(items) < 2}
        try:
            verdicts = [v for v in tqdm(pool.map(verdict, items), **progress) if v is not None]
        finally:
            pool.shutdown(cancel_futures=True)
        if refused := [v for v in verdicts if v.problem == REFUSED]:
            first, counts = refused[0], (len(refused), len(verdicts))
            log.warning("the judge refused %d of %d items; %s: %s", *counts, first.item, first.reply)
        return verdicts

    def _verdict(self, item: JudgeItem, task: str, mode: Mode) -> Verdict:
        prompt = judge_prompt(task, self.prompt)
        messages, identity = prompt.messages(item), {**self.identity, "arm": self.arm}
        try:
            if self.log is None:
                reply = self.chat.reply(messages)
            else:
                reply = self.log.reply(self.chat, messages, identity=identity, attempt=self.asking, about=item.id)
        except RefusedError as error:
            return Verdict(item.id, None, None, str(error), REFUSED)
        except UnreachableError as error:
            if self.log is None:
                raise
            raise UnreachableError(f"{error}; {len(self.log)} verdicts are kept: run the same again to go on") from None
        return read_verdict(item.id, reply.text, mode=mode, yes_no=prompt.yes_no)


# --- what was said before


@dataclass(frozen=True)
class RecordedJudge:
    """A judge whose verdicts are read from a run: what a chat model said once is not asked again."""

    identity: dict[str, Any]
    by_item: dict[str, Verdict]
    steady: str = "its verdicts are read from the run"

    def for_arm(self, folder: Path | str, arm: str) -> "RecordedJudge":
        return self

    def at_asking(self, number: int) -> "RecordedJudge":
        return self

    def verdicts(self, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict") -> list[Verdict]:
        return [self.by_item[item.id] for item in items]


# --- rules


@dataclass(frozen=True)
class RuleJudge(Judge):
    """A rule as judge: the same verdict every time, for nothing, and checked by hand. It knows no synonym.

    rule: one of `RULE_TEXT`; animals: lexicon of the rule "animals" (see `animal_claims.animals_of`)
    Its score is 5 or 0, for "words" and "animals" 0 to 5 by steps of F1, and yes from 3. It tells no axis from another,
    and of two replies (consistency) it takes the worse. Not comparable with a language model's verdicts.
    """

    rule: str = "mention"
    animals: tuple[str, ...] = ()

    def __post_init__(self):
        if self.rule not in RULE_TEXT:
            raise ValueError(f"rule={self.rule!r} is not known; choose one of {', '.join(RULE_TEXT)}")

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {"judge": "rule", "rule": self.rule, **({"animals": list(self.animals)} if self.animals else {})}

    @property
    def steady(self) -> str:
        return "a rule gives the same verdict every time"

    def verdicts(self, items: Sequence[JudgeItem], *, task: str = "qa", mode: Mode = "strict") -> list[Verdict]:
        """`mode` plays no part: a rule says nothing that has to be read."""
        _check(items, task)
        verdicts = []
        for item in items:
            predictions = [item.prediction, item.prediction2] if task == "consistency" else [item.prediction]
            score = min(self._score(prediction, item.answer) for prediction in predictions)
            verdicts.append(Verdict(item.id, score >= YES_SCORE if task == "qa" else None, score))
        return verdicts

    def _score(self, prediction: str, answer: str) -> int:
        if self.rule == "animals":
            return judge_animals(prediction, answer, self.animals).score
        return _RULES[self.rule](prediction, answer)


_BLANKS = str.maketrans(dict.fromkeys(string.punctuation + "“”‘’…–—", " "))
_ARTICLES = {"a", "an", "the"}


def _words(text: str) -> list[str]:
    """Letter case, punctuation and articles taken away; all words where nothing else is left."""
    words = text.casefold().translate(_BLANKS).split()
    return [word for word in words if word not in _ARTICLES] or words


def _exact(prediction: str, answer: str) -> int:
    return TOP_SCORE * (prediction == answer)


def _mention(prediction: str, answer: str) -> int:
    words, true = _words(prediction), _words(answer)
    if not true:
        return _exact(prediction.strip(), answer.strip())
    if true in (["yes"], ["no"]):
        return TOP_SCORE * ({"yes", "no"} & set(words) == set(true))
    n = len(true)
    return TOP_SCORE * any(words[k : k + n] == true for k in range(len(words) - n + 1))


def _overlap(prediction: str, answer: str) -> int:
    words, true = Counter(_words(prediction)), Counter(_words(answer))
    both = (words & true).total()
    if not true:
        return _exact(prediction.strip(), answer.strip())
    if words == true:
        return TOP_SCORE
    return 1 + 8 * both // (words.total() + true.total()) if both else 0


_RULES: dict[str, Callable[[str, str], int]] = {"exact": _exact, "mention": _mention, "words": _overlap}
RULE_TEXT: dict[str, str] = {
    "exact": "the prediction is the answer, character by character (ActivityNet-QA's official rule)",
    "mention": "the answer stands in the prediction as whole words, letter case, punctuation and articles aside; for "
    "an answer yes or no, the prediction holds this word and not the other",
    "words": "F1 of the words of prediction and answer, repeats counted: 0 for none, 5 for all, else 1 + 4·F1 rounded "
    "down, and yes from 3",
    "animals": f"the claims about animals that prediction and answer share: {RULE}",
}
