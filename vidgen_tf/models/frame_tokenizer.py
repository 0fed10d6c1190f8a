"""Frame tokenizers: autoencoders whose latents are integers, by vector quantisation (VQ) or finite scalar quantisation (FSQ)."""

import dataclasses
import math

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from ..video import to_float, to_uint8
from .base import Config, ConfiguredModel, check_float_frames, check_multiple
from .vae import squared_error

BATCH_SIZE = 500  # frames that are encoded or decoded at once
QUANTIZERS = ("fsq", "vq")


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class FrameTokenizerConfig(Config):
    """Sizes of a frame tokenizer; each entry of `filters` halves the image size, and each location that is left is a token.

    Raises:
        CourseError: a size that is no whole number or below 1, no filters, fewer than 2 levels, an unknown quantizer, or an image
            size that can't be halved that often.
    """

    image_size: int = 32  # height and width of a frame, px
    channels: int = 1
    filters: tuple[int, ...] = (24, 48, 96, 96)
    levels: tuple[int, ...] = (8, 5, 5, 5)  # values of each number of a code; their product is the number of codes
    quantizer: str = "fsq"
    vq_dim: int = 16  # numbers of a code in the codebook of vector quantisation

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(filters)": len(self.filters), "len(levels)": len(self.levels)})
        for count in self.levels:
            check_whole(2, levels=count)
        if self.quantizer not in QUANTIZERS:
            raise CourseError(f"quantizer must be one of {', '.join(QUANTIZERS)}, got {self.quantizer!r}.")
        check_multiple(self.image_size, 2 ** len(self.filters), f"{len(self.filters)} layers halve it")

    @property
    def grid_size(self):
        """int, rows and columns of tokens of a frame."""
        return self.image_size // 2 ** len(self.filters)

    @property
    def num_slots(self):
        """int, tokens of a frame."""
        return self.grid_size**2

    @property
    def num_codes(self):
        """int, values that a token may have."""
        return math.prod(self.levels)

    @property
    def code_dim(self):
        """int, numbers of a code."""
        return len(self.levels) if self.quantizer == "fsq" else self.vq_dim


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
        level = ops.cast(ids, "int32")[..., None] // self.basis % np.int32(self.levels)
        return 2 * ops.cast(level, "float32") / self.highest - 1

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


def build_token_encoder(config):
    """Strided convolutions from a frame to a grid of latents, before they are quantised.

    Those of finite scalar quantisation are normalised: numbers of variance 1 are spread over all levels from the first step on.

    Args:
        config: `FrameTokenizerConfig`.

    Returns:
        `keras.Model` from float32 `(B, image_size, image_size, channels)` in [-1, 1] to float32 `(B, grid_size, grid_size,
        code_dim)`.
    """
    frame = x = keras.Input((config.image_size, config.image_size, config.channels), name="frame")
    for filters in config.filters:
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, H/2, W/2, f)
    z = layers.Conv2D(config.code_dim, 1, use_bias=False, dtype="float32")(x)
    if config.quantizer == "fsq":
        z = layers.BatchNormalization(momentum=0.9, center=False, scale=False, dtype="float32")(z)
    return keras.Model(frame, z, name="token_encoder")


def build_token_decoder(config):
    """Transposed convolutions from a grid of codes to a frame.

    Args:
        config: `FrameTokenizerConfig`.

    Returns:
        `keras.Model` from float32 `(B, grid_size, grid_size, code_dim)` to float32 `(B, image_size, image_size, channels)` in
        [-1, 1].
    """
    codes = keras.Input((config.grid_size, config.grid_size, config.code_dim), name="codes")
    *others, last = config.filters
    x = layers.Conv2D(last, 3, padding="same", use_bias=False)(codes)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in reversed(others):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # (B, H, W, C) -> (B, 2H, 2W, f)
    x = layers.Conv2DTranspose(config.channels, 4, strides=2, padding="same")(x)
    return keras.Model(codes, layers.Activation("tanh", dtype="float32")(x), name="token_decoder")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FrameTokenizer(ConfiguredModel):
    """An autoencoder of frames whose latents are rounded to codes: a frame becomes a few whole numbers.

    Args:
        config: `FrameTokenizerConfig`.

    Call arguments:
        frames: float `(B, image_size, image_size, channels)` in [-1, 1].

    Output shape:
        That of the frames, float32 in [-1, 1]: their reconstructions.

    Raises:
        CourseError: pixels that are no floats, see `check_float_frames`.

    References:
        van den Oord, Vinyals and Kavukcuoglu, 2017, "Neural discrete representation learning"; Mentzer and others, 2024, "Finite
        scalar quantization: VQ-VAE made simple".
    """

    def __init__(self, config):
        super().__init__(name="frame_tokenizer")
        self.config = config
        self.encoder, self.decoder = build_token_encoder(config), build_token_decoder(config)
        if config.quantizer == "fsq":
            self.quantizer = FiniteScalarQuantizer(config.levels)
        else:
            self.quantizer = VectorQuantizer(config.num_codes, config.code_dim)
        self.quantizer.build((None, config.grid_size, config.grid_size, config.code_dim))
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.build(self.encoder.input_shape)

    def call(self, frames, training=False):
        """Reconstructions of frames."""
        check_float_frames(frames)
        return self.decoder(self.quantizer(self.encoder(frames, training=training)), training=training)

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error of the reconstructions, and what the quantizer adds.

        Args:
            x: float `(B, H, W, C)`, the frames.
            y: unused: a frame is its own target.
            y_pred: float of the same shape, the reconstructions.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar: squared error summed over pixels, mean over the batch; of vector quantisation also its two terms.
        """
        reconstruction = ops.mean(squared_error(x, y_pred))
        self.reconstruction_tracker.update_state(reconstruction)
        return reconstruction + sum(self.losses)


def encode_tokens(model, frames):
    """The tokens of frames, row by row of their grid.

    Args:
        model: trained `FrameTokenizer`.
        frames: uint8 `(..., H, W, C)`, clips `(N, T, H, W, C)` for example.

    Returns:
        int32 array `(..., num_slots)`, from 0 to num_codes, exclusive.

    Raises:
        CourseError: frames that are no uint8.
    """
    if frames.dtype != np.uint8:
        raise CourseError(f"encode_tokens takes uint8 pixels, got {frames.dtype}: convert them with video.to_uint8.")
    flat, parts = frames.reshape(-1, *frames.shape[-3:]), []
    for first in range(0, len(flat), BATCH_SIZE):
        codes = model.quantizer(model.encoder(to_float(flat[first : first + BATCH_SIZE])))
        parts.append(np.asarray(model.quantizer.codes_to_ids(codes), np.int32))
    return np.concatenate(parts).reshape(*frames.shape[:-3], model.config.num_slots)


def decode_tokens(model, tokens):
    """The frames of tokens.

    Args:
        model: trained `FrameTokenizer`.
        tokens: int `(..., num_slots)`, as `encode_tokens` gives them.

    Returns:
        uint8 array `(..., H, W, C)`.
    """
    side = model.config.grid_size
    flat, parts = np.reshape(tokens, (-1, side, side)), []
    for first in range(0, len(flat), BATCH_SIZE):
        codes = model.quantizer.ids_to_codes(flat[first : first + BATCH_SIZE])
        parts.append(to_uint8(model.decoder(codes)))
    frames = np.concatenate(parts)
    return frames.reshape(*np.shape(tokens)[:-1], *frames.shape[1:])
