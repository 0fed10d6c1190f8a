"""The metrics against reference implementations and closed forms."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from vidgen_tf import exam
from vidgen_tf.errors import CourseError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_psnr_is_scikit_images_for_each_frame():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 3, 5, 12, 10, 3), dtype=np.uint8)
    ours = exam.psnr(a, b)
    assert ours.shape == (3, 5)
    for i in np.ndindex(3, 5):
        assert ours[i] == pytest.approx(peak_signal_noise_ratio(a[i], b[i], data_range=255), abs=1e-9)
    assert exam.psnr(a, a).min() == np.inf
    with pytest.raises(CourseError, match="one shape"):
        exam.psnr(a, b[0])


def test_autocorrelation_of_independent_frames_is_that_of_white_noise():
    value = exam.temporal_autocorrelation(noise(50, 32, 32, 3))
    assert value == pytest.approx(-1 / 50, abs=0.01)


@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_autocorrelation_of_a_first_order_process_is_its_coefficient(phi):
    steps = noise(400, 16, 16, 1, seed=2)
    frames = [steps[0] / np.sqrt(1 - phi**2)]
    for step in steps[1:]:
        frames.append(phi * frames[-1] + step)
    assert exam.temporal_autocorrelation(np.array(frames)) == pytest.approx(phi, abs=0.03)
    assert exam.temporal_autocorrelation(np.array(frames), lag=2) == pytest.approx(phi**2, abs=0.04)


def test_autocorrelation_of_a_still_is_zero_and_of_too_short_a_clip_an_error():
    assert exam.temporal_autocorrelation(np.ones((4, 2, 2, 1))) == 0
    with pytest.raises(CourseError, match="lag 4"):
        exam.temporal_autocorrelation(np.ones((4, 2, 2, 1)), lag=4)


def test_flicker_is_the_relative_change_of_brightness():
    frames = np.ones((10, 4, 4, 1))
    assert exam.flicker(frames) == 0
    frames[::2] *= 1.2  # 1.2, 1.0, 1.2, ...: steps of 0.2 around a mean of 1.1
    assert exam.flicker(frames) == pytest.approx(0.2 / 1.1)
    for wrong in (frames[:1], frames[:0], frames[0]):
        with pytest.raises(CourseError, match="at least two frames"):
            exam.flicker(wrong)
    moving = np.eye(8)[:, :, None, None] + 1.0  # a bright row moves down
    assert exam.flicker(moving) == pytest.approx(0, abs=1e-12)


def test_nearest_finds_the_copy_and_measures_the_distance():
    training = noise(40, 6, 6, 3, seed=3) * 50
    index, distance = exam.nearest(training[[7, 31]] + 2.0, training)
    np.testing.assert_array_equal(index, [7, 31])
    np.testing.assert_allclose(distance, 2.0, atol=1e-4)
    brute = np.sqrt(((training[:1] - training[1:]) ** 2).mean(axis=(1, 2, 3)))
    index, distance = exam.nearest(training[:1], training[1:])
    assert index[0] == brute.argmin() and distance[0] == pytest.approx(brute.min(), abs=1e-4)


def test_the_scoreboard_lines_up_its_rows(capsys):
    exam.scoreboard([{"model": "dense", "psnr": 28.341, "steps": 2500}, {"model": "a longer name", "psnr": None, "steps": 7}])
    assert capsys.readouterr().out.splitlines() == [
        "model          psnr  steps",
        "dense          28.3  2,500",
        "a longer name     -      7",
    ]
    for wrong in ([], [{"model": "a", "psnr": 1.0}, {"model": "b"}], [{"model": "a", "psnr": 1.0}, {"psnr": 1.0, "model": "b"}]):
        with pytest.raises(CourseError, match="at least one row, and the same keys"):
            exam.scoreboard(wrong)
