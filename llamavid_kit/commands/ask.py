"""`ask` and `attention`: one question about a clip, a picture, or a film's features."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamavid_kit.commands.options import ANY_MODEL_HELP, present, question_options, refuse

if TYPE_CHECKING:
    from llamavid_kit.model.ask import Reply
    from llamavid_kit.model.llama_vid import LlamaVid
    from llamavid_kit.model.transformers_video import TransformersVideo

log = logging.getLogger(__name__)
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
DEFAULT_FPS = 1.0


def ask_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path, help="a video, a picture, or a feature file of the original (.pkl)")
    question_options(parser, models=ANY_MODEL_HELP)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    text = "answers to choose from: the likeliest is taken, and the probability of each is printed"
    parser.add_argument("--choices", nargs="+", metavar="ANSWER", help=text)
    parser.add_argument("--subtitles", type=Path, help=".srt or .vtt: each frame is followed by what is said")
    parser.add_argument("--context", type=int, help="tokens that must fit, by linear RoPE scaling if need be")
    parser.add_argument("--attention", type=Path, help="save the context-attention overlay to this PNG")


def ask(args: argparse.Namespace) -> None:
    from llamavid_kit.data.films import FEATURES

    suffix = args.video.suffix.lower()
    if suffix in PICTURES:
        _ask_picture(args)
    elif suffix == FEATURES:
        _ask_film(args)
    else:
        if args.choices:
            refuse(args, ("subtitles", "attention"), "for a written reply, and --choices lets the model choose")
            _choose(args)
            return
        settings = {"max_new_tokens": args.max_new_tokens} | present(args, "subtitles")
        _ask_clip(args, _any_model, overlay=args.attention, **settings)


def attention_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path, help="a video file")
    question_options(parser)
    parser.add_argument("--out", type=Path, default=Path("attention.png"), help="PNG to write")
    parser.add_argument("--scale", type=float, help="upper end of the colours, to compare questions (1 = even)")


def attention(args: argparse.Namespace) -> None:
    if args.video.suffix.lower() in PICTURES:
        raise ValueError(f"{args.video} is a picture: the overlay is drawn on a clip's frames; name a clip")
    _ask_clip(args, _model, overlay=args.out, scale=args.scale)


def _ask_picture(args: argparse.Namespace) -> None:
    only_clips = ("fps", "frames", "context", "subtitles", "attention", "choices")
    refuse(args, only_clips, f"for a clip, and {args.video} is a picture")
    print(_model(args).ask_image(args.video, args.question, max_new_tokens=args.max_new_tokens))


def _ask_film(args: argparse.Namespace) -> None:
    from llamavid_kit.model.original.features import import_features

    why = f"for a clip, and {args.video} holds features, which bring their own rate and subtitles"
    refuse(args, ("fps", "frames", "subtitles", "choices"), why)
    if args.attention:
        raise ValueError(f"{args.video} holds features but no frames: there is nothing to draw an overlay on")
    film = import_features(args.video)
    _print(_model(args, context=args.context).ask(film, args.question, max_new_tokens=args.max_new_tokens))


def _choose(args: argparse.Namespace) -> None:
    from scipy.special import softmax

    from llamavid_kit.data.video import Video
    from llamavid_kit.model.answering import LlamaVidAnswerer, VideoModel, View
    from llamavid_kit.model.frame_cache import FrameCache
    from llamavid_kit.model.llama_vid import LlamaVid

    model = _any_model(args)
    answerer: VideoModel = LlamaVidAnswerer(model, FrameCache(model)) if isinstance(model, LlamaVid) else model
    view = View(**_sampling(args))
    video = Video(args.video)
    answerer.fits(video, args.question, args.choices, view, max_new_tokens=1)
    (reply,) = answerer.choose([video], args.question, args.choices, view)
    _print(reply)
    shares = softmax(list(reply.log_likelihood.values()))
    for choice, share in sorted(zip(args.choices, shares, strict=True), key=lambda pair: -pair[1]):
        print(f"{share:6.1%}  {choice}")


def _ask_clip(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], "LlamaVid | TransformersVideo"],
    *,
    overlay: Path | None,
    scale: float | None = None,
    **settings: Any,
) -> None:
    """overlay: picture to write; scale: upper end of its colours; settings: of `LlamaVid.ask`."""
    from llamavid_kit.data.video import Video

    video, sampling = Video(args.video), _sampling(args)
    if overlay:  # before the model is asked
        from llamavid_kit.viz.overlay import picture_path, save_overlay

        overlay = picture_path(overlay)
        overlay.parent.mkdir(parents=True, exist_ok=True)
    model = load(args)
    _say_if_full(model, len(video.sample(sampling["fps"], rule=sampling["frames"])))
    reply = model.ask(video, args.question, **sampling, **settings)
    _print(reply)
    if overlay:
        fps = sampling["fps"]
        path = save_overlay(video, args.question, reply, fps=fps, model=args.model, out=overlay, scale=scale)
        print(f"context attention: {path}")


def _say_if_full(model: "LlamaVid | TransformersVideo", n_frames: int) -> None:
    """A warning with the way out where the model's GPU may not have the memory; the prediction may be a tenth off."""
    from llamavid_kit.model.llama_vid import LlamaVid
    from llamavid_kit.model.planner import NEW_TOKENS, PROMPT_TOKENS, ask_need, size

    if not isinstance(model, LlamaVid) or model.device.type != "cuda":
        return
    n_tokens = PROMPT_TOKENS + n_frames * model.config.tokens_per_frame()
    need = ask_need(model.config, n_frames=n_frames, n_tokens=n_tokens, max_new_tokens=NEW_TOKENS)
    if not need.fits(model.device):
        log.warning(
            "memory may not do: %d frames need about %s beside the weights; if it fails, ask for a lower --fps, or add "
            "--quantise 4bit",
            n_frames,
            size(need.n_bytes),
        )


def _sampling(args: argparse.Namespace) -> dict[str, Any]:
    return {"fps": DEFAULT_FPS if args.fps is None else args.fps, "frames": args.frames or "time"}


def _model(args: argparse.Namespace, *, context: int | None = None) -> "LlamaVid":
    from llamavid_kit.model.checkpoints import default_device, load

    options = {"context": context, "adapter": args.adapter, "quantise": args.quantise}
    return load(args.model, device=default_device(), **options)


def _any_model(args: argparse.Namespace) -> "LlamaVid | TransformersVideo":
    """The model of a question about a clip; ValueError for what another model than LLaMA-VID does not know."""
    from llamavid_kit.model.checkpoints import default_device
    from llamavid_kit.model.loading import folder_of, is_another, load

    if is_another(folder_of(args.model)):
        why = f"for LLaMA-VID, and {args.model} is another model"
        refuse(args, ("adapter", "context", "subtitles", "attention"), why)
    options = {"context": args.context, "adapter": args.adapter, "quantise": args.quantise}
    return load(args.model, device=default_device(), **options)


def _print(reply: "Reply") -> None:
    print(reply)
    times = reply.timestamps_s
    print(f"seen: {len(reply.tokens or times)} frames" + (f", {times[0]:.2f} to {times[-1]:.2f} s" if times else ""))
