"""Classifier of frames: its predictions label generated frames, its features compare distributions."""

import dataclasses
import keras
from keras import layers
from ..layers import RandomAffine


@dataclasses.dataclass(is_static=True)
class ClassifierConfig:
    """Sizes of a judge."""

    shape: tuple[int, int, int]  # height, width, channels of a frame
    classes: dict[str, int]  # what is predict_probabilities -> number of classes
    filters: tuple[int, ...] = (32, 64, 96)  # of each pair of convolutions; the second one halves the frame
    features: int = 64  # numbers that describe a frame before it is predict_probabilities
    bend: float = 0.15  # training frames are turned, resized and slanted by up to this much,
    shift: float = 0.08  # and moved by up to this share of their side


def build_classifier(config):
    """A convolutional classifier with one output for each thing it judges.

    Args:
        config: `ClassifierConfig`.

    Returns:
        `keras.Model` from float32 `(B, H, W, C)` in [-1, 1] to a dict: logits `(B, classes)` under each name of
        `config.classes`, and `(B, features)` under "features", of mean about 0 and variance about 1 over real frames.
    """
    frame = keras.Input(config.shape, name="frame")
    x = RandomAffine(config.bend, config.shift, seed=1)(frame)
    for filters in config.filters:
        for strides in (1, 2):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
    x = layers.Flatten()(x)  # (B, H/8, W/8, filters) -> (B, H/8*W/8*filters)
    x = layers.Dropout(0.1, seed=2)(x)
    x = layers.Dense(config.features, use_bias=False)(x)
    features = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.ReLU()(features)
    judgements = {name: layers.Dense(classes, name=name)(x) for name, classes in config.classes.items()}
    return keras.Model(frame, judgements | {"features": features}, name="judge")
