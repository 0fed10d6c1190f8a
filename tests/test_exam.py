"""The metrics against reference implementations and closed forms."""

import numpy as np
import pytest
import scipy.linalg
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

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


@pytest.mark.parametrize("dtype, data_range", [("uint8", 255), ("float32", 1.0), ("float64", 2.0)])
@pytest.mark.parametrize("window", [7, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_scikit_images_for_each_frame(dtype, data_range, window, channels):
    rng = np.random.default_rng(7)
    a = rng.uniform(0, data_range, (2, 3, 16, 21, channels))
    b = 0.7 * a + 0.3 * rng.uniform(0, data_range, a.shape)
    a[0, 0], b[0, 0, :8], b[1, 0] = 0, 0, a[1, 0]  # black ground, and equal frames
    a, b = a.astype(dtype), b.astype(dtype)
    ours = exam.ssim(a, b, data_range=data_range, window=window)
    assert ours.shape == (2, 3) and ours[1, 0] == pytest.approx(1)
    for i in range(2):
        for t in range(3):
            pair = [x[i, t].astype(float) for x in (a, b)]
            theirs = structural_similarity(*pair, data_range=data_range, win_size=window, channel_axis=-1)
            assert ours[i, t] == pytest.approx(theirs, abs=1e-9)


def test_ssim_needs_to_know_the_range_and_refuses_what_it_cannot_measure():
    a, b = np.zeros((2, 8, 9, 1)), np.ones((2, 8, 9, 1))
    wide, narrow = exam.ssim(a, b, data_range=2), exam.ssim(a, b, data_range=1)
    np.testing.assert_allclose(narrow, 1e-4 / (1 + 1e-4))  # no contrast: only the means count
    np.testing.assert_allclose(wide, 4e-4 / (1 + 4e-4))
    for window in (2, 4, 9):
        with pytest.raises(CourseError, match="odd window from 3 to the frames' size"):
            exam.ssim(a, b, data_range=1, window=window)
    with pytest.raises(CourseError, match="one shape"):
        exam.ssim(a, b[:1], data_range=1)


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


def test_frechet_distance_is_its_definition_with_scipys_matrix_root():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) + 1.0
    b = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12))
    covariances = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert exam.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert exam.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)
    assert exam.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert exam.frechet_distance(a, a + 2.0) == pytest.approx(12 * 2.0**2)  # a shift costs its square, once a feature


@pytest.mark.parametrize("features", [1, 5])
def test_frechet_distance_of_diagonal_gaussians_is_that_of_their_means_and_deviations(features):
    rng = np.random.default_rng(5)
    white = rng.normal(size=(50, features))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(white.T)))).T  # its sample covariance is the identity
    mean_a, mean_b, deviation_a, deviation_b = rng.uniform(0.5, 3.0, (4, features))
    expected = np.sum((mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2)
    assert exam.frechet_distance(white * deviation_a + mean_a, white * deviation_b + mean_b) == pytest.approx(expected)


def test_frechet_distance_of_equal_distributions_falls_as_their_samples_grow():
    distances = [exam.frechet_distance(noise(n, 16, seed=6), noise(n, 16, seed=7)) for n in (50, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_frechet_distance_survives_features_that_do_not_vary():
    a, b = noise(100, 6), noise(100, 6, seed=8)
    a[:, 2:], b[:, 3] = 0.25, 1.5
    assert 0 <= exam.frechet_distance(a, b) < np.inf
    assert exam.frechet_distance(a, b) == pytest.approx(exam.frechet_distance(b, a))


def test_frechet_distance_says_what_it_needs():
    for wrong in (noise(6, 6), noise(20, 5), noise(20, 6, 1), noise(20)):
        for pair in ((wrong, noise(20, 6)), (noise(20, 6), wrong)):
            with pytest.raises(CourseError, match="more rows than columns"):
                exam.frechet_distance(*pair)
    with pytest.raises(CourseError, match="finite"):
        exam.frechet_distance(noise(20, 6), np.full((20, 6), np.nan))


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


def shifted(steps):
    """A smooth random texture that moves by whole pixels (dx, dy) from frame to frame, and its exact flow."""
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(noise(96, 96, seed=3), 1.5)
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    places = np.cumsum([(32, 32), *steps], axis=0)
    frames = np.stack([texture[y : y + 32, x : x + 32, None] for x, y in places])  # the window moves: content goes the other way
    flow = -np.ones((len(steps), 32, 32, 2)) * np.array(steps)[:, None, None]
    return frames, flow


def test_estimated_flow_is_the_exact_one_where_a_texture_moves():
    frames, flow = shifted([(1, 0), (0, 1), (2, -1)])
    estimated = exam.estimated_flow(frames)
    assert estimated.shape == flow.shape
    error = np.linalg.norm(estimated - flow, axis=-1)[:, 4:-4, 4:-4]
    assert np.median(error) < 0.15


def test_warping_error_is_nothing_where_motion_explains_everything():
    frames, flow = shifted([(1, 0), (0, 1), (2, -1)])
    assert exam.warping_error(frames, flow, -flow) < 0.03  # the borders, where new content enters
    assert exam.warping_error(frames) < 0.03
    still = np.repeat(frames[:1], 4, axis=0)
    assert exam.warping_error(still) == 0
    plain = np.sqrt(np.mean((frames[1:].astype(float) - frames[:-1]) ** 2)) / 255
    assert plain > 3 * exam.warping_error(frames, flow, -flow)


def test_warping_error_sees_brightness_that_jumps_and_content_that_changes():
    frames, flow = shifted([(1, 0)] * 5)
    jumping = frames.astype(int)
    jumping[::2] = np.minimum(255, jumping[::2] + 40)
    clean, off = exam.warping_error(frames, flow, -flow), exam.warping_error(np.uint8(jumping), flow, -flow)
    assert off > 5 * clean and off == pytest.approx(40 / 255, rel=0.2)
    pile = np.random.default_rng(4).permutation(np.concatenate([shifted([(11 * i - 20, 7)])[0] for i in range(4)]))
    assert exam.warping_error(pile) > 5 * exam.warping_error(frames)


def test_warping_error_leaves_out_what_is_hidden():
    """A square passes over a texture: what it covers and uncovers is no error."""
    background = shifted([(0, 0)])[0][0]
    frames, flow = np.repeat(background[None], 3, axis=0), np.zeros((2, 32, 32, 2))
    back = flow.copy()
    for t in range(3):
        frames[t, 10:20, 4 + 6 * t : 14 + 6 * t] = 255
        if t < 2:
            flow[t, 10:20, 4 + 6 * t : 14 + 6 * t, 0] = 6
            back[t, 10:20, 10 + 6 * t : 20 + 6 * t, 0] = -6
    assert exam.warping_error(frames, flow, back) < 0.02
    assert exam.warping_error(frames, 0 * flow, 0 * back) > 0.1


def test_a_flow_of_another_size_is_refused():
    frames, flow = shifted([(1, 0)])
    for wrong in (frames[0], frames[:1]):
        with pytest.raises(CourseError, match="at least two frames"):
            exam.estimated_flow(wrong)
    for forward, backward in [(flow[:, :5], flow[:, :5]), (flow, flow[:, :5]), (np.concatenate([flow, flow]),) * 2]:
        with pytest.raises(CourseError, match=r"\(T-1, H, W, 2\)"):
            exam.warping_error(frames, forward, backward)
