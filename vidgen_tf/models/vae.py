"""Variational autoencoder of frames: a frame as a few latent numbers and back, trained on the evidence lower bound."""

import dataclasses
import keras
import numpy as np
from keras import layers, ops
from ..video import to_float, to_uint8


@dataclasses.dataclass(is_static=True)
class VAEConfig:
    """Sizes of a variational autoencoder of frames, halved in size by each entry of `filters`."""

    frame_size: int = 32  # height and width, px
    channels: int = 3
    latent_dim: int = 32  # numbers that stand for one frame
    filters: tuple[int, ...] = (32, 64, 128)
    beta: float = 0.1  # weight of the KL divergence

    @property
    def grid(self):
        """Height and width of the encoder's last feature map."""
        return self.frame_size // 2 ** len(self.filters)


def build_encoder(config):
    """Strided convolutions from a frame to the Gaussian of latents that it could have come from.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, frame_size, frame_size, channels)` in [-1, 1] to z_mean and z_log_var, each
        `(B, latent_dim)`.
    """
    frame = x = keras.Input((config.frame_size, config.frame_size, config.channels), name="frame")
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, H/2, W/2, f)
    x = layers.Flatten()(x)
    z_mean, z_log_var = (layers.Dense(config.latent_dim, name=name)(x) for name in ("z_mean", "z_log_var"))
    return keras.Model(frame, [z_mean, z_log_var], name="encoder")


def build_decoder(config):
    """Transposed convolutions from a latent to a frame: the encoder's mirror image.

    Args:
        config: `VAEConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, channels)` in [-1, 1].
    """
    latent = keras.Input((config.latent_dim,), name="latent")
    *others, last = config.filters
    x = layers.Dense(config.grid**2 * last, use_bias=False)(latent)
    x = layers.Reshape((config.grid, config.grid, last))(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in reversed(others):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, f)
    frame = layers.Conv2DTranspose(config.channels, 4, strides=2, padding="same", activation="tanh")(x)
    return keras.Model(latent, frame, name="decoder")


def reparameterise(z_mean, z_log_var, seed):
    """A draw from a Gaussian, written so that gradients reach its mean and variance.

    Args:
        z_mean: float `(B, D)`.
        z_log_var: float `(B, D)`, logarithm of the variance.
        seed: `keras.random.SeedGenerator` or int.

    Returns:
        float `(B, D)`.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes".
    """
    return z_mean + ops.exp(z_log_var / 2) * keras.random.normal(ops.shape(z_mean), seed=seed)


def kl_to_standard_normal(z_mean, z_log_var):
    """Kullback-Leibler divergence of Gaussians from the standard one, for each latent dimension.

    Args:
        z_mean: float `(B, D)`.
        z_log_var: float `(B, D)`, logarithm of the variance.

    Returns:
        float `(B, D)`, at least 0, in nats; 0 where the mean is 0 and the variance 1.
    """
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1 - z_log_var)


def squared_error(frames, rebuilt):
    """Squared error of each frame, summed over its pixels and channels.

    Args:
        frames: float `(B, H, W, C)`.
        rebuilt: float of the same shape.

    Returns:
        float `(B,)`.
    """
    return ops.sum(ops.square(frames - rebuilt), axis=(1, 2, 3))


class VAE(keras.Model):
    """An encoder and a decoder that meet in a latent space of Gaussians.

    Args:
        config: `VAEConfig`.
        seed: of the draws in training.

    Call arguments:
        frames: float `(B, H, W, C)` in [-1, 1].
        training: whether a latent is drawn; else the frame is rebuilt from the mean.

    Output shape:
        That of the frames.

    References:
        Kingma and Welling, 2014, "Auto-encoding variational Bayes"; Higgins and others, 2017, "beta-VAE".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="vae")
        self.config, self.seed_generator = config, keras.random.SeedGenerator(seed)
        self.encoder, self.decoder = build_encoder(config), build_decoder(config)
        names = ("reconstruction_loss", "kl_loss")
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    @property
    def metrics(self):
        """The running means of both terms of the loss; Keras resets them at each entry of the history."""
        return self.trackers

    def call(self, frames, training=False):
        """Frames, rebuilt."""
        z_mean, z_log_var = self.encoder(frames, training=training)
        if not training:
            return self.decoder(z_mean)
        self.kl = ops.mean(ops.sum(kl_to_standard_normal(z_mean, z_log_var), axis=1))
        return self.decoder(reparameterise(z_mean, z_log_var, self.seed_generator), training=True)

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error summed over pixels, plus beta times the divergence summed over latent dimensions.

        Args:
            x: float `(B, H, W, C)`, the frames.
            y: unused: a frame is its own target.
            y_pred: float of the same shape, the rebuilt frames.
            sample_weight: unused.
            training: unused.

        Returns:
            scalar.
        """
        reconstruction = ops.mean(squared_error(x, y_pred))
        for tracker, value in zip(self.trackers, (reconstruction, self.kl)):
            tracker.update_state(value)
        return reconstruction + self.config.beta * self.kl


def encode(model, clips):
    """The mean latents of clips: each frame as a few numbers, each clip as a path.

    Args:
        model: trained `VAE`.
        clips: uint8 `(N, T, H, W, C)`.

    Returns:
        float32 z_mean and z_log_var, each `(N, T, latent_dim)`.
    """
    frames = clips.reshape(-1, *clips.shape[2:])
    parts = [model.encoder(to_float(frames[i : i + 500])) for i in range(0, len(frames), 500)]
    return [np.concatenate(part).reshape(*clips.shape[:2], -1) for part in zip(*parts)]


def decode(model, latents):
    """The clips that paths of latents stand for.

    Args:
        model: trained `VAE`.
        latents: float `(N, T, latent_dim)`.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    flat = np.reshape(latents, (-1, latents.shape[-1]))
    frames = np.concatenate([to_uint8(model.decoder(flat[i : i + 500])) for i in range(0, len(flat), 500)])
    return frames.reshape(*latents.shape[:2], *frames.shape[1:])
