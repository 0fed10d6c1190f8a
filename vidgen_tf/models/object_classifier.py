"""Classifier of clips with several objects: what each colour's object is like and what it does."""

import dataclasses

import keras
from keras import layers, ops

from .base import Config


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class ObjectClassifierConfig(Config):
    """Sizes of a classifier of objects."""

    shape: tuple[int, int, int, int]  # frames, height, width, channels of a clip
    num_colors: int  # at most one object has each
    classes: dict[str, int]  # attribute of an object -> number of its classes
    frame_step: int = 2  # every second frame is looked at
    filters: tuple[int, ...] = (32, 64, 96)  # of the 2D convolutions on grey frames; all but the last one halve the feature map
    color_filters: tuple[int, ...] = (16, 24, 24)  # of those on colour frames
    temporal_filters: tuple[int, ...] = (128, 128)  # of the 1D convolutions
    feature_dim: int = 96


def _feature_maps(x, filters):
    """2D convolutions: all but the last one halve the map."""
    for i, count in enumerate(filters):
        size, strides = (3, 1) if i == len(filters) - 1 else (4, 2)
        x = layers.Conv2D(count, size, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def _locate(color_maps, x, num_colors):
    """Where each colour's object is, and what is there: softmax attention over the places of a frame, a map for each colour.

    Args:
        color_maps: float `(B, H, W, C)`, by which objects are found.
        x: float `(B, H, W, D)`, features of what is there.
        num_colors: int.

    Returns:
        float `(B, num_colors, D + 3)`: features, the place, from -1 to 1, and how strongly the object is seen.
    """
    height, width = x.shape[1:3]
    attention = ops.reshape(layers.Conv2D(num_colors, 1, dtype="float32")(color_maps), (-1, height * width, num_colors))
    y, x_axis = ops.meshgrid(ops.linspace(-1.0, 1.0, height), ops.linspace(-1.0, 1.0, width), indexing="ij")
    places = ops.reshape(ops.stack([y, x_axis], axis=-1), (1, height * width, 2))
    features = ops.reshape(x, (-1, height * width, x.shape[-1]))
    weights = ops.softmax(attention, axis=1)
    seen = ops.expand_dims(ops.logsumexp(attention, axis=1), -1)
    found = ops.einsum("bpk,bpd->bkd", weights, features), ops.einsum("bpk,cpd->bkd", weights, places)
    return ops.concatenate([*found, seen], axis=-1)


def build_object_classifier(config):
    """2D convolutions on frames, attention that finds the object of each colour, 1D convolutions along its way.

    Colours tell where an object is; what it is and does is read off grey frames, with the same weights for all colours. So what
    is learned of a red ball holds for a blue one, and a classifier that has never seen a red box doesn't take it for a ball.

    Args:
        config: `ObjectClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, T, H, W, C)` in [-1, 1] to a dict of float32: logits `(B, num_colors, classes)` under each
        name of `config.classes`, and `(B, feature_dim)` under "features".

    References:
        Locatello and others, 2020, "Object-centric learning with slot attention" (features of single objects by attention).
    """
    clip = keras.Input(config.shape, name="clip")
    x = clip[:, :: config.frame_step]
    num_frames, colors = x.shape[1], config.num_colors
    x = ops.reshape(x, (-1, *config.shape[1:]))  # (B, T, H, W, C) -> (B*T, H, W, C)
    grey = ops.mean(x, axis=-1, keepdims=True)
    x = _locate(_feature_maps(x, config.color_filters), _feature_maps(grey, config.filters), colors)  # -> (B*T, K, D)
    x = ops.transpose(ops.reshape(x, (-1, num_frames, colors, x.shape[-1])), (0, 2, 1, 3))
    others = ops.repeat(ops.max(x, axis=1, keepdims=True), colors, axis=1)  # what else is there, for those that meet
    x = ops.concatenate([x, others], axis=-1)
    x = ops.reshape(x, (-1, num_frames, x.shape[-1]))  # (B, K, T, D) -> (B*K, T, D)
    for filters in config.temporal_filters:
        x = layers.Conv1D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(config.feature_dim, use_bias=False)(layers.Flatten()(x))
    features = layers.BatchNormalization(center=False, scale=False, dtype="float32")(x)
    x, logits = layers.ReLU()(features), {}
    for name, classes in config.classes.items():
        of_all = layers.Dense(classes, name=name, dtype="float32")(x)
        logits[name] = ops.reshape(of_all, (-1, colors, classes))
    features = ops.mean(ops.reshape(features, (-1, colors, config.feature_dim)), axis=1)
    return keras.Model(clip, logits | {"features": features}, name="object_classifier")
