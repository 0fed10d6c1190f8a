"""Evaluation of image generators: copies and monotony are caught, and the shipped DCGAN keeps chapter 04's bars."""

import numpy as np
import pytest

from vidgen_tf import zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.images import evaluate_digits, evaluate_faces
from vidgen_tf.evaluation.labels import face_images
from vidgen_tf.video import to_uint8
from vidgen_tf.worlds import digits


@pytest.fixture(scope="module")
def classifier():
    return zoo.load("classifier-faces")


def test_shipped_faces_keep_the_chapters_bars_on_other_latents(classifier):
    latents = np.random.default_rng(77).normal(size=(600, 64)).astype("float32")
    generated = to_uint8(zoo.load("dcgan-faces").predict(latents, batch_size=200, verbose=0))
    scores = evaluate_faces(classifier, generated)
    assert scores["frechet_distance"] <= 8 * scores["frechet_distance_real"]
    assert scores["min_attribute_share"] > 0 and scores["nn_distance_ratio"] >= 0.5


def test_copies_and_monotony_are_caught(classifier):
    people = face_images(32, "train")
    copies = evaluate_faces(classifier, people[:1000, 2])
    assert copies["nn_distance_ratio"] == 0 and copies["frechet_distance"] < 3 * copies["frechet_distance_real"]
    differ_in_a_bit = np.arange(600, dtype=np.uint8)[:, None, None, None] % 2
    one_person = evaluate_faces(classifier, np.repeat(people[:1, 0], 600, axis=0) ^ differ_in_a_bit)
    assert one_person["min_attribute_share"] == 0
    assert one_person["frechet_distance"] > 20 * one_person["frechet_distance_real"]
    with pytest.raises(CourseError, match="500 faces are needed"):
        evaluate_faces(classifier, people[:499, 0])


def test_digits_are_evaluated_by_confidence_coverage_and_novelty():
    classifier = zoo.load("classifier-digits-28")
    test, labels = digits.images("test")
    real = evaluate_digits(classifier, test)
    assert real["confident_share"] > 0.9 and real["min_class_share"] > 0.05 and real["nn_distance_ratio"] == 1
    copies = evaluate_digits(classifier, digits.images("train")[0][:300])
    assert copies["nn_distance_ratio"] == 0
    ones = evaluate_digits(classifier, np.repeat(test[labels == 1], 4, axis=0))
    assert ones["min_class_share"] == 0 and ones["frechet_distance"] > 5 * real["frechet_distance"]
    noise = evaluate_digits(classifier, np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), dtype=np.uint8))
    assert noise["frechet_distance"] > 5 * real["frechet_distance"] and noise["nn_distance_ratio"] > 1.5
