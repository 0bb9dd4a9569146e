"""Answers: generated, or as the likelihood of each closed choice.

`VideoModel` is the one protocol through which an ablation reaches a model: clips and a question in, `Reply` out, so
that another video LLM can take an arm. `LlamaVidAnswerer` is ours, on cached frame tokens; `ask` is the short way for
one clip. Which label a reply means is decided in `scoring.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from llamavid_kit.config import LlamaVidConfig
from llamavid_kit.context_attention import VisualTokens
from llamavid_kit.feature_file import LongVideo
from llamavid_kit.frame_cache import FrameCache
from llamavid_kit.long_video import interleave, movie_turn, show_frames, spread
from llamavid_kit.model import LlamaVid
from llamavid_kit.pixels import pixel_values
from llamavid_kit.planner import check_fits
from llamavid_kit.prompt import IMAGE, human_turn, open_prompt, stop_ids, template, tokenize
from llamavid_kit.subtitles import frame_texts, read_subtitles
from llamavid_kit.video import Video


@dataclass(frozen=True)
class Reply:
    """One answer with the receipt of what was seen.

    text: the generated words, or the likeliest choice.
    timestamps_s: seconds from clip start of the frames that the model saw.
    log_likelihood: choice → natural log of its probability as the whole answer; empty for generated replies.
    n_tokens: choice → tokens that its likelihood is a product over, the answer's end included; empty like that.
    notes: what a reader of the answer must know (a model outside its world, a clip slower than the fps asked for).
    tokens: the frame tokens with the attention map; only from `ask`. Tensors: not in what `repr` shows.
    """

    text: str
    timestamps_s: tuple[float, ...]
    log_likelihood: dict[str, float] = field(default_factory=dict)
    n_tokens: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tokens: VisualTokens | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"note: {note}" for note in self.notes)])


class VideoModel(Protocol):
    """What an ablation asks of a model. All clips of one call share the question."""

    def generate(self, clips: Sequence[Video], question: str, *, fps: float) -> list[Reply]:
        """A free reply to the question for each clip, greedily decoded."""

    def choose(self, clips: Sequence[Video], question: str, choices: Sequence[str], *, fps: float) -> list[Reply]:
        """The likeliest of `choices` for each clip, with the likelihood of every choice, and its length if known."""


@runtime_checkable
class ClipModel(Protocol):
    """What a video benchmark asks of a model that can look once for several questions; any `VideoModel` will do."""

    def watch(self, clip: Video, questions: Sequence[str], *, fps: float) -> list[Reply]:
        """A free reply to each question about one clip, greedily decoded: what `generate` says to it alone."""


class ImageModel(Protocol):
    """What an image benchmark asks of a model: each picture has a question of its own."""

    def look(
        self, pictures: Sequence[Path | np.ndarray], prompts: Sequence[str], *, queries: Sequence[str], pad: bool
    ) -> list[Reply]:
        """A free reply to each picture's prompt, greedily decoded. `queries`: what a text decoder is asked of each."""


@dataclass
class LlamaVidAnswerer:
    """`VideoModel`, `ClipModel` and `ImageModel` for LLaMA-VID.

    Its frame cache may be shared by adapters of one base.
    """

    model: LlamaVid
    cache: FrameCache
    max_new_tokens: int = 24

    def generate(self, clips: Sequence[Video], question: str, *, fps: float) -> list[Reply]:
        tokens, times = self._look(clips, question, fps)
        texts = generate_texts(self.model, question, tokens, max_new_tokens=self.max_new_tokens)
        return [Reply(text, seen) for text, seen in zip(texts, times, strict=True)]

    def watch(self, clip: Video, questions: Sequence[str], *, fps: float) -> list[Reply]:
        """Each question goes through the language model alone: in a batch the last digits of its reply could move."""
        distinct = list(dict.fromkeys(questions))
        tokens, times = self.cache.tokens_of(clip, distinct, fps=fps)
        seen = _rounded(times)
        texts = [
            generate_texts(self.model, question, [found], max_new_tokens=self.max_new_tokens)[0]
            for question, found in zip(distinct, tokens, strict=True)
        ]
        said = dict(zip(distinct, texts, strict=True))
        return [Reply(said[question], seen) for question in questions]

    def choose(self, clips: Sequence[Video], question: str, choices: Sequence[str], *, fps: float) -> list[Reply]:
        tokens, times = self._look(clips, question, fps)
        table = choice_log_likelihood(self.model, question, tokens, choices)  # (B, K)
        lengths = {choice: len(answer_ids(self.model, question, choice)) for choice in choices}
        return [
            Reply(choices[int(row.argmax())], seen, dict(zip(choices, map(float, row), strict=True)), lengths)
            for row, seen in zip(table, times, strict=True)
        ]

    @torch.inference_mode()
    def look(
        self, pictures: Sequence[Path | np.ndarray], prompts: Sequence[str], *, queries: Sequence[str], pad: bool
    ) -> list[Reply]:
        ids = [_picture_prompt(self.model, prompt, self.max_new_tokens) for prompt in prompts]
        tokens = _picture_tokens(self.model, pictures, queries, pad=pad)
        texts = _generate(self.model, ids, tokens, self.max_new_tokens)
        return [Reply(text, (0.0,)) for text in texts]

    def _look(self, clips: Sequence[Video], question: str, fps: float):
        found = [self.cache.tokens(clip, question, fps=fps) for clip in clips]
        return [t for t, _ in found], [_rounded(times) for _, times in found]


def _rounded(times: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(s), 4) for s in times)


@torch.inference_mode()
def generate_texts(model: LlamaVid, question: str, tokens: Sequence[VisualTokens], *, max_new_tokens: int) -> list[str]:
    """Greedy replies to one question about several clips, as one batch."""
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    return _generate(model, [prompt] * len(tokens), tokens, max_new_tokens)


def _generate(
    model: LlamaVid, prompts: Sequence[list[int]], tokens: Sequence[VisualTokens], max_new_tokens: int
) -> list[str]:
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts])
    new = model.generate(
        ids.to(model.device), visual=[[_to(model, t)] for t in tokens], attention_mask=mask.to(model.device),
        do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=model.tokenizer.pad_token_id,
        eos_token_id=stop_ids(model.tokenizer, model.config.template)[-1],
    )  # fmt: skip
    return [text.strip() for text in model.tokenizer.batch_decode(new, skip_special_tokens=True)]


@torch.inference_mode()
def choice_log_likelihood(
    model: LlamaVid, question: str, tokens: Sequence[VisualTokens], choices: Sequence[str]
) -> np.ndarray:
    """(B clips, K choices) natural log of P(choice and its end | clip, question), summed over the choice's tokens.

    The prompt runs once a clip; its key-value cache is shared by the choices.
    """
    if not choices:
        raise ValueError("no choices to score: give the closed set of answers")
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    answers = [answer_ids(model, question, choice) for choice in choices]
    ids = torch.tensor([prompt] * len(tokens), device=model.device)
    embeds, mask, _ = model.splice(ids, [[_to(model, t)] for t in tokens], side="left")
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    first = model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1
    )  # fmt: skip
    n, k = len(tokens), len(choices)
    longest = max(map(len, answers))
    padded = torch.tensor([a + [0] * (longest - len(a)) for a in answers], device=model.device)  # (K, La)
    real = torch.tensor([[i < len(a) for i in range(longest)] for a in answers], device=model.device)
    cache = first.past_key_values
    cache.batch_repeat_interleave(k)
    rest = model(
        input_ids=padded.repeat(n, 1), past_key_values=cache, use_cache=True,
        attention_mask=torch.cat([mask.repeat_interleave(k, 0), real.repeat(n, 1)], 1),
        position_ids=(positions[:, -1:] + 1).repeat_interleave(k, 0) + torch.arange(longest, device=model.device),
    )  # fmt: skip
    logits = torch.cat([first.logits.repeat_interleave(k, 0), rest.logits[:, :-1]], 1).float()  # (B*K, La, V)
    picked = logits.log_softmax(-1).gather(2, padded.repeat(n, 1)[..., None])[..., 0]
    return (picked * real.repeat(n, 1)).sum(1).view(n, k).cpu().numpy()


def ask(
    model: LlamaVid, video: Video | LongVideo | Path | str, question: str, *, fps: float = 1.0,
    max_new_tokens: int = 64, subtitles: Path | str | None = None,
) -> Reply:  # fmt: skip
    """One question about one clip; the reply holds the frame tokens with the attention map.

    Args:
        video: a clip, or a film's features (`feature_file.import_features`), which bring their own rate and subtitles.
        subtitles: .srt or .vtt of the clip: each frame is followed by what is said, in the original's movie prompt
            (`run_llamavid_movie.py`). The text decoder is asked the bare question, as there.

    Frames are decoded and encoded in chunks and only their tokens are kept, so a clip of any length passes.
    Raises VideoError for a clip that cannot be read, and ValueError, with the way out, for one too long for the model.
    """
    if isinstance(video, LongVideo):
        if subtitles is not None:
            raise ValueError("a feature file brings its own subtitles; leave subtitles out")
        return _ask_film(model, video, question, max_new_tokens)
    video = video if isinstance(video, Video) else Video(video)
    sample, config = video.sample(fps), model.config
    if subtitles is None:
        prompt, n_slots = open_prompt(model.tokenizer, config.template, question), 1
    else:
        texts = frame_texts(read_subtitles(subtitles), sample.timestamps_s, end_s=video.duration_s)
        frames = interleave(texts, tokens_per_frame=config.tokens_per_frame(), ellipses="keep")
        prompt, n_slots = _movie_prompt(model, question, frames), len(sample) * config.tokens_per_frame()
    check_fits(config, n_frames=len(sample), n_prompt=len(prompt) - n_slots + max_new_tokens, fps=fps)
    parts = []
    with torch.inference_mode():
        for _, _, frames in video.chunks(sample):
            pixels = pixel_values(frames, size=config.image_size, mean=config.image_mean, std=config.image_std)
            parts.append(model.frame_tokens(model.encode_frames(pixels), question))
    tokens = VisualTokens(*(torch.cat([getattr(p, f) for p in parts]) for f in ("context", "content", "attention")))
    text = _generate(model, [prompt], [tokens], max_new_tokens)[0]
    notes = _about(config)
    if fps > video.fps * 1.001:
        notes.append(f"{fps:g} fps asked, the clip has {video.fps:g}: every frame was used once")
    return Reply(text, tuple(float(t) for t in sample.timestamps_s), notes=tuple(notes), tokens=tokens)


def _ask_film(model: LlamaVid, film: LongVideo, question: str, max_new_tokens: int) -> Reply:
    """A feature file and a question, as `run_llamavid_movie.py` of the original asks."""
    config = model.config
    frames = spread(film.inputs, tokens_per_frame=config.tokens_per_frame(), ellipses="keep")
    prompt = _movie_prompt(model, question, frames)
    if (needed := len(prompt) + max_new_tokens) > config.context:
        raise ValueError(
            f"{len(film.features)} frames with their subtitles need {needed} tokens, the model has {config.context}: "
            f"load it with context={needed} (--context)"
        )
    with torch.inference_mode():
        tokens = model.frame_tokens(film.features, question)
    notes = (*_about(config), "the frames come from a feature file, which does not say when they are")
    return Reply(_generate(model, [prompt], [tokens], max_new_tokens)[0], (), notes=notes, tokens=tokens)


def ask_image(
    model: LlamaVid, image: Path | str | np.ndarray, question: str, *, pad: bool = True, max_new_tokens: int = 64
) -> Reply:
    """One question about one picture: a file that Pillow reads, or (H, W, 3) uint8 RGB.

    pad: pad to a square with the mean colour, as the original answers image benchmarks (`image_aspect_ratio` "pad");
    otherwise the centre square is seen, as with video. A file's rotation mark is not followed, as in the original.
    Raises ValueError for a file that is no picture, and for a prompt too long for the model.
    """
    image = image if isinstance(image, np.ndarray) else read_picture(image)
    prompt = _picture_prompt(model, question, max_new_tokens)
    with torch.inference_mode():
        tokens = _picture_tokens(model, [image], [question], pad=pad)[0]
    text = _generate(model, [prompt], [tokens], max_new_tokens)[0]
    return Reply(text, (0.0,), notes=tuple(_about(model.config)), tokens=tokens)


def read_picture(image: Path | str) -> np.ndarray:
    """A picture file → (H, W, 3) uint8 RGB. FileNotFoundError, and ValueError for a file that is no picture."""
    path = Path(image)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a picture")
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error}); convert it to PNG or JPEG") from error


def _picture_prompt(model: LlamaVid, prompt: str, max_new_tokens: int) -> list[int]:
    """Ids of the prompt about one picture; ValueError where the model has no room for it."""
    ids = open_prompt(model.tokenizer, model.config.template, prompt)
    check_fits(model.config, n_frames=1, n_prompt=len(ids) - 1 + max_new_tokens, fps=1)
    return ids


def _picture_tokens(
    model: LlamaVid, pictures: Sequence[Path | np.ndarray], queries: Sequence[str], *, pad: bool
) -> list[VisualTokens]:
    """Each picture's tokens for its own query; the vision tower sees all pictures at once."""
    config = model.config
    look = {"size": config.image_size, "mean": config.image_mean, "std": config.image_std, "pad": pad}
    arrays = (p if isinstance(p, np.ndarray) else read_picture(p) for p in pictures)
    features = model.encode_frames(torch.cat([pixel_values(array[None], **look) for array in arrays]))
    return [model.frame_tokens(features[k : k + 1], query) for k, query in enumerate(queries)]


def _about(config: LlamaVidConfig) -> list[str]:
    return [f"this model only knows {config.world}"] if config.world else []


def answer_ids(model: LlamaVid, question: str, choice: str) -> list[int]:
    """Tokens of `choice` as the whole answer, its end included; ValueError where it runs into the prompt's last one."""
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    whole = tokenize(model.tokenizer, template(model.config.template).render([(human_turn(question), choice)]))
    if whole[: len(prompt)] != prompt:
        raise ValueError(f"choice {choice!r} changes the tokens of the prompt before it and cannot be scored")
    return whole[len(prompt) :]


def _movie_prompt(model: LlamaVid, question: str, frames: str) -> list[int]:
    """Ids of the movie prompt, one slot for each `<image>` of `frames`. Image marks stand around all of them, once."""
    form = template(model.config.template)
    turn = show_frames(movie_turn(question), frames, marks=form.image_mark != IMAGE)
    return tokenize(model.tokenizer, replace(form, image_mark=IMAGE).render([(turn, None)]))


def _to(model: LlamaVid, tokens: VisualTokens) -> VisualTokens:
    dtype = model.get_input_embeddings().weight.dtype
    return VisualTokens(tokens.context.to(model.device, dtype), tokens.content.to(model.device, dtype))
