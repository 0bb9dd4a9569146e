"""Which marks belong to which action, and where: `before` draws what lies behind the animal, `after` what lies in front
of it. Both take the actor and the named places of its drawing (mouth, top, feet) in frame units."""

import math
from dataclasses import dataclass

from data_prep.toy_world.brush import SIZE, Brush
from data_prep.toy_world.effects import dust, impact
from data_prep.toy_world.palette import COLOURS
from data_prep.toy_world.wildlife import marks as m
from data_prep.toy_world.wildlife.actions import Moment
from data_prep.toy_world.wildlife.pose import Pose
from data_prep.toy_world.wildlife.species import Species

Places = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Actor:
    """One animal at one moment. `x`, `y`: its middle on the ground line; `k`: frame units of one own unit; `facing`:
    +1 right, -1 left, between while it turns; `grow`: size of the action's food or water, 0-1; `surface`: y of the
    water's surface."""

    species: Species
    x: float
    y: float
    k: float
    facing: float
    pose: Pose
    action: str
    at: Moment
    grow: float
    surface: float

    @property
    def side(self) -> int:
        return 1 if self.facing > 0 else -1


def shadow(brush: Brush, a: Actor):
    """On the ground under it; smaller and paler the higher it is."""
    if a.at.medium not in ("ground", "air"):
        return
    high = max(0.0, a.pose.lift) * a.k
    half = a.species.width * 0.42 * a.k * (1 - min(0.5, high / 260))
    brush.oval(a.x, a.y + 1, half, max(2.5, half * 0.12), (0, 0, 0, 90 if high < 60 else 56))


def before(brush: Brush, a: Actor, places: Places):
    """What lies behind the animal: only blossoms."""
    if a.action == "Eating" and a.species.food == "flower":
        colour = COLOURS[("red", "purple", "white", "yellow")[int(a.at.roll[0] * 4)]]
        x, y = places["mouth"]
        m.flower(brush, x + a.side * 9 * a.k, y - 6 * a.k, a.y, 1.6 * a.k, colour, a.grow)


def after(brush: Brush, a: Actor, places: Places):
    """What lies in front of the animal."""
    if a.action in SIGNS and a.grow > 0.05:
        SIGNS[a.action](brush, a, *places["mouth"])
    if a.action == "Sleeping" and a.grow > 0.5:
        x, y = places["top"]
        m.zzz(brush, min(max(x + 3 * a.side, 44), SIZE - 44), y, a.side, 0.8 * min(1.2, max(0.8, a.k)), a.at.t)
    if a.action == "Shaking Head":
        (x, y), (x2, y2) = places["top"], places["mouth"]
        m.shaking(brush, (x + x2) / 2, (y + y2) / 2, 0.95 * a.k, a.at.t)
    if a.at.medium == "surface":
        m.ripples(brush, a.x, a.surface, a.k, 0.8 * a.at.t)


def _eating(brush, a, x, y):
    k, f, t, g, food = a.k, a.side, a.at.t, a.grow, a.species.food
    if food == "grass":
        m.tuft(brush, x + f * 3, a.y + 3, k, t, g)
    elif food == "branch":
        m.branch(brush, x, y + 2, f, k, t, g)
    elif food == "sprig":
        m.sprig(brush, x, y, 0.95 * k, g)
        m.crumbs(brush, x, y + 4, 0.8 * k, t, m.GRASS)
    elif food == "meat":
        m.carcass(brush, x + f * 8 * k, a.y + 3, k, t, g)
    elif food == "fish" and a.species.name == "eagle":
        m.fish(brush, x + f * 3 * k, a.y - 2, f, 1.5 * k, grow=g)
        m.crumbs(brush, x, y, 0.7 * k, t, m.MEAT)
    elif food == "fish":
        m.fish(brush, x + f * 2 * k, y, -f, 1.35 * k, turn=-72 if a.species.name == "penguin" else -8, grow=g)
    elif food == "mouse":
        m.mouse(brush, x - f * 2, y - 2, f, 1.5 * k, g)
    elif food == "fly":
        tip = (x + f * 30 * k * g, y - 16 * k * g)
        brush.line([(x - f * 8 * k, y - 3 * k), (x + f * 12 * k, y - 2 * k), tip], (120, 30, 50), 3.6 * k)
        brush.line([(x - f * 8 * k, y - 3 * k), (x + f * 12 * k, y - 2 * k), tip], (236, 110, 130), 2.2 * k)
        m.fly(brush, *tip, 1.6 * k, t)
    elif food == "shrimps":
        m.shrimps(brush, x, a.y + 2, k, t, g)


def _drinking(brush, a, x, y):
    ahead = 22 if a.species.name == "butterfly" else 3
    m.puddle(brush, x + a.side * ahead * a.k, max(y, a.y - 5) + 3, a.k, a.at.t, a.grow)


def _running(brush, a, x, y):
    back = a.x - a.side * 40 * a.k
    m.puffs(brush, a.x - a.side * 26 * a.k, a.y, a.side, a.k, a.at.t)
    m.speed_lines(brush, back, a.y - 44 * a.k, -a.side, 0, 0.85 * a.k, a.at.t, gap=12)


def _calling(brush, a, x, y):
    m.sound(brush, x - a.side * 2, y, a.side, 0.95 * a.k, a.at.t)


def _attacking(brush, a, x, y):
    wide = a.species.width * a.k
    impact(x + a.side * 12 * a.k, y - 2, 15 * a.k, a.at.t).paint(brush)
    high = min(a.y - 22 * a.k, (a.y + y) / 2) if a.at.medium == "ground" else y
    m.speed_lines(brush, a.x - a.side * 0.42 * wide, high, -a.side, 0, 0.9 * a.k, a.at.t, gap=11)


def _jumping(brush, a, x, y):
    if a.at.medium == "water":
        m.splash(brush, a.x - a.side * 20 * a.k, a.surface, 1.15 * a.k, a.at.t)
        return
    for side in (-1, 1):
        m.speed_lines(
            brush, a.x + side * 0.2 * a.species.width * a.k, a.y - 5 * a.k, 0, -1, 0.55 * a.k, a.at.t, n=2, gap=10
        )


def _digging(brush, a, x, y):
    m.earth(brush, a.x + a.side * 0.5 * a.species.width * a.k, a.y + 3, a.side, a.k, a.at.t)


def _rolling(brush, a, x, y):
    wide = a.species.width * a.k
    if a.at.medium == "ground":
        dust(a.x, a.y + 2, 0.42 * wide, a.at.t).paint(brush)
    middle = a.y - (a.pose.lift + (24 if a.at.medium == "ground" else 0 if a.species.name == "shark" else 20)) * a.k
    m.whirl(brush, a.x, middle, 0.6 * wide, max(0.36 * wide, 34 * a.k), a.side, a.at.t)


def _flapping(brush, a, x, y):
    m.beats(brush, a.x - a.side * 6 * a.k, a.y - 42 * a.k, 62 * a.k, 58 * a.k, a.at.t)


def _diving(brush, a, x, y):
    tail = 0.5 * a.species.width * a.k
    if a.at.medium == "water":
        m.splash(brush, a.x - a.side * 0.5 * tail, a.surface, 0.95 * a.k, a.at.t)
        m.bubbles(brush, a.x - a.side * 0.7 * tail, a.surface + 26, a.k, a.at.t, rise=24)
        return
    middle = a.y - (a.pose.lift + 40) * a.k
    way = math.sqrt(0.5)
    m.speed_lines(brush, a.x - a.side * tail * 0.8, middle - tail * 0.8, -a.side * way, -way, a.k, a.at.t, gap=11)


def _swimming(brush, a, x, y):
    if a.at.medium == "water":
        m.bubbles(brush, x + a.side * 3, y - 4, 0.9 * a.k, a.at.t, n=4, rise=26)


SIGNS = {
    "Eating": _eating,
    "Drinking": _drinking,
    "Running": _running,
    "Calling": _calling,
    "Hissing": _calling,
    "Attacking": _attacking,
    "Jumping": _jumping,
    "Digging": _digging,
    "Rolling": _rolling,
    "Flapping": _flapping,
    "Diving": _diving,
    "Swimming": _swimming,
}
