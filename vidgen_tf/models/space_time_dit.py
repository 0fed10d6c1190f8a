"""Space-time diffusion transformer: the latents of a video VAE are tokens with a moment, a row and a column."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError
from ..layers import AdaLNZero, Attention, sinusoidal_embedding
from .base import Config
from .dit import LatentDiffusion
from .text_transformer import TextTransformer


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class SpaceTimeConfig(Config):
    """Sizes of a space-time diffusion transformer and its text encoder, and the timesteps and loss of its training.

    Raises:
        CourseError: a size below 1, heads that don't divide the hidden dimension, or a probability beyond [0, 1].
    """

    num_frames: int = 4  # moments of the latents
    grid_size: int = 2  # places on a side of a moment
    latent_channels: int = 256  # numbers of a token
    hidden_dim: int = 192  # of a token, a multiple of 6: a third each of its position for moment, row and column
    num_layers: int = 6  # transformer blocks
    num_heads: int = 4  # of the attention
    vocabulary_size: int = 400  # of the prompts' tokens
    prompt_length: int = 40  # tokens
    text_dim: int = 96  # of the text encoder
    text_layers: int = 2
    prompt_dropout: float = 0.1  # probability that a training clip loses its prompt
    num_components: int = 256  # of a clip, see `GaussianPreconditioning`
    timestep_shift: float = 4.0  # see `shift_timesteps`
    uniform_timestep_prob: ClassVar[float] = 0.0  # see `sample_timesteps`
    per_frame_timestep_prob: ClassVar[float] = 0.0
    frame_difference_weight: ClassVar[float] = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.hidden_dim % 6 or self.hidden_dim % self.num_heads or self.text_dim % self.num_heads:
            wanted = f"multiples of num_heads, {self.num_heads}, and hidden_dim of 6"
            raise CourseError(f"hidden_dim and text_dim must be {wanted}, got {self.hidden_dim} and {self.text_dim}.")
        if not 0 <= self.prompt_dropout <= 1:
            raise CourseError(f"prompt_dropout is a probability from 0 to 1, got {self.prompt_dropout}.")

    @property
    def latent_dim(self):
        """int, numbers of all tokens of one moment."""
        return self.grid_size**2 * self.latent_channels


def space_time_positions(config):
    """Positional encodings: a third of the numbers each for the moment, the row and the column.

    Args:
        config: `SpaceTimeConfig`.

    Returns:
        float `(num_frames, grid_size ** 2, hidden_dim)`.
    """
    moments, side = np.arange(config.num_frames), np.arange(config.grid_size)
    axes = np.meshgrid(moments, side, side, indexing="ij")
    parts = [sinusoidal_embedding(np.float32(axis), config.hidden_dim // 3, 30.0) for axis in axes]
    return ops.reshape(ops.concatenate(parts, axis=-1), (config.num_frames, -1, config.hidden_dim))


@keras.saving.register_keras_serializable(package="vidgen_tf")
class SpaceTimeBlock(layers.Layer):
    """Transformer block with adaLN-Zero: attention of all tokens to all and to the prompt's, then an MLP.

    Args:
        hidden_dim: int, size of a token.
        num_heads: int, heads of the attention.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, T, P, hidden_dim)`, P tokens of each of T moments.
        condition: float `(B, 1, 1, hidden_dim)`: embedded timestep and prompt.
        context: float `(B, L, D)`, vectors of the prompt's tokens.
        context_mask: float `(B, L)`, 1 where the context may be attended to and 0 elsewhere.

    Output shape:
        That of x; at initialisation the block is the identity.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers"; Ma and others, 2024, "Latte: latent diffusion
        transformer for video generation" (tokens of space and time).
    """

    def __init__(self, hidden_dim, num_heads, **options):
        super().__init__(**options)
        self.hidden_dim, self.num_heads = hidden_dim, num_heads
        self.attention = Attention(hidden_dim, num_heads, has_context=True)
        self.attention_norm, self.mlp_norm = AdaLNZero(hidden_dim), AdaLNZero(hidden_dim)
        self.mlp_in, self.mlp_out = layers.Dense(4 * hidden_dim, activation="gelu"), layers.Dense(hidden_dim)

    def build(self, x_shape, condition_shape, context_shape, context_mask_shape=None):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            condition_shape: shape of the condition.
            context_shape: shape of the context.
            context_mask_shape: unused; it follows.
        """
        self.attention.build((x_shape[0], x_shape[1] * x_shape[2], x_shape[3]), context_shape)
        for norm in (self.attention_norm, self.mlp_norm):
            norm.build(x_shape, condition_shape)
        self.mlp_in.build(x_shape)
        self.mlp_out.build((*x_shape[:-1], 4 * self.hidden_dim))

    def call(self, x, condition, context, context_mask):
        normed, gate = self.attention_norm(x, condition)
        tokens = ops.reshape(normed, (-1, x.shape[1] * x.shape[2], self.hidden_dim))  # -> (B, T P, D)
        attended = self.attention(tokens, context, context_mask)
        x = x + gate * ops.reshape(attended, (-1, *x.shape[1:]))
        normed, gate = self.mlp_norm(x, condition)
        return x + gate * self.mlp_out(self.mlp_in(normed))

    def get_config(self):
        """The block's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"hidden_dim": self.hidden_dim, "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class GaussianPreconditioning(layers.Layer):
    """The best guess of the velocity if a clip's numbers were Gaussian around what its prompt lets expect.

    That guess is known in closed form, for a network to correct: one that predicts 0 already samples clips that are, on average,
    those of their prompts. What it has to learn is how a clip's numbers hang together.

    Args:
        num_components: int, principal components of a clip, by which a prompt says what to expect.
        **options: of `keras.layers.Layer`.

    Call arguments:
        noisy: float `(B, T, D)`, `(1 - t) * latents + t * noise`.
        t: float `(B, 1)`, timesteps in [0, 1].
        components: float `(B, num_components)`, the expected components, each divided by its standard deviation.
        is_told: float `(B, 1)`, 1 where there is a prompt and 0 where there is none, and the mean of all clips is expected.

    Output shape:
        A tuple of three: `(B, T, D, 2)`, the noisy latents and the expected ones, centred and scaled; `(B, T, D)`, the velocity;
        and `(B, T, D)`, the standard deviation of the true velocity around it.

    References:
        Karras and others, 2022, "Elucidating the design space of diffusion-based generative models" (preconditioning); Wang and
        Vastola, 2024, "The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications".
    """

    def __init__(self, num_components, **options):
        super().__init__(**options)
        self.num_components = num_components

    def build(self, noisy_shape, *unused_shapes):
        """Makes the weights; until `assign_clips` clips are independent numbers of variance 1.

        Args:
            noisy_shape: shape of the noisy latents.
            *unused_shapes: they follow.
        """
        size = int(np.prod(noisy_shape[1:]))

        def add(name, start, *shape):
            return self.add_weight(shape=shape, initializer=start, trainable=False, name=name)

        self.mean, self.variance = add("mean", "zeros", size), add("variance", "ones", size)
        self.told_variance = add("told_variance", "ones", size)
        self.basis = add("basis", "zeros", size, self.num_components)

    def assign_clips(self, mean, variance, told_variance, basis):
        """Takes over what is known of clips.

        Args:
            mean, variance: float `(T * D,)`, of the latents' numbers.
            told_variance: float `(T * D,)`, around what prompts let expect.
            basis: float `(T * D, num_components)`, principal components, each times its standard deviation.
        """
        self.mean.assign(mean)
        self.basis.assign(basis)
        self.variance.assign(variance)
        self.told_variance.assign(told_variance)

    def call(self, noisy, t, components, is_told):
        shape = (-1, *noisy.shape[1:])
        x = ops.reshape(noisy, (-1, self.mean.shape[0])) - (1 - t) * self.mean
        expected = is_told * (components @ ops.transpose(self.basis))
        variance = is_told * self.told_variance + (1 - is_told) * self.variance
        slope, spread = regress_velocity(t, variance)
        velocity = slope * (x - (1 - t) * expected) - expected - self.mean
        scaled = x / ops.sqrt(ops.square(1 - t) * self.variance + ops.square(t))
        inputs = ops.stack([scaled, expected / ops.sqrt(self.variance)], axis=-1)
        velocity, deviation = ops.reshape(velocity, shape), ops.reshape(ops.sqrt(spread), shape)
        return ops.reshape(inputs, (*shape, 2)), velocity, deviation

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"num_components": self.num_components}


def regress_velocity(t, variance):
    """The best guess of a velocity `noise - latent` from a noisy number, of a Gaussian latent with mean 0.

    Args:
        t: float `(B, 1)`, timesteps.
        variance: float `(B, D)` or `(D,)`, of the latents.

    Returns:
        float `(B, D)`, twice: the guess is the noisy number times the first; the velocity's variance around it is the second.
    """
    noisy_variance = ops.square(1 - t) * variance + ops.square(t)
    return (t - (1 - t) * variance) / noisy_variance, variance / noisy_variance


@keras.saving.register_keras_serializable(package="vidgen_tf")
class SpaceTimeDiffusion(LatentDiffusion):
    """Latent video diffusion with a token for each place of each moment, conditioned on a prompt.

    Args:
        config: `SpaceTimeConfig`.

    Call arguments:
        inputs: dict of "noisy" `(B, T, latent_dim)`, normalised, "timesteps" `(B, 1)`, and "tokens" int
            `(B, prompt_length)`, 0 for none.

    Output shape:
        `(B, T, latent_dim)`, the velocity.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers"; Brooks and others, 2024, "Video generation models as
        world simulators".
    """

    def __init__(self, config):
        super().__init__(config)

    def prompt_network(self):
        """The part of the network that tells from a prompt what its clips are like on average.

        Returns:
            `keras.Model` from tokens `(B, prompt_length)` to principal components, each divided by its deviation,
            `(B, num_components)`. Its weights are the network's.
        """
        tokens = next(tensor for tensor in self.network.inputs if tensor.name == "tokens")
        return keras.Model(tokens, self.network.get_layer("expected").output)

    def build_network(self):
        """A network of this model's sizes, which begins with the weights that the model has.

        Returns:
            `keras.Model`, see the call arguments.
        """
        config, hidden_dim = self.config, self.config.hidden_dim
        noisy = keras.Input((config.num_frames, config.latent_dim), name="noisy")
        t = keras.Input((1,), name="timesteps")
        tokens = keras.Input((config.prompt_length,), dtype="int32", name="tokens")
        encoder = TextTransformer(
            config.vocabulary_size,
            config.text_dim,
            config.text_layers,
            config.num_heads,
            config.prompt_length,
            config.prompt_dropout,
            name="text_encoder",
        )
        *context, pooled = encoder(tokens)
        condition = layers.Dense(hidden_dim, activation="silu")(sinusoidal_embedding(1000 * t, hidden_dim, 1e4))
        condition = layers.Dense(hidden_dim)(condition) + layers.Dense(hidden_dim)(pooled)
        condition = ops.expand_dims(condition, 2)  # (B, 1, D) -> (B, 1, 1, D)
        expected = layers.Dense(hidden_dim, activation="gelu", name="expected_hidden")(ops.squeeze(pooled, 1))
        expected = layers.Dense(config.num_components, kernel_initializer="zeros", dtype="float32", name="expected")(expected)
        is_told = ops.cast(ops.max(context[1], axis=1, keepdims=True), "float32")
        preconditioning = GaussianPreconditioning(config.num_components, dtype="float32", name="preconditioning")
        x, guess, scale = preconditioning(noisy, t, expected, is_told)
        x = ops.reshape(x, (-1, config.num_frames, config.grid_size**2, 2 * config.latent_channels))
        x = layers.EinsumDense("btpc,pcd->btpd", (None, config.grid_size**2, hidden_dim), bias_axes="pd", name="entry")(x)
        x = x + space_time_positions(config)
        for _ in range(config.num_layers):
            x = SpaceTimeBlock(hidden_dim, config.num_heads)(x, condition, *context)
        x = AdaLNZero(hidden_dim, has_gate=False)(x, condition)
        correction = layers.EinsumDense(
            "btpd,pdc->btpc",
            (None, config.grid_size**2, config.latent_channels),
            bias_axes="pc",
            kernel_initializer="zeros",
            dtype="float32",
            name="exit",
        )(x)
        velocity = guess + scale * ops.reshape(correction, (-1, config.num_frames, config.latent_dim))
        network = keras.Model({"noisy": noisy, "timesteps": t, "tokens": tokens}, velocity, name="transformer")
        if hasattr(self, "network"):  # the flow is learned by a network whose text encoder has learned already
            network.set_weights(self.network.get_weights())
            for name in ("text_encoder", "expected_hidden", "expected"):
                network.get_layer(name).trainable = False
        return network
