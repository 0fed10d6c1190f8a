"""Variational autoencoder (VAE) of frames: a convolutional encoder and decoder, trained on the evidence lower bound."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..video import to_float, to_uint8
from .base import Config, ConfiguredModel, check_float_frames, check_multiple

BATCH_SIZE = 500  # frames that are encoded or decoded at once


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VAEConfig(Config):
    """Sizes of a variational autoencoder of frames; each entry of `filters` halves the image size.

    Raises:
        CourseError: a size that is no whole number or below 1, no filters, or an image size that can't be halved that often.
    """

    image_size: int = 32  # height and width of a frame, px
    channels: int = 3
    latent_dim: int = 32
    filters: tuple[int, ...] = (32, 64, 128)
    beta: float = 0.1  # weight of the KL term

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})
        check_multiple(self.image_size, 2 ** len(self.filters), f"{len(self.filters)} layers halve it")

    @property
    def feature_map_size(self):
        """int, height and width of the encoder's last feature map."""
        return self.image_size // 2 ** len(self.filters)


def build_encoder(config):
    """Strided convolutions from a frame to its approximate posterior q(z given x), a diagonal Gaussian.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, image_size, image_size, channels)` in [-1, 1] to z_mean and z_log_var, float32
        `(B, latent_dim)` each.
    """
    frame = x = keras.Input((config.image_size, config.image_size, config.channels), name="frame")
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, H/2, W/2, f)
    x = layers.Flatten()(x)
    names = "z_mean", "z_log_var"
    z_mean, z_log_var = (layers.Dense(config.latent_dim, name=name, dtype="float32")(x) for name in names)
    return keras.Model(frame, [z_mean, z_log_var], name="encoder")


def build_decoder(config):
    """Transposed convolutions from a latent to a frame, the mirror image of the encoder.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, image_size, image_size, channels)` in [-1, 1].
    """
    latent = keras.Input((config.latent_dim,), name="latent")
    *others, last = config.filters
    side = config.feature_map_size
    x = layers.Dense(side**2 * last, use_bias=False)(latent)
    x = layers.Reshape((side, side, last))(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in reversed(others):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, f)
    x = layers.Conv2DTranspose(config.channels, 4, strides=2, padding="same")(x)
    return keras.Model(latent, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def reparameterise(z_mean, z_log_var, seed):
    """A sample of a Gaussian, differentiable in its mean and variance: the reparameterisation trick.

    Args:
        z_mean: float `(..., D)`.
        z_log_var: float of the same shape, logarithm of the variance.
        seed: `keras.random.SeedGenerator` or int.

    Returns:
        float of the same shape.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes".
    """
    noise = keras.random.normal(ops.shape(z_mean), dtype=z_mean.dtype, seed=seed)
    return z_mean + ops.exp(z_log_var / 2) * noise


def kl_to_standard_normal(z_mean, z_log_var):
    """Kullback-Leibler divergence of Gaussians from the standard normal one, for each latent dimension.

    Args:
        z_mean: float `(..., D)`.
        z_log_var: float of the same shape, logarithm of the variance.

    Returns:
        float of the same shape, at least 0, in nats.
    """
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1 - z_log_var)


def squared_error(frames, reconstruction):
    """Squared error of each frame, summed over pixels and channels.

    Args:
        frames: float `(B, H, W, C)`.
        reconstruction: float of the same shape.

    Returns:
        float `(B,)`, at least 0.
    """
    return ops.sum(ops.square(frames - reconstruction), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VAE(ConfiguredModel):
    """A beta-VAE of frames: encoder, decoder, and a standard normal prior over latents.

    Args:
        config: `VAEConfig`.
        seed: int, of the samples of the approximate posterior in training.

    Call arguments:
        frames: float `(B, image_size, image_size, channels)` in [-1, 1].
        training: bool; True decodes a sample of the approximate posterior, False its mean.

    Output shape:
        That of the frames, float32 in [-1, 1]: their reconstructions. The KL term is in `losses`.

    Raises:
        CourseError: pixels that are no floats, see `check_float_frames`.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes"; Higgins et al., 2017, "beta-VAE: learning basic visual
        concepts with a constrained variational framework".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="vae")
        self.config, self.seed = config, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.encoder, self.decoder = build_encoder(config), build_decoder(config)
        self.trackers = [keras.metrics.Mean(name=name) for name in ("reconstruction_loss", "kl_loss")]
        self.build(self.encoder.input_shape)

    def call(self, frames, training=False):
        """Reconstructions of frames."""
        check_float_frames(frames)
        z_mean, z_log_var = self.encoder(frames, training=training)
        self.add_loss(ops.mean(ops.sum(kl_to_standard_normal(z_mean, z_log_var), axis=1)))
        z = reparameterise(z_mean, z_log_var, self.seed_generator) if training else z_mean
        return self.decoder(z, training=training)

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """The negative evidence lower bound, with the KL term weighted by beta.

        Args:
            x: float `(B, H, W, C)`, the frames.
            y: unused: a frame is its own target.
            y_pred: float of the same shape, the reconstructions.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar: squared error summed over pixels plus beta times the KL divergence, mean over the batch.
        """
        reconstruction, kl = ops.mean(squared_error(x, y_pred)), sum(self.losses)
        for tracker, value in zip(self.trackers, (reconstruction, kl), strict=True):
            tracker.update_state(value)
        return reconstruction + self.config.beta * kl


def encode(model, frames):
    """The approximate posteriors of frames; for a clip, their means are its latent trajectory.

    Args:
        model: trained `VAE`.
        frames: uint8 `(..., H, W, C)`, clips `(N, T, H, W, C)` for example.

    Returns:
        z_mean, z_log_var: float32 arrays `(..., latent_dim)`.

    Raises:
        CourseError: frames that are no uint8.
    """
    if frames.dtype != np.uint8:
        raise CourseError(f"encode takes uint8 pixels, got {frames.dtype}: convert them with video.to_uint8.")
    flat = frames.reshape(-1, *frames.shape[-3:])
    parts = [model.encoder(to_float(flat[i : i + BATCH_SIZE])) for i in range(0, len(flat), BATCH_SIZE)]
    return [np.concatenate(part).reshape(*frames.shape[:-3], -1) for part in zip(*parts)]


def decode(model, latents):
    """The frames of latents.

    Args:
        model: trained `VAE`.
        latents: float `(..., latent_dim)`, latent trajectories `(N, T, latent_dim)` for example.

    Returns:
        uint8 array `(..., H, W, C)`.
    """
    flat = np.reshape(latents, (-1, latents.shape[-1]))
    parts = [to_uint8(model.decoder(flat[i : i + BATCH_SIZE])) for i in range(0, len(flat), BATCH_SIZE)]
    frames = np.concatenate(parts)
    return frames.reshape(*latents.shape[:-1], *frames.shape[1:])
