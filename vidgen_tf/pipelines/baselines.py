"""Baselines of prediction: futures that need no training, and that a trained model must beat."""

import numpy as np
from skimage.measure import label

MAX_SPEED = 5  # px per frame, along each axis, that an object is looked for
BRIGHT = 40  # from this value on a pixel belongs to an object


def copy_last(context, num_frames):
    """The last frame, again and again.

    Args:
        context: uint8 `(N, T, H, W, C)`, the frames that are known.
        num_frames: int, how many to predict.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    return np.repeat(context[:, -1:], num_frames, axis=1)


def linear_extrapolation(context, num_frames):
    """Each pixel goes on changing as it did between the last two frames.

    Args:
        context: uint8 `(N, T, H, W, C)`, T at least 2.
        num_frames: int, how many to predict.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    last, before = context[:, -1:].astype(np.float32), context[:, -2:-1].astype(np.float32)
    steps = np.arange(1, num_frames + 1, dtype=np.float32)[:, None, None, None]
    return np.clip(np.rint(last + steps * (last - before)), 0, 255).astype(np.uint8)


def constant_velocity(context, num_frames):
    """Each bright object goes on in a straight line, as far per frame as between the last two; it leaves the frame at its edge.

    An object is a connected piece of the last frame. Its velocity is the shift by which it differs least from the frame before.

    Args:
        context: uint8 `(N, T, H, W, 1)`, T at least 2, bright objects on black.
        num_frames: int, how many to predict.

    Returns:
        uint8 `(N, num_frames, H, W, 1)`.
    """
    predicted = np.zeros((len(context), num_frames, *context.shape[2:]), np.uint8)
    for frames, future in zip(context, predicted):
        last, before = frames[-1, ..., 0], frames[-2, ..., 0]
        pieces = label(last >= BRIGHT, connectivity=2)
        for number in range(1, pieces.max() + 1):
            own = np.where(pieces == number, last, 0)
            dy, dx = _velocity(own, before)
            for t, frame in enumerate(future[..., 0], 1):
                np.maximum(frame, _moved(own, t * dy, t * dx), out=frame)
    return predicted


def _velocity(piece, before):
    """By how many px (dy, dx) a piece `(H, W)` has moved since the frame before."""
    shifts = [(dy, dx) for dy in range(-MAX_SPEED, MAX_SPEED + 1) for dx in range(-MAX_SPEED, MAX_SPEED + 1)]
    rows, columns = np.nonzero(piece)
    wide = np.pad(before.astype(np.float32), MAX_SPEED)
    there = [wide[rows - dy + MAX_SPEED, columns - dx + MAX_SPEED] for dy, dx in shifts]
    error = np.sum((np.array(there) - piece[rows, columns]) ** 2, axis=1)
    return min(zip(error, (dy * dy + dx * dx for dy, dx in shifts), shifts))[2]  # of equal ones the slowest


def _moved(frame, dy, dx):
    """A frame `(H, W)` moved down and right, black behind it."""
    height, width = frame.shape
    out = np.zeros_like(frame)
    if abs(dy) < height and abs(dx) < width:
        to_y, from_y = slice(max(dy, 0), height + min(dy, 0)), slice(max(-dy, 0), height + min(-dy, 0))
        to_x, from_x = slice(max(dx, 0), width + min(dx, 0)), slice(max(-dx, 0), width + min(-dx, 0))
        out[to_y, to_x] = frame[from_y, from_x]
    return out


BASELINES = {
    "copy of the last frame": copy_last,
    "linear extrapolation": linear_extrapolation,
    "constant velocity": constant_velocity,
}
