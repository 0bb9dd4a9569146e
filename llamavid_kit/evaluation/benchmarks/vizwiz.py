"""VizWiz-VQA (Gurari et al. 2018): questions of blind people about their own photographs; 8,000 test questions.

The test questions are scored by the server, and published numbers are of these; the labelled ones are scored here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from llamavid_kit.evaluation.benchmarks.base import WORD, Benchmark, Item
from llamavid_kit.evaluation.benchmarks.reading import by_id, inside, needed, read_by_id
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, people_of, score, write_upload

QUESTIONS, LABELLED = "llava_test.jsonl", "val.json"
UNKNOWN = "\nWhen the provided information is insufficient, respond with 'Unanswerable'."


def load(data: Path) -> list[Item]:
    """The test questions if they are there, else the labelled ones with ten people's answers, by answer type.

    The text decoder is asked question and instructions together, as the original's `model_vqa_loader.py` does.
    """
    items = []
    if (Path(data) / QUESTIONS).is_file():
        path, images = needed(data, "vizwiz", QUESTIONS, "test")
        rows = read_by_id(path, {"question_id": (int, str), "image": str, "text": str})
        by_id(list(rows.values()), "image", where=path)  # the server joins by picture
        for name, row in rows.items():
            media = inside(images, row["image"], where=f"{path}, id {name}")
            items.append(Item(name, media, row["text"], row["text"]))
        return items
    path, images = needed(data, "vizwiz", LABELLED, "val")
    for name, row in read_by_id(path, {"image": str, "question": str, "answers": list, "answer_type": str}).items():
        people, text = people_of(row["answers"]), row["question"] + UNKNOWN + WORD
        if not people:
            raise ValueError(f"{path}, {name}: answers {row['answers']!r:.80}; expected objects with the text `answer`")
        media = inside(images, name, where=str(path))
        items.append(Item(name, media, text, text, people, split=row["answer_type"]))
    return items


def submit(items: Sequence[Item], replies: Mapping[str, str], out: Path) -> Path | None:
    """The server's JSON (`convert_vizwiz_for_submission.py`): picture and normalised answer, in the items' order."""
    rows = [{"image": i.media.name, "answer": evalai_answer(replies[i.id])} for i in items]
    return write_upload(out / "vizwiz_upload.json", items, rows)


BENCHMARK = Benchmark.of("vizwiz", load, score, submit=submit)
