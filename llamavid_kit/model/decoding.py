"""Greedy decoding on a GPU: keys and values stay in place, and a step is recorded once and replayed (a CUDA graph).

For each token transformers' `generate` starts some 1,500 kernels from Python, and the GPU waits for it most of the
time. A recorded step starts them at once. In float32 the ids are those of `generate`; in bfloat16 attention over a
fixed length rounds otherwise than over one that grows, as batches of other sizes do, and two tokens that are nearly
equally likely can change places. It says nothing but the likeliest token: for all other ways there is `generate`.

cuDNN's attention, which torch takes first on some GPUs, does not repeat itself: of 32 replies said twice 10 to 14 were
the same (H200, random 7B weights). Nothing here runs on it (`repeatable`), at 15 to 40% more time a token.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import StaticCache

from llamavid_kit.model.four_bits import is_packed

if TYPE_CHECKING:
    from llamavid_kit.model.llama_vid import LlamaVid

LOOK_EVERY = 16  # steps between two looks at whether all replies have ended: each lets the GPU run dry
WARM_UP = 3  # steps before one is recorded, as torch asks
# Settings of a checkpoint's generation_config.json that a greedy reply does not depend on, given its length and marks.
IDLE = {
    "transformers_version",
    "do_sample",
    "temperature",
    "top_p",
    "top_k",
    "max_length",
    "max_new_tokens",
    "use_cache",
}
IDLE |= {"_from_model_config", "bos_token_id", "eos_token_id", "pad_token_id"}
IDLE |= {"output_attentions", "output_hidden_states"}

_KEPT: "WeakKeyDictionary[LlamaVid, GreedyDecoder]" = WeakKeyDictionary()


@contextmanager
def repeatable() -> Iterator[None]:
    """Within it the same prompts get the same reply every time: attention is never cuDNN's."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def greedy_ids(
    model: "LlamaVid", embeds: Tensor, mask: Tensor, *, max_new_tokens: int, end: int, pad: int
) -> Tensor | None:
    """Prompts (B, L, D) with their mask (B, L), padded on the left → ids (B, n) up to the end marks, then `pad`.

    None where a step cannot be recorded: on a CPU, with hooks or quantised weights, over several devices. The decoder
    of the last call is kept with its keys and values, for the next batch of this size; `release` frees it.
    """
    if not _recordable(model):
        return None
    batch, length = embeds.shape[0], fixed_length(embeds.shape[1] + max(max_new_tokens, WARM_UP))
    state = (batch, length, _state(model.language_model))
    decoder = _KEPT.get(model)
    if decoder is None or decoder.state != state:
        release(model)
        del decoder
        decoder = _KEPT[model] = GreedyDecoder(model.language_model, batch, length, state=state)
    # A graph records what runs on the current GPU, and is empty for any other.
    with repeatable(), torch.cuda.device_of(embeds):
        return decoder.generate(embeds, mask, max_new_tokens=max_new_tokens, end=end, pad=pad)


def release(model: "LlamaVid") -> None:
    """Frees what `greedy_ids` keeps of a model."""
    _KEPT.pop(model, None)


class GreedyDecoder:
    """The likeliest reply to each of `batch` prompts; prompt and reply have at most `length` tokens together.

    state: what the recorded step depends on, for whoever keeps the decoder.
    """

    def __init__(self, language_model: nn.Module, batch: int, length: int, *, state: Any = None):
        device = language_model.device
        self.language_model, self.state = language_model, state
        self.cache = StaticCache(config=language_model.config, max_cache_len=length)
        self.at = torch.zeros(1, dtype=torch.long, device=device)  # of the token that the step puts into the cache
        self.positions = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self.seen = torch.zeros(batch, 1, 1, length, dtype=torch.bool, device=device)
        self.said = torch.zeros(batch, length, dtype=torch.long, device=device)
        self._replay: Callable[[], Any] | None = None

    @torch.inference_mode()
    def generate(self, embeds: Tensor, mask: Tensor, *, max_new_tokens: int, end: int, pad: int) -> Tensor:
        """embeds (B, L, D), mask (B, L) bool, padded on the left → ids (B, n), as `generate` of transformers."""
        length = embeds.shape[1]
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        self.cache.reset()
        first = self.language_model(
            inputs_embeds=embeds,
            attention_mask=None if mask.all() else mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits.argmax(-1)

        def begin() -> None:
            self.at.fill_(length)
            self.positions.copy_(positions[:, -1:] + 1)
            self.seen.fill_(False)
            self.seen[:, 0, 0, :length] = mask
            self.said[:, length : length + 1] = first
            for layer in self.cache.layers:
                layer.cumulative_length.fill_(length)

        begin()
        if self._replay is None and embeds.is_cuda:
            self._replay = self._recorded()
            begin()
        step = self._replay or self._step
        for n in range(1, max_new_tokens):
            if n % LOOK_EVERY == 0 and (self.said[:, length : length + n] == end).any(1).all():
                break
            step()
        return _until_end(self.said[:, length : length + max_new_tokens], end, pad)

    def _step(self) -> None:
        """One token for each reply. Whatever changes lies in one place, so that it can be recorded."""
        self.seen.index_fill_(3, self.at, True)
        logits = self.language_model(
            input_ids=self.said.index_select(1, self.at),
            attention_mask=self.seen,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        self.at.add_(1)
        self.positions.add_(1)
        self.said.index_copy_(1, self.at, logits.argmax(-1))

    def _recorded(self) -> Callable[[], Any]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay


def _until_end(said: Tensor, end: int, pad: int) -> Tensor:
    """Ids (B, n) → those up to each row's first `end`, `pad` behind it, as long as the longest row."""
    ended = (said == end).cumsum(1)
    after = (ended - (said == end).long()) > 0
    n = int((~after).sum(1).max())
    return said.masked_fill(after, pad)[:, :n]


def _recordable(model: "LlamaVid") -> bool:
    language_model, settings = model.language_model, model.generation_config.to_diff_dict()
    return (
        model.device.type == "cuda"
        and _devices(language_model) == {model.device}
        and language_model.config._attn_implementation == "sdpa"
        and not is_packed(model)
        and not any(m._forward_hooks or m._forward_pre_hooks for m in language_model.modules())
        and settings.keys() <= IDLE
    )


def _devices(module: nn.Module) -> set[torch.device]:
    return {parameter.device for parameter in module.parameters()}


def _state(language_model: nn.Module) -> tuple:
    """Changes with all that a recorded step would not notice: modules, where weights lie, which adapters are on."""
    names = ("disable_adapters", "active_adapters", "merged_adapters", "scaling", "training")  # peft's, and torch's
    modules = [(id(m), *(str(getattr(m, name, None)) for name in names)) for m in language_model.modules()]
    return (*modules, *(p.data_ptr() for p in language_model.parameters()))


def fixed_length(n: int) -> int:
    """Positions of a cache for n tokens, as many as others of about n share: an eighth more at most, or 256."""
    step = max(256, 1 << max(0, n.bit_length() - 4))
    return -(-n // step) * step
