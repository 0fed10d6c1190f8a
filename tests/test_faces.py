"""The faces world: determinism, captions, curves, alignment, and optical flow against closed form and against the pictures."""

import hashlib
import re

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import faces
from vidgen_tf.worlds.faces import geometry
from vidgen_tf.worlds.faces.states import sample_states, write_captions


@pytest.fixture(scope="module")
def clips():
    return faces.make(40, seed=7)


def test_shapes_and_dtypes(clips):
    assert clips.frames.shape == (40, 16, 64, 64, 3) and clips.frames.dtype == np.uint8
    grey = faces.make(2, seed=7, size=28, grey=True, num_frames=3)
    assert grey.frames.shape == (2, 3, 28, 28, 1)
    assert grey.optical_flow().shape == (2, 2, 28, 28, 2)
    assert faces.make(1, seed=7, num_frames=1).optical_flow().shape == (1, 0, 64, 64, 2)


def test_the_same_bytes_on_every_machine():
    """These checksums may change only together with the datasets' version."""
    colour, grey = faces.make(32, seed=0), faces.make(32, seed=0, size=28, grey=True)
    assert (
        hashlib.sha256(colour.frames.tobytes()).hexdigest() == "2b05f39c13a928dd0f72efe526258dbbc537785caac5faa179732f05d723eb3b"
    )
    assert hashlib.sha256(grey.frames.tobytes()).hexdigest() == "a3c3172b8f6c1cfab9a5401e4feebe8aecd31f865cf533667340e8a8dc5eab08"


def test_a_shorter_clip_is_the_beginning_of_a_longer_one(clips):
    assert np.array_equal(faces.make(3, seed=7, start=5, num_frames=6).frames, clips.frames[5:8, :6])


def test_grey_is_the_luma_of_the_same_faces():
    colour, grey = (faces.make(4, seed=7, size=28, grey=grey).frames for grey in (False, True))
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - grey[..., 0]).max() <= 0.51  # rounded to the nearest whole number


def test_sizes_show_the_same_face():
    large, small = (faces.make(4, seed=7, size=size).frames.astype(float) for size in (64, 32))
    halved = large.reshape(4, 16, 32, 2, 32, 2, 3).mean((3, 5))
    assert np.abs(halved - small).mean() < 3


ENGLISH = re.compile(
    r"a face with (?:(?P<bald>a bald head)|short (?P<short>\w+) hair|a (?P<bob>\w+) bob|long (?P<long>\w+) hair|"
    r"curly (?P<curly>\w+) hair|a (?P<bun>\w+) bun)(?P<beard>,? (?:and )?a beard)?(?P<glasses> and glasses)? "
    r"(?P<does>keeps a neutral expression|smiles|looks surprised|blinks|talks)"
)
CHINESE = re.compile(
    r"一张(?P<glasses>戴眼镜、)?(?P<beard>留胡子、)?(?:(?P<bald>光头)|(?P<short>\w\w)短发|(?P<bob>\w\w)波波头|(?P<long>\w\w)长发|"
    r"(?P<curly>\w\w)卷发|梳(?P<bun>\w\w)发髻)的脸(?P<does>保持平静的表情|露出微笑|露出惊讶的表情|在眨眼|在说话)"
)
WORDS = {
    ENGLISH: (faces.HAIR_COLOURS, ("keeps a neutral expression", "smiles", "looks surprised", "blinks", "talks")),
    CHINESE: (("黑色", "棕色", "红色", "金色", "灰色"), ("保持平静的表情", "露出微笑", "露出惊讶的表情", "在眨眼", "在说话")),
}


@pytest.mark.parametrize("pattern", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_captions_say_what_the_states_say(pattern):
    states, (colours, verbs) = sample_states(300, 1, 0, num_frames=1, size=16), WORDS[pattern]
    captions = write_captions(states)[pattern is CHINESE]
    for i, caption in enumerate(captions):
        said = pattern.fullmatch(str(caption))
        assert said, caption
        style = next(name for name in faces.HAIR_STYLES if said[name])
        assert style == faces.HAIR_STYLES[states["hair_style"][i]]
        assert style == "bald" or said[style] == colours[states["hair_colour"][i]]
        assert bool(said["glasses"]) == bool(states["glasses"][i])
        assert bool(said["beard"]) == bool(states["beard"][i])
        assert verbs.index(said["does"]) == states["expression"][i]


def test_every_kind_of_face_comes_up():
    states = sample_states(600, 2, 0, num_frames=1, size=16)
    for name, kinds in (
        ("expression", 5),
        ("skin", 8),
        ("hair_style", 6),
        ("hair_colour", 5),
        ("head_shape", 4),
        ("eye_colour", 4),
    ):
        shares = np.bincount(states[name], minlength=kinds) / 600
        assert len(shares) == kinds and shares.min() > 0.5 / kinds, name
    assert set(states["glasses"]) == {0, 1, 2} and set(states["beard"]) == {0, 1}


@pytest.fixture(scope="module")
def curves():
    """The curves of 200 clips by expression."""
    states = sample_states(200, 3, 0, num_frames=16, size=16)
    return {
        name: {key: value[states["expression"] == i] for key, value in states.items() if value.ndim == 2}
        for i, name in enumerate(faces.EXPRESSIONS)
    }


def test_curves_tell_the_expressions_apart(curves):
    neutral, smile, surprise, blink, talk = (curves[name] for name in faces.EXPRESSIONS)
    assert not neutral["mouth_open"].any() and not neutral["smile"].any() and (neutral["eye_open"] == 1).all()
    for curve in (smile["smile"], surprise["brow_raise"]):
        assert (curve[:, 0] == 0).all() and (curve[:, 12:] >= 0.7).all() and (np.diff(curve) >= 0).all()
    assert (surprise["eye_open"][:, -1] > 1.2).all() and (surprise["mouth_open"][:, -1] > 0.7).all()
    shut = (blink["eye_open"] == 0).sum(1)
    assert set(shut) == {1, 2}  # blinks once or twice, and a frame shows it
    assert (blink["eye_open"][:, 0] > 0.9).all()
    opened = talk["mouth_open"]
    closings = ((opened[:, 1:-1] < opened[:, :-2]) & (opened[:, 1:-1] <= opened[:, 2:])).sum(1)
    assert (closings >= 2).all() and (opened.max(1) > 0.3).all() and (opened.max(1) <= 1).all()
    assert (blink["mouth_open"] == 0).all() and (talk["eye_open"] == 1).all()


def test_faces_are_aligned(clips):
    for eye, side in (("left_eye", -1), ("right_eye", 1)):
        x, y = clips.states[eye][..., 0], clips.states[eye][..., 1]
        spacing = clips.states["eye_spacing"][:, None] * 64 / 56
        assert np.abs(x - side * spacing - 31.5).max() <= 1.5  # sways by this much at most
        assert np.ptp(y) <= 3
    assert np.abs(np.diff(clips.states["sway_x"])).max() < 0.5


def test_eyes_are_where_the_states_say():
    """Shut eyes hide the pupils: between an open and a shut frame the picture changes most where the eyes are tracked."""
    clips = faces.make(60, seed=7)
    shown = 0
    for i in np.flatnonzero((clips.states["expression"] == faces.EXPRESSIONS.index("blink")) & (clips.states["glasses"] == 0)):
        frame = int(clips.states["eye_open"][i].argmin())
        change = np.abs(clips.frames[i, frame].astype(int) - clips.frames[i, 0]).sum(-1)
        near = np.zeros((64, 64), bool)
        for eye in ("left_eye", "right_eye"):
            x, y = np.rint(clips.states[eye][i, frame]).astype(int)
            near[y - 5 : y + 6, x - 6 : x + 7] = True
        assert change[near].mean() > 5 * change[~near].mean()
        shown += 1
    assert shown >= 3


def test_flow_at_the_tracked_eyes_is_how_they_move(clips):
    """Pupils lie still on the features' sheet, so the flow there is the difference of the tracked positions."""
    flow, states = clips.optical_flow(), clips.states
    open_eyes = np.minimum(states["eye_open"][:, 1:], states["eye_open"][:, :-1]) > 0.85
    assert open_eyes.sum() > 300
    for name in ("left_eye", "right_eye"):
        for i, t in np.argwhere(open_eyes):
            x, y = np.rint(states[name][i, t]).astype(int)
            assert np.allclose(flow[i, t, y, x], states[name][i, t + 1] - states[name][i, t], atol=1e-4)


def test_flow_is_zero_on_the_background_and_breathes_on_the_shirt(clips):
    flow, states = clips.optical_flow(), clips.states
    assert not flow[:, :, 30:40, 0].any()
    sway = np.stack([np.diff(states["sway_x"]) * 0.3, np.diff(states["sway_y"]) * 0.5], axis=-1) * 64 / 56
    assert np.allclose(flow[:, :, 63, 32], sway, atol=1e-5)


def test_a_band_carries_its_points_along():
    """Closed form: in the middle the edges are at y + bend + top and y + bend + bottom; sideways a point keeps its share."""
    zero = np.zeros((2, 1, 1), np.float32)
    sheet = geometry.Layer(56, (-28, -28, 28, 28), zero + 0.5, zero + 0.5, zero + 1)  # pixels lie at whole x and y
    top, bottom, y, width = (np.array(v, np.float32)[:, None, None] for v in ([-2, -5], [2, 3], [4, 6], [6, 9]))
    dx, dy = geometry.Band(sheet, 0.0, y, width, top, bottom, bend=1.0).flow()
    columns = {int(v): i for i, v in enumerate(sheet.x[0, 0])}
    rows = {int(v): i for i, v in enumerate(sheet.y[0, :, 0])}
    assert dx[0, 0, columns[0]] == 0 and dx[0, 0, columns[4]] == pytest.approx(4 * 9 / 6 - 4)
    assert dy[0, rows[3], columns[0]] == pytest.approx(2 - 3)  # the top edge was at 3 and is at 2
    assert dy[0, rows[7], columns[0]] == pytest.approx(10 - 7)  # the bottom edge was at 7 and is at 10
    assert dy[0, rows[5], columns[0]] == pytest.approx((2 + 10) / 2 - 5)  # half-way stays half-way


def test_a_jaw_drops_in_proportion_to_its_depth():
    still, stretch = np.zeros((2, 1, 1), np.float32), np.array([1, 1.1], np.float32)[:, None, None]
    sheet = geometry.Layer(56, (-28, -28, 28, 28), still, still, stretch)
    _, dy = sheet.flow()
    now, then = sheet.y
    assert (dy[0][now < 0] == 0).all()
    assert np.allclose(dy[0], np.maximum(now, 0) * 0.1, atol=1e-5)
    assert np.allclose(then[then > 0] * 1.1, now[now > 0], atol=1e-5)  # a row of pixels sees points from nearer the middle


def test_warping_by_the_flow_brings_the_next_frame_back():
    """On large pictures, away from the parts' edges: thin lines at 64 px are lost to the interpolation, not to the flow."""
    clips = faces.make(8, seed=5, size=192, num_frames=8)
    flow, frames = clips.optical_flow(), clips.frames.astype(np.float32)
    copied, warped, backwards = np.zeros((3, 8))
    for i in range(8):
        for t in range(7):
            smooth = _away_from_edges(flow[i, t])
            for errors, by in ((copied, 0), (warped, 1), (backwards, -1)):
                back = _sample(frames[i, t + 1], by * flow[i, t])
                errors[i] += np.square(back - frames[i, t])[smooth].sum()
    assert (warped < 0.55 * copied).all() and warped.sum() < 0.3 * copied.sum()
    assert (backwards > 1.5 * copied).all()


def _away_from_edges(flow):
    """Moving pixels whose four neighbours move alike."""
    alike = np.zeros(flow.shape[:2], bool)
    steps = [
        np.abs(flow[1:-1, 1:-1] - flow[1 + a : 191 + a, 1 + b : 191 + b]).max(-1) for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))
    ]
    alike[1:-1, 1:-1] = np.max(steps, axis=0) < 0.1
    return alike & (np.abs(flow).max(-1) > 0.02)


def _sample(frame, flow):
    """The frame's values at (x, y) + flow, bilinear."""
    height, width = frame.shape[:2]
    y, x = np.mgrid[:height, :width]
    x, y = np.clip(x + flow[..., 0], 0, width - 1.001), np.clip(y + flow[..., 1], 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    a, b = (x - left)[..., None], (y - top)[..., None]
    upper = frame[top, left] * (1 - a) + frame[top, left + 1] * a
    lower = frame[top + 1, left] * (1 - a) + frame[top + 1, left + 1] * a
    return upper * (1 - b) + lower * b


@pytest.mark.parametrize("wrong", [{"size": 8}, {"num_frames": 0}])
def test_wrong_arguments_are_named(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(CourseError, match=f"{name}={value}"):
        faces.make(**{"count": 1, "seed": 0, **wrong})


def test_states_can_be_edited_and_rendered(clips):
    """A smile with shut eyes, which no clip of this world has: the picture changes at the eyes and nowhere else."""
    i = int(np.flatnonzero((clips.states["expression"] == 1) & (clips.states["glasses"] == 0))[0])
    part = clips[i : i + 1]
    frames = faces.render(part.states | {"eye_open": np.zeros_like(part.states["eye_open"])}, 64)
    changed = (frames != part.frames).any(axis=(0, 1, 4))
    rows, columns = np.nonzero(changed)
    left, right = part.states["left_eye"][0, 0], part.states["right_eye"][0, 0]
    assert changed.sum() > 50 and np.abs(rows - left[1]).max() < 8
    assert np.minimum(np.abs(columns - left[0]), np.abs(columns - right[0])).max() < 8
