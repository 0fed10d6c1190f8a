"""Metrics of clips in time, against closed forms, exact flows, and clips that are corrupted more and more."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.motion import estimate_optical_flow, flicker, is_static, temporal_autocorrelation, warping_error

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_a_clip_that_moves_once_is_not_static_and_one_with_compression_noise_is():
    clips = np.repeat(np.random.default_rng(3).integers(0, 256, (3, 1, 8, 8, 1), dtype=np.uint8), 6, axis=1)
    clips[1, 4:] = 255 - clips[1, 4:]
    clips[2, 3] ^= 1  # each pixel by one level
    np.testing.assert_array_equal(is_static(clips), [True, False, True])
    np.testing.assert_array_equal(is_static(clips, tolerance=0.5), [True, False, False])
    assert is_static(clips[0]) and is_static(clips[0]).shape == ()


@PROPERTY
@given(st.integers(0, 255), st.integers(0, 255), st.floats(0, 300))
def test_a_clip_is_static_up_to_a_change_of_the_tolerance(before, after, tolerance):
    clip = np.repeat(np.uint8([before, before, after]), 12).reshape(3, 2, 2, 3)
    assert is_static(clip, tolerance) == (abs(before - after) <= np.float32(tolerance))


def test_flicker_is_the_relative_change_of_brightness():
    frames = np.ones((10, 4, 4, 1))
    assert flicker(frames) == 0
    for amplitude in (0.05, 0.1, 0.2, 0.4):
        jitter = 1 + amplitude * (-1.0) ** np.arange(10)  # steps of twice the amplitude about a mean of 1
        assert flicker(frames * jitter[:, None, None, None]) == pytest.approx(2 * amplitude)
        assert flicker(100 * frames * jitter[:, None, None, None]) == pytest.approx(2 * amplitude), "without unit"


def test_flicker_of_what_moves_on_a_uniform_background_is_0():
    moving = np.eye(8)[:, :, None, None] + 1.0  # a bright row moves down
    assert flicker(moving) == pytest.approx(0, abs=1e-12)
    assert flicker(np.zeros((3, 4, 4, 1))) == 0


def test_autocorrelation_of_independent_frames_is_minus_1_over_their_number():
    assert temporal_autocorrelation(noise(50, 32, 32, 3)) == pytest.approx(-1 / 50, abs=0.01)
    assert temporal_autocorrelation(np.ones((4, 2, 2, 1))) == 0


@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_autocorrelation_of_a_first_order_process_falls_as_a_power_of_its_coefficient(phi):
    steps = noise(400, 16, 16, 1, seed=2)
    frames = [steps[0] / np.sqrt(1 - phi**2)]
    for step in steps[1:]:
        frames.append(phi * frames[-1] + step)
    for lag in (1, 2, 3):
        assert temporal_autocorrelation(np.array(frames), lag) == pytest.approx(phi**lag, abs=0.05)


def test_autocorrelation_of_a_wave_is_the_cosine_of_its_step_and_falls_with_the_share_of_noise():
    wave = np.sin(2 * np.pi * np.arange(256) / 32)[:, None, None, None] * np.ones((1, 8, 8, 1))
    grain, expected = noise(256, 8, 8, 1, seed=5), np.cos(2 * np.pi / 32)
    assert temporal_autocorrelation(wave) == pytest.approx(expected, abs=0.01)
    values = []
    for strength in (0, 0.25, 0.5, 1, 2):
        values.append(temporal_autocorrelation(wave + strength * grain))
        assert values[-1] == pytest.approx(expected * 0.5 / (0.5 + strength**2), abs=0.03)  # a sine has a variance of 1/2
    assert (np.diff(values) < -0.01).all()


def shifted(steps):
    """A smooth random texture that moves by whole pixels (dx, dy) from frame to frame, and its exact flow."""
    texture = scipy.ndimage.gaussian_filter(noise(96, 96, seed=3), 1.5)
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    places = np.cumsum([(32, 32), *steps], axis=0)
    frames = np.stack([texture[y : y + 32, x : x + 32, None] for x, y in places])  # the window moves: content goes the other way
    flow = -np.ones((len(steps), 32, 32, 2)) * np.array(steps)[:, None, None]
    return frames, flow


@pytest.mark.parametrize("num_warps", [3, 10])
def test_estimated_flow_is_the_exact_one_where_a_texture_moves(num_warps):
    frames, flow = shifted([(1, 0), (0, 1), (2, -1)])
    estimated = estimate_optical_flow(frames, num_warps)
    assert estimated.shape == flow.shape and estimated.dtype == np.float32
    error = np.linalg.norm(estimated - flow, axis=-1)[:, 4:-4, 4:-4]
    assert np.median(error) < 0.15 < np.median(np.linalg.norm(flow, axis=-1))


def test_warping_error_is_0_for_static_clips_and_small_where_a_texture_moves():
    frames, flow = shifted([(1, 0), (0, 1), (2, -1)])
    assert warping_error(frames, flow, -flow) < 0.03  # the borders, where new content enters
    assert warping_error(frames) < 0.03
    assert warping_error(np.repeat(frames[:1], 4, axis=0)) == 0
    assert warping_error(frames, 0 * flow, 0 * flow) > 3 * warping_error(frames, flow, -flow), "without its flow it is large"


def test_warping_error_reads_between_pixels_and_repeats_the_border():
    """A ramp of 10 a px that moves on by half a px: exact where it lies within, and half a step at the last column."""
    x, t = np.arange(16), np.arange(3)[:, None]
    ramp = np.uint8(np.broadcast_to((10 * x - 5 * t + 50)[:, None, :, None], (3, 8, 16, 1)))
    flow = np.zeros((2, 8, 16, 2))
    flow[..., 0] = 0.5
    assert warping_error(ramp, flow, -flow) == pytest.approx(5 * np.sqrt(1 / 16) / 255)
    assert warping_error(ramp.swapaxes(1, 2), flow[..., ::-1].swapaxes(1, 2), -flow[..., ::-1].swapaxes(1, 2)) == pytest.approx(
        5 * np.sqrt(1 / 16) / 255
    )


def test_warping_error_of_brightness_that_jumps_is_the_jump():
    frames, none = np.full((6, 8, 8, 1), 100, np.uint8), np.zeros((5, 8, 8, 2))
    for jump in (1, 5, 20, 100):
        jumping = frames.copy()
        jumping[::2] += np.uint8(jump)
        assert warping_error(jumping, none, none) == pytest.approx(jump / 255)


def test_warping_error_grows_with_noise_and_with_content_that_changes():
    frames, flow = shifted([(1, 0)] * 5)
    grain = noise(*frames.shape, seed=4)
    noisy = [np.uint8(np.clip(frames + strength * grain, 0, 255)) for strength in (0, 4, 8, 16, 32)]
    assert (np.diff([warping_error(clip, flow, -flow) for clip in noisy]) > 0.01).all()
    assert (np.diff([warping_error(clip) for clip in noisy]) > 0.005).all(), "with flow that is estimated as well"
    unrelated = np.concatenate([shifted([(11 * i - 20, 7)])[0] for i in range(3)])
    assert warping_error(unrelated) > 5 * warping_error(frames)


def test_warping_error_leaves_out_what_is_occluded():
    """A square passes over a texture: what it covers and uncovers is no error, unless the flow says that nothing moves."""
    background = shifted([(0, 0)])[0][0]
    frames, flow = np.repeat(background[None], 3, axis=0), np.zeros((2, 32, 32, 2))
    back = flow.copy()
    for t in range(3):
        frames[t, 10:20, 4 + 6 * t : 14 + 6 * t] = 255
        if t < 2:
            flow[t, 10:20, 4 + 6 * t : 14 + 6 * t, 0] = 6
            back[t, 10:20, 10 + 6 * t : 20 + 6 * t, 0] = -6
    assert warping_error(frames, flow, back) < 0.02
    assert warping_error(frames, 0 * flow, 0 * back) > 0.1


def test_clips_without_time_and_flows_of_another_size_are_refused():
    frames, flow = shifted([(1, 0)])
    for wrong in (frames[0], frames[:1], frames[:0]):
        for metric in (flicker, estimate_optical_flow, warping_error):
            with pytest.raises(CourseError, match="at least two frames"):
                metric(wrong)
    with pytest.raises(CourseError, match="two frames"):
        is_static(frames[:1])
    for wrong, lag in ((frames, 2), (frames, 0), (frames[0], 1)):
        with pytest.raises(CourseError, match=f"lag {lag}"):
            temporal_autocorrelation(wrong, lag)
    flows = [(flow[:, :5], flow[:, :5]), (flow, flow[:, :5]), (np.concatenate([flow, flow]),) * 2, (flow, None), (None, flow)]
    for forward, backward in flows:
        with pytest.raises(CourseError, match=r"\(T-1, H, W, 2\)"):
            warping_error(frames, forward, backward)


@pytest.mark.parametrize("metric", [estimate_optical_flow, warping_error])
def test_pixels_on_another_scale_are_refused(metric):
    frames = shifted([(1, 0)])[0] / np.float32(127.5) - 1
    with pytest.raises(CourseError, match="uint8 pixels from 0 to 255, got float32"):
        metric(frames)
