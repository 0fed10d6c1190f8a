"""Style transfer for video: one network for any number of styles, that remembers its last output where that is still visible."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError
from .base import Config, ConfiguredModel, check_float_frames
from .optical_flow import warp
from .style import (
    build_feature_extractor,
    build_texture_network,
    content_loss,
    lightness_loss,
    moments,
    style_features,
    style_grams,
    style_loss,
    temporal_loss,
)

SIDE_FACTOR = 4  # frame sides must be multiples of it: the network halves them twice
CONTENT_LEVEL = 4  # of the maps of `style_features`: features at quarter size
LOSSES = ("style_loss", "content_loss", "temporal_loss")  # that a training reports
NOISE_PERIOD = 251  # px after which the noise that strokes start from repeats


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class StyleConfig(Config):
    """Sizes of a network that draws frames in a style.

    Raises:
        CourseError: a size that is no whole number or below 1, or a share of memory outside of 0..1.
    """

    filters: tuple[int, int] = (24, 64)  # channels at half and at quarter size
    num_blocks: int = 3  # residual blocks at quarter size
    style_dim: int = 32  # numbers of a style code
    moment_dim: int = 428  # numbers that describe a style: means and standard deviations of features
    memory: float = 0.6  # share of the last output where it is visible, in training

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.memory < 1:
            raise CourseError(f"memory is a share from 0 to below 1, got memory={self.memory!r}.")


def style_moments(features):
    """What the style network reads of a style: means and standard deviations of colours and of features.

    Args:
        features: list of float `(B, h, w, C)`, see `style_features`, of pictures in the style.

    Returns:
        float32 `(B, moment_dim)`.

    References:
        Huang and Belongie, 2017, "Arbitrary style transfer in real-time with adaptive instance normalization".
    """
    statistics = [ops.concatenate(moments(x), axis=-1)[:, 0, 0] for x in features]  # (B, h, w, C) -> (B, 2 C)
    return ops.concatenate(statistics, axis=-1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ReflectionConv2D(layers.Conv2D):
    """A convolution whose borders are mirrored: with zeros around it, a picture gets a frame.

    Args:
        filters: int, channels of the output.
        kernel_size: odd int.
        **options: of `keras.layers.Conv2D`.

    Call arguments:
        x: float `(B, H, W, C)`.

    Output shape:
        `(B, H / strides, W / strides, filters)`.
    """

    def call(self, x):
        """The convolved features."""
        edge = self.kernel_size[0] // 2
        return super().call(ops.pad(x, [[0, 0], [edge, edge], [edge, edge], [0, 0]], mode="reflect"))

    def compute_output_shape(self, input_shape):
        """The shape of the convolved features.

        Args:
            input_shape: tuple, `(B, H, W, C)`.

        Returns:
            tuple, `(B, H / strides, W / strides, filters)`.
        """
        sides = [None if side is None else -(-side // step) for side, step in zip(input_shape[1:3], self.strides)]
        return (input_shape[0], *sides, self.filters)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ConditionalInstanceNorm(layers.Layer):
    """Instance normalisation, with scales and shifts that a style code decides.

    Args:
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, H, W, C)`.
        code: float `(B, D)`, of the style.

    Output shape:
        That of x.

    References:
        Dumoulin, Shlens and Kudlur, 2017, "A learned representation for artistic style".
    """

    def build(self, x_shape, code_shape):
        """Makes the map from a code to scales and shifts.

        Args:
            x_shape: shape of x.
            code_shape: shape of the code.
        """
        self.modulation = layers.Dense(2 * x_shape[-1], dtype=self.dtype_policy, name="modulation")
        self.modulation.build(code_shape)

    def call(self, x, code):
        """The normalised features."""
        mean, std = moments(x)
        modulation = ops.cast(self.modulation(code), "float32")[:, None, None]  # (B, 2 C) -> (B, 1, 1, 2 C)
        scale, shift = ops.split(modulation, 2, axis=-1)
        return ops.cast((ops.cast(x, "float32") - mean) / std * (1 + scale) + shift, self.compute_dtype)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Noise(layers.Layer):
    """A channel of fixed noise: what strokes can start from where a frame is plain.

    Args:
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, H, W, C)`.

    Output shape:
        `(B, H, W, 1)`, the same noise for each frame.

    References:
        Ulyanov, Lebedev, Vedaldi and Lempitsky, 2016, "Texture networks: feed-forward synthesis of textures and stylized images".
    """

    def call(self, x):
        """The noise."""
        table = np.random.Generator(np.random.PCG64(15)).uniform(-1, 1, (NOISE_PERIOD, NOISE_PERIOD, 1)).astype(np.float32)
        rows, columns = (ops.arange(side, dtype="int32") % NOISE_PERIOD for side in ops.shape(x)[1:3])
        noise = ops.take(ops.take(ops.convert_to_tensor(table), rows, axis=0), columns, axis=1)  # (H, W, 1)
        return ops.cast(noise[None] + ops.zeros_like(x[..., :1], "float32"), self.compute_dtype)


def build_style_network(config, image_size=None):
    """A convolutional network from a frame, its last output and a style to the frame in that style.

    Args:
        config: `StyleConfig`.
        image_size: int, height and width, px; None for any.

    Returns:
        `keras.Model` from a dict of float32 to float32 `(B, H, W, 3)` in [-1, 1]; H and W are multiples of 4:
        "frame" `(B, H, W, 3)` in [-1, 1]; "previous" `(B, H, W, 3)`, the last output, warped to this frame; "mask"
        `(B, H, W, 1)`, 1 where that is visible, zeros to draw anew; "moments" `(B, moment_dim)`, see `style_moments`.

    References:
        Johnson, Alahi and Fei-Fei, 2016, "Perceptual losses for real-time style transfer and super-resolution"; Dumoulin, Shlens
        and Kudlur, 2017, "A learned representation for artistic style"; Ghiasi, Lee, Kudlur, Dumoulin and Shlens, 2017,
        "Exploring the structure of a real-time, arbitrary neural artistic stylization network".
    """
    size = (image_size, image_size)
    shapes = {"frame": (*size, 3), "previous": (*size, 3), "mask": (*size, 1)}
    shapes["moments"] = (config.moment_dim,)
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    code = layers.LayerNormalization(center=False, scale=False)(inputs["moments"])
    code = layers.Dense(2 * config.style_dim, activation="relu")(code)
    code = layers.Dense(config.style_dim, name="style_code")(code)
    visible = layers.Multiply()([inputs["previous"], inputs["mask"]])
    noise = Noise()(inputs["frame"])
    given = layers.Concatenate()([inputs["frame"], visible, inputs["mask"], noise])  # (B, H, W, 8)
    half = _convolution(given, code, config.filters[0], 5, strides=2)  # (B, H/2, W/2, filters[0])
    x = _convolution(half, code, config.filters[1], 3, strides=2)  # (B, H/4, W/4, filters[1])
    for _ in range(config.num_blocks):
        inner = _convolution(x, code, config.filters[1], 3)
        x = layers.Add()([x, ConditionalInstanceNorm()(ReflectionConv2D(config.filters[1], 3)(inner), code)])
    x = layers.Concatenate()([layers.UpSampling2D()(x), half])
    x = _convolution(x, code, config.filters[0], 3)  # (B, H/2, W/2, filters[0])
    x = layers.Concatenate()([layers.UpSampling2D()(x), given])
    x = _convolution(x, code, 16, 3)  # (B, H, W, 16): the last output reaches it at full size
    stylized = ReflectionConv2D(3, 3, activation="tanh", dtype="float32", name="stylized")(x)
    return keras.Model(inputs, stylized, name="style_network")


def _convolution(x, code, filters, kernel_size, strides=1):
    options = {"strides": strides, "use_bias": False, "kernel_initializer": "he_normal"}
    x = ReflectionConv2D(filters, kernel_size, **options)(x)
    return layers.ReLU()(ConditionalInstanceNorm()(x, code))


def blend_memory(fresh, previous, mask, memory):
    """A frame that keeps a share of the last output where it is visible.

    Args:
        fresh: float `(B, H, W, 3)`, output of the style network.
        previous: float `(B, H, W, 3)`, the last frame, warped to this one.
        mask: float `(B, H, W, 1)`, 1 where that is visible.
        memory: float in [0, 1], the share.

    Returns:
        float32 `(B, H, W, 3)`.
    """
    share = memory * mask
    return share * previous + (1 - share) * fresh


def drawing_losses(extractor, frames, style, drawn):
    """The losses of style, content and lightness of clips, frame by frame.

    Args:
        extractor: `keras.Model` of `build_feature_extractor`.
        frames: float `(B, T, H, W, 3)` in [-1, 1], the content.
        style: dict of "gram_0", "gram_1", ... and "sizes", see `StyleTransfer.compute_loss`.
        drawn: float32 of the frames' shape, the frames in the style.

    Returns:
        three float32 `(T * B,)`.
    """
    num_frames = drawn.shape[1]
    frames = ops.concatenate([ops.cast(frames[:, t], "float32") for t in range(num_frames)])  # (T*B, H, W, 3)
    drawn = ops.concatenate([drawn[:, t] for t in range(num_frames)])
    grams = [ops.tile(style[f"gram_{i}"], (num_frames, 1, 1)) for i in range(len(style) - 1)]
    features = style_features(extractor, drawn)
    loss = style_loss(style_grams(features), grams, ops.tile(style["sizes"], (num_frames, 1)))
    wanted = style_features(extractor, frames)[CONTENT_LEVEL]
    return loss, content_loss(features[CONTENT_LEVEL], wanted), lightness_loss(drawn, frames)


def memory_loss(flows, masks, drawn):
    """The temporal loss between all neighbouring frames of clips.

    Args:
        flows: float `(B, T-1, H, W, 2)`, px, from each frame but the first to the one before.
        masks: float `(B, T-1, H, W, 1)`, 1 where that is visible.
        drawn: float32 `(B, T, H, W, 3)`.

    Returns:
        float32 `(B,)`, the mean over the pairs of frames; 0.0 if there is one frame alone.
    """
    losses = []
    for t in range(1, drawn.shape[1]):
        warped = warp(drawn[:, t - 1], flows[:, t - 1])
        losses.append(temporal_loss(drawn[:, t], warped, ops.cast(masks[:, t - 1], "float32")))
    return sum(losses) / max(len(losses), 1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class StyleTransfer(ConfiguredModel):
    """Trains a style network on consecutive frames, with gradients through its memory.

    Args:
        config: `StyleConfig`.
        texture_config: `TextureConfig`, of the texture network that measures style and content; it isn't trained here, so give it
            trained weights: `model.texture_network.set_weights(...)`.
        style_weight: float, weight of the style loss.
        content_weight: float, weight of the content loss, on the texture network's third features.
        lightness_weight: float, weight of the lightness loss.
        temporal_weight: float, weight of the temporal loss.

    Call arguments:
        x: dict of float: "frames" `(B, T, H, W, 3)` in [-1, 1]; "flows" `(B, T-1, H, W, 2)`, px, from each frame but the first to
            the one before; "masks" `(B, T-1, H, W, 1)`, 1 where that is visible; "moments" `(B, moment_dim)` of the style.

    Output shape:
        `(B, T, H, W, 3)`: the frames in the style.

    References:
        Ruder, Dosovitskiy and Brox, 2016, "Artistic style transfer for videos"; Gupta, Johnson, Alahi and Fei-Fei, 2017,
        "Characterizing and improving stability in neural style transfer"; Gao, Gu, Wang, Sun and Lu, 2018, "ReCoNet: real-time
        coherent video style transfer network".
    """

    def __init__(
        self,
        config,
        texture_config,
        style_weight=4.0,
        content_weight=0.7,
        lightness_weight=1.0,
        temporal_weight=3.0,
    ):
        super().__init__(name="style_transfer")
        self.config, self.texture_config = config, texture_config
        self.style_weight, self.content_weight = style_weight, content_weight
        self.lightness_weight, self.temporal_weight = lightness_weight, temporal_weight
        self.texture_network = build_texture_network(texture_config)
        self.texture_network.trainable = False
        self.extractor = build_feature_extractor(self.texture_network)
        self.network = build_style_network(config)
        self.trackers = {name: keras.metrics.Mean(name) for name in LOSSES}
        side = 4 * SIDE_FACTOR
        shapes = {"frames": (None, 2, side, side, 3), "flows": (None, 1, side, side, 2)}
        self.build(shapes | {"masks": (None, 1, side, side, 1), "moments": (None, config.moment_dim)})

    def call(self, x):
        """The frames in the style, one after the other."""
        frames = x["frames"]
        check_float_frames(frames)
        previous = ops.zeros_like(ops.cast(frames[:, 0], "float32"))
        mask, stylized = previous[..., :1], []
        for t in range(frames.shape[1]):
            if t:
                previous = warp(stylized[-1], x["flows"][:, t - 1])
                mask = ops.cast(x["masks"][:, t - 1], "float32")
            given = {"frame": frames[:, t], "previous": previous, "mask": mask, "moments": x["moments"]}
            stylized.append(blend_memory(self.network(given), previous, mask, self.config.memory))
        return ops.stack(stylized, axis=1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The weighted sum of the losses of style, content, lightness and time.

        Args:
            x: dict, see the class.
            y: dict from "gram_0", "gram_1", ... to the style's Gram matrices `(B, C + 1, C + 1)`, see `style_grams`; and
                "sizes", float `(B, number of Gram matrices)`, see `style_loss`.
            y_pred: float `(B, T, H, W, 3)`, the frames in the style.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar.
        """
        style, content, lightness = drawing_losses(self.extractor, x["frames"], y, y_pred)
        temporal = memory_loss(x["flows"], x["masks"], y_pred)
        for tracker, value in zip(self.trackers.values(), (style, content, temporal), strict=True):
            tracker.update_state(value)
        loss = self.style_weight * ops.mean(style) + self.content_weight * ops.mean(content)
        return loss + self.lightness_weight * ops.mean(lightness) + self.temporal_weight * ops.mean(temporal)
