"""What every world promises: clips that are the same everywhere, states that render to their frames, captions that parse back to
their states, flow that is exact."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vidgen_tf.datasets import digest
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip
from vidgen_tf.worlds import WORLDS, LabelledClips, World, digits, faces, files, shapes, spheres, uniforms
from vidgen_tf.worlds.faces.states import sample_states, write_captions

# Every function that makes clips, each at a small size; and the sha256 of five of its clips with captions and states.
CASES = {
    "shapes": SimpleNamespace(world=shapes, make=shapes.make, options={"size": 32}),
    "digits": SimpleNamespace(world=digits, make=digits.make, options={"size": 32}),
    "moving-mnist": SimpleNamespace(world=digits, make=digits.make_moving_mnist, options={"size": 64, "num_frames": 12}),
    "stochastic": SimpleNamespace(
        world=digits,
        make=digits.make_moving_mnist,
        options={"size": 32, "num_frames": 12, "num_digits": 1, "stochastic_bounces": True},
    ),
    "faces": SimpleNamespace(world=faces, make=faces.make, options={"size": 32}),
    "grey-faces": SimpleNamespace(world=faces, make=faces.make, options={"size": 28, "num_frames": 6, "grey": True}),
    "spheres": SimpleNamespace(world=spheres, make=spheres.make, options={"size": 32}),
    "bouncing": SimpleNamespace(world=spheres, make=spheres.make_bouncing, options={"size": 32, "radius": (0.4, 1.1)}),
}
SHA256 = {
    "shapes": "0443323b97b8281704e3df391ebfa820908ec28dfe18daa9e2e5667776afacc6",
    "digits": "9e4e926d70e04b554edff3068fc8f965c3804fef8c55bea27bfa8883320621be",
    "moving-mnist": "90de63a837582ee1a46b3d02ba393fed9d42c7c04bf9db782b4b831996b6872f",
    "stochastic": "5528be42fa6d8369ce7634a5bb1c03802aa77cda23c74891bcbd9ea60508c930",
    "faces": "eb4c2ce812c1d8c3254edf78bd11769de97370464c76b4347e3e4286a11ea0ca",
    "grey-faces": "c53c36573840e53206d546518ac9597b7bea3c5d6bd27e2d4f6e472eff2ff3b8",
    "spheres": "2d4d1124aced39ea1dfc0f8f956376df5ad7b360551ad7caaae7d9064df439d0",
    "bouncing": "8289ed176414ef388590d01992dd55f273abab55ee88b1d0cb545a5b3974ca5d",
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
quick = settings(max_examples=8, deadline=None, derandomize=True)
seeds, starts = st.integers(0, 2**40), st.integers(0, 2**20)


def assert_same(clips, others):
    np.testing.assert_array_equal(clips.frames, others.frames)
    np.testing.assert_array_equal(clips.captions, others.captions)
    np.testing.assert_array_equal(clips.captions_zh, others.captions_zh)
    assert clips.states.keys() == others.states.keys()
    for key, value in clips.states.items():
        assert value.dtype == others.states[key].dtype
        np.testing.assert_array_equal(value, others.states[key], err_msg=key)
    assert (clips.world, clips.fps) == (others.world, others.fps)


@cases
def test_a_module_keeps_the_protocol(case):
    world = case.world
    assert isinstance(world, World) and WORLDS[world.name] is world
    assert WORLDS.keys() == {"shapes", "digits", "faces", "spheres", "files"}
    clips = case.make(2, seed=0, **case.options)
    size = case.options["size"]
    assert clips.frames.dtype == np.uint8 and clips.frames.shape[2:4] == (size, size) and clips.world == world.name
    assert clips.captions.dtype.kind == clips.captions_zh.dtype.kind == "U"
    assert all(len(value) == 2 for value in clips.states.values())


@cases
@quick
@given(seed=seeds, start=starts, count=st.integers(1, 3))
def test_a_clip_depends_on_its_seed_and_index_alone(case, seed, start, count):
    clips = case.make(count, seed=seed, start=start, **case.options)
    for i in range(count):
        assert_same(case.make(1, seed=seed, start=start + i, **case.options), clips[i : i + 1])
    others = case.make(count, seed=seed + 1, start=start, **case.options)
    assert (others.frames != clips.frames).any()


@cases
def test_a_long_run_is_made_of_the_same_clips(case):
    """Clips are rendered in blocks; a block's edge must not show."""
    whole = case.make(70, seed=5, **case.options)
    for start, count in ((0, 3), (14, 4), (62, 5), (69, 1)):
        assert_same(case.make(count, seed=5, start=start, **case.options), whole[start : start + count])


@pytest.mark.parametrize("name", CASES)
def test_bytes_are_the_same_on_every_machine(name):
    case = CASES[name]
    clips = case.make(5, seed=7, start=2, **case.options)
    arrays = {"frames": clips.frames, "captions": clips.captions, "captions_zh": clips.captions_zh}
    assert digest(arrays | clips.states) == SHA256[name]


@cases
@quick
@given(seed=seeds, start=starts)
def test_states_render_to_the_frames_that_they_describe(case, seed, start):
    clips = case.make(3, seed=seed, start=start, **case.options)
    options = {key: value for key, value in case.options.items() if key in ("size", "grey")}
    np.testing.assert_array_equal(case.world.render(clips.states, **options), clips.frames)


@cases
@quick
@given(seed=seeds, start=starts)
def test_captions_parse_back_to_the_states_that_they_name(case, seed, start):
    options = case.options if case.world in (shapes, spheres) else case.options | {"num_frames": 8}
    clips = case.make(6, seed=seed, start=start, **options)
    english, chinese = (case.world.parse_captions(captions) for captions in (clips.captions, clips.captions_zh))
    states = clips.states
    if case.world is faces:  # captions name glasses but not their form, and no colour of hair that isn't there
        bald = states["hair_style"] == faces.HAIR_STYLES.index("bald")
        states = states | {"has_glasses": states["glasses"] > 0, "hair_colour": np.where(bald, -1, states["hair_colour"])}
    assert len(english) >= 1 + (case.make is not digits.make_moving_mnist)
    for key, value in english.items():
        assert value.dtype == states[key].dtype
        np.testing.assert_array_equal(value, states[key], err_msg=key)
        np.testing.assert_array_equal(chinese[key], value, err_msg=key)


@cases
def test_other_captions_are_refused(case):
    written = case.make(1, seed=0, **case.options).captions[0]
    for wrong in ("a cat", "", "the digit 12 is moving .", f"not {written[:10]}"):
        with pytest.raises(CourseError, match="is no caption of this world, such as '"):
            case.world.parse_captions([written, wrong])


@pytest.mark.parametrize("world", [shapes, digits, faces, spheres], ids=lambda world: world.name)
def test_attributes_name_every_value_that_states_and_captions_have(world):
    clips = labels_of_faces(400, seed=3) if world is faces else world.make(400, seed=3)
    for key, values in world.attributes.items():
        assert set(clips.states[key].ravel().tolist()) - {-1} == set(range(len(values))), key
        assert len(set(values)) == len(values) and all(isinstance(value, str) for value in values)
    assert world.parse_captions(clips.captions).keys() - {"objects", "has_glasses"} <= world.attributes.keys()


def labels_of_faces(count, seed):
    """The states and captions of clips that needn't be rendered."""
    states = sample_states(count, seed, 0, num_frames=1, size=16)
    captions, captions_zh = write_captions(states)
    return SimpleNamespace(states=states, captions=captions, captions_zh=captions_zh)


@cases
@quick
@given(seed=seeds, start=starts)
def test_flow_at_a_tracked_point_is_its_displacement(case, seed, start):
    clips = case.make(3, seed=seed, start=start, **case.options)
    flow = clips.optical_flow()
    n, t, h, w, _ = clips.frames.shape
    assert flow.shape == (n, t - 1, h, w, 2) and flow.dtype == np.float32
    position, pixel, seen = TRACKED[case.world](clips)
    step = position[:, 1:] - position[:, :-1]
    i, k = np.nonzero(seen[:, :-1])
    x, y = pixel[i, k].T
    np.testing.assert_allclose(flow[i, k, y, x], step[i, k], atol=1e-4)
    corners = flow[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert case.world is not faces or not corners[:, :, :2].any(), "the wall behind a face stands still"


def front_shape(clips):
    """The middle of the object in front: position (N, T, 2), pixel (N, T, 2) as (x, y), and whether it is seen (N, T)."""
    position = clips.states["position"][np.arange(len(clips)), :, clips.states["objects"] - 1]
    return position, position.astype(int), np.ones(position.shape[:2], bool)


def brightest_pixel(clips):
    """Of the first digit, where no other digit is near."""
    position, image = clips.states["pixel_position"], clips.states["digit_image"][:, 0]
    side = image.shape[-1]
    row, column = np.divmod(image.reshape(len(image), -1).argmax(axis=1), side)
    pixel = position[:, :, 0] + np.stack([column, row], axis=-1)[:, None]
    apart = (np.abs(position - position[:, :, :1]) >= side).any(axis=-1)[:, :, 1:].all(axis=-1)
    return position[:, :, 0], pixel, apart


def left_pupil(clips):
    """Of the eye on the left, while it is wide open before and after."""
    position, opened = clips.states["left_eye"], clips.states["eye_open"] > 0.85
    pixel = np.rint(position).astype(int)
    middle = np.abs(position - pixel).max(axis=-1) < 0.45  # the highlight is half a pixel away
    return position, pixel, opened & np.roll(opened, -1, axis=1) & middle


def middle_of_a_solid(clips):
    """The point of the object in front that is seen through the pixel at its middle, in each frame anew: a ray is cast, the point
    turned with the object, and projected again. Positions are the sums of its steps."""
    states, n, size = clips.states, len(clips), clips.frames.shape[2]
    k = np.where(states["objects"] == 1, 0, states["position"][..., 2].mean(axis=1).argmax(axis=1))
    rows = np.arange(n)
    centre, seen = (np.float64(states[key][rows, :, k]) for key in ("position", "pixel_position"))
    pixel = np.clip(np.floor(seen), 0, size - 1).astype(int)
    turns = [Rotation.from_quat(rotation[:, [1, 2, 3, 0]]) for rotation in states["rotation"][rows, :, k]]
    position = np.zeros_like(seen)
    for i, turn in enumerate(turns):
        radius = float(states["radius"][i, k[i]])
        ray = np.stack(spheres.camera.rays(*np.float64(pixel[i]).T, size), axis=-1)
        eye, ray = (turn.inv().apply(value) for value in (spheres.camera.EYE - centre[i], ray))  # in the object's own axes
        if states["kind"][i, k[i]] == 1:
            planes = np.sort([(-radius - eye) / ray, (radius - eye) / ray], axis=0)
            depth = planes[0].max(axis=1)
        else:
            a, b, c = (ray * ray).sum(axis=1), (eye * ray).sum(axis=1), (eye * eye).sum(axis=1) - radius * radius
            depth = (-b - np.sqrt(b * b - a * c)) / a
        point = (eye + depth[:, None] * ray)[:-1]
        x, y, _ = spheres.camera.project((turn[1:].apply(point) + centre[i, 1:]).T, size)
        position[i, 1:] = np.cumsum(np.stack([x, y], axis=-1) - (pixel[i, :-1] + 0.5), axis=0)
    return position, pixel, np.ones((n, centre.shape[1]), bool)


TRACKED = {shapes: front_shape, digits: brightest_pixel, faces: left_pupil, spheres: middle_of_a_solid}


WRONG = [{"seed": -1}, {"seed": None}, {"seed": 0.5}, {"count": -1}, {"count": 0}, {"count": "3"}, {"start": -1}]


@cases
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_argument_is_named(case, wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(CourseError, match=rf"{name} must be a whole number, at least \d, got {name}={value!r}\."):
        case.make(**{"count": 1, "seed": 0, **case.options, **wrong})


@cases
def test_numbers_of_numpy_are_whole_numbers(case):
    clips = case.make(np.int64(2), seed=np.uint8(200), start=np.int32(1), **case.options)
    assert_same(clips, case.make(3, seed=200, **case.options)[1:])


@cases
def test_clips_can_be_pickled(case):
    clips = case.make(2, seed=1, **case.options)
    again = pickle.loads(pickle.dumps(clips))
    assert_same(again, clips)
    np.testing.assert_array_equal(again.optical_flow(), clips.optical_flow())


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_chance_refuses_what_is_wrong(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(CourseError, match=f"got {name}={value!r}"):
        uniforms(**{"seed": 0, "start": 0, "count": 1, "per_clip": 3, **wrong})


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=seeds, start=st.integers(0, 2**40), per_clip=st.integers(1, 9), count=st.integers(1, 9))
def test_chance_is_a_table_with_a_row_for_each_clip(seed, start, per_clip, count):
    rows = uniforms(seed, start, count, per_clip)
    assert rows.shape == (count, per_clip) and rows.dtype == np.float64 and 0 <= rows.min() and rows.max() < 1
    np.testing.assert_array_equal(rows[-1:], uniforms(seed, start + count - 1, 1, per_clip))
    if start == 0:
        np.testing.assert_array_equal(rows, np.random.Generator(np.random.PCG64(seed)).random((count, per_clip)))


def test_clips_are_indexed_with_their_labels():
    clips = shapes.make(6, seed=2)
    part = clips[[4, 1]]
    assert isinstance(part, LabelledClips) and len(part) == 2 and part.world == "shapes"
    np.testing.assert_array_equal(part.states["position"], clips.states["position"][[4, 1]])
    assert part.captions.tolist() == [clips.captions[4], clips.captions[1]]
    one = clips[np.int64(3)]
    assert isinstance(one, Clip) and one.caption == clips.captions[3] and one.fps == 8
    assert repr(clips) == "LabelledClips(6 clips of shapes: 16 frames, 32x32 RGB, 8 fps)"
    assert repr(digits.make(1, seed=0)) == "LabelledClips(1 clips of digits: 16 frames, 32x32 grey, 8 fps)"


def test_a_subset_is_drawn_without_replacement():
    clips = digits.make_moving_mnist(12, seed=3, size=32)
    some, same = clips.subset(9, 1), clips.subset(9, 1)
    assert_same(some, same)
    assert len({frames.tobytes() for frames in some.frames}) == 9
    assert {frames.tobytes() for frames in some.frames} <= {frames.tobytes() for frames in clips.frames}
    with pytest.raises(CourseError, match="There are 12 such clips"):
        clips.subset(13, 1)


def test_your_own_clips_name_their_world_as_well():
    clips = files.pan(np.zeros((40, 40, 3), np.uint8), 2, size=8)
    assert clips.world == "files" and clips.optical_flow().shape == (2, 15, 8, 8, 2)
    assert pickle.loads(pickle.dumps(clips)).world == "files"


def test_worlds_need_no_tensorflow():
    code = (
        "import sys; from vidgen_tf import worlds; worlds.shapes.make(1, seed=0); worlds.faces.make(1, seed=0); "
        "worlds.spheres.make(1, seed=0); "
        "import vidgen_tf.worlds.corruptions, vidgen_tf.datasets; print({'tensorflow', 'keras'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("world", [digits, shapes, spheres], ids=lambda world: world.name)
def test_clips_for_captions_have_these_captions_and_nothing_else_in_common(world):
    clips = world.make(300, seed=31)
    for states in (clips.states, world.parse_captions(clips.captions)):
        again = world.make_captioned(states, seed=7)
        np.testing.assert_array_equal(again.captions, clips.captions)
        np.testing.assert_array_equal(again.captions_zh, clips.captions_zh)
        assert not (again.frames == clips.frames).all(axis=(1, 2, 3, 4)).any()
        assert np.mean((again.states["position"] == clips.states["position"]).all(axis=(1, 2, 3))) < 0.01
    part = world.make_captioned({key: value[:9] for key, value in clips.states.items()}, seed=7)
    np.testing.assert_array_equal(part.frames, again.frames[:9])
    other = world.make_captioned(clips.states, seed=8)
    assert not (again.frames == other.frames).all(axis=(1, 2, 3, 4)).any()
