"""Clips sampled from noise by a latent diffusion model."""

import functools
import numpy as np
from .scene_layers import sample_scene_layers


BATCH_SIZE = 128  # clips that are sample_clips together


def sample_clips(model, vae, count, seed=0, **options):
    """Clips as frames, some at a time.

    Args:
        model: trained `LatentDiffusion`.
        vae: the trained `VAE` whose latents it knows.
        count: how many clips.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.
    """
    made = []
    for first in range(0, count, BATCH_SIZE):
        some = min(BATCH_SIZE, count - first)

        def steer(k, behind, some=some):
            return np.ones(some, bool), functools.partial(model.velocity, behind=behind)

        made.append(sample_scene_layers(model, vae, some, steer, seed + first, **options))
    return np.concatenate(made)
