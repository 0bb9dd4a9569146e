"""What an event is: a function that takes the stage of one moment and a cue, and changes the stage. This module holds
the cue and the small helpers that events share; the events themselves are in `crimes` and `benign`."""

from dataclasses import dataclass

from data_prep.toy_world.palette import COLOURS, Colour, tone
from data_prep.toy_world.street.figures import Actor


@dataclass(frozen=True)
class Cue:
    """`t`: seconds since the event began; `u`: its progress, 0-1; `roll`: eight uniform numbers that vary the event."""

    t: float
    u: float
    roll: tuple[float, ...]


def face(a: Actor, b: Actor):
    """Turn both towards one another."""
    a.facing = 1 if b.x > a.x else -1
    b.facing = -a.facing


def prop_colour(cue: Cue, light: str) -> Colour:
    """Colour of an event's own object (umbrella, box, ball)."""
    names = ("red", "orange", "yellow", "green", "blue", "purple")
    return tone(COLOURS[names[int(cue.roll[7] * len(names))]], light)
