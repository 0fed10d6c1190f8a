"""How the recurrent models of latent trajectories are trained."""

import keras
from .. import training
from ..datasets import pipeline


CONTEXT_FRAMES = 5  # of each clip that a rollout sees


def fit_rnn(model, z_mean, z_log_var, steps, seed=0, checkpoint=None, log_steps=50):
    """Measures the latents' scale and trains a recurrent model on whole clips.

    Adam with a step size of 0.005 that falls to 0 along a cosine; gradients longer than 1 are cut to 1; batches of 64 clips.

    Args:
        model: `LatentGRU` or `LatentSVG`.
        z_mean: float32 `(N, T, latent_dim)`, the clips as `vae.encode` gives them.
        z_log_var: float32 of the same shape, the second thing that it gives; it sets the scale and nothing else.
        steps: training steps in all.
        seed: order of the batches.
        checkpoint: path of the checkpoint file, or None.
        log_steps: steps between two entries of the history.

    Returns:
        The history of `training.fit`.
    """
    model.scale.adapt(z_mean, z_log_var)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), jit_compile=False)

    def batches(first):
        return pipeline(z_mean, batch_size=64, seed=seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=log_steps)
