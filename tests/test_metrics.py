"""The metrics against reference implementations and closed forms."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidgen_tf import metrics
from vidgen_tf.errors import CourseError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_psnr_is_scikit_images_for_each_frame():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 3, 5, 12, 10, 3), dtype=np.uint8)
    ours = metrics.psnr(a, b)
    assert ours.shape == (3, 5)
    for i in np.ndindex(3, 5):
        assert ours[i] == pytest.approx(peak_signal_noise_ratio(a[i], b[i], data_range=255), abs=1e-9)
    assert metrics.psnr(a, a).min() == np.inf
    with pytest.raises(CourseError, match="one shape"):
        metrics.psnr(a, b[0])


@pytest.mark.parametrize("window", [1, 3, 7])
def test_window_means_are_scipys_wherever_the_whole_window_lies_within(window):
    x, margin = noise(2, 9, 7, 3), window // 2
    theirs = scipy.ndimage.uniform_filter(x, (0, window, window, 0))[:, margin : 9 - margin, margin : 7 - margin]
    np.testing.assert_allclose(metrics.window_means(x, window), theirs, atol=1e-12)


@pytest.mark.parametrize("shape, data_range", [((24, 20, 3), 255), ((9, 9, 1), 255), ((16, 16, 1), 2)])
def test_ssim_is_scikit_images_for_each_frame(shape, data_range):
    a = np.random.default_rng(2).uniform(0, data_range, (2, 3, *shape))
    b = np.clip(a + 0.2 * data_range * noise(*a.shape), 0, data_range)
    ours = metrics.ssim(a, b, data_range)
    assert ours.shape == (2, 3)
    for i in np.ndindex(2, 3):
        theirs = structural_similarity(a[i], b[i], data_range=data_range, win_size=7, channel_axis=-1)
        assert ours[i] == pytest.approx(theirs, abs=1e-9)
    np.testing.assert_allclose(metrics.ssim(a, a, data_range), 1, atol=1e-12)
    np.testing.assert_allclose(metrics.ssim(a, b, data_range), metrics.ssim(b, a, data_range))


def test_ssim_of_flat_frames_is_that_of_their_brightness():
    """Without any pattern only the means are left: (2 a b + c1) / (a^2 + b^2 + c1)."""
    a, b, c1 = np.full((8, 8, 1), 100.0), np.full((8, 8, 1), 150.0), (0.01 * 255) ** 2
    assert metrics.ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))
    for window in (2, 4, 9):
        with pytest.raises(CourseError, match="odd window from 3 to the size of the frames"):
            metrics.ssim(a, b, window=window)
    with pytest.raises(CourseError, match="one shape"):
        metrics.ssim(a, b[None])


def test_sharpness_is_the_energy_of_scipys_laplacian():
    picture = scipy.ndimage.gaussian_filter(noise(64, 48), 1.5)
    laplacian = scipy.ndimage.laplace(picture)[1:-1, 1:-1]
    expected = np.sqrt(np.mean(laplacian**2)) / picture.std()
    assert metrics.sharpness(picture[..., None]) == pytest.approx(expected)
    stack = np.stack([picture, 0.5 * picture + 9])[None, ..., None]
    np.testing.assert_allclose(metrics.sharpness(stack), expected)  # brightness and contrast don't matter


def test_sharpness_of_known_pictures():
    y, x = np.mgrid[:16, :16]
    assert metrics.sharpness(((x + y) % 2)[..., None]) == pytest.approx(8)  # every neighbour differs by two deviations
    assert metrics.sharpness((3.0 * x + y)[..., None]) == pytest.approx(0, abs=1e-9)
    assert metrics.sharpness(np.ones((8, 8, 1))) == 0
    assert metrics.sharpness(noise(200, 200, 1)) == pytest.approx(np.sqrt(4 + 16), rel=0.03)
    wave = np.sin(2 * np.pi * x / 8)[..., None]  # its Laplacian is itself times 2 cos(2 pi / 8) - 2
    assert metrics.sharpness(wave) == pytest.approx(2 - np.sqrt(2), rel=0.05)
    with pytest.raises(CourseError, match="at least 3 px"):
        metrics.sharpness(np.ones((2, 8, 1)))


def test_frozen_tells_a_still_from_a_clip_that_moves_once():
    clips = np.repeat(np.random.default_rng(3).integers(0, 256, (3, 1, 8, 8, 1), dtype=np.uint8), 6, axis=1)
    clips[1, 4:] = 255 - clips[1, 4:]
    clips[2, 3] ^= 1  # each pixel by one level: the noise of a codec
    np.testing.assert_array_equal(metrics.frozen(clips), [True, False, True])
    np.testing.assert_array_equal(metrics.frozen(clips, tolerance=0.5), [True, False, False])
    assert metrics.frozen(clips[0]) and metrics.frozen(clips[0]).shape == ()
    with pytest.raises(CourseError, match="two frames"):
        metrics.frozen(clips[:, :1])


def test_autocorrelation_of_independent_frames_is_that_of_white_noise():
    value = metrics.temporal_autocorrelation(noise(50, 32, 32, 3))
    assert value == pytest.approx(-1 / 50, abs=0.01)


@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_autocorrelation_of_a_first_order_process_is_its_coefficient(phi):
    steps = noise(400, 16, 16, 1, seed=2)
    frames = [steps[0] / np.sqrt(1 - phi**2)]
    for step in steps[1:]:
        frames.append(phi * frames[-1] + step)
    assert metrics.temporal_autocorrelation(np.array(frames)) == pytest.approx(phi, abs=0.03)
    assert metrics.temporal_autocorrelation(np.array(frames), lag=2) == pytest.approx(phi**2, abs=0.04)


def test_autocorrelation_of_a_still_is_zero_and_of_too_short_a_clip_an_error():
    assert metrics.temporal_autocorrelation(np.ones((4, 2, 2, 1))) == 0
    with pytest.raises(CourseError, match="lag 4"):
        metrics.temporal_autocorrelation(np.ones((4, 2, 2, 1)), lag=4)


def test_flicker_is_the_relative_change_of_brightness():
    frames = np.ones((10, 4, 4, 1))
    assert metrics.flicker(frames) == 0
    frames[::2] *= 1.2  # 1.2, 1.0, 1.2, ...: steps of 0.2 around a mean of 1.1
    assert metrics.flicker(frames) == pytest.approx(0.2 / 1.1)
    for wrong in (frames[:1], frames[:0], frames[0]):
        with pytest.raises(CourseError, match="at least two frames"):
            metrics.flicker(wrong)
    moving = np.eye(8)[:, :, None, None] + 1.0  # a bright row moves down
    assert metrics.flicker(moving) == pytest.approx(0, abs=1e-12)


def test_nearest_finds_the_copy_and_measures_the_distance():
    training = noise(40, 6, 6, 3, seed=3) * 50
    index, distance = metrics.nearest(training[[7, 31]] + 2.0, training)
    np.testing.assert_array_equal(index, [7, 31])
    np.testing.assert_allclose(distance, 2.0, atol=1e-4)
    brute = np.sqrt(((training[:1] - training[1:]) ** 2).mean(axis=(1, 2, 3)))
    index, distance = metrics.nearest(training[:1], training[1:])
    assert index[0] == brute.argmin() and distance[0] == pytest.approx(brute.min(), abs=1e-4)


@pytest.mark.parametrize("size", [8, 20, 28])
def test_nearest_clip_is_the_one_of_a_search_in_full(size):
    rng = np.random.default_rng(9)
    coarse = rng.integers(0, 256, (40, 6, 4, 4, 3))
    training = coarse.repeat(-(-size // 4), axis=2).repeat(-(-size // 4), axis=3)[:, :, :size, :size].astype(np.uint8)
    clips = np.clip(training[[5, 31, 8]] + rng.integers(-40, 41, (3, 6, size, size, 3)), 0, 255).astype(np.uint8)
    brute = np.sqrt(np.mean((clips[:, None].astype(float) - training[None]) ** 2, axis=(2, 3, 4, 5)))
    index, distance = metrics.nearest_clip(clips, training)
    np.testing.assert_array_equal(index, brute.argmin(axis=1))
    np.testing.assert_allclose(distance, brute.min(axis=1), rtol=1e-5)
    index, distance = metrics.nearest_clip(training[10:12], training)
    np.testing.assert_array_equal(index, [10, 11])
    np.testing.assert_array_equal(distance, 0)
    for wrong in (clips[0], clips[:, :3], clips[..., :1]):
        with pytest.raises(CourseError, match="of one size are compared"):
            metrics.nearest_clip(wrong, training)


def in_balls(points, centres, k):
    """The definition of the share, a point at a time."""
    count = 0
    for point in points:
        for centre in centres:
            reach = np.sort(np.linalg.norm(centres - centre, axis=1))[k]
            if np.linalg.norm(point - centre) <= reach:
                count += 1
                break
    return count / len(points)


def test_precision_and_recall_are_their_definition():
    real, made = noise(60, 4, seed=10), 0.6 * noise(45, 4, seed=11) + 0.5
    precision, recall = metrics.precision_recall(real, made, neighbours=3)
    assert (precision, recall) == (in_balls(made, real, 3), in_balls(real, made, 3))
    assert 0 < recall < precision


def test_precision_and_recall_tell_what_is_wrong():
    real = noise(300, 8, seed=12)
    assert metrics.precision_recall(real, real) == (1, 1)
    assert metrics.precision_recall(real, real + 100) == (0, 0)
    precision, recall = metrics.precision_recall(real, np.repeat(real[:6], 50, axis=0))  # six good ones, again and again
    assert precision == 1 and recall == 6 / 300
    precision, recall = metrics.precision_recall(real[:100], np.concatenate([real[:100], real[:100] + 100]))
    assert precision == 0.5 and recall == 1
    for wrong in (real[:, :4], real[:3], real[0]):
        with pytest.raises(CourseError, match="n and m above 3"):
            metrics.precision_recall(wrong, real)


def test_frechet_distance_is_its_definition_with_scipys_matrix_root():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) + 1.0
    b = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12))
    covariances = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, a + 2.0) == pytest.approx(12 * 2.0**2)  # a shift costs its square, once a feature


@pytest.mark.parametrize("features", [1, 5])
def test_frechet_distance_of_diagonal_gaussians_is_that_of_their_means_and_deviations(features):
    rng = np.random.default_rng(5)
    white = rng.normal(size=(50, features))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(white.T)))).T  # its sample covariance is the identity
    mean_a, mean_b, deviation_a, deviation_b = rng.uniform(0.5, 3.0, (4, features))
    expected = np.sum((mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2)
    assert metrics.frechet_distance(white * deviation_a + mean_a, white * deviation_b + mean_b) == pytest.approx(expected)


def test_frechet_distance_of_equal_distributions_falls_as_their_samples_grow():
    distances = [metrics.frechet_distance(noise(n, 16, seed=6), noise(n, 16, seed=7)) for n in (50, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_frechet_distance_survives_features_that_do_not_vary():
    a, b = noise(100, 6), noise(100, 6, seed=8)
    a[:, 2:], b[:, 3] = 0.25, 1.5
    assert 0 <= metrics.frechet_distance(a, b) < np.inf
    assert metrics.frechet_distance(a, b) == pytest.approx(metrics.frechet_distance(b, a))


def test_frechet_distance_says_what_it_needs():
    for wrong in (noise(6, 6), noise(20, 5), noise(20, 6, 1), noise(20)):
        for pair in ((wrong, noise(20, 6)), (noise(20, 6), wrong)):
            with pytest.raises(CourseError, match="more rows than columns"):
                metrics.frechet_distance(*pair)
    with pytest.raises(CourseError, match="finite"):
        metrics.frechet_distance(noise(20, 6), np.full((20, 6), np.nan))


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
    estimated = metrics.estimated_flow(frames)
    assert estimated.shape == flow.shape
    error = np.linalg.norm(estimated - flow, axis=-1)[:, 4:-4, 4:-4]
    assert np.median(error) < 0.15


def test_warping_error_is_nothing_where_motion_explains_everything():
    frames, flow = shifted([(1, 0), (0, 1), (2, -1)])
    assert metrics.warping_error(frames, flow, -flow) < 0.03  # the borders, where new content enters
    assert metrics.warping_error(frames) < 0.03
    still = np.repeat(frames[:1], 4, axis=0)
    assert metrics.warping_error(still) == 0
    plain = np.sqrt(np.mean((frames[1:].astype(float) - frames[:-1]) ** 2)) / 255
    assert plain > 3 * metrics.warping_error(frames, flow, -flow)


def test_warping_error_sees_brightness_that_jumps_and_content_that_changes():
    frames, flow = shifted([(1, 0)] * 5)
    jumping = frames.astype(int)
    jumping[::2] = np.minimum(255, jumping[::2] + 40)
    clean, off = metrics.warping_error(frames, flow, -flow), metrics.warping_error(np.uint8(jumping), flow, -flow)
    assert off > 5 * clean and off == pytest.approx(40 / 255, rel=0.2)
    pile = np.random.default_rng(4).permutation(np.concatenate([shifted([(11 * i - 20, 7)])[0] for i in range(4)]))
    assert metrics.warping_error(pile) > 5 * metrics.warping_error(frames)


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
    assert metrics.warping_error(frames, flow, back) < 0.02
    assert metrics.warping_error(frames, 0 * flow, 0 * back) > 0.1


def test_a_flow_of_another_size_is_refused():
    frames, flow = shifted([(1, 0)])
    for wrong in (frames[0], frames[:1]):
        with pytest.raises(CourseError, match="at least two frames"):
            metrics.estimated_flow(wrong)
    for forward, backward in [(flow[:, :5], flow[:, :5]), (flow, flow[:, :5]), (np.concatenate([flow, flow]),) * 2]:
        with pytest.raises(CourseError, match=r"\(T-1, H, W, 2\)"):
            metrics.warping_error(frames, forward, backward)


def test_copies_have_a_copy_ratio_of_nothing_and_unseen_frames_of_one():
    rng = np.random.default_rng(6)
    known, unseen = rng.integers(0, 256, (2, 40, 6, 6, 1), dtype=np.uint8)
    assert metrics.copy_ratio(known[:9], unseen, known) == 0
    assert metrics.copy_ratio(unseen, unseen, known) == 1
    assert metrics.copy_ratio(np.uint8(known[:9] // 2 + unseen[:9] // 2), unseen, known) < 1
