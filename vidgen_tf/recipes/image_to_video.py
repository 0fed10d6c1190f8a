"""How the models of image to video and sketch to video are trained: of motion, of pixels, of colours, and of sketches."""

import dataclasses

import keras
import numpy as np

from .. import training
from ..datasets import load, pipeline
from ..models.animator import AnimatorConfig
from ..models.colorizer import ColorizerConfig
from ..models.conditional_dit import ConditionalDiffusionConfig
from ..models.flow_matching import FlowMatching
from ..pipelines.image_to_video import LABELS, face_parameters, state_labels
from ..video import to_float
from ..worlds import faces, sketches
from ..worlds.faces.states import sample_states
from .recipe import Recipe

PAIRS_PER_CLIP = 4
NUM_MOTIONS = 20000  # curves that a model of motion learns from; they are drawn as numbers, so they cost no rendering
MOTION_SEED = 910  # of these curves: of no data set
LOG_INTERVAL = 50


def choose_pairs(clips, seed=0):
    """Pairs of frames to animate, several of each clip: from its first frame or, in half of them, from any. Where little changes
    for most of the time, as in a blink, the frames in which it does are chosen more often.

    Args:
        clips: N `LabelledClips` of `worlds.faces`.
        seed: non-negative int.

    Returns:
        uint8 `(N * PAIRS_PER_CLIP, 2, H, W, C)`, and float32 `(N * PAIRS_PER_CLIP, 2, 7)`, their parameters.
    """
    rng, count = np.random.default_rng(seed), len(clips)
    parameters = face_parameters(clips.states)
    away = np.abs(parameters[:, :, :5] - parameters[:, :1, :5]).max(axis=2)  # (N, T), of the expression
    weight = np.cumsum(0.15 + away, axis=1)
    shape = (count, PAIRS_PER_CLIP)
    target = (weight[:, None] < weight[:, -1:, None] * rng.random((*shape, 1))).sum(axis=2)
    source = np.where(rng.random(shape) < 0.5, 0, rng.integers(0, parameters.shape[1], shape))
    at, clip = np.stack([source, target], axis=2), np.arange(count)[:, None, None]
    pairs, known = clips.frames[clip, at], parameters[clip, at]
    return pairs.reshape(-1, *pairs.shape[2:]), known.reshape(-1, *known.shape[2:])


def fit_animator(model, clips, steps, batch_size=16, learning_rate=2e-3, seed=0, **fit_options):
    """Trains an animator with Adam; the learning rate falls to a fiftieth along a cosine.

    Args:
        model: `Animator`.
        clips: `LabelledClips` of `worlds.faces`.
        steps: training steps in all.
        batch_size: pairs per step.
        learning_rate: float, the largest.
        seed: non-negative int, of the choice and the order of pairs.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    pairs, parameters = choose_pairs(clips, seed)

    def batches(first):
        data = pipeline(pairs, parameters, batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda pair, values: {"pair": pair, "parameters": values})

    return training.fit(model, batches, steps, **fit_options)


def fit_conditional_diffusion(model, examples, steps, batch_size=64, learning_rate=3e-3, seed=0, **fit_options):
    """Trains a conditional diffusion model by flow matching with AdamW: warm-up, then cosine decay to a fiftieth.

    Args:
        model: `ConditionalDiffusion`; it gets the averaged weights.
        examples: dict of arrays `(N, ...)`: "latents" and the model's conditioning, see `motion_examples`.
        steps: training steps in all.
        batch_size: examples per step.
        learning_rate: float, the largest.
        seed: non-negative int, of noise, timesteps and order.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    latents = examples["latents"].astype(np.float32)
    model.normalization.adapt(latents, np.full_like(latents, -20.0))
    trainer = FlowMatching(model, ema_decay=1 - 10 / max(steps, 100), seed=seed)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - 50, 0.02, warmup_target=learning_rate, warmup_steps=50)
    optimizer = keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0)
    trainer.compile(optimizer, jit_compile=False)
    names = list(examples)

    def batches(first):
        data = pipeline(*examples.values(), batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda *arrays: unpack(dict(zip(names, arrays))))

    return training.fit(trainer, batches, steps, **fit_options)


def unpack(batch):
    """Sketches and layouts of a batch, which lie as bytes in memory, as a model takes them.

    Args:
        batch: dict of tensors; a sketch is -1 beside lines and 1 on them, as `pipeline` makes floats of 0 and 255.

    Returns:
        The dict, with "image" 0 beside lines and 1 on them.
    """
    return batch | ({"image": (batch["image"] + 1) / 2} if "image" in batch else {})


def motion_examples(count=NUM_MOTIONS, seed=MOTION_SEED):
    """Curves of expressions, with what captions say of them.

    Args:
        count: int, how many.
        seed: non-negative int.

    Returns:
        dict of "latents", float32 `(count, 16, 7)`, and "labels", int32 `(count, 5)`.
    """
    states = sample_states(count, seed, 0, 16, 64)
    return {"latents": face_parameters(states), "labels": state_labels(states, ("expression",))}


def sketch_examples(clips, seed=0):
    """Pictures, their sketches, one in three as an edge detector draws it and two as a hand does, and their colours.

    Args:
        clips: N `LabelledClips` of `worlds.faces`.
        seed: non-negative int.

    Returns:
        dict of "pictures", uint8 `(3 N, H, W, C)`, "sketches", uint8 `(3 N, H, W, 1)`, 255 on a line, "layouts", uint8
        `(3 N, 8, 8, C)`, and "labels", int32 `(3 N, 5)`.
    """
    rng, count = np.random.default_rng(seed), len(clips)
    at = np.stack([np.zeros(count, int), *rng.integers(1, clips.frames.shape[1], (2, count))], axis=1)
    pictures = clips.frames[np.arange(count)[:, None], at].reshape(-1, *clips.frames.shape[2:])
    lines = sketches.draw_sketches(pictures)
    rough = np.arange(len(lines)) % 3 != np.arange(len(lines)) // 3 % 3  # each kind of any of the three frames
    lines[rough] = sketches.roughen(lines[rough], seed)
    labels = np.repeat(state_labels(clips.states), 3, axis=0)
    return {
        "pictures": pictures,
        "sketches": lines[..., None].astype(np.uint8) * 255,
        "layouts": sketches.color_layout(pictures),
        "labels": labels,
    }


def layout_examples(examples):
    """What a diffusion model of colour layouts learns from.

    Args:
        examples: dict of `sketch_examples`.

    Returns:
        dict of "latents", float32 `(M, 64, C)` in [-1, 1], "labels" and "image", the sketches.
    """
    layouts = to_float(examples["layouts"])
    latents = layouts.reshape(len(layouts), -1, layouts.shape[-1])
    return {"latents": latents, "labels": examples["labels"], "image": examples["sketches"]}


def fit_colorizer(model, examples, steps, batch_size=16, learning_rate=2e-3, seed=0, **fit_options):
    """Trains a network that colours sketches with Adam; the learning rate falls to a fiftieth along a cosine.

    Args:
        model: `Colorizer`.
        examples: dict of `sketch_examples`.
        steps: training steps in all.
        batch_size: sketches per step.
        learning_rate: float, the largest.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    arrays = [examples[name] for name in ("sketches", "layouts", "pictures")]

    def batches(first):
        data = pipeline(*arrays, batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda lines, layouts, pictures: (((lines + 1) / 2, layouts), pictures))

    return training.fit(model, batches, steps, **fit_options)


def _options(recipe, checkpoint):
    return {"seed": recipe.seed, "checkpoint": checkpoint, "log_interval": LOG_INTERVAL} | dict(recipe.training)


def _train_animator(recipe, model, steps, checkpoint):
    return fit_animator(model, load(*recipe.dataset), steps, **_options(recipe, checkpoint))


def _train_motion(recipe, model, steps, checkpoint):
    return fit_conditional_diffusion(model, motion_examples(), steps, **_options(recipe, checkpoint))


def _train_layouts(recipe, model, steps, checkpoint):
    examples = layout_examples(sketch_examples(load(*recipe.dataset), recipe.seed))
    return fit_conditional_diffusion(model, examples, steps, **_options(recipe, checkpoint))


def _train_colorizer(recipe, model, steps, checkpoint):
    examples = sketch_examples(load(*recipe.dataset), recipe.seed)
    return fit_colorizer(model, examples, steps, **_options(recipe, checkpoint))


_ANIMATOR = Recipe(
    name="animator-faces",
    title="Animator: a picture of a drawn face, 64x64 RGB, with another expression and pose, by flow, mask and residual",
    model="Animator",
    config=AnimatorConfig(),
    dataset=("faces", "train"),
    steps={"fast": 200, "full": 3500},
    seed=41,
    train=_train_animator,
    evaluation="animator",
)
RECIPES = [
    _ANIMATOR,
    dataclasses.replace(
        _ANIMATOR,
        name="motion-diffusion-faces",
        title="Diffusion transformer: words to the curves of an expression over 16 frames, around known moments",
        model="ConditionalDiffusion",
        config=ConditionalDiffusionConfig(
            latent_dim=len(faces.MOTION), hidden_dim=96, num_layers=3, num_labels=len(LABELS), image_filters=()
        ),
        steps={"fast": 400, "full": 3000},
        seed=42,
        train=_train_motion,
        evaluation="image_to_video",
        pipeline="image_to_video",
        reference="faces",
        uses={"animator": "animator-faces"},
    ),
    dataclasses.replace(
        _ANIMATOR,
        name="colorizer-faces",
        title="Sketch colorization: a line drawing of a face and 8x8 colours become a picture, 64x64 RGB",
        model="Colorizer",
        config=ColorizerConfig(),
        steps={"fast": 200, "full": 2500},
        seed=43,
        train=_train_colorizer,
        evaluation="colorizer",
    ),
    dataclasses.replace(
        _ANIMATOR,
        name="layout-diffusion-faces",
        title="Diffusion transformer: a sketch and words to the colours of 8x8 places, around known strokes",
        model="ConditionalDiffusion",
        config=ConditionalDiffusionConfig(
            num_frames=64,
            latent_dim=3,
            hidden_dim=96,
            num_layers=3,
            num_labels=len(LABELS),
            image_channels=1,
            image_filters=(24, 48, 64),
            has_grid=True,
        ),
        steps={"fast": 100, "full": 2500},
        seed=44,
        train=_train_layouts,
        evaluation="sketch_to_video",
        pipeline="sketch_to_video",
        reference="faces",
        uses={"animator": "animator-faces", "motion_model": "motion-diffusion-faces", "colorizer": "colorizer-faces"},
        training={"batch_size": 32},
    ),
]
