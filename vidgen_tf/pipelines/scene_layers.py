"""Layered representation of scenes: latents of each layer, and clips sampled layer by layer, from background to foreground."""

import numpy as np

from ..models.vae import decode, encode
from ..worlds import shapes

SEED_STRIDE = 1_000_003  # from the seed of a scene layer to that of the next one


def encode_scene_layers(vae, clips):
    """Latents of the two scene layers of clips of shapes, each beside the latents of the layer behind it.

    Args:
        vae: trained `VAE` of their frames.
        clips: N `LabelledClips` of shapes.

    Returns:
        dict of float32 arrays `(2N, T, latent_dim)`, all first layers and then all second ones: "z_mean", "z_log_var", and
        "background": 0 for a first layer, and for a second one the z_mean of the first.
    """
    parts = [encode(vae, shapes.render_layer(clips.states, k)) for k in range(2)]
    z_mean, z_log_var = (np.concatenate(pair) for pair in zip(*parts))
    first = parts[0][0]
    return {"z_mean": z_mean, "z_log_var": z_log_var, "background": np.concatenate([np.zeros_like(first), first])}


def sample_scene_layers(model, vae, count, layer_velocity_fn, seed, **options):
    """Samples the scene layers of clips, each conditioned on the one behind it, and composites them.

    Args:
        model: trained `LatentDiffusion`; with a single scene layer it samples whole frames.
        vae: the trained `VAE` of its latents.
        count: int, how many clips.
        layer_velocity_fn: function from the index of a layer and the background, the normalised latents of the layers behind,
            float `(count, T, latent_dim)`, to a mask of the clips that have such a layer, bool `(count,)`, and the velocity_fn of
            these, see `LatentDiffusion.sample`.
        seed: non-negative int.
        **options: of `LatentDiffusion.sample`: `num_inference_steps`, `solver`.

    Returns:
        uint8 `(count, T, H, W, C)`.

    References:
        Wang and Adelson, 1994, "Representing moving images with layers".
    """
    z, frames = np.zeros((count, model.config.num_frames, model.config.latent_dim), np.float32), None
    for k in range(model.config.num_scene_layers):
        has_layer, velocity_fn = layer_velocity_fn(k, np.asarray(model.normalization(z)))
        if has_layer.any():
            size, layer_seed = int(has_layer.sum()), seed + k * SEED_STRIDE
            z[has_layer] = model.sample(size, seed=layer_seed, velocity_fn=velocity_fn, **options)
            layer = decode(vae, z[has_layer])
            if k == 0:
                frames = layer
            else:
                frames[has_layer] = shapes.composite(frames[has_layer], layer)
    return frames
