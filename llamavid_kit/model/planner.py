"""What a run will need, before it runs: tokens, memory, seconds. No file, and no weight in memory.

`plan` is for people; what commands refuse with the way out is `config.check_fits`. `answering` and `training` choose by
`answer_need` and `training_need` what they do at once on a GPU.
"""

import json
import math
from dataclasses import dataclass
from functools import cache

import torch
from transformers import PreTrainedConfig

from llamavid_kit.data.sampling import EPSILON_S
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.decoding import fixed_length
from llamavid_kit.model.four_bits import PACKED_BYTES, Quantise, packed_linears
from llamavid_kit.model.llama_vid import ASKED_AT_ONCE, LlamaVid

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
NEW_TOKENS = 32  # of a reply, where nobody has said
PROMPT_TOKENS = 128  # a question with its template, where nobody has counted yet


@dataclass(frozen=True)
class Plan:
    """Numbers for one clip at one rate. Bytes are bytes; the context is the language model's, in tokens.

    gpu_bytes: predicted peak of `ask` on a GPU, weights included. seconds: its predicted time on an H200, in bfloat16.
    """

    duration_s: float
    fps: float
    n_frames: int
    tokens_per_frame: int
    visual_tokens: int
    total_tokens: int
    context: int
    kv_cache_bytes: int
    weight_bytes: int
    feature_bytes: int
    gpu_bytes: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether frames, prompt and answer fit into the model's context."""
        return self.total_tokens <= self.context

    def __str__(self) -> str:
        return (
            f"{self.duration_s:g} s at {self.fps:g} fps: {self.n_frames} frames x {self.tokens_per_frame} tokens = "
            f"{self.visual_tokens}, {self.total_tokens} with the prompt, of {self.context} "
            f"({'fits' if self.fits else 'does not fit'}); key-value cache {size(self.kv_cache_bytes, digits=0)}, "
            f"weights {size(self.weight_bytes, digits=0)}; about {size(self.gpu_bytes, digits=0)} of a GPU, "
            f"{self.seconds:.2g} s of an H200"
        )


def plan(
    config: LlamaVidConfig,
    *,
    duration_s: float,
    fps: float,
    content: str | None = None,
    n_prompt: int = PROMPT_TOKENS,
    dtype: str = "bfloat16",
    quantise: Quantise | None = None,
) -> Plan:
    """Tokens and bytes for a clip of `duration_s` seconds at `fps`.

    Args:
        content: content tokens a frame, see `config.parse_content`; None takes the model's.
        n_prompt: tokens of prompt and answer.
        dtype: of weights and key-value cache.
        quantise: "4bit" counts the language model's layers packed, as `load` does.

    Raises ValueError for a length or rate that is not above 0, or an unknown dtype.
    """
    for name, value in (("duration_s", duration_s), ("fps", fps)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value!r}: expected a finite number above 0")
    if dtype not in BYTES:
        raise ValueError(f"dtype={dtype!r}: expected one of {', '.join(BYTES)}")
    n_frames = max(1, math.ceil((duration_s - EPSILON_S) * fps))  # as `sampling.sample_times` counts
    per_frame = config.tokens_per_frame(content)
    total = n_frames * per_frame + n_prompt
    llm, width = config.text_config, BYTES[dtype]
    features = n_frames * (config.grid**2 + 1) * config.vision_config.hidden_size
    weights = _weight_bytes(config, width, packs=quantise is not None)
    need = ask_need(config, n_frames=n_frames, n_tokens=total, max_new_tokens=NEW_TOKENS)
    return Plan(
        duration_s=duration_s,
        fps=fps,
        n_frames=n_frames,
        tokens_per_frame=per_frame,
        visual_tokens=n_frames * per_frame,
        total_tokens=total,
        context=config.context,
        kv_cache_bytes=2 * llm.num_hidden_layers * _kv_heads(llm) * _head(llm) * total * width,
        weight_bytes=weights,
        feature_bytes=features * width,
        gpu_bytes=weights + round(need.n_bytes * width / 2),
        seconds=need.seconds,
    )


@dataclass(frozen=True)
class Need:
    """Peak bytes on a GPU above what lies there, and seconds on an H200 in bfloat16."""

    n_bytes: float
    seconds: float

    def fits(self, device: torch.device) -> bool:
        """Whether a GPU has that memory, a tenth of it kept free: the prediction is as good as that."""
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return self.n_bytes <= 0.9 * (free + unused)


def answer_need(config: LlamaVidConfig, *, batch: int, n_tokens: int, max_new_tokens: int) -> Need:
    """Greedy replies to `batch` prompts of n_tokens, clips included.

    Keys and values of all positions, and three times what one layer's MLP makes of the prompts. Seconds: a GPU waits
    for its host at least `_HOST_S`; above that the prompts' operations, and each token's pass over weights and cache.
    """
    llm = _Sizes.of(config)
    kept = llm.cache_bytes * batch * fixed_length(n_tokens + max_new_tokens)
    made = 3 * batch * n_tokens * (llm.width + llm.mlp_width) * 2
    linear = 2 * llm.n_weights * batch * n_tokens
    attention = 2 * llm.n_layers * llm.width * batch * n_tokens**2
    prompts_s = max(_HOST_S, linear / 433e12 + attention / 828e12)
    token_s = (2 * llm.n_weights + kept) / 4.66e12 + 4.4e-3
    return Need(kept + made + 37e6, prompts_s + (max_new_tokens - 1) * token_s)


def ask_need(config: LlamaVidConfig, *, n_frames: int, n_tokens: int, max_new_tokens: int) -> Need:
    """One question about one clip, decoded and resized ahead of the GPU; n_tokens: of the prompt, clip included.

    The reply's cache may lie there from the question before, while the tower looks at `ASKED_AT_ONCE` frames.
    """
    tower, n_patches = config.vision_config, config.grid**2 + 1
    reply = answer_need(config, batch=1, n_tokens=n_tokens, max_new_tokens=max_new_tokens)
    kept = _Sizes.of(config).cache_bytes * fixed_length(n_tokens + max_new_tokens)
    looking = 12 * ASKED_AT_ONCE * n_patches * tower.hidden_size
    linear = 2 * n_patches * (4 * tower.hidden_size**2 + 2 * tower.hidden_size * tower.intermediate_size)
    frame_s = tower.num_hidden_layers * (linear + 4 * n_patches**2 * tower.hidden_size) / 481e12
    return Need(max(reply.n_bytes, kept + looking), reply.seconds + 1.08 * n_frames * frame_s)  # 8%: the text decoder


def training_need(config: LlamaVidConfig, *, batch: int, n_tokens: int, share: float) -> Need:
    """A step of LoRA on `batch` prompts of n_tokens, `share` of the layers recomputed (`training.memory`)."""
    llm, n = _Sizes.of(config), batch * n_tokens
    kept = (1 - share) * (4 * llm.width + 2 * llm.mlp_width) * 2.85 + share * llm.width * 2.53
    waits_s = 0.236 + 0.216 * share
    return Need(
        llm.n_layers * n * kept * 2 + 1.6 * 2**30, max(waits_s, (2.56 + share) * 2 * llm.n_weights * n / 386e12)
    )


_HOST_S = 0.060  # of a pass through the language model, whatever its size


@dataclass(frozen=True)
class _Sizes:
    """Of a language model. n_weights: of its layers' linears; cache_bytes: of one position, in bfloat16."""

    n_layers: int
    width: int
    mlp_width: int
    n_weights: int
    cache_bytes: int

    @classmethod
    def of(cls, config: LlamaVidConfig) -> "_Sizes":
        llm = config.text_config
        queries, keys = llm.num_attention_heads * _head(llm), _kv_heads(llm) * _head(llm)
        layer = 2 * llm.hidden_size * (queries + keys) + 3 * llm.hidden_size * llm.intermediate_size
        return cls(
            n_layers=llm.num_hidden_layers,
            width=llm.hidden_size,
            mlp_width=llm.intermediate_size,
            n_weights=llm.num_hidden_layers * layer,
            cache_bytes=2 * llm.num_hidden_layers * keys * 2,
        )


def _kv_heads(llm: PreTrainedConfig) -> int:
    return getattr(llm, "num_key_value_heads", None) or llm.num_attention_heads


def _head(llm: PreTrainedConfig) -> int:
    return getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads


def count_parameters(config: LlamaVidConfig) -> int:
    """Parameters of the whole model, counted on one that is built without memory: 0.3 s for a 7B, once a process."""
    return _count(config.to_json_string())[0]


def _weight_bytes(config: LlamaVidConfig, width: int, *, packs: bool) -> int:
    n, n_packed = _count(config.to_json_string())
    return round((n - n_packed) * width + n_packed * PACKED_BYTES) if packs else n * width


@cache
def _count(config: str) -> tuple[int, int]:
    """Parameters, and those of them that 4 bits pack."""
    with torch.device("meta"):
        model = LlamaVid(LlamaVidConfig.from_dict(json.loads(config)))
    return model.num_parameters(), sum(linear.weight.numel() for linear in packed_linears(model).values())


def size(n_bytes: float, *, digits: int = 1) -> str:
    """1536 → "1.5 KiB"; `digits` behind the point of KiB and MiB, GiB have one."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.{0 if unit == 'B' else digits}f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"
