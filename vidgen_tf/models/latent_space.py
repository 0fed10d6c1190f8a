"""Latent spaces of generators: normalisation to the hypersphere, interpolation, and a Gaussian fitted to learned latents."""

import numpy as np
from keras import ops


def normalize_2nd_moment(latent):
    """Latents scaled to a mean square of 1, onto the hypersphere of radius sqrt(latent_dim).

    Gaussian noise concentrates around it.

    Args:
        latent: float tensor `(..., latent_dim)`.

    Returns:
        float tensor of the same shape.

    References:
        Karras, Laine and Aila, 2019, "A style-based generator architecture for generative adversarial networks".
    """
    mean_square = ops.mean(ops.square(latent), axis=-1, keepdims=True)
    return latent * ops.rsqrt(mean_square + 1e-8)


def interpolate_latents(latents, num_frames):
    """Normalised linear interpolation (nlerp) through latents, in equal steps of the interpolation weight.

    Args:
        latents: float array `(K, latent_dim)`, at least two; neighbours are interpolated.
        num_frames: int, number of interpolated latents, the first and the last of `latents` among them.

    Returns:
        float32 tensor `(num_frames, latent_dim)`, of mean square 1 each.
    """
    latents = ops.convert_to_tensor(latents)
    position = ops.linspace(0.0, len(latents) - 1.0, num_frames)
    left = ops.minimum(ops.cast(ops.floor(position), "int32"), len(latents) - 2)
    weight = (position - ops.cast(left, "float32"))[:, None]  # 0 at the left neighbour, 1 at the right one
    ends = [normalize_2nd_moment(ops.take(latents, index, axis=0)) for index in (left, left + 1)]
    return normalize_2nd_moment((1 - weight) * ends[0] + weight * ends[1])


def gaussian_latents(latents, count, seed=0):
    """Samples from a Gaussian with the mean and the covariance of learned latents, normalised like them.

    Args:
        latents: float array `(N, latent_dim)`, the learned latents.
        count: int, number of samples.
        seed: non-negative int.

    Returns:
        float32 array `(count, latent_dim)`, of mean square 1 each.
    """
    latents = np.asarray(normalize_2nd_moment(latents))
    rng = np.random.default_rng(seed)
    samples = rng.multivariate_normal(latents.mean(axis=0), np.cov(latents.T), size=count)
    return np.asarray(normalize_2nd_moment(samples.astype(np.float32)))
