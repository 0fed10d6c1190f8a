"""Clips from generators of single frames: loops through latent space."""

import numpy as np
from ..models.latent_space import interpolate_latents
from ..video import Clip, to_uint8


def interpolation_loop(generator, ends):
    """Clips of 16 frames: from the picture of one latent to that of another and back.

    Args:
        generator: `keras.Model` from latents `(B, latent_dim)` to pictures in [-1, 1].
        ends: float32 `(N, 2, latent_dim)`, the two latents of each clip.

    Returns:
        list of N `Clip`.
    """
    paths = np.concatenate([interpolate_latents(stops, 16) for stops in ends[:, [0, 1, 0]]])
    frames = to_uint8(generator.predict(paths, verbose=0))
    return [Clip(clip) for clip in frames.reshape(len(ends), 16, *frames.shape[1:])]
