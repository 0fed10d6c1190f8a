"""Captions as numbers: one small vocabulary for English and Simplified Chinese, for shapes and for digits.

A caption is cut into words. A word's id tells the word and the phrase that it stands in: a phrase begins at each "a" or "then",
一个 or 再. So "red" of the first object and "red" of the second are two ids, and so are "up" before and after "then".
"""

import re
import unicodedata

import keras
import numpy as np
from keras import layers, ops

from ..errors import CourseError

# What a word tells -> the words. The last row tells nothing by itself.
ATTRIBUTES = {
    "digit": "0 1 2 3 4 5 6 7 8 9",
    "size": "small large 小 大",
    "color": "red green blue yellow purple orange 红色 绿色 蓝色 黄色 紫色 橙色",
    "shape": "circle square triangle 圆形 正方形 三角形",
    "motion": "left right up down then falls bounces stays still collide 先 再 向左 向右 向上 向下 下落 弹起 静止 不动 相撞",
    "other": "a and moves the digit is moving . 一个 的 和 ， 移动 并 数字 在 。",
}
WORDS = tuple(" ".join(ATTRIBUTES.values()).split())
SPELLINGS = {"an": "a", ",": "，"}  # read as words that captions have
OF_DIGITS = {
    *"0123456789",
    "the",
    "digit",
    "is",
    "moving",
    "then",
    ".",
    "数字",
    "先",
    "再",
    "在",
    "。",
}  # no shape's caption has them
OF_BOTH = {"left", "right", "up", "down", "向左", "向右", "向上", "向下", "移动"}
OF_SHAPES = {*WORDS} - OF_DIGITS - OF_BOTH
BEGINS = {"a", "then", "一个", "再"}  # a phrase
PHRASES = 2
LENGTH = 20  # words, at most
VOCABULARY = PHRASES * len(WORDS)  # ids, from 1

# For each word the number of its row in ATTRIBUTES. What captions are cut into: Chinese has no spaces, so longest words first.
KINDS = np.array([list(ATTRIBUTES).index(kind) for kind, words in ATTRIBUTES.items() for _ in words.split()], np.int32)
_CHINESE = sorted((word for word in WORDS if not word.isascii()), key=len, reverse=True)
PIECES = re.compile("|".join([*_CHINESE, r"[a-z]+", r"\d+", r"\S"]))


def words_of(caption):
    """The words of a caption, in either language.

    Args:
        caption: str.

    Returns:
        list of str, all in `WORDS`.

    Raises:
        CourseError: words that no caption has.
    """
    text = unicodedata.normalize("NFKC", str(caption)).lower()
    pieces = [SPELLINGS.get(piece, piece) for piece in PIECES.findall(text)]
    unknown = " ".join(dict.fromkeys(piece for piece in pieces if piece not in WORDS))
    if unknown:
        known = " ".join(WORDS)
        raise CourseError(f"{caption!r} has words that the model never saw: {unknown}. It knows {known}")
    return pieces


def tokenize(captions):
    """Captions as word ids.

    Args:
        captions: sequence of N str, English or Chinese, or a mixture; "" asks for nothing.

    Returns:
        int32 array `(N, LENGTH)` from 1 to `VOCABULARY`, 0 behind the last word.

    Raises:
        CourseError: words that no caption has, too many of them, or more than two things or motions.
    """
    ids = np.zeros((len(captions), LENGTH), np.int32)
    for row, caption in zip(ids, captions):
        caption, phrase = str(caption), 0
        words = words_of(caption)
        if len(words) > LENGTH:
            raise CourseError(f"{caption!r} has {len(words)} words, but a caption has at most {LENGTH}.")
        for i, word in enumerate(words):
            phrase += word in BEGINS and i > 0
            if phrase == PHRASES:
                raise CourseError(f"{caption!r} asks for more than {PHRASES} things: no caption does that.")
            row[i] = 1 + WORDS.index(word) + phrase * len(WORDS)
    return ids


def detokenize(ids):
    """The captions that word ids stand for.

    Args:
        ids: int array `(N, L)` of `tokenize`.

    Returns:
        list of N str: words with spaces between them, or without where they are Chinese.
    """
    captions = []
    for row in ids:
        words = [WORDS[(i - 1) % len(WORDS)] for i in row if i]
        captions.append(("" if any(not word.isascii() for word in words) else " ").join(words))
    return captions


def world_of_prompt(caption):
    """Which world a prompt speaks of.

    Args:
        caption: str.

    Returns:
        "digits" or "shapes".

    Raises:
        CourseError: words that no caption has, words of both worlds, or none that only one of them has.
    """
    words = set(words_of(caption))
    digits, shapes = words & OF_DIGITS, words & OF_SHAPES
    if bool(digits) == bool(shapes):
        found = (
            f"mixes {' '.join(sorted(digits))} and {' '.join(sorted(shapes))}" if digits else "names neither a digit nor a shape"
        )
        raise CourseError(
            f"{caption!r} {found}: ask for digits, 'the digit 3 is moving up then down .', or for shapes, 'a red circle falls'."
        )
    return "digits" if digits else "shapes"


def without(ids, attribute):
    """Captions that leave something open.

    Args:
        ids: int array `(N, L)` of `tokenize`.
        attribute: a name in `ATTRIBUTES`, or "all".

    Returns:
        int array of the same shape, 0 in place of the words that tell it.

    Raises:
        CourseError: an unknown attribute.
    """
    names = [name for name in ATTRIBUTES if name != "other"]
    if attribute not in [*names, "all"]:
        raise CourseError(f"Guidance is for all, or for {', '.join(names)}, not for {attribute!r}.")
    if attribute == "all":
        return np.zeros_like(ids)
    return np.where(KINDS[(ids - 1) % len(WORDS)] == list(ATTRIBUTES).index(attribute), 0, ids)


def phrases(ids):
    """How many phrases captions have.

    Args:
        ids: int array `(N, L)` of `tokenize`.

    Returns:
        int array `(N,)`: 0 where nothing is asked for.
    """
    return np.max((ids - 1) // len(WORDS) + 1, axis=1)


def exchanged(ids):
    """Captions whose phrases have changed places: the words of the second thing come first.

    Args:
        ids: int array `(N, L)` of `tokenize`.

    Returns:
        int array of the same shape.
    """
    return np.where(ids > len(WORDS), ids - len(WORDS), np.where(ids > 0, ids + len(WORDS), 0))


class CaptionEncoder(layers.Layer):
    """A caption as a vector for each word, and one for all of them together.

    A word's vector does not depend on the words beside it: red is red whatever it describes, and in pairs never seen as well.
    Words that tell nothing by themselves, such as "a" and "is", are not listened to.
    While it trains, captions are as people write them: here the colour is left open, there the motion, there everything.

    Args:
        width: numbers in a vector.
        one: how often each attribute is left out, of both phrases; and how often, of each phrase alone.
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
