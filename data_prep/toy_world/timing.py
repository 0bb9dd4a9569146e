"""When the event of a clip begins and ends, and the random streams of a seed: the same for streets and wildlife. Knows
nothing of what is drawn."""

import math

import numpy as np

FPS = 30
SECONDS = 8
# How long events last, as knots of their length in seconds at even quantiles (log-linear between), and how long clips
# are. "short": 0.1-3 s, log-uniform, so that few frames a second miss many. "ucf": as UCF-Crime's annotation says, 1 s
# and more with a median of 8 s, in longer clips, so that 1 frame a second misses none.
DURATIONS: dict[str, tuple[tuple[float, ...], float]] = {"short": ((0.1, 3.0), SECONDS), "ucf": ((1.0, 8.0, 24.0), 32)}
# Random streams of one seed. Only EVENT is ever read by an event.
LAYOUT, TIMING, CAST, MOTION, CAMERA, EVENT, TEXTURE = range(7)


def stream(seed: int, name: int) -> np.random.Generator:
    return np.random.default_rng([seed, name])


def event_frames(seed: int, event_s: tuple[float, ...], n_frames: int) -> tuple[int, int]:
    """First frame of the event and the frame after its last. `event_s`: see DURATIONS; the start is uniform over whole
    seconds' worth of frames, so that its phase against any sampling grid is uniform too."""
    rng = stream(seed, TIMING)
    length_s = math.exp(np.interp(rng.uniform(), np.linspace(0, 1, len(event_s)), np.log(event_s)))
    length = max(1, round(length_s * FPS))
    first, spare = FPS, FPS // 2
    room = (n_frames - first - spare - length) // FPS * FPS
    start = first + int(rng.integers(0, room))
    return start, start + length


def checked_durations(event_s, seconds: float) -> tuple[float, ...]:
    """`event_s` as numbers. Raises ValueError where they do not rise from above 0 to what fits a clip of `seconds`."""
    event_s = tuple(map(float, event_s))
    if len(event_s) < 2 or event_s[0] <= 0 or list(event_s) != sorted(event_s) or event_s[-1] > seconds - 3:
        raise ValueError(
            f"event_s={event_s}: need 0 < shortest <= longest <= {seconds - 3:g} s in a clip of {seconds:g} s"
        )
    return event_s
