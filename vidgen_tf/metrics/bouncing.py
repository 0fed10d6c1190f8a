"""Physics of one bouncing ball: it is found by its colour, and what it does is held against the laws of its world.

The clips are those of `worlds.spheres.make_bouncing`, whose states say where the ball is and how large; a prediction of them is
measured in the same way. Lengths are in px of a frame or in units of the scene, times in frames.
"""

import dataclasses

import numpy as np

from ..errors import CourseError
from ..worlds import spheres
from ..worlds.spheres.bouncing import PLANE, touch_times
from ..worlds.spheres.camera import HALF_VIEW, point_at
from ..worlds.spheres.scene import PALETTE
from .physics import fit_polynomial
from .tracking import image_moments, median_over_time

FAINT = 0.08  # share of a pixel's light up to which a colour is noise: predicted frames have traces of colour everywhere
MIN_AREA = 2.0  # px^2: less is no ball; the smallest one that is asked for has 8
MARGIN = 0.5  # frames after one touch of the floor, and before the next one, that belong to no flight
MAX_RESIDUAL = 0.04  # units, root mean square: real flights have 0.02 at most, those with a touch of the floor in them 0.1
MIN_FRAMES, MAX_EARLY = 4, 3  # frames that a parabola needs, and how many of them a flight may be too short by
NUM_LAST = 4  # frames at the end of a clip in which size and colour are measured


@dataclasses.dataclass(frozen=True, eq=False)
class BallTrack:
    """Where the ball is in T frames of N clips.

    Args:
        centre: float `(N, T, 2)`, (x, y) in px from the top left corner, NaN where no ball is seen.
        radius: float `(N, T)`, px, of a disc of equal area, NaN where no ball is seen. A ball's dark edge counts in part, so it
            is some per cent too small: compare it with a real clip's.
        color: int `(N,)`, index into `spheres.COLORS` of the colour nearest to that of the last frames.
    """

    centre: np.ndarray
    radius: np.ndarray
    color: np.ndarray


def track_ball(frames, color):
    """Finds the ball of a known colour before the known room.

    The light of a pixel is a mixture of the ball's colour and of the room's, each in a brightness of its own, because of shading
    and of shadows. Least squares gives both brightnesses, and the first one's share of their sum is how much of the pixel the
    ball covers.

    Args:
        frames: uint8 `(N, T, H, W, 3)`, clips of `spheres.make_bouncing` or predictions of them.
        color: int `(N,)`, index into `spheres.COLORS`.

    Returns:
        `BallTrack`.

    Raises:
        CourseError: clips of another type or shape, or another number of colours.
    """
    frames, color = np.asarray(frames), np.asarray(color)
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[4] != 3 or frames.shape[2] != frames.shape[3]:
        raise CourseError(f"A ball is tracked in uint8 clips (n, time, size, size, 3), got {frames.dtype} {frames.shape}.")
    if color.shape != frames.shape[:1]:
        raise CourseError(f"Each of the {len(frames)} clips has one colour, got colours of shape {color.shape}.")
    light = (frames.astype(np.float32) / 255) ** 2
    room = _chromaticity((spheres.bouncing_room(frames.shape[2]).astype(np.float32) / 255) ** 2)
    own = _chromaticity(PALETTE)[color][:, None, None, None]
    of_ball, of_room = _mixture(light, own, room)
    share = of_ball / np.maximum(of_ball + of_room, 1e-4)
    coverage = np.clip((share - FAINT) / (1 - FAINT), 0, 1)
    area, centre = image_moments(coverage)
    seen = area >= MIN_AREA
    others = light[:, -NUM_LAST:] - of_room[:, -NUM_LAST:, ..., None] * room
    rest = np.einsum("nthw,nthwc->nc", coverage[:, -NUM_LAST:], others)  # the light of the ball alone
    radius = np.where(seen, np.sqrt(area / np.pi), np.nan)
    return BallTrack(np.where(seen[..., None], centre, np.nan), radius, _nearest_color(rest, seen[:, -NUM_LAST:].any(axis=1)))


def measure_bouncing(frames, clips):
    """What the ball does in frames that are, or predict, the end of clips.

    Args:
        frames: uint8 `(N, F, H, W, 3)`, in place of the last F frames of the clips.
        clips: `LabelledClips` of `spheres.make_bouncing`, whose states are the truth.

    Returns:
        dict of arrays. "position_error", float `(N, F)`, px, how far the ball is from its true place. And float `(N,)`: "speed",
        units per frame, across, positive in the true direction; "gravity", the acceleration downwards between the first two
        touches of the floor, as a multiple of `spheres.GRAVITY`; "restitution" of the first touch: the square root of the
        height to which the ball rises as a share of that from which it fell; "radius", units, in the last frames; and
        "color_preserved", 1 where the last frames have the ball's colour, else 0. NaN where too little of a ball is seen.

    Raises:
        CourseError: as `track_ball`.
    """
    first, size, states = clips.frames.shape[1] - frames.shape[1], clips.frames.shape[2], clips.states
    color, radius = states["color"][:, 0], states["radius"][:, 0]
    track = track_ball(frames, color)
    x, y, depth = point_at(track.centre[..., 0], track.centre[..., 1], PLANE, size)
    line, _ = fit_polynomial(x, np.isfinite(x), 1)
    drop = states["position"][:, 0, 0, 1] - radius
    gravity, top = _first_flight(y, drop, first)
    return {
        "position_error": np.linalg.norm(track.centre - states["pixel_position"][:, first:, 0], axis=-1),
        "speed": line[:, 1] * np.where(states["velocity"][:, 0, 0, 0] < 0, -1, 1),
        "gravity": gravity / spheres.GRAVITY,
        "restitution": np.sqrt(np.maximum(top - radius, 0) / drop),
        "radius": median_over_time((track.radius * depth)[:, -NUM_LAST:]) * 2 * HALF_VIEW / size,
        "color_preserved": (track.color == color).astype(float),
    }


def _first_flight(y, drop, first):
    """Acceleration downwards, and the highest point, `(N,)` each, of the parabola through the heights `(N, F)` of frames between
    the first two touches of the floor. Where a ball touches it too early, the last frames leave the parabola and are left out."""
    time = np.arange(first, first + y.shape[1])
    begin, end = (touch[:, None] + sign * MARGIN for touch, sign in zip(touch_times(drop), (1, -1)))
    flying = (time > begin) & (time < end) & np.isfinite(y)
    highest = np.where(flying.any(axis=1), np.where(flying, y, -np.inf).max(axis=1), np.nan)
    weights, residual = fit_polynomial(y, flying, 2)
    for _ in range(MAX_EARLY):
        latest = np.where(flying, time, -1).max(axis=1, keepdims=True)
        early = (residual > MAX_RESIDUAL) & (flying.sum(axis=1) > MIN_FRAMES)
        flying &= ~(early[:, None] & (time == latest))
        weights, residual = fit_polynomial(y, flying, 2)
    moments = begin - first + (end - begin) * np.linspace(0, 1, 50)  # (N, 50), counted from the first of these frames
    curve = weights[:, :1] + weights[:, 1:2] * moments + weights[:, 2:] * moments**2
    return -2 * weights[:, 2], np.where(np.isnan(residual), highest, curve.max(axis=1))


def _chromaticity(light):
    """Light `(..., 3)` of brightness 1."""
    return light / np.maximum(light.sum(axis=-1, keepdims=True), 1e-6)


def _mixture(light, first, second):
    """How much of two colours light `(..., 3)` is made of, by least squares, at least 0."""
    a, b, ab = (np.sum(one * other, axis=-1) for one, other in ((first, first), (second, second), (first, second)))
    of_first, of_second = np.sum(light * first, axis=-1), np.sum(light * second, axis=-1)
    determinant = np.maximum(a * b - ab * ab, 1e-6)
    amounts = (of_first * b - of_second * ab) / determinant, (of_second * a - of_first * ab) / determinant
    return tuple(np.maximum(amount, 0) for amount in amounts)


def _nearest_color(light, seen):
    """Index of the colour whose hue is nearest to that of light `(N, 3)`; -1 where nothing is seen."""
    hues = [part - part.mean(axis=-1, keepdims=True) for part in (light, PALETTE)]
    ours, theirs = (hue / np.maximum(np.linalg.norm(hue, axis=-1, keepdims=True), 1e-9) for hue in hues)
    return np.where(seen, (ours @ theirs.T).argmax(axis=1), -1)
