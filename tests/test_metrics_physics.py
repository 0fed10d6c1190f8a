"""Laws of motion: kept by true clips, and the known deviation on clips that were rendered to break one law."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.metrics import physics
from vidgen_tf.metrics.tracking import track
from vidgen_tf.worlds import digits, shapes

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
TIME = np.arange(16.0)
FALLS = np.array([[shapes.MOTIONS.index("falls"), -1]])
STAYS = np.array([[shapes.MOTIONS.index("stays"), -1]])


@pytest.fixture(scope="module")
def true_clips():
    """Clips of both worlds with their tracks."""
    clips = {"shapes": shapes.make(250, seed=101), "digits": digits.make(250, seed=201)}
    return {name: (value, track(value.frames, name)) for name, value in clips.items()}


def rendered(x, y, radius=5.5):
    """Tracks of one red circle on each of the paths `(N, 16)`, or of what broadcasts to that."""
    path = np.stack(np.broadcast_arrays(np.atleast_2d(x), np.atleast_2d(y)), axis=-1).astype(np.float32)
    count = len(path)
    position = np.zeros((count, 16, 2, 2), np.float32)
    position[:, :, 0] = path
    states = {"position": position, "radius": np.tile(np.float32([radius, 0]), (count, 1))}
    states |= {key: np.tile([0, -1], (count, 1)) for key in ("shape", "color")}
    return track(shapes.render(states), "shapes")


def of_object(values):
    """The values of the one object, which must be the first."""
    return np.asarray(values)[:, 0]


def test_motion_of_true_clips_is_classified(true_clips):
    clips, tracks = true_clips["digits"]
    np.testing.assert_array_equal(physics.classify_digits_motion(tracks), clips.states["motion"])
    clips, tracks = true_clips["shapes"]
    color = clips.states["color"]
    own = (tracks.color[:, None] == color[:, :, None]).argmax(axis=2)
    motion = np.take_along_axis(physics.classify_shapes_motion(tracks), own, axis=1)
    assert np.mean((motion == clips.states["motion"])[color >= 0]) > 0.99
    assert (physics.classify_shapes_motion(tracks)[tracks.color < 0] == -1).all()


@pytest.fixture(scope="module")
def collisions():
    """States of clips in which two objects collide."""
    clips = shapes.make(600, seed=5)
    return clips[clips.states["motion"][:, 0] == shapes.MOTIONS.index("collides")].states


@pytest.mark.parametrize("x, y, expected", [(0, 0, 1.0), (0, 0.1, 1.0), (0, 1, 0.0), (1, 0, 0.0), (-0.6, 0, 0.2)], ids=str)
def test_objects_that_are_reflected_without_touching_do_not_collide(collisions, x, y, expected):
    """Neither at different heights, nor before they touch, nor deep in one another; shifts are shares of both radii."""
    states = collisions | {"position": collisions["position"].copy()}
    first, second = states["position"][:, :, 0], states["position"][:, :, 1]
    outward = np.sign(first - second)[:, :1, 0], np.sign(16 - first[:, :1, 1])  # (N, 1); of y, to where there is room
    reach = states["radius"].sum(axis=1)[:, None]
    for axis, share in enumerate((x, y)):
        first[:, :, axis] += share * reach * outward[axis]
    motion = physics.classify_shapes_motion(track(shapes.render(states), "shapes"))
    assert np.mean(motion[:, 0] == shapes.MOTIONS.index("collides")) == pytest.approx(expected, abs=0.1)


def test_objects_that_part_more_slowly_than_they_met_do_not_collide_elastically(collisions):
    times, shares = TIME[None, :, None, None] - collisions["collision_time"][:, None, None, None], []
    before = np.floor(collisions["collision_time"]).astype(int)
    meeting = np.take_along_axis(collisions["position"], before[:, None, None, None], axis=1)
    for kept in (1.0, 0.6, 0.2):
        parting = meeting + kept * (collisions["position"] - meeting)
        states = collisions | {"position": np.float32(np.where(times > 0, parting, collisions["position"]))}
        motion = physics.classify_shapes_motion(track(shapes.render(states), "shapes"))
        shares.append(np.mean(motion[:, 0] == shapes.MOTIONS.index("collides")))
    assert shares[0] > 0.95 and shares[0] > shares[1] > shares[2] and shares[2] < 0.1


def test_a_digit_that_is_shuffled_in_time_or_goes_straight_on_or_stays_has_no_motion(true_clips):
    clips, _ = true_clips["digits"]
    order = np.random.default_rng(0).permutation(16)
    assert (physics.classify_digits_motion(track(clips.frames[:, order], "digits")) == -1).all()
    states = {"digit_image": clips.states["digit_image"][:20], "pixel_position": np.zeros((20, 16, 1, 2), np.int16)}
    states["pixel_position"][..., 0] = np.arange(16)[:, None]
    for other in (states, states | {"pixel_position": 0 * states["pixel_position"]}):
        assert (physics.classify_digits_motion(track(digits.render(other), "digits")) == -1).all()


@pytest.mark.parametrize("stochastic_bounces", [False, True])
def test_free_motion_of_a_digit_is_hardly_ever_along_an_axis(stochastic_bounces):
    """Most free trajectories are reflected once along x or y, but drift across it; those that don't, lie along an axis."""
    clips = digits.make_moving_mnist(300, size=32, num_frames=16, num_digits=1, seed=1, stochastic_bounces=stochastic_bounces)
    tracks = track(clips.frames, "digits")
    motion, path = physics.classify_digits_motion(tracks), tracks.centre[:, :, 0]
    assert np.mean(motion >= 0) < 0.2
    extent = np.ptp(path[motion >= 0], axis=1)
    assert (extent.min(axis=1) <= 4).all(), "what is named keeps within a strip along its axis"


def test_a_drift_across_the_axis_is_no_motion_of_the_world(true_clips):
    clips, _ = true_clips["digits"]
    motion, place = clips.states["motion"], clips.states["pixel_position"]
    across = np.where(motion < 2, 0, 1)  # the axis on which the digit rests: x of up and down
    for drift, expected in ((1, 1.0), (6, 0.0)):  # px over the clip
        moved = place.copy()
        moved[np.arange(len(place)), :, 0, across] += np.rint(np.linspace(0, drift, 16)).astype(place.dtype)
        inside = (moved <= 18).all(axis=(1, 2, 3))
        states = {"digit_image": clips.states["digit_image"][inside], "pixel_position": moved[inside]}
        found = physics.classify_digits_motion(track(digits.render(states), "digits"))
        assert np.mean(found == motion[inside]) == pytest.approx(expected, abs=0.02)


def test_the_motion_of_a_clip_run_backwards_is_the_mirrored_one(true_clips):
    """Up then down stays what it is; left becomes right."""
    clips, _ = true_clips["digits"]
    np.testing.assert_array_equal(physics.classify_digits_motion(track(clips.frames[:, ::-1], "digits")), clips.states["motion"])
    one = (clips := true_clips["shapes"][0]).states["objects"] == 1
    moves = one & (clips.states["motion"][:, 0] < 4)
    motion = clips.states["motion"][moves, 0]
    backwards = physics.classify_shapes_motion(track(clips.frames[moves, ::-1], "shapes"))[:, 0]
    np.testing.assert_array_equal(backwards, motion ^ 1)  # left 0, right 1; up 2, down 3


def test_true_shapes_keep_the_laws(true_clips):
    _, tracks = true_clips["shapes"]
    found = physics.shapes_physics(tracks)
    bounds = {
        "gravity_error": 0.1, "parabola_residual": 0.1, "energy_drift": 0.1, "trajectory_residual": 0.1, "shape_change": 0.03
    }  # fmt: skip
    for name, bound in bounds.items():
        assert np.nanquantile(found[name], 0.99) < bound, name
        assert np.isfinite(found[name]).sum() > 40, name
    assert np.nanmax(found["speed_error"]) < 0.01 and found["in_distribution"][tracks.color >= 0].mean() > 0.99


def test_true_digits_keep_the_laws_and_shuffled_ones_do_not(true_clips):
    clips, tracks = true_clips["digits"]
    found = physics.digits_physics(tracks)
    assert found["speed_error"].max() < 0.05 and found["trajectory_residual"].max() < 0.4 and found["shape_change"].max() < 1e-6
    assert found["in_distribution"].all()
    order = np.random.default_rng(0).permutation(16)
    shuffled = physics.digits_physics(track(clips.frames[:, order], "digits"))
    assert shuffled["trajectory_residual"].min() > 0.5 > found["trajectory_residual"].max()
    assert shuffled["in_distribution"].mean() < 0.2


def test_what_is_not_there_is_neither_perfect_nor_wrong_but_nan():
    black = physics.digits_physics(track(np.zeros((2, 16, 32, 32, 1), np.uint8), "digits"))
    assert all(np.isnan(black[name]).all() for name in ("speed_error", "trajectory_residual", "shape_change"))
    assert not black["in_distribution"].any()
    empty = track(np.tile(np.uint8(shapes.BACKGROUND), (1, 16, 32, 32, 1)), "shapes")
    for name, value in physics.shapes_physics(empty, np.array([[4, 0]])).items():
        assert not value.any() if value.dtype == bool else np.isnan(value).all(), name


GRAVITIES = (0.4, 0.6, 0.8, 1.0, 1.15, 1.3)  # as shares of the world's


def test_gravity_error_is_the_difference_of_the_acceleration_and_a_parabola_is_a_parabola():
    start = np.linspace(6, 9, 5)[:, None]
    errors = []
    for share in GRAVITIES:
        y = start + share * shapes.GRAVITY * np.minimum(TIME, 7.0) ** 2 / 2  # lies still in the end
        y[:, 8:] -= 1.0  # after a small bounce
        found = physics.shapes_physics(rendered(16.0, y, radius=3.5), motion=np.tile(FALLS, (5, 1)))
        errors.append(of_object(found["gravity_error"]))
        np.testing.assert_allclose(errors[-1], abs(share - 1), atol=0.06)
        assert of_object(found["parabola_residual"]).max() < 0.1
        assert np.isnan(found["gravity_error"][:, 1]).all() and np.isnan(found["trajectory_residual"]).all()
    errors = np.mean(errors, axis=1)
    assert (np.diff(errors[:4]) < 0).all() and (np.diff(errors[3:]) > 0).all(), "the further from gravity, the larger"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3])
def test_energy_drift_is_what_the_acceleration_lacks_of_gravity(share):
    """So much less kinetic energy is gained than the fall sets free, between the first and the last velocity measured."""
    y = 4 + (24 - 112.5 * share * shapes.GRAVITY) / 15 * TIME + share * shapes.GRAVITY * TIME**2 / 2  # from 4 to 28
    found = physics.shapes_physics(rendered(16.0, y, radius=3.5), motion=FALLS)
    np.testing.assert_allclose(of_object(found["energy_drift"]), (1 - share) * (y[14] - y[1]) / 24, atol=0.03)
    np.testing.assert_allclose(of_object(found["gravity_error"]), 1 - share, atol=0.03)


def test_parabola_residual_grows_in_proportion_to_a_wobble():
    wobble = np.where(TIME % 2, 1, -1)
    rest = np.sqrt(np.mean((wobble - np.polyval(np.polyfit(TIME, wobble, 2), TIME)) ** 2))
    sizes = np.array([0.1, 0.2, 0.3])  # so small that the body never rises, which would look like a touch of the floor
    tracks = rendered(16.0, 4 + 0.1 * TIME**2 + sizes[:, None] * wobble, radius=3.5)
    found = physics.shapes_physics(tracks, np.tile(FALLS, (3, 1)))["parabola_residual"]
    np.testing.assert_allclose(of_object(found), sizes * rest, rtol=0.1)


def test_trajectory_residual_grows_in_proportion_to_the_jitter():
    sizes = np.array([[0.5], [1.0], [1.5], [2.0]])
    jitter = np.where(TIME % 2, 1.0, -1.0)
    rest = np.sqrt(np.mean((jitter - np.polyval(np.polyfit(TIME, jitter, 1), TIME)) ** 2))
    found = physics.shapes_physics(rendered(16 + sizes * jitter, 16.0), np.tile(STAYS, (4, 1)))
    np.testing.assert_allclose(of_object(found["trajectory_residual"]), sizes[:, 0] * rest, rtol=0.05)


def test_trajectory_residual_of_a_digit_grows_with_jitter_across_its_axis(true_clips):
    clips, _ = true_clips["digits"]
    upward = clips[clips.states["motion"] < 2][:30]
    values = []
    for size in (0, 1, 2):
        moved = upward.states["pixel_position"].copy()
        moved[..., 0] = 9 + size * (np.arange(16) % 2)[:, None]
        tracks = track(digits.render(upward.states | {"pixel_position": moved}), "digits")
        values.append(physics.digits_physics(tracks)["trajectory_residual"].mean())
    along = values[0]  # px, of whole-pixel positions
    np.testing.assert_allclose(values, np.sqrt(along**2 + np.array([0, 0.5, 1]) ** 2), rtol=0.02)


def test_speed_error_is_how_far_the_speed_lies_outside_the_range():
    speeds = np.array([0.35, 0.5, 0.7, 0.9, 1.2, 1.4, 1.6])
    found = physics.shapes_physics(rendered(4 + speeds[:, None] * TIME, 16.0, radius=3.5))
    expected = [0.5, 2 / 7, 0, 0, 0, 1.4 / 1.2 - 1, 1.6 / 1.2 - 1]
    np.testing.assert_allclose(of_object(found["speed_error"]), expected, atol=0.01)
    np.testing.assert_array_equal(of_object(found["in_distribution"]), np.array(expected) < 0.05)
    np.testing.assert_allclose(of_object(found["trajectory_residual"]), 0, atol=0.06)
    assert not of_object(physics.shapes_physics(rendered(16.0, 16.0, radius=8.0))["in_distribution"])[0], "larger than any"


def test_speed_error_of_a_digit_is_the_difference_from_the_worlds_speed():
    states = {key: value[:1] for key, value in digits.make(1, seed=1).states.items()}
    usual = digits.PATH_LENGTH * (32 - digits.SIDES[32]) / 15
    assert usual == 1.5  # px per frame
    for speed in (0.5, 1.0, 1.5, 2.0):
        moved = np.full((1, 16, 1, 2), 9, np.int16)
        moved[0, :, 0, 0] = speed * np.abs(TIME - 8)
        found = physics.digits_physics(track(digits.render(states | {"pixel_position": moved}), "digits"))
        assert found["speed_error"][0, 0] == pytest.approx(abs(speed / usual - 1), abs=0.03)
        assert found["in_distribution"][0, 0] == (speed == usual)


def test_shape_change_is_the_deviation_of_the_radius():
    position = np.full((1, 16, 2, 2), 16, np.float32)
    states = {"shape": np.array([[0, -1]]), "color": np.array([[1, -1]]), "position": position}
    sizes, values = (0.0, 0.5, 1.0, 2.0), []
    for size in sizes:
        small, large = (shapes.render(states | {"radius": np.float32([[5 + sign * size, 0]])}) for sign in (-1, 1))
        frames = np.where((np.arange(16) % 2)[:, None, None, None], large, small)
        values.append(of_object(physics.shapes_physics(track(frames, "shapes"))["shape_change"])[0])
    np.testing.assert_allclose(values, np.array(sizes) / 5, atol=0.015)
    assert values[0] < 1e-6


def test_object_count_consistency_falls_with_each_frame_that_shows_another_object():
    picture = np.zeros((5, 8, 32, 32, 1), np.uint8)
    picture[:, :, 4:8, 4:8] = 255
    for extra in range(4):
        picture[extra, :extra, 20:24, 20:24] = 255
    picture[4, :5, 4:8, 4:8] = 0  # of the last clip most frames are empty
    tracks = track(picture, "digits")
    np.testing.assert_array_equal(physics.object_count_consistency(tracks), [1, 7 / 8, 6 / 8, 5 / 8, 5 / 8])


def test_fits_of_polynomials_are_numpys_where_frames_are_missing():
    rng = np.random.default_rng(1)
    values, valid = rng.normal(size=(20, 16)), rng.random((20, 16)) < 0.7
    for degree in (0, 1, 2):
        weights, residual = physics.fit_polynomial(np.where(valid, values, np.nan), valid, degree)
        for i in range(20):
            expected = np.polyfit(TIME[valid[i]], values[i][valid[i]], degree)
            np.testing.assert_allclose(weights[i], expected[::-1], atol=1e-6)
            rest = values[i][valid[i]] - np.polyval(expected, TIME[valid[i]])
            assert residual[i] == pytest.approx(np.sqrt(np.mean(rest**2)))


def test_too_few_measurements_have_neither_a_fit_nor_a_residual():
    values = np.random.default_rng(1).normal(size=(5, 16))
    valid = np.arange(16) < np.arange(5)[:, None]  # 0 to 4 measurements
    for degree in (0, 1, 2):
        weights, residual = physics.fit_polynomial(values, valid, degree)
        np.testing.assert_array_equal(np.isfinite(residual), np.arange(5) >= degree + 2)
        np.testing.assert_array_equal(np.isfinite(weights).all(axis=1), np.arange(5) >= degree + 2)
    slope, residual, reflected = physics.fit_reflection(values, valid)
    np.testing.assert_array_equal(np.isnan(slope), np.isnan(residual))
    assert np.isnan(slope[:3]).all() and not reflected[:3].any()


@PROPERTY
@given(st.integers(8, 52), st.floats(0.2, 3), st.booleans(), st.floats(-20, 20))
def test_a_reflection_is_found_with_its_slope_wherever_it_lies(quarter, speed, falls, offset):
    slope = -speed if falls else speed
    values = offset + slope * np.abs(TIME - quarter / 4)
    found, residual, reflected = physics.fit_reflection(values[None], np.ones((1, 16), bool))
    assert found[0] == pytest.approx(slope, rel=1e-4) and residual[0] == pytest.approx(0, abs=1e-4) and reflected[0]


def test_a_straight_line_is_no_reflection():
    lines = np.stack([3 + 0.7 * TIME, 9 - 2 * TIME, np.full(16, 4.0)])
    assert not physics.fit_reflection(lines, np.ones((3, 16), bool))[2].any()
