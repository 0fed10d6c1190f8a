"""Layers and functions that networks of several chapters share. All are plain Keras, for any of its backends."""

import math

import keras
import numpy as np
from keras import layers, ops

from .errors import CourseError, check_whole


def sinusoidal_embedding(positions, dim, max_period):
    """Sinusoidal embedding of positions or timesteps: sines, then cosines, of falling frequencies.

    The frequencies fall geometrically, from 1 to 1 / max_period radians per unit, both ends included.

    Args:
        positions: float `(...)`.
        dim: even int, at least 2: half of it sines, half cosines.
        max_period: float above 0, the slowest wave's period as a multiple of the fastest one's, which is 2 pi.

    Returns:
        float `(..., dim)` in [-1, 1].

    Raises:
        CourseError: dim is odd or below 2.

    References:
        Vaswani and others, 2017, "Attention is all you need".
    """
    check_whole(2, dim=dim)
    if dim % 2:
        raise CourseError(f"dim must be even, for as many sines as cosines, got {dim}.")
    frequencies = max_period ** -np.linspace(0, 1, dim // 2, dtype=np.float32)
    phase = positions[..., None] * frequencies  # (...) -> (..., dim/2)
    return ops.concatenate([ops.sin(phase), ops.cos(phase)], axis=-1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Attention(layers.Layer):
    """Multi-head self-attention; keys and values may be extended by those of a context.

    The context may be the tokens of a caption. Queries are of x alone; the softmax is over positions of x and of the context
    together.

    Args:
        hidden_dim: channels of x, of queries, keys and values (all heads together) and of the output.
        num_heads: a divisor of `hidden_dim`.
        has_context: whether there are weights for a context.
        **kwargs: as for `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: float `(B, T, hidden_dim)`.
        context: None, or float `(B, L, D)`.
        context_mask: float or bool `(B, L)`, 1 where there is a token and 0 for padding; left out, the mask that Keras keeps with
            the context (an `Embedding` with mask_zero sets one), or none.

    Output shape:
        That of x.

    Raises:
        CourseError: num_heads doesn't divide hidden_dim; a context for a layer without has_context.

    References:
        Vaswani and others, 2017, "Attention is all you need" (self-attention).
        Nichol and others, 2022, "GLIDE: towards photorealistic image generation and editing with text-guided diffusion models"
        (keys and values of text appended).
    """

    def __init__(self, hidden_dim, num_heads, has_context=False, **kwargs):
        super().__init__(**kwargs)
        check_whole(1, hidden_dim=hidden_dim, num_heads=num_heads)
        if hidden_dim % num_heads:
            raise CourseError(f"num_heads must divide hidden_dim, got {num_heads=} and {hidden_dim=}.")
        self.hidden_dim, self.num_heads, self.has_context = hidden_dim, num_heads, has_context
        dtype = self.dtype_policy
        self.qkv, self.out = layers.Dense(3 * hidden_dim, dtype=dtype), layers.Dense(hidden_dim, dtype=dtype)
        self.context_kv = layers.Dense(2 * hidden_dim, dtype=dtype) if has_context else None

    def build(self, x_shape, context_shape=None, context_mask_shape=None):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            context_shape: shape of the context, where there is one.
            context_mask_shape: unused; it follows.
        """
        self.qkv.build(x_shape)
        if context_shape is not None and self.context_kv is not None:
            self.context_kv.build(context_shape)
        self.out.build((*x_shape[:-1], self.hidden_dim))

    def call(self, x, context=None, context_mask=None):
        queries, keys, values = ops.split(self.qkv(x), 3, axis=-1)
        if context is not None:
            if self.context_kv is None:
                raise CourseError("No weights for a context: build it with has_context=True.")
            context_keys, context_values = ops.split(self.context_kv(context), 2, axis=-1)
            keys = ops.concatenate([keys, context_keys], axis=1)  # (B, T, D) -> (B, T + L, D)
            values = ops.concatenate([values, context_values], axis=1)
        q, k, v = (self._split_heads(part) for part in (queries, keys, values))
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / math.sqrt(q.shape[-1])  # (B, heads, T, T + L)
        scores = ops.cast(scores, "float32")  # half precision has no room for the mask
        if context is not None and context_mask is not None:
            mask_bias = 1e9 * (1 - ops.cast(context_mask, "float32"))  # (B, L), then (B, T + L)
            mask_bias = ops.concatenate([ops.zeros_like(x[..., 0], "float32"), mask_bias], axis=1)
            scores = scores - mask_bias[:, None, None]
        attended = ops.cast(ops.softmax(scores), v.dtype) @ v  # (B, heads, T, hidden_dim/heads)
        attended = ops.transpose(attended, (0, 2, 1, 3))  # -> (B, T, heads, hidden_dim/heads)
        return self.out(ops.reshape(attended, (-1, ops.shape(x)[1], self.hidden_dim)))

    def _split_heads(self, x):
        """From `(B, S, hidden_dim)` to `(B, heads, S, hidden_dim/heads)`."""
        length, head_dim = ops.shape(x)[1], x.shape[-1] // self.num_heads
        return ops.transpose(ops.reshape(x, (-1, length, self.num_heads, head_dim)), (0, 2, 1, 3))

    def get_config(self):
        """What the layer is built from.

        Returns:
            dict.
        """
        own = {"hidden_dim": self.hidden_dim, "num_heads": self.num_heads, "has_context": self.has_context}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="vidgen_tf")
class AdaLNZero(layers.Layer):
    """Adaptive layer normalisation: scale, shift and gate depend on a condition, at first 0.

    They are linear in the SiLU of the condition. At first all are 0: x is normalised alone, and a residual branch times the gate
    adds nothing.

    Args:
        hidden_dim: channels of x.
        has_gate: whether there is a gate; the last normalisation of a network, before its output layer, has none.
        **kwargs: as for `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: float `(B, T, hidden_dim)`.
        condition: float `(B, T, D)`, or `(B, 1, D)` for one condition of all positions.

    Output shape:
        `(B, T, hidden_dim)`, x normalised, scaled and shifted; where there is a gate a tuple of this and the gate,
        `(B, T, hidden_dim)` or `(B, 1, hidden_dim)` as the condition.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers".
    """

    def __init__(self, hidden_dim, has_gate=True, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim, self.has_gate, dtype = hidden_dim, has_gate, self.dtype_policy
        self.norm = layers.LayerNormalization(center=False, scale=False, epsilon=1e-6, dtype=dtype)
        self.modulation = layers.Dense((2 + has_gate) * hidden_dim, kernel_initializer="zeros", dtype=dtype)

    def build(self, x_shape, condition_shape):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            condition_shape: shape of the condition.
        """
        self.norm.build(x_shape)
        self.modulation.build(condition_shape)

    def call(self, x, condition):
        scale, shift, *gate = ops.split(self.modulation(ops.silu(condition)), 2 + self.has_gate, axis=-1)
        x = self.norm(x) * (1 + scale) + shift
        return (x, *gate) if self.has_gate else x

    def get_config(self):
        """What the layer is built from.

        Returns:
            dict.
        """
        return super().get_config() | {"hidden_dim": self.hidden_dim, "has_gate": self.has_gate}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class LatentNormalization(layers.Layer):
    """Standardises latents of an encoder with Gaussian posteriors: dimensions get mean 0 and variance 1.

    The variance is that of samples of the posteriors: the variance of their means plus the mean of their variances. A dimension
    that the encoder does not use, whose posterior is always the prior, is therefore not amplified, as
    `keras.layers.Normalization`, adapted to the means, would do.

    Args:
        latent_dim: dimensions of a latent.
        **kwargs: as for `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        latents: float `(..., latent_dim)`.

    Output shape:
        As the input's.
    """

    def __init__(self, latent_dim, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        options = {"shape": (latent_dim,), "trainable": False}
        self.mean = self.add_weight(initializer="zeros", name="mean", **options)
        self.std = self.add_weight(initializer="ones", name="std", **options)

    def adapt(self, z_mean, z_log_var):
        """Measures mean and standard deviation.

        Args:
            z_mean: float array `(N, T, latent_dim)`, the means of the posteriors.
            z_log_var: float array of the same shape, the logarithms of their variances.

        Raises:
            CourseError: arrays of other shapes.
        """
        shapes = np.shape(z_mean), np.shape(z_log_var)
        if np.ndim(z_mean) != 3 or shapes[0] != shapes[1] or shapes[0][2] != self.latent_dim:
            message = f"z_mean and z_log_var must both be (N, T, {self.latent_dim})"
            raise CourseError(f"{message}, got {shapes[0]} and {shapes[1]}.")
        self.mean.assign(z_mean.mean(axis=(0, 1)))
        self.std.assign(np.sqrt(z_mean.var(axis=(0, 1)) + np.exp(z_log_var).mean(axis=(0, 1))))

    def call(self, latents):
        return (latents - self.mean) / self.std

    def denormalize(self, normalized):
        """Latents again: the inverse of calling the layer.

        Args:
            normalized: float `(..., latent_dim)`.

        Returns:
            float of the same shape.
        """
        return normalized * self.std + self.mean

    def get_config(self):
        """What the layer is built from.

        Returns:
            dict.
        """
        return super().get_config() | {"latent_dim": self.latent_dim}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class RandomAffine(layers.Layer):
    """Augments images in training: rotates, scales, shears and shifts each by a random affine map near the identity.

    Args:
        max_affine: largest absolute value of what is added to the entries of the 2x2 identity matrix.
        max_shift: largest shift in x and in y, as a share of the side of an image.
        seed: int.
        **kwargs: as for `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        images: float `(B, H, H, C)`; bilinear interpolation, and outside of an image its nearest pixel.
        training: bool, whether to change anything.

    Output shape:
        As the input's.
    """

    def __init__(self, max_affine, max_shift, seed, **kwargs):
        super().__init__(**kwargs)
        self.max_affine, self.max_shift, self.seed = max_affine, max_shift, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        batch, side = ops.shape(images)[0], images.shape[1]
        affine, shift = self.max_affine, self.max_shift * side
        affine = keras.random.uniform((batch, 2, 2), -affine, affine, "float32", seed=self.seed_generator)
        shift = keras.random.uniform((batch, 2, 1), -shift, shift, "float32", seed=self.seed_generator)
        matrix = ops.eye(2, dtype="float32") + affine
        center = ops.full((2, 1), (side - 1) / 2, "float32")
        rows = ops.concatenate([matrix, center + shift - matrix @ center], axis=2)  # (B, 2, 3): (x, y, 1) of output to input
        transform = ops.pad(ops.reshape(rows, (batch, 6)), ((0, 0), (0, 2)))  # no perspective
        return ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="nearest")

    def get_config(self):
        """What the layer is built from.

        Returns:
            dict.
        """
        return super().get_config() | {"max_affine": self.max_affine, "max_shift": self.max_shift, "seed": self.seed}


def space_to_depth(frames, patch_size):
    """Squares of pixels become channels of one spatial location (pixel unshuffle); nothing is lost.

    Args:
        frames: float `(B, T, H, W, C)`, H and W multiples of `patch_size`.
        patch_size: side of a square, px.

    Returns:
        float `(B, T, H/patch_size, W/patch_size, patch_size * patch_size * C)`.

    Raises:
        CourseError: H or W is no multiple of patch_size.
    """
    num_frames, height, width, channels = frames.shape[1:]
    if height % patch_size or width % patch_size:
        raise CourseError(f"Frame sides must be multiples of patch_size={patch_size}, got {height}x{width}.")
    h, w = height // patch_size, width // patch_size
    x = ops.reshape(frames, (-1, num_frames, h, patch_size, w, patch_size, channels))
    x = ops.transpose(x, (0, 1, 2, 4, 3, 5, 6))  # (B, T, h, p, w, p, C) -> (B, T, h, w, p, p, C)
    return ops.reshape(x, (-1, num_frames, h, w, patch_size * patch_size * channels))


def depth_to_space(patches, patch_size):
    """The inverse of `space_to_depth` (pixel shuffle).

    Args:
        patches: float `(B, T, h, w, patch_size * patch_size * C)`.
        patch_size: side of a square, px.

    Returns:
        float `(B, T, h * patch_size, w * patch_size, C)`.

    Raises:
        CourseError: the channels are no multiple of patch_size * patch_size.
    """
    num_frames, height, width, depth = patches.shape[1:]
    if depth % patch_size**2:
        raise CourseError(f"Channels must be a multiple of patch_size**2 = {patch_size**2}, got {depth}.")
    x = ops.reshape(patches, (-1, num_frames, height, width, patch_size, patch_size, depth // patch_size**2))
    x = ops.transpose(x, (0, 1, 2, 4, 3, 5, 6))  # (B, T, h, w, p, p, C) -> (B, T, h, p, w, p, C)
    return ops.reshape(x, (-1, num_frames, height * patch_size, width * patch_size, depth // patch_size**2))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Shift(layers.Layer):
    """Moves features by any number of cells, each group of channels by its own; from outside comes 0.

    A whole shift picks each row from another one. A shift in between mixes two rows: bilinear interpolation, written as a
    product of a matrix with the rows, and of another one with the columns.

    Args:
        num_groups: int, of channels; a divisor of F.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, H, W, F)`.
        shift: float `(B, K, 2 * num_groups)`, (x, y) of each group in cells, K times.

    Output shape:
        `(B, K, H, W, F)`.

    References:
        Jaderberg, Simonyan, Zisserman and Kavukcuoglu, 2015, "Spatial transformer networks".
    """

    def __init__(self, num_groups=1, **options):
        super().__init__(**options)
        self.num_groups = num_groups

    def call(self, x, shift):
        """The features at each of K places."""
        height, width, channels = x.shape[1:]
        count, groups = ops.shape(shift)[1], self.num_groups
        shift = ops.reshape(shift, (-1, count, groups, 2))  # (B, K, 2G) -> (B, K, G, 2)
        columns, rows = (_interpolation(shift[..., i], size) for i, size in enumerate((width, height)))
        x = ops.reshape(x, (-1, height, width, groups, channels // groups))
        x = ops.einsum("bkgiy,byxgf->bkgixf", rows, x)  # (B, H, W, G, F/G) -> (B, K, G, H, W, F/G)
        x = ops.einsum("bkgjx,bkgixf->bkijgf", columns, x)  # -> (B, K, H, W, G, F/G)
        return ops.reshape(x, (-1, count, height, width, channels))

    def compute_output_shape(self, x_shape, shift_shape):
        """The shape of the output.

        Args:
            x_shape: tuple `(B, H, W, F)`.
            shift_shape: tuple `(B, K, 2 * num_groups)`.

        Returns:
            tuple `(B, K, H, W, F)`.
        """
        return (*shift_shape[:2], *x_shape[1:])

    def get_config(self):
        """The constructor's arguments, as Keras writes them into a file.

        Returns:
            dict.
        """
        return super().get_config() | {"num_groups": self.num_groups}


def _interpolation(shift, size):
    """Matrices `(..., size, size)` that move numbers by shifts `(...)`: i takes what stood at i - shift."""
    place = ops.arange(size, dtype=shift.dtype)
    distance = ops.abs(place[:, None] - place - shift[..., None, None])
    return ops.relu(1 - distance)


def update_ema(ema_network, network, decay):
    """Moves an exponential moving average (EMA) of a network's weights one step towards the network.

    ema = decay * ema + (1 - decay) * weight.

    Statistics of batch normalisation are averaged as well, which the `use_ema` of Keras' optimizers leaves out; and the decay may
    change from step to step.

    Args:
        ema_network: `keras.Model` that holds the average.
        network: `keras.Model` with weights of the same shapes.
        decay: float or scalar tensor in [0, 1], the share of the old average that is kept.
    """
    for average, weight in zip(ema_network.weights, network.weights, strict=True):
        average.assign(decay * average + (1 - decay) * weight)
