"""How the latent video diffusion models are trained."""

import dataclasses
import keras
import numpy as np
from tqdm.auto import tqdm
from .. import training
from ..datasets import DATASETS, pipeline
from ..models.flow_matching import FlowMatching
from ..quiet import quiet


SHORT_RUN_LEARNING_RATE = 7e-3  # largest step size of a minute's training; 1000 steps on shapes prompt_accuracy 49 % at 3e-3, 60 at 5 and 8, 54 at 12e-3


WARMUP_STEPS = 100  # steps, until the step size is at its largest


XLA_MIN_STEPS = 400  # steps, from which on XLA's compiling of a step is worth its seconds


EXTRA_DATA = {world: dataclasses.replace(DATASETS[world], seed=900) for world in ("digits", "shapes")}  # more of the same clips


DRAWN = 500  # clips that are drawn and encoded together


def fit_diffusion(
    model,
    latents,
    steps,
    words=None,
    behind=None,
    rate=3e-3,
    batch_size=64,
    ema=None,
    seed=0,
    **options,
):
    """Trains a model of clips: AdamW, a step size that rises for 100 steps and falls to 0 along a cosine.

    Args:
        model: `LatentDiffusion` whose scale has been adapted; its weights become the average over the training.
        latents: float32 `(N, T, latent_dim)`.
        steps: training steps in all, more than 100.
        words: int32 `(N, L)`, the clips' captions where the model has captions.
        behind: float32 `(N, T, latent_dim)`, the layers behind them where the model has layers.
        rate: the largest step size.
        batch_size: clips per step.
        ema: how much of the average is kept at each step; None for as much as makes it last a tenth of the training.
        seed: order of the batches and their noise.
        **options: of `training.fit`: `checkpoint`, `log_steps`, `callbacks`.

    Returns:
        The history of `training.fit`.
    """
    trainer = FlowMatching(model, 1 - 10 / steps if ema is None else ema, seed)
    falling = {"decay_steps": steps - WARMUP_STEPS, "warmup_target": rate, "warmup_steps": WARMUP_STEPS}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, **falling)
    optimizer = keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0)
    trainer.compile(optimizer, jit_compile=steps >= XLA_MIN_STEPS)
    arrays = [array for array in (latents, words, behind) if array is not None]

    def batches(first):
        data = pipeline(*arrays, batch_size=batch_size, seed=seed, first_step=first)
        if len(arrays) == 1:
            return data
        return data.map(lambda *batch: (batch,))  # a pair alone would be inputs and targets

    return training.fit(trainer, batches, steps, **options)


def drawn(dataset, count, split="train"):
    """Clips of no stored dataset, some at a time, as all of them at once might fill the memory.

    Args:
        dataset: `Dataset`, see `EXTRA_DATA`.
        count: how many clips in all.
        split: "train", "validation" or "test".

    Yields:
        `LabelledClips`.
    """
    blocks = range(0, count, DRAWN)
    for first in tqdm(blocks, desc="drawing clips", unit="block", delay=2, leave=False, disable=quiet()):
        yield dataset.make(split, first, min(DRAWN, count - first))


def joined(parts):
    """Examples from several sources, one behind the other.

    Args:
        parts: list of dicts of arrays with the same names.

    Returns:
        dict of arrays.
    """
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
