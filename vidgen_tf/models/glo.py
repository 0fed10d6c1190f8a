"""Dense frame generator, and generative latent optimisation (GLO): the same network with a learned latent for each training frame."""

import dataclasses
import keras
from keras import layers
from .latent_space import normalize_2nd_moment


@dataclasses.dataclass(is_static=True)
class DenseConfig:
    """Sizes of a dense frame generator."""

    latent_dim: int = 100  # numbers that stand for one frame
    hidden: tuple[int, ...] = (256, 512)  # units of the hidden layers
    frame_size: int = 64  # height and width, px
    channels: int = 3
    output_activation: str | None = "tanh"  # None: the first tutorials' unbounded output


def build_generator(config):
    """Dense layers from a latent to a frame.

    Args:
        config: `DenseConfig`.

    Returns:
        `keras.Model` from float32 `(B, latent_dim)` to float32 `(B, frame_size, frame_size, channels)`, in [-1, 1] where the
        output activation is tanh.
    """
    latent = x = keras.Input((config.latent_dim,), name="latent")
    for units in config.hidden:
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    shape = (config.frame_size, config.frame_size, config.channels)
    x = layers.Dense(shape[0] * shape[1] * shape[2], activation=config.output_activation)(x)
    frame = layers.Reshape(shape)(x)  # (B, H*W*C) -> (B, H, W, C)
    return keras.Model(latent, frame, name="dense_generator")


class GLO(keras.Model):
    """A dense generator and a learned latent for each training frame, fitted together drop_attribute a critic.

    Args:
        num_frames: training frames.
        config: `DenseConfig`.

    Call arguments:
        index: int tensor `(B,)`, which training frames.

    Output shape:
        `(B, frame_size, frame_size, channels)`, float32 in [-1, 1].

    References:
        Bojanowski, Joulin, Lopez-Paz and Szlam, 2018, "Optimizing the latent space of generative networks".
    """

    def __init__(self, num_frames, config):
        super().__init__(name="latent_frames")
        self.num_frames, self.config = num_frames, config
        self.latents = layers.Embedding(num_frames, config.latent_dim, "random_normal")
        self.generator = build_generator(config)
        self.latents.build(())
        self.built = True

    def call(self, index):
        return self.generator(normalize_2nd_moment(self.latents(index)))
