"""An autoregressive transformer (GPT) over the tokens of a clip, with a caption in front; its keys and values can be cached."""

import dataclasses
import math

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError, check_whole
from .base import Config, ConfiguredModel
from .code_embedding import CodeEmbedding, CodeHead

BATCH_SIZE = 64  # clips whose logits are computed at once


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class GPTConfig(Config):
    """Sizes of an autoregressive transformer over a condition and the tokens of a clip.

    Raises:
        CourseError: a size below 1, heads that don't divide the hidden dimension, or a probability beyond [0, 1].
    """

    levels: tuple[int, ...] = (8, 5, 5, 5)  # of the tokenizer's codes; their product is the number of codes
    num_tokens: int = 60  # of a clip
    num_condition_ids: int = 1  # values of an id of the condition, from 1; 0 stands for none
    condition_length: int = 1  # ids in front of the tokens
    hidden_dim: int = 96
    num_layers: int = 4  # transformer blocks
    num_heads: int = 4  # of the attention
    condition_dropout: float = 0.1  # probability that a training clip loses its condition

    def __post_init__(self):
        super().__post_init__()
        check_whole(1, **{"len(levels)": len(self.levels)})
        if self.hidden_dim % self.num_heads:
            raise CourseError(f"hidden_dim must be a multiple of num_heads, {self.num_heads}, got {self.hidden_dim}.")
        if not 0 <= self.condition_dropout <= 1:
            raise CourseError(f"condition_dropout is a probability from 0 to 1, got {self.condition_dropout}.")

    @property
    def num_codes(self):
        """int, values that a token may have."""
        return math.prod(self.levels)


def causal_mask(num_queries, num_keys, first=0):
    """Which positions each position may attend to: itself and those before it.

    Args:
        num_queries: int, how many positions ask.
        num_keys: int, how many can be attended to, from position 0 on.
        first: int or int tensor, position of the first one that asks.

    Returns:
        bool `(num_queries, num_keys)`.
    """
    return ops.arange(num_keys)[None, :] <= first + ops.arange(num_queries)[:, None]


def write_cache(cache, values, first):
    """Puts values into a cache, from a position on.

    Args:
        cache: float `(..., S, D)`.
        values: float `(..., T, D)`.
        first: int or int tensor, the position of the first of the T.

    Returns:
        float `(..., S, D)`.
    """
    index = ops.arange(cache.shape[-2]) - first  # of the value that belongs at each position, if there is one
    length = values.shape[-2]
    is_new = (index >= 0) & (index < length)
    spread = ops.take(values, ops.clip(index, 0, length - 1), axis=-2)  # (..., S, D)
    return ops.where(is_new[:, None], spread, cache)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class CausalSelfAttention(layers.Layer):
    """Multi-head self-attention in which no position attends to a later one.

    Args:
        hidden_dim: int, channels of x, of queries, keys and values (all heads together) and of the output.
        num_heads: int, a divisor of `hidden_dim`.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, T, hidden_dim)`.
        cache: None, or float `(B, 2, num_heads, S, hidden_dim / num_heads)`: keys and values of earlier positions.
        first: int or int tensor, position of the first of the T in the cache.

    Output shape:
        That of x; with a cache a tuple of this and the cache, to which the T positions have been added.

    References:
        Vaswani and others, 2017, "Attention is all you need".
        Shazeer, 2019, "Fast transformer decoding: one write-head is all you need" (what cached keys and values cost).
    """

    def __init__(self, hidden_dim, num_heads, **options):
        super().__init__(**options)
        self.hidden_dim, self.num_heads = hidden_dim, num_heads
        self.qkv, self.out = layers.Dense(3 * hidden_dim), layers.Dense(hidden_dim)

    def build(self, x_shape, cache_shape=None):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            cache_shape: unused; it follows.
        """
        self.qkv.build(x_shape)
        self.out.build(x_shape)

    def call(self, x, cache=None, first=0):
        parts = ops.split(self.qkv(x), 3, axis=-1)
        q, k, v = (self._split_heads(part) for part in parts)  # (B, T, hidden_dim) -> (B, heads, T, head_dim)
        if cache is not None:
            cache = write_cache(cache, ops.stack([k, v], axis=1), first)
            k, v = cache[:, 0], cache[:, 1]  # (B, heads, S, head_dim)
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / math.sqrt(q.shape[-1])  # (B, heads, T, S)
        mask = causal_mask(scores.shape[-2], scores.shape[-1], first)
        scores = ops.where(mask, ops.cast(scores, "float32"), -1e9)
        attended = ops.cast(ops.softmax(scores), v.dtype) @ v  # (B, heads, T, head_dim)
        attended = ops.transpose(attended, (0, 2, 1, 3))  # -> (B, T, heads, head_dim)
        attended = self.out(ops.reshape(attended, (-1, x.shape[1], self.hidden_dim)))
        return attended if cache is None else (attended, cache)

    def _split_heads(self, x):
        """From `(B, T, hidden_dim)` to `(B, heads, T, head_dim)`."""
        shape = (-1, x.shape[1], self.num_heads, self.hidden_dim // self.num_heads)
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"hidden_dim": self.hidden_dim, "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class GPTBlock(layers.Layer):
    """Transformer block: causal self-attention, then an MLP, each on a normalised copy and added.

    Args:
        hidden_dim: int, size of a token.
        num_heads: int, heads of the attention.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x, cache, first: see `CausalSelfAttention`.

    Output shape:
        As of `CausalSelfAttention`.

    References:
        Radford and others, 2019, "Language models are unsupervised multitask learners" (normalisation before each part).
    """

    def __init__(self, hidden_dim, num_heads, **options):
        super().__init__(**options)
        self.hidden_dim, self.num_heads = hidden_dim, num_heads
        self.attention_norm, self.mlp_norm = layers.LayerNormalization(), layers.LayerNormalization()
        self.attention = CausalSelfAttention(hidden_dim, num_heads)
        self.mlp_in, self.mlp_out = layers.Dense(4 * hidden_dim, activation="gelu"), layers.Dense(hidden_dim)

    def build(self, x_shape, cache_shape=None):
        """Makes the weights.

        Args:
            x_shape: shape of x.
            cache_shape: unused; it follows.
        """
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.mlp_in):
            layer.build(x_shape)
        self.mlp_out.build((*x_shape[:-1], 4 * self.hidden_dim))

    def call(self, x, cache=None, first=0):
        attended = self.attention(self.attention_norm(x), cache=cache, first=first)
        attended, cache = attended if cache is not None else (attended, None)
        x = x + attended
        x = x + self.mlp_out(self.mlp_in(self.mlp_norm(x)))
        return x if cache is None else (x, cache)

    def get_config(self):
        """The block's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"hidden_dim": self.hidden_dim, "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class TokenEmbedding(layers.Layer):
    """Vectors of what a GPT reads: of the ids of a condition, and of the tokens of a clip.

    The vector of each is the sum of two: which id or code it is, and where it stands.

    Args:
        config: `GPTConfig`.
        **options: of `keras.layers.Layer`.

    Call arguments:
        tokens: int `(B, T)`.
        first: int or int tensor, number of the first of them in the clip.

    Output shape:
        `(B, T, hidden_dim)`.
    """

    def __init__(self, config, **options):
        super().__init__(**options)
        self.config = config
        start = keras.initializers.RandomNormal(stddev=0.5)
        num_positions = config.condition_length + config.num_tokens
        self.conditions = layers.Embedding(config.num_condition_ids + 1, config.hidden_dim, start)
        self.positions = layers.Embedding(num_positions, config.hidden_dim, start)
        self.codes = CodeEmbedding(config.levels, config.hidden_dim)

    def build(self, tokens_shape):
        """Makes the weights.

        Args:
            tokens_shape: shape of the tokens.
        """
        for embedding in (self.conditions, self.positions, self.codes):
            embedding.build(tokens_shape)

    def call(self, tokens, first=0):
        position = self.config.condition_length + first + ops.arange(tokens.shape[1])
        return self.codes(tokens) + self.positions(position)

    def embed_condition(self, condition):
        """Vectors of a condition.

        Args:
            condition: int `(B, condition_length)`.

        Returns:
            float `(B, condition_length, hidden_dim)`.
        """
        return self.conditions(condition) + self.positions(ops.arange(self.config.condition_length))

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"config": keras.saving.serialize_keras_object(self.config)}

    @classmethod
    def from_config(cls, config):
        """A new layer from what `get_config` returned.

        Args:
            config: dict.

        Returns:
            `TokenEmbedding`.
        """
        return cls(keras.saving.deserialize_keras_object(config.pop("config")), **config)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class GPT(ConfiguredModel):
    """An autoregressive transformer: logits of each token of a clip, given a condition and those before.

    Args:
        config: `GPTConfig`.
        seed: int, of the dropout of conditions in training.

    Call arguments:
        inputs: dict of "condition", int `(B, condition_length)`, 0 where there is none, and "tokens", int `(B, num_tokens)`. The
            last token is read by nothing.
        training: whether conditions undergo dropout.

    Output shape:
        `(B, num_tokens, num_codes)`, float32: the logits of each token.

    References:
        Radford and others, 2019, "Language models are unsupervised multitask learners"; Yan and others, 2021, "VideoGPT: video
        generation using VQ-VAE and transformers".
    """

    def __init__(self, config, seed=0):
        super().__init__(name="gpt")
        self.config, self.seed, self.seed_generator = config, seed, keras.random.SeedGenerator(seed)
        self.embedding = TokenEmbedding(config)
        self.blocks = [GPTBlock(config.hidden_dim, config.num_heads) for _ in range(config.num_layers)]
        self.norm, self.head = layers.LayerNormalization(), CodeHead(config.levels, config.hidden_dim)
        for layer in (*self.blocks, self.norm, self.head):
            layer.build((None, None, config.hidden_dim))
        self.embedding.build((None, None))
        self.bits_tracker = keras.metrics.Mean(name="bits_per_token")
        self.build({"condition": (None, config.condition_length), "tokens": (None, config.num_tokens)})

    def call(self, inputs, training=False):
        """Logits of all tokens at once, each given the true tokens before it (teacher forcing)."""
        condition, tokens = inputs["condition"], inputs["tokens"]
        if training:
            shape = (ops.shape(condition)[0], 1)
            draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
            condition = ops.where(draws < self.config.condition_dropout, 0, condition)
        x = self.read(condition, tokens[:, :-1])
        known = x[:, self.config.condition_length - 1 :]  # the condition's last position knows no token
        return self.head(self.norm(known))

    def read(self, condition, tokens):
        """Runs all blocks on a condition and tokens, in parallel.

        Args:
            condition: int `(B, condition_length)`.
            tokens: int `(B, T)`.

        Returns:
            float `(B, condition_length + T, hidden_dim)`; position i knows all positions up to i.
        """
        x = ops.concatenate([self.embedding.embed_condition(condition), self.embedding(tokens)], axis=1)
        for block in self.blocks:
            x = block(x)
        return x

    def step(self, x, caches, first):
        """Goes on by some positions, with the keys and values of all earlier ones in caches.

        Args:
            x: float `(B, T, hidden_dim)`, vectors of the new positions.
            caches: list of a cache for each block, see `empty_caches`.
            first: int or int tensor, position of the first new one; those of the condition count.

        Returns:
            logits of what follows the last new position, float32 `(B, num_codes)`, and the caches.
        """
        updated = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block(x, cache=cache, first=first)
            updated.append(cache)
        return self.head(self.norm(x[:, -1])), updated

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of the tokens.

        Args:
            x: dict of "condition" and "tokens".
            y: unused: the tokens are the target.
            y_pred: float `(B, num_tokens, num_codes)`, the logits.
            sample_weight: unused.
            training: unused.

        Returns:
            float scalar: the mean of -log p over tokens, in nats.
        """
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(x["tokens"], y_pred, from_logits=True))
        self.bits_tracker.update_state(loss / math.log(2))
        return loss


def empty_caches(model, count):
    """Caches of keys and values for a condition and the tokens of clips.

    Args:
        model: `GPT`.
        count: int or int tensor, how many clips.

    Returns:
        list of float `(count, 2, num_heads, condition_length + num_tokens, hidden_dim / num_heads)`, one for each block.
    """
    config = model.config
    shape = (config.num_heads, config.condition_length + config.num_tokens, config.hidden_dim // config.num_heads)
    return [ops.zeros((count, 2, *shape), model.compute_dtype) for _ in model.blocks]


def token_bits(model, condition, tokens):
    """What each token of clips costs, in bits: -log2 of the probability that a model gives it.

    Args:
        model: `GPT`.
        condition: int array `(N, condition_length)`.
        tokens: int array `(N, num_tokens)`.

    Returns:
        float32 array `(N, num_tokens)`.
    """
    parts = []
    for first in range(0, len(tokens), BATCH_SIZE):
        batch = {"condition": condition[first : first + BATCH_SIZE], "tokens": tokens[first : first + BATCH_SIZE]}
        logits = model.predict_on_batch(batch)
        top = logits.max(axis=-1, keepdims=True)
        total = top[..., 0] + np.log(np.exp(logits - top).sum(axis=-1))
        parts.append((total - np.take_along_axis(logits, batch["tokens"][..., None], axis=-1)[..., 0]) / np.log(2))
    return np.concatenate(parts)
