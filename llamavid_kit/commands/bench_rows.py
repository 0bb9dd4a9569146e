"""The measurements of `bench --size`: each stage of a real model, and beside it the original's way in the same process.

The baseline, `as_original`: float16, eager attention, all frames at once, the features again for every rate and
question, a cache that grows, one clip at a time. Where the two do not say the same to the last digit, a row says how
far they agree.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from llamavid_kit.data.prompt import IGNORE, open_prompt
from llamavid_kit.data.video import Video
from llamavid_kit.model.answering import answer_ids, choice_log_likelihood
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.decoding import greedy_ids, release
from llamavid_kit.model.identity import weights_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import LoraSettings, add_lora, lora_config
from llamavid_kit.study.setup import CRIME
from llamavid_kit.training.memory import SHARES, VISION, aside, recomputed

log = logging.getLogger(__name__)
QUESTION = CRIME.question
ORIGINAL_TOKENS_S = {"7b_224": 42.0}  # decoding, by the original's own code on such a GPU
NEVER = -1  # as end mark: random weights would end a reply anywhere


@dataclass(frozen=True)
class Counts:
    """What is measured: frames of a short, a middling, a long and a very long clip, clips at once, new tokens."""

    short: int = 60
    middling: int = 720
    long: int = 3600
    longest: int = 10800
    tower: int = 1024
    batch: int = 32
    new: int = 32
    repeats: int = 3


SMALL = Counts(short=4, middling=8, long=24, longest=100, tower=8, batch=3, new=6, repeats=1)


@dataclass(frozen=True)
class Row:
    """One line of the table. ours, baseline: in `unit`; None where that way of doing it was not measured.

    ratio: how many times better ours is. gib: peak of GPU memory, all of it. note: agreement, or why there is none.
    """

    name: str
    what: str
    unit: str
    ours: float | None
    baseline: float | None
    gib: float
    baseline_gib: float
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.ours is None or self.baseline is None:
            return None
        return self.ours / self.baseline if "/s" in self.unit else self.baseline / self.ours


@dataclass
class Bench:
    """A model on its device, and what several rows need of it."""

    model: LlamaVid
    counts: Counts
    folder: Path
    size: str = "tiny"

    @property
    def device(self) -> torch.device:
        return self.model.device

    def pixels(self, n: int) -> Tensor:
        """(n, 3, h, w) of noise, in the model's precision."""
        side = self.model.config.image_size
        return torch.randn(n, 3, side, side, device=self.device, dtype=self.model.dtype)

    @cached_property
    def feature(self) -> Tensor:
        """(1, N+1, C): features of one frame of noise."""
        with torch.inference_mode():
            return self.model.encode_frames(self.pixels(1))

    def features(self, n: int) -> Tensor:
        return self.feature.expand(n, -1, -1).contiguous()

    def tokens(self, n: int) -> VisualTokens:
        frame = self.model.frame_tokens(self.feature, QUESTION)
        return VisualTokens(frame.context.expand(n, -1).contiguous(), frame.content.expand(n, -1, -1).contiguous())

    def prompts(self, n_frames: int, batch: int = 1) -> tuple[Tensor, Tensor]:
        """Embedded prompts (B, L, D) about clips of so many frames, and their mask."""
        return self.about([self.tokens(n_frames)] * batch)

    def about(self, clips: Sequence[VisualTokens]) -> tuple[Tensor, Tensor]:
        """Embedded prompts (B, L, D) about these clips, and their mask."""
        ids = open_prompt(self.model.tokenizer, self.model.config.template, QUESTION)
        visual = [[clip.to(self.device, self.model.dtype)] for clip in clips]
        embeds, mask, _ = self.model.splice(torch.tensor([ids] * len(clips), device=self.device), visual, side="left")
        return embeds, mask

    def clip(self, n: int) -> Video:
        """A film of noise in blocks, 320 x 240, a frame a second."""
        path, rng = self.folder / f"{n}.mp4", np.random.default_rng(0)
        if not path.is_file():
            with av.open(path, "w") as file:
                stream = file.add_stream("libx264", rate=1, options={"preset": "ultrafast", "g": "30"})
                stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
                for _ in range(n):
                    picture = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
                file.mux(stream.encode())
        return Video(path)

    def fast_ids(self, embeds: Tensor, mask: Tensor, n: int) -> Tensor:
        ids = greedy_ids(self.model, embeds, mask, max_new_tokens=n, end=NEVER, pad=0)
        if ids is None:
            log.warning("a step of this model cannot be recorded: replies come from `generate`")
            return self.slow_ids(embeds, mask, n)
        return ids

    def slow_ids(self, embeds: Tensor, mask: Tensor, n: int) -> Tensor:
        """Through transformers' `generate`, with a cache that grows."""
        marks = {"eos_token_id": None, "pad_token_id": 0}
        return self.model.generate(
            inputs_embeds=embeds, attention_mask=mask, do_sample=False, max_new_tokens=n, min_new_tokens=n, **marks
        )

    def measure(self, work: Callable[[], Any], *, repeats: int | None = None) -> tuple[float | None, float, Any]:
        """Median seconds after a first run, peak GiB, and what the work gives back. None where memory is too small."""
        try:
            result = work()
            taken = []
            _reset_peak(self.device)
            for _ in range(repeats or self.counts.repeats):
                _wait(self.device)
                began = time.perf_counter()
                result = work()
                _wait(self.device)
                taken.append(time.perf_counter() - began)
            return median(taken), _peak_gib(self.device), result
        except torch.OutOfMemoryError:
            peak = _peak_gib(self.device)
        free(self.model)
        return None, peak, None

    def original(self, work: Callable[[], Any], *, repeats: int | None = None) -> tuple[float | None, float, Any]:
        """`measure`, the original's way."""
        with as_original(self.model):
            return self.measure(work, repeats=repeats)


@contextmanager
def as_original(model: LlamaVid) -> Iterator[None]:
    """float16 and eager attention inside the block. The weights come back rounded: for measuring alone."""
    dtype, attention = model.dtype, model.language_model.config._attn_implementation
    free(model)
    if model.device.type == "cuda":
        model.half()
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.to(dtype)
        model.set_attn_implementation(attention)
        free(model)


# --- the rows


def _tower(b: Bench) -> Row:
    pixels, n = b.pixels(b.counts.tower), b.counts.tower
    ours, gib, features = b.measure(lambda: b.model.encode_frames(pixels))
    slow, slow_gib, theirs = b.original(lambda: b.model.encode_frames(pixels, chunk=n))
    what = f"vision tower, {n:,} frames"
    return Row("tower", what, "frames/s", _per(n, ours), _per(n, slow), gib, slow_gib, _apart(features, theirs))


def _asked(b: Bench) -> Row:
    n = b.counts.long
    features = b.features(n)
    ours, gib, tokens = b.measure(lambda: b.model.frame_tokens(features, QUESTION).context)
    slow, slow_gib, theirs = b.original(lambda: b.model.frame_tokens(features, QUESTION, chunk=n).context)
    what = f"text decoder and context attention, {n:,} frames"
    return Row("tokens", what, "frames/s", _per(n, ours), _per(n, slow), gib, slow_gib, _apart(tokens, theirs))


def _first_answer(b: Bench, n: int, new: int) -> Callable[[], Any]:
    """The original's: all frames at once, already decoded and resized."""
    pixels = b.pixels(n)

    def work() -> Any:
        tokens = b.model.frame_tokens(b.model.encode_frames(pixels, chunk=n), QUESTION, chunk=n)
        return _reply(b, tokens, new, b.slow_ids)

    return work


def _reply(b: Bench, tokens: VisualTokens, new: int, decode: Callable[[Tensor, Tensor, int], Tensor]) -> Tensor:
    return decode(*b.about([tokens]), new)


def _ask(b: Bench, n: int, name: str) -> Row:
    clip, new = b.clip(n), b.counts.new
    ours, gib, _ = b.measure(lambda: b.model.ask(clip, QUESTION, fps=1, max_new_tokens=new).text, repeats=1)
    slow, slow_gib, _ = b.original(_first_answer(b, n, new), repeats=1)
    note = "the original's without decoding and resizing" if slow else "the original's way: out of memory"
    return Row(name, f"`ask`, {n:,} frames, {new} tokens", "s", ours, slow, gib, slow_gib, note)


def _decode(b: Bench, batch: int) -> Row:
    new = 4 * b.counts.new

    def rate(decode: Callable, size: int) -> tuple[float | None, float, Any]:
        embeds, mask = b.prompts(b.counts.short, size)
        first, _, _ = b.measure(lambda: decode(embeds, mask, 1))
        whole, gib, ids = b.measure(lambda: decode(embeds, mask, new))
        return None if first is None or whole is None else size * (new - 1) / (whole - first), gib, ids

    ours, gib, ids = rate(b.fast_ids, batch)
    _, _, plain = b.measure(lambda: b.slow_ids(*b.prompts(b.counts.short, batch), new), repeats=1)
    with as_original(b.model):
        slow, slow_gib, _ = rate(b.slow_ids, 1)
    note = "out of memory"
    if ids is not None and plain is not None:
        note = f"{float((ids == plain).float().mean()):.0%} of the ids are those of `generate`"
    known = ORIGINAL_TOKENS_S.get(b.size, 0.0) if b.device.type == "cuda" else 0.0
    if slow is not None and known > slow:
        note += f"; the original's own code makes {known:g}, here its way made {slow:.3g}"
        slow = known
    return Row(f"decode_{batch}", f"decoding, batch {batch}", "tokens/s", ours, slow, gib, slow_gib, note)


def _choices(b: Bench, n_frames: int, batch: int, name: str) -> Row:
    tokens, labels = [b.tokens(n_frames)] * batch, CRIME.labels
    embeds, mask = b.prompts(n_frames, batch)
    once, _, _ = b.measure(lambda: b.fast_ids(embeds, mask, 1))
    ours, gib, table = b.measure(lambda: choice_log_likelihood(b.model, QUESTION, tokens, labels))

    def whole() -> list[float]:
        return [_whole_likelihood(b.model, tokens[0], label) for label in labels]

    slow, slow_gib, theirs = b.original(whole, repeats=1)
    apart = "" if table is None or theirs is None else f", {np.abs(table[0] - theirs).max():.2g} nats apart at most"
    note = f"{ours / once:.2f} times one prefill{apart}" if ours and once else "out of memory"
    what = f"{len(labels)} choices, {n_frames:,} frames, batch {batch}, a clip"
    return Row(name, what, "s", ours and ours / batch, slow, gib, slow_gib, note)


def _whole_likelihood(model: LlamaVid, tokens: VisualTokens, choice: str) -> float:
    """One forward of prompt and answer, no cache."""
    prompt, answer = open_prompt(model.tokenizer, model.config.template, QUESTION), answer_ids(model, QUESTION, choice)
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    logits = model(
        input_ids=ids, visual=[[tokens.to(model.device, model.dtype)]], logits_to_keep=len(answer) + 1
    ).logits
    log_p = logits[0, :-1].float().log_softmax(-1)
    return float(log_p.gather(1, torch.tensor(answer, device=model.device)[:, None]).sum())


def _next_question(b: Bench, kept: str) -> Row:
    n, new = b.counts.long, b.counts.new
    features, tokens = b.features(n), b.tokens(n)

    def work() -> Tensor:
        look = b.model.frame_tokens(features, QUESTION) if kept == "features" else tokens
        return _reply(b, look, new, b.fast_ids)

    ours, gib, _ = b.measure(work)
    slow, slow_gib, _ = b.original(_first_answer(b, n, new), repeats=1)
    what = f"next question, {n:,} frames, kept {kept}, {new} tokens"
    return Row(f"next_{kept}", what, "s", ours, slow, gib, slow_gib)


def _short_clips(b: Bench) -> Row:
    """Each clip through tower and text decoder, replies in batches; the original: one clip after the other."""
    n, batch, new = b.counts.short, b.counts.batch, b.counts.new
    pixels = b.pixels(n)

    def work() -> Tensor:
        looks = [b.model.frame_tokens(b.model.encode_frames(pixels), QUESTION) for _ in range(batch)]
        return b.fast_ids(*b.about(looks), new)

    ours, gib, _ = b.measure(work)
    slow, slow_gib, _ = b.original(_first_answer(b, n, new))
    what = f"short clips of {n} frames, {new} tokens each, a clip"
    return Row("short_clips", what, "s", ours and ours / batch, slow, gib, slow_gib)


def _sweep(b: Bench) -> Row:
    """A clip at 1, 2 and 6 frames a second: looked at once, or for each rate."""
    n, new = 6 * b.counts.short, b.counts.new
    pixels = b.pixels(n)
    slower = [n // 6, n // 3, n]

    def once() -> list[Tensor]:
        tokens = b.model.frame_tokens(b.model.encode_frames(pixels), QUESTION)
        return [_reply(b, tokens[:: n // k], new, b.fast_ids) for k in slower]

    def each() -> list[Tensor]:
        return [_first_answer(b, k, new)() for k in slower]

    ours, gib, _ = b.measure(once)
    slow, slow_gib, _ = b.original(each)
    return Row("sweep", f"a clip at 1, 2 and 6 fps, {n} frames, {new} tokens each", "s", ours, slow, gib, slow_gib)


def _start(b: Bench) -> Row:
    ours, gib, _ = b.measure(lambda: weights_key(b.model), repeats=1)
    return Row("start", "hash of all weights", "s", ours, None, gib, 0.0)


def _lora_step(b: Bench, share: float) -> Row:
    """Of one clip: forward, backward and an optimiser's step. The original looks at the clip again for each."""
    n = b.counts.middling
    pixels = b.pixels(n)
    with torch.no_grad():
        tokens = b.tokens(n)

    def again() -> VisualTokens:
        with torch.no_grad():
            return b.model.frame_tokens(b.model.encode_frames(pixels, chunk=n), QUESTION, chunk=n)

    with _trainable(b):
        with as_original(b.model), recomputed(b.model.language_model, 1.0):
            slow, slow_gib, _ = b.measure(_steps(b, 1, again))
        with aside(b.model, VISION), recomputed(b.model.language_model, share):
            ours, gib, _ = b.measure(_steps(b, 1, partial(_same, tokens)))
    what = f"LoRA step, {n} frames, {share:.0%} of the layers recomputed"
    return Row(f"lora_{share:.0%}", what, "s", ours, slow, gib, slow_gib)


@contextmanager
def _trainable(b: Bench) -> Iterator[None]:
    """The model with adapters as large as the original's, in training mode."""
    for parameter in b.model.parameters():
        parameter.requires_grad_(False)
    adapted = add_lora(b.model, lora_config(LoraSettings(64, 16)))
    b.model.train()
    try:
        yield
    finally:
        b.model.eval()
        adapted.unload()
        free(b.model)


def _steps(b: Bench, batch: int, look: Callable[[], VisualTokens]) -> Callable[[], None]:
    """A step of training on `batch` such clips; what trains is float32, as in `training.loop`."""
    ids = torch.tensor([open_prompt(b.model.tokenizer, b.model.config.template, QUESTION)] * batch, device=b.device)
    answer = torch.tensor([answer_ids(b.model, QUESTION, CRIME.labels[0])] * batch, device=b.device)
    text = {"input_ids": torch.cat([ids, answer], 1), "labels": torch.cat([torch.full_like(ids, IGNORE), answer], 1)}
    trained = [p for p in b.model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.float()
    optimiser = torch.optim.AdamW(trained, lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast(b.device.type, b.model.dtype, enabled=b.device.type == "cuda"):
            b.model(**text, visual=[[look()]] * batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def points(b: Bench) -> Iterator[dict[str, Any]]:
    """What the planner's constants are fitted to and tested on: seconds, and peak bytes above what lay there."""
    lengths = [b.counts.short, b.counts.middling, b.counts.long, b.counts.longest]
    shapes = [(n, batch) for n in lengths for batch in (1, 4, 16, 32) if n * batch <= 8 * b.counts.long]
    for n, batch in shapes:
        with torch.inference_mode():
            embeds, mask = b.prompts(n, batch)
            for new in (1, b.counts.new):
                held = _held(b)
                seconds, gib, _ = b.measure(partial(b.fast_ids, embeds, mask, new))
                release(b.model)
                yield _point("answer", b, batch, embeds.shape[1], seconds, gib, held, new=new)
        del embeds, mask
    with torch.no_grad():
        clips = [(b.tokens(n), b.prompts(n)[0].shape[1]) for n in lengths[:2]]
    with _trainable(b), aside(b.model, VISION):
        for (tokens, n_tokens), batch, share in product(clips, (1, 2, 4, 8), SHARES):
            with recomputed(b.model.language_model, share):
                held = _held(b)
                seconds, gib, _ = b.measure(_steps(b, batch, partial(_same, tokens)))
                yield _point("train", b, batch, n_tokens, seconds, gib, held, share=share)


def _same(tokens: VisualTokens) -> VisualTokens:
    return tokens


def _point(
    what: str, b: Bench, batch: int, n_tokens: int, seconds: float | None, gib: float, held: int, **more
) -> dict:
    return {
        "what": what,
        "batch": batch,
        "n_tokens": n_tokens,
        **more,
        "seconds": seconds,
        "bytes": round(gib * 2**30) - held,
    }


ROWS: dict[str, Callable[[Bench], Row]] = {
    "tower": _tower,
    "tokens": _asked,
    "ask": lambda b: _ask(b, b.counts.long, "ask"),
    "decode_1": lambda b: _decode(b, 1),
    "decode_batch": lambda b: _decode(b, b.counts.batch),
    "choices_long": lambda b: _choices(b, b.counts.long, 1, "choices_long"),
    "choices_batch": lambda b: _choices(b, b.counts.middling, b.counts.batch, "choices_batch"),
    "next_features": lambda b: _next_question(b, "features"),
    "next_tokens": lambda b: _next_question(b, "tokens"),
    "short_clips": _short_clips,
    "sweep": _sweep,
    "start": _start,
    "lora": lambda b: _lora_step(b, 2 / 3),
    "lora_least": lambda b: _lora_step(b, 1.0),
    "longest": lambda b: _ask(b, b.counts.longest, "longest"),
}


# --- the machine


def _per(n: int, seconds: float | None) -> float | None:
    return None if seconds is None else n / seconds


def _apart(ours: Tensor | None, theirs: Tensor | None) -> str:
    if ours is None or theirs is None:
        return "out of memory"
    return f"{float((ours.float() - theirs.float()).norm() / ours.float().norm()):.1e} apart"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def free(model: LlamaVid) -> None:
    release(model)
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _held(b: Bench) -> int:
    """Bytes that lie on the GPU between two measurements."""
    free(b.model)
    return torch.cuda.memory_allocated() if b.device.type == "cuda" else 0


def _peak_gib(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
