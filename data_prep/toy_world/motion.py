"""How things move: along x between keyframes, and from one pose into another. Knows nothing of what moves."""

from typing import Any, NamedTuple, TypeVar

PoseType = TypeVar("PoseType", bound=tuple)


class Track(NamedTuple):
    """Smooth movement along x: keyframe seconds and places (frame units)."""

    times: tuple[float, ...]
    places: tuple[float, ...]

    def at(self, t: float) -> tuple[float, float, float]:
        """Place, speed (units/s, signed) and way travelled since the first keyframe."""
        way = 0.0
        if t <= self.times[0]:
            return self.places[0], 0.0, way
        for t0, t1, x0, x1 in zip(self.times, self.times[1:], self.places, self.places[1:], strict=False):
            if t < t1:
                u = (t - t0) / (t1 - t0)
                s = u * u * (3 - 2 * u)
                return x0 + (x1 - x0) * s, (x1 - x0) * 6 * u * (1 - u) / (t1 - t0), way + abs(x1 - x0) * s
            way += abs(x1 - x0)
        return self.places[-1], 0.0, way


def blend(a: PoseType, b: PoseType, share: float) -> PoseType:
    """`share` of pose `b` in pose `a`, 0-1; poses are named tuples of numbers and of tuples of numbers."""

    def mixed(p: Any, q: Any) -> Any:
        return tuple(map(mixed, p, q)) if isinstance(p, tuple) else p + (q - p) * share

    return type(a)(*map(mixed, a, b))
