"""Classifier of clips: 2D convolutions on each frame, then 1D convolutions over time; its features compare distributions."""

import dataclasses

import keras
from keras import layers, ops

from .base import Config


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VideoClassifierConfig(Config):
    """Sizes of a classifier of clips."""

    shape: tuple[int, int, int, int]  # frames, height, width, channels of a clip
    classes: dict[str, int]  # attribute of the motion -> number of its classes
    appearance_classes: dict[str, int]  # attribute of the frames, whatever their order -> number of its classes
    filters: tuple[int, ...] = (16, 32, 48)  # of the 2D convolutions; each one halves the feature map
    frame_feature_dim: int = 64
    temporal_filters: tuple[int, ...] = (96, 96, 96)  # of the 1D convolutions; all but the first have stride 2
    feature_dim: int = 64


def build_video_classifier(config):
    """A factorised space-time network: 2D convolutions, then 1D convolutions over frame features and their differences.

    The attributes of `appearance_classes` are predicted from the mean of the frame features over time.

    Args:
        config: `VideoClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, T, H, W, C)` in [-1, 1] to a dict of float32: logits `(B, classes)` under each name of
        `config.classes` and `config.appearance_classes`, and `(B, feature_dim)` under "features", of mean about 0 and variance
        about 1 over the training clips, real and corrupted.

    References:
        Unterthiner et al., 2019, "FVD: a new metric for video generation" (features that are sensitive to motion); Tran et al.,
        2018, "A closer look at spatiotemporal convolutions for action recognition" (factorised convolutions).
    """
    num_frames, *frame_shape = config.shape
    clip = keras.Input(config.shape, name="clip")
    x = ops.reshape(clip, (-1, *frame_shape))  # (B, T, H, W, C) -> (B*T, H, W, C)
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B*T, H, W, C) -> (B*T, H/2, W/2, filters)
    x = layers.Dense(config.frame_feature_dim, use_bias=False)(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = ops.reshape(x, (-1, num_frames, config.frame_feature_dim))  # (B*T, F) -> (B, T, F)
    appearance, difference = ops.mean(x, axis=1), ops.abs(x[:, 1:] - x[:, :-1])
    x = ops.concatenate([x, ops.pad(difference, ((0, 0), (1, 0), (0, 0)))], axis=-1)  # (B, T, F) -> (B, T, 2F)
    for i, filters in enumerate(config.temporal_filters):
        x = layers.Conv1D(filters, 3, strides=1 if i == 0 else 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B, T, F) -> (B, T or T/2, filters)
    x = layers.Dropout(0.1, seed=2)(layers.Flatten()(x))
    x = layers.Dense(config.feature_dim, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False, dtype="float32")(x)
    x = layers.ReLU()(features)
    logits = {name: layers.Dense(classes, name=name, dtype="float32")(x) for name, classes in config.classes.items()}
    for name, classes in config.appearance_classes.items():
        logits[name] = layers.Dense(classes, name=name, dtype="float32")(appearance)
    return keras.Model(clip, logits | {"features": features}, name="video_classifier")
