"""Metrics of predicted frames: error beside a baseline, causality, diversity of samples, and what a long rollout loses."""

import numpy as np

from ..errors import CourseError
from .image import check_same_shape, ssim
from .tracking import image_moments


def copy_last(context, num_frames=10):
    """The copy-last-frame baseline: a prediction that nothing moves.

    Args:
        context: uint8 `(N, T, H, W, C)`.
        num_frames: frames to predict; Moving MNIST's ten by default.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    return np.repeat(context[:, -1:], num_frames, axis=1)


def mse_per_frame(real, predicted):
    """Squared error of each frame, summed over its pixels on the scale from 0 to 1.

    Papers on Moving MNIST call its mean over clips and frames MSE, though it is a sum over pixels.

    Args:
        real: uint8 `(..., H, W, C)`.
        predicted: uint8 of the same shape.

    Returns:
        float32 `(...)` from 0 to H W C, lower is better.

    Raises:
        CourseError: arrays of different shapes.

    References:
        Srivastava, Mansimov and Salakhutdinov, 2015, "Unsupervised learning of video representations using LSTMs".
    """
    check_same_shape(real, predicted)
    difference = (real.astype(np.float32) - predicted) / 255
    return np.sum(difference**2, axis=(-3, -2, -1))


def evaluate_prediction(clips, predicted):
    """Error of predicted frames, also as a multiple of that of two baselines, and their SSIM.

    Args:
        clips: uint8 `(N, T, H, W, C)`, real clips.
        predicted: uint8 `(N, K, H, W, C)`, a prediction of their last K frames, K < T.

    Returns:
        dict of float: "mse", the mean over clips and frames of `mse_per_frame`; "mse_vs_copy_last" and "mse_vs_zeros", the same
        as a multiple of what the last context frame and black frames score, at least 0, 1 for the baseline itself; "ssim", in
        [-1, 1], the only one of which more is better.

    Raises:
        CourseError: predictions of another shape, or clips of which a baseline predicts all, so that its error is 0.
    """
    count = predicted.shape[1]
    context, real = clips[:, :-count], clips[:, -count:]
    guesses = predicted, copy_last(context, count), np.zeros_like(real)
    error, last, zeros = (float(mse_per_frame(real, guess).mean()) for guess in guesses)
    if not (last and zeros):
        raise CourseError("These clips stand still or are black, so a baseline has no error: give others.")
    likeness = float(ssim(real, predicted).mean())
    return {"mse": error, "mse_vs_copy_last": error / last, "mse_vs_zeros": error / zeros, "ssim": likeness}


def causality_gap(model, frames, t, seed=0):
    """Largest change of outputs before frame t when noise replaces it: a test for temporal leakage.

    Args:
        model: function from float `(B, T, H, W, C)` to outputs `(B, T, ...)`, one for each frame.
        frames: float `(B, T, H, W, C)`.
        t: index of the frame, from 1.
        seed: of the noise.

    Returns:
        float at least 0, in the unit of the outputs: exactly 0 for a causal model, which doesn't see the future.

    Raises:
        CourseError: no frame t with others before it.
    """
    disturbed = np.array(frames)
    if not 0 < t < disturbed.shape[1]:
        raise CourseError(f"Causality is tested at a frame from 1 to {disturbed.shape[1] - 1}, got t={t}.")
    disturbed[:, t] = np.random.default_rng(seed).uniform(-1, 1, disturbed[:, t].shape)
    before, after = (np.asarray(model(x))[:, :t] for x in (frames, disturbed))
    return float(np.abs(before - after).max())


def sample_mse(real, samples):
    """Error of each sample of the future: `mse_per_frame`, averaged over frames.

    Args:
        real: uint8 `(N, F, H, W, C)`.
        samples: uint8 `(N, K, F, H, W, C)`, K samples of the future of each clip.

    Returns:
        float32 array `(N, K)` from 0 to H W C, lower is better; its mean over K is the expected error of one sample, its minimum
        that of the best of K.

    Raises:
        CourseError: samples of another shape.

    References:
        Denton and Fergus, 2018, "Stochastic video generation with a learned prior" (best of K samples).
    """
    check_same_shape(real, samples[:, 0])
    pairs = zip(real, samples)
    return np.array([[mse_per_frame(clip, sample).mean() for sample in own] for clip, own in pairs])


def energy_score(real, samples):
    """Energy score of samples of the future: a proper score, which samples of the true distribution minimise.

    The mean distance of the samples from what happened, less half their mean distance from one another; distances are Euclidean,
    of all pixels of a clip on the scale from 0 to 1.

    Args:
        real: uint8 `(N, T, H, W, C)`, what happened.
        samples: uint8 `(N, K, T, H, W, C)`, K at least 2.

    Returns:
        float64 array `(N,)`, lower is better.

    Raises:
        CourseError: a single sample of each, or shapes that don't fit.

    References:
        Gneiting and Raftery, 2007, "Strictly proper scoring rules, prediction, and estimation".
    """
    check_same_shape(real, samples[:, 0])
    count = samples.shape[1]
    if count < 2:
        raise CourseError("An energy score needs at least two samples of each future.")
    scores = []
    for clip, futures in zip(real, samples):
        futures = np.reshape(futures, (count, -1)) / 255.0
        to_real = np.linalg.norm(futures - np.reshape(clip, -1) / 255.0, axis=1).mean()
        squares = np.sum(futures**2, axis=1)
        between = np.sqrt(np.maximum(squares[:, None] + squares - 2 * futures @ futures.T, 0))
        scores.append(to_real - between.sum() / (2 * count * (count - 1)))
    return np.array(scores)


def sample_variance(samples):
    """Diversity of samples of one future: their variance in each frame, summed over pixels from 0 to 1.

    Args:
        samples: uint8 `(N, K, F, H, W, C)`, K samples of the future of each of N clips.

    Returns:
        float64 array `(N, F)` from 0, where all samples agree, to H W C / 4.
    """
    return np.stack([clip.var(axis=0).sum(axis=(1, 2, 3)) for clip in samples]) / 255**2


def first_bounce(bounce, num_context_frames):
    """First frame after the context in which an object bounces, where its way there can be predicted.

    Args:
        bounce: bool array `(N, T, 1)`, whether a wall is touched.
        num_context_frames: frames that a model is given.

    Returns:
        int array `(N,)`, the frame's number after the context, from 0; -1 for clips without a bounce then, or with one in the
        last three frames of the context, which leave too little to see the new direction.
    """
    touches = bounce[:, num_context_frames:, 0]
    recent = bounce[:, max(0, num_context_frames - 3) : num_context_frames, 0]
    clear = touches.any(axis=1) & ~recent.any(axis=1)
    return np.where(clear, touches.argmax(axis=1), -1)


def around_first_bounce(values, first, num_frames_after=4):
    """Means of a quantity up to the first bounce, and in the frames that follow it.

    Args:
        values: float array `(N, F)`, one for each frame after the context.
        first: int array `(N,)` of `first_bounce`; clips with -1 are left out.
        num_frames_after: how many frames after the bounce count.

    Returns:
        (float, float): up to the frame of the bounce, which can be predicted, and after it; NaN where no frame counts.
    """
    distance = np.arange(values.shape[1]) - first[:, None]
    used = first[:, None] >= 0
    before, after = used & (distance <= 0), used & (distance > 0) & (distance <= num_frames_after)
    return float(values[before].mean()), float(values[after].mean())


def ratio_after_bounce(values, bounce, num_context_frames=5):
    """Mean of a quantity in the frames that follow a bounce, divided by its mean in the others.

    Args:
        values: float array `(N, T-1)`, for frames 1 to T-1.
        bounce: bool array `(N, T, 1)`, whether a wall is touched.
        num_context_frames: frames before this one don't count: at the start no direction has been seen yet.

    Returns:
        float; NaN where either kind of frames is missing.
    """
    follows = bounce[:, num_context_frames - 1 : -1, 0]
    values = values[:, num_context_frames - 1 :]
    return float(values[follows].mean() / values[~follows].mean())


def error_accumulation(context, rollout, preserved, num_windows=4):
    """What a long rollout of one moving object loses: its identity, brightness and speed, part by part.

    Args:
        context: uint8 `(N, P, H, H, 1)`, the frames that it continues.
        rollout: uint8 `(N, F, H, H, 1)`, F a multiple of `num_windows`.
        preserved: bool `(N, F)`, whether a classifier sees the object of the context in each frame of the rollout.
        num_windows: parts of the rollout, measured one by one.

    Returns:
        dict of float arrays `(num_windows,)`: "identity_preserved", the share of frames in [0, 1]; "brightness", the sum of the
        pixels of a frame as a multiple of the context's, 1 for a perfect rollout; "speed", of the centroid of brightness, in
        px per frame.

    Raises:
        CourseError: a rollout that can't be divided into so many parts.
    """
    if rollout.shape[1] % num_windows:
        raise CourseError(f"{rollout.shape[1]} frames can't be divided into {num_windows} equal parts.")
    frames = np.concatenate([context[:, -1:], rollout], axis=1)[..., 0]  # (N, 1 + F, H, H)
    total, centroid = image_moments(frames)  # (N, 1 + F), (N, 1 + F, x y)
    measured = {
        "identity_preserved": preserved,
        "brightness": total[:, 1:] / context.sum(axis=(2, 3, 4)).mean(axis=1)[:, None],
        "speed": np.linalg.norm(np.diff(centroid, axis=1), axis=-1),
    }
    parts = {name: value.reshape(len(rollout), num_windows, -1) for name, value in measured.items()}
    return {name: value.mean(axis=(0, 2)) for name, value in parts.items()}
