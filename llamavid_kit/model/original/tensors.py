"""The original's checkpoint on disk, read strictly into ours.

Input: a folder written by the original code (`config.json`, shards with their index or one file, safetensors or
PyTorch's), the EVA-ViT file and BERT's folder. Output: `LlamaVidConfig` and a state dict of our names. Every tensor of
the input is used, or named with the reason in the report; every tensor of ours is filled, or the conversion fails and
lists it. PyTorch's files are read with `torch.load(weights_only=True)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from llamavid_kit.files import CheckpointError, check_whole, read_json, some
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.original.config import check_fields, image_size_of, read_config, tensor_of, uses_plain_bert
from llamavid_kit.model.original.names import BERT_KEY_MAP, EVA_MAP, KEY_MAP, TOWER, Table, rename

ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")  # others: hubs' code
COPY_AGAIN = "copy the folder again from where it came"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them


@dataclass
class ConversionReport:
    """What happened to every tensor that was read: `used` ours → original, `unused` original → reason.

    `drawn`: tensors of ours that no file holds, drawn at random to be trained.
    """

    used: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        reasons: dict[str, list[str]] = {}
        for name, reason in self.unused.items():
            reasons.setdefault(reason, []).append(name)
        lines = [f"{len(self.used)} tensors converted, {len(self.unused)} not used"]
        lines += [
            f"  {reason}: {len(names)} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
            for reason, names in reasons.items()
        ]
        lines += [f"  drawn at random: {len(self.drawn)} ({', '.join(self.drawn)})"] if self.drawn else []
        return "\n".join(lines)


def read_original(
    folder: Path | str,
    *,
    vision_weights: Path | str | None = None,
    bert_config: dict | None = None,
    vision_heads: int | None = None,
    image_size: int | None = None,
) -> tuple[LlamaVidConfig, dict[str, Tensor], ConversionReport]:
    """The original's folder → (configuration, state dict in our names, report).

    Args:
        vision_weights: the EVA-ViT file. The original evaluates with *this* file's tower and never with the copy in
            its own checkpoint. None takes that copy.
        bert_config: `config.json` of bert-base-uncased as a dict; None takes BERT-base's (12 heads).
        vision_heads: heads of the tower, which no file records; None takes channels / 88, EVA-ViT-G's.
        image_size: side of the frames in pixels, for a checkpoint without a tower of its own, whose position grid
            says it otherwise; None takes what `image_processor` in config.json names, else the EVA-ViT file's (224).
            Positions of another size are interpolated.

    Raises CheckpointError that lists unexpected, missing and misshapen tensors by name.
    """
    folder = Path(folder)
    original = original_config(folder)
    decoder_map = BERT_KEY_MAP if uses_plain_bert(original) else KEY_MAP
    tensors = read_shards(folder)
    tower = {name.removeprefix(TOWER): t for name, t in tensors.items() if name.startswith(TOWER)}
    rest = {name: t for name, t in tensors.items() if not name.startswith(TOWER)}
    report = ConversionReport()
    if vision_weights is None:
        if not tower:
            raise CheckpointError(f"{folder} holds no vision tower: give the EVA-ViT file with --vision-weights")
        depth, prefix = depth_of(tower), TOWER
    else:
        report.unused |= {TOWER + name: "the original evaluates with the EVA-ViT file's tower" for name in tower}
        eva = load_tensors(Path(vision_weights))
        depth = depth_of(tower) if tower else depth_of(eva) - 1  # the published file has one block more than the tower
        tower, prefix = eva, "eva:"
    state = tower_state(tower, depth, prefix, report)
    own = _side(tensors.get(TOWER + "pos_embed"))
    image_size = image_size or image_size_of(original)
    if side := own or (image_size and image_size // patch_of(state)):
        resize_positions(state, side, report)
    unknown = renamed(rest, decoder_map, state, report)
    config = read_config(original, state, depth, bert_config or {}, vision_heads)
    if unknown:
        raise CheckpointError(f"{folder}: unexpected tensors: {', '.join(sorted(unknown))}")
    return config, state, report


def original_config(folder: Path, model_type: str = "llava") -> dict:
    """`config.json` of the original, or of a bare language model (`model_type` "llama"), each field of it understood.

    Raises CheckpointError that names the file and every field that is not.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{folder} is not a checkpoint of the original: it holds no config.json")
    original = read_object(file)
    try:
        check_fields(original, model_type)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error
    return original


def renamed(tensors: dict, table: Table, state: dict, report: ConversionReport, prefix: str = "") -> list[str]:
    """Puts `tensors` into `state` and `report` by the names that `table` gives them → names that it does not know."""
    unknown = []
    for name, tensor in tensors.items():
        match rename(name, table):
            case None:
                unknown.append(prefix + name)
            case (None, reason):
                report.unused[prefix + name] = reason
            case (ours, _):
                state[ours] = tensor
                report.used[ours] = prefix + name
    return unknown


def tower_state(tower: dict[str, Tensor], depth: int, prefix: str, report: ConversionReport) -> dict[str, Tensor]:
    """EVA names → ours, with qkv bias = (q_bias, 0, v_bias): the tower's keys have no bias."""
    extra = {name for name in tower if name.startswith("blocks.") and int(name.split(".")[1]) >= depth}
    report.unused |= {prefix + name: f"block past the tower's {depth}" for name in sorted(extra)}
    state: dict[str, Tensor] = {}
    own = {name: t for name, t in tower.items() if name not in extra}
    if unknown := renamed(own, EVA_MAP, state, report, prefix):
        raise CheckpointError(f"vision tower: unexpected tensors: {', '.join(sorted(unknown))}")
    for i in range(depth):
        at = f"vision_tower.encoder.layers.{i}.self_attn."
        if absent := [f"blocks.{i}.attn.{b}_bias" for b in "qv" if at + f"{b}_bias" not in state]:
            raise CheckpointError(f"vision tower: missing tensors: {', '.join(absent)}")
        q, v = state.pop(at + "q_bias"), state.pop(at + "v_bias")
        state[at + "qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
        report.used[at + "qkv.bias"] = f"{report.used.pop(at + 'q_bias')}, 0, {report.used.pop(at + 'v_bias')}"
    return state


POSITIONS = "vision_tower.embeddings.position_embedding"


def _side(positions: Tensor | None) -> int | None:
    """Patches a side of a position embedding (1, side² + 1, C)."""
    return None if positions is None else round((positions.shape[1] - 1) ** 0.5)


def patch_of(state: dict[str, Tensor]) -> int:
    return tensor_of(state, "vision_tower.embeddings.patch_embedding.weight", 4).shape[-1]


def resize_positions(state: dict[str, Tensor], side: int, report: ConversionReport) -> None:
    """Position grid of another image size, as the original does it (`interpolate_pos_embed`): bicubic, class kept."""
    positions = state.get(POSITIONS)
    if positions is None or (had := _side(positions)) == side:
        return
    grid = positions[:, 1:].reshape(1, had, had, -1).permute(0, 3, 1, 2).float()
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    resized = grid.flatten(2).transpose(1, 2).to(positions.dtype)
    state[POSITIONS] = torch.cat([positions[:, :1], resized], dim=1)
    report.used[POSITIONS] += f", interpolated from {had} x {had} to {side} x {side}"


def depth_of(tower: dict) -> int:
    blocks = {int(name.split(".")[1]) for name in tower if name.startswith("blocks.")}
    if blocks != set(range(len(blocks))) or not blocks:
        raise CheckpointError(f"vision tower: blocks {sorted(blocks)} are not 0, 1, 2, …")
    return len(blocks)


def read_shards(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder by their names; a shard that is missing, or disagrees with the index, is an error."""
    tensors: dict[str, Tensor] = {}
    for shard, loaded in original_tensors(folder):
        if both := sorted(set(tensors) & set(loaded)):
            raise CheckpointError(f"{folder}: {', '.join(both)} in two shards, the second is {shard}")
        tensors |= loaded
    index = weight_files(folder)[1] or tensors
    problems = [f"missing {n}" for n in sorted(set(index) - set(tensors))]
    problems += [f"unexpected {n}" for n in sorted(set(tensors) - set(index))]
    if problems:
        raise CheckpointError(f"{folder}: shards and index disagree: {', '.join(problems)}")
    return tensors


def original_tensors(folder: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(file name, tensors by name) of each shard of a folder, mapped from the file and not yet in memory."""
    for shard in weight_files(folder)[0]:
        yield shard, load_tensors(folder / shard)


def weight_files(folder: Path) -> tuple[list[str], dict[str, str] | None]:
    """Names of a folder's weight files, and its index: tensor name → file name; None where one file holds all."""
    for single in WEIGHTS:
        index_file = folder / f"{single}.index.json"
        if index_file.is_file():
            content = read_object(index_file)
            index = content.get("weight_map")
            if not isinstance(index, dict) or not index:
                raise CheckpointError(f"{index_file} holds no weight_map: expected tensor name → file name")
            if single == "model.safetensors" and not isinstance(content.get("metadata"), dict):  # transformers reads it
                raise CheckpointError(f"{index_file} holds no metadata: {COPY_AGAIN}")
            for shard in index.values():
                if not isinstance(shard, str) or shard in ("", "..") or PureWindowsPath(shard).name != shard:
                    raise CheckpointError(f"{index_file}: shard {shard!r} is not a file name in this folder")
            return sorted(set(index.values())), index
        if (folder / single).is_file():
            return [single], None
    raise CheckpointError(f"{folder} holds no weights: neither {' nor '.join(WEIGHTS)}, whole or with .index.json")


def one_of(folder: Path, stem: str) -> Path:
    """The file `stem` of a folder: as safetensors where there is that, else as PyTorch writes it."""
    path = folder / f"{stem}.safetensors"
    return path if path.is_file() else path.with_suffix(".bin")


def load_tensors(path: Path, *, inside: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file by name; where they lie `inside` an entry of the file, that entry's."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    check_whole(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, EOFError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as weights: {error}") from error
    except Exception as error:  # pickle.UnpicklingError: the file asks for more than tensors
        raise CheckpointError(f"{path} holds more than tensors and is not loaded: {error}") from error
    if inside and isinstance(loaded, dict):
        loaded = loaded.get(inside)
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, expected tensors by name")
    if others := sorted(str(name) for name, value in loaded.items() if not isinstance(value, Tensor)):
        raise CheckpointError(f"{path}: {', '.join(others)} is not a tensor")
    return loaded


def check_finite(tensors: dict[str, Tensor], path: Path) -> None:
    """CheckpointError that names the tensors with values that are no numbers; those without contents are not looked at.

    The least and the largest value say it without a copy: 0.2 s a gigabyte on one core, where `isfinite` takes 3 s.
    """
    seen = {name: t for name, t in tensors.items() if t.dtype in FLOATS and t.numel() and not t.is_meta}
    if odd := [name for name, t in seen.items() if not (t.amin().isfinite() and t.amax().isfinite())]:
        raise CheckpointError(f"{path}: NaN or infinity in {some(odd)}: its training failed; take an earlier one")


def read_object(path: Path) -> dict:
    """The JSON object in `path`; CheckpointError where there is none."""
    check_whole(path)
    try:
        value = read_json(path, way_out=COPY_AGAIN, parse_constant=int)  # refuses NaN
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    for name, setting in _settings(value):
        if (name == "auto_map" and setting) or ("attn_implementation" in name and setting not in ATTENTION):
            raise CheckpointError(
                f"{path}: {name}={setting!r:.80} names code from elsewhere, never run; delete the field"
            )
    return value


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of every setting, at any depth."""
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _settings(inner)
