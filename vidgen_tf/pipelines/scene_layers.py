"""Clips composed of layers: encoded, and sampled, from background to foreground."""

import numpy as np
from ..worlds import shapes
from ..models.vae import decode, encode


SEED_STRIDE = 1_000_003  # from a layer's seed to the next one's


def encode_scene_layers(vae, clips):
    """Latents of the two layers of clips of shapes, the second thing's beside what is behind it.

    Args:
        vae: trained `VAE` of their frames.
        clips: N `LabelledClips` of shapes.

    Returns:
        dict of float32 arrays `(2N, T, latent_dim)`, all first layers and then all second ones: "z_mean", "z_log_var", and
        "behind": 0 for a first layer, and for a second one the z_mean of the first.
    """
    parts = [encode(vae, shapes.layer(clips.states, k)) for k in range(2)]
    z_mean, z_log_var = (np.concatenate(pair) for pair in zip(*parts))
    first = parts[0][0]
    return {"z_mean": z_mean, "z_log_var": z_log_var, "behind": np.concatenate([np.zeros_like(first), first])}


def sample_scene_layers(model, vae, count, steer, seed, **options):
    """Clips, layer by layer from back to front; a model of one layer paints once.

    Args:
        model: trained `LatentDiffusion`.
        vae: the trained `VAE` whose latents it knows.
        count: how many clips.
        steer: function from a layer's number and the layers behind, float `(count, T, latent_dim)`, standardised, to which clips
            have such a layer, bool `(count,)`, and their velocity.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.
    """
    z, frames = np.zeros((count, model.config.frames, model.config.latent_dim), np.float32), None
    for k in range(model.config.layers):
        asked, velocity = steer(k, np.asarray(model.scale(z)))
        if asked.any():
            z[asked] = model.sample(int(asked.sum()), seed=seed + k * SEED_STRIDE, velocity=velocity, **options)
            layer = decode(vae, z[asked])
            if k == 0:
                frames = layer
            else:
                frames[asked] = shapes.overlay(frames[asked], layer)
    return frames
