"""The original's checkpoint on disk, read strictly into ours.

Input: a folder written by the original code (`config.json`, `pytorch_model-*.bin` shards with their index, or one
`pytorch_model.bin`), the EVA-ViT file and BERT's folder. Output: `LlamaVidConfig` and a state dict of our names. Every
tensor of the input is used, or named with the reason in the report; every tensor of ours is filled, or the conversion
fails and lists it. Files are read with `torch.load(weights_only=True)`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.original.config import image_size_of, read_config, uses_plain_bert
from llamavid_kit.model.original.names import BERT_KEY_MAP, EVA_MAP, KEY_MAP, TOWER, Table, rename

INDEX = "pytorch_model.bin.index.json"


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
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise CheckpointError(f"{folder} is no checkpoint of the original: it holds no config.json")
    original = read_object(config_file)
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
    return state["vision_tower.embeddings.patch_embedding.weight"].shape[-1]


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
    index = _weight_map(folder) or tensors
    problems = [f"missing {n}" for n in sorted(set(index) - set(tensors))]
    problems += [f"unexpected {n}" for n in sorted(set(tensors) - set(index))]
    if problems:
        raise CheckpointError(f"{folder}: shards and index disagree: {', '.join(problems)}")
    return tensors


def original_tensors(folder: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(file name, tensors by name) of each shard of a folder, mapped from the file and not yet in memory."""
    index = _weight_map(folder)
    for shard in sorted(set(map(str, index.values()))) if index else ["pytorch_model.bin"]:
        if shard in ("", "..") or Path(shard).name != shard:
            raise CheckpointError(f"{folder / INDEX}: shard {shard!r} is not a file name in this folder")
        yield shard, load_tensors(folder / shard)


def _weight_map(folder: Path) -> dict | None:
    """The index's tensor name → file name; None where the folder holds one `pytorch_model.bin`."""
    index_file = folder / INDEX
    if not index_file.is_file():
        if (folder / "pytorch_model.bin").is_file():
            return None
        raise CheckpointError(f"{folder} holds neither {INDEX} nor pytorch_model.bin")
    index = read_object(index_file).get("weight_map")
    if not isinstance(index, dict) or not index:
        raise CheckpointError(f"{index_file} holds no weight_map: expected tensor name → file name")
    return index


def load_tensors(path: Path, *, inside: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file by name; where they lie `inside` an entry of the file, that entry's."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as PyTorch weights: {error}") from error
    except Exception as error:  # pickle.UnpicklingError: the file asks for more than tensors
        raise CheckpointError(f"{path} holds more than tensors and is not loaded: {error}") from error
    if inside and isinstance(loaded, dict):
        loaded = loaded.get(inside)
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, expected tensors by name")
    if others := sorted(str(name) for name, value in loaded.items() if not isinstance(value, Tensor)):
        raise CheckpointError(f"{path}: {', '.join(others)} is not a tensor")
    return loaded


def read_object(path: Path) -> dict:
    """The JSON object in `path`; CheckpointError where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ones
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value
