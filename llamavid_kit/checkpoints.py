"""Names and folders become models: `load`, `convert`.

Knows the shipped model, our own folders (safetensors) and the original's (through `original.py`). What the tensors
mean is left to the model.
"""

import copy
import logging
from pathlib import Path

import torch

from llamavid_kit.config import LlamaVidConfig
from llamavid_kit.model import LlamaVid
from llamavid_kit.original import ConversionReport, read_object, read_original
from llamavid_kit.original_config import CheckpointError
from llamavid_kit.original_parts import read_lora, read_parts
from llamavid_kit.stages import add_lora, lora_config
from llamavid_kit.tokenizers import load_llm_tokenizer, load_question_tokenizer

log = logging.getLogger(__name__)
ASSETS = Path(__file__).parent / "assets"
QUESTION_TOKENIZER = "question_tokenizer"  # sub-folder of a saved model


def load(
    name: str | Path, *, device: str | torch.device | None = None, context: int | None = None, **kwargs
) -> LlamaVid:
    """A model by name or folder, in eval mode, with its tokenizers.

    Args:
        name: "tiny" (ships with the kit), a folder written by `save` or `convert`, or a folder of the original.
        device: where to put it; None leaves it to `device_map`, else CPU.
        context: tokens that must fit; more than the model's own stretch it (`LlamaVidConfig.extend_context`).
        **kwargs: `dtype`, `device_map`, `quantization_config` go to `from_pretrained`; for a folder of the original,
            `vision_weights`, `bert_folder` and `vision_heads` go to `convert`. "tiny" computes in float32.

    Raises CheckpointError where the folder is no checkpoint.
    """
    folder = ASSETS / "tiny" if name == "tiny" else Path(name)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f'{name!r} is no model: expected "tiny" or a folder with config.json')
    if read_object(folder / "config.json").get("model_type") != LlamaVidConfig.model_type:
        dtype = kwargs.pop("dtype", torch.float32)
        model, report = from_original(folder, context=context, **kwargs)
        log.info("%s", report)
        for parameter in model.parameters():  # not model.to(dtype): the rotary frequencies stay float32
            parameter.data = parameter.data.to(dtype)
    else:
        if name == "tiny":
            kwargs = {"dtype": torch.float32, **kwargs}
        try:
            config = LlamaVidConfig.from_pretrained(folder)
            config.extend_context(context or 1)
            model, info = LlamaVid.from_pretrained(folder, config=config, output_loading_info=True, **kwargs)
        except OSError as error:
            raise CheckpointError(f"{folder} holds no weights that can be read: {error}") from error
        problems = {k: sorted(map(str, v)) for k, v in info.items() if v}
        if problems:
            raise CheckpointError(f"{folder} does not fit its config.json: {problems}")
        attach_tokenizers(model, folder)
    return model.to(device).eval() if device is not None else model.eval()


def default_device() -> str:
    """Where commands put a model: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


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


def from_original(
    folder: Path | str,
    *,
    vision_weights: Path | str | None = None,
    bert_folder: Path | str | None = None,
    vision_heads: int | None = None,
    image_size: int | None = None,
    context: int | None = None,
) -> tuple[LlamaVid, ConversionReport]:
    """The original's folder → our model with its tokenizers, and the report on every tensor.

    `vision_weights` (EVA-ViT file) and `bert_folder` (bert-base-uncased: vocab.txt, config.json) are looked for beside
    the checkpoint where they are not given. Raises CheckpointError that lists every tensor that does not fit.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is no checkpoint of the original: it holds no config.json")
    original = read_object(folder / "config.json")
    tower = vision_weights or _beside(folder, Path(original.get("mm_vision_tower", "")).name, "--vision-weights")
    bert, bert_config = _bert(folder, bert_folder)
    config, state, report = read_original(
        folder, vision_weights=tower, vision_heads=vision_heads, image_size=image_size, bert_config=bert_config
    )  # fmt: skip
    config.extend_context(context or 1)
    return _build(config, state, folder=folder, bert=bert), report


def from_parts(
    llm: Path | str,
    *,
    vision_weights: Path | str,
    text_decoder: Path | str | None = None,
    adapter: Path | str | None = None,
    bert_folder: Path | str | None = None,
    content: str = "mean",
    vision_heads: int | None = None,
    seed: int = 0,
) -> tuple[LlamaVid, ConversionReport]:
    """A bare language model with new parts → our model and the report: where stages 1 and 2 begin.

    Stage 1 begins from `text_decoder` (InstructBLIP's file), with new projectors drawn from `seed`; stage 2 from
    `adapter`, the `mm_projector.bin` that stage 1 saved. See `original_parts.read_parts` for the files.
    """
    llm = Path(llm)
    if not (llm / "config.json").is_file():
        raise CheckpointError(f"{llm} is no language model: it holds no config.json")
    bert, bert_config = _bert(llm, bert_folder)
    config, state, report = read_parts(
        llm, vision_weights=vision_weights, text_decoder=text_decoder, adapter=adapter, content=content,
        bert_config=bert_config, vision_heads=vision_heads, seed=seed,
    )  # fmt: skip
    return _build(config, state, folder=llm, bert=bert), report


def from_lora(
    folder: Path | str,
    *,
    base: Path | str,
    vision_weights: Path | str | None = None,
    bert_folder: Path | str | None = None,
    vision_heads: int | None = None,
    merge: bool = True,
) -> tuple[LlamaVid, ConversionReport]:
    """A LoRA folder that the original trained on `base` (a folder of the original) → our model and the report.

    `merge` adds the adapters to the language model's weights, as the original does before it answers; without it they
    stay beside them, to be trained on (`stages.set_trainable`). The other arguments are those of `from_original`.
    """
    folder, base = Path(folder), Path(base)
    for place in (folder, base):
        if not (place / "config.json").is_file():
            raise CheckpointError(f"{place} is no checkpoint of the original: it holds no config.json")
    tower = Path(read_object(folder / "config.json").get("mm_vision_tower", "")).name
    bert, bert_config = _bert(base, bert_folder)
    config, state, report, adapters = read_lora(
        folder, base=base, vision_weights=vision_weights or _beside(base, tower, "--vision-weights"),
        vision_heads=vision_heads, bert_config=bert_config,
    )  # fmt: skip
    model = _build(config, state, folder=base, bert=bert)
    handle = add_lora(model, lora_config(adapters.settings, adapters.linears))
    own = {name: p for name, p in model.named_parameters() if ".lora_" in name}
    _check(own, adapters.tensors, folder)
    for name, parameter in own.items():
        parameter.data.copy_(adapters.tensors[name])
    return (handle.merge_and_unload() if merge else model).eval(), report


def _bert(folder: Path, bert_folder: Path | str | None) -> tuple[Path, dict | None]:
    """BERT's folder, given or beside the checkpoint, and what its config.json says, if there is one."""
    bert = Path(bert_folder) if bert_folder else _beside(folder, "bert-base-uncased", "--bert-tokenizer")
    config = bert / "config.json"
    return bert, read_object(config) if config.is_file() else None


def _build(config: LlamaVidConfig, state: dict, *, folder: Path, bert: Path) -> LlamaVid:
    """The model in eval mode, if `state` fits it, with the tokenizers of `folder` and `bert`."""
    with torch.device("meta"):
        model = LlamaVid(config)
    _check(model.state_dict(), state, folder)
    model = LlamaVid(config)
    model.load_state_dict(state, strict=True)
    model.tokenizer = load_llm_tokenizer(folder)
    model.question_tokenizer = load_question_tokenizer(bert)
    return model.eval()


def convert(folder: Path | str, *, out: Path | str, **kwargs) -> ConversionReport:
    """`from_original`, written to `out` as our own folder (safetensors)."""
    model, report = from_original(folder, **kwargs)
    save(model, out)
    return report


def _check(ours: dict, state: dict, folder: Path) -> None:
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


def _beside(folder: Path, name: str, option: str) -> Path:
    """A part that the original keeps outside the checkpoint; only its file name is taken from the configuration."""
    places = (folder / name, folder.parent / name, folder.parent / "model_zoo" / "LAVIS" / name)
    for place in places:
        if name and place.exists():
            return place
    tried = ", ".join(str(p) for p in places)
    raise CheckpointError(f"{name or 'the part'} not found (tried {tried}): name it with {option}")
