"""Models of the original that lie in pieces: a bare language model with its new parts, an adapter on a base.

Input: a bare LLaMA folder, the EVA-ViT file, InstructBLIP's file or a stage-1 adapter (`mm_projector.bin`), a LoRA
folder (`adapter_model`, `non_lora_trainables`, .safetensors or .bin). Output as in `tensors`, whose strictness holds
here too: every tensor of every file is used, or named with the reason; none may come from two files.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.lora import ADAPTER_CONFIG, LORA_LINEARS, LoraSettings, read_settings
from llamavid_kit.model.original.config import read_config
from llamavid_kit.model.original.names import KEY_MAP, Table
from llamavid_kit.model.original.tensors import (
    ConversionReport,
    check_finite,
    depth_of,
    load_tensors,
    one_of,
    original_config,
    patch_of,
    read_object,
    read_original,
    read_shards,
    renamed,
    resize_positions,
    tower_state,
)

# InstructBLIP's names → ours; its Q-Former is renamed to the original's names first, so that KEY_MAP does the rest.
QFORMER, ENCODER = "Qformer.bert.", "model.vlm_att_encoder.bert."
INSTRUCT_BLIP_MAP: Table = (
    ("llm_proj.*", None, "InstructBLIP's projection to its own language model"),
    ("ln_vision.*", "vision_norm.*", ""),
    ("query_tokens", "text_decoder.query_tokens", ""),
    *KEY_MAP,
)
PEFT_PREFIX = "base_model.model."
LORA_A, LORA_B = ".lora_A.default.weight", ".lora_B.default.weight"


@dataclass(frozen=True)
class Adapters:
    """LoRA on the language model: size, factor of B A, linears that have one, tensors by peft's name in our model."""

    settings: LoraSettings
    scaling: float
    linears: tuple[str, ...]
    tensors: dict[str, Tensor]  # "language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight": …

    def expected(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that there must be on a model with these tensors, without contents."""
        shapes: dict[str, tuple[int, int]] = {}
        for name, tensor in state.items():
            linear = name.removesuffix(".weight")
            if name.startswith("language_model.") and linear.rpartition(".")[2] in self.linears and tensor.ndim == 2:
                n_out, n_in = tensor.shape
                shapes |= {linear + LORA_A: (self.settings.r, n_in), linear + LORA_B: (n_out, self.settings.r)}
        return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def read_parts(
    llm: Path | str,
    *,
    vision_weights: Path | str,
    text_decoder: Path | str | None = None,
    adapter: Path | str | None = None,
    content: str = "mean",
    bert_config: dict | None = None,
    vision_heads: int | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> tuple[LlamaVidConfig, dict[str, Tensor], ConversionReport]:
    """A bare language model and its new parts → (configuration, state dict in our names, report).

    Args:
        llm: folder of a LLaMA, nothing else in its weights.
        vision_weights: the EVA-ViT file, one block longer than the tower.
        text_decoder: InstructBLIP's file: Q-Former, queries and the norm before them (`--pretrain_qformer`).
        adapter: what stage 1 saves, `mm_projector.bin` (`--pretrain_mm_mlp_adapter`): all projectors, and the text
            decoder too, unless `text_decoder` brings it.
        content, bert_config, vision_heads: as in `read_original`; `content` is the configuration's.
        image_size: side of the frames in pixels; None takes the EVA-ViT file's (224). Positions are interpolated.
        seed: of the projectors where no file holds any; drawn as `nn.Linear` draws them, as in the original.

    Raises CheckpointError that lists unexpected and missing tensors, and those that two files hold.
    """
    report = ConversionReport()
    state: dict[str, Tensor] = {}
    eva = load_tensors(Path(vision_weights))
    depth = depth_of(eva) - 1
    _add(state, tower_state(eva, depth, "eva:", report))
    if image_size:
        resize_positions(state, image_size // patch_of(state), report)
    original, base = read_llm(Path(llm), report)
    _add(state, base)
    if text_decoder is not None:
        tensors = load_tensors(Path(text_decoder), inside="model")
        tensors = {f"{ENCODER}{n.removeprefix(QFORMER)}" if n.startswith(QFORMER) else n: t for n, t in tensors.items()}
        _add(state, _named(tensors, INSTRUCT_BLIP_MAP, report, "instructblip:"))
    if adapter is not None:
        _add(state, read_trained(Path(adapter), report, "adapter:"))
    state |= _new_projectors(state, original.get("hidden_size", 0), seed, report)
    kind = "qformer_pretrain" if any(name.startswith("vision_norm.") for name in state) else "qformer"
    original |= {"bert_type": kind, "compress_type": content}
    return read_config(original, state, depth, bert_config or {}, vision_heads), state, report


def read_llm(folder: Path, report: ConversionReport) -> tuple[dict, dict[str, Tensor]]:
    """A bare language model's `config.json` and tensors; CheckpointError where it is none, or no LLaMA."""
    original = original_config(folder, "llama")
    state = _named(read_shards(folder), KEY_MAP, report, "llm:")
    if others := [report.used[name] for name in state if not name.startswith("language_model.")]:
        raise CheckpointError(f"{folder} is not a bare language model: it also holds {', '.join(others)}")
    return original, state


def read_trained(path: Path, report: ConversionReport, source: str, *, prefix: str = "") -> dict[str, Tensor]:
    """What a training of a part wrote, by our names, `prefix` before the original's; only numbers, no NaN."""
    tensors = load_tensors(path)
    if others := sorted(name for name in tensors if not name.startswith(prefix)):
        raise CheckpointError(f"{path}: unexpected tensors: {', '.join(others)}")
    check_finite(tensors, path)
    return _named({name.removeprefix(prefix): t for name, t in tensors.items()}, KEY_MAP, report, source)


def _named(tensors: dict, table: Table, report: ConversionReport, prefix: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    if unknown := renamed(tensors, table, state, report, prefix):
        raise CheckpointError(f"unexpected tensors: {', '.join(sorted(unknown))}")
    return state


def _add(state: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    if both := sorted(set(state) & set(more)):
        raise CheckpointError(f"given by two files: {', '.join(both)}")
    state |= more


def _new_projectors(state: dict, llm_width: int, seed: int, report: ConversionReport) -> dict[str, Tensor]:
    """The projectors between tower, text decoder and language model, if no file holds any of them."""
    tower, queries = state.get("vision_tower.embeddings.patch_embedding.weight"), state.get("text_decoder.query_tokens")
    prefixes = ("content_projector.", "context_attention.")
    if tower is None or queries is None or any(name.startswith(prefixes) for name in state):
        return {}  # what is missing is named when the state dict meets the model
    width, decoder_width = tower.shape[0], queries.shape[-1]
    sizes = {
        "content_projector.0": (width, llm_width),
        "content_projector.2": (llm_width, llm_width),
        "context_attention.text_projector": (decoder_width, width),
        "context_attention.key_projector": (width, width),
        "context_attention.value_projector": (width, llm_width),
    }
    rng, new = torch.Generator().manual_seed(seed), {}
    for name, (n_in, n_out) in sizes.items():
        bound = 1 / math.sqrt(n_in)
        for kind, shape in (("weight", (n_out, n_in)), ("bias", (n_out,))):
            new[f"{name}.{kind}"] = torch.empty(shape).uniform_(-bound, bound, generator=rng)
    report.drawn += list(new)
    return new


def read_lora(
    folder: Path | str, *, base: Path | str, bert_config: dict | None = None, **kwargs
) -> tuple[LlamaVidConfig, dict[str, Tensor], ConversionReport, Adapters]:
    """A LoRA folder on `base`, a folder of the original → as `read_original`, and the adapters.

    The folder's `non_lora_trainables` (projectors, text decoder) take the place of the base's tensors, and its
    `config.json` that of the base's. `kwargs` go to `read_original`.
    """
    folder = Path(folder)
    config, state, report = read_original(base, bert_config=bert_config, **kwargs)
    lora_report = ConversionReport()
    path = one_of(folder, "non_lora_trainables")
    trained = read_trained(path, lora_report, "lora:", prefix=PEFT_PREFIX)
    if unknown := sorted(set(trained) - set(state)):
        raise CheckpointError(f"{folder}: not in {base}: {', '.join(lora_report.used[name] for name in unknown)}")
    for name in trained:
        report.unused[report.used[name]] = f"replaced by {path.name}"
    report.used |= lora_report.used
    report.unused |= lora_report.unused
    state |= trained
    vision, original = config.vision_config, original_config(folder)
    config = read_config(original, state, vision.num_hidden_layers, bert_config or {}, vision.num_attention_heads)
    return config, state, report, read_adapters(folder, report)


def read_adapters(folder: Path, report: ConversionReport) -> Adapters:
    """The adapters of a LoRA folder with their settings; what peft can do beyond plain LoRA is refused."""
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    config = read_object(path)
    settings, scaling = read_settings(config, path)
    linears = config.get("target_modules")
    if not isinstance(linears, list) or not linears or not all(linear in LORA_LINEARS for linear in linears):
        raise CheckpointError(f"{path}: target_modules={linears!r}, expected some of {', '.join(LORA_LINEARS)}")
    tensors = read_trained(one_of(folder, "adapter_model"), report, "lora:", prefix=PEFT_PREFIX)
    tensors = {name.removesuffix(".weight") + ".default.weight": tensor for name, tensor in tensors.items()}
    return Adapters(settings, scaling, tuple(linears), tensors)
