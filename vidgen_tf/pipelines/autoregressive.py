"""Captions, or first frames, in; clips out, written token by token by an autoregressive transformer."""

import numpy as np

from ..datasets import load
from ..errors import CourseError
from ..models.token_sampling import sample_tokens
from ..models.video_tokenizer import decode_tokens, encode_tokens
from ..tokenizer import VOCABULARY_SIZE, tokenize
from ..video import Clip
from ..worlds import faces
from .text_to_video import evaluation_prompts
from .video import load_autoencoder

BATCH_SIZE = 125  # clips that are sampled together
FACE_ATTRIBUTES = {  # what a caption of a face names -> how many values it has
    "expression": len(faces.EXPRESSIONS),
    "hair_style": len(faces.HAIR_STYLES),
    "hair_colour": len(faces.HAIR_COLOURS),
    "beard": len(faces.BEARDS),
    "has_glasses": 2,
}
_VALUES = ((name, value) for name, count in FACE_ATTRIBUTES.items() for value in range(count))
LABELS = {pair: label for label, pair in enumerate(_VALUES, start=1)}  # (attribute, value) -> id
CONDITION_LENGTHS = {"digits": 9, "faces-32": len(FACE_ATTRIBUTES)}  # words of a caption; attributes that a caption names
CONDITION_IDS = {"digits": VOCABULARY_SIZE, "faces-32": sum(FACE_ATTRIBUTES.values())}


def condition_ids(captions, dataset):
    """Captions as the ids that stand in front of a clip's tokens.

    Of digits they are the words' token ids, see `tokenize`. Captions of faces have other words than that vocabulary; their ids
    are the values of the attributes that they name, in a fixed order, so that a caption in either language is the same.

    Args:
        captions: sequence of N str, English or Chinese; "" is no caption.
        dataset: str, "digits" or "faces-32".

    Returns:
        int32 array `(N, L)`, from 1 to `CONDITION_IDS[dataset]`; 0 where there is no word, or nothing is named.

    Raises:
        CourseError: a caption that the data set doesn't have, or another data set.
    """
    if dataset not in CONDITION_LENGTHS:
        raise CourseError(f"There are captions of {' and '.join(CONDITION_LENGTHS)} for this model, not of {dataset!r}.")
    length = CONDITION_LENGTHS[dataset]
    if dataset == "digits":
        ids = tokenize(captions)
        if ids[:, length:].any():
            raise CourseError(f"A caption of digits has at most {length} words: 'the digit 3 is moving up then down .'")
        return ids[:, :length]
    ids = np.zeros((len(captions), length), np.int32)
    rows = [i for i, caption in enumerate(captions) if caption]
    if rows:
        ids[rows] = attribute_ids(faces.parse_captions([captions[i] for i in rows]))
    return ids


def attribute_ids(values):
    """The ids of what is said of faces.

    Args:
        values: dict from names of `FACE_ATTRIBUTES` to int `(N,)`, -1 where nothing is said; other names are left out, and
            of a name that isn't there nothing is said.

    Returns:
        int32 `(N, 5)`, ids of `LABELS` in the order of `FACE_ATTRIBUTES`, 0 where nothing is said.
    """
    nothing = np.full(len(next(iter(values.values()))), -1)
    columns = [np.asarray(values.get(name, nothing)).astype(np.int32) for name in FACE_ATTRIBUTES]
    return np.stack([np.where(x < 0, 0, LABELS[name, 0] + x) for name, x in zip(FACE_ATTRIBUTES, columns)], axis=1)


def generate_clips(model, tokenizer, condition, seed=0, context=None, **options):
    """Clips for conditions, sampled in batches.

    Args:
        model: trained `GPT`.
        tokenizer: the trained `VideoTokenizer` of its tokens.
        condition: int `(N, L)` of `condition_ids`.
        seed: non-negative int.
        context: None, or uint8 `(N, K, H, W, C)`, the first frames of each clip; they come back as the tokenizer
            reconstructs them.
        **options: of `sample_tokens`: `temperature`, `top_k`, `top_p`, `use_cache`.

    Returns:
        uint8 `(N, T, H, W, C)`.

    Raises:
        CourseError: as `sample_tokens`.
    """
    known, clips = None if context is None else encode_tokens(tokenizer, context), []
    for first in range(0, len(condition), BATCH_SIZE):
        batch = slice(first, first + BATCH_SIZE)
        given = {} if known is None else {"known_tokens": known[batch]}
        tokens = sample_tokens(model, condition[batch], seed + first, **given, **options)
        clips.append(decode_tokens(tokenizer, tokens))
    return np.concatenate(clips)


def prompts_of(dataset, count, held_out=False):
    """Test clips whose captions serve as prompts, half of them in Chinese.

    Args:
        dataset: str, "digits" or "faces-32".
        count: int, how many.
        held_out: see `evaluation_prompts`; of digits.

    Returns:
        `LabelledClips` of `count` clips, or as many as there are, and the list of prompts.
    """
    if dataset == "digits":
        return evaluation_prompts(dataset, count, held_out=held_out)
    clips = load(dataset, "test")[:count]
    pairs = zip(clips.captions.tolist(), clips.captions_zh.tolist())
    return clips, [chinese if i % 2 else english for i, (english, chinese) in enumerate(pairs)]


def autoregressive_samples(model, record, count, seed):
    """Clips of a model of the zoo, for the captions of test clips.

    Args:
        model: trained `GPT`.
        record: dict with "dataset", "uses" and "sampling".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`, each with the English caption.
    """
    dataset, tokenizer = record["dataset"]["name"], load_autoencoder(record["uses"]["tokenizer"])
    clips, prompts = prompts_of(dataset, count)
    chosen = [i % len(prompts) for i in range(count)]
    condition = condition_ids([prompts[i] for i in chosen], dataset)
    frames = generate_clips(model, tokenizer, condition, seed, **record["sampling"])
    return [Clip(clip, caption=str(clips.captions[i])) for clip, i in zip(frames, chosen)]


def token_reconstruction(model, record, count, seed):
    """Test clips, written as tokens and read again: an upper bound of what can be generated from tokens.

    Args:
        model: trained `VideoTokenizer`.
        record: dict with "dataset".
        count: int, how many clips.
        seed: non-negative int, of the choice of clips.

    Returns:
        list of `Clip`.
    """
    clips = load(record["dataset"]["name"], "test").subset(count, seed).frames
    return [Clip(frames) for frames in decode_tokens(model, encode_tokens(model, clips))]
