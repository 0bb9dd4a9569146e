"""Training stages as data: which parts of the model train, on which text, with which settings.

Knows the parts of the model; the paper's three stages (section 3.4) and the study's fine-tuning stand in stages.toml.
`set_trainable` applies a stage to a model; the loop is `loop.fit`.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from llamavid_kit.model.lora import LoraSettings

# Every parameter belongs to the part with the longest prefix of its name.
PARTS = {
    "vision_tower": "vision_tower.",
    "vision_norm": "vision_norm.",
    "feature_projector": "feature_projector.",
    "query_tokens": "text_decoder.query_tokens",
    "text_decoder": "text_decoder.",
    "text_projector": "context_attention.text_projector.",
    "key_projector": "context_attention.key_projector.",
    "value_projector": "context_attention.value_projector.",
    "content_projector": "content_projector.",
    "language_model": "language_model.",
}
AFTER_FRAME_TOKENS = ("value_projector", "content_projector", "language_model")


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast. The defaults fine-tune the shipped model on a CPU; the paper's are in `STAGES`.

    batch_size: samples that pass the model together; a step sees batch_size * accumulate of them.
    max_length: longest prompt in tokens, a clip's slot counted as one; longer ones lose their end.
    """

    learning_rate: float = 2e-3
    batch_size: int = 8
    epochs: float = 6.0
    max_steps: int = -1  # where positive, replaces `epochs`
    warmup_ratio: float = 0.03
    scheduler: str = "cosine"
    weight_decay: float = 0.0
    seed: int = 0
    save_every: int = 200
    workers: int = 0
    accumulate: int = 1
    max_length: int | None = None


@dataclass(frozen=True)
class Stage:
    """Which parts train, on which text, and the published settings.

    trains: names of `PARTS`; all others are frozen.
    template: conversation template of `data.prompt`.
    settings: as published (stage 2's, for its variants); `accumulate` stands for the GPUs as well, so that one
        process takes the same steps.
    lora: adapters on the language model's linears train beside `trains`; None for a stage without.
    about: whose stage it is, and what for.
    """

    trains: tuple[str, ...]
    template: str
    settings: TrainSettings = field(default_factory=TrainSettings)
    lora: LoraSettings | None = None
    about: str = ""


def _stage(trains: list[str], settings: dict[str, Any], lora: dict[str, Any] | None = None, **text: str) -> Stage:
    adapters = None if lora is None else LoraSettings(**lora)
    return Stage(tuple(trains), settings=TrainSettings(epochs=1.0, **settings), lora=adapters, **text)


_TABLES = tomllib.loads(Path(__file__).with_name("stages.toml").read_text(encoding="utf-8"))
STAGES = {name: _stage(**table) for name, table in _TABLES.items()}


def stage_named(name: str) -> Stage:
    """The stage called `name`; ValueError lists the known names."""
    if name not in STAGES:
        raise ValueError(f"unknown stage {name!r}: expected one of {', '.join(STAGES)}")
    return STAGES[name]


def part_of(parameter: str) -> str:
    """The part that a parameter of `LlamaVid` belongs to; ValueError where it belongs to none."""
    parts = [part for part, prefix in PARTS.items() if parameter.startswith(prefix)]
    if not parts:
        raise ValueError(f"{parameter} belongs to none of the parts {', '.join(PARTS)}")
    return max(parts, key=lambda part: len(PARTS[part]))


def set_trainable(model: nn.Module, stage: Stage) -> list[str]:
    """Freeze and unfreeze every parameter of `model` (a `LlamaVid`) as `stage` says → names of those that train.

    Adapters of `add_lora` train in a stage with LoRA, and only there.
    """
    if unknown := set(stage.trains) - set(PARTS):
        raise ValueError(f"unknown parts {sorted(unknown)}: expected some of {', '.join(PARTS)}")
    for name, parameter in model.named_parameters():
        adapter = ".lora_" in name
        parameter.requires_grad_(stage.lora is not None if adapter else part_of(name) in stage.trains)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def keeps_frame_tokens(trained: Iterable[str]) -> bool:
    """Whether a clip's frame tokens stay the same while these parameters train, so that they can be cached."""
    return all(part_of(name) in AFTER_FRAME_TOKENS for name in trained)
