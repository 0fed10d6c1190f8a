"""Video VAE: a clip as a grid of latents in space and time, each of which stands for a patch of several frames."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..layers import depth_to_space, space_to_depth
from ..video import to_float, to_uint8
from .base import Config, ConfiguredModel, check_float_frames, check_multiple
from .vae import kl_to_standard_normal, reparameterise

BATCH_SIZE = 32  # clips that are encoded or decoded at once
LAST_CHANNELS = 8  # of the decoder's last feature map, at the size of the picture


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VideoVAEConfig(Config):
    """Sizes of a video VAE. A latent stands for `patch_size * 2 ** (len(filters) - 1)` px squared of `temporal_factor` frames.

    Raises:
        CourseError: a size that is no whole number or below 1, no filters, or an image size that can't be divided that often.
    """

    image_size: int = 64  # height and width of a frame, px
    channels: int = 3
    temporal_factor: int = 4  # frames of a latent
    patch_size: int = 4  # side of the squares of pixels that become channels at the entry, px
    filters: tuple[int, ...] = (64, 96, 128)  # of the feature maps; each but the first halves the size
    latent_channels: int = 32  # numbers of a latent
    beta: float = 0.1  # weight of the KL term
    change_weight: float = 0.0  # further weight, in the loss, of a pixel that differs from the mean of its frames

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})
        check_multiple(self.image_size, self.spatial_factor, "it is divided so")

    @property
    def spatial_factor(self):
        """int, px on a side of what a latent stands for."""
        return self.patch_size * 2 ** (len(self.filters) - 1)

    @property
    def grid_size(self):
        """int, latents on a side of a frame."""
        return self.image_size // self.spatial_factor

    @property
    def latent_dim(self):
        """int, numbers of all latents of one moment."""
        return self.grid_size**2 * self.latent_channels


def _convolution(filters, x, kernel_size=3, strides=1, layer=layers.Conv2D):
    """A convolution, batch normalisation and ReLU."""
    x = layer(filters, kernel_size, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def build_video_encoder(config):
    """Convolutions over each frame, then a dense layer over the frames of a latent, place by place.

    Args:
        config: `VideoVAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, temporal_factor, image_size, image_size, channels)` in [-1, 1] to z_mean and z_log_var,
        float32 `(B, latent_dim)` each.
    """
    size, frames, side = config.image_size, config.temporal_factor, config.grid_size
    clip = keras.Input((frames, size, size, config.channels), name="clip")
    x = space_to_depth(clip, config.patch_size)
    x = ops.reshape(x, (-1, *x.shape[2:]))  # -> (B T, h, w, C p^2)
    first, *others = config.filters
    x = _convolution(first, x)
    for filters in others:
        x = _convolution(filters, _convolution(filters, x, 4, 2))  # (B T, h, w, f) -> (B T, h/2, w/2, f')
    x = ops.transpose(ops.reshape(x, (-1, frames, side, side, x.shape[-1])), (0, 2, 3, 1, 4))
    x = _convolution(2 * config.filters[-1], ops.reshape(x, (-1, side, side, frames * config.filters[-1])), 1)
    names = "z_mean", "z_log_var"
    parts = [layers.Conv2D(config.latent_channels, 1, name=name, dtype="float32")(x) for name in names]
    return keras.Model(clip, [ops.reshape(part, (-1, config.latent_dim)) for part in parts], name="encoder")


def build_video_decoder(config):
    """Convolutions over the latents of a moment, a dense layer to its frames, then the mirror image of the encoder.

    Args:
        config: `VideoVAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, temporal_factor, image_size, image_size, channels)` in
        [-1, 1].
    """
    frames, side, last = config.temporal_factor, config.grid_size, config.filters[-1]
    latent = keras.Input((config.latent_dim,), name="latent")
    x = ops.reshape(latent, (-1, side, side, config.latent_channels))
    x = _convolution(frames * last, _convolution(2 * last, x), 1)
    x = ops.transpose(ops.reshape(x, (-1, side, side, frames, last)), (0, 3, 1, 2, 4))
    x = _convolution(last, ops.reshape(x, (-1, side, side, last)))  # (B T, h, w, f)
    for filters in reversed(config.filters[:-1]):
        x = _convolution(filters, _convolution(filters, x, 4, 2, layers.Conv2DTranspose))  # -> (B T, 2h, 2w, f')
    x = layers.Conv2D(config.patch_size**2 * LAST_CHANNELS, 3, padding="same", activation="relu")(x)
    x = depth_to_space(ops.reshape(x, (-1, frames, *x.shape[1:])), config.patch_size)
    x = layers.Conv2D(config.channels, 3, padding="same")(ops.reshape(x, (-1, *x.shape[2:])))
    x = ops.reshape(layers.Activation("tanh", dtype="float32")(x), (-1, frames, *x.shape[1:]))
    return keras.Model(latent, x, name="decoder")
