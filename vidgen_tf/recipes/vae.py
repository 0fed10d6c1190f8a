"""How the VAEs of frames are trained."""

import keras
from .. import training
from ..datasets import pipeline


def fit_vae(model, frames, steps, rate=3e-3, batch_size=32, seed=0, checkpoint=None, log_steps=50):
    """Trains a VAE: Adam with a step size that falls to 0 along a cosine.

    Args:
        model: `VAE`.
        frames: uint8 `(N, H, W, C)`.
        steps: training steps in all.
        rate: the first step size.
        batch_size: frames per step. In a short time, many small steps get further than few large ones.
        seed: order of the batches.
        checkpoint: path of the checkpoint file, or None.
        log_steps: steps between two entries of the history.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)

    def batches(first):
        return pipeline(frames, batch_size=batch_size, seed=seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_steps=log_steps)
