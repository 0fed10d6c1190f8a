"""Codes of finite scalar quantisation at both ends of a network: vectors of codes, and logits over them."""

import math

import keras
import numpy as np
from keras import layers, ops

from .video_tokenizer import FiniteScalarQuantizer


@keras.saving.register_keras_serializable(package="vidgen_tf")
class CodeEmbedding(layers.Layer):
    """Vectors of codes of finite scalar quantisation: a code's own, plus one for each of its levels.

    Codes that share a level share a part of their vectors. So what is learned of a code serves its neighbours too, which stand
    for almost the same picture; a plain table would have to learn each of the codes by itself.

    Args:
        levels: tuple of ints, how many values each number of a code may have.
        hidden_dim: int, size of a vector.
        stddev: float, standard deviation of the vectors at the start.
        **options: of `keras.layers.Layer`.

    Call arguments:
        ids: int `(...)`, numbers of codes, as `FiniteScalarQuantizer.codes_to_ids` gives them.

    Output shape:
        `(..., hidden_dim)`.

    References:
        Yu and others, 2024, "Language model beats diffusion: tokenizer is key to visual generation" (tokens as sums of parts).
    """

    def __init__(self, levels, hidden_dim, stddev=0.5, **options):
        super().__init__(**options)
        self.levels, self.hidden_dim, self.stddev = tuple(levels), hidden_dim, stddev
        level_of_code = FiniteScalarQuantizer(levels).ids_to_levels(np.arange(math.prod(self.levels)))
        self.level_of_code = np.asarray(level_of_code)  # (num_codes, len(levels))

    def build(self, ids_shape=None):
        """Makes the weights.

        Args:
            ids_shape: unused.
        """
        sizes = (math.prod(self.levels), *self.levels)
        start = keras.initializers.RandomNormal(stddev=self.stddev / math.sqrt(len(sizes)))
        tables = [self.add_weight((size, self.hidden_dim), initializer=start) for size in sizes]
        self.own, self.of_level = tables[0], tables[1:]

    def call(self, ids):
        return ops.take(self.table(), ids, axis=0)

    def table(self):
        """The vectors of all codes.

        Returns:
            float `(num_codes, hidden_dim)`.
        """
        total = self.own
        for of_level, level in zip(self.of_level, self.level_of_code.T, strict=True):
            total = total + ops.take(of_level, level, axis=0)
        return total

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        own = {name: getattr(self, name) for name in ("hidden_dim", "stddev")}
        return super().get_config() | own | {"levels": list(self.levels)}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class CodeHead(layers.Layer):
    """Logits of codes: the scalar product of a hidden vector with each code's vector, plus a bias.

    Args:
        levels: tuple of ints, how many values each number of a code may have.
        hidden_dim: int, size of a hidden vector.
        **options: of `keras.layers.Layer`.

    Call arguments:
        x: float `(..., hidden_dim)`.

    Output shape:
        `(..., num_codes)`, float32.
    """

    def __init__(self, levels, hidden_dim, **options):
        super().__init__(**{"dtype": "float32"} | options)  # probabilities need more than half precision
        self.levels, self.hidden_dim = tuple(levels), hidden_dim
        self.codes = CodeEmbedding(levels, hidden_dim, 1 / math.sqrt(hidden_dim), dtype="float32")

    def build(self, x_shape=None):
        """Makes the weights.

        Args:
            x_shape: unused.
        """
        self.codes.build()
        self.bias = self.add_weight((math.prod(self.levels),), initializer="zeros", name="bias")

    def call(self, x):
        return x @ ops.transpose(self.codes.table()) + self.bias

    def get_config(self):
        """The layer's arguments, so that a saved model can be loaded.

        Returns:
            dict.
        """
        return super().get_config() | {"hidden_dim": self.hidden_dim, "levels": list(self.levels)}
