"""A ball that is thrown and bounces: its laws against closed form, its ranges, and that it stays in view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidgen_tf import splits
from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import spheres, uniforms
from vidgen_tf.worlds.spheres import camera
from vidgen_tf.worlds.spheres.bouncing import BOUNCING_DRAWS, PLANE, simulate_bouncing, touch_times

TIME = np.arange(spheres.NUM_FRAMES)
RANGES = {"radius": (0.7, 0.9), "speed": (0.08, 0.16), "drop": (1.0, 1.6)}


@pytest.fixture(scope="module")
def states():
    """States of many clips, not rendered, as float64."""
    return simulate_bouncing(uniforms(4, 0, 4000, BOUNCING_DRAWS), **RANGES)


def test_ranges_are_filled_evenly_and_independently(states):
    radius = states["radius"][:, 0]
    speed, drop = np.abs(states["velocity"][:, 0, 0, 0]), states["position"][:, 0, 0, 1] - radius
    for values, (low, high) in zip((radius, speed, drop), RANGES.values()):
        assert low <= values.min() and values.max() <= high
        counts, _ = np.histogram(values, 4, (low, high))
        assert counts.min() > 900, "of 1000 expected"
    assert np.abs(np.corrcoef([radius, speed, drop, states["color"][:, 0]]) - np.eye(4)).max() < 0.06
    assert 0.45 < (states["velocity"][:, 0, 0, 0] > 0).mean() < 0.55


def test_it_moves_evenly_across_and_falls_and_bounces_by_the_worlds_laws(states):
    position, velocity = states["position"][:, :, 0], states["velocity"][:, :, 0]
    np.testing.assert_allclose(position[..., 0], position[:, :1, 0] + velocity[:, :1, 0] * TIME, atol=1e-12)
    np.testing.assert_array_equal(position[..., 2], PLANE)
    height, drop = position[..., 1] - states["radius"][:, :1], position[:, 0, 1] - states["radius"][:, 0]
    first, second = (touch[:, None] for touch in touch_times(drop))
    before, flight = TIME <= first, (TIME > first) & (TIME < second)
    np.testing.assert_allclose(height[before], (drop[:, None] - spheres.GRAVITY * TIME**2 / 2)[before], atol=1e-9)
    energy = velocity[..., 1] ** 2 / 2 + spheres.GRAVITY * height
    share = energy / (spheres.GRAVITY * drop[:, None])
    np.testing.assert_allclose(share[flight], spheres.RESTITUTION[0] ** 2, atol=1e-9)
    assert height.min() > -1e-9 and (first > 3.5).all(), "of the first four frames none follows a touch"
    assert flight.sum(axis=1).min() >= 6


def test_no_clip_shows_what_is_held_out(states):
    assert not splits.is_held_out(states).any()
    assert set(states["color"][:, 0]) == {i for i, color in enumerate(spheres.COLORS) if color != "blue"}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(0.2, 1.2), st.floats(0, 0.3), st.floats(0.2, 2.2), st.integers(0, 1000))
def test_whatever_is_made_is_in_view(radius, speed, drop, seed):
    try:
        made = simulate_bouncing(uniforms(seed, 0, 20, BOUNCING_DRAWS), (radius,) * 2, (speed,) * 2, (drop,) * 2)
    except CourseError as error:
        assert "to be in view" in str(error) or "to stay in view" in str(error)
        return
    x, y, depth = camera.project(tuple(np.moveaxis(made["position"][:, :, 0], -1, 0)), 32)
    reach = radius * 32 / 0.65 / depth
    assert (x - reach).min() > 0 and (x + reach).max() < 32 and (y - reach).min() > 0 and (y + reach).max() < 32


WRONG = {
    "radius must be a range from 0.1 at least to 1.3 at most, got (0.9, 0.7)": {"radius": (0.9, 0.7)},
    "speed must be a range from 0.0 at least": {"speed": (-0.1, 0.1)},
    "drop must be a range from 0.1 at least": {"drop": (0.0, 1.0)},
    "radius must be a range from 0.1 at least to 1.3": {"radius": (0.5, float("nan"))},
    "A ball of radius 1.2 can fall from": {"radius": (1.0, 1.2)},
    "Such a ball can move at 0.29 units per frame at most": {"speed": (0.1, 0.35)},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_impossible_ranges_are_refused_in_a_sentence(sentence):
    with pytest.raises(CourseError) as caught:
        spheres.make_bouncing(1, seed=0, **WRONG[sentence])
    assert sentence in str(caught.value)


def test_the_room_is_what_the_ball_does_not_hide():
    clips, room = spheres.make_bouncing(20, seed=2), spheres.bouncing_room()
    difference = np.abs(clips.frames.astype(int) - room).max(axis=-1)
    assert (difference <= 6).mean() > 0.8, "a ball takes a little of the sky from all of the room, and the sun from its shadow"
    assert np.median(difference.max(axis=(2, 3))) > 60


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(0, 32), st.floats(0, 32), st.floats(-2.6, 2.1))
def test_a_point_of_a_plane_is_seen_where_it_was_taken_from(x, y, z):
    at_x, at_y, depth = camera.point_at(np.float64(x), np.float64(y), z, 32)
    np.testing.assert_allclose(camera.project((at_x, at_y, z), 32), (x, y, depth), atol=1e-9)
