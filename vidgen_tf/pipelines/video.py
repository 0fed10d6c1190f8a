"""Unconditional video generation: clips sampled from noise by a latent diffusion model."""

import functools

import numpy as np

from .. import zoo
from ..video import Clip
from .scene_layers import sample_scene_layers

BATCH_SIZE = 128  # clips that are sampled together


@functools.cache
def load_autoencoder(name):
    """An autoencoder of the zoo, read once: don't train it any further.

    Args:
        name: str, a name in the zoo, as a record's "uses" names it.

    Returns:
        trained `VAE`.
    """
    return zoo.load(name)


def sample_clips(model, vae, count, seed=0, **options):
    """Clips as frames, sampled from noise in batches.

    Args:
        model: trained `LatentDiffusion`.
        vae: the trained `VAE` of its latents.
        count: int, how many clips.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.
    """
    batches = []
    for first in range(0, count, BATCH_SIZE):
        size = min(BATCH_SIZE, count - first)

        def layer_velocity_fn(k, background, size=size):
            conditioning = {"background": background} if model.config.num_scene_layers > 1 else None
            return np.ones(size, bool), functools.partial(model.velocity, conditioning=conditioning)

        batches.append(sample_scene_layers(model, vae, size, layer_velocity_fn, seed + first, **options))
    return np.concatenate(batches)


def video_samples(model, record, count, seed):
    """Clips of a model of the zoo, sampled from noise.

    Args:
        model: trained `LatentDiffusion`.
        record: dict with "uses" and "sampling".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    vae, steps = load_autoencoder(record["uses"]["autoencoder"]), record["sampling"]["num_inference_steps"]
    return [Clip(frames) for frames in sample_clips(model, vae, count, seed, num_inference_steps=steps)]
