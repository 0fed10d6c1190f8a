"""How the recurrent models of latent trajectories are trained."""

import dataclasses

import keras

from .. import training, zoo
from ..datasets import load, pipeline
from ..models.latent_rnn import LatentRNNConfig
from ..models.vae import encode
from .recipe import Recipe

NUM_CONTEXT_FRAMES = 5  # of each clip that a rollout reads


def fit_rnn(model, z_mean, z_log_var, steps, seed=0, checkpoint=None, log_interval=50):
    """Measures the latents' scale and trains a recurrent model on whole clips.

    Adam with a learning rate of 0.005 that falls to 0 along a cosine; gradients longer than 1 are cut to 1; batches of 64 clips.

    Args:
        model: `LatentGRU` or `LatentSVG`.
        z_mean: float32 `(N, T, latent_dim)`, the means of the clips' approximate posteriors, see `models.vae.encode`.
        z_log_var: float32 of the same shape, the logarithms of their variances; they set the scale and nothing else.
        steps: training steps in all.
        seed: non-negative int, order of the batches.
        checkpoint: path of the checkpoint file, or None.
        log_interval: steps between two entries of the history.

    Returns:
        The history of `training.fit`.
    """
    model.normalization.adapt(z_mean, z_log_var)
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), jit_compile=False)

    def batches(first):
        return pipeline(z_mean, batch_size=64, seed=seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_interval=log_interval)


def _train(recipe, model, steps, checkpoint):
    """Trains on the latents of clips whose digit takes a new direction at each wall."""
    z_mean, z_log_var = encode(zoo.load(recipe.uses["autoencoder"]), load(*recipe.dataset).frames)
    return fit_rnn(model, z_mean, z_log_var, steps, recipe.seed, checkpoint, log_interval=100)


_GRU = Recipe(
    name="latent-gru-digits",
    title="Deterministic GRU in latent space: the mean of a digit's futures",
    model="LatentGRU",
    config=LatentRNNConfig(),
    dataset=("stochastic-digits", "train"),
    steps={"fast": 1000, "full": 8000},
    seed=8,
    train=_train,
    evaluation="latent_rollout",
    pipeline="latent_rollout",
    reference="stochastic-digits",
    uses={"autoencoder": "vae-digits", "frame_classifier": "classifier-digits"},
    sampling={"num_context_frames": NUM_CONTEXT_FRAMES},
)
RECIPES = [
    _GRU,
    dataclasses.replace(
        _GRU,
        name="svg-digits",
        title="Stochastic recurrent model in latent space, after SVG-LP: samples of a digit's futures",
        model="LatentSVG",
        evaluation="latent_samples",
    ),
]
