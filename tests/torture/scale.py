"""Data, a run, its tables and its page with n clips and with twice as many: no step takes more than its share.

The model is a stand-in that never looks, so what is measured is the kit around it. `--share 5` is UCF-Crime's size,
1,900 clips, and twice that.
"""

import json
import os
import random
import resource
from dataclasses import replace
from functools import partial
from pathlib import Path

import harness
import small
from harness import Table

from data_prep import ucf_crime
from llamavid_kit.data.pairs import InstructionPair, read_jsonl
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report import choices, errors, tables
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.run import Run
from llamavid_kit.model.answering import Reply

N_CLIPS = 380
LINEAR, NOISE_S = 2.6, 1.0  # twice the clips take at most so many times as long; shorter steps are not judged
KINDS = ("Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents", "Robbery")
TOLD = ("The lion is walking.", "The frog is jumping. The lion is eating.", "The goby fish is swimming.")


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    for kind in ("closed", "open"):
        found = []
        for n in (round(N_CLIPS * share), 2 * round(N_CLIPS * share)):
            folder = work / f"{kind}{n}"
            folder.mkdir()
            code = harness.wait(harness.spawn(partial(steps, folder, n, kind), log=folder / "log"), 1500)
            assert code == 0, (folder / "log").read_text()[-3000:]
            found.append(json.loads((folder / "steps.json").read_text()))
        print(f"{kind + ', ' + str(n) + ' clips':36s}{'n/2':>8s}{'n':>8s}{'ratio':>8s}")
        for name, second in found[1].items():
            ratio = second / max(found[0][name], 1e-9)
            print(f"{name:36s}{found[0][name]:8.2f}{second:8.2f}{ratio:8.1f}", flush=True)
            if name.endswith(", s"):
                table.count(kind, ratio <= LINEAR or second < NOISE_S, f"{name}: {second:.1f}, {ratio:.1f} times")


def lists(folder: Path, n: int) -> None:
    """UCF-Crime's layout: n clips, one file under n names, 85% of them to train on."""
    small.write_clip(folder / "one.mp4", seconds=2)
    train, test = [], []
    for k in range(n):
        kind = KINDS[k % len(KINDS)]
        path = folder / "Videos" / kind / f"{kind}{k:05d}_x264.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "one.mp4", path)
        if k % 20 < 17:
            train.append(f"{kind}/{path.name}\n")
        else:
            test.append(f"{path.name}  {kind}  2  9  -1  -1  \n")
    (folder / "Anomaly_Train.txt").write_text("".join(train))
    (folder / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt").write_text("".join(test))


class StandIn:
    """A `VideoModel` that says some option, or some sentence, and never looks."""

    name = identity = "stand-in"

    def __init__(self, labels: tuple[str, ...]):
        self.labels, self.rng = labels, random.Random(0)

    def fits(self, *_, **__) -> None: ...

    def prepare(self, *_) -> None: ...

    def generate(self, clips, question, view, *, max_new_tokens):
        return [Reply(self.rng.choice(self.labels or TOLD), (0.0, 1.0)) for _ in clips]

    def choose(self, clips, question, choices, view):
        logs = [{choice: -self.rng.random() * 9 for choice in choices} for _ in clips]
        return [Reply(max(log, key=log.__getitem__), (0.0,), log, dict.fromkeys(choices, 2)) for log in logs]


def cpu_seconds() -> float:
    """Of this process and of the children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def steps(folder: Path, n: int, kind: str) -> None:
    """`steps.json`: seconds of computing of each step, which do not depend on who else computes; and memory."""
    found: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal before
        found[f"{name}, s"], before = cpu_seconds() - before, cpu_seconds()

    lists(folder, n)
    before = cpu_seconds()
    crime = ucf_crime.build(folder)
    lap("data_prep: build")
    crime.write(folder / "pairs")
    lap("data_prep: write")
    pairs: list[InstructionPair] = [*crime.test, *read_jsonl(folder / "pairs" / "train_all.jsonl")]
    lap("read pairs")
    pairs = [replace(pair, split="test") for pair in pairs]
    if kind == "open":
        asked = {"question": "Which animal does what?", "choices": ()}
        pairs = [replace(pair, answer=TOLD[k % 3], **asked) for k, pair in enumerate(pairs)]
    more = {"max_new_tokens": 60} if kind == "open" else {}
    config = AblationConfig.for_pairs(pairs, model="stand-in", finetune=False, fps=(1, 4), **more)
    before = cpu_seconds()
    ablate(pairs, root=folder, out=folder / "run", config=config, model=StandIn(pairs[0].choices))
    lap("ablate")
    one = Run(folder / "run")
    one.check()
    lap("report: read and check")
    tables.all_tables(one)
    (errors if kind == "open" else choices).all_tables(one)
    lap("report: tables")
    write_report(folder / "run")
    lap("report: page")
    found["report.html, MB"] = (folder / "run" / "report.html").stat().st_size / 1e6
    found["memory, GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (folder / "steps.json").write_text(json.dumps(found))
