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
    bert = Path(bert_folder) if bert_folder else _beside(folder, "bert-base-uncased", "--bert-tokenizer")
    bert_config = bert / "config.json"
    config, state, report = read_original(
        folder, vision_weights=tower, vision_heads=vision_heads, image_size=image_size,
        bert_config=read_object(bert_config) if bert_config.is_file() else None,
    )  # fmt: skip
    config.extend_context(context or 1)
    with torch.device("meta"):
        model = LlamaVid(config)
    _check(model, state, folder)
    model = LlamaVid(config)
    model.load_state_dict(state, strict=True)
    model.tokenizer = load_llm_tokenizer(folder)
    model.question_tokenizer = load_question_tokenizer(bert)
    return model.eval(), report


def convert(folder: Path | str, *, out: Path | str, **kwargs) -> ConversionReport:
    """`from_original`, written to `out` as our own folder (safetensors)."""
    model, report = from_original(folder, **kwargs)
    save(model, out)
    return report


def _check(model: LlamaVid, state: dict, folder: Path) -> None:
    """Every tensor of ours is there, none is left over, every shape fits: else one error that names them all."""
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
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
