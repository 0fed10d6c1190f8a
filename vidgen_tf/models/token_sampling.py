"""Sampling from an autoregressive transformer: temperature, top-k and nucleus, and the loop that makes clips token by token."""

import functools

import keras
import numpy as np
from keras import ops

from ..errors import CourseError, check_whole
from .autoregressive import empty_caches

MIN_TEMPERATURE = 1e-6  # what a temperature of 0 is computed with: all probability on the likeliest code


def sampling_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """The distribution that a token is drawn from.

    Args:
        logits: float `(B, num_codes)`.
        temperature: float, or float `(B, 1)`, that the logits are divided by; 0 leaves the likeliest code alone (argmax).
        top_k: None, or int, or int `(B, 1)`: so many of the likeliest codes are kept.
        top_p: None, or float in (0, 1], or float `(B, 1)`: of these, the likeliest ones are kept until they hold this share of
            the probability (nucleus).

    Returns:
        float32 `(B, num_codes)`, of sum 1.

    References:
        Fan, Lewis and Dauphin, 2018, "Hierarchical neural story generation" (top-k).
        Holtzman and others, 2020, "The curious case of neural text degeneration" (nucleus).
    """
    probabilities = ops.softmax(ops.cast(logits, "float32") / ops.maximum(temperature, MIN_TEMPERATURE))
    if top_k is None and top_p is None:
        return probabilities
    ranked = -ops.sort(-probabilities, axis=-1)  # the likeliest first
    if top_k is not None:
        ranked = ops.where(ops.arange(ranked.shape[-1])[None] < top_k, ranked, 0.0)
    is_kept = ranked > 0
    if top_p is not None:
        share_before = (ops.cumsum(ranked, axis=-1) - ranked) / ops.sum(ranked, axis=-1, keepdims=True)
        is_kept = is_kept & (share_before < top_p)
    lowest = ops.min(ops.where(is_kept, ranked, 1.0), axis=-1, keepdims=True)
    probabilities = ops.where(probabilities < lowest, 0.0, probabilities)
    return probabilities / ops.sum(probabilities, axis=-1, keepdims=True)


def draw_codes(probabilities, uniforms):
    """Codes drawn from distributions, by inversion of the cumulative distribution.

    Args:
        probabilities: float `(B, num_codes)`.
        uniforms: float `(B,)` in [0, 1).

    Returns:
        int32 `(B,)`: the first code up to which the probabilities sum to more than the uniform number.
    """
    cumulative = ops.cumsum(probabilities, axis=-1)
    below = cumulative <= uniforms[:, None] * cumulative[:, -1:]  # rounding may leave the sum a little off 1
    return ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), probabilities.shape[-1] - 1)


def sample_tokens(model, condition, seed=0, *, known_tokens=None, temperature=1.0, top_k=None, top_p=None, use_cache=True):
    """Samples the tokens of clips, one after the other.

    Args:
        model: trained `GPT`.
        condition: int array `(N, condition_length)`.
        seed: non-negative int.
        known_tokens: None, or int array `(N, K)`, the first tokens of each clip.
        temperature, top_k, top_p: see `sampling_probabilities`; a number each.
        use_cache: whether keys and values of earlier positions are kept; otherwise the whole clip is read for each token.

    Returns:
        int32 array `(N, num_tokens)`, the same with and without a cache; known tokens come first.

    Raises:
        CourseError: no condition or one of another length, more known tokens than a clip has, or options out of range.
    """
    config, condition = model.config, np.asarray(condition, np.int32)
    if condition.ndim != 2 or condition.shape[1] != config.condition_length or not len(condition):
        raise CourseError(f"condition must be (N, {config.condition_length}), got {condition.shape}.")
    tokens = np.zeros((len(condition), config.num_tokens), np.int32)
    known = tokens[:, :0] if known_tokens is None else np.asarray(known_tokens)
    if known.ndim != 2 or len(known) != len(tokens) or known.shape[1] > config.num_tokens:
        raise CourseError(f"known_tokens must be ({len(tokens)}, at most {config.num_tokens}), got {known.shape}.")
    check_sampling(temperature, top_k, top_p)
    tokens[:, : known.shape[1]] = known
    is_known = np.broadcast_to(np.arange(config.num_tokens) < known.shape[1], tokens.shape)
    uniforms = np.random.default_rng(seed).random(tokens.shape, np.float32)
    numbers = {"temperature": np.float32(temperature)}
    if top_k is not None or top_p is not None:
        numbers |= {"top_k": np.int32(top_k or config.num_codes), "top_p": np.float32(1.0 if top_p is None else top_p)}
    inputs = {name: np.full((len(tokens), 1), value) for name, value in numbers.items()}
    inputs |= {"condition": condition, "tokens": tokens, "is_known": is_known, "uniforms": uniforms}
    return _sampler(model, len(numbers) > 1, use_cache).predict_on_batch(inputs)


def check_sampling(temperature, top_k, top_p):
    """Refuses options of `sampling_probabilities` that mean nothing.

    Args:
        temperature, top_k, top_p: the options.

    Raises:
        CourseError: a temperature below 0, a top_k below 1, or a top_p beyond (0, 1].
    """
    if not temperature >= 0:
        raise CourseError(f"temperature must be 0 (argmax) or more, got {temperature}.")
    if top_k is not None:
        check_whole(1, top_k=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise CourseError(f"top_p is a share of the probability, above 0 and up to 1, got {top_p}.")


class TokenSampler(keras.Model):
    """The loop that samples clips token by token, as a model, so that Keras compiles it.

    Args:
        gpt: `GPT`.
        use_cache: see `sample_tokens`.

    Call arguments:
        inputs: dict of "condition", int `(B, condition_length)`; "tokens", int `(B, num_tokens)`, read where "is_known", bool of
            the same shape, is True; "uniforms", float of the same shape in [0, 1); and "temperature", "top_k" and "top_p",
            `(B, 1)`, see `sampling_probabilities`, the last two of them both or neither.

    Output shape:
        int32 `(B, num_tokens)`.
    """

    def __init__(self, gpt, use_cache):
        super().__init__(name="token_sampler")
        self.gpt, self.use_cache = gpt, use_cache
        self.jit_compile = False  # XLA would compile anew for each number of clips

    def call(self, inputs):
        """The tokens."""
        gpt, condition, before = self.gpt, inputs["condition"], self.gpt.config.condition_length
        options = {name: inputs[name] for name in ("temperature", "top_k", "top_p") if name in inputs}
        uniforms, is_known, places = inputs["uniforms"], inputs["is_known"], ops.arange(gpt.config.num_tokens)

        def add_token(i, state):
            tokens, logits, *caches = state
            if not self.use_cache:
                x = gpt.read(condition, tokens)[:, before - 1 : -1]  # what knows all tokens before each one
                logits = gpt.head(gpt.norm(ops.take(x, i, axis=1)))
            new = draw_codes(sampling_probabilities(logits, **options), ops.take(uniforms, i, axis=1))
            new = ops.where(ops.take(is_known, i, axis=1), ops.take(tokens, i, axis=1), new)
            tokens = ops.where(places[None] == i, new[:, None], tokens)
            if self.use_cache:
                logits, caches = gpt.step(gpt.embedding(new[:, None], first=i), caches, before + i)
            return tokens, logits, *caches

        count = ops.shape(condition)[0]
        caches = empty_caches(gpt, count) if self.use_cache else []
        logits = ops.zeros((count, gpt.config.num_codes), "float32")
        if self.use_cache:
            logits, caches = gpt.step(gpt.embedding.embed_condition(condition), caches, 0)
        return ops.fori_loop(0, gpt.config.num_tokens, add_token, (inputs["tokens"], logits, *caches))[0]


@functools.lru_cache(maxsize=8)
def _sampler(gpt, has_cutoff, use_cache):
    """A compiled sampler, kept so that it is compiled once; `has_cutoff` says whether its inputs hold top_k and top_p."""
    return TokenSampler(gpt, use_cache)
