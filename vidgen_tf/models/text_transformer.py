"""Text encoder: a small transformer over the subword tokens of a prompt, trained before what it steers, or together with it."""

import keras
import numpy as np
from keras import layers, ops

from ..layers import sinusoidal_embedding


@keras.saving.register_keras_serializable(package="vidgen_tf")
class TextTransformer(layers.Layer):
    """A bidirectional transformer: a vector of each token that knows its neighbours, and one of the whole prompt.

    In training, whole prompts are dropped at random, for classifier-free guidance.

    Args:
        vocabulary_size: int, tokens from 1 on; 0 is padding.
        hidden_dim: int, size of a vector.
        num_layers: int, transformer blocks.
        num_heads: int, heads of the attention.
        max_length: int, tokens of a prompt.
        dropout: float in [0, 1], probability that a prompt is dropped in training.
        **options: of `keras.layers.Layer`.

    Call arguments:
        tokens: int `(B, max_length)`.
        training: whether prompts are dropped.

    Output shape:
        A tuple: vectors `(B, max_length, hidden_dim)`; mask, float `(B, max_length)`, 1 where there is a token; the prompt's
        vector, `(B, 1, hidden_dim)`, 0 of an empty prompt.

    References:
        Vaswani and others, 2017, "Attention is all you need" (encoder); Xiong and others, 2020, "On layer normalization in the
        transformer architecture" (normalisation before each part); Ho and Salimans, 2022, "Classifier-free diffusion guidance".
    """

    def __init__(self, vocabulary_size, hidden_dim, num_layers, num_heads, max_length, dropout=0.1, **options):
        super().__init__(**options)
        self.vocabulary_size, self.hidden_dim, self.num_layers = vocabulary_size, hidden_dim, num_layers
        self.num_heads, self.max_length, self.dropout = num_heads, max_length, dropout
        self.seed_generator = keras.random.SeedGenerator(3)
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=4)  # as loud as the positions
        self.embedding = layers.Embedding(vocabulary_size + 1, hidden_dim, initializer)
        self.blocks = [self._block() for _ in range(num_layers)]
        self.norm, self.pooled_projection = layers.LayerNormalization(), layers.Dense(hidden_dim)

    def _block(self):
        """The layers of a block: attention and its normalisation, an MLP and its normalisation."""
        attention = layers.MultiHeadAttention(self.num_heads, self.hidden_dim // self.num_heads)
        mlp = layers.Dense(4 * self.hidden_dim, activation="gelu"), layers.Dense(self.hidden_dim)
        return [layers.LayerNormalization(), attention, layers.LayerNormalization(), *mlp]

    def build(self, tokens_shape):
        """Makes the weights.

        Args:
            tokens_shape: shape of the tokens.
        """
        shape = (*tokens_shape[:-1], self.max_length, self.hidden_dim)
        self.embedding.build(tokens_shape)
        for attention_norm, attention, mlp_norm, mlp_in, mlp_out in self.blocks:
            attention.build(shape, shape)
            for layer in (attention_norm, mlp_norm, mlp_in):
                layer.build(shape)
            mlp_out.build((*shape[:-1], 4 * self.hidden_dim))
        self.norm.build(shape)
        self.pooled_projection.build((*tokens_shape[:-1], 1, self.hidden_dim))

    def call(self, tokens, training=False):
        if training:
            draws = keras.random.uniform((ops.shape(tokens)[0], 1), seed=self.seed_generator)
            tokens = ops.where(draws >= self.dropout, tokens, 0)
        is_token = tokens > 0
        positions = sinusoidal_embedding(np.arange(self.max_length, dtype=np.float32), self.hidden_dim, 100.0)
        x = self.embedding(tokens) + ops.cast(positions, self.compute_dtype)
        for attention_norm, attention, mlp_norm, mlp_in, mlp_out in self.blocks:
            normed = attention_norm(x)
            x = x + attention(normed, normed, attention_mask=is_token[:, None])  # padding is attended to by nobody
            x = x + mlp_out(mlp_in(mlp_norm(x)))
        mask = ops.cast(is_token, x.dtype)
        x = self.norm(x) * mask[..., None]
        pooled = ops.sum(x, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1), 1)[:, None, None]
        return x, mask, self.pooled_projection(pooled)

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        names = ("vocabulary_size", "hidden_dim", "num_layers", "num_heads", "max_length", "dropout")
        return super().get_config() | {name: getattr(self, name) for name in names}
