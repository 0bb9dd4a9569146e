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

from llamavid_kit.evaluation.benchmarks.base import Item, Mode, Score, accuracy_parts
from llamavid_kit.evaluation.benchmarks.reading import inside, needed, read_by_id
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import verdict_table
from llamavid_kit.files import read_text, some

VIDEO_FORMATS = (".mp4", ".avi", ".mov", ".mkv", ".webm")  # the original's scripts know the first four
MAPPING = "youtube_mapping.txt"
MODES: tuple[Mode, ...] = ("strict", "original")  # how a judge's words are read, see `verdict_parser`


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
        names = sorted(name for stem in stems for name in self._files.get(stem, ()))
        if not names:
            raise FileNotFoundError(
                f"{where}: no clip {' or '.join(map(repr, stems))} with one of the endings {' '.join(VIDEO_FORMATS)} "
                f"in {self.folder}; download the benchmark's videos into it"
            )
        if len(names) > 1:
            raise ValueError(f"{where}: {len(names)} clips fit ({some(names)}); keep one of them in {self.folder}")
        return inside(self.folder, names[0], where=where)


def check_words(row: Mapping[str, Any], *keys: str, where: str) -> None:
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
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\S+)\s+(vid[0-9]+)\s*", line)
        if not match:
            raise ValueError(f"{path}, line {k}: {line!r:.80}; expected a clip's name and vid with its number")
        if match[2] in names:
            raise ValueError(f"{path}, line {k}: {match[2]} stands there more than once; download it again")
        names[match[2]] = match[1]
    return names


def load_qa(data: Path, *, name: str, prefix: str) -> list[Item]:
    """MSVD-QA and MSRVTT-QA: test_qa.json, a list of {id, video_id or video, question, answer}; clips in video/.

    A clip is called as its `video_id` says (LLaMA-VID's `model_msvd_qa.py`); or `prefix` and that number, as the data
    sets' authors name it (`preprocess_msvdqa.py`: vid1.avi to vid1970.avi, `preprocess_msrvttqa.py`: video0.mp4 to
    video9999.mp4, both of xudejing/video-question-answering); or, where the folder holds youtube_mapping.txt, as that
    says, which is how MSVD's own clips are called (`preprocess/datautils/msvd_qa.py` of thaolmk54/hcrn-videoqa). The
    bare question is prompt and text-guided query, as in `model_msvd_qa.py`.
    """
    path, folder = needed(data, name, "test_qa.json", "video")
    clips, mapping = Clips(folder), path.with_name(MAPPING)
    names = clip_names(mapping) if mapping.is_file() else {}
    items = []
    for key, row in read_by_id(path, {"id": (int, str), "question": str, "answer": str}).items():
        where = f"{path}, id {key}"
        check_words(row, "question", "answer", where=where)
        video = row.get("video_id", row.get("video"))
        if isinstance(video, bool) or not isinstance(video, int | str) or video == "":
            raise ValueError(f"{where}: 'video_id' is {video!r}; expected the clip's number or name")
        stem = Path(str(video)).stem if Path(str(video)).suffix.lower() in VIDEO_FORMATS else str(video)
        stems = (stem, f"{prefix}{stem}")
        media = clips.find((*stems, *(names[stem] for stem in stems if stem in names)), where=where)
        items.append(Item(key, media, prompt=row["question"], question=row["question"], answers=(row["answer"],)))
    return items


def judge_item(item: Item, reply: str) -> JudgeItem:
    """What a judge sees of one question, its true answer and the reply."""
    return JudgeItem(item.id, item.question, item.answers[0], reply, video=item.group)


def score_qa(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: Judge | None = None) -> Score:
    """Percent judged "yes" of those with a verdict, as published; `more` holds the mean score and what is missing.

    value None: no item has a verdict. A split's part is of its items with a verdict.
    """
    if judge is None or mode == "official":
        raise ValueError(f"judge={judge}, mode={mode!r}: expected a judge, and one of {', '.join(MODES)}")
    verdicts = judge.verdicts([judge_item(item, replies[item.id]) for item in items], mode=mode)
    videos = [item.group for item in items]
    whole = verdict_table(verdicts, videos=videos)
    outcomes = {v.item: float(v.correct is True) for v in verdicts if not v.problem}
    return Score(
        mode,
        None if whole.accuracy is None else 100 * whole.accuracy,
        accuracy_parts(items, outcomes),
        outcomes,
        more={"judge": judge.identity, **asdict(whole), "no_verdict": whole.no_verdict},
        verdicts={"qa": (verdicts, videos)},
    )
