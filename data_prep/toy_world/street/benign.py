"""The harmless events: the same mechanism as the crimes, for training and for captions. They show, in other
combinations, the elements that crimes are made of: raised and straight arms, kneeling, lying, running, held things,
flashes, a crouching animal."""

import math

from data_prep.toy_world.effects import Effect, dust, light, smoke, sprite
from data_prep.toy_world.palette import COLOURS, Colour, tone
from data_prep.toy_world.street.poses import Pose, arms_up, kneel, lie, run, sit
from data_prep.toy_world.street.scene import Cue, Stage, face


def prop_colour(cue: Cue, light: str) -> Colour:
    """Colour of an event's own object (umbrella, box, ball)."""
    names = ("red", "orange", "yellow", "green", "blue", "purple")
    return tone(COLOURS[names[int(cue.roll[7] * len(names))]], light)


def _actor(stage: Stage, cue: Cue):
    """One of the two who meet, and the other."""
    a, b = stage.actors["hat"], stage.actors["bag"]
    face(a, b)
    return (a, b) if cue.roll[6] < 0.5 else (b, a)


def wave(stage: Stage, cue: Cue):
    for actor in _actor(stage, cue):
        actor.pose = Pose(arm1=(150, 168 + 26 * math.sin(11 * cue.t + actor.x)), arm2=(-8, 4))


def jump(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    lift = 20 + 8 * math.sin(9 * cue.t + cue.roll[0] * 6)
    a.pose = Pose(arm1=(130, 160), arm2=(-130, -160), leg1=(46, -30), leg2=(-40, -70), lift=lift)


def hug(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    middle = (a.x + b.x) / 2
    for actor in (a, b):
        actor.x = middle - actor.facing * (6 + 0.6 * math.sin(5 * cue.t))
        actor.pose = Pose(lean=5, arm1=(78, 108), arm2=(60, 92), leg1=(6, 2), leg2=(-8, -10))


def sits(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    a.pose = sit(5 * cue.t)


def umbrella(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    colour, x = prop_colour(cue, stage.scene.light), a.x + a.facing * 8
    a.pose = Pose(arm1=(50, 160), arm2=(-8, 2))
    top = a.y - a.size - 18 + 1.5 * math.sin(5 * cue.t)

    def paint(brush):
        brush.line([(x, top), (x, a.y - 34)], (60, 50, 44), 1.6)
        edge = [(x + 28 * math.cos(k * math.pi / 8), top + 17 - 19 * math.sin(k * math.pi / 8)) for k in range(9)]
        brush.poly(edge, colour)
        brush.poly([(x - 8, top + 17), (x, top - 2), (x + 8, top + 17)], tuple(int(c * 0.8) for c in colour))

    stage.effects.append(sprite("umbrella", (x - 28, top - 2, x + 28, top + 18), paint, a.y + 1))


def ball(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    colour, u = prop_colour(cue, stage.scene.light), 0.5 + 0.5 * math.sin(5 * cue.t + cue.roll[0] * 6)
    for actor in (a, b):
        actor.x -= actor.facing * 12
        actor.pose = Pose(arm1=(92, 128), arm2=(84, 120), leg1=(10, 4), leg2=(-12, -14))
    x, y = a.x + a.facing * 14 + (b.x - a.x - a.facing * 28) * u, a.y - 54 - 22 * math.sin(math.pi * u)

    def paint(brush):
        brush.disc(x, y, 8, colour)
        brush.disc(x - 2.5, y - 2.5, 2.6, (255, 255, 255, 150))

    stage.effects.append(sprite("ball", (x - 8, y - 8, x + 8, y + 8), paint))


def photo(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    a.x -= a.facing * 12
    a.pose = Pose(arm1=(72, 128), arm2=(66, 122), leg1=(8, 4), leg2=(-6, -8))
    a.extras = (*a.extras, "camera")
    b.pose = Pose(arm1=(20, 8), arm2=(-150, -170 + 6 * math.sin(6 * cue.t)))
    x, y = a.x + a.facing * 15, a.y - 50
    stage.effects.append(light(x, y, 34 + 3 * math.sin(19 * cue.t), (255, 255, 255), 1.3, core=6, name="flash"))
    stage.washes.append(((255, 255, 255), 0.14))


def falls(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    a.x -= a.facing * 12
    a.y += 4
    a.pose = lie(6 * cue.t)
    b.pose = Pose(arm1=(26, 120), arm2=(-24, 100), leg1=(5, 0), leg2=(-5, -5))


def gives_box(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    colour, s = prop_colour(cue, stage.scene.light), math.sin(6 * cue.t)
    for actor in (a, b):
        actor.pose = Pose(lean=6, arm1=(58, 86 + 4 * s), arm2=(50, 82 + 4 * s), leg1=(8, 2), leg2=(-10, -12))
    x, y = (a.x + b.x) / 2 + 2 * s, a.y - 33

    def paint(brush):
        brush.rect(x - 11, y - 9, x + 11, y + 9, colour)
        brush.rect(x - 2, y - 9, x + 2, y + 9, (250, 246, 232))
        brush.rect(x - 11, y - 2, x + 11, y + 1, (250, 246, 232))

    stage.effects.append(sprite("box", (x - 11, y - 9, x + 11, y + 9), paint))


def dance(stage: Stage, cue: Cue):
    for k, actor in enumerate(_actor(stage, cue)):
        actor.x -= actor.facing * 5
        s = math.sin(8 * cue.t + k * 1.2)
        actor.pose = arms_up(8 * cue.t + k)._replace(
            leg1=(24 + 22 * s, 4 - 20 * s), leg2=(-14, -8), lean=7 * s, lift=3 + 3 * abs(s)
        )


def kite(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    colour = prop_colour(cue, stage.scene.light)
    x, y = 150 + 30 * cue.roll[0] + 6 * math.sin(3 * cue.t), 36 + 4 * math.sin(4 * cue.t)
    a.facing = 1
    a.pose = Pose(arm1=(128, 140), arm2=(100, 130), lean=-6)

    def paint(brush):
        brush.line([(a.x + 14, a.y - 54), (x, y + 18)], (240, 240, 236), 1.0)
        brush.poly([(x, y - 20), (x + 15, y), (x, y + 22), (x - 15, y)], colour)
        brush.line([(x, y - 20), (x, y + 22)], (250, 246, 232), 1.4)
        brush.line([(x - 15, y), (x + 15, y)], (250, 246, 232), 1.4)
        for k in range(3):
            brush.disc(x - 5 - 5 * k, y + 26 + 5 * k, 2.4, colour)

    stage.effects.append(sprite("kite", (x - 15, y - 20, x + 15, y + 22), paint))


def animal_jumps(stage: Stage, cue: Cue):
    animal = stage.actors["animal"]
    animal.action, animal.lift = "jump", 22 + 9 * math.sin(10 * cue.t + cue.roll[0] * 6)


def animal_crouches(stage: Stage, cue: Cue):
    """The animal crouches to play; a person kneels before it and holds out a hand."""
    animal, (a, _) = stage.actors["animal"], _actor(stage, cue)
    face(a, animal)
    a.x, a.y = animal.x - a.facing * 30, animal.y - 2
    a.pose = kneel(14)._replace(arm1=(60 + 8 * math.sin(6 * cue.t), 74))
    animal.action = "cower"


def bird(stage: Stage, cue: Cue):
    side = 1 if cue.roll[0] < 0.5 else -1
    x, y = 112 + side * (44 * cue.t - 50), 62 + 24 * cue.roll[1]
    flap = 13 * math.sin(13 * cue.t)

    def paint(brush):
        c = (244, 244, 240) if stage.scene.light == "night" else (34, 34, 40)
        brush.oval(x, y, 15, 5.5, c)
        brush.disc(x + side * 15, y - 3, 5, c)
        brush.poly([(x + side * 19, y - 4), (x + side * 26, y - 2), (x + side * 19, y)], (240, 160, 40))
        brush.poly([(x - 8, y), (x + 7, y), (x - side * 4, y - 16 - flap)], c)
        brush.poly([(x - side * 13, y - 2), (x - side * 25, y - 6), (x - side * 24, y + 4)], c)

    stage.effects.append(sprite("bird", (x - 25, y - 18, x + 25, y + 6), paint))


def lightning(stage: Stage, cue: Cue):
    x = 150 + 30 * cue.roll[0]
    shift = 4 * math.sin(23 * cue.t)
    bolt = [(x, 0), (x - 12 + shift, 34), (x + 4, 34), (x - 14 - shift, 70), (x + 2, 66), (x - 10, 106)]

    def paint(brush):
        brush.glow(x - 4, 40, 60, (226, 220, 255), 0.9)
        brush.line(bolt, (255, 255, 255), 4.2)
        brush.line(bolt, (255, 246, 150), 2.2)

    stage.effects.append(Effect("lightning", 1, (x - 16, 0, x + 6, 106), paint))
    stage.washes.append(((210, 210, 255), 0.2))


def fireworks(stage: Stage, cue: Cue):
    for k in range(3):
        x, y = 142 + 28 * k + 8 * cue.roll[k], 28 + 26 * cue.roll[k + 3]
        r = 17 + 8 * ((cue.t * 1.3 + k / 3) % 1)
        colour = ((255, 90, 120), (110, 255, 150), (120, 180, 255), (255, 230, 110))[int(4 * cue.roll[7] + k) % 4]

        def paint(brush, x=x, y=y, r=r, colour=colour):
            for j in range(12):
                angle = j * math.pi / 6
                dx, dy = math.cos(angle), math.sin(angle)
                brush.line([(x + dx * r * 0.35, y + dy * r * 0.35), (x + dx * r, y + dy * r)], colour, 1.8)
                brush.disc(x + dx * r, y + dy * r, 1.8, (255, 255, 240))

        stage.effects.append(Effect("fireworks", 1, (x - r, y - r, x + r, y + r), paint))


def car_lights(stage: Stage, cue: Cue):
    car = stage.actors["parked_car"]
    strength = 1.0 + 0.2 * math.sin(14 * cue.t)
    stage.effects += [
        light(car.x + 37, car.y - 15, 24, (255, 226, 140), strength, core=4, name="headlight"),
        light(car.x - 37, car.y - 15, 22, (255, 170, 50), strength, core=4, name="rear light"),
    ]


def door_opens(stage: Stage, cue: Cue):
    x, top, base = (stage.scene.house[name] for name in ("door", "door_top", "base"))
    swing = 5 + 2 * math.sin(3 * cue.t + cue.roll[0] * 6)

    def paint(brush):
        brush.rect(x, top, x + 26, base, (255, 232, 150))
        brush.poly([(x, base), (x + 26, base), (x + 36, base + 10), (x - 8, base + 10)], (255, 240, 180, 120))
        brush.poly([(x, top), (x - swing * 2, top + 4), (x - swing * 2, base + 6), (x, base)], (92, 66, 46))

    stage.effects.append(Effect("door", 118, (x - swing * 2, top, x + 26, base + 6), paint))


def balloon(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    colour = prop_colour(cue, stage.scene.light)
    x, y = a.x + a.facing * 16 + 3 * math.sin(3 * cue.t), a.y - 86 - 9 * math.sin(2 * cue.t)
    a.pose = Pose(arm1=(120, 150), arm2=(-8, 0))

    def paint(brush):
        brush.line([(a.x + a.facing * 14, a.y - 54), (x, y + 16)], (235, 235, 235), 0.9)
        brush.oval(x, y, 13, 16, colour)
        brush.oval(x - 4, y - 5, 3, 5, (255, 255, 255, 140))

    stage.effects.append(sprite("balloon", (x - 13, y - 16, x + 13, y + 16), paint))


def ties_shoe(stage: Stage, cue: Cue):
    a, _ = _actor(stage, cue)
    a.pose = kneel(36 + 3 * math.sin(6 * cue.t))._replace(arm1=(40, 26), arm2=(30, 18))


def points(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    a.x -= a.facing * 8
    a.pose = Pose(arm1=(92 + 3 * math.sin(6 * cue.t), 92), arm2=(-10, 0), leg1=(14, 6), leg2=(-12, -16))
    b.pose = Pose(arm1=(40, 140), arm2=(-8, 0))


def runs_with_flag(stage: Stage, cue: Cue):
    a, b = _actor(stage, cue)
    side = a.facing = 1 if a.x > b.x else -1
    a.x += side * (4 + 12 * cue.t)
    a.pose = run(15 * cue.t + cue.roll[0] * 6)._replace(arm1=(110, 130))
    a.extras, a.style = (*a.extras, "flag"), {**a.style, "prop": prop_colour(cue, stage.scene.light)}
    b.facing = side


def sweeps(stage: Stage, cue: Cue):
    """Somebody sweeps the square with a broom and raises dust."""
    a, _ = _actor(stage, cue)
    s = math.sin(6 * cue.t + cue.roll[0] * 6)
    a.pose = Pose(lean=14, arm1=(52 + 8 * s, 70), arm2=(40 + 8 * s, 52), leg1=(12, 4), leg2=(-14, -18))
    tip = (a.x + a.facing * (25 + 5 * s), a.y)

    def paint(brush):
        brush.limb([(a.x + a.facing * 8, a.y - 48), tip], (130, 90, 50), 2.6)
        brush.poly([(tip[0] - 7, tip[1] + 2), (tip[0] + 7, tip[1] + 2), (tip[0], tip[1] - 11)], (222, 186, 84))

    stage.effects += [
        dust(tip[0] + a.facing * 8, a.y + 1, 10, cue.t),
        sprite("broom", (tip[0] - 7, a.y - 48, tip[0] + 7, a.y + 2), paint),
    ]


def chimney(stage: Stage, cue: Cue):
    """Pale smoke from the roof of the house."""
    house = stage.scene.house
    x = house["left"] + 60 + 60 * cue.roll[0]
    stage.effects.append(smoke(x, house["top"] - 2, 46, cue.t, depth=2, shade=(240, 240, 240), spread=1.1))


BENIGN = {
    "wave": wave,
    "jump": jump,
    "hug": hug,
    "sit": sits,
    "umbrella": umbrella,
    "ball": ball,
    "photo": photo,
    "fall": falls,
    "box": gives_box,
    "dance": dance,
    "kite": kite,
    "animal_jump": animal_jumps,
    "animal_crouch": animal_crouches,
    "bird": bird,
    "lightning": lightning,
    "fireworks": fireworks,
    "car_lights": car_lights,
    "door": door_opens,
    "balloon": balloon,
    "tie_shoe": ties_shoe,
    "point": points,
    "run_flag": runs_with_flag,
    "sweep": sweeps,
    "chimney": chimney,
}
