"""Held-out attribute combinations: what no model of the course learns from, so that compositional generalisation can be measured.

Each value of an attribute is seen in training, but some never together with some value of another one. Whatever learns, encoders
and classifiers included, takes its clips through `training_clips`.
"""

import numpy as np

# (digit, index into digits.MOTIONS); (index into shapes.COLORS, index into shapes.SHAPES), and the same of spheres.COLORS and
# spheres.KINDS, of any object of a clip.
HELD_OUT_DIGITS = ((1, 0), (3, 1), (5, 2), (7, 3))
HELD_OUT_SHAPES = ((0, 2), (1, 1), (2, 0))  # a red triangle, a green square, a blue circle
HELD_OUT_SPHERES = ((0, 1), (2, 0))  # a red box, a blue ball
HELD_OUT_HAIR = ((1, 3), (2, 2), (4, 0))  # (index into HAIR_STYLES, into HAIR_COLOURS): short blond, a red bob, black curls


def is_held_out(states):
    """Which clips show an attribute combination that is held out of training.

    Args:
        states: dict of arrays of N clips of any world, as `make` gives them.

    Returns:
        bool array `(N,)`; False everywhere where no combination is held out, as of faces and of digits without a motion.

    References:
        Lake and Baroni, 2018, "Generalization without systematicity: on the compositional skills of sequence-to-sequence
        recurrent networks".
    """
    for noun, held_out in {"shape": HELD_OUT_SHAPES, "kind": HELD_OUT_SPHERES}.items():
        if {"color", noun} <= states.keys():
            pairs = [(states["color"] == color) & (states[noun] == value) for color, value in held_out]
            return np.any(pairs, axis=(0, 2))  # (pairs, N, K) -> (N,)
    if {"digit", "motion"} <= states.keys():
        digit = states["digit"].reshape(len(states["digit"]), -1)[:, 0]
        return np.any([(digit == d) & (states["motion"] == motion) for d, motion in HELD_OUT_DIGITS], axis=0)
    return np.zeros(len(next(iter(states.values()))), bool)


def is_held_out_hair(states):
    """Which clips of faces show hair that text-to-video is not trained on. Models of faces without prompts, and the classifiers
    that read them, have seen it.

    Args:
        states: dict of arrays of N clips of `worlds.faces`.

    Returns:
        bool array `(N,)`.
    """
    pairs = [(states["hair_style"] == style) & (states["hair_colour"] == colour) for style, colour in HELD_OUT_HAIR]
    return np.any(pairs, axis=0)


def is_held_out_prompt(states, world):
    """Which clips or prompts show or name an attribute combination that text-to-video is not trained on.

    Args:
        states: dict of arrays of N clips, or what N prompts say, of a world.
        world: str, its name.

    Returns:
        bool array `(N,)`.
    """
    return is_held_out_hair(states) if world == "faces" else is_held_out(states)


def training_clips(clips):
    """The clips that may be learned from.

    Args:
        clips: `LabelledClips` of any world.

    Returns:
        `LabelledClips` without those that show a held-out combination.
    """
    held_out = is_held_out(clips.states)
    return clips[~held_out] if held_out.any() else clips


def training_frames(clips):
    """The frames that may be learned from one by one. A frame of a digit shows no motion, so all of them may.

    Args:
        clips: `LabelledClips` of any world.

    Returns:
        uint8 `(M, H, W, C)`, of shapes without the clips that show a held-out combination.
    """
    is_shown = "color" in clips.states  # and not, as of digits, a matter of several frames
    frames = (training_clips(clips) if is_shown else clips).frames
    return frames.reshape(-1, *frames.shape[2:])
