"""What the video benchmarks share: finding a clip, reading question files, and scores that a judge gives.

Whether an item has a verdict is the judge's matter, not the model's: an item without one is left out of accuracy and
mean score, counted with its reason, and the two ends between which the accuracy must lie are said. One departure from
LLaMA-VID's scripts: those sample replies at temperature 0.2, so that a second run gives other numbers; here the
likeliest token is taken.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import Benchmark, Item, Part, Score, by_id, inside, needed, read_rows, some
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import Verdict, table
from llamavid_kit.files import read_text

VIDEO_FORMATS = (".mp4", ".avi", ".mov", ".mkv", ".webm")  # the original's scripts know the first four
MAPPING = "youtube_mapping.txt"
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


def clip_names(path: Path) -> dict[str, str]:
    """MSVD's youtube_mapping.txt, lines such as "-4wsuPCjDBc_5_15 vid1": "vid1" → the clip's name in YouTubeClips.

    ValueError names a line that is no such pair, and a number that stands there twice.
    """
    names: dict[str, str] = {}
    for k, line in enumerate(read_text(path).split("\n"), 1):
        found = re.fullmatch(r"\s*(\S+)\s+(vid[0-9]+)\s*", line)
        if line.strip() and not found:
            raise ValueError(f"{path}, line {k}: {line!r:.80}; expected a clip's name and vid with its number")
        if found and found[2] in names:
            raise ValueError(f"{path}, line {k}: {found[2]} stands there more than once; download it again")
        if found:
            names[found[2]] = found[1]
    return names


def load_qa(data: Path, *, prefix: str, files: str) -> list[Item]:
    """MSVD-QA and MSRVTT-QA: test_qa.json, a list of {id, video_id or video, question, answer}; clips in video/.

    A clip is called as its `video_id` says (LLaMA-VID's `model_msvd_qa.py`); or `prefix` and that number, as the data
    sets' authors name it (`preprocess_msvdqa.py`: vid1.avi to vid1970.avi, `preprocess_msrvttqa.py`: video0.mp4 to
    video9999.mp4, both of xudejing/video-question-answering); or, where the folder holds youtube_mapping.txt, as that
    says, which is how MSVD's own clips are called (`preprocess/datautils/msvd_qa.py` of thaolmk54/hcrn-videoqa).
    """
    path, clips = needed(data, "test_qa.json", files=files), Clips(needed(data, "video", files=files))
    mapping = Path(data) / MAPPING
    names = clip_names(mapping) if mapping.is_file() else {}
    rows = by_id(read_rows(path, {"id": (int, str), "question": str, "answer": str}), "id", where=path)
    items = []
    for name, row in rows.items():
        where = f"{path}, id {name}"
        words(row, "question", "answer", where=where)
        video = row.get("video_id", row.get("video"))
        if isinstance(video, bool) or not isinstance(video, int | str) or video == "":
            raise ValueError(f"{where}: 'video_id' is {video!r}; expected the clip's number or name")
        stem = Path(str(video)).stem if Path(str(video)).suffix.lower() in VIDEO_FORMATS else str(video)
        named = [names[key] for key in (stem, f"{prefix}{stem}") if key in names]
        media = clips.find((stem, f"{prefix}{stem}", *named), where=where)
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
        mode,
        None if whole.accuracy is None else 100 * whole.accuracy,
        {name: Part(len(v), 100 * sum(v) / len(v), int(sum(v))) for name, v in parts.items()},
        outcomes,
        more={"judge": judge.identity, **asdict(whole), "no_verdict": whole.no_verdict},
    )


def qa_benchmark(name: str, title: str, *, prefix: str, files: str, size: int) -> Benchmark:
    """MSVD-QA or MSRVTT-QA. The bare question is prompt and text-guided query, as in `model_msvd_qa.py`."""
    return Benchmark(
        name=name,
        title=title,
        columns={"": title},
        media="video",
        files=files,
        load=lambda data: load_qa(Path(data), prefix=prefix, files=files),
        score=score_qa,
        modes=MODES,
        size=size,
        max_new_tokens=MAX_NEW_TOKENS,
        judged=True,
    )
