"""The classifier of clips: what it outputs, which outputs depend on the order of frames, and that it learns motion."""

import keras
import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.models import video_classifier
from vidgen_tf.video import to_float

SIZES = {"filters": (4,), "frame_feature_dim": 8, "temporal_filters": (8, 8), "feature_dim": 5}
CONFIG = video_classifier.VideoClassifierConfig((6, 8, 8, 1), {"motion": 4}, {"digit": 3, "color": 2}, **SIZES)
CLIPS = np.random.default_rng(0).uniform(-1, 1, (5, 6, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def model():
    training.set_seed(1)
    return video_classifier.build_video_classifier(CONFIG)


def test_there_are_logits_for_each_attribute_and_features(model):
    shapes = {name: part.shape for name, part in model(CLIPS).items()}
    assert shapes == {"motion": (5, 4), "digit": (5, 3), "color": (5, 2), "features": (5, 5)}


def test_attributes_of_the_appearance_do_not_depend_on_the_order_of_frames_and_those_of_the_motion_do(model):
    clips, shuffled = model(CLIPS), model(CLIPS[:, [3, 0, 5, 1, 4, 2]])
    for name in ("digit", "color"):
        np.testing.assert_allclose(clips[name], shuffled[name], atol=1e-5)
    for name in ("motion", "features"):
        assert np.abs(np.asarray(clips[name]) - np.asarray(shuffled[name])).max() > 1e-3


def test_an_output_depends_on_its_own_clip_alone(model):
    for name, part in model(CLIPS[2:3]).items():
        np.testing.assert_allclose(part[0], model(CLIPS)[name][2], atol=1e-5)


def test_all_but_the_first_convolution_over_time_halve_the_frames():
    config = video_classifier.VideoClassifierConfig((16, 32, 32, 3), {"motion": 4}, {})
    built = video_classifier.build_video_classifier(config)
    over_time = [layer.output.shape[1:] for layer in built.layers if "conv1d" in layer.name]
    assert over_time == [(16, 96), (8, 96), (4, 96)]


def test_it_learns_what_no_single_frame_shows():
    """Whether a bright bar moves right or left: every frame of the one is a frame of the other."""
    label, start = np.arange(96) % 2, np.arange(96) % 5
    clips = np.zeros((96, 4, 8, 8, 1), np.uint8)
    for i in range(96):
        for t in range(4):
            clips[i, t, :, start[i] + (t if label[i] else 3 - t)] = 255
    training.set_seed(1)
    config = video_classifier.VideoClassifierConfig((4, 8, 8, 1), {"motion": 2}, {}, filters=(4,), temporal_filters=(8,))
    built = video_classifier.build_video_classifier(config)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    built.compile(keras.optimizers.Adam(1e-2), {"motion": loss}, jit_compile=False)
    built.fit(to_float(clips), {"motion": label}, batch_size=32, epochs=30, verbose=0)
    assert np.mean(np.argmax(built(to_float(clips))["motion"], axis=1) == label) > 0.95
