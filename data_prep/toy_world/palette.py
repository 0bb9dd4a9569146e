"""The toy world's colours: the eight names that questions may use, the paints of walls, coats and animals, and how
daylight, dusk and night tone them. Knows nothing about shapes or time."""

from typing import Literal, NamedTuple

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (206, 48, 46),
    "orange": (242, 138, 34),
    "yellow": (246, 214, 60),
    "green": (52, 152, 72),
    "blue": (46, 98, 204),
    "purple": (142, 70, 178),
    "white": (240, 240, 236),
    "black": (40, 40, 46),
}
WALLS: dict[str, Colour] = {
    "red": (178, 92, 78),
    "yellow": (226, 200, 128),
    "green": (128, 174, 122),
    "blue": (112, 150, 202),
    "white": (226, 224, 216),
    "grey": (148, 148, 152),
}
ANIMALS: dict[str, dict[str, Colour]] = {
    "dog": {"brown": (126, 84, 50), "black": (46, 44, 48), "white": (236, 232, 224)},
    "cat": {"orange": (226, 140, 62), "grey": (134, 136, 142)},
}
COATS: tuple[Colour, ...] = ((142, 128, 112), (112, 116, 122), (160, 150, 136), (96, 92, 92), (128, 120, 132))
TROUSERS: tuple[Colour, ...] = ((66, 76, 100), (84, 76, 70), (58, 62, 66), (98, 100, 108), (72, 66, 84))
SKINS: tuple[Colour, ...] = ((244, 208, 178), (222, 176, 138), (184, 132, 96), (132, 90, 64))
HAIRS: tuple[Colour, ...] = ((48, 36, 30), (92, 62, 40), (150, 110, 64), (70, 70, 74))
UNIFORM: Colour = (38, 52, 92)
SIGNAL: Colour = (226, 232, 72)


class Light(NamedTuple):
    """`sky`: from top to horizon; factors on the colours of scenery and of figures (near 1: colours are asked for)."""

    sky: tuple[Colour, Colour]
    scenery: tuple[float, float, float]
    figures: tuple[float, float, float]


LIGHT = {
    "day": Light(sky=((116, 172, 224), (206, 226, 238)), scenery=(1.0, 1.0, 1.0), figures=(1.0, 1.0, 1.0)),
    "dusk": Light(sky=((92, 84, 140), (246, 168, 112)), scenery=(0.9, 0.8, 0.77), figures=(0.97, 0.92, 0.88)),
    "night": Light(sky=((10, 14, 36), (34, 42, 78)), scenery=(0.41, 0.43, 0.52), figures=(0.78, 0.8, 0.88)),
}
GREY_SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((150, 160, 172), (204, 208, 212)),
    "dusk": ((96, 90, 112), (190, 156, 140)),
    "night": ((22, 24, 34), (46, 50, 64)),
}


def tone(colour: Colour, light: str, part: Literal["scenery", "figures"] = "figures") -> Colour:
    """`colour` (RGB, 0-255) under `light` ("day", "dusk", "night") as `part` shows it."""
    factors = LIGHT[light].scenery if part == "scenery" else LIGHT[light].figures
    red, green, blue = (min(255, int(c * f)) for c, f in zip(colour, factors, strict=True))
    return red, green, blue


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of `b` in `a` (0 gives a, 1 gives b), RGB 0-255."""
    red, green, blue = (int(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
