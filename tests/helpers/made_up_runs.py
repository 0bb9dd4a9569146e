"""Run folders with made-up replies, in the format that an ablation writes, for tests of plots and reports.

An arm is right on a clip by a seeded coin whose bias is given; the summary is counted with the library's own scoring.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.evaluation.scoring import score
from llamavid_kit.evaluation.statistics import compare_arms, holm
from llamavid_kit.evaluation.visibility import visibility_curve
from llamavid_kit.study.setup import CRIME, UCF_CRIME_EVENTS

LENGTH_S, VIDEO_FPS = 8.0, 30.0


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


USUAL = {(False, 1): 0.1, (False, 6): 0.12, (True, 1): 0.5, (True, 6): 0.8}


def add_likelihoods(run: Path, labels) -> None:
    """To the likelihood arms of a written run: of three choices the one that an arm made has 0.8 of the probability."""
    for path in (run / "arms").glob("*likelihood.jsonl"):
        head, *lines = map(json.loads, path.read_text().splitlines())
        for line in lines:
            line["log_likelihood"] = {x: float(np.log(0.4 if x == line["label"] else 0.05)) for x in labels}
        path.write_text("\n".join(map(json.dumps, [head, *lines])))


def write_run(folder: Path, made: MadeUp) -> Path:
    """Writes the folder's files and returns it."""
    rng = np.random.default_rng(0)
    question = CRIME.question if made.labels == CRIME.labels else multiple_choice_question("What is it", made.labels)
    n_train = 20 if any(fine for fine, _ in made.skill) else 0
    train, test = (_pairs(made, question, split, n, rng) for split, n in (("train", n_train), ("test", made.n_test)))
    arms = [a for fine, fps in made.skill for a in _arms(made, fine, fps)]
    answers = {arm["name"]: _answers(made, test, arm, rng) for arm in arms}
    summary = _summary(made, test, arms, answers)
    left_out = {"clip": "Arson900_x264", "split": "test", "reason": "more frames than the model can read"}
    clips = {
        "question": question,
        "labels": made.labels,
        "source": made.source,
        "train": train,
        "test": test,
        "excluded": [left_out],
    }
    config = {
        "model": "tiny",
        "fps": sorted({fps for _, fps in made.skill}),
        "seeds": list(made.seeds),
        "rule": "exact",
    }
    for name, content in (("config", config), ("clips", clips), ("summary", summary)):
        _write(folder / f"{name}.json", json.dumps(content))
    for arm in arms:
        _write(
            folder / "arms" / f"{arm['name']}.jsonl", "\n".join(map(json.dumps, [{"arm": arm}, *answers[arm["name"]]]))
        )
        if arm["finetune"]:
            steps = [{"step": s, "epoch": s / 20, "loss": 0.2 + 2 * 0.96**s, "lr": 1e-4} for s in range(1, 101)]
            _write(folder / arm["finetune"]["adapter"] / "training.jsonl", "\n".join(map(json.dumps, steps)))
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
        )
    return pairs


def _arms(made: MadeUp, fine: bool, fps: float) -> list[dict[str, Any]]:
    arms = []
    for mode in made.answering:
        for seed in made.seeds if fine else [None]:
            adapter = f"finetune/fps{fps:g}-seed{seed}"
            name = f"lora-{fps:g}fps-seed{seed}-{mode}" if fine else f"zero-shot-{fps:g}fps-{mode}"
            finetune = {"method": "lora", "seed": seed, "adapter": adapter} if fine else None
            arms.append({"name": name, "model": "tiny", "fps": fps, "finetune": finetune, "answering": mode})
    return arms


def _answers(made: MadeUp, test: list[dict], arm: dict, rng: np.random.Generator) -> list[dict[str, Any]]:
    lines = []
    for pair in test:
        right = rng.random() < made.skill[bool(arm["finetune"]), arm["fps"]]
        wrong = [x for x in made.labels if x != pair["answer"]]
        silent = not right and arm["answering"] == "generation" and rng.random() < 0.1
        label = pair["answer"] if right else None if silent else str(rng.choice(wrong))
        times = (np.arange(LENGTH_S * arm["fps"]) / arm["fps"]).tolist()
        lines.append(
            {
                "clip": pair["id"],
                "truth": pair["answer"],
                "reply": label or "a <b>dog</b>",
                "label": label,
                "correct": right,
                "timestamps_s": times,
            }
        )
    return lines


def _summary(made: MadeUp, test: list[dict], arms: list[dict], answers: dict[str, list[dict]]) -> dict[str, Any]:
    truths = [pair["answer"] for pair in test]
    tables = {n: score(truths, [x["label"] for x in lines], labels=made.labels) for n, lines in answers.items()}
    kept = ("name", "fps", "finetune", "answering")
    right = {n: {x["clip"]: x["correct"] for x in lines} for n, lines in answers.items()}
    compared = [
        compare_arms(right[a["name"]], right[b["name"]], names=(a["name"], b["name"]))
        for i, a in enumerate(arms)
        for b in arms[i + 1 :]
        if a["answering"] == b["answering"] and (a["fps"] == b["fps"]) != (bool(a["finetune"]) == bool(b["finetune"]))
    ]
    paired = [
        {
            "a": c.a,
            "b": c.b,
            "n": c.n,
            "only_a": len(c.only_a),
            "only_b": len(c.only_b),
            "difference": c.difference,
            "interval95": list(c.interval95),
            "p": c.p,
            "p_holm": p,
        }
        for c, p in zip(compared, holm([c.p for c in compared]), strict=True)
    ]
    events = [tuple(e) for pair in test for e in pair["events"]]
    rates, n = (1, 2, 3, 6), UCF_CRIME_EVENTS["n"]
    seen = [
        {"set": "UCF-Crime", "fps": f, "n": n, "seen": UCF_CRIME_EVENTS["seen"][f], "wilson95": [0.976, 1.0]}
        for f in rates
    ]
    ours = visibility_curve(events, fps=rates) if events else []
    seen += [{"set": "this set", "fps": v.fps, "n": v.n, "seen": v.seen, "wilson95": list(v.wilson95)} for v in ours]
    base = next(iter(tables.values())).baseline
    half = (len(made.labels) - 1) // 2
    groups = {"seen types": list(made.labels[:half]), "unseen types": list(made.labels[half:-1])}
    return {
        "arms": [{**{k: arm[k] for k in kept}, **tables[arm["name"]].to_dict()} for arm in arms],
        "paired": paired,
        "baseline": {"label": base.label, "correct": base.correct, "n": base.n},
        "excluded": [],
        "seconds": {"render": 60.0, "fine-tune": 120.0, "answer": 90.0},
        "visibility": seen,
        "groups": groups if made.groups else {},
        "rule": "exact",
        "model": {"name": "tiny", "world": "toy world"},
    }
