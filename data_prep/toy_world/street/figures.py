"""What can stand in a scene: people, animals, cars. An `Actor` is one of them at one moment (place, pose, what it
holds); it paints itself with a Brush and knows its box. Frame units, before mirroring; no randomness, no time."""

import math
from dataclasses import dataclass, field
from typing import Any

from data_prep.toy_world.brush import Box, Brush, points
from data_prep.toy_world.palette import SIGNAL, mix
from data_prep.toy_world.street.poses import HEAD, Pose, joints

CAR_LENGTH = 78


@dataclass
class Actor:
    """One figure at one moment. `x`: hip or middle; `y`: ground under it; `size`: height of a person, length of others.
    `pose` holds for people, `action` for animals ("walk", "sit", "lie", "cower", "jump"), `tilt` for cars (degrees,
    nose up)."""

    what: str
    x: float
    y: float
    size: float
    facing: int
    style: dict[str, Any]
    pose: Pose = Pose()  # noqa: RUF009 - a named tuple, never written into
    action: str = "walk"
    tilt: float = 0.0
    phase: float = 0.0
    lift: float = 0.0
    extras: tuple[str, ...] = field(default=())

    @property
    def depth(self) -> float:
        """What it is sorted by among figures and effects, back to front."""
        return self.y

    def paint(self, brush: Brush) -> None:
        PAINTERS[self.what](brush, self)

    @property
    def box(self) -> Box:
        """Frame units, before mirroring and clipping."""
        if self.what == "person":
            parts = joints(self.x, self.y, self.size, self.facing, self.pose)
            hx, hy = parts["head"][0]
            r = HEAD * self.size
            xs = [p[0] for v in parts.values() for p in v] + [hx - r, hx + r]
            ys = [p[1] for v in parts.values() for p in v] + [hy - r, hy + r]
            return min(xs) - 2, min(ys) - 1, max(xs) + 2, max(ys) + 2
        if self.what == "car":
            body = _on_car(self, CAR_BODY)
            return min(p[0] for p in body), min(p[1] for p in body), max(p[0] for p in body), self.y + 1
        half = self.size * 0.62
        return self.x - half, self.y - self.lift - self.size * 0.78, self.x + half, self.y - self.lift + 1

    @property
    def head(self) -> Box:
        """A person's head alone, as `box`."""
        (x, y), r = joints(self.x, self.y, self.size, self.facing, self.pose)["head"][0], HEAD * self.size
        return x - r, y - r, x + r, y + r

    @property
    def hat(self) -> Box | None:
        """The hat alone, as `box`; None where none is to be seen."""
        if self.what != "person" or not self.style.get("hat") or "mask" in self.extras:
            return None
        r, parts = HEAD * self.size, joints(self.x, self.y, self.size, self.facing, self.pose)
        brim, crown = _hat(parts["head"][0], parts["trunk"][1], r)
        spots = [(x, y, r * half) for line, half in ((brim, 0.25), (crown, 0.85)) for x, y in line]
        left, top = min(x - half for x, _, half in spots), min(y - half for _, y, half in spots)
        right, base = max(x + half for x, _, half in spots), max(y + half for _, y, half in spots)
        return left, top, right, base


def paint_person(brush: Brush, actor: Actor):
    s, h = actor.style, actor.size
    parts = joints(actor.x, actor.y, h, actor.facing, actor.pose)
    brush.oval(actor.x, actor.y + 0.5, h * 0.24, h * 0.05, (0, 0, 0, 62))
    arm, leg = h * 0.085, h * 0.115
    far = mix(s["shirt"], (0, 0, 0), 0.25)
    _arm(brush, parts["arm2"], far, s["skin"], arm, round_at=parts["arm2"][1:2])
    _leg(brush, parts["leg2"], mix(s["trousers"], (0, 0, 0), 0.25), leg, actor.facing)
    _leg(brush, parts["leg1"], s["trousers"], leg, actor.facing)
    (hx, hy), (sx, sy) = parts["trunk"]
    brush.limb([(hx, hy), (sx + (hx - sx) * 0.08, sy + (hy - sy) * 0.08)], s["shirt"], h * 0.21)
    if s.get("vest"):
        mx, my = (hx + sx) / 2, (hy + sy) / 2
        dx, dy = (sy - hy) * 0.3, (hx - sx) * 0.3
        brush.line([(mx - dx, my - dy), (mx + dx, my + dy)], SIGNAL, h * 0.07)
    if "bag" in actor.extras:
        _bag(brush, hx - actor.facing * h * 0.1, hy + 1, s["bag"], h, strap=(sx, sy))
    _head(brush, actor, parts["head"][0], (sx, sy))
    _arm(brush, parts["arm1"], mix(s["shirt"], (255, 255, 255), 0.08), s["skin"], arm, round_at=parts["arm1"][:2])
    _held(brush, actor, parts)


def _arm(brush, points, sleeve, skin, width, round_at):
    brush.limb(points, sleeve, width, round_at)
    brush.disc(*points[2], width * 0.62, skin)


def _leg(brush, points, colour, width, facing):
    brush.limb(points, colour, width, points[1:2])
    x, y = points[2]
    brush.oval(x + facing * width * 0.4, y + width * 0.1, width * 0.75, width * 0.42, (36, 32, 32))


def _head(brush, actor, centre, shoulder):
    s, r, f = actor.style, HEAD * actor.size, actor.facing
    x, y = centre
    brush.line([shoulder, centre], s["skin"], actor.size * 0.09)
    brush.disc(x, y, r, s["skin"])
    lx, ly = (x - shoulder[0]) / (1.27 * r), (y - shoulder[1]) / (1.27 * r)  # "up" of the head
    brush.oval(x + lx * r * 0.45 - f * r * 0.25, y + ly * r * 0.45, r * 0.95, r * 0.72, s["hair"])
    brush.oval(x + f * r * 0.45, y + r * 0.12, r * 0.52, r * 0.5, s["skin"])
    if "mask" in actor.extras:
        brush.disc(x, y, r * 1.12, (18, 18, 22))
        brush.oval(x + f * r * 0.45, y - r * 0.1, r * 0.5, r * 0.22, (238, 228, 214))
    elif s.get("hat"):
        brim, crown = _hat(centre, shoulder, r)
        brush.limb(brim, s["hat"], r * 0.5)
        brush.limb(crown, s["hat"], r * 1.7)
    elif s.get("vest"):
        ax, ay = x + lx * r * 0.6, y + ly * r * 0.6
        brush.oval(ax, ay, r * 1.05, r * 0.6, s["shirt"])
        brush.limb([(ax, ay + r * 0.15), (ax + f * r * 1.35, ay + r * 0.2)], (20, 24, 40), r * 0.3)


def _hat(centre, shoulder, r) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The middle lines of brim and crown, on a head of radius r."""
    (x, y), (sx, sy) = centre, shoulder
    lx, ly = (x - sx) / (1.27 * r), (y - sy) / (1.27 * r)
    ax, ay = x + lx * r * 0.55, y + ly * r * 0.55
    brim = [(ax + ly * r * 1.9, ay - lx * r * 1.9), (ax - ly * r * 1.9, ay + lx * r * 1.9)]
    return brim, [(ax, ay), (ax + lx * r * 1.3, ay + ly * r * 1.3)]


def _bag(brush, x, y, colour, h, strap=None):
    if strap:
        brush.line([strap, (x, y)], mix(colour, (0, 0, 0), 0.45), h * 0.035)
    w, t = h * 0.155, h * 0.125
    brush.rect(x - w, y - t * 0.6, x + w, y + t * 1.3, colour)
    brush.rect(x - w, y - t * 0.6, x + w, y - t * 0.1, mix(colour, (0, 0, 0), 0.3))


def _held(brush, actor, parts):
    h, f = actor.size, actor.facing
    (ex, ey), (x, y) = parts["arm1"][1], parts["arm1"][2]
    length = math.hypot(x - ex, y - ey) or 1.0
    dx, dy = (x - ex) / length, (y - ey) / length
    if "stick" in actor.extras:
        brush.limb(
            [(x - dx * 2, y - dy * 2), (x + (dx * 0.8 + f * 0.5) * h * 0.4, y + dy * h * 0.4)], (112, 72, 40), 3.4
        )
    if "gun" in actor.extras:
        brush.limb([(x, y), (x + dx * h * 0.16, y + dy * h * 0.16)], (22, 22, 26), 4.2)
        brush.limb([(x + dx, y), (x, y + h * 0.07)], (22, 22, 26), 3)
    if "torch" in actor.extras:
        brush.limb([(x, y), (x + dx * h * 0.2, y + dy * h * 0.2 - 2)], (96, 62, 36), 3)
        brush.star(x + dx * h * 0.26, y + dy * h * 0.26 - 5, 7, (255, 150, 30), spikes=5, turn=-1.57)
    if "loot" in actor.extras:
        _bag(brush, x + dx * 3, y + dy * 3, actor.style["loot"], h * 1.25)
    if "camera" in actor.extras:
        brush.rect(x - 4, y - 4, x + 4, y + 3, (24, 24, 28))
    if "flag" in actor.extras:
        brush.limb([(x, y + 4), (x, y - 24)], (112, 72, 40), 1.6)
        brush.poly([(x, y - 24), (x - f * 24, y - 17), (x, y - 9)], actor.style["prop"])


def paint_animal(brush: Brush, actor: Actor):
    """Dog or cat."""
    L, f, c = actor.size, actor.facing, actor.style["coat"]
    dark, y, x = mix(c, (0, 0, 0), 0.3), actor.y - actor.lift, actor.x
    brush.oval(x, actor.y + 0.5, L * 0.5, L * 0.07, (0, 0, 0, 60))
    low = {"lie": 0.12, "cower": 0.16, "sit": 0.3, "walk": 0.36, "jump": 0.4}[actor.action]
    rear = (x - f * L * 0.3, y - L * (0.16 if actor.action == "sit" else low))
    fore = (x + f * L * 0.22, y - L * (0.46 if actor.action in ("sit", "jump") else low))
    swing = math.sin(actor.phase) * L * 0.13 if actor.action == "walk" else 0.0
    if actor.action in ("walk", "jump", "sit"):
        for k, (px, py) in enumerate((rear, rear, fore, fore)):
            s = swing * (1 if k in (0, 3) else -1)
            brush.limb(
                [(px, py), (px + s + (f * 3 if actor.action == "jump" else 0), y - 1)], dark if k % 2 else c, L * 0.1
            )
    brush.limb([rear, fore], c, L * 0.3)
    down = 0.1 if actor.action == "cower" else 0.0
    head = (fore[0] + f * L * 0.2, fore[1] - L * (0.2 - 2.2 * down))
    cat = actor.style["species"] == "cat"
    tail_x, tail_y = rear[0] - f * L * 0.22, rear[1]
    wag = math.sin(actor.phase * 2) * L * 0.06
    if cat:
        brush.limb([rear, (tail_x, tail_y - L * 0.2), (tail_x - f * 2 + wag, tail_y - L * 0.55)], c, L * 0.08)
    else:
        brush.limb([rear, (tail_x - f * L * 0.06, tail_y - L * (0.26 if not down else -0.08) + wag)], c, L * 0.08)
    r = L * 0.17
    brush.disc(*head, r, c)
    if cat:
        for side in (-0.75, 0.55):
            ex = head[0] + side * r
            brush.poly(
                [(ex - r * 0.4, head[1] - r * 0.5), (ex, head[1] - r * 1.75), (ex + r * 0.4, head[1] - r * 0.5)], c
            )
    else:
        brush.limb([head, (head[0] + f * r * 1.35, head[1] + r * 0.3)], c, r * 0.95)
        brush.disc(head[0] + f * r * 1.8, head[1] + r * 0.1, r * 0.28, (20, 18, 18))
        brush.oval(head[0] - f * r * 0.5, head[1] + r * 0.25, r * 0.42, r * 0.85, dark)
    brush.disc(head[0] + f * r * 0.45, head[1] - r * 0.25, r * 0.2, (16, 16, 16) if c[0] > 70 else (230, 220, 160))


CAR_BODY = points("-38,-7 -38,-17 -34,-20 -21,-21 -12,-32 13,-32 23,-21 35,-18 39,-13 39,-7")
CAR_GLASS = (((-18, -21), (-11, -29.5), (-0.5, -29.5), (-0.5, -21)), ((2, -21), (2, -29.5), (12, -29.5), (19, -21)))
CAR_SILL = ((-38, -12), (39, -12), (39, -7), (-38, -7))


def _on_car(actor, points) -> list[tuple[float, float]]:
    """Points of the drawing of a car (middle of its ground line at 0, 0; it looks right) → frame units."""
    angle, scale = math.radians(-actor.tilt * actor.facing), actor.size / CAR_LENGTH
    cos, sin, x, y = math.cos(angle) * scale, math.sin(angle) * scale, actor.x, actor.y - actor.lift
    return [(x + px * actor.facing * cos - py * sin, y + px * actor.facing * sin + py * cos) for px, py in points]


def paint_car(brush: Brush, actor: Actor):
    """Side view."""
    s = actor.style
    brush.oval(actor.x, actor.y, actor.size * 0.52, 3.4, (0, 0, 0, 80))
    brush.poly(_on_car(actor, CAR_BODY), s["paint"])
    brush.poly(_on_car(actor, CAR_SILL), mix(s["paint"], (0, 0, 0), 0.3))
    for pane in CAR_GLASS:
        brush.poly(_on_car(actor, pane), s["glass"])
    rear_wheel, front_wheel, front_light, rear_light = _on_car(actor, ((-23, -7), (23, -7), (36.5, -15), (-36.5, -15)))
    for x, y in (rear_wheel, front_wheel):
        brush.disc(x, y, 7.5, (26, 26, 28))
        brush.disc(x, y, 3.6, (150, 152, 156))
    brush.disc(*front_light, 2.4, (252, 240, 190))
    brush.disc(*rear_light, 2.2, (190, 40, 36))


PAINTERS = {"person": paint_person, "animal": paint_animal, "car": paint_car}
