"""The tracker of one ball against exact states; the laws, kept by true clips, and the known deviation where one was broken."""

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.bouncing import measure_bouncing, track_ball
from vidgen_tf.worlds import spheres

RANGES = {
    "as trained on": {},
    "slow": {"speed": (0.0, 0.04)},
    "fast": {"speed": (0.2, 0.28)},
    "high": {"drop": (1.8, 2.0)},
    "small": {"radius": (0.4, 0.55)},
    "large": {"radius": (1.05, 1.2), "drop": (1.0, 1.4)},
}


@pytest.fixture(scope="module")
def clips():
    return spheres.make_bouncing(60, seed=31)


def frames_of(clips, **changes):
    """The last twelve frames of clips with other states."""
    return spheres.render(clips.states | {key: np.float32(value) for key, value in changes.items()})[:, 4:]


def moved(clips, speed=1.0, restitution=1.0, gravity=1.0):
    """Positions of the same balls under other laws: shares of the speed across, of the restitution, and of the gravity after the
    first touch of the floor."""
    position = clips.states["position"].astype(np.float64)
    radius, time = clips.states["radius"][:, :1].astype(np.float64), np.arange(16)
    drop = position[:, :1, 0, 1] - radius
    touch = np.sqrt(2 * drop / spheres.GRAVITY)
    since = time - touch
    rise = spheres.RESTITUTION[0] * restitution * spheres.GRAVITY * touch * since - gravity * spheres.GRAVITY * since**2 / 2
    position[:, :, 0, 1] = radius + np.abs(np.where(since < 0, drop - spheres.GRAVITY * time**2 / 2, rise))
    start = position[:, :1, 0, 0]
    position[:, :, 0, 0] = start + speed * (position[:, :, 0, 0] - start)
    return position


@pytest.mark.parametrize("name", RANGES)
def test_real_clips_have_the_exact_place_speed_gravity_and_restitution(name):
    clips = spheres.make_bouncing(60, seed=32, **RANGES[name])
    found = measure_bouncing(clips.frames[:, 4:], clips)
    assert found["position_error"].max() < 0.35 and found["position_error"].mean() < 0.15
    np.testing.assert_allclose(found["speed"], np.abs(clips.states["velocity"][:, 0, 0, 0]), atol=0.004)
    assert abs(found["gravity"].mean() - 1) < 0.05 and found["gravity"].std() < 0.04
    assert abs(found["restitution"].mean() - spheres.RESTITUTION[0]) < 0.02 and found["restitution"].std() < 0.01
    assert found["color_preserved"].all()


def test_the_radius_is_too_small_by_the_same_share_always(clips):
    """So that a prediction's is compared with a real clip's."""
    shares = []
    for options in ({}, RANGES["small"], RANGES["large"]):
        clips = spheres.make_bouncing(60, seed=33, **options)
        shares.append(measure_bouncing(clips.frames[:, 4:], clips)["radius"] / clips.states["radius"][:, 0])
    assert all(0.85 < share.mean() < 0.95 and share.std() < 0.04 for share in shares)


@pytest.mark.parametrize("law, share", [("speed", 0.5), ("speed", 1.3), ("gravity", 0.6), ("restitution", 0.7)])
def test_a_law_that_was_broken_is_found_broken_by_as_much(clips, law, share):
    real = measure_bouncing(clips.frames[:, 4:], clips)
    found = measure_bouncing(frames_of(clips, position=moved(clips, **{law: share})), clips)
    assert abs(np.median(found[law] / real[law]) - share) < 0.03
    other = "restitution" if law == "speed" else "speed"
    assert abs(np.mean(found[other]) - np.mean(real[other])) < 0.01


def test_the_same_balls_under_the_same_laws_are_the_same_clips(clips):
    """The control of the test above."""
    once = np.arange(16) < 2.6 * np.sqrt(2 / spheres.GRAVITY)  # no ball touches the floor for the second time
    np.testing.assert_allclose(moved(clips)[:, once], clips.states["position"][:, once], atol=1e-5)


def test_size_and_colour_are_those_of_the_last_frames(clips):
    real = measure_bouncing(clips.frames[:, 4:], clips)
    grown = measure_bouncing(frames_of(clips, radius=1.2 * clips.states["radius"]), clips)
    assert abs(np.median(grown["radius"] / real["radius"]) - 1.2) < 0.03
    color = clips.states["color"].copy()
    color[:, 0] = np.where(color[:, 0] == 0, 1, 0)  # red, and green for those that were red
    painted = spheres.render(clips.states | {"color": color})[:, 4:]
    assert track_ball(painted, color[:, 0]).color.tolist() == color[:, 0].tolist()
    assert not measure_bouncing(painted, clips)["color_preserved"].any()


def test_no_ball_is_no_number(clips):
    empty = np.broadcast_to(spheres.bouncing_room(), clips.frames[:, 4:].shape)
    found = measure_bouncing(empty, clips)
    assert found.pop("color_preserved").tolist() == [0.0] * len(clips)
    assert all(np.isnan(values).all() for values in found.values())


def test_faint_colours_everywhere_do_not_pull_the_ball_aside(clips):
    noisy = np.clip(clips.frames[:, 4:] + np.random.default_rng(0).integers(-6, 7, clips.frames[:, 4:].shape), 0, 255)
    found = measure_bouncing(noisy.astype(np.uint8), clips)
    assert found["position_error"].mean() < 0.3 and np.abs(found["restitution"] - spheres.RESTITUTION[0]).mean() < 0.03


def test_what_cannot_be_tracked_is_refused(clips):
    color = clips.states["color"][:, 0]
    for frames in (clips.frames.astype(float), clips.frames[0], clips.frames[..., :1], clips.frames[:, :, :16]):
        with pytest.raises(CourseError, match="A ball is tracked in uint8 clips"):
            track_ball(frames, color)
    with pytest.raises(CourseError, match="Each of the 60 clips has one colour"):
        track_ball(clips.frames, color[:3])
