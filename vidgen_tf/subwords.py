"""Prompts as subword tokens: a byte-pair encoding of the captions of all worlds, English and Chinese in one vocabulary."""

import difflib
import functools
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import tokenizers

from .errors import CourseError
from .files import atomic_path
from .tokenizer import dataset_of_prompt, excerpt

VOCABULARY_SIZE = 640  # tokens at most, from 1 on
PROMPT_LENGTH = 40  # tokens of a prompt
PATH = Path(__file__).with_name("subwords.json")
WORDS = re.compile(r"[a-z]+|[0-9]|[^\W\d_]|[^\w\s]")  # English words, digits, other letters one by one, punctuation


def normalize(text):
    """A text with one form of each letter, and small ones only.

    Args:
        text: str.

    Returns:
        str.
    """
    return unicodedata.normalize("NFKC", str(text)).lower()


def train(captions, path=PATH, vocabulary_size=VOCABULARY_SIZE):
    """Learns a vocabulary from captions and writes it: the parts that stand side by side most often become one token.

    Args:
        captions: dict from the name of a world to its captions, a sequence of str.
        path: file (.json) to write.
        vocabulary_size: int, tokens at most, unless the captions have more different letters.

    References:
        Sennrich, Haddow and Birch, 2016, "Neural machine translation of rare words with subword units".
    """
    words = {world: [WORDS.findall(normalize(caption)) for caption in texts] for world, texts in captions.items()}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocabulary_size, show_progress=False)
    tokenizer.train_from_iterator((normalize(caption) for texts in captions.values() for caption in texts), trainer)
    known = {world: sorted({word for caption in texts for word in caption}) for world, texts in words.items()}
    with atomic_path(path) as part:
        content = {"words": known, "tokenizer": json.loads(tokenizer.to_str())}
        Path(part).write_text(json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8")
    load.cache_clear()


@functools.cache
def load(path=PATH):
    """A vocabulary, read once.

    Args:
        path: file (.json) that `train` has written; by default that of the course's models.

    Returns:
        `tokenizers.Tokenizer`, and a dict from the name of a world to the frozenset of words that its captions have.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content["tokenizer"]))
    return tokenizer, {world: frozenset(words) for world, words in content["words"].items()}


def encode(prompts, world=None, length=PROMPT_LENGTH, path=PATH, is_strict=True):
    """Prompts as tokens.

    Args:
        prompts: sequence of N str, English or Chinese; "" is no prompt.
        world: str, the world whose captions must have the words; None for any.
        length: int, tokens of a row.
        path: file (.json) of the vocabulary.
        is_strict: whether unknown words and too many tokens are refused; else such words are taken for what their parts say,
            letters that no caption has are left out, and so is all beyond the length.

    Returns:
        int32 array `(N, length)`, from 1 to the size of the vocabulary, and 0 after the last token.

    Raises:
        CourseError: words that no caption has, or too many.
    """
    tokenizer, words = load(path)
    known = words[world] if world else frozenset().union(*words.values())
    ids = np.zeros((len(prompts), length), np.int32)
    for row, prompt in zip(ids, prompts):
        if is_strict and (unknown := unknown_words(prompt, known)):
            raise CourseError(_unknown(prompt, unknown, known, world))
        tokens = tokenizer.encode(normalize(prompt)).ids
        if is_strict and len(tokens) > length:
            shown = excerpt(str(prompt))
            raise CourseError(f"'{shown}' has {len(tokens)} tokens, and a prompt at most {length}: say it in fewer words.")
        row[: len(tokens)] = np.add(tokens[:length], 1)
    return ids


def unknown_words(prompt, known):
    """The words of a prompt that are in no caption.

    Args:
        prompt: str.
        known: set of str, the words of captions.

    Returns:
        list of str, each once, in their order.
    """
    return [word for word in dict.fromkeys(WORDS.findall(normalize(prompt))) if word not in known]


def _unknown(prompt, unknown, known, world):
    """The sentence about words that no caption has, with known ones that are spelled alike."""
    near = {word: difflib.get_close_matches(word, known, 2) for word in unknown}
    parts = [f"{excerpt(word)} (perhaps {' or '.join(found)}?)" if found else excerpt(word) for word, found in near.items()]
    of_world = f" in captions of {world}" if world else ""
    return f"'{excerpt(str(prompt))}' has words that the model never saw{of_world}: {', '.join(parts)}."


def is_about_faces(prompt):
    """Whether a word of a prompt is one that captions of faces alone have.

    Args:
        prompt: str.

    Returns:
        bool.
    """
    words = load()[1]
    others = frozenset().union(*(known for world, known in words.items() if world != "faces"))
    return not words["faces"].isdisjoint({*WORDS.findall(normalize(prompt))} - others)


def world_of_prompt(prompt):
    """The world that a text-to-video model of the zoo shows for a prompt.

    Args:
        prompt: str.

    Returns:
        str: "faces", see `is_about_faces`, else "digits" or "shapes".

    Raises:
        CourseError: unknown words, or words that don't belong together.
    """
    if is_about_faces(prompt):
        encode([prompt], "faces")
        return "faces"
    return dataset_of_prompt(prompt)


def decode(ids):
    """The pieces of text that tokens stand for.

    Args:
        ids: int array `(L,)` of `encode`.

    Returns:
        list of str, one for each token that isn't padding.
    """
    return [load()[0].id_to_token(int(i) - 1) for i in ids if i]
