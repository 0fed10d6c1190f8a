"""Discriminators of a video GAN: one rates frames alone, the other some frames of a clip together."""

import keras
from keras import layers, ops


def build_image_discriminator(config):
    """One logit for each of some frames, which are seen alone.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, K, H, W, C)` in [-1, 1], int32 `(B, K)` numbers of the frames, int32 `(B, 2)` kinds of
        motion and of content] to float32 logits of every second frame, `(B, (K + 1) // 2)`: times and motion don't matter.
    """
    frames, index, kinds = shown_inputs(config)
    some = frames[:, ::2]  # neighbours tell little more than one of them
    count = some.shape[1]
    pictures = ops.reshape(some, (-1, *frames.shape[2:]))  # (B, K', H, W, C) -> (B*K', H, W, C)
    asked = ops.repeat(kinds[:, 1:], count, axis=0)  # (B, 1) -> (B*K', 1)
    logits = _rate(config, pictures, asked, (config.num_contents,))
    return keras.Model([frames, index, kinds], ops.reshape(logits, (-1, count)), name="image_discriminator")


def build_video_discriminator(config):
    """One logit for some frames of a clip together, with their times and the kinds asked for.

    The frames lie on one another as channels, so that the first convolution can already compare them.

    Args:
        config: `VideoGANConfig`.

    Returns:
        `keras.Model` from [float32 `(B, K, H, W, C)` in [-1, 1], int32 `(B, K)` numbers of the frames, at equal distances, int32
        `(B, 2)` kinds of motion and of content] to float32 logits `(B, 1)`.

    References:
        Skorokhodov, Tulyakov and Elhoseiny, 2022, "StyleGAN-V: a continuous video generator with the price, image quality and
        perks of StyleGAN2" (few frames of a clip suffice).
    """
    frames, index, kinds = shown_inputs(config)
    size, depth = config.image_size, config.num_shown_frames * config.channels
    stack = ops.transpose(frames, (0, 2, 3, 1, 4))  # (B, K, H, W, C) -> (B, H, W, K, C)
    stack = ops.reshape(stack, (-1, size, size, depth))  # -> (B, H, W, K*C)
    times = ops.stack([index[:, 0], index[:, 1] - index[:, 0]], axis=-1)  # (B, 2), begin and distance
    times = ops.cast(times, stack.dtype) / config.num_frames
    planes = ops.ones_like(stack[..., :1]) * times[:, None, None]  # (B, H, W, 2)
    seen, numbers = ops.concatenate([stack, planes], axis=-1), (config.num_motions, config.num_contents)
    logits = _rate(config, seen, kinds, numbers)
    return keras.Model([frames, index, kinds], logits[:, None], name="video_discriminator")


def _rate(config, x, kinds, numbers):
    """Logits `(B,)` of pictures, asked for as kinds `(B, len(numbers))`: a projection discriminator.

    References: Miyato and Koyama, 2018, "cGANs with projection discriminator".
    """
    for filters in config.discriminator_filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same")(x)  # (B, H, W, C) -> (B, H/2, W/2, filters)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(config.feature_dim)(layers.Flatten()(x)))
    logits = layers.Dense(1)(x)[:, 0]
    for i, number in enumerate(numbers):
        if number > 1:  # does what is seen point the way of what was asked for?
            asked = embedding_of(number, config.feature_dim)(kinds[:, i])
            logits = logits + ops.sum(x * asked, axis=-1) / config.feature_dim**0.5
    return layers.Activation("linear", dtype="float32")(logits)


def shown_inputs(config):
    """What both discriminators read.

    Args:
        config: `VideoGANConfig`.

    Returns:
        frames, index, kinds: `keras.Input`s of float32 `(B, K, H, W, C)`, int32 `(B, K)` and int32 `(B, 2)`.
    """
    shape = config.num_shown_frames, config.image_size, config.image_size, config.channels
    frames = keras.Input(shape, name="frames")
    index = keras.Input((config.num_shown_frames,), dtype="int32", name="index")
    return frames, index, keras.Input((2,), dtype="int32", name="kinds")


DISCRIMINATORS = {"image": build_image_discriminator, "video": build_video_discriminator}


def embedding_of(number, dim):
    """A trained vector for each of some kinds, from the start as large as noise is.

    Args:
        number: int, how many kinds.
        dim: int, numbers in a vector.

    Returns:
        `keras.layers.Embedding`.
    """
    return layers.Embedding(number, dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))
