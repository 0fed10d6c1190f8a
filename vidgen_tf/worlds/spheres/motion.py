"""How the spheres and boxes move: closed formulas of time, no steps.

Lengths are in scene units, times in frames. A ball rolls without slipping, a box glides without friction.
"""

import numpy as np

from .camera import COS, HALF_VIEW, cos_sin, half_width, multiply, normalized, top_of_view
from .captions import BEHIND, COLLIDES, COLORS, KINDS, MOTIONS, SIZES, STAYS, TEXTURES

NUM_FRAMES = 16
GRAVITY = 0.13  # units per frame^2
RESTITUTION = (0.8, 0.5)  # share of its speed that a ball, or a box, keeps at the floor
ELASTICITY = 0.9  # coefficient of restitution of two objects that collide
BOX_SCALE = 0.75  # half of a box's edge, as a share of the radius of a ball of its size
DIAGONAL = 1.4143  # of a square: how far a turned box reaches
NEAR, FAR = 2.1, -2.6  # z of the centres of objects
APART = 2.05  # more than any two objects need side by side, however they are turned
DURATION = NUM_FRAMES - 1

LEFT, RIGHT, TOWARDS, AWAY, FALLS = (MOTIONS.index(name) for name in ("left", "right", "towards", "away", "falls"))

# Random numbers of a clip: how many, and from which column on each group of them stands.
DRAWS = 48
ATTRIBUTES, ROOM, PLACE, PAIR, SPIN = 2, 12, 17, 27, 34


def simulate(u):
    """States of clips.

    Args:
        u: float64 `(N, DRAWS)` in [0, 1).

    Returns:
        dict of arrays, see `make`; float64 where they aren't integers.
    """
    states = _attributes(u)
    kind, motion, radius = states["kind"], states["motion"], states["radius"]
    start, velocity = _alone(kind, motion, radius, u)
    behind, collides = motion[:, 0] == BEHIND, motion[:, 0] == COLLIDES
    start[behind], velocity[behind] = _passing(kind[behind], radius[behind], u[behind])
    time = np.arange(NUM_FRAMES, dtype=np.float64)[:, None, None]
    position = start[:, None] + velocity[:, None] * time  # (N, T, K, 3)
    velocity = np.broadcast_to(velocity[:, None], position.shape).copy()
    for k in range(2):
        falls = motion[:, k] == FALLS
        bounce = np.array(RESTITUTION)[kind[falls, k]]
        position[falls, :, k, 1], velocity[falls, :, k, 1] = fall(start[falls, k, 1], radius[falls, k], bounce)
    turn = _yaw(u)  # tangent of half of the angle by which a box is turned about the vertical
    collision_time = np.full(len(u), -1.0)
    if collides.any():
        inertia = states["inertia"][collides]
        met = _collision(kind[collides], radius[collides], inertia, u[collides])
        position[collides], velocity[collides], collision_time[collides], turn[collides] = met
    states |= {"position": position, "velocity": velocity, "collision_time": collision_time}
    states["rotation"], states["angular_velocity"] = _rotation(states, turn, u)
    absent = states["objects"] == 1
    for value in states.values():
        if value.ndim > 1 and value is not states["light"]:
            value[(absent, 1) if value.ndim == 2 else (absent, slice(None), 1)] = -1 if value.dtype == np.int8 else 0
    return states


def _attributes(u):
    """What stays the same over time: what the objects are, the room, and the light."""
    n = len(u)
    objects = np.int8(1) + (u[:, 0] >= 0.5).astype(np.int8)
    numbers = {"kind": len(KINDS), "color": len(COLORS), "texture": len(TEXTURES), "size": len(SIZES), "motion": 6}
    states = {"objects": objects} | {key: np.empty((n, 2), np.int8) for key in numbers}
    for k in range(2):
        for column, (key, number) in enumerate(numbers.items()):
            states[key][:, k] = u[:, ATTRIBUTES + 5 * k + column] * (number - k * (key == "color"))
    color, motion = states["color"], states["motion"]
    color[:, 1] += color[:, 1] >= color[:, 0]  # the second has another colour: a caption names it without doubt
    motion[(objects == 2) & (u[:, 1] < 0.25)] = COLLIDES
    motion[(objects == 2) & (u[:, 1] >= 0.25) & (u[:, 1] < 0.5)] = BEHIND, STAYS
    box = states["kind"] == 1
    radius = np.array(list(SIZES.values()))[states["size"]] * np.where(box, BOX_SCALE, 1.0)
    mass = np.where(box, 8.0, 4.1887902047863905) * radius * radius * radius
    states |= {"radius": radius, "mass": mass, "inertia": np.where(box, 1.0, 1.4) * mass}
    a, b, c, d, e = u[:, ROOM : ROOM + 5].T
    states["floor"], states["wall"] = (c * 4).astype(np.int8), (d * 6).astype(np.int8)
    light = (np.where(e < 0.5, -1.0, 1.0) * (0.5 + 0.35 * a), np.ones(n), 0.25 + 0.3 * b)
    length = np.sqrt(light[0] * light[0] + light[1] * light[1] + light[2] * light[2])
    states["light"] = np.stack([value / length for value in light], axis=-1)
    return states


def _limit(kind, radius, y, z):
    """How far to the side an object may be, so that all of it is in view."""
    reach = DIAGONAL * radius
    return np.where(kind == 1, half_width(y + radius, z + reach) - reach, half_width(y, z) - 1.055 * radius) - 0.06


def _lanes(motion, u):
    """Nearest and farthest z `(N, K)` of each object's centre, so that objects that move on their own never touch."""
    along = (motion == TOWARDS) | (motion == AWAY)
    both = along.all(axis=1)
    room = NEAR - FAR - APART
    share = np.where(along[:, 0] == along[:, 1], 0.5, np.where(along[:, 0], 0.8, 0.2))
    first_in_front = u[:, PAIR] < 0.5
    border = np.stack([share, 1 - share], axis=-1) * room
    near = np.stack([np.where(first_in_front, NEAR, FAR + border[:, 0]), np.where(first_in_front, FAR + border[:, 1], NEAR)], -1)
    far = near - border
    return np.where(both[:, None], NEAR - 0.75, near), np.where(both[:, None], FAR, far), both


def _alone(kind, motion, radius, u):
    """Start and velocity `(N, K, 3)` of objects that move without touching; a fall's start is where it is let go."""
    start, velocity = np.zeros((2, *kind.shape, 3))
    near, far, side_by_side = _lanes(motion, u)
    single = u[:, 0] < 0.5
    near[single, 0], far[single, 0], side_by_side = NEAR, FAR, side_by_side & ~single
    for k in range(2):
        a, b, c, d = u[:, PLACE + 5 * k : PLACE + 5 * k + 4].T
        which, r = motion[:, k], radius[:, k]
        along = np.where(which == TOWARDS, 1.0, np.where(which == AWAY, -1.0, 0.0))
        across = np.where(which == LEFT, -1.0, np.where(which == RIGHT, 1.0, 0.0))
        room = near[:, k] - far[:, k]
        speed = np.minimum((0.75 + 0.25 * a) * room / DURATION, 0.26) * (along != 0)
        z = far[:, k] + (room - speed * DURATION) * b + np.where(along < 0, speed * DURATION, 0.0)
        nearest = z + np.where(along > 0, speed * DURATION, 0.0)
        falls = which == FALLS
        top = top_of_view(z + r) - 1.1 * r
        y = np.where(falls, top - (0.02 + 0.3 * d) * (top - r), r)
        limit = _limit(kind[:, k], r, y, nearest)
        drift = np.where(falls, 0.12 * (a - 0.5), across * np.minimum(0.13 + 0.11 * a, 1.9 * limit / DURATION))
        travel = drift * DURATION
        low, high = np.maximum(-limit, -limit - travel), np.minimum(limit, limit - travel)
        side = 2.0 * k - 1.0
        x = np.where(side_by_side, side * (APART / 2 + (limit - APART / 2) * c), low + (high - low) * c)
        start[:, k] = np.stack([x, y, z], axis=-1)
        velocity[:, k] = np.stack([drift, 0 * drift, along * speed], axis=-1)
    return start, velocity


def _passing(kind, radius, u):
    """Start and velocity `(n, K, 3)` of an object that passes behind another one, which stays."""
    start, velocity = np.zeros((2, *radius.shape, 3))
    a, b, c, d, e = u[:, PAIR + 1 : PAIR + 6].T
    z = 0.2 + 1.1 * a
    x = 0.8 * (b - 0.5)
    reach = np.where(kind == 1, DIAGONAL, 1.0) * radius
    behind = z - (reach[:, 0] + reach[:, 1] + 0.05 + 0.2 * c)
    hidden = x * half_width(radius[:, 0], behind) / half_width(radius[:, 1], z)  # where the camera sees both in a line
    way = np.where(d < 0.5, -1.0, 1.0)
    limit = _limit(kind[:, 0], radius[:, 0], radius[:, 0], behind)
    moment = 6.5 + 2.0 * e
    room = np.minimum((limit + way * hidden) / moment, (limit - way * hidden) / (DURATION - moment))
    speed = np.minimum(room, 0.34)
    start[:, 0] = np.stack([hidden - way * speed * moment, radius[:, 0], behind], axis=-1)
    start[:, 1] = np.stack([x, radius[:, 1], z], axis=-1)
    velocity[:, 0, 0] = way * speed
    return start, velocity


def fall(start, radius, restitution):
    """Objects let go that bounce: a parabola between any two touches, then rest.

    Args:
        start: float64 `(n,)`, heights of their centres.
        radius: float64 `(n,)`, height of the centre of an object that lies on the floor.
        restitution: float64 `(n,)`, share of its speed that each keeps at the floor.

    Returns:
        height and vertical velocity, two float64 arrays `(n, T)`.
    """
    time = np.arange(NUM_FRAMES, dtype=np.float64)[None]
    start, floor, restitution = start[:, None], radius[:, None], restitution[:, None]
    y, v = start - GRAVITY * time * time / 2, -GRAVITY * time
    touch = np.sqrt(2 * (start - floor) / GRAVITY)
    speed = GRAVITY * touch
    for _ in range(12):  # a box's bounces get shorter and shorter: after twelve it rests
        speed = restitution * speed
        since = time - touch
        y = np.where(since >= 0, floor + speed * since - GRAVITY * since * since / 2, y)
        v = np.where(since >= 0, speed - GRAVITY * since, v)
        touch = touch + 2 * speed / GRAVITY
    return np.where(time >= touch, floor, y), np.where(time >= touch, 0.0, v)


def _collision(kind, radius, inertia, u):
    """Position and velocity `(n, T, K, 3)` of two objects that meet head-on, the time `(n,)`, and the turn of boxes `(n, K)`.

    Inertia times velocity is kept: where a ball rolls, the floor's grip makes its spin take part, 2/5 of its mass.
    """
    a, b, c, d, e, f, g = u[:, PAIR : PAIR + 7].T
    slope = 0.8 * (a - 0.5)
    length = np.sqrt(1 + slope * slope)
    line = 1 / length, slope / length  # the direction in which they move, x and z
    way = np.where(b < 0.5, 1.0, -1.0)  # 1: the first object comes from the left
    before = np.stack([way * (0.6 + 0.4 * c), -way * np.where(d < 0.4, 0.0, 0.2 + 0.5 * d)], axis=-1)
    centre = (inertia[:, 0] * before[:, 0] + inertia[:, 1] * before[:, 1]) / (inertia[:, 0] + inertia[:, 1])
    after = (1 + ELASTICITY) * centre[:, None] - ELASTICITY * before
    collision_time = 5.2 + 3.0 * e
    x, z = 0.3 * (f - 0.5), -1.8 + 1.3 * g
    contact = np.stack([-way, way], axis=-1) * radius  # along the line, from where they touch
    limit = _limit(kind, radius, radius, z[:, None])  # they stay in view, which is the wider the further they are
    wider = HALF_VIEW * COS * line[1]
    low, high = -(limit + x[:, None]) / (line[0] - wider)[:, None], (limit - x[:, None]) / (line[0] + wider)[:, None]
    room = np.stack([low, high], axis=-1) - contact[..., None]
    travel = np.stack([-before * collision_time[:, None], after * (DURATION - collision_time)[:, None]], axis=-1)
    bound = np.where(travel < 0, room[..., :1], room[..., 1:])
    fits = np.where(travel != 0, bound / np.where(travel != 0, travel, 1.0), np.inf).min(axis=(1, 2))
    scale = np.minimum(0.97 * fits, 0.45)[:, None]
    since = (np.arange(NUM_FRAMES, dtype=np.float64)[None] - collision_time[:, None])[..., None]  # (n, T, 1)
    speed = np.where(since < 0, (scale * before)[:, None], (scale * after)[:, None])  # (n, T, K), along the line
    way = contact[:, None] + speed * since
    position, velocity = np.zeros((2, *speed.shape, 3))
    for axis, middle, part in ((0, x, line[0]), (2, z, line[1])):
        position[..., axis] = middle[:, None, None] + way * part[:, None, None]
        velocity[..., axis] = speed * part[:, None, None]
    position[..., 1] = radius[:, None]
    return position, velocity, collision_time, np.stack([-line[1] / (1 + line[0])] * 2, axis=-1)


def _yaw(u):
    return 0.82 * (u[:, SPIN : SPIN + 2] - 0.5)  # +- 45 degrees: all ways to turn a square


def _rotation(states, turn, u):
    """Rotation `(N, T, K, 4)` as unit quaternions (w, x, y, z), and angular velocity `(N, T, K, 3)`.

    A ball at x on the floor has turned by the angle x / radius about the axis across its way: it rolls without slipping.
    """
    n, k = turn.shape
    spins = u[:, SPIN + 2 : SPIN + 14].reshape(n, k, 6)
    at_first = normalized(np.where((states["kind"] == 0)[..., None], spins[..., :4] - 0.5, _about_y(turn)))  # (N, K, 4)
    position, velocity = states["position"], states["velocity"]
    radius, ball = states["radius"][:, None], (states["kind"] == 0)[:, None]  # (N, 1, K)
    falls = (states["motion"] == FALLS)[:, None]
    moved = position - position[:, :1]
    pace = 0.12 + 0.2 * spins[:, None, :, 4]  # radians per frame of a ball that falls
    time = np.arange(NUM_FRAMES, dtype=np.float64)[None, :, None]
    # About the axis up x velocity: (z, 0, -x) of what was moved; in a fall, about an axis of its own.
    x, z = moved[..., 2] / radius, -moved[..., 0] / radius
    x, z = np.where(falls, 0.8 * pace * time, x), np.where(falls, 0.6 * pace * time, z)
    angle = np.sqrt(x * x + z * z)
    cos, sin = cos_sin(angle / 2)
    share = np.where(angle > 0, sin / np.where(angle > 0, angle, 1.0), 0.0)
    rolled = np.stack([cos, share * x, np.zeros_like(x), share * z], axis=-1)
    rolled = np.where(ball[..., None], rolled, np.array([1.0, 0, 0, 0]))
    spin_x = np.where(falls, 0.8 * pace, velocity[..., 2] / radius) * ball
    spin_z = np.where(falls, 0.6 * pace, -velocity[..., 0] / radius) * ball
    return multiply(rolled, at_first[:, None]), np.stack([spin_x, np.zeros_like(spin_x), spin_z], axis=-1)


def _about_y(turn):
    return np.stack([np.ones_like(turn), np.zeros_like(turn), turn, np.zeros_like(turn)], axis=-1)
