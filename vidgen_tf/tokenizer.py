"""Captions as token ids: one small vocabulary for English and Simplified Chinese, for shapes and for digits.

A caption is split into words. A token id stands for a word in its phrase: a phrase begins at each "a" or "then",
一个 or 再. So "red" of the first object and "red" of the second are two ids, and so are "up" before and after "then".
"""

import re
import unicodedata

import numpy as np

from .errors import CourseError
from .worlds import digits, shapes

# Attribute -> the words that name its values. Their order makes the token ids, so it must never change: weights depend on it.
# A motion takes several words, which stand in the captions of both worlds. Stop words name no value.
ATTRIBUTES = {
    "digit": digits.attributes["digit"],
    "size": (*shapes.SIZES, *shapes.SIZES_ZH),
    "color": (*shapes.COLORS, *shapes.COLORS_ZH),
    "shape": (*shapes.SHAPES, *shapes.SHAPES_ZH),
    "motion": (
        *("left", "right", "up", "down", "then", "falls", "bounces", "stays", "still", "collide"),
        *("先", "再", "向左", "向右", "向上", "向下", "下落", "弹起", "静止", "不动", "相撞"),
    ),
    "stop words": (
        *("a", "and", "moves", "the", "digit", "is", "moving", "."),
        *("一个", "的", "和", "，", "移动", "并", "数字", "在", "。"),
    ),
}
WORDS = tuple(word for words in ATTRIBUTES.values() for word in words)
WORD_ATTRIBUTES = np.repeat(np.arange(len(ATTRIBUTES), dtype=np.int32), [len(words) for words in ATTRIBUTES.values()])
MAX_PHRASES = 2
MAX_LENGTH = 20  # words of a caption
VOCABULARY_SIZE = MAX_PHRASES * len(WORDS)  # token ids, from 1; 0 is padding

SPELLINGS = {"an": "a", ",": "，"}  # read as words that captions have
PHRASE_STARTS = {"a", "then", "一个", "再"}
DIGITS_WORDS = {*digits.attributes["digit"], "the", "digit", "is", "moving", "then", ".", "数字", "先", "再", "在", "。"}
SHARED_WORDS = {"left", "right", "up", "down", "向左", "向右", "向上", "向下", "移动"}
SHAPES_WORDS = {*WORDS} - DIGITS_WORDS - SHARED_WORDS

# Word -> the value that it names, the same in both languages: red and 红色 are color 0.
VALUES = {
    word: (attribute, i % len((shapes.attributes | digits.attributes)[attribute]))
    for attribute in ("digit", "size", "color", "shape")
    for i, word in enumerate(ATTRIBUTES[attribute])
}

# What captions are split into. Chinese has no spaces, so the longest of its words comes first; a Chinese sign that is in none of
# them is a word of its own, and so is any other sign that is no letter.
_CHINESE = sorted((word for word in WORDS if not word.isascii()), key=len, reverse=True)
_LETTERS = r"(?:[^\W\d_\u3400-\u9fff][\u0300-\u036f]*)+"
PIECES = re.compile("|".join([*_CHINESE, rf"{_LETTERS}(?:['’]{_LETTERS})*", r"\d+", r"\S"]))


def excerpt(text, length=60):
    """Text as an error message shows it: its beginning, with characters that can't be seen as escapes.

    Args:
        text: str.
        length: characters to show, at most.

    Returns:
        str.
    """
    text = text if len(text) <= length else f"{text[:length].rstrip()} ..."
    hidden = {sign for sign in text if not sign.isprintable() or "\ufe00" <= sign <= "\ufe0f"}  # as well, variation selectors
    return "".join(sign.encode("unicode_escape").decode() if sign in hidden else sign for sign in text)


def split_words(caption):
    """The words of a caption, in either language.

    Args:
        caption: str.

    Returns:
        list of str, all in `WORDS`.

    Raises:
        CourseError: words that are not in the vocabulary.
    """
    text = unicodedata.normalize("NFKC", str(caption)).lower()
    words = [SPELLINGS.get(piece, piece) for piece in PIECES.findall(text)]
    unknown = " ".join(dict.fromkeys(word for word in words if word not in WORDS))
    if unknown:
        shown, unknown, known = excerpt(str(caption)), excerpt(unknown), " ".join(WORDS)
        raise CourseError(f"'{shown}' has words that the model never saw: {unknown}. It knows {known}")
    return words


def tokenize(captions):
    """Captions as token ids.

    Args:
        captions: sequence of N str, English or Chinese, or a mixture; "" is a caption without words.

    Returns:
        int32 array `(N, MAX_LENGTH)` from 1 to `VOCABULARY_SIZE`, 0 (padding) after the last word.

    Raises:
        CourseError: words that are not in the vocabulary, too many words, more than two phrases, or a phrase that contradicts
            itself.
    """
    ids = np.zeros((len(captions), MAX_LENGTH), np.int32)
    for row, caption in zip(ids, captions):
        words, phrase = split_words(caption), 0
        shown = excerpt(str(caption))
        if len(words) > MAX_LENGTH:
            raise CourseError(f"'{shown}' has {len(words)} words, but a caption has at most {MAX_LENGTH}.")
        for i, word in enumerate(words):
            phrase += word in PHRASE_STARTS and i > 0
            if phrase == MAX_PHRASES:
                objects = f"{MAX_PHRASES} objects or motions"
                raise CourseError(f"'{shown}' asks for more than {objects}: no caption does that.")
            row[i] = 1 + WORDS.index(word) + phrase * len(WORDS)
        refuse_contradictions(shown, row)
    return ids


def refuse_contradictions(caption, ids):
    """Checks that no phrase names two values of an attribute, and the whole no two digits; motions may be combined.

    Args:
        caption: str, as the message shows it.
        ids: int array `(L,)`, its token ids.

    Raises:
        CourseError: two different values of one attribute.
    """
    named = {}
    for i in ids[ids > 0] - 1:
        word, phrase = WORDS[i % len(WORDS)], i // len(WORDS)
        if word in VALUES:
            attribute, value = VALUES[word]
            place = attribute if attribute == "digit" else (attribute, phrase)
            other, same = named.setdefault(place, (word, value))
            if same != value:
                remedy = "name one" if attribute == "digit" else "name one, or begin a second object with 'a' or '一个'"
                raise CourseError(f"'{caption}' contradicts itself, '{other}' and '{word}' are both its {attribute}: {remedy}.")


def detokenize(ids):
    """The captions that token ids stand for.

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


def dataset_of_prompt(caption):
    """The data set whose captions have a prompt's words.

    Args:
        caption: str.

    Returns:
        "digits" or "shapes".

    Raises:
        CourseError: words that are not in the vocabulary, words of both data sets, or none that only one of them has.
    """
    words = dict.fromkeys(split_words(caption))
    of_digits, of_shapes = ([f"'{word}'" for word in words if word in own] for own in (DIGITS_WORDS, SHAPES_WORDS))
    if bool(of_digits) == bool(of_shapes):
        mixed = f"mixes {', '.join(of_digits)} (of digits) and {', '.join(of_shapes)} (of shapes)"
        found = mixed if of_digits else "names neither a digit nor a shape"
        raise CourseError(
            f"'{excerpt(str(caption))}' {found}: ask for digits, 'the digit 3 is moving up then down .', or for shapes, 'a red "
            "circle falls'."
        )
    return "digits" if of_digits else "shapes"


def drop_attribute(ids, attribute):
    """Partial captions that leave an attribute open.

    Args:
        ids: int array `(N, L)` of `tokenize`.
        attribute: a name in `ATTRIBUTES` but "stop words", or "all" for a caption without words.

    Returns:
        int array of the same shape, 0 in place of the words that name its values.

    Raises:
        CourseError: an unknown attribute.
    """
    names = [name for name in ATTRIBUTES if name != "stop words"]
    if attribute not in [*names, "all"]:
        raise CourseError(f"Guidance is for all, or for {', '.join(names)}, not for {attribute!r}.")
    if attribute == "all":
        return np.zeros_like(ids)
    return np.where(WORD_ATTRIBUTES[(ids - 1) % len(WORDS)] == list(ATTRIBUTES).index(attribute), 0, ids)


def count_phrases(ids):
    """Number of phrases of captions.

    Args:
        ids: int array `(N, L)` of `tokenize`.

    Returns:
        int array `(N,)`: 0 for a caption without words.
    """
    return np.max((ids - 1) // len(WORDS) + 1, axis=1)


def swap_phrases(ids):
    """Captions whose phrases have changed places: the words of the second object come first.

    Args:
        ids: int array `(N, L)` of `tokenize`.

    Returns:
        int array of the same shape.
    """
    return np.where(ids > len(WORDS), ids - len(WORDS), np.where(ids > 0, ids + len(WORDS), 0))
