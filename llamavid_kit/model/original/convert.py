"""Whole folders from the original's layout to ours and back, piece by piece: `convert` and `export`.

Input of `convert`: a full model of the original, a LoRA folder or a stage-1 adapter on a base; output: our folder
(safetensors), beside it in `original/` what the way back needs. `export` writes the original's layout from any folder
of ours. No model is built and at most one shard lies in memory. What the names mean is `names`.
"""

import json
import logging
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from llamavid_kit.files import CheckpointError, check_shape, filling, saving, write_whole
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.original.config import image_size_of, write_config
from llamavid_kit.model.original.names import TOWER, shard_names
from llamavid_kit.model.original.open import (
    KINDS,
    Opened,
    check_opened,
    check_ours,
    kind_of,
    open_lora,
    open_original,
    open_parts,
    why_none,
)
from llamavid_kit.model.original.parts import LORA_A, LORA_B
from llamavid_kit.model.original.tensors import (
    FLOATS,
    WEIGHTS,
    ConversionReport,
    original_config,
    original_tensors,
    read_object,
    weight_files,
)
from llamavid_kit.model.tokenizers import (
    QUESTION_TOKENIZER,
    load_llm_tokenizer,
    load_question_tokenizer,
    save_tokenizer,
)

log = logging.getLogger(__name__)
PIECE_BYTES = 2**30  # of our files: what is copied into memory at a time
SHARD_BYTES = 10 * 10**9  # of the original's files, as its `save_pretrained` cuts them
OURS = LlamaVidConfig.model_type
ORIGINAL, TENSORS = "original", "tensors.json"
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}
DTYPES = {str(t).removeprefix("torch."): t for t in (*FLOATS, torch.int64)}
LIKE = {str: {"file": str, "dtype": str, "shape": [int]}}  # of TENSORS
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def convert(
    folder: Path | str,
    *,
    out: Path | str,
    base: Path | str | None = None,
    text_decoder: Path | str | None = None,
    **kwargs,
) -> ConversionReport:
    """A checkpoint of the original → our folder `out`, and the report on every tensor.

    Args:
        folder: a full model; a LoRA folder (`adapter_config.json`), merged into `base`; a stage-1 folder
            (`mm_projector.bin`) on the language model `base`; or a bare language model with `text_decoder`.
        base: the folder that a LoRA or stage-1 folder belongs to.
        text_decoder: InstructBLIP's file: stage 1 begins from it, with new projectors.
        **kwargs: `vision_weights`, `bert_folder`, `vision_heads`, `image_size` (see `open.open_original`). A
            stage-1 folder's own config.json says the size of its frames.

    Tensors keep their dtype and are written in pieces of 1 GiB as they are read. `config.json` is written last: a
    folder whose conversion was interrupted is no model, and begun anew. Raises CheckpointError that lists every tensor
    that does not fit, before anything is written, and for an `out` that holds anything else.
    """
    folder, out = Path(folder), Path(out)
    opened = _open(folder, base, text_decoder, kwargs)
    check_opened(opened)
    tokenizers = load_llm_tokenizer(opened.llm), load_question_tokenizer(opened.bert)
    opened.config.dtype = opened.state["language_model.lm_head.weight"].dtype
    opened.config.architectures = ["LlamaVid"]
    with filling(out):
        if opened.llm == folder and text_decoder is None:
            _keep_original(folder, out / ORIGINAL)
        _write_pieces(opened, out)
        save_tokenizer(tokenizers[0], out)
        save_tokenizer(tokenizers[1], out / QUESTION_TOKENIZER)
        write_whole(out / "config.json", opened.config.to_json_string())
    return opened.report


def _open(folder: Path, base, text_decoder, kwargs: dict) -> Opened:
    """The kind of checkpoint is told by its files."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected a checkpoint of the original")
    kind = kind_of(folder)
    if kind == "ours":
        raise CheckpointError(
            f"{folder} is a folder of this kit already: load it, or `export` it to the original's layout"
        )
    if kind in ("adapter", "other", "nothing"):
        why = KINDS[kind] if kind == "adapter" else why_none(folder, kind)
        raise CheckpointError(f"{folder} is not a checkpoint of the original: {why}")
    if kind in ("lora", "stage1") and base is None:
        raise CheckpointError(f"{folder} holds an adapter but no model: name the model it belongs to with --base")
    if kind == "lora" and text_decoder is not None:
        raise CheckpointError(
            f"{folder} is a LoRA folder: --text-decoder is for a bare language model or a stage-1 folder; leave it out"
        )
    if kind == "lora":
        return open_lora(folder, base=base, **kwargs)
    if kind == "stage1":
        adapter = folder / "mm_projector.bin"
        original = original_config(folder) if (folder / "config.json").is_file() else {"compress_type": "mean"}
        parts = {"content": original.get("compress_type") or "all", "image_size": image_size_of(original)}
        return open_parts(base, adapter=adapter, text_decoder=text_decoder, **parts | kwargs)
    if base is not None:
        raise CheckpointError(f"{folder} holds neither adapter_config.json nor mm_projector.bin: --base is for those")
    if text_decoder is not None:
        return open_parts(folder, text_decoder=text_decoder, **kwargs)
    return open_original(folder, **kwargs)


def _keep_original(llm: Path, stored: Path) -> None:
    """A full model's small files, and name, file, dtype and shape of each of its tensors."""
    stored.mkdir(exist_ok=True)
    for name in SMALL_FILES:
        if (llm / name).is_file():
            shutil.copyfile(llm / name, stored / name)
    tensors = {
        name: {"file": shard, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for shard, loaded in original_tensors(llm)
        for name, tensor in loaded.items()
    }
    (stored / TENSORS).write_text(json.dumps(tensors, indent=0), encoding="utf-8")


def _pieces(sizes: Iterable[tuple[str, int]], limit: int) -> list[list[str]]:
    """Names of tensors in their order, cut where the next would make a piece longer than `limit` bytes."""
    pieces: list[list[str]] = [[]]
    size = 0
    for name, n_bytes in sizes:
        if size and size + n_bytes > limit:
            pieces, size = [*pieces, []], 0
        pieces[-1].append(name)
        size += n_bytes
    return pieces


def _write_pieces(opened: Opened, out: Path) -> None:
    """Empties `opened.state` into safetensors files, in the order in which the tensors lie in theirs."""
    pieces = _pieces([(name, tensor.nbytes) for name, tensor in opened.state.items()], PIECE_BYTES)
    files: dict[str, str] = {}
    total = 0
    for k, names in enumerate(tqdm(pieces, desc="convert", unit="piece")):
        file = f"model-{k + 1:05d}-of-{len(pieces):05d}.safetensors"
        piece = {name: _merged(opened, name, opened.state.pop(name)) for name in names}
        _save(piece, out / file)
        files |= dict.fromkeys(names, file)
        total += sum(tensor.nbytes for tensor in piece.values())
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    with saving(path):
        if path.suffix == ".safetensors":
            save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata={"format": "pt"})
        else:
            torch.save(tensors, path)


def _merged(opened: Opened, name: str, tensor: Tensor) -> Tensor:
    """`tensor` with its LoRA added, if it has one: W + scaling B A, computed in float32 as peft does on a CPU."""
    linear, adapters = name.removesuffix(".weight"), opened.adapters
    if adapters is None or linear + LORA_A not in adapters.tensors:
        return tensor
    a, b = (adapters.tensors[linear + suffix].float() for suffix in (LORA_A, LORA_B))
    delta = (b @ a) * adapters.scaling
    return tensor + delta.to(tensor.dtype)


@dataclass
class ExportReport:
    """What was written. `exact`: bit for bit ours; `rebuilt`: buffers and tower copies that the original recomputes."""

    exact: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.exact)} tensors written bit for bit, {len(self.rebuilt)} rebuilt"]
        return "\n".join([*lines, *(f"  rebuilt {name}" for name in self.rebuilt)])


def export(folder: Path | str, *, out: Path | str) -> ExportReport:
    """A folder of ours → the original's layout: `pytorch_model-*.bin`, index, `config.json` and tokenizer files.

    Where `folder` was converted from the original, names, files and dtypes are those it had, and every tensor is bit
    for bit what was read; else tensors keep our dtype and lie in shards of 10 GB. Listed as rebuilt: buffers that
    transformers dropped, and the checkpoint's copy of the tower, which the original never reads (its EVA-ViT file
    decides).
    Raises CheckpointError for a folder of another kind, and for an `out` that holds a model.
    """
    folder, out = Path(folder), Path(out)
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    if config.get("model_type") != OURS:
        raise CheckpointError(f"{folder} is not a folder of this kit: expected one that `convert` or `save` wrote")
    ours, stored = check_ours(folder), folder / ORIGINAL
    if ours.text_config.model_type != "llama":
        raise CheckpointError(f"{folder}: its language model is a {ours.text_config.model_type}, the original a llama")
    source = _Source(folder, ours)
    report, layout = ExportReport(), _layout(stored, source)
    index: dict[str, str] = {}
    total = 0
    with filling(out):
        for file, tensors in tqdm(layout.items(), desc="export", unit="shard"):
            shard = {name: source.original(name, like, report) for name, like in tensors.items()}
            _save(shard, out / file)
            index |= dict.fromkeys(shard, file)
            total += sum(tensor.nbytes for tensor in shard.values())
        content = {"metadata": {"total_size": total}, "weight_map": index}
        single = next(name for name in WEIGHTS if Path(name).suffix == Path(file).suffix)
        (out / f"{single}.index.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        _write_small_files(folder, stored, ours, out)
    return report


def _layout(stored: Path, source: "_Source") -> dict[str, dict[str, dict | None]]:
    """File → tensor name → how the original stored it (None: as ours)."""
    files: dict[str, dict[str, dict | None]] = {}
    if (stored / TENSORS).is_file():
        content = read_object(stored / TENSORS)
        check_shape(content, LIKE, str(stored / TENSORS), way_out=f"remove {stored} to export the weights as they are")
        for name, like in content.items():
            files.setdefault(Path(like["file"]).name, {})[name] = like
        return files
    parts = _pieces(source.sizes(), SHARD_BYTES)
    return {f"pytorch_model-{k + 1:05d}-of-{len(parts):05d}.bin": dict.fromkeys(part) for k, part in enumerate(parts)}


class _Source:
    """The tensors of our folder under the original's names, read one at a time."""

    def __init__(self, folder: Path, config: LlamaVidConfig):
        self.config = config
        self.files: dict[str, Path] = {}
        for path in (folder / name for name in weight_files(folder)[0] if name.endswith(".safetensors")):
            with safe_open(path, "pt") as file:
                self.files |= dict.fromkeys(file.keys(), path)
        self.names = dict(shard_names(self.files))  # original → (ours, part)

    def sizes(self) -> Iterator[tuple[str, int]]:
        for name, (ours, part) in self.names.items():
            with safe_open(self.files[ours], "pt") as file:
                tensor = file.get_slice(ours)
                n_bytes = math.prod(tensor.get_shape()) * ITEM_BYTES[tensor.get_dtype()]
                yield name, n_bytes // (1 if part is None else 3)

    def original(self, name: str, like: dict | None, report: ExportReport) -> Tensor:
        """The original's tensor `name`, in the dtype that `like` says."""
        if name in self.names:
            ours, part = self.names[name]
            with safe_open(self.files[ours], "pt") as file:
                tensor = file.get_tensor(ours)
            tensor = tensor if part is None else tensor.chunk(3)[part].clone()
        else:
            tensor = self._buffer(name)
        if like is None:
            report.exact.append(name)
            return tensor
        dtype = DTYPES.get(like["dtype"])
        if dtype is None:
            raise CheckpointError(f"{TENSORS}, {name}: dtype={like['dtype']!r}, expected one of {', '.join(DTYPES)}")
        tower = name.startswith(TOWER)
        if list(tensor.shape) != like["shape"] or (tensor.dtype != dtype and name in self.names and not tower):
            raise CheckpointError(
                f"{name}: ours is {tensor.dtype} {tuple(tensor.shape)}, the original was {dtype} {like['shape']}: the "
                "weights were changed since; remove the folder `original` to export them as they are"
            )
        (report.rebuilt if tower or name not in self.names else report.exact).append(name)
        return tensor.to(dtype)

    def _buffer(self, name: str) -> Tensor:
        """Buffers of transformers 4.31 that newer versions rebuild instead of storing."""
        text, decoder = self.config.text_config, self.config.qformer_config
        if name.endswith("rotary_emb.inv_freq"):
            width = text.hidden_size // text.num_attention_heads
            theta = text.rope_parameters.get("rope_theta", 10000.0)
            return 1.0 / (theta ** (torch.arange(0, width, 2).float() / width))
        if name.endswith("embeddings.position_ids"):
            return torch.arange(decoder.max_position_embeddings)[None]
        raise CheckpointError(f"{name}: the original had it, this folder does not, and it is not a buffer")


def _write_small_files(folder: Path, stored: Path, config: LlamaVidConfig, out: Path) -> None:
    source = stored if stored.is_dir() else folder
    for name in SMALL_FILES[1:]:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    original = read_object(stored / "config.json") if (stored / "config.json").is_file() else None
    text = json.dumps(write_config(config, original), indent=2, sort_keys=True)
    write_whole(out / "config.json", text)
