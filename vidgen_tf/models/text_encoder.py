"""Text encoder: token embeddings of a caption, and their pooled projection."""

import keras
from keras import layers, ops

from ..tokenizer import ATTRIBUTES, MAX_PHRASES, VOCABULARY_SIZE, WORD_ATTRIBUTES, WORDS

STOP_WORDS = list(ATTRIBUTES).index("stop words")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class TextEncoder(layers.Layer):
    """Bag-of-words text encoder: an embedding of each token, and a pooled one of the caption.

    Token embeddings are for cross-attention. They do not depend on a token's neighbours, so that "red" is the same in held-out
    attribute combinations. Stop words are masked. In training, captions undergo dropout: whole captions for classifier-free
    guidance, and single attributes for guidance by attribute and for partial captions.

    Args:
        hidden_dim: int, size of an embedding.
        attribute_dropout: float in [0, 1], probability that an attribute is dropped from both phrases, and, drawn apart, from
            each phrase alone.
        caption_dropout: float in [0, 1], probability that a whole caption is dropped.
        **options: of `keras.layers.Layer`.

    Call arguments:
        tokens: int `(B, L)` of `tokenize`.
        training: whether captions undergo dropout.

    Output shape:
        A tuple: token embeddings `(B, L, hidden_dim)`, 0 where masked; mask, float `(B, L)`, 1 for words that have an attribute
        and 0 for stop words and padding; pooled embedding `(B, 1, hidden_dim)`.

    References:
        Ho and Salimans, 2022, "Classifier-free diffusion guidance" (caption dropout).
    """

    def __init__(self, hidden_dim, attribute_dropout=0.1, caption_dropout=0.1, **options):
        super().__init__(**options)
        self.hidden_dim, self.seed_generator = hidden_dim, keras.random.SeedGenerator(3)
        self.attribute_dropout, self.caption_dropout = attribute_dropout, caption_dropout
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=4)  # 0.05 makes learning slow
        self.token_embeddings = layers.Embedding(VOCABULARY_SIZE + 1, hidden_dim, initializer)
        self.pooled_projection = layers.Dense(hidden_dim)

    def build(self, tokens_shape):
        """Makes the weights.

        Args:
            tokens_shape: shape of the tokens.
        """
        self.token_embeddings.build(tokens_shape)
        self.pooled_projection.build((*tokens_shape[:-1], self.hidden_dim))

    def call(self, tokens, training=False):
        if training:
            tokens = self.condition_dropout(tokens)
        has_attribute = self.attributes(tokens) != STOP_WORDS
        embeddings = self.token_embeddings(tokens)
        mask = ops.cast((tokens > 0) & has_attribute, embeddings.dtype)
        embeddings = embeddings * mask[..., None]
        pooled = ops.sum(embeddings, axis=1, keepdims=True) / 4  # up to 16 words: variance 1 again
        return embeddings, mask, self.pooled_projection(pooled)

    def condition_dropout(self, tokens):
        """Drops captions, and attributes of captions, at random.

        Args:
            tokens: int tensor `(B, L)`.

        Returns:
            int tensor `(B, L)`, 0 in place of dropped tokens.
        """
        count = len(ATTRIBUTES)
        # A draw for the whole caption, one for each attribute, and one for each attribute in each phrase.
        shape = (ops.shape(tokens)[0], 1 + count * (1 + MAX_PHRASES))
        draws = keras.random.uniform(shape, seed=self.seed_generator)
        attribute, phrase = self.attributes(tokens), (tokens - 1) // len(WORDS)
        keep = draws[:, :1] >= self.caption_dropout
        for index in (1 + attribute, 1 + count * (1 + ops.maximum(phrase, 0)) + attribute):
            keep_attribute = ops.take_along_axis(draws, index, axis=1) >= self.attribute_dropout
            keep = keep & keep_attribute
        return ops.where(keep, tokens, 0)

    def attributes(self, tokens):
        """The attribute of each token's word.

        Args:
            tokens: int tensor `(B, L)`.

        Returns:
            int tensor `(B, L)`, an index into `ATTRIBUTES`.
        """
        return ops.take(ops.convert_to_tensor(WORD_ATTRIBUTES), (tokens - 1) % len(WORDS))

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {
            "hidden_dim": self.hidden_dim,
            "attribute_dropout": self.attribute_dropout,
            "caption_dropout": self.caption_dropout,
        }
