"""Shaded, textured balls and boxes on a floor, in perspective: they roll, slide, fall and bounce, collide, and hide one another.

Lengths are in scene units whatever the size in pixels, time is in frames. The scene is right-handed: x to the right, y up, z
towards the camera; the floor is y = 0. `camera` says where the camera is, `motion` what the laws are, `scene` how it is lit.
"""

import functools

import numpy as np

from ...errors import check_whole
from ..base import LabelledClips, uniforms
from .bouncing import BOUNCING_DRAWS, RANGES, simulate_bouncing
from .camera import dot, project
from .captions import (
    BEHIND,
    COLLIDES,
    COLORS,
    KINDS,
    MOTIONS,
    SIZES,
    TEXTURES,
    attributes,
    parse_captions,
    write_captions,
)
from .motion import ATTRIBUTES, DRAWS, ELASTICITY, GRAVITY, NUM_FRAMES, RESTITUTION, simulate
from .scene import render_clip, room
from .surfaces import look_at, solids

__all__ = [
    "COLORS",
    "ELASTICITY",
    "FPS",
    "GRAVITY",
    "KINDS",
    "MOTIONS",
    "NUM_FRAMES",
    "RESTITUTION",
    "SIZES",
    "TEXTURES",
    "attributes",
    "bouncing_room",
    "depth",
    "make",
    "make_bouncing",
    "make_captioned",
    "masks",
    "optical_flow",
    "parse_captions",
    "render",
]

name = "spheres"
tracker = None
FPS = 8


def make(count, *, seed, start=0, size=32):
    """Clips of 16 frames at 8 fps.

    Half of the clips show one object, half two. Of those with two, a quarter collide, in a quarter the first passes behind the
    second, and in the others each moves on its own. Two objects differ in colour. Room, floor, and direction of the light vary.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int.
        start: index of the first clip; clip i is the same whatever `start` and `count`.
        size: height and width in px, 32 or 64 (any number from 2 works): the same scene.

    Returns:
        `LabelledClips` with uint8 frames `(count, 16, size, size, 3)`. Its states, K = 2 objects, the second of which is absent
        (-1, or 0 where the dtype is float) where `objects` is 1, all float ones float32:
        `objects` (N,) 1 or 2; `kind`, `color`, `texture`, `size`, `motion` (N, K) int8 indices into `attributes`;
        `radius` (N, K) of a ball, or half of a box's edge, `mass` (N, K) units^3, and `inertia` (N, K): a box's mass, and 7/5 of
        a rolling ball's; `position`, `velocity` (N, T, K, 3) as (x, y, z) in units and units per frame; `rotation` (N, T, K, 4)
        unit quaternions (w, x, y, z) and `angular_velocity` (N, T, K, 3) in radians per frame; `pixel_position` (N, T, K, 2),
        where the centre is seen, (x, y) in px; `collision_time` (N,) in frames, -1 where there is no collision;
        `light` (N, 3) unit vector towards the sun; `floor` and `wall` (N,) int8 indices of their looks.

    Raises:
        CourseError: an impossible count, seed, start or size.
    """
    return _labelled(simulate(uniforms(seed, start, count, DRAWS)), size)


def make_captioned(states, *, seed, size=32):
    """Clips that show what captions say, drawn anew in all else: places, speeds, room and light.

    Args:
        states: dict of int arrays "objects" `(N,)`, and "kind", "color", "texture", "size" and "motion" `(N, 2)`, as `make` or
            `parse_captions` gives them.
        seed: non-negative int. Clip i is the same whatever the others show.
        size: as for `make`.

    Returns:
        `LabelledClips` as of `make`, whose captions are those of the states.
    """
    draws = uniforms(seed, 0, len(states["objects"]), DRAWS)
    two, color, first = states["objects"] == 2, np.maximum(states["color"], 0), states["motion"][:, 0]
    draws[:, 0] = np.where(two, 0.75, 0.25)
    draws[:, 1] = np.where(first == COLLIDES, 0.1, np.where(first == BEHIND, 0.4, 0.75))
    color = np.stack([color[:, 0], color[:, 1] - (color[:, 1] > color[:, 0])], axis=1)  # the second's is drawn from the others
    numbers = {"kind": len(KINDS), "color": len(COLORS), "texture": len(TEXTURES), "size": len(SIZES), "motion": COLLIDES}
    for k in range(2):
        for column, (key, number) in enumerate(numbers.items()):
            value = color[:, k] if key == "color" else np.clip(states[key][:, k], 0, number - 1)
            draws[:, ATTRIBUTES + 5 * k + column] = (value + 0.5) / (number - k * (key == "color"))
    return _labelled(simulate(draws), size)


def make_bouncing(count, *, seed, start=0, size=32, radius=RANGES["radius"], speed=RANGES["speed"], drop=RANGES["drop"]):
    """Clips of a plain ball that is thrown across the same room in the same light, falls, and bounces.

    Everything that the ball does follows from four numbers: its radius, its speed across, its direction, and from how high it
    falls; its colour and where it starts vary too. All are drawn independently and uniformly, so a range that is given to a
    training is what it knows, and clips from outside of that range show what it has understood. No ball is blue, see
    `vidgen_tf.splits`.

    Args:
        count: number of clips, at least 1.
        seed: non-negative int.
        start: index of the first clip; clip i is the same whatever `start` and `count` are.
        size: height and width in px, as for `make`.
        radius: pair, the smallest and the largest radius, in units.
        speed: pair, the lowest and the highest horizontal speed, in units per frame.
        drop: pair, the lowest and the largest height of the first fall, in units.

    Returns:
        `LabelledClips` with frames and states as of `make`; a ball's size in captions is the one that its radius is nearer to.

    Raises:
        CourseError: an impossible count, seed, start or size, ranges that are none, or balls that leave the picture.
    """
    return _labelled(simulate_bouncing(uniforms(seed, start, count, BOUNCING_DRAWS), radius, speed, drop), size)


@functools.lru_cache(4)
def bouncing_room(size=32):
    """The room of `make_bouncing` without a ball.

    Args:
        size: height and width in px.

    Returns:
        uint8 `(size, size, 3)`.
    """
    states = simulate_bouncing(uniforms(0, 0, 1, BOUNCING_DRAWS), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0))
    return render(states | {"kind": np.full((1, 2), -1)}, size)[0, 0]


def _labelled(states, size):
    """The clips of the states that `simulate` gives."""
    check_whole(2, size=size)
    size = int(size)  # a NumPy number would make float64 of float32
    x, y, _ = project(tuple(np.moveaxis(states["position"], -1, 0)), size)
    states["pixel_position"] = np.stack([x, y], axis=-1)
    states["pixel_position"][states["objects"] == 1, :, 1] = 0
    states = {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in states.items()}
    captions, captions_zh = write_captions(states)
    return LabelledClips(render(states, size), captions, captions_zh, states, world=name, fps=FPS)


def render(states, size=32):
    """The frames that states describe: those of `make`, or counterfactual ones that no law of this world would allow.

    Args:
        states: dict with "kind", "color", "texture", "radius", "position", "rotation", "light", "floor" and "wall", as `make`
            gives them.
        size: height and width in px.

    Returns:
        uint8 `(N, 16, size, size, 3)`.
    """
    return np.stack([render_clip(states, i, int(size)) for i in range(len(states["kind"]))])


def masks(clips):
    """Instance masks: which pixels show which object.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        bool `(N, T, K, H, W)`; a pixel belongs to the object in front that covers at least half of it, so masks never overlap.
        Empty for an object that is absent.
    """
    n, t, size = clips.frames.shape[:3]
    found = np.zeros((n, t, 2, size * size), bool)
    for i, k, _, surface in _seen(clips):
        time, pixel, _ = _covered(surface)
        found[i, time, :, pixel] = np.arange(2) == k
    return found.reshape(n, t, 2, size, size)


def depth(clips):
    """Exact depth of what is seen through the middle of each pixel.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T, H, W)`, distance from the camera along its optical axis in scene units.
    """
    n, t, size = clips.frames.shape[:3]
    _, _, empty = project(tuple(part.astype(np.float64) for part in room(size)[0]), size)
    found = np.broadcast_to(np.float32(empty).reshape(-1), (n, t, size * size)).copy()
    for i, _, _, surface in _seen(clips):
        time, pixel, covered = _covered(surface)
        found[i, time, pixel] = surface.depth[covered]
    return found.reshape(n, t, size, size)


def optical_flow(clips):
    """Exact forward flow: where the point of an object that is seen at a pixel of frame t is in frame t+1, its turning included.

    Args:
        clips: `LabelledClips` of this world.

    Returns:
        float32 `(N, T-1, H, W, 2)`, (dx, dy) in px per frame; 0 on floor and wall.
    """
    n, t, size = clips.frames.shape[:3]
    flow = np.zeros((n, t, size * size, 2), np.float32)
    for i, _, solid, surface in _seen(clips):
        time, pixel, covered = _covered(surface)
        later = np.minimum(time + 1, t - 1)
        body = tuple(solid.radius * part[covered] for part in surface.body)
        at = tuple(dot([axis[c][later, 0, 0] for axis in solid.axes], body) + solid.centre[c][later, 0, 0] for c in range(3))
        x, y, _ = project(at, size)
        row, column = np.divmod(pixel, size)
        flow[i, time, pixel] = np.stack([x - (column + 0.5), y - (row + 0.5)], axis=-1)
    return flow[:, :-1].reshape(n, t - 1, size, size, 2)


def _seen(clips):
    """Yields clip, object, `Solid` and `Surface` of all objects, in float64, the hindmost of a clip first."""
    for i in range(len(clips)):
        for k, solid in solids(clips.states, i, np.float64):
            yield i, k, solid, look_at(solid, clips.frames.shape[2], np.float64)


def _covered(surface):
    """Frames `(m,)` and pixels `(m,)` that an object covers by half at least, and the mask `(T, P, P)` of them."""
    covered = surface.share >= 0.5
    return np.nonzero(covered)[0], surface.pixel[covered], covered
