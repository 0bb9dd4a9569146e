"""The shipped case 01: random weights in the original's layout on disk, and faults planted in a copy of it."""

import json
from functools import cache
from pathlib import Path

import torch

from llamavid_kit.model.original.tensors import original_tensors

CASE = Path(__file__).parents[2] / "llamavid_kit" / "assets" / "case01"
INDEX = "pytorch_model.bin.index.json"


def heads(case: Path) -> int:
    """Of a case's tower: no checkpoint records them."""
    return json.loads((case / "tiny_dims.json").read_text())["vision"]["num_heads"]


HEADS = heads(CASE)


def shards(folder: Path) -> dict[str, dict]:
    return {p.name: torch.load(p, weights_only=True) for p in sorted(folder.glob("pytorch_model-*.bin"))}


@cache
def names() -> tuple[str, ...]:
    return tuple(json.loads((CASE / "checkpoint" / INDEX).read_text())["weight_map"])


def whole() -> tuple[dict, dict]:
    tensors = {n: t for shard in shards(CASE / "checkpoint").values() for n, t in shard.items()}
    return tensors, torch.load(CASE / "model_zoo/LAVIS/eva_vit_g.pth", weights_only=True)


def contents(folder: Path) -> dict[str, tuple[str, torch.Tensor]]:
    return {name: (file, tensor) for file, tensors in original_tensors(folder) for name, tensor in tensors.items()}


def edit(folder: Path, name: str, change) -> None:
    """Replace the tensor `name` by change(tensor); None takes it out of shard and index, as if never written."""
    index = json.loads((folder / INDEX).read_text())
    shard = folder / index["weight_map"][name]
    tensors = torch.load(shard, weights_only=True)
    new = change(tensors[name])
    if new is None:
        del tensors[name], index["weight_map"][name]
        (folder / INDEX).write_text(json.dumps(index))
    else:
        tensors[name] = new
    torch.save(tensors, shard)


def set_config(folder: Path, **values) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
