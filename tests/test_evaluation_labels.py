"""Labels of frames and clips: open where nothing can be seen, and those of corrupted clips hold what still holds."""

import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.evaluation import labels as evaluation_labels
from vidgen_tf.worlds import faces, shapes
from vidgen_tf.worlds.corruptions import CORRUPTIONS


def test_face_labels_are_left_open_where_nothing_can_be_told():
    names = ("skin", "hair_style", "hair_colour", "glasses", "beard")
    states = {name: np.array([1, 0, 0]) for name in names} | {"hair_colour": np.array([4, 3, 2]), "beard": np.array([0, 0, 1])}
    assert faces.HAIR_STYLES[0] == "bald"
    states |= {name: np.array([[0.0, 0.5, 1.0]] * 3) for name in ("mouth_open", "smile", "eye_open")}
    labels = evaluation_labels.face_labels(states, np.tile([0, 1, 2], (3, 1)))
    np.testing.assert_array_equal(labels["skin"], [1, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(labels["hair_colour"], [4, 4, 4, -1, -1, -1, 2, 2, 2])  # a beard shows it
    np.testing.assert_array_equal(labels["smile"].reshape(3, 3), [[0, -1, 1]] * 3)
    np.testing.assert_array_equal(labels["mouth_open"].reshape(3, 3), [[0, -1, 1]] * 3)
    np.testing.assert_array_equal(labels["eyes_shut"].reshape(3, 3), [[1, -1, 0]] * 3)


def test_five_frames_of_each_person_and_the_last_one_is_the_apex_of_a_blink():
    clips = datasets.load("faces-32", "test", count=20)
    frames = evaluation_labels.apex_frames(clips)
    assert frames.shape == (20, 5) and frames.min() >= 0 and frames.max() < 16
    np.testing.assert_array_equal(frames[:, 4], clips.states["eye_open"].argmin(axis=1))
    images = evaluation_labels.face_images(32, "test")
    np.testing.assert_array_equal(images[3, 1], clips.frames[3, frames[3, 1]])


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_labels_of_clips_tell_the_corruption_and_are_left_open_where_it_does_not_show(name):
    frames, labels = {"digits": evaluation_labels.digit_clips, "shapes": evaluation_labels.shape_clips}[name]("validation")
    clips = datasets.load(name, "validation")
    half, order = len(clips), labels["order"]
    appearance = {"digit"} if name == "digits" else {*shapes.SHAPES, *shapes.COLORS}
    np.testing.assert_array_equal(frames[:half], clips.frames)
    assert (order[:half] == 0).all() and (order[half:] != 0).all()
    assert set(order[half:]) - {-1} == set(range(1, len(CORRUPTIONS) - (name == "digits")))  # digits are never played backwards
    assert np.mean(order[half:] == -1) < 0.25
    same = (frames[half:] == clips.frames).all(axis=(1, 2, 3, 4))
    assert (order[half:][same] == -1).all()
    for attribute in labels.keys() - {"order"}:
        clean, corrupted = labels[attribute][:half], labels[attribute][half:]
        assert (clean >= 0).all()
        lost = {"spliced", "changed"} if attribute in appearance else {"spliced", "shuffled", "jittery", "backwards"}
        lost = np.isin(order[half:], [CORRUPTIONS.index(kind) for kind in lost])
        kept = np.isin(order[half:], [CORRUPTIONS.index("flickering")]) | (~lost if attribute in appearance else False)
        np.testing.assert_array_equal(corrupted[kept], clean[kept])
        assert (corrupted[lost] == -1).all()
    if name == "shapes":
        backwards = np.flatnonzero(order[half:] == CORRUPTIONS.index("backwards"))
        assert len(backwards) > 20
        assert (clips.states["motion"][backwards] == shapes.MOTIONS.index("falls")).any(axis=1).all()
        np.testing.assert_array_equal(frames[half:][backwards], clips.frames[backwards, ::-1])
