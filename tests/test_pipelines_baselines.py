"""Baselines of prediction against futures that are known."""

import numpy as np
import pytest

from vidgen_tf.pipelines.baselines import BASELINES, constant_velocity, copy_last, linear_extrapolation
from vidgen_tf.worlds import digits


def flying(count, dy, dx, size=40):
    """Digits `(count, 12, size, size, 1)` that fly on straight and leave the frame."""
    images = digits.images("test", size=14)[0][:count, ..., 0]
    frames = np.zeros((count, 12, 3 * size, 3 * size, 1), np.uint8)
    for t in range(12):
        y, x = size + 12 + t * dy, size + 12 + t * dx
        frames[:, t, y : y + 14, x : x + 14, 0] = images
    return frames[:, :, size : 2 * size, size : 2 * size]


@pytest.mark.parametrize("dy, dx", [(0, 0), (2, 0), (0, -3), (-1, 4)])
def test_what_flies_straight_on_is_predicted_to_the_pixel(dy, dx):
    """But for the faint rims of the pen strokes, which belong to no object."""
    clips = flying(6, dy, dx)
    predicted = constant_velocity(clips[:, :4], 8)
    true = clips[:, 4:]
    seen = true >= 40
    np.testing.assert_array_equal(predicted[seen], true[seen])
    assert np.abs(predicted[~seen].astype(int) - true[~seen]).max() < 40


def test_constant_velocity_beats_the_others_until_a_wall_is_met():
    clips = digits.make_moving_mnist(40, seed=3, num_digits=1).frames
    errors = {}
    for name, predict in BASELINES.items():
        predicted = predict(clips[:, :10], 10)
        assert predicted.shape == (40, 10, 64, 64, 1) and predicted.dtype == np.uint8
        errors[name] = np.mean((predicted[:, :2].astype(float) - clips[:, 10:12]) ** 2)
    assert errors["constant velocity"] < 0.5 * errors["copy of the last frame"] < errors["linear extrapolation"]


def test_pixels_go_on_changing_and_end_at_black_and_white():
    context = np.zeros((1, 2, 1, 3, 1), np.uint8)
    context[0, :, 0, :, 0] = [[10, 100, 7], [20, 60, 7]]
    assert linear_extrapolation(context, 3)[0, :, 0, :, 0].tolist() == [[30, 20, 7], [40, 0, 7], [50, 0, 7]]
    np.testing.assert_array_equal(copy_last(context, 4), np.repeat(context[:, 1:], 4, axis=1))
