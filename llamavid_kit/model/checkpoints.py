"""Names and folders become models (`load`), and models folders (`save`).

Knows the shipped model, our own folders (safetensors) and the original's (through `original.open`). What the tensors
mean is left to the model, writing a folder of the original or reading one into ours to `original.convert`.
"""

import copy
import logging
import os
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn
from transformers.utils import logging as transformers_logging

from llamavid_kit.files import CheckpointError, saving
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.four_bits import Quantise, four_bits, is_packed
from llamavid_kit.model.identity import fingerprint
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import ADAPTER_CONFIG, read_settings
from llamavid_kit.model.original.open import KINDS, check_fits_model, check_ours, from_original, kind_of, note_packed
from llamavid_kit.model.original.parts import PEFT_PREFIX
from llamavid_kit.model.original.tensors import check_finite, load_tensors, read_object, read_shards
from llamavid_kit.model.tokenizers import (
    QUESTION_TOKENIZER,
    load_llm_tokenizer,
    load_question_tokenizer,
    save_tokenizer,
)
from llamavid_kit.processes import n_processes

log = logging.getLogger(__name__)
BASE = "base.json"  # of an adapter: the fingerprint of the model that it was trained on
PROJECTOR = "content_projector"  # what a fine-tuning trains beside LoRA
ASSETS = Path(__file__).parents[1] / "assets"


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    context: int | None = None,
    adapter: str | Path | None = None,
    quantise: Quantise | None = None,
    **kwargs,
) -> LlamaVid:
    """A model by name or folder, in eval mode, with its tokenizers.

    Args:
        name: "tiny" (ships with the kit), a folder written by `save` or `convert`, or a folder of the original.
        device: where to put it; None leaves it to `device_map`, else CPU.
        context: number of tokens that must fit; more than the model's own stretch it (`LlamaVidConfig.extend_context`).
        adapter: what `finetune` wrote for this model, merged into it; beside packed weights, which merging would round
            once more, it stays an addition.
        quantise: "4bit" packs the linears of the language model's layers, a quarter of their bfloat16 bytes; all else
            stays in its float type. Needs a GPU and bitsandbytes.
        **kwargs: `dtype`, `device_map`, `quantization_config` go to `from_pretrained` (the last, a setting of your own
            in the place of `quantise`, spares the same parts); for a folder of the original, the others go to
            `from_original`. "tiny" computes in float32, as does a folder of the original, but on a GPU in bfloat16.

    Raises CheckpointError where the folder is no checkpoint, ValueError where the machine cannot compute in 4 bits.
    """
    if quantise is not None:
        if kwargs.get("quantization_config") is not None:
            raise ValueError(f"quantise={quantise!r} and a quantization_config: give one of them")
        kwargs["quantization_config"] = four_bits(quantise)
    folder = ASSETS / "tiny" if name == "tiny" else Path(name)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f'{name!r} is not a model: expected "tiny" or a folder with config.json')
    packs = kwargs.get("quantization_config") is not None
    if packs and device is not None:
        kwargs["device_map"] = device  # each weight is packed there as it is read
    if read_object(folder / "config.json").get("model_type") != LlamaVidConfig.model_type:
        if device is not None and torch.device(device).type == "cuda":
            kwargs = {"dtype": torch.bfloat16, **kwargs}
        model, report = from_original(folder, context=context, **kwargs)
        log.info("%s", report)
    else:
        bars = transformers_logging.is_progress_bar_enabled()
        if name == "tiny":
            kwargs = {"dtype": torch.float32, **kwargs}
            transformers_logging.disable_progress_bar()  # what loads in a moment needs none
        try:
            config = check_ours(folder)
            config.extend_context(context or 1)
            model = LlamaVid.from_pretrained(folder, config=config, **kwargs)
            if packs:
                note_packed(model, read_shards(folder), folder)
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
        model.tokenizer = load_llm_tokenizer(folder)
        model.question_tokenizer = load_question_tokenizer(folder / QUESTION_TOKENIZER)
    if adapter is not None:
        adapted = with_adapter(model, adapter)
        model = adapted.get_base_model() if packs else adapted.merge_and_unload()
    if device is not None and not packs:
        model = model.to(device)
    check_finite(model.state_dict(), folder)
    return model.eval()


def with_adapter(model: LlamaVid, folder: Path | str) -> PeftModel:
    """`model` with LoRA and projector of `folder` (a fine-tuning's, or its `adapter/`) beside its weights, in place.

    Raises CheckpointError, the model as it was, where a setting is not understood, a tensor is missing, unexpected,
    misshapen or not finite, or the adapter was trained on other weights.
    """
    folder = Path(folder)
    inner = next((f for f in (folder, folder / "adapter") if (f / ADAPTER_CONFIG).is_file()), None)
    if inner is None:
        raise CheckpointError(f"{folder} holds no adapter of this kit: expected adapter_model.safetensors, or adapter/")
    if (kind := kind_of(inner)) != "adapter":
        raise CheckpointError(f"{inner} is {KINDS[kind]}")
    config, rank, tensors = read_adapter(inner)
    expected = _adapter_shapes(model, config, rank, inner / ADAPTER_CONFIG)
    check_fits_model(expected, tensors, inner, "this model and its own settings")
    _check_base(model, inner)
    return PeftModel.from_pretrained(model, inner)


def _check_base(model: LlamaVid, adapter: Path) -> None:
    """CheckpointError where an adapter was trained on other weights; a warning where that cannot be told.

    Packed weights count as those that they were made of: an adapter of the ones is good for the others.
    """
    if not (adapter / BASE).is_file():
        log.warning("%s: whether it was trained on this model cannot be told; its shapes fit", adapter)
    elif read_object(adapter / BASE).get("weights") != fingerprint(model):
        raise CheckpointError(f"{adapter} was trained on another model of these shapes: load it on that one")


def read_adapter(folder: Path) -> tuple[dict, int, dict[str, torch.Tensor]]:
    """An adapter of this kit → its settings, rank and tensors; CheckpointError as of `with_adapter`."""
    config, path = read_object(folder / ADAPTER_CONFIG), folder / "adapter_model.safetensors"
    settings, _ = read_settings(config, folder / ADAPTER_CONFIG, modules=(PROJECTOR,))
    tensors = load_tensors(path)
    check_finite(tensors, path)
    return config, settings.r, tensors


def _adapter_shapes(model: LlamaVid, config: dict, rank: int, path: Path) -> dict[str, torch.Tensor]:
    """The tensors, without contents, that an adapter with these settings has for `model`."""
    targets = config.get("target_modules")
    lora = LoraConfig(target_modules=targets)
    linears = {n: m for n, m in model.named_modules() if targets and check_target_module_exists(lora, n)}
    if not linears or not all(isinstance(m, nn.Linear) for m in linears.values()):
        raise CheckpointError(f"{path}: target_modules={targets!r} names no linear layers of the model, or others too")
    projector = model.content_projector.state_dict() if config.get("modules_to_save") else {}
    shapes = {f"{PEFT_PREFIX}{PROJECTOR}.{name}": tensor for name, tensor in projector.items()}
    for name, linear in linears.items():
        for side, shape in (("A", (rank, linear.in_features)), ("B", (linear.out_features, rank))):
            shapes[f"{PEFT_PREFIX}{name}.lora_{side}.weight"] = torch.empty(shape, device="meta")
    return shapes


def default_device() -> str:
    """Where commands put a model: the GPU if there is one; of several processes each has a GPU for itself.

    That GPU becomes the process's current one, which all that names none means. Raises ValueError where there are
    fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return "cpu"
    if n_processes() == 1:
        return "cuda"
    place, n_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if place >= n_gpus:
        raise ValueError(
            f"no GPU for process {place} of this machine, which has {n_gpus}: start {n_gpus} on it at most"
        )
    torch.cuda.set_device(place)
    return f"cuda:{place}"


def load_to_train(name: str | Path, *, quantise: Quantise | None = None) -> LlamaVid:
    """`load` where commands put a model, in a precision that training takes (`training.loop.fit`).

    "tiny", and any model on a CPU: float32. On a GPU bfloat16, in which the original trains; its checkpoints are
    float16, in which `load` leaves them.
    """
    device = default_device()
    full = device == "cpu" or name == "tiny"
    return load(name, device=device, dtype=torch.float32 if full else torch.bfloat16, quantise=quantise)


def save(model: LlamaVid, folder: Path | str, *, dtype: torch.dtype | None = None) -> None:
    """Weights (safetensors, in `dtype` if given), configuration and both tokenizers; ValueError for a packed model."""
    folder = Path(folder)
    if is_packed(model):
        raise ValueError(f"{folder}: packed weights are rounded and not saved; keep the folder they were loaded from")
    if dtype in (None, model.dtype):
        with saving(folder):
            model.save_pretrained(folder)
    else:  # never model.to(dtype) and back: that rounds the caller's weights, and the buffers that no file holds
        state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in model.state_dict().items()}
        with saving(folder):
            model.save_pretrained(folder, state_dict=state)
        config = copy.deepcopy(model.config)
        config.dtype = dtype
        config.save_pretrained(folder)
    if model.tokenizer is not None:
        save_tokenizer(model.tokenizer, folder)
    if model.question_tokenizer is not None:
        save_tokenizer(model.question_tokenizer, folder / QUESTION_TOKENIZER)
