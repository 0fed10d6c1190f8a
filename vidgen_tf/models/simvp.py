"""Video prediction by convolutions alone (after SimVP): all context frames in, all future frames out, without recurrence."""

import dataclasses

import keras
from keras import layers, ops

from ..layers import depth_to_space, space_to_depth
from .base import Config, check_multiple
from .convlstm import BACKGROUND_LOGIT, NUM_CONTEXT_FRAMES, NUM_FUTURE_FRAMES


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class SimVPConfig(Config):
    """Sizes of a convolutional frame predictor.

    Raises:
        CourseError: a size that is no whole number or below 1, or an image size that patches don't divide.
    """

    image_size: int = 32  # height and width of a frame, px
    channels: int = 1
    patch_size: int = 4  # side of the patches that become channels (space-to-depth), px
    filters: int = 128
    num_layers: int = 4  # residual blocks
    num_context_frames: int = NUM_CONTEXT_FRAMES
    num_future_frames: int = NUM_FUTURE_FRAMES

    def __post_init__(self):
        super().__post_init__()
        check_multiple(self.image_size, self.patch_size, "it is cut into patches")


def build_simvp(config):
    """Residual 2D convolutions on context frames whose time axis is folded into channels.

    Args:
        config: `SimVPConfig`.

    Returns:
        `keras.Model` from float32 `(B, num_context_frames, H, W, C)` in [-1, 1] to float32 logits
        `(B, num_future_frames, H, W, C)`, see `convlstm.logits_to_pixels`.

    References:
        Gao, Tan, Wu and Li, 2022, "SimVP: simpler yet better video prediction" (theirs has Inception blocks, and a convolutional
        encoder and decoder of single frames in place of space-to-depth).
    """
    shape = config.num_context_frames, config.image_size, config.image_size, config.channels
    frames = keras.Input(shape, name="frames")
    x = space_to_depth(frames, config.patch_size)
    num_frames, height, width, depth = x.shape[1:]
    x = ops.transpose(x, (0, 2, 3, 1, 4))  # (B, T, h, w, p * p * C) -> (B, h, w, T, p * p * C)
    x = ops.reshape(x, (-1, height, width, num_frames * depth))
    x = layers.Conv2D(config.filters, 3, padding="same")(x)
    for _ in range(config.num_layers):
        y = layers.LayerNormalization()(x)
        y = layers.Conv2D(config.filters, 3, padding="same", activation="relu")(y)
        x = x + layers.Conv2D(config.filters, 3, padding="same")(y)
    x = layers.LayerNormalization()(x)
    initial = {"bias_initializer": BACKGROUND_LOGIT, "dtype": "float32"}
    x = layers.Conv2D(config.num_future_frames * depth, 3, padding="same", **initial)(x)
    x = ops.reshape(x, (-1, height, width, config.num_future_frames, depth))
    x = ops.transpose(x, (0, 3, 1, 2, 4))  # (B, h, w, T, p * p * C) -> (B, T, h, w, p * p * C)
    return keras.Model(frames, depth_to_space(x, config.patch_size), name="simvp")
