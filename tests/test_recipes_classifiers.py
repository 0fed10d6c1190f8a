"""How the classifiers are trained: they learn from their labels, leave out what has none, and resume to the same weights."""

import dataclasses

import keras
import numpy as np
import pytest

from vidgen_tf import recipes, training
from vidgen_tf.evaluation import labels as evaluation_labels
from vidgen_tf.evaluation.features import class_accuracy
from vidgen_tf.models.classifier import ClassifierConfig


def stripes(split):
    """Frames of which one third is bright, and which; every fourth one has no label."""
    label = np.arange(96) % 3
    frames = np.random.default_rng(0).integers(0, 64, (96, 8, 8, 1), dtype=np.uint8)
    for i, third in enumerate(label):
        frames[i, 3 * third : 3 * third + 2] += 150
    return frames, {"third": np.where(np.arange(96) % 4, label, -1).astype(np.int32)}


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setitem(evaluation_labels.LABELS, "stripes", stripes)
    config = ClassifierConfig((8, 8, 1), {"third": 3}, filters=(4,), feature_dim=5, max_affine=0.1, max_shift=0.1)
    return dataclasses.replace(recipes.RECIPES["classifier-digits"], config=config, evaluation="stripes", seed=1)


def trained(recipe, checkpoint=None):
    training.set_seed(1)
    model = recipe.build()
    recipe.train(recipe, model, 100, checkpoint)
    return model


def test_a_classifier_learns_and_resumes_to_the_same_weights(recipe, tmp_path, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    whole, fit = trained(recipe), training.fit
    assert class_accuracy(whole, *stripes("test"))["third"] > 0.95
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", lambda *a, **o: fit(*a, **o, checkpoint_interval_s=0, callbacks=[Stop()]))
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, tmp_path / "c.npz")
    for a, b in zip(whole.get_weights(), trained(recipe, tmp_path / "c.npz").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes.classifiers.RECIPES])
def test_a_classifier_has_an_output_for_each_label_of_its_data(name):
    recipe = recipes.RECIPES[name]
    frames, labels = evaluation_labels.LABELS[recipe.evaluation]("validation")
    classes = recipe.config.classes | getattr(recipe.config, "appearance_classes", {})
    assert frames.shape[1:] == recipe.config.shape and labels.keys() == classes.keys()
    for attribute, label in labels.items():
        assert set(np.unique(label)) - {-1} == set(range(classes[attribute])), attribute
