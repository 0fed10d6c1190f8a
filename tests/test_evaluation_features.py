"""The zoo's classifiers: right about what they never saw, not fooled by noise, and features that tell real from corrupted."""

import numpy as np
import pytest

from vidgen_tf import datasets, training, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.features import class_accuracy, predict_probabilities
from vidgen_tf.evaluation.labels import LABELS, face_labels
from vidgen_tf.metrics.distribution import frechet_distance
from vidgen_tf.models.classifier import ClassifierConfig, build_classifier
from vidgen_tf.models.video_classifier import VideoClassifierConfig, build_video_classifier

NAMES = ("classifier-digits-28", "classifier-digits", "classifier-faces", "classifier-shapes")
VIDEO_NAMES = ("video-classifier-digits", "video-classifier-shapes")


def labelled(name, split):
    return LABELS[zoo.record(name)["evaluation"]](split)


@pytest.fixture(scope="module")
def shipped():
    """The frame classifiers of the zoo, each with the frames and labels of its test split."""
    return {name: (zoo.load(name), *labelled(name, "test")) for name in NAMES}


def noise_like(frames, seed=0):
    return np.random.default_rng(seed).integers(0, 256, frames.shape, dtype=np.uint8)


def blurred(frames, width):
    """Each pixel the mean of the square of this odd width around it."""
    steps = range(-(width // 2), width // 2 + 1)
    rows = sum(np.roll(frames.astype(np.float32), i, axis=1) for i in steps)
    return (sum(np.roll(rows, i, axis=2) for i in steps) / width**2).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_is_right_about_frames_it_never_saw(name, shipped):
    classifier, frames, labels = shipped[name]
    assert labels.keys() == zoo.record(name)["config"]["classes"].keys()
    for attribute, accuracy in class_accuracy(classifier, frames, labels).items():
        assert accuracy >= 0.95, attribute
    probabilities = predict_probabilities(classifier, frames[::4])
    for attribute, label in labels.items():
        confident = probabilities[attribute].max(axis=1)[label[::4] >= 0] >= 0.9
        assert np.mean(confident) >= 0.9, f"{attribute} is unsure of real frames"


@pytest.mark.parametrize("name", VIDEO_NAMES)
def test_a_video_classifier_tells_motion_and_corruptions_of_clips_it_never_saw(name):
    clips, labels = labelled(name, "test")
    chosen = np.random.default_rng(0).permutation(len(clips))[:600]
    labels = {attribute: label[chosen] for attribute, label in labels.items()}
    for attribute, accuracy in class_accuracy(zoo.load(name), clips[chosen], labels).items():
        assert accuracy > (0.75 if attribute == "order" else 0.85), attribute


def test_faces_at_twice_the_size_are_classified_after_halving(shipped):
    clips = datasets.load("faces", "test")
    frames = clips.frames[:, [0, 6, 12]].reshape(-1, 64, 64, 3)
    labels = face_labels(clips.states, np.tile([0, 6, 12], (len(clips), 1)))
    for attribute, accuracy in class_accuracy(shipped["classifier-faces"][0], frames, labels).items():
        assert accuracy >= 0.9, attribute


@pytest.mark.parametrize("name", NAMES)
def test_noise_and_blank_frames_do_not_pass_for_varied_real_ones(name, shipped):
    """The bar of the chapters, confident predictions of all classes, is out of reach without images."""
    classifier, frames, _ = shipped[name]
    blank = np.linspace(0, 255, 256).astype(np.uint8)[:, None, None, None] * np.ones(frames.shape[1:], np.uint8)
    for unreal in (noise_like(frames[:256]), blank):
        for attribute, p in predict_probabilities(classifier, unreal).items():
            if attribute != "features" and p.shape[1] > 2:  # of two classes, noise may well look like either
                confident = p.argmax(axis=1)[p.max(axis=1) >= 0.9]
                shares = np.bincount(confident, minlength=p.shape[1]) / len(p)
                assert shares.min() < 0.03 or shares.sum() < 0.5, attribute


@pytest.mark.parametrize("name, split, blur", [("classifier-digits-28", "train", 9), ("classifier-faces", "validation", 5)])
def test_features_of_real_frames_lie_near_each_other_and_far_from_corrupted_ones(name, split, blur, shipped):
    """A digit's blur is wider: a pixel of its image in the data set is 3.5 pixels of the frame."""
    classifier, frames, _ = shipped[name]
    reference = predict_probabilities(classifier, labelled(name, split)[0])["features"]

    def distance(frames):
        return frechet_distance(reference, predict_probabilities(classifier, frames)["features"])

    real = distance(frames)
    assert distance(noise_like(frames)) > 10 * real
    assert distance(blurred(frames, blur)) > 3 * real


@pytest.fixture(scope="module")
def tiny():
    training.set_seed(1)
    return build_classifier(ClassifierConfig(shape=(8, 8, 1), classes={"kind": 3}, filters=(4,), feature_dim=5))


def test_frames_of_a_multiple_of_the_size_are_reduced_and_others_refused(tiny):
    frames = noise_like(np.empty((6, 8, 8, 1)))
    p = predict_probabilities(tiny, frames)
    assert p["kind"].shape == (6, 3) and p["features"].shape == (6, 5)
    np.testing.assert_allclose(p["kind"].sum(axis=1), 1, rtol=1e-5)
    for factor in (2, 3):
        large = frames.repeat(factor, axis=1).repeat(factor, axis=2)
        np.testing.assert_allclose(predict_probabilities(tiny, large)["kind"], p["kind"], rtol=1e-4)
    large = frames.repeat(2, axis=1).repeat(2, axis=2)
    for wrong in (frames[0], frames[:, :4, :4], frames[:, :, :7], large[:, :12, :12], frames.repeat(3, axis=3)):
        with pytest.raises(CourseError, match=r"\(n, 8, 8, 1\) or a whole multiple"):
            predict_probabilities(tiny, wrong)


def test_clips_of_a_multiple_of_the_size_are_reduced_and_others_refused():
    config = VideoClassifierConfig((4, 8, 8, 1), {"motion": 3}, {"digit": 2}, filters=(4,), feature_dim=5)
    model, clips = build_video_classifier(config), noise_like(np.empty((5, 4, 8, 8, 1)))
    p = predict_probabilities(model, clips)
    assert {key: value.shape for key, value in p.items()} == {"motion": (5, 3), "digit": (5, 2), "features": (5, 5)}
    large = clips.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(predict_probabilities(model, large)["features"], p["features"], atol=1e-5)
    for wrong in (clips[0], clips[:, :3], clips[:, :, :4]):
        with pytest.raises(CourseError, match=r"\(n, 4, 8, 8, 1\) or a whole multiple"):
            predict_probabilities(model, wrong)


def test_accuracy_is_the_mean_over_classes_and_leaves_out_what_has_no_label():
    class AlwaysOne:
        input_shape = (None, 8, 8, 1)

        def predict(self, frames, **options):
            return {"kind": np.tile([0.0, 1.0], (len(frames), 1)), "features": np.zeros((len(frames), 2))}

    labels = {"kind": np.array([1, 1, 1, 0, -1, -1])}
    assert class_accuracy(AlwaysOne(), noise_like(np.empty((6, 8, 8, 1))), labels) == {"kind": 0.5}
