"""What a run will need, before it runs: tokens, key-value cache, weights. No file, and no weight in memory.

`plan` is for people; what commands refuse with the way out is `config.check_fits`.
"""

import json
import math
from dataclasses import dataclass
from functools import cache

import torch

from llamavid_kit.data.sampling import EPSILON_S
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
PROMPT_TOKENS = 128  # a question with its template, where nobody has counted yet


@dataclass(frozen=True)
class Plan:
    """Numbers for one clip at one rate. Bytes are bytes; the context is the language model's, in tokens."""

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

    @property
    def fits(self) -> bool:
        """Whether frames, prompt and answer fit into the model's context."""
        return self.total_tokens <= self.context

    def __str__(self) -> str:
        return (
            f"{self.duration_s:g} s at {self.fps:g} fps: {self.n_frames} frames x {self.tokens_per_frame} tokens = "
            f"{self.visual_tokens}, {self.total_tokens} with the prompt, of {self.context} "
            f"({'fits' if self.fits else 'does not fit'}); key-value cache {size(self.kv_cache_bytes, digits=0)}, "
            f"weights {size(self.weight_bytes, digits=0)}"
        )


def plan(
    config: LlamaVidConfig,
    *,
    duration_s: float,
    fps: float,
    content: str | None = None,
    n_prompt: int = PROMPT_TOKENS,
    dtype: str = "bfloat16",
) -> Plan:
    """Tokens and bytes for a clip of `duration_s` seconds at `fps`.

    Args:
        content: content tokens a frame, see `config.parse_content`; None takes the model's.
        n_prompt: tokens of prompt and answer.
        dtype: of weights and key-value cache.

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
    kv_heads = getattr(llm, "num_key_value_heads", None) or llm.num_attention_heads
    head = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    features = n_frames * (config.grid**2 + 1) * config.vision_config.hidden_size
    return Plan(
        duration_s=duration_s,
        fps=fps,
        n_frames=n_frames,
        tokens_per_frame=per_frame,
        visual_tokens=n_frames * per_frame,
        total_tokens=total,
        context=config.context,
        kv_cache_bytes=2 * llm.num_hidden_layers * kv_heads * head * total * width,
        weight_bytes=count_parameters(config) * width,
        feature_bytes=features * width,
    )


def count_parameters(config: LlamaVidConfig) -> int:
    """Parameters of the whole model, counted on one that is built without memory: 0.3 s for a 7B, once a process."""
    return _count(config.to_json_string())


@cache
def _count(config: str) -> int:
    with torch.device("meta"):
        return LlamaVid(LlamaVidConfig.from_dict(json.loads(config))).num_parameters()


def size(n_bytes: float, *, digits: int = 1) -> str:
    """1536 → "1.5 KiB"; `digits` behind the point of KiB and MiB, GiB have one."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.{0 if unit == 'B' else digits}f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"
