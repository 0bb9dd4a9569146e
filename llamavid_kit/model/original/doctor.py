"""What a folder holds, what it lacks and where to get that, and whether it fits this machine: `examine`.

Input: any folder that might hold a model. Output: a table to read. Tensors are looked at by name and shape alone;
nothing is converted. How folders are opened is `checkpoints` and `original.open`.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.original.convert import PIECE_BYTES
from llamavid_kit.model.original.open import VISION, check_fits_model, check_opened, find_beside, open_original
from llamavid_kit.model.original.tensors import INDEX, read_object
from llamavid_kit.model.planner import count_parameters, size

SOURCES = {  # where the original's README sends its readers
    VISION: f"https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/{VISION}",
    "bert-base-uncased": "https://huggingface.co/bert-base-uncased (vocab.txt and config.json)",
    "base": "https://huggingface.co/lmsys/vicuna-7b-v1.5 or vicuna-13b-v1.5",
    "model": "https://huggingface.co/YanweiLi, for example llama-vid-7b-full-224-video-fps-1",
}
KINDS = {
    "ours": "a folder of this kit",
    "full": "a full model of the original",
    "lora": "a LoRA folder of the original: convert it with --base",
    "adapter": "an adapter of this kit: `ask` takes it with --adapter, `load` with adapter=",
    "stage1": "a stage-1 folder of the original: convert it with --base",
    "llm": "a bare language model: with --text-decoder, stage 1 begins from it",
    "nothing": "no model",
}


@dataclass(frozen=True)
class Part:
    """One file or folder: where it lies (None: missing), its bytes, and what to say about it."""

    name: str
    path: Path | None
    n_bytes: int = 0
    note: str = ""


@dataclass
class Examination:
    """`kind` is a key of KINDS; `problems` are what stands between this folder and a model that loads.

    What the machine lacks (a GPU, memory) is said in `machine` and is no problem of the folder.
    """

    folder: Path
    kind: str
    parts: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    machine: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.folder}: {KINDS[self.kind]}", ""]
        rows = [
            (part.name, "there" if part.path else "MISSING", size(part.n_bytes) if part.path else "", part.note)
            for part in self.parts
        ]
        widths = [max([len(row[k]) for row in rows], default=0) for k in range(3)]
        lines += ["  ".join([*(row[k].ljust(widths[k]) for k in range(3)), row[3]]).rstrip() for row in rows]
        lines += ["", *self.machine] if self.machine else []
        verdict = [f"problem: {problem}" for problem in self.problems] or ["no problem found"]
        return "\n".join([*lines, "", *verdict])


def examine(folder: Path | str, *, vision_heads: int | None = None) -> Examination:
    """Look at `folder`. Raises FileNotFoundError where there is none; everything else is in the result.

    vision_heads: as in `original.tensors.read_original`, for towers that are not EVA-ViT-G.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; expected one that may hold a model")
    result = Examination(folder, kind_of(folder))
    if result.kind == "nothing":
        result.problems.append(
            f"no config.json, adapter_config.json or mm_projector.bin here; get a model from {SOURCES['model']}"
        )
        return result
    result.parts = _parts(folder, result.kind)
    result.problems += [f"{part.name} is missing: {part.note}" for part in result.parts if not part.path]
    if result.kind in ("lora", "stage1"):
        result.machine.append(f"it belongs to a base model, which no file here names: {SOURCES['base']}")
    if not result.problems:
        _add_tensors(result, vision_heads)
    return result


def kind_of(folder: Path) -> str:
    """A key of KINDS, told by the files alone."""
    if (folder / "adapter_config.json").is_file():
        return "adapter" if (folder / "adapter_model.safetensors").is_file() else "lora"
    if (folder / "mm_projector.bin").is_file():
        return "stage1"
    if not (folder / "config.json").is_file():
        return "nothing"
    config = read_object(folder / "config.json")
    if config.get("model_type") == LlamaVidConfig.model_type:
        return "ours"
    return "full" if "bert_type" in config else "llm"


def _parts(folder: Path, kind: str) -> list[Part]:
    """What must lie in the folder itself, and what the original keeps elsewhere, looked for where `convert` looks."""
    names = {
        "ours": ["config.json", "question_tokenizer"],
        "full": ["config.json", "tokenizer.model"],
        "llm": ["config.json", "tokenizer.model"],
        "adapter": ["adapter_config.json", "adapter_model.safetensors"],
        "lora": ["config.json", "adapter_config.json", "adapter_model.bin", "non_lora_trainables.bin"],
        "stage1": ["config.json", "mm_projector.bin"],
    }[kind]
    if kind == "ours":
        names += sorted(path.name for path in folder.glob("*.safetensors")) or ["model.safetensors"]
    if kind in ("full", "llm"):
        shards = read_object(folder / INDEX).get("weight_map", {}) if (folder / INDEX).is_file() else {}
        names += [Path(shard).name for shard in sorted(set(shards.values()))] or ["pytorch_model.bin"]
    again = f"copy the folder again from where it came ({SOURCES['model']})"
    parts = [_part(folder / name, again) for name in names]
    if kind == "full":
        vision = Path(read_object(folder / "config.json").get("mm_vision_tower") or VISION).name
        for name, option in ((vision, "--vision-weights"), ("bert-base-uncased", "--bert-tokenizer")):
            note = f"get it from {SOURCES.get(name, 'where the checkpoint came from')}, or {option}"
            parts.append(_part(find_beside(folder, name) or folder / name, note))
    return parts


def _add_tensors(result: Examination, vision_heads: int | None) -> None:
    """Names and shapes against the configuration, and what memory the model takes."""
    try:
        if result.kind == "full":
            opened = open_original(result.folder, vision_heads=vision_heads)
            check_opened(opened)
            config, largest = opened.config, max(part.n_bytes for part in result.parts)
            result.machine.append(
                f"to convert: {size(largest + 2 * PIECE_BYTES)} of memory (one shard and 2 GiB) and "
                f"{size(sum(t.nbytes for t in opened.state.values()))} of disk; there are {size(_memory())} and "
                f"{size(shutil.disk_usage(result.folder).free)}"
            )
        elif result.kind == "ours":
            config = LlamaVidConfig.from_pretrained(result.folder)
            with torch.device("meta"):
                model = LlamaVid(config)
            check_fits_model(model.state_dict(), _shapes(result.folder), result.folder)
        else:
            return
    except (CheckpointError, SafetensorError) as error:
        result.problems.append(str(error))
        return
    n = count_parameters(config)
    result.machine.append(
        f"to run: {n / 1e6:.1f} million parameters, {size(2 * n)} in bfloat16, {size(4 * n)} in float32; memory "
        f"{size(_memory())} {'(fits in float32)' if 4.4 * n < _memory() else '(too little for float32)'}, {_gpu(n)}"
    )
    result.machine.append(
        f"frames of {config.image_size} px, {config.tokens_per_frame()} tokens each, context {config.context} tokens: "
        f"about {(config.context - 256) // config.tokens_per_frame()} frames beside a question"
    )


def _shapes(folder: Path) -> dict[str, torch.Tensor]:
    """Name → a tensor of that shape without contents."""
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            tensors |= {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in names}
    return tensors


def _gpu(n: int) -> str:
    if not torch.cuda.is_available():
        return "no GPU"
    free, _ = torch.cuda.mem_get_info()
    return f"GPU {size(free)} free {'(fits in bfloat16)' if 2.2 * n < free else '(too little for bfloat16)'}"


def _memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _part(path: Path, note: str) -> Part:
    return Part(path.name, path, _bytes(path)) if path.exists() else Part(path.name, None, note=note)


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
