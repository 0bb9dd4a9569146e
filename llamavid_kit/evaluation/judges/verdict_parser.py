"""What a judge's reply says: a verdict, or why it is none.

Takes the reply's text; gives a `Verdict`. Two readers: `strict`, ours, gives no verdict where a reply is not one, and
says why; `original` does what the scripts of Video-ChatGPT, LLaMA-VID and the study did, their faults included, so
that their numbers can be made again. Neither runs what it reads: `ast.literal_eval` builds values and calls nothing.
Who judged, and what was asked, is told by `judge.py` and `prompts.py`.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llamavid_kit.evaluation.answer_part import answer_part
from llamavid_kit.evaluation.statistics import bootstrap_ratio, wilson

Mode = Literal["strict", "original"]
TOP_SCORE = 5
MAX_CHARS = 10_000  # a verdict has some 30; CPython's parser may overflow its stack on text that is long and nested
MAX_SCORE = 10**100  # sums and squares of what lies far beyond would not fit into a float
_CODE_FENCE = re.compile(r"\A(?:(?:```|~~~)[a-z]*|`|\*\*)\s*|\s*(?:`+|~~~|\*\*)\Z", re.IGNORECASE)
_OF_FIVE = re.compile(r"\s*(?:/|out of)\s*5\Z")
_SHARE = re.compile(r"(?<=:)\s*([0-9]\s*/\s*5)(?=\s*[,}])")
_NUMBERS = ("zero", "one", "two", "three", "four", "five")
_ADDRESS = re.compile(r" object at 0x[0-9a-f]+")
ASKED_AGAIN = "not saved; file stays incomplete and the while-True loop asks again"
CRASHES = "crashes the final aggregation for the whole run"
_UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


@dataclass(frozen=True)
class Verdict:
    """One item's verdict, or none.

    item: id of what was judged; reply: the judge's words, "" for a rule
    correct: its yes or no, None where none was asked for (the five axes) or none came
    score: 0 to 5, 5 the best; `original` lets other whole numbers pass
    problem: why this is no verdict, in words that can be counted; "" where it is one
    """

    item: str
    correct: bool | None
    score: int | None
    reply: str = ""
    problem: str = ""


def read_verdict(item: str, reply: str, *, mode: Mode = "strict", yes_no: bool = True) -> Verdict:
    """The verdict in a judge's `reply` about `item`.

    yes_no: a yes or no was asked for beside the score, as for question answering; False for the five axes.
    Raises ValueError for an unknown mode; never for a reply.
    """
    if mode == "strict":
        reading = _read_strict(reply, yes_no=yes_no)
        return Verdict(item, None, None, reply, reading) if isinstance(reading, str) else Verdict(item, *reading, reply)
    if mode != "original":
        raise ValueError(f"mode={mode!r} is not known; choose strict or original")
    original = read_original(reply, yes_no=yes_no)
    if original.error:
        stage = "asked again" if original.effect == ASKED_AGAIN else "crash"
        return Verdict(item, None, None, reply, f"{stage} in the original ({original.error.split(':')[0]})")
    return Verdict(item, original.verdict == "yes" if yes_no else None, original.int_score, reply)


# --- strict


def _read_strict(reply: str, *, yes_no: bool) -> tuple[bool | None, int] | str:
    """The yes or no and the score, or the problem. A verdict is one dictionary and no other word, with the keys that
    were asked for.

    "pred" is yes or no; "score" a whole number from 0 to 5, in quotes or not, as "4/5" or as "four". JSON and Python's
    way of writing are read alike. Thoughts before it, marks of the end, blanks, a code fence, one full stop, further
    keys and letter case are form, not meaning, and pass. Anything else is no verdict: nothing is rounded, completed or
    picked out of a sentence.
    """
    if not reply.strip():
        return "empty reply"
    text = answer_part(reply)
    if not text:
        return "thoughts or marks alone"
    if len(text) > MAX_CHARS:
        return "too long for a verdict"
    pairs = _dictionary(_SHARE.sub(r" '\1'", _CODE_FENCE.sub("", text).removesuffix(".").rstrip()))
    if pairs is None:
        return "cut off" if text.rfind("{") > text.rfind("}") else "not one dictionary alone"
    pairs = [(key.strip().lower() if isinstance(key, str) else key, value) for key, value in pairs]
    values = dict(pairs)
    if len(values) < len(pairs):
        return "a key twice"
    if not {"score", *(["pred"] if yes_no else [])} <= set(values):
        return "other keys than asked for"
    word = str(values["pred"]).strip(" .").lower() if yes_no else ""
    if yes_no and word not in ("yes", "no"):
        return "neither yes nor no"
    score = _whole_number(values["score"])
    if score is None:
        return "score is not a whole number"
    if not 0 <= score <= TOP_SCORE:
        return f"score is not from 0 to {TOP_SCORE}"
    return word == "yes" if yes_no else None, score


def _dictionary(text: str) -> list[tuple[Any, Any]] | None:
    """(key, value) of the one flat dictionary that `text` is, in JSON or Python; None where it is anything else."""
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs))
        return value[1] if isinstance(value, tuple) else None
    except (ValueError, RecursionError):
        pass
    try:
        node = ast.parse(text, mode="eval").body
        if not isinstance(node, ast.Dict):
            return None
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return list(zip(keys, map(ast.literal_eval, node.values), strict=True))
    except _UNREADABLE:
        return None


def _whole_number(value: Any) -> int | None:
    if isinstance(value, str):
        word = _OF_FIVE.sub("", value.strip().lower())
        number = re.fullmatch(r"(-?[0-9]{1,3})(?:\.0+)?", word)
        return int(number[1]) if number else _NUMBERS.index(word) if word in _NUMBERS else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- original


@dataclass(frozen=True)
class OriginalReading:
    """What became of a reply in the original: see `read_original`.

    value: what `ast.literal_eval` made of it; int_score: what went into the mean; verdict: "yes" or "no"
    error: type and text of what was raised, without addresses; effect: what that did to the run; "" both where nothing
    """

    value: Any = None
    int_score: int | None = None
    verdict: str | None = None
    error: str = ""
    effect: str = ""


def read_original(reply: str, *, yes_no: bool = True) -> OriginalReading:
    """`annotate` and the sums at the end of eval_*_qa.py and evaluate_benchmark_*.py, for one reply.

    Faults that are kept: any "yes" or else "no" inside the word decides, so "not sure" and "unknown" are a no; 4.8
    becomes 4; 7 and -1 enter the mean. Where the original raises, this says what and what followed: `ASKED_AGAIN`, for
    ever, or `CRASHES`. Departures: a reply above `MAX_CHARS` is not parsed (as if too complex), what JSON cannot hold,
    which left half a file behind, counts as the crash it led to, and so does a score beyond `MAX_SCORE`, whose mean
    the original could not compute.
    """
    try:
        if len(reply) > MAX_CHARS:
            raise MemoryError("too complex")
        value = ast.literal_eval(reply)
    except _UNREADABLE as error:
        return OriginalReading(error=_words(error), effect=ASKED_AGAIN)
    score, verdict = None, None
    try:
        saved = json.loads(json.dumps(value))
        score = int(saved["score"])
        if abs(score) > MAX_SCORE:
            score = None
            raise OverflowError("integer division result too large for a float")
        if yes_no:
            verdict = _original_verdict(saved)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return OriginalReading(value, score, None, _words(error), CRASHES)
    if yes_no and verdict is None:
        return OriginalReading(value, score, None, "Exception: Invalid prediction", CRASHES)
    return OriginalReading(value, score, verdict)


def _original_verdict(saved: dict[str, str]) -> str | None:
    word = (saved["pred"] if "pred" in saved else saved["predicted"]).lower()
    return "yes" if "yes" in word else "no" if "no" in word else None


def _words(error: BaseException) -> str:
    return _ADDRESS.sub(" object", f"{type(error).__name__}: {error}")


# --- sums


@dataclass(frozen=True)
class JudgeTable:
    """What one judge's verdicts on one arm are worth.

    n: items judged; n_verdicts: those with a verdict; yes, no: of those, 0 both where no yes or no was asked for
    accuracy: yes / (yes + no), as published; wilson95: its interval; None where there is no yes or no
    accuracy_between: with every item without a verdict counted as no, and as yes
    score: mean of the scores; score95: bootstrap interval over videos (over items where no video is known)
    problems: why there was no verdict → how often
    """

    n: int
    n_verdicts: int
    yes: int
    no: int
    accuracy: float | None
    wilson95: tuple[float, float] | None
    accuracy_between: tuple[float, float] | None
    score: float | None
    score95: tuple[float, float] | None
    problems: dict[str, int]

    @property
    def no_verdict(self) -> int:
        return self.n - self.n_verdicts


def verdict_table(verdicts: Sequence[Verdict], *, videos: Sequence[str] | None = None, seed: int = 0) -> JudgeTable:
    """Counts, accuracy and mean score of `verdicts`; `videos[i]` is the video of `verdicts[i]`.

    Raises ValueError for no verdicts, an item judged twice, and lists of unequal length.
    """
    if twice := [item for item, n in Counter(v.item for v in verdicts).items() if n > 1]:
        raise ValueError(f"item {twice[0]!r} is judged twice ({len(twice)} such items); expected one verdict an item")
    if not verdicts or (videos is not None and len(videos) != len(verdicts)):
        n_videos = "no list" if videos is None else len(videos)
        raise ValueError(f"{len(verdicts)} verdicts, {n_videos} of videos: expected at least one, and as many")
    scores: dict[str, list[int]] = {}
    for v, video in zip(verdicts, videos or [v.item for v in verdicts], strict=True):
        if v.score is not None:
            scores.setdefault(video, []).append(v.score)
    parts, wholes = [sum(of_video) for of_video in scores.values()], [len(of_video) for of_video in scores.values()]
    n, n_verdicts = len(verdicts), sum(wholes)
    yes, no = (sum(v.correct is word for v in verdicts) for word in (True, False))
    yes_or_no = yes + no > 0
    return JudgeTable(
        n=n,
        n_verdicts=n_verdicts,
        yes=yes,
        no=no,
        accuracy=yes / (yes + no) if yes_or_no else None,
        wilson95=wilson(yes, yes + no) if yes_or_no else None,
        accuracy_between=(yes / n, (yes + n - n_verdicts) / n) if yes_or_no else None,
        score=sum(parts) / n_verdicts if n_verdicts else None,
        score95=bootstrap_ratio(parts, wholes, bounds=(0, TOP_SCORE), seed=seed) if n_verdicts else None,
        problems=dict(Counter(v.problem for v in verdicts if v.problem).most_common()),
    )
