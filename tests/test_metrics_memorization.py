"""Nearest training images and clips against brute force; the ratio against what is known of copies and new draws."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.memorization import nearest_clip, nearest_image, nn_distance_ratio
from vidgen_tf.worlds import digits, shapes

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def brute(items, training):
    """Root mean squared distance of each item to each training item, `(N, M)`."""
    difference = items[:, None].astype(float) - training[None]
    return np.sqrt(np.mean(difference**2, axis=tuple(range(2, difference.ndim))))


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_the_nearest_image_is_that_of_brute_force(seed, n, m):
    images, training = np.split(np.random.default_rng(seed).integers(0, 256, (n + m, 5, 4, 3), dtype=np.uint8), [n])
    index, distance = nearest_image(images, training)
    expected = brute(images, training)
    np.testing.assert_array_equal(index, expected.argmin(axis=1))
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-5)


def test_copies_are_found_at_distance_0_and_a_shift_of_all_pixels_at_its_size():
    training = np.random.default_rng(3).integers(0, 200, (40, 6, 6, 3), dtype=np.uint8)
    for shift in (0, 1, 5, 20):
        index, distance = nearest_image(training[[7, 31]] + np.uint8(shift), training)
        np.testing.assert_array_equal(index, [7, 31])
        np.testing.assert_array_equal(distance, shift)


def coarse_clips(count, size, seed):
    """Clips `(count, 6, size, size, 3)` of 4x4 random blocks, which thumbnails can tell apart."""
    blocks = np.random.default_rng(seed).integers(0, 256, (count, 6, 4, 4, 3), dtype=np.uint8)
    return blocks.repeat(-(-size // 4), axis=2).repeat(-(-size // 4), axis=3)[:, :, :size, :size]


@pytest.mark.parametrize("size", [8, 20, 28])
def test_the_nearest_clip_is_that_of_brute_force(size):
    rng = np.random.default_rng(9)
    training = coarse_clips(40, size, seed=9)
    picks = rng.integers(0, 40, 25)
    clips = np.clip(training[picks] + rng.integers(-40, 41, (25, 6, size, size, 3)), 0, 255).astype(np.uint8)
    expected = brute(clips, training)
    index, distance = nearest_clip(clips, training)
    np.testing.assert_array_equal(index, picks)
    np.testing.assert_array_equal(index, expected.argmin(axis=1))
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-5)
    index, distance = nearest_clip(training[10:12], training)
    np.testing.assert_array_equal(index, [10, 11])
    np.testing.assert_array_equal(distance, 0)


def test_of_fewer_training_clips_than_are_compared_in_full_the_nearest_is_found():
    training = coarse_clips(2, 8, seed=1)
    index, distance = nearest_clip(training[::-1], training)
    np.testing.assert_array_equal(index, [1, 0])
    np.testing.assert_array_equal(distance, 0)


def test_the_nearest_clip_is_not_always_the_one_with_the_nearest_thumbnails():
    """A checkerboard of the same mean brightness has the same thumbnail, and is far away pixel by pixel."""
    clip, sign = np.full((1, 4, 16, 16, 1), 100, np.uint8), (-1) ** np.indices((16, 16)).sum(axis=0)
    others = np.full((6, 4, 16, 16, 1), 200, np.uint8)
    training = np.concatenate([np.uint8(clip + 60 * sign[None, None, :, :, None]), clip + np.uint8(10), others])
    index, distance = nearest_clip(clip, training)
    assert index[0] == 1 and distance[0] == 10


def test_clips_that_begin_alike_are_told_apart_by_their_later_frames():
    training = coarse_clips(12, 16, seed=4)
    training[:, :2] = training[0, :2]
    np.testing.assert_array_equal(nearest_clip(training, training)[0], np.arange(12))


def test_the_distance_to_the_nearest_clip_grows_with_noise():
    training, rng = coarse_clips(30, 16, seed=2), np.random.default_rng(3)
    grain = rng.normal(size=training[:5].shape)
    found = [nearest_clip(np.uint8(np.clip(training[:5] + s * grain, 0, 255)), training)[1].mean() for s in (0, 5, 10, 20, 40)]
    assert found[0] == 0 and (np.diff(found) > 1).all()


def test_the_ratio_is_0_for_copies_near_1_for_new_draws_and_grows_between_them():
    """Three independent sets of one distribution: what is trained on, what is held out, and what a perfect model would make."""
    training, held_out, perfect = np.random.default_rng(6).integers(0, 256, (3, 60, 6, 6, 1), dtype=np.uint8)
    shares = (0, 0.25, 0.5, 0.75, 1)
    blends = [np.uint8((1 - share) * training + share * perfect) for share in shares]
    ratios = [nn_distance_ratio(images, held_out, training) for images in blends]
    assert ratios[0] == 0 and ratios[-1] == pytest.approx(1, abs=0.03)
    assert (np.diff(ratios) > 0.02).all()


def test_the_ratio_has_no_unit():
    training, held_out, images = np.random.default_rng(7).integers(0, 256, (3, 20, 6, 6, 1), dtype=np.uint8)
    scaled = [x / np.float32(127.5) - 1 for x in (images, held_out, training)]
    assert nn_distance_ratio(*scaled) == pytest.approx(nn_distance_ratio(images, held_out, training), rel=1e-5)


def test_sets_that_cannot_be_compared_are_refused():
    images, clips = np.zeros((4, 6, 6, 1), np.uint8), np.zeros((4, 5, 6, 6, 1), np.uint8)
    for wrong in (images[0], images[:, :3], images[:0]):
        for pair in ((wrong, images), (images, wrong)):
            with pytest.raises(CourseError, match="of one size are compared"):
                nearest_image(*pair)
    for wrong in (clips[0], clips[:, :3], clips[..., :0], clips[:0]):
        for pair in ((wrong, clips), (clips, wrong)):
            with pytest.raises(CourseError, match="of one size are compared"):
                nearest_clip(*pair)
    with pytest.raises(CourseError, match="test images that no model was trained on"):
        nn_distance_ratio(images + 1, images, images)


ALIGNMENTS = {"max_shift": 3, "max_delay": 3, "mirrored": True}
PLANTED = {
    "exact": lambda clips: clips,
    "moved by 1 px": lambda clips: np.roll(clips, (1, -1), (2, 3)),
    "moved by 3 px": lambda clips: np.roll(clips, (-3, 2), (2, 3)),
    "mirrored": lambda clips: clips[:, :, :, ::-1],
    "begun 3 frames later": lambda clips: np.roll(clips, 3, axis=1),
    "mirrored, moved, begun earlier": lambda clips: np.roll(clips[:, :, :, ::-1], (-2, 3, 1), (1, 2, 3)),
}


@pytest.fixture(scope="module", params=["digits", "shapes"])
def searched(request):
    """Training clips of a world, and the distance that a hundredth of its held-out clips stays below: the false alarms."""
    if request.param == "digits":
        training, held_out = (digits.make(n, seed=5, split=split).frames for n, split in ((1000, "train"), (100, "test")))
    else:
        training, held_out = (shapes.make(n, seed=seed).frames for n, seed in ((1000, 5), (100, 6)))
    return training, np.quantile(nearest_clip(held_out, np.array_split(training, 3), **ALIGNMENTS)[1], 0.01)


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_copies_are_found_95_times_in_100_at_1_percent_false_alarms(searched, kind):
    training, near = searched
    picks = np.random.default_rng(1).integers(0, len(training), 40)
    distance = nearest_clip(PLANTED[kind](training[picks]), training, **ALIGNMENTS)[1]
    assert near > 0 and np.mean(distance < near) >= 0.95


def test_without_alignments_a_moved_copy_is_missed(searched):
    """Why they are searched."""
    training, near = searched
    distance = nearest_clip(PLANTED["moved by 3 px"](training[:100]), training)[1]
    assert np.mean(distance < near) < 0.3


def test_blocks_of_training_clips_are_searched_like_one_array():
    training, clips = coarse_clips(50, 16, seed=11), coarse_clips(9, 16, seed=12)
    options = {"max_shift": 2, "max_delay": 1, "mirrored": True}
    whole, parts = (nearest_clip(clips, given, **options) for given in (training, np.array_split(training, 7)))
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
    with pytest.raises(CourseError, match="no training clips"):
        nearest_clip(clips, [])
    for wrong in ({"max_shift": 8}, {"max_delay": 3}, {"max_shift": -1}):
        with pytest.raises(CourseError, match="leave nothing"):
            nearest_clip(clips, training, **wrong)
