"""Optical flow: warping is SciPy's interpolation with the right gradient, and the network learns both ways."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import motion
from vidgen_tf.models import optical_flow
from vidgen_tf.worlds import faces

RNG = np.random.default_rng(0)
FRAMES = RNG.normal(size=(2, 6, 9, 3)).astype("float32")
FLOW = RNG.uniform(-3, 3, (2, 6, 9, 2)).astype("float32")  # some of it points outside


def by_scipy(frames, flow):
    """The same warp, by SciPy, one channel of one frame after another."""
    y, x = np.mgrid[: frames.shape[1], : frames.shape[2]]
    out = np.empty_like(frames)
    for b, c in np.ndindex(frames.shape[0], frames.shape[3]):
        places = [y + flow[b, ..., 1], x + flow[b, ..., 0]]
        out[b, ..., c] = map_coordinates(frames[b, ..., c], places, order=1, mode="nearest")
    return out


@pytest.mark.parametrize("size", [0.0, 0.4, 1.0, 30.0])
def test_a_warp_is_scipys(size):
    """Zero flow, fractions of a pixel, whole pixels with fractions, and beyond the border."""
    np.testing.assert_allclose(optical_flow.warp(FRAMES, size * FLOW), by_scipy(FRAMES, size * FLOW), atol=1e-5)


def test_zero_flow_is_the_identity_and_whole_pixels_are_copied():
    np.testing.assert_array_equal(optical_flow.warp(FRAMES, 0 * FLOW), FRAMES)
    right = np.zeros_like(FLOW)
    right[..., 0] = 1  # fetched one pixel to the right: the picture moves left
    np.testing.assert_array_equal(optical_flow.warp(FRAMES, right)[:, :, :-1], FRAMES[:, :, 1:])


def test_the_gradients_are_difference_quotients():
    frames, weights = tf.constant(FRAMES), RNG.normal(size=FRAMES.shape).astype("float32")
    flow = tf.constant(0.5 + 0.3 * np.tanh(FLOW))  # away from whole pixels, where the slope jumps

    def value(frames, flow):
        return tf.reduce_sum(weights * optical_flow.warp(frames, flow))

    with tf.GradientTape() as tape:
        tape.watch([frames, flow])
        total = value(frames, flow)
    for which, gradient in enumerate(tape.gradient(total, [frames, flow])):
        for place in ((0, 2, 3, 0), (1, 4, 7, 1), (0, 5, 8, 0), (1, 0, 0, 1)):
            step = np.zeros((frames, flow)[which].shape, "float32")
            step[place] = 0.02
            ends = [value(*(part + sign * step * (i == which) if i == which else part for i, part in enumerate((frames, flow))))
                    for sign in (1, -1)]  # fmt: skip
            assert float(gradient[place]) == pytest.approx(float(ends[0] - ends[1]) / 0.04, abs=2e-3)


def test_the_layer_is_the_function():
    np.testing.assert_array_equal(optical_flow.Warp()(FRAMES, FLOW), optical_flow.warp(FRAMES, FLOW))


def test_total_variation_and_photometric_loss():
    ramp = np.zeros((1, 4, 5, 2), "float32")
    ramp[..., 0] = np.arange(5)
    assert float(optical_flow.total_variation(ramp)) == pytest.approx(0.5), "one of two components changes by 1, along x alone"
    moved = by_scipy(FRAMES, np.broadcast_to(np.float32([1, 0]), FLOW.shape))
    back = np.zeros_like(FLOW)
    back[..., 0] = -1
    right, wrong = (float(optical_flow.photometric_loss(FRAMES, moved, sign * back)) for sign in (1, -1))
    assert right < 0.3 * wrong, "the first frame is fetched out of the second"


def overfit(flows):
    """Trains on four pairs of shapes; returns how much of the endpoint error is left."""
    pairs, exact = motion.flow_pairs(datasets.load("shapes", "test", 4), 7, 8)
    keras.utils.set_random_seed(0)
    model = optical_flow.FlowNet(optical_flow.FlowNetConfig((8, 16)))
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    x = pairs.astype("float32") / 127.5 - 1
    before = np.nanmean(motion.endpoint_error(model.predict(x, verbose=0), exact))
    batches = tf.data.Dataset.from_tensors((x, exact) if flows else x).repeat(60)  # in one epoch, as each has its own cost
    model.fit(batches, verbose=0)
    return np.nanmean(motion.endpoint_error(model.predict(x, verbose=0), exact)) / before


def test_the_network_learns_from_exact_flows_and_from_frames_alone():
    assert overfit(flows=True) < 0.9
    assert overfit(flows=False) < 0.98


def test_wrong_sizes_and_pixels_are_refused():
    model = optical_flow.FlowNet(optical_flow.FlowNetConfig((4, 6, 8)))
    with pytest.raises(CourseError, match="multiples of 4, got 10x8"):
        model(np.zeros((1, 2, 10, 8, 3), "float32"))
    with pytest.raises(CourseError, match="uint8"):
        model(np.zeros((1, 2, 8, 8, 3), "uint8"))
    assert model(np.zeros((1, 2, 12, 8, 3), "float32")).shape == (1, 12, 8, 2)


@pytest.mark.parametrize("name", ["shapes", "digits", "faces-32"])
def test_clips_at_other_times_have_the_flow_between_these(name):
    clips = datasets.load(name, "test", 4)
    np.testing.assert_array_equal(clips.at_times(range(clips.frames.shape[1])).optical_flow(), clips.optical_flow())
    pairs, forward = motion.flow_pairs(clips, 3, 4)
    np.testing.assert_array_equal(pairs, clips.frames[:, 3:5])
    np.testing.assert_array_equal(forward, clips.optical_flow()[:, 3])
    pairs, backward = motion.flow_pairs(clips, 8, 3)
    np.testing.assert_array_equal(pairs, clips.frames[:, [8, 3]])
    warped = np.asarray(optical_flow.warp(clips.frames[:, 3], backward))
    fetched, still = (np.abs(clips.frames[:, 8] - frames.astype(float)).mean() for frames in (warped, clips.frames[:, 3]))
    assert fetched < 0.85 * still, "frame 8 is fetched out of frame 3 along the flow from 8 to 3"


def test_motion_goes_over_to_another_face():
    clips = datasets.load("faces-32", "test", 6)
    same = faces.exchange_motion(clips.states, clips.states)
    np.testing.assert_array_equal(faces.render(same, 32), clips.frames)
    people = motion.moving_people(clips, seed=0)
    np.testing.assert_array_equal(people.states["mouth_open"], clips.states["mouth_open"])
    assert (people.states["head_width"] != clips.states["head_width"]).all(), "everybody is somebody else"
    assert sorted(people.states["head_width"]) == sorted(clips.states["head_width"])


def test_methods_that_learn_nothing_are_near_the_exact_flow():
    pairs, exact = motion.flow_pairs(datasets.load("shapes", "test", 12), 7, 8)
    errors = {m: np.nanmean(motion.endpoint_error(motion.estimate_pair_flow(pairs, m), exact)) for m in ("tv-l1", "ilk")}
    zero = np.nanmean(motion.endpoint_error(0 * exact, exact))
    assert errors["ilk"] < 0.3 * zero and errors["tv-l1"] < 0.6 * zero
    still = np.zeros((1, 4, 4, 2))
    assert np.isnan(motion.endpoint_error(still, still)[0]), "nothing moves"
    assert motion.endpoint_error(still, np.broadcast_to([3.0, 4.0], still.shape))[0] == 5


def test_a_flow_network_is_evaluated_beside_others(monkeypatch):
    monkeypatch.setattr(motion, "NUM_FLOW_PAIRS", 6)
    model = optical_flow.FlowNet(optical_flow.FlowNetConfig((4, 6)))
    scores = motion.evaluate_flow(model, {"dataset": {"name": "shapes"}})
    assert scores.keys() == {f"endpoint_error{name}" for name in ("", "_zero", "_tv_l1", "_ilk")}
    assert scores["endpoint_error"] == pytest.approx(scores["endpoint_error_zero"]), "its output layer begins at 0"
    pairs, _ = motion.flow_pairs(datasets.load("digits", "test", 2), 7, 8)
    assert motion.estimate_flow(model, pairs).shape == (2, 32, 32, 2), "grey frames are made into colours"
