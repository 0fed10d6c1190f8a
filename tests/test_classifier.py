"""The classifier of frames: what it outputs, and what its data augmentation does and when."""

import numpy as np
import pytest

from vidgen_tf.models import classifier

CLASSES = {"digit": 10, "color": 3}
CONFIG = classifier.ClassifierConfig(shape=(8, 8, 1), classes=CLASSES, filters=(4, 6), feature_dim=5)
FRAMES = np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 1)).astype("float32")


def test_there_are_logits_for_each_attribute_and_features():
    model = classifier.build_classifier(CONFIG)
    outputs = model(FRAMES)
    assert {name: part.shape for name, part in outputs.items()} == {"digit": (6, 10), "color": (6, 3), "features": (6, 5)}
    for name in CLASSES:  # linear in the rectified features
        kernel, bias = (np.asarray(w) for w in model.get_layer(name).weights)
        expected = np.maximum(outputs["features"], 0) @ kernel + bias
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def test_features_are_normalised_in_training():
    features = np.asarray(classifier.build_classifier(CONFIG)(FRAMES, training=True)["features"])
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=0.1)


@pytest.mark.parametrize("augmented", [True, False])
def test_frames_are_augmented_in_training_only(augmented):
    limits = {} if augmented else {"max_affine": 0.0, "max_shift": 0.0}
    model = classifier.build_classifier(classifier.ClassifierConfig((8, 8, 1), CLASSES, **limits))
    augmentation = model.layers[1]
    assert model.layers[0].output.shape == augmentation.output.shape == (None, 8, 8, 1)
    np.testing.assert_array_equal(augmentation(FRAMES), FRAMES)
    moved = np.abs(np.asarray(augmentation(FRAMES, training=True)) - FRAMES).max()
    assert (moved > 0.1) == augmented
    np.testing.assert_array_equal(model(FRAMES)["features"], model(FRAMES)["features"])


def test_each_pair_of_convolutions_halves_the_feature_map():
    config = classifier.ClassifierConfig(shape=(28, 28, 1), classes={"digit": 10})
    shapes = [layer.output.shape[1:] for layer in classifier.build_classifier(config).layers if "conv2d" in layer.name]
    assert shapes == [(28, 28, 32), (14, 14, 32), (14, 14, 64), (7, 7, 64), (7, 7, 96), (4, 4, 96)]
