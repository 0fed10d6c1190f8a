"""Video tokenizers: what quantisation does to numbers and to gradients, and which tokens stand for what of a clip."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.latents import code_usage
from vidgen_tf.models import video_tokenizer
from vidgen_tf.models.video_tokenizer import (
    FiniteScalarQuantizer,
    VectorQuantizer,
    VideoTokenizer,
    VideoTokenizerConfig,
    decode_tokens,
    encode_tokens,
)
from vidgen_tf.video import to_float

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(0, 256, (9, 4, 8, 8, 1), dtype=np.uint8)
LEVELS = (8, 5, 5, 5)
CONTENT = slice(0, 5)  # of the tokens of a clip, of `CONFIG`
CONFIG = VideoTokenizerConfig(
    image_size=8, filters=(4, 6), num_content_tokens=5, num_motion_tokens=2, levels=(4, 3), vq_dim=3, motion_weight=2.0
)


def motion(frame):
    """Where the motion tokens of a frame stand among the tokens of its clip."""
    return slice(5 + 2 * frame, 7 + 2 * frame)


def tokenizer(quantizer="fsq"):
    keras.utils.set_random_seed(1)
    return VideoTokenizer(dataclasses.replace(CONFIG, quantizer=quantizer))


every_quantizer = pytest.mark.parametrize("quantizer", ["fsq", "vq"])


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


@every_quantizer
def test_content_tokens_come_first_and_then_those_of_each_frame(quantizer):
    model = tokenizer(quantizer)
    tokens = encode_tokens(model, CLIPS)
    assert tokens.shape == (9, CONFIG.num_tokens(4)) == (9, 13) and tokens.dtype == np.int32
    assert 0 <= tokens.min() < tokens.max() < CONFIG.num_codes == 12
    content, frames = (model.quantizer.codes_to_ids(codes) for codes in model.encode(to_float(CLIPS)))
    np.testing.assert_array_equal(tokens[:, CONTENT], content)
    for t in range(4):
        np.testing.assert_array_equal(tokens[:, motion(t)], frames[:, t])


@every_quantizer
@pytest.mark.parametrize("t", [1, 2, 3])
def test_a_later_frame_changes_its_own_motion_tokens_alone(quantizer, t):
    model, changed = tokenizer(quantizer), CLIPS.copy()
    changed[:, t] = 255 - changed[:, t]
    differs = encode_tokens(model, CLIPS) != encode_tokens(model, changed)
    assert differs[:, motion(t)].any()
    differs[:, motion(t)] = False
    assert not differs.any()


@every_quantizer
def test_the_content_is_that_of_the_first_frame_which_each_motion_is_told_from(quantizer):
    model, others, changed = tokenizer(quantizer), CLIPS.copy(), CLIPS.copy()
    others[:, 1:] = CLIPS[::-1, 3:0:-1]
    tokens = encode_tokens(model, CLIPS)
    np.testing.assert_array_equal(encode_tokens(model, others)[:, CONTENT], tokens[:, CONTENT])
    changed[:, 0] = 255 - changed[:, 0]
    differs = (encode_tokens(model, changed) != tokens).any(axis=0)
    assert differs[CONTENT].any() and all(differs[motion(t)].any() for t in range(4))


@every_quantizer
def test_first_frames_have_the_first_tokens_and_later_ones_may_be_exchanged(quantizer):
    """So frames that are given can stand in front of those that a transformer writes."""
    model = tokenizer(quantizer)
    tokens = encode_tokens(model, CLIPS)
    for count in (1, 2, 3):
        np.testing.assert_array_equal(encode_tokens(model, CLIPS[:, :count]), tokens[:, : CONFIG.num_tokens(count)])
    order = [*range(5), *range(5, 7), *range(11, 13), *range(7, 9), *range(9, 11)]
    np.testing.assert_array_equal(encode_tokens(model, CLIPS[:, [0, 3, 1, 2]]), tokens[:, order])


@every_quantizer
def test_tokens_decode_to_the_reconstruction(quantizer, monkeypatch):
    model = tokenizer(quantizer)
    tokens, expected = encode_tokens(model, CLIPS), np.asarray(model(to_float(CLIPS)))
    decoded = decode_tokens(model, tokens)
    assert decoded.shape == CLIPS.shape and decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, 127.5 * (expected + 1), atol=0.51)
    monkeypatch.setattr(video_tokenizer, "BATCH_SIZE", 2)
    np.testing.assert_array_equal(encode_tokens(model, CLIPS), tokens)
    assert np.abs(decode_tokens(model, tokens).astype(int) - decoded).max() <= 1


def test_a_frame_is_made_of_the_content_and_of_its_own_motion():
    model = tokenizer()
    tokens = encode_tokens(model, CLIPS)
    for i, frames in ((0, [0, 1, 2, 3]), (7, [1])):  # a content token, and one of the motion of frame 1
        changed = tokens.copy()
        changed[:, i] = (changed[:, i] + 5) % 12
        before, after = (decode_tokens(model, ids).astype(int) for ids in (tokens, changed))
        moved = np.abs(before - after).max(axis=(0, 2, 3, 4)) > 1
        assert np.flatnonzero(moved).tolist() == frames


def test_pixels_that_change_weigh_more_in_the_loss():
    """Squared error summed over a frame, times 1 + motion weight * change since the first frame; mean over frames."""
    x, y = (RNG.uniform(-1, 1, (3, 4, 8, 8, 1)).astype("float32") for _ in range(2))
    weight = 1 + 2.0 * np.abs(x - x[:, :1])
    model = tokenizer()
    loss = model.compute_loss(x, y_pred=y)
    np.testing.assert_allclose(loss, (weight * (x - y) ** 2).sum() / 12, rtol=1e-5)
    np.testing.assert_allclose(model.reconstruction_tracker.result(), ((x - y) ** 2).sum() / 12, rtol=1e-5)
    model = tokenizer("vq")
    y = model(x)
    alone = (weight * (x - np.asarray(y)) ** 2).sum() / 12
    np.testing.assert_allclose(model.compute_loss(x, y_pred=y), alone + sum(model.losses), rtol=1e-5)
    assert len(model.losses) == 2 and min(model.losses) > 0, "of the content's codes and of the motion's"


def test_clips_that_cannot_be_read_and_unusable_sizes_are_refused():
    model = tokenizer()
    with pytest.raises(CourseError, match=r"uint8 \(N, T, H, W, C\), got float64"):
        encode_tokens(model, CLIPS / 255)
    with pytest.raises(CourseError, match=r"got uint8 \(4, 8, 8, 1\)"):
        encode_tokens(model, CLIPS[0])
    with pytest.raises(CourseError, match="float frames"):
        model(CLIPS)
    for wrong, said in (
        ({"levels": (8, 1)}, "levels"),
        ({"levels": ()}, "levels"),
        ({"filters": ()}, "filters"),
        ({"quantizer": "lfq"}, "fsq, vq"),
        ({"image_size": 20}, "multiple of 8"),
        ({"num_content_tokens": 0}, "num_content_tokens"),
        ({"num_motion_tokens": 0}, "num_motion_tokens"),
    ):
        with pytest.raises(CourseError, match=said):
            VideoTokenizerConfig(**wrong)


def test_the_normalised_latents_use_all_levels_before_any_training():
    """What batch normalisation is for: in training, numbers of a new tokenizer already spread over their levels."""
    model = VideoTokenizer(dataclasses.replace(CONFIG, levels=LEVELS))
    clips = RNG.uniform(-1, 1, (64, 2, 8, 8, 1)).astype("float32")
    content, _ = model.encode(clips, training=True)
    assert [len(np.unique(column)) for column in np.reshape(content, (-1, 4)).T] == list(LEVELS)


def test_usage_counts_codes_and_how_evenly_they_occur():
    assert code_usage(np.array([[0, 0], [3, 3]]), 8) == (0.25, 2.0)
    share, perplexity = code_usage(np.repeat([1, 2], [99, 1]), 4)
    assert share == 0.5 and 1 < perplexity < 1.1
    np.testing.assert_allclose(code_usage(np.arange(1000), 1000), (1, 1000))
