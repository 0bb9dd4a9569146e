"""Small made-up data folders of the six image benchmarks, in the files and formats in which they are published.

Every question asks about a picture of one colour. Each function makes a folder and returns item id → the right reply.
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 40, 220), "white": (240, 240, 240)}
WORD = "\nAnswer the question using a single word or phrase."
UNKNOWN = "\nWhen the provided information is insufficient, respond with 'Unanswerable'."


def picture(colour: str, *, seed: int = 0) -> Image.Image:
    """24 x 16 pixels in a colour, with a square of noise."""
    pixels = np.full((16, 24, 3), COLOURS[colour], np.uint8)
    pixels[4:8, 4:8] = np.random.default_rng(seed).integers(0, 256, (4, 4, 3))
    return Image.fromarray(pixels)


def _save(path: Path, colour: str, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(colour, seed=seed).save(path)
    return path.name


def write_jsonl(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _people(colour: str) -> list[dict]:
    return [{"answer": colour if k else "colour", "answer_id": k + 1} for k in range(10)]


def gqa(folder: Path) -> dict[str, str]:
    rows, labels = [], {}
    for k, colour in enumerate(COLOURS):
        name = f"20{k}"
        _save(folder / "images" / f"n{k}.png", colour, k)
        text = f"What colour fills the picture?{WORD}"
        rows.append({"question_id": name, "image": f"n{k}.png", "text": text, "category": "default"})
        kind = {"structural": "query" if k % 2 else "verify"}
        labels[name] = {"answer": colour, "imageId": f"n{k}", "types": kind}
    write_jsonl(folder / "llava_gqa_testdev_balanced.jsonl", rows)
    backwards = dict(reversed(labels.items()))  # labels are joined by id
    (folder / "testdev_balanced_questions.json").write_text(json.dumps(backwards))
    return {name: label["answer"].title() for name, label in labels.items()}


def pope(folder: Path) -> dict[str, str]:
    rows, truth = [], {}
    for c, category in enumerate(("adversarial", "random", "popular")):
        labels = []
        for k, colour in enumerate(COLOURS):
            image = _save(folder / "val2014" / f"p{k}.png", colour, k)
            thing, answer = (colour, "yes") if (k + c) % 2 else ("umbrella", "no")
            rows.append(
                {
                    "question_id": 10_000_000 * c + k + 1,
                    "image": image,
                    "category": category,
                    "text": f"Is there a {thing} in the imange?{WORD}",
                }
            )
            text = f"Is there a {thing} in the image?"
            labels.append({"question_id": k + 1, "image": image, "text": text, "label": answer})
            truth[str(rows[-1]["question_id"])] = answer.title()
        write_jsonl(folder / "coco" / f"coco_pope_{category}.json", labels[::-1])
    write_jsonl(folder / "llava_pope_test.jsonl", rows)
    return truth


def scienceqa(folder: Path) -> dict[str, str]:
    rows, problems = [], {}
    for k, colour in enumerate(COLOURS):
        name, choices = str(10 + k), [*[c for c in COLOURS if c != colour][: k + 1], colour]
        _save(folder / "images" / "test" / name / "image.png", colour, k)
        lettered = "".join(f"\n{letter}. {text}" for letter, text in zip("ABCDE", choices, strict=False))
        turns = [{"from": "human", "value": f"<image>\nWhich colour is it?{lettered}"}, {"from": "gpt", "value": "?"}]
        rows.append({"id": name, "image": f"{name}/image.png", "conversations": turns})
        problems[name] = {"choices": choices, "answer": len(choices) - 1}
    rows.append({"id": "99", "conversations": [{"from": "human", "value": "No picture.\nA. a\nB. b"}]})
    problems["99"] = {"choices": ["a", "b"], "answer": 0}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "llava_test_CQM-A.json").write_text(json.dumps(rows))
    (folder / "problems.json").write_text(json.dumps(problems))
    (folder / "pid_splits.json").write_text(json.dumps({"test": [*reversed(problems)], "train": ["1"]}))
    return {name: "ABCDE"[p["answer"]] for name, p in problems.items() if name != "99"}


def mmbench(folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    columns = (
        "index",
        "question",
        "hint",
        "A",
        "B",
        "C",
        "D",
        "answer",
        "category",
        "image",
        "source",
        "l2-category",
        "comment",
        "split",
    )
    lines, truth = ["\t".join(columns)], {}
    for k, colour in enumerate(COLOURS):
        encoded = io.BytesIO()
        picture(colour, seed=k).save(encoded, "PNG")
        image = base64.b64encode(encoded.getvalue()).decode()
        choices = [colour, *[c for c in COLOURS if c != colour][: 1 + k % 3]]
        for turn in range(len(choices)):
            turned = choices[turn:] + choices[:turn]
            name, letter = str(1_000_000 * turn + 240 + k), "ABCD"[turned.index(colour)]
            cells = [*turned, *[""] * (4 - len(turned))]
            hint = "Look at all of it." if k % 2 else ""
            row = (name, "Which colour is it?", hint, *cells, letter, f"kind {k % 2}", image, "made", "l2", "", "dev")
            lines.append("\t".join(row))
            truth[name] = letter
    (folder / "mmbench_dev_20230712.tsv").write_text("\n".join(lines) + "\n")
    return truth


def vizwiz(folder: Path, *, labelled: bool = False) -> dict[str, str]:
    rows, split = [], "val" if labelled else "test"
    for k, colour in enumerate(COLOURS):
        image = _save(folder / split / f"VizWiz_{split}_{k:08d}.png", colour, k)
        question = "What colour is this?"
        if labelled:
            rows.append({"image": image, "question": question, "answers": _people(colour), "answer_type": "other"})
        else:
            rows.append({"question_id": k, "image": image, "text": question + UNKNOWN + WORD, "category": "default"})
    if labelled:
        (folder / "val.json").write_text(json.dumps(rows))
    else:
        write_jsonl(folder / "llava_test.jsonl", rows)
    return {
        str(row["image"] if labelled else row["question_id"]): c.title() for row, c in zip(rows, COLOURS, strict=True)
    }


def vqav2(folder: Path, *, labelled: bool = False) -> dict[str, str]:
    questions, labels = [], []
    split = "val2014" if labelled else "test2015"
    for k, colour in enumerate(COLOURS):
        name, suffix = 1000 + k, "jpg" if labelled else "png"
        image = _save(folder / split / f"COCO_{split}_{k:012d}.{suffix}", colour, k)
        if labelled:
            questions.append({"question_id": name, "image_id": k, "question": "What colour is it?"})
            kinds = {"answer_type": "other" if k % 2 else "yes/no", "question_type": "what"}
            labels.append({"question_id": name, "image_id": k, "answers": _people(colour), **kinds})
        else:
            questions.append(
                {"question_id": name, "image": image, "text": f"What colour is it?{WORD}", "category": "default"}
            )
    if labelled:
        files = {
            "v2_OpenEnded_mscoco_val2014_questions": {"questions": questions},
            "v2_mscoco_val2014_annotations": {"annotations": labels[::-1]},
        }
        for file, content in files.items():
            (folder / f"{file}.json").write_text(json.dumps(content))
    else:
        write_jsonl(folder / "llava_vqav2_mscoco_test-dev2015.jsonl", questions)
        write_jsonl(
            folder / "llava_vqav2_mscoco_test2015.jsonl", [{"question_id": 5, "text": "not in dev"}, *questions]
        )
    return {str(row["question_id"]): c.title() for row, c in zip(questions, COLOURS, strict=True)}


MAKERS = {"gqa": gqa, "pope": pope, "scienceqa": scienceqa, "mmbench": mmbench, "vizwiz": vizwiz, "vqav2": vqav2}
