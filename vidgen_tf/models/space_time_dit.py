"""Space-time diffusion transformer: the latents of a video VAE are tokens with a moment, a row and a column."""

import dataclasses

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
    grid_size: int = 4  # places on a side of a moment
    latent_channels: int = 32  # numbers of a token
    hidden_dim: int = 144  # of a token, a multiple of 6: a third each of its position for moment, row and column
    num_layers: int = 6  # transformer blocks
    num_heads: int = 4  # of the attention
    vocabulary_size: int = 400  # of the prompts' tokens
    prompt_length: int = 40  # tokens
    text_dim: int = 96  # of the text encoder
    text_layers: int = 2
    has_frozen_text: bool = False  # whether the text encoder stays as it is while the flow is learned
    prompt_dropout: float = 0.1  # probability that a training clip loses its prompt
    timestep_shift: float = 3.0  # see `shift_timesteps`
    uniform_timestep_prob: float = 0.0  # see `sample_timesteps`
    per_frame_timestep_prob: float = 0.0
    frame_difference_weight: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.hidden_dim % 6 or self.hidden_dim % self.num_heads or self.text_dim % self.num_heads:
            wanted = f"multiples of num_heads, {self.num_heads}, and hidden_dim of 6"
            raise CourseError(f"hidden_dim and text_dim must be {wanted}, got {self.hidden_dim} and {self.text_dim}.")
        for name in ("prompt_dropout", "uniform_timestep_prob", "per_frame_timestep_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise CourseError(f"{name} is a probability from 0 to 1, got {getattr(self, name)}.")

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
        condition: float `(B, T, 1, hidden_dim)` or `(B, 1, 1, hidden_dim)`: embedded timestep and prompt.
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
class SpaceTimeDiffusion(LatentDiffusion):
    """Latent video diffusion with a token for each place of each moment, conditioned on a prompt.

    Args:
        config: `SpaceTimeConfig`.

    Call arguments:
        inputs: dict of "noisy" `(B, T, latent_dim)`, normalised, "timesteps" `(B, T)` or `(B, 1)`, and "tokens" int
            `(B, prompt_length)`, 0 for none.

    Output shape:
        `(B, T, latent_dim)`, the velocity.

    References:
        Peebles and Xie, 2023, "Scalable diffusion models with transformers"; Brooks and others, 2024, "Video generation models as
        world simulators".
    """

    def __init__(self, config):
        super().__init__(config)

    def build_network(self):
        """A network of this model's sizes with new weights, save for the text encoder, which has the model's.

        Returns:
            `keras.Model`, see the call arguments.
        """
        config, hidden_dim = self.config, self.config.hidden_dim
        noisy = keras.Input((config.num_frames, config.latent_dim), name="noisy")
        t = keras.Input((config.num_frames if config.per_frame_timestep_prob else 1,), name="timesteps")
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
        condition = ops.expand_dims(condition, 2)  # (B, T or 1, D) -> (B, T or 1, 1, D)
        x = ops.reshape(noisy, (-1, config.num_frames, config.grid_size**2, config.latent_channels))
        x = layers.EinsumDense("btpc,pcd->btpd", (None, config.grid_size**2, hidden_dim), bias_axes="pd", name="entry")(x)
        x = x + space_time_positions(config)
        for _ in range(config.num_layers):
            x = SpaceTimeBlock(hidden_dim, config.num_heads)(x, condition, *context)
        x = AdaLNZero(hidden_dim, has_gate=False)(x, condition)
        velocity = layers.EinsumDense(
            "btpd,pdc->btpc",
            (None, config.grid_size**2, config.latent_channels),
            bias_axes="pc",
            kernel_initializer="zeros",
            dtype="float32",
            name="exit",
        )(x)
        velocity = ops.reshape(velocity, (-1, config.num_frames, config.latent_dim))
        network = keras.Model({"noisy": noisy, "timesteps": t, "tokens": tokens}, velocity, name="transformer")
        if hasattr(self, "network"):  # the flow is learned by a network whose text encoder has learned already
            encoder.set_weights(self.text_encoder.get_weights())
            encoder.trainable = not config.has_frozen_text
        return network

    @property
    def text_encoder(self):
        """`TextTransformer`, to be trained before the flow is learned."""
        return self.network.get_layer("text_encoder")
