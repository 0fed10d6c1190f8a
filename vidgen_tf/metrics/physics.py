"""Physical plausibility: tracked objects against the laws of motion of their world.

It needs neither a network nor labels: `tracking.track` gives the trajectories, `shapes_physics` and `digits_physics` measure
them. Lengths are in px of 32x32 frames, which are the units of `worlds.shapes`; times are in frames.
"""

import numpy as np

from ..worlds import digits, shapes
from .tracking import FRAME_SIZE, median_over_time

MAX_DRIFT = 1.0  # px: root mean squared distance from a line along an axis, up to which a digit moves along it


def fit_polynomial(values, valid, degree):
    """Least-squares fit of polynomials of time to rows of measurements.

    Args:
        values: float `(M, T)`.
        valid: bool `(M, T)`, which of them count.
        degree: of the polynomials.

    Returns:
        float64 coefficients `(M, degree + 1)`, of the constant first, in the values' unit per frame^i, NaN for rows with fewer
        than degree + 2 measurements; and the root mean squared residual `(M,)` in the values' unit, NaN for the same rows.
    """
    time = np.arange(values.shape[1], dtype=np.float64)
    return _least_squares(time[:, None] ** np.arange(degree + 1), values, valid)


def fit_reflection(values, valid):
    """Least-squares fit of uniform motion that is reflected once: `a + b |t - t0|`, with t0 at least two frames from both ends.

    Args:
        values: float `(M, T)`.
        valid: bool `(M, T)`, which of them count.

    Returns:
        float64 slope b after the reflection `(M,)`, in the values' unit per frame; the root mean squared residual `(M,)`; and
        bool `(M,)`, whether a reflection is needed: a straight line leaves twice that residual. NaN and False where too few are
        valid.
    """
    times = values.shape[1]
    best, slope = np.full(len(values), np.inf), np.full(len(values), np.nan)
    for moment in np.arange(2, times - 2.75, 0.25):
        basis = np.stack([np.ones(times), np.abs(np.arange(times) - moment)], axis=1)
        weights, residual = _least_squares(basis, values, valid)
        better = residual < best
        best[better], slope[better] = residual[better], weights[better, 1]
    return slope, np.where(np.isfinite(best), best, np.nan), fit_polynomial(values, valid, 1)[1] > 2 * best


def classify_digits_motion(tracks, max_drift=MAX_DRIFT):
    """The motion of each digit, classified by its trajectory alone.

    Args:
        tracks: `Tracks` of N clips, of the tracker "digits".
        max_drift: float px, how far it may drift across the axis that it moves along, root mean square.

    Returns:
        int `(N,)`, index into `digits.MOTIONS`; -1 where the digit isn't reflected once, at constant speed, along an axis.
    """
    axis, slope, residual, reflected, drift = _fit_along_axis(tracks)
    motion = np.where(axis == 0, 2, 0) + np.where(slope > 0, 0, 1)  # y falls first where it is up then down
    return np.where(reflected & (np.abs(slope) > 0.5) & (residual < 1) & (drift < max_drift), motion, -1)


def digits_physics(tracks):
    """Deviations of each digit from the laws of its world: one reflection along one axis, constant speed, constant shape.

    Args:
        tracks: `Tracks` of N clips, of the tracker "digits".

    Returns:
        dict of float `(N, 1)`, at least 0, lower is better, NaN where something can't be measured: "speed_error", the difference
        from the world's speed as a share of it; "trajectory_residual", px, the root mean squared distance from the best fit of
        such a motion; "shape_change", the standard deviation over time of the radius of a disc of equal brightness, as a share
        of its mean; and bool "in_distribution", whether the speed is within a tenth of the world's.
    """
    free = FRAME_SIZE - digits.SIDES[FRAME_SIZE]
    _, slope, residual, _, drift = (value[:, None] for value in _fit_along_axis(tracks))
    speed = np.abs(slope) / (digits.PATH_LENGTH * free / (tracks.centre.shape[1] - 1))
    return {
        "speed_error": np.abs(speed - 1),
        "trajectory_residual": np.hypot(residual, drift),
        "shape_change": _shape_change(tracks),
        "in_distribution": np.abs(speed - 1) < 0.1,
    }


def classify_shapes_motion(tracks):
    """The motion of each object, classified by its trajectory alone.

    Args:
        tracks: `Tracks` of N clips, of the tracker "shapes".

    Returns:
        int `(N, 2)`, index into `shapes.MOTIONS`; -1 where there is no object, or none of these motions.
    """
    x, y = (_per_object(tracks.centre[..., axis]) for axis in range(2))
    valid = _per_object(tracks.measurable)
    fits = [fit_polynomial(value, valid, 1) for value in (x, y)]
    velocity = np.stack([weights[:, 1] for weights, _ in fits], axis=1)  # (N*K, 2)
    straight = np.hypot(fits[0][1], fits[1][1]) < 0.6
    axis = np.nan_to_num(np.abs(velocity)).argmax(axis=1)
    fastest = np.take_along_axis(velocity, axis[:, None], axis=1)[:, 0]
    direction = np.where(axis == 0, 0, 2) + (fastest > 0)  # left, right, up, down
    motion = np.where(straight & (np.abs(fastest) > 0.3), direction, -1)
    motion = np.where(straight & (np.abs(fastest) < 0.1), shapes.MOTIONS.index("stays"), motion)
    acceleration, residual, _ = _fit_fall(y, valid)
    falls = (acceleration > shapes.GRAVITY / 3) & (residual < 1)
    motion = np.where(falls, shapes.MOTIONS.index("falls"), motion).reshape(tracks.color.shape)
    motion = np.where(_collides(tracks)[:, None], shapes.MOTIONS.index("collides"), motion)
    return np.where(tracks.color >= 0, motion, -1)


def shapes_physics(tracks, motion=None):
    """Deviations of each object from the laws of its world.

    Args:
        tracks: `Tracks` of N clips, of the tracker "shapes".
        motion: int `(N, 2)`, the motion that each object should have, index into `shapes.MOTIONS`, -1 for none; None takes that
            of `classify_shapes_motion`.

    Returns:
        dict of float `(N, 2)`, at least 0, lower is better, NaN where a law doesn't apply or can't be measured. Of objects that
        fall: "gravity_error", the difference of the acceleration before the floor from `shapes.GRAVITY` as a share of it;
        "parabola_residual", px, the root mean squared distance of the height from the best parabola; "energy_drift", the change
        of energy per mass between two touches of the floor, as a share of what the fall sets free. Of those that neither fall
        nor collide: "trajectory_residual", px, the root mean squared distance from a straight line at constant speed. Of those
        that move straight on: "speed_error", how far the speed lies outside `shapes.SPEED`, as a share of the bound. Of all:
        "shape_change", the standard deviation of the radius over time as a share of its mean; and bool "in_distribution",
        whether radius and speed occur in this world.
    """
    motion = classify_shapes_motion(tracks) if motion is None else motion
    x, y = (_per_object(tracks.centre[..., axis]) for axis in range(2))
    valid, flat = _per_object(tracks.measurable), motion.ravel()
    (line_x, rest_x), (line_y, rest_y) = fit_polynomial(x, valid, 1), fit_polynomial(y, valid, 1)
    acceleration, residual, touch = _fit_fall(y, valid)
    falls, moves = flat == shapes.MOTIONS.index("falls"), (flat >= 0) & (flat < 4)
    straight = (tracks.color.ravel() >= 0) & ~falls & (flat != shapes.MOTIONS.index("collides"))
    speed = np.hypot(line_x[:, 1], line_y[:, 1])
    outside = np.maximum(np.maximum(1 - speed / shapes.SPEED[0], speed / shapes.SPEED[1] - 1), 0)
    found = {
        "gravity_error": np.where(falls, np.abs(acceleration / shapes.GRAVITY - 1), np.nan),
        "parabola_residual": np.where(falls, residual, np.nan),
        "energy_drift": np.where(falls, _energy_drift(y, valid, touch), np.nan),
        "trajectory_residual": np.where(straight, np.hypot(rest_x, rest_y), np.nan),
        "speed_error": np.where(moves, outside, np.nan),
    }
    found = {name: value.reshape(motion.shape) for name, value in found.items()}
    radius = tracks.radius * np.sqrt(np.pi / shapes.AREA[tracks.shape])
    small, large = shapes.SIZES.values()
    usual = (radius > 0.9 * small) & (radius < 1.1 * large) & ~(np.nan_to_num(found["speed_error"]) > 0.05)
    return found | {"shape_change": _shape_change(tracks), "in_distribution": usual}


def object_count_consistency(tracks):
    """How constant the number of visible objects is.

    Args:
        tracks: `Tracks` of N clips.

    Returns:
        float `(N,)` in (0, 1], higher is better: the share of frames that show as many connected components as most frames of
        the clip do.
    """
    most = np.array([np.bincount(row).argmax() for row in tracks.num_components])
    return np.mean(tracks.num_components == most[:, None], axis=1)


def _least_squares(basis, values, valid):
    """Weights `(M, D)` of basis functions `(T, D)` for rows of measurements, and the residuals `(M,)`; NaN for too few."""
    valid = valid & np.isfinite(values)
    values = np.where(valid, values, 0.0)
    enough = valid.sum(axis=1) > basis.shape[1]
    matrix = np.einsum("mt,ti,tj->mij", valid, basis, basis) + 1e-12 * np.eye(basis.shape[1])
    matrix[~enough] = np.eye(basis.shape[1])
    weights = np.linalg.solve(matrix, (values @ basis)[..., None])[..., 0]
    weights[~enough] = np.nan
    squares = np.where(valid, values - weights @ basis.T, 0.0) ** 2
    return weights, np.where(enough, np.sqrt(squares.sum(axis=1) / np.maximum(valid.sum(axis=1), 1)), np.nan)


def _fit_along_axis(tracks):
    """The axis along which each digit moves most, 0 for x and 1 for y; what `fit_reflection` finds along it; and the drift, the
    root mean squared distance from a line along that axis; each `(N,)`."""
    centre, valid = tracks.centre[:, :, 0], tracks.measurable[:, :, 0]
    fits = [(*fit_reflection(centre[..., i], valid), fit_polynomial(centre[..., i], valid, 0)[1]) for i in range(2)]
    slope, residual, reflected, deviation = (np.stack(values, axis=1) for values in zip(*fits))
    axis, n = np.nan_to_num(np.abs(slope)).argmax(axis=1), np.arange(len(slope))
    return axis, slope[n, axis], residual[n, axis], reflected[n, axis], deviation[n, 1 - axis]


def _per_object(values):
    """(N, T, K) -> (N*K, T)"""
    return np.moveaxis(values, 2, 1).reshape(-1, values.shape[1])


def _shape_change(tracks):
    """Standard deviation of the radius over unoccluded frames as a share of its mean, `(N, K)`; NaN for fewer than two frames."""
    radius, used = np.sqrt(tracks.area), tracks.unoccluded
    count = np.maximum(used.sum(axis=1), 1)
    mean = np.sum(radius * used, axis=1) / count
    deviation = np.sqrt(np.sum((radius - mean[:, None]) ** 2 * used, axis=1) / count)
    return np.where(used.sum(axis=1) >= 2, deviation / np.maximum(mean, 1e-9), np.nan)


def _collides(tracks):
    """Whether two objects collide elastically along x: at one height, until they touch, and their distance falls and rises at one
    rate."""
    both = (tracks.color >= 0).all(axis=1)
    seen = np.isfinite(tracks.centre[..., 0]).all(axis=2)
    slope, residual, reflected = fit_reflection(tracks.centre[:, :, 0, 0] - tracks.centre[:, :, 1, 0], seen)
    height = np.stack([fit_polynomial(tracks.centre[:, :, k, 1], seen, 0)[1] for k in range(2)], axis=1).max(axis=1)
    apart = np.abs(tracks.centre[:, :, 0] - tracks.centre[:, :, 1])  # (N, T, 2)
    across = np.where(seen, apart[..., 0], np.inf).min(axis=1) / tracks.radius.sum(axis=1)
    touch = (across > 0.7) & (across < 1.7)  # real clips: 0.89 to 1.56, as they touch between two frames, and have corners
    up = median_over_time(np.where(seen, apart[..., 1], np.nan)) / tracks.radius.min(axis=1)
    level = up < 0.75  # real clips: 0.5 at most, as a triangle's centre of mass lies below its middle
    return both & reflected & (np.abs(slope) > 0.2) & (residual < 0.5) & (height < 0.5) & touch & level


def _fit_fall(y, valid):
    """Acceleration and residual `(M,)` of the parabola through the heights before the first touch of the floor, and the touches
    `(M, T)`: the frames after which a body rises again."""
    touch = np.zeros(y.shape, bool)
    fallen = (y[:, 1:-1] - y[:, :-2] > -0.1) & (y[:, 1:-1] - y[:, 2:] > 0.1)
    touch[:, 3:-1] = fallen[:, 2:]  # NaN, where it isn't visible, compares as False
    before = np.cumsum(touch, axis=1) == 0
    weights, residual = fit_polynomial(y, valid & before, 2)
    return 2 * weights[:, 2], residual, touch


def _energy_drift(y, valid, touch):
    """Largest change of v^2/2 - g y within a flight, as a share of what the fall sets free; the mean of the first two flights."""
    height = np.where(valid, y, np.nan)
    velocity = (height[:, 2:] - height[:, :-2]) / 2  # exact on a parabola
    energy = velocity**2 / 2 - shapes.GRAVITY * height[:, 1:-1]
    flying = ~(touch[:, 2:] | touch[:, 1:-1] | touch[:, :-2]) & np.isfinite(energy)
    flight = np.cumsum(touch, axis=1)[:, 1:-1]
    changes = []
    for number in range(2):
        own = flying & (flight == number)
        highest, lowest = np.where(own, energy, -np.inf).max(axis=1), np.where(own, energy, np.inf).min(axis=1)
        changes.append(np.where(own.sum(axis=1) >= 2, highest - lowest, np.nan))
    free = shapes.GRAVITY * (np.where(valid, y, -np.inf).max(axis=1) - np.where(valid, y, np.inf).min(axis=1))
    measured = np.isfinite(changes)
    change = np.where(measured, changes, 0).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    return np.where(measured.any(axis=0) & (free > 0), change / np.where(free > 0, free, 1), np.nan)
