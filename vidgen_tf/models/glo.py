"""Dense frame generator, and generative latent optimization (GLO): that generator with a learned latent per frame."""

import dataclasses

import keras
from keras import layers

from .base import Config, ConfiguredModel
from .latent_space import normalize_2nd_moment


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class DenseConfig(Config):
    """Sizes of a dense frame generator."""

    latent_dim: int = 100
    hidden_dims: tuple[int, ...] = (256, 512)  # units of the hidden layers
    image_size: int = 64  # height and width of a frame, px
    channels: int = 3
    output_activation: str | None = "tanh"  # None leaves the output unbounded


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class GLOConfig(DenseConfig):
    """Sizes of a dense frame generator and of its table of latents."""

    num_frames: int = dataclasses.field(kw_only=True)  # training frames, each with a latent


def build_generator(config):
    """A multilayer perceptron from a latent to a frame.

    Args:
        config: `DenseConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, image_size, image_size, channels)`, in [-1, 1] where the
        output activation is tanh.
    """
    latent = x = keras.Input((config.latent_dim,), name="latent")
    for units in config.hidden_dims:
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    shape = (config.image_size, config.image_size, config.channels)
    x = layers.Dense(shape[0] * shape[1] * shape[2], config.output_activation, dtype="float32")(x)
    frame = layers.Reshape(shape, dtype="float32")(x)  # (B, H*W*C) -> (B, H, W, C)
    return keras.Model(latent, frame, name="dense_generator")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class GLO(ConfiguredModel):
    """Generative latent optimization (GLO): a dense generator with a learned latent per training frame.

    There is no discriminator and no encoder. Latents are normalised to the hypersphere of radius sqrt(latent_dim), and learned
    by gradient descent like the weights.

    Args:
        num_frames: int, number of training frames.
        config: `DenseConfig`.

    Call arguments:
        index: int tensor `(B,)`, indices of training frames, in [0, num_frames).

    Output shape:
        `(B, image_size, image_size, channels)`, float32 in [-1, 1].

    References:
        Bojanowski, Joulin, Lopez-Paz and Szlam, 2018, "Optimizing the latent space of generative networks".
    """

    def __init__(self, num_frames, config):
        super().__init__(name="glo")
        self.num_frames, self.config = num_frames, config
        self.latents = layers.Embedding(num_frames, config.latent_dim, "random_normal")
        self.generator = build_generator(config)
        self.latents.build(())
        self.build((None,))

    def call(self, index):
        return self.generator(normalize_2nd_moment(self.latents(index)))
