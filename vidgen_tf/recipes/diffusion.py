"""How the latent video diffusion models are trained."""

import dataclasses
import itertools

import keras
import numpy as np

from .. import training, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.dit import CONDITIONING, DiffusionConfig
from ..models.flow_matching import FlowMatching
from ..models.vae import encode
from ..pipelines.scene_layers import encode_scene_layers
from ..splits import training_clips
from .recipe import Recipe

LEARNING_RATE = 3e-3
SHORT_RUN_LEARNING_RATE = 7e-3  # of 1000 steps: on shapes the joint accuracy was 49 % at 3e-3, 60 at 5e-3 and 8e-3, 54 at 12e-3
WARMUP_STEPS = 100  # until the learning rate is at its largest
XLA_MIN_STEPS = 400  # from which on XLA's compiling of a step is worth its seconds


def adamw(steps, learning_rate):
    """AdamW with warm-up, then cosine decay to 0.

    Args:
        steps: training steps in all, more than 100.
        learning_rate: float, the largest.

    Returns:
        `keras.optimizers.AdamW`.
    """
    warmup = {"warmup_target": learning_rate, "warmup_steps": WARMUP_STEPS}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - WARMUP_STEPS, **warmup)
    return keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0)


def fit_flow_matching(
    model,
    batches,
    steps,
    *,
    learning_rate=LEARNING_RATE,
    ema_decay=None,
    seed=0,
    **options,
):
    """Trains a latent diffusion model on batches by flow matching: AdamW, warm-up, then cosine decay to 0.

    Args:
        model: `LatentDiffusion` whose normalisation has been adapted; its weights become the EMA of the training.
        batches: function from the number of the first step to a `tf.data.Dataset` of batches as `FlowMatching` takes them, see
            `training.fit`.
        steps: training steps in all, more than 100.
        learning_rate: float, the largest.
        ema_decay: float in [0, 1), see `FlowMatching`; None for an average over a tenth of the training.
        seed: non-negative int, of noise and timesteps.
        **options: of `training.fit`: `checkpoint`, `log_interval`, `callbacks`.

    Returns:
        The history of `training.fit`.
    """
    trainer = FlowMatching(model, 1 - 10 / steps if ema_decay is None else ema_decay, seed)
    trainer.compile(adamw(steps, learning_rate), jit_compile=steps >= XLA_MIN_STEPS)
    return training.fit(trainer, batches, steps, **options)


def fit_diffusion(model, latents, steps, *, conditioning=None, batch_size=64, seed=0, **options):
    """Trains a latent diffusion model on shuffled latents, see `fit_flow_matching`.

    Args:
        model: `LatentDiffusion` whose normalisation has been adapted; its weights become the EMA of the training.
        latents: float32 `(N, T, latent_dim)`, of clips.
        steps: training steps in all, more than 100.
        conditioning: None, or a dict of what the model is conditioned on: "tokens", int32 `(N, L)`, the clips' captions;
            "background", float32 `(N, T, latent_dim)`, latents of the scene layer behind.
        batch_size: clips per step.
        seed: non-negative int, order of the batches, their noise and timesteps.
        **options: of `fit_flow_matching`.

    Returns:
        The history of `training.fit`.
    """
    arrays = {"latents": latents} | (conditioning or {})

    def batches(first):
        data = pipeline(*arrays.values(), batch_size=batch_size, seed=seed, first_step=first)
        return data if len(arrays) == 1 else data.map(lambda *batch: dict(zip(arrays, batch)))

    return fit_flow_matching(model, batches, steps, seed=seed, **options)


def fit_examples(model, examples, steps, **options):
    """Adapts a model's normalisation to the latents of examples, and trains it on them.

    Args:
        model: `LatentDiffusion`.
        examples: dict of arrays as `training_set` gives it here, or in `recipes.text_to_video`: "z_mean" and "z_log_var",
            float32 `(N, T, latent_dim)`, and the model's conditioning.
        steps: training steps in all, more than 100.
        **options: of `fit_diffusion`.

    Returns:
        The history of `training.fit`.
    """
    model.normalization.adapt(examples["z_mean"], examples["z_log_var"])
    conditioning = {name: examples[name] for name in CONDITIONING if name in examples}
    return fit_diffusion(model, examples["z_mean"], steps, conditioning=conditioning, **options)


def concatenate_examples(parts):
    """Examples from several sources, one after the other.

    Args:
        parts: list of dicts of arrays with the same names.

    Returns:
        dict of arrays.
    """
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def training_set(dataset, vae, num_scene_layers=1, num_extra_clips=0):
    """Latents of the training clips, or of their scene layers, without held-out attribute combinations.

    Args:
        dataset: str, "digits" or "shapes".
        vae: trained `VAE` of its frames.
        num_scene_layers: 1 for whole frames, 2 for the scene layers of shapes; of a clip with one object, the second layer is the
            plain background.
        num_extra_clips: int, how many clips to make besides those of the training split.

    Returns:
        dict of float32 arrays `(N, T, latent_dim)`: "z_mean", "z_log_var" and, of scene layers, "background".
    """
    parts = []
    for clips in itertools.chain([load(dataset)], iter_drawn(f"more-{dataset}", num_extra_clips)):
        clips = training_clips(clips)
        if num_scene_layers > 1:
            parts.append(encode_scene_layers(vae, clips))
        else:
            parts.append(dict(zip(("z_mean", "z_log_var"), encode(vae, clips.frames))))
    return concatenate_examples(parts)


def _train(recipe, model, steps, checkpoint):
    """Trains an unconditional model on the latents of a data set; in more steps than the fast budget has, on extra clips too.
    The recipe's training may hold "num_extra_clips", and options of `fit_diffusion`."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips", 0)
    vae, is_long = zoo.load(recipe.uses["autoencoder"]), steps > recipe.steps["fast"]
    examples = training_set(recipe.dataset[0], vae, recipe.config.num_scene_layers, num_extra_clips * is_long)
    return fit_examples(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **options)


_DIGITS = Recipe(
    name="diffusion-digits",
    title="Latent video diffusion: a digit that moves to a wall and back, sampled from noise",
    model="LatentDiffusion",
    config=DiffusionConfig(),
    dataset=("digits", "train"),
    steps={"fast": 600, "full": 12000},
    seed=12,
    train=_train,
    evaluation="video",
    pipeline="video",
    reference="digits",
    uses={"autoencoder": "vae-digits-low-beta"},
    sampling={"num_inference_steps": 20},
    training={"num_extra_clips": 16000},
)
RECIPES = [
    _DIGITS,
    dataclasses.replace(
        _DIGITS,
        name="diffusion-shapes",
        title="Latent video diffusion: shapes that move, fall and collide, sampled from noise layer by layer",
        config=DiffusionConfig(num_scene_layers=2, frame_difference_weight=1.0),
        dataset=("shapes", "train"),
        reference="shapes",
        uses={"autoencoder": "vae-shapes"},
    ),
]
