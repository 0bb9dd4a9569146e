"""The model's configuration: what LLaMA-VID is made of, as data.

`LlamaVidConfig` holds three transformers configurations (vision tower, text decoder, language model) and the few
numbers that LLaMA-VID adds. It knows no weights; presets are class methods, their sizes stand in presets.toml.
`check_fits` refuses what the language model's context cannot hold.
"""

import math
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, BertConfig, PreTrainedConfig
from transformers.models.instructblip import InstructBlipQFormerConfig, InstructBlipVisionConfig

from llamavid_kit.data.pixels import CLIP_MEAN, CLIP_STD, pixel_values
from llamavid_kit.data.prompt import template as template_named

PRESETS = tomllib.loads(Path(__file__).with_name("presets.toml").read_text(encoding="utf-8"))

SIZES = ("num_attention_heads", "num_key_value_heads", "max_position_embeddings", "layer_norm_eps", "rms_norm_eps")
ContentPool = Literal["mean", "grid", "all"]


def parse_content(content: str) -> tuple[ContentPool, int]:
    """`"mean"`, `"grid:k"` or `"all"` → (pool, k); k is 0 unless a grid is asked for.

    Raises ValueError on anything else, and on `grid:1`, which the original refuses too (use "mean").
    """
    pool, _, size = str(content).partition(":")
    if content == "mean":
        return "mean", 0
    if content == "all":
        return "all", 0
    if pool == "grid" and size.isdecimal() and int(size) > 1:
        return "grid", int(size)
    raise ValueError(f'content={content!r}: expected "mean" (1 token), "grid:k" with k >= 2, or "all" (every patch)')


class LlamaVidConfig(PreTrainedConfig):
    """Sub-configurations and the numbers that LLaMA-VID adds to them.

    Args:
        vision_config: EVA-ViT tower, `InstructBlipVisionConfig`; width C, grid of N patches.
        qformer_config: text decoder, `InstructBlipQFormerConfig`, or `BertConfig` for the original's plain BERT
            (`bert_type` "raw…"); width H. None takes the defaults of the former.
        text_config: any causal language model; width D.
        n_query: M, text-guided queries a frame (`num_query` of the original).
        content: content tokens a frame, see `parse_content` (`compress_type` of the original, None there = "all").
        vision_norm: LayerNorm between tower and Q-Former (`vlm_att_ln`; absent where bert_type lacks "pretrain").
        feature_projector: a linear map from the tower's width to the text decoder's encoder width, before the norm
            (`vlm_att_bert_proj`: where the two differ, and always with plain BERT).
        drop_cls: drop the class token before context attention and content pooling. Quirk: the original drops it
            when the token count is odd, not when a class token exists, so an odd number of patches keeps it.
        template: name of a conversation template of `data.prompt`.
        question_max_length: longest question in text-decoder tokens; longer ones lose their beginning.
        world: what a model knows, one sentence for the reader of its answers ("" = no restriction known).
    """

    model_type = "llama_vid"
    sub_configs = {  # noqa: RUF012 - the name and form that transformers expects
        "vision_config": InstructBlipVisionConfig,
        "qformer_config": InstructBlipQFormerConfig,
        "text_config": AutoConfig,
    }

    def __init__(
        self,
        vision_config=None,
        qformer_config=None,
        text_config=None,
        *,
        n_query: int = 32,
        content: str = "mean",
        vision_norm: bool = True,
        feature_projector: bool = False,
        drop_cls: bool = True,
        template: str = "vicuna_v1",
        question_max_length: int = 256,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
        world: str = "",
        **kwargs,
    ):
        self.vision_config = _sub_config(vision_config, InstructBlipVisionConfig)
        self.qformer_config = _sub_config(qformer_config, InstructBlipQFormerConfig, BertConfig)
        if text_config is None or isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**({"model_type": "llama"} | (text_config or {})))
        self.text_config = text_config
        parse_content(content)
        self.n_query = n_query
        self.content = content
        self.vision_norm = vision_norm
        self.feature_projector = feature_projector
        self.drop_cls = drop_cls
        self.template = template
        self.question_max_length = question_max_length
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.world = world
        super().__init__(**kwargs)
        self._check_fields()

    def _check_fields(self) -> None:
        """ValueError naming fields that hold no value of their kind."""
        template_named(self.template)
        fields = {n: getattr(part, n, 1) for part in map(self.__dict__.get, self.sub_configs) for n in SIZES}
        fields |= getattr(self.text_config, "rope_parameters", None) or {}
        odd = {n: v for n, v in fields.items() if isinstance(v, int | float) and not 0 < v < 2**31}
        for names, fits in (
            (("vision_norm", "feature_projector", "drop_cls"), lambda v: isinstance(v, bool)),
            (("n_query", "question_max_length"), lambda v: type(v) is int and 0 <= v < 2**31),
            (("image_mean",), lambda v: len(v) == 3 and all(type(x) in (int, float) for x in v)),
            (("image_std",), lambda v: len(v) == 3 and all(type(x) in (int, float) and x > 0 for x in v)),
        ):
            odd |= {name: getattr(self, name) for name in names if not fits(getattr(self, name))}
        if odd:
            raise ValueError(f"{odd}: expected numbers above 0, true or false, or three colours' numbers")

    @property
    def image_size(self) -> int:
        """Side of the square input image in pixels."""
        return self.vision_config.image_size

    def pixel_values(self, frames: np.ndarray, *, pad: bool = False, device: torch.device | None = None) -> Tensor:
        """frames (T, H, W, 3) uint8 RGB of any size → (T, 3, h, w) float32 on `device`, what the tower takes."""
        side, mean, std = self.image_size, self.image_mean, self.image_std
        return pixel_values(frames, size=side, mean=mean, std=std, pad=pad, device=device)

    def normalise(self, frames: Tensor) -> Tensor:
        """frames (T, h, w, 3) uint8 RGB of the tower's size → (T, 3, h, w) float32 by `image_mean` and `image_std`."""
        mean, std = (torch.tensor(values, device=frames.device) for values in (self.image_mean, self.image_std))
        return ((frames.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    @property
    def context(self) -> int:
        """Longest sequence of the language model in tokens, stretched by linear RoPE scaling where it is set."""
        rope = getattr(self.text_config, "rope_parameters", None) or {}
        stretch = rope.get("factor", 1) if rope.get("rope_type") == "linear" else 1
        return int(self.text_config.max_position_embeddings * stretch)

    def extend_context(self, n_tokens: int) -> None:
        """Stretch the context to at least `n_tokens` by linear RoPE scaling (paper section 3.3: 4k to 64k, factor 16).

        The factor is whole, as in the original's `train()`; that takes the ratio to a context that is stretched
        already, and forgets the old factor, where ours is always the ratio to the unstretched one.
        """
        if n_tokens < 1:
            raise ValueError(f"context={n_tokens}: expected a number of tokens")
        if n_tokens > self.context:
            factor = -(-n_tokens // self.text_config.max_position_embeddings)
            rope = dict(self.text_config.rope_parameters or {})
            self.text_config.rope_parameters = rope | {"rope_type": "linear", "factor": float(factor)}

    @property
    def plain_bert(self) -> bool:
        """Whether the text decoder is BERT itself instead of a Q-Former: no learned queries, M = question tokens."""
        return isinstance(self.qformer_config, BertConfig)

    @property
    def feature_width(self) -> int:
        """Width of the frame features that the text decoder attends to."""
        decoder = self.qformer_config
        return decoder.hidden_size if self.plain_bert else decoder.encoder_hidden_size

    @property
    def grid(self) -> int:
        """Patches along one side; N = grid * grid."""
        return self.vision_config.image_size // self.vision_config.patch_size

    def n_content(self, content: str | None = None) -> int:
        """Content tokens a frame, counted as the original does: a grid that does not divide has a shorter step."""
        pool, k = parse_content(content or self.content)
        n_tokens = self.grid**2 + (0 if self.drop_cls else 1)
        if pool == "mean":
            return 1
        if pool == "all":
            return n_tokens
        if k > self.grid:
            raise ValueError(f"content=grid:{k}: the frame has only {self.grid} x {self.grid} patches")
        step = self.grid // k
        return ((self.grid - step) // step + 1) ** 2

    def tokens_per_frame(self, content: str | None = None) -> int:
        """Context token plus content tokens."""
        return 1 + self.n_content(content)

    @classmethod
    def tiny(cls, *, vocab_size: int, question_vocab_size: int, **kwargs) -> "LlamaVidConfig":
        """The shipped model's shape: about 5 million parameters, 112-pixel frames, 8 x 8 patches."""
        sizes = {"text_config": {"vocab_size": vocab_size}, "qformer_config": {"vocab_size": question_vocab_size}}
        return cls._preset("tiny", sizes, kwargs)

    @classmethod
    def llama_vid_7b_224(cls, **kwargs) -> "LlamaVidConfig":
        """`llama-vid-7b-full-224`, `…-video-fps-1`: EVA-ViT-G, BERT-base Q-Former with 32 queries, Vicuna-7B-v1.5."""
        return cls._preset("7b", {"vision_config": {"image_size": 224}}, kwargs)

    @classmethod
    def llama_vid_7b_336(cls, **kwargs) -> "LlamaVidConfig":
        """`llama-vid-7b-full-336`: 24 x 24 patches a frame."""
        return cls._preset("7b", {"vision_config": {"image_size": 336}}, kwargs)

    @classmethod
    def llama_vid_7b_224_long_video(cls, **kwargs) -> "LlamaVidConfig":
        """`llama-vid-7b-full-224-long-video`: 64k tokens by linear RoPE scaling of the 4k, factor 16."""
        config = cls.llama_vid_7b_224(**kwargs)
        config.extend_context(65536)
        return config

    @classmethod
    def llama_vid_13b_224(cls, **kwargs) -> "LlamaVidConfig":
        """`llama-vid-13b-full-224-video-fps-1`."""
        return cls._preset("7b", {"vision_config": {"image_size": 224}, **PRESETS["13b"]}, kwargs)

    @classmethod
    def llama_vid_13b_336(cls, **kwargs) -> "LlamaVidConfig":
        """`llama-vid-13b-full-336`."""
        return cls._preset("7b", {"vision_config": {"image_size": 336}, **PRESETS["13b"]}, kwargs)

    @classmethod
    def _preset(cls, name: str, sizes: dict[str, dict], kwargs: dict) -> "LlamaVidConfig":
        """A preset of presets.toml with more `sizes` of its parts."""
        parts = {part: PRESETS[name][part] | sizes.get(part, {}) for part in cls.sub_configs}
        return cls(**parts, **PRESETS[name].get("options", {}), **kwargs)


def check_fits(
    config: LlamaVidConfig, *, n_frames: int, n_prompt: int, fps: float, per_frame: Fraction | None = None
) -> None:
    """Raise ValueError, with the way out, where frames and prompt exceed the language model's context.

    per_frame: tokens of the clip over its frames; None: as the model is configured.
    """
    per_frame = Fraction(config.tokens_per_frame()) if per_frame is None else per_frame
    n_tokens = int(n_frames * per_frame) + n_prompt
    if n_tokens > config.context:
        room = max(config.context - n_prompt, 0) // per_frame if per_frame else 0
        slower, shorter = (_three_digits_down(x) for x in (room / n_frames * fps, room / fps))
        raise ValueError(
            f"{n_frames} frames at {fps:g} fps need {n_tokens} tokens, the model has {config.context}: "
            + (f"ask with fps <= {slower}, cut the clip to {shorter} s" if room else "shorten the question or reply")
            + f", or load the model with context={n_tokens}"
        )


def _three_digits_down(value: float) -> str:
    """Three significant digits, rounded down: following the advice must fit."""
    digits = 2 - math.floor(math.log10(value)) if value else 0
    return f"{math.floor(value * 10**digits) / 10**digits:g}"


def _sub_config(value, *classes):
    """`value` where it is a configuration already; a dict becomes one of the class that its `model_type` names, of the
    first where it names none, and None that one's defaults."""
    if value is not None and not isinstance(value, dict):
        return value
    fields, known = dict(value or {}), {kind.model_type: kind for kind in classes}
    model_type = fields.pop("model_type", classes[0].model_type)
    if model_type not in known:
        raise ValueError(f"model_type={model_type!r}: expected {' or '.join(known)}")
    return known[model_type](**fields)
