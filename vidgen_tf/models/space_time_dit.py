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
    num_clusters: int = 32  # see `MixturePreconditioning`
    num_components: int = 256
    embedding_dim: int = 24
    timestep_shift: float = 4.0  # see `shift_timesteps`
    uniform_timestep_prob: ClassVar[float] = 0.0  # see `sample_timesteps`
    per_frame_timestep_prob: ClassVar[float] = 0.0  # the Gaussian of a clip has the same noise everywhere
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
class MixturePreconditioning(layers.Layer):
    """The velocity that would be best if clips were a mixture of Gaussians that depends on the prompt, for a network to correct.

    That velocity is known in closed form. A network that predicts 0, as a new one does, then samples clips of the mixture: all
    places agree on a colour and all moments on a movement. What is left to learn is what no mixture has.

    A clip's principal components, given the prompt's embedding, are Gaussian in each cluster of the mixture, with a mean that is
    linear in the embedding; what the components leave over of a clip are independent Gaussian numbers.

    Args:
        num_clusters: int, Gaussians of the mixture.
        num_components: int, principal components of a clip.
        embedding_dim: int, numbers of a prompt's embedding.
        **options: of `keras.layers.Layer`.

    Call arguments:
        noisy: float `(B, T, D)`, `(1 - t) * latents + t * noise`.
        t: float `(B, 1)`, timesteps in [0, 1].
        embedding: float `(B, embedding_dim)`, of the prompt.
        is_told: float `(B, 1)`, 1 where there is a prompt and 0 where there is none.

    Output shape:
        A tuple of three: `(B, T, D, 2)`, the noisy latents and the expected clean ones, each number divided by its standard
        deviation; `(B, T, D)`, the velocity; and `(B, T, D)`, the standard deviation of the true velocity around it.

    References:
        Wang and Vastola, 2024, "The unreasonable effectiveness of Gaussian score approximation for diffusion models and its
        applications"; Karras and others, 2022, "Elucidating the design space of diffusion-based generative models"
        (preconditioning).
    """

    def __init__(self, num_clusters, num_components, embedding_dim, **options):
        super().__init__(**options)
        self.num_clusters, self.num_components, self.embedding_dim = num_clusters, num_components, embedding_dim

    def build(self, noisy_shape, *unused_shapes):
        """Makes the weights; until `assign_mixture` clips are independent numbers of variance 1.

        Args:
            noisy_shape: shape of the noisy latents.
            *unused_shapes: they follow.
        """
        size, K, M, L = int(np.prod(noisy_shape[1:])), self.num_clusters, self.num_components, self.embedding_dim
        shapes = {
            "mean": (size,),
            "deviation": (size,),
            "basis": (size, M),
            "rest_variance": (size,),
            "rest_noise": (size,),
            "centres": (K, M),
            "slopes": (K, L, M),
            "axes": (K, M, M),
            "variances": (K, M),
            "prompt_centres": (K, L),
            "prompt_factors": (K, L, L),
            "log_priors": (K,),
            "log_scales": (K,),
        }
        for name, shape in shapes.items():
            start = "ones" if name in ("deviation", "rest_variance", "rest_noise", "variances") else "zeros"
            setattr(self, name, self.add_weight(shape=shape, initializer=start, trainable=False, name=name))

    def assign_mixture(self, values):
        """Takes over a mixture.

        Args:
            values: dict of arrays of `fit_mixture`, named as the weights.
        """
        for name, value in values.items():
            getattr(self, name).assign(value)

    def call(self, noisy, t, embedding, is_told):
        back, shape = ops.transpose(self.basis), (-1, *noisy.shape[1:])
        x = ops.reshape(noisy, (-1, self.basis.shape[0])) - (1 - t) * self.mean
        components = x @ self.basis
        log_shares, means = self.of_prompt(embedding, is_told)
        velocity, spread = mixture_velocity(components, t, log_shares, means, self.axes, self.variances)
        rest_slope, rest_spread = regress_velocity(t, self.rest_variance, self.rest_noise)
        velocity = velocity @ back + rest_slope * (x - components @ back)
        clean = x - t * velocity  # since x is the latents + t * velocity
        scaled = x / ops.sqrt(ops.square((1 - t) * self.deviation) + ops.square(t))
        inputs = ops.reshape(ops.stack([scaled, clean / self.deviation], axis=-1), (*shape, 2))
        spread = ops.sqrt(spread @ ops.square(back) + rest_spread)
        return inputs, ops.reshape(velocity - self.mean, shape), ops.reshape(spread, shape)

    def of_prompt(self, embedding, is_told):
        """What the mixture is for a prompt.

        Args:
            embedding, is_told: as for the call.

        Returns:
            float `(B, K)`, logarithms of the clusters' shares but for a constant; float `(B, K, num_components)`, their means.
        """
        away = (embedding[:, None] - self.prompt_centres) * is_told[
            ..., None
        ]  # (B, K, L); without a prompt in the middle of each
        squared = ops.sum(ops.square(ops.einsum("bkl,klj->bkj", away, self.prompt_factors)), axis=-1)
        log_shares = self.log_priors + is_told * (self.log_scales - squared / 2)
        return log_shares, self.centres + ops.einsum("bkl,klm->bkm", away, self.slopes)

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        names = ("num_clusters", "num_components", "embedding_dim")
        return super().get_config() | {name: getattr(self, name) for name in names}


def regress_velocity(t, variance, noise_variance):
    """The best linear guess of a velocity `noise - latent` from a noisy number, of a latent and a noise with mean 0.

    Args:
        t: float `(B, 1)`, timesteps.
        variance: float `(D,)`, of the latents.
        noise_variance: float, or `(D,)`, of the noise.

    Returns:
        float `(B, D)`, twice: the slope, and the variance of the velocity around the guess.
    """
    noisy_variance = ops.square(1 - t) * variance + ops.square(t) * noise_variance
    covariance = t * noise_variance - (1 - t) * variance
    return covariance / noisy_variance, variance * noise_variance / noisy_variance


def mixture_velocity(x, t, log_shares, means, axes, variances):
    """The best guess of the velocity `noise - latents` of latents that are a mixture of Gaussians.

    Args:
        x: float `(B, M)`, noisy latents.
        t: float `(B, 1)`, timesteps.
        log_shares: float `(B, K)`, logarithms of the shares of K Gaussians, but for a constant.
        means: float `(B, K, M)`, of each.
        axes: float `(K, M, M)`, in the columns of each matrix the directions in which a Gaussian's numbers don't covary.
        variances: float `(K, M)`, along these.

    Returns:
        float `(B, M)`, twice: the guess, and the variance of the velocity around it.
    """
    signal, noise = (1 - t)[..., None], t[..., None]
    along = ops.einsum("bkm,kmj->bkj", x[:, None] - signal * means, axes)
    noisy_variances = ops.square(signal) * variances + ops.square(noise)
    log_likelihood = -ops.sum(ops.log(noisy_variances) + ops.square(along) / noisy_variances, axis=-1) / 2
    share = ops.softmax(log_shares + log_likelihood)[..., None]  # how much each Gaussian has to do with x: (B, K, 1)
    slope, spread = regress_velocity(noise, variances, 1.0)
    velocities = ops.einsum("bkj,kmj->bkm", slope * along, axes) - means
    velocity = ops.sum(share * velocities, axis=1)
    spread = ops.einsum("bkj,kmj->bkm", spread, ops.square(axes)) + ops.square(velocities - velocity[:, None])
    return velocity, ops.sum(share * spread, axis=1)


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
        return keras.Model(tokens, self.network.get_layer("prompt_means").output)

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
        means = layers.Dense(hidden_dim, activation="gelu", name="prompt_hidden")(ops.squeeze(pooled, 1))
        means = layers.Dense(config.num_components, kernel_initializer="zeros", dtype="float32", name="prompt_means")(means)
        embedding = layers.Dense(config.embedding_dim, use_bias=False, trainable=False, dtype="float32", name="prompt_embedding")
        is_told = ops.cast(ops.max(context[1], axis=1, keepdims=True), "float32")
        mixture = MixturePreconditioning(
            config.num_clusters, config.num_components, config.embedding_dim, dtype="float32", name="preconditioning"
        )
        x, linear, scale = mixture(noisy, t, embedding(means), is_told)
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
        velocity = linear + scale * ops.reshape(correction, (-1, config.num_frames, config.latent_dim))
        network = keras.Model({"noisy": noisy, "timesteps": t, "tokens": tokens}, velocity, name="transformer")
        if hasattr(self, "network"):  # the flow is learned by a network whose text encoder has learned already
            network.set_weights(self.network.get_weights())
            for name in ("text_encoder", "prompt_hidden", "prompt_means"):
                network.get_layer(name).trainable = False
        return network
