"""Deep convolutional GAN (DCGAN): transposed convolutions from a latent to a picture, strided ones from a picture to a logit."""

import dataclasses
import keras
from keras import layers
from .gan import GAN, rpgan_losses


@dataclasses.dataclass(is_static=True)
class DCGANConfig:
    """Sizes of a convolutional pair, whose pictures double in size with each entry of `filters`."""

    latent_dim: int = 64  # numbers that stand for one picture
    filters: tuple[int, ...] = (128, 64, 32)  # channels at 4x4, 8x8, ...; the discriminator mirrors them
    channels: int = 3
    kernel_size: int = 4  # of transposed convolutions; their stride is 2
    smooth_output: bool = True  # resize and convolve; False: one more transposed convolution

    @property
    def frame_size(self):
        """Height and width of a picture, px."""
        return 4 * 2 ** len(self.filters)


def build_dcgan_generator(config):
    """Transposed convolutions from a latent to a picture.

    Args:
        config: `DCGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, channels)` in [-1, 1].

    References:
        Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep convolutional generative adversarial
        networks"; Odena, Dumoulin and Olah, 2016, "Deconvolution and checkerboard artifacts" (the smooth output).
    """
    latent = keras.Input((config.latent_dim,), name="latent")
    first, *others = config.filters
    x = layers.Dense(4 * 4 * first, use_bias=False)(latent)
    x = layers.Reshape((4, 4, first))(x)  # (B, 16 * C) -> (B, 4, 4, C)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in others:
        x = layers.Conv2DTranspose(filters, config.kernel_size, 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, filters)
    if config.smooth_output:
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        frame = layers.Conv2D(config.channels, 3, padding="same", activation="tanh")(x)
    else:
        x = layers.Conv2DTranspose(config.channels, config.kernel_size, 2, padding="same")(x)
        frame = layers.Activation("tanh")(x)
    return keras.Model(latent, frame, name="generator")


def build_dcgan_discriminator(config):
    """Strided convolutions from a picture to one number: high for "real", low for "made".

    It has no batch normalisation: the gradient penalty asks how the rating of one picture depends on that picture alone.

    Args:
        config: `DCGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, frame_size, frame_size, channels)` to logits `(B, 1)`.
    """
    frame = x = keras.Input((config.frame_size, config.frame_size, config.channels), name="frame")
    for filters in reversed(config.filters):
        x = layers.Conv2D(filters, 4, strides=2, padding="same")(x)  # (B, H, W, C) -> (B, H/2, W/2, filters)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    logit = layers.Dense(1)(layers.Flatten()(x))
    return keras.Model(frame, logit, name="discriminator")


def build_dcgan(config, optimizer_rate=5e-4, seed=0):
    """A convolutional pair, ready to train with the relativistic losses of chapter 03.

    Args:
        config: `DCGANConfig`.
        optimizer_rate: step size of both optimizers: a float or a Keras schedule.
        seed: of the latents drawn in training.

    Returns:
        compiled `GAN`.
    """
    generator, discriminator = build_dcgan_generator(config), build_dcgan_discriminator(config)
    gan = GAN(generator, discriminator, rpgan_losses, gamma=1.0, penalty_every=4, seed=seed)
    optimizers = [keras.optimizers.Adam(optimizer_rate, beta_1=0.0, beta_2=0.99) for _ in range(2)]
    gan.compile(*optimizers, jit_compile=False)
    return gan
