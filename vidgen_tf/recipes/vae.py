"""How the VAEs of frames are trained."""

import dataclasses

import keras

from .. import training
from ..datasets import load, pipeline
from ..models.vae import VAEConfig
from ..splits import training_frames
from .recipe import Recipe


def fit_vae(model, frames, steps, learning_rate=3e-3, batch_size=32, seed=0, **fit_options):
    """Trains a VAE with Adam and a learning rate that falls to 0 along a cosine.

    Args:
        model: `VAE`.
        frames: uint8 `(N, H, W, C)`.
        steps: training steps in all.
        learning_rate: float, at the start.
        batch_size: frames per step. In a short time, many small steps get further than few large ones.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, log_interval and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)

    def batches(first):
        return pipeline(frames, batch_size=batch_size, seed=seed, first_step=first)

    return training.fit(model, batches, steps, **fit_options)


def _train(recipe, model, steps, checkpoint):
    """Trains a VAE on the frames of a data set, held-out attribute combinations left out."""
    frames = training_frames(load(*recipe.dataset))
    options = dict(recipe.training) | {"seed": recipe.seed, "checkpoint": checkpoint, "log_interval": 100}
    return fit_vae(model, frames, steps, **options)


_DIGITS = Recipe(
    name="vae-digits",
    title="VAE: frames of a moving digit, 32x32 grey, as 32 latent numbers",
    model="VAE",
    config=VAEConfig(channels=1),
    dataset=("digits", "train"),
    steps={"fast": 900, "full": 20000},
    seed=6,
    train=_train,
    evaluation="autoencoder",
    pipeline="decoder_interpolation",
    reference="digits",
    uses={"frame_classifier": "classifier-digits"},
    training={"learning_rate": 2e-3, "batch_size": 64},
)
RECIPES = [
    _DIGITS,
    dataclasses.replace(  # a small KL weight bends the latent trajectories less: a diffusion learns more from them
        _DIGITS,
        name="vae-digits-low-beta",
        title="VAE with a small KL weight: frames of a moving digit, as 32 latent numbers for a diffusion model",
        config=VAEConfig(channels=1, beta=0.01),
        steps={"fast": 900, "full": 10000},
        training={"learning_rate": 3e-3, "batch_size": 32},
    ),
    dataclasses.replace(
        _DIGITS,
        name="vae-shapes",
        title="VAE: frames of coloured shapes, 32x32 RGB, as 32 latent numbers",
        config=VAEConfig(),
        dataset=("shapes", "train"),
        reference="shapes",
        uses={"frame_classifier": "classifier-shapes"},
    ),
]
