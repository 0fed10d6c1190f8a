"""Held-out attribute combinations: found in every world, and gone from what is learned."""

import re

import numpy as np
import pytest

from vidgen_tf import splits
from vidgen_tf.worlds import digits, faces, shapes, spheres


@pytest.fixture(scope="module")
def clips():
    return {"shapes": shapes.make(600, seed=4), "digits": digits.make(600, seed=4), "spheres": spheres.make(400, seed=4, size=8)}


def test_the_combinations_are_those_that_the_shipped_models_never_saw():
    named = [f"{list(shapes.COLORS)[color]} {shapes.SHAPES[shape]}" for color, shape in splits.HELD_OUT_SHAPES]
    assert named == ["red triangle", "green square", "blue circle"]
    named = [f"{list(spheres.COLORS)[color]} {spheres.KINDS[kind]}" for color, kind in splits.HELD_OUT_SPHERES]
    assert named == ["red box", "blue ball"]
    named = [f"{digit} {digits.MOTIONS[motion]}" for digit, motion in splits.HELD_OUT_DIGITS]
    assert named == ["1 up then down", "3 down then up", "5 left then right", "7 right then left"]


def test_captions_tell_which_clips_are_held_out(clips):
    pairs = [f"{list(shapes.COLORS)[color]} {shapes.SHAPES[shape]}" for color, shape in splits.HELD_OUT_SHAPES]
    expected = [any(pair in caption for pair in pairs) for caption in clips["shapes"].captions.tolist()]
    np.testing.assert_array_equal(splits.is_held_out(clips["shapes"].states), expected)
    written = {f"the digit {digit} is moving {digits.MOTIONS[motion]} ." for digit, motion in splits.HELD_OUT_DIGITS}
    expected = [caption in written for caption in clips["digits"].captions.tolist()]
    np.testing.assert_array_equal(splits.is_held_out(clips["digits"].states), expected)
    for captions in (clips["digits"].captions, clips["digits"].captions_zh):  # states that captions name will do
        np.testing.assert_array_equal(splits.is_held_out(digits.parse_captions(captions)), expected)


@pytest.mark.parametrize("language", ["captions", "captions_zh"])
def test_captions_tell_which_clips_of_spheres_are_held_out(clips, language):
    pairs = {
        "captions": (r"\bred[a-z ]*box", "blue[a-z ]*ball"),
        "captions_zh": ("红色(条纹|格子|圆点|)方块", "蓝色(条纹|格子|圆点|)球"),
    }
    phrases = [re.split(" and a | with a | behind a |一个", caption) for caption in getattr(clips["spheres"], language)]
    expected = [any(re.search(pair, phrase) for pair in pairs[language] for phrase in one) for one in phrases]
    np.testing.assert_array_equal(splits.is_held_out(clips["spheres"].states), expected)
    parsed = spheres.parse_captions(getattr(clips["spheres"], language))
    np.testing.assert_array_equal(splits.is_held_out(parsed), expected)


@pytest.mark.parametrize("world", [shapes, digits, spheres], ids=lambda world: world.name)
def test_no_held_out_combination_is_learned_and_each_of_its_values_is(world, clips):
    learned = splits.training_clips(clips[world.name])
    held_out = splits.is_held_out(clips[world.name].states)
    assert 0.05 < held_out.mean() < 0.4 and not splits.is_held_out(learned.states).any()
    np.testing.assert_array_equal(learned.frames, clips[world.name].frames[~held_out])
    np.testing.assert_array_equal(learned.captions_zh, clips[world.name].captions_zh[~held_out])
    for key, values in world.attributes.items():
        assert set(learned.states[key].ravel().tolist()) - {-1} == set(range(len(values))), key


def test_nothing_is_held_out_of_faces_and_of_digits_without_a_motion():
    for clips in (
        faces.make(5, seed=1, size=16, num_frames=2),
        digits.make_moving_mnist(60, seed=1, size=32, num_frames=2, num_digits=1),
        digits.make_moving_mnist(60, seed=1, size=32, num_frames=2),
    ):
        held_out = splits.is_held_out(clips.states)
        assert held_out.dtype == bool and held_out.shape == (len(clips),) and not held_out.any()
        assert splits.training_clips(clips) is clips
