"""The ways to open a checkpoint of the original: a full model, one in parts, a LoRA folder; on disk or as our model.

Input: folders of the original and the parts that it keeps elsewhere. Output: `Opened`, tensors mapped from their files,
or `LlamaVid` with its tokenizers. What the tensors mean is `tensors` and `parts`; writing whole folders is `convert`,
and `checkpoints.load` tells the kinds of folders apart.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedConfig

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.four_bits import is_packed
from llamavid_kit.model.identity import fingerprint_of
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import ADAPTER_CONFIG
from llamavid_kit.model.original.config import llm_config, refuse_unknown, tower_file
from llamavid_kit.model.original.parts import PEFT_PREFIX, Adapters, read_llm, read_lora, read_parts
from llamavid_kit.model.original.tensors import (
    ConversionReport,
    check_finite,
    load_tensors,
    one_of,
    original_config,
    read_object,
    read_original,
    read_shards,
)
from llamavid_kit.model.tokenizers import load_llm_tokenizer, load_question_tokenizer

VISION = "eva_vit_g.pth"
KINDS = {
    "ours": "a folder of this kit",
    "full": "a full model of the original",
    "lora": "a LoRA folder of the original: convert it with --base",
    "adapter": "an adapter of this kit: `ask` takes it with --adapter, `load` with adapter=",
    "stage1": "a stage-1 folder of the original: convert it with --base",
    "llm": "a bare language model: with --text-decoder, stage 1 begins from it",
    "other": "a model of another family",
    "nothing": "no model",
}


def kind_of(folder: Path) -> str:
    """A key of KINDS, told by the files alone. Raises CheckpointError where config.json is no JSON object."""
    if (folder / ADAPTER_CONFIG).is_file():
        return "adapter" if _is_ours(folder) else "lora"
    if (folder / "mm_projector.bin").is_file():
        return "stage1"
    if not (folder / "config.json").is_file():
        return "nothing"
    config = read_object(folder / "config.json")
    if config.get("model_type") == LlamaVidConfig.model_type:
        return "ours"
    if "bert_type" in config:
        return "full"
    sees = any(name.startswith(("mm_", "vision_", "visual")) for name in config)
    return "llm" if config.get("model_type") == "llama" and not sees else "other"


def why_none(folder: Path, kind: str) -> str:
    """Why a folder of the kinds "other" and "nothing" is no checkpoint."""
    if kind == "nothing":
        return "no config.json, adapter_config.json or mm_projector.bin here"
    config = read_object(folder / "config.json")
    names = ", ".join(f"{name} {config.get(name)!r:.80}" for name in ("model_type", "architectures"))
    return f"config.json says {names}: no LLaMA-VID, no LLaMA"


def _is_ours(adapter: Path) -> bool:
    """Whether an adapter's tensors bear our names; where none can be read, whether its settings are in our form."""
    with suppress(CheckpointError):
        if names := list(load_tensors(one_of(adapter, "adapter_model"))):
            return any(name.startswith(f"{PEFT_PREFIX}language_model.") for name in names)
    return isinstance(read_object(adapter / ADAPTER_CONFIG).get("target_modules"), str)


def from_original(folder: Path | str, *, context: int | None = None, **kwargs) -> tuple[LlamaVid, ConversionReport]:
    """The original's folder → our model with its tokenizers, and the report on every tensor.

    Args:
        context: as in `load`.
        **kwargs: `vision_weights`, `bert_folder`, `vision_heads`, `image_size` as in `open_original`; the others go to
            `from_pretrained`.

    Raises CheckpointError that lists every tensor that does not fit.
    """
    names = ("vision_weights", "bert_folder", "vision_heads", "image_size")
    opened = open_original(folder, **{name: kwargs.pop(name) for name in names if name in kwargs})
    opened.config.extend_context(context or 1)
    return build(opened, **{"dtype": torch.float32, **kwargs}), opened.report


@dataclass
class Opened:
    """A checkpoint of the original, read but not yet a model: tensors are mapped from their files, not in memory.

    state: our name → tensor.                       llm, bert: folders of the two tokenizers
    adapters: LoRA to be merged into the language model; None where there is none.
    """

    config: LlamaVidConfig
    state: dict[str, Tensor]
    report: ConversionReport
    llm: Path
    bert: Path
    adapters: Adapters | None = None


def open_original(folder: Path | str, **kwargs) -> Opened:
    """A full model of the original. `vision_weights` (EVA-ViT file) and `bert_folder` (bert-base-uncased: vocab.txt,
    config.json) are looked for beside the checkpoint where they are not named; `vision_heads` and `image_size` are
    `tensors.read_original`'s."""
    folder = Path(folder)
    return _opened(partial(read_original, folder), folder, _tower(folder, kwargs), **kwargs)


def open_parts(llm: Path | str, **kwargs) -> Opened:
    """A bare language model with new parts, `vision_weights` and `bert_folder` as in `open_original`.

    Stage 1 begins from `text_decoder` (InstructBLIP's file), with new projectors drawn from `seed`; stage 2 from
    `adapter`, the `mm_projector.bin` that stage 1 saved; see `parts.read_parts` for these and the other arguments.
    """
    llm = Path(llm)
    if not (llm / "config.json").is_file():
        raise CheckpointError(f"{llm} is not a language model: it holds no config.json")
    return _opened(partial(read_parts, llm), llm, VISION, **kwargs)


def open_lora(folder: Path | str, *, base: Path | str, **kwargs) -> Opened:
    """A LoRA folder of the original on `base`; the other arguments are those of `open_original`.

    Raises CheckpointError that lists every tensor of the adapters that is missing, unexpected or misshapen.
    """
    folder, base = Path(folder), Path(base)
    opened = _opened(partial(read_lora, folder, base=base), base, _tower(folder, kwargs), **kwargs)
    assert opened.adapters is not None, "a LoRA folder brings adapters"
    check_fits_model(opened.adapters.expected(opened.state), opened.adapters.tensors, folder, f"the base {base}")
    return opened


def _opened(
    read: Callable,
    llm: Path,
    tower: str,
    *,
    vision_weights: Path | str | None = None,
    bert_folder: Path | str | None = None,
    **kwargs,
) -> Opened:
    """What `read` makes of a model's files and of those that lie beside `llm`, `tower` the EVA-ViT file's name."""
    weights = vision_weights or beside(llm, tower, "--vision-weights")
    bert = Path(bert_folder) if bert_folder else beside(llm, "bert-base-uncased", "--bert-tokenizer")
    bert_config = read_object(bert / "config.json") if (bert / "config.json").is_file() else None
    config, state, report, *adapters = read(vision_weights=weights, bert_config=bert_config, **kwargs)
    return Opened(config, state, report, llm, bert, *adapters)


def _tower(folder: Path, kwargs: dict) -> str:
    """Name of the EVA-ViT file that the folder's config.json names, where the caller names none."""
    original = original_config(folder)
    return "" if kwargs.get("vision_weights") else tower_file(original)


def build(opened: Opened, **kwargs) -> LlamaVid:
    """The model in eval mode with its tokenizers, without adapters; kwargs go to `from_pretrained`.

    Raises CheckpointError where the tensors do not fit the configuration.
    """
    check_opened(opened)
    model = LlamaVid.from_pretrained(None, config=opened.config, state_dict=opened.state, **kwargs)
    if is_packed(model):
        note_packed(model, opened.state, opened.llm)
    model.tokenizer = load_llm_tokenizer(opened.llm)
    model.question_tokenizer = load_question_tokenizer(opened.bert)
    return model.eval()


def note_packed(model: LlamaVid, state: dict[str, Tensor], folder: Path) -> None:
    """Of a packed model what its weights show no more: which ones they were made of, and that these were numbers.

    Raises CheckpointError where they were not.
    """
    check_finite(state, folder)
    model.packed_from = fingerprint_of(state)


def check_opened(opened: Opened) -> None:
    """CheckpointError that lists every missing, unexpected and misshapen tensor."""
    check_fits_model(shapes_of(LlamaVid, opened.config, opened.state, opened.llm), opened.state, opened.llm)


def check_llm(folder: Path) -> None:
    """CheckpointError where a folder is no bare language model whose tensors fit its config.json."""
    original, state = read_llm(folder, ConversionReport())
    expected = shapes_of(LlamaForCausalLM, llm_config(original), state, folder)
    check_fits_model({f"language_model.{name}": t for name, t in expected.items()}, state, folder)


def check_ours(folder: Path) -> LlamaVidConfig:
    """The configuration of a folder of this kit; CheckpointError that names what in it, or in its weights, is wrong."""
    config, state = ours_config(folder), read_shards(folder)
    check_fits_model(shapes_of(LlamaVid, config, state, folder), state, folder)
    return config


def ours_config(folder: Path) -> LlamaVidConfig:
    """`config.json` of a folder of this kit; CheckpointError that says what in it is wrong."""
    file, generation = folder / "config.json", folder / "generation_config.json"
    fields = read_object(file)
    if generation.is_file():
        read_object(generation)
    try:
        refuse_unknown(fields, LlamaVidConfig().to_dict())
        config = LlamaVidConfig.from_pretrained(folder)
        config.to_dict()  # where a damaged dtype shows
        return config
    except Exception as error:  # transformers and torch raise many kinds
        raise CheckpointError(f"{file} is not a configuration of this kit: {' '.join(str(error).split())}") from error


def shapes_of(model_class: type, config: PreTrainedConfig, state: Collection[str], folder: Path) -> dict[str, Tensor]:
    """The tensors of `folder`'s model without contents; those that are tied to others only where `state` has them.

    Raises CheckpointError where no model has this configuration.
    """
    parts = [getattr(config, part) for part in config.sub_configs] or [config]
    if (depth := max(getattr(part, "num_hidden_layers", 0) for part in parts)) > len(state):  # before they are made
        raise CheckpointError(f"{folder}: num_hidden_layers={depth} in config.json, and {len(state)} tensors in all")
    try:
        with torch.device("meta"):
            model = model_class(config)
    except Exception as error:  # transformers and torch raise many kinds
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise CheckpointError(f"{folder / 'config.json'} is not the configuration of a model: {words}") from error
    tied = getattr(model, "all_tied_weights_keys", {})
    return {name: t for name, t in model.state_dict().items() if name in state or name not in tied}


def check_fits_model(ours: dict, state: dict, folder: Path, what: str = "its config.json") -> None:
    """CheckpointError that names every tensor of `ours` that `state` lacks, has besides, or has in another shape."""
    expected = {name: tuple(t.shape) for name, t in ours.items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    problems += [
        f"misshapen {name}: {tuple(state[name].shape)} in the file, {shape} expected"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    if problems:
        raise CheckpointError(f"{folder} does not fit {what}: " + "; ".join(problems))


def _places(folder: Path, name: str) -> tuple[Path, ...]:
    return folder / name, folder.parent / name, folder.parent / "model_zoo" / "LAVIS" / name


def find_beside(folder: Path, name: str) -> Path | None:
    """Where the part `name` lies, in the folder, next to it, or where the original's README puts it; None: nowhere."""
    return next((place for place in _places(folder, name) if name and place.exists()), None)


def beside(folder: Path, name: str, option: str) -> Path:
    """A part that the original keeps outside the checkpoint; only its file name is taken from the configuration."""
    if place := find_beside(folder, name):
        return place
    tried = ", ".join(str(p) for p in _places(folder, name))
    raise CheckpointError(f"{name or 'the part'} not found (tried {tried}): name it with {option}")
