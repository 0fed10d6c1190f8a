"""Drawn faces whose expression changes: every face is a list of numbers, nobody's portrait.

A face is composited from back to front as parts on layers. A layer moves over time as a whole; a part lies still on its layer
(hair, ears, glasses) or is a band between two arcs that bends and opens (lips, lids, brows). Both maps from a face's own
coordinates to pixels are closed formulas, so the optical flow is exact.

Lengths of a face are in 56ths of the image's width, from the image's centre, x to the right and y down, whatever its size.
"""

import numpy as np

from ...errors import check_whole
from ..base import LabelledClips
from .drawing import backdrop, face_of, parts
from .geometry import luma, paint
from .states import (
    BEARDS,
    EXPRESSIONS,
    EYE_COLOURS,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    HEAD_SHAPES,
    parse_captions,
    sample_states,
    write_captions,
)

__all__ = [
    "BEARDS",
    "EXPRESSIONS",
    "EYE_COLOURS",
    "FPS",
    "GLASSES",
    "HAIR_COLOURS",
    "HAIR_STYLES",
    "HEAD_SHAPES",
    "exchange_motion",
    "make",
    "optical_flow",
    "parse_captions",
    "render",
]

MOTION = ("mouth_open", "smile", "rounding", "eye_open", "brow_raise", "sway_x", "sway_y")  # the curves, of any person
name = "faces"
tracker = None
attributes = {
    "expression": EXPRESSIONS,
    "hair_style": HAIR_STYLES,
    "hair_colour": HAIR_COLOURS,
    "head_shape": HEAD_SHAPES,
    "eye_colour": EYE_COLOURS,
    "glasses": GLASSES,
    "beard": BEARDS,
}

FPS = 8


def make(count, *, seed, start=0, size=64, num_frames=16, grey=False):
    """Clips of faces that keep a neutral expression, smile, look surprised, blink or talk.

    The faces are aligned as aligned photographs are: the head sways by about a pixel in 64, the eyes stay where they are.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int; clip i of a seed is always the same clip.
        start: index of the first clip.
        size: height and width in px, at least 16; the same faces at every size.
        num_frames: frames per clip, at least 1, at 8 frames per second; the expression has changed by frame 12.
        grey: whether to give one channel of luma instead of RGB.

    Returns:
        `LabelledClips` with uint8 frames `(count, num_frames, size, size, 1 or 3)`. Its `states`, all with first axis `count`:

        - int64 `(N,)`: `expression`, `hair_style`, `hair_colour`, `head_shape`, `eye_colour`, `glasses`, `beard` (indices into
          `attributes`), `skin` (0 light to 7 dark), `shirt`, `background` (0..7);
        - float32 `(N, T)`: `mouth_open` and `smile` in 0..1, `rounding` of the lips in 0..1, `eye_open` (0 shut, 1 open, above 1
          wide open), `brow_raise` in 0..1, `sway_x` and `sway_y` of the head in 56ths of the width;
        - float32 `(N, T, 2)`: the landmarks `left_eye`, `right_eye` (left and right in the image), `nose` and `mouth`, (x, y)
          in px, (0, 0) being the middle of the first pixel;
        - float32 `(N,)`: the lengths that make a face its own (`head_width`, `eye_spacing`, `lip_height`, ...).

    Raises:
        CourseError: an argument is below its lowest value or no int.
    """
    check_whole(16, size=size)
    check_whole(1, num_frames=num_frames)
    states = sample_states(count, seed, start, num_frames, size)
    return LabelledClips(render(states, size, grey), *write_captions(states), states, world=name, fps=FPS)


def exchange_motion(people, motions):
    """States of some people who move as others do: the same expression at the same time, on another face.

    Args:
        people: dict of arrays of N clips, as `make` gives them: who is seen.
        motions: the same of N other clips, as long: what they do.

    Returns:
        dict of arrays to `render`, and for `optical_flow`, without the landmarks.
    """
    return {key: motions[key] if key in MOTION else value for key, value in people.items() if value.ndim < 3}


def render(states, size=64, grey=False):
    """The frames that states describe: those of `make`, or counterfactual ones, such as a smile with shut eyes.

    Args:
        states: dict of the arrays `(N,)` and `(N, T)` that `make` gives; the landmarks aren't needed.
        size: height and width in px.
        grey: whether to give one channel of luma instead of RGB.

    Returns:
        uint8 `(N, T, size, size, 1 or 3)`.
    """
    count, num_frames = states["sway_x"].shape
    frames = np.empty((count, num_frames, size, size, 1 if grey else 3), np.uint8)
    for i in range(count):  # one clip's planes fit the processor's cache, a block of clips would not
        face = face_of(states, i)
        rgb = paint(parts(face, size), backdrop(face, size), num_frames)
        frames[i] = luma(rgb) if grey else rgb
    return frames


def optical_flow(clips):
    """Exact forward flow: the front-most part that covers at least half of a pixel decides where it goes.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame; 0 where the background shows.
    """
    count, num_frames, size = clips.frames.shape[:3]
    flow = np.zeros((count, max(num_frames - 1, 0), size, size, 2), np.float32)
    for i in range(count if num_frames > 1 else 0):
        for part in parts(face_of(clips.states, i), size):
            rows, columns = part.layer.window
            for axis, step in enumerate((part.band or part.layer).flow()):
                np.copyto(flow[i, :, rows, columns, axis], step, where=part.coverage[:-1] >= 0.5)
    return flow
