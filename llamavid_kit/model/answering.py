"""Answers about many clips: generated, or as the likelihood of each closed choice.

`VideoModel` is the one protocol through which an ablation reaches a model: clips and a question in, `Reply` out, so
that another video LLM can take an arm. `LlamaVidAnswerer` is ours, on cached frame tokens. Which label a reply means is
decided in `evaluation.scoring`.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Cache

from llamavid_kit.data.prompt import human_turn, open_prompt, template, tokenize
from llamavid_kit.data.sampling import Rule
from llamavid_kit.data.video import Video
from llamavid_kit.model.ask import Receipt, Reply, greedy_texts, picture_prompt, picture_tokens, receipt_of
from llamavid_kit.model.changes import BLANK, NO_FRAME, make_change, needs
from llamavid_kit.model.config import check_fits
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.decoding import release
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.identity import settings_key, weights_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.planner import answer_need

log = logging.getLogger(__name__)
PACKED_ROWS = (
    4096  # bound on clips times tokens of choices whose logits lie in memory, 1.3 GB of a vocabulary of 32,000
)


@dataclass(frozen=True)
class View:
    """How a clip is shown to a model: frames a second, content tokens a frame, which frames a rate picks, what then.

    content: as `config.parse_content`; None is as the model is configured. frames: a rule of `sampling.RULES`. change:
    what is done to the frames or their tokens, as `changes.parse_change`; None leaves them as they are.
    """

    fps: float = 1.0
    content: str | None = None
    frames: Rule = "time"
    change: str | None = None


class VideoModel(Protocol):
    """What an ablation asks of a model. All clips of one call share the question.

    name: how arms, tables and files call it. identity: another text whenever its answers could be others.
    A model may also have `prepare(clip, questions, views)`, called once for each clip before any arm is asked: what it
    keeps then need not be computed for every arm. For a model without it each clip's frames are decoded instead, so
    that a clip that cannot be read is known before the first arm. And it may have `n_tokens(text)`, the tokens of a
    reply: then an open question whose true answers are longer than any reply may be is refused.
    """

    name: str

    @property
    def identity(self) -> str: ...

    def fits(self, clip: Video, question: str, choices: Sequence[str], view: View, *, max_new_tokens: int) -> None:
        """Raises ValueError, with the way out, where the model has no room for clip, question and answer."""

    def generate(self, clips: Sequence[Video], question: str, view: View, *, max_new_tokens: int) -> list[Reply]:
        """A free reply to the question for each clip, greedily decoded."""

    def choose(self, clips: Sequence[Video], question: str, choices: Sequence[str], view: View) -> list[Reply]:
        """The likeliest of `choices` for each clip, with the likelihood of every choice, and its length if known."""


@runtime_checkable
class ClipModel(Protocol):
    """What a video benchmark asks of a model: several questions about one clip, which it may look at once."""

    def watch(self, clip: Video, questions: Sequence[str], *, fps: float) -> list[Reply]:
        """A free reply to each question about one clip, greedily decoded: what `generate` says to it alone."""


@runtime_checkable
class ImageModel(Protocol):
    """What an image benchmark asks of a model: each picture has a question of its own."""

    def look(
        self, pictures: Sequence[Path | np.ndarray], prompts: Sequence[str], *, queries: Sequence[str], pad: bool
    ) -> list[Reply]:
        """A free reply to each picture's prompt, greedily decoded. `queries`: what a text decoder is asked of each."""


@dataclass
class LlamaVidAnswerer:
    """`VideoModel`, `ClipModel` and `ImageModel` for LLaMA-VID.

    Its frame cache may be shared by adapters of one base. max_new_tokens: of a reply where a call does not say.
    A GPU is asked about as many clips at once as its memory should do for (`planner`). Where it does not do, they are
    asked in halves from then on, which a warning says; who is asked together can move a likelihood's last digits.
    """

    model: LlamaVid
    cache: FrameCache
    max_new_tokens: int = 24
    name: str = "LLaMA-VID"
    _counted: dict[tuple, dict[str, int]] = field(default_factory=dict, repr=False)
    _at_once: int | None = field(default=None, init=False, repr=False)  # clips that there was memory for

    @property
    def identity(self) -> str:
        """Hash of every weight, setting and tokenizer that answers depend on; weights are read once."""
        return hashlib.sha256(f"{self._weights}\0{settings_key(self.model)}".encode()).hexdigest()

    @cached_property
    def _weights(self) -> str:
        return weights_key(self.model, vision=self.cache.vision_key)

    def n_tokens(self, text: str) -> int:
        """Tokens of a reply of these words, its end included."""
        return len(self.model.tokenizer(text, add_special_tokens=False).input_ids) + 1

    def fits(self, clip: Video, question: str, choices: Sequence[str], view: View, *, max_new_tokens: int) -> None:
        """As `config.check_fits`; a choice may be longer than the longest reply."""
        config, n_frames = self.model.config, len(clip.sample(view.fps, rule=view.frames))
        stand_in = VisualTokens(torch.zeros(n_frames, 1), torch.zeros(n_frames, config.n_content(view.content), 1))
        changed, _ = make_change(view.change, [stand_in], clip=clip.content_key())
        longest = max([max_new_tokens, *self._lengths(question, tuple(choices)).values()])
        n_prompt = len(open_prompt(self.model.tokenizer, config.template, question)) + longest
        per_frame = Fraction(changed.n_tokens, n_frames)
        check_fits(config, n_frames=n_frames, n_prompt=n_prompt, fps=view.fps, per_frame=per_frame)

    def prepare(self, clip: Video, questions: Sequence[str], views: Sequence[View]) -> None:
        """Keeps the frame tokens of the clip for every question and view; a frame is decoded and encoded once."""
        looks = [look for view in views for asked in questions for look in needs(view.change, asked, view.content)]
        texts = list(dict.fromkeys(text for text, _ in looks))
        contents = list(dict.fromkeys(content for _, content in looks))
        for fps, rule in sorted({(view.fps, view.frames) for view in views}, reverse=True):
            self.cache.fill(clip, texts, fps=fps, contents=contents, rule=rule)

    def generate(
        self, clips: Sequence[Video], question: str, view: View, *, max_new_tokens: int | None = None
    ) -> list[Reply]:
        tokens, times, receipts = self._look(clips, question, view)
        length = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        ask = partial(generate_texts, self.model, question, max_new_tokens=length)
        texts = self._in_parts(tokens, ask, n_tokens=self._n_tokens(question, tokens), max_new_tokens=length)
        return self._replies(texts, times, receipts)

    def watch(self, clip: Video, questions: Sequence[str], *, fps: float) -> list[Reply]:
        """Each question goes through the language model alone: in a batch the last digits of its reply could move."""
        distinct = list(dict.fromkeys(questions))
        tokens, times = self.cache.tokens_of(clip, distinct, fps=fps)
        texts = [
            generate_texts(self.model, question, [look], max_new_tokens=self.max_new_tokens)[0]
            for question, look in zip(distinct, tokens, strict=True)
        ]
        seconds = [_rounded(times)] * len(texts)
        replies = dict(zip(distinct, self._replies(texts, seconds, self._receipts(seconds, tokens)), strict=True))
        return [replies[question] for question in questions]

    def choose(self, clips: Sequence[Video], question: str, choices: Sequence[str], view: View) -> list[Reply]:
        tokens, times, receipts = self._look(clips, question, view)
        ask = partial(choice_log_likelihood, self.model, question, choices=choices)
        lengths = self._lengths(question, tuple(choices))
        n_tokens, n_answers = self._n_tokens(question, tokens), sum(lengths.values())
        table = self._in_parts(tokens, ask, n_tokens=n_tokens, max_new_tokens=n_answers)  # (B, K)
        return [
            Reply(
                choices[int(row.argmax())],
                seconds,
                dict(zip(choices, map(float, row), strict=True)),
                lengths,
                n_visual=receipt.n_tokens,
                receipt=receipt,
            )
            for row, seconds, receipt in zip(table, times, receipts, strict=True)
        ]

    def look(
        self, pictures: Sequence[Path | np.ndarray], prompts: Sequence[str], *, queries: Sequence[str], pad: bool
    ) -> list[Reply]:
        ids = [picture_prompt(self.model, prompt, self.max_new_tokens) for prompt in prompts]
        tokens = picture_tokens(self.model, pictures, queries, pad=pad)
        longest = max(len(prompt) + look.n_tokens for prompt, look in zip(ids, tokens, strict=True))

        def ask(asked: Sequence[tuple[list[int], VisualTokens]]) -> list[str]:
            return greedy_texts(self.model, *zip(*asked, strict=True), max_new_tokens=self.max_new_tokens)

        asked = [*zip(ids, tokens, strict=True)]
        texts = self._in_parts(asked, ask, n_tokens=longest, max_new_tokens=self.max_new_tokens)
        seconds = [(0.0,)] * len(texts)
        return self._replies(texts, seconds, self._receipts(seconds, tokens))

    def _receipts(self, times: Sequence[tuple], tokens: Sequence[VisualTokens]) -> list[Receipt]:
        return [receipt_of(self.model.config, s, look) for s, look in zip(times, tokens, strict=True)]

    def _replies(self, texts: Sequence[str], times: Sequence[tuple], receipts: Sequence[Receipt]) -> list[Reply]:
        return [
            Reply(text, s, n_visual=receipt.n_tokens, receipt=receipt)
            for text, s, receipt in zip(texts, times, receipts, strict=True)
        ]

    def _n_tokens(self, question: str, tokens: Sequence[VisualTokens]) -> int:
        """Of the longest prompt, its clip included."""
        prompt = open_prompt(self.model.tokenizer, self.model.config.template, question)
        return len(prompt) + max(look.n_tokens for look in tokens)

    def _in_parts(self, items: Sequence, ask: Callable[..., Iterable], *, n_tokens: int, max_new_tokens: int) -> list:
        """What `ask` says of each item, of as many at once as there is memory for; n_tokens: of the longest prompt."""
        n = min(self._at_once or len(items), len(items))
        while n > 1 and not has_room(self.model, batch=n, n_tokens=n_tokens, max_new_tokens=max_new_tokens):
            n = (n + 1) // 2
        try:
            return [answer for k in range(0, len(items), n) for answer in ask(items[k : k + n])]
        except torch.OutOfMemoryError as error:
            if n == 1:
                raise
            log.warning("no memory for %d clips at once, %d are asked from now on: %s", n, n // 2, error)
            self._at_once = n // 2
        release(self.model)
        return self._in_parts(items, ask, n_tokens=n_tokens, max_new_tokens=max_new_tokens)

    def _lengths(self, question: str, choices: tuple[str, ...]) -> dict[str, int]:
        """Choice → its tokens as the whole answer; counted once for a question."""
        if (question, choices) not in self._counted:
            lengths = {choice: len(answer_ids(self.model, question, choice)) for choice in choices}
            self._counted[question, choices] = lengths
        return self._counted[question, choices]

    def tokens(self, clip: Video, question: str, view: View) -> tuple[VisualTokens, tuple[float, ...], Receipt]:
        """A clip's frame tokens as the view shows them, the seconds of the frames that they show, and the receipt."""
        looks = [
            self.cache.tokens(clip, asked, fps=view.fps, content=content, rule=view.frames)
            for asked, content in needs(view.change, question, view.content)
        ]
        tokens, given_s = [tokens for tokens, _ in looks], looks[0][1]
        if view.change == BLANK:
            tokens = [self.cache.blank(question, content=view.content)[[0] * len(given_s)]]
        changed, shown = make_change(view.change, tokens, clip=clip.content_key())
        seen = [k for k in dict.fromkeys(shown.tolist()) if k != NO_FRAME]
        return changed, _rounded(given_s[seen]), receipt_of(self.model.config, [*given_s], changed, shown)

    def _look(self, clips: Sequence[Video], question: str, view: View) -> tuple[list, list, list]:
        """`tokens` of each clip, then the seconds of each, then the receipts."""
        tokens, times, receipts = zip(*(self.tokens(clip, question, view) for clip in clips), strict=True)
        return [*tokens], [*times], [*receipts]


def has_room(model: LlamaVid, **shape: int) -> bool:
    """Whether the model's GPU has memory for replies to prompts of that `shape` (`planner.answer_need`)."""
    if model.device.type != "cuda":
        return True
    need = answer_need(model.config, **shape)
    if not need.fits(model.device):
        release(model)
    return need.fits(model.device)


def generate_texts(model: LlamaVid, question: str, tokens: Sequence[VisualTokens], *, max_new_tokens: int) -> list[str]:
    """Greedy replies to one question about several clips, as one batch."""
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    return greedy_texts(model, [prompt] * len(tokens), tokens, max_new_tokens=max_new_tokens)


@torch.inference_mode()
def choice_log_likelihood(
    model: LlamaVid, question: str, tokens: Sequence[VisualTokens], choices: Sequence[str]
) -> np.ndarray:
    """(B clips, K choices) natural log of P(choice and its end | clip, question), summed over the choice's tokens.

    The prompt runs once a clip. The choices follow it one behind the other, as one sequence in which a token sees the
    prompt and its own choice, at the position that it has there: the prompt's keys and values are not copied.
    """
    if not choices:
        raise ValueError("no choices to score: give the closed set of answers")
    release(model)
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    answers = [answer_ids(model, question, choice) for choice in choices]
    ids, dtype = torch.tensor([prompt] * len(tokens), device=model.device), model.get_input_embeddings().weight.dtype
    embeds, mask, _ = model.splice(ids, [[t.to(model.device, dtype)] for t in tokens], side="left")
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    first = model(inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
    cache, logits, following = first.past_key_values, first.logits, positions[:, -1:] + 1
    columns = []
    for pack in _packs(answers, most=max(1, PACKED_ROWS // len(tokens))):
        columns.append(_packed_log_likelihood(model, pack, cache, logits, mask, following))
        cache.crop(-sum(map(len, pack)))
    return torch.cat(columns, 1).cpu().numpy()


def _packs(answers: Sequence[list[int]], *, most: int) -> list[list[list[int]]]:
    """The answers in order, in packs of at most `most` tokens, or of one answer."""
    packs: list[list[list[int]]] = []
    for answer in answers:
        if not packs or sum(map(len, packs[-1])) + len(answer) > most:
            packs.append([])
        packs[-1].append(answer)
    return packs


def _packed_log_likelihood(
    model: LlamaVid, answers: Sequence[list[int]], cache: Cache, first: Tensor, mask: Tensor, following: Tensor
) -> Tensor:
    """(B, K) of `answers` behind prompts that lie in `cache`, which grows.

    first: (B, 1, V) logits behind the prompts. mask: (B, L) of the prompts. following: (B, 1) position behind them.
    """
    n, device = len(mask), mask.device
    ids, answer_of, place = (
        torch.tensor(column, device=device)
        for column in zip(*((t, k, i) for k, a in enumerate(answers) for i, t in enumerate(a)), strict=True)
    )  # (S,) each
    own = (answer_of[:, None] == answer_of) & (place[:, None] >= place)  # (S, S)
    sees = torch.cat([mask.bool()[:, None].expand(-1, len(ids), -1), own.expand(n, -1, -1)], 2)[:, None]
    dtype = model.get_input_embeddings().weight.dtype
    added = torch.zeros(sees.shape, dtype=dtype, device=device).masked_fill(~sees, torch.finfo(dtype).min)
    rest = model(
        input_ids=ids.expand(n, -1),
        past_key_values=cache,
        use_cache=True,
        attention_mask=added,
        position_ids=following + place,
    )
    before = torch.cat([first, rest.logits[:, :-1]], 1)  # (B, S, V), of what comes before each token
    before[:, place == 0] = first
    picked = before.float().log_softmax(-1).gather(2, ids.expand(n, -1)[..., None])[..., 0]  # (B, S)
    return picked.double() @ nn.functional.one_hot(answer_of).double()


def answer_ids(model: LlamaVid, question: str, choice: str) -> list[int]:
    """Tokens of `choice` as the whole answer, its end included; ValueError where it runs into the prompt's last one."""
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    whole = tokenize(model.tokenizer, template(model.config.template).render([(human_turn(question), choice)]))
    if whole[: len(prompt)] != prompt:
        raise ValueError(f"choice {choice!r} changes the tokens of the prompt before it and cannot be scored")
    return whole[len(prompt) :]


def _rounded(times: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(s), 4) for s in times)
