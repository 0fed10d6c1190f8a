"""The autoregressive transformer: no position knows a later one, a cache changes nothing, and draws follow the logits."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf.errors import CourseError
from vidgen_tf.models.autoregressive import (
    GPT,
    CausalSelfAttention,
    GPTConfig,
    TokenEmbedding,
    causal_mask,
    empty_caches,
    token_bits,
    write_cache,
)
from vidgen_tf.models.code_embedding import CodeEmbedding, CodeHead
from vidgen_tf.models.token_sampling import draw_codes, sample_tokens, sampling_probabilities
from vidgen_tf.models.video_tokenizer import FiniteScalarQuantizer

CONFIG = GPTConfig(
    levels=(4, 3),
    num_tokens=8,
    num_condition_ids=6,
    condition_length=3,
    hidden_dim=8,
    num_layers=2,
    num_heads=2,
)
RNG = np.random.default_rng(0)
CONDITION = np.int32([[1, 2, 0], [3, 4, 5], [0, 0, 0]])
TOKENS = RNG.integers(0, 12, (3, 8)).astype("int32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = GPT(CONFIG)
    rng = np.random.default_rng(2)
    model.set_weights([w + 0.3 * rng.normal(size=w.shape) if w.dtype == np.float32 else w for w in model.get_weights()])
    return model


def logits(model, condition=CONDITION, tokens=TOKENS):
    return np.asarray(model({"condition": condition, "tokens": tokens}))


@pytest.mark.parametrize("k", range(8))
def test_a_token_changes_no_logits_up_to_its_own(model, k):
    """Causality, by perturbing each token; and each is read by all that follow."""
    changed = TOKENS.copy()
    changed[:, k] = (changed[:, k] + 5) % 12
    before, after = logits(model), logits(model, tokens=changed)
    np.testing.assert_array_equal(before[:, : k + 1], after[:, : k + 1])
    if k < 7:
        assert (np.abs(before - after)[:, k + 1 :].max(axis=(0, 2)) > 1e-4).all()


def test_the_condition_is_read_by_every_token(model):
    change = np.abs(logits(model) - logits(model, condition=CONDITION[::-1])).max(axis=2)
    assert (change[[0, 2]] > 1e-4).all() and (change[1] < 1e-5).all()


def built(layer, *shape):
    """A layer with random weights."""
    layer.build(shape)
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def test_a_code_is_embedded_as_itself_and_its_levels():
    layer = built(CodeEmbedding((4, 3, 2), 5))
    own, *tables = layer.get_weights()
    assert own.shape == (24, 5) and [table.shape for table in tables] == [(4, 5), (3, 5), (2, 5)]
    codes = np.asarray(FiniteScalarQuantizer((4, 3, 2)).ids_to_codes(np.arange(24)))
    numbers = [np.unique(column, return_inverse=True)[1] for column in codes.T]  # of the levels, from the quantizer itself
    expected = own + sum(table[number] for table, number in zip(tables, numbers))
    np.testing.assert_allclose(layer.table(), expected, atol=1e-6)
    ids = RNG.integers(0, 24, (2, 7))
    np.testing.assert_allclose(layer(ids), expected[ids], atol=1e-6)


def test_what_is_learned_of_a_code_serves_all_that_share_a_level_with_it():
    layer = built(CodeEmbedding((4, 3), 5))
    before = np.asarray(layer.table())
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(np.array([6])))  # levels 2 and 1
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(total, layer.trainable_weights)]
    for weight, gradient in zip(layer.trainable_weights, gradients):
        weight.assign_sub(0.1 * gradient)
    change = np.asarray(before - layer.table()).mean(axis=1) / 0.1
    expected = [(i % 4 == 2) + (i // 4 == 1) + (i == 6) for i in range(12)]
    np.testing.assert_allclose(change, expected, atol=1e-5)


def test_logits_are_scalar_products_with_the_vectors_of_the_codes():
    head = built(CodeHead((4, 3), 5), None, 5)
    x = RNG.normal(size=(2, 6, 5)).astype("float32")
    found = head(x)
    assert found.shape == (2, 6, 12) and found.dtype == "float32"
    np.testing.assert_allclose(found, x @ np.asarray(head.codes.table()).T + np.asarray(head.bias), atol=1e-5)
    bias, own = head.bias, head.codes.own
    assert bias.shape == (12,) and own.shape == (12, 5)


def test_each_position_has_a_learned_vector_those_of_the_condition_first():
    layer = built(TokenEmbedding(CONFIG), None, 8)
    positions = np.asarray(layer.positions.embeddings)
    assert positions.shape == (11, 8)
    tokens = np.full((1, 8), 7)
    code = np.asarray(layer.codes.table())[7]
    np.testing.assert_allclose(layer(tokens)[0], code + positions[3:], atol=1e-6)
    np.testing.assert_allclose(layer(tokens[:, :2], first=4)[0], code + positions[7:9], atol=1e-6)
    condition = np.asarray(layer.conditions.embeddings)[CONDITION] + positions[:3]
    np.testing.assert_allclose(layer.embed_condition(CONDITION), condition, atol=1e-6)


@pytest.mark.parametrize("layer", [CodeEmbedding((4, 3), 8, 0.2), CodeHead((4, 3), 8), TokenEmbedding(CONFIG)], ids=type)
def test_a_layer_is_made_again_of_its_configuration(layer):
    import json

    layer.build((None, 8))
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    again.build((None, 8))
    assert again.get_config() == layer.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]


def test_attention_is_that_of_keras():
    ours, theirs = CausalSelfAttention(8, 2), keras.layers.MultiHeadAttention(2, 4)
    x = RNG.normal(size=(3, 6, 8)).astype("float32")
    ours.build(x.shape)
    ours.set_weights([RNG.normal(size=w.shape) for w in ours.get_weights()])
    theirs.build(x.shape, x.shape)
    kernel, bias = ours.qkv.get_weights()
    parts = [
        part for k, b in zip(np.split(kernel, 3, axis=1), np.split(bias, 3)) for part in (k.reshape(8, 2, 4), b.reshape(2, 4))
    ]
    out_kernel, out_bias = ours.out.get_weights()
    theirs.set_weights([*parts, out_kernel.reshape(2, 4, 8), out_bias])
    np.testing.assert_allclose(ours(x), theirs(x, x, use_causal_mask=True), atol=1e-5)


def test_a_mask_is_a_triangle_and_goes_on_where_a_cache_ends():
    np.testing.assert_array_equal(causal_mask(3, 3), np.tri(3, dtype=bool))
    np.testing.assert_array_equal(causal_mask(2, 5, first=2), np.tri(5, dtype=bool)[2:4])
    cache = write_cache(np.zeros((1, 5, 1), "float32"), np.float32([[[1], [2]]]), 3)
    assert np.ravel(cache).tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("cuts", [(), (4,), range(1, 11)])
def test_steps_with_a_cache_give_the_logits_of_a_whole_reading(model, cuts):
    """In one go, in two parts, and position by position."""
    expected, caches = logits(model), empty_caches(model, 3)
    x = keras.ops.concatenate([model.embedding.embed_condition(CONDITION), model.embedding(TOKENS[:, :-1])], axis=1)
    for first, end in zip((0, *cuts), (*cuts, 10)):
        if first < end:
            found, caches = model.step(x[:, first:end], caches, first)
            if end >= 3:  # what follows the condition's last position is the first token
                np.testing.assert_allclose(found, expected[:, end - 3], atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"temperature": 0.6, "top_k": 4, "top_p": 0.8}])
def test_the_same_tokens_are_sampled_with_and_without_a_cache(model, options):
    cached, whole = (sample_tokens(model, CONDITION, 3, use_cache=use, **options) for use in (True, False))
    np.testing.assert_array_equal(cached, whole)
    assert cached.shape == (3, 8) and 0 <= cached.min() <= cached.max() < 12
    np.testing.assert_array_equal(cached, sample_tokens(model, CONDITION, 3, **options))
    known = sample_tokens(model, CONDITION, 3, known_tokens=TOKENS[:, :5], **options)
    np.testing.assert_array_equal(known[:, :5], TOKENS[:, :5])


def test_argmax_takes_the_likeliest_token_given_those_before(model):
    sampled = sample_tokens(model, CONDITION, temperature=0.0)
    np.testing.assert_array_equal(logits(model, tokens=sampled).argmax(axis=-1), sampled)


def test_samples_have_the_distribution_of_the_logits(model):
    """Of the first token: shares of 4000 draws beside the softmax."""
    condition = np.repeat(CONDITION[1:2], 4000, axis=0)
    shares = np.bincount(sample_tokens(model, condition, seed=5)[:, 0], minlength=12) / 4000
    z = logits(model)[1, 0]
    np.testing.assert_allclose(shares, np.exp(z) / np.exp(z).sum(), atol=0.03)


def test_temperature_top_k_and_nucleus_on_three_codes():
    z = np.log(np.float32([[0.5, 0.3, 0.2]]))
    for options, expected in (
        ({}, [0.5, 0.3, 0.2]),
        ({"temperature": 0.5}, np.square([0.5, 0.3, 0.2]) / 0.38),
        ({"temperature": 0}, [1, 0, 0]),
        ({"top_k": 2}, [0.625, 0.375, 0]),
        ({"top_k": 9}, [0.5, 0.3, 0.2]),
        ({"top_p": 0.5}, [1, 0, 0]),
        ({"top_p": 0.51}, [0.625, 0.375, 0]),
        ({"top_k": 2, "top_p": 0.7}, [0.625, 0.375, 0]),
        ({"top_k": 2, "top_p": 0.6}, [1, 0, 0]),
    ):
        np.testing.assert_allclose(sampling_probabilities(z, **options), [expected], atol=1e-5, err_msg=str(options))


def test_a_code_is_drawn_where_the_cumulative_sum_passes_the_uniform_number():
    p = np.tile(np.float32([[0, 0.25, 0.25, 0.5]]), (5, 1))
    drawn = draw_codes(p, np.float32([0, 0.2, 0.25, 0.6, 0.99999994]))
    assert np.asarray(drawn).tolist() == [1, 1, 2, 3, 3], "never a code of probability 0"


def test_bits_are_the_loss_and_a_model_that_knows_nothing_pays_log2_of_the_codes(model):
    bits = token_bits(model, CONDITION, TOKENS)
    model.compile(jit_compile=False)
    x = {"condition": CONDITION, "tokens": TOKENS}
    found = model.evaluate(x, batch_size=3, verbose=0, return_dict=True)
    np.testing.assert_allclose([bits.mean(), bits.mean() * np.log(2)], [found["bits_per_token"], found["loss"]], rtol=1e-5)
    ignorant = GPT(CONFIG)
    ignorant.head.set_weights([0 * w for w in ignorant.head.get_weights()])
    np.testing.assert_allclose(token_bits(ignorant, CONDITION, TOKENS), np.log2(12), rtol=1e-5)


def test_conditions_are_dropped_in_training_and_never_otherwise(model):
    always = GPT(dataclasses.replace(CONFIG, condition_dropout=1.0))
    always.set_weights(model.get_weights())
    x = {"condition": CONDITION, "tokens": TOKENS}
    np.testing.assert_allclose(always(x, training=True), logits(model, condition=0 * CONDITION), atol=1e-6)
    np.testing.assert_array_equal(always(x), logits(model))


def test_what_cannot_be_sampled_is_refused(model):
    for wrong, said in (
        ({"condition": CONDITION[:, :2]}, r"condition must be \(N, 3\)"),
        ({"condition": CONDITION[:0]}, "condition must be"),
        ({"known_tokens": TOKENS[:2]}, "known_tokens must be"),
        ({"known_tokens": np.zeros((3, 9), int)}, "at most 8"),
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
    ):
        with pytest.raises(CourseError, match=said):
            sample_tokens(model, **{"condition": CONDITION} | wrong)
    with pytest.raises(CourseError, match="multiple of num_heads"):
        GPTConfig(hidden_dim=10)
    with pytest.raises(CourseError, match="probability"):
        GPTConfig(condition_dropout=2.0)
    for wrong in ({"levels": (8, 0)}, {"levels": 1000}, {"num_tokens": 0}):
        with pytest.raises(CourseError, match=f"{next(iter(wrong))} must be"):
            GPTConfig(**wrong)
