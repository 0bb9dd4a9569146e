"""Films of hours: frames and subtitles as one prompt.

Input: the texts of the frames (`subtitles.frame_texts`, or a feature file's `inputs`) and a question. Output: human
turns in which each `<image>` is the slot of one visual token, to be tokenized by `prompt.tokenize` and
`prompt.supervised` like any other turn. Feature files are read by `model.original.features`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import IMAGE, IMAGE_END, IMAGE_START

FEATURES = ".pkl"  # how a feature file's name ends
MOVIE_START = "Below is a movie. Memorize the content and answer my question after watching this movie."
MOVIE_END = "Now the movie end."  # both as in run_llamavid_movie.py of the original


def interleave(
    texts: Sequence[str], *, tokens_per_frame: int = 1, ellipses: Literal["delete", "keep"] = "delete"
) -> str:
    """One text a frame → the frames' slots, each frame followed by what is said: "<image><image>Hello.<image>".

    With 1 token a frame that is the `inputs` of the original's feature files; the options are those of `spread`. Raises
    ValueError for a text that holds `<image>`, for it would be taken for a frame.
    """
    if unclear := [text for text in texts if IMAGE in text]:
        raise ValueError(f"subtitle {unclear[0]!r} holds {IMAGE}, the mark of a frame; take it out of the subtitles")
    inputs = "".join(IMAGE + text for text in texts)
    return spread(inputs, tokens_per_frame=tokens_per_frame, ellipses=ellipses)


def spread(inputs: str, *, tokens_per_frame: int, ellipses: Literal["delete", "keep"] = "delete") -> str:
    """`inputs` with one `<image>` a frame → with one for each of its tokens.

    tokens_per_frame: n content tokens + 1 context token. ellipses: "delete" takes each "..." out, as the original's
    training does ("wait...what" becomes "waitwhat"); "keep" leaves them, as its `run_llamavid_movie.py` does.
    """
    if tokens_per_frame < 1:
        raise ValueError(f"{tokens_per_frame=}, expected at least 1")
    if ellipses not in ("delete", "keep"):
        raise ValueError(f'{ellipses=}, expected "delete" or "keep"')
    frames = inputs.replace(IMAGE, IMAGE * tokens_per_frame)
    return frames.replace("...", "") if ellipses == "delete" else frames


def is_film(pair: InstructionPair) -> bool:
    """Whether a pair is about a film: it names subtitles, `extra["subtitles"]`, or a feature file."""
    return bool(pair.extra.get("subtitles")) or pair.video.endswith(FEATURES)


def movie_turn(question: str) -> str:
    """The human turn about a film, with one `<image>` where its frames go."""
    return f"{MOVIE_START}{IMAGE}{MOVIE_END}\n{question}"


def show_frames(turn: str, frames: str, *, marks: bool = False) -> str:
    """`turn` with its one `<image>` replaced by `frames` (`preprocess_multimodal_movie` of the original).

    marks: puts <im_start> and <im_end> around the frames (`mm_use_im_start_end`).
    """
    _check_one_slot(turn)
    return turn.replace(IMAGE, f"{IMAGE_START}{frames}{IMAGE_END}" if marks else frames)


def query_of(turn: str) -> str:
    """What the text decoder is asked in the original's training: `turn` without `<image>`, wrapper and all.

    Its inference asks the bare question instead.
    """
    _check_one_slot(turn)
    return turn.replace(IMAGE, "").strip()


def _check_one_slot(turn: str) -> None:
    if turn.count(IMAGE) != 1:
        raise ValueError(f"{turn.count(IMAGE)} times {IMAGE} in {turn[:80]!r}, expected one; see movie_turn")


@dataclass(frozen=True)
class LongVideo:
    """A film as a feature file holds it.

    features: (T, N, C) tower features in the file's dtype. Quirk: without the class token that the file holds first,
        because the original drops it here (`feats[:, 1:]`), so that its text decoder does not see it for long video.
    inputs: one `<image>` a frame with the subtitles between them.
    """

    features: Tensor
    inputs: str
