"""Video-ChatGPT's generation benchmark (Maaz et al. 2024): long answers about videos, scored 0 to 5 on five axes.

A generic answer is judged three times (correctness, detail, context), a temporal one once; a row of consistency has
two questions and one verdict.
Sources: mbzuai-oryx/Video-ChatGPT, `quantitative_evaluation/`; dvlab-research/LLaMA-VID, `llamavid/eval/`
`model_video_chatgpt_{general,consistency}.py` and `evaluate_benchmark_*.py`. How many there are: the data set card of
lmms-lab/VideoChatGPT, 1,996 generic and 499 temporal rows and 998 of consistency, which are 499 with two questions.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import Benchmark, Interval, Item, Mode, Part, Score
from llamavid_kit.evaluation.benchmarks.reading import needed, read_rows
from llamavid_kit.evaluation.benchmarks.video_qa import MODES, Clips, check_words, judge_item
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.prompts import AXES, JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Verdict, verdict_table
from llamavid_kit.evaluation.resampling import clustered_mean

QUESTIONS = {"generic": ("Q",), "temporal": ("Q",), "consistency": ("Q1", "Q2")}
FROM = {"correctness": "generic", "detail": "generic", "context": "generic"}  # axis → file, where its name is another
NUMBERS = ("n", "n_verdicts", "score", "score95", "problems")


def load(data: Path) -> list[Item]:
    """The three files' questions, one item a question; the part is the file.

    Rows have no id: it is made of file, video and a hash of question and answer, so that it does not depend on the
    order of rows; the same row once more gets a number. The bare question is prompt and text-guided query.
    """
    folder, *paths = needed(data, "video_chatgpt", "Test_Videos", *(f"{kind}_qa.json" for kind in QUESTIONS))
    clips, items, times = Clips(folder), [], Counter[str]()
    for (kind, keys), path in zip(QUESTIONS.items(), paths, strict=True):
        for k, row in enumerate(read_rows(path, dict.fromkeys(("video_name", *keys, "A"), str)), 1):
            where, texts = f"{path}, row {k}", [row[key] for key in ("video_name", *keys, "A")]
            check_words(row, "video_name", *keys, "A", where=where)
            media = clips.find([row["video_name"]], where=where)
            digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:10]
            name = f"{kind}/{row['video_name']}/{digest}"
            times[name] += 1
            name += f"-{times[name]}" if times[name] > 1 else ""
            for key in keys:
                item_id, extra = f"{name}/{key}" if len(keys) > 1 else name, {"row": name, "place": key}
                items.append(Item(item_id, media, row[key], row[key], (row["A"],), kind, extra=extra))
    return items


def pairs(items: Sequence[Item]) -> list[tuple[Item, Item]]:
    """The two questions of each row of consistency, joined by the row's name. ValueError where one is missing."""
    rows: dict[str, dict[str, Item]] = {}
    for item in items:
        if item.split == "consistency":
            rows.setdefault(item.extra["row"], {})[item.extra["place"]] = item
    if half := [name for name, row in rows.items() if set(row) != set(QUESTIONS["consistency"])]:
        raise ValueError(f"{half[0]!r} has {len(rows[half[0]])} question; consistency is judged on two")
    return [(row["Q1"], row["Q2"]) for row in rows.values()]


def _judge_items(axis: str, items: Sequence[Item], replies: Mapping[str, str]) -> list[JudgeItem]:
    """What is judged on an axis: replies one by one, or on consistency both of a row, with the id of the first."""
    if axis != "consistency":
        return [judge_item(item, replies[item.id]) for item in items if item.split == FROM.get(axis, axis)]
    return [
        replace(judge_item(a, replies[a.id]), question2=b.question, prediction2=replies[b.id]) for a, b in pairs(items)
    ]


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: Judge | None = None) -> Score:
    """The mean score of each axis, of the items with a verdict; the value is the mean of the five axes.

    value None: an axis has no verdict at all. `axes`: the scores item by item. `_interval` gives the value's interval.
    """
    if judge is None or mode == "official":
        raise ValueError(f"judge={judge}, mode={mode!r}: expected a judge, and one of {', '.join(MODES)}")
    parts: dict[str, Part] = {}
    axes: dict[str, dict[str, float]] = {}
    more: dict[str, Any] = {"judge": judge.identity}
    verdicts: dict[str, tuple[list[Verdict], list[str]]] = {}
    for axis in AXES:
        questions, title = _judge_items(axis, items, replies), axis.capitalize()
        verdicts[axis] = judge.verdicts(questions, task=axis, mode=mode), [question.video for question in questions]
        whole = verdict_table(verdicts[axis][0], videos=verdicts[axis][1])
        more[title] = {name: asdict(whole)[name] for name in NUMBERS} | {"no_verdict": whole.no_verdict}
        if whole.score is not None:
            parts[title] = Part(whole.n_verdicts, whole.score)
            axes[title] = {v.item: float(v.score) for v in verdicts[axis][0] if v.score is not None}
    value = sum(p.value for p in parts.values()) / len(AXES) if len(parts) == len(AXES) else None
    interval = None if value is None else _interval(axes, {item.id: item.group for item in items})
    return Score(mode, value, parts, axes=axes, more=more, interval95=interval, verdicts=verdicts)


def _interval(axes: Mapping[str, Mapping[str, float]], videos: Mapping[str, str]) -> Interval | None:
    """95% interval of the mean over the axes: `resampling.clustered_mean`. videos: item id → its video.

    All axes are asked about the same videos, three of them about the same replies, so a video is one observation. None
    where an axis has scores of one video alone, or where all scores of each axis are alike: no spread is not certainty.
    """
    n_videos = min(len({videos[name] for name in scores}) for scores in axes.values())
    if n_videos < 2 or max(len(set(scores.values())) for scores in axes.values()) < 2:
        return None
    rows = [(score, videos[name], axis) for axis, scores in axes.items() for name, score in scores.items()]
    mean = clustered_mean(*zip(*rows, strict=True))
    low, high = mean.interval95
    return max(min(0.0, mean.mean), low), min(max(float(TOP_SCORE), mean.mean), high)


BENCHMARK = Benchmark.of("video_chatgpt", load, score)
