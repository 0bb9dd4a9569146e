"""The part of a scene that never moves: sky, house, street, tree, lamp. Painted once a clip, twice as large as the
frame; light and weather tone it. Its only randomness is the TEXTURE stream."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.toy_world.brush import SCALE, SIZE, Brush
from data_prep.toy_world.palette import COLOURS, GREY_SKY, LIGHT, WALLS, mix, tone
from data_prep.toy_world.street.scene import Scene
from data_prep.toy_world.timing import TEXTURE, stream

HORIZON = 112


def paint_backdrop(scene: Scene) -> Image.Image:
    """RGB image of (SIZE·SCALE)² pixels."""
    rng = stream(scene.seed, TEXTURE)
    grey = scene.weather != "clear"
    top, low = GREY_SKY[scene.light] if grey else LIGHT[scene.light].sky
    rows = np.linspace(0, 1, HORIZON * SCALE)[:, None]
    sky = np.array(top) + (np.array(low) - np.array(top)) * rows
    pixels = np.zeros((SIZE * SCALE, SIZE * SCALE, 3), np.uint8)
    pixels[: HORIZON * SCALE] = sky[:, None]
    canvas = Image.fromarray(pixels)
    brush = Brush(canvas, mirrored=scene.mirrored)
    _sky(brush, scene, rng, grey)
    _ground(brush, scene, rng)
    if scene.props["tree"]:
        _tree(brush, scene, rng)
    _house(brush, scene)
    if scene.props["bench"]:
        _bench(brush, scene)
    _lamp(brush, scene)
    _caption(canvas, scene)
    return canvas


def _sky(brush, scene, rng, grey):
    if scene.light == "night":
        if not grey:
            for x, y in rng.uniform((0, 0), (SIZE, 80), (40, 2)):
                brush.disc(x, y, 0.6, (200, 206, 226))
        brush.disc(196, 26, 9, (226, 226, 206) if not grey else (96, 100, 112))
    elif not grey:
        brush.glow(190, 30 if scene.light == "day" else 84, 40, (255, 240, 200), 0.8)
        brush.disc(190, 30 if scene.light == "day" else 84, 9, (255, 246, 214))
    shade = mix(LIGHT[scene.light].sky[1], (255, 255, 255) if not grey else (120, 124, 132), 0.45)
    for x, y in rng.uniform((-10, 8), (SIZE, 50), (6 if grey else 3, 2)):
        for k in range(4):
            brush.oval(x + 9 * k, y + 3 * (k % 2), 14, 5.5, (*shade, 120 if scene.light != "night" else 40))
    far = mix(tone((136, 146, 160), scene.light, "scenery"), LIGHT[scene.light].sky[1], 0.4)
    for k, height in enumerate(scene.props["skyline"]):
        brush.rect(118 + 16 * k, HORIZON - 10 - height, 133 + 16 * k, HORIZON, far)


def _ground(brush, scene, rng):
    snow = scene.weather == "snow"
    plaza = tone((226, 230, 234) if snow else (186, 178, 164), scene.light, "scenery")
    for k in range(16):
        y0 = HORIZON + (176 - HORIZON) * k / 16
        brush.rect(0, y0, SIZE, y0 + 5, mix(plaza, (0, 0, 0), 0.14 * (1 - k / 16)))
    joint = mix(plaza, (0, 0, 0), 0.13)
    for y in (127, 137, 150, 166):
        brush.line([(0, y), (SIZE, y)], joint, 0.6)
    for x in range(-160, 400, 26):
        brush.line([(112 + (x - 112) * 0.55, HORIZON + 10), (x, 176)], joint, 0.6)
    kerb = tone((206, 204, 198), scene.light, "scenery")
    brush.rect(0, 175, SIZE, 179, kerb)
    road = tone((150, 154, 160) if snow else (92, 94, 100), scene.light, "scenery")
    brush.rect(0, 179, SIZE, SIZE, road)
    for x, y in rng.uniform((0, 180), (SIZE, SIZE), (70, 2)):
        brush.oval(x, y, 2.5, 0.7, mix(road, (0, 0, 0), 0.12))
    for x in range(-10, SIZE, 40):
        brush.rect(x, 215, x + 20, 217.5, tone((232, 226, 200), scene.light, "scenery"))


def _house(brush, scene):
    h = scene.house
    wall = tone(WALLS[scene.wall], scene.light, "scenery")
    left, right, top, base = h["left"], h["right"], h["top"], h["base"]
    brush.poly([(left, base), (right, base), (right + 20, base + 7), (left, base + 7)], (0, 0, 0, 50))
    brush.rect(left, top, right, base, wall)
    for y in np.arange(top + 6, base, 6):
        brush.line([(left, y), (right, y)], mix(wall, (0, 0, 0), 0.07), 0.7)
    brush.rect(right - 8, top, right, base, mix(wall, (0, 0, 0), 0.18))
    brush.rect(left - 3, top - 6, right + 3, top + 2, mix(wall, (40, 34, 34), 0.55))
    if scene.weather == "snow":
        brush.rect(left - 3, top - 8, right + 3, top - 4, tone((240, 242, 246), scene.light, "scenery"))
    glass = (236, 206, 124) if scene.light == "night" else tone((150, 186, 208), scene.light, "scenery")
    trim = tone((238, 234, 226), scene.light, "scenery")
    gap = (right - left - 12) / h["upper"]
    for k in range(h["upper"]):
        x = left + 8 + gap * (k + 0.5)
        dark = scene.light == "night" and (scene.seed + k) % 3 == 0
        _pane(brush, x - 8, top + 12, x + 8, top + 32, (36, 42, 62) if dark else glass, trim)
    _pane(brush, h["window"], 70, h["window"] + 48, 107, glass, trim)
    _door(brush, scene, trim)


def _pane(brush, x0, y0, x1, y1, glass, trim):
    brush.rect(x0 - 2, y0 - 2, x1 + 2, y1 + 2, trim)
    brush.rect(x0, y0, x1, y1, glass)
    brush.poly(
        [(x0 + 3, y1 - 2), (x0 + (x1 - x0) * 0.45, y0 + 2), (x0 + (x1 - x0) * 0.62, y0 + 2), (x0 + 10, y1 - 2)],
        (255, 255, 255, 46),
    )
    brush.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], trim, 1.5)
    brush.line([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], trim, 1.5)


def _door(brush, scene, trim):
    x, top, base = scene.house["door"], scene.house["door_top"], scene.house["base"]
    paint = tone(COLOURS[scene.props["door"]], scene.light, "scenery")
    brush.rect(x - 2, top - 2, x + 28, base, trim)
    brush.rect(x, top, x + 26, base, mix(paint, (0, 0, 0), 0.12))
    brush.rect(x + 4, top + 5, x + 22, top + 29, mix(paint, (0, 0, 0), 0.3))
    brush.rect(x + 4, top + 35, x + 22, base - 5, mix(paint, (0, 0, 0), 0.3))
    brush.disc(x + 23, 94, 1.4, (222, 196, 110))


def _tree(brush, scene, rng):
    trunk = tone((110, 78, 52), scene.light, "scenery")
    crown = tone((224, 230, 234) if scene.weather == "snow" else (74, 132, 66), scene.light, "scenery")
    brush.limb([(176, 128), (175, 84)], trunk, 7)
    for k, (x, y) in enumerate(rng.normal((175, 66), (12, 11), (14, 2))):
        brush.disc(x, y, 13, mix(crown, (0, 0, 0), 0.22 * (1 - k / 14)))


def _bench(brush, scene):
    wood = tone((150, 104, 62), scene.light, "scenery")
    for y in (124, 129, 136):
        brush.rect(150, y, 192, y + 3, wood)
    for x in (155, 187):
        brush.rect(x, 126, x + 2.5, 145, mix(wood, (0, 0, 0), 0.5))


def _lamp(brush, scene):
    x, steel = scene.props["lamp"], tone((70, 74, 82), scene.light, "scenery")
    brush.limb([(x, 176), (x, 62), (x - 12, 58)], steel, 2.6)
    brush.oval(x - 13, 60, 6, 2.6, (255, 240, 190) if scene.light != "day" else (220, 222, 220))
    if scene.light == "night":
        brush.glow(x - 13, 62, 26, (255, 226, 160), 0.8)
        brush.oval(x - 12, 166, 44, 10, (255, 226, 160, 34))


def _caption(canvas, scene):
    """A camera's burnt-in number; never mirrored."""
    text = f"CAM {scene.camera['number']:02d}"
    font = ImageFont.load_default(17)
    ImageDraw.Draw(canvas).text(
        (10, 6), text, fill=(236, 236, 236), font=font, stroke_width=1, stroke_fill=(30, 30, 30)
    )
