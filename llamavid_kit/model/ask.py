"""One question in words: to a clip, a film or a picture, and the reply with its receipt.

`Asking` is mixed into `LlamaVid`, as transformers' `GenerationMixin` is: it walks the three steps (`encode_video →
frame_tokens → generate`) for one question. What many clips and closed choices need is `answering`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from llamavid_kit.data.films import LongVideo, interleave, movie_turn, show_frames, spread
from llamavid_kit.data.pictures import read_picture
from llamavid_kit.data.prompt import IMAGE, Template, open_prompt, stop_ids, template, tokenize
from llamavid_kit.data.sampling import Rule
from llamavid_kit.data.subtitles import frame_texts, read_subtitles
from llamavid_kit.data.video import Video
from llamavid_kit.model.changes import NO_FRAME
from llamavid_kit.model.config import LlamaVidConfig, check_fits
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.decoding import greedy_ids, repeatable

if TYPE_CHECKING:
    from llamavid_kit.model.llama_vid import LlamaVid


@dataclass(frozen=True)
class Receipt:
    """What went into a model for one reply, read from what it was given.

    n_given: frames that our sampling chose. n_arrived: frames that reached the vision tower. frame_size: height and
    width of each there, in pixels. n_tokens: places in the prompt that stand for them, markers and stamps not counted.
    times_told_s: seconds that the model is told, in order; () for none, None where that cannot be known.
    n_doubled: arrived frames that repeat another. n_dropped: given frames that did not arrive.
    """

    n_given: int
    n_arrived: int
    frame_size: tuple[int, int]
    n_tokens: int
    times_told_s: tuple[float, ...] | None
    n_doubled: int = 0
    n_dropped: int = 0

    @property
    def tokens_a_frame(self) -> float:
        """Of the frames that arrived; 0 where none did."""
        return self.n_tokens / self.n_arrived if self.n_arrived else 0.0

    @property
    def n_times(self) -> int:
        """How many different times the model is told."""
        return len(set(self.times_told_s or ()))


@dataclass(frozen=True)
class Reply:
    """One answer with the receipt of what was seen.

    text: the generated words, or the likeliest choice.
    timestamps_s: seconds from clip start of the frames that the model saw.
    log_likelihood: choice → natural log of its probability as the whole answer; empty for generated replies.
    n_tokens: choice → tokens that its likelihood is a product over, the answer's end included; empty like that.
    notes: what a reader of the answer must know (a model outside its world, a clip slower than the fps asked for).
    n_visual: tokens that the frames took in the language model's context; None where a model does not say.
    receipt: what went in, in full; None where a model does not say.
    tokens: the frame tokens with the attention map; only from `ask`. Tensors: not in what `repr` shows.
    """

    text: str
    timestamps_s: tuple[float, ...]
    log_likelihood: dict[str, float] = field(default_factory=dict)
    n_tokens: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_visual: int | None = None
    receipt: Receipt | None = None
    tokens: VisualTokens | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"note: {note}" for note in self.notes)])


class Asking:
    """`ask` and `ask_image`, for `LlamaVid`."""

    def ask(  # type: ignore[misc]  # a mixin: self is what it is mixed into
        self: "LlamaVid",
        video: Video | LongVideo | Path | str,
        question: str,
        *,
        fps: float = 1.0,
        frames: Rule = "time",
        max_new_tokens: int = 64,
        subtitles: Path | str | None = None,
    ) -> Reply:
        """One question about one clip; the reply holds the frame tokens with the attention map.

        Args:
            video: a clip, or a film's features (`original.features`), which bring their own rate and subtitles.
            frames: the rule that `fps` picks frames by (`sampling.RULES`). To choose between answers instead of
                writing one: `answering.LlamaVidAnswerer.choose`, or `ask --choices` on the command line.
            subtitles: .srt or .vtt of the clip: each frame is followed by what is said, in the original's movie prompt
                (`run_llamavid_movie.py`). The text decoder is asked the bare question, as there.

        Frames are decoded and encoded in chunks and only their tokens are kept, so a clip of any length passes.
        Raises VideoError for a clip that cannot be read, and ValueError, with the way out, for one too long for the
        model.
        """
        if isinstance(video, LongVideo):
            if subtitles is not None:
                raise ValueError("a feature file brings its own subtitles; leave subtitles out")
            return _ask_film(self, video, question, max_new_tokens)
        video = video if isinstance(video, Video) else Video(video)
        sample, config = video.sample(fps, rule=frames), self.config
        if subtitles is None:
            prompt, n_slots = open_prompt(self.tokenizer, config.template, question), 1
        else:
            texts = frame_texts(read_subtitles(subtitles), sample.timestamps_s, end_s=video.duration_s)
            prompt = movie_prompt(self, question, interleave(texts, ellipses="keep"))
            n_slots = len(sample) * config.tokens_per_frame()
        check_fits(config, n_frames=len(sample), n_prompt=len(prompt) - n_slots + max_new_tokens, fps=fps)
        with torch.inference_mode():
            tokens = VisualTokens.cat([part for (part,) in self.look(video, [(question, None)], sample.indices)])
        text = greedy_texts(self, [prompt], [tokens], max_new_tokens=max_new_tokens)[0]
        notes = _world(config)
        if fps > video.fps * 1.001:
            notes.append(f"{fps:g} fps asked, the clip has {video.fps:g}: every frame was used once")
        times = tuple(float(t) for t in sample.timestamps_s)
        receipt = receipt_of(config, times, tokens)
        return Reply(text, times, notes=tuple(notes), n_visual=receipt.n_tokens, receipt=receipt, tokens=tokens)

    def ask_image(  # type: ignore[misc]  # likewise
        self: "LlamaVid",
        image: Path | str | np.ndarray,
        question: str,
        *,
        pad: bool = True,
        max_new_tokens: int = 64,
    ) -> Reply:
        """One question about one picture: a file that Pillow reads, or (H, W, 3) uint8 RGB.

        pad: pad to a square with the mean colour, as the original answers image benchmarks (`image_aspect_ratio`
        "pad"); otherwise the centre square is seen, as with video. A file's rotation mark is not followed, as in the
        original. Raises ValueError for a file that is no picture, and for a prompt too long for the model.
        """
        image = image if isinstance(image, np.ndarray) else read_picture(image)
        prompt = picture_prompt(self, question, max_new_tokens)
        tokens = picture_tokens(self, [image], [question], pad=pad)[0]
        text = greedy_texts(self, [prompt], [tokens], max_new_tokens=max_new_tokens)[0]
        return Reply(text, (0.0,), notes=tuple(_world(self.config)), n_visual=tokens.n_tokens, tokens=tokens)


@torch.inference_mode()
def greedy_texts(
    model: "LlamaVid", prompts: Sequence[list[int]], tokens: Sequence[VisualTokens], *, max_new_tokens: int
) -> list[str]:
    """Greedy replies to prompts (ids with one slot each) about as many clips, as one batch."""
    longest, dtype = max(map(len, prompts)), model.get_input_embeddings().weight.dtype
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts])
    visual = [[t.to(model.device, dtype)] for t in tokens]
    embeds, mask, _ = model.splice(ids.to(model.device), visual, attention_mask=mask.to(model.device), side="left")
    end, pad = stop_ids(model.tokenizer, model.config.template)[-1], model.tokenizer.pad_token_id
    new = greedy_ids(model, embeds, mask, max_new_tokens=max_new_tokens, end=end, pad=pad)
    if new is None:
        with repeatable():
            new = model.generate(
                inputs_embeds=embeds,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                pad_token_id=pad,
                eos_token_id=end,
            )
    return [text.strip() for text in model.tokenizer.batch_decode(new, skip_special_tokens=True)]


def receipt_of(
    config: LlamaVidConfig, times_s: Sequence[float], tokens: VisualTokens, shown: np.ndarray | None = None
) -> Receipt:
    """Of LLaMA-VID, for frames chosen at times_s; the model is told no time.

    shown: the number of the frame in each place, of `changes.make_change`; None where each is seen once.
    """
    size = (config.image_size, config.image_size)
    at = [*range(len(tokens))] if shown is None else shown.tolist()
    n_doubled, n_dropped = len(at) - len({*at}), len(times_s) - len({*at} - {NO_FRAME})
    return Receipt(len(times_s), len(at), size, tokens.n_tokens, (), n_doubled=n_doubled, n_dropped=n_dropped)


def movie_prompt(model: "LlamaVid", question: str, inputs: str) -> list[int]:
    """Ids of the movie prompt, a slot for each token of each `<image>` in `inputs`; image marks around them all."""
    form = template(model.config.template)
    if not isinstance(form, Template):
        raise ValueError(f"template {model.config.template!r} is for captions: it has no turn to show a film in")
    slots = spread(inputs, tokens_per_frame=model.config.tokens_per_frame(), ellipses="keep")
    turn = show_frames(movie_turn(question), slots, marks=form.image_mark != IMAGE)
    return tokenize(model.tokenizer, replace(form, image_mark=IMAGE).render([(turn, None)]))


def picture_prompt(model: "LlamaVid", question: str, max_new_tokens: int) -> list[int]:
    """Ids of the prompt about one picture; ValueError where the model has no room for it."""
    ids = open_prompt(model.tokenizer, model.config.template, question)
    check_fits(model.config, n_frames=1, n_prompt=len(ids) - 1 + max_new_tokens, fps=1)
    return ids


@torch.inference_mode()
def picture_tokens(
    model: "LlamaVid", pictures: Sequence[Path | np.ndarray], queries: Sequence[str], *, pad: bool
) -> list[VisualTokens]:
    """Each picture's tokens for its own query; the vision tower sees all pictures at once."""
    arrays = (p if isinstance(p, np.ndarray) else read_picture(p) for p in pictures)
    pixels = [model.config.pixel_values(array[None], pad=pad, device=model.device) for array in arrays]
    features = model.encode_frames(torch.cat(pixels))
    return [model.frame_tokens(features[k : k + 1], query) for k, query in enumerate(queries)]


def _ask_film(model: "LlamaVid", film: LongVideo, question: str, max_new_tokens: int) -> Reply:
    """A feature file and a question, as `run_llamavid_movie.py` of the original asks."""
    config = model.config
    prompt = movie_prompt(model, question, film.inputs)
    if (needed := len(prompt) + max_new_tokens) > config.context:
        raise ValueError(
            f"{len(film.features)} frames with their subtitles need {needed} tokens, the model has {config.context}: "
            f"load it with context={needed} (--context)"
        )
    with torch.inference_mode():
        tokens = model.frame_tokens(film.features, question)
    text = greedy_texts(model, [prompt], [tokens], max_new_tokens=max_new_tokens)[0]
    notes = (*_world(config), "the frames come from a feature file, which does not say when they are")
    return Reply(text, (), notes=notes, n_visual=tokens.n_tokens, tokens=tokens)


def _world(config: LlamaVidConfig) -> list[str]:
    return [f"this model only knows {config.world}"] if config.world else []
