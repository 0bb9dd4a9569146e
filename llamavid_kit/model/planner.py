"""What a run will need, before it runs: tokens, key-value cache, weights. Arithmetic only; no file, no weight.

`plan` is for people and for `ablation`; `check_fits` is the same arithmetic as a refusal that names the way out.
"""

import math
from dataclasses import dataclass

from llamavid_kit.data.sampling import EPSILON_S
from llamavid_kit.model.config import LlamaVidConfig

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
            f"({'fits' if self.fits else 'does not fit'}); key-value cache {_size(self.kv_cache_bytes)}, "
            f"weights {_size(self.weight_bytes)}"
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
    return _plan(config, duration_s, fps, n_frames, content, n_prompt, dtype)


def _plan(config, duration_s, fps, n_frames, content, n_prompt, dtype) -> Plan:
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


def check_fits(
    config: LlamaVidConfig, *, n_frames: int, n_prompt: int, fps: float, content: str | None = None
) -> None:
    """Raise ValueError, with the way out, where frames and prompt exceed the language model's context."""
    needed = _plan(config, n_frames / fps, fps, n_frames, content, n_prompt, "bfloat16")
    if not needed.fits:
        room = max(needed.context - n_prompt, 0) // needed.tokens_per_frame
        slower, shorter = (_three_digits_down(x) for x in (room / n_frames * fps, room / fps))
        raise ValueError(
            f"{n_frames} frames at {fps:g} fps need {needed.total_tokens} tokens, the model has {needed.context}: "
            + (f"ask with fps <= {slower}, cut the clip to {shorter} s" if room else "shorten the question or reply")
            + f", or load the model with context={needed.total_tokens}"
        )


def count_parameters(config: LlamaVidConfig) -> int:
    """Parameters of the whole model for a LLaMA-like language model, from the sub-configurations."""
    v, q, t = config.vision_config, config.qformer_config, config.text_config
    c, h, d = v.hidden_size, q.hidden_size, t.hidden_size
    tower_block = 4 * c * c + 2 * c * v.intermediate_size + 9 * c + v.intermediate_size
    tower = v.num_hidden_layers * tower_block + 3 * v.patch_size**2 * c + c + (config.grid**2 + 2) * c
    seen = config.feature_width  # what the text decoder attends to
    feed_forward = 2 * h * q.intermediate_size + 3 * h + q.intermediate_size
    crossed = (2 * h * h + 2 * seen * h) + 6 * h
    if config.plain_bert:
        decoder = (q.vocab_size + q.max_position_embeddings + q.type_vocab_size + 2) * h
        decoder += q.num_hidden_layers * (4 * h * h + 6 * h + feed_forward + crossed)
    else:  # a feed-forward for queries and one for text; not every layer sees the frame
        decoder = (q.vocab_size + q.max_position_embeddings + 2 + config.n_query) * h
        decoder += q.num_hidden_layers * (4 * h * h + 6 * h + 2 * feed_forward)
        decoder += math.ceil(q.num_hidden_layers / q.cross_attention_frequency) * crossed
    head = getattr(t, "head_dim", None) or d // t.num_attention_heads
    heads, kv_heads = t.num_attention_heads, getattr(t, "num_key_value_heads", None) or t.num_attention_heads
    llm = t.num_hidden_layers * (2 * d * head * (heads + kv_heads) + 3 * d * t.intermediate_size + 2 * d)
    llm += d + t.vocab_size * d * (1 if t.tie_word_embeddings else 2)
    ours = (h * c + c) + (c * c + c) + 2 * (c * d + d) + (d * d + d) + (2 * seen if config.vision_norm else 0)
    ours += c * seen + seen if config.feature_projector else 0
    return tower + decoder + llm + ours


def _three_digits_down(value: float) -> str:
    """Three significant digits, rounded down: following the advice must fit."""
    digits = 2 - math.floor(math.log10(value)) if value else 0
    return f"{math.floor(value * 10**digits) / 10**digits:g}"


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"
