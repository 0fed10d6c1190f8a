"""Metrics of clips in time: whether they move, how much they flicker, and what changes that motion doesn't explain."""

import itertools

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.registration import optical_flow_ilk

from ..errors import CourseError


def is_static(frames, tolerance=1.0):
    """Whether a clip stands still: no frame differs from the one before by more than a root mean squared difference.

    The share of static clips is the opposite of a *dynamic degree*: a model that only generates stills has perfect scores of
    smoothness.

    Args:
        frames: array `(..., T, H, W, C)`, T at least 2.
        tolerance: largest root mean squared difference that is called still, in the unit of the pixels. The default is about
            what video compression changes.

    Returns:
        bool array `(...)`.

    Raises:
        CourseError: fewer than two frames.

    References:
        Huang and others, 2024, "VBench: comprehensive benchmark suite for video generative models" (dynamic degree, there by
        optical flow).
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim < 4 or frames.shape[-4] < 2:
        raise CourseError(f"A clip needs two frames (..., time, height, width, channels) to stand still, got {frames.shape}.")
    change = np.mean(np.diff(frames, axis=-4) ** 2, axis=(-3, -2, -1))
    return np.sqrt(change.max(axis=-1)) <= tolerance


def flicker(frames):
    """Mean absolute change of the mean brightness from frame to frame, as a share of its mean over time.

    Args:
        frames: array `(T, H, W, C)`, values at least 0, T at least 2.

    Returns:
        float at least 0, without unit; 0 where objects only move on a uniform background. Compare it with that of real clips.

    Raises:
        CourseError: not four axes, or fewer than two frames.
    """
    frames = _checked(np.asarray(frames, np.float64), "Flicker")
    brightness = frames.mean(axis=(1, 2, 3))
    return float(np.mean(np.abs(np.diff(brightness))) / max(brightness.mean(), 1e-12))


def temporal_autocorrelation(frames, lag=1):
    """Correlation over all pixels of their deviation from their mean over time with that `lag` frames later.

    Args:
        frames: array `(T, H, W, C)`.
        lag: frames between the two, 0 < lag < T.

    Returns:
        float in [-1, 1] up to the effect of the ends: near 1 for a coherent video, near 0 for independent frames (their
        expectation is -1/T, because the mean is estimated from the same frames), 0 for a static clip.

    Raises:
        CourseError: not four axes, or too few frames for the lag.

    References:
        Box and Jenkins, 1970, "Time series analysis: forecasting and control".
    """
    frames = np.asarray(frames, np.float64)
    if frames.ndim != 4 or not 0 < lag < len(frames):
        message = f"Autocorrelation at lag {lag} needs frames (time, height, width, channels), time > lag"
        raise CourseError(f"{message}, got {frames.shape}.")
    deviation = frames - frames.mean(axis=0)
    energy = np.mean(deviation**2)
    return float(np.mean(deviation[lag:] * deviation[:-lag]) / energy) if energy > 0 else 0.0


def estimate_optical_flow(frames, num_warps=10):
    """Dense optical flow from each frame to the next one, by an iterative Lucas-Kanade method (scikit-image's).

    It sees the frames alone, so it is right only where there is texture, and where objects move by few pixels.

    Args:
        frames: uint8 array `(T, H, W, C)`, T at least 2, 1 or 3 channels.
        num_warps: iterations, in each of which the next frame is warped by the estimate so far; few are quicker, and enough for
            displacements of a px or two.

    Returns:
        float32 `(T-1, H, W, 2)`, (dx, dy) in px per frame.

    Raises:
        CourseError: not four axes, fewer than two frames, or other than uint8.

    References:
        Le Besnerais and Champagnat, 2005, "Dense optical flow by iterative local window registration".
    """
    frames = _checked_pixels(frames, "Optical flow")
    grey = frames.astype(np.float32).mean(axis=-1) / 255
    flow = [optical_flow_ilk(*pair, radius=4, num_warp=num_warps, prefilter=True) for pair in itertools.pairwise(grey)]
    return np.stack(flow)[:, ::-1].transpose(0, 2, 3, 1).astype(np.float32)  # (T-1, dy dx, H, W) -> (T-1, H, W, dx dy)


def warping_error(frames, forward=None, backward=None):
    """Root mean squared difference between each frame and the next one, warped back along the optical flow.

    It is what changes from frame to frame and isn't motion; occluded pixels are left out. A pixel counts as not occluded where
    forward and backward flow are consistent: `|f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5`, with b taken where f points. Where that
    holds for no pixel of a frame, all count.

    Args:
        frames: uint8 array `(T, H, W, C)`, T at least 2.
        forward: float `(T-1, H, W, 2)`, the optical flow from each frame to the next, (dx, dy) in px; None estimates both.
        backward: float `(T-1, H, W, 2)`, the optical flow from each next frame back; None only together with `forward`.

    Returns:
        float from 0 to 1, as a share of the range of a pixel, lower is better: 0 where motion explains every change, and for
        static clips.

    Raises:
        CourseError: not four axes, fewer than two frames, other than uint8, one flow of the two, or one of another size.

    References:
        Lai, Huang, Wang, Shechtman, Yumer and Yang, 2018, "Learning blind video temporal consistency" (the error).
        Sundaram, Brox and Keutzer, 2010, "Dense point trajectories by GPU-accelerated large displacement optical flow" (the
        forward-backward consistency check).
    """
    frames = _checked_pixels(frames, "Warping error")
    if forward is None and backward is None:
        forward, backward = estimate_optical_flow(frames), estimate_optical_flow(frames[::-1])[::-1]
    forward, backward = np.asarray(forward), np.asarray(backward)
    if not forward.shape == backward.shape == (len(frames) - 1, *frames.shape[1:3], 2):
        message = "Frames (T, H, W, C) need two flows (T-1, H, W, 2), or none to have them estimated"
        raise CourseError(f"{message}, got {frames.shape}, {forward.shape} and {backward.shape}.")
    errors = []
    for frame, following, there, back in zip(frames, frames[1:], forward, backward):
        back = _backward_warp(back, there)
        consistent = np.sum((there + back) ** 2, axis=-1) < 0.01 * np.sum(there**2 + back**2, axis=-1) + 0.5
        difference = np.mean((frame - _backward_warp(following, there)) ** 2, axis=-1)
        errors.append(difference[consistent].mean() if consistent.any() else difference.mean())
    return float(np.sqrt(np.mean(errors)) / 255)


def _backward_warp(image, flow):
    """`image(x + flow(x))` for an image `(H, W, C)`, float64: bilinear between pixels, the border repeated outside."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]]
    places = np.stack([y + flow[..., 1], x + flow[..., 0]])
    channels = np.moveaxis(image, -1, 0)
    warped = [map_coordinates(channel, places, output=np.float64, order=1, mode="nearest") for channel in channels]
    return np.stack(warped, axis=-1)


def _checked(frames, what):
    if frames.ndim != 4 or len(frames) < 2:
        raise CourseError(f"{what} needs at least two frames (time, height, width, channels), got {frames.shape}.")
    return frames


def _checked_pixels(frames, what):
    frames = np.asarray(frames)
    if frames.dtype != np.uint8:
        raise CourseError(f"{what} takes uint8 pixels from 0 to 255, got {frames.dtype}: convert them by video.to_uint8.")
    return _checked(frames, what)
