"""What the video benchmarks share: finding a clip, reading question files, and scores that a judge gives.

Whether an item has a verdict is the judge's matter, not the model's: an item without one is left out of accuracy and
mean score, counted with its reason, and the two ends between which the accuracy must lie are said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamavid_kit.benchmarks.base import Benchmark, Item, Part, Score, by_id, inside, needed, read_rows, some
from llamavid_kit.judge import Judge
from llamavid_kit.judge_prompts import JudgeItem
from llamavid_kit.verdicts import Verdict, table

VIDEO_FORMATS = (".mp4", ".avi", ".mov", ".mkv", ".webm")  # the original's scripts know the first four
MAX_NEW_TOKENS = 1024  # of every video script of the original
MODES = ("strict", "original")  # how a judge's words are read, see `verdicts`


class Clips:
    """The clips of one folder, by name without ending. The original keeps the clip before where it finds none."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: dict[str, list[str]] = {}
        for path in folder.iterdir():
            if path.suffix.lower() in VIDEO_FORMATS:
                self._files.setdefault(path.stem, []).append(path.name)

    def find(self, stems: Iterable[str], *, where: str) -> Path:
        """The one clip called like one of `stems`. FileNotFoundError for none, ValueError for several."""
        stems = tuple(dict.fromkeys(stems))
        found = sorted(name for stem in stems for name in self._files.get(stem, ()))
        if not found:
            raise FileNotFoundError(
                f"{where}: no clip {' or '.join(map(repr, stems))} with one of the endings {' '.join(VIDEO_FORMATS)} "
                f"in {self.folder}; download the benchmark's videos into it"
            )
        if len(found) > 1:
            raise ValueError(f"{where}: {len(found)} clips fit ({some(found)}); keep one of them in {self.folder}")
        return inside(self.folder, found[0], where=where)


def words(row: Mapping[str, Any], *keys: str, where: str) -> None:
    """ValueError for a text that says nothing: there would be nothing to ask, or nothing to judge by."""
    for key in keys:
        if not row[key].strip():
            raise ValueError(f"{where}: {key!r} is empty; download the file again")


def load_qa(data: Path, *, prefix: str, files: str) -> list[Item]:
    """MSVD-QA and MSRVTT-QA: test_qa.json, a list of {id, video_id or video, question, answer}; clips in video/.

    A clip is called as its `video_id` says or, as the data sets' authors name the files, `prefix` and that number.
    """
    path, clips = needed(data, "test_qa.json", files=files), Clips(needed(data, "video", files=files))
    rows = by_id(read_rows(path, {"id": (int, str), "question": str, "answer": str}), "id", where=path)
    items = []
    for name, row in rows.items():
        where = f"{path}, id {name}"
        words(row, "question", "answer", where=where)
        video = row.get("video_id", row.get("video"))
        if isinstance(video, bool) or not isinstance(video, int | str) or video == "":
            raise ValueError(f"{where}: 'video_id' is {video!r}; expected the clip's number or name")
        stem = Path(str(video)).stem if Path(str(video)).suffix.lower() in VIDEO_FORMATS else str(video)
        media = clips.find((stem, f"{prefix}{stem}"), where=where)
        items.append(Item(name, media, prompt=row["question"], question=row["question"], answers=(row["answer"],)))
    return items


def judged(
    items: Sequence[Item], replies: Mapping[str, str], judge: Judge, *, mode: str, task: str = "qa"
) -> list[Verdict]:
    """The judge's verdict on each item's reply, in order."""
    asked = [JudgeItem(i.id, i.question, i.answers[0], replies[i.id], video=i.group) for i in items]
    return judge.verdicts(asked, task=task, mode=mode)


def score_qa(items: Sequence[Item], replies: Mapping[str, str], *, mode: str, judge: Judge | None = None) -> Score:
    """Percent judged "yes" of those with a verdict, as published; `more` holds the mean score and what is missing.

    value None: no item has a verdict. A split's part is of its items with a verdict.
    """
    verdicts = judged(items, replies, judge, mode=mode)
    whole = table(verdicts, videos=[item.group for item in items])
    outcomes = {v.item: float(v.correct) for v in verdicts if not v.problem}
    parts: dict[str, list[float]] = {}
    for item in items:
        if item.id in outcomes:
            parts.setdefault(item.split or "all", []).append(outcomes[item.id])
    return Score(
        mode, None if whole.accuracy is None else 100 * whole.accuracy,
        {name: Part(len(v), 100 * sum(v) / len(v), int(sum(v))) for name, v in parts.items()},
        outcomes, more={"judge": judge.identity, **asdict(whole), "no_verdict": whole.no_verdict},
    )  # fmt: skip


def qa_benchmark(name: str, title: str, *, prefix: str, files: str, size: int) -> Benchmark:
    """MSVD-QA or MSRVTT-QA. The bare question is prompt and text-guided query, as in `model_msvd_qa.py`."""
    return Benchmark(
        name=name, title=title, columns={"": title}, media="video", files=files,
        load=lambda data: load_qa(Path(data), prefix=prefix, files=files), score=score_qa, modes=MODES, size=size,
        max_new_tokens=MAX_NEW_TOKENS, judged=True,
    )  # fmt: skip
