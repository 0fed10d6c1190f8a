"""Tracks against the true states of clips, and against images whose objects were put there by hand."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.tracking import BATCH_SIZE, TRACKERS, Tracks, image_moments, median_over_time, track
from vidgen_tf.worlds import digits, faces, shapes
from vidgen_tf.worlds.corruptions import corrupt

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
COLORS = list(shapes.COLORS)


@pytest.fixture(scope="module")
def true_shapes():
    """Clips of shapes with their tracks."""
    clips = shapes.make(250, seed=101)
    return clips, track(clips.frames, "shapes")


def matched(clips, tracks):
    """Index of the tracked object that has the colour of each true one, and whether there is one to be found."""
    color = clips.states["color"]
    same = tracks.color[:, None] == color[:, :, None]
    assert same.any(axis=2)[color >= 0].all(), "an object was lost"
    return same.argmax(axis=2), color >= 0


def test_objects_are_found_with_their_colour_shape_and_size(true_shapes):
    clips, tracks = true_shapes
    own, there = matched(clips, tracks)
    np.testing.assert_array_equal((tracks.color >= 0).sum(axis=1), clips.states["objects"])
    shape = np.take_along_axis(tracks.shape, own, axis=1)
    np.testing.assert_array_equal(shape[there], clips.states["shape"][there])
    radius = np.take_along_axis(tracks.radius, own, axis=1) * np.sqrt(np.pi / shapes.AREA[shape])
    np.testing.assert_allclose(radius[there], clips.states["radius"][there], rtol=0.08)
    np.testing.assert_array_equal(np.isnan(tracks.radius), tracks.color < 0)


def test_centres_follow_the_true_positions(true_shapes):
    clips, tracks = true_shapes
    one = clips.states["objects"] == 1
    error = tracks.centre[one, :, 0] - clips.states["position"][one, :, 0]
    triangle = clips.states["shape"][one, 0] == shapes.SHAPES.index("triangle")
    error[triangle, :, 1] -= 0.3 * clips.states["radius"][one, :1][triangle]  # centre of mass of a triangle
    assert np.abs(error).max() < 0.3 and np.abs(error).mean() < 0.05


def test_the_centre_of_a_digit_moves_as_the_digit_does():
    clips = digits.make(60, seed=201)
    tracks = track(clips.frames, "digits")
    steps = np.diff(tracks.centre[:, :, 0], axis=1)
    np.testing.assert_allclose(steps, np.diff(clips.states["pixel_position"][:, :, 0], axis=1), atol=1e-4)
    assert tracks.unoccluded.all() and tracks.measurable.all()


def test_a_clip_has_the_same_tracks_alone_as_among_others(true_shapes):
    clips, tracks = true_shapes
    for i in (0, BATCH_SIZE - 1, BATCH_SIZE, 249):
        alone = track(clips.frames[i : i + 1], "shapes")
        for field in dataclasses.fields(Tracks):
            np.testing.assert_array_equal(getattr(alone, field.name)[0], getattr(tracks, field.name)[i])


def overlapping(clips):
    """Whether true objects overlap, `(N, T)`: some pixel is covered by both."""
    return np.minimum(*(shapes.coverage(clips.states, k, 32) for k in range(2))).max(axis=(2, 3)) > 0.5


def test_overlapping_objects_are_occluded_and_distant_ones_are_not(true_shapes):
    """Where one is hidden altogether, the other lies in front of it and is seen whole."""
    clips, tracks = true_shapes
    two = clips.states["objects"] == 2
    unoccluded, visible = tracks.unoccluded[two][overlapping(clips)[two]], tracks.area[two][overlapping(clips)[two]] > 0
    assert len(visible) > 50 and not unoccluded[visible.all(axis=1)].any()
    np.testing.assert_array_equal(unoccluded[~visible.all(axis=1)], visible[~visible.all(axis=1)])
    apart = np.linalg.norm(np.diff(clips.states["position"][two], axis=2)[:, :, 0], axis=-1) > 17
    assert apart.sum() > 50 and tracks.unoccluded[two][apart].all(), (
        "two of the largest circles, 11 px apart, and room for corners"
    )
    assert tracks.unoccluded[~two, :, 0].all() and not tracks.unoccluded[~two, :, 1].any()


def test_frames_are_measurable_where_an_object_is_unoccluded_or_as_large_as_ever_and_all_where_these_are_few():
    area = np.full((3, 6, 1), 50.0)
    unoccluded = np.zeros((3, 6, 1), bool)
    unoccluded[0, :4] = True
    area[0, 4], area[1, :3], area[2] = 20.0, 30.0, np.array([50, 40, 30, 20, 10, 0])[:, None]
    fields = {"centre": np.zeros((3, 6, 1, 2)), "color": np.zeros((3, 1), int), "shape": np.zeros((3, 1), int)}
    tracks = Tracks(**fields, area=area, unoccluded=unoccluded, num_components=np.ones((3, 6), int))
    expected = [[1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]  # the second: three frames are as large as ever
    np.testing.assert_array_equal(tracks.measurable[..., 0], np.array(expected, bool))
    np.testing.assert_allclose(tracks.radius[:, 0] ** 2 * np.pi, [50, 40, 30])  # medians


def test_components_are_counted_in_each_frame():
    picture = np.zeros((2, 3, 32, 32, 1), np.uint8)
    picture[0, :, 4:8, 4:8] = picture[0, 1:, 20:24, 20:24] = 255
    picture[0, 2, 8:12, 8:12] = 255  # touches the first by a corner
    picture[0, 2, 30, 30] = 255  # a speck
    tracks = track(picture, "digits")
    np.testing.assert_array_equal(tracks.num_components, [[1, 2, 2], [0, 0, 0]])
    np.testing.assert_array_equal(tracks.color[:, 0], [0, -1])
    assert np.isnan(tracks.centre[1]).all() and np.isnan(tracks.radius[1]).all()


def test_two_components_of_one_colour_are_two():
    frames = np.tile(np.uint8(shapes.BACKGROUND), (1, 16, 32, 32, 1))
    frames[:, :, 4:10, 4:10] = frames[:, :, 20:26, 4:10] = shapes.COLORS["red"]
    frames[:, :, 10:14, 4:10] = shapes.COLORS["blue"]  # touches the first, and is another
    tracks = track(frames, "shapes")
    np.testing.assert_array_equal(tracks.num_components, 3)
    assert sorted(tracks.color[0]) == [COLORS.index("red"), COLORS.index("blue")]


def test_an_empty_frame_has_no_objects():
    tracks = track(np.tile(np.uint8(shapes.BACKGROUND), (1, 16, 32, 32, 1)), "shapes")
    assert (tracks.color == -1).all() and not tracks.area.any() and not tracks.num_components.any()
    assert not tracks.unoccluded.any() and not tracks.measurable.any()


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_moments_are_the_sum_and_scipys_centre_of_mass(seed, size):
    images = np.random.default_rng(seed).uniform(0.1, 1, (2, 3, size, size))
    total, centroid = image_moments(images)
    np.testing.assert_allclose(total, images.sum(axis=(2, 3)))
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(centroid[i], np.array(scipy.ndimage.center_of_mass(images[i]))[::-1] + 0.5)
    assert not np.concatenate([part.ravel() for part in image_moments(0 * images)]).any(), "empty"


def test_the_median_over_time_is_numpys_without_nan():
    values = np.random.default_rng(2).normal(size=(5, 8, 3))
    values[np.random.default_rng(3).random(values.shape) < 0.4] = np.nan
    values[0, :, 1], values[1, :, 1] = np.nan, 7.0
    expected = [[np.nanmedian(column) if np.isfinite(column).any() else np.nan for column in clip.T] for clip in values]
    np.testing.assert_array_equal(median_over_time(values), expected)


@pytest.mark.parametrize("tracker, shape, dtype", [
    ("shapes", (2, 16, 64, 64, 3), np.uint8),
    ("shapes", (16, 32, 32, 3), np.uint8),
    ("shapes", (2, 16, 32, 32, 1), np.uint8),
    ("digits", (2, 16, 32, 32, 3), np.uint8),
    ("digits", (0, 16, 32, 32, 1), np.uint8),
    ("digits", (2, 16, 32, 32, 1), np.float32),
])  # fmt: skip
def test_clips_that_a_tracker_does_not_know_are_refused(tracker, shape, dtype):
    channels = {"shapes": 3, "digits": 1}[tracker]
    with pytest.raises(CourseError, match=rf"{tracker} takes uint8 clips \(n, time, 32, 32, {channels}\)"):
        track(np.zeros(shape, dtype), tracker)


def test_another_tracker_is_refused_by_name():
    assert list(TRACKERS) == ["shapes", "digits"]
    with pytest.raises(CourseError, match="no tracker 'faces': choose shapes or digits"):
        track(np.zeros((2, 16, 32, 32, 3), np.uint8), "faces")


def test_clips_of_another_world_have_no_shapes_in_them():
    people = faces.make(20, size=32, seed=7).frames
    noise = np.random.default_rng(0).integers(0, 256, people.shape, dtype=np.uint8)
    for clips in (people, noise):
        tracks = track(clips, "shapes")
        assert (tracks.color == -1).all() and not tracks.area.any() and np.isnan(tracks.centre).all()


def test_real_clips_of_shapes_are_no_other_world_even_if_noisy_or_darker(true_shapes):
    clips, _ = true_shapes
    noisy = clips.frames[:60] + np.random.default_rng(0).normal(0, 20, clips.frames[:60].shape)
    assert (track(np.clip(noisy, 0, 255).astype(np.uint8), "shapes").color[:, 0] >= 0).all()
    assert (track(corrupt(clips, "flickering"), "shapes").color[:, 0] >= 0).all()
