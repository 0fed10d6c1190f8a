"""The metrics: what can be measured of a clip, each with its definition, range and source."""

import itertools

import numpy as np

from .errors import CourseError


def psnr(reference, frames, data_range=255.0):
    """Peak signal-to-noise ratio of each frame: `10 log10(data_range^2 / mean squared error)`.

    Args:
        reference: array `(..., H, W, C)`.
        frames: array of the same shape.
        data_range: largest minus smallest possible value: 255 for uint8, 2 for [-1, 1].

    Returns:
        float64 array `(...)`, in decibels: above 30 the eye hardly sees a difference, below 20 it is plain; infinite for
        equal frames. Average over frames, not over squared errors.

    Raises:
        CourseError: arrays of different shapes.

    References:
        Huynh-Thu and Ghanbari, 2008, "Scope of validity of PSNR in image/video quality assessment".
    """
    reference, frames = _alike(reference, frames)
    error = np.mean((reference - frames) ** 2, axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / error)


def ssim(reference, frames, data_range, window=7):
    """Structural similarity of each frame: whether small windows of two pictures have the same mean, the same contrast, and
    light and dark in the same places. With the windows' means m, variances v and covariance c it is the average over windows
    and channels of

    `(2 m_a m_b + k_1) (2 c_ab + k_2) / ((m_a^2 + m_b^2 + k_1) (v_a + v_b + k_2))`,

    where `k_1 = (0.01 data_range)^2` and `k_2 = (0.03 data_range)^2`. Like scikit-image's default: square windows of equal
    weights that lie inside the frame, and variances with n - 1.

    Args:
        reference: array `(..., H, W, C)`.
        frames: array of the same shape.
        data_range: largest minus smallest possible value: 255 for uint8, 1 for [0, 1], 2 for [-1, 1]. It sets both constants, so
            the wrong one changes the result.
        window: side of a window in px, odd, from 3 to H and W.

    Returns:
        float64 array `(...)`, at most 1, which means equal. On black ground even black frames score well: say what they score.

    Raises:
        CourseError: arrays of different shapes, or a window that is even or larger than the frames.

    References:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    reference, frames = _alike(reference, frames)
    if window < 3 or window % 2 == 0 or window > min(reference.shape[-3:-1]):
        raise CourseError(f"SSIM needs an odd window from 3 to the frames' size, got {window} for {reference.shape[-3:-1]}.")
    if reference.ndim > 4:  # clip by clip, to hold few windows in memory
        return np.stack([ssim(a, b, data_range, window) for a, b in zip(reference, frames)])

    def mean(x):
        for axis in (-3, -2):
            x = np.lib.stride_tricks.sliding_window_view(x, window, axis=axis).mean(axis=-1)
        return x

    m_a, m_b = mean(reference), mean(frames)
    whole = window**2 / (window**2 - 1)
    v_a, v_b = whole * (mean(reference**2) - m_a**2), whole * (mean(frames**2) - m_b**2)
    c_ab = whole * (mean(reference * frames) - m_a * m_b)
    k_1, k_2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similar = (2 * m_a * m_b + k_1) * (2 * c_ab + k_2) / ((m_a**2 + m_b**2 + k_1) * (v_a + v_b + k_2))
    return similar.mean(axis=(-3, -2, -1))


def temporal_autocorrelation(frames, lag=1):
    """How much a frame tells about the one `lag` frames later: the correlation, over all pixels and frames, of the deviations
    from each pixel's mean over time.

    Args:
        frames: array `(T, H, W, C)`.
        lag: frames between the two, 0 < lag < T.

    Returns:
        float in [-1, 1]: near 1 for a coherent video, near 0 for independent frames (their expectation is -1/T, because the
        mean is estimated from the same frames), 0 for a still.

    Raises:
        CourseError: not four axes, or too few frames for the lag.

    References:
        Box and Jenkins, 1970, "Time Series Analysis: Forecasting and Control".
    """
    frames = np.asarray(frames, np.float64)
    if frames.ndim != 4 or not 0 < lag < len(frames):
        raise CourseError(
            f"Autocorrelation at lag {lag} needs frames (time, height, width, channels), time > lag, got {frames.shape}."
        )
    deviation = frames - frames.mean(axis=0)
    energy = np.mean(deviation**2)
    return float(np.mean(deviation[lag:] * deviation[:-lag]) / energy) if energy > 0 else 0.0


def flicker(frames):
    """Mean absolute change of the total brightness from frame to frame, as a share of the mean brightness.

    Args:
        frames: array `(T, H, W, C)`, values at least 0, T at least 2.

    Returns:
        float at least 0; 0 where things only move about on a flat ground.

    Raises:
        CourseError: not four axes, or fewer than two frames.
    """
    frames = np.asarray(frames, np.float64)
    if frames.ndim != 4 or len(frames) < 2:
        raise CourseError(f"Flicker needs at least two frames (time, height, width, channels), got {frames.shape}.")
    brightness = frames.mean(axis=(1, 2, 3))
    return float(np.mean(np.abs(np.diff(brightness))) / max(brightness.mean(), 1e-12))


def estimated_flow(frames):
    """Where each pixel goes from a frame to the next one, estimated from the pictures alone by an iterative Lucas-Kanade method
    (scikit-image's). It is right only where there is texture, and where things move by few pixels.

    Args:
        frames: uint8 array `(T, H, W, C)`, T at least 2, 1 or 3 channels.

    Returns:
        float32 `(T-1, H, W, 2)`, (dx, dy) in px per frame.

    Raises:
        CourseError: not four axes, or fewer than two frames.

    References:
        Le Besnerais and Champagnat, 2005, "Dense optical flow by iterative local window registration".
    """
    from skimage.registration import optical_flow_ilk

    frames = np.asarray(frames)
    if frames.ndim != 4 or len(frames) < 2:
        raise CourseError(f"A flow needs at least two frames (time, height, width, channels), got {frames.shape}.")
    grey = frames.astype(np.float32).mean(axis=-1) / 255
    flow = [optical_flow_ilk(before, after, radius=4, prefilter=True) for before, after in itertools.pairwise(grey)]
    return np.stack(flow)[:, ::-1].transpose(0, 2, 3, 1).astype(np.float32)  # (T-1, dy dx, H, W) -> (T-1, H, W, dx dy)


def warping_error(frames, forward=None, backward=None):
    """How much changes between two frames that motion does not explain: the root mean squared difference between each frame and
    the next one brought back along the flow, over the pixels that are visible in both.

    A pixel counts as visible where the way forward and back again ends within about half a pixel of where it began; where
    that holds for none, all count.

    Args:
        frames: uint8 array `(T, H, W, C)`, T at least 2.
        forward: float `(T-1, H, W, 2)`, the flow from each frame to the next, (dx, dy) in px; None estimates both flows.
        backward: float `(T-1, H, W, 2)`, the flow from each next frame back.

    Returns:
        float from 0 to 1, as a share of the range of a pixel: 0 where motion explains everything.

    Raises:
        CourseError: not four axes, fewer than two frames, or a flow of another size.

    References:
        Lai and others, 2018, "Learning blind video temporal consistency" (the error); Sundaram, Brox and Keutzer, 2010, "Dense
        point trajectories by GPU-accelerated large displacement optical flow" (what counts as visible).
    """
    frames = np.asarray(frames)
    if forward is None:
        forward, backward = estimated_flow(frames), estimated_flow(frames[::-1])[::-1]
    if frames.ndim != 4 or forward.shape != backward.shape or forward.shape != (len(frames) - 1, *frames.shape[1:3], 2):
        raise CourseError(f"Frames (T, H, W, C) need flows (T-1, H, W, 2), got {frames.shape} and {forward.shape}.")
    squares = []
    for before, after, there, back in zip(frames, frames[1:], forward, backward):
        brought, returned = _fetched(after.astype(np.float32), there), _fetched(back, there)
        gap = np.sum((there + returned) ** 2, axis=-1)
        visible = gap < 0.01 * np.sum(there**2 + returned**2, axis=-1) + 0.5
        difference = np.mean((before - brought) ** 2, axis=-1)
        squares.append(difference[visible].mean() if visible.any() else difference.mean())
    return float(np.sqrt(np.mean(squares)) / 255)


def _fetched(picture, flow):
    """What a picture `(H, W, C)` shows at the places to which a flow points, between its pixels by bilinear interpolation."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    x, y = np.clip(x + flow[..., 0], 0, width - 1), np.clip(y + flow[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right, down = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - right) * picture[top, left] + right * picture[top, left + 1]
    lower = (1 - right) * picture[top + 1, left] + right * picture[top + 1, left + 1]
    return (1 - down) * upper + down * lower


def nearest(frames, training_frames):
    """The training frame nearest to each frame, by root mean squared difference of the pixels: a first test for copying.

    Args:
        frames: array `(N, H, W, C)`.
        training_frames: array `(M, H, W, C)` on the same scale.

    Returns:
        int64 index `(N,)` of the nearest training frame, and float32 distance `(N,)` to it in the unit of the pixels.

    Raises:
        CourseError: frames of different sizes.
    """
    _alike(frames[:1], training_frames[:1])
    a = np.asarray(frames, np.float32).reshape(len(frames), -1)
    b = np.asarray(training_frames, np.float32).reshape(len(training_frames), -1)
    squared = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)  # |a - b|^2 = |a|^2 - 2 a.b + |b|^2
    index = squared.argmin(axis=1)
    distance = np.sqrt(np.mean((a - b[index]) ** 2, axis=1))  # anew from the difference: the shortcut above cancels digits
    return index, distance


def frechet_distance(features_a, features_b):
    """How far two sets of features lie apart: the Fréchet distance between the Gaussians fitted to them,
    `|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))` with their means m and covariances C.

    The number means something only together with whose features they are and with n: two halves of one set of real videos are
    some way apart too, the further the fewer there are, so print that floor, at the same n, beside every result.

    Args:
        features_a: float array `(n, D)`, n larger than D.
        features_b: float array `(m, D)`, m larger than D.

    Returns:
        float at least 0, in squared units of the features; 0 for equal sets.

    Raises:
        CourseError: not two sets of finite features of one length, or no more rows than features.

    References:
        Dowson and Landau, 1982, "The Fréchet distance between multivariate normal distributions".
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two time-scale update rule converge to
        a local Nash equilibrium".
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) <= a.shape[1]:
        raise CourseError(
            f"A Fréchet distance compares features (n, d) and (m, d) with more rows than columns, got {a.shape} and {b.shape}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CourseError("A Fréchet distance needs finite features, and some are not: has the model diverged?")
    covariance_a, covariance_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # C_a C_b has the eigenvalues of the symmetric root(C_a) C_b root(C_a), whose roots are real and at least 0.
    shared = np.linalg.eigvalsh(root @ covariance_b @ root)
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + max(spread, 0.0))


def _alike(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise CourseError(f"Two videos of one shape are needed to compare them, got {a.shape} and {b.shape}.")
    return a, b


def scoreboard(rows):
    """Prints results as a table with one row a model.

    Args:
        rows: list of dicts with the same keys in the same order, "model" first; numbers are shown with three digits, None as a
            dash.

    Raises:
        CourseError: no rows, or rows with different keys.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise CourseError("A scoreboard needs at least one row, and the same keys in the same order in each.")
    cells = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def _cell(value):
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
