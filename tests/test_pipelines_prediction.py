"""Rollouts of frame predictors: from uint8 context frames alone, in batches, sharpened on the page only."""

import numpy as np
import pytest

from vidgen_tf import datasets, training, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models.convlstm import ConvLSTM, ConvLSTMConfig, logits_to_pixels
from vidgen_tf.models.simvp import SimVPConfig, build_simvp
from vidgen_tf.pipelines.prediction import rollout
from vidgen_tf.pipelines.sampling import sample
from vidgen_tf.video import to_float
from vidgen_tf.worlds import digits


def convlstm(num_free_running_frames=0):
    training.set_seed(3)
    return ConvLSTM(ConvLSTMConfig(image_size=32, patch_size=8, filters=(3, 2)), num_free_running_frames)


def simvp():
    training.set_seed(3)
    return build_simvp(SimVPConfig(patch_size=8, filters=4, num_layers=1))


def clips(count):
    return digits.make_moving_mnist(count, seed=5, size=32, num_digits=1).frames


def test_a_rollout_is_the_models_own_free_running_and_depends_on_the_context_alone():
    context = clips(3)[:, :10]
    expected = logits_to_pixels(convlstm(9)(to_float(context))[:, -10:])
    for model in (convlstm(), convlstm(9), convlstm(4)):  # what it is set to for training doesn't matter
        frames = rollout(model, context)
        assert frames.shape == (3, 10, 32, 32, 1) and frames.dtype == np.uint8
        np.testing.assert_allclose(to_float(frames), expected, atol=1.01 / 127.5)
        np.testing.assert_array_equal(rollout(model, context, 4), frames[:, :4])
    assert rollout(convlstm(), context[:, :4], 2).shape == (3, 2, 32, 32, 1)


def test_a_rollout_in_batches_is_that_of_each_clip():
    context = clips(51)[:, :10]
    for model in (convlstm(), simvp()):
        together = rollout(model, context).astype(int)
        assert together.shape == (51, 10, 32, 32, 1)
        assert np.abs(together[-1] - rollout(model, context[-1:])[0]).max() <= 1


@pytest.mark.parametrize("build", [convlstm, simvp])
def test_a_context_that_is_no_pixels_is_refused(build):
    context = clips(2)[:, :10]
    for wrong in (to_float(context), context.astype(int), context / 255):
        with pytest.raises(CourseError, match=r"takes uint8 pixels, got .*: use video.to_uint8"):
            rollout(build(), wrong)


def test_more_frames_than_a_model_predicts_are_refused():
    context = clips(2)[:, :10]
    assert rollout(simvp(), context, 3).shape == (2, 3, 32, 32, 1)
    with pytest.raises(CourseError, match="at most 10 frames, got num_frames=11"):
        rollout(simvp(), context, 11)


def test_sharpening_leaves_what_the_model_reads_alone():
    """It moves each pixel away from middle grey, and the order of all pixels stays."""
    model, context = zoo.load("convlstm-digits"), datasets.load("moving-digits", "test", count=2).frames[:, :10]
    p, sharpened = (rollout(model, context, inverse_temperature=factor) / 255 for factor in (1.0, 2.0))
    expected = p**2 / (p**2 + (1 - p) ** 2)  # the sigmoid of twice the logit
    assert np.abs(sharpened - expected).max() < 0.02


@pytest.mark.parametrize("name", ["convlstm-digits", "simvp-digits", "latent-gru-digits", "svg-digits"])
def test_samples_are_repeatable_and_begin_with_the_context(name):
    model, record = zoo.load(name), zoo.record(name)
    first, again = sample(model, record, 2, 5), sample(model, record, 2, 5)
    real = datasets.load(record["dataset"]["name"], "test").subset(2, 5).frames
    num_context_frames = record["sampling"]["num_context_frames"]
    for a, b, clip in zip(first, again, real, strict=True):
        assert a.frames.shape == clip.shape
        np.testing.assert_allclose(a.frames, b.frames, atol=1)
        np.testing.assert_array_equal(a.frames[:num_context_frames], clip[:num_context_frames])
        assert (a.frames[num_context_frames:] != clip[num_context_frames:]).any()
