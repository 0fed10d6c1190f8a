"""Deep convolutional GAN (DCGAN): transposed convolutions from a latent to an image, strided ones from an image to a logit."""

import dataclasses

import keras
from keras import layers

from ..errors import check_whole
from .base import Config
from .gan import GAN, rpgan_losses


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class DCGANConfig(Config):
    """Sizes of a DCGAN; each entry of `filters` doubles the image size, from 4.

    Raises:
        CourseError: a size that is no whole number or below 1, or no filters.
    """

    latent_dim: int = 64
    filters: tuple[int, ...] = (128, 64, 32)  # channels at 4x4, 8x8, ...; reversed in the discriminator
    channels: int = 3
    kernel_size: int = 4  # of transposed convolutions; their stride is 2
    use_resize_conv: bool = True  # the last layer resizes, then convolves; False: a transposed convolution

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})

    @property
    def image_size(self):
        """int, height and width of an image, px."""
        return 4 * 2 ** len(self.filters)


def build_dcgan_generator(config):
    """Transposed convolutions from a latent to an image.

    Args:
        config: `DCGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, image_size, image_size, channels)` in [-1, 1].

    References:
        Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep convolutional generative adversarial
        networks"; Odena, Dumoulin and Olah, 2016, "Deconvolution and checkerboard artifacts" (resize-convolution).
    """
    latent = keras.Input((config.latent_dim,), name="latent")
    first, *others = config.filters
    x = layers.Dense(4 * 4 * first, use_bias=False)(latent)
    x = layers.Reshape((4, 4, first))(x)  # (B, 16 * C) -> (B, 4, 4, C)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in others:
        x = layers.Conv2DTranspose(filters, config.kernel_size, 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, filters)
    if config.use_resize_conv:
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.Conv2D(config.channels, 3, padding="same")(x)
    else:
        x = layers.Conv2DTranspose(config.channels, config.kernel_size, 2, padding="same")(x)
    frame = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latent, frame, name="generator")


def build_dcgan_discriminator(config):
    """Strided convolutions from an image to one logit: high for real images, low for generated ones.

    There is no batch normalisation: the gradient penalties need a logit that depends on its own image alone.

    Args:
        config: `DCGANConfig`.

    Returns:
        `keras.Model` from float32 `(B, image_size, image_size, channels)` in [-1, 1] to float32 logits `(B, 1)`.
    """
    frame = x = keras.Input((config.image_size, config.image_size, config.channels), name="frame")
    for filters in reversed(config.filters):
        x = layers.Conv2D(filters, 4, strides=2, padding="same")(x)  # (B, H, W, C) -> (B, H/2, W/2, filters)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    logit = layers.Dense(1, dtype="float32")(layers.Flatten()(x))
    return keras.Model(frame, logit, name="discriminator")


def build_dcgan(config, learning_rate=5e-4, seed=0):
    """A convolutional GAN, compiled with relativistic pairing losses and the R1 and R2 penalties.

    Args:
        config: `DCGANConfig`.
        learning_rate: float or `keras.optimizers.schedules.LearningRateSchedule`, of both Adam optimizers.
        seed: int, of the latents.

    Returns:
        compiled `GAN`.
    """
    generator, discriminator = build_dcgan_generator(config), build_dcgan_discriminator(config)
    gan = GAN(generator, discriminator, rpgan_losses, gamma=1.0, penalty_stride=4, seed=seed)
    optimizers = [keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99) for _ in range(2)]
    gan.compile(*optimizers, jit_compile=False)
    return gan
