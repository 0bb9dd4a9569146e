"""Names and folders become models: `load`, and the ways to open a checkpoint of the original.

Knows the shipped model, our own folders (safetensors) and the original's (through `original.py` and
`original_parts.py`). What the tensors mean is left to the model, writing our folder or theirs to `conversion.py`.
"""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers.utils import logging as transformers_logging

from llamavid_kit.config import LlamaVidConfig
from llamavid_kit.model import LlamaVid
from llamavid_kit.original import ConversionReport, read_object, read_original
from llamavid_kit.original_config import CheckpointError
from llamavid_kit.original_parts import Adapters, read_lora, read_parts
from llamavid_kit.stages import add_lora, lora_config
from llamavid_kit.tokenizers import load_llm_tokenizer, load_question_tokenizer

log = logging.getLogger(__name__)
ASSETS = Path(__file__).parent / "assets"
QUESTION_TOKENIZER = "question_tokenizer"  # sub-folder of a saved model


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
        context: tokens that must fit; more than the model's own stretch it (`LlamaVidConfig.extend_context`).
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
        if name == "tiny":
            kwargs = {"dtype": torch.float32, **kwargs}
        try:
            config = LlamaVidConfig.from_pretrained(folder)
            config.extend_context(context or 1)
            with _no_bars() if name == "tiny" else nullcontext():
                model, info = LlamaVid.from_pretrained(folder, config=config, output_loading_info=True, **kwargs)
        except OSError as error:
            raise CheckpointError(f"{folder} holds no weights that can be read: {error}") from error
        problems = {k: sorted(map(str, v)) for k, v in info.items() if v}
        if problems:
            raise CheckpointError(f"{folder} does not fit its config.json: {problems}")
        attach_tokenizers(model, folder)
    if adapter is not None:
        model = _with_adapter(model, Path(adapter))
    return model.to(device).eval() if device is not None else model.eval()


@contextmanager
def _no_bars() -> Iterator[None]:
    """Without transformers' progress bars: what loads in a moment needs none."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


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
    """`load` where commands put a model, in a precision that training takes (`finetune.fit`).

    "tiny", and any model on a CPU: float32. On a GPU bfloat16, in which the original trains; its checkpoints are
    float16, in which `load` leaves them.
    """
    device = default_device()
    full = device == "cpu" or name == "tiny"
    return load(name, device=device, dtype=torch.float32 if full else torch.bfloat16)


def attach_tokenizers(model: LlamaVid, folder: Path) -> None:
    """Give the model the tokenizers that `save` wrote beside its weights."""
    model.tokenizer = load_llm_tokenizer(folder)
    model.question_tokenizer = load_question_tokenizer(folder / QUESTION_TOKENIZER)


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
    state: dict[str, torch.Tensor]
    report: ConversionReport
    llm: Path
    bert: Path
    adapters: Adapters | None = None


def open_original(
    folder: Path | str,
    *,
    vision_weights: Path | str | None = None,
    bert_folder: Path | str | None = None,
    vision_heads: int | None = None,
    image_size: int | None = None,
) -> Opened:
    """A full model of the original. `vision_weights` (EVA-ViT file) and `bert_folder` (bert-base-uncased: vocab.txt,
    config.json) are looked for beside the checkpoint where they are not given; the others are `read_original`'s."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is no checkpoint of the original: it holds no config.json")
    original = read_object(folder / "config.json")
    tower = vision_weights or beside(folder, Path(original.get("mm_vision_tower", "")).name, "--vision-weights")
    bert, bert_config = _bert(folder, bert_folder)
    config, state, report = read_original(
        folder, vision_weights=tower, vision_heads=vision_heads, image_size=image_size, bert_config=bert_config
    )  # fmt: skip
    return Opened(config, state, report, folder, bert)


def from_parts(llm: Path | str, **kwargs) -> tuple[LlamaVid, ConversionReport]:
    """A bare language model with new parts → our model and the report: where stages 1 and 2 begin; see `open_parts`."""
    opened = open_parts(llm, **kwargs)
    return build(opened), opened.report


def open_parts(
    llm: Path | str,
    *,
    vision_weights: Path | str,
    text_decoder: Path | str | None = None,
    adapter: Path | str | None = None,
    bert_folder: Path | str | None = None,
    content: str = "mean",
    vision_heads: int | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> Opened:
    """A bare language model with new parts.

    Stage 1 begins from `text_decoder` (InstructBLIP's file), with new projectors drawn from `seed`; stage 2 from
    `adapter`, the `mm_projector.bin` that stage 1 saved. See `original_parts.read_parts` for the files.
    """
    llm = Path(llm)
    if not (llm / "config.json").is_file():
        raise CheckpointError(f"{llm} is no language model: it holds no config.json")
    bert, bert_config = _bert(llm, bert_folder)
    config, state, report = read_parts(
        llm, vision_weights=vision_weights, text_decoder=text_decoder, adapter=adapter, content=content,
        bert_config=bert_config, vision_heads=vision_heads, image_size=image_size, seed=seed,
    )  # fmt: skip
    return Opened(config, state, report, llm, bert)


def from_lora(
    folder: Path | str, *, base: Path | str, merge: bool = True, **kwargs
) -> tuple[LlamaVid, ConversionReport]:
    """A LoRA folder that the original trained on `base` (a folder of the original) → our model and the report.

    `merge` adds the adapters to the language model's weights, as the original does before it answers; without it they
    stay beside them, to be trained on (`stages.set_trainable`). The other arguments are those of `open_lora`.
    """
    opened = open_lora(folder, base=base, **kwargs)
    model, adapters = build(opened), opened.adapters
    handle = add_lora(model, lora_config(adapters.settings, adapters.linears))
    own = {name: p for name, p in model.named_parameters() if ".lora_" in name}
    check_fits_model(own, adapters.tensors, Path(folder))
    for name, parameter in own.items():
        parameter.data.copy_(adapters.tensors[name])
    return (handle.merge_and_unload() if merge else model).eval(), opened.report


def open_lora(
    folder: Path | str,
    *,
    base: Path | str,
    vision_weights: Path | str | None = None,
    bert_folder: Path | str | None = None,
    vision_heads: int | None = None,
    image_size: int | None = None,
) -> Opened:
    """A LoRA folder of the original on `base`; the arguments are those of `open_original`."""
    folder, base = Path(folder), Path(base)
    for place in (folder, base):
        if not (place / "config.json").is_file():
            raise CheckpointError(f"{place} is no checkpoint of the original: it holds no config.json")
    tower = Path(read_object(folder / "config.json").get("mm_vision_tower", "")).name
    bert, bert_config = _bert(base, bert_folder)
    config, state, report, adapters = read_lora(
        folder, base=base, vision_weights=vision_weights or beside(base, tower, "--vision-weights"),
        vision_heads=vision_heads, image_size=image_size, bert_config=bert_config,
    )  # fmt: skip
    return Opened(config, state, report, base, bert, adapters)


def _bert(folder: Path, bert_folder: Path | str | None) -> tuple[Path, dict | None]:
    """BERT's folder, given or beside the checkpoint, and what its config.json says, if there is one."""
    bert = Path(bert_folder) if bert_folder else beside(folder, "bert-base-uncased", "--bert-tokenizer")
    config = bert / "config.json"
    return bert, read_object(config) if config.is_file() else None


def build(opened: Opened, **kwargs) -> LlamaVid:
    """The model in eval mode with its tokenizers, without adapters. kwargs go to `from_pretrained`.

    Raises CheckpointError where the tensors do not fit the configuration.
    """
    check_opened(opened)
    model = LlamaVid.from_pretrained(None, config=opened.config, state_dict=opened.state, **kwargs)
    model.tokenizer = load_llm_tokenizer(opened.llm)
    model.question_tokenizer = load_question_tokenizer(opened.bert)
    return model.eval()


def check_opened(opened: Opened) -> None:
    """CheckpointError that lists every missing, unexpected and misshapen tensor."""
    with torch.device("meta"):
        model = LlamaVid(opened.config)
    check_fits_model(model.state_dict(), opened.state, opened.llm)


def check_fits_model(ours: dict, state: dict, folder: Path) -> None:
    """Every tensor of ours is there, none is left over, every shape fits: else one error that names them all."""
    expected = {name: tuple(t.shape) for name, t in ours.items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    problems += [
        f"misshapen {name}: {tuple(state[name].shape)} in the file, {shape} expected"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    if problems:
        raise CheckpointError(f"{folder} does not fit its config.json: " + "; ".join(problems))


def _places(folder: Path, name: str) -> tuple[Path, ...]:
    return folder / name, folder.parent / name, folder.parent / "model_zoo" / "LAVIS" / name


def find_beside(folder: Path, name: str) -> Path | None:
    """Where the part `name` lies, in the folder, next to it, or where the original's README puts it; None: nowhere."""
    return next((place for place in _places(folder, name) if name and place.exists()), None)


def beside(folder: Path, name: str, option: str) -> Path:
    """A part that the original keeps outside the checkpoint; only its file name is taken from the configuration."""
    if found := find_beside(folder, name):
        return found
    tried = ", ".join(str(p) for p in _places(folder, name))
    raise CheckpointError(f"{name or 'the part'} not found (tried {tried}): name it with {option}")
