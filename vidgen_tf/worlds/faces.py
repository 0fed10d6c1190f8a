"""Drawn faces whose expression changes: every face is a list of numbers, nobody's portrait.

A face is drawn from back to front as parts on layers. A layer is a sheet that moves over time; a part lies still on its layer
(hair, ears, glasses) or is a band between two arcs that bends and opens (lips, lids, brows). Both maps from a face's own
coordinates to pixels are closed formulas, so the optical flow is exact.

Lengths of a face are in 56ths of the picture's width, from the picture's centre, x to the right and y down, whatever its size.
"""

import dataclasses
import sys

import numpy as np

from ..errors import check_whole
from . import LabelledClips, uniforms

FPS = 8
EXPRESSIONS = ("neutral", "smile", "surprise", "blink", "talk")
HAIR_STYLES = ("bald", "short", "bob", "long", "curly", "bun")
HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
HEAD_SHAPES = ("oval", "round", "square", "heart")
GLASSES = ("none", "round", "square")
BEARDS = ("none", "beard")
_UNITS = 56  # lengths of a face that make the picture's width


def make(count, *, seed, start=0, size=64, frames=16, grey=False):
    """Draws clips of faces that keep still, smile, look surprised, blink or talk.

    The faces are aligned as aligned photographs are: the head sways by about a pixel in 64, the eyes stay where they are.

    Args:
        count: how many clips, from 1.
        seed: non-negative int; clip i of a seed is always the same clip.
        start: index of the first clip.
        size: height and width in pixels, from 16; the same faces at every size.
        frames: frames per clip, from 1, at 8 frames per second; the expression has changed by frame 12.
        grey: one channel of luma instead of RGB.

    Returns:
        LabelledClips with uint8 frames `(count, frames, size, size, 1 or 3)`. Its `states`, all with first axis `count`:

        - int64 `(N,)`: `expression`, `hair_style`, `hair_colour`, `head_shape`, `glasses`, `beard` (indices into this
          module's tuples), `skin` (0 light to 7 dark), `eye_colour` (0..3), `shirt`, `background` (0..7);
        - float32 `(N, T)`: `mouth_open` and `smile` in 0..1, `rounding` of the lips in 0..1, `eye_open` (0 shut, 1 open, above 1
          wide open), `brow_raise` in 0..1, `sway_x` and `sway_y` of the head in 56ths of the width;
        - float32 `(N, T, 2)`: where `left_eye`, `right_eye` (left and right in the picture), `nose` and `mouth` are, (x, y)
          in pixels, (0, 0) being the middle of the first pixel;
        - float32 `(N,)`: the lengths that make a face its own (`head_width`, `eye_spacing`, `lip_height`, ...).

    Raises:
        CourseError: an argument is below its lowest value or no int.
    """
    check_whole(16, size=size)
    check_whole(1, frames=frames)
    states = _states(dict(zip(_CHANCE, uniforms(seed, start, count, len(_CHANCE)).T)), frames, size)
    pictures = np.empty((count, frames, size, size, 1 if grey else 3), np.uint8)
    for i in range(count):  # one clip's planes fit the cache, a block of clips would not
        face = _face(states, i)
        rgb = _paint(_parts(face, size), _backdrop(face, size), frames)
        pictures[i] = _luma(rgb) if grey else rgb
    english, chinese = _captions(states)
    return LabelledClips(pictures, english, chinese, states, sys.modules[__name__], FPS)


def optical_flow(clips):
    """Exact forward flow: the front-most part that covers at least half of a pixel decides where it goes.

    Args:
        clips: LabelledClips of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in pixels per frame; 0 where the background shows.
    """
    count, frames, size = clips.frames.shape[:3]
    flow = np.zeros((count, max(frames - 1, 0), size, size, 2), np.float32)
    for i in range(count if frames > 1 else 0):
        for part in _parts(_face(clips.states, i), size):
            rows, columns = part.layer.window
            for axis, step in enumerate((part.band or part.layer).step()):
                np.copyto(flow[i, :, rows, columns, axis], step, where=part.cover[:-1] >= 0.5)
    return flow


# What a face is: chance becomes states -------------------------------------------------------------------------------

# One uniform per clip for each: adding a name changes every face, so the datasets' checksums would have to be made again.
_LENGTHS = {  # name: lowest and highest value
    "head_width": (13.7, 15.4),
    "skull_height": (18.2, 19.6),
    "chin_depth": (17.2, 19.4),
    "eye_spacing": (6.4, 7.3),
    "eye_width": (3.2, 3.9),
    "eye_height": (2.5, 3.2),
    "iris_size": (2.1, 2.5),
    "gaze": (-0.5, 0.5),
    "brow_height": (5.2, 6.3),
    "brow_thickness": (0.5, 1.05),
    "brow_tilt": (-0.12, 0.14),
    "nose_width": (1.5, 2.5),
    "nose_length": (6.0, 7.4),
    "mouth_width": (4.8, 6.0),
    "lip_height": (0.75, 1.5),
    "mood": (0.4, 1.4),
    "hair_volume": (0.0, 1.0),
    "parting": (-5.0, 5.0),
    "fringe": (0.0, 1.0),
    "blush": (0.1, 0.32),
    "warmth": (-0.03, 0.03),
    "shoulders": (20.0, 25.0),
}
_KINDS = {
    "expression": len(EXPRESSIONS),
    "skin": 8,
    "hair_style": len(HAIR_STYLES),
    "hair_colour": len(HAIR_COLOURS),
    "head_shape": len(HEAD_SHAPES),
    "eye_colour": 4,
    "shirt": 8,
    "background": 8,
}
_SYLLABLES = 6
_TIMING = ("glasses", "beard", "begins", "lasts", "strength", "again", "sway_x", "sway_y", "period", "phase_x", "phase_y")
_CHANCE = (*_LENGTHS, *_KINDS, *_TIMING, *(f"syllable_{i}" for i in range(_SYLLABLES)))


def _states(chance, frames, size):
    """Everything that is known of the faces, and all that is needed to draw them."""
    states = {name: (chance[name] * kinds).astype(np.int64) for name, kinds in _KINDS.items()}
    states["glasses"] = (chance["glasses"] > 0.65).astype(np.int64) + (chance["glasses"] > 0.85)
    states["beard"] = (chance["beard"] > 0.8).astype(np.int64)
    states |= {name: (low + chance[name] * (high - low)).astype(np.float32) for name, (low, high) in _LENGTHS.items()}
    states |= {name: curve.astype(np.float32) for name, curve in _curves(chance, states["expression"], frames).items()}
    states |= {name: ((at + _UNITS / 2) * (size / _UNITS) - 0.5).astype(np.float32) for name, at in _landmarks(states).items()}
    return states


def _curves(chance, expression, frames):
    """How an expression runs over time: polynomials of the frame number, `(N, T)`."""
    u = {name: value[:, None] for name, value in chance.items()}
    is_ = {name: (expression == i)[:, None] for i, name in enumerate(EXPRESSIONS)}
    t = np.arange(frames, dtype=np.float64)[None]
    onset = _ease((t - 1 - 3 * u["begins"]) / (5 + 3 * u["lasts"]))
    startled = _ease((t - 1 - 4 * u["begins"]) / (2.5 + 2 * u["lasts"]))
    first = np.floor(3 + 4 * u["begins"])  # a whole frame, so that one frame shows the eyes shut
    second = np.where(u["again"] < 0.5, first + 5 + np.floor(3 * u["lasts"]), -9.0)
    shut = np.maximum(_bump((t - first) / (1.6 + 0.6 * u["strength"])), _bump((t - second) / (1.6 + 0.6 * u["strength"])))
    beat = np.maximum(t - 2 * u["begins"], 0) / (2.6 + 1.6 * u["lasts"])
    loudness = np.stack([chance[f"syllable_{i}"] for i in range(_SYLLABLES)], axis=1)
    loudness = 0.35 + 0.6 * np.take_along_axis(loudness, np.floor(beat).astype(np.int64) % _SYLLABLES, axis=1)
    within = beat - np.floor(beat)
    strength = 0.75 + 0.25 * u["strength"]
    smile = is_["smile"] * onset * strength
    surprise = is_["surprise"] * startled * strength
    period = 18 + 20 * u["period"]
    talk = is_["talk"] * loudness * 4 * within * (1 - within)
    return {
        "mouth_open": smile * np.maximum(u["again"] - 0.3, 0) * 0.9 + surprise + talk,
        "smile": smile,
        "rounding": surprise + is_["talk"] * 0.4 * (1 - loudness),
        "eye_open": (1 - 0.12 * smile + 0.3 * surprise) * (1 - is_["blink"] * shut),
        "brow_raise": surprise + 0.2 * smile,
        "sway_x": (0.25 + 0.75 * u["sway_x"]) * _wave(t / period + u["phase_x"]),
        "sway_y": (0.1 + 0.4 * u["sway_y"]) * _wave(t / period * 1.5 + u["phase_y"]),
    }


def _ease(p):
    """0 before p = 0, 1 after p = 1, smooth between."""
    p = _unit(p)
    return p * p * (3 - 2 * p)


def _bump(p):
    """1 at p = 0, 0 from |p| = 1 on, smooth."""
    rest = np.maximum(1 - p * p, 0)
    return rest * rest


def _wave(p):
    """A smooth wave of period 1 between -1 and 1, made of parabolas because a sine's last bit differs between machines."""
    p = p - np.floor(p)
    return np.where(p < 0.5, 16 * p * (0.5 - p), -16 * (p - 0.5) * (1 - p))


_EYE_Y, _MOUTH_Y = 0.5, 11.6


def _landmarks(states):
    """Where eyes, nose and mouth are, in face lengths, `(N, T, 2)`."""
    x, y = (states[f"sway_{axis}"] * scale for axis, scale in zip("xy", _SWAY["near"]))
    spacing, nose = states["eye_spacing"][:, None], states["nose_length"][:, None]
    at = {"left_eye": (-spacing, _EYE_Y), "right_eye": (spacing, _EYE_Y), "nose": (0.0, nose), "mouth": (0.0, _MOUTH_Y)}
    return {name: np.stack([x + dx, y + dy], axis=-1) for name, (dx, dy) in at.items()}


def _captions(states):
    """What each clip shows, in English and Simplified Chinese, told from its states."""
    english, chinese = [], []
    for style, colour, beard, glasses, expression in zip(
        *(states[name].tolist() for name in ("hair_style", "hair_colour", "beard", "glasses", "expression"))
    ):
        traits = [_HAIR_EN[style].format(HAIR_COLOURS[colour]), *["a beard"] * beard, *["glasses"] * bool(glasses)]
        listed = " and ".join(filter(None, [", ".join(traits[:-1]), traits[-1]]))
        english.append(f"a face with {listed} {_DOES_EN[expression]}")
        traits = [*["戴眼镜"] * bool(glasses), *["留胡子"] * beard, _HAIR_ZH[style].format(_COLOURS_ZH[colour])]
        chinese.append(f"一张{'、'.join(traits)}的脸{_DOES_ZH[expression]}")
    return np.array(english, dtype=str), np.array(chinese, dtype=str)


_HAIR_EN = ("a bald head", "short {} hair", "a {} bob", "long {} hair", "curly {} hair", "a {} bun")
_DOES_EN = ("keeps a neutral expression", "smiles", "looks surprised", "blinks", "talks")
_HAIR_ZH = ("光头", "{}短发", "{}波波头", "{}长发", "{}卷发", "梳{}发髻")
_COLOURS_ZH = ("黑色", "棕色", "红色", "金色", "灰色")
_DOES_ZH = ("保持平静的表情", "露出微笑", "露出惊讶的表情", "在眨眼", "在说话")


# From parts to pixels ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Part:
    """Something painted: how much of each pixel it covers, `(T, h, w)` in its layer's window, and its RGB colour."""

    layer: "_Layer"
    cover: np.ndarray
    colour: tuple
    band: "_Band | None" = None  # what moves it, where it isn't the layer


def _paint(parts, backdrop, frames):
    """Blends the parts over the backdrop, `(3, 1, H, W)`, into uint8 `(T, H, W, 3)`."""
    planes = np.repeat(backdrop, frames, axis=1)
    for part in parts:
        rows, columns = part.layer.window
        for plane, value in zip(planes[:, :, rows, columns], part.colour):
            change = value - plane
            change *= part.cover
            plane += change
    planes += 0.5
    return planes.astype(np.uint8).transpose(1, 2, 3, 0)


def _luma(rgb):
    """ITU-R BT.601 luma in whole numbers, `(..., 3)` to `(..., 1)`."""
    red, green, blue = (rgb[..., c].astype(np.uint32) for c in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[..., None]


class _Layer:
    """A sheet over a window of the picture: its coordinates at the middle of every pixel, and where it goes.

    Args:
        size: of the picture in pixels.
        box: left, top, right, bottom of the window; parts must not reach beyond it.
        shift_x, shift_y: float32 `(T, 1, 1)`, how far the sheet has moved.
        stretch: float32 `(T, 1, 1)`, how much the sheet is drawn out below y = 0, as a jaw that drops.
    """

    def __init__(self, size, box, shift_x, shift_y, stretch):
        self.pixels = size / _UNITS
        left, top, right, bottom = (min(max(int((edge + _UNITS / 2) * self.pixels), 0), size) for edge in box)
        self.window = slice(top, bottom), slice(left, right)
        column = (np.arange(left, right, dtype=np.float32) + 0.5) / self.pixels - _UNITS / 2
        row = (np.arange(top, bottom, dtype=np.float32) + 0.5) / self.pixels - _UNITS / 2
        self.x = column[None, None, :] - shift_x  # (T, 1, w)
        self.y = row[None, :, None] - shift_y  # (T, h, 1)
        self.y = np.where(self.y > 0, self.y / stretch, self.y)
        self._shift_x, self._shift_y, self._stretch = shift_x, shift_y, np.broadcast_to(stretch, shift_x.shape)

    def fill(self, distance):
        """Cover of a shape with soft edges one pixel wide, from the signed distance to its outline (negative inside)."""
        return _unit(0.5 - distance * self.pixels)

    def step(self):
        """How many pixels the sheet moves until the next frame: dx, dy, each `(T-1, h or 1, w or 1)`."""
        drop = np.maximum(self.y[:-1], 0) * _ahead(self._stretch)
        return _ahead(self._shift_x) * self.pixels, (_ahead(self._shift_y) + drop) * self.pixels


def _unit(values):
    return np.clip(values, 0, 1)


def _ahead(values):
    return values[1:] - values[:-1]


class _Band:
    """The region between two arcs over [x - width, x + width]: an ellipse that can bend, tilt, open and close.

    An edge e is the curve y + tilt * dx + bend * (1 - q) + e * sqrt(1 - q) with dx the distance from the middle and q =
    (dx / width)^2. A point of it keeps its q and its share of the way from the top edge to the bottom edge.

    Args:
        layer: the `_Layer` it lies on.
        x: its middle, float.
        y, width, top, bottom, bend, tilt: floats or float32 `(T, 1, 1)`.
    """

    def __init__(self, layer, x, y, width, top, bottom, bend=0.0, tilt=0.0):
        self.layer = layer
        self._now = np.empty((6, len(layer.x), 1, 1), np.float32)
        for row, value in zip(self._now, (y, width, top, bottom, bend, tilt)):
            row[:] = value
        self._dx = layer.x - np.float32(x)

    def cover(self):
        """Share of each pixel between the two edges, right for bands thinner than a pixel too."""
        _, width, top, bottom, bend, tilt = self._now
        top_edge, bottom_edge, root = self._edges(self._dx, *self._now)
        fall = self._dx / (width * width)
        steep = tilt - 2 * bend * fall  # slope of an edge, without its own arc
        covers = []
        for sign, e, edge in ((1, top, top_edge), (-1, bottom, bottom_edge)):
            slope = steep - e * fall / np.maximum(root, 0.25)
            sharp = sign * self.layer.pixels / np.sqrt(1 + slope * slope)
            covers.append(_unit(0.5 + (self.layer.y - edge) * sharp))
        ends = _unit(0.5 + (width - np.abs(self._dx)) * self.layer.pixels)
        return np.minimum(np.maximum(covers[0] + covers[1] - 1, 0), ends)

    def step(self):
        """How many pixels each point moves until the next frame: dx, dy, each `(T-1, h or 1, w)`."""
        now, then = self._now[:, :-1], self._now[:, 1:]
        dx, y = self._dx[:-1], self.layer.y[:-1]
        new_dx = dx * (then[1] / now[1])
        top, bottom, _ = self._edges(dx, *now)
        new_top, new_bottom, _ = self._edges(new_dx, *then)
        share = _unit((y - top) / np.maximum(bottom - top, 1e-6))
        new_y = new_top + share * (new_bottom - new_top)
        layer_dx, layer_dy = self.layer.step()
        return layer_dx + (new_dx - dx) * self.layer.pixels, layer_dy + (new_y - y) * self.layer.pixels

    @staticmethod
    def _edges(dx, y, width, top, bottom, bend, tilt):
        scaled = dx / width
        rest = 1 - scaled * scaled
        root = np.sqrt(np.maximum(rest, 0))
        middle = y + tilt * dx + bend * rest
        return middle + top * root, middle + bottom * root, root


def _blob(layer, x, y, width, up, down=None, square=0.0, taper=0.0):
    """Signed distance to an egg, near its outline: half as wide as `width` says, `up` and `down` from its middle.

    `square` from 0 to 1 fills the corners, `taper` from 0 to 1 narrows the lower half.
    """
    dx, dy = layer.x - x, layer.y - y
    height = up if down is None else np.where(dy < 0, np.float32(up), np.float32(down))
    dy = dy / height
    half = width * (1 - taper * np.maximum(dy, 0)) if taper else width
    dx = dx / half
    x2, y2 = dx * dx, dy * dy
    value = x2 + y2
    slope_x, slope_y = x2 / (half * half), y2 / (height * height)
    if square:
        value = (1 - square) * value + square * (x2 * x2 + y2 * y2)
        grow_x, grow_y = 1 - square + 2 * square * x2, 1 - square + 2 * square * y2
        slope_x, slope_y = slope_x * (grow_x * grow_x), slope_y * (grow_y * grow_y)
    return (value - 1) / (2 * np.sqrt(slope_x + slope_y + 1e-6))


def _soft(distance, reach):
    """A shade that fades out over `reach` on both sides of an outline."""
    return _ease(0.5 - distance / (2 * reach))


# The parts of a face, from back to front -----------------------------------------------------------------------------

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


def _face(states, i):
    """One clip's states, ready to compute with: floats, ints and float32 curves `(T, 1, 1)`."""
    face = {name: values[i].item() for name, values in states.items() if values.ndim == 1}
    face |= {name: values[i][:, None, None] for name, values in states.items() if values.ndim == 2}
    skin = tuple(c * (1 + face["warmth"] * tint) for c, tint in zip(_SKINS[face["skin"]], (0.6, 0.0, -1.2)))
    face["skin_colour"] = tuple(min(c, 255.0) for c in skin)
    face["style"] = HAIR_STYLES[face["hair_style"]]
    face["hair"] = _HAIRS[face["hair_colour"]]
    return face


def _parts(face, size):
    """All parts of a face from back to front."""

    def sheet(depth, *box):
        x, y = _SWAY[depth]
        stretch = 1 + face["mouth_open"] * np.float32(0.05) if depth == "head" else np.float32(1)
        return _Layer(size, box, face["sway_x"] * np.float32(x), face["sway_y"] * np.float32(y), stretch)

    yield from _shirt(face, sheet)
    yield from _back_hair(face, sheet)
    yield from _neck(face, sheet)
    yield from _head(face, sheet)
    yield from _cheeks_and_nose(face, sheet)
    if face["beard"]:
        yield from _beard(face, sheet)
    yield from _mouth(face, sheet)
    for side in (-1, 1):
        yield from _eye(face, sheet, side)
    yield from _front_hair(face, sheet)
    for side in (-1, 1):
        yield from _brow(face, sheet, side)
    if face["glasses"]:
        yield from _glasses(face, sheet)


# What is nearer sways more, so that the head seems to turn. The jaw drops with the "head" sheet alone.
_SWAY = {"body": (0.3, 0.5), "behind": (0.8, 1.0), "head": (1.0, 1.0), "hair": (1.0, 1.0), "near": (1.3, 1.3)}


def _backdrop(face, size):
    """A wall with a spot of light behind the head, `(3, 1, H, W)`."""
    still = _Layer(size, (-28, -28, 28, 28), *np.zeros((2, 1, 1, 1), np.float32), stretch=np.float32(1))
    wall = _BACKGROUNDS[face["background"]]
    light = _mix(wall, _WHITE, 0.12)
    fade = 1 - _soft(_blob(still, 0.0, 2.0, 27.0, 27.0), 9.0)
    return np.stack([lit + fade * (unlit - lit) for lit, unlit in zip(light, wall)])


def _shirt(face, sheet):
    body = sheet("body", -28, 14, 28, 28)
    colour = _SHIRTS[face["shirt"]]
    shirt = body.fill(_blob(body, 0.0, 36.0, face["shoulders"], 14.5, square=0.45))
    yield _Part(body, shirt, colour)
    yield _Part(body, shirt * _soft(-_blob(body, -4.0, 36.0, face["shoulders"] - 2, 15.0), 5.0) * 0.5, _shaded(colour))
    body = sheet("body", -10, 14, 10, 28)
    collar = _blob(body, 0.0, 21.5, 8.6, 5.6)
    yield _Part(body, body.fill(collar), _mix(_shaded(colour), colour, 0.3))


def _neck(face, sheet):
    body = sheet("body", -9, 9, 9, 28)
    skin = face["skin_colour"]
    neck = np.maximum(_blob(body, 0.0, 14.0, 6.2, 14.0, 12.0, square=0.8), body.y - 23)
    neck = body.fill(np.minimum(neck, _blob(body, 0.0, 21.0, 7.2, 4.6)))
    yield _Part(body, neck, _mix(skin, _shaded(skin), 0.25))
    under_chin = _soft(_blob(body, 0.6, 4.0, 13.0, 16.0, 17.5), 1.6)
    yield _Part(body, neck * under_chin * 0.85, _shaded(skin))


def _head_outline(face, layer):
    square, taper, wider, longer = {
        "oval": (0.12, 0.1, 0.0, 0.0),
        "round": (0.16, 0.02, 0.5, -1.0),
        "square": (0.5, 0.06, 0.0, -0.4),
        "heart": (0.1, 0.22, 0.4, 0.4),
    }[HEAD_SHAPES[face["head_shape"]]]
    return _blob(layer, 0.0, 0.0, face["head_width"] + wider, face["skull_height"], face["chin_depth"] + longer, square, taper)


def _head(face, sheet):
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    for side in () if face["style"] in ("bob", "long") else (-1, 1):  # ears, where no hair hides them
        x = side * (face["head_width"] + 0.3)
        layer = sheet("head", x - 4, -4, x + 4, 8)
        yield _Part(layer, layer.fill(_blob(layer, x, 2.0, 2.6, 3.9)), _mix(skin, shade, 0.15))
        yield _Part(layer, layer.fill(_blob(layer, x + side * 0.2, 2.2, 1.3, 2.3)) * 0.7, shade)
    layer = sheet("head", -18, -22, 18, 23)
    head = layer.fill(_head_outline(face, layer))
    yield _Part(layer, head, skin)
    away = 1 - _soft(_blob(layer, -3.5, -3.0, face["head_width"] + 1, 20.0), 6.0)  # light comes from the upper left
    yield _Part(layer, head * away * 0.55, shade)
    layer = sheet("head", -14, -18, 6, 2)
    yield _Part(layer, _soft(_blob(layer, -4.0, -8.0, 6.0, 5.5), 4.0) * 0.3, _mix(skin, _WHITE, 0.45))


def _cheeks_and_nose(face, sheet):
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    rosy = _mix(skin, (236, 84, 84), 0.55)
    glow = face["blush"] * (1 + face["smile"])
    for side in (-1, 1):
        lift = face["smile"] * np.float32(-0.8)
        layer = sheet("near", side * 8.6 - 5, 1, side * 8.6 + 5, 13)
        yield _Part(layer, _soft(_blob(layer, side * 8.6, 7.2 + lift, 2.6, 1.9), 1.9) * glow, rosy)
    layer = sheet("near", -5, -4, 5, 12)
    length, width = face["nose_length"], face["nose_width"]
    yield _Part(layer, _soft(_blob(layer, 0.9, length - 3.5, 1.2, 4.2), 1.1) * 0.32, shade)
    yield _Part(layer, _soft(_blob(layer, -0.5, length - 1.6, 0.9, 1.3), 0.9) * 0.45, _mix(skin, _WHITE, 0.3))
    under = _Band(layer, 0.0, length - 0.2, width, -0.5, 0.5, bend=0.9)
    yield _Part(layer, under.cover() * 0.9, _mix(shade, (120, 40, 40), 0.22), under)


def _beard(face, sheet):
    layer = sheet("head", -17, -1, 17, 23)
    colour = _mix(face["hair"], _INK, 0.12)
    inside = _head_outline(face, layer) - 0.7
    cheeks = _blob(layer, 0.0, -3.0, face["head_width"] - 1.8, 20.0, 12.2)
    beard = layer.fill(np.maximum(np.maximum(inside, -cheeks), 1.0 - layer.y))
    yield _Part(layer, beard, colour)
    chin = layer.fill(_blob(layer, 0.0, 12.4, 7.0, 5.2, 7.0, square=0.3)) * layer.fill(inside)
    yield _Part(layer, chin, colour)
    yield _Part(layer, beard * _soft(_blob(layer, -4.0, 11.0, 6.0, 7.0), 4.0) * 0.25, _mix(colour, _WHITE, 0.35))


def _mouth(face, sheet):
    layer = sheet("near", -10, 5, 10, 22)
    skin, smile, opened, rounding = face["skin_colour"], face["smile"], face["mouth_open"], face["rounding"]
    bend = face["mood"] + smile * np.float32(2.2)
    y = np.float32(_MOUTH_Y) - bend * np.float32(0.55)
    width = face["mouth_width"] * (1 + np.float32(0.3) * smile - np.float32(0.46) * rounding)
    upper = opened * (-0.6 - np.float32(1.3) * rounding + np.float32(0.5) * smile) - 0.32
    lower = opened * (2.7 + np.float32(0.6) * rounding) + 0.32
    gape = lower - upper - 0.64
    lips = _mix(skin, (210, 66, 84), 0.5)
    lip = face["lip_height"]

    def band(top, bottom, narrow=1.0):
        return _Band(layer, 0.0, y, width * np.float32(narrow), top, bottom, bend=bend)

    inside = band(upper, lower)
    for part, colour in (
        (band(upper - lip * 0.75, upper + 0.1), _mix(lips, _shaded(lips), 0.45)),
        (band(lower - 0.1, lower + lip), lips),
        (inside, _mix(_shaded(_shaded(lips)), (70, 16, 30), 0.75)),
    ):
        yield _Part(layer, part.cover(), colour, part)
    tongue = band(lower - gape * np.float32(0.42), lower - gape * np.float32(0.02), 0.66)
    yield _Part(layer, tongue.cover(), (222, 98, 104), tongue)
    teeth = band(upper + 0.2, upper + 0.2 + gape * np.float32(0.36), 0.88)
    yield _Part(layer, teeth.cover(), (252, 248, 242), teeth)


def _eye(face, sheet, side):
    x, up, low = side * face["eye_spacing"], face["eye_height"], face["eye_height"] * 0.72
    layer = sheet("near", x - 6, -6, x + 6, 6)
    skin, shade = face["skin_colour"], _shaded(face["skin_colour"])
    floor = low * (1 - np.float32(0.55) * face["smile"])  # cheeks push the lower lid up
    lid = floor - face["eye_open"] * (up + floor)  # the upper lid; it meets the lower one where the eye is shut

    def band(top, bottom, wider=0.0):
        return _Band(layer, x, _EYE_Y, face["eye_width"] + wider, top, bottom)

    eyelid, white, lash = band(np.minimum(-up - 0.7, lid), lid), band(lid, floor), band(lid - 0.75, lid + 0.3, 0.35)
    yield _Part(layer, eyelid.cover() * 0.8, _mix(skin, shade, 0.55), eyelid)
    opening = white.cover()
    yield _Part(layer, opening, (247, 243, 241))
    iris = _IRISES[face["eye_colour"]]
    middle = x + face["gaze"]
    iris_size = face["iris_size"]
    yield _Part(layer, opening * layer.fill(_blob(layer, middle, _EYE_Y - 0.1, iris_size, iris_size)), iris)
    yield _Part(layer, opening * layer.fill(_blob(layer, middle, _EYE_Y - 0.1, 1.15, 1.15)), (24, 18, 24))
    shadow = band(lid, lid + 1.0)
    yield _Part(layer, opening * shadow.cover() * 0.3, _INK)
    yield _Part(layer, opening * layer.fill(_blob(layer, middle - 0.7, _EYE_Y - 0.95, 0.7, 0.7)), _WHITE)
    yield _Part(layer, lash.cover() * 0.95, _mix(_INK, face["hair"], 0.2), lash)


def _brow(face, sheet, side):
    x = side * (face["eye_spacing"] + 0.2)
    layer = sheet("near", x - 6, -13, x + 6, 0)
    y = _EYE_Y - face["brow_height"] - face["brow_raise"] * np.float32(2.7)
    thick = face["brow_thickness"]
    brow = _Band(layer, x, y, 3.9, -thick, thick, bend=-1.1, tilt=side * face["brow_tilt"])
    colour = _mix(_mix(face["hair"], _INK, 0.45), face["skin_colour"], 0.1)
    yield _Part(layer, brow.cover(), colour, brow)


def _glasses(face, sheet):
    layer = sheet("near", -18, -6, 18, 9)
    frame = _mix(_INK, _SHIRTS[(face["shirt"] + 3) % 8], 0.25)
    spacing = face["eye_spacing"] + 0.1
    width, square = (4.9, 0.0) if GLASSES[face["glasses"]] == "round" else (5.2, 0.75)
    for side in (-1, 1):
        lens = _blob(layer, side * spacing, 1.0, width, width - 0.5, square=square)
        yield _Part(layer, layer.fill(lens) * 0.14, _WHITE)
        yield _Part(layer, layer.fill(lens - 0.45) - layer.fill(lens + 0.45), frame)
        edge, temple = spacing + width, face["head_width"]
        arm = _Band(layer, side * (edge + temple) * 0.5, 0.2, max(temple - edge, 0.0) * 0.5 + 0.9, -0.5, 0.5)
        yield _Part(layer, arm.cover(), frame, arm)
    bridge = _Band(layer, 0.0, 0.4, spacing - width + 0.6, -0.5, 0.5, bend=-0.6)
    yield _Part(layer, bridge.cover(), frame, bridge)


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


def _back_hair(face, sheet):
    """What hangs or stands behind the head: bob, long hair, curls, a bun."""
    style, colour, volume, wide, high = (face[name] for name in ("style", "hair", "hair_volume", "head_width", "skull_height"))
    layer = sheet("behind", *((-7, -28, 7, 4 - high) if style == "bun" else (-26, -28, 26, 28)))
    if style == "bob":
        shape = _blob(layer, 0.0, -2.0, wide + 1.6 + volume, high + volume, 19.0, square=0.3, taper=-0.16)
        shape = np.maximum(shape, layer.y - 14.5 - volume)
    elif style == "long":
        shape = _blob(layer, 0.0, -1.0, wide + 2.6 + volume, high + 1.0 + volume, 20.0)
        for side in (-1, 1):
            shape = np.minimum(shape, _blob(layer, side * (wide - 1.4 + volume), 12.0, 5.2, 17.0, 15.0))
    elif style == "curly":
        shape = _curls(layer, 1 + 0.1 * volume)
    elif style == "bun":
        shape = _blob(layer, 0.0, -high - 2.6 - volume, 4.8 + volume, 4.2 + volume)
    else:
        return
    hair = layer.fill(shape)
    yield _Part(layer, hair, _mix(colour, _INK, 0.3))
    if style == "curly":
        yield _Part(layer, hair * _soft(_curls(layer, 1 + 0.1 * volume, 0.9) + 2.6, 1.6), colour)
    elif style == "bun":
        yield _Part(layer, hair * _soft(_blob(layer, -1.0, -high - 3.8 - volume, 3.0, 2.4), 2.2), colour)
    else:
        yield _Part(layer, hair * _soft(shape + 3.0, 2.0) * 0.6, colour)


def _curls(layer, scale, lift=0.0):
    """Signed distance to the locks of a curly head, moved by `lift` towards the light."""
    shape = None
    for x, y, radius in _CURLS:
        dx, dy = layer.x - (x * scale - lift), layer.y - (y * scale - lift)
        lock = np.sqrt(dx * dx + dy * dy) - radius * scale
        shape = lock if shape is None else np.minimum(shape, lock, out=shape)
    return shape


def _front_hair(face, sheet):
    """The cap of hair over the skull, with a hole where the face shows; and the shadow that it throws on the forehead."""
    style, colour, volume = face["style"], face["hair"], face["hair_volume"]
    if style == "bald":
        layer = sheet("hair", -12, -20, 2, -8)
        yield _Part(layer, _soft(_blob(layer, -5.0, -14.0, 3.0, 1.6), 1.8) * 0.45, _mix(face["skin_colour"], _WHITE, 0.6))
        return
    thick, cut = {"short": (0.6, 0.0), "bob": (1.4, 12.0), "long": (1.5, 16.0), "curly": (1.2, 1.0), "bun": (0.6, -0.5)}[style]
    layer = sheet("hair", -20, -28, 20, cut + 4)
    up = face["skull_height"] + 1.2 + 1.4 * volume
    outline = _blob(layer, 0.0, 0.0, face["head_width"] + thick, up, max(cut * 1.3, 18.0), square=0.2)
    if style == "short":
        outline = np.minimum(outline, _blob(layer, 0.5 * face["parting"], -up + 4.0, 10.0, 5.5 + volume, 6.0, square=0.2))
    hair = np.maximum(np.maximum(outline, -_hairline(face, layer)), layer.y - cut)
    shadow = _soft(hair - 0.9, 1.3) * layer.fill(_head_outline(face, layer))
    yield _Part(layer, shadow * 0.4, _shaded(_shaded(face["skin_colour"])))
    cover = layer.fill(hair)
    yield _Part(layer, cover, colour)
    if style == "curly":
        return
    yield _Part(layer, cover * _soft(-_blob(layer, -2.0, 2.0, face["head_width"], up + 1.0), 4.0) * 0.35, _mix(colour, _INK, 0.5))
    layer = sheet("hair", -13, -28, 9, -8)
    shine = _Band(layer, -2.0, 5.5 - up, 9.5, -0.9, 0.9, bend=-2.2)
    yield _Part(layer, shine.cover() * 0.4, _mix(colour, _WHITE, 0.5), shine)


def _hairline(face, layer):
    """Signed distance to the part of the face that hair leaves free."""
    style, wide, part = face["style"], face["head_width"], face["parting"]
    if style == "bob":
        return _blob(layer, 0.0, 6.0, wide - 1.9, 13.2 + 2.5 * face["fringe"], 22.0, square=0.75)
    top = {"short": 17.0, "long": 19.5, "curly": 16.5, "bun": 19.5}[style] - 2.5 * face["fringe"]
    if style == "curly" or style == "bun":
        return _blob(layer, 0.0, 5.0, wide - 0.6, top, 22.0, square=0.3)
    reach = wide - (0.5 if style == "short" else 1.6)
    lean = 0.45 * part
    left = _blob(layer, lean - 1.5, 5.0, reach + 1.5 + 0.4 * lean, top, 24.0)
    right = _blob(layer, lean + 1.5, 5.0, reach + 1.5 - 0.4 * lean, top, 24.0)
    return np.maximum(left, right)
