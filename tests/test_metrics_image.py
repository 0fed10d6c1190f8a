"""Image metrics against scikit-image, SciPy and closed forms; their symmetries; each falls as its corruption grows."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidgen_tf.errors import CourseError
from vidgen_tf.metrics import image

PROPERTY = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def texture(seed=0, sigma=1.5):
    """A smooth random image `(40, 40, 1)` from 0 to 255, neither flat nor white noise."""
    smooth = scipy.ndimage.gaussian_filter(noise(40, 40, seed=seed), sigma)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth))[..., None]


def test_psnr_is_scikit_images_for_each_frame():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 3, 5, 12, 10, 3), dtype=np.uint8)
    ours = image.psnr(a, b)
    assert ours.shape == (3, 5)
    for i in np.ndindex(3, 5):
        assert ours[i] == pytest.approx(peak_signal_noise_ratio(a[i], b[i], data_range=255), abs=1e-9)
    assert image.psnr(a, a).min() == np.inf


@PROPERTY
@given(st.integers(1, 255), st.integers(0, 255))
def test_psnr_of_a_constant_error_is_its_share_of_the_range_in_decibels(error, value):
    """uint8 must not wrap round on the way: 3 - 5 is -2, not 254."""
    a, b = np.full((4, 4, 1), value, np.uint8), np.full((4, 4, 1), (value + error) % 256, np.uint8)
    assert image.psnr(a, b) == pytest.approx(20 * np.log10(255 / abs(int(a[0, 0, 0]) - int(b[0, 0, 0]))))


@PROPERTY
@given(SEEDS)
def test_psnr_falls_by_6_db_where_noise_doubles(seed):
    clean, pattern = texture(seed), noise(40, 40, 1, seed=seed)
    values = [image.psnr(clean, clean + strength * pattern) for strength in (2, 4, 8, 16, 32)]
    np.testing.assert_allclose(np.diff(values), -20 * np.log10(2))


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_window_means_are_the_means_of_slices_and_scipys(window):
    x = noise(2, 9, 7, 3)
    ours = image.window_means(x, window)
    assert ours.shape == (2, 10 - window, 8 - window, 3)
    for i, j in np.ndindex(ours.shape[1:3]):
        np.testing.assert_allclose(ours[:, i, j], x[:, i : i + window, j : j + window].mean(axis=(1, 2)), atol=1e-12)
    if window % 2:
        inner = slice(window // 2, -(window // 2) or None)
        theirs = scipy.ndimage.uniform_filter(x, (0, window, window, 0))[:, inner, inner]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("shape, data_range, window", [((24, 20, 3), 255, 7), ((9, 9, 1), 255, 3), ((16, 16, 1), 2, 11)])
def test_ssim_is_scikit_images_for_each_frame(shape, data_range, window):
    a = np.random.default_rng(2).uniform(0, data_range, (2, 3, *shape))
    b = np.clip(a + 0.2 * data_range * noise(*a.shape), 0, data_range)
    ours = image.ssim(a, b, data_range, window)
    assert ours.shape == (2, 3)
    for i in np.ndindex(2, 3):
        theirs = structural_similarity(a[i], b[i], data_range=data_range, win_size=window, channel_axis=-1)
        assert ours[i] == pytest.approx(theirs, abs=1e-9)


@PROPERTY
@given(SEEDS, st.sampled_from([3, 5, 7]), st.integers(0, 255))
def test_ssim_is_symmetric_at_most_1_and_1_for_equal_frames(seed, window, contrast):
    a, b = np.random.default_rng(seed).integers(0, contrast + 1, (2, 8, 9, 2), dtype=np.uint8)
    assert image.ssim(a, b, window=window) == image.ssim(b, a, window=window)
    assert -1 <= image.ssim(a, b, window=window) <= 1
    assert image.ssim(a, a, window=window) == pytest.approx(1, abs=1e-9)


def test_ssim_of_a_frame_and_its_negative_is_near_minus_1_where_all_windows_have_mean_0():
    stripes = np.tile(100.0 * (np.arange(9) % 3 - 1), (6, 1))[..., None]
    variance, c2 = 100**2 * 2 / 3 * 9 / 8, (0.03 * 255) ** 2
    expected = (c2 - 2 * variance) / (c2 + 2 * variance)
    assert image.ssim(stripes, -stripes, window=3) == pytest.approx(expected) and expected < -0.99


def test_ssim_of_flat_frames_is_that_of_their_brightness():
    """Without any pattern only the means are left: (2 a b + c1) / (a^2 + b^2 + c1)."""
    a, b, c1 = np.full((8, 8, 1), 100.0), np.full((8, 8, 1), 150.0), (0.01 * 255) ** 2
    assert image.ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


@pytest.mark.parametrize("corrupt", ["noise", "blur"])
def test_ssim_falls_as_frames_are_corrupted_more(corrupt):
    for seed in range(5):
        clean, pattern = texture(seed), noise(40, 40, 1, seed=seed + 100)
        if corrupt == "noise":
            worse = [clean + strength * pattern for strength in (0, 2, 5, 10, 20, 40, 80)]
        else:
            worse = [scipy.ndimage.gaussian_filter(clean, (sigma, sigma, 0)) for sigma in (0, 0.5, 1, 2, 4)]
        assert (np.diff([image.ssim(clean, frame) for frame in worse]) < -0.001).all()


def test_sharpness_is_the_energy_of_scipys_laplacian():
    picture = scipy.ndimage.gaussian_filter(noise(64, 48), 1.5)
    laplacian = scipy.ndimage.laplace(picture)[1:-1, 1:-1]
    expected = np.sqrt(np.mean(laplacian**2)) / picture.std()
    assert image.laplacian_sharpness(picture[..., None]) == pytest.approx(expected)


@PROPERTY
@given(SEEDS, st.floats(0.01, 100), st.floats(-1000, 1000))
def test_sharpness_does_not_change_with_brightness_and_contrast(seed, contrast, brightness):
    frames = noise(2, 3, 6, 7, 2, seed=seed)
    expected = image.laplacian_sharpness(frames)
    np.testing.assert_allclose(image.laplacian_sharpness(contrast * frames + brightness), expected, rtol=1e-6)


def test_sharpness_of_known_images():
    y, x = np.mgrid[:16, :16]
    assert image.laplacian_sharpness(((x + y) % 2)[..., None]) == pytest.approx(8)  # each neighbour differs by two deviations
    assert image.laplacian_sharpness((3.0 * x + y)[..., None]) == pytest.approx(0, abs=1e-9)
    assert image.laplacian_sharpness(np.ones((8, 8, 1))) == 0
    assert image.laplacian_sharpness(noise(200, 200, 1)) == pytest.approx(np.sqrt(4 + 16), rel=0.03)
    wave = np.sin(2 * np.pi * x / 8)[..., None]  # its Laplacian is itself times 2 cos(2 pi / 8) - 2
    assert image.laplacian_sharpness(wave) == pytest.approx(2 - np.sqrt(2), rel=0.05)


def test_sharpness_falls_with_blur_and_rises_with_noise():
    for seed in range(5):
        clean, pattern = texture(seed), noise(40, 40, 1, seed=seed + 100)
        blurred = [image.laplacian_sharpness(scipy.ndimage.gaussian_filter(clean, (s, s, 0))) for s in (0, 0.5, 1, 2, 4)]
        noisy = [image.laplacian_sharpness(clean + strength * pattern) for strength in (0, 5, 10, 20, 40)]
        assert (np.diff(blurred) < -0.01).all() and (np.diff(noisy) > 0.01).all()


def test_what_cannot_be_compared_is_refused():
    a = np.zeros((3, 8, 8, 1))
    for metric in (image.psnr, image.ssim, image.as_float_pair, image.check_same_shape):
        with pytest.raises(CourseError, match="one shape"):
            metric(a, a[:1])
    for window in (1, 2, 4, 9):
        with pytest.raises(CourseError, match="odd window from 3 to the size of the frames"):
            image.ssim(a, a, window=window)
    with pytest.raises(CourseError, match="at least 3 px"):
        image.laplacian_sharpness(np.ones((2, 8, 1)))


def test_the_nyquist_ratio_tells_a_grid_from_noise():
    """Noise has all waves alike; a grid has energy at the last frequency alone, whatever its phase and direction."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(400, 32, 24, 3))
    assert image.nyquist_ratio(noise) == pytest.approx(1, abs=0.05)
    y, x = np.mgrid[:32, :24]
    for grid in (y % 2, (x + 1) % 2, (x + y) % 2):
        assert image.nyquist_ratio(noise + grid[..., None]) > 1.5
    coarse = (x // 4 + y // 4) % 2
    assert image.nyquist_ratio(noise + coarse[..., None]) < 1.1, "squares of four pixels are no grid of single ones"


def test_the_nyquist_ratio_is_the_quotient_of_two_energies():
    """One wave of each of the last two frequencies, along x: the energy of a wave of the last is four times that of another."""
    x = np.arange(16)
    last, other = np.cos(np.pi * x), np.cos(2 * np.pi * 7 * x / 16)
    frames = np.broadcast_to(3 * last + 2 * other, (1, 16, 16))[..., None]
    assert image.nyquist_ratio(frames) == pytest.approx((3 * 16) ** 2 / (2 * 8) ** 2)


@pytest.mark.parametrize("shape", [(4, 4, 1), (1, 5, 4, 1), (1, 4, 5, 1)])
def test_the_nyquist_ratio_refuses_frames_that_it_cant_measure(shape):
    with pytest.raises(CourseError, match="even height and width"):
        image.nyquist_ratio(np.ones(shape))
    with pytest.raises(CourseError, match="no fine detail"):
        image.nyquist_ratio(np.zeros((1, 4, 4, 1)))
