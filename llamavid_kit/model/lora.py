"""LoRA adapters as data, and into a model; needed by those who train and by those who read a LoRA folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from llamavid_kit.files import CheckpointError

# The original's LoRA: every linear of the LLM (`find_all_linear_names`).
LORA_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ADAPTER_CONFIG = "adapter_config.json"
# Settings of peft that `read_settings` obeys, and those that no merged weight depends on; all others must be at peft's
# default.
READ = {"peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "modules_to_save"}
NEUTRAL = {"task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"}
NEUTRAL |= {"init_lora_weights", "runtime_config", "megatron_core", "qalora_group_size"}
TARGETS = re.compile(r"language_model\\\.\.\*\\\.\(\w+(\|\w+)*\)")  # the form of pattern that `lora_config` writes
PLAIN_STARTS = (True, False, "gaussian", "orthogonal")  # of init_lora_weights: the others change the base's weights


@dataclass(frozen=True)
class LoraSettings:
    """Adapter size. `r`, `alpha`, `dropout` as in peft; the original's are 64, 16, 0.05 on the 7B model."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0


def read_settings(config: dict, path: Path, *, modules: tuple[str, ...] = ()) -> tuple[LoraSettings, float]:
    """`adapter_config.json` → size, and the factor of B A in the merged weight: alpha / r, with `use_rslora` / √r.

    modules: what `modules_to_save` may name. Raises CheckpointError that names every setting that is not understood:
    none is read past, and none merged as if it were plain.
    """
    from peft import LoraConfig

    plain = LoraConfig().to_dict()
    known = READ | NEUTRAL
    odd = {n: v for n, v in config.items() if n not in known and v != plain.get(n)}
    odd = {  # null and [] say no more, where peft does not expect an object
        n: v for n, v in odd.items() if v or plain.get(n) or type(v) in (int, float) or isinstance(plain.get(n), dict)
    }
    for name, values in (
        ("peft_type", ["LORA"]),
        ("init_lora_weights", PLAIN_STARTS),
        ("use_rslora", [False, True, None]),
        ("modules_to_save", [None, [], list(modules)]),
    ):
        if config.get(name, plain[name]) not in values:
            odd[name] = config[name]
    if odd:
        raise CheckpointError(f"{path}: {odd} is not supported: such an adapter is not what plain LoRA computes")
    targets = config.get("target_modules")
    names = isinstance(targets, list) and all(isinstance(name, str) for name in targets)
    if not (targets is None or names or (isinstance(targets, str) and TARGETS.fullmatch(targets))):
        raise CheckpointError(
            f"{path}: target_modules={targets!r:.80}: expected a list of layers' names, or such a pattern as "
            "lora_config writes: other patterns may take for ever to match"
        )
    numbers: list[Any] = [config.get("r"), config.get("lora_alpha"), config.get("lora_dropout", 0.0)]
    r, alpha, dropout = numbers
    if not all(type(x) in (int, float) and 0 <= x < 2**31 for x in numbers) or type(r) is not int or not r:
        raise CheckpointError(f"{path}: r={r!r}, lora_alpha={alpha!r}, lora_dropout={dropout!r}: expected numbers")
    return LoraSettings(r, alpha, dropout), alpha / (r**0.5 if config.get("use_rslora") else r)


def lora_config(lora: LoraSettings, linears: Iterable[str] = LORA_LINEARS, **kwargs):
    """peft's `LoraConfig` of adapters on the language model's linears; `kwargs` go to it."""
    from peft import LoraConfig  # only who trains, or reads a LoRA folder, waits for peft

    targets = rf"language_model\..*\.({'|'.join(linears)})"
    return LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, **kwargs)


def add_lora(model: nn.Module, config):
    """Put adapters into `model`, in place; `.merge_and_unload()` of what comes back takes them out again, merged."""
    from peft.tuners.lora import LoraModel

    return LoraModel(model, config, "default")
