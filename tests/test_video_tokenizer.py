"""Frame tokenizers: what quantisation does to numbers and to gradients, and that tokens stand for frames."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.latents import code_usage
from vidgen_tf.models.video_tokenizer import (
    FiniteScalarQuantizer,
    VideoTokenizer,
    VideoTokenizerConfig,
    VectorQuantizer,
    decode_tokens,
    encode_tokens,
)

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (3, 2, 8, 8, 1), dtype=np.uint8)
LEVELS = (8, 5, 5, 5)


def tokenizer(quantizer):
    keras.utils.set_random_seed(1)
    return VideoTokenizer(VideoTokenizerConfig(image_size=8, filters=(4, 6), levels=(4, 3), quantizer=quantizer, vq_dim=3))


@pytest.mark.parametrize("levels", [LEVELS, (2,), (3, 4), (7, 2, 3)])
def test_the_index_is_a_bijection(levels):
    quantizer, ids = FiniteScalarQuantizer(levels), np.arange(np.prod(levels))
    codes = np.asarray(quantizer.ids_to_codes(ids))
    assert len(np.unique(codes, axis=0)) == len(ids) and np.abs(codes).max() == 1
    np.testing.assert_array_equal(quantizer.codes_to_ids(codes), ids)
    assert [len(np.unique(column)) for column in codes.T] == list(levels)


def test_an_id_is_written_in_mixed_radix():
    codes = np.float32([[-1, -1, -1, -1], [1, 1, 1, 1], [-1, 0, -1, 0.5]])
    ids = FiniteScalarQuantizer(LEVELS).codes_to_ids(codes)
    np.testing.assert_array_equal(ids, [0, 999, 2 * 8 + 3 * 200])


def test_each_number_is_rounded_to_the_nearest_of_its_levels():
    quantizer = FiniteScalarQuantizer(LEVELS)
    z = RNG.normal(size=(500, 4)).astype("float32") * 2
    bounded, codes = np.tanh(z), np.asarray(quantizer(z))
    for i, count in enumerate(LEVELS):
        levels = np.linspace(-1, 1, count)
        nearest = levels[np.abs(bounded[:, i, None] - levels).argmin(axis=1)]
        np.testing.assert_allclose(codes[:, i], nearest, atol=1e-6)
    np.testing.assert_array_equal(quantizer(np.arctanh(codes * 0.999)), codes)  # codes are their own codes


def test_the_gradient_passes_the_rounding():
    """Straight through: that of tanh, as if nothing were rounded; of vector quantisation the identity."""
    z = tf.constant(RNG.normal(size=(6, 4)).astype("float32"))
    for layer, expected in ((FiniteScalarQuantizer(LEVELS), 1 - np.tanh(z) ** 2), (VectorQuantizer(9, 4), np.ones((6, 4)))):
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = tf.reduce_sum(layer(z))
        np.testing.assert_allclose(tape.gradient(total, z), expected, atol=1e-5)


def test_vector_quantisation_takes_the_nearest_entry_and_moves_both():
    layer = VectorQuantizer(7, 3, commitment_weight=0.5)
    layer.build((None, 3))
    book = RNG.normal(size=(7, 3)).astype("float32")
    layer.codebook.assign(book)
    z = RNG.normal(size=(20, 3)).astype("float32")
    nearest = np.linalg.norm(z[:, None] - book, axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(layer.codes_to_ids(z), nearest)
    variable = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        np.testing.assert_allclose(layer(variable), book[nearest], atol=1e-6)
        loss = layer.losses[0]
    np.testing.assert_allclose(loss, 1.5 * np.sum((z - book[nearest]) ** 2) / 20, rtol=1e-5)
    to_z, to_book = tape.gradient(loss, [variable, layer.codebook])
    np.testing.assert_allclose(to_z, 0.5 * 2 * (z - book[nearest]) / 20, atol=1e-5)
    pulls = np.zeros_like(book)
    np.add.at(pulls, nearest, 2 * (book[nearest] - z) / 20)
    np.testing.assert_allclose(tf.convert_to_tensor(to_book), pulls, atol=1e-5)


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_tokens_decode_to_the_reconstruction(quantizer):
    model = tokenizer(quantizer)
    tokens = encode_tokens(model, FRAMES)
    assert tokens.shape == (3, 2, 4) and tokens.dtype == np.int32 and 0 <= tokens.min() <= tokens.max() < 12
    flat = FRAMES.reshape(-1, 8, 8, 1)
    expected = np.asarray(model(flat / np.float32(127.5) - 1, training=False))
    decoded = decode_tokens(model, tokens).reshape(flat.shape)
    np.testing.assert_allclose(decoded, 127.5 * (expected + 1), atol=0.51)
    np.testing.assert_array_equal(encode_tokens(model, FRAMES[1]), tokens[1])


def test_pixels_that_are_floats_and_unusable_sizes_are_refused():
    with pytest.raises(CourseError, match="uint8 pixels, got float64"):
        encode_tokens(tokenizer("fsq"), FRAMES / 255)
    for wrong, said in ({"levels": (8, 1)}, "levels"), ({"quantizer": "lfq"}, "fsq, vq"), ({"image_size": 20}, "multiple of 16"):
        with pytest.raises(CourseError, match=said):
            VideoTokenizerConfig(**wrong)


def test_usage_counts_codes_and_how_evenly_they_occur():
    assert code_usage(np.array([[0, 0], [3, 3]]), 8) == (0.25, 2.0)
    share, perplexity = code_usage(np.repeat([1, 2], [99, 1]), 4)
    assert share == 0.5 and 1 < perplexity < 1.1
    np.testing.assert_allclose(code_usage(np.arange(1000), 1000), (1, 1000))
