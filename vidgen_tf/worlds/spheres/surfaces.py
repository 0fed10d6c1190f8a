"""Where rays meet spheres and boxes: exact points, smooth outlines.

The outline of an object is as sharp as a pixel: the share that it covers follows from the distance of the pixel's middle to the
outline. Each object is looked at in a square patch of pixels around it, at all times at once.
"""

from typing import NamedTuple

import numpy as np

from .camera import COS, EYE, HALF_VIEW, SIN, axes, dot, project, rays

OUTSIDE = 1e6  # px: further than any edge


class Surface(NamedTuple):
    """What is seen of an object in its patch of P x P pixels at T times.

    Args:
        pixel: int array `(T, P, P)`, index of each pixel into a frame's rows, one after the other.
        share: array `(T, P, P)` in 0..1, how much of a pixel the object covers.
        depth: array `(T, P, P)`, along the optical axis, in scene units.
        point: tuple of three arrays `(T, P, P)`, where the ray through the pixel's middle meets the object.
        normal: tuple of three arrays `(T, P, P)`, away from the object; mixed where two faces share a pixel.
        body: tuple of three arrays `(T, P, P)`, the point on the object itself, whose radius is 1, wherever that has turned to.
    """

    pixel: np.ndarray
    share: np.ndarray
    depth: np.ndarray
    point: tuple
    normal: tuple
    body: tuple


class Solid(NamedTuple):
    """One object of a clip at T times.

    Args:
        is_box: bool.
        radius: of a ball, or half of a box's edge, in scene units.
        centre: tuple of three arrays `(T, 1, 1)`, in scene units.
        axes: its axes, see `camera.axes`, of arrays `(T, 1, 1)`.
    """

    is_box: bool
    radius: float
    centre: tuple
    axes: tuple


def solids(states, i, dtype=np.float32):
    """The objects of a clip.

    Args:
        states: dict of arrays, as `make` gives them.
        i: number of the clip.
        dtype: in which all is computed.

    Returns:
        list of (k, `Solid`) of the objects that are present, the hindmost first.
    """
    found = []
    for k in np.flatnonzero(states["kind"][i] >= 0).tolist():
        position = states["position"][i, :, k].astype(dtype)[:, None, None]
        rotation = states["rotation"][i, :, k].astype(dtype)[:, None, None]
        centre = tuple(position[..., axis] for axis in range(3))
        solid = Solid(bool(states["kind"][i, k]), dtype(states["radius"][i, k]), centre, axes(rotation))
        away = from_eye(centre, dtype)
        found.append((float((dot(away, away) - solid.radius * solid.radius).max()), k, solid))
    return [(k, solid) for _, k, solid in sorted(found, key=lambda one: -one[0])]


def from_eye(point, dtype):
    """Points as the camera sees them, from its own place.

    Args:
        point: tuple of three arrays.
        dtype: of the result.

    Returns:
        tuple of three arrays.
    """
    return tuple(value - dtype(start) for value, start in zip(point, EYE))


def look_at(solid, size, dtype=np.float32):
    """What the camera sees of an object.

    Args:
        solid: `Solid`.
        size: height and width of a frame in px.
        dtype: of the result.

    Returns:
        `Surface`.
    """
    x, y, depth = project(tuple(value.astype(np.float64) for value in solid.centre), size)
    reach = float(solid.radius) * (1.9 if solid.is_box else 1.12) * size / (2 * HALF_VIEW) / float(depth.min())
    side = min(size, int(2 * reach) + 5)
    first = [np.clip(np.floor(middle - side / 2), 0, size - side).astype(np.int64) for middle in (x, y)]
    column, row = first[0] + np.arange(side)[None, None, :], first[1] + np.arange(side)[None, :, None]
    ray = rays(column.astype(dtype), row.astype(dtype), size)
    pixels = dtype(size / (2 * HALF_VIEW)) / depth.astype(dtype)  # px per scene unit at the object
    met = _meet_box(solid, ray, size, dtype) if solid.is_box else _meet_ball(solid, ray, pixels, dtype)
    return Surface(row * size + column, *met)


def _meet_ball(solid, ray, pixels, dtype):
    to, radius = from_eye(solid.centre, dtype), solid.radius
    length = dot(ray, ray)
    middle = dot(ray, to) / length  # depth at which the ray is nearest to the centre
    miss = np.maximum(dot(to, to) - middle * middle * length, 0)  # squared distance from the centre there
    share = np.clip((radius - np.sqrt(miss)) * pixels + dtype(0.5), 0, 1)
    depth = middle - np.sqrt(np.maximum(radius * radius - miss, 0) / length)
    normal = tuple((depth * part - start) / radius for part, start in zip(ray, to))
    point = tuple(radius * part + start for part, start in zip(normal, solid.centre))
    return share, depth, point, normal, tuple(dot(axis, normal) for axis in solid.axes)


def _meet_box(solid, ray, size, dtype):
    """A plane's inverse depth is linear across the picture, so every edge of the box is a straight line at a known distance."""
    half, away = solid.radius, from_eye(solid.centre, dtype)
    eye = tuple(-dot(axis, away) for axis in solid.axes)  # in the box's own axes, as all below
    ray = tuple(dot(axis, ray) for axis in solid.axes)
    step = dtype(2 * HALF_VIEW / size)
    across = tuple(step * axis[0] for axis in solid.axes)  # change of the ray from a pixel to the next
    down = tuple(-step * (dtype(COS) * axis[1] - dtype(SIN) * axis[2]) for axis in solid.axes)
    sides, front, back, inside = [], [], [], []
    for i in range(3):
        side = np.where(eye[i] < 0, dtype(-1), dtype(1))
        near, far = (sign * side * half - eye[i] for sign in (1, -1))
        inside.append(side * eye[i] <= half)  # the camera lies between both planes of this axis: neither is in front
        planes = (1 / np.where(gap == 0, dtype(1e-6), gap) for gap in (near, far))
        sides.append(side)
        for found, inverse in zip((front, back), planes):
            found.append((ray[i] * inverse, across[i] * inverse, down[i] * inverse))
    edge, face = _edges(front, back, inside, dtype)
    weight = [np.where(no, dtype(0), np.clip(d + dtype(0.5), 0, 1)) for no, d in zip(inside, face)]
    total = weight[0] + weight[1] + weight[2]
    weight = [part / np.maximum(total, dtype(1e-6)) for part in weight]
    entry = [np.where(no, dtype(OUTSIDE), one[0]) for no, one in zip(inside, front)]
    depth = 1 / np.maximum(np.minimum(np.minimum(entry[0], entry[1]), entry[2]), dtype(1e-3))
    body = tuple((start + depth * part) / half for start, part in zip(eye, ray))
    mixed = tuple(side * part for side, part in zip(sides, weight))
    normal = tuple(mixed[0] * solid.axes[0][c] + mixed[1] * solid.axes[1][c] + mixed[2] * solid.axes[2][c] for c in range(3))
    own = tuple(body[0] * solid.axes[0][c] + body[1] * solid.axes[1][c] + body[2] * solid.axes[2][c] for c in range(3))
    point = tuple(half * part + start for part, start in zip(own, solid.centre))
    return np.clip(edge + dtype(0.5), 0, 1), depth, point, normal, body


def _edges(front, back, inside, dtype):
    """How far a pixel lies within the outline of a box, and within each of the faces in front, along the picture, in px.

    It is within where each plane in front is nearer than each one at the back.
    """
    if_inside, unless_inside = ([np.where(no == yes, dtype(0), dtype(OUTSIDE)) for no in inside] for yes in (True, False))
    edge, face = dtype(OUTSIDE), [dtype(OUTSIDE)] * 3
    for i in range(3):
        for j in range(3):
            if i == j:
                continue
            edge = np.minimum(edge, _distance(front[i], back[j]) + unless_inside[i])
            between = _distance(front[i], front[j])
            if inside[j].any():  # then both planes of j are at the back
                edge = np.minimum(edge, between + unless_inside[i] + if_inside[j])
            face[i] = np.minimum(face[i], unless_inside[j] - between)
    return edge, face


def _distance(one, other):
    """Distance in px to the line where two planes meet, positive where the first is nearer to the camera."""
    x, y = one[1] - other[1], one[2] - other[2]
    return (one[0] - other[0]) / np.sqrt(np.maximum(x * x + y * y, x.dtype.type(1e-20)))
