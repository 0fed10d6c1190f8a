"""Classifier of clips: convolutions on each frame, then along time; its features compare distributions of videos."""

import dataclasses
import keras
from keras import layers, ops


@dataclasses.dataclass(is_static=True)
class VideoClassifierConfig:
    """Sizes of a judge of motion."""

    shape: tuple[int, int, int, int]  # frames, height, width, channels of a clip
    classes: dict[str, int]  # what is predict_probabilities of a clip -> number of classes
    looks: dict[str, int]  # what is predict_probabilities of its frames, whatever their order -> number of classes
    filters: tuple[int, ...] = (16, 32, 48)  # of the convolutions on each frame; each one halves it
    frame_features: int = 64  # numbers that describe a frame
    time_filters: tuple[int, ...] = (96, 96, 96)  # of the convolutions along time; all but the first one halve it
    features: int = 64  # numbers that describe a clip before it is predict_probabilities


def build_video_classifier(config):
    """A classifier of clips: each frame becomes a few numbers by convolutions, and these are compared along time.

    What is in the frames is predict_probabilities by the mean of these numbers over the clip: who has to name a thing notices when it becomes
    another.

    Args:
        config: `VideoClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, T, H, W, C)` in [-1, 1] to a dict: logits `(B, classes)` under each name of
        `config.classes` and `config.looks`, and `(B, features)` under "features", of mean about 0 and variance about 1 over the
        clips of the training, real and corrupt.

    References:
        Unterthiner and others, 2019, "FVD: A new metric for video generation" (that such features must see motion).
    """
    times, *frame = config.shape
    clip = keras.Input(config.shape, name="clip")
    x = ops.reshape(clip, (-1, *frame))  # (B, T, H, W, C) -> (B*T, H, W, C)
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B*T, H, W, C) -> (B*T, H/2, W/2, filters)
    x = layers.Dense(config.frame_features, use_bias=False)(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = ops.reshape(x, (-1, times, config.frame_features))  # (B*T, F) -> (B, T, F)
    seen, changes = ops.mean(x, axis=1), ops.abs(x[:, 1:] - x[:, :-1])
    x = ops.concatenate([x, ops.pad(changes, ((0, 0), (1, 0), (0, 0)))], axis=-1)  # (B, T, F) -> (B, T, 2F)
    for i, filters in enumerate(config.time_filters):
        x = layers.Conv1D(filters, 3, strides=1 if i == 0 else 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))  # (B, T, F) -> (B, T or T/2, filters)
    x = layers.Dropout(0.1, seed=2)(layers.Flatten()(x))
    x = layers.Dense(config.features, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.ReLU()(features)
    judgements = {name: layers.Dense(classes, name=name)(x) for name, classes in config.classes.items()}
    judgements |= {name: layers.Dense(classes, name=name)(seen) for name, classes in config.looks.items()}
    return keras.Model(clip, judgements | {"features": features}, name="motion_judge")
