"""The ConvLSTM: its cell is the one of the equations and of Keras, no future leaks in, free-running reads its own predictions."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from vidgen_tf import training
from vidgen_tf.metrics.prediction import causality_gap
from vidgen_tf.models import convlstm

TINY = convlstm.ConvLSTMConfig(image_size=32, patch_size=8, filters=(3, 2))
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-1, 1, (2, 6, 32, 32, 1)).astype("float32")


def tiny(num_free_running_frames=0, **changes):
    training.set_seed(3)
    return convlstm.ConvLSTM(dataclasses.replace(TINY, **changes), num_free_running_frames)


@pytest.mark.parametrize("filters, kernel_size, channels", [(5, 3, 2), (2, 5, 7), (4, 1, 1)])
def test_the_cell_is_the_one_of_keras(filters, kernel_size, channels):
    """Random biases too, so that gates in another order would be noticed."""
    x = RNG.normal(size=(3, 7, 6, 8, channels)).astype("float32")
    theirs = layers.ConvLSTM2D(filters, kernel_size, padding="same", return_sequences=True, return_state=True)
    theirs.build(x.shape)
    weights = [RNG.normal(size=weight.shape) / 3 for weight in theirs.get_weights()]
    theirs.set_weights(weights)
    cell = convlstm.ConvLSTMCell(filters, kernel_size)
    cell.build(x[:, 0].shape)
    cell.set_weights(weights)
    states, ours = cell.get_initial_state(x), []
    for t in range(x.shape[1]):
        hidden_state, states = cell(x[:, t], states)
        ours.append(hidden_state)
    sequence, hidden_state, cell_state = theirs(x)
    np.testing.assert_allclose(np.stack(ours, axis=1), sequence, atol=2e-6)
    np.testing.assert_allclose(states[0], hidden_state, atol=2e-6)
    np.testing.assert_allclose(states[1], cell_state, atol=2e-6)


def test_a_new_cell_starts_as_that_of_keras_does_within_a_model_too():
    ours, theirs = convlstm.ConvLSTMCell(4, 3), layers.ConvLSTM2D(4, 3, padding="same")
    ours.build((None, 5, 5, 2))
    theirs.build((None, None, 5, 5, 2))
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])
    for cell, filters in zip(tiny().cells, TINY.filters, strict=True):
        np.testing.assert_array_equal(cell.bias, np.repeat([0, 1, 0, 0], filters))


def test_one_step_by_hand():
    """A single location with one channel: the equations in numbers."""
    cell = convlstm.ConvLSTMCell(1, 1)
    cell.build((None, 1, 1, 1))
    w, u, b = np.array([0.3, -0.5, 0.8, 0.1]), np.array([-0.2, 0.4, 0.6, 0.9]), np.array([0.1, 1.0, -0.3, 0.2])
    cell.set_weights([w.reshape(1, 1, 1, 4), u.reshape(1, 1, 1, 4), b])
    x, h, c = 0.7, -0.4, 1.5
    i, f, g, o = w * x + u * h + b

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    cell_state = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    hidden_state = sigmoid(o) * np.tanh(cell_state)
    states = [np.full((1, 1, 1, 1), value, "float32") for value in (h, c)]
    ours, (_, new_cell_state) = cell(np.full((1, 1, 1, 1), x, "float32"), states)
    assert float(new_cell_state[0, 0, 0, 0]) == pytest.approx(cell_state, rel=1e-5)
    assert float(ours[0, 0, 0, 0]) == pytest.approx(hidden_state, rel=1e-5)


@pytest.mark.parametrize("t", [1, 3, 5])
def test_no_output_sees_the_future(t):
    model = tiny()
    assert causality_gap(model, NOISE, t) == 0.0
    changed = np.array(NOISE)
    changed[:, t] = 0
    assert np.abs(np.asarray(model(NOISE))[:, t] - np.asarray(model(changed))[:, t]).max() > 1e-4, "but each sees its own frame"


def test_a_head_over_three_time_steps_leaks_the_next_frame():
    """It sees one frame ahead: the frame that it is to predict."""
    model = tiny(head_kernel_time=3)
    assert causality_gap(model, NOISE, 3) > 1e-4
    changed = np.array(NOISE)
    changed[:, 4] = 0
    np.testing.assert_array_equal(model(NOISE)[:, :3], model(changed)[:, :3])  # two ahead it sees nothing


@pytest.mark.parametrize("head_kernel_time", [1, 3])
def test_free_running_is_reading_its_own_predictions(head_kernel_time):
    """The slow way: predict one frame, append it, read the whole video anew."""
    model, video = tiny(head_kernel_time=head_kernel_time), NOISE[:, :3]
    predictions = []
    for _ in range(4):
        predictions.append(np.asarray(convlstm.logits_to_pixels(model(video)[:, -1:])))
        video = np.concatenate([video, predictions[-1]], axis=1)
    quick = np.asarray(model(NOISE[:, :3], num_free_running_frames=3))
    assert quick.shape == (2, 6, 32, 32, 1)
    np.testing.assert_allclose(convlstm.logits_to_pixels(quick[:, -4:]), np.concatenate(predictions, axis=1), atol=1e-6)
    np.testing.assert_array_equal(tiny(3, head_kernel_time=head_kernel_time)(NOISE[:, :3]), quick)


def test_features_are_the_frame_and_the_hidden_states():
    model = tiny()
    features, states = model.encode_context(NOISE)
    assert len(features) == 6 and features[0].shape == (2, 4, 4, 64 + 3 + 2)
    squares = NOISE[:, 2].reshape(2, 4, 8, 4, 8, 1).transpose(0, 1, 3, 2, 4, 5).reshape(2, 4, 4, 64)
    np.testing.assert_array_equal(features[2][..., :64], squares)
    np.testing.assert_array_equal(features[5][..., 64:67], states[0][0])
    np.testing.assert_array_equal(features[5][..., 67:], states[1][0])


def test_losses_are_sums_over_pixels_and_means_over_frames():
    frames = NOISE[:, :2]
    logits = RNG.normal(size=frames.shape).astype("float32")
    p, target = 1 / (1 + np.exp(-logits.astype(float))), (frames + 1) / 2
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.bce_loss(frames, logits)) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(convlstm.logits_to_pixels(logits), 2 * p - 1, atol=1e-6)
    absolute = np.abs(target - p).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.bce_l1_loss(frames, logits)) == pytest.approx(expected + 2 * absolute, rel=1e-5)
    assert float(convlstm.bce_l1_loss(frames, logits, l1_weight=0.5)) == pytest.approx(expected + absolute / 2, rel=1e-5)
    squared = ((target - p) ** 2).sum(axis=(2, 3, 4)).mean()
    assert float(convlstm.mse_metric(frames, logits)) == pytest.approx(squared, rel=1e-5)


def test_an_uncertain_pixel_is_its_mean_in_one_loss_and_darker_in_the_other():
    """A pixel that is white in a quarter of all futures: the best single prediction by search."""
    brightness = np.linspace(0.05, 0.95, 19)
    logits = np.log(brightness / (1 - brightness)).astype("float32")
    white, black = np.ones((1, 1, 1, 1, 1), "float32"), -np.ones((1, 1, 1, 1, 1), "float32")

    def best(loss):
        costs = [0.25 * loss(white, x) + 0.75 * loss(black, x) for x in logits.reshape(-1, 1, 1, 1, 1, 1)]
        return brightness[int(np.argmin(costs))]

    assert best(convlstm.bce_loss) == pytest.approx(0.25) and best(convlstm.mse_metric) == pytest.approx(0.25)
    assert best(convlstm.bce_l1_loss) < 0.2


def test_gradients_reach_every_weight_through_the_models_own_predictions():
    model = tiny(4)
    with tf.GradientTape() as tape:
        loss = convlstm.bce_loss(NOISE[:, -1:], model(NOISE[:, :2])[:, -1:])  # of the last frame alone
    assert all(float(ops.max(ops.abs(g))) > 0 for g in tape.gradient(loss, model.trainable_variables))


def test_an_untrained_model_predicts_a_dark_background():
    pixels = np.asarray(convlstm.logits_to_pixels(tiny()(np.full_like(NOISE, -1))))
    assert np.median((pixels + 1) / 2) == pytest.approx(0.05, abs=0.03)
