"""An open question about five clips, replies to it written by hand, and the run folder that they make."""

import json
from pathlib import Path

import pandas as pd

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.summary import write_summary
from llamavid_kit.experiments.tasks import question_of
from llamavid_kit.model.ask import Reply

OPEN_QUESTION = "Which animal does what?"
SEEN = {"1": 0, "2": 1, "3": 1, "6": 1}  # of an event from 0.3 to 0.8 s

TRUTHS = (
    "The lion is walking. The lion is eating.",
    "The frog is jumping.",
    "The lion is walking. The goby fish is swimming.",
    "The frog is keeping still.",
    "The lion is walking.",
)
TRAIN = ("The frog is jumping.", "The frog is jumping. The lion roars.", "The lion is walking.", "The lion roars.")
ARMS = [
    "zero-shot-1fps-generation",
    "zero-shot-4fps-generation",
    "lora-seed0-1fps-generation",
    "lora-seed0-4fps-generation",
]
TEST = ["t0", "t1", "t2", "t3", "t4"]


def pair(name: str, answer: str, split: str = "test", **kwargs) -> InstructionPair:
    return InstructionPair(id=name, video=f"{name}.mp4", question=OPEN_QUESTION, answer=answer, split=split, **kwargs)


def open_pairs() -> list[InstructionPair]:
    return [pair(f"t{k}", truth, events=((0.3, 0.8),) if k < 2 else ()) for k, truth in enumerate(TRUTHS)]


def train_pairs() -> list[InstructionPair]:
    return [pair(f"r{k}", truth, "train") for k, truth in enumerate(TRAIN)]


REPLIES = {  # by hand: every score from 0 to 5 occurs
    "zero-shot-1fps-generation": ("A lion is sleeping.", "", "lovely day", "The bird is flying.", "The lion walks."),
    "zero-shot-4fps-generation": (
        "The lion is walking.",
        "The frog is eating. The lion is jumping.",
        "The lion is walking. Hm. Hm hm. The bird is flying.",
        "The frog is keeping still. The lion is walking. The frog is eating. The ant is here. A bird is "
        "eating. The cat is sitting. The dog is lying. The cow is standing.",
        "The lion is walking.",
    ),
    "lora-seed0-1fps-generation": (TRUTHS[0], TRUTHS[1], "The lion is walking.", TRUTHS[3], TRUTHS[3]),
    "lora-seed0-4fps-generation": (
        TRUTHS[0] + " The frog is jumping.",
        TRUTHS[1],
        TRUTHS[2] + " The lion is walking.",
        TRUTHS[3],
        TRUTHS[4],
    ),
}


def by_hand(folder: Path, *, train: bool = True, replies=REPLIES) -> tuple[dict, dict[str, pd.DataFrame]]:
    """Writes the folder of a run with those replies → its summary and a table per arm."""
    config = AblationConfig(
        model="small", source="colours", fps=(1, 4), answering=("generation",), finetune=len(replies) == 4
    )
    question = question_of([*open_pairs(), *train_pairs()])
    (folder / "arms").mkdir(parents=True)
    frames = {}
    for arm in config.arms():
        head = {"name": arm.name, **arm.factors()}
        answers = [Reply(text, (0.0,), n_visual=2) for text in replies[arm.name]]
        lines = question.lines(arm.name, open_pairs(), answers, folder / "verdicts")
        text = "".join(json.dumps(line) + "\n" for line in [{"arm": head}, *lines])
        (folder / "arms" / f"{arm.name}.jsonl").write_text(text)
        frames[arm.name] = pd.DataFrame(lines)
    left_out = [{"clip": "torn", "split": "test", "reason": "torn.mp4 cannot be read"}]
    clips = {
        **question.record(),
        "source": "colours",
        "test": [p.to_dict() | {"events_seen": SEEN if p.events else dict.fromkeys(SEEN, 0)} for p in open_pairs()],
        "excluded": left_out,
    }
    clips["train"] = [p.to_dict() for p in train_pairs()] if train else []
    for name, content in (("clips", clips), ("config", config.record())):
        (folder / f"{name}.json").write_text(json.dumps(content))
    rest = {"worlds": {}, "verdicts": folder / "verdicts"}
    return write_summary(folder, config, config.arms(), question, clips, {"answer": 1.26}, **rest), frames
