"""What one process and several together are to do alike: an ablation, two benchmarks, a fine-tuning, on small clips.

The ablation is cut off in the middle of its first training, and started again. As a script (`together.py ROOT OUT`) it
does all of it, each process that is started; `together.py ROOT OUT dies` is the ablation alone, of which process 1 is
killed.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from made_up_benchmarks import gqa
from made_up_video_benchmarks import clip, write_json
from small import LABELS, pair, small_model, tokenizers, write_clip

from llamavid_kit.__main__ import main
from llamavid_kit.data.pairs import read_jsonl, write_jsonl
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.model import checkpoints
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.processes import one_voice, rank
from llamavid_kit.training import loop
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

QUESTIONS = ("what fills the picture?", "what is moving?", "how many blocks?", "is it red?")


def make_world(root: Path) -> Path:
    """A saved model, clips with pairs (7 test, one of them torn, 13 train), a video and a picture benchmark."""
    pairs = []
    for k in range(20):
        name, label = f"c{k:02d}", LABELS[k % 3]
        write_clip(root / f"{name}.mp4", seconds=1 + k % 3 / 2, label=label, seed=k)
        pairs.append(pair(name, label, split="test" if k < 7 else "train"))
    torn = root / "c03.mp4"
    torn.write_bytes(torn.read_bytes()[:900])
    write_jsonl(pairs, root / "pairs.jsonl")
    checkpoints.save(small_model(*tokenizers()), root / "model")
    for k in range(3):
        clip(root / "msvd" / "video", f"vid{k}.mp4", k)
    rows = [  # those about one clip never lie side by side
        {"id": 10 * n + k, "video_id": k, "question": question, "answer": "x"}
        for n, question in enumerate(QUESTIONS)
        for k in (2, 0, 1)
    ]
    write_json(root / "msvd" / "test_qa.json", rows)
    gqa(root / "gqa")
    return root


def ablation(root: Path, out: Path) -> None:
    config = AblationConfig(
        model=f"{root / 'model'}",
        fps=(1, 4),
        batch=2,
        max_new_tokens=4,
        train=TrainSettings(batch_size=2, accumulate=2, max_steps=5, save_every=2, learning_rate=5e-3),
        lora=LoraSettings(r=2, alpha=4),
    )
    ablate(read_jsonl(root / "pairs.jsonl"), root=root, out=out, config=config)


class CutOff(Exception):
    pass


def cut_off(self, args, state, control, **kwargs):
    """After its second step a training is kept, after its third it is cut off."""
    if state.global_step == 3:
        raise CutOff


def everything(root: Path, out: Path) -> None:
    with suppress(CutOff), patch.object(loop._NoneAtTheEnd, "on_step_end", cut_off):
        ablation(root, out / "ablation")
        raise AssertionError("it was to be cut off")
    with one_voice():
        ablation(root, out / "ablation")
    of_model = ["--model", f"{root / 'model'}"]
    for name, *options in (("msvd", "--judge-rule", "mention"), ("gqa", "--batch", "3")):
        folders = ["--data", f"{root / name}", "--out", f"{out / name}"]
        assert main(["evaluate", name, *of_model, *folders, "--max-new-tokens", "4", *options]) == 0
    train = ["--pairs", f"{root / 'pairs.jsonl'}", "--root", f"{root}", "--epochs", "2", "--lora-rank", "4"]
    assert main(["finetune", *train, *of_model, "--out", f"{out / 'tuned'}"]) == 0


def die(folder: Path) -> None:
    """Process 1 is killed when it has answered twice by likelihood."""
    choose, calls = LlamaVidAnswerer.choose, []

    def choose_and_die(*args, **kwargs):
        calls.append(1)
        if rank() and len(calls) == 3:
            (folder / "died").write_text(f"{time.time()}")
            os.kill(os.getpid(), signal.SIGKILL)
        return choose(*args, **kwargs)

    LlamaVidAnswerer.choose = choose_and_die


if __name__ == "__main__":
    root, out = map(Path, sys.argv[1:3])
    if sys.argv[3:] == ["dies"]:
        die(out)
        with one_voice():
            ablation(root, out / "ablation")
    else:
        everything(root, out)
