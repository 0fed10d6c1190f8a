"""Video tokenizers: autoencoders of clips whose latents are integers, by vector or finite scalar quantisation (VQ, FSQ)."""

import dataclasses
import math

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..video import to_float, to_uint8
from .base import Config, ConfiguredModel, check_float_frames, check_multiple

BATCH_SIZE = 32  # clips that are encoded or decoded at once
QUANTIZERS = ("fsq", "vq")


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class VideoTokenizerConfig(Config):
    """Sizes of a video tokenizer; each entry of `filters` halves the image size.

    Raises:
        CourseError: a size that is no whole number or below 1, no filters, fewer than 2 levels, an unknown quantizer, or an image
            size that can't be halved that often.
    """

    image_size: int = 32  # height and width of a frame, px
    channels: int = 1
    filters: tuple[int, ...] = (32, 64, 96)
    num_content_tokens: int = 12  # of a clip, written from its first frame
    num_motion_tokens: int = 3  # of each frame
    levels: tuple[int, ...] = (8, 5, 5, 5)  # values of each number of a code; their product is the number of codes
    quantizer: str = "fsq"
    vq_dim: int = 16  # numbers of a code in the codebook of vector quantisation
    motion_weight: float = 4.0  # of pixels that change, in the loss: moving things are small

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters), "len(levels)": len(self.levels)})
        for count in self.levels:
            check_whole(2, levels=count)
        if self.quantizer not in QUANTIZERS:
            raise CourseError(f"quantizer must be one of {', '.join(QUANTIZERS)}, got {self.quantizer!r}.")
        check_multiple(self.image_size, 2 ** len(self.filters), f"{len(self.filters)} layers halve it")

    @property
    def feature_map_size(self):
        """int, height and width of an encoder's last feature map."""
        return self.image_size // 2 ** len(self.filters)

    @property
    def num_codes(self):
        """int, values that a token may have."""
        return math.prod(self.levels)

    @property
    def code_dim(self):
        """int, numbers of a code."""
        return len(self.levels) if self.quantizer == "fsq" else self.vq_dim

    def num_tokens(self, num_frames):
        """Tokens of a clip.

        Args:
            num_frames: int.

        Returns:
            int.
        """
        return self.num_content_tokens + num_frames * self.num_motion_tokens


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FiniteScalarQuantizer(layers.Layer):
    """Finite scalar quantisation: each number of a latent is bounded and rounded to one of a few levels.

    The gradient passes the rounding as if it were not there (straight-through estimator).

    Args:
        levels: tuple of ints, at least 2: how many values each number of a code may have.
        **options: of `keras.layers.Layer`.

    Call arguments:
        z: float `(..., len(levels))`.

    Output shape:
        As the input's: codes, each number one of its levels, evenly spaced from -1 to 1.

    References:
        Mentzer and others, 2024, "Finite scalar quantization: VQ-VAE made simple".
        Bengio, Léonard and Courville, 2013, "Estimating or propagating gradients through stochastic neurons for conditional
        computation" (straight-through estimator).
    """

    def __init__(self, levels, **options):
        super().__init__(**{"dtype": "float32"} | options)  # half precision would round to another level
        self.levels = tuple(levels)
        self.highest = np.float32(levels) - 1  # levels count from 0
        self.basis = np.cumprod([1, *self.levels[:-1]]).astype(np.int32)  # of an id, in mixed radix

    def call(self, z):
        level = self.highest * (ops.tanh(z) + 1) / 2  # bounded: 0 to highest
        level = level + ops.stop_gradient(ops.round(level) - level)  # rounded, gradient of the identity
        return 2 * level / self.highest - 1

    def codes_to_ids(self, codes):
        """Numbers of codes: their levels are the digits of a number in mixed radix.

        Args:
            codes: float `(..., len(levels))`, as the layer gives them.

        Returns:
            int32 `(...)`, from 0 to the product of the levels, exclusive.
        """
        level = ops.cast(ops.round(self.highest * (codes + 1) / 2), "int32")
        return ops.sum(level * self.basis, axis=-1)

    def ids_to_codes(self, ids):
        """Codes of numbers, the inverse of `codes_to_ids`: there is no codebook to look them up in.

        Args:
            ids: int `(...)`.

        Returns:
            float32 `(..., len(levels))`.
        """
        return 2 * ops.cast(self.ids_to_levels(ids), "float32") / self.highest - 1

    def ids_to_levels(self, ids):
        """The levels of the codes of numbers, each counted from 0: the digits in mixed radix.

        Args:
            ids: int `(...)`.

        Returns:
            int32 `(..., len(levels))`.
        """
        return ops.cast(ids, "int32")[..., None] // self.basis % np.int32(self.levels)

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"levels": list(self.levels)}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VectorQuantizer(layers.Layer):
    """Vector quantisation: each latent becomes the nearest entry of a learned codebook.

    The gradient passes from the entry to the latent (straight-through estimator). Two terms in `losses` move the entries to the
    latents that chose them, and the latents to their entries.

    Args:
        num_codes: int, entries of the codebook.
        code_dim: int, numbers of an entry.
        commitment_weight: float, weight of the term that moves the latents.
        **options: of `keras.layers.Layer`.

    Call arguments:
        z: float `(B, ..., code_dim)`.

    Output shape:
        As the input's: entries of the codebook.

    References:
        van den Oord, Vinyals and Kavukcuoglu, 2017, "Neural discrete representation learning".
    """

    def __init__(self, num_codes, code_dim, commitment_weight=0.25, **options):
        super().__init__(**{"dtype": "float32"} | options)
        self.num_codes, self.code_dim, self.commitment_weight = num_codes, code_dim, commitment_weight

    def build(self, z_shape):
        """Makes the codebook.

        Args:
            z_shape: shape of z.
        """
        start = keras.initializers.RandomUniform(-1 / self.num_codes, 1 / self.num_codes)
        self.codebook = self.add_weight((self.num_codes, self.code_dim), initializer=start, name="codebook")

    def call(self, z):
        codes = self.ids_to_codes(self.codes_to_ids(z))
        codebook_loss = ops.sum(ops.square(ops.stop_gradient(z) - codes)) / ops.shape(z)[0]
        commitment_loss = ops.sum(ops.square(z - ops.stop_gradient(codes))) / ops.shape(z)[0]
        self.add_loss(codebook_loss + self.commitment_weight * commitment_loss)
        return z + ops.stop_gradient(codes - z)

    def codes_to_ids(self, codes):
        """Number of the nearest entry.

        Args:
            codes: float `(..., code_dim)`, entries of the codebook or any other vectors.

        Returns:
            int32 `(...)`.
        """
        flat = ops.reshape(codes, (-1, self.code_dim))
        squares = ops.sum(ops.square(self.codebook), axis=1)
        distance = squares - 2 * flat @ ops.transpose(self.codebook)  # (N, num_codes), but for |flat|^2
        return ops.reshape(ops.cast(ops.argmin(distance, axis=1), "int32"), ops.shape(codes)[:-1])

    def ids_to_codes(self, ids):
        """Entries of the codebook.

        Args:
            ids: int `(...)`.

        Returns:
            float32 `(..., code_dim)`.
        """
        return ops.take(self.codebook, ids, axis=0)

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        own = {name: getattr(self, name) for name in ("num_codes", "code_dim", "commitment_weight")}
        return super().get_config() | own


def build_token_encoder(config, num_frames, num_tokens, name):
    """Strided convolutions and a dense layer from one frame, or several as channels, to a few latents.

    Every latent may speak of the whole picture: tokens have an order, but no place. Those of finite scalar quantisation are
    normalised: numbers of variance 1 are spread over all levels from the first step on.

    Args:
        config: `VideoTokenizerConfig`.
        num_frames: int, frames that are read together.
        num_tokens: int, latents that are written.
        name: str, of the model.

    Returns:
        `keras.Model` from float32 `(B, image_size, image_size, num_frames * channels)` in [-1, 1] to float32 `(B, num_tokens,
        code_dim)`.

    References:
        Yu and others, 2024, "An image is worth 32 tokens for reconstruction and generation" (tokens without a place).
    """
    size = config.image_size
    frames = x = keras.Input((size, size, num_frames * config.channels), name="frames")
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, H/2, W/2, f)
    z = layers.Dense(num_tokens * config.code_dim, use_bias=False, dtype="float32")(layers.Flatten()(x))
    if config.quantizer == "fsq":
        z = layers.BatchNormalization(momentum=0.9, center=False, scale=False, dtype="float32")(z)
    return keras.Model(frames, layers.Reshape((num_tokens, config.code_dim))(z), name=name)


def build_token_decoder(config):
    """A dense layer and transposed convolutions from the codes of content and motion to a frame.

    Args:
        config: `VideoTokenizerConfig`.

    Returns:
        `keras.Model` from float32 `(B, num_content_tokens + num_motion_tokens, code_dim)` to float32 `(B, image_size, image_size,
        channels)` in [-1, 1].
    """
    codes = keras.Input((config.num_content_tokens + config.num_motion_tokens, config.code_dim), name="codes")
    *others, last = config.filters
    side = config.feature_map_size
    x = layers.Dense(side**2 * last, use_bias=False)(layers.Flatten()(codes))
    x = layers.Reshape((side, side, last))(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    content = layers.Flatten()(codes[:, : config.num_content_tokens])
    for filters in reversed(others):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        scale = layers.Reshape((1, 1, filters))(layers.Dense(filters, bias_initializer="ones")(content))
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x) * scale)  # -> (B, 2H, 2W, f)
    x = layers.Conv2DTranspose(config.channels, 4, strides=2, padding="same")(x)
    return keras.Model(codes, layers.Activation("tanh", dtype="float32")(x), name="token_decoder")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoTokenizer(ConfiguredModel):
    """An autoencoder of clips with rounded latents: a few codes for the content, and a few for each frame.

    The content encoder reads the first frame, once a clip. The motion encoder reads each frame beside the first one, and so has
    only to say what has changed. The decoder makes each frame of the codes of both.

    Args:
        config: `VideoTokenizerConfig`.

    Call arguments:
        clips: float `(B, T, image_size, image_size, channels)` in [-1, 1].

    Output shape:
        That of the clips, float32 in [-1, 1]: their reconstructions.

    Raises:
        CourseError: pixels that are no floats, see `check_float_frames`.

    References:
        van den Oord, Vinyals and Kavukcuoglu, 2017, "Neural discrete representation learning"; Mentzer and others, 2024, "Finite
        scalar quantization: VQ-VAE made simple"; Yu and others, 2024, "Efficient video diffusion models via content-frame
        motion-latent decomposition"; Jin and others, 2024, "Video-LaVIT: unified video-language pre-training with decoupled
        visual-motional tokenization".
    """

    def __init__(self, config):
        super().__init__(name="video_tokenizer")
        self.config = config
        self.content_encoder = build_token_encoder(config, 1, config.num_content_tokens, "content_encoder")
        self.motion_encoder = build_token_encoder(config, 2, config.num_motion_tokens, "motion_encoder")
        self.decoder = build_token_decoder(config)
        if config.quantizer == "fsq":
            self.quantizer = FiniteScalarQuantizer(config.levels)
        else:
            self.quantizer = VectorQuantizer(config.num_codes, config.code_dim)
        self.quantizer.build((None, None, config.code_dim))
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.build((None, None, config.image_size, config.image_size, config.channels))

    def call(self, clips, training=False):
        """Reconstructions of clips."""
        check_float_frames(clips)
        return self.decode(*self.encode(clips, training=training), training=training)

    def encode(self, clips, training=False):
        """Codes of clips.

        Args:
            clips: float `(B, T, H, W, C)` in [-1, 1].
            training: whether batch normalisation uses the batch's statistics.

        Returns:
            float32 `(B, num_content_tokens, code_dim)` and `(B, T, num_motion_tokens, code_dim)`.
        """
        first = ops.broadcast_to(clips[:, :1], ops.shape(clips))
        pairs = ops.concatenate([first, clips], axis=-1)  # each frame beside the first: (B, T, H, W, 2C)
        motion = self.motion_encoder(ops.reshape(pairs, (-1, *pairs.shape[2:])), training=training)
        motion = ops.reshape(motion, (-1, ops.shape(clips)[1], *motion.shape[1:]))
        return self.quantizer(self.content_encoder(clips[:, 0], training=training)), self.quantizer(motion)

    def decode(self, content, motion, training=False):
        """Clips of codes.

        Args:
            content: float `(B, num_content_tokens, code_dim)`.
            motion: float `(B, T, num_motion_tokens, code_dim)`.
            training: as in `encode`.

        Returns:
            float32 `(B, T, H, W, C)` in [-1, 1].
        """
        num_frames = ops.shape(motion)[1]
        codes = ops.concatenate([ops.repeat(content[:, None], num_frames, axis=1), motion], axis=2)
        frames = self.decoder(ops.reshape(codes, (-1, *codes.shape[2:])), training=training)
        return ops.reshape(frames, (-1, num_frames, *frames.shape[1:]))

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Weighted squared error of the reconstructions, and what the quantizer adds.

        Args:
            x: float `(B, T, H, W, C)`, the clips.
            y: unused: a clip is its own target.
            y_pred: float of the same shape, the reconstructions.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar: squared error summed over the pixels of a frame, mean over frames, a pixel's weight growing with its
            change since the first frame; of vector quantisation also its two terms.
        """
        error = ops.square(x - y_pred)
        weight = 1 + self.config.motion_weight * ops.abs(x - x[:, :1])
        self.reconstruction_tracker.update_state(ops.mean(ops.sum(error, axis=(2, 3, 4))))
        return ops.mean(ops.sum(weight * error, axis=(2, 3, 4))) + sum(self.losses)


def encode_tokens(model, clips):
    """The tokens of clips: those of the content, then those of each frame in turn.

    Args:
        model: trained `VideoTokenizer`.
        clips: uint8 `(N, T, H, W, C)`.

    Returns:
        int32 array `(N, num_content_tokens + T * num_motion_tokens)`, from 0 to num_codes, exclusive.

    Raises:
        CourseError: clips that are no uint8 of five dimensions.
    """
    if clips.dtype != np.uint8 or clips.ndim != 5:
        raise CourseError(f"encode_tokens takes clips as uint8 (N, T, H, W, C), got {clips.dtype} {clips.shape}.")
    parts = []
    for first in range(0, len(clips), BATCH_SIZE):
        ids = [model.quantizer.codes_to_ids(codes) for codes in model.encode(to_float(clips[first : first + BATCH_SIZE]))]
        parts.append(np.concatenate([np.reshape(part, (len(part), -1)) for part in ids], axis=1))
    return np.concatenate(parts).astype(np.int32)


def decode_tokens(model, tokens):
    """The clips of tokens.

    Args:
        model: trained `VideoTokenizer`.
        tokens: int `(N, num_content_tokens + T * num_motion_tokens)`, as `encode_tokens` gives them.

    Returns:
        uint8 array `(N, T, H, W, C)`.
    """
    config, tokens, parts = model.config, np.asarray(tokens), []
    for first in range(0, len(tokens), BATCH_SIZE):
        codes = model.quantizer.ids_to_codes(tokens[first : first + BATCH_SIZE])
        content, motion = codes[:, : config.num_content_tokens], codes[:, config.num_content_tokens :]
        motion = ops.reshape(motion, (len(content), -1, config.num_motion_tokens, config.code_dim))
        parts.append(to_uint8(model.decode(content, motion)))
    return np.concatenate(parts)
