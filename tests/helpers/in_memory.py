"""The original's pieces as a model in memory, without a folder of ours in between."""

from pathlib import Path

from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import add_lora, lora_config
from llamavid_kit.model.original.open import build, open_lora, open_parts
from llamavid_kit.model.original.tensors import ConversionReport


def from_parts(llm: Path, **kwargs) -> tuple[LlamaVid, ConversionReport]:
    """A bare language model with new parts, and the report; the arguments are those of `open_parts`."""
    opened = open_parts(llm, **kwargs)
    return build(opened), opened.report


def from_lora(folder: Path, *, base: Path, merge: bool = True, **kwargs) -> tuple[LlamaVid, ConversionReport]:
    """A LoRA folder on `base`, and the report: peft merges the adapters, or leaves them beside the weights."""
    opened = open_lora(folder, base=base, **kwargs)
    model, adapters = build(opened), opened.adapters
    rank_stabilized = adapters.scaling != adapters.settings.alpha / adapters.settings.r
    handle = add_lora(model, lora_config(adapters.settings, adapters.linears, use_rslora=rank_stabilized))
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data.copy_(adapters.tensors[name])
    return (handle.merge_and_unload() if merge else model).eval(), opened.report
