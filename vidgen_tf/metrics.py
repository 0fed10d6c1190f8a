"""The metrics: what can be measured of a clip, each with its definition, range and source."""

import itertools

import numpy as np

from .errors import CourseError

THUMBNAIL = 8  # px: height and width of the pictures by which near clips are searched


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
    reference, frames = of_one_shape(reference, frames)
    error = np.mean((reference - frames) ** 2, axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / error)


def ssim(reference, frames, data_range=255.0, window=7):
    """Structural similarity of each frame: how alike brightness, contrast and pattern are, by windows.

    `(2 m_a m_b + c1)(2 s_ab + c2) / ((m_a^2 + m_b^2 + c1)(s_a^2 + s_b^2 + c2))` with the means m, deviations s and covariance
    s_ab in a square window, c1 = (0.01 data_range)^2 and c2 = (0.03 data_range)^2; the mean over all windows and channels. Two
    numbers can be compared only where data_range and window are the same.

    Args:
        reference: array `(..., H, W, C)`.
        frames: array of the same shape.
        data_range: largest minus smallest possible value: 255 for uint8, 2 for [-1, 1].
        window: side of the window in px, odd, from 3 to H and W.

    Returns:
        float64 array `(...)` in [-1, 1]; 1 for equal frames. On black ground even black frames score well: say what they score.

    Raises:
        CourseError: arrays of different shapes, or a window that is even or larger than the frames.

    References:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    a, b = of_one_shape(reference, frames)
    if window < 3 or window % 2 == 0 or a.ndim < 3 or window > min(a.shape[-3:-1]):
        message = "SSIM needs an odd window from 3 to the size of the frames (..., H, W, C)"
        raise CourseError(f"{message}, got {window} and {a.shape}.")
    if a.ndim > 4:  # clip by clip, to hold few windows in memory
        return np.stack([ssim(one, other, data_range, window) for one, other in zip(a, b)])
    mean_a, mean_b = window_means(a, window), window_means(b, window)
    unbiased = window**2 / (window**2 - 1)
    spread_a = unbiased * (window_means(a * a, window) - mean_a * mean_a)
    spread_b = unbiased * (window_means(b * b, window) - mean_b * mean_b)
    shared = unbiased * (window_means(a * b, window) - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
    return np.mean(likeness / ((mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2)), axis=(-3, -2, -1))


def window_means(x, window):
    """Means over all squares that lie within a picture, by differences of running sums.

    Args:
        x: float array `(..., H, W, C)`.
        window: side of the squares in px, from 1 to H and W.

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


def sharpness(frames):
    """How crisp a frame is: the root mean square of its Laplacian (four neighbours minus four times the pixel), as a multiple
    of the deviation of its pixels from their mean.

    Args:
        frames: array `(..., H, W, C)`, H and W at least 3.

    Returns:
        float64 array `(...)` from 0 (flat, or a slope) to about 8 (a chessboard of single pixels); noise that is independent
        from pixel to pixel has the square root of 20. Blur lowers it; noise and flaws of compression raise it.

    Raises:
        CourseError: frames that are too small.

    References:
        Pertuz, Puig and Garcia, 2013, "Analysis of focus measure operators for shape-from-focus" (the Laplacian's energy).
    """
    x = np.asarray(frames, np.float64)
    if x.ndim < 3 or min(x.shape[-3:-1]) < 3:
        raise CourseError(f"Sharpness needs frames (..., height, width, channels) of at least 3 px, got {x.shape}.")
    inner = x[..., 1:-1, 1:-1, :]
    laplacian = x[..., :-2, 1:-1, :] + x[..., 2:, 1:-1, :] + x[..., 1:-1, :-2, :] + x[..., 1:-1, 2:, :] - 4 * inner
    contrast = np.std(x, axis=(-3, -2, -1))
    edges = np.sqrt(np.mean(laplacian**2, axis=(-3, -2, -1)))
    return np.where(contrast > 0, edges / np.where(contrast > 0, contrast, 1), 0.0)


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


def frozen(frames, tolerance=1.0):
    """Whether a clip stands still: no frame differs from the one before by more than a trace.

    Args:
        frames: array `(..., T, H, W, C)`, T at least 2.
        tolerance: largest root mean squared change that is called still, in the unit of the pixels. The default is about what
            saving as a video changes.

    Returns:
        bool array `(...)`.

    Raises:
        CourseError: fewer than two frames.
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim < 4 or frames.shape[-4] < 2:
        raise CourseError(f"A clip needs two frames (..., time, height, width, channels) to stand still, got {frames.shape}.")
    change = np.mean(np.diff(frames, axis=-4) ** 2, axis=(-3, -2, -1))
    return np.sqrt(change.max(axis=-1)) <= tolerance


def estimated_flow(frames, warps=10):
    """Where each pixel goes from a frame to the next one, estimated from the pictures alone by an iterative Lucas-Kanade method
    (scikit-image's). It is right only where there is texture, and where things move by few pixels.

    Args:
        frames: uint8 array `(T, H, W, C)`, T at least 2, 1 or 3 channels.
        warps: how often each estimate is improved; fewer are quicker, and enough where things move by a px or two.

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
    flow = [
        optical_flow_ilk(before, after, radius=4, num_warp=warps, prefilter=True) for before, after in itertools.pairwise(grey)
    ]
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
    of_one_shape(frames[:1], training_frames[:1])
    a = np.asarray(frames, np.float32).reshape(len(frames), -1)
    b = np.asarray(training_frames, np.float32).reshape(len(training_frames), -1)
    squared = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)  # |a - b|^2 = |a|^2 - 2 a.b + |b|^2
    index = squared.argmin(axis=1)
    distance = np.sqrt(np.mean((a - b[index]) ** 2, axis=1))  # anew from the difference: the shortcut above cancels digits
    return index, distance


def copy_ratio(frames, unseen_frames, training_frames):
    """How near frames come to training frames: the median distance to the nearest one, as a multiple of that of unseen ones.

    Args:
        frames: array `(N, H, W, C)`, made ones.
        unseen_frames: array `(K, H, W, C)`, real ones that no model was trained on.
        training_frames: array `(M, H, W, C)`, those to search.

    Returns:
        float at least 0: 0 for copies, near 1 for frames as new as unseen ones.

    Raises:
        CourseError: frames of different sizes.
    """
    made, real = (np.median(nearest(some, training_frames)[1]) for some in (frames, unseen_frames))
    return float(made / real)


def nearest_clip(clips, training_clips, candidates=3):
    """The training clip nearest to each clip, by root mean squared difference of all pixels of all frames.

    It is searched by thumbnails of every other frame, and the nearest by these are compared in full: so memory stays small.

    Args:
        clips: array `(N, T, H, W, C)`.
        training_clips: array `(M, T, H, W, C)` on the same scale, M at least `candidates`.
        candidates: how many training clips are compared in full with each clip.

    Returns:
        int64 index `(N,)` of the nearest training clip, and float64 distance `(N,)` to it in the unit of the pixels, 0 for a
        copy.

    Raises:
        CourseError: clips of different sizes.
    """
    if np.ndim(clips) != 5 or np.shape(clips)[1:] != np.shape(training_clips)[1:]:
        raise CourseError(
            f"Clips (n, time, height, width, channels) of one size are compared, got {np.shape(clips)} and "
            f"{np.shape(training_clips)}."
        )
    a, b = _thumbnails(clips), _thumbnails(training_clips)
    squared = (b * b).sum(1) - 2 * a @ b.T  # |a - b|^2 - |a|^2
    near = np.argpartition(squared, candidates - 1, axis=1)[:, :candidates]
    exact = np.empty(near.shape)
    for i, row in enumerate(near):
        difference = training_clips[row].astype(np.float32) - clips[i]
        exact[i] = np.sqrt(np.mean(difference**2, axis=(1, 2, 3, 4)))
    best = exact.argmin(axis=1)[:, None]
    return np.take_along_axis(near, best, axis=1)[:, 0], np.take_along_axis(exact, best, axis=1)[:, 0]


def _thumbnails(clips):
    """Every other frame of each clip, shrunk, as one row of float32."""
    step = max(1, clips.shape[2] // THUMBNAIL)
    height, width = (side // step * step for side in clips.shape[2:4])
    rows = []
    for clip in clips:
        parts = clip[::2, :height, :width].reshape(-1, height // step, step, width // step, step, clip.shape[-1])
        rows.append(parts.mean(axis=(2, 4), dtype=np.float32).ravel())
    return np.stack(rows)


def precision_recall(real_features, made_features, neighbours=3):
    """Whether made clips look real, and whether they are as varied: precision is the share of made clips that lie among the real
    ones, recall the share of real clips that lie among the made ones.

    A point lies among others where it is within one of the balls around them that just reach their k-th nearest neighbour.

    Args:
        real_features: float array `(n, D)`.
        made_features: float array `(m, D)`.
        neighbours: k; n and m are larger.

    Returns:
        precision, recall: floats in [0, 1]. Two samples of one distribution score less than 1, the less the fewer they are.

    Raises:
        CourseError: features of different lengths, or too few.

    References:
        Kynkäänniemi, Karras, Laine, Lehtinen and Aila, 2019, "Improved precision and recall metric for assessing generative
        models".
    """
    real, made = np.asarray(real_features, np.float64), np.asarray(made_features, np.float64)
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or min(len(real), len(made)) <= neighbours:
        raise CourseError(
            f"Precision and recall compare features (n, d) and (m, d), n and m above {neighbours}, got {real.shape} "
            f"and {made.shape}."
        )
    across = _distances(made, real)
    reach_real, reach_made = (np.sort(_distances(x, x), axis=1)[:, neighbours] for x in (real, made))  # 0 is the point itself
    precision = np.mean((across <= reach_real).any(axis=1))
    recall = np.mean((across <= reach_made[:, None]).any(axis=0))
    return float(precision), float(recall)


def _distances(a, b):
    squared = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)
    return np.sqrt(np.maximum(squared, 0))


def frechet_distance(features_a, features_b):
    """How far two sets of features lie apart: squared Fréchet distance of Gaussians fitted to them.

    It is `|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))` with their means m and covariances C.

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
        message = "A Fréchet distance compares features (n, d) and (m, d) with more rows than columns"
        raise CourseError(f"{message}, got {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CourseError("A Fréchet distance needs finite features; some are not: has the model diverged?")
    covariance_a, covariance_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # C_a C_b has the eigenvalues of the symmetric root(C_a) C_b root(C_a), and these are real and at least 0.
    shared = np.linalg.eigvalsh(root @ covariance_b @ root)
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + max(spread, 0.0))


def of_one_shape(a, b):
    """Two videos as numbers that can be subtracted without wrapping round, as uint8 would.

    Args:
        a: array.
        b: array of the same shape.

    Returns:
        Both as float64 arrays.

    Raises:
        CourseError: arrays of different shapes.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise CourseError(f"Two videos of one shape are needed to compare them, got {a.shape} and {b.shape}.")
    return a, b
