"""What an arm may do to a clip before the language model sees it: repeat, pool, shuffle, leave out or replace.

Input: the name of a change and frame tokens. Output: changed tokens, and which frames they show. Every change but
"blank" is made of tokens that the frame cache keeps anyway (`needs`), so none has a place in the cache's keys, and
none costs vision. When a change is made is `answering`'s.

Shapes as in `context_attention`: T frames, n content tokens, C vision width.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from llamavid_kit.model.context_attention import VisualTokens

BLANK = "blank"
CHANGES = {  # kind → in words; what stands for {} follows the kind after a colon
    "each": "each frame {} times",
    "pool": "{} frames pooled into one",
    "no_context": "no context token",
    "mean_patch": "mean patch as context token",
    "context": 'context token of "{}"',
    "no_content": "no content tokens",
    "guided": "question-guided content token",
    "shuffled": "frames shuffled, seed {}",
    BLANK: "blank frames",
    "no_frames": "no frames",
}
LEAST = {"each": 2, "pool": 2, "shuffled": 0}  # of the whole number that follows
NO_FRAME = -1  # in the place of a frame's number: what is shown there is none of the clip's


def parse_change(change: str | None) -> tuple[str, Any]:
    """`"each:6"` → ("each", 6), `"context:What?"` → ("context", "What?"), `"blank"` → ("blank", ""), None → ("", "").

    each:N shows every frame N times in a row; pool:N takes the mean tokens of every N frames, and of those left over.
    no_context and no_content leave out tokens; mean_patch puts the mean of a frame's patches in the context token's
    place, context:QUESTION the context token of another question; guided puts the patches' mean weighted by the context
    attention, which otherwise is the context token, in the place of all content tokens, through the content projector.
    shuffled:SEED shuffles the frames, each clip's otherwise; blank shows even grey instead of each frame (0 after
    normalisation); no_frames leaves the question alone.

    Raises ValueError for anything else.
    """
    if change is None:
        return "", ""
    kind, colon, rest = str(change).partition(":")
    if kind in LEAST:
        if rest.isdecimal() and rest == str(int(rest)) and int(rest) >= LEAST[kind]:
            return kind, int(rest)
    elif kind == "context":
        if rest.strip():
            return kind, rest
    elif kind in CHANGES and not colon:
        return kind, ""
    raise ValueError(
        f"change={change!r}: expected each:N or pool:N with N >= 2, no_context, mean_patch, context:QUESTION, "
        "no_content, guided, shuffled:SEED, blank or no_frames"
    )


def change_words(change: str | None) -> str:
    """A change as tables say it."""
    if change is None:
        return "frames as they are"
    kind, value = parse_change(change)
    return CHANGES[kind].format(value)


def change_file(change: str) -> str:
    """A change in names of files: another question by the beginning of its SHA-256."""
    kind, value = parse_change(change)
    return f"{kind}_{hashlib.sha256(value.encode()).hexdigest()[:8]}" if kind == "context" else f"{kind}{value}"


def needs(change: str | None, question: str, content: str | None) -> list[tuple[str, str | None]]:
    """(question, content) of the frame tokens that `make_change` takes: the arm's own, then that of what replaces it.

    The mean of a frame's patches is its content token of the kind "mean".
    """
    kind, value = parse_change(change)
    others = {"context": (value, content), "mean_patch": (question, "mean")}
    return [(question, content), *([others[kind]] if kind in others else [])]


def make_change(change: str | None, looks: Sequence[VisualTokens], *, clip: str) -> tuple[VisualTokens, np.ndarray]:
    """Frame tokens as `needs` says → changed tokens, and the number of the frame in each place shown.

    looks: of T frames each; for "blank" they are of the blank frame. clip: hexadecimal key of the clip's content, by
    which a shuffled order is drawn. The numbers are (T',) int64, counted from 0 among the T; NO_FRAME for a blank one.
    """
    own, other = looks[0], looks[-1]
    kind, value = parse_change(change)
    at = np.arange(len(own))
    if kind == "each":
        at = at.repeat(value)
    elif kind == "shuffled":
        at = np.random.default_rng([value, int(clip[:16], 16)]).permutation(at)
    elif kind == "no_frames":
        at = at[:0]
    own = own[torch.from_numpy(at)]
    if kind == "pool":
        context, content = (torch.stack([t.mean(0) for t in x.split(value)]) for x in (own.context, own.content))
        own = VisualTokens(context, content)
    elif kind == "no_context":
        own = replace(own, context=own.context[:, None][:, :0])
    elif kind == "mean_patch":
        own = replace(own, context=other.content[:, 0])
    elif kind == "context":
        own = replace(own, context=other.context)
    elif kind == "no_content":
        own = replace(own, content=own.content[:, :0])
    elif kind == "guided":
        own = replace(own, content=own.context[:, None])
    elif kind == BLANK:
        at = np.full(len(own), NO_FRAME)
    return own, at
