"""What a folder holds, what it lacks and where to get that, and whether it fits this machine: `examine`.

Input: any folder that might hold a model. Output: a table to read. Tensors are looked at by name and shape (those of
adapters by value too); nothing is converted. How folders are told apart and opened is `original.open`.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch

from llamavid_kit.files import CheckpointError, check_whole
from llamavid_kit.model.checkpoints import read_adapter
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.lora import ADAPTER_CONFIG
from llamavid_kit.model.original.config import tower_file
from llamavid_kit.model.original.convert import PIECE_BYTES
from llamavid_kit.model.original.open import (
    KINDS,
    VISION,
    check_llm,
    check_opened,
    check_ours,
    find_beside,
    kind_of,
    open_original,
    why_none,
)
from llamavid_kit.model.original.parts import PEFT_PREFIX, read_adapters, read_trained
from llamavid_kit.model.original.tensors import ConversionReport, one_of, original_config, read_object, weight_files
from llamavid_kit.model.planner import count_parameters, size
from llamavid_kit.model.tokenizers import QUESTION_TOKENIZER, load_llm_tokenizer, load_question_tokenizer

SOURCES = {  # where the original's README sends its readers
    VISION: f"https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/{VISION}",
    "bert-base-uncased": "https://huggingface.co/bert-base-uncased (vocab.txt and config.json)",
    "base": "https://huggingface.co/lmsys/vicuna-7b-v1.5 or vicuna-13b-v1.5",
    "model": "https://huggingface.co/YanweiLi, for example llama-vid-7b-full-224-video-fps-1",
}
GONE = "is missing: "
TOKENIZERS = ("tokenizer.model", "tokenizer.json")  # either, as `load_llm_tokenizer` looks for them


@dataclass(frozen=True)
class Part:
    """One file or folder: where it lies (None: missing), its bytes, and what is wrong with it ("": nothing)."""

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
        columns = [("there", size(part.n_bytes)) if part.path else ("MISSING", "") for part in self.parts]
        rows = [(p.name, *pair, p.note.removeprefix(GONE)) for p, pair in zip(self.parts, columns, strict=True)]
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
        raise FileNotFoundError(f"{folder} is not a folder; expected one that may hold a model")
    result = Examination(folder, "nothing")
    try:
        result.kind = kind_of(folder)
        result.parts = _parts(folder, result.kind)
        result.problems += [f"{part.name} {part.note}" for part in result.parts if part.note]
        if not result.problems:
            _add_contents(result, vision_heads)
    except (CheckpointError, OSError) as error:
        result.problems.append(str(error))
    return result


def _parts(folder: Path, kind: str) -> list[Part]:
    """What must lie in the folder itself, and what the original keeps elsewhere, looked for where `convert` looks."""
    if kind in ("other", "nothing"):
        raise CheckpointError(f"{why_none(folder, kind)}; get a model from {SOURCES['model']}")
    tokens = next((n for n in TOKENIZERS if (folder / n).is_file()), TOKENIZERS[0])
    lora = [one_of(folder, name).name for name in ("adapter_model", "non_lora_trainables")]
    names: list[str] = {
        "ours": ["config.json", tokens, QUESTION_TOKENIZER],
        "full": ["config.json", tokens],
        "llm": ["config.json", tokens],
        "adapter": [ADAPTER_CONFIG, "adapter_model.safetensors"],
        "lora": ["config.json", ADAPTER_CONFIG, *lora],
        "stage1": ["config.json", "mm_projector.bin"],
    }[kind]
    again = f"copy the folder again from where it came ({SOURCES['model']})"
    parts = [_part(folder / name, again) for name in names]
    if kind in ("ours", "full", "llm"):
        try:
            parts += [_part(folder / name, again) for name in weight_files(folder)[0]]
        except CheckpointError as error:
            parts.append(Part("weights", None, note=f"cannot be read: {error}; {again}"))
    if kind == "full":
        vision = tower_file(read_object(folder / "config.json"))
        for name, option in ((vision, "--vision-weights"), ("bert-base-uncased", "--bert-tokenizer")):
            note = f"get it from {SOURCES.get(name, 'where the checkpoint came from')}, or {option}"
            parts.append(_part(find_beside(folder, name) or folder / name, note))
    return parts


def _add_contents(result: Examination, vision_heads: int | None) -> None:
    """Configuration, tokenizers, names and shapes of tensors against each other, and what memory the model takes."""
    folder, kind, report = result.folder, result.kind, ConversionReport()
    if kind in ("ours", "full", "llm"):
        load_llm_tokenizer(folder)
    if kind in ("lora", "stage1"):
        result.machine.append(f"it belongs to a base model, which no file here names: {SOURCES['base']}")
        original = original_config(folder)
    if kind == "lora":
        tower_file(original)
        read_adapters(folder, report)
        read_trained(one_of(folder, "non_lora_trainables"), report, "lora:", prefix=PEFT_PREFIX)
    elif kind == "stage1":
        read_trained(folder / "mm_projector.bin", report, "adapter:")
    elif kind == "adapter":
        read_adapter(folder)
    elif kind == "llm":
        check_llm(folder)
    elif kind == "ours":
        load_question_tokenizer(folder / QUESTION_TOKENIZER)
        _add_machine(result, check_ours(folder))
    else:
        opened = open_original(folder, vision_heads=vision_heads)
        load_question_tokenizer(opened.bert)
        check_opened(opened)
        largest = max(part.n_bytes for part in result.parts)
        result.machine.append(
            f"to convert: {size(largest + 2 * PIECE_BYTES)} of memory (one shard and 2 GiB) and "
            f"{size(sum(t.nbytes for t in opened.state.values()))} of disk; there are {size(_memory())} and "
            f"{size(shutil.disk_usage(folder).free)}"
        )
        _add_machine(result, opened.config)


def _add_machine(result: Examination, config: LlamaVidConfig) -> None:
    n = count_parameters(config)
    result.machine.append(
        f"to run: {n / 1e6:.1f} million parameters, {size(2 * n)} in bfloat16, {size(4 * n)} in float32; memory "
        f"{size(_memory())} {'(fits in float32)' if 4.4 * n < _memory() else '(too little for float32)'}, {_gpu(n)}"
    )
    result.machine.append(
        f"frames of {config.image_size} px, {config.tokens_per_frame()} tokens each, context {config.context} tokens: "
        f"about {(config.context - 256) // config.tokens_per_frame()} frames beside a question"
    )


def _gpu(n: int) -> str:
    if not torch.cuda.is_available():
        return "no GPU"
    free, _ = torch.cuda.mem_get_info()
    return f"GPU {size(free)} free {'(fits in bfloat16)' if 2.2 * n < free else '(too little for bfloat16)'}"


def _memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _part(path: Path, note: str) -> Part:
    """note: where to get it, should it be missing."""
    if not path.exists():
        return Part(path.name, None, note=GONE + note)
    try:
        if path.is_file():
            check_whole(path)
    except CheckpointError as error:
        return Part(path.name, path, _bytes(path), note=f"cannot be used: {error}")
    return Part(path.name, path, _bytes(path))


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
