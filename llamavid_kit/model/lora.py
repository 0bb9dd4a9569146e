"""LoRA adapters as data, and into a model; needed by those who train and by those who read a LoRA folder."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

# The original's LoRA: every linear of the LLM (`find_all_linear_names`).
LORA_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraSettings:
    """Adapter size. `r`, `alpha`, `dropout` as in peft; the original's are 64, 16, 0.05 on the 7B model."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0


def lora_config(lora: LoraSettings, linears: Iterable[str] = LORA_LINEARS, **kwargs):
    """peft's `LoraConfig` of adapters on the language model's linears; `kwargs` go to it."""
    from peft import LoraConfig  # only who trains, or reads a LoRA folder, waits for peft

    targets = rf"language_model\..*\.({'|'.join(linears)})"
    return LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, **kwargs)


def add_lora(model: nn.Module, config):
    """Put adapters into `model`, in place; `.merge_and_unload()` of what comes back takes them out again, merged."""
    from peft.tuners.lora import LoraModel

    return LoraModel(model, config, "default")
