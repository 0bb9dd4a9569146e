"""The language model in 4 bits: which of its linears are packed, what stays in its float type, what a machine needs.

NF4 with double quantisation, computed in bfloat16, as QLoRA trains on (arXiv 2305.14314, section 3), by bitsandbytes.
Packing is a way to load (`checkpoints.load`): no folder holds packed weights.
"""

import copy
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available

if TYPE_CHECKING:
    from llamavid_kit.model.llama_vid import LlamaVid

Quantise = Literal["4bit"]
BLOCK, NESTED = 64, 256  # weights that share a scale, scales that share one of their own
PACKED_BYTES = 0.5 + (1 + 4 / NESTED) / BLOCK  # of one weight, with its part of a scale: 8 bits, nested ones 32


def kept_in_float(model: "LlamaVid") -> list[str]:
    """Modules that no quantisation touches: every part but the language model, and of that its output layer."""
    head = model.get_output_embeddings()
    parts = [name for name, _ in model.named_children() if name != model.base_model_prefix]
    return [*parts, *(name for name, module in model.named_modules() if module is head)]


def packed_linears(model: "LlamaVid") -> dict[str, nn.Linear]:
    """Name → linear, of those that are packed."""
    kept = tuple(f"{name}." for name in kept_in_float(model))
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {name: linear for name, linear in linears.items() if not f"{name}.".startswith(kept)}


def is_packed(model: nn.Module) -> bool:
    """Whether a model was loaded with a quantisation."""
    return getattr(model, "hf_quantizer", None) is not None


def lacking() -> list[str]:
    """What it takes that this machine does not have, in words."""
    missing = [] if torch.cuda.is_available() else ["a GPU that torch sees"]
    if not is_bitsandbytes_available():
        missing.append("bitsandbytes (pip install 'llamavid-kit[quantisation]')")
    return missing


def four_bits(quantise: str) -> BitsAndBytesConfig:
    """The setting for `from_pretrained`; ValueError, with the way out, where the machine lacks what it takes."""
    if quantise != "4bit":
        raise ValueError(f'quantise={quantise!r}: expected "4bit", or None for the weights as they are')
    if missing := lacking():
        raise ValueError(f"4 bits need {' and '.join(missing)}, not found here; or leave quantise (--quantise) out")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def sparing(quantization_config: Any, model: "LlamaVid") -> BitsAndBytesConfig:
    """A copy of the setting that also skips what stays in float; ValueError for one of another library."""
    if not isinstance(quantization_config, BitsAndBytesConfig):
        kind = type(quantization_config).__name__
        raise ValueError(
            f"quantization_config of type {kind}: expected BitsAndBytesConfig of transformers: this kit does not know "
            "how another one leaves vision tower, text decoder and projectors alone"
        )
    config = copy.deepcopy(quantization_config)
    config.llm_int8_skip_modules = sorted({*(config.llm_int8_skip_modules or ()), *kept_in_float(model)})
    return config
