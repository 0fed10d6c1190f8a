"""Clips from generators of single frames: loops of interpolation in latent space."""

import numpy as np

from ..models.latent_space import gaussian_latents, interpolate_latents
from ..video import Clip, to_uint8

NUM_FRAMES = 16


def interpolation_loop(generator, ends):
    """Clips of 16 frames along a loop in latent space: from one latent to another and back, see `interpolate_latents`.

    Args:
        generator: `keras.Model` from latents `(B, latent_dim)` to frames in [-1, 1].
        ends: float32 `(N, 2, latent_dim)`, the two latents of each clip.

    Returns:
        list of N `Clip`.
    """
    paths = np.concatenate([interpolate_latents(stops, NUM_FRAMES) for stops in ends[:, [0, 1, 0]]])
    frames = to_uint8(generator.predict(paths, verbose=0))
    return [Clip(clip) for clip in frames.reshape(len(ends), NUM_FRAMES, *frames.shape[1:])]


def glo_interpolation(model, record, count, seed):
    """Loops between new latents of a generator with learned latents, drawn from a Gaussian fitted to these.

    Args:
        model: trained `GLO`.
        record: dict, unused.
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    ends = gaussian_latents(model.latents.embeddings, 2 * count, seed).reshape(count, 2, -1)
    return interpolation_loop(model.generator, ends)


def generator_interpolation(model, record, count, seed):
    """Loops between standard normal latents of a generator.

    Args:
        model: `keras.Model` from latents `(B, latent_dim)` to frames in [-1, 1].
        record: dict, unused.
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    ends = np.random.default_rng(seed).normal(size=(count, 2, model.input_shape[-1]))
    return interpolation_loop(model, ends.astype("float32"))


def decoder_interpolation(model, record, count, seed):
    """Loops between samples of a VAE's prior.

    Args:
        model: trained `VAE`.
        record: dict, unused.
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    return generator_interpolation(model.decoder, record, count, seed)
