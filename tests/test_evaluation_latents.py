"""Evaluation of autoencoders: what an untrained one scores, and that the shipped ones keep chapter 05's bars."""

import numpy as np
import pytest

from vidgen_tf import datasets, training, zoo
from vidgen_tf.evaluation.features import class_accuracy
from vidgen_tf.evaluation.labels import LABELS
from vidgen_tf.evaluation.latents import evaluate_prior_samples, evaluate_reconstruction
from vidgen_tf.metrics.image import psnr
from vidgen_tf.models.vae import VAE, VAEConfig, decode, encode

DATASETS = ("digits", "shapes")


@pytest.mark.parametrize("dataset", DATASETS)
def test_shipped_weights_keep_the_chapters_bars_and_an_untrained_model_does_not(dataset):
    clips, model = datasets.load(dataset, "test", count=200), zoo.load(f"vae-{dataset}")
    scores = evaluate_reconstruction(model, clips)
    assert scores["psnr_db"] >= 26 and scores["active_dimensions"] >= 0.5 and scores["temporal_order_share"] >= 0.9
    validation = datasets.load(dataset, "validation", count=100).frames
    assert psnr(validation, decode(model, encode(model, validation)[0])).mean() >= 26
    training.set_seed(1)
    untrained = evaluate_reconstruction(VAE(VAEConfig(channels=clips.frames.shape[-1])), clips)
    assert untrained["psnr_db"] < 16, "random features of frames are in temporal order too: only the error tells"


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_classifier_is_nearly_as_right_about_reconstructions_as_about_real_frames(dataset):
    """What later chapters generate goes through this decoder: what it loses, no prompt can bring back."""
    name = f"classifier-{dataset}"
    frames, labels = LABELS[zoo.record(name)["evaluation"]]("test")
    model, labels = zoo.load(f"vae-{dataset}"), {attribute: label[::4] for attribute, label in labels.items()}
    reconstruction = decode(model, encode(model, frames[::4])[0])
    for attribute, accuracy in class_accuracy(zoo.load(name), reconstruction, labels).items():
        assert accuracy >= 0.85, attribute


def test_samples_of_the_prior_are_measured_beside_real_frames():
    model, classifier = zoo.load("vae-digits"), zoo.load("classifier-digits")
    test, train = datasets.load("digits", "test", count=200).frames, datasets.load("digits", "train", count=400).frames
    scores = evaluate_prior_samples(model, classifier, test, train)
    assert 0 < scores["confident_share"] < 1 and scores["nn_distance_ratio"] > 0.5
    assert scores["frechet_distance"] > scores["frechet_distance_real"] > 0
    grey = VAE(VAEConfig(channels=1))
    untrained = evaluate_prior_samples(grey, classifier, test, train)
    assert untrained["frechet_distance"] > 2 * scores["frechet_distance"]
    assert np.isfinite(list(untrained.values())).all()
