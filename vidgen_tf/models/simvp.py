"""Video prediction by convolutions alone (after SimVP): all context frames in, all future frames out, no recurrence."""

import dataclasses
import keras
from keras import layers, ops
from ..layers import depth_to_space, space_to_depth
from .convlstm import BACKGROUND_LOGIT
from ..recipes.predictors import CONTEXT


@dataclasses.dataclass(is_static=True)
class SimVPConfig:
    """Sizes of a predictor drop_attribute recurrence."""

    frame_size: int = 32  # height and width, px
    channels: int = 1
    patch: int = 4  # squares of patch x patch pixels are folded into channels
    filters: int = 128
    blocks: int = 4


def build_simvp(config):
    """Convolutions from ten frames to the next ten. Time becomes channels too, so no layer knows of it.

    Args:
        config: `SimVPConfig`.

    Returns:
        `keras.Model` from float32 `(B, 10, H, W, C)` in [-1, 1] to logits of that shape, see `pixels`.

    References:
        Gao, Tan, Wu and Li, 2022, "SimVP: simpler yet better video prediction" (theirs has Inception blocks, and convolutions
        that read and write single frames where ours folds).
    """
    frames = keras.Input((CONTEXT, config.frame_size, config.frame_size, config.channels), name="frames")
    x = space_to_depth(frames, config.patch)
    times, height, width, depth = x.shape[1:]
    x = ops.transpose(x, (0, 2, 3, 1, 4))  # (B, T, h, w, p * p * C) -> (B, h, w, T, p * p * C)
    x = ops.reshape(x, (-1, height, width, times * depth))
    x = layers.Conv2D(config.filters, 3, padding="same")(x)
    for _ in range(config.blocks):
        y = layers.LayerNormalization()(x)
        y = layers.Conv2D(config.filters, 3, padding="same", activation="relu")(y)
        x = x + layers.Conv2D(config.filters, 3, padding="same")(y)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(FUTURE * depth, 3, padding="same", bias_initializer=BACKGROUND_LOGIT)(x)
    x = ops.reshape(x, (-1, height, width, FUTURE, depth))
    x = ops.transpose(x, (0, 3, 1, 2, 4))  # (B, h, w, T, p * p * C) -> (B, T, h, w, p * p * C)
    return keras.Model(frames, depth_to_space(x, config.patch), name="simvp")
