"""Sketch colorization: a line drawing and a rough layout of colours become a picture."""

import dataclasses

import keras
from keras import layers, ops

from .animator import pixel_shuffle
from .base import Config, ConfiguredModel, check_multiple
from .optical_flow import contract, expand


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class ColorizerConfig(Config):
    """Sizes of a network that colours sketches.

    Raises:
        CourseError: a size that is no whole number or below 1, or sizes that don't fit each other.
    """

    image_size: int = 64  # height and width of sketch and picture, px
    channels: int = 3
    layout_size: int = 8  # places of the colour layout, on a side
    filters: tuple[int, ...] = (48, 64, 96)  # of the U-Net, at half, a quarter, ... of the image size
    layout_noise: float = 0.08  # deviation of the noise added to colours in training, of which they have -1 to 1
    edge_weight: float = 1.0  # of the error of the differences of neighbouring pixels, beside that of the pixels

    def __post_init__(self):
        super().__post_init__()
        check_multiple(self.image_size, 2 ** len(self.filters), f"{len(self.filters)} layers halve it")
        check_multiple(self.image_size, 2 * self.layout_size, "the colour layout is enlarged to half of it")


def build_colorizer(config):
    """A U-Net at half the size: 2x2 pixels of the sketch are folded into channels.

    Args:
        config: `ColorizerConfig`.

    Returns:
        `keras.Model` from [float `(B, H, W, 1)`, 1 on a line and 0 beside it; float `(B, layout_size, layout_size, C)`, the mean
        colours of the places in [-1, 1]] to float32 `(B, H, W, C)` in [-1, 1].

    References:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional adversarial networks" (a U-Net from
        drawings to pictures); Zhang, Li, Wong, Ji and Liu, 2018, "Two-stage sketch colorization" (rough colours, then a picture).
    """
    half, channels = config.image_size // 2, config.channels
    sketch = keras.Input((config.image_size, config.image_size, 1), name="sketch")
    layout = keras.Input((config.layout_size, config.layout_size, channels), name="layout")
    folded = ops.reshape(sketch, (-1, half, 2, half, 2))
    folded = ops.transpose(folded, (0, 1, 3, 2, 4))
    folded = ops.reshape(folded, (-1, half, half, 4))  # (B, H, W, 1) -> (B, H/2, W/2, 4)
    colors = layers.UpSampling2D(half // config.layout_size, interpolation="bilinear")(layout)
    x = expand(contract(layers.Concatenate()([folded, colors]), config.filters))
    options = {"activation": "leaky_relu", "kernel_initializer": "he_normal"}
    x = layers.Conv2D(config.filters[0], 3, padding="same", **options)(x)
    x = layers.Conv2D(4 * channels, 3, padding="same", dtype="float32")(x)
    return keras.Model([sketch, layout], ops.tanh(pixel_shuffle(x, channels)), name="colorizer")


def difference_loss(pictures, targets):
    """The mean absolute error of the differences between neighbouring pixels.

    Blurred edges cost more than shifted colours.

    Args:
        pictures, targets: float `(B, H, W, C)`.

    Returns:
        float scalar.

    References:
        Mathieu, Couprie and LeCun, 2016, "Deep multi-scale video prediction beyond mean square error" (gradient difference loss).
    """
    error = pictures - targets
    down, across = error[:, 1:] - error[:, :-1], error[:, :, 1:] - error[:, :, :-1]
    return ops.mean(ops.abs(down)) + ops.mean(ops.abs(across))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Colorizer(ConfiguredModel):
    """Trains a network that colours sketches. Layouts get noise in training, since at use they come from a diffusion model.

    Args:
        config: `ColorizerConfig`.
        seed: int, of the noise.

    Call arguments:
        inputs: list of sketches `(B, H, W, 1)` and layouts `(B, h, w, C)`, see `build_colorizer`.
        training: whether layouts get noise.

    Output shape:
        `(B, H, W, C)`.

    References:
        Ho, Saharia, Chan, Fleet, Norouzi and Salimans, 2022, "Cascaded diffusion models for high fidelity image generation"
        (conditioning augmentation).
    """

    def __init__(self, config, seed=0):
        super().__init__(name="sketch_colorizer")
        self.config, self.seed = config, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.network = build_colorizer(config)
        self.build([tensor.shape for tensor in self.network.inputs])

    def call(self, inputs, training=False):
        """The pictures."""
        sketch, layout = inputs
        if training:
            layout = layout + self.config.layout_noise * keras.random.normal(
                ops.shape(layout), dtype=layout.dtype, seed=self.seed_generator
            )
        return self.network([sketch, layout], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean absolute error of the pixels, and of the differences between neighbours.

        Args:
            x: unused.
            y: float `(B, H, W, C)` in [-1, 1], the pictures that were sketched.
            y_pred: float of the same shape.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar.
        """
        y = ops.cast(y, "float32")
        return ops.mean(ops.abs(y_pred - y)) + self.config.edge_weight * difference_loss(y_pred, y)
