"""Labelled frames and clips that the classifiers learn from and are evaluated on."""

import numpy as np

from ..datasets import load
from ..splits import training_clips
from ..worlds import digits, faces, shapes
from ..worlds.corruptions import CORRUPTIONS, corrupt
from .style_pictures import style_pictures, texture_pictures

SEED = 3  # of the corruptions
NUM_TRAINING_CLIPS = {"digits": 8000, "shapes": 4000}  # that a video classifier learns from


def digit_images(split):
    """Digit images and their labels.

    Args:
        split: "train", "validation" or "test": no image is in two of them.

    Returns:
        uint8 `(N, 28, 28, 1)`, and a dict from "digit" to int32 `(N,)`.
    """
    images, labels = digits.images(split)
    return images, {"digit": labels.astype(np.int32)}


def digit_frames(split):
    """Four frames of each clip of a moving digit, and their labels.

    Args:
        split: "train", "validation" or "test": no digit image is in two of them.

    Returns:
        uint8 `(N, 32, 32, 1)`, and a dict from "digit" to int32 `(N,)`.
    """
    clips = load("digits", split)
    labels = np.repeat(clips.states["digit"][:, 0], 4).astype(np.int32)
    return clips.frames[:, 1::4].reshape(-1, 32, 32, 1), {"digit": labels}


def _labelled(name, split, count=None):
    """Clips of a data set; those to train on without held-out attribute combinations."""
    clips = load(name, split, count)
    return training_clips(clips) if split == "train" else clips


def shape_frames(split):
    """Four frames of each clip of shapes, and what can be seen somewhere in them.

    Args:
        split: "train", "validation" or "test".

    Returns:
        uint8 `(N, 32, 32, 3)`, and a dict to int32 `(N,)`: "objects" 0 for one and 1 for two; under each shape and each colour
        whether an object in the frame has it; -1 for all where one object may hide the other.
    """
    clips = _labelled("shapes", split)
    apart = np.linalg.norm(np.diff(clips.states["position"][:, 1::4], axis=2), axis=-1)[..., 0]  # (N, 4), px
    hidden = (clips.states["objects"] == 2)[:, None] & (apart < clips.states["radius"].sum(axis=1)[:, None])
    labels = {"objects": clips.states["objects"] - 1}
    for state, names in {"shape": shapes.SHAPES, "color": tuple(shapes.COLORS)}.items():
        labels |= {name: (clips.states[state] == i).any(axis=1) for i, name in enumerate(names)}
    labels = {name: np.where(hidden, -1, label[:, None]).ravel().astype(np.int32) for name, label in labels.items()}
    return clips.frames[:, 1::4].reshape(-1, 32, 32, 3), labels


def face_frames(split):
    """Five frames of each clip of a face, see `apex_frames`, and their labels.

    Args:
        split: "train", "validation" or "test": no person is in two of them.

    Returns:
        uint8 `(N, 32, 32, 3)`, and a dict to int32 `(N,)`, see `face_labels`.
    """
    clips = load("faces-32", split)
    frame = apex_frames(clips)
    return clips.frames[np.arange(len(clips))[:, None], frame].reshape(-1, 32, 32, 3), face_labels(clips.states, frame)


def apex_frames(clips):
    """Five frames of each clip: four spread over it, and the apex of a blink, the frame with the eyes most shut.

    Args:
        clips: `LabelledClips` of N clips of `vidgen_tf.worlds.faces`.

    Returns:
        int array `(N, 5)` of numbers of frames.
    """
    clip = np.arange(len(clips))[:, None]
    return np.concatenate([(clip * 3 + [0, 4, 8, 12]) % 16, clips.states["eye_open"].argmin(axis=1)[:, None]], axis=1)


def face_images(size, split):
    """Images of drawn faces, five of each person: see `apex_frames`.

    Args:
        size: 32 or 64, px.
        split: "train", "validation" or "test": no person is in two of them.

    Returns:
        uint8 `(N, 5, size, size, 3)`.
    """
    clips = load({32: "faces-32", 64: "faces"}[size], split)
    return clips.frames[np.arange(len(clips))[:, None], apex_frames(clips)]


def face_labels(states, frame):
    """What frames of drawn faces show.

    Args:
        states: of N clips of `vidgen_tf.worlds.faces`.
        frame: int array `(N, K)`, numbers of K frames of each clip.

    Returns:
        dict from an attribute to int32 labels `(N*K,)`, -1 where it is ambiguous: a bald head without a beard has no hair
        colour, and a mouth that opens or a lid that falls is neither open nor shut on its way.
    """
    traits = ("skin", "hair_style", "hair_colour", "glasses", "beard")
    labels = {name: np.broadcast_to(states[name][:, None], frame.shape) for name in traits}
    hairless = (labels["hair_style"] == faces.HAIR_STYLES.index("bald")) & (labels["beard"] == 0)
    labels["hair_colour"] = np.where(hairless, -1, labels["hair_colour"])
    curve = {name: np.take_along_axis(states[name], frame, axis=1) for name in ("mouth_open", "smile", "eye_open")}
    for name in ("mouth_open", "smile"):
        labels[name] = np.where(curve[name] > 0.6, 1, np.where(curve[name] < 0.3, 0, -1))
    labels["eyes_shut"] = np.where(curve["eye_open"] < 0.3, 1, np.where(curve["eye_open"] > 0.7, 0, -1))
    return {name: label.ravel().astype(np.int32) for name, label in labels.items()}


def digit_clips(split):
    """Clips of a moving digit, clean and corrupted, and their labels: see `_with_corruptions`.

    Args:
        split: "train", "validation" or "test".

    Returns:
        uint8 `(2N, 16, 32, 32, 1)`, and a dict to int32 `(2N,)` from "order", "motion" and "digit".
    """
    clips = _labelled("digits", split, NUM_TRAINING_CLIPS["digits"] if split == "train" else None)
    kinds = _corruptions(clips.states)
    motion, appearance = {"motion": clips.states["motion"]}, {"digit": clips.states["digit"][:, 0]}
    return _with_corruptions(clips, kinds, motion, appearance)


def shape_clips(split):
    """Clips of shapes, clean and corrupted, and their labels: see `_with_corruptions`.

    Args:
        split: "train", "validation" or "test".

    Returns:
        uint8 `(2N, 16, 32, 32, 3)`, and a dict to int32 `(2N,)` from "order", each motion, each shape and each colour.
    """
    clips = _labelled("shapes", split, NUM_TRAINING_CLIPS["shapes"] if split == "train" else None)
    falls = (clips.states["motion"] == shapes.MOTIONS.index("falls")).any(axis=1)
    half = falls & (np.arange(len(falls)) % 2 == 0)  # half of what falls is played backwards: it falls up
    kinds = np.where(half, CORRUPTIONS.index("backwards"), _corruptions(clips.states))
    motion = {name: (clips.states["motion"] == i).any(axis=1).astype(np.int8) for i, name in enumerate(shapes.MOTIONS)}
    appearance = {}
    for key, names in {"shape": shapes.SHAPES, "color": tuple(shapes.COLORS)}.items():
        appearance |= {name: (clips.states[key] == i).any(axis=1).astype(np.int8) for i, name in enumerate(names)}
    return _with_corruptions(clips, kinds, motion, appearance)


def _corruptions(states):
    """The corruption of each clip, int `(N,)`: any but backwards, which most motions of these data sets are as well."""
    return 1 + np.arange(len(states["motion"])) % (len(CORRUPTIONS) - 2)


def _with_corruptions(clips, kinds, motion, appearance):
    """Each clip as it is, and once more corrupted.

    Args:
        clips: N `LabelledClips`.
        kinds: int `(N,)`, index into `CORRUPTIONS`; changed in place to -1 where the corruption doesn't show, as nothing moves.
        motion: dict of labels `(N,)` that hold for a corrupted clip where it moves as before.
        appearance: dict of labels `(N,)` that hold for a corrupted clip where it shows the same objects.

    Returns:
        uint8 `(2N, T, H, W, C)`, and a dict to int32 `(2N,)`: "order", index into `CORRUPTIONS`, and all labels, -1 where they
        don't hold.
    """
    frames = np.empty_like(clips.frames)
    for kind in np.unique(kinds):
        these = np.flatnonzero(kinds == kind)
        frames[these] = corrupt(clips[these], CORRUPTIONS[kind], SEED)
    kinds[(frames == clips.frames).all(axis=(1, 2, 3, 4))] = -1
    moves = np.isin(kinds, [CORRUPTIONS.index("changed"), CORRUPTIONS.index("flickering")])
    same = ~np.isin(kinds, [CORRUPTIONS.index("spliced"), CORRUPTIONS.index("changed")])
    labels = {"order": np.concatenate([np.zeros(len(clips)), kinds])}
    for found, kept in ((motion, moves), (appearance, same)):
        for name, label in found.items():
            labels[name] = np.concatenate([label, np.where(kept, label, -1)])
    return np.concatenate([clips.frames, frames]), {name: label.astype(np.int32) for name, label in labels.items()}


LABELS = {  # evaluation of a classifier -> function from a split to frames or clips and their labels
    "digit_image_classifier": digit_images,
    "digit_classifier": digit_frames,
    "shape_classifier": shape_frames,
    "face_classifier": face_frames,
    "digit_video_classifier": digit_clips,
    "shape_video_classifier": shape_clips,
    "texture_network": texture_pictures,
    "style_classifier": style_pictures,
}
