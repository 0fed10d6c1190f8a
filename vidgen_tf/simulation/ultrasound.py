"""A phantom of cardiac ultrasound: a beating ring of muscle, seen through speckle, with the exact mask of its chamber.

It is a drawing, not anatomy. What it has of the real thing is what makes its segmentation hard: speckle, which is bright and dark
at random and keeps its pattern for a few frames only; echoes that fade with depth; and muscle that is faint where the beam runs
along it.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..errors import check_whole

NUM_FRAMES = 16  # of a beat
BLUR = (0.7, 1.4)  # standard deviation of the point spread along and across the beam, px
KEPT_SPECKLE = 0.8  # correlation of the speckle of two neighbouring frames
BLOOD, MUSCLE, TISSUE = 0.1, 1.0, 0.3  # mean amplitudes of the echoes
DYNAMIC_RANGE = 50.0  # of the logarithmic compression, dB


def make_hearts(count, *, seed, size=32):
    """Clips of one beat of a heart in short axis, and masks of the chamber.

    Hearts differ in place, size, strength of the beat, thickness and ellipticity of the wall, and in the gain of the picture.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int; one seed gives one set of clips, whose first clips aren't those of a smaller set.
        size: height and width in px, at least 16.

    Returns:
        uint8 `(count, 16, size, size, 1)`, the clips; and bool `(count, 16, size, size)`, True in the chamber.

    Raises:
        CourseError: an argument is below its lowest value or no int.

    References:
        Wagner, Smith, Sandrik and Lopez, 1983, "Statistics of speckle in ultrasound B-scans" (Rayleigh's distribution).
    """
    check_whole(1, count=count)
    check_whole(0, seed=seed)
    check_whole(16, size=size)
    rng = np.random.default_rng(seed)
    radius, wall = _walls(rng, count)
    chamber, heart = _regions(rng, radius, wall, size)
    fading = rng.uniform(0.3, 0.9, (count, 1, 1, 1)) * np.linspace(0, 1, size)[:, None]  # with depth
    amplitude = np.select([chamber, heart], [BLOOD, MUSCLE * _faint_sides(rng, chamber)], TISSUE)
    echoes = amplitude * np.exp(-fading) * _speckle(rng, chamber.shape)
    gain = rng.uniform(-4, 4, (count, 1, 1, 1))
    level = 1 + (20 * np.log10(echoes + 1e-6) + gain - 6) / DYNAMIC_RANGE  # 6 dB above the muscle's mean are white
    return np.uint8(np.clip(level, 0, 1) * 255)[..., None], chamber


def _walls(rng, count):
    """Radius of the chamber `(N, T)` and thickness of the wall, as shares of the picture's width; the muscle keeps its area."""
    rest = rng.uniform(0.17, 0.29, (count, 1))
    strength = rng.uniform(0.15, 0.4, (count, 1))
    phase = (np.arange(NUM_FRAMES) / NUM_FRAMES + rng.random((count, 1))) % 1
    squeeze = np.where(phase < 0.4, np.sin(np.pi * phase / 0.8) ** 2, np.cos(np.pi * (phase - 0.4) / 1.2) ** 2)
    radius = rest * (1 - strength * squeeze)
    thick = rest * rng.uniform(0.3, 0.6, (count, 1))
    outer = np.sqrt(radius**2 + (rest + thick) ** 2 - rest**2)
    return radius, outer - radius


def _regions(rng, radius, wall, size):
    """Masks of chamber and of chamber with muscle, bool `(N, T, size, size)`."""
    count = len(radius)
    centre = rng.uniform(0.42, 0.58, (2, count, 1, 1, 1))
    axis, angle = rng.uniform(0.8, 1.0, (count, 1, 1, 1)), rng.uniform(0, np.pi, (count, 1, 1, 1))
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    dx, dy = x - centre[0], y - centre[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    distance = np.hypot(along, across / axis)
    radius, wall = radius[:, :, None, None], wall[:, :, None, None]
    return distance < radius, distance < radius + wall


def _faint_sides(rng, chamber):
    """How strongly the wall echoes: less at the sides of the chamber, where the beam, which comes from above, runs along it."""
    columns = np.linspace(-1, 1, chamber.shape[-1])
    faint = rng.uniform(0.2, 0.7, (len(chamber), 1, 1, 1))
    middle = (chamber * columns).sum(axis=(2, 3), keepdims=True) / np.maximum(chamber.sum(axis=(2, 3), keepdims=True), 1)
    side = np.clip(np.abs(columns - middle) / 0.5, 0, 1)
    return 1 - faint * side**2


def _speckle(rng, shape):
    """Amplitudes of many random echoes within a point spread: Rayleigh, of mean square 1, slowly changing, `(N, T, H, W)`."""
    fields = rng.standard_normal((2, *shape))
    for t in range(1, shape[1]):
        fields[:, :, t] = KEPT_SPECKLE * fields[:, :, t - 1] + np.sqrt(1 - KEPT_SPECKLE**2) * fields[:, :, t]
    for axis, blur in zip((-2, -1), BLUR):
        fields = gaussian_filter1d(fields, blur, axis=axis, mode="wrap")
    fields /= fields.std()
    return np.hypot(*fields) / np.sqrt(2)
