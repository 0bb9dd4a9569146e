"""Run folders with made-up replies, in the format that an ablation writes, for tests of plots and reports.

An arm is right on a clip by a seeded coin whose bias is given; a choice that an arm made is eight times as likely as
any other; the summary is the library's own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.experiments.arms import AblationConfig, Arm
from llamavid_kit.experiments.clip_list import events_seen
from llamavid_kit.experiments.summary import write_summary
from llamavid_kit.experiments.tasks import ClosedQuestion
from llamavid_kit.study.setup import CRIME

LENGTH_S, VIDEO_FPS = 8.0, 30.0
FRAME_TIMES_S = np.arange(LENGTH_S * VIDEO_FPS) / VIDEO_FPS


@dataclass(frozen=True)
class MadeUp:
    """What the folder shall hold. skill: (fine-tuned, fps) → share of clips answered right."""

    skill: dict[tuple[bool, float], float]
    n_test: int = 330
    labels: tuple[str, ...] = CRIME.labels
    seeds: tuple[int, ...] = (0,)
    answering: tuple[str, ...] = ("generation", "likelihood")
    events: bool = True
    groups: bool = True
    source: str = "toy"

    def config(self) -> AblationConfig:
        half = (len(self.labels) - 1) // 2
        groups = {"seen types": self.labels[:half], "unseen types": self.labels[half:-1]}
        return AblationConfig(
            source=self.source,
            fps=tuple(sorted({fps for _, fps in self.skill})),
            finetune=any(fine for fine, _ in self.skill),
            seeds=self.seeds,
            answering=self.answering,
            rule="exact",
            groups=groups if self.groups else {},
        )


USUAL = {(False, 1): 0.1, (False, 6): 0.12, (True, 1): 0.5, (True, 6): 0.8}
RUNS = {
    "normal": MadeUp(USUAL),
    "no_train": MadeUp({(False, 1): 0.1, (False, 6): 0.12}, n_test=44),
    "no_events": MadeUp(USUAL, events=False, groups=False, n_test=22, answering=("generation",)),
    "own_labels": MadeUp(USUAL, labels=("Fall", "Jump", "Nothing"), n_test=30, groups=False, answering=("generation",)),
    "seeds": MadeUp(USUAL, seeds=(0, 1), n_test=110, answering=("generation",)),
    "one_rate": MadeUp({(False, 1): 0.5, (True, 1): 0.6}, n_test=5),
    "likelihood_only": MadeUp(USUAL, answering=("likelihood",), n_test=33),
}
REPORTED = ("normal", "no_train", "own_labels")  # the others' figures are drawn without a report


def write_run(folder: Path, made: MadeUp) -> Path:
    """Writes the folder's files and returns it."""
    rng = np.random.default_rng(0)
    text = CRIME.question if made.labels == CRIME.labels else multiple_choice_question("What is it", made.labels)
    question = ClosedQuestion(text, made.labels, rule="exact")
    trained = any(fine for fine, _ in made.skill)
    train, test = (_pairs(made, text, split, n, rng) for split, n in (("train", 20 * trained), ("test", made.n_test)))
    config = made.config()
    arms = [arm for arm in config.arms() if (arm.adapter is not None, arm.fps) in made.skill]
    left_out = [{"clip": "Arson900_x264", "split": "test", "reason": "more frames than the model can read"}]
    clips = {**question.record(), "source": made.source, "train": train, "test": test, "excluded": left_out}
    for name, content in (("config", config.record()), ("clips", clips)):
        _write(folder / f"{name}.json", json.dumps(content))
    for arm in arms:
        head = {"name": arm.name, **arm.factors(), "question": text, "rule": question.rule_of(arm.answering)}
        lines = [{"arm": head}, *_answers(made, test, arm, rng)]
        _write(folder / "arms" / f"{arm.name}.jsonl", "\n".join(map(json.dumps, lines)))
        if arm.adapter:
            steps = [{"step": s, "epoch": s / 20, "loss": 0.2 + 2 * 0.96**s, "lr": 1e-4} for s in range(1, 101)]
            _write(folder / config.adapter_folder(arm) / "training.jsonl", "\n".join(map(json.dumps, steps)))
    seconds = {"render": 60.0, "fine-tune": 120.0, "answer": 90.0}
    worlds = {"tiny": "toy world"}
    write_summary(folder, config, arms, question, clips, seconds, worlds=worlds, verdicts=folder / "verdicts")
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _pairs(made: MadeUp, question: str, split: str, n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    pairs = []
    for i in range(n):
        label = made.labels[i % len(made.labels)]
        start_s, length_s = rng.uniform(1, 4), float(np.exp(rng.uniform(np.log(0.1), np.log(3))))
        events = ((start_s, start_s + length_s),) if made.events and label != made.labels[-1] else ()
        name = f"{label.replace(' ', '')}{split}{i:03d}_x264"
        pairs.append(
            InstructionPair(
                id=name,
                video=f"{name}.mp4",
                question=question,
                answer=label,
                choices=made.labels,
                split=split,
                source=made.source,
                events=events,
                n_frames=int(LENGTH_S * VIDEO_FPS),
                fps=VIDEO_FPS,
            ).to_dict()
            | {"events_seen": events_seen(events, FRAME_TIMES_S, LENGTH_S)}
        )
    return pairs


def _answers(made: MadeUp, test: list[dict], arm: Arm, rng: np.random.Generator) -> list[dict[str, Any]]:
    lines = []
    for pair in test:
        right = bool(rng.random() < made.skill[arm.adapter is not None, arm.fps])
        wrong = [x for x in made.labels if x != pair["answer"]]
        silent = not right and arm.answering == "generation" and rng.random() < 0.1
        label = pair["answer"] if right else None if silent else str(rng.choice(wrong))
        times = (np.arange(LENGTH_S * arm.fps) / arm.fps).tolist()
        line = {"clip": pair["id"], "truth": pair["answer"], "reply": label or "a <b>dog</b>", "label": label}
        line |= {"correct": right, "timestamps_s": times, "n_visual": 2 * len(times)}
        if arm.answering == "likelihood":
            line["log_likelihood"] = {x: float(np.log(0.4 if x == label else 0.05)) for x in made.labels}
        lines.append(line)
    return lines
