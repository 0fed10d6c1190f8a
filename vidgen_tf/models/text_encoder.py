"""Text encoder: token embeddings of a caption, and their pooled projection."""

import keras
from keras import layers, ops
from ..tokenizer import ATTRIBUTES, KINDS, PHRASES, VOCABULARY, WORDS


class TextEncoder(layers.Layer):
    """A caption as a vector for each word, and one for all of them together.

    A word's vector does not depend on the words beside it: red is red whatever it describes, and in pairs never seen as well.
    Words that tell nothing by themselves, such as "a" and "is", are not listened to.
    While it trains, captions are as people write them: here the colour is left open, there the motion, there everything.

    Args:
        width: numbers in a vector.
        one: how often each attribute is left out, of both count_phrases; and how often, of each phrase alone.
        whole: how often a whole caption is left out.

    Call arguments:
        words: int `(B, L)` of `tokenize`.
        training: whether words are left out.

    Output shape:
        A tuple: vectors `(B, L, width)`; float `(B, L)`, 1 where a word tells something and 0 elsewhere; `(B, 1, width)`.
    """

    def __init__(self, width, one=0.1, whole=0.1):
        super().__init__()
        self.one, self.whole, self.seed_generator = one, whole, keras.random.SeedGenerator(3)
        loud = keras.initializers.RandomNormal(stddev=1.0, seed=4)  # quiet ones would take long to be heard
        self.vectors = layers.Embedding(VOCABULARY + 1, width, embeddings_initializer=loud)
        self.together = layers.Dense(width)

    def call(self, words, training=False):
        if training:
            words = self.left_out(words)
        tells = self.kinds(words) < len(ATTRIBUTES) - 1  # "a" and "is" tell nothing
        said = ops.cast((words > 0) & tells, "float32")
        vectors = self.vectors(words) * said[..., None]
        total = ops.sum(vectors, axis=1, keepdims=True) / 4  # of up to 16 words: as loud as one
        return vectors, said, self.together(total)

    def left_out(self, words):
        """Captions that leave something open.

        Args:
            words: int tensor `(B, L)`.

        Returns:
            int tensor `(B, L)`, 0 in place of the words that are left out.
        """
        count = len(ATTRIBUTES)
        # A draw for the whole caption, one for each attribute, and one for each attribute in each phrase.
        shape = (ops.shape(words)[0], 1 + count * (1 + PHRASES))
        draws = keras.random.uniform(shape, seed=self.seed_generator)
        kind, phrase = self.kinds(words), (words - 1) // len(WORDS)
        keep = draws[:, :1] >= self.whole
        for place in (1 + kind, 1 + count * (1 + ops.maximum(phrase, 0)) + kind):
            stays = ops.take_along_axis(draws, place, axis=1) >= self.one
            keep = keep & stays
        return ops.where(keep, words, 0)

    def kinds(self, words):
        """What each word tells.

        Args:
            words: int tensor `(B, L)`.

        Returns:
            int tensor `(B, L)`, the number of its row in `ATTRIBUTES`.
        """
        return ops.take(ops.convert_to_tensor(KINDS), (words - 1) % len(WORDS))
