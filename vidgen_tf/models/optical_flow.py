"""Optical flow: warping by bilinear gathering, losses of a flow, and a network that estimates it from two frames."""

import dataclasses

import keras
from keras import layers, ops

from ..errors import CourseError, check_whole
from .base import Config, ConfiguredModel, check_float_frames


def warp(frames, flow):
    """Backward warping: each pixel takes its colour from where the flow points, `frames(x + flow(x))`.

    Between pixels the four neighbours are mixed (bilinear interpolation), outside of a frame its border is repeated. The gradient
    reaches both arguments; that of the flow is the slope of the image where the pixel was fetched.

    Args:
        frames: float `(B, H, W, C)`.
        flow: float `(B, H, W, 2)`, (dx, dy) in px, from each pixel of the output to where its colour stands in `frames`.

    Returns:
        float32 `(B, H, W, C)`.

    References:
        Jaderberg, Simonyan, Zisserman and Kavukcuoglu, 2015, "Spatial transformer networks".
    """
    frames, flow = ops.cast(frames, "float32"), ops.cast(flow, "float32")
    height, width, channels = frames.shape[1:]
    row, column = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
    x = ops.clip(column[None, None, :] + flow[..., 0], 0, width - 1)  # (B, H, W)
    y = ops.clip(row[None, :, None] + flow[..., 1], 0, height - 1)
    left = ops.minimum(ops.floor(ops.stop_gradient(x)), width - 2)  # the left column of the four neighbours
    top = ops.minimum(ops.floor(ops.stop_gradient(y)), height - 2)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]  # (B, H, W, 1)
    pixels = ops.reshape(frames, (-1, channels))  # (B, H, W, C) -> (B*H*W, C)
    first = ops.arange(ops.shape(frames)[0], dtype="int32") * (height * width)  # of each frame
    corner = first[:, None, None] + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    neighbours = [ops.take(pixels, corner + place, axis=0) for place in (0, 1, width, width + 1)]
    upper = (1 - right_share) * neighbours[0] + right_share * neighbours[1]
    lower = (1 - right_share) * neighbours[2] + right_share * neighbours[3]
    return (1 - bottom_share) * upper + bottom_share * lower


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Warp(layers.Layer):
    """Backward warping as a layer of a network, see `warp`.

    Args:
        **options: of `keras.layers.Layer`.

    Call arguments:
        frames: float `(B, H, W, C)`.
        flow: float `(B, H, W, 2)`, px.

    Output shape:
        That of the frames.
    """

    def __init__(self, **options):
        super().__init__(**options)

    def call(self, frames, flow):
        """The warped frames."""
        return warp(frames, flow)


def total_variation(flow):
    """How much a flow changes from pixel to pixel: the mean absolute difference of neighbours.

    Args:
        flow: float `(B, H, W, 2)`.

    Returns:
        float scalar.

    References:
        Zach, Pock and Bischof, 2007, "A duality based approach for realtime TV-L1 optical flow".
    """
    down, across = flow[:, 1:] - flow[:, :-1], flow[:, :, 1:] - flow[:, :, :-1]
    return ops.mean(ops.abs(down)) + ops.mean(ops.abs(across))


def photometric_loss(first, second, flow):
    """The mean of a softened absolute difference of the first frame and the second, warped back to it.

    Args:
        first: float `(B, H, W, C)`.
        second: float of the same shape.
        flow: float `(B, H, W, 2)`, from the first frame to the second.

    Returns:
        float scalar.

    References:
        Yu, Harley and Derpanis, 2016, "Back to basics: unsupervised learning of optical flow via brightness constancy and motion
        smoothness".
    """
    difference = warp(second, flow) - ops.cast(first, "float32")
    return ops.mean(ops.sqrt(ops.square(difference) + 1e-4))


def contract(x, filters, first_stride=1):
    """The left side of a U-Net: a convolution for each entry of `filters`, which halves the size.

    Args:
        x: symbolic tensor `(B, H, W, C)`.
        filters: tuple of int, channels at each size.
        first_stride: int; 1 for a first convolution that keeps the size, 2 for one that halves it as the others do.

    Returns:
        list of the features at each size, the largest first.

    References:
        Ronneberger, Fischer and Brox, 2015, "U-Net: convolutional networks for biomedical image segmentation".
    """
    features = []
    for level, count in enumerate(filters):
        x = _convolution(x, count, 2 if level else first_stride)  # (B, H, W, C) -> (B, H/2, W/2, count)
        x = layers.LeakyReLU(negative_slope=0.1)(x)
        features.append(x)
    return features


def expand(features, code=None):
    """The right side of a U-Net: doubles the size, and puts in what the left side had at that size.

    Args:
        features: list that `contract` returned.
        code: symbolic tensor `(B, D)` that scales and shifts the channels at each size (FiLM), or None.

    Returns:
        symbolic tensor of the largest features' shape.

    References:
        Perez, Strub, de Vries, Dumoulin and Courville, 2018, "FiLM: visual reasoning with a general conditioning layer".
    """
    x = features[-1]
    for skip in [x, *reversed(features[:-1])]:
        if skip is not x:
            x = layers.Concatenate()([layers.UpSampling2D()(x), skip])  # (B, h, w, C) -> (B, 2h, 2w, ...)
        count = skip.shape[-1]
        x = _convolution(x, count)
        if code is not None:
            scale, shift = (layers.Reshape((1, 1, count))(layers.Dense(count)(code)) for _ in range(2))
            x = x * (1 + scale) + shift  # (B, 1, 1, count) broadcast over the image
        x = layers.LeakyReLU(negative_slope=0.1)(x)
    return x


def _convolution(x, filters, stride=1):
    return layers.Conv2D(filters, 3, strides=stride, padding="same", kernel_initializer="he_normal")(x)


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class FlowNetConfig(Config):
    """Sizes of a network that estimates optical flow; the sides of its frames must be multiples of `side_factor`.

    Raises:
        CourseError: a size that is no whole number or below 1, or no filters.
    """

    filters: tuple[int, ...] = (16, 32, 64, 96)  # channels at full, half, ... size
    channels: int = 3

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})

    @property
    def side_factor(self):
        """int, what a frame's sides must be multiples of, px."""
        return 2 ** (len(self.filters) - 1)


def build_flow_network(config, image_size=None):
    """A U-Net from two frames to the optical flow from the first to the second.

    Args:
        config: `FlowNetConfig`.
        image_size: int, height and width, px; None for any.

    Returns:
        `keras.Model` from float32 `(B, H, W, 2 * channels)`, the frames' channels behind each other, to float32 `(B, H, W, 2)`,
        px. H and W are multiples of `config.side_factor`.

    References:
        Dosovitskiy and others, 2015, "FlowNet: learning optical flow with convolutional networks".
    """
    pair = keras.Input((image_size, image_size, 2 * config.channels), name="pair")
    x = expand(contract(pair, config.filters))
    flow = layers.Conv2D(2, 3, padding="same", kernel_initializer="zeros", dtype="float32", name="flow")(x)
    return keras.Model(pair, flow, name="flow_network")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FlowNet(ConfiguredModel):
    """Optical flow between two frames, learned from exact flows, or from the frames alone.

    `fit` with flows trains on these; without, on the photometric loss.

    Args:
        config: `FlowNetConfig`.
        smoothness_weight: float, weight of the total variation of the flow beside the photometric loss; it has no part in
            training on exact flows.

    Call arguments:
        pairs: float `(B, 2, H, W, C)` in [-1, 1].

    Output shape:
        `(B, H, W, 2)`: from the first frame to the second, (dx, dy) in px.

    Raises:
        CourseError: pixels that are no floats, or sides that the network can't halve as often as it does.

    References:
        Dosovitskiy and others, 2015, "FlowNet: learning optical flow with convolutional networks"; Yu, Harley and Derpanis, 2016,
        "Back to basics: unsupervised learning of optical flow via brightness constancy and motion smoothness".
    """

    def __init__(self, config, smoothness_weight=0.02):
        super().__init__(name="flow_net")
        self.config, self.smoothness_weight = config, smoothness_weight
        self.network = build_flow_network(config)
        self.build((None, 2, config.side_factor, config.side_factor, config.channels))

    def call(self, pairs):
        """The flow of pairs of frames."""
        check_float_frames(pairs)
        factor, sides = self.config.side_factor, pairs.shape[2:4]
        if any(side is not None and side % factor for side in sides):
            sides = "x".join(map(str, sides))
            raise CourseError(f"Frame sides must be multiples of {factor}, got {sides}: pad the frames.")
        stacked = ops.concatenate([pairs[:, 0], pairs[:, 1]], axis=-1)  # (B, 2, H, W, C) -> (B, H, W, 2C)
        return self.network(stacked)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The endpoint error where there are exact flows; else the photometric loss and the smoothness.

        Args:
            x: float `(B, 2, H, W, C)`, pairs of frames.
            y: float `(B, H, W, 2)`, exact flows, or None.
            y_pred: float `(B, H, W, 2)`, estimated ones.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar.
        """
        if y is not None:
            squared = ops.sum(ops.square(ops.cast(y, "float32") - y_pred), axis=-1)  # (B, H, W)
            return ops.mean(ops.sqrt(squared + 1e-6))
        smoothness = self.smoothness_weight * total_variation(y_pred)
        return photometric_loss(x[:, 0], x[:, 1], y_pred) + smoothness
