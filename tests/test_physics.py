"""Tracks and laws: exact on real clips, and the known value on clips that were drawn to break one law."""

import numpy as np
import pytest

from vidgen_tf import datasets, physics
from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import digits, shapes

TIME = np.arange(16.0)


@pytest.fixture(scope="module")
def moving():
    """Real clips of each world with their tracks."""
    clips = {name: datasets.load(name, "test", 250) for name in ("shapes", "digits")}
    return {name: (value, physics.track(value.frames)) for name, value in clips.items()}


def drawn(x, y, radius=5.5, shape=0, color=0):
    """Clips of one object on paths `(N, 16)`, or of what broadcasts to that."""
    path = np.stack(np.broadcast_arrays(np.atleast_2d(x), np.atleast_2d(y)), axis=-1).astype(np.float32)
    count = len(path)
    position = np.zeros((count, 16, 2, 2), np.float32)
    position[:, :, 0] = path
    states = {"position": position, "radius": np.tile(np.float32([radius, 0]), (count, 1))}
    states |= {key: np.tile([value, -1], (count, 1)) for key, value in {"shape": shape, "color": color}.items()}
    return physics.track(shapes.draw(states))


def of_object(values):
    """The values of the one object, which must be the first."""
    return np.asarray(values)[:, 0]


def matched(clips, tracks):
    """Index of the tracked object that has the colour of each true one, and whether there is one to be found."""
    color = clips.states["color"]
    same = tracks.color[:, None] == color[:, :, None]
    assert same.any(axis=2)[color >= 0].all(), "an object was lost"
    return same.argmax(axis=2), color >= 0


def test_objects_are_found_with_their_colour_shape_and_size(moving):
    clips, tracks = moving["shapes"]
    own, there = matched(clips, tracks)
    np.testing.assert_array_equal((tracks.color >= 0).sum(axis=1), clips.states["objects"])
    shape = np.take_along_axis(tracks.shape, own, axis=1)
    np.testing.assert_array_equal(shape[there], clips.states["shape"][there])
    radius = np.take_along_axis(tracks.radius, own, axis=1) * np.sqrt(np.pi / shapes.AREA[shape])
    np.testing.assert_allclose(radius[there], clips.states["radius"][there], rtol=0.08)


def test_centres_follow_the_true_positions(moving):
    clips, tracks = moving["shapes"]
    one = clips.states["objects"] == 1
    error = tracks.centre[one, :, 0] - clips.states["position"][one, :, 0]
    triangle = clips.states["shape"][one, 0] == shapes.SHAPES.index("triangle")
    error[triangle, :, 1] -= 0.3 * clips.states["radius"][one, :1][triangle]  # centre of mass of a triangle
    assert np.abs(error).max() < 0.3 and np.abs(error).mean() < 0.05
    clips, tracks = moving["digits"]
    steps = np.diff(tracks.centre[:, :, 0], axis=1)
    np.testing.assert_allclose(steps, np.diff(clips.states["drawn"][:, :, 0], axis=1), atol=1e-4)


def test_motion_of_real_clips_is_told_from_their_paths(moving):
    clips, tracks = moving["digits"]
    np.testing.assert_array_equal(physics.motion_of_digits(tracks), clips.states["motion"])
    clips, tracks = moving["shapes"]
    own, there = matched(clips, tracks)
    motion = np.take_along_axis(physics.motion_of_shapes(tracks), own, axis=1)
    assert np.mean((motion == clips.states["motion"])[there]) > 0.99
    assert (physics.motion_of_shapes(tracks)[tracks.color < 0] == -1).all()


@pytest.mark.parametrize("x, y, expected", [(0, 0, 1.0), (0, 0.1, 1.0), (0, 1, 0.0), (1, 0, 0.0), (-0.6, 0, 0.2)], ids=str)
def test_things_that_turn_without_meeting_do_not_collide(x, y, expected):
    """Neither at different heights, nor before they touch, nor deep in one another; shifts are shares of both radii."""
    clips = shapes.make(600, seed=5)
    clips = clips[clips.states["motion"][:, 0] == shapes.MOTIONS.index("collides")]
    states = clips.states | {"position": clips.states["position"].copy()}
    first, second = states["position"][:, :, 0], states["position"][:, :, 1]
    outward = np.sign(first - second)[:, :1, 0], np.sign(16 - first[:, :1, 1])  # (N, 1); of y, to where there is room
    reach = states["radius"].sum(axis=1)[:, None]
    for axis, share in enumerate((x, y)):
        first[:, :, axis] += share * reach * outward[axis]
    motion = physics.motion_of_shapes(physics.track(shapes.draw(states)))
    assert np.mean(motion[:, 0] == shapes.MOTIONS.index("collides")) == pytest.approx(expected, abs=0.1)


def test_real_clips_keep_the_laws(moving):
    _, tracks = moving["shapes"]
    laws = physics.laws_of_shapes(tracks)
    bounds = {"gravity_error": 0.1, "parabola_residual": 0.1, "energy_drift": 0.05, "path_residual": 0.1, "shape_change": 0.03}
    for name, bound in bounds.items():
        assert np.nanquantile(laws[name], 0.99) < bound, name
        assert np.isfinite(laws[name]).sum() > 40, name
    assert np.nanmax(laws["speed_error"]) < 0.01 and laws["in_range"][tracks.color >= 0].mean() > 0.99
    laws = physics.laws_of_digits(moving["digits"][1])
    assert laws["speed_error"].max() < 0.05 and laws["path_residual"].max() < 0.4 and laws["shape_change"].max() < 1e-6
    assert laws["in_range"].all()


def test_a_digit_whose_frames_are_shuffled_or_that_goes_on_has_no_motion(moving):
    clips, _ = moving["digits"]
    order = np.random.default_rng(0).permutation(16)
    assert (physics.motion_of_digits(physics.track(clips.frames[:, order])) == -1).all()
    states = {"picture": clips.states["picture"][:20], "drawn": np.zeros((20, 16, 1, 2), np.int16)}
    states["drawn"][..., 0] = np.arange(16)[:, None]
    straight = physics.track(digits.draw(states))
    assert (physics.motion_of_digits(straight) == -1).all()
    assert (physics.motion_of_digits(physics.track(digits.draw(states | {"drawn": 0 * states["drawn"]}))) == -1).all()


@pytest.mark.parametrize("share", [0.5, 1.0, 1.3])
def test_gravity_is_the_acceleration_of_the_parabola(share):
    start = np.linspace(6, 9, 5)[:, None]
    y = start + share * shapes.GRAVITY * np.minimum(TIME, 7.0) ** 2 / 2  # lies still in the end
    y[:, 8:] -= 1.0  # after a small bounce
    laws = physics.laws_of_shapes(drawn(16.0, y, radius=3.5), motion=np.tile([4, -1], (5, 1)))
    np.testing.assert_allclose(of_object(laws["gravity_error"]), abs(share - 1), atol=0.06)
    assert of_object(laws["parabola_residual"]).max() < 0.1
    assert np.isnan(laws["gravity_error"][:, 1]).all() and np.isnan(laws["path_residual"]).all()


def test_energy_drift_of_a_fall_at_constant_speed_is_all_that_the_fall_sets_free():
    """No kinetic energy is gained, so the energy changes by what is set free between the first and the last velocity measured."""
    y = 4.0 + 1.5 * TIME
    laws = physics.laws_of_shapes(drawn(16.0, y, radius=3.5), motion=np.array([[4, -1]]))
    np.testing.assert_allclose(of_object(laws["energy_drift"]), 13 / 15, atol=0.02)
    np.testing.assert_allclose(of_object(laws["gravity_error"]), 1, atol=0.03)


def test_parabola_residual_is_what_is_left_of_a_wobble():
    wobble = 0.5 * np.where(TIME % 2, 1, -1)
    tracks = drawn(16.0, 8 + 0.02 * TIME**2 + wobble)
    values, valid = tracks.centre[:, :, 0, 1], np.ones((1, 16), bool)
    expected = np.polyval(np.polyfit(TIME, values[0], 2), TIME) - values[0]
    assert physics.fitted(values, valid, 2)[1][0] == pytest.approx(np.sqrt(np.mean(expected**2)))
    assert 0.4 < physics.fitted(values, valid, 2)[1][0] < 0.55


def test_speed_error_and_range():
    x = 6 + np.array([[0.35], [0.9], [1.2]]) * TIME
    laws = physics.laws_of_shapes(drawn(x, 16.0, radius=3.5))
    np.testing.assert_allclose(of_object(laws["speed_error"]), [0.5, 0, 0], atol=0.01)
    np.testing.assert_array_equal(of_object(laws["in_range"]), [False, True, True])
    np.testing.assert_allclose(of_object(laws["path_residual"]), 0, atol=0.06)
    assert not of_object(physics.laws_of_shapes(drawn(16.0, 16.0, radius=8.0))["in_range"])[0], "larger than any"
    fast = physics.laws_of_shapes(drawn(4 + 1.6 * TIME, 16.0, radius=3.5))
    np.testing.assert_allclose(of_object(fast["speed_error"]), 1.6 / 1.2 - 1, atol=0.01)


def test_path_residual_is_that_of_the_jitter():
    jitter = np.where(TIME % 2, 2.0, -2.0)
    motion = np.array([[5, -1]])
    laws = physics.laws_of_shapes(drawn(16 + jitter, 16.0), motion)
    rest = jitter - np.polyval(np.polyfit(TIME, jitter, 1), TIME)
    np.testing.assert_allclose(of_object(laws["path_residual"]), np.sqrt(np.mean(rest**2)), rtol=0.02)


def test_shape_change_is_the_deviation_of_the_radius():
    small, large = (np.asarray(shapes.draw(one(radius))) for radius in (4.0, 6.0))
    frames = np.where((np.arange(16) % 2)[:, None, None, None], large, small)
    laws = physics.laws_of_shapes(physics.track(frames))
    np.testing.assert_allclose(of_object(laws["shape_change"]), 0.2, rtol=0.05)  # 5 +- 1
    still = physics.laws_of_shapes(physics.track(small))
    assert of_object(still["shape_change"])[0] < 1e-6


def one(radius):
    """States of a still disc."""
    return {
        "shape": np.array([[0, -1]]),
        "color": np.array([[1, -1]]),
        "radius": np.float32([[radius, 0]]),
        "position": np.full((1, 16, 2, 2), 16, np.float32),
    }


def test_pieces_are_counted_in_each_frame():
    picture = np.zeros((2, 3, 32, 32, 1), np.uint8)
    picture[0, :, 4:8, 4:8] = picture[0, 1:, 20:24, 20:24] = 255
    picture[0, 2, 8:12, 8:12] = 255  # touches the first by a corner
    picture[0, 2, 30, 30] = 255  # a speck
    tracks = physics.track(picture)
    np.testing.assert_array_equal(tracks.pieces, [[1, 2, 2], [0, 0, 0]])
    np.testing.assert_allclose(physics.kept_count(tracks), [2 / 3, 1])
    np.testing.assert_array_equal(tracks.color[:, 0], [0, -1])
    assert np.isnan(tracks.centre[1]).all() and np.isnan(tracks.radius[1]).all()


def test_two_pieces_of_one_colour_are_two():
    frames = np.tile(np.uint8(shapes.BACKGROUND), (1, 16, 32, 32, 1))
    frames[:, :, 4:10, 4:10] = frames[:, :, 20:26, 4:10] = shapes.COLORS["red"]
    frames[:, :, 10:14, 4:10] = shapes.COLORS["blue"]  # touches the first, and is another
    tracks = physics.track(frames)
    np.testing.assert_array_equal(tracks.pieces, 3)
    assert sorted(tracks.color[0]) == [list(shapes.COLORS).index("red"), list(shapes.COLORS).index("blue")]


def test_fits_are_numpys_where_frames_are_missing():
    rng = np.random.default_rng(1)
    values, valid = rng.normal(size=(20, 16)), rng.random((20, 16)) < 0.7
    for degree in (0, 1, 2):
        weights, residual = physics.fitted(np.where(valid, values, np.nan), valid, degree)
        for i in range(20):
            expected = np.polyfit(TIME[valid[i]], values[i][valid[i]], degree)
            np.testing.assert_allclose(weights[i], expected[::-1], atol=1e-6)
            rest = values[i][valid[i]] - np.polyval(expected, TIME[valid[i]])
            assert residual[i] == pytest.approx(np.sqrt(np.mean(rest**2)))
    few = np.zeros((1, 16), bool)
    few[0, :3] = True
    assert np.isnan(physics.fitted(values[:1], few, 2)[0]).all() and np.isfinite(physics.fitted(values[:1], few, 1)[0]).all()


def test_a_turn_is_found_with_its_slope():
    values = np.stack([2 + 1.5 * np.abs(TIME - 6.25), 9 - 0.5 * np.abs(TIME - 10), 3 + 0.7 * TIME])
    slope, residual, turns = physics.turned(values, np.ones((3, 16), bool))
    np.testing.assert_allclose(slope[:2], [1.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(residual[:2], 0, atol=1e-6)
    np.testing.assert_array_equal(turns, [True, True, False])
    assert np.isnan(physics.turned(values, np.zeros((3, 16), bool))[0]).all()


@pytest.mark.parametrize("frames", [np.zeros((2, 16, 64, 64, 3)), np.zeros((16, 32, 32, 3)), np.zeros((2, 16, 32, 32, 2))])
def test_other_sizes_are_refused(frames):
    with pytest.raises(CourseError, match=r"\(n, time, 32, 32, 1 or 3\)"):
        physics.track(frames.astype(np.uint8))
