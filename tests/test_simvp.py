"""The convolutional predictor: which frames it reads and predicts, and that each future frame depends on each context frame."""

import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.models import simvp
from vidgen_tf.models.convlstm import logits_to_pixels

CONFIG = simvp.SimVPConfig(image_size=16, patch_size=8, filters=4, num_layers=1, num_context_frames=4, num_future_frames=3)
FRAMES = np.random.default_rng(0).uniform(-1, 1, (2, 4, 16, 16, 1)).astype("float32")


@pytest.fixture(scope="module")
def model():
    training.set_seed(3)
    return simvp.build_simvp(CONFIG)


def test_context_frames_become_future_frames(model):
    assert model.input_shape == (None, 4, 16, 16, 1) and model.output_shape == (None, 3, 16, 16, 1)
    benchmark = simvp.build_simvp(simvp.SimVPConfig(filters=4, num_layers=1))
    assert benchmark.input_shape == benchmark.output_shape == (None, 10, 32, 32, 1)


@pytest.mark.parametrize("t", range(4))
def test_every_future_frame_depends_on_every_context_frame(model, t):
    changed = FRAMES.copy()
    changed[:, t] *= -1
    difference = np.abs(np.asarray(model(changed)) - np.asarray(model(FRAMES))).max(axis=(0, 2, 3, 4))
    assert (difference > 1e-4).all()


def test_a_residual_block_without_weights_changes_nothing():
    training.set_seed(3)
    deep = simvp.build_simvp(simvp.SimVPConfig(16, 1, 8, 4, num_layers=3, num_context_frames=4, num_future_frames=3))
    convolutions = [layer for layer in deep.layers if "conv2d" in layer.name]
    assert len(convolutions) == 2 + 2 * 3
    for second in convolutions[2:-1:2]:
        second.set_weights([np.zeros_like(w) for w in second.get_weights()])
    before = np.asarray(deep(FRAMES))
    for first in convolutions[1:-1:2]:
        first.set_weights([w + 1 for w in first.get_weights()])
    np.testing.assert_array_equal(deep(FRAMES), before)


def test_a_change_of_a_corner_is_seen_near_it_only():
    """Three convolutions of 3x3 and one block on patches of 4: nothing is seen from more than five patches away."""
    config = simvp.SimVPConfig(image_size=64, filters=4, num_layers=1, num_context_frames=1, num_future_frames=1)
    training.set_seed(3)
    wide = simvp.build_simvp(config)
    frames = np.random.default_rng(1).uniform(-1, 1, (1, 1, 64, 64, 1)).astype("float32")
    changed = frames.copy()
    changed[:, :, 0, 0] *= -1
    moved = np.abs(np.asarray(wide(changed)) - np.asarray(wide(frames)))[0, 0, ..., 0] > 0
    assert moved[:4, :4].any() and not moved[20:].any() and not moved[:, 20:].any()


def test_an_untrained_model_predicts_a_dark_background(model):
    assert np.median((np.asarray(logits_to_pixels(model(FRAMES))) + 1) / 2) < 0.25
