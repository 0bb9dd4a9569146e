"""VizWiz-VQA (Gurari et al. 2018): questions of blind people about their own photographs; 8,000 test questions.

Data folder: llava_test.jsonl (LLaVA) and test/, scored by the server; or val.json (VizWiz's annotations) and val/,
scored here. The published numbers are the server's on the test questions.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from llamavid_kit.evaluation.benchmarks import FILES as ALL_FILES
from llamavid_kit.evaluation.benchmarks.base import WORD, Benchmark, Item, by_id, inside, needed, read_rows
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, score
from llamavid_kit.files import write_whole

QUESTIONS, LABELLED = "llava_test.jsonl", "val.json"
UNKNOWN = "\nWhen the provided information is insufficient, respond with 'Unanswerable'."
FILES = ALL_FILES["vizwiz"]


def load(data: Path) -> list[Item]:
    """The test questions if they are there, else the labelled ones with ten people's answers, by answer type.

    The text decoder is asked question and instructions together, as the original's `model_vqa_loader.py` does.
    """
    if (Path(data) / QUESTIONS).is_file():
        path, images = Path(data) / QUESTIONS, needed(data, "test", files=FILES)
        rows = by_id(read_rows(path, {"question_id": (int, str), "image": str, "text": str}), "question_id", where=path)
        by_id(list(rows.values()), "image", where=path)  # the server joins by picture
        return [
            Item(name, inside(images, row["image"], where=f"{path}, id {name}"), row["text"], row["text"])
            for name, row in rows.items()
        ]
    path, images = needed(data, LABELLED, files=FILES), needed(data, "val", files=FILES)
    rows = by_id(
        read_rows(path, {"image": str, "question": str, "answers": list, "answer_type": str}), "image", where=path
    )
    return [_labelled(name, row, images, path) for name, row in rows.items()]


def _labelled(name: str, row: Mapping, images: Path, path: Path) -> Item:
    people = tuple(answer.get("answer") for answer in row["answers"] if isinstance(answer, dict))
    if len(people) != len(row["answers"]) or not people or not all(isinstance(a, str) for a in people):
        raise ValueError(f"{path}, {name}: answers {row['answers']!r:.80}; expected objects with the text `answer`")
    asked = row["question"] + UNKNOWN + WORD
    return Item(name, inside(images, name, where=str(path)), asked, asked, people, split=row["answer_type"])


def submit(items: Sequence[Item], replies: Mapping[str, str], out: Path) -> Path | None:
    """The server's JSON (`convert_vizwiz_for_submission.py`): picture and normalised answer, in the items' order.

    None for labelled questions, which no server waits for.
    """
    if items[0].answers:
        return None
    path = out / "vizwiz_upload.json"
    write_whole(path, json.dumps([{"image": i.media.name, "answer": evalai_answer(replies[i.id])} for i in items]))
    return path


BENCHMARK = Benchmark(
    name="vizwiz",
    title="VizWiz",
    columns={"": "VizWiz"},
    media="image",
    files=FILES,
    load=load,
    score=score,
    modes=("original",),
    size=8_000,
    submit=submit,
)
