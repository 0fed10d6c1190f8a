"""How the networks of style transfer are trained: two that tell styles apart, and one that draws clips in a style."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from .. import training, zoo
from ..datasets import pipeline
from ..evaluation.moving_frames import training_examples
from ..evaluation.style_pictures import recolored
from ..models.style import TextureConfig, gram_distance, style_features, style_grams
from ..models.style_transfer import StyleConfig, StyleTransfer, style_moments
from ..video import to_float
from ..worlds.styles import STYLES, draw_style
from .classifiers import train_classifier
from .recipe import Recipe

NUM_PICTURES = 20  # of each style that a style network learns from
NUM_CONTENTS = 48  # frames without a style, whose distance from a style is the unit of the style loss
BATCH_SIZE = 8  # pictures whose features are computed together


def style_examples(extractor, pictures, contents):
    """What a style network learns of styles.

    Args:
        extractor: `keras.Model` of `build_feature_extractor`.
        pictures: uint8 `(N, H, W, 3)` in any styles.
        contents: uint8 `(K, h, w, 3)`, frames without a style.

    Returns:
        dict of float32 arrays of N rows: "moments", "sizes" and "gram_0", "gram_1", ..., see `StyleTransfer`.
    """
    examples = {"moments": [], "sizes": []}
    plain = style_grams(style_features(extractor, to_float(contents)))
    for first in range(0, len(pictures), BATCH_SIZE):
        features = style_features(extractor, to_float(pictures[first : first + BATCH_SIZE]))
        grams = style_grams(features)
        distances = [[np.mean(gram_distance(a, gram)) for gram in b] for a, b in zip(plain, grams)]  # (levels, batch)
        examples["moments"].extend(np.asarray(style_moments(features)))
        examples["sizes"].extend(np.transpose(distances))
        for i, gram in enumerate(grams):
            examples.setdefault(f"gram_{i}", []).extend(np.asarray(gram))
    return {name: np.array(values, np.float32) for name, values in examples.items()}


def fit_style_transfer(model, clips, styles, steps, batch_size=4, learning_rate=2e-3, seed=0, **fit_options):
    """Trains a style network with Adam; the learning rate falls to a twentieth along a cosine.

    Args:
        model: `StyleTransfer`.
        clips: arrays of frames, flows and masks, see `training_examples`.
        styles: dict of arrays, see `style_examples`.
        steps: training steps in all.
        batch_size: clips per step, each in a style of its own.
        learning_rate: float, the largest.
        seed: non-negative int, order of the batches.
        **fit_options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.05)
    model.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), jit_compile=False)
    targets = [name for name in styles if name != "moments"]

    def batches(first):
        content = pipeline(*clips, batch_size=batch_size, seed=seed, first_step=first)
        style = pipeline(
            styles["moments"], *(styles[name] for name in targets), batch_size=batch_size, seed=seed, first_step=first
        )
        return tf.data.Dataset.zip(content, style).map(join)

    def join(content, style):
        frames, flows, masks = content
        moments, *others = style
        return {"frames": frames, "flows": flows, "masks": masks, "moments": moments}, dict(zip(targets, others))

    return training.fit(model, batches, steps, **fit_options)


def _train_style_network(recipe, model, steps, checkpoint):
    """Trains on clips of three worlds and pictures of all styles, a quarter of them once more in other colours."""
    settings = dict(recipe.training)
    transfer = StyleTransfer(recipe.config, TextureConfig(), **settings.pop("loss_weights"))
    transfer.texture_network.set_weights(zoo.load(recipe.uses["texture_network"]).get_weights())
    clips = training_examples(recipe.seed)
    pictures = np.stack([draw_style(name, seed) for name in STYLES for seed in range(NUM_PICTURES)])
    pictures = np.concatenate([pictures, recolored(pictures[::4], recipe.seed)])
    styles = style_examples(transfer.extractor, pictures, clips[0][:NUM_CONTENTS, 0])
    options = {"seed": recipe.seed, "checkpoint": checkpoint, "log_interval": 25} | settings
    history = fit_style_transfer(transfer, clips, styles, steps, **options)
    model.set_weights(transfer.network.get_weights())
    return history


_TEXTURE = Recipe(
    name="texture-network",
    title="Texture network: eight drawn styles and plain frames told apart, any size RGB; its features measure style",
    model="TextureNetwork",
    config=TextureConfig(),
    dataset=("faces", "train"),
    steps={"fast": 100, "full": 400},
    seed=40,
    train=train_classifier,
    evaluation="texture_network",
)
RECIPES = [
    _TEXTURE,
    dataclasses.replace(
        _TEXTURE,
        name="classifier-styles",
        title="Classifier of styles, for evaluation alone: eight drawn styles and plain frames, any size RGB",
        config=TextureConfig(filters=(12, 24, 48), kernel_size=5),
        steps={"fast": 100, "full": 600},
        seed=41,
        evaluation="style_classifier",
    ),
    Recipe(
        name="style-network",
        title="Style network: clips drawn in any of eight styles, or in a picture's, without flicker, any size RGB",
        model="StyleNetwork",
        config=StyleConfig(),
        dataset=("faces", "train"),
        steps={"fast": 50, "full": 825},
        seed=42,
        train=_train_style_network,
        evaluation="style_transfer",
        uses={"texture_network": "texture-network", "classifier": "classifier-styles"},
        sampling={"memory": 0.75},  # more than in training: steadier, at an equal style loss
        training={"loss_weights": {"style_weight": 4.0, "content_weight": 0.7, "lightness_weight": 1.0, "temporal_weight": 3.0}},
    ),
]
