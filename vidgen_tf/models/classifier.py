"""Convolutional classifier of frames: its predictions label generated frames, its features compare distributions of frames."""

import dataclasses

import keras
from keras import layers

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

    def __post_init__(self):
        super().__post_init__()
        if self.shape[0] != self.shape[1]:
            raise CourseError(f"A classifier needs square frames, got shape={self.shape}: crop them first.")


def build_classifier(config):
    """A convolutional network with one softmax classifier per attribute on shared features.

    Args:
        config: `ClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, H, W, C)` in [-1, 1] to a dict of float32: logits `(B, classes)` under each name of
        `config.classes`, and `(B, feature_dim)` under "features", of mean about 0 and variance about 1 over real frames.
    """
    frame = keras.Input(config.shape, name="frame")
    x = RandomAffine(config.max_affine, config.max_shift, seed=1)(frame)
    for filters in config.filters:
        for strides in (1, 2):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
    x = layers.Flatten()(x)  # (B, H/8, W/8, filters) -> (B, H/8*W/8*filters)
    x = layers.Dropout(0.1, seed=2)(x)
    x = layers.Dense(config.feature_dim, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False, dtype="float32")(x)
    x = layers.ReLU()(features)
    logits = {name: layers.Dense(classes, name=name, dtype="float32")(x) for name, classes in config.classes.items()}
    return keras.Model(frame, logits | {"features": features}, name="classifier")
