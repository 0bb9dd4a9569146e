"""What the plans of both halves of the toy world share: where the event lies, what was made once, and the filmed frame.
Knows nothing of what is drawn."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from data_prep.toy_world.brush import NOISE_TILE, SIZE, Box, Brush, noise_tile
from data_prep.toy_world.timing import FPS, stream


class Filmed(Protocol):
    """A scene, as far as the camera is concerned: `noise` of its frames, `crf` of the encoder."""

    @property
    def camera(self) -> dict[str, int]: ...


class Plan:
    """One clip before it is drawn. Its event, or pseudo-event where nothing happens, has the frames [start, end)."""

    seed: int
    scene: Filmed
    start: int
    end: int
    n_frames: int
    _cache: dict[str, Any]

    @property
    def start_s(self) -> float:
        return self.start / FPS

    @property
    def end_s(self) -> float:
        return self.end / FPS

    @property
    def event(self) -> str | None:
        """What happens in the interval: a kind of event, or a brief action; None for nothing."""
        raise NotImplementedError

    def draw(self, i: int) -> np.ndarray:
        """Frame i: (SIZE, SIZE, 3) uint8 RGB."""
        raise NotImplementedError

    def boxes(self, i: int) -> dict[str, Box]:
        """Name → box of each figure in view at frame i, pixels, clipped to the frame."""
        raise NotImplementedError

    def _check(self, i: int) -> None:
        if not 0 <= i < self.n_frames:
            raise ValueError(f"frame {i} asked, the clip has frames 0 to {self.n_frames - 1}")

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def _filmed(self, brush: Brush, i: int, *, camera_stream: int) -> np.ndarray:
        """Frame i as the camera sees it: with noise that is moved anew for each frame."""
        size = (self.n_frames, 2)
        offsets = self._once("noise", lambda: stream(self.seed, camera_stream).integers(0, NOISE_TILE - SIZE, size))
        x, y = offsets[i]
        return brush.frame(noise_tile(self.scene.camera["noise"]), (int(x), int(y)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}
