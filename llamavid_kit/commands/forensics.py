"""`forensics`: which frames did a closed model look at? A set of clips to ask it about, and what its answers say."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamavid_kit.evaluation.stimuli import Stimulus

CLIPS, QUESTIONS = "stimuli.json", "questions.csv"


def forensics_options(parser: argparse.ArgumentParser) -> None:
    text = "folder of the set: without --answers its clips and questions.csv are written there"
    parser.add_argument("folder", type=Path, help=text)
    parser.add_argument("--clips", type=int, default=200, help="how many, of a new set (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of a new set (default: 0)")
    text = "questions.csv with what the model replied in the column `reply`: prints which frames it got"
    parser.add_argument("--answers", type=Path, help=text)


def forensics(args: argparse.Namespace) -> None:
    if args.answers is None:
        _make(args.folder, args.clips, args.seed)
    else:
        _read(args.folder, args.answers)


def _make(folder: Path, n: int, seed: int) -> None:
    import csv
    import io

    from tqdm import tqdm

    from data_prep.toy_world.render import encode
    from data_prep.toy_world.stimuli import frames
    from llamavid_kit.evaluation.forensics import clip_set
    from llamavid_kit.files import whole, write_whole

    if n < 1:
        raise ValueError(f"--clips {n}: expected 1 or more; 200 tell most ways of choosing frames apart")
    if (folder / CLIPS).is_file():
        stimuli, its_seed = _stimuli(folder)
        if (len(stimuli), its_seed) != (n, seed):
            its = f"--clips {len(stimuli)} --seed {its_seed}"
            raise ValueError(f"{folder} holds another set: give another folder, or {its}, which continues it")
    else:
        stimuli = clip_set(n, seed=seed)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"seed": seed, "stimuli": [stimulus.as_dict() for stimulus in stimuli]}
        write_whole(folder / CLIPS, json.dumps(record, indent=1))
    for i, stimulus in enumerate(tqdm(stimuli, unit="clip")):
        path = folder / _name(i)
        if not path.is_file():
            with whole(path) as part:
                encode(frames(stimulus), part, crf=18)
    if not (folder / QUESTIONS).is_file():  # replies may stand there already
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["clip", "question", "reply"])
        rows.writerows([_name(i), stimulus.question, ""] for i, stimulus in enumerate(stimuli))
        write_whole(folder / QUESTIONS, table.getvalue())
    print(f"{n} clips. Ask the model each question of {folder / QUESTIONS} about its clip, and write down its replies")


def _stimuli(folder: Path) -> tuple[list["Stimulus"], int]:
    """The set that `folder` holds, and its seed."""
    from llamavid_kit.evaluation.stimuli import Stimulus
    from llamavid_kit.files import check_shape, read_json

    path, way_out = folder / CLIPS, "make the set with `forensics` in another folder"
    record = read_json(path, way_out=way_out)
    check_shape(record, {"seed": int, "stimuli": [dict]}, str(path), way_out=way_out)
    return [Stimulus.of(fields) for fields in record["stimuli"]], record["seed"]


def _read(folder: Path, answers: Path) -> None:
    from llamavid_kit.evaluation.forensics import Foretold
    from llamavid_kit.evaluation.scoring import label_of

    stimuli = {_name(i): stimulus for i, stimulus in enumerate(_stimuli(folder)[0])}
    replies = _replies(answers, list(stimuli))
    asked = [stimuli[clip] for clip in replies]
    said = [
        label_of(reply, stimulus.choices, rule="unique_mention")
        for stimulus, reply in zip(asked, replies.values(), strict=True)
    ]
    reading = Foretold(asked).read(said)
    print(f"{len(said)} replies, {sum(label is None for label in said)} of them without one of the choices\n")
    for group, chance in zip(reading.samplers[:5], reading.chances[:5], strict=False):
        if chance < 0.005:
            break
        print(f"{chance:.0%}  {group[0]}")
        for other in group[1:]:
            print(f"      or {other}")
    print("\nA way of choosing frames that is not in the list gets the name of another one.")
    print("Answered at random, by kind of question:")
    for kind, share in reading.at_random.items():
        print(f"{share:.0%}  {kind}")


def _replies(path: Path, clips: list[str]) -> dict[str, str]:
    """Clip → reply. Raises ValueError that names the line for a clip that the set lacks, or that comes twice, and where
    there is no reply at all."""
    import csv

    from llamavid_kit.files import csv_text

    replies: dict[str, str] = {}
    with csv_text(path) as file:
        rows = csv.DictReader(file, restval="")
        if not {"clip", "reply"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path}: columns {rows.fieldnames}: expected clip and reply, as in {QUESTIONS}")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if row["clip"] not in clips:
                raise ValueError(
                    f"{where}: clip {row['clip']!r} is not of this set: expected {clips[0]} to {clips[-1]}"
                )
            if row["clip"] in replies:
                raise ValueError(f"{where}: a second reply about {row['clip']}: keep one")
            if row["reply"].strip():
                replies[row["clip"]] = row["reply"]
    if not replies:
        raise ValueError(f"{path}: no reply: write what the model said into the column `reply`")
    return replies


def _name(i: int) -> str:
    return f"{i:03}.mp4"
