"""Which frames of a clip are looked at: arithmetic on timestamps and rates, no file is opened here.

`sample_times` is our rule: the frames on show at t = 0, 1/fps, 2/fps, … seconds. `sample_indices` holds the two stride
rules that were in use before us, by name, so that older results can be reproduced. `video.Video.sample` calls both.
"""

import logging
import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

log = logging.getLogger(__name__)

Rule = Literal["time", "train", "eval_repro"]
RULES: tuple[Rule, ...] = get_args(Rule)
EPSILON_S = 0.6e-3  # containers such as Matroska round timestamps to a millisecond, so by at most half of one


@dataclass(frozen=True, eq=False)
class FrameSample:
    """The frames chosen from one clip; nothing is decoded yet.

    indices: (T,) int64, increasing, each frame at most once
    timestamps_s: (T,) float64, seconds from clip start at which each chosen frame appears
    fps: the rate asked for, frames a second
    rule: the name of the rule that chose
    """

    indices: np.ndarray
    timestamps_s: np.ndarray
    fps: float
    rule: Rule

    def __len__(self) -> int:
        return len(self.indices)


def check_fps(fps: float) -> float:
    """`fps` as a float. Raises ValueError unless it is a finite number above 0."""
    try:
        value = float(fps)
    except (TypeError, ValueError):
        raise ValueError(f"fps={fps!r} is not a number; give frames a second, for example fps=1") from None
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"fps={fps!r} samples nothing; give a finite number above 0, for example fps=1")
    return value


def sample_times(timestamps_s: np.ndarray, duration_s: float, fps: float) -> np.ndarray:
    """Indices of the frames on show at t_k = k / fps for k = 0, 1, … while t_k < duration. Returns (T,) int64.

    timestamps_s: (n,) float64, increasing, seconds from clip start; duration_s: when the last frame ends.
    The frame on show at t is the last one with timestamp ≤ t (+ EPSILON_S), so a variable frame rate is
    sampled evenly in time. No frame is taken twice: asking for more than the clip's own rate gives every frame of a
    constant-rate clip once. Grids are nested: the frames of 1 fps are among those of 2, 3 and 6 fps. Takes memory for
    the frames, not for the moments: one frame may claim to be a thousand years after another.
    """
    fps = check_fps(fps)
    timestamps_s = np.asarray(timestamps_s, dtype=np.float64)
    if len(timestamps_s) == 0:
        raise ValueError("no timestamps: a clip needs at least one frame to be sampled")
    n_targets = max(1, math.ceil((duration_s - EPSILON_S) * fps))
    first = np.ceil((timestamps_s - EPSILON_S) * fps)[:, None] + [-1, 0, 1]  # each frame's first moment is one of these
    targets_s = np.unique(np.clip(first, 0, n_targets - 1)) / fps
    on_show = np.searchsorted(timestamps_s, targets_s + EPSILON_S, side="right") - 1
    indices = np.unique(np.maximum(on_show, 0)).astype(np.int64)
    if (n := len(indices)) < n_targets:
        log.debug(
            "fps=%g asks for %d moments, but they show only %d different frames; each is taken once", fps, n_targets, n
        )
    return indices


def stride_of(rule: Literal["train", "eval_repro"], avg_fps: float, fps: float) -> int:
    """Frames from one sampled frame to the next under a historical rule. Raises ValueError when it comes to 0.

    train: round(avg_fps / fps), rounding halves to even, as the original's `LazySupervisedDataset.__getitem__` does:
    15 frames a second at fps=6 gives stride 2, which is 7.5 fps; below (or at exactly) half of `fps` the stride is 0.
    eval_repro: round(avg_fps) // fps, and where round(avg_fps) < fps the stride is round(avg_fps), which is about
    1 fps, as the study's evaluation does. The rule was written for whole `fps`; others are refused.
    """
    fps = check_fps(fps)
    if rule == "train":
        stride = round(avg_fps / fps)
    elif rule == "eval_repro":
        if not fps.is_integer():
            raise ValueError(f"rule='eval_repro' divides whole numbers, got fps={fps:g}; use rule='time'")
        rate = round(avg_fps)
        stride = int(rate // fps) if rate >= fps else rate
    else:
        raise ValueError(f"rule={rule!r} has no stride; the stride rules are 'train' and 'eval_repro'")
    if stride == 0:
        raise ValueError(
            f"rule={rule!r} has stride 0 for fps={fps:g} on a clip of {avg_fps:g} frames a second: too slow "
            "for this rule; ask for a lower fps or use rule='time'"
        )
    return stride


def sample_indices(n_frames: int, avg_fps: float, fps: float, *, rule: Literal["train", "eval_repro"]) -> np.ndarray:
    """Indices 0, stride, 2·stride, … < n_frames of a historical rule (see `stride_of`). Returns (T,) int64."""
    if n_frames < 1:
        raise ValueError(f"n_frames={n_frames}: a clip needs at least one frame to be sampled")
    return np.arange(0, n_frames, stride_of(rule, avg_fps, fps), dtype=np.int64)
