"""Walks through a latent space: normalisation to a hypersphere, interpolation, and new latents like the learned ones."""

import numpy as np
from keras import ops


def normalize_2nd_moment(latent):
    """Latents scaled to the length sqrt(latent_dim), about that of Gaussian noise.

    Args:
        latent: float tensor `(..., latent_dim)`.

    Returns:
        float tensor of the same shape.
    """
    mean_square = ops.mean(ops.square(latent), axis=-1, keepdims=True)
    return latent * ops.rsqrt(mean_square + 1e-8)


def interpolate_latents(latents, num_frames):
    """A path through latents: straight between neighbours in even steps, then put back on the sphere.

    Args:
        latents: float array `(K, latent_dim)`, the stops.
        num_frames: points on the path, from the first stop to the last.

    Returns:
        float32 tensor `(num_frames, latent_dim)`.
    """
    latents = ops.convert_to_tensor(latents)
    place = ops.linspace(0.0, len(latents) - 1.0, num_frames)
    left = ops.minimum(ops.cast(ops.floor(place), "int32"), len(latents) - 2)
    weight = (place - ops.cast(left, "float32"))[:, None]  # 0 at the left stop, 1 at the right one
    ends = normalize_2nd_moment(ops.take(latents, left, axis=0)), normalize_2nd_moment(ops.take(latents, left + 1, axis=0))
    return normalize_2nd_moment((1 - weight) * ends[0] + weight * ends[1])


def gaussian_latents(latents, count, seed=0):
    """New latents: from a Gaussian with the learned ones' mean and covariance, put on the sphere.

    Args:
        latents: float array `(N, latent_dim)`, the learned latents.
        count: how many to draw.
        seed: int.

    Returns:
        float32 array `(count, latent_dim)`.
    """
    latents = np.asarray(normalize_2nd_moment(latents))
    rng = np.random.default_rng(seed)
    draws = rng.multivariate_normal(latents.mean(axis=0), np.cov(latents.T), size=count)
    return np.asarray(normalize_2nd_moment(draws.astype(np.float32)))
