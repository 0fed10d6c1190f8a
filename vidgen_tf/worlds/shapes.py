"""Coloured shapes: one or two of them move at constant velocity, fall and bounce, stay, or collide.

Lengths below are in units: the frame is 32 units wide and high whatever its size in pixels. Time is in frames. x grows to
the right and y downwards, as in an image.
"""

import re

import numpy as np

from ..errors import CourseError, check_whole
from .base import LabelledClips, uniforms

name = "shapes"
tracker = "shapes"

SHAPES = ("circle", "square", "triangle")
COLORS = {
    "red": (235, 64, 52),
    "green": (52, 190, 90),
    "blue": (58, 110, 245),
    "yellow": (250, 212, 50),
    "purple": (175, 80, 220),
    "orange": (250, 140, 30),
}
SIZES = {"small": 3.5, "large": 5.5}  # radius in units
MOTIONS = ("left", "right", "up", "down", "falls", "stays", "collides")
BACKGROUND = (24, 24, 34)

attributes = {"size": tuple(SIZES), "color": tuple(COLORS), "shape": SHAPES, "motion": MOTIONS}

EXTENT = 32.0
NUM_FRAMES = 16
FPS = 8
GRAVITY = 0.6  # units per frame^2
RESTITUTION = 0.8  # share of its speed that a falling shape keeps at the floor
SPEED = (0.7, 1.2)  # units per frame

# Half width and half height of a shape of radius 1, and its area, which is its mass.
HALF_WIDTH = np.array([1.0, 0.9, 1.0])
HALF_HEIGHT = np.array([1.0, 0.9, 0.9])
AREA = np.array([3.141592653589793, 3.24, 1.8])

BLOCK = 16  # clips rendered at once: their planes stay in the processor's cache
DRAWS = 24  # random numbers per clip
TRANSPARENT, OPAQUE = 12, 72  # alpha is 0 up to the first difference from the background, and 1 from the second on

SHAPES_ZH = ("圆形", "正方形", "三角形")
COLORS_ZH = ("红色", "绿色", "蓝色", "黄色", "紫色", "橙色")
SIZES_ZH = ("小", "大")
VERBS = ("moves left", "moves right", "moves up", "moves down", "falls and bounces", "stays still")
VERBS_ZH = ("向左移动", "向右移动", "向上移动", "向下移动", "下落并弹起", "静止不动")
ENGLISH = (tuple(SIZES), tuple(COLORS), SHAPES, (*VERBS, "collide"), "a ({}) ({}) ({})")
CHINESE = (SIZES_ZH, COLORS_ZH, SHAPES_ZH, (*VERBS_ZH, "相撞"), "一个({})的({})({})")


def make(count, *, seed, start=0, size=32):
    """Clips of 16 frames at 8 fps.

    Half of the clips show one object, half two. Of those with two, a quarter collide elastically (head-on along x, mass = area);
    in the others each object moves on its own, and the second passes in front of the first. Two objects differ in colour.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 32 or 64 (any number from 2 works).

    Returns:
        `LabelledClips` with uint8 frames `(count, 16, size, size, 3)`. Its states, K = 2 objects, the second of which is absent
        (-1, or 0 where the dtype is float) where `objects` is 1:
        `objects` (N,) 1 or 2; `shape`, `color`, `size`, `motion` (N, K) int8 indices into SHAPES, COLORS, SIZES, MOTIONS;
        `radius` (N, K) px and `mass` (N, K) px^2; `position`, `velocity` (N, T, K, 2) as (x, y) in px and px per frame;
        `collision_time` (N,) in frames, -1 where there is no collision.

    Raises:
        CourseError: an impossible count, seed, start or size.
    """
    return _labelled(uniforms(seed, start, count, DRAWS), size)


def make_captioned(states, *, seed, size=32):
    """Clips that show what captions say, drawn anew in all else: places, speeds, and who collides from which side.

    Args:
        states: dict of int arrays "objects" `(N,)`, and "shape", "color", "size" and "motion" `(N, 2)`, as `make` or
            `parse_captions` gives them.
        seed: non-negative int. Clip i is the same whatever the others show.
        size: as for `make`.

    Returns:
        `LabelledClips` as of `make`, whose captions are those of the states.

    Raises:
        CourseError: two objects of one colour, which no clip of this world shows; or an impossible seed or size.
    """
    if ((states["objects"] == 2) & (states["color"][:, 0] == states["color"][:, 1])).any():
        raise CourseError("Two objects of a clip differ in colour: no clip can show two of one.")
    draws = uniforms(seed, 0, len(states["objects"]), DRAWS)
    two, color = states["objects"] == 2, np.maximum(states["color"], 0)
    draws[:, 0], draws[:, 1] = np.where(two, 0.75, 0.25), np.where(states["motion"][:, 0] == MOTIONS.index("collides"), 0.1, 0.6)
    color = np.stack([color[:, 0], color[:, 1] - (color[:, 1] > color[:, 0])], axis=1)  # the second's is drawn from the others
    numbers = {"shape": len(SHAPES), "color": len(COLORS), "size": len(SIZES), "motion": len(MOTIONS) - 1}
    for k in range(2):
        for column, (key, number) in enumerate(numbers.items()):
            value = color[:, k] if key == "color" else np.clip(states[key][:, k], 0, number - 1)
            draws[:, 2 + 4 * k + column] = (value + 0.5) / (number - k * (key == "color"))
    return _labelled(draws, size)


def _labelled(draws, size):
    """The clips of their uniforms `(N, DRAWS)`."""
    check_whole(2, size=size)
    scale = size / EXTENT
    states = simulate(draws)
    for key, power in {"radius": 1, "mass": 2, "position": 1, "velocity": 1}.items():
        states[key] = (states[key] * scale**power).astype(np.float32)
    captions, captions_zh = _captions(states)
    return LabelledClips(render(states, size), captions, captions_zh, states, world=name, fps=FPS)


def render(states, size=32):
    """The frames that states describe: those of `make`, or counterfactual ones that no law of this world would allow.

    Args:
        states: dict with "shape", "color", "radius" and "position", as `make` gives them.
        size: height and width in px; radius and position are in px of this size.

    Returns:
        uint8 `(N, 16, size, size, 3)`.
    """
    frames = np.empty((len(states["shape"]), NUM_FRAMES, size, size, 3), np.uint8)
    for first in range(0, len(frames), BLOCK):
        block = {key: states[key][first : first + BLOCK] for key in ("shape", "color", "radius", "position")}
        _paint(frames[first : first + BLOCK], block)
    return frames


def render_layer(states, k, size=32):
    """One layer of the scene: the frames of one object over the plain background.

    Args:
        states: as for `render`.
        k: index of the object, 0 or 1; the second passes in front of the first.
        size: height and width in px.

    Returns:
        uint8 `(N, 16, size, size, 3)`; of an object that is absent, the background alone.

    References:
        Wang and Adelson, 1994, "Representing moving images with layers".
    """
    return render(states | {"shape": np.where(np.arange(2) == k, states["shape"], -1)}, size)


def composite(background, foreground):
    """Alpha compositing: lays a layer over other frames.

    The layer has no alpha channel: alpha is estimated from how far a pixel is from the plain background's colour.

    Args:
        background: uint8 `(..., 3)`, frames.
        foreground: uint8 of the same shape, frames as `render_layer` gives them, or a model's.

    Returns:
        uint8 of the same shape: the background shows where the foreground has the plain background's colour.

    References:
        Porter and Duff, 1984, "Compositing digital images" (the operator "over").
    """
    plain = np.array(BACKGROUND, np.float32)
    difference = np.abs(foreground - plain).max(axis=-1, keepdims=True)
    transparency = 1 - np.clip((difference - TRANSPARENT) / (OPAQUE - TRANSPARENT), 0, 1)
    return np.uint8(np.clip(foreground + transparency * (background - plain) + 0.5, 0, 255))


def parse_captions(captions):
    """The states that captions name.

    Args:
        captions: sequence of N captions of this world, English or Chinese.

    Returns:
        dict of int8 arrays as in the states of `make`: "objects" `(N,)`; "shape", "color", "size" and "motion" `(N, 2)`, -1
        for an object that is absent.

    Raises:
        CourseError: a caption that this world doesn't make.
    """
    states = {"objects": np.zeros(len(captions), np.int8)}
    states |= {key: np.full((len(captions), 2), -1, np.int8) for key in ("shape", "color", "size", "motion")}
    for i, caption in enumerate(map(str, captions)):
        sizes, colors, names, verbs, pattern = ENGLISH if caption.isascii() else CHINESE
        objects = re.findall(pattern.format("|".join(sizes), "|".join(colors), "|".join(names)), caption)
        motions = re.findall("|".join(verbs), caption) * (2 if caption.endswith(verbs[-1]) else 1)
        if len(objects) in (1, 2) and len(motions) == len(objects):
            states["objects"][i] = len(objects)
            for k, (size, color, shape) in enumerate(objects):
                states["size"][i, k], states["color"][i, k] = sizes.index(size), colors.index(color)
                states["shape"][i, k], states["motion"][i, k] = names.index(shape), verbs.index(motions[k])
    for caption, objects, *written in zip(map(str, captions), states["objects"], *_captions(states)):
        if not objects or caption not in written:
            raise CourseError(f"{caption!r} is no caption of this world, such as 'a small red circle moves left'.")
    return states


def optical_flow(clips):
    """Exact forward flow: the displacement of the object in front at each pixel of frame t.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame; 0 on the background.
    """
    n, t, h, w, _ = clips.frames.shape
    flow = np.zeros((n, t - 1, h, w, 2), np.float32)
    for first in range(0, n, BLOCK):
        block = {key: value[first : first + BLOCK] for key, value in clips.states.items()}
        step = block["position"][:, 1:] - block["position"][:, :-1]  # (n, T-1, K, 2)
        for k in range(2):
            inside = coverage(block, k, h)[:, :-1] > 0.5  # (n, T-1, H, W)
            out = flow[first : first + BLOCK]
            out[...] = np.where(inside[..., None], step[:, :, k, None, None], out)
    return flow


def coverage(states, k, size):
    """Share of each pixel that an object covers: 1 inside, 0 outside, a ramp one px wide between.

    Args:
        states: dict with "shape", "radius" and "position", as `make` gives them.
        k: number of the object, 0 or 1.
        size: height and width in px.

    Returns:
        float32 `(N, T, size, size)`.
    """
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    share = np.zeros((len(states["shape"]), states["position"].shape[1], size, size), np.float32)
    for kind in range(len(SHAPES)):
        these = np.flatnonzero(states["shape"][:, k] == kind)
        if not len(these):
            continue
        x, y = (centres - states["position"][these, :, k, axis, None] for axis in range(2))
        x, y = np.abs(x)[:, :, None, :], y[:, :, :, None]  # all shapes are symmetric about their vertical axis
        r = states["radius"][these, k][:, None, None, None]
        if kind == 0:
            drawn = _ramp(r - np.sqrt(x * x + y * y))
        elif kind == 1:
            side = np.float32(0.9) * r
            drawn = _ramp(side - x) * _ramp(side - np.abs(y))
        else:
            high = np.float32(0.9) * r
            slope = np.sqrt(r * r + 4 * high * high)
            drawn = _ramp(r / slope * (y + high) - 2 * high / slope * x) * _ramp(high - y)
        share[these] = drawn
    return share


def simulate(u):
    """The states of clips, in units: what `make` draws before it paints.

    Args:
        u: float array `(N, DRAWS)` in [0, 1), the random numbers of N clips.

    Returns:
        dict of arrays, see `make`.
    """
    n = len(u)
    two = u[:, 0] >= 0.5
    collides = two & (u[:, 1] < 0.25)
    shape, color, size, motion = (np.empty((n, 2), np.int8) for _ in range(4))
    for k in range(2):
        shape[:, k] = u[:, 2 + 4 * k] * len(SHAPES)
        color[:, k] = u[:, 3 + 4 * k] * (len(COLORS) - k)
        size[:, k] = u[:, 4 + 4 * k] * len(SIZES)
        motion[:, k] = u[:, 5 + 4 * k] * (len(MOTIONS) - 1)
    color[:, 1] += color[:, 1] >= color[:, 0]  # the second has another colour: a caption names it without doubt
    motion[collides] = MOTIONS.index("collides")
    radius = np.array(list(SIZES.values()))[size]
    mass = AREA[shape] * radius * radius
    half = np.stack([HALF_WIDTH[shape] * radius, HALF_HEIGHT[shape] * radius], axis=-1)  # (N, K, 2)
    position, velocity = np.empty((2, n, NUM_FRAMES, 2, 2))
    for k, (position_k, velocity_k) in enumerate(_alone(motion, half, u)):
        position[:, :, k], velocity[:, :, k] = position_k, velocity_k
    collision_time = np.full(n, -1.0)
    if collides.any():
        position[collides], velocity[collides], collision_time[collides] = _collision(
            shape[collides], radius[collides], mass[collides], half[collides], u[collides]
        )
    states = {"objects": two.astype(np.int8) + np.int8(1), "collision_time": collision_time}
    for key, value in {"shape": shape, "color": color, "size": size, "motion": motion}.items():
        value[~two, 1] = -1
        states[key] = value
    for key, value in {"radius": radius, "mass": mass, "position": position, "velocity": velocity}.items():
        value[(~two, 1) if value.ndim == 2 else (~two, slice(None), 1)] = 0
        states[key] = value
    return states


def _alone(motion, half, u):
    """Yields position and velocity `(N, T, 2)` of each object where it moves without touching the other."""
    place = u[:, 10:12]
    for k in range(2):
        if k == 1:  # the second starts well away from the first
            place = (place + 0.35 + 0.3 * u[:, 12:14]) % 1.0
        speed = SPEED[0] + (SPEED[1] - SPEED[0]) * u[:, 14 + k]
        which = motion[:, k]
        vx = np.where(which == 0, -speed, np.where(which == 1, speed, 0.0))
        vy = np.where(which == 2, -speed, np.where(which == 3, speed, 0.0))
        vx = np.where(which == 4, 0.8 * (u[:, 14 + k] - 0.5), vx)  # a falling shape drifts a little sideways
        v = np.stack([vx, vy], axis=-1)  # (N, 2)
        travel = v * (NUM_FRAMES - 1)
        low = half[:, k] + np.maximum(0.0, -travel)
        high = EXTENT - half[:, k] - np.maximum(0.0, travel)
        start = low + (high - low) * place
        time = np.arange(NUM_FRAMES)[None, :, None]
        position = start[:, None] + v[:, None] * time
        velocity = np.broadcast_to(v[:, None], position.shape).copy()
        falls = which == 4
        start_y = half[falls, k, 1] + 6.0 * place[falls, 1]
        position[falls, :, 1], velocity[falls, :, 1] = _fall(start_y, EXTENT - half[falls, k, 1])
        yield position, velocity


def _fall(start, floor):
    """Height and vertical velocity `(n, T)` of bodies dropped from rest that bounce: a parabola between any two touches."""
    time = np.arange(NUM_FRAMES, dtype=np.float64)[None]
    start, floor = start[:, None], floor[:, None]
    y, v = start + GRAVITY * time * time / 2, GRAVITY * time
    touch = np.sqrt(2 * (floor - start) / GRAVITY)
    speed = GRAVITY * touch
    for _ in range(3):  # 16 frames hold two touches at most
        speed = RESTITUTION * speed
        since = time - touch
        y = np.where(since >= 0, floor - speed * since + GRAVITY * since * since / 2, y)
        v = np.where(since >= 0, GRAVITY * since - speed, v)
        touch = touch + 2 * speed / GRAVITY
    return y, v


def _collision(shape, radius, mass, half, u):
    """Position and velocity `(n, T, K, 2)` of two objects that meet head-on along x, and the time `(n,)` of the collision."""
    n, time = len(u), np.arange(NUM_FRAMES, dtype=np.float64)
    gap = _contact_distance(shape, radius)
    side = np.where(u[:, 10] < 0.5, -1.0, 1.0)  # -1: the first object comes from the left
    before = np.stack([-side * (0.4 + 0.6 * u[:, 11]), side * (0.4 + 0.6 * u[:, 12])], axis=-1)
    before[u[:, 13] < 0.3, 1] = 0.0  # sometimes the second waits at rest
    total = mass[:, 0] + mass[:, 1]
    centre = (mass[:, 0] * before[:, 0] + mass[:, 1] * before[:, 1]) / total  # velocity of the centre of mass
    after = 2 * centre[:, None] - before  # elastic: velocities are mirrored in the centre of mass
    collision_time = 5.0 + 4.0 * u[:, 14]
    middle = EXTENT / 2 + 2.0 * (u[:, 15] - 0.5)
    at_contact = middle[:, None] + np.stack([side, -side], axis=-1) * gap[:, None] / 2
    room = np.stack([half[..., 0] - at_contact, EXTENT - half[..., 0] - at_contact], axis=-1)  # (n, K, left and right)
    durations = collision_time[:, None], (NUM_FRAMES - 1 - collision_time)[:, None]
    travel = np.stack([-before * durations[0], after * durations[1]], axis=-1)  # (n, K, before and after)
    bound = np.where(travel < 0, room[..., :1], room[..., 1:])
    fits = np.where(travel != 0, bound / np.where(travel != 0, travel, 1.0), np.inf).min(axis=(1, 2))
    scale = np.minimum(fits * (0.8 + 0.2 * u[:, 16]), 2.0)[:, None]
    since = time[None] - collision_time[:, None]  # (n, T)
    vx = np.where(since[..., None] < 0, (scale * before)[:, None], (scale * after)[:, None])  # (n, T, K)
    height = half[..., 1].max(axis=1)
    y = height + (EXTENT - 2 * height) * u[:, 17]
    position, velocity = np.zeros((2, n, NUM_FRAMES, 2, 2))
    position[..., 0] = at_contact[:, None] + vx * since[..., None]
    position[..., 1] = y[:, None, None]
    velocity[..., 0] = vx
    return position, velocity, collision_time


def _contact_distance(shape, radius):
    """Distance `(n,)` of the centres of two shapes at one height that touch: the largest sum of half widths at any height."""
    height = (HALF_HEIGHT[shape] * radius).min(axis=1)[:, None] * np.linspace(-1, 1, 65)[None]  # (n, heights)
    reach = 0.0
    for k in range(2):
        r = radius[:, k, None]
        circle = np.sqrt(np.maximum(r * r - height * height, 0.0))
        triangle = (height + 0.9 * r) / 1.8
        kind = shape[:, k, None]
        reach = reach + np.where(kind == 0, circle, np.where(kind == 1, 0.9 * r, triangle))
    return reach.max(axis=1)


def _paint(frames, states):
    """Paints a block of clips: the background, then each object over what is there, mixed by its coverage of the pixel."""
    palette = np.array(list(COLORS.values()), np.float32)
    planes = [np.float32(value + 0.5) for value in BACKGROUND]  # + 0.5: cutting off the fraction will round to nearest
    for k in range(2):
        share = coverage(states, k, frames.shape[2])
        paint = palette[states["color"][:, k]] + np.float32(0.5)
        planes = [plane + share * (paint[:, c, None, None, None] - plane) for c, plane in enumerate(planes)]
    for c, plane in enumerate(planes):
        frames[..., c] = plane


def _ramp(distance):
    """Coverage of a pixel whose centre lies `distance` px inside an edge."""
    return np.clip(distance + np.float32(0.5), 0, 1)


def _captions(states):
    """English and Chinese captions, from the states alone."""
    names, sizes = list(COLORS), list(SIZES)
    english, chinese = [], []
    columns = (states[key].tolist() for key in ("objects", "shape", "color", "size", "motion"))
    for objects, shape, color, size, motion in zip(*columns, strict=True):
        nouns = [f"a {sizes[size[k]]} {names[color[k]]} {SHAPES[shape[k]]}" for k in range(objects)]
        nouns_zh = [f"一个{SIZES_ZH[size[k]]}的{COLORS_ZH[color[k]]}{SHAPES_ZH[shape[k]]}" for k in range(objects)]
        if MOTIONS[motion[0]] == "collides":
            english.append(" and ".join(nouns) + " collide")
            chinese.append("和".join(nouns_zh) + "相撞")
        else:
            english.append(" and ".join(f"{noun} {VERBS[m]}" for noun, m in zip(nouns, motion, strict=False)))
            chinese.append("，".join(f"{noun}{VERBS_ZH[m]}" for noun, m in zip(nouns_zh, motion, strict=False)))
    return np.array(english), np.array(chinese)
