"""What a language model is asked when it judges, as data: the published prompts, word by word, and corrected ones.

Published: Video-ChatGPT's evaluation scripts, taken over unchanged by LLaMA-VID and by the study, whose judge was
Llama-3-8B-Instruct instead of GPT-3.5; "qa" is for the question-answering sets, the five others are the axes of
Video-ChatGPT's generation benchmark. A test holds every character against the published ones.

What is wrong with them, and what the corrected ones do:
1. "score is in INTEGER" stands beside the example {'pred': 'yes', 'score': 4.8}. → Examples with whole numbers.
2. The axes' example {''score': 4.8} is no dictionary in any language. → An example that can be read.
3. The one example says "yes", near the top of the scale. → Two examples, one low and one high.
4. Nothing says what a score means, so that "yes" with 1 and "no" with 4 both occur. → 0, 3 and 5 are described, and
   "yes" is what scores 3 or more.
5. Question and answers stand bare on their lines: a prediction can end its line and go on as instructions. → They are
   JSON strings, and are said to be data. (This makes it harder, not impossible.)
6. The script of "consistency" fills in the first question twice. → Both questions.
7. They are sampled (the study: temperature 0.6, top-p 0.9), so that the same answers get other numbers each time.
   → `DETERMINISTIC`, the study's second setting.
The criteria themselves are unchanged, so that the corrected prompts ask for the same judgement.
"""

import json
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from string import Template
from typing import Any

SAMPLED: dict[str, Any] = {"temperature": 0.6, "top_p": 0.9, "max_tokens": 256}  # how the study's judge was decoded
DETERMINISTIC: dict[str, Any] = {"temperature": 0, "max_tokens": 256}

_TABLES = tomllib.loads(Path(__file__).with_name("prompts.toml").read_text(encoding="utf-8"))
_COMMON = _TABLES.pop("common")  # the texts of all prompts, and words that one need not have of its own
AXES = tuple(name for name in _TABLES if name != "qa")


@dataclass(frozen=True)
class JudgePrompt:
    """One way to ask. name: "qa" or an axis; version: "published" or "corrected"; user: with places in braces.

    yes_no: whether a yes or no is asked for beside the score
    """

    name: str
    version: str
    system: str
    user: str

    @property
    def yes_no(self) -> bool:
        return self.name == "qa"

    def messages(self, item: "JudgeItem") -> list[dict[str, str]]:
        """The two messages about `item`. Each place is filled once: braces within an answer stay as they are."""
        corrected = self.version == "corrected"
        second = item.question2 if corrected else item.question  # the published script's slip, see point 6 above
        places = {"answer": item.answer, "question2": second, "pred2": item.prediction2}
        places |= dict.fromkeys(("question", "question1"), item.question)
        places |= dict.fromkeys(("pred", "pred1"), item.prediction)

        def fill(place: re.Match) -> str:
            text = places[place[1]]
            return json.dumps(text, ensure_ascii=False) if corrected else text

        user = re.sub(r"\{(" + "|".join(places) + r")\}", fill, self.user)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]


@dataclass(frozen=True)
class JudgeItem:
    """One thing to judge. id: names it within its arm; video: groups the items of one video ("" if not known).

    question2, prediction2: the second, similar question and its reply; "consistency" alone has them
    """

    id: str
    question: str
    answer: str
    prediction: str
    question2: str = ""
    prediction2: str = ""
    video: str = ""

    def __post_init__(self):
        if wrong := [f.name for f in fields(self) if not isinstance(getattr(self, f.name), str)]:
            raise ValueError(f"item {self.id!r}: {', '.join(wrong)} must be text, got {getattr(self, wrong[0])!r}")
        if not self.id or not self.answer.strip():
            raise ValueError(f"item {self.id!r} with answer={self.answer!r}: expected an id and an answer to judge by")


def _prompt(name: str, version: str) -> JudgePrompt:
    words = _COMMON | _TABLES[name]
    words["criteria"] = "\n".join(f"- {line}" for line in words["criteria"])
    system, user = (Template(words[part]).substitute(words) for part in ("system", version))
    return JudgePrompt(name, version, system, user)


PROMPTS = {(name, version): _prompt(name, version) for name in _TABLES for version in ("published", "corrected")}


def judge_prompt(name: str, version: str = "corrected") -> JudgePrompt:
    """A prompt by name ("qa" or one of `AXES`) and version. Raises ValueError for one that does not exist."""
    if (name, version) not in PROMPTS:
        raise ValueError(
            f"judge prompt {name!r}, {version!r} is not known; choose qa or one of {', '.join(AXES)}, published or "
            "corrected"
        )
    return PROMPTS[name, version]
