"""One ball that is thrown across the room and bounces, with ranges of radius, speed and drop: what physics is tested on.

All clips show the same room in the same light, and the ball's centre stays in one plane, so what differs between two clips is the
ball's colour, its radius, where it starts, how fast it goes and from how high it falls. The laws are those of `motion`.
"""

import numpy as np

from ...errors import CourseError
from .camera import half_width, top_of_view
from .captions import COLORS, SIZES
from .motion import DURATION, FALLS, GRAVITY, NUM_FRAMES, RESTITUTION, fall

PLANE = -1.0  # z of the ball's centre
FLOOR, WALL = 3, 5  # a light carpet and a wall of a greyish blue: no ball has their colours
LIGHT = (0.6, 1.0, 0.4)  # towards the sun
BALLS = tuple(i for i, name in enumerate(COLORS) if name != "blue")  # blue balls are held out, see splits
BOUNCING_DRAWS = 6
RANGES = {"speed": (0.08, 0.16), "radius": (0.7, 0.9), "drop": (1.0, 1.6)}  # of `make_bouncing` where none are given
LARGEST = {"radius": 1.3, "speed": 0.4, "drop": 2.5}  # beyond, nothing stays in view


def simulate_bouncing(u, radius, speed, drop):
    """States of clips.

    Args:
        u: float64 `(N, BOUNCING_DRAWS)` in [0, 1).
        radius, speed, drop: pairs, the lowest and the highest value, see `make_bouncing`.

    Returns:
        dict of arrays, see `make`; float64 where they aren't integers.

    Raises:
        CourseError: a range that is none, or balls that leave the picture.
    """
    check_ranges(radius, speed, drop)
    n = len(u)
    r, pace, height = (low + (high - low) * u[:, i] for i, (low, high) in enumerate((radius, speed, drop)))
    velocity = np.where(u[:, 3] < 0.5, -1.0, 1.0) * pace
    limit, travel = _limit(r, height), velocity * DURATION
    low, high = np.maximum(-limit, -limit - travel), np.minimum(limit, limit - travel)
    time = np.arange(NUM_FRAMES, dtype=np.float64)
    y, v = fall(r + height, r, np.full(n, RESTITUTION[0]))
    position = np.stack([(low + (high - low) * u[:, 4])[:, None] + velocity[:, None] * time, y, np.full_like(y, PLANE)], axis=-1)
    moved = np.stack([np.repeat(velocity[:, None], NUM_FRAMES, axis=1), v, np.zeros_like(v)], axis=-1)
    small, large = SIZES.values()
    numbers = {"kind": 0, "texture": 0, "motion": FALLS}
    numbers |= {"color": np.array(BALLS)[(u[:, 5] * len(BALLS)).astype(int)], "size": r > (small + large) / 2}
    states = {"objects": np.ones(n, np.int8)} | {key: _alone(np.broadcast_to(number, n), -1) for key, number in numbers.items()}
    states |= {"floor": np.full(n, FLOOR, np.int8), "wall": np.full(n, WALL, np.int8)}
    mass = 4.1887902047863905 * r * r * r
    states |= {"radius": _alone(r), "mass": _alone(mass), "inertia": _alone(1.4 * mass)}
    states |= {"position": _alone(position), "velocity": _alone(moved), "angular_velocity": _alone(np.zeros_like(moved))}
    states["rotation"] = _alone(np.broadcast_to([1.0, 0.0, 0.0, 0.0], (n, NUM_FRAMES, 4)))
    length = np.sqrt(LIGHT[0] * LIGHT[0] + LIGHT[1] * LIGHT[1] + LIGHT[2] * LIGHT[2])
    return states | {"light": np.broadcast_to(np.array(LIGHT) / length, (n, 3)), "collision_time": np.full(n, -1.0)}


def touch_times(drop):
    """When a ball touches the floor for the first and for the second time.

    Args:
        drop: float array, from how high above its place on the floor it falls, in units.

    Returns:
        two float arrays, in frames.
    """
    first = np.sqrt(2 * drop / GRAVITY)
    return first, first * (1 + 2 * RESTITUTION[0])


def check_ranges(radius, speed, drop):
    """Refuses ranges that are none, and balls that would leave the picture.

    Args:
        radius, speed, drop: pairs, see `make_bouncing`.

    Raises:
        CourseError: says which of them, or that all together need more room than there is.
    """
    for name, pair in {"radius": radius, "speed": speed, "drop": drop}.items():
        lowest = 0.0 if name == "speed" else 0.1
        if len(pair) != 2 or not lowest <= pair[0] <= pair[1] <= LARGEST[name]:
            raise CourseError(f"{name} must be a range from {lowest} at least to {LARGEST[name]} at most, got {tuple(pair)}.")
    r, height = float(radius[1]), float(drop[1])
    room = top_of_view(PLANE + r) - 2.1 * r
    if height > room:
        raise CourseError(f"A ball of radius {r:g} can fall from {room:.2f} at most, to be in view, not from {height:g}.")
    fastest = 2 * _limit(r, height) / DURATION
    if speed[1] > fastest:
        raise CourseError(f"Such a ball can move at {fastest:.2f} units per frame at most, to stay in view, not at {speed[1]:g}.")


def _limit(radius, drop):
    """How far to the side a ball may be, so that all of it is in view where it starts, which is where the view is narrowest."""
    return half_width(radius + drop, PLANE) - 1.055 * radius - 0.06


def _alone(values, absent=0):
    """The values of the one object with a second one that is absent: `(N, ...)` -> `(N, 2)`, or `(N, T, C)` -> `(N, T, 2, C)`."""
    values = np.asarray(values)
    values = values.astype(np.int8) if values.dtype.kind in "bi" else values
    return np.stack([values, np.full_like(values, absent)], axis=values.ndim - 1 if values.ndim > 1 else 1)
