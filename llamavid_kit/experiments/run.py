"""The folder that an ablation leaves behind, read back: what was asked, of which clips, and every reply.

Knows the files config.json, clips.json, summary.json, arms/*.jsonl and finetune/*/training.jsonl, and checks that they
agree. Tables are made of it in `report_tables`, sentences in `findings`, the report in `report`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from llamavid_kit.experiments.prompts import STUDY
from llamavid_kit.files import read_json, read_replies


def arm_name(arm: dict[str, Any], *, seeds: int) -> str:
    """An arm of the summary in words: "fine-tuned, 6 fps", its seed if there are several, and what was varied."""
    seed = f", seed {arm['finetune']['seed']}" if arm["finetune"] and seeds > 1 else ""
    prompt = f", {arm['prompt']} prompt" if arm.get("prompt", STUDY.name) != STUDY.name else ""
    order = ", shuffled options" if arm.get("shuffle") is not None else ""
    return f"{'fine-tuned' if arm['finetune'] else 'zero-shot'}, {arm['fps']:g} fps{seed}{prompt}{order}"


class Run:
    """The folder of one ablation, read and cross-checked.

    folder, name; config, summary: the JSON as written; question, labels, source: what was asked, of which set
    clips: DataFrame clip, video, label, split, events ((start_s, end_s) in seconds), duration_s, of train and test
    arms: DataFrame, a row per arm and test clip: arm (as shown), key (file name), fps, fine_tuned, seed, answering,
      clip, truth, reply, correct, timestamps_s (of the frames seen, seconds); label where there are labels, else
      score, matched, missing, invented (see `questions.OpenQuestion`)
    training: name → DataFrame of step, epoch, loss, lr
    Raises FileNotFoundError where a file is missing, ValueError where the summary and the replies disagree.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        self.config: dict[str, Any] = self._read("config.json")
        self.summary: dict[str, Any] = self._read("summary.json")
        self._clips: dict[str, Any] = self._read("clips.json")
        self.question, self.labels = self._clips["question"], list(self._clips["labels"])
        self.open, self.animals = not self.labels, tuple(self._clips.get("animals") or ())
        self.source = self._clips.get("source") or self.config.get("source") or "clips"
        self.model = (self.summary.get("model") or {}).get("name") or self.config.get("model", "model")
        self.world = (self.summary.get("model") or {}).get("world")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there: expected the folder of a finished ablation (python -m llamavid_kit ablate)"
            )
        return read_json(path, way_out="run ablate again into another folder")

    @cached_property
    def clips(self) -> pd.DataFrame:
        rows = []
        for pair in (*self._clips.get("train", ()), *self._clips.get("test", ())):
            known = pair.get("n_frames") and pair.get("fps")
            rows.append(
                {
                    "clip": pair["id"],
                    "video": pair["video"],
                    "label": pair["answer"],
                    "split": pair["split"],
                    "events": [tuple(e) for e in pair.get("events") or ()],
                    "duration_s": pair["n_frames"] / pair["fps"] if known else None,
                }
            )
        return pd.DataFrame(rows, columns=["clip", "video", "label", "split", "events", "duration_s"])

    @property
    def test(self) -> pd.DataFrame:
        return self.clips[self.clips["split"] == "test"]

    @cached_property
    def excluded(self) -> pd.DataFrame:
        """Clips that no arm was asked, with the reason."""
        rows = self._clips.get("excluded") or self.summary.get("excluded") or []
        return pd.DataFrame(rows).reindex(columns=["clip", "split", "reason"])

    @cached_property
    def arms(self) -> pd.DataFrame:
        frames = []
        for arm in self.summary["arms"]:
            path = self.folder / "arms" / f"{arm['name']}.jsonl"
            if not path.is_file():
                raise FileNotFoundError(f"{path} is not there, but summary.json lists the arm; run ablate again")
            _, lines = read_replies(path)
            frames.append(
                pd.DataFrame(lines).assign(
                    arm=self.shown(arm),
                    key=arm["name"],
                    fps=float(arm["fps"]),
                    fine_tuned=bool(arm["finetune"]),
                    seed=(arm["finetune"] or {}).get("seed"),
                    answering=arm["answering"],
                )
            )
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def seeds(self) -> list[int]:
        """Training seeds of the fine-tuned arms, sorted; empty where nothing was fine-tuned."""
        return sorted({arm["finetune"]["seed"] for arm in self.summary["arms"] if arm["finetune"]})

    @property
    def fps(self) -> list[float]:
        return sorted({float(arm["fps"]) for arm in self.summary["arms"]})

    @property
    def answering(self) -> list[str]:
        """The answering modes that were run, generation first."""
        return [m for m in ("generation", "likelihood") if any(a["answering"] == m for a in self.summary["arms"])]

    def shown(self, arm: dict[str, Any]) -> str:
        """How an arm is called in tables and figures; the seed is said where there are several."""
        return arm_name(arm, seeds=len(self.seeds))

    def is_main(self, arm: dict[str, Any]) -> bool:
        """Whether the arm was asked in the run's first prompt with the options as listed: by default all were."""
        first = (self.config.get("prompts") or [STUDY.name])[0]
        return arm.get("prompt", STUDY.name) == first and arm.get("shuffle") is None

    @property
    def varied(self) -> bool:
        """Whether some arms were asked in other words or with the options in another order."""
        return not all(self.is_main(arm) for arm in self.summary["arms"])

    def arm(self, key: str) -> dict[str, Any]:
        """The summary of the arm with that file name."""
        return next(arm for arm in self.summary["arms"] if arm["name"] == key)

    def head(self, key: str) -> dict[str, Any]:
        """The configuration that heads the arm's file."""
        return read_replies(self.folder / "arms" / f"{key}.jsonl")[0]

    @cached_property
    def training(self) -> dict[str, pd.DataFrame]:
        found = sorted((self.folder / "finetune").glob("*/training.jsonl"))
        return {path.parent.name: pd.read_json(path, lines=True) for path in found if path.stat().st_size}

    def check(self) -> str:
        """Recounts the summary from the replies and the clip list. Raises ValueError naming the arm that differs."""
        asked = set(self.test["clip"])
        for arm in self.summary["arms"]:
            rows = self.arms[self.arms["key"] == arm["name"]]
            if set(rows["clip"]) != asked or len(rows) != len(asked):
                raise ValueError(
                    f"arm {arm['name']} answered {len(rows)} clips, the list has {len(asked)}; run ablate again"
                )
            if self.open and rows["score"].value_counts().reindex(range(6), fill_value=0).tolist() != arm["scores"]:
                raise ValueError(
                    f"arm {arm['name']}: its replies have other scores than summary.json; run ablate again"
                )
            if (len(rows), int(rows["correct"].sum())) != (arm["n"], arm["correct"]):
                raise ValueError(
                    f"arm {arm['name']}: summary.json says {arm['correct']} of {arm['n']}, its replies say "
                    f"{rows['correct'].sum()} of {len(rows)}; run ablate again"
                )
        return f"{len(self.summary['arms'])} arms answered the same {len(asked)} clips; counts agree with the replies."
