"""MMBench dev (Liu et al. 2023), 1,176 questions in 4,377 rows: every rotation of the choices must be answered right.

The table holds the pictures. The published numbers are the MMBench server's, and `submit` writes the file for it. What
is computed here is its rule with VLMEvalKit's reader of letters, without the chat model that the server asks about
replies which that reader cannot tell.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from llamavid_kit.evaluation.benchmarks.base import LETTER, Benchmark, Item, Mode, Score, accuracy_score
from llamavid_kit.evaluation.benchmarks.choice_letters import causes, strict_letter
from llamavid_kit.evaluation.benchmarks.reading import by_id, needed

TABLE = "mmbench_dev_20230712.tsv"
OPTIONS = ("A", "B", "C", "D")
COLUMNS = ("index", "question", *OPTIONS, "answer", "image", "split")
ROTATION = 1_000_000  # row k · ROTATION + i is question i with its choices rotated k times
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def load(data: Path) -> list[Item]:
    """One item a row, rotations included; `cluster` is the question that they are rotations of.

    The prompt is `model_vqa_mmbench.py`'s with --single-pred-prompt: hint, question, lettered choices and the
    instruction, which is not told to the text decoder. As there, a choice that reads "nan" or "None" ends the list.
    """
    (path,) = needed(data, "mmbench", TABLE)
    try:
        table = pd.read_table(path)
    except ValueError as error:  # pandas' own errors and letters that are not UTF-8
        raise ValueError(f"{path} is not a table with tabs ({error}); download it again") from error
    if absent := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"{path} has no column {', '.join(absent)}; expected MMBench's table of 2023-07-12")
    rows = table.to_dict("records")
    if not rows:
        raise ValueError(f"{path} holds no rows")
    by_id(rows, "index", where=path)
    items = [_item(row, path) for row in rows]
    first = {item.id for item in items}
    if alone := [item.id for item in items if item.cluster not in first]:
        raise ValueError(f"{path}: row {alone[0]} is a rotation of {int(alone[0]) % ROTATION}, which is not there")
    n_without = sum(not item.answers for item in items)
    if 0 < n_without < len(items):
        raise ValueError(f"{path}: {n_without} of {len(items)} rows have no answer; expected all or none")
    return items


def _item(row: Mapping[str, Any], path: Path) -> Item:
    name = str(row["index"])
    if not isinstance(row["index"], int):
        raise ValueError(f"{path}: index {row['index']!r} is not a whole number")
    choices = {letter: str(row[letter]) for letter in takewhile(lambda letter: not _is_none(row[letter]), OPTIONS)}
    answer = None if _is_none(row["answer"]) else row["answer"]
    if len(choices) < 2 or (answer is not None and answer not in choices):
        raise ValueError(f"{path}, row {name}: answer {answer!r} of choices {choices}; expected one of at least two")
    hint = "" if _is_none(row.get("hint")) else f"{row['hint']}\n"
    question = f"{hint}{row['question']}" + "".join(f"\n{letter}. {text}" for letter, text in choices.items())
    try:
        picture = base64.b64decode(str(row["image"]), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{path}, row {name}: `image` is not base64 ({error}); download the table again") from error
    cells = {column: None if _is_none(row[column]) else row[column] for column in COLUMNS if column != "image"}
    return Item(
        id=name,
        media=path,
        prompt=question + LETTER,
        question=question,
        answers=(answer,) if answer else (),
        split="" if _is_none(row.get("category")) else str(row["category"]),
        cluster=str(row["index"] % ROTATION),
        extra={"choices": choices, "row": cells},
        picture=picture,
    )


def _is_none(value: Any) -> bool:
    return str(value).lower() in ("nan", "none")


def infer_option(reply: str, choices: Mapping[str, str]) -> str | None:
    """VLMEvalKit's `can_infer_option`: the one letter of `choices` among the last five words; "Z" for a refusal.

    Its fault: the article in "A dog" is option A.
    """
    if any(refusal in reply for refusal in REFUSALS):
        return "Z"
    for mark in ".()[],:;!*#{}":
        reply = reply.replace(mark, " ")
    words = reply.split()
    letters = [letter for letter in choices if letter in words]
    if len(letters) == 1 and words.index(letters[0]) > len(words) - 5:
        return letters[0]
    return "Z" if not letters and "Z" in words else None


def infer_text(reply: str, choices: Mapping[str, str]) -> str | None:
    """VLMEvalKit's `can_infer_text`: the one choice whose text stands in the reply, unless that is long."""
    if len(reply) > 2 * sum(map(len, choices.values())):
        return None
    letters = [letter for letter, text in choices.items() if text.lower() in reply.lower()]
    return letters[0] if len(letters) == 1 else None


def infer(reply: str, choices: Mapping[str, str]) -> str | None:
    """VLMEvalKit's `can_infer`: by letter, else by text, else None, where it would ask a chat model."""
    return infer_option(reply, choices) or infer_text(reply, choices)


READERS = {"original": infer, "strict": strict_letter}


def score(items: Sequence[Item], replies: Mapping[str, str], *, mode: Mode, judge: object = None) -> Score:
    """CircularEval: percent of questions of which every row is right.

    `outcomes` are the questions', by the id of their first row. `more`: rows alone (plain accuracy), and how many
    questions have fewer rows than choices.
    """
    letters = {item.id: READERS[mode](replies[item.id], item.extra["choices"]) for item in items}
    none = tuple(name for name, letter in letters.items() if letter not in OPTIONS)
    why: dict[str, Any] = {"no answer": causes(items, replies)} if mode == "strict" else {}
    if not items[0].answers:
        return Score(mode, None, no_answer=none, more=why)
    rows: dict[str, list[bool]] = {}
    for item in items:
        rows.setdefault(item.cluster, []).append(letters[item.id] == item.answers[0])
    outcomes = {name: float(all(right)) for name, right in rows.items()}
    first = [item for item in items if item.id in outcomes]
    n_right = sum(map(sum, rows.values()))
    more = why | {
        "rows": len(items),
        "rows right": n_right,
        "plain accuracy": 100 * n_right / len(items),
        "questions with missing rotations": sum(len(rows[i.id]) < len(i.extra["choices"]) for i in first),
    }
    return accuracy_score(mode, first, outcomes, no_answer=none, more=more)


def _printable(value: Any) -> Any:
    return _CONTROL.sub(lambda mark: f"_x{ord(mark[0]):04X}_", value) if isinstance(value, str) else value


def submit(items: Sequence[Item], replies: Mapping[str, str], out: Path) -> Path:
    """The server's .xlsx (`convert_mmbench_for_submission.py`): a row an item, the reply as it is in `prediction`.

    A control character, which a sheet cannot hold, stands as Office Open XML writes it: "_x0008_".
    """
    path = out / "mmbench_upload.xlsx"
    rows = [item.extra["row"] | {"prediction": replies[item.id]} for item in items]
    table = pd.DataFrame([{name: _printable(value) for name, value in row.items()} for row in rows])
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        table[["index", "question", *OPTIONS, "prediction", "answer", "split"]].to_excel(writer, index=False)
        for cell in (cell for row in next(iter(writer.sheets.values())).iter_rows() for cell in row):
            if cell.data_type == "f":
                cell.data_type = "s"  # a reply that begins with "=" is text, no formula
    return path


BENCHMARK = Benchmark.of("mmbench", load, score, submit=submit)
