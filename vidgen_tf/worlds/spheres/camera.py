"""The camera of the spheres, and rotations: only + - * / and sqrt, so that every machine gets the same bits.

The scene is right-handed: x to the right, y up, z towards the camera; the floor is y = 0. The camera stands still. Depth is
measured along its optical axis. A ray is a direction whose depth is 1: the point at depth t is `EYE + t * ray`.
"""

import numpy as np

COS, SIN = 12 / 13, 5 / 13  # of the angle by which the camera looks down, 22.6 degrees
EYE = (0.0, 1.0 + 9.4 * SIN, 9.4 * COS)
HALF_VIEW = 0.325  # tangent of half of the angle of view
WALL = -4.4  # z of the wall behind the floor


def project(point, size):
    """Where the camera sees points.

    Args:
        point: tuple of three arrays of one shape, x, y and z in scene units.
        size: height and width of a frame in px.

    Returns:
        tuple of three arrays: x and y in px from the frame's top left corner, and the depth in scene units.
    """
    x, y, z = (value - start for value, start in zip(point, EYE))
    depth = -SIN * y - COS * z
    scale = size / (2 * HALF_VIEW) / depth
    return size / 2 + scale * x, size / 2 - scale * (COS * y - SIN * z), depth


def point_at(x, y, z, size):
    """The point of an upright plane that is seen at a place of a frame: what `project` does, undone.

    Args:
        x: array, px from the frame's left edge.
        y: array, px from its top edge.
        z: array or float, of the plane, in scene units; x, y and z broadcast.
        size: height and width of a frame in px.

    Returns:
        tuple of three arrays: x and y in scene units, and the depth of the point.
    """
    across, up, forward = rays(x - 0.5, y - 0.5, size)
    depth = (z - EYE[2]) / forward
    return EYE[0] + depth * across, EYE[1] + depth * up, depth


def rays(column, row, size):
    """The rays through the middles of pixels.

    Args:
        column: array of numbers of columns, 0 the leftmost.
        row: array of numbers of rows, 0 the topmost; column and row broadcast.
        size: height and width of a frame in px.

    Returns:
        tuple of three arrays, x, y and z, with the dtype of column and row.
    """
    across = (column + 0.5) * (2 * HALF_VIEW / size) - HALF_VIEW
    up = HALF_VIEW - (row + 0.5) * (2 * HALF_VIEW / size)
    return across, up * COS - SIN, -COS - up * SIN


def top_of_view(z):
    """How high the camera sees.

    Args:
        z: array, scene units.

    Returns:
        array of the same shape: y of the highest point seen at this z.
    """
    back = EYE[2] - z
    return (HALF_VIEW * (SIN * EYE[1] + COS * back) + COS * EYE[1] - SIN * back) / (COS + HALF_VIEW * SIN)


def half_width(y, z):
    """How far to the side the camera sees.

    Args:
        y: array, scene units.
        z: array, scene units.

    Returns:
        array: x of the rightmost point seen at this y and z.
    """
    return HALF_VIEW * (SIN * (EYE[1] - y) + COS * (EYE[2] - z))


def dot(a, b):
    """Scalar product of vectors that are tuples of their components, always added in the same order.

    Args:
        a: tuple of three arrays.
        b: tuple of three arrays.

    Returns:
        array of the broadcast shape.
    """
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cos_sin(angle):
    """Cosine and sine from + and * alone: NumPy's own differ between machines in their last bit.

    Args:
        angle: float64 array in radians, up to about 100.

    Returns:
        tuple of two float64 arrays, right to about 1e-12.
    """
    x = angle / 256  # a power of two: no rounding
    xx = x * x
    cos = 1 - xx / 2 * (1 - xx / 12 * (1 - xx / 30 * (1 - xx / 56)))
    sin = x * (1 - xx / 6 * (1 - xx / 20 * (1 - xx / 42 * (1 - xx / 72))))
    for _ in range(8):  # the double angle, eight times
        cos, sin = cos * cos - sin * sin, 2 * cos * sin
    return cos, sin


def multiply(a, b):
    """Product of quaternions: first the rotation b, then a.

    Args:
        a: array `(..., 4)`, (w, x, y, z).
        b: array `(..., 4)`.

    Returns:
        array `(..., 4)`.

    References:
        Shoemake, 1985, "Animating rotation with quaternion curves".
    """
    (aw, ax, ay, az), (bw, bx, by, bz) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    w = aw * bw - ax * bx - ay * by - az * bz
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    return np.stack([w, x, y, z], axis=-1)


def normalized(quaternion):
    """Quaternions of length 1.

    Args:
        quaternion: array `(..., 4)`.

    Returns:
        array of the same shape; that of no rotation where the length is 0.
    """
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    length = np.sqrt(w * w + x * x + y * y + z * z)[..., None]
    return np.where(length > 0, quaternion / np.where(length > 0, length, 1), np.array([1.0, 0, 0, 0]))


def axes(quaternion):
    """The rotated axes of a body.

    Args:
        quaternion: array `(..., 4)` of length 1.

    Returns:
        tuple of three vectors, each a tuple of three arrays `(...)`: where the body's x, y and z axes point.
    """
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )
