"""Metrics of single frames: PSNR and SSIM against a reference; sharpness, and a grid of pixels, without one."""

import numpy as np

from ..errors import CourseError


def psnr(reference, frames, data_range=255.0):
    """Peak signal-to-noise ratio of each frame: `10 log10(data_range^2 / MSE)`, with the mean squared error of its pixels.

    Args:
        reference: array `(..., H, W, C)`.
        frames: array of the same shape.
        data_range: largest minus smallest possible value: 255 for uint8, 2 for [-1, 1].

    Returns:
        float64 array `(...)`, in decibels, higher is better: above 30 an error is hardly visible, below 20 it is plain;
        infinite for equal frames. Average it over frames: the PSNR of an averaged error is another number.

    Raises:
        CourseError: arrays of different shapes.

    References:
        Huynh-Thu and Ghanbari, 2008, "Scope of validity of PSNR in image/video quality assessment".
    """
    reference, frames = as_float_pair(reference, frames)
    error = np.mean((reference - frames) ** 2, axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / error)


def ssim(reference, frames, data_range=255.0, window=7):
    """Structural similarity of each frame: luminance, contrast and structure compared in local windows.

    `(2 m_a m_b + c1)(2 s_ab + c2) / ((m_a^2 + m_b^2 + c1)(s_a^2 + s_b^2 + c2))` with the means m, standard deviations s and
    covariance s_ab in a square window of equal weights, c1 = (0.01 data_range)^2 and c2 = (0.03 data_range)^2; the mean over all
    windows and channels. Two numbers can be compared only where data_range and window are the same.

    Args:
        reference: array `(..., H, W, C)`.
        frames: array of the same shape.
        data_range: largest minus smallest possible value: 255 for uint8, 2 for [-1, 1].
        window: side of the window in px, odd, from 3 to H and W.

    Returns:
        float64 array `(...)` in [-1, 1], without unit; 1 for equal frames, and the same if reference and frames are exchanged.
        On a black background even black frames score well: print their score beside the others.

    Raises:
        CourseError: arrays of different shapes, or a window that is even or larger than the frames.

    References:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    a, b = as_float_pair(reference, frames)
    if window < 3 or window % 2 == 0 or a.ndim < 3 or window > min(a.shape[-3:-1]):
        message = "SSIM needs an odd window from 3 to the size of the frames (..., H, W, C)"
        raise CourseError(f"{message}, got {window} and {a.shape}.")
    if a.ndim > 4:  # clip by clip, to hold few windows in memory
        return np.stack([ssim(one, other, data_range, window) for one, other in zip(a, b)])
    mean_a, mean_b = window_means(a, window), window_means(b, window)
    unbiased = window**2 / (window**2 - 1)
    variance_a = unbiased * (window_means(a * a, window) - mean_a * mean_a)
    variance_b = unbiased * (window_means(b * b, window) - mean_b * mean_b)
    covariance = unbiased * (window_means(a * b, window) - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    denominator = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return np.mean(numerator / denominator, axis=(-3, -2, -1))


def window_means(x, window):
    """Means over all square windows that lie within an image, from a summed-area table.

    The sum over a window is a difference of running sums, so its cost doesn't depend on the window's size. (SciPy's
    `uniform_filter` gives the same means; the table is written out because chapter 16 teaches it.)

    Args:
        x: float array `(..., H, W, C)`.
        window: side of the windows in px, from 1 to H and W.

    Returns:
        float array `(..., H - window + 1, W - window + 1, C)`.

    References:
        Crow, 1984, "Summed-area tables for texture mapping".
    """
    for axis in (-3, -2):
        sums = np.cumsum(x, axis=axis)
        sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis=axis)), sums], axis=axis)
        last = np.arange(window, sums.shape[axis])
        x = (np.take(sums, last, axis=axis) - np.take(sums, last - window, axis=axis)) / window
    return x


def laplacian_sharpness(frames):
    """Sharpness of each frame: the root mean square of its Laplacian divided by the standard deviation of its pixels.

    The Laplacian is the discrete one: the sum of the four neighbours minus four times the pixel, without the border.

    Args:
        frames: array `(..., H, W, C)`, H and W at least 3.

    Returns:
        float64 array `(...)`, without unit, from 0 (a flat frame or a linear slope) to about 8 (a chessboard of single pixels);
        white noise has the square root of 20. Blur lowers it, noise and compression artefacts raise it: compare it with
        that of real frames. It doesn't change with brightness and contrast.

    Raises:
        CourseError: frames that are too small.

    References:
        Pertuz, Puig and Garcia, 2013, "Analysis of focus measure operators for shape-from-focus" (energy of the Laplacian).
    """
    x = np.asarray(frames, np.float64)
    if x.ndim < 3 or min(x.shape[-3:-1]) < 3:
        raise CourseError(f"Sharpness needs frames (..., height, width, channels) of at least 3 px, got {x.shape}.")
    inner = x[..., 1:-1, 1:-1, :]
    laplacian = x[..., :-2, 1:-1, :] + x[..., 2:, 1:-1, :] + x[..., 1:-1, :-2, :] + x[..., 1:-1, 2:, :] - 4 * inner
    contrast = np.std(x, axis=(-3, -2, -1))
    energy = np.sqrt(np.mean(laplacian**2, axis=(-3, -2, -1)))
    return np.where(contrast > 0, energy / np.where(contrast > 0, contrast, 1), 0.0)


def nyquist_ratio(frames):
    """How much stronger waves of two pixels are than those next to them: whether there is a grid.

    The energy of rows and of columns at the Nyquist frequency, half a cycle a pixel, as a multiple of that at the next lower
    frequency. Noise has as much of both.

    Args:
        frames: array `(N, H, W, C)`, H and W even.

    Returns:
        float, without unit: 1 for white noise, below for natural images, far above for a checkerboard artifact.

    Raises:
        CourseError: frames of another shape, of odd height or width, or that have no fine detail at all.

    References:
        Odena, Dumoulin and Olah, 2016, "Deconvolution and checkerboard artifacts".
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[1] % 2 or frames.shape[2] % 2:
        raise CourseError(f"The frames must be (N, H, W, C) of even height and width, got {frames.shape}.")
    grey = frames.mean(axis=-1, dtype=np.float64)
    energies = np.zeros(2)  # of the last frequency but one, and of the last
    for axis in (1, 2):
        waves = np.moveaxis(np.fft.rfft(grey, axis=axis), axis, -1)
        energies += np.mean(np.abs(waves[..., -2:]) ** 2, axis=(0, 1))
    if not energies[0]:
        raise CourseError("These frames have no fine detail to compare a grid with.")
    return float(energies[1] / energies[0])


def as_float_pair(a, b):
    """Two arrays of one shape as float64, so that their difference doesn't wrap round as that of uint8 does.

    Args:
        a: array.
        b: array of the same shape.

    Returns:
        Both as float64 arrays.

    Raises:
        CourseError: arrays of different shapes.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    check_same_shape(a, b)
    return a, b


def check_same_shape(a, b):
    """Refuses to compare arrays that NumPy would broadcast or can't subtract.

    Args:
        a: array.
        b: array.

    Raises:
        CourseError: arrays of different shapes.
    """
    if np.shape(a) != np.shape(b):
        raise CourseError(f"Frames of one shape are needed to compare them, got {np.shape(a)} and {np.shape(b)}.")
