"""The room, its light and its shadows; and the pictures of it."""

import functools

import numpy as np

from .camera import EYE, HALF_VIEW, WALL, dot, rays
from .captions import COLORS
from .motion import NUM_FRAMES
from .surfaces import look_at, solids

F = np.float32
SUN = tuple(F(value) for value in (1.14, 1.07, 0.96))
SKY = tuple(F(value) for value in (0.30, 0.33, 0.39))  # light from everywhere
CREAM, BROWN = (246, 240, 226), (92, 58, 38)


def _as_light(colors):
    """A picture stores the square root of light, near enough to what screens undo (gamma 2.2)."""
    share = np.array(colors, F) / F(255)
    return share * share


PALETTE = _as_light([*COLORS.values()])
SECOND = _as_light([BROWN if color == "yellow" else CREAM for color in COLORS])  # a texture's second colour
WALLS = ((120, 172, 196), (232, 202, 156), (150, 190, 148), (226, 168, 156), (176, 164, 214), (168, 180, 196))
SUBPIXELS = 4  # a pixel of the empty room is the mean of 4 x 4


def render_clip(states, i, size):
    """The frames of a clip.

    Args:
        states: dict of arrays, as `make` gives them.
        i: number of the clip.
        size: height and width in px.

    Returns:
        uint8 `(T, size, size, 3)`.
    """
    light = tuple(states["light"][i].astype(F))
    objects = solids(states, i)
    planes = _lit_room(int(states["floor"][i]), int(states["wall"][i]), light, [solid for _, solid in objects], size)
    offset = (np.arange(NUM_FRAMES) * size * size)[:, None, None]
    for k, solid in objects:
        others = [other for number, other in objects if number != k]
        surface = look_at(solid, size)
        scale = F(size / (2 * HALF_VIEW)) * solid.radius / surface.depth
        colour = _shade(solid, surface, light, others, states["color"][i, k], states["texture"][i, k], scale)
        index = surface.pixel + offset
        for plane, one in zip(planes, colour):
            behind = plane.reshape(-1)
            there = behind[index]
            behind[index] = there + surface.share * (one - there)
    frames = np.empty((NUM_FRAMES, size, size, 3), np.uint8)
    for c, plane in enumerate(planes):
        np.minimum(plane, F(1), out=plane)
        np.sqrt(plane, out=plane)
        plane *= F(255)
        plane += F(0.5)
        frames[..., c] = plane
    return frames


def _shade(solid, surface, light, others, color, texture, scale):
    """Colour of a surface as light, three arrays `(T, P, P)`: Lambert's law, the sky, and a highlight on balls."""
    facing = np.maximum(dot(surface.normal, light), 0)
    for other in others:
        facing = facing * sunlight(surface.point, other, light)
    above = np.clip(surface.point[1] / (F(1.5) * solid.radius), 0, 1)
    sky = (F(0.72) + F(0.28) * surface.normal[1]) * (F(0.55) + F(0.45) * above)  # less light from below, and near the floor
    mix = _texture(texture, surface.body, scale)
    gloss = F(0)
    if not solid.is_box:
        half = tuple(part + toward for part, toward in zip(light, _toward_eye(solid)))
        shine = np.clip(dot(surface.normal, half) / np.sqrt(dot(half, half)), 0, 1)
        for _ in range(5):  # to the power of 32
            shine = shine * shine
        gloss = F(0.55) * shine * (facing > 0)
    own, second = PALETTE[color], SECOND[color]
    colours = []
    for c in range(3):
        albedo = own[c] if mix is None else own[c] + (second[c] - own[c]) * mix
        colours.append(albedo * (SKY[c] * sky + SUN[c] * facing) + gloss)
    return colours


def _toward_eye(solid):
    away = tuple(F(start) - value for start, value in zip(EYE, solid.centre))
    length = np.sqrt(dot(away, away))
    return tuple(part / length for part in away)


def _texture(texture, body, scale):
    """Share of the second colour `(T, P, P)`; edges are a pixel wide, `scale` px being the object's radius. None if plain."""
    if texture == 0:
        return None
    x, y, z = (np.abs(part) for part in body)
    if texture == 1:  # two bands around it
        return np.clip((F(0.2) - np.abs(y - F(0.46))) * scale + F(0.5), 0, 1)
    if texture == 2:  # eight fields
        signs = [np.clip(part * scale * F(1.4), -1, 1) for part in body]
        return F(0.5) + F(0.5) * signs[0] * signs[1] * signs[2]
    most = np.maximum(np.maximum(x, y), z)  # six discs, one around each axis
    off = np.sqrt(np.maximum(x * x + y * y + z * z - most * most, 0))
    return np.clip((F(0.46) - off) * scale + F(0.5), 0, 1)


def sunlight(point, solid, light):
    """How much of the sun reaches points, past an object: soft shadows, the softer the further the object is.

    Args:
        point: tuple of three float32 arrays that broadcast with `(T, 1, 1)`, in scene units.
        solid: `surfaces.Solid`, the object that may be in the way.
        light: tuple of three float32, the direction towards the sun.

    Returns:
        float32 array `(T, ...)` in 0..1.
    """
    away = tuple(start - value for start, value in zip(point, solid.centre))
    if not solid.is_box:
        along = dot(away, light)
        miss = np.sqrt(np.maximum(dot(away, away) - along * along, 0))
        inward, before = solid.radius - miss, -along
        there = along < 0
    else:
        inward, before, there = _box_shadow(away, solid, light)
    width = F(0.1) + F(0.13) * np.maximum(before - solid.radius, 0)
    return 1 - _smooth(inward / width + F(0.5)) * there


def _box_shadow(away, solid, light):
    """Distance inside the outline of a box that is seen from the sun, distance of the box, and whether it is in the way."""
    sun = [dot(axis, light) for axis in solid.axes]
    sun = [np.where(np.abs(part) < F(1e-3), F(1e-3), part) for part in sun]
    start = [dot(axis, away) for axis in solid.axes]
    middle = [-a / b for a, b in zip(start, sun)]
    half = [solid.radius / np.abs(b) for b in sun]
    inward = F(1e6)
    for i in range(3):
        for j in range(3):
            if i != j:  # from the plane i, through which light would enter, to the plane j, through which it would leave
                slope = np.sqrt(1 / (sun[i] * sun[i]) + 1 / (sun[j] * sun[j]))
                inward = np.minimum(inward, (middle[j] - middle[i] + (half[j] + half[i])) / slope)
    enter = np.maximum(np.maximum(middle[0] - half[0], middle[1] - half[1]), middle[2] - half[2])
    leave = np.minimum(np.minimum(middle[0] + half[0], middle[1] + half[1]), middle[2] + half[2])
    return inward, enter + solid.radius, leave > 0


def _smooth(x):
    """0 below 0, 1 above 1, and a cubic between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _lit_room(floor, wall, light, objects, size):
    """The room without its objects but with their shadows, as light: three arrays `(T, size, size)`."""
    point, is_floor, is_wall, pool = room(size)
    direct = (is_floor * light[1] + is_wall * (F(0.15) + light[2])) * pool
    sun, sky = F(1), F(1)
    for solid in objects:
        sun = sun * sunlight(point, solid, light)
        sky = sky * _open_sky(point, is_floor, is_wall, solid)
    sun = sun * direct
    sky = sky * pool
    shape = (NUM_FRAMES, size, size)
    return [np.broadcast_to(a * (SKY[c] * sky + SUN[c] * sun), shape).copy() for c, a in enumerate(_albedo(floor, wall, size))]


def _open_sky(point, is_floor, is_wall, solid):
    """How much of the sky an object leaves to points of the room: it is darkest where they touch."""
    away = tuple(value - start for start, value in zip(point, solid.centre))
    radius = solid.radius * F(1.15) if solid.is_box else solid.radius
    squared = dot(away, away)
    facing = is_floor * away[1] + is_wall * away[2]
    return 1 - F(0.85) * np.clip(facing * (radius * radius) / (squared * np.sqrt(squared)), 0, 1)


@functools.lru_cache(8)
def room(size):
    """The empty room as the camera sees it.

    Args:
        size: height and width in px.

    Returns:
        tuple: the points seen at the pixels' middles, three float32 arrays `(size, size)` in scene units; the shares of floor
        and of wall in each pixel, float32 `(size, size)`; and how much light there is, float32 `(size, size)`.
    """
    middle = np.arange(size, dtype=np.float64)
    point, _ = _see(middle, size)
    on_floor = _mean_of_subpixels(lambda place, on_floor: on_floor, size)
    x, _, z = point
    pool = 1.08 / (1 + 0.012 * (x * x + z * z))
    return tuple(part.astype(F) for part in point), on_floor, F(1) - on_floor, pool.astype(F)


def _see(middle, size):
    """Points of the room `(n, n)` at coordinates of pixels `(n,)`, and whether they lie on the floor."""
    ray = rays(middle[None, :], middle[:, None], size)
    ray = np.broadcast_arrays(*ray)
    to_wall = (WALL - EYE[2]) / ray[2]
    to_floor = np.where(ray[1] < 0, -EYE[1] / np.where(ray[1] < 0, ray[1], 1.0), np.inf)
    depth = np.minimum(to_wall, to_floor)
    point = tuple(start + depth * part for start, part in zip(EYE, ray))
    return point, to_floor < to_wall


def _mean_of_subpixels(function, size):
    total = np.zeros((size, size))
    fine = (np.arange(size * SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    values = np.float64(function(*_see(fine, size)))
    for i in range(SUBPIXELS):
        for j in range(SUBPIXELS):
            total = total + values[i::SUBPIXELS, j::SUBPIXELS]
    return (total / (SUBPIXELS * SUBPIXELS)).astype(F)


@functools.lru_cache(128)
def _albedo(floor, wall, size):
    """Colour of the room as light, three float32 arrays `(size, size)`."""

    def colour(channel):
        def of(point, on_floor):
            x, y, z = point
            on_wall = (WALLS[wall][channel] / 255) * (1.16 - 0.075 * y)
            on_wall = np.where(y < 0.3, 0.95, np.where(y < 0.36, 0.55, on_wall))  # a skirting board
            seen = np.where(on_floor, FLOORS[floor](x, z, channel), on_wall)
            return seen * seen

        return of

    return tuple(_mean_of_subpixels(colour(c), size) for c in range(3))


def _planks(x, z, channel):
    board = np.floor(x / 0.85)
    joint = z / 3.4 + board * 0.37
    tone = ((board * 3 + np.floor(joint) * 5) % 7) / 6  # whole numbers: exact
    gap = (x / 0.85 - board < 0.05) | (joint - np.floor(joint) < 0.012)
    return (188, 140, 96)[channel] / 255 * np.where(gap, 0.6, 0.88 + 0.16 * tone)


def _checker(x, z, channel):
    dark = (np.floor(x / 1.3) + np.floor(z / 1.3)) % 2
    return np.where(dark > 0, (150, 156, 166)[channel], (206, 206, 202)[channel]) / 255


def _tiles(x, z, channel):
    column, row = np.floor(x / 1.1), np.floor(z / 1.1)
    line = (x / 1.1 - column < 0.06) | (z / 1.1 - row < 0.06)
    tone = ((column * 5 + row * 3) % 4) / 3
    return np.where(line, (206, 196, 182)[channel], (176, 122, 100)[channel] * (0.92 + 0.12 * tone)) / 255


def _carpet(x, z, channel):
    band = np.abs(z / 1.6 - np.floor(z / 1.6) - 0.5) < 0.12
    return np.where(band, (150, 168, 158)[channel], (188, 196, 184)[channel]) / 255


FLOORS = (_planks, _checker, _tiles, _carpet)
