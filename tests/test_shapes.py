"""The world of shapes: its physics against closed form, its flow against its frames, its captions against its states."""

import hashlib

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import shapes

TIME = np.arange(shapes.NUM_FRAMES)


@pytest.fixture(scope="module")
def clips():
    return shapes.make(1200, seed=5)


def test_bytes_are_the_same_on_every_machine(clips):
    assert hashlib.sha256(clips.frames[:64].tobytes()).hexdigest() == SHA256


def test_any_size_from_2_px_can_be_rendered():
    clips = shapes.make(2, seed=3, size=np.int64(33))
    assert clips.frames.shape == (2, 16, 33, 33, 3)
    np.testing.assert_array_equal(clips.captions, shapes.make(2, seed=3).captions)
    for size in (1, 0, 32.0, "32"):
        with pytest.raises(CourseError, match=f"size must be a whole number, at least 2, got size={size!r}"):
            shapes.make(1, seed=0, size=size)


def objects(clips, motion):
    """Positions and velocities (n, T, 2), radius (n,) and shape (n,) of all objects with a motion."""
    here = clips.states["motion"] == shapes.MOTIONS.index(motion)
    pick = {key: np.moveaxis(clips.states[key], 2, 1)[here] for key in ("position", "velocity")}
    return pick["position"], pick["velocity"], clips.states["radius"][here], clips.states["shape"][here]


@pytest.mark.parametrize("motion, axis, sign", [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)])
def test_straight_motion_has_constant_velocity_along_its_axis(clips, motion, axis, sign):
    position, velocity, _, _ = objects(clips, motion)
    assert len(position) > 50
    steps = np.diff(position, axis=1)
    np.testing.assert_allclose(steps, velocity[:, 1:], atol=1e-4)
    speed = sign * steps[..., axis]
    assert speed.min() > shapes.SPEED[0] - 1e-4 and speed.max() < shapes.SPEED[1] + 1e-4
    np.testing.assert_array_equal(steps[..., 1 - axis], 0)


def test_a_fall_is_a_parabola_until_the_floor_and_keeps_its_energy(clips):
    position, velocity, radius, shape = objects(clips, "falls")
    floor = shapes.EXTENT - shapes.HALF_HEIGHT[shape] * radius
    drop = floor - position[:, 0, 1]
    touch = np.sqrt(2 * drop / shapes.GRAVITY)
    before = TIME[None] <= touch[:, None]
    parabola = position[:, :1, 1] + shapes.GRAVITY * TIME**2 / 2
    np.testing.assert_allclose(position[..., 1][before], parabola[before], atol=1e-4)
    np.testing.assert_allclose(np.diff(position[..., 0], n=2, axis=1), 0, atol=1e-4)  # no force along x
    # energy per mass: constant up to the touch, then RESTITUTION squared of it
    energy = velocity[..., 1] ** 2 / 2 + shapes.GRAVITY * (floor[:, None] - position[..., 1])
    once = ~before & (TIME[None] < (touch * (1 + 2 * shapes.RESTITUTION))[:, None])
    expected = np.where(before, 1.0, shapes.RESTITUTION**2) * (shapes.GRAVITY * drop)[:, None]
    np.testing.assert_allclose(energy[before | once], expected[before | once], rtol=1e-4)
    assert once.any(axis=1).all(), "every falling shape bounces within the clip"


def test_collisions_keep_momentum_and_energy_and_happen_where_the_shapes_touch(clips):
    these = np.flatnonzero(clips.states["collision_time"] >= 0)
    assert len(these) > 80
    mass, velocity = clips.states["mass"][these], clips.states["velocity"][these, :, :, 0]
    for quantity in (mass[:, None] * velocity, mass[:, None] * velocity**2 / 2):
        total = quantity.sum(axis=-1)
        scale = np.abs(quantity).sum(axis=-1).max(axis=1)
        assert (np.ptp(total, axis=1) < 1e-4 * scale).all()
    assert (np.abs(velocity[:, -1] - velocity[:, 0]).max(axis=1) > 0.05).all(), "a collision changes a velocity"
    position, time = clips.states["position"][these, :, :, 0], clips.states["collision_time"][these]
    closest = np.abs(position[..., 0] - position[..., 1]).min(axis=1)
    reach = shapes._contact_distance(clips.states["shape"][these], clips.states["radius"][these].astype(np.float64))
    assert (closest > reach - 1e-3).all(), "they never overlap"
    speed = np.abs(velocity[..., 0] - velocity[..., 1]).max(axis=1)
    assert (closest < reach + speed).all(), "they do touch, at most one frame away"
    assert ((time > 4.9) & (time < 9.1)).all()


def test_contact_distance_of_equal_pairs_is_known():
    pairs = np.array([[0, 0], [1, 1], [0, 1]])
    radius = np.array([[3.0, 5.0], [2.0, 4.0], [5.0, 3.0]])
    # discs: r + r; squares: 0.9 (r + r); a disc and a square of half its height meet at the disc's equator
    np.testing.assert_allclose(shapes._contact_distance(pairs, radius), [8.0, 5.4, 7.7], atol=1e-9)


def test_everything_stays_inside_the_frame(clips):
    present = clips.states["shape"] >= 0
    half = np.stack([shapes.HALF_WIDTH[clips.states["shape"]], shapes.HALF_HEIGHT[clips.states["shape"]]], axis=-1)
    half = half * clips.states["radius"][..., None]
    position = np.moveaxis(clips.states["position"], 2, 1)[present]
    half = half[present][:, None]
    assert (position - half > -1e-3).all() and (position + half < shapes.EXTENT + 1e-3).all()


def test_painted_area_is_the_mass_and_its_centroid_the_position():
    clips = shapes.make(300, seed=8, size=64)
    single = np.flatnonzero(clips.states["objects"] == 1)
    background = np.array(shapes.BACKGROUND, np.float64)
    palette = np.array(list(shapes.COLORS.values()), np.float64)
    for i in single[:60]:
        colour = palette[clips.states["color"][i, 0]] - background
        share = ((clips.frames[i, 3] - background) @ colour) / (colour @ colour)  # least squares: coverage of each px
        assert abs(share.sum() / clips.states["mass"][i, 0] - 1) < 0.03
        x = (share.sum(axis=0) @ (np.arange(64) + 0.5)) / share.sum()
        assert abs(x - clips.states["position"][i, 3, 0, 0]) < 0.1


def test_flow_carries_each_pixel_to_where_it_is_next():
    clips = shapes.make(64, seed=9)
    flow = clips.optical_flow()
    assert flow.shape == (64, 15, 32, 32, 2) and flow.dtype == np.float32
    y, x = np.mgrid[:32, :32]
    still_wrong = moved_wrong = checked = 0
    for i, t in [(i, t) for i in range(64) for t in range(0, 15, 3)]:
        moving = np.abs(flow[i, t]).max(axis=-1) > 0.5
        to_x = np.clip(np.rint(x + flow[i, t, ..., 0]).astype(int), 0, 31)
        to_y = np.clip(np.rint(y + flow[i, t, ..., 1]).astype(int), 0, 31)
        now, then = clips.frames[i, t].astype(int), clips.frames[i, t + 1].astype(int)
        moved_wrong += np.abs(now - then[to_y, to_x])[moving].sum()
        still_wrong += np.abs(now - then)[moving].sum()
        checked += moving.sum()
    assert checked > 5000
    assert moved_wrong < 0.35 * still_wrong, "what is left are edges, rounding, and one shape hiding another"


def test_captions_say_what_the_states_say(clips):
    import re

    noun = r"a (small|large) (\w+) (circle|square|triangle)"
    for i in range(len(clips)):
        things = re.findall(noun, str(clips.captions[i]))
        state = {key: clips.states[key][i] for key in ("size", "color", "shape", "motion", "objects")}
        assert len(things) == state["objects"] == str(clips.captions_zh[i]).count("一个")
        for k, (size, colour, shape) in enumerate(things):
            assert size == list(shapes.SIZES)[state["size"][k]] and colour == list(shapes.COLORS)[state["color"][k]]
            assert shape == shapes.SHAPES[state["shape"][k]]
            words = (
                shapes.SIZES_ZH[state["size"][k]]
                + "的"
                + shapes.COLORS_ZH[state["color"][k]]
                + shapes.SHAPES_ZH[state["shape"][k]]
            )
            assert words in str(clips.captions_zh[i])
        verbs = re.findall(r"moves \w+|falls and bounces|stays still|collide", str(clips.captions[i]))
        expected = ["collide"] if state["motion"][0] == 6 else [shapes.VERBS[m] for m in state["motion"] if m >= 0]
        assert verbs == expected


def test_every_kind_of_thing_occurs_about_as_often_as_it_should(clips):
    for key, kinds in {"shape": 3, "color": 6, "size": 2}.items():
        counts = np.bincount(clips.states[key][:, 0], minlength=kinds)
        assert counts.min() > 0.75 * len(clips) / kinds
    assert 0.4 < (clips.states["objects"] == 2).mean() < 0.6
    two = clips.states["objects"] == 2
    assert (clips.states["color"][two, 0] != clips.states["color"][two, 1]).all()


def test_edited_states_render_differently():
    clips = shapes.make(20, seed=5)
    others = shapes.render(clips.states | {"color": (clips.states["color"] + 1) % 6})
    assert (others != clips.frames).any(axis=(1, 2, 3, 4)).all()


def test_layers_laid_over_each_other_are_the_clip():
    clips = shapes.make(60, seed=5)
    back, front = (shapes.render_layer(clips.states, k) for k in range(2))
    error = np.abs(shapes.composite(back, front).astype(int) - clips.frames)
    assert np.percentile(error, 99.9) <= 24 and error.mean() < 0.05, "but for pixels on the edge of two objects"
    alone = clips.states["objects"] == 1
    np.testing.assert_array_equal(shapes.composite(back, front)[alone], clips.frames[alone])
    assert (front[alone] == np.array(shapes.BACKGROUND, np.uint8)).all() and (front[~alone].std(axis=(1, 2, 3, 4)) > 0).all()


SHA256 = "5cc69a691d3a75c14c466165ac635bfc6859aeb0fa594f47d0f5c5f7811fcac0"


def test_captions_that_this_world_does_not_make_are_refused():
    for wrong in ("a small red circle", "a small red circle moves left and a large cat stays still", "collide"):
        with pytest.raises(CourseError, match="is no caption of this world"):
            shapes.parse_captions([wrong])
