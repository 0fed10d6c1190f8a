"""Labelled pictures that the networks which tell styles apart learn from and are evaluated on."""

import numpy as np

from ..datasets import load
from ..worlds.styles import STYLES, draw_style

CLASSES = (*STYLES, "none")  # the last: a frame of a clip as it is
SIZE = 64  # of a picture, px
FIRST_SEEDS = {"texture": 1000, "classifier": 5000}  # of pictures that a network trains on; no picture is in both
SPLITS = {"train": (0, 48), "validation": (200, 8), "test": (300, 12)}  # first seed, counted from there, and number of seeds


def draw_crops(seeds, size=SIZE):
    """Pictures of every style, four from each seed: the quarters of a picture twice as large.

    Args:
        seeds: sequence of int.
        size: height and width, px.

    Returns:
        uint8 `(8, 4 * len(seeds), size, size, 3)`, in the order of `STYLES`.
    """
    crops = np.empty((len(STYLES), len(seeds), 2, 2, size, size, 3), np.uint8)
    for i, name in enumerate(STYLES):
        for j, seed in enumerate(seeds):
            quarters = draw_style(name, seed, 2 * size).reshape(2, size, 2, size, 3)
            crops[i, j] = quarters.transpose(0, 2, 1, 3, 4)  # (2, h, 2, w, 3) -> (2, 2, h, w, 3)
    return crops.reshape(len(STYLES), -1, size, size, 3)


def recolored(pictures, seed):
    """Pictures in other colours: half of them grey, the others with their channels exchanged.

    Args:
        pictures: uint8 `(N, H, W, 3)`.
        seed: non-negative int.

    Returns:
        uint8 of the same shape.
    """
    rng = np.random.default_rng(seed)
    grey = np.repeat(pictures.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    exchanged = np.stack([picture[..., rng.permutation(3)] for picture in pictures])
    return np.where((np.arange(len(pictures)) % 2 == 0)[:, None, None, None], grey, exchanged)


def _style_pictures(network, split):
    first, count = SPLITS[split]
    pictures = draw_crops(range(FIRST_SEEDS[network] + first, FIRST_SEEDS[network] + first + count))
    clips = load("faces", split, pictures.shape[1]).frames
    frames = clips[np.arange(len(clips)), np.arange(len(clips)) % clips.shape[1]]
    pictures = np.concatenate([pictures.reshape(-1, SIZE, SIZE, 3), frames])
    labels = np.repeat(np.arange(len(CLASSES)), len(frames))
    if split == "train":  # colours alone would tell most styles apart: strokes must
        pictures, labels = np.concatenate([pictures, recolored(pictures, seed=first)]), np.tile(labels, 2)
    return pictures, {"style": labels.astype(np.int32)}


def texture_pictures(split):
    """Pictures of the eight styles, and frames of faces, that the texture network learns from.

    Args:
        split: "train", each picture also in other colours, "validation" or "test".

    Returns:
        uint8 `(N, 64, 64, 3)`, and a dict from "style" to int32 `(N,)`, index into `CLASSES`.
    """
    return _style_pictures("texture", split)


def style_pictures(split):
    """Like `texture_pictures`, for the classifier that evaluates: it shares no picture of a style with the texture network.

    Args:
        split: "train", each picture also in other colours, "validation" or "test".

    Returns:
        uint8 `(N, 64, 64, 3)`, and a dict from "style" to int32 `(N,)`, index into `CLASSES`.
    """
    return _style_pictures("classifier", split)
