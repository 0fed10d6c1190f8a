"""The states of faces: sampled from random numbers, told in captions, and parsed from captions again."""

import functools
import itertools

import numpy as np

from ...errors import CourseError
from ..base import uniforms

EXPRESSIONS = ("neutral", "smile", "surprise", "blink", "talk")
HAIR_STYLES = ("bald", "short", "bob", "long", "curly", "bun")
HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
HEAD_SHAPES = ("oval", "round", "square", "heart")
EYE_COLOURS = ("brown", "blue", "green", "grey")
GLASSES = ("none", "round", "square")
BEARDS = ("none", "beard")

UNITS = 56  # lengths of a face that make the image's width
EYE_Y, MOUTH_Y = 0.5, 11.6
# How far each layer follows the sway of the head, along x and y. What is nearer sways more, so that the head seems to turn.
SWAY = {"body": (0.3, 0.5), "behind": (0.8, 1.0), "head": (1.0, 1.0), "hair": (1.0, 1.0), "near": (1.3, 1.3)}


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
_CHOICES = {
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
RANDOM_NUMBERS = (*_LENGTHS, *_CHOICES, *_TIMING, *(f"syllable_{i}" for i in range(_SYLLABLES)))


def sample_states(count, seed, start, num_frames, size):
    """Everything that is known of faces, and all that is needed to render them.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int.
        start: index of the first clip.
        num_frames: frames per clip.
        size: height and width in px, the unit of the landmarks.

    Returns:
        dict of arrays, see `faces.make`.

    Raises:
        CourseError: an impossible count, seed or start.
    """
    chance = dict(zip(RANDOM_NUMBERS, uniforms(seed, start, count, len(RANDOM_NUMBERS)).T))
    states = {key: (chance[key] * number).astype(np.int64) for key, number in _CHOICES.items()}
    states["glasses"] = (chance["glasses"] > 0.65).astype(np.int64) + (chance["glasses"] > 0.85)
    states["beard"] = (chance["beard"] > 0.8).astype(np.int64)
    states |= {key: (low + chance[key] * (high - low)).astype(np.float32) for key, (low, high) in _LENGTHS.items()}
    states |= {key: curve.astype(np.float32) for key, curve in _curves(chance, states["expression"], num_frames).items()}
    states |= {key: ((at + UNITS / 2) * (size / UNITS) - 0.5).astype(np.float32) for key, at in _landmarks(states).items()}
    return states


def _curves(chance, expression, num_frames):
    """How an expression runs over time: polynomials of the frame number, `(N, T)`."""
    u = {name: value[:, None] for name, value in chance.items()}
    is_ = {name: (expression == i)[:, None] for i, name in enumerate(EXPRESSIONS)}
    t = np.arange(num_frames, dtype=np.float64)[None]
    onset = ease((t - 1 - 3 * u["begins"]) / (5 + 3 * u["lasts"]))
    startled = ease((t - 1 - 4 * u["begins"]) / (2.5 + 2 * u["lasts"]))
    first = np.floor(3 + 4 * u["begins"])  # a whole frame, so that one frame shows the eyes shut
    second = np.where(u["again"] < 0.5, first + 5 + np.floor(3 * u["lasts"]), -9.0)
    shut = np.maximum(_bump((t - first) / (1.6 + 0.6 * u["strength"])), _bump((t - second) / (1.6 + 0.6 * u["strength"])))
    beat = np.maximum(t - 2 * u["begins"], 0) / (2.6 + 1.6 * u["lasts"])
    opening = np.stack([chance[f"syllable_{i}"] for i in range(_SYLLABLES)], axis=1)
    opening = 0.35 + 0.6 * np.take_along_axis(opening, np.floor(beat).astype(np.int64) % _SYLLABLES, axis=1)
    within = beat - np.floor(beat)
    strength = 0.75 + 0.25 * u["strength"]
    smile = is_["smile"] * onset * strength
    surprise = is_["surprise"] * startled * strength
    period = 18 + 20 * u["period"]
    talk = is_["talk"] * opening * 4 * within * (1 - within)
    return {
        "mouth_open": smile * np.maximum(u["again"] - 0.3, 0) * 0.9 + surprise + talk,
        "smile": smile,
        "rounding": surprise + is_["talk"] * 0.4 * (1 - opening),
        "eye_open": (1 - 0.12 * smile + 0.3 * surprise) * (1 - is_["blink"] * shut),
        "brow_raise": surprise + 0.2 * smile,
        "sway_x": (0.25 + 0.75 * u["sway_x"]) * _wave(t / period + u["phase_x"]),
        "sway_y": (0.1 + 0.4 * u["sway_y"]) * _wave(t / period * 1.5 + u["phase_y"]),
    }


def ease(p):
    """Smoothstep: 0 before p = 0, 1 after p = 1, a cubic between.

    Args:
        p: float array of any shape.

    Returns:
        float array of the same shape.
    """
    p = np.clip(p, 0, 1)
    return p * p * (3 - 2 * p)


def _bump(p):
    """1 at p = 0, 0 from |p| = 1 on, smooth."""
    rest = np.maximum(1 - p * p, 0)
    return rest * rest


def _wave(p):
    """A smooth wave of period 1 between -1 and 1, made of parabolas because a sine's last bit differs between machines."""
    p = p - np.floor(p)
    return np.where(p < 0.5, 16 * p * (0.5 - p), -16 * (p - 0.5) * (1 - p))


def _landmarks(states):
    """Where eyes, nose and mouth are, in face lengths, `(N, T, 2)`."""
    x, y = (states[f"sway_{axis}"] * scale for axis, scale in zip("xy", SWAY["near"]))
    spacing, nose = states["eye_spacing"][:, None], states["nose_length"][:, None]
    at = {"left_eye": (-spacing, EYE_Y), "right_eye": (spacing, EYE_Y), "nose": (0.0, nose), "mouth": (0.0, MOUTH_Y)}
    return {name: np.stack([x + dx, y + dy], axis=-1) for name, (dx, dy) in at.items()}


_HAIR_EN = ("a bald head", "short {} hair", "a {} bob", "long {} hair", "curly {} hair", "a {} bun")
_DOES_EN = ("keeps a neutral expression", "smiles", "looks surprised", "blinks", "talks")
_HAIR_ZH = ("光头", "{}短发", "{}波波头", "{}长发", "{}卷发", "梳{}发髻")
_COLOURS_ZH = ("黑色", "棕色", "红色", "金色", "灰色")
_DOES_ZH = ("保持平静的表情", "露出微笑", "露出惊讶的表情", "在眨眼", "在说话")
_TOLD = ("hair_style", "hair_colour", "beard", "glasses", "expression")  # what captions name


def write_captions(states):
    """Captions of clips, from their states alone.

    Args:
        states: dict with the int arrays "hair_style", "hair_colour", "beard", "glasses" and "expression", each `(N,)`.

    Returns:
        str arrays `(N,)`, in English and in Simplified Chinese.
    """
    rows = zip(*(states[key].tolist() for key in _TOLD))
    english, chinese = zip(*(_caption(*row) for row in rows))
    return np.array(english, dtype=str), np.array(chinese, dtype=str)


def _caption(style, colour, beard, glasses, expression):
    """The English and the Chinese caption of one face."""
    traits = [_HAIR_EN[style].format(HAIR_COLOURS[colour]), *["a beard"] * beard, *["glasses"] * bool(glasses)]
    listed = " and ".join(filter(None, [", ".join(traits[:-1]), traits[-1]]))
    english = f"a face with {listed} {_DOES_EN[expression]}"
    traits = [*["戴眼镜"] * bool(glasses), *["留胡子"] * beard, _HAIR_ZH[style].format(_COLOURS_ZH[colour])]
    return english, f"一张{'、'.join(traits)}的脸{_DOES_ZH[expression]}"


@functools.cache
def _states_of_captions():
    """Every caption that this world makes -> the states that it names; no hair, no colour of it."""
    numbers = [len(HAIR_STYLES), len(HAIR_COLOURS), len(BEARDS), 2, len(EXPRESSIONS)]
    table = {}
    for style, colour, beard, glasses, expression in itertools.product(*map(range, numbers)):
        seen = colour if "{}" in _HAIR_EN[style] else -1
        table |= dict.fromkeys(_caption(style, colour, beard, glasses, expression), (style, seen, beard, glasses, expression))
    return table


def parse_captions(captions):
    """The states that captions name.

    Args:
        captions: sequence of N captions of this world, English or Chinese.

    Returns:
        dict of arrays `(N,)`: int64 "hair_style", "hair_colour" (-1 of a bald head), "beard" and "expression" as in the states of
        `make`; and bool "has_glasses", because a caption leaves the form of the glasses open.

    Raises:
        CourseError: a caption that this world doesn't make.
    """
    rows = [_states_of_captions().get(str(caption)) for caption in captions]
    if None in rows:
        wrong = str(captions[rows.index(None)])
        raise CourseError(f"{wrong!r} is no caption of this world, such as 'a face with short black hair and glasses smiles'.")
    states = dict(zip(_TOLD, np.array(rows, np.int64).reshape(-1, len(_TOLD)).T))
    return states | {"has_glasses": states.pop("glasses") > 0}
