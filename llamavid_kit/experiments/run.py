"""The folder that an ablation leaves behind, read back: what was asked, of which clips, and every reply.

Knows the files config.json, clips.json, summary.json, arms/*.jsonl and finetune/*/training.jsonl, and checks that they
agree. Tables, figures and sentences are made of it in `report`.
"""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from llamavid_kit.experiments import shapes
from llamavid_kit.experiments.arms import FACTORS, Arm, varying, words
from llamavid_kit.experiments.summary import Summary
from llamavid_kit.files import BEGIN_AGAIN, check_shape, read_json, read_replies, some
from llamavid_kit.training.loop import read_training

AGAIN = "run ablate again into another folder"
MAIN = ("model", "adapter", "fps", "answering")  # factors that the main tables show; any other has its own section


class Run:
    """The folder of one ablation, by its path or what `ablate` returned, read and cross-checked.

    folder, name; config, summary: the JSON as written; question, labels, source: what was asked, of which set
    judge: the identity of an open question's judge
    arms: every `Arm` in order; scores: arm's name → its numbers, as in summary.json
    clips: DataFrame clip, video, label, split, events ((start_s, end_s) in seconds), rate (the file's frames a second),
      duration_s, of train and test
    replies: DataFrame, a row per arm and test clip: arm (in words), key (file name), fps, fine_tuned, seed, answering,
      clip, truth, reply, correct, timestamps_s (of the frames seen, seconds), n_visual, receipt (as
      `model.ask.Receipt`, where the model gives one); label where there are labels, else score and more (see `tasks`)
    training: name → DataFrame of step, epoch, loss, lr
    Raises FileNotFoundError where a file is missing, ValueError where the summary and the replies disagree.
    """

    def __init__(self, folder: str | Path | Summary):
        self.folder = folder.folder if isinstance(folder, Summary) else Path(folder)
        self.name = self.folder.resolve().name
        self.config = self._read("config.json", shapes.CONFIG)
        self.summary = self._read("summary.json", shapes.SUMMARY)
        self._clips = self._read("clips.json", shapes.CLIPS)
        self.question, self.labels = self._clips["question"], list(self._clips["labels"])
        self.open, self.animals = not self.labels, tuple(self._clips.get("animals", ()))
        self.judge: dict[str, Any] = self._clips.get("judge", {})
        self.source = self._clips["source"] or "clips"
        self.scores = {record["name"]: record for record in self.summary["arms"]}
        self.arms = [Arm.of(record) for record in self.summary["arms"]]
        self.models = list(dict.fromkeys(arm.model for arm in self.arms))
        self.rule = self.summary["rule"]

    def _read(self, name: str, shape: dict) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there: expected the folder of a finished ablation (python -m llamavid_kit ablate)"
            )
        content = read_json(path, way_out=AGAIN)
        check_shape(content, shape, str(path), way_out=AGAIN)
        return content

    @cached_property
    def clips(self) -> pd.DataFrame:
        columns = {"id": "clip", "video": "video", "answer": "label", "split": "split", "events": "events"}
        pairs = pd.DataFrame([*self._clips["train"], *self._clips["test"]]).reindex(
            columns=[*columns, "n_frames", "fps"]
        )
        n_frames, fps = (pd.to_numeric(pairs[name]) for name in ("n_frames", "fps"))
        events = pairs["events"].map(lambda spans: [tuple(span) for span in spans] if isinstance(spans, list) else [])
        return pairs[[*columns]].rename(columns=columns).assign(events=events, rate=fps, duration_s=n_frames / fps)

    @property
    def test(self) -> pd.DataFrame:
        return self.clips[self.clips["split"] == "test"]

    @cached_property
    def excluded(self) -> pd.DataFrame:
        """Clips that no arm was asked, with the reason."""
        return pd.DataFrame(self._clips["excluded"]).reindex(columns=["clip", "split", "reason"])

    @cached_property
    def replies(self) -> pd.DataFrame:
        tables = []
        for arm in self.arms:
            path = self._arm_path(arm.name)
            if not path.is_file():
                raise FileNotFoundError(f"{path} is not there, but summary.json lists the arm; run ablate again")
            _, lines = read_replies(path)
            for number, line in enumerate(lines, 2):
                self._check_line(line, f"{path}, line {number}")
            columns = {
                "arm": self.name_in_tables(arm),
                "key": arm.name,
                "fps": float(arm.fps),
                "fine_tuned": arm.adapter is not None,
                "seed": arm.adapter and arm.adapter.seed,
                "answering": arm.answering,
            }
            tables.append(pd.DataFrame(lines).assign(**columns))
        return pd.concat(tables, ignore_index=True)

    def _check_line(self, line: dict[str, Any], where: str) -> None:
        """ValueError for a field of another kind, and for labels that are not the question's."""
        check_shape(line, shapes.OPEN if self.open else shapes.CLOSED, where, way_out=BEGIN_AGAIN)
        labels = {*self.labels}
        for name in ("log_likelihood", "n_tokens", "options"):
            if name in line and {*line[name]} != labels:
                raise ValueError(f"{where}: {name} is not of the labels {self.labels}; {BEGIN_AGAIN}")
        if not self.open and line["label"] not in (None, *labels):
            raise ValueError(f"{where}: label={line['label']!r} is none of {self.labels}; {BEGIN_AGAIN}")
        if not all(math.isfinite(x) and x <= 0 for x in line.get("log_likelihood", {}).values()):
            raise ValueError(f"{where}: log_likelihood={line['log_likelihood']}: expected at most 0; {BEGIN_AGAIN}")

    def of(self, key: str) -> pd.DataFrame:
        """The replies of the arm with that file name."""
        return self.replies[self.replies["key"] == key]

    @cached_property
    def seeds(self) -> list[int]:
        """Training seeds of the fine-tuned arms, sorted; empty where nothing was fine-tuned."""
        return sorted({arm.adapter.seed for arm in self.arms if arm.adapter})

    @property
    def fps(self) -> list[float]:
        return sorted({float(arm.fps) for arm in self.arms})

    @property
    def answering(self) -> list[str]:
        """The ways of answering that were run, generation first."""
        return [way for way in ("generation", "likelihood") if any(arm.answering == way for arm in self.arms)]

    def arm(self, key: str) -> Arm:
        """The arm with that file name."""
        if key not in self.scores:
            raise ValueError(f"{self.folder / 'summary.json'} compares {key!r}, which is none of its arms; {AGAIN}")
        return next(arm for arm in self.arms if arm.name == key)

    def words(self, arm: Arm | str, *, without: tuple[str, ...] = ()) -> str:
        """An arm, or the one of that file name, in words, with all that varies in the run."""
        return words(self.arm(arm) if isinstance(arm, str) else arm, self.arms, without=without)

    def name_in_tables(self, arm: Arm | str) -> str:
        """An arm in words, where the heading says how it answered."""
        return self.words(arm, without=("answering",))

    def is_main(self, arm: Arm) -> bool:
        """Whether the arm has the first value of every factor but those of MAIN."""
        return all(getattr(arm, name) == getattr(self.arms[0], name) for name in FACTORS if name not in MAIN)

    @property
    def varied(self) -> list[str]:
        """Factors with several values that have a section of their own."""
        return [name for name in varying(self.arms) if name not in MAIN]

    @property
    def families(self) -> list[str]:
        """Factors, and SEED, in which some two arms alone differ: what the run compares; the rates first."""
        names = dict.fromkeys(row["family"] for row in self.summary["paired"])
        return sorted(names, key=lambda name: name != "fps")

    def head(self, key: str) -> dict[str, Any]:
        """What heads the arm's file."""
        return read_replies(self._arm_path(key))[0]

    def _arm_path(self, key: str) -> Path:
        return self.folder / "arms" / f"{key}.jsonl"

    @cached_property
    def training(self) -> dict[str, pd.DataFrame]:
        paths = sorted((self.folder / "finetune").glob("*/training.jsonl"))
        return {path.parent.name: pd.DataFrame(read_training(path)) for path in paths if path.stat().st_size}

    def check(self) -> str:
        """Recounts the summary from the replies and the clip list. Raises ValueError naming the file that differs."""
        clips = dict(zip(self.test["clip"], self.test["label"], strict=True))
        for name, score in self.scores.items():
            rows, path = self.of(name), self._arm_path(name)
            if dict(zip(rows["clip"], rows["truth"], strict=True)) != clips or len(rows) != len(clips):
                raise ValueError(
                    f"{path} answers {len(rows)} clips, which are not the {len(clips)} of clips.json with their true "
                    "answers, each once; run ablate again"
                )
            if self.open and rows["score"].value_counts().reindex(range(6), fill_value=0).tolist() != score["scores"]:
                raise ValueError(f"{path}: its replies have other scores than summary.json; run ablate again")
            if (len(rows), int(rows["correct"].sum())) != (score["n"], score["correct"]):
                raise ValueError(
                    f"{path}: summary.json says {score['correct']} of {score['n']}, its replies say "
                    f"{rows['correct'].sum()} of {len(rows)}; run ablate again"
                )
            if not self.open and (odd := rows[rows["correct"] != (rows["label"] == rows["truth"])]["clip"].tolist()):
                raise ValueError(f"{path}: {some(odd)} is not right where label and truth are one; run ablate again")
        return f"{len(self.arms)} arms answered the same {len(clips)} clips; counts agree with the replies."
