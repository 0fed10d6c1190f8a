"""How the networks of optical flow are trained: one that estimates it between frames, and the flow-based GAN of faces."""

import dataclasses

import keras
import numpy as np

from .. import training
from ..datasets import load, pipeline
from ..evaluation.motion import driving_clips, flow_pairs
from ..models.flow_gan import FlowGAN, FlowGANConfig
from ..models.optical_flow import FlowNetConfig
from ..pipelines.animation import reduce_driving
from ..splits import training_clips
from .recipe import Recipe

TIMES = ((2, 3), (7, 8), (5, 4), (12, 11))  # of the pairs of frames of each clip: two forward in time, two backward
LOG_INTERVAL = 25  # steps between two entries of a history
CONTROL_STEPS = 1.15  # a step without flow is quicker: as many more steps take as many minutes


def control_steps(steps):
    """As many steps without flow as take the same time as some steps with it.

    Args:
        steps: int.

    Returns:
        int, a multiple of the log interval.
    """
    return round(CONTROL_STEPS * steps / LOG_INTERVAL) * LOG_INTERVAL


def fit_flow_net(model, pairs, flows, steps, batch_size=32, learning_rate=2e-3, seed=0, **fit_options):
    """Trains a network of optical flow with Adam; the learning rate falls to a twentieth along a cosine.

    Args:
        model: `FlowNet`.
        pairs: uint8 `(N, 2, H, W, C)`.
        flows: float `(N, H, W, 2)`, exact ones to learn from; None to learn from the frames alone.
        steps: training steps in all.
        batch_size: pairs per step.
        learning_rate: float, the largest.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.05)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    arrays = [pairs] if flows is None else [pairs, flows]

    def batches(first):
        return pipeline(*arrays, batch_size=batch_size, seed=seed, first_step=first)

    return training.fit(model, batches, steps, **fit_options)


def fit_flow_gan(gan, clips, driving, steps, generator=None, batch_size=16, learning_rate=2e-3, seed=0, **fit_options):
    """Trains a flow-based GAN with Adam; both learning rates fall to a twentieth along a cosine.

    Args:
        gan: `FlowGAN`.
        clips: uint8 `(N, T, H, W, C)`.
        driving: uint8 `(N, T, h, w, 1)`, clips with the same motion, see `driving_clips`.
        steps: training steps in all.
        generator: `keras.Model` like the GAN's generator, which gets the averaged weights, or None.
        batch_size: clips per step, of each of which one frame is generated.
        learning_rate: float, the largest.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.05)
    gan.compile(*(keras.optimizers.Adam(schedule, beta_1=0.5, beta_2=0.99) for _ in range(2)), jit_compile=False)

    def batches(first):
        return pipeline(clips, driving, batch_size=batch_size, seed=seed, first_step=first)

    history = training.fit(gan, batches, steps, **fit_options)
    if generator is not None:
        generator.set_weights(gan.ema_generator.get_weights())
    return history


def _train_flow_net(recipe, model, steps, checkpoint):
    """Trains on pairs of neighbouring frames and their exact flows."""
    clips = training_clips(load(*recipe.dataset))
    pairs, flows = zip(*(flow_pairs(clips, first, second) for first, second in TIMES))
    pairs, flows = np.concatenate(pairs), np.concatenate([flow.astype(np.float16) for flow in flows])
    return fit_flow_net(
        model, pairs, flows, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=LOG_INTERVAL, **recipe.training
    )


def _train_flow_gan(recipe, model, steps, checkpoint):
    """Trains on clips of faces, each driven by another person who moves in the same way."""
    settings = dict(recipe.training)
    clips = training_clips(load(*recipe.dataset, settings.pop("num_clips")))
    is_driven_by_others = settings.pop("is_driven_by_others")
    driving = driving_clips(clips, recipe.seed) if is_driven_by_others else reduce_driving(clips.frames)
    gan = FlowGAN(recipe.config, recipe.seed)
    options = {"seed": recipe.seed, "checkpoint": checkpoint, "log_interval": LOG_INTERVAL} | settings
    return fit_flow_gan(gan, clips.frames, driving, steps, model, **options)


_FLOW_GAN = Recipe(
    name="flow-gan-faces",
    title="Flow-based GAN: drawn faces, 64x64 RGB, one frame animated by another person's clip",
    model="FlowGenerator",
    config=FlowGANConfig(),
    dataset=("faces", "train"),
    steps={"fast": 100, "full": 1000},
    seed=31,
    train=_train_flow_gan,
    evaluation="motion_transfer",
    pipeline="motion_transfer",
    reference="faces",
    training={"num_clips": 2000, "is_driven_by_others": True, "batch_size": 16, "learning_rate": 2e-3},
)
RECIPES = [
    Recipe(
        name="flow-net-shapes",
        title="FlowNet: optical flow between two frames, trained on exact flows of shapes, 32x32 RGB",
        model="FlowNet",
        config=FlowNetConfig(),
        dataset=("shapes", "train"),
        steps={"fast": 75, "full": 1200},
        seed=30,
        train=_train_flow_net,
        evaluation="optical_flow",
        training={"batch_size": 32, "learning_rate": 2e-3},
    ),
    _FLOW_GAN,
    dataclasses.replace(
        _FLOW_GAN,
        name="flow-gan-faces-control",
        title="The control of flow-gan-faces: the same network without flow, which generates every pixel",
        config=FlowGANConfig(use_flow=False),
        steps={name: control_steps(steps) for name, steps in _FLOW_GAN.steps.items()},
    ),
]
