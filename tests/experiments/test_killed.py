"""Killed with SIGKILL wherever it stands and started again, a run gives the arm files of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small import LABELS, pair, small_model, write_clip

from llamavid_kit.data.pairs import write_jsonl
from llamavid_kit.model import checkpoints

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
import torch
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.training.finetune import LoraSettings, TrainSettings
from llamavid_kit.data.pairs import read_jsonl
torch.set_num_threads(1)
root, out, pairs = Path(sys.argv[1]), Path(sys.argv[2]), read_jsonl(sys.argv[3])
train = TrainSettings(batch_size=2, max_steps=6, save_every=2, learning_rate=5e-3)
config = AblationConfig.for_pairs(
    pairs, model=str(root / "model"), fps=(1, 4), batch=2, max_new_tokens=4 if pairs[0].choices else 30, train=train,
    lora=LoraSettings(r=2, alpha=4),
)
ablate(pairs, root=root, out=out, config=config)
"""

# Where the run is killed: the first moment at which each of these holds, in the order in which they come about.
MOMENTS = {
    "while clips are looked at": lambda out: len(list(out.glob("frame_tokens/*"))) >= 3,
    "once the clip list is fixed": lambda out: (out / "clips.json").is_file(),
    "in the middle of a zero-shot arm": lambda out: _lines(out / "arms" / "zero-shot-1fps-likelihood.jsonl") >= 3,
    "while the first adapter trains": lambda out: any(out.glob("finetune/fps1-seed0/checkpoints/checkpoint-*")),
    "in the middle of a fine-tuned arm": lambda out: _lines(out / "arms" / "lora-seed0-1fps-generation.jsonl") >= 3,
    "while the second adapter trains": lambda out: any(out.glob("finetune/fps4-seed0/checkpoints/checkpoint-*")),
}

OPEN_MOMENTS = {
    "in the middle of a zero-shot arm": lambda out: _lines(out / "arms" / "zero-shot-1fps-generation.jsonl") >= 3,
    "in the middle of a fine-tuned arm": lambda out: _lines(out / "arms" / "lora-seed0-1fps-generation.jsonl") >= 3,
}
SENTENCES = ("The lion is walking.", "The frog is jumping.", "The lion is eating.")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


@pytest.fixture(scope="module")
def root(tmp_path_factory, tokenizers):
    """Nine test clips, four training clips, a saved model, and the pairs of a closed and of an open question."""
    root, pairs = tmp_path_factory.mktemp("set"), []
    for k in range(13):
        name, label = f"c{k:02d}", LABELS[k % 3]
        write_clip(root / f"{name}.mp4", label=label, seed=k)
        pairs.append(pair(name, label, split="test" if k < 9 else "train"))
    write_jsonl(pairs, root / "closed.jsonl")
    answers = dict(zip(LABELS, SENTENCES, strict=True))
    question = {"question": "Which animal does what?", "choices": ()}
    write_jsonl([replace(p, answer=answers[p.answer], **question) for p in pairs], root / "open.jsonl")
    checkpoints.save(small_model(*tokenizers), root / "model")
    return root


def start(root: Path, out: Path, kind: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(out), str(root / f"{kind}.jsonl")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(root: Path, out: Path, kind: str) -> dict[str, bytes]:
    process = start(root, out, kind)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return {p.name: p.read_bytes() for p in sorted((out / "arms").iterdir())}


@pytest.mark.parametrize(
    ("kind", "moments", "n_arms", "least"), [("closed", MOMENTS, 8, 5), ("open", OPEN_MOMENTS, 4, 2)]
)
def test_sigkill_at_every_moment(root, tmp_path, kind, moments, n_arms, least):
    undisturbed = finish(root, tmp_path / "undisturbed", kind)
    assert len(undisturbed) == n_arms and all(content.count(b"\n") == 10 for content in undisturbed.values())
    out, killed = tmp_path / "killed", []
    for moment, reached in moments.items():
        process, deadline = start(root, out, kind), time.monotonic() + 120
        while process.poll() is None and not reached(out) and time.monotonic() < deadline:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed.append(moment)
    assert len(killed) >= least, f"killed only {killed}"
    assert finish(root, out, kind) == undisturbed
