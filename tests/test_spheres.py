"""The world of spheres: its laws against closed form, its captions against its states, its bytes."""

import ast
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import spheres
from vidgen_tf.worlds.base import uniforms
from vidgen_tf.worlds.spheres import camera, motion
from vidgen_tf.worlds.spheres.captions import write_captions

TIME = np.arange(spheres.NUM_FRAMES)
MOTION = {name: i for i, name in enumerate(spheres.MOTIONS)}
SHA256 = {
    32: "1b91e9a23f32d7e7bc95baaed19d3bcfbc657cf5fcc5b71f4eb2ba8318062736",
    64: "36a0ce8aab0b0a4074e2cb2398ac44a6fef43b6ef7da01a0f3f969612db04363",
}


@pytest.fixture(scope="module")
def states():
    """States of many clips, not rendered, as float64."""
    return motion.simulate(uniforms(5, 0, 4000, motion.DRAWS))


def objects(states, *motions, kind=None):
    """The states of all objects that have one of some motions: arrays with first axis M, then T where there is one."""
    here = np.isin(states["motion"], [MOTION[name] for name in motions])
    here &= states["kind"] == spheres.KINDS.index(kind) if kind else True
    keys = ("kind", "radius", "mass", "inertia", "position", "velocity", "rotation", "angular_velocity")
    return {key: (states[key] if states[key].ndim == 2 else np.moveaxis(states[key], 2, 1))[here] for key in keys}


def turns(rotation):
    return Rotation.from_quat(rotation[..., [1, 2, 3, 0]].reshape(-1, 4))


# The same bytes everywhere


@pytest.mark.parametrize("size", SHA256)
def test_bytes_are_the_same_on_every_machine(size):
    assert hashlib.sha256(spheres.make(24, seed=3, size=size).frames.tobytes()).hexdigest() == SHA256[size]


SUMS = {
    "sum",
    "mean",
    "average",
    "std",
    "var",
    "prod",
    "cumsum",
    "dot",
    "inner",
    "matmul",
    "einsum",
    "tensordot",
    "linalg",
    "norm",
}
FUNCTIONS = {"sin", "cos", "tan", "arctan2", "arccos", "exp", "log", "power", "hypot", "cbrt", "interp", "convolve", "fft"}


@pytest.mark.parametrize("path", sorted(Path(spheres.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_only_exact_arithmetic_is_used(path):
    """Nothing whose last bit depends on the machine: no function but the square root, no sum in an order of NumPy's own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.MatMult | ast.Pow)
        assert not isinstance(node, ast.Attribute) or node.attr not in SUMS | FUNCTIONS, node.attr


def test_any_size_from_2_px_can_be_rendered():
    for size in (2, 7, np.int64(33)):
        clips = spheres.make(3, seed=3, size=size)
        assert clips.frames.shape == (3, 16, size, size, 3) and spheres.masks(clips).shape == (3, 16, 2, size, size)
        np.testing.assert_array_equal(clips.captions, spheres.make(3, seed=3).captions)
    np.testing.assert_array_equal(clips.frames, spheres.make(3, seed=3, size=33).frames)
    for size in (1, 0, 32.0, "32"):
        with pytest.raises(CourseError, match=f"size must be a whole number, at least 2, got size={size!r}"):
            spheres.make(1, seed=0, size=size)


def test_nothing_is_divided_by_zero():
    clips = spheres.make(40, seed=12)
    states = {key: value.copy() for key, value in clips.states.items()}
    states["kind"] = np.where(states["kind"] < 0, -1, 1)
    states["rotation"][:] = 1, 0, 0, 0
    states["position"][..., 0] = states["radius"][:, None]  # a side of each box is seen exactly edge-on
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        assert spheres.render(states).shape == (40, 16, 32, 32, 3)
        np.testing.assert_array_equal(spheres.make(40, seed=12).frames, clips.frames)


def test_cosine_and_sine_are_right():
    angle = np.linspace(-40, 40, 4001)
    cos, sin = camera.cos_sin(angle)
    np.testing.assert_allclose(cos, np.cos(angle), atol=1e-12)
    np.testing.assert_allclose(sin, np.sin(angle), atol=1e-12)


def test_quaternions_turn_as_scipys_do():
    a, b = camera.normalized(uniforms(1, 0, 50, 8).reshape(2, 50, 4) - 0.5)
    np.testing.assert_allclose(turns(camera.multiply(a, b)).as_matrix(), (turns(a) * turns(b)).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(np.array(camera.axes(a)).transpose(2, 1, 0), turns(a).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(camera.normalized(np.zeros((2, 4))), [[1, 0, 0, 0]] * 2)


# The laws of motion


def test_a_ball_rolls_without_slipping_and_a_box_does_not_turn(states):
    balls = objects(states, "left", "right", "towards", "away", "collides", "behind", "stays", kind="ball")
    assert len(balls["radius"]) > 1000
    to_floor = np.zeros_like(balls["velocity"])
    to_floor[..., 1] = -balls["radius"][:, None]
    contact = balls["velocity"] + np.cross(balls["angular_velocity"], to_floor)
    np.testing.assert_allclose(contact, 0, atol=1e-12, err_msg="where it touches the floor, a ball stands still")
    between = turns(balls["rotation"][:, 1:]) * turns(balls["rotation"][:, :-1]).inv()
    steps = np.diff(balls["position"], axis=1)
    rolled = np.stack([steps[..., 2], 0 * steps[..., 0], -steps[..., 0]], axis=-1) / balls["radius"][:, None, None]
    np.testing.assert_allclose(between.as_rotvec().reshape(rolled.shape), rolled, atol=1e-9)
    boxes = objects(states, *spheres.MOTIONS, kind="box")
    np.testing.assert_array_equal(boxes["rotation"], np.repeat(boxes["rotation"][:, :1], 16, axis=1))
    np.testing.assert_array_equal(boxes["rotation"][..., [1, 3]], 0)
    assert not boxes["angular_velocity"].any()


@pytest.mark.parametrize("name, axis, sign", [("left", 0, -1), ("right", 0, 1), ("towards", 2, 1), ("away", 2, -1)])
def test_straight_motion_has_constant_velocity_along_its_axis(states, name, axis, sign):
    found = objects(states, name)
    steps = np.diff(found["position"], axis=1)
    np.testing.assert_allclose(steps, found["velocity"][:, 1:], atol=1e-12)
    np.testing.assert_allclose(np.delete(steps, axis, axis=2), 0, atol=1e-12)
    assert len(steps) > 200 and 0.09 < (sign * steps[..., axis]).min() and (sign * steps[..., axis]).max() < 0.27
    np.testing.assert_array_equal(found["position"][..., 1], np.repeat(found["radius"][:, None], 16, axis=1))


@pytest.mark.parametrize("kind", spheres.KINDS)
def test_a_fall_is_a_parabola_and_a_bounce_keeps_its_share_of_the_speed(states, kind):
    found, share = objects(states, "falls", kind=kind), spheres.RESTITUTION[spheres.KINDS.index(kind)]
    height = found["position"][..., 1] - found["radius"][:, None]
    touch = np.sqrt(2 * height[:, 0] / spheres.GRAVITY)[:, None]
    before = TIME[None] <= touch
    np.testing.assert_allclose(height[before], (height[:, :1] - spheres.GRAVITY * TIME**2 / 2)[before], atol=1e-9)
    assert height.min() > -1e-9 and (touch < 12).all()
    once = ~before & (TIME < touch * (1 + 2 * share))
    assert once.any(axis=1).all(), "everything that falls bounces within the clip"
    energy = found["velocity"][..., 1] ** 2 / 2 + spheres.GRAVITY * height
    np.testing.assert_allclose((energy / energy[:, :1])[once], share**2, atol=1e-9)
    np.testing.assert_allclose(np.diff(found["position"][..., [0, 2]], n=2, axis=1), 0, atol=1e-9)  # no force along the floor
    if kind == "ball":
        pace = turns(found["rotation"][:, 1:]) * turns(found["rotation"][:, :-1]).inv()
        np.testing.assert_allclose(pace.as_rotvec(), found["angular_velocity"][:, 1:].reshape(-1, 3), atol=1e-9)


def test_collisions_keep_momentum_and_part_with_their_share_of_the_speed(states):
    these = states["motion"][:, 0] == MOTION["collides"]
    velocity, kind = states["velocity"][these], states["kind"][these]
    assert len(velocity) > 300
    momentum = (states["inertia"][these][:, None, :, None] * velocity).sum(axis=2)
    np.testing.assert_allclose(momentum, np.repeat(momentum[:, :1], 16, axis=1), atol=1e-12)
    like = kind[:, 0] == kind[:, 1]  # both roll, or both glide: then mass times velocity is kept as well
    momentum = (states["mass"][these][like][:, None, :, None] * velocity[like]).sum(axis=2)
    np.testing.assert_allclose(momentum, np.repeat(momentum[:, :1], 16, axis=1), atol=1e-12)
    apart = velocity[:, :, 1] - velocity[:, :, 0]
    np.testing.assert_allclose(apart[:, -1], -spheres.ELASTICITY * apart[:, 0], atol=1e-12)
    after = TIME[None] > states["collision_time"][these][:, None]
    np.testing.assert_array_equal((np.abs(apart - apart[:, :1]) > 1e-9).any(axis=-1), after)
    assert (after.sum(axis=1) >= 6).all() and (~after).sum(axis=1).min() >= 6
    assert np.abs(velocity[:, 0, 0]).max(axis=1).min() > 0.05, "the first, which the caption says collides, moves"


def test_bodies_touch_where_they_collide_and_never_overlap(states):
    two, collides = states["objects"] == 2, states["motion"][:, 0] == MOTION["collides"]
    distance = np.sqrt(((states["position"][:, :, 0] - states["position"][:, :, 1]) ** 2).sum(axis=-1)).min(axis=1)
    reach = np.where(states["kind"] == 1, np.sqrt(2), 1) * states["radius"]
    assert (distance > reach.sum(axis=1))[two & ~collides].all()
    gap = (distance - states["radius"].sum(axis=1))[collides]
    speed = np.sqrt(((states["velocity"][:, :, 0] - states["velocity"][:, :, 1]) ** 2).sum(axis=-1)).max(axis=1)[collides]
    assert gap.min() > -1e-9 and (gap < speed).all(), "they touch, at most one frame away"
    line = states["position"][collides, 0, 1] - states["position"][collides, 0, 0]
    line /= np.sqrt((line**2).sum(axis=1, keepdims=True)) * [[1, 1, 1]]
    for k in range(2):  # a face of a box looks along the line
        box = (states["kind"][collides, k] == 1) & (states["radius"][collides].std(axis=1) < 1e-9)  # middles at one height
        face = turns(states["rotation"][collides, 0, k]).as_matrix()[box, :, 0]
        np.testing.assert_allclose(np.abs((face * line[box]).sum(axis=1)), 1, atol=1e-9)


def test_energy_never_rises(states):
    ball = states["kind"] == 0
    spin = 0.2 * (states["mass"] * states["radius"] ** 2 * ball)[:, None] * (states["angular_velocity"] ** 2).sum(axis=-1)
    energy = 0.5 * states["mass"][:, None] * (states["velocity"] ** 2).sum(axis=-1) + spin
    energy += spheres.GRAVITY * states["mass"][:, None] * states["position"][..., 1]
    total = energy.sum(axis=2)
    assert np.diff(total, axis=1).max() < 1e-9 and (total[:, -1] < total[:, 0] - 1e-3).mean() > 0.15


def test_all_of_every_object_is_in_view(states):
    present = states["kind"] >= 0
    room = np.inf
    for corner in itertools.product((-1, 1), repeat=3):  # of a box
        axes = camera.axes(states["rotation"])
        radius = states["radius"][:, None]
        point = (states["position"][..., c] + radius * sum(s * axis[c] for s, axis in zip(corner, axes)) for c in range(3))
        x, y, _ = camera.project(tuple(point), 32)
        room = np.minimum(room, np.minimum(np.minimum(x, 32 - x), np.minimum(y, 32 - y)).min(axis=1))
    assert room[present & (states["kind"] == 1)].min() > 0
    # The four planes that bound the view, from a ball's centre: it lies further within than its radius.
    x, y, z = np.moveaxis(states["position"] - camera.EYE, -1, 0)
    depth, up, w = -camera.SIN * y - camera.COS * z, camera.COS * y - camera.SIN * z, camera.HALF_VIEW
    room = (w * depth - np.maximum(np.abs(x), np.abs(up))) / np.sqrt(1 + w * w) - states["radius"][:, None]
    assert room.min(axis=1)[present & (states["kind"] == 0)].min() > 0
    assert states["position"][..., 2].min() - 1.5 > camera.WALL


# Captions


def one_object(size, color, texture, kind, moves):
    values = {"size": size, "color": color, "texture": texture, "kind": kind, "motion": moves}
    return {"objects": np.ones(1, np.int8)} | {key: np.array([[value, -1]], np.int8) for key, value in values.items()}


def test_every_caption_of_one_object_is_its_own_and_parses_back():
    ranges = [range(len(spheres.attributes[key])) for key in ("size", "color", "texture", "kind")]
    all_states = [one_object(*values) for values in itertools.product(*ranges, range(6))]
    states = {key: np.concatenate([one[key] for one in all_states]) for key in all_states[0]}
    written = write_captions(states)
    for captions in written:
        assert len(set(captions.tolist())) == len(captions) == 2 * 6 * 4 * 2 * 6
        for key, value in spheres.parse_captions(captions).items():
            np.testing.assert_array_equal(value, states[key], err_msg=key)
    assert all(caption.isascii() for caption in written[0].tolist()) and not any(c.isascii() for c in written[1].tolist())


motions = st.one_of(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.sampled_from([(6, 6), (7, 5)]))
values = st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3), st.integers(0, 1))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    first=values,
    second=values,
    pair=st.one_of(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.sampled_from([(6, 6), (7, 5)])),
)
def test_every_caption_of_two_objects_parses_back(first, second, pair):
    one, other = one_object(*first, pair[0]), one_object(*second, pair[1])
    states = {key: np.stack([one[key][:, 0], other[key][:, 0]], axis=1) for key in one if key != "objects"}
    states["objects"] = np.full(1, 2, np.int8)
    for captions in write_captions(states):
        assert len(captions[0]) <= 120, "data sets keep so many letters"
        for key, value in spheres.parse_captions(captions).items():
            np.testing.assert_array_equal(value, states[key], err_msg=str(captions))


@pytest.mark.parametrize(
    "caption, first, second",
    [
        ("a small red striped ball rolls right", ("ball", "striped", "right"), None),
        ("a large blue ball collides with a small green box", ("ball", "plain", "collides"), ("box", "plain", "collides")),
        ("一个小的红色格子球从一个大的黄色方块后面经过", ("ball", "checkered", "behind"), ("box", "plain", "stays")),
        ("一个大的紫色圆点方块朝我们滑来", ("box", "dotted", "towards"), None),
    ],
)
def test_captions_say_what_they_say(caption, first, second):
    states, keys = spheres.parse_captions([caption]), ("kind", "texture", "motion")
    for k, named in enumerate((first, second)):
        expected = [spheres.attributes[key].index(value) for key, value in zip(keys, named)] if named else [-1] * 3
        assert [int(states[key][0, k]) for key in keys] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "a small red ball",
        "a small red box rolls left",
        "a small red plain ball rolls left",
        "a small red ball slides left",
        "a red ball rolls left",
        "a small red ball rolls left and dances",
        "a small red ball collides with a cat",
        "a small red ball passes behind",
        "a small red ball rolls left and a large blue box",
        "collides with",
        "一个小的红色球向左滑动",
    ],
)
def test_captions_that_this_world_does_not_make_are_refused(wrong):
    with pytest.raises(CourseError, match="is no caption of this world, such as 'a small red striped ball rolls left'"):
        spheres.parse_captions([wrong])


def test_every_kind_of_object_occurs_about_as_often_as_it_should(states):
    for key in ("kind", "color", "texture", "size"):
        number = len(spheres.attributes[key])
        assert np.bincount(states[key][:, 0], minlength=number).min() > 0.85 * len(states[key]) / number
    two = states["objects"] == 2
    assert 0.46 < two.mean() < 0.54 and (states["color"][two, 0] != states["color"][two, 1]).all()
    for name in ("collides", "behind"):
        assert 0.2 < (states["motion"][two, 0] == MOTION[name]).mean() < 0.3
    assert np.bincount(states["floor"]).min() > 800 and np.bincount(states["wall"]).min() > 500
    np.testing.assert_allclose((states["light"] ** 2).sum(axis=1), 1)
