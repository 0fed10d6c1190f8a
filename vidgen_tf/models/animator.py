"""An animator: a picture of a face and the parameters of an expression become a frame, by pixels that are moved or made anew."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from .base import Config, ConfiguredModel, check_float_frames, check_multiple
from .optical_flow import Warp, contract, expand, total_variation

FEATURES_BOX = (0.4, 0.82, 0.3, 0.7)  # top, bottom, left and right of eyes and mouth of an aligned face, as shares of its image


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class AnimatorConfig(Config):
    """Sizes of an animator, and the weights of its losses.

    Raises:
        CourseError: a size that is no whole number or below 1, or an image size that can't be halved often enough.
    """

    image_size: int = 64  # height and width of a frame, px
    channels: int = 3
    num_parameters: int = 7  # of an expression and the head's pose
    filters: tuple[int, ...] = (32, 48, 64)  # of the U-Net, at half, a quarter, ... of the image size
    map_channels: int = 8  # of the feature maps that are drawn from the parameters
    encoder_filters: tuple[int, ...] = (16, 32, 48, 64)  # of the encoder; each halves the frames
    change_weight: float = 20.0  # how much more an error counts where the frame differs from the picture
    features_weight: float = 5.0  # how much more an error counts in the box of eyes and mouth, a sixth of an aligned face
    residual_weight: float = 0.1  # of the same of the residual images, which learn before the mask opens
    smoothness_weight: float = 0.005  # of the total variation of the flow
    parameter_weight: float = 1.0  # of the squared error of the encoder

    def __post_init__(self):
        super().__post_init__()
        halvings = max(len(self.filters), len(self.encoder_filters))
        check_multiple(self.image_size, 2**halvings, f"{halvings} layers halve it")


def build_parameter_encoder(config):
    """The parameters that a frame shows.

    Args:
        config: `AnimatorConfig`.

    Returns:
        `keras.Model` from float `(B, H, W, C)` in [-1, 1] to float32 `(B, num_parameters)`.
    """
    frame = x = keras.Input((config.image_size, config.image_size, config.channels), name="frame")
    for filters in config.encoder_filters:
        x = layers.Conv2D(filters, 3, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(negative_slope=0.1)(x)  # (B, h, w, C) -> (B, h/2, w/2, filters)
    x = layers.Dense(128, activation="leaky_relu")(layers.Flatten()(x))
    return keras.Model(frame, layers.Dense(config.num_parameters, dtype="float32")(x), name="parameter_encoder")


def build_animation_network(config):
    """The picture with other parameters: pixels fetched along a flow, and drawn anew where that fails.

    Args:
        config: `AnimatorConfig`.

    Returns:
        `keras.Model` from [float `(B, H, W, C)`, float `(B, 2, num_parameters)`, those of the picture and those to show] to a
        dict of float32: "frame" and "residual" `(B, H, W, C)`, "flow" `(B, H, W, 2)` in px, and "mask" `(B, H, W, 1)`, 1 where
        the colour is fetched.

    References:
        Ren, Li, Chen, Li and Liu, 2021, "PIRenderer: controllable portrait image generation via semantic neural rendering";
        Shi and others, 2016, "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
        neural network" (pixel shuffle).
    """
    size, channels = config.image_size, config.channels
    picture = keras.Input((size, size, channels), name="picture")
    parameters = keras.Input((2, config.num_parameters), name="parameters")
    code = layers.Dense(64, activation="leaky_relu")(layers.Flatten()(parameters))
    x = expand(contract(picture, config.filters, first_stride=2), code)  # (B, H, W, C) -> (B, H/2, W/2, F)
    x = layers.Concatenate()([x, draw_code(code, size // 4, config.map_channels)])
    for _ in range(2):
        x = layers.Conv2D(48, 3, padding="same", activation="leaky_relu", kernel_initializer="he_normal")(x)
    output_layer = {"padding": "same", "dtype": "float32"}
    residual = pixel_shuffle(layers.Conv2D(4 * channels, 3, name="paint", **output_layer)(x), channels)
    moves = layers.Conv2D(12, 3, kernel_initializer="zeros", name="moves", **output_layer)(x)
    moves = pixel_shuffle(moves, 3)
    flow, mask, residual = moves[..., :2], ops.sigmoid(moves[..., 2:]), ops.tanh(residual)
    frame = mask * Warp(dtype="float32")(picture, flow) + (1 - mask) * residual
    parts = {"frame": frame, "flow": flow, "mask": mask, "residual": residual}
    return keras.Model([picture, parameters], parts, name="animation_network")


def draw_code(code, size, channels):
    """A code as feature maps.

    Faces are aligned, so a code alone says much of what happens where: eyes and mouths lie alike.

    Args:
        code: symbolic float `(B, D)`.
        size: int, height and width of the maps before they are enlarged twice.
        channels: int.

    Returns:
        symbolic float `(B, 2 * size, 2 * size, channels)`.
    """
    maps = layers.Reshape((size, size, channels))(layers.Dense(size * size * channels)(code))
    return layers.UpSampling2D(interpolation="bilinear")(maps)


def features_mask(size):
    """Where the eyes and the mouth of an aligned face are.

    Args:
        size: int, height and width of the image, px.

    Returns:
        float32 `(size, size, 1)`, 1 in the box and 0 around it.
    """
    place = (np.arange(size) + 0.5) / size
    top, bottom, left, right = FEATURES_BOX
    rows, columns = (place > top) & (place < bottom), (place > left) & (place < right)
    return (rows[:, None] & columns)[..., None].astype(np.float32)


def pixel_shuffle(x, channels):
    """Four channels of a small image become a 2x2 block of pixels of a large one.

    Args:
        x: float `(B, h, w, 4 * channels)`.
        channels: int.

    Returns:
        float `(B, 2h, 2w, channels)`.
    """
    height, width = x.shape[1:3]
    x = ops.reshape(x, (-1, height, width, 2, 2, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, channels))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Animator(ConfiguredModel):
    """The encoder of parameters and the network that animates a picture by them, trained together on pairs of frames.

    Args:
        config: `AnimatorConfig`.

    Call arguments:
        inputs: dict of "pair", float `(B, 2, H, W, C)` in [-1, 1], a picture and another frame of its clip; and "parameters",
            float `(B, 2, num_parameters)`, those of both.

    Output shape:
        The dict of `build_animation_network`, with "parameters" as the encoder reads them from both frames.
    """

    def __init__(self, config):
        super().__init__(name="animator")
        self.config = config
        self.encoder, self.network = build_parameter_encoder(config), build_animation_network(config)
        shape = (None, 2, config.image_size, config.image_size, config.channels)
        self.build({"pair": shape, "parameters": (None, 2, config.num_parameters)})

    def call(self, inputs, training=False):
        """The second frame, made of the first one and of its own parameters."""
        pair = inputs["pair"]
        check_float_frames(pair)
        read = ops.stack([self.encoder(pair[:, i], training=training) for i in range(2)], axis=1)
        return self.network([pair[:, 0], inputs["parameters"]], training=training) | {"parameters": read}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The weighted absolute errors of frame and residual image, and those of the flow's smoothness and of the encoder.

        Args:
            x: dict, the inputs.
            y: unused: the second frame is the target.
            y_pred: dict, what `call` returned.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar.
        """
        config = self.config
        first, target = (ops.cast(x["pair"][:, i], "float32") for i in range(2))
        weight = 1 + config.change_weight * ops.abs(target - first)  # (B, H, W, C)
        weight = weight * (1 + config.features_weight * features_mask(config.image_size))
        loss = ops.mean(weight * ops.abs(y_pred["frame"] - target))
        loss += config.residual_weight * ops.mean(weight * ops.abs(y_pred["residual"] - target))
        loss += config.smoothness_weight * total_variation(y_pred["flow"])
        return loss + config.parameter_weight * ops.mean(ops.square(y_pred["parameters"] - x["parameters"]))
