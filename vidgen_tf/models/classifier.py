"""Convolutional classifier of frames: its predictions label generated frames, its features compare distributions of frames."""

import dataclasses

import keras
from keras import layers, ops

from ..errors import CourseError
from ..layers import RandomAffine
from .base import Config


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class ClassifierConfig(Config):
    """Sizes of a classifier of frames.

    Raises:
        CourseError: a size that is no whole number or below 1, or frames that aren't square.
    """

    shape: tuple[int, int, int]  # height, width, channels of a frame
    classes: dict[str, int]  # attribute -> number of its classes
    filters: tuple[int, ...] = (32, 64, 96)  # of each pair of convolutions; the second one halves the feature map
    feature_dim: int = 64
    max_affine: float = 0.15  # data augmentation: largest change of an entry of the affine matrix,
    max_shift: float = 0.08  # and largest translation, as a share of the image size
    color_classes: dict[str, int] = dataclasses.field(default_factory=dict)  # the same of what single pixels show, if anything
    color_dim: int = 16  # features of colours, the last ones
    background_level: float = -0.7  # brightest channel, in [-1, 1], of the background,
    object_level: float = 0.0  # and the least one of objects

    def __post_init__(self):
        super().__post_init__()
        if self.shape[0] != self.shape[1]:
            raise CourseError(f"A classifier needs square frames, got shape={self.shape}: crop them first.")


def silhouette(frames, low, high):
    """Where something is, whatever its colour.

    Args:
        frames: float `(B, H, W, C)`.
        low: float, the brightest channel of the background.
        high: float, that of objects, or less.

    Returns:
        float `(B, H, W, 1)` in [0, 1]: 0 on the background, 1 on objects.
    """
    return ops.minimum(ops.relu((ops.max(frames, axis=-1, keepdims=True) - low) / (high - low)), 1.0)


def pixel_colors(frames, units):
    """Features of the colours in frames, whatever the shapes that have them: each unit's largest response to a single pixel.

    Args:
        frames: float `(B, H, W, C)`.
        units: int, how many features.

    Returns:
        float `(B, units)`.
    """
    x = frames
    for _ in range(2):
        x = layers.Conv2D(units, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.GlobalMaxPooling2D()(x)


def build_classifier(config):
    """A convolutional network with one softmax classifier per attribute on shared features.

    With `color_classes`, these are read off single pixels and the others off silhouettes, so that no combination can be learned.

    Args:
        config: `ClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, H, W, C)` in [-1, 1] to a dict of float32: logits `(B, classes)` under each name of
        `config.classes` and `config.color_classes`, and `(B, feature_dim)` under "features", of mean about 0 and variance about 1
        over real frames.
    """
    frame = keras.Input(config.shape, name="frame")
    x = RandomAffine(config.max_affine, config.max_shift, seed=1)(frame)
    colors = [pixel_colors(x, config.color_dim)] if config.color_classes else []
    if colors:
        x = silhouette(x, config.background_level, config.object_level)
    for filters in config.filters:
        for strides in (1, 2):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
    x = layers.Flatten()(x)  # (B, H/8, W/8, filters) -> (B, H/8*W/8*filters)
    x = layers.Dropout(0.1, seed=2)(x)
    split = config.feature_dim - config.color_dim * len(colors)
    x = layers.Dense(split, use_bias=False)(x)
    x = ops.concatenate([x, *colors], axis=-1) if colors else x
    features = layers.BatchNormalization(center=False, scale=False, dtype="float32")(x)
    x = layers.ReLU()(features)
    logits = {}
    for read, attributes in ((x[:, :split], config.classes), (x[:, split:], config.color_classes)):
        logits |= {name: layers.Dense(classes, name=name, dtype="float32")(read) for name, classes in attributes.items()}
    return keras.Model(frame, logits | {"features": features}, name="classifier")
