"""Style and content of a picture as statistics of a network's features: the network, the statistics, and their losses."""

import dataclasses

import keras
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..video import LUMA
from .base import Config
from .optical_flow import warp

CHROMA_WEIGHT = 2.0  # of blue - yellow and red - green beside luma
LIGHTNESS_BLUR = 4  # px: lightness is compared on means of so many


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class TextureConfig(Config):
    """Sizes of a network that tells styles apart.

    Raises:
        CourseError: a size that is no whole number or below 1, or no filters.
    """

    filters: tuple[int, ...] = (16, 32, 64, 96)  # channels at full, half, ... size
    kernel_size: int = 3
    num_classes: int = 9  # eight styles, and frames without one

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters)})


def build_texture_network(config, image_size=None):
    """A convolutional classifier of styles, by its features' means at each size (global average pooling).

    Means over all places tell a texture wherever it is. The features at each size are the outputs of its layers "features_1",
    "features_2" and so on: what `build_feature_extractor` takes out.

    Args:
        config: `TextureConfig`.
        image_size: int, height and width, px; None for any.

    Returns:
        `keras.Model` from float32 `(B, H, W, 3)` in [-1, 1], of any height and width, to a dict of float32: logits
        `(B, num_classes)` under "style", and the means `(B, sum of filters)` under "features".

    References:
        Lin, Chen and Yan, 2014, "Network in network" (global average pooling).
    """
    picture = x = keras.Input((image_size, image_size, 3), name="picture")
    means = []
    for level, filters in enumerate(config.filters, start=1):
        if level > 1:
            x = layers.AveragePooling2D(2)(x)  # (B, H, W, C) -> (B, H/2, W/2, C)
        for number in range(2):
            x = layers.Conv2D(filters, config.kernel_size, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU(name=f"features_{level}" if number else None)(x)
        means.append(layers.GlobalAveragePooling2D()(x))  # (B, H, W, C) -> (B, C)
    features = layers.Concatenate(dtype="float32")(means)
    x = layers.Dropout(0.2, seed=1)(features)
    logits = layers.Dense(config.num_classes, name="style", dtype="float32")(x)
    return keras.Model(picture, {"style": logits, "features": features}, name="texture_network")


def build_feature_extractor(network, names=None):
    """A network's features at several sizes, for the losses of style and content. Its weights are frozen.

    Args:
        network: functional `keras.Model` from pictures: one of `build_texture_network`, trained or not, or of yours, such as one
            of `keras.applications`.
        names: sequence of names of layers, one per size, the largest first; None for all layers named "features_1",
            "features_2", ....

    Returns:
        `keras.Model` from float32 `(B, H, W, 3)` to a list of features `(B, h, w, C)`.

    Raises:
        CourseError: a layer that the network doesn't have.

    References:
        Gatys, Ecker and Bethge, 2016, "Image style transfer using convolutional neural networks".
    """
    known = [layer.name for layer in network.layers]
    names = [name for name in known if name.startswith("features_")] if names is None else list(names)
    if not names or not set(names) <= set(known):
        raise CourseError(f"The network has no layers {', '.join(names) or 'features_1'}; it has {', '.join(known)}.")
    extractor = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names], name="feature_extractor")
    extractor.trainable = False
    return extractor


def opponent_colors(frames):
    """Luma, and two chroma channels that are 0 for any grey.

    Args:
        frames: float `(B, H, W, 3)`, RGB.

    Returns:
        float32 of the same shape: luma, red - green and blue - yellow, the last two `CHROMA_WEIGHT` times.
    """
    red, green, blue = (ops.cast(frames[..., i], "float32") for i in range(3))
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    chroma = (red - green) / 2, (blue - (red + green) / 2) / 2
    return ops.stack([luma, *(CHROMA_WEIGHT * difference for difference in chroma)], axis=-1)


def blurred(frames, size=LIGHTNESS_BLUR):
    """Means over squares of pixels.

    Args:
        frames: float `(B, H, W, C)`.
        size: int, the squares' side, px.

    Returns:
        float `(B, H/size, W/size, C)`.
    """
    return ops.average_pool(frames, size, size, padding="same")


def gram_matrix(features):
    """Gram matrix: which channels are active together, whatever the place.

    Args:
        features: float `(B, H, W, C)`.

    Returns:
        float32 `(B, C, C)`, the means over all places of the channels' products.

    References:
        Gatys, Ecker and Bethge, 2016, "Image style transfer using convolutional neural networks".
    """
    features = ops.cast(features, "float32")
    count, channels = ops.shape(features)[0], features.shape[-1]
    flat = ops.reshape(features, (count, -1, channels))  # (B, H, W, C) -> (B, H*W, C)
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / ops.cast(ops.shape(flat)[1], "float32")


def moments(features):
    """Mean and standard deviation of each channel over all places.

    Args:
        features: float `(B, H, W, C)`.

    Returns:
        two float32 `(B, 1, 1, C)`.
    """
    mean, variance = ops.moments(ops.cast(features, "float32"), axes=[1, 2], keepdims=True)
    return mean, ops.sqrt(variance + 1e-5)


def adain(content, style):
    """Adaptive instance normalisation: the content's features with the style's mean and deviation.

    Args:
        content: float `(B, H, W, C)`.
        style: float `(B, h, w, C)`.

    Returns:
        float32 of the content's shape.

    References:
        Huang and Belongie, 2017, "Arbitrary style transfer in real-time with adaptive instance normalization".
    """
    (mean, std), (style_mean, style_std) = moments(content), moments(style)
    return (ops.cast(content, "float32") - mean) / std * style_std + style_mean


def style_features(extractor, frames):
    """The maps whose statistics are a style: opponent colours, these blurred, and a network's features at each size.

    A network that tells strokes whatever their colour leaves colours free; so these have maps of their own.

    Args:
        extractor: `keras.Model` of `build_feature_extractor`.
        frames: float `(B, H, W, 3)` in [-1, 1].

    Returns:
        list of float `(B, h, w, C)`, the colours first, of which there are two maps.
    """
    colors = opponent_colors(frames)
    return [colors, blurred(colors), *extractor(frames)]


def style_grams(features):
    """The Gram matrix of each map, to which a channel of ones is added, so that it holds the channels' means as well.

    Args:
        features: list of float `(B, h, w, C)`, see `style_features`.

    Returns:
        list of float32 `(B, C + 1, C + 1)`.
    """
    return [
        gram_matrix(ops.concatenate([ops.cast(x, "float32"), ops.ones_like(x[..., :1], "float32")], axis=-1)) for x in features
    ]


def style_loss(grams, style, sizes=None):
    """How far Gram matrices are from those of a style: squared differences, the mean over the matrices.

    Args:
        grams: list of float `(B, C, C)`, see `style_grams`.
        style: list of the same form.
        sizes: float `(B, number of matrices)`, what each squared difference is divided by, such as those of frames without a
            style, so that no style and no matrix outweighs the others; None for the squared sizes of the style's own matrices.

    Returns:
        float32 `(B,)`.

    References:
        Gatys, Ecker and Bethge, 2016, "Image style transfer using convolutional neural networks"; Johnson, Alahi and Fei-Fei,
        2016, "Perceptual losses for real-time style transfer and super-resolution".
    """
    shares = []
    for i, (gram, target) in enumerate(zip(grams, style, strict=True)):
        size = ops.sum(ops.square(target), axis=(1, 2)) if sizes is None else sizes[:, i]
        shares.append(gram_distance(gram, target) / (size + 1e-6))
    return sum(shares) / len(shares)


def gram_distance(gram, other):
    """The squared difference of two Gram matrices, summed over their entries.

    Args:
        gram: float `(B, C, C)`.
        other: float of the same shape.

    Returns:
        float `(B,)`.
    """
    return ops.sum(ops.square(gram - other), axis=(1, 2))


def content_loss(features, content):
    """The mean squared difference of normalised features: what is where, whatever its contrast.

    Args:
        features: float `(B, H, W, C)`.
        content: float of the same shape, the features of the frame that is to be recognised.

    Returns:
        float32 `(B,)`.

    References:
        Gatys, Ecker and Bethge, 2016, "Image style transfer using convolutional neural networks".
    """
    normalized = []
    for x in (features, content):
        mean, std = moments(x)
        normalized.append((ops.cast(x, "float32") - mean) / (std + 0.05))
    return ops.mean(ops.square(normalized[0] - normalized[1]), axis=(1, 2, 3))


def lightness_loss(frames, content):
    """The mean squared difference of blurred lightness, after both were scaled to mean 0 and standard deviation 1.

    Args:
        frames: float `(B, H, W, 3)`.
        content: float of the same shape.

    Returns:
        float32 `(B,)`.
    """
    return content_loss(*(blurred(opponent_colors(x)[..., :1]) for x in (frames, content)))


def visible_mask(forward, backward, alpha=0.01, beta=0.5):
    """Forward-backward consistency: whether a pixel was visible in the frame before.

    Args:
        forward: float `(B, H, W, 2)`, px, flow from the current frame to the one before.
        backward: float `(B, H, W, 2)`, px, flow from the frame before to the current one.
        alpha: float, the share of the squared lengths by which the two may differ.
        beta: float, px^2 by which they may differ besides.

    Returns:
        float32 `(B, H, W, 1)`: 1 where a pixel that follows the one flow and then the other comes back to where it was, and stays
        inside of the frame; else 0.

    References:
        Sundaram, Brox and Keutzer, 2010, "Dense point trajectories by GPU-accelerated large displacement optical flow"; Ruder,
        Dosovitskiy and Brox, 2016, "Artistic style transfer for videos".
    """
    forward = ops.cast(forward, "float32")
    returned = warp(backward, forward)
    height, width = forward.shape[1:3]
    x = ops.arange(width, dtype="float32")[None, None, :] + forward[..., 0]
    y = ops.arange(height, dtype="float32")[None, :, None] + forward[..., 1]
    across, down = ops.logical_and(x >= 0, x <= width - 1), ops.logical_and(y >= 0, y <= height - 1)
    lengths = ops.sum(ops.square(forward) + ops.square(returned), axis=-1)
    consistent = ops.sum(ops.square(forward + returned), axis=-1) <= alpha * lengths + beta
    visible = ops.logical_and(ops.logical_and(across, down), consistent)
    return ops.cast(visible, "float32")[..., None]


def unchanged_color(frames, warped, threshold=0.25):
    """Where frames have the colours of the warped ones before them: what has just come into view seldom has.

    Args:
        frames: float `(B, H, W, C)` in [-1, 1].
        warped: float of the same shape, the frames before, warped.
        threshold: float, the largest difference of a channel.

    Returns:
        float32 `(B, H, W, 1)`, 1 or 0.
    """
    difference = ops.max(ops.abs(ops.cast(frames, "float32") - warped), axis=-1, keepdims=True)
    return ops.cast(difference <= threshold, "float32")


def temporal_loss(frames, warped, mask):
    """The mean squared difference of frames and the warped ones before them, over visible pixels.

    Args:
        frames: float `(B, H, W, C)`.
        warped: float of the same shape, the frames before, warped.
        mask: float `(B, H, W, 1)`, see `visible_mask`.

    Returns:
        float32 `(B,)`; 0 for a perfectly warped pair, and where nothing is visible.

    References:
        Ruder, Dosovitskiy and Brox, 2016, "Artistic style transfer for videos"; Gupta, Johnson, Alahi and Fei-Fei, 2017,
        "Characterizing and improving stability in neural style transfer".
    """
    squared = ops.mean(ops.square(ops.cast(frames, "float32") - warped), axis=-1, keepdims=True)
    return ops.sum(mask * squared, axis=(1, 2, 3)) / ops.maximum(ops.sum(mask, axis=(1, 2, 3)), 1.0)
