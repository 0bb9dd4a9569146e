"""Any model by name or folder: LLaMA-VID through `checkpoints`, another family's through `transformers_video`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from llamavid_kit.files import check_shape, read_json
from llamavid_kit.model import checkpoints
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.four_bits import Quantise, four_bits
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.original.open import kind_of, ours_config
from llamavid_kit.model.original.tensors import read_object
from llamavid_kit.model.transformers_video import FAMILIES, TransformersVideo, open_video_model

SHAPES = ("7b_224", "7b_336", "7b_224_long_video", "13b_224", "13b_336")  # published ones of LLaMA-VID


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    context: int | None = None,
    adapter: str | Path | None = None,
    quantise: Quantise | None = None,
    settings: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> LlamaVid | TransformersVideo:
    """A model by name or folder, in eval mode: LLaMA-VID as `checkpoints.load`, or another video LLM.

    Args:
        name: also a folder that `AutoModelForImageTextToText` and `AutoProcessor` open, or the name of a model in the
            Hugging Face cache of this machine ("Qwen/Qwen3-VL-2B-Instruct", after `hf download`); or a .json file that
            names such a model and its settings, as `audit --fix` writes it.
        context, adapter: of LLaMA-VID alone.
        settings: of another model's processor (`TransformersVideo`), such as `size`.
        **kwargs: as of `from_pretrained`; `quantization_config` packs another model as that setting says.

    Raises CheckpointError where the folder is no checkpoint, or lacks what a video LLM needs, and ValueError for an
    option that is not for such a model.
    """
    base, own = settings_of(name)
    folder = folder_of(base)
    settings = {**own, **(settings or {})}
    if not is_another(folder):
        if settings and (base == "tiny" or folder.is_dir()):
            raise ValueError(f"settings={settings!r} are of another model's processor, {name!r} is LLaMA-VID")
        return checkpoints.load(base, device=device, context=context, adapter=adapter, quantise=quantise, **kwargs)
    for option, value in (("context", context), ("adapter", adapter)):
        if value is not None:
            raise ValueError(f"{option}={value!r} is for LLaMA-VID, {name!r} is another model; leave it out")
    if quantise is not None:
        kwargs["quantization_config"] = four_bits(quantise)
    return open_video_model(folder, name=str(name), device=device, settings=settings, **kwargs)


def settings_of(name: str | Path) -> tuple[str | Path, dict[str, Any]]:
    """The model that a name stands for, and the settings that it brings: {} unless it is a .json file of both."""
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        return name, {}
    way_out = 'expected {"model": …, "settings": {…}}, as `audit --fix` writes it'
    held = read_json(path, way_out=way_out)
    check_shape(held, {"model": str, "settings": {str: object}}, str(path), way_out=way_out)
    if Path(held["model"]).suffix == ".json":
        raise ValueError(f"{path} names another file of settings, {held['model']}: name the model itself")
    return held["model"], held["settings"]


def config_of(name: str | Path) -> LlamaVidConfig:
    """Of LLaMA-VID, without weights: "tiny", a converted folder, or one of SHAPES. ValueError for any other name."""
    if name in SHAPES:
        return getattr(LlamaVidConfig, f"llama_vid_{name}")()
    folder = checkpoints.ASSETS / "tiny" if name == "tiny" else Path(name)
    path = folder / "config.json"
    config = read_json(path, way_out="convert the model again") if path.is_file() else None
    if not isinstance(config, dict) or config.get("model_type") != LlamaVidConfig.model_type:
        shapes = ", ".join(SHAPES)
        raise ValueError(
            f"{str(name)!r} is not a model of this kit: expected tiny, what `convert` wrote, or a shape ({shapes})"
        )
    return ours_config(folder)


def folder_of(name: str | Path) -> Path:
    """The folder of a name: itself, or the one in the Hugging Face cache."""
    name, _ = settings_of(name)
    if not Path(name).exists() and str(name).count("/") == 1:
        try:
            cached = try_to_load_from_cache(str(name), "config.json")
        except HFValidationError:  # no name of a model
            cached = None
        if isinstance(cached, str):
            return Path(cached).parent
    return Path(name)


def is_another(folder: Path) -> bool:
    """Whether the folder holds a model of images and text that is not LLaMA-VID."""
    if not (folder / "config.json").is_file() or kind_of(folder) != "other":
        return False
    return read_object(folder / "config.json").get("model_type") in FAMILIES
