"""Removes Monte Carlo noise from a rendered picture, guided by what has none and costs little: albedo, normals and positions."""

import numpy as np

from .path_tracer import camera_rays, dot, intersect, surface

MIRROR_DEPTH = 3  # mirrors in a row through which `render_features` looks
SHARPNESS = {"albedo": 6.0, "normals": 2.0, "points": 3.0}  # one over the difference that is too large to average over, roughly


def render_features(scene, camera, size, num_samples, seed=0, shutter=(0.0, 0.0)):
    """What a picture shows at each pixel, seen through mirrors: the guide of a denoiser.

    Args:
        scene: `Scene`, or a function of time that returns one.
        camera: `Camera`, or a function of time that returns one.
        size: height and width, two int, pixels.
        num_samples: int, rays for each pixel.
        seed: int, or a sequence of int.
        shutter: when the exposure begins and ends.

    Returns:
        dict of float32 arrays `(height, width, 3)`, means over the pixel and the exposure: "albedo", of lamps and sky 1;
        "normals"; and "points", the positions.
    """
    rng = np.random.default_rng(seed)
    totals = dict.fromkeys(SHARPNESS, 0.0)
    for share in (np.arange(num_samples) + 0.5) / num_samples:
        time = shutter[0] + share * (shutter[1] - shutter[0])
        now = scene(time) if callable(scene) else scene
        view = camera(time) if callable(camera) else camera
        rays = camera_rays(view, *size, rng.random((2, size[0] * size[1]), np.float32))
        for name, values in _seen(now, *rays).items():
            totals[name] = totals[name] + values
    return {name: np.float32(total / num_samples).T.reshape(*size, 3) for name, total in totals.items()}


def denoise(radiance, features, radius=5):
    """Averages the light of neighbours that show the same surface: a joint bilateral filter, albedo apart.

    Args:
        radiance: float array `(height, width, 3)`.
        features: dict as `render_features` returns it.
        radius: int: the neighbours are those up to so many pixels away in both directions.

    Returns:
        float32 array `(height, width, 3)`.

    References:
        Petschnigg and others, 2004, "Digital photography with flash and no-flash image pairs" (the joint bilateral filter).
    """
    albedo = np.maximum(features["albedo"], 0.02)
    light = radiance / albedo  # so that a pattern on a surface is no difference of light
    guide = np.concatenate([features[name] * factor for name, factor in SHARPNESS.items()], axis=-1)
    height, width = radiance.shape[:2]
    total, weights = np.zeros_like(light), np.zeros((height, width, 1), np.float32)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            here = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
            there = slice(max(0, dy), height + min(0, dy)), slice(max(0, dx), width + min(0, dx))
            difference = guide[here] - guide[there]
            squared = np.einsum("hwc,hwc->hw", difference, difference) + 2 * (dy * dy + dx * dx) / radius**2
            weight = np.exp(-squared)[..., None]
            total[here] += weight * light[there]
            weights[here] += weight
    return np.float32(total / weights * albedo)


def _seen(scene, origins, directions):
    """Albedo, normals and points `(3, N)` of what rays hit, after mirrors."""
    seen = {name: np.zeros_like(directions) for name in SHARPNESS} | {"albedo": np.ones_like(directions)}
    is_mirror = np.array([thing.is_mirror for thing in scene.objects] + [False])
    is_lamp = np.array([max(thing.emission) > 0 for thing in scene.objects] + [True])
    ray = np.arange(directions.shape[1])
    for _ in range(MIRROR_DEPTH + 1):
        distance, index = intersect(scene, origins, directions)
        keep = np.flatnonzero(~is_lamp[index])
        ray, index, directions = ray[keep], index[keep], directions[:, keep]
        points = origins[:, keep] + distance[keep] * directions
        normals, albedo = surface(scene, points, index, directions)
        seen["albedo"][:, ray], seen["normals"][:, ray], seen["points"][:, ray] = albedo, normals, points
        again = np.flatnonzero(is_mirror[index])
        if not len(again):
            break
        ray, points, normals, directions = ray[again], points[:, again], normals[:, again], directions[:, again]
        origins, directions = points + 1e-3 * normals, directions - 2 * dot(normals, directions) * normals
    return seen
