"""The parts of a face, from back to front."""

import numpy as np

from .geometry import Band, Layer, Part, blob, soft
from .states import EYE_Y, GLASSES, HAIR_STYLES, HEAD_SHAPES, MOUTH_Y, SWAY

_SKINS = (
    (255, 226, 202),
    (249, 208, 176),
    (238, 188, 146),
    (220, 164, 118),
    (194, 136, 92),
    (160, 106, 70),
    (134, 88, 62),
    (110, 72, 54),
)
_HAIRS = ((44, 38, 46), (104, 66, 46), (186, 84, 44), (238, 196, 112), (172, 172, 182))
_IRISES = ((96, 58, 34), (58, 112, 176), (70, 124, 84), (98, 112, 128))
_SHIRTS = (
    (240, 110, 94),
    (60, 82, 140),
    (40, 152, 146),
    (240, 180, 70),
    (142, 84, 142),
    (244, 240, 234),
    (78, 132, 90),
    (74, 80, 94),
)
_BACKGROUNDS = (
    (170, 212, 240),
    (178, 226, 206),
    (250, 196, 172),
    (206, 194, 240),
    (250, 226, 160),
    (246, 186, 198),
    (138, 204, 212),
    (146, 168, 216),
)
_WHITE, _INK = (255, 255, 255), (48, 34, 40)


def _mix(colour, other, share):
    return tuple(c + (o - c) * share for c, o in zip(colour, other))


def _shaded(colour):
    """The colour in shadow: darker, and warmer because red fades least."""
    return tuple(c * factor for c, factor in zip(colour, (0.82, 0.73, 0.71)))


def face_of(states, i):
    """One clip's states, ready to compute with.

    Args:
        states: dict of arrays, see `faces.make`.
        i: index of the clip.

    Returns:
        dict of floats, ints, float32 curves `(T, 1, 1)`, and "skin_colour", "style" and "hair".
    """
    face = {name: values[i].item() for name, values in states.items() if values.ndim == 1}
    face |= {name: values[i][:, None, None] for name, values in states.items() if values.ndim == 2}
    skin = tuple(c * (1 + face["warmth"] * tint) for c, tint in zip(_SKINS[face["skin"]], (0.6, 0.0, -1.2)))
    face["skin_colour"] = tuple(min(c, 255.0) for c in skin)
    face["style"] = HAIR_STYLES[face["hair_style"]]
    face["hair"] = _HAIRS[face["hair_colour"]]
    return face


def parts(face, size):
    """All parts of a face.

    Args:
        face: dict, see `face_of`.
        size: height and width of the image in px.

    Yields:
        `Part`, from back to front.
    """

    def new_layer(depth, *box):
        x, y = SWAY[depth]
        stretch = 1 + face["mouth_open"] * np.float32(0.05) if depth == "head" else np.float32(1)
        return Layer(size, box, face["sway_x"] * np.float32(x), face["sway_y"] * np.float32(y), stretch)

    yield from _shirt(face, new_layer)
    yield from _back_hair(face, new_layer)
    yield from _neck(face, new_layer)
    yield from _head(face, new_layer)
    yield from _cheeks_and_nose(face, new_layer)
    if face["beard"]:
        yield from _beard(face, new_layer)
    yield from _mouth(face, new_layer)
    for side in (-1, 1):
        yield from _eye(face, new_layer, side)
    yield from _front_hair(face, new_layer)
    for side in (-1, 1):
        yield from _brow(face, new_layer, side)
    if face["glasses"]:
        yield from _glasses(face, new_layer)


def backdrop(face, size):
    """A wall with a spot of light behind the head.

    Args:
        face: dict, see `face_of`.
        size: height and width of the image in px.

    Returns:
        float32 `(3, 1, H, W)`, 0..255.
    """
    still = Layer(size, (-28, -28, 28, 28), *np.zeros((2, 1, 1, 1), np.float32), stretch=np.float32(1))
    wall = _BACKGROUNDS[face["background"]]
    light = _mix(wall, _WHITE, 0.12)
    fade = 1 - soft(blob(still, 0.0, 2.0, 27.0, 27.0), 9.0)
    return np.stack([lit + fade * (unlit - lit) for lit, unlit in zip(light, wall)])


def _shirt(face, new_layer):
    body = new_layer("body", -28, 14, 28, 28)
    colour = _SHIRTS[face["shirt"]]
    shirt = body.fill(blob(body, 0.0, 36.0, face["shoulders"], 14.5, square=0.45))
    yield Part(body, shirt, colour)
    yield Part(body, shirt * soft(-blob(body, -4.0, 36.0, face["shoulders"] - 2, 15.0), 5.0) * 0.5, _shaded(colour))
    body = new_layer("body", -10, 14, 10, 28)
    collar = blob(body, 0.0, 21.5, 8.6, 5.6)
    yield Part(body, body.fill(collar), _mix(_shaded(colour), colour, 0.3))


def _neck(face, new_layer):
    body = new_layer("body", -9, 9, 9, 28)
    skin = face["skin_colour"]
    neck = np.maximum(blob(body, 0.0, 14.0, 6.2, 14.0, 12.0, square=0.8), body.y - 23)
    neck = body.fill(np.minimum(neck, blob(body, 0.0, 21.0, 7.2, 4.6)))
    yield Part(body, neck, _mix(skin, _shaded(skin), 0.25))
    under_chin = soft(blob(body, 0.6, 4.0, 13.0, 16.0, 17.5), 1.6)
    yield Part(body, neck * under_chin * 0.85, _shaded(skin))


def _head_outline(face, layer):
    square, taper, wider, longer = {
        "oval": (0.12, 0.1, 0.0, 0.0),
        "round": (0.16, 0.02, 0.5, -1.0),
        "square": (0.5, 0.06, 0.0, -0.4),
        "heart": (0.1, 0.22, 0.4, 0.4),
    }[HEAD_SHAPES[face["head_shape"]]]
    return blob(layer, 0.0, 0.0, face["head_width"] + wider, face["skull_height"], face["chin_depth"] + longer, square, taper)


def _head(face, new_layer):
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    for side in () if face["style"] in ("bob", "long") else (-1, 1):  # ears, where no hair hides them
        x = side * (face["head_width"] + 0.3)
        layer = new_layer("head", x - 4, -4, x + 4, 8)
        yield Part(layer, layer.fill(blob(layer, x, 2.0, 2.6, 3.9)), _mix(skin, shade, 0.15))
        yield Part(layer, layer.fill(blob(layer, x + side * 0.2, 2.2, 1.3, 2.3)) * 0.7, shade)
    layer = new_layer("head", -18, -22, 18, 23)
    head = layer.fill(_head_outline(face, layer))
    yield Part(layer, head, skin)
    away = 1 - soft(blob(layer, -3.5, -3.0, face["head_width"] + 1, 20.0), 6.0)  # light comes from the upper left
    yield Part(layer, head * away * 0.55, shade)
    layer = new_layer("head", -14, -18, 6, 2)
    yield Part(layer, soft(blob(layer, -4.0, -8.0, 6.0, 5.5), 4.0) * 0.3, _mix(skin, _WHITE, 0.45))


def _cheeks_and_nose(face, new_layer):
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    rosy = _mix(skin, (236, 84, 84), 0.55)
    glow = face["blush"] * (1 + face["smile"])
    for side in (-1, 1):
        lift = face["smile"] * np.float32(-0.8)
        layer = new_layer("near", side * 8.6 - 5, 1, side * 8.6 + 5, 13)
        yield Part(layer, soft(blob(layer, side * 8.6, 7.2 + lift, 2.6, 1.9), 1.9) * glow, rosy)
    layer = new_layer("near", -5, -4, 5, 12)
    length, width = face["nose_length"], face["nose_width"]
    yield Part(layer, soft(blob(layer, 0.9, length - 3.5, 1.2, 4.2), 1.1) * 0.32, shade)
    yield Part(layer, soft(blob(layer, -0.5, length - 1.6, 0.9, 1.3), 0.9) * 0.45, _mix(skin, _WHITE, 0.3))
    under = Band(layer, 0.0, length - 0.2, width, -0.5, 0.5, bend=0.9)
    yield Part(layer, under.coverage() * 0.9, _mix(shade, (120, 40, 40), 0.22), under)


def _beard(face, new_layer):
    layer = new_layer("head", -17, -1, 17, 23)
    colour = _mix(face["hair"], _INK, 0.12)
    inside = _head_outline(face, layer) - 0.7
    cheeks = blob(layer, 0.0, -3.0, face["head_width"] - 1.8, 20.0, 12.2)
    beard = layer.fill(np.maximum(np.maximum(inside, -cheeks), 1.0 - layer.y))
    yield Part(layer, beard, colour)
    chin = layer.fill(blob(layer, 0.0, 12.4, 7.0, 5.2, 7.0, square=0.3)) * layer.fill(inside)
    yield Part(layer, chin, colour)
    yield Part(layer, beard * soft(blob(layer, -4.0, 11.0, 6.0, 7.0), 4.0) * 0.25, _mix(colour, _WHITE, 0.35))


def _mouth(face, new_layer):
    layer = new_layer("near", -10, 5, 10, 22)
    skin, smile, opened, rounding = face["skin_colour"], face["smile"], face["mouth_open"], face["rounding"]
    bend = face["mood"] + smile * np.float32(2.2)
    y = np.float32(MOUTH_Y) - bend * np.float32(0.55)
    width = face["mouth_width"] * (1 + np.float32(0.3) * smile - np.float32(0.46) * rounding)
    upper = opened * (-0.6 - np.float32(1.3) * rounding + np.float32(0.5) * smile) - 0.32
    lower = opened * (2.7 + np.float32(0.6) * rounding) + 0.32
    gape = lower - upper - 0.64
    lips = _mix(skin, (210, 66, 84), 0.5)
    lip = face["lip_height"]

    def band(top, bottom, narrow=1.0):
        return Band(layer, 0.0, y, width * np.float32(narrow), top, bottom, bend=bend)

    inside = band(upper, lower)
    for part, colour in (
        (band(upper - lip * 0.75, upper + 0.1), _mix(lips, _shaded(lips), 0.45)),
        (band(lower - 0.1, lower + lip), lips),
        (inside, _mix(_shaded(_shaded(lips)), (70, 16, 30), 0.75)),
    ):
        yield Part(layer, part.coverage(), colour, part)
    tongue = band(lower - gape * np.float32(0.42), lower - gape * np.float32(0.02), 0.66)
    yield Part(layer, tongue.coverage(), (222, 98, 104), tongue)
    teeth = band(upper + 0.2, upper + 0.2 + gape * np.float32(0.36), 0.88)
    yield Part(layer, teeth.coverage(), (252, 248, 242), teeth)


def _eye(face, new_layer, side):
    x, up, low = side * face["eye_spacing"], face["eye_height"], face["eye_height"] * 0.72
    layer = new_layer("near", x - 6, -6, x + 6, 6)
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    floor = low * (1 - np.float32(0.55) * face["smile"])  # cheeks push the lower lid up
    lid = floor - face["eye_open"] * (up + floor)  # the upper lid; it meets the lower one where the eye is shut

    def band(top, bottom, wider=0.0):
        return Band(layer, x, EYE_Y, face["eye_width"] + wider, top, bottom)

    eyelid, white, lash = band(np.minimum(-up - 0.7, lid), lid), band(lid, floor), band(lid - 0.75, lid + 0.3, 0.35)
    yield Part(layer, eyelid.coverage() * 0.8, _mix(skin, shade, 0.55), eyelid)
    opening = white.coverage()
    yield Part(layer, opening, (247, 243, 241))
    iris = _IRISES[face["eye_colour"]]
    middle = x + face["gaze"]
    iris_size = face["iris_size"]
    yield Part(layer, opening * layer.fill(blob(layer, middle, EYE_Y - 0.1, iris_size, iris_size)), iris)
    yield Part(layer, opening * layer.fill(blob(layer, middle, EYE_Y - 0.1, 1.15, 1.15)), (24, 18, 24))
    shadow = band(lid, lid + 1.0)
    yield Part(layer, opening * shadow.coverage() * 0.3, _INK)
    yield Part(layer, opening * layer.fill(blob(layer, middle - 0.7, EYE_Y - 0.95, 0.7, 0.7)), _WHITE)
    yield Part(layer, lash.coverage() * 0.95, _mix(_INK, face["hair"], 0.2), lash)


def _brow(face, new_layer, side):
    x = side * (face["eye_spacing"] + 0.2)
    layer = new_layer("near", x - 6, -13, x + 6, 0)
    y = EYE_Y - face["brow_height"] - face["brow_raise"] * np.float32(2.7)
    thick = face["brow_thickness"]
    brow = Band(layer, x, y, 3.9, -thick, thick, bend=-1.1, tilt=side * face["brow_tilt"])
    colour = _mix(_mix(face["hair"], _INK, 0.45), face["skin_colour"], 0.1)
    yield Part(layer, brow.coverage(), colour, brow)


def _glasses(face, new_layer):
    layer = new_layer("near", -18, -6, 18, 9)
    frame = _mix(_INK, _SHIRTS[(face["shirt"] + 3) % 8], 0.25)
    spacing = face["eye_spacing"] + 0.1
    width, square = (4.9, 0.0) if GLASSES[face["glasses"]] == "round" else (5.2, 0.75)
    for side in (-1, 1):
        lens = blob(layer, side * spacing, 1.0, width, width - 0.5, square=square)
        yield Part(layer, layer.fill(lens) * 0.14, _WHITE)
        yield Part(layer, layer.fill(lens - 0.45) - layer.fill(lens + 0.45), frame)
        edge, temple = spacing + width, face["head_width"]
        arm = Band(layer, side * (edge + temple) * 0.5, 0.2, max(temple - edge, 0.0) * 0.5 + 0.9, -0.5, 0.5)
        yield Part(layer, arm.coverage(), frame, arm)
    bridge = Band(layer, 0.0, 0.4, spacing - width + 0.6, -0.5, 0.5, bend=-0.6)
    yield Part(layer, bridge.coverage(), frame, bridge)


# Hair ----------------------------------------------------------------------------------------------------------------

_CURLS = (  # x, y and radius of the locks around a curly head
    (0, -20, 6.5),
    (-8, -18, 6.5),
    (8, -18, 6.5),
    (-14, -12.5, 6.2),
    (14, -12.5, 6.2),
    (-17, -5, 5.8),
    (17, -5, 5.8),
    (-17, 2.5, 5.2),
    (17, 2.5, 5.2),
)


def _back_hair(face, new_layer):
    """What hangs or stands behind the head: bob, long hair, curls, a bun."""
    style, colour, volume, wide, high = (face[name] for name in ("style", "hair", "hair_volume", "head_width", "skull_height"))
    layer = new_layer("behind", *((-7, -28, 7, 4 - high) if style == "bun" else (-26, -28, 26, 28)))
    if style == "bob":
        shape = blob(layer, 0.0, -2.0, wide + 1.6 + volume, high + volume, 19.0, square=0.3, taper=-0.16)
        shape = np.maximum(shape, layer.y - 14.5 - volume)
    elif style == "long":
        shape = blob(layer, 0.0, -1.0, wide + 2.6 + volume, high + 1.0 + volume, 20.0)
        for side in (-1, 1):
            shape = np.minimum(shape, blob(layer, side * (wide - 1.4 + volume), 12.0, 5.2, 17.0, 15.0))
    elif style == "curly":
        shape = _curls(layer, 1 + 0.1 * volume)
    elif style == "bun":
        shape = blob(layer, 0.0, -high - 2.6 - volume, 4.8 + volume, 4.2 + volume)
    else:
        return
    hair = layer.fill(shape)
    yield Part(layer, hair, _mix(colour, _INK, 0.3))
    if style == "curly":
        yield Part(layer, hair * soft(_curls(layer, 1 + 0.1 * volume, 0.9) + 2.6, 1.6), colour)
    elif style == "bun":
        yield Part(layer, hair * soft(blob(layer, -1.0, -high - 3.8 - volume, 3.0, 2.4), 2.2), colour)
    else:
        yield Part(layer, hair * soft(shape + 3.0, 2.0) * 0.6, colour)


def _curls(layer, scale, lift=0.0):
    """Signed distance to the locks of a curly head, moved by `lift` towards the light."""
    shape = None
    for x, y, radius in _CURLS:
        dx, dy = layer.x - (x * scale - lift), layer.y - (y * scale - lift)
        lock = np.sqrt(dx * dx + dy * dy) - radius * scale
        shape = lock if shape is None else np.minimum(shape, lock, out=shape)
    return shape


def _front_hair(face, new_layer):
    """The cap of hair over the skull, with a hole where the face shows; and the shadow that it throws on the forehead."""
    style, colour, volume = face["style"], face["hair"], face["hair_volume"]
    if style == "bald":
        layer = new_layer("hair", -12, -20, 2, -8)
        yield Part(layer, soft(blob(layer, -5.0, -14.0, 3.0, 1.6), 1.8) * 0.45, _mix(face["skin_colour"], _WHITE, 0.6))
        return
    thick, cut = {"short": (0.6, 0.0), "bob": (1.4, 12.0), "long": (1.5, 16.0), "curly": (1.2, 1.0), "bun": (0.6, -0.5)}[style]
    layer = new_layer("hair", -20, -28, 20, cut + 4)
    up = face["skull_height"] + 1.2 + 1.4 * volume
    outline = blob(layer, 0.0, 0.0, face["head_width"] + thick, up, max(cut * 1.3, 18.0), square=0.2)
    if style == "short":
        outline = np.minimum(outline, blob(layer, 0.5 * face["parting"], -up + 4.0, 10.0, 5.5 + volume, 6.0, square=0.2))
    hair = np.maximum(np.maximum(outline, -_hairline(face, layer)), layer.y - cut)
    shadow = soft(hair - 0.9, 1.3) * layer.fill(_head_outline(face, layer))
    yield Part(layer, shadow * 0.4, _shaded(_shaded(face["skin_colour"])))
    cover = layer.fill(hair)
    yield Part(layer, cover, colour)
    if style == "curly":
        return
    yield Part(layer, cover * soft(-blob(layer, -2.0, 2.0, face["head_width"], up + 1.0), 4.0) * 0.35, _mix(colour, _INK, 0.5))
    layer = new_layer("hair", -13, -28, 9, -8)
    shine = Band(layer, -2.0, 5.5 - up, 9.5, -0.9, 0.9, bend=-2.2)
    yield Part(layer, shine.coverage() * 0.4, _mix(colour, _WHITE, 0.5), shine)


def _hairline(face, layer):
    """Signed distance to the part of the face that hair leaves free."""
    style, wide, part = face["style"], face["head_width"], face["parting"]
    if style == "bob":
        return blob(layer, 0.0, 6.0, wide - 1.9, 13.2 + 2.5 * face["fringe"], 22.0, square=0.75)
    top = {"short": 17.0, "long": 19.5, "curly": 16.5, "bun": 19.5}[style] - 2.5 * face["fringe"]
    if style == "curly" or style == "bun":
        return blob(layer, 0.0, 5.0, wide - 0.6, top, 22.0, square=0.3)
    reach = wide - (0.5 if style == "short" else 1.6)
    lean = 0.45 * part
    left = blob(layer, lean - 1.5, 5.0, reach + 1.5 + 0.4 * lean, top, 24.0)
    right = blob(layer, lean + 1.5, 5.0, reach + 1.5 - 0.4 * lean, top, 24.0)
    return np.maximum(left, right)
