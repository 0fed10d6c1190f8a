"""The shipped predictors: chapters 06 and 07's bars, beside what needs no model."""

import numpy as np
import pytest

from vidgen_tf import datasets, zoo
from vidgen_tf.evaluation.rollouts import evaluate_long_rollout, evaluate_one_step, evaluate_samples
from vidgen_tf.metrics.prediction import causality_gap, copy_last, evaluate_prediction
from vidgen_tf.models.vae import encode
from vidgen_tf.pipelines.prediction import rollout
from vidgen_tf.video import to_float


@pytest.mark.parametrize("name", ["convlstm-digits", "simvp-digits"])
def test_shipped_predictors_keep_the_chapters_bars(name):
    clips, model = datasets.load("moving-digits", "test", count=100).frames, zoo.load(name)
    context = clips[:, :10]
    expected = evaluate_prediction(clips, rollout(model, context))
    inverse_temperature = zoo.record(name)["sampling"]["inverse_temperature"]
    sharpened = evaluate_prediction(clips, rollout(model, context, inverse_temperature=inverse_temperature))
    assert expected["mse_vs_copy_last"] <= 0.35 and sharpened["mse_vs_copy_last"] <= 0.45
    assert sharpened["ssim"] > expected["ssim"] + 0.01, "sharpening raises the similarity"
    assert sharpened["mse"] > expected["mse"], "and the error"
    baseline = evaluate_prediction(clips, copy_last(context))
    assert sharpened["ssim"] >= max(0.75 if name == "simvp-digits" else 0.68, baseline["ssim"])


def test_the_shipped_convlstm_sees_no_future():
    model, clips = zoo.load("convlstm-digits"), datasets.load("moving-digits", "test", count=2).frames
    assert causality_gap(model, to_float(clips), 12) == 0.0


@pytest.fixture(scope="module")
def vae():
    return zoo.load("vae-digits")


@pytest.fixture(scope="module")
def validation():
    return datasets.load("stochastic-digits", "validation", count=100)


def test_the_shipped_gru_predicts_all_but_what_follows_a_bounce(vae, validation):
    model = zoo.load("latent-gru-digits")
    scores = evaluate_one_step(model, vae, validation)
    latents = np.asarray(model.normalization(encode(vae, validation.frames)[0]))
    copied = np.square(np.diff(latents[:, 4:], axis=1)).sum(axis=2).mean()
    assert scores["one_step_error"] < 0.5 * copied, "twice as good as a copy of the frame before"
    assert scores["error_after_bounce"] >= 2


def test_the_shipped_svg_keeps_the_chapters_bars(vae, validation):
    validation = validation[:50]
    scores = evaluate_samples(zoo.load("svg-digits"), vae, validation)
    assert scores["prior_variance_after_bounce"] >= 1.5
    assert scores["variance_after_bounce"] >= 2 * scores["variance_before_bounce"]
    mean = evaluate_one_step(zoo.load("latent-gru-digits"), vae, validation)["rollout_mse"]
    assert scores["best_of_20"] < mean < scores["mean_of_20"]


def test_the_shipped_svg_is_still_moving_a_digit_after_100_frames(vae, validation):
    scores = evaluate_long_rollout(zoo.load("svg-digits"), vae, zoo.load("classifier-digits"), validation)
    assert scores["identity_preserved_25"] >= 0.5 and scores["identity_preserved_100"] >= 0.2
    assert 0.5 < scores["brightness_100"] < 1.5 and 0.6 < scores["speed_100"] < 3.6
