"""What animals do, at one moment: `pose_of` gives the pose, for states and brief actions alike. Each motion takes the
species, its own pose for the action and the `Moment`; what an action adds to the picture is in `signs`."""

import math
from dataclasses import dataclass

from data_prep.toy_world.wildlife.pose import Pose, gallop, walk
from data_prep.toy_world.wildlife.species import Species

# Brief actions that an animal does where it swims or flies; the others set their own height.
FLOATING = ("Attacking", "Calling", "Rolling", "Diving", "Shaking Head")


@dataclass(frozen=True)
class Moment:
    """`t`: seconds (of the clip in a state, of the action in a brief one); `u`: progress of a brief action, 0-1; `way`:
    travelled so far, `level`: height of the medium, `surface`: of the water, all in own units above the ground line;
    `medium`: where the animal is; `roll`: uniform numbers that vary the action."""

    t: float
    u: float
    way: float
    level: float
    surface: float
    medium: str
    roll: tuple[float, ...]


def pose_of(species: Species, action: str, at: Moment) -> Pose:
    """The pose of `species` doing `action`."""
    pose = species.pose(action)
    if at.medium in ("air", "water") and action in FLOATING:
        base = species.pose("Flying" if at.medium == "air" else "Swimming")
        keep = {
            name: getattr(base, name)
            for name in ("stretch", "wing", "wind")
            if name not in species.poses.get(action, {})
        }
        pose = pose._replace(**keep)
    if action in ("Swimming", "Flying") or action in FLOATING:
        pose = pose._replace(lift=pose.lift + at.level)
    return MOTIONS[action](species, pose, at)


def _phase(species: Species, way: float) -> float:
    return way * math.pi / (2 * species.stride)


def walking(s, pose, at):
    phase = _phase(s, at.way)
    if s.name == "penguin":
        pose = pose._replace(tilt=12 * math.sin(phase), flap=24)
    if s.name == "eagle":
        pose = pose._replace(tilt=6 * math.sin(phase), neck=pose.neck + 8 * math.cos(phase))
    high = {"flamingo": 12, "giraffe": 9, "penguin": 6, "turtle": 4, "eagle": 9}.get(s.name, 7)
    return pose._replace(feet=walk(phase, s.stride, high), head=pose.head + 2 * math.sin(2 * phase))


def running(s, pose, at):
    phase = _phase(s, at.way) / 2.4
    feet = gallop(phase, 2.4 * s.stride, 13)
    return pose._replace(
        feet=feet, tilt=4 * math.sin(phase), lift=3 + 3 * math.sin(phase + 1), neck=pose.neck + 8, tail=1
    )


def moving(s, pose, at):
    return pose._replace(wave=-15 * at.way / 112)


def eating(s, pose, at):
    chew = 0.5 + 0.5 * math.sin(8 * at.t)
    if s.food == "fly":
        return pose
    if at.medium == "water" and s.name != "turtle":
        pose = pose._replace(stretch=s.pose("Swimming").stretch, lift=pose.lift + at.level, wave=5 * at.t)
    if s.name == "butterfly":
        return pose._replace(wing=pose.wing - 0.15 * chew)
    return pose._replace(jaw=0.25 + max(pose.jaw, 0.55) * 0.75 * chew, neck=pose.neck + 2.5 * math.sin(4 * at.t))


def drinking(s, pose, at):
    return pose._replace(neck=pose.neck + 1.5 * math.sin(4 * at.t), wave=2.0)


def sleeping(s, pose, at):
    return pose._replace(sink=pose.sink + 0.8 * math.sin(1.6 * at.t))


def keeping_still(s, pose, at):
    if s.name == "shark":
        return pose._replace(lift=31)
    return pose


def swimming(s, pose, at):
    t = at.t
    if s.name == "frog":
        pose = pose._replace(stretch=0.62 + 0.38 * math.sin(5 * t))
    flap = 34 * math.sin(4.5 * t) + (8 if s.name == "turtle" else 0)
    feet = walk(5 * t, 14, 12)
    return pose._replace(
        flap=flap,
        feet=feet if at.medium == "surface" else pose.feet,
        wave=5 * t,
        lift=pose.lift + 2 * math.sin(2 * t),
        tilt=pose.tilt + 2 * math.sin(1.3 * t),
    )


def flying(s, pose, at):
    if s.name == "butterfly":
        return pose._replace(wing=0.62 + 0.38 * math.sin(15 * at.t), lift=pose.lift + 4 * math.sin(3 * at.t))
    return pose._replace(flap=18 + 44 * math.sin(8 * at.t), lift=pose.lift - 3 * math.sin(8 * at.t))


def jumping(s, pose, at):
    if at.medium == "water":
        top = at.surface + (16 if s.name == "shark" else -16) + 8 * math.sin(math.pi * at.u)
        return pose._replace(lift=top, tilt=40 if s.name == "shark" else 30, stretch=s.pose("Swimming").stretch)
    high = {"giraffe": 15, "frog": 26}.get(s.name, 24)
    return pose._replace(lift=high * (0.8 + 0.2 * math.sin(math.pi * at.u)) + 1.5 * math.sin(9 * at.t))


def attacking(s, pose, at):
    return pose._replace(ahead=8 + 4 * math.sin(11 * at.t), wave=7 * at.t, flap=pose.flap + 6 * math.sin(13 * at.t))


def calling(s, pose, at):
    if at.medium == "air":
        pose = flying(s, pose, at)
    if at.medium == "surface":
        pose = swimming(s, pose, at)
    if at.medium == "water":
        pose = pose._replace(lift=at.surface - 18, stretch=0.3)
    return pose._replace(
        jaw=0.0 if s.name == "frog" else 0.85 + 0.15 * math.sin(12 * at.t),
        puff=pose.puff * (0.92 + 0.08 * math.sin(12 * at.t)),
    )


def digging(s, pose, at):
    scrape = 14 * at.t
    fore = tuple((10 + 11 * math.cos(scrape + k), 5 + 5 * math.sin(scrape + k)) for k in (0, 2.6))
    if s.name == "frog":
        fore = tuple((5 * math.cos(scrape + k), 3 + 3 * math.sin(scrape + k)) for k in (0, 2.6))
    return pose._replace(feet=(*pose.feet[:2], *fore), tail=math.sin(6 * at.t))


def rolling(s, pose, at):
    return pose._replace(roll=172 + 16 * math.sin(6 * at.t + 6 * at.roll[0]), wave=7 * at.t, wing=pose.wing)


def flapping(s, pose, at):
    if s.name == "butterfly":
        return pose._replace(wing=0.66 + 0.34 * math.sin(16 * at.t))
    return pose._replace(flap=38 + 34 * math.sin(13 * at.t))


def diving(s, pose, at):
    if at.medium == "water":
        return pose._replace(tilt=-48, lift=at.surface - 34, wave=8 * at.t, flap=-40 + 6 * math.sin(9 * at.t))
    wing = 0.2 if s.name == "butterfly" else 0.55
    return pose._replace(tilt=-46, wing=wing, flap=24, lift=at.level - 4 + 2 * math.sin(9 * at.t))


def shaking_head(s, pose, at):
    if at.medium == "surface":
        pose = swimming(s, pose, at)
    swing = math.sin(26 * at.t)
    return pose._replace(head=pose.head + 20 * swing, neck=pose.neck + 5 * swing, flap=pose.flap + 14 * swing)


MOTIONS = {
    "Walking": walking,
    "Running": running,
    "Moving": moving,
    "Eating": eating,
    "Drinking": drinking,
    "Sleeping": sleeping,
    "Keeping still": keeping_still,
    "Swimming": swimming,
    "Flying": flying,
    "Jumping": jumping,
    "Attacking": attacking,
    "Calling": calling,
    "Hissing": calling,
    "Digging": digging,
    "Rolling": rolling,
    "Flapping": flapping,
    "Diving": diving,
    "Shaking Head": shaking_head,
}
