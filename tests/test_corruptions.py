"""Corruptions: each does to a clip what its name says, and nothing else."""

import hashlib

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import digits, faces, shapes, spheres
from vidgen_tf.worlds.corruptions import CORRUPTIONS, MAX_JITTER, UNSEEN_CORRUPTIONS, corrupt

WORLDS = pytest.mark.parametrize("world", ["shapes", "digits", "spheres"])


@pytest.fixture(scope="module")
def clips():
    return {
        "shapes": shapes.make(80, seed=101),
        "digits": digits.make(80, seed=201, split="validation"),
        "spheres": spheres.make(80, seed=401),
    }


@WORLDS
def test_a_corruption_depends_on_its_seed_alone(world, clips):
    before = clips[world].frames.copy()
    for kind in CORRUPTIONS:
        frames = corrupt(clips[world], kind, seed=1)
        assert frames.dtype == np.uint8 and frames.shape == before.shape
        np.testing.assert_array_equal(frames, corrupt(clips[world], kind, seed=1))
        if kind not in ("clean", "backwards"):
            assert (frames != corrupt(clips[world], kind, seed=2)).any(), kind
    np.testing.assert_array_equal(clips[world].frames, before)


def test_the_video_classifiers_are_trained_on_the_same_bytes_as_ever(clips):
    total = hashlib.sha256()
    for kind in CORRUPTIONS:
        for world in ("shapes", "digits"):
            total.update(corrupt(clips[world], kind, seed=3).tobytes())
    assert total.hexdigest() == SHA256


@WORLDS
@pytest.mark.parametrize("kind", [*CORRUPTIONS[1:], *UNSEEN_CORRUPTIONS])
def test_a_corruption_of_strength_0_is_none_and_it_grows_to_the_whole_one(world, kind, clips):
    true = clips[world].frames.astype(float)
    changes = [np.mean((corrupt(clips[world], kind, 1, strength) - true) ** 2) for strength in (0, 0.3, 0.6, 1)]
    assert changes[0] == 0 and (np.diff(changes) > 0).all()
    np.testing.assert_array_equal(corrupt(clips[world], kind, 1, 1.0), corrupt(clips[world], kind, 1))


@WORLDS
def test_frozen_clips_stop_and_blurred_and_noisy_ones_keep_their_mean(world, clips):
    true = clips[world].frames
    half = corrupt(clips[world], "frozen", strength=0.5)
    np.testing.assert_array_equal(half[:, :8], true[:, :8])
    assert (half[:, 8:] == half[:, 7:8]).all()
    np.testing.assert_array_equal(corrupt(clips[world], "frozen"), np.repeat(true[:, :1], 16, axis=1))
    assert corrupt(clips[world], "blurred").mean() == pytest.approx(true.mean(), rel=0.02)
    noise = corrupt(clips[world], "noisy").astype(float) - true
    assert noise[(true > 100) & (true < 150)].std() == pytest.approx(25.5, rel=0.1)


@WORLDS
def test_clean_and_backwards(world, clips):
    np.testing.assert_array_equal(corrupt(clips[world], "clean"), clips[world].frames)
    np.testing.assert_array_equal(corrupt(clips[world], "backwards"), clips[world].frames[:, ::-1])


@WORLDS
def test_shuffled_clips_hold_the_same_frames_in_another_order(world, clips):
    true = clips[world].frames
    frames = corrupt(clips[world], "shuffled", seed=1)
    for before, after in zip(true, frames):
        assert sorted(frame.tobytes() for frame in before) == sorted(frame.tobytes() for frame in after)
    assert (frames != true).any(axis=(1, 2, 3, 4)).mean() > 0.8
    orders = {
        tuple(int(np.argmin(np.abs(before.astype(int) - f).sum((1, 2, 3)))) for f in after)
        for before, after in zip(true[:20], frames[:20])
    }
    assert len(orders) > 10, "each clip in an order of its own"


@WORLDS
def test_spliced_clips_have_one_run_of_frames_of_another_clip(world, clips):
    true = clips[world].frames
    frames = corrupt(clips[world], "spliced", seed=2)
    lengths = []
    for i, clip in enumerate(frames):
        foreign = np.flatnonzero((clip != true[i]).any(axis=(1, 2, 3)))
        if len(foreign):
            sources = [j for j in range(80) if np.array_equal(true[j, foreign], clip[foreign])]
            assert sources and i not in sources
            lengths.append(np.ptp(foreign) + 1)
    assert len(lengths) > 70 and min(lengths) == 1 and max(lengths) == 8


@WORLDS
def test_changed_clips_keep_their_beginning(world, clips):
    true = clips[world]
    frames = corrupt(true, "changed", seed=3)
    first = [np.flatnonzero((a != b).any(axis=(1, 2, 3)))[:1].tolist() for a, b in zip(frames, true.frames)]
    assert all(4 <= start[0] <= 12 for start in first if start) and sum(map(bool, first)) > 72


def test_a_changed_shape_keeps_its_path(clips):
    single = clips["shapes"][clips["shapes"].states["objects"] == 1]
    frames = corrupt(single, "changed", seed=3)
    background = np.array(shapes.BACKGROUND, int)
    ink = np.abs(frames - background).sum(axis=-1) > 60  # (N, T, H, W)
    y, x = np.mgrid[:32, :32] + 0.5
    centre = np.stack([(ink * x).sum((2, 3)), (ink * y).sum((2, 3))], axis=-1) / ink.sum((2, 3))[..., None]
    away = np.abs(centre - single.states["position"][:, :, 0])
    assert away.max() < 2.2, "a triangle's centre of mass lies below its middle"
    last = frames[np.arange(len(frames)), -1, *single.states["position"][:, -1, 0, ::-1].astype(int).T].astype(int)
    palette = np.array(list(shapes.COLORS.values()), int)
    color = np.abs(last[:, None] - palette).sum(axis=-1).argmin(axis=1)
    assert (color != single.states["color"][:, 0]).all(), "it has another colour"


def test_a_changed_digit_is_another_digit():
    clips = digits.make(200, seed=202, split="validation")
    frames = corrupt(clips, "changed", seed=0)
    corner = clips.states["pixel_position"][:, -1, 0]
    shown = [frame[y : y + 14, x : x + 14, 0] for frame, (x, y) in zip(frames[:, -1], corner)]
    digit_of = {image.tobytes(): digit for image, (digit,) in zip(clips.states["digit_image"][:, 0], clips.states["digit"])}
    assert np.mean([digit_of[image.tobytes()] != digit for image, (digit,) in zip(shown, clips.states["digit"])]) > 0.95


@WORLDS
def test_jittery_frames_are_moved_and_flickering_ones_are_darker_or_brighter(world, clips):
    true = clips[world].frames.astype(int)
    frames = corrupt(clips[world], "jittery", seed=4)
    moves = set()
    for i, t in np.ndindex(6, 16):
        around = range(-MAX_JITTER, MAX_JITTER + 1)
        rolled = {(dy, dx): np.roll(true[i, t], (dy, dx), axis=(0, 1)) for dy in around for dx in around}
        found = [move for move, frame in rolled.items() if np.array_equal(frame, frames[i, t])]
        assert found
        moves.update(found[:1])
    assert len(moves) > 30
    frames = corrupt(clips[world], "flickering", seed=4)
    gain = frames.sum(axis=(2, 3, 4)) / true.sum(axis=(2, 3, 4))
    assert 0.6 < gain.min() < 0.75 and 1.1 < gain.max() < 1.3 and gain.std(axis=1).min() > 0.05


def test_what_cannot_be_done_is_refused(clips):
    with pytest.raises(CourseError, match="as clean, shuffled, .*, backwards, frozen, blurred, noisy; got 80, 'sideways'"):
        corrupt(clips["shapes"], "sideways")
    with pytest.raises(CourseError, match="At least two clips"):
        corrupt(clips["shapes"][:1], "spliced")
    with pytest.raises(CourseError, match="changed in clips of shapes, spheres or digits, not of faces"):
        corrupt(faces.make(2, seed=0, size=16, num_frames=8), "changed")
    with pytest.raises(CourseError, match="from 0 to 1, got 1.5"):
        corrupt(clips["digits"], "noisy", strength=1.5)


SHA256 = "e99ba39a0cf1b88ae93a74e4a7c3e7630aa98cd68c18f9acd254ebc9a2471e76"
