"""Prompts as people type them: what can't be made is said in one sentence that names what can, before a model is read."""

import difflib
import unicodedata

from .. import subwords
from ..errors import CourseError
from ..tokenizer import MAX_LENGTH, PIECES, SPELLINGS, WORDS, excerpt, tokenize
from .texts import Refused

MAX_CHARACTERS = 300  # of a prompt; the longest caption that the models know has about 80


def check_prompt(prompt):
    """The data set of a prompt that the text-to-video models can take.

    Args:
        prompt: str, as it was typed.

    Returns:
        str, "faces", "digits" or "shapes".

    Raises:
        Refused: no text, too much of it, or words that no model knows; the nearest known words are suggested.
        CourseError: what `tokenize` and `world_of_prompt` refuse: contradictions, more than two objects, words of both kinds.
    """
    prompt = check_text(prompt)
    of_faces = subwords.is_about_faces(prompt)
    known = subwords.load()[1]["faces"] if of_faces else WORDS
    if unknown := subwords.unknown_words(prompt, known) if of_faces else unknown_words(prompt):
        suggestions = "; ".join(f"{excerpt(word, 20)} → {' / '.join(nearest_words(word, known)) or '?'}" for word in unknown[:5])
        raise Refused("unknown_words", words=suggestions)
    dataset = subwords.world_of_prompt(prompt)
    if not of_faces:
        tokenize([prompt])
    return dataset


def check_text(text):
    """A prompt without blanks around it.

    Args:
        text: str or None.

    Returns:
        str.

    Raises:
        Refused: there is nothing in it, or too much.
    """
    text = (text or "").strip()
    if not text:
        raise Refused("empty_prompt")
    if len(text) > MAX_CHARACTERS:
        raise Refused("long_prompt", characters=len(text), most=MAX_CHARACTERS, words=MAX_LENGTH)
    return text


def unknown_words(prompt):
    """The words of a prompt that the text-to-video models of digits and shapes never saw.

    Args:
        prompt: str.

    Returns:
        list of str, each once, in their order.
    """
    pieces = PIECES.findall(unicodedata.normalize("NFKC", prompt).lower())
    return list(dict.fromkeys(word for word in (SPELLINGS.get(piece, piece) for piece in pieces) if word not in WORDS))


def nearest_words(word, vocabulary=WORDS, most=3):
    """Known words that look like an unknown one.

    Args:
        word: str.
        vocabulary: the known words.
        most: int, how many at most.

    Returns:
        list of str, the nearest first; of a Chinese sign, the known words that contain it.
    """
    if word.isascii():
        return difflib.get_close_matches(word, [known for known in vocabulary if known.isascii()], most, 0.5)
    return [known for known in vocabulary if word in known][:most]


def replace_word(prompt, old, new):
    """A prompt with one word exchanged.

    Args:
        prompt: str.
        old: str, a word or several of the prompt.
        new: str, what stands in its place.

    Returns:
        str.

    Raises:
        Refused: the prompt doesn't have the old word.
        CourseError: as `check_prompt`, of both prompts; or different models make them.
    """
    prompt, old, new = check_text(prompt), check_text(old), check_text(new)
    if old not in prompt:
        raise Refused("word_missing", word=excerpt(old, 30), prompt=excerpt(prompt))
    edited = prompt.replace(old, new, 1)
    if check_prompt(prompt) != check_prompt(edited):
        raise CourseError(f"'{excerpt(prompt)}' and '{excerpt(edited)}' are made by different models: no seed joins them.")
    return edited
