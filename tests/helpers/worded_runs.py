"""A closed question in other words and orders: its configuration, and the run that the small model makes of it."""

from dataclasses import replace
from pathlib import Path

from small import LABELS, pair, small_model, write_clip

from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.files import read_replies

PLAIN = AblationConfig(model="small", fps=(1, 3), finetune=False, batch=2, max_new_tokens=3)
CONFIG = replace(PLAIN, prompts=("study", "plain", "short"), shuffle_choices=7)
N = 7


def make_clips(root: Path) -> tuple[Path, list]:
    for k in range(N):
        write_clip(root / f"t{k}.mp4", seconds=1.5, label=LABELS[k % 3], seed=k)
    return root, [pair(f"t{k}", LABELS[k % 3]) for k in range(N)]


def go(clips, tokenizers, out: Path, config: AblationConfig = CONFIG) -> dict:
    return ablate(clips[1], root=clips[0], out=out, config=config, model=small_model(*tokenizers))


def lines_of(out: Path, name: str) -> list[dict]:
    return read_replies(out / "arms" / f"{name}.jsonl")[1]
