"""The world of digits: protocol, physics, pixels and flow."""

import hashlib
import re

import numpy as np
import pytest
from scipy.stats import chisquare

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import digits

SUMS = ["9fa174b6dabfa351", "583b947229a49d08", "c53a58681ff6ff4f"]
DIRECTIONS = {"up": (1, -1), "down": (1, 1), "left": (0, -1), "right": (0, 1)}  # axis, sign


@pytest.fixture(scope="module")
def single():
    return digits.make(300, seed=3)


@pytest.fixture(scope="module")
def canonical():
    return digits.make_moving_mnist(200, seed=0, split="test")


def test_seeds_and_splits_draw_different_motion():
    starts = [
        digits.make(20, seed=seed, split=split).states["position"][:, 0].tobytes()
        for seed in (0, 1, 2)
        for split in ("train", "validation", "test")
    ]
    assert len(set(starts)) == 9


def test_bytes_are_the_same_on_every_machine():
    clips = [
        digits.make(4, seed=7),
        digits.make_moving_mnist(4, seed=7),
        digits.make_moving_mnist(4, seed=7, stochastic_bounces=True),
    ]
    sums = [hashlib.sha256(c.frames.tobytes()).hexdigest()[:16] for c in clips]
    assert sums == SUMS


def test_shapes_and_types(single, canonical):
    assert single.frames.shape == (300, 16, 32, 32, 1) and canonical.frames.shape == (200, 20, 64, 64, 1)
    assert single.frames.dtype == np.uint8 and single.frames.max() == 255
    assert digits.make(2, seed=0, size=64).frames.shape == (2, 16, 64, 64, 1)
    assert {key: (value.shape[1:], value.dtype.name) for key, value in canonical.states.items()} == {
        "digit": ((2,), "int8"),
        "image_index": ((2,), "int32"),
        "digit_image": ((2, 28, 28), "uint8"),
        "position": ((20, 2, 2), "float32"),
        "velocity": ((20, 2, 2), "float32"),
        "pixel_position": ((20, 2, 2), "int16"),
        "bounce": ((20, 2), "bool"),
    }
    assert single.states["motion"].shape == (300,) and repr(canonical).startswith(
        "LabelledClips(200 clips of digits: 20 frames, 64x64 grey"
    )


@pytest.mark.parametrize("size, frames", [(32, 16), (64, 16), (32, 8), (32, 40)])
def test_digit_motion_and_its_order_can_be_told_from_every_clip(size, frames):
    clips = digits.make(400, seed=1, size=size, num_frames=frames)
    weight = clips.frames[..., 0].astype(float)
    mass = weight.sum(axis=(2, 3))
    x = (weight * np.arange(size)).sum(axis=(2, 3)) / mass
    y = (weight * np.arange(size)[:, None]).sum(axis=(2, 3)) / mass
    centroid = np.stack([x, y], axis=-1)
    for c, caption, digit in zip(centroid, clips.captions, clips.states["digit"], strict=True):
        said, there, back = re.fullmatch(r"the digit (\d) is moving (\w+) then (\w+) \.", caption).groups()
        assert int(said) == digit
        axis = np.ptp(c, axis=0).argmax()
        turn = np.abs(c[:, axis] - c[-1, axis]).argmax()  # it ends far from the wall, and on the side it started on
        first, last = np.sign(c[turn, axis] - c[0, axis]), np.sign(c[-1, axis] - c[turn, axis])
        assert (axis, first) == DIRECTIONS[there] and (axis, last) == DIRECTIONS[back]
        assert np.ptp(c[:, 1 - axis]) < 1e-9
        assert abs(c[-1, axis] - c[turn, axis]) > 0.4 * (size - digits.SIDES[size])


def test_one_digit_protocol(single):
    free = 18
    s = single.states
    axis = (s["motion"] < 2).astype(int)
    rows = np.arange(len(axis))
    along = s["position"][rows, :, 0, axis]
    assert ((along[:, 0] >= free / 3) & (along[:, 0] <= 2 * free / 3)).all()
    speed = np.abs(s["velocity"][rows, :, 0, axis])
    np.testing.assert_allclose(speed, free / 12, rtol=1e-6)
    np.testing.assert_array_equal(s["velocity"][rows, :, 0, 1 - axis], 0)
    assert (s["bounce"].sum(axis=(1, 2)) == 1).all(), "one wall, touched once"
    assert chisquare(np.bincount(s["motion"], minlength=4)).pvalue > 1e-3
    across = s["position"][rows, 0, 0, 1 - axis] / free
    assert chisquare(np.histogram(across, 10, (0, 1))[0]).pvalue > 1e-3


@pytest.mark.parametrize("stochastic_bounces", [False, True])
def test_walls(stochastic_bounces):
    s = digits.make_moving_mnist(300, seed=2, stochastic_bounces=stochastic_bounces).states
    position, velocity, free = s["position"], s["velocity"], 36
    assert position.min() == 0 and position.max() == free
    np.testing.assert_allclose(np.sqrt((velocity**2).sum(axis=-1)), 3.6, rtol=1e-6)
    np.testing.assert_allclose(position[:, 1:], np.clip(position[:, :-1] + velocity[:, :-1], 0, free), atol=1e-5)
    low, high = position == 0, position == free
    np.testing.assert_array_equal(s["bounce"], (low | high).any(axis=-1))
    assert (velocity[low] > 0).all() and (velocity[high] < 0).all()
    calm = ~s["bounce"][:, 1:]
    np.testing.assert_array_equal(velocity[:, 1:][calm], velocity[:, :-1][calm])
    if not stochastic_bounces:
        np.testing.assert_array_equal(velocity[:, 1:], np.where((low | high)[:, 1:], -1, 1) * velocity[:, :-1])
    np.testing.assert_array_equal(s["pixel_position"], np.floor(position))


def test_directions_are_uniform():
    velocity = digits.make_moving_mnist(3000, seed=4, num_frames=1).states["velocity"].reshape(-1, 2)
    angle = np.arctan2(velocity[:, 1], velocity[:, 0])
    assert chisquare(np.histogram(angle, 24, (-np.pi, np.pi))[0]).pvalue > 1e-3
    start = digits.make_moving_mnist(3000, seed=4, num_frames=1).states["position"].reshape(-1, 2) / 36
    for axis in range(2):
        assert chisquare(np.histogram(start[:, axis], 20, (0, 1))[0]).pvalue > 1e-3


def test_directions_at_stochastic_bounces_are_uniform_among_those_that_lead_inside():
    s = digits.make_moving_mnist(800, seed=6, stochastic_bounces=True, num_frames=30).states
    left = (s["position"][..., 0] == 0) & (s["position"][..., 1] > 0) & (s["position"][..., 1] < 36)
    vx, vy = s["velocity"][left].T
    counts = np.histogram(np.arctan2(vy, vx), 12, (-np.pi / 2, np.pi / 2))[0]
    assert counts.sum() == left.sum() > 1000 and chisquare(counts).pvalue > 1e-3


def test_stochastic_bounces_change_the_future_only():
    sure, unsure = (digits.make_moving_mnist(50, seed=8, stochastic_bounces=walls) for walls in (False, True))
    np.testing.assert_array_equal(sure.captions, unsure.captions)
    touched = np.logical_or.accumulate(sure.states["bounce"], axis=1)
    before = ~np.concatenate([np.zeros_like(touched[:, :1]), touched[:, :-1]], axis=1)
    np.testing.assert_array_equal(sure.states["position"][before], unsure.states["position"][before])
    assert (sure.frames[:, -1] != unsure.frames[:, -1]).any(axis=(1, 2, 3)).mean() > 0.8


def test_futures_go_on_as_the_clips_up_to_the_first_wall_and_part_there():
    clips = digits.make_moving_mnist(60, seed=9, size=32, num_frames=20, num_digits=1, stochastic_bounces=True)
    futures = digits.sample_futures(clips, 12, 15, seed=1, num_context_frames=5)
    assert futures.shape == (60, 12, 15, 32, 32, 1) and futures.dtype == np.uint8
    met = clips.states["bounce"][:, 4:, 0]
    wall = np.where(met.any(axis=1), met.argmax(axis=1), 15)  # in frames after the last one of the past
    for future, clip, known in zip(futures, clips.frames[:, 5:], wall, strict=True):
        np.testing.assert_array_equal(future[:, :known], np.broadcast_to(clip[:known], (12, known, 32, 32, 1)))
        if known < 13:
            assert (future[1:, known + 1] != future[0, known + 1]).any(axis=(1, 2, 3)).sum() > 5
    assert (wall == 0).sum() > 3 and (wall > 3).sum() > 20
    np.testing.assert_array_equal(futures, digits.sample_futures(clips, 12, 15, seed=1, num_context_frames=5))
    assert (futures != digits.sample_futures(clips, 12, 15, seed=2, num_context_frames=5)).any()


def test_futures_are_as_likely_as_the_clips_themselves():
    """The truth is one more draw: among 9 futures it is as often the one that ends highest as any other."""
    clips = digits.make_moving_mnist(600, seed=10, size=32, num_frames=20, num_digits=1, stochastic_bounces=True)
    futures = digits.sample_futures(clips, 9, 15, seed=3, num_context_frames=5)[:, :, -1]
    top = np.concatenate([futures, clips.frames[:, None, -1]], axis=1).any(axis=(3, 4)).argmax(axis=2)  # the first row with ink
    above, level = (top[:, :9] < top[:, 9:]).sum(axis=1), (top[:, :9] == top[:, 9:]).sum(axis=1)
    rank = above + np.floor(np.random.default_rng(0).random(600) * (level + 1)).astype(int)  # ties are broken by lot
    assert chisquare(np.bincount(rank, minlength=10)).pvalue > 1e-3


def test_pixels_are_the_brightest_of_the_pictures(canonical):
    for frames, drawn, pictures in zip(
        canonical.frames[:10], *(canonical.states[k] for k in ("pixel_position", "digit_image")), strict=False
    ):
        for frame, corners in zip(frames[..., 0], drawn, strict=True):
            expected = np.zeros((64, 64), np.uint8)
            for (x, y), picture in zip(corners, pictures, strict=True):
                expected[y : y + 28, x : x + 28] = np.maximum(expected[y : y + 28, x : x + 28], picture)
            np.testing.assert_array_equal(frame, expected)


def test_copying_and_zeros_err_as_the_protocol_says(canonical):
    clips = np.concatenate([canonical.frames, digits.make_moving_mnist(600, seed=1).frames]) / np.float32(255)
    future, last = clips[:, 10:], clips[:, 9:10]
    zeros, copy = (((future - guess) ** 2).sum(axis=(2, 3, 4)).mean() for guess in (0, last))
    assert zeros == pytest.approx(302, rel=0.1) and copy == pytest.approx(370, rel=0.1)


def test_warping_a_single_digit_gives_the_next_frame(single):
    flow = single[:40].optical_flow()
    assert flow.shape == (40, 15, 32, 32, 2) and flow.dtype == np.float32
    for t in range(15):
        n, y, x = single.frames[:40, t, ..., 0].nonzero()
        dx, dy = flow[n, t, y, x].astype(int).T
        warped = np.zeros((40, 32, 32), np.uint8)
        warped[n, y + dy, x + dx] = single.frames[n, t, y, x, 0]
        np.testing.assert_array_equal(warped, single.frames[:40, t + 1, ..., 0])
        assert (flow[:, t][single.frames[:40, t, ..., 0] == 0] == 0).all()


def test_flow_follows_the_brighter_digit(canonical):
    clips = canonical[:15]
    flow, drawn, pictures = clips.optical_flow(), clips.states["pixel_position"].astype(int), clips.states["digit_image"]
    overlaps = 0
    for n in range(15):
        for t in range(0, 19, 3):
            layers = np.zeros((2, 64, 64), np.uint8)
            for k, (x, y) in enumerate(drawn[n, t]):
                layers[k, y : y + 28, x : x + 28] = pictures[n, k]
            step = drawn[n, t + 1] - drawn[n, t]
            expected = step[layers.argmax(axis=0)] * (layers.max(axis=0) > 0)[..., None]
            np.testing.assert_array_equal(flow[n, t], expected)
            overlaps += (layers > 0).all(axis=0).sum()
    assert overlaps > 1000


@pytest.mark.parametrize("source", ["scikit-learn"])
def test_splits_share_no_scan_and_have_every_digit(source):
    used = {}
    for split, (first, last) in digits.SPLITS[source].items():
        image = digits.make_moving_mnist(1500, seed=0, num_frames=1, split=split).states["image_index"]
        assert first <= image.min() and image.max() < last
        used[split] = set(image.ravel().tolist())
        labels = digits.images(split)[1]
        share = np.bincount(labels, minlength=10) / len(labels)
        assert share.min() > 0.08 and share.max() < 0.12
    assert not (used["train"] & used["test"] or used["train"] & used["validation"] or used["validation"] & used["test"])
    assert len(used["train"]) > 1000 and len(used["test"]) > 350


def test_no_two_splits_hold_the_same_pixels():
    pictures = {split: {p.tobytes() for p in digits.images(split, size=8)[0]} for split in ("train", "validation", "test")}
    assert not (pictures["train"] & pictures["test"] or pictures["train"] & pictures["validation"])


def test_labels_and_pictures_are_those_of_scikit_learn(single):
    from sklearn.datasets import load_digits

    scans = load_digits()
    np.testing.assert_array_equal(single.states["digit"], scans.target[single.states["image_index"]])
    pictures, labels = digits.images("test", size=8)
    np.testing.assert_array_equal(labels, scans.target[1415:])
    np.testing.assert_array_equal(pictures[..., 0], np.floor(scans.images[1415:] * 255 / 16 + 0.5))


@pytest.mark.parametrize("size", [14, 28, 32])
def test_enlarging_agrees_with_scikit_image(size):
    from skimage.transform import resize
    from sklearn.datasets import load_digits

    pictures, _ = digits.images("validation", size)
    assert pictures.shape == (128, size, size, 1) and pictures.dtype == np.uint8
    for picture, scan in zip(pictures[:30], load_digits().images[1287:], strict=False):
        reference = resize(scan / 16, (size, size), order=1, mode="edge", anti_aliasing=False) * 255
        assert np.abs(picture[..., 0] - reference).max() < 0.5 + 1e-6


def test_captions():
    clips = digits.make(200, seed=0)
    up = clips.states["motion"].tolist().index(0)
    digit = clips.states["digit"][up, 0]
    assert (
        clips.captions[up] == f"the digit {digit} is moving up then down ."
        and clips.captions_zh[up] == f"数字{digit}先向上再向下移动。"
    )
    assert set(clips.states["digit"].ravel()) == set(range(10)) and len(set(clips.captions)) == 40
    for count, english, chinese in (
        (1, "the digit {} is moving .", "数字{}在移动。"),
        (2, "the digits {} and {} are moving .", "数字{}和{}在移动。"),
        (3, "the digits {}, {} and {} are moving .", "数字{}、{}和{}在移动。"),
    ):
        clips = digits.make_moving_mnist(2, seed=1, num_frames=2, num_digits=count)
        assert clips.captions[1] == english.format(*clips.states["digit"][1])
        assert clips.captions_zh[1] == chinese.format(*clips.states["digit"][1])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: digits.make(1, seed=0, size=48), "32 or 64"),
        (lambda: digits.make(1, seed=0, num_frames=7), "at least 8, got num_frames=7"),
        (lambda: digits.make(0, seed=0), "count=0"),
        (lambda: digits.make(-1, seed=0), "count=-1"),
        (lambda: digits.make(1, seed=-1), "seed=-1"),
        (lambda: digits.make(1, seed=None), "seed=None"),
        (lambda: digits.make(1, seed=0, start=-1), "start=-1"),
        (lambda: digits.make_moving_mnist(1, seed=0, num_digits=0), "num_digits=0"),
        (lambda: digits.make_moving_mnist(1, seed=0, num_frames=0), "num_frames=0"),
        (lambda: digits.images(size=0), "size=0"),
        (
            lambda: digits.sample_futures(digits.make_moving_mnist(1, seed=0, num_frames=3), 0, 2, seed=0, num_context_frames=3),
            "count=0",
        ),
        (
            lambda: digits.sample_futures(digits.make_moving_mnist(1, seed=0, num_frames=3), 1, 0, seed=0, num_context_frames=3),
            "num_frames=0",
        ),
        (
            lambda: digits.sample_futures(digits.make_moving_mnist(1, seed=0, num_frames=3), 1, 2, seed=0, num_context_frames=0),
            "num_context_frames=0",
        ),
        (
            lambda: digits.sample_futures(digits.make_moving_mnist(1, seed=0, num_frames=3), 1, 2, seed=0, num_context_frames=4),
            "num_context_frames=4 is too many",
        ),
        (lambda: digits.make(1, seed=0, split="dev"), "train, validation or test"),
        (lambda: digits.images(source="svhn"), "scikit-learn or mnist"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(call, said):
    with pytest.raises(CourseError, match=said):
        call()


def test_mnist_is_read_where_keras_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(CourseError, match=r"mnist\.npz: MNIST is never downloaded"):
        digits.make(1, seed=0, source="mnist")
    path = tmp_path / "datasets" / "mnist.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(CourseError, match="damaged or not MNIST"):
        digits.make(1, seed=0, source="mnist")
    number = np.arange(70000)
    scans = np.zeros((70000, 28, 28), np.uint8)
    scans[:, 3] = (number % 251)[:, None]
    labels = (number % 10).astype(np.uint8)
    np.savez(path, x_train=scans[:60000], y_train=labels[:60000], x_test=scans[60000:], y_test=labels[60000:])
    pictures, given = digits.images("validation", source="mnist")
    np.testing.assert_array_equal(pictures[..., 0], scans[55000:60000])
    np.testing.assert_array_equal(given, labels[55000:60000])
    small, _ = digits.images("test", size=14, source="mnist")
    mean = scans[60000:].reshape(10000, 14, 2, 14, 2).astype(float).mean(axis=(2, 4))
    np.testing.assert_array_equal(small[..., 0], np.floor(mean + 0.5))
    image = digits.make(100, seed=0, split="validation", source="mnist").states["image_index"]
    assert image.min() >= 55000 and image.max() < 60000


def test_what_is_handed_out_may_be_written_to():
    pictures, labels = digits.images("test")
    pictures[:], labels[:] = 0, 0
    assert digits.images("test")[0].any() and digits.images("test")[1].any()


def test_captions_of_both_kinds_are_parsed_together():
    captions = [
        "the digit 3 is moving down then up .",
        "the digits 4, 0 and 7 are moving .",
        "数字9先向左再向右移动。",
        "数字8和2在移动。",
    ]
    states = digits.parse_captions(captions)
    assert states["digit"].tolist() == [[3, -1, -1], [4, 0, 7], [9, -1, -1], [8, 2, -1]]
    assert states["motion"].tolist() == [1, -1, 2, -1] and {value.dtype.name for value in states.values()} == {"int8"}
    assert digits.parse_captions(captions[1:2]).keys() == {"digit"}, "no caption names a motion"
    for wrong in ("the digit 3 is moving", "the digits 3 are moving up then down .", "the digit 3 is moving up .", "数字3移动。"):
        with pytest.raises(CourseError, match="is no caption of this world"):
            digits.parse_captions([captions[0], wrong])
