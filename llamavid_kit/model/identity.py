"""What a result belongs to, by content: hashes of a model's weights, of its settings and of its tokenizers.

`weights_key` and `settings_key` read all of a model: what a run of answers keeps. `fingerprint` reads a sample of every
weight, in a moment at any size: what an adapter and a training keep of their base.
"""

import hashlib
import json

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from llamavid_kit.model.llama_vid import LlamaVid

NO_SETTINGS = ("_name_or_path", "architectures", "dtype", "transformers_version", "use_cache", "world")
VISION_SIDE = ("vision_tower", "feature_projector", "vision_norm", "text_decoder", "context_attention")
STEP, FACTOR = 0x9E3779B97F4A7C15 - 2**64, 0xD6E8FEB86659FD93 - 2**64  # odd, so that no two words become one
SAMPLE = 4096  # values of each weight that a fingerprint reads


def vision_key(model: LlamaVid) -> str:
    """Hash of every weight and setting that frame tokens depend on, and of the tokenizer of questions."""
    settings = [sorted(_settings(model).items()), model.question_tokenizer and _rules(model.question_tokenizer)]
    return _hash(model, VISION_SIDE, repr(settings))


def weights_key(model: LlamaVid, *, vision: str | None = None) -> str:
    """Hash of the whole model, so that a retrained one under the same name is told apart. vision: its `vision_key`."""
    return _hash(model, ("content_projector", "language_model"), vision or vision_key(model))


def settings_key(model: LlamaVid) -> str:
    """Hash of the whole configuration and of both tokenizers, but not of where they came from."""
    tokenizers = [_rules(tokenizer) for tokenizer in (model.tokenizer, model.question_tokenizer) if tokenizer]
    return hashlib.sha256(json.dumps([_kept(model.config.to_dict()), tokenizers], sort_keys=True).encode()).hexdigest()


def model_key(model: PreTrainedModel, processor: ProcessorMixin) -> str:
    """Hash of a model of another family: all weights, its configuration, its processor's settings and tokenizer."""
    parts = [_kept(model.config.to_dict()), processor.to_json_string(), processor.chat_template]
    settings = json.dumps([*parts, _rules(processor.tokenizer)], sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}{checksum(tensor)}".encode())
    return digest.hexdigest()


def fingerprint(model: LlamaVid) -> str:
    """Hash of every weight's name, shape and up to `SAMPLE` values of it, evenly spaced and rounded to bfloat16.

    The same in float32, float16 and bfloat16 where that precision holds the values, and packed to 4 bits; another for a
    model that was trained on, or with tensors of another.
    """
    return getattr(model, "packed_from", None) or fingerprint_of(model.state_dict())


def fingerprint_of(state: dict[str, torch.Tensor]) -> str:
    """`fingerprint` of the model with these weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // SAMPLE)].to("cpu", torch.bfloat16)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _rules(tokenizer: PreTrainedTokenizerBase) -> list:
    """What decides how a text is cut; how long it may be is set from call to call."""
    backend = getattr(tokenizer, "backend_tokenizer", None)  # sentencepiece's own have none
    rules = json.loads(backend.to_str()) if backend else {"vocabulary": tokenizer.get_vocab()}
    rules = {name: rule for name, rule in rules.items() if name not in ("truncation", "padding")}
    return [type(tokenizer).__name__, {k: str(v) for k, v in tokenizer.special_tokens_map.items()}, rules]


def _kept(config: dict) -> dict:
    kept = {name: value for name, value in config.items() if name not in NO_SETTINGS}
    return {name: _kept(value) if isinstance(value, dict) else value for name, value in kept.items()}


def _hash(model: LlamaVid, parts: tuple[str, ...], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for part in parts:
        for name, tensor in sorted(getattr(model, part).state_dict().items()):
            digest.update(f"{part}.{name}{tensor.dtype}{tuple(tensor.shape)}{checksum(tensor)}".encode())
    return digest.hexdigest()


def checksum(tensor: torch.Tensor) -> int:
    """One number for all bits of a tensor and their order, computed where it lies: sha256 of a 7B takes 40 s.

    A change of one word of 8 bytes always gives another number, any other change with a chance of 1 - 2^-64. Against
    chance, not against somebody who makes up weights to deceive.
    """
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    whole = raw[: len(raw) // 8 * 8]
    words = (whole.clone() if whole.storage_offset() % 8 else whole).view(torch.int64)
    rest = torch.nn.functional.pad(raw[len(whole) :], (0, len(whole) + 8 - len(raw)))
    piece, total = 2**25 if raw.is_cuda else 2**17, torch.zeros((), dtype=torch.int64, device=raw.device)
    for start, part in [
        *((k, words[k : k + piece]) for k in range(0, len(words), piece)),
        (-1, rest.view(torch.int64)),
    ]:
        mixed = torch.arange(start, start + len(part), device=raw.device).mul_(STEP).add_(part)  # all modulo 2^64
        mixed = _folded(_folded(mixed).mul_(FACTOR))
        total += mixed.sum()
    return int(total)


def _folded(words: torch.Tensor) -> torch.Tensor:
    """The upper half of each word (8 bytes) into the lower one, in place; no two words give the same."""
    return words.bitwise_xor_((words >> 32).bitwise_and_(0xFFFFFFFF))


def _settings(model: LlamaVid) -> dict:
    """What the configuration decides and no tensor shows, so that equal weights with other heads have another key."""
    names = ("image_mean", "image_std", "drop_cls", "vision_norm", "n_query", "question_max_length")
    parts = ("num_attention_heads", "layer_norm_eps", "hidden_act")
    vision, qformer = model.config.vision_config, model.config.qformer_config
    return (
        {name: getattr(model.config, name) for name in names}
        | {"image_size": model.config.image_size, "decoder": qformer.model_type}
        | {"cross_every": getattr(qformer, "cross_attention_frequency", 1)}
        | {f"{kind}.{name}": getattr(part, name) for kind, part in (("v", vision), ("q", qformer)) for name in parts}
    )
