"""The ways to open a checkpoint of the original: a full model, one in parts, a LoRA folder; on disk or as our model.

Input: folders of the original and the parts that it keeps elsewhere. Output: `Opened`, tensors mapped from their files,
or `LlamaVid` with its tokenizers. What the tensors mean is `original.py` and `original_parts.py`; writing whole folders
is `conversion.py`, and `checkpoints.load` tells the kinds of folders apart.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import add_lora, lora_config
from llamavid_kit.model.original.parts import Adapters, read_lora, read_parts
from llamavid_kit.model.original.tensors import ConversionReport, read_object, read_original
from llamavid_kit.model.tokenizers import load_llm_tokenizer, load_question_tokenizer


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
    )
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
        llm,
        vision_weights=vision_weights,
        text_decoder=text_decoder,
        adapter=adapter,
        content=content,
        bert_config=bert_config,
        vision_heads=vision_heads,
        image_size=image_size,
        seed=seed,
    )
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
        folder,
        base=base,
        vision_weights=vision_weights or beside(base, tower, "--vision-weights"),
        vision_heads=vision_heads,
        image_size=image_size,
        bert_config=bert_config,
    )
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
