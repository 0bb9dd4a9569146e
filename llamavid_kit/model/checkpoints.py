"""Names and folders become models (`load`), and models folders (`save`).

Knows the shipped model, our own folders (safetensors) and the original's (through `original.open`). What the tensors
mean is left to the model, writing a folder of the original or reading one into ours to `original.convert`.
"""

import copy
import logging
from pathlib import Path

import torch
from peft import PeftModel
from transformers.utils import logging as transformers_logging

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.original.open import from_original
from llamavid_kit.model.original.tensors import read_object
from llamavid_kit.model.tokenizers import QUESTION_TOKENIZER, load_llm_tokenizer, load_question_tokenizer

log = logging.getLogger(__name__)
ASSETS = Path(__file__).parents[1] / "assets"


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    context: int | None = None,
    adapter: str | Path | None = None,
    **kwargs,
) -> LlamaVid:
    """A model by name or folder, in eval mode, with its tokenizers.

    Args:
        name: "tiny" (ships with the kit), a folder written by `save` or `convert`, or a folder of the original.
        device: where to put it; None leaves it to `device_map`, else CPU.
        context: number of tokens that must fit; more than the model's own stretch it (`LlamaVidConfig.extend_context`).
        adapter: what `finetune` wrote for this model, merged into it.
        **kwargs: `dtype`, `device_map`, `quantization_config` go to `from_pretrained`; for a folder of the original,
            the others go to `from_original`. "tiny" computes in float32.

    Raises CheckpointError where the folder is no checkpoint.
    """
    folder = ASSETS / "tiny" if name == "tiny" else Path(name)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f'{name!r} is no model: expected "tiny" or a folder with config.json')
    if read_object(folder / "config.json").get("model_type") != LlamaVidConfig.model_type:
        model, report = from_original(folder, context=context, **kwargs)
        log.info("%s", report)
    else:
        bars = transformers_logging.is_progress_bar_enabled()
        if name == "tiny":
            kwargs = {"dtype": torch.float32, **kwargs}
            transformers_logging.disable_progress_bar()  # what loads in a moment needs none
        try:
            config = LlamaVidConfig.from_pretrained(folder)
            config.extend_context(context or 1)
            model, info = LlamaVid.from_pretrained(folder, config=config, output_loading_info=True, **kwargs)
        except OSError as error:
            raise CheckpointError(f"{folder} holds no weights that can be read: {error}") from error
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
        problems = {k: sorted(map(str, v)) for k, v in info.items() if v}
        if problems:
            raise CheckpointError(f"{folder} does not fit its config.json: {problems}")
        model.tokenizer = load_llm_tokenizer(folder)
        model.question_tokenizer = load_question_tokenizer(folder / QUESTION_TOKENIZER)
    if adapter is not None:
        model = _with_adapter(model, Path(adapter))
    return model.to(device).eval() if device is not None else model.eval()


def _with_adapter(model: LlamaVid, folder: Path) -> LlamaVid:
    """`model` with LoRA and projector of `folder` for good; the folder of a fine-tuning, or its `adapter/`."""
    inner = next((f for f in (folder, folder / "adapter") if (f / "adapter_model.safetensors").is_file()), None)
    if inner is None:
        raise CheckpointError(f"{folder} holds no adapter of this kit: expected adapter_model.safetensors, or adapter/")
    return PeftModel.from_pretrained(model, inner).merge_and_unload()


def default_device() -> str:
    """Where commands put a model: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_to_train(name: str | Path) -> LlamaVid:
    """`load` where commands put a model, in a precision that training takes (`training.loop.fit`).

    "tiny", and any model on a CPU: float32. On a GPU bfloat16, in which the original trains; its checkpoints are
    float16, in which `load` leaves them.
    """
    device = default_device()
    full = device == "cpu" or name == "tiny"
    return load(name, device=device, dtype=torch.float32 if full else torch.bfloat16)


def save(model: LlamaVid, folder: Path | str, *, dtype: torch.dtype | None = None) -> None:
    """Weights (safetensors, in `dtype` if given), configuration and both tokenizers."""
    folder = Path(folder)
    if dtype in (None, model.dtype):
        model.save_pretrained(folder)
    else:  # never model.to(dtype) and back: that rounds the caller's weights, and the buffers that no file holds
        state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in model.state_dict().items()}
        model.save_pretrained(folder, state_dict=state)
        config = copy.deepcopy(model.config)
        config.dtype = dtype
        config.save_pretrained(folder)
    if model.tokenizer is not None:
        model.tokenizer.save_pretrained(folder)
    if model.question_tokenizer is not None:
        model.question_tokenizer.save_pretrained(folder / QUESTION_TOKENIZER)
