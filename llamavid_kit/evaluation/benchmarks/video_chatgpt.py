"""Video-ChatGPT's generation benchmark (Maaz et al. 2024): long answers about videos, scored 0 to 5 on five axes.

Data folder: generic_qa.json, temporal_qa.json, consistency_qa.json, Test_Videos/. A generic answer is judged three
times (correctness, detail, context), a temporal one once; a row of consistency has two questions and one verdict.
Sources: mbzuai-oryx/Video-ChatGPT, `quantitative_evaluation/`; dvlab-research/LLaMA-VID, `llamavid/eval/`
`model_video_chatgpt_{general,consistency}.py` and `evaluate_benchmark_*.py`. How many there are: the data set card of
lmms-lab/VideoChatGPT, 1,996 generic and 499 temporal rows and 998 of consistency, which are 499 with two questions.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import Benchmark, Item, Part, Score, needed, read_rows
from llamavid_kit.evaluation.benchmarks.video_qa import MAX_NEW_TOKENS, MODES, Clips, judged, words
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.prompts import AXES, JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE, Verdict, table
from llamavid_kit.evaluation.resampling import clustered_mean_of_means

FILES = ALL_FILES["video_chatgpt"]
QUESTIONS = {"generic": ("Q",), "temporal": ("Q",), "consistency": ("Q1", "Q2")}
FROM = {"correctness": "generic", "detail": "generic", "context": "generic"}  # axis → file, where its name is another


def load(data: Path) -> list[Item]:
    """The three files' questions, one item a question; the part is the file.

    Rows have no id: it is made of file, video and a hash of what is asked and answered, so that it does not depend on
    the order of rows; the same row once more gets a number. The bare question is prompt and text-guided query.
    """
    clips = Clips(needed(data, "Test_Videos", files=FILES))
    items, seen = [], Counter()
    for kind, keys in QUESTIONS.items():
        path = needed(data, f"{kind}_qa.json", files=FILES)
        for k, row in enumerate(read_rows(path, dict.fromkeys(("video_name", *keys, "A"), str)), 1):
            where = f"{path}, row {k}"
            words(row, "video_name", *keys, "A", where=where)
            media = clips.find([row["video_name"]], where=where)
            content = "\0".join([row["video_name"], *(row[key] for key in keys), row["A"]])
            name = f"{kind}/{row['video_name']}/{hashlib.sha256(content.encode()).hexdigest()[:10]}"
            seen[name] += 1
            name += f"-{seen[name]}" if seen[name] > 1 else ""
            for key in keys:
                items.append(
                    Item(
                        f"{name}/{key}" if len(keys) > 1 else name,
                        media,
                        prompt=row[key],
                        question=row[key],
                        answers=(row["A"],),
                        split=kind,
                        extra={"row": name, "place": key},
                    )
                )
    return items


def pairs(items: Sequence[Item]) -> list[tuple[Item, Item]]:
    """The two questions of each row of consistency, joined by the row's name. ValueError where one is missing."""
    rows: dict[str, dict[str, Item]] = {}
    for item in items:
        if item.split == "consistency":
            rows.setdefault(item.extra["row"], {})[item.extra["place"]] = item
    if half := [name for name, found in rows.items() if set(found) != set(QUESTIONS["consistency"])]:
        raise ValueError(f"{half[0]!r} has {len(rows[half[0]])} question; consistency is judged on two")
    return [(found["Q1"], found["Q2"]) for found in rows.values()]


def verdicts(
    items: Sequence[Item], replies: Mapping[str, str], judge: Judge, *, mode: str
) -> dict[str, tuple[list[Verdict], list[str]]]:
    """Axis → verdicts, and the video of each. A verdict on consistency has the id of the first question."""
    found = {}
    for axis in AXES:
        if axis == "consistency":
            both = pairs(items)
            asked = [
                JudgeItem(a.id, a.question, a.answers[0], replies[a.id], b.question, replies[b.id], video=a.group)
                for a, b in both
            ]
            said, videos = judge.verdicts(asked, task=axis, mode=mode), [a.group for a, _ in both]
        else:
            part_items = [item for item in items if item.split == FROM.get(axis, axis)]
            said, videos = judged(part_items, replies, judge, mode=mode, task=axis), [i.group for i in part_items]
        found[axis] = (said, videos)
    return found


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Judge | None = None) -> Score:
    """The mean score of each axis, of the items with a verdict; the value is the mean of the five axes.

    value None: an axis has no verdict at all. `axes`: the scores item by item. `_between` gives the value's interval.
    """
    parts, axes, more, given = {}, {}, {}, []
    for axis, (said, videos) in verdicts(items, replies, judge, mode=mode).items():
        whole, title = table(said, videos=videos), axis.capitalize()
        more[title] = _numbers(whole)
        if whole.score is not None:
            parts[title] = Part(whole.n_verdicts, whole.score)
            axes[title] = {v.item: float(v.score) for v in said if not v.problem}
            given += [(float(v.score), video, title) for v, video in zip(said, videos, strict=True) if not v.problem]
    value = sum(p.value for p in parts.values()) / len(AXES) if len(parts) == len(AXES) else None
    between = None if value is None else _between(given)
    return Score(mode, value, parts, axes=axes, more={"judge": judge.identity, **more}, interval95=between)


def _between(given: Sequence[tuple[float, str, str]]) -> tuple[float, float] | None:
    """95% interval of the mean over the axes, of (score, video, axis): `resampling.clustered_mean_of_means`.

    All axes are asked about the same videos, three of them about the same replies, so a video is one observation. None
    where an axis has scores of one video alone, or where all scores of each axis are alike: no spread is not certainty.
    """
    seen: dict[str, tuple[set, set]] = {}
    for score, video, axis in given:
        scores, videos = seen.setdefault(axis, (set(), set()))
        scores.add(score)
        videos.add(video)
    if min(len(videos) for _, videos in seen.values()) < 2 or max(len(scores) for scores, _ in seen.values()) < 2:
        return None
    found = clustered_mean_of_means(*zip(*given, strict=True))
    low, high = found.interval95
    return max(min(0.0, found.mean), low), min(max(float(TOP_SCORE), found.mean), high)


def _numbers(whole: Any) -> dict[str, Any]:
    shown = ("n", "n_verdicts", "score", "score95", "problems")
    return {name: value for name, value in asdict(whole).items() if name in shown} | {"no_verdict": whole.no_verdict}


BENCHMARK = Benchmark(
    name="video_chatgpt",
    title="Video-ChatGPT generation",
    columns={a.capitalize(): a.capitalize() for a in AXES},
    media="video",
    files=FILES,
    load=load,
    score=score,
    modes=MODES,
    size=1_996 + 499 + 2 * 499,
    metric="mean of the five axes",
    unit="0-5",
    max_new_tokens=MAX_NEW_TOKENS,
    judged=True,
)
