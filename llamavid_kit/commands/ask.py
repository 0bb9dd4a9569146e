"""`ask` and `attention`: one question about a clip, a picture, or a film's features."""

import argparse
from pathlib import Path

from llamavid_kit.commands.options import question_options, refuse

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
DEFAULT_FPS = 1.0


def ask_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path, help="a video, a picture, or a feature file of the original (.pkl)")
    question_options(parser)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--subtitles", type=Path, help=".srt or .vtt: each frame is followed by what is said")
    parser.add_argument("--context", type=int, help="tokens that must fit, by linear RoPE scaling if need be")
    parser.add_argument("--attention", type=Path, help="save the context-attention overlay to this PNG")


def ask(args: argparse.Namespace) -> None:
    from llamavid_kit.data.films import FEATURES

    if args.video.suffix.lower() in PICTURES:
        _ask_picture(args)
    elif args.video.suffix.lower() == FEATURES:
        _ask_film(args)
    else:
        _ask_clip(args)


def attention_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path, help="a video file")
    question_options(parser)
    parser.add_argument("--out", type=Path, default=Path("attention.png"), help="PNG to write")
    parser.add_argument("--scale", type=float, help="upper end of the colours, to compare questions (1 = even)")


def attention(args: argparse.Namespace) -> None:
    if args.video.suffix.lower() in PICTURES:
        raise ValueError(f"{args.video} is a picture: the overlay is drawn on a clip's frames; name a clip")
    args.attention, args.max_new_tokens, args.subtitles, args.context = args.out, 64, None, None
    _ask_clip(args, scale=args.scale)


def _ask_picture(args: argparse.Namespace) -> None:
    only_clips = ("fps", "context", "subtitles", "attention")
    refuse(args, only_clips, f"for a clip, and {args.video} is a picture")
    print(_model(args).ask_image(args.video, args.question, max_new_tokens=args.max_new_tokens))


def _ask_film(args: argparse.Namespace) -> None:
    from llamavid_kit.data.films import import_features

    own = f"for a clip, and {args.video} holds features, which bring their own rate and subtitles"
    refuse(args, ("fps", "subtitles"), own)
    if args.attention:
        raise ValueError(f"{args.video} holds features and no frames: there is nothing to draw an overlay on")
    film = import_features(args.video)
    _show(_model(args).ask(film, args.question, max_new_tokens=args.max_new_tokens))


def _ask_clip(args: argparse.Namespace, *, scale: float | None = None) -> None:
    from llamavid_kit.data.video import Video

    video, fps = Video(args.video), DEFAULT_FPS if args.fps is None else args.fps
    reply = _model(args).ask(
        video, args.question, fps=fps, max_new_tokens=args.max_new_tokens, subtitles=args.subtitles
    )
    _show(reply)
    if args.attention:
        from llamavid_kit.viz.overlay import save_overlay

        path = save_overlay(video, args.question, reply, fps=fps, model=args.model, out=args.attention, scale=scale)
        print(f"context attention: {path}")


def _model(args: argparse.Namespace):
    from llamavid_kit.model.checkpoints import default_device, load

    return load(args.model, device=default_device(), context=args.context, adapter=args.adapter)


def _show(reply) -> None:
    print(reply)
    times = reply.timestamps_s
    print(f"seen: {len(reply.tokens)} frames" + (f", {times[0]:.2f} to {times[-1]:.2f} s" if times else ""))
