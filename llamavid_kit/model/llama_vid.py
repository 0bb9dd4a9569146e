"""LLaMA-VID, composed: frames and a question in, words out.

`encode_frames → frame_tokens → generate` are the three steps; `ask` walks them for one clip. The parts are
transformers' (vision tower, Q-Former, language model) and ours (`context_attention`, `text_decoder`). Reading video,
prompts' wording and files are left to `data.video`, `data.prompt` and `checkpoints`.

Shapes, with the paper's symbols:
    T frames · N patches (+1 class token) · C vision width (X_t ∈ R^{N×C})
    M queries (Q_t ∈ R^{M×C}) · P questions of a clip · n content tokens a frame · D language-model width
    L prompt tokens before the slots are filled · L' after (each slot becomes T·(n+1) tokens)
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.instructblip import InstructBlipVisionModel

from llamavid_kit.data.prompt import IGNORE, IMAGE_SLOT
from llamavid_kit.data.video import Video
from llamavid_kit.model.ask import Asking
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.context_attention import ContextAttention, VisualTokens, content_tokens, interleave
from llamavid_kit.model.four_bits import sparing
from llamavid_kit.model.text_decoder import BertTextDecoder, TextDecoder, tokenize_questions

FRAMES_AT_ONCE = 64  # bound on the frames that the tower holds at a time
ASKED_AT_ONCE = 512  # likewise of the text decoder, 1 GiB for the 7B; with fewer a GPU waits for the CPU
DECODED_AT_ONCE = 48  # frames of a clip that are decoded together
AHEAD = min(4, max(1, (os.cpu_count() or 1) // 2))  # so many times they wait for the tower, each decoded by a process
FREE = nullcontext()  # no lock: the model is one thread's own

Visual = Sequence[Sequence[VisualTokens]]  # per sample of a batch, what fills each of its slots


class LlamaVid(Asking, PreTrainedModel, GenerationMixin):
    """The model of arXiv 2311.17043 (`LlavaLlamaAttForCausalLM` of the original).

    `tokenizer` and `question_tokenizer` are attached by `checkpoints.load`; without them the model works on ids.
    `packed_from` is the `identity.fingerprint` of the weights that packed ones were made of.
    """

    config_class = LlamaVidConfig
    base_model_prefix = "language_model"
    main_input_name = "input_ids"
    packed_from: str | None = None
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _no_split_modules = ("LlamaDecoderLayer", "InstructBlipEncoderLayer", "InstructBlipQFormerLayer")

    def __init__(self, config: LlamaVidConfig):
        super().__init__(config)
        width, llm_width = config.vision_config.hidden_size, config.text_config.hidden_size
        self.vision_tower = InstructBlipVisionModel(config.vision_config)
        self.vision_tower.post_layernorm = nn.Identity()  # the original tower has no final norm
        feature_width = config.feature_width
        self.feature_projector = nn.Linear(width, feature_width) if config.feature_projector else nn.Identity()
        self.vision_norm = nn.LayerNorm(feature_width) if config.vision_norm else nn.Identity()
        if config.plain_bert:
            self.text_decoder = BertTextDecoder(config.qformer_config)
        else:
            self.text_decoder = TextDecoder(config.qformer_config, config.n_query)
        self.context_attention = ContextAttention(config.qformer_config.hidden_size, width, llm_width)
        self.content_projector = nn.Sequential(nn.Linear(width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.tokenizer: PreTrainedTokenizerBase = None
        self.question_tokenizer: PreTrainedTokenizerBase = None
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args, config: LlamaVidConfig, quantization_config=None, **kwargs):
        """As transformers'; a `quantization_config` (`BitsAndBytesConfig`) packs the language model's layers alone."""
        if quantization_config is not None:
            with torch.device("meta"):
                quantization_config = sparing(quantization_config, cls(config))
        return super().from_pretrained(*args, config=config, quantization_config=quantization_config, **kwargs)

    def get_input_embeddings(self):
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self):
        return self.language_model.get_output_embeddings()

    # --- the three steps -------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor, *, chunk: int = FRAMES_AT_ONCE) -> Tensor:
        """frames (T, 3, h, w) float, normalised (`pixels.pixel_values`) → features (T, N+1, C), class token first.

        uint8 frames (T, h, w, 3) that already have the model's size are normalised here. At most `chunk` frames pass
        the tower at a time. No question is involved: keep the features and ask again.
        """
        if frames.dtype == torch.uint8:
            frames = self.config.normalise(frames.to(self.device))
        size = self.config.image_size
        if frames.ndim != 4 or tuple(frames.shape[1:]) != (3, size, size):
            raise ValueError(f"frames of shape {tuple(frames.shape)}: expected (T, 3, {size}, {size})")
        if len(frames) == 0:
            raise ValueError("no frames: sample at least one from the clip")
        frames = frames.to(self.device, self.vision_tower.dtype)
        return torch.cat([self.vision_tower(pixel_values=part).last_hidden_state for part in frames.split(chunk)])

    def look(
        self,
        video: Video,
        looks: Sequence[tuple[str, str | None]],
        indices: np.ndarray,
        *,
        lock: AbstractContextManager = FREE,
    ) -> Iterator[list[VisualTokens]]:
        """The frame tokens of a clip for each (question, content), at most about `ASKED_AT_ONCE` frames at a time.

        The tower's features wait for the text decoder, which takes more of them at a time. lock: as of `encode_video`.
        """
        waiting: list[Tensor] = []
        n_encoded = 0
        for frames, features in self.encode_video(video, indices, lock=lock):
            waiting.append(features)
            n_encoded += len(frames)
            if sum(map(len, waiting)) >= ASKED_AT_ONCE or n_encoded == len(indices):
                with lock:
                    together = torch.cat(waiting)
                    tokens = [self.frame_tokens(together, question, content=content) for question, content in looks]
                yield tokens
                waiting = []

    def encode_video(
        self, video: Video, indices: np.ndarray, *, chunk: int = DECODED_AT_ONCE, lock: AbstractContextManager = FREE
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Frames of a clip → (frames (t, H, W, 3) uint8, features (t, N+1, C)), at most `chunk` frames at a time.

        Decoded, brought to the tower's size and normalised (`config.pixel_values`), encoded; the next `AHEAD` chunks
        are decoded meanwhile. Threads may share the model: give all of them one `lock`, and only decoding and resizing
        run side by side.
        """
        parts = [indices[start : start + chunk] for start in range(0, len(indices), chunk)]
        for frames in _decoded(video, parts):
            pixels = self.config.pixel_values(frames, device=self.device)
            with lock:
                features = self.encode_frames(pixels)
            yield frames, features

    def frame_tokens(
        self, features: Tensor, question: str, *, content: str | None = None, chunk: int = ASKED_AT_ONCE
    ) -> VisualTokens:
        """features (T, N+1, C) and a question → `VisualTokens` with the attention map, before the projectors.

        Features without class token (T, N, C) are the original's long-video form (`original.features`); they may
        lie on the CPU in any float type. `content` overrides the configured content tokens, see `config.parse_content`.
        """
        ids, mask = self.question_ids([question])
        parts = [part.to(self.device, self.vision_tower.dtype) for part in features.split(chunk)]
        return VisualTokens.cat(
            [self.compress(part, ids.expand(len(part), -1), mask.expand(len(part), -1), content) for part in parts]
        )

    def generate(self, inputs=None, *, visual=None, attention_mask=None, **kwargs):
        """Prompt ids with slots and the frame tokens that fill them → new token ids (B, n_new) only.

        Args:
            inputs: (B, L) int64, IMAGE_SLOT where frame tokens go (`prompt.open_prompt`). Where clips differ in
                length the shorter samples are padded on the left.
            visual: per sample a list of `VisualTokens`, one for each slot; None for `inputs_embeds` or plain text.
            **kwargs: transformers' generation options (`max_new_tokens`, `do_sample`, …).
        """
        inputs = kwargs.pop("input_ids", inputs)
        if visual is None:
            return super().generate(inputs, attention_mask=attention_mask, **kwargs)
        embeds, attention_mask, _ = self.splice(inputs, visual, attention_mask=attention_mask, side="left")
        return super().generate(inputs_embeds=embeds, attention_mask=attention_mask, **kwargs)

    # --- what the steps are made of --------------------------------------------------------------------------------

    def question_ids(self, questions: list[str]) -> tuple[Tensor, Tensor]:
        """Questions → text-decoder ids and mask (P, Lt) on the model's device."""
        if self.question_tokenizer is None:
            raise ValueError("this model has no question tokenizer: load it with llamavid_kit.load(folder)")
        ids, mask = tokenize_questions(self.question_tokenizer, questions, max_length=self.config.question_max_length)
        return ids.to(self.device, non_blocking=True), mask.to(self.device, non_blocking=True)

    def compress(self, features: Tensor, ids: Tensor, mask: Tensor, content: str | None = None) -> VisualTokens:
        """A question for each frame: features (F, N+1, C), ids and mask (F, Lt) → F frames' tokens, attention too."""
        patches = self.patches(features)  # (F, N, C), un-normalised
        visible = patches if self.config.plain_bert else features  # a Q-Former sees the class token
        queries = self.text_decoder(self.vision_norm(self.feature_projector(visible)), ids, mask)  # (F, M, H)
        context, attention = self.context_attention(queries, patches)
        return VisualTokens(context, content_tokens(patches, content or self.config.content), attention)

    def patches(self, features: Tensor) -> Tensor:
        """features (F, N+1, C), or (F, N, C) without class token as the original stores long video → (F, N, C).

        Quirk: with an odd number of patches the class token stays (`config.drop_cls`). There the original takes
        features without class token for others and loses their first patch; here they raise ValueError.
        """
        n, drop = self.config.grid**2, self.config.drop_cls
        if features.shape[1] == n + 1:
            return features[:, 1:] if drop else features
        if features.shape[1] == n and drop:
            return features
        raise ValueError(
            f"{features.shape[1]} features a frame: expected {n + 1}, class token first"
            + (f", or the {n} patches alone" if drop else "")
        )

    def project(self, tokens: VisualTokens) -> Tensor:
        """`VisualTokens` → (T*(n+1), D) in the language model's width; per frame context first, then content."""
        context = self.context_attention.value_projector(tokens.context)
        return interleave(context, self.content_projector(tokens.content))

    def splice(
        self,
        input_ids: Tensor,
        visual: Visual,
        *,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        side: Literal["left", "right"] = "right",
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Fill the slots. input_ids (B, L), per sample a list of `VisualTokens` → embeds (B, L', D), mask, labels.

        Slot k takes the k-th entry; where a sample has one entry and a slot for each of its T·(n+1) tokens (frames
        interleaved with subtitles), slot k takes the k-th token. Shorter samples are padded on `side` with zero rows,
        mask False and label IGNORE.
        Raises ValueError where the number of slots and of entries differ (the original raises IndexError for too few
        entries and ignores those that are too many).
        """
        entries = [VisualTokens(entry.context, entry.content) for sample in visual for entry in sample]
        tokens = VisualTokens.cat(entries) if entries else None
        n_rows = [[entry.n_tokens for entry in sample] for sample in visual]
        return self._fill(input_ids, tokens, n_rows, attention_mask=attention_mask, labels=labels, side=side)

    def _fill(self, input_ids, tokens: VisualTokens | None, n_rows, *, attention_mask, labels, side="right"):
        """`splice` with the frame tokens of all entries, one below the other, and how many each entry has."""
        index = _layout(input_ids.cpu(), n_rows, side).to(input_ids.device)
        text = self.get_input_embeddings()(input_ids.masked_fill(input_ids == IMAGE_SLOT, 0)).flatten(0, 1)  # (B*L, D)
        rows = text[:0] if tokens is None else self.project(tokens).to(text.dtype)
        embeds = torch.cat([text, rows, text.new_zeros(1, text.shape[-1])])[index]  # index -1: the row of zeros
        is_text = (index >= 0) & (index < len(text))
        place = index.clamp(0, len(text) - 1)
        mask = (index >= 0) if attention_mask is None else attention_mask.bool().flatten()[place] & is_text
        mask = mask | (index >= len(text))
        return embeds, mask, None if labels is None else labels.flatten()[place].where(is_text, IGNORE)

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        labels=None,
        *,
        visual=None,
        frames=None,
        features=None,
        question_ids=None,
        question_mask=None,
        clip_of=None,
        content=None,
        inputs_embeds=None,
        position_ids=None,
        logits_to_keep=0,
        **kwargs,
    ):
        """Logits (B, L', V) and, with labels, the loss; logits_to_keep: only of so many last positions, 0 of all.

        Visual input is one of: `visual`, per sample a list of `VisualTokens` (or (context, content) pairs); or a list
        of clips, as `frames` (what `encode_frames` takes) or `features` (what it returns), with `question_ids` and
        `question_mask` (B, Lt) and `clip_of` (B,), the clip that each sample asks about, which trains through text
        decoder and tower. With `inputs_embeds`, or none of these, it is the language model.
        """
        if frames is not None:
            lengths = [len(clip) for clip in frames]
            features = self.encode_frames(torch.cat(list(frames)), chunk=sum(lengths)).split(lengths)
        if features is not None:
            tokens, n_rows = self._clip_tokens(features, question_ids, question_mask, clip_of.tolist(), content)
            inputs_embeds, attention_mask, labels = self._fill(
                input_ids, tokens, n_rows, attention_mask=attention_mask, labels=labels
            )
            input_ids = None
        elif visual is not None:
            visual = [[t if isinstance(t, VisualTokens) else VisualTokens(*t) for t in sample] for sample in visual]
            inputs_embeds, attention_mask, labels = self.splice(
                input_ids, visual, attention_mask=attention_mask, labels=labels
            )
            input_ids = None
        if labels is not None:
            kwargs = {"use_cache": False, **kwargs}
        return self.language_model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            labels=labels,
            position_ids=position_ids,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def _clip_tokens(self, clips: Sequence[Tensor], ids: Tensor, mask: Tensor, clip_of: list[int], content):
        """Each sample's clip for its own question, all samples' frames in one `VisualTokens`, and each one's rows."""
        n_frames = [len(clips[clip]) for clip in clip_of]
        if 0 in n_frames:
            raise ValueError(f"clip {clip_of[n_frames.index(0)]} has no frames: sample at least one from each")
        sample_of_frame = torch.repeat_interleave(torch.tensor(n_frames, device=self.device))
        features = torch.cat([clips[clip] for clip in clip_of])
        tokens = self.compress(features, ids[sample_of_frame], mask[sample_of_frame], content)
        tokens_a_frame = tokens.n_tokens // len(tokens)
        return tokens, [[n * tokens_a_frame] for n in n_frames]


def _decoded(video: Video, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of each part (t,) of a clip's indices, in order; the next parts are decoded meanwhile."""
    if len(parts) == 1:
        yield video.frames(parts[0])
        return
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(AHEAD) as threads:
        for part in parts:
            waiting.append(threads.submit(video.frames, part))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _layout(ids: Tensor, n_rows: Sequence[Sequence[int]], side: str) -> Tensor:
    """Where each position of the filled prompts comes from: ids (B, L), rows of each sample's entries → (B, L') int64.

    Below B*L: that token of the flattened ids. From B*L on: that row of all frame tokens, one entry below the other.
    -1: padding, on `side`.
    """
    is_slot = ids == IMAGE_SLOT
    of_slots: list[int] = []  # rows that each slot takes, sample by sample
    for i, (n_slots, rows) in enumerate(zip(is_slot.sum(1).tolist(), n_rows, strict=True)):
        if len(rows) == 1 and rows[0] == n_slots:
            rows = [1] * n_slots
        if n_slots != len(rows):
            raise ValueError(f"sample {i}: {n_slots} image slots in the prompt, {len(rows)} clips given")
        of_slots += rows
    n = torch.ones(ids.shape, dtype=torch.int64).masked_scatter(is_slot, torch.tensor(of_slots, dtype=torch.int64))
    length, begin = n.sum(1), (n.flatten().cumsum(0) - n.flatten())  # of a filled sample; where a token's places begin
    token = torch.repeat_interleave(n.flatten())  # of each place, all samples in one row
    place = torch.arange(len(token))
    first_row = ids.numel() + (n * is_slot).flatten().cumsum(0) - n.flatten()
    source = torch.where(is_slot.flatten()[token], first_row[token] + place - begin[token], token)
    return nn.utils.rnn.pad_sequence(
        source.split(length.tolist()), batch_first=True, padding_value=-1, padding_side=side
    )
