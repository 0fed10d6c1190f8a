"""Sketches of pictures: an edge detector's thin lines, and the same as a hand might draw them, shaken and broken."""

import functools

import numpy as np
from scipy import ndimage

LOW, HIGH = 0.1, 0.25  # of an edge's gradient, as a share of the largest step there is: to go on with a line, and to begin one
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # (row, column) to the neighbour along a gradient of 0, 45, 90, 135 degrees
SHAKE_PX = 0.7  # deviation of the displacement of a shaken line
GAP_SHARE = 0.1  # of a broken line
SHAKE_POINTS, GAP_POINTS = 7, 16  # random numbers on a side, between which displacements and gaps are interpolated


def sobel(frames):
    """Gradients by Sobel's filters: a difference along one axis, smoothed along the other.

    Of each pixel, the channel that changes most counts.

    Args:
        frames: uint8 `(N, H, W, C)`.

    Returns:
        gx, gy: float32 `(N, H, W)`, as shares of the step from black to white.
    """
    pixels = np.pad(np.asarray(frames, np.float32) / 255, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    gradients = []
    for across, along in ((2, 1), (1, 2)):  # the axis of the difference, that of the smoothing
        size = pixels.shape[across] - 2
        difference = _part(pixels, across, 2, size) - _part(pixels, across, 0, size)
        size = pixels.shape[along] - 2
        before, here, after = (_part(difference, along, first, size) for first in range(3))
        gradients.append((before + 2 * here + after) / 4)
    strongest = (gradients[0] ** 2 + gradients[1] ** 2).argmax(axis=-1)[..., None]
    return tuple(np.take_along_axis(gradient, strongest, axis=-1)[..., 0] for gradient in gradients)


def _part(pixels, axis, first, size):
    return pixels[(slice(None),) * axis + (slice(first, first + size),)]


def thin_edges(gx, gy):
    """Non-maximum suppression: the strength of edges, 0 where a neighbour along the gradient is stronger.

    Args:
        gx, gy: float `(N, H, W)`.

    Returns:
        float32 `(N, H, W)`.
    """
    strength = np.hypot(gx, gy)
    direction = np.rint(np.arctan2(gy, gx) / (np.pi / 4)).astype(int) % 4
    padded, (height, width) = np.pad(strength, ((0, 0), (1, 1), (1, 1))), strength.shape[1:]
    is_largest = np.zeros(strength.shape, bool)
    for number, (dy, dx) in enumerate(DIRECTIONS):
        before, after = (padded[:, 1 + s * dy :, 1 + s * dx :][:, :height, :width] for s in (-1, 1))
        is_largest |= (direction == number) & (strength >= before) & (strength > after)
    return np.where(is_largest, strength, 0).astype(np.float32)


def draw_sketches(frames):
    """Line drawings of pictures by Canny's edge detector: gradient, thinning, hysteresis.

    Lines begin where an edge is strong and go on where it is weak.

    Args:
        frames: uint8 `(N, H, W, C)`.

    Returns:
        bool `(N, H, W)`, True on a line.

    References:
        Canny, 1986, "A computational approach to edge detection".
    """
    strength = thin_edges(*sobel(frames))
    in_a_picture = np.zeros((3, 3, 3), bool)
    in_a_picture[1] = True  # lines connect within a picture, corners included, never from one to the next
    lines, count = ndimage.label(strength > LOW, in_a_picture)
    strongest = np.zeros(count + 1, np.float32)
    np.maximum.at(strongest, lines.ravel(), strength.ravel())
    return (strongest > HIGH)[lines] & (lines > 0)


def roughen(sketches, seed):
    """Sketches as a hand draws them: lines displaced by a smooth random field, and broken here and there.

    Args:
        sketches: bool `(N, H, W)`.
        seed: non-negative int.

    Returns:
        bool `(N, H, W)`.
    """
    rng, (count, height, width) = np.random.default_rng(seed), sketches.shape
    dy, dx = (SHAKE_PX * _smooth_noise(rng, count, height, width, SHAKE_POINTS) for _ in range(2))
    row = np.clip(np.rint(np.arange(height)[:, None] + dy), 0, height - 1).astype(int)
    column = np.clip(np.rint(np.arange(width) + dx), 0, width - 1).astype(int)
    shaken = sketches[np.arange(count)[:, None, None], row, column]
    gaps = _smooth_noise(rng, count, height, width, GAP_POINTS)
    return shaken & (gaps > np.quantile(gaps, GAP_SHARE))


def _smooth_noise(rng, count, height, width, points):
    """Random fields of deviation about 1, interpolated between a few points on a side, float32 `(N, H, W)`."""
    noise = rng.standard_normal((count, points, points)).astype(np.float32)
    return _interpolation(height, points) @ noise @ _interpolation(width, points).T


@functools.cache
def _interpolation(size, points):
    """The matrix `(size, points)` that interpolates linearly between points."""
    at = np.linspace(0, points - 1, size, dtype=np.float32)[:, None]
    return np.maximum(1 - np.abs(at - np.arange(points, dtype=np.float32)), 0)


def color_layout(frames, places=8):
    """The mean colours of a picture's places, as rough strokes of a wide brush.

    Args:
        frames: uint8 `(N, H, W, C)`, sides multiples of `places`.
        places: int, on a side.

    Returns:
        uint8 `(N, places, places, C)`.
    """
    count, height, width, channels = frames.shape
    blocks = frames.reshape(count, places, height // places, places, width // places, channels)
    return np.rint(blocks.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
