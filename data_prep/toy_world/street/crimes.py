"""The ten crime-like events. Each function changes a stage that the scene has already set: it moves the two people who
meet, the guard, the animal or the cars into a picture that names the event from one frame, and keeps it moving.
`cue.t` is seconds since the event began, `cue.roll` eight uniform numbers of the event's own stream."""

import math

from data_prep.toy_world.effects import Effect, beam, dust, fireball, flames, impact, light, shards, smoke
from data_prep.toy_world.street.poses import Pose, lie, on_knees, run, stagger
from data_prep.toy_world.street.scene import Cue, Stage, face


def fighting(stage: Stage, cue: Cue):
    """Both strike at one another, legs wide, in a cloud of dust."""
    a, b = stage.actors["hat"], stage.actors["bag"]
    face(a, b)
    middle = (a.x + b.x) / 2
    for k, actor in enumerate((a, b)):
        actor.x = middle - actor.facing * (18 + 1.5 * math.sin(11 * cue.t + k))
        s = math.sin(14 * cue.t + k * math.pi)
        actor.pose = Pose(
            lean=16, arm1=(98 + 16 * s, 104 + 20 * s), arm2=(82 - 22 * s, 112 - 20 * s), leg1=(38, 14), leg2=(-38, -46)
        )
    stage.effects += [dust(middle, a.y + 1, 34, cue.t), impact(middle, a.y - 44, 12, cue.t)]


def assault(stage: Stage, cue: Cue):
    """One lies on the ground, the other stands over them, fist raised, and kicks."""
    a, b = stage.actors["hat"], stage.actors["bag"]
    face(a, b)
    s = math.sin(9 * cue.t + cue.roll[0] * 6)
    b.x += a.facing * 15
    b.y += 5
    b.pose = lie(5 * cue.t)._replace(arm1=(150, 170))
    a.x = b.x - a.facing * 26
    a.pose = Pose(
        lean=20, arm1=(150 + 16 * s, 176 + 12 * s), arm2=(-70, -40), leg1=(58 + 12 * s, 40 + 16 * s), leg2=(-14, -18)
    )
    stage.effects.append(impact(b.x - a.facing * 7, b.y - 10, 11, cue.t, colour=(255, 250, 240), edge=(206, 30, 36)))


def abuse(stage: Stage, cue: Cue):
    """The person with the hat beats the cowering animal with a stick."""
    a, animal = stage.actors["hat"], stage.actors["animal"]
    face(a, animal)
    s = math.sin(10 * cue.t + cue.roll[0] * 6)
    a.x = animal.x - a.facing * 25
    a.y = animal.y - 3
    a.pose = Pose(lean=34, arm1=(118 + 34 * s, 132 + 38 * s), arm2=(40, 70), leg1=(26, 12), leg2=(-26, -34))
    a.extras = ("stick",)
    animal.action, animal.facing = "cower", a.facing
    animal.x += math.sin(30 * cue.t)
    stage.effects.append(impact(animal.x - a.facing * 4, animal.y - 17, 9, cue.t))


def arrest(stage: Stage, cue: Cue):
    """The guard holds the kneeling person, hands behind the back, in flashing lights."""
    guard, b, car = stage.actors["guard"], stage.actors["bag"], stage.actors["parked_car"]
    face(guard, b)
    s = math.sin(6 * cue.t + cue.roll[0] * 6)
    guard.x = b.x - guard.facing * 19
    guard.pose = Pose(lean=24 + 2 * s, arm1=(62 + 4 * s, 58), arm2=(52, 44 + 4 * s), leg1=(26, 6), leg2=(-24, -30))
    b.facing, b.pose, b.y = guard.facing, on_knees()._replace(lean=16 + 3 * s), b.y + 3
    a = stage.actors["hat"]
    a.pose = Pose(arm1=(146, 178 + 4 * s), arm2=(-146, -178 + 4 * s), leg1=(9, 4), leg2=(-9, -6))
    top, blue = car.y - 36, (60, 110, 255)
    red = (255, 60, 60)
    first, second = (blue, red) if int(cue.t * 6) % 2 else (red, blue)
    stage.effects += [
        light(car.x - 9, top, 24, first, 1.0, core=5, name="beacon"),
        light(car.x + 8, top, 24, second, 1.0, core=5, name="beacon"),
    ]


def arson(stage: Stage, cue: Cue):
    """A person with a torch at the house; flames and dark smoke climb the wall."""
    a, house = stage.actors["hat"], stage.scene.house
    fire = house["left"] + 30 + cue.roll[0] * (house["right"] - house["left"] - 60)
    side = 1 if a.x > fire else -1
    a.x, a.y, a.facing = fire + side * 40, 150, -side
    a.pose = Pose(lean=12, arm1=(78 + 6 * math.sin(8 * cue.t), 92), arm2=(-12, 0), leg1=(22, 6), leg2=(-20, -26))
    a.extras = ("torch",)
    size = 0.8 + 0.35 * cue.u
    stage.effects += [
        smoke(fire, 86, 86, cue.t, depth=125, spread=1.35),
        flames(fire, 138, 46 * size, 62 * size, cue.t + 9 * cue.roll[1], depth=138),
    ]


def burglary(stage: Stage, cue: Cue):
    """A person climbs into the dark opening of the broken window."""
    a, x = stage.actors["hat"], stage.scene.house["window"]
    side = 1 if cue.roll[0] < 0.5 else -1
    s = math.sin(7 * cue.t)
    a.x, a.y, a.size, a.facing = x + 24 - side * 13 + 1.5 * s, 124, 56, side
    a.pose = Pose(
        lean=52 + 3 * s, arm1=(96, 110 + 6 * s), arm2=(70, 92), leg1=(104 + 4 * s, 34), leg2=(-8, -14 + 8 * s), lift=3
    )

    def opening(brush):
        brush.rect(x - 1, 69, x + 49, 108, (8, 8, 14))
        for px, py, tip in ((2, 69, 18), (13, 69, 9), (27, 69, 15), (40, 69, 21), (47, 69, 10)):
            brush.poly([(x + px - 5, py), (x + px + 5, py), (x + px, py + tip)], (214, 238, 248))
        for px, tip in ((4, 10), (38, 13), (46, 8)):
            brush.poly([(x + px - 4, 108), (x + px + 4, 108), (x + px, 108 - tip)], (214, 238, 248))

    stage.effects += [
        Effect("window", 120, (x, 70, x + 48, 107), opening),
        shards(x + 24, 130, 30, cue.t, cue.roll, depth=128, count=10),
    ]


def explosion(stage: Stage, cue: Cue):
    """A fireball with debris at the kerb or on the square; its light covers everything."""
    car = stage.actors["parked_car"]
    x, y = (car.x, car.y - 28) if cue.roll[3] < 0.5 else (60 + 100 * cue.roll[4], 150)
    radius = 46 + 16 * (1 - math.exp(-4 * cue.t)) + 2 * math.sin(17 * cue.t)
    stage.effects.append(fireball(x, y, radius, cue.t, cue.roll))
    stage.washes.append(((255, 150, 60), 0.26))


def robbery(stage: Stage, cue: Cue):
    """A masked person runs off with the bag; its owner reaches after them."""
    a, b = stage.actors["hat"], stage.actors["bag"]
    side = 1 if a.x > b.x else -1
    a.facing, b.facing = side, side
    a.x += side * (11 + 12 * cue.t)
    b.x += side * 3 * cue.t
    phase = 15 * cue.t + cue.roll[0] * 6
    a.pose = run(phase)._replace(arm1=(112, 128 + 6 * math.sin(phase)))
    a.extras, a.style = ("mask", "loot"), {**a.style, "loot": b.style["bag"]}
    s = math.sin(8 * cue.t)
    b.pose = Pose(lean=26, arm1=(94 + 5 * s, 100), arm2=(80 - 5 * s, 92), leg1=(36, 10), leg2=(-30, -42))
    b.extras = ()
    trail = ((a.x + b.x) / 2 - side * 2, a.y - 16)
    stage.effects.append(shards(*trail, 24, cue.t, cue.roll, depth=a.y + 2, count=11, name="papers"))


def road_accident(stage: Stage, cue: Cue):
    """The second car has run into the parked one: both tilted, glass, smoke."""
    car, parked = stage.actors["car"], stage.actors["parked_car"]
    jolt = math.exp(-3 * cue.t) * math.sin(26 * cue.t)
    parked.x += 5
    car.x = parked.x - 57
    car.tilt, car.lift, parked.tilt, parked.lift = 21 + 3 * jolt, 9, -7 - 2 * jolt, 2
    hit = (car.x + 30, car.y - 30)
    stage.effects += [
        smoke(hit[0] - 2, hit[1] + 4, 66, cue.t, depth=245, shade=(226, 226, 226), spread=0.9),
        impact(*hit, 15, cue.t, colour=(255, 255, 244), edge=(255, 190, 60)),
        shards(hit[0], hit[1] + 16, 40, cue.t, cue.roll),
    ]


def shooting(stage: Stage, cue: Cue):
    """A straight arm with a gun, a muzzle flash, a tracer; the other falls back."""
    a, b = stage.actors["hat"], stage.actors["bag"]
    face(a, b)
    a.x -= a.facing * 14
    b.x += a.facing * 10
    s = math.sin(12 * cue.t)
    a.pose = Pose(lean=-3, arm1=(91 + 2 * s, 91 + 2 * s), arm2=(70, 96), leg1=(20, 8), leg2=(-20, -24))
    a.extras = ("gun",)
    b.pose = stagger(9 * cue.t)
    muzzle = (a.x + a.facing * 31, a.y - 45)
    stage.effects += [
        beam(muzzle, (b.x + a.facing * 4, muzzle[1] + 4), (255, 244, 150), 1.8, name="tracer"),
        light(*muzzle, 20, (255, 226, 120), 0.9, core=3, name="flash"),
        impact(*muzzle, 11 + 1.5 * s, cue.t, colour=(255, 255, 236), edge=(255, 186, 40)),
    ]


CRIMES = {
    "Abuse": abuse,
    "Arrest": arrest,
    "Arson": arson,
    "Assault": assault,
    "Burglary": burglary,
    "Explosion": explosion,
    "Fighting": fighting,
    "RoadAccidents": road_accident,
    "Robbery": robbery,
    "Shooting": shooting,
}
