"""The shared layers: against Keras' own and closed forms, in half precision, and out of a file again."""

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from vidgen_tf import layers as L
from vidgen_tf.errors import CourseError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 8)).astype("float32")
CONTEXT = RNG.normal(size=(4, 6, 7)).astype("float32")
MASK = np.float32([[1, 1, 1, 0, 0, 0], [1] * 6, [0] * 6, [0, 1, 0, 1, 0, 0]])


def randomized(layer, *inputs):
    """The layer with random weights, biases too, after a call that builds it."""
    layer(*inputs)
    layer.set_weights([RNG.normal(size=w.shape) * 0.5 for w in layer.get_weights()])
    return layer


# sinusoidal_embedding


@pytest.mark.parametrize("dim, max_period", [(2, 10.0), (8, 100.0), (128, 1e4)])
def test_the_sinusoidal_embedding_is_the_closed_form(dim, max_period):
    positions = RNG.uniform(-1, 30, (3, 4)).astype("float32")
    exponents = np.arange(dim // 2) / max(1, dim // 2 - 1)
    phase = positions[..., None].astype(np.float64) / max_period**exponents
    expected = np.concatenate([np.sin(phase), np.cos(phase)], axis=-1)
    np.testing.assert_allclose(L.sinusoidal_embedding(positions, dim, max_period), expected, atol=1e-5)


def test_the_sinusoidal_embedding_tells_positions_apart():
    embedding = np.asarray(L.sinusoidal_embedding(np.arange(16, dtype="float32"), 32, 100.0))
    distance = np.linalg.norm(embedding[:, None] - embedding[None], axis=-1) + 9 * np.eye(16)
    assert distance.min() > 0.5


@pytest.mark.parametrize("dim", [7, 0, 2.0])
def test_a_sinusoidal_embedding_needs_an_even_dim(dim):
    with pytest.raises(CourseError, match="dim must be"):
        L.sinusoidal_embedding(X[..., 0], dim, 100.0)


# Attention


def like_keras(attention):
    """`keras.layers.MultiHeadAttention` with the weights of ours, which must use the same keys and values for x and context."""
    dim, heads = attention.hidden_dim, attention.num_heads
    theirs = keras.layers.MultiHeadAttention(heads, dim // heads)
    theirs(X, X)
    kernels, biases = (np.split(np.asarray(w), 3, axis=-1) for w in attention.qkv.get_weights())
    out_kernel, out_bias = attention.out.get_weights()
    weights = []
    for kernel, bias in zip(kernels, biases):
        weights += [kernel.reshape(dim, heads, -1), bias.reshape(heads, -1)]
    theirs.set_weights([*weights, out_kernel.reshape(heads, -1, dim), out_bias])
    return theirs


@pytest.mark.parametrize("num_heads", [1, 2, 8])
def test_self_attention_is_the_one_of_keras(num_heads):
    ours = randomized(L.Attention(8, num_heads), X)
    np.testing.assert_allclose(ours(X), like_keras(ours)(X, X), atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK, MASK.astype(bool)], ids=["no mask", "float mask", "bool mask"])
def test_attention_to_a_context_is_the_one_of_keras(mask):
    """With the same weights for keys and values of x and of the context, which Keras' layer knows no others for."""
    context = CONTEXT @ RNG.normal(size=(7, 8)).astype("float32")
    ours = randomized(L.Attention(8, 2, has_context=True), X, context)
    ours.context_kv.set_weights([w[..., 8:] for w in ours.qkv.get_weights()])
    seen = np.concatenate([np.ones((4, 5)), MASK if mask is not None else np.ones((4, 6))], axis=1)
    seen = np.repeat(seen[:, None] > 0, 5, axis=1)  # (B, T + L) -> (B, T, T + L)
    expected = like_keras(ours)(X, np.concatenate([X, context], axis=1), attention_mask=seen)
    np.testing.assert_allclose(ours(X, context, context_mask=mask), expected, atol=1e-5)


def test_a_masked_context_has_no_influence_to_the_bit():
    ours = randomized(L.Attention(8, 2, has_context=True), X, CONTEXT)
    other = np.where(MASK[..., None] == 1, CONTEXT, 5.0).astype("float32")
    np.testing.assert_array_equal(ours(X, CONTEXT, MASK), ours(X, other, MASK))
    np.testing.assert_allclose(ours(X, CONTEXT, MASK)[2], ours(X)[2], atol=1e-6)
    assert np.abs(ours(X, CONTEXT) - ours(X, other)).max() > 0.1


def test_a_context_has_keys_and_values_of_its_own():
    """One position, one token: the output is the mean of both values, weighted by the softmax of two scores."""
    ours = randomized(L.Attention(2, 1, has_context=True), X[:, :1, :2], CONTEXT[:, :1, :3])
    x, token = X[:, 0, :2], CONTEXT[:, 0, :3]
    (q, k, v), (ck, cv) = (
        np.split(a @ kernel + bias, n, axis=-1)
        for a, n, (kernel, bias) in ((x, 3, ours.qkv.get_weights()), (token, 2, ours.context_kv.get_weights()))
    )
    weight = 1 / (1 + np.exp(((q * ck).sum(1) - (q * k).sum(1)) / np.sqrt(2)))[:, None]
    kernel, bias = ours.out.get_weights()
    expected = (weight * v + (1 - weight) * cv) @ kernel + bias
    np.testing.assert_allclose(ours(X[:, :1, :2], CONTEXT[:, :1, :3])[:, 0], expected, atol=1e-5)


def test_the_mask_of_an_embedding_is_the_mask_of_the_context():
    ids = np.where(MASK == 1, 3, 0)
    ours = L.Attention(8, 2, has_context=True)
    by_keras = ours(X, keras.layers.Embedding(5, 7, embeddings_initializer="ones", mask_zero=True)(ids))
    np.testing.assert_array_equal(by_keras, ours(X, np.ones((4, 6, 7), "float32"), MASK))
    assert np.abs(by_keras - ours(X, np.ones((4, 6, 7), "float32"))).max() > 1e-3


def test_attention_takes_any_number_of_frames_and_tokens():
    frames, tokens = keras.Input((None, 8)), keras.Input((None, 7))
    layer = L.Attention(8, 2, has_context=True)
    model = keras.Model([frames, tokens], layer(frames, tokens))
    for t, length in ((5, 6), (2, 1)):
        x, context = X[:, :t], CONTEXT[:, :length]
        np.testing.assert_allclose(model.predict([x, context], verbose=0), layer(x, context), atol=1e-6)


def test_what_attention_cannot_be_is_refused():
    with pytest.raises(CourseError, match="num_heads must divide hidden_dim, got num_heads=3 and hidden_dim=8"):
        L.Attention(8, 3)
    with pytest.raises(CourseError, match="num_heads must be a whole number"):
        L.Attention(8, 0)
    with pytest.raises(CourseError, match="build it with has_context=True"):
        L.Attention(8, 2)(X, CONTEXT)


# AdaLNZero


def test_adaln_zero_at_first_normalises_alone_and_lets_nothing_pass():
    condition = RNG.normal(size=(4, 1, 7)).astype("float32")
    normed, gate = L.AdaLNZero(8)(X, condition)
    mean, variance = X.mean(-1, keepdims=True), X.var(-1, keepdims=True)
    np.testing.assert_allclose(normed, (X - mean) / np.sqrt(variance + 1e-6), atol=1e-5)
    np.testing.assert_array_equal(gate, np.zeros((4, 1, 8)))
    np.testing.assert_array_equal(L.AdaLNZero(8, has_gate=False)(X, condition), normed)


@pytest.mark.parametrize("positions", [1, 5])
def test_adaln_zero_scales_shifts_and_gates_by_the_condition(positions):
    condition = RNG.normal(size=(4, positions, 7)).astype("float32")
    layer = L.AdaLNZero(8)
    before, _ = layer(X, condition)
    kernel, bias = RNG.normal(size=(7, 24)), RNG.normal(size=24)
    layer.modulation.set_weights([kernel, bias])
    scale, shift, gate = np.split(condition / (1 + np.exp(-condition)) @ kernel + bias, 3, axis=-1)
    normed, own_gate = layer(X, condition)
    np.testing.assert_allclose(normed, before * (1 + scale) + shift, atol=1e-4)
    np.testing.assert_allclose(own_gate, gate, atol=1e-5)


# LatentNormalization


def posteriors():
    """Means and log variances whose second dimension is not used: its posterior is always the prior."""
    z_mean = RNG.normal(size=(500, 20, 2)) * [3.0, 0.001] + [5.0, 0.0]
    return z_mean, np.tile(np.log([0.04, 1.0]), (500, 20, 1))


def test_normalised_samples_of_the_posteriors_have_mean_0_and_variance_1():
    z_mean, z_log_var = posteriors()
    layer = L.LatentNormalization(2)
    layer.adapt(z_mean, z_log_var)
    np.testing.assert_allclose(layer.mean, [5.0, 0.0], atol=0.1)
    np.testing.assert_allclose(layer.std, [np.sqrt(9.04), 1.0], rtol=0.02)
    samples = np.asarray(layer((z_mean + np.exp(z_log_var / 2) * RNG.normal(size=z_mean.shape)).astype("float32")))
    np.testing.assert_allclose(samples.mean(axis=(0, 1)), 0, atol=0.02)
    np.testing.assert_allclose(samples.std(axis=(0, 1)), 1, atol=0.02)
    assert np.asarray(layer(z_mean.astype("float32")))[..., 1].std() < 0.01, "a dimension without use is not amplified"


def test_latents_come_back_from_normalisation():
    layer = L.LatentNormalization(2)
    latents = RNG.normal(size=(3, 4, 2)).astype("float32")
    np.testing.assert_array_equal(layer(latents), latents)  # before adapt the identity
    layer.adapt(*posteriors())
    np.testing.assert_allclose(layer.denormalize(layer(latents)), latents, atol=1e-5)
    np.testing.assert_allclose(layer(layer.denormalize(latents)), latents, atol=1e-5)
    assert not layer.trainable_weights and [tuple(w.shape) for w in layer.weights] == [(2,), (2,)]


@pytest.mark.parametrize("shapes", [((5, 4, 3), (5, 4, 3)), ((5, 4, 2), (5, 3, 2)), ((5, 2), (5, 2))])
def test_latents_of_another_shape_are_refused(shapes):
    with pytest.raises(CourseError, match=r"must both be \(N, T, 2\), got"):
        L.LatentNormalization(2).adapt(*map(np.zeros, shapes))


# RandomAffine


def coordinates(side, count=64):
    """Images of their own coordinates: after a map each pixel shows where it came from."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return np.repeat(np.stack([x, y], axis=-1)[None], count, axis=0)


def test_random_affine_is_the_identity_at_0_and_outside_of_training():
    images = RNG.uniform(-1, 1, (3, 9, 9, 2)).astype("float32")
    np.testing.assert_allclose(L.RandomAffine(0.0, 0.0, seed=1)(images, training=True), images, atol=1e-5)
    np.testing.assert_array_equal(L.RandomAffine(0.3, 0.2, seed=1)(images), images)


def test_random_affine_maps_within_its_limits_and_each_batch_anew():
    side, max_affine, max_shift = 21, 0.1, 0.05
    layer = L.RandomAffine(max_affine, max_shift, seed=7)
    moved = np.asarray(layer(coordinates(side), training=True))
    center = side // 2
    offset = moved[:, center, center] - center
    across = (moved[:, center, center + 4] - moved[:, center, center - 4]) / 8 - [1, 0]  # what the matrix adds in x
    down = (moved[:, center + 4, center] - moved[:, center - 4, center]) / 8 - [0, 1]
    assert 0.8 * max_shift * side < np.abs(offset).max() <= max_shift * side + 1e-3
    for added in (across, down):
        assert 0.8 * max_affine < np.abs(added).max() <= max_affine + 1e-3
    again = L.RandomAffine(max_affine, max_shift, seed=7)(coordinates(side), training=True)
    np.testing.assert_array_equal(moved, again)
    assert np.abs(moved - np.asarray(layer(coordinates(side), training=True))).max() > 1


# space_to_depth


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.tuples(*[st.integers(1, 3)] * 5), st.integers(1, 4))
def test_depth_to_space_inverts_space_to_depth(shape, patch_size):
    batch, num_frames, height, width, channels = shape
    frames = np.arange(np.prod(shape) * patch_size**2, dtype="float32")
    frames = frames.reshape(batch, num_frames, height * patch_size, width * patch_size, channels)
    patches = L.space_to_depth(frames, patch_size)
    assert patches.shape == (batch, num_frames, height, width, channels * patch_size**2)
    np.testing.assert_array_equal(L.depth_to_space(patches, patch_size), frames)
    for t in range(num_frames if patch_size > 1 else 0):  # TensorFlow's own takes images, and patches of 2 or more
        np.testing.assert_array_equal(patches[:, t], tf.nn.space_to_depth(frames[:, t], patch_size))


def test_frames_that_are_no_multiple_of_a_patch_are_refused():
    with pytest.raises(CourseError, match="multiples of patch_size=4, got 8x6"):
        L.space_to_depth(np.zeros((1, 2, 8, 6, 1)), 4)
    with pytest.raises(CourseError, match=r"multiple of patch_size\*\*2 = 4, got 6"):
        L.depth_to_space(np.zeros((1, 2, 8, 6, 6)), 2)


# update_ema


@pytest.mark.parametrize("as_decay", [float, keras.ops.convert_to_tensor], ids=["float", "tensor"])
def test_update_ema_is_the_closed_form(as_decay):
    """Over weights w_1, w_2, ...: decay^n e_0 + (1 - decay) sum of decay^(n - i) w_i, batch statistics included."""

    def network():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])

    ema, trained, decay, steps = network(), network(), 0.9, 5
    history = [[RNG.normal(size=w.shape) for w in ema.weights] for _ in range(steps + 1)]
    ema.set_weights(history[0])
    for weights in history[1:]:
        trained.set_weights(weights)
        L.update_ema(ema, trained, as_decay(np.float32(decay)))
    assert len(ema.get_weights()) == 6
    for i, average in enumerate(ema.get_weights()):
        terms = [decay ** (steps - n) * history[n][i] for n in range(1, steps + 1)]
        np.testing.assert_allclose(average, decay**steps * history[0][i] + (1 - decay) * sum(terms), atol=1e-5)
    np.testing.assert_array_equal(trained.get_weights()[0], history[-1][0].astype("float32"))


# Shift

FEATURES = RNG.normal(size=(2, 7, 9, 4)).astype("float32")
SHIFTS = RNG.uniform(-3, 3, (2, 3, 4)).astype("float32")  # of 2 groups, at 3 times


def test_a_shift_is_the_one_of_scipy():
    moved = L.Shift(2)(FEATURES, SHIFTS).numpy()
    assert moved.shape == (2, 3, 7, 9, 4)
    for clip, time, channel in np.ndindex(2, 3, 4):
        x, y = SHIFTS[clip, time, 2 * (channel // 2) :][:2]
        padded = np.pad(FEATURES[clip, ..., channel], 1)  # 0 is what comes in from outside; SciPy's own border has no slope
        expected = scipy.ndimage.shift(padded, (y, x), order=1, mode="constant", prefilter=False)[1:-1, 1:-1]
        np.testing.assert_allclose(moved[clip, time, ..., channel], expected, atol=1e-5)


def test_a_shift_of_0_is_the_identity_and_whole_shifts_lose_nothing():
    moved = L.Shift(2)(FEATURES, 0 * SHIFTS).numpy()
    np.testing.assert_array_equal(moved, np.repeat(FEATURES[:, None], 3, axis=1))
    right = np.zeros((2, 1, 2), "float32") + np.float32([2, 0])
    np.testing.assert_array_equal(L.Shift()(FEATURES, right)[:, 0, :, 2:], FEATURES[:, :, :-2])
    assert not np.any(L.Shift()(FEATURES, right)[:, 0, :, :2]) and not np.any(L.Shift()(FEATURES, 9 * right))


def test_the_gradient_of_a_shift_is_a_difference_quotient():
    layer, shift = L.Shift(2), tf.Variable(SHIFTS)
    weights = RNG.normal(size=(2, 3, 7, 9, 4)).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weights * layer(FEATURES, shift))
    gradient, step = tape.gradient(total, shift).numpy(), 1e-3
    assert np.abs(gradient).min() > 1e-3
    for place in np.ndindex(2, 3, 4):
        ends = []
        for sign in (1, -1):
            there = SHIFTS.copy()
            there[place] += sign * step
            ends.append(np.sum(weights.astype("float64") * layer(FEATURES, there)))
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.02, abs=0.02)


# All layers

CALLS = {
    "Attention": (lambda **options: L.Attention(8, 2, **options), (X,)),
    "Attention, context": (lambda **options: L.Attention(8, 2, has_context=True, **options), (X, CONTEXT, MASK)),
    "AdaLNZero": (lambda **options: L.AdaLNZero(8, **options), (X, CONTEXT[:, :1])),
    "AdaLNZero, no gate": (lambda **options: L.AdaLNZero(8, has_gate=False, **options), (X, CONTEXT[:, :1])),
    "LatentNormalization": (lambda **options: L.LatentNormalization(8, **options), (X,)),
    "Shift": (lambda **options: L.Shift(2, **options), (FEATURES, SHIFTS)),
    "RandomAffine": (lambda **options: L.RandomAffine(0.1, 0.05, seed=7, **options), (coordinates(8, 2),)),
}


def outputs(result):
    return [np.asarray(keras.ops.cast(part, "float32")) for part in keras.tree.flatten(result)]


@pytest.mark.parametrize("name", CALLS)
def test_a_layer_is_rebuilt_from_its_config(name):
    build, inputs = CALLS[name]
    layer = randomized(build(name="x", dtype="mixed_bfloat16"), *inputs)
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"vidgen_tf>{type(layer).__name__}"
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.get_config() == layer.get_config() and twin.name == "x"
    twin(*inputs)
    twin.set_weights(layer.get_weights())
    for training in (False, True) if name == "RandomAffine" else (None,):
        options = {} if training is None else {"training": training}
        for a, b in zip(outputs(layer(*inputs, **options)), outputs(twin(*inputs, **options)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CALLS)
def test_a_model_with_the_layer_comes_back_from_a_file(name, tmp_path):
    build, arrays = CALLS[name]
    inputs = [keras.Input(array.shape[1:]) for array in arrays]
    model = keras.Model(inputs, build()(*inputs))
    model.set_weights([RNG.normal(size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    expected, got = (outputs(m(list(arrays), training=False)) for m in (model, twin))
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", CALLS)
def test_a_layer_computes_in_half_precision(name, policy):
    """Weights stay float32, what comes out is half as wide, and about what full precision gives; masks hold."""
    build, inputs = CALLS[name]
    full, half = build(dtype="float32"), build(dtype=policy)
    for layer in (full, half):
        layer(*inputs)
    full.set_weights([RNG.normal(size=w.shape) * 0.3 + 1.0 for w in full.get_weights()])
    half.set_weights(full.get_weights())
    options = {"training": True} if name == "RandomAffine" else {}
    result = half(*inputs, **options)
    dtype = policy.removeprefix("mixed_")
    assert all(part.dtype == dtype for part in keras.tree.flatten(result))
    assert all(w.dtype == "float32" for w in half.weights)
    for a, b in zip(outputs(full(*inputs, **options)), outputs(result), strict=True):
        np.testing.assert_allclose(a, b, atol=0.03 * np.abs(a).max())
