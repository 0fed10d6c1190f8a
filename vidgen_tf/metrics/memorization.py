"""Metrics of memorisation: how near generated images and clips come to those that a model was trained on."""

import itertools

import numpy as np

from ..errors import CourseError

THUMBNAIL_SIZE = 8  # px: height and width of the frames by which candidates are found
NUM_FREQUENCIES = (3, 6, 6)  # of time, y and x, above 0
NUM_CANDIDATES = 10  # training clips that are compared in full with each clip
FRAME_STEP = 4  # of the frames in which the best alignment is looked for
BLOCK = 50  # clips whose frequencies are computed at once, so that they stay in the cache


def nearest_image(images, training_images):
    """The training image nearest to each image, by root mean squared difference of the pixels.

    Args:
        images: array `(N, H, W, C)`.
        training_images: array `(M, H, W, C)` on the same scale.

    Returns:
        int64 index `(N,)` of the nearest training image, and float32 distance `(N,)` to it in the unit of the pixels, at least
        0; 0 for a copy.

    Raises:
        CourseError: images of different sizes, or none.

    References:
        Carlini, Hayes, Nasr, Jagielski, Sehwag, Tramèr, Balle, Ippolito and Wallace, 2023, "Extracting training data from
        diffusion models" (memorised samples by distance of the pixels).
    """
    images, training_images = _checked(images, training_images, "Images (n, height, width, channels)", 4)
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (images, training_images))
    index = _squared_distances(a, b).argmin(axis=1)
    return index, np.sqrt(np.mean((a - b[index]) ** 2, axis=1))


def nn_distance_ratio(images, test_images, training_images):
    """Median distance of images to the nearest training image, divided by that of test images.

    Args:
        images: array `(N, H, W, C)`, generated ones.
        test_images: array `(K, H, W, C)`, real ones that no model was trained on.
        training_images: array `(M, H, W, C)`, those to search.

    Returns:
        float at least 0, without unit: 0 for copies of training images, near 1 for images as new as the test images.

    Raises:
        CourseError: images of different sizes, none, or test images of which half or more are training images.

    References:
        Meehan, Chaudhuri and Dasgupta, 2020, "A non-parametric test to detect data-copying in generative models" (generated and
        test samples compared by their distance to the training set).
    """
    generated, real = (np.median(nearest_image(some, training_images)[1]) for some in (images, test_images))
    if real == 0:
        raise CourseError("Half of the test images are training images: give test images that no model was trained on.")
    return float(generated / real)


def nearest_clip(clips, training_clips, *, max_shift=0, max_delay=0, mirrored=False):
    """The training clip nearest to each clip, by root mean squared difference of the pixels, in the alignment that fits best.

    A copy moved by a pixel, mirrored, or begun a frame later is a copy still, but lies far away pixel by pixel; the options
    search all these alignments. What is compared is the middle of a training clip, in space and time, which every alignment
    covers. Candidates are found by a descriptor, the nearest `NUM_CANDIDATES` are compared in full: thumbnails of every other
    frame, or, where a copy may be moved, the amplitudes of the low spatial and temporal frequencies, which a move leaves as they
    are.

    Args:
        clips: array `(N, T, H, W, C)`.
        training_clips: array `(M, T, H, W, C)` on the same scale; or a list of such arrays, or anything that yields them each
            time it is gone through, so that not all need lie in memory.
        max_shift: int, px by which a copy may be moved, up or down and left or right.
        max_delay: int, frames by which it may begin earlier or later.
        mirrored: whether it may be mirrored left to right.

    Returns:
        int64 index `(N,)` of the nearest training clip, and float64 distance `(N,)` to it in the unit of the pixels, at least 0;
        0 for a copy.

    Raises:
        CourseError: clips of different sizes, or none; or alignments that leave nothing to compare.

    References:
        Rahman, Perera and Patel, 2024, "Frame by familiar frame: understanding replication in video diffusion models".
    """
    blocks = [training_clips] if isinstance(training_clips, np.ndarray) else training_clips
    clips = np.asarray(clips)
    window = _window(clips.shape, max_shift, max_delay)
    describe = _amplitudes if max_shift else _thumbnails
    starts = list(itertools.product(range(-max_delay, max_delay + 1), (False, True) if mirrored else (False,)))
    queries = [describe(_aligned(clips, window[:1], (delay,), flipped)) for delay, flipped in starts]
    found, first = _Candidates(len(clips)), 0
    for block in blocks:
        _, block = _checked(clips, block, "Clips (n, time, height, width, channels)", 5)
        found.add(queries, describe(_aligned(block, window[:1])), first)
        first += len(block)
    if not first:
        raise CourseError("There are no training clips to search.")
    index, first = found.index, 0
    distance = np.full(index.shape, np.inf)  # and stays so where there are fewer training clips than candidates
    for block in blocks:
        here = (index >= first) & (index < first + len(block))
        for n in np.flatnonzero(here.any(axis=1)):
            others = _aligned(block[index[n, here[n]] - first], window)
            moved = (_aligned(clips[n], window[:1], (delay,), flipped) for delay, flipped in starts)
            distance[n, here[n]] = np.minimum.reduce([_least_distances(clip, others, max_shift) for clip in moved])
        first += len(block)
    best = distance.argmin(axis=1)[:, None]
    return tuple(np.take_along_axis(values, best, axis=1)[:, 0] for values in (index, distance))


def _least_distances(clip, others, max_shift):
    """Root mean squared difference of a clip `(T, H, W, C)`, moved as it fits best, from middles of others `(K, T, h, w, C)`.

    How it fits best is seen in every `FRAME_STEP`-th frame: of a copy, all frames agree about that.
    """
    clip, others = clip.astype(np.float32), others.astype(np.float32)
    moved = np.lib.stride_tricks.sliding_window_view(clip, others.shape[2:4], axis=(1, 2))  # (T, dy, dx, C, h, w)
    some = np.moveaxis(moved[::FRAME_STEP], (0, 3), (2, 5)).reshape((2 * max_shift + 1) ** 2, -1)
    best = _squared_distances(some, others[:, ::FRAME_STEP].reshape(len(others), -1)).argmin(axis=0)
    fitting = moved[(slice(None), *np.divmod(best, 2 * max_shift + 1))]  # (T, K, C, h, w)
    error = (np.moveaxis(fitting, (1, 2), (0, 4)) - others) ** 2
    return np.sqrt(np.mean(error, axis=(1, 2, 3, 4), dtype=np.float64))


def _window(shape, max_shift, max_delay):
    """The frames, rows and columns, three slices, that a clip covers however it is moved."""
    if len(shape) != 5 or 0 in shape:
        raise CourseError(f"Clips (n, time, height, width, channels) of one size are compared, got {shape}.")
    margins = (max_delay, max_shift, max_shift)
    if min(margins) < 0 or any(side <= 2 * margin for side, margin in zip(shape[1:4], margins)):
        raise CourseError(f"Alignments by {max_shift} px and {max_delay} frames leave nothing of clips {shape[1:]} to compare.")
    return tuple(slice(margin, side - margin) for side, margin in zip(shape[1:4], margins))


def _aligned(clips, window, moves=(0, 0, 0), flipped=False):
    """The part of clips `(..., T, H, W, C)` that lies in the window, of frames alone or of rows and columns too, once the clips
    are mirrored and moved."""
    slices = [slice(part.start + move, part.stop + move) for part, move in zip(window, moves)]
    slices += [slice(None)] * (4 - len(slices))
    return (clips[..., ::-1, :] if flipped else clips)[(..., *slices)]


class _Candidates:
    """The training clips with the nearest descriptors so far: index and squared distance `(N, NUM_CANDIDATES)`, -1 for none."""

    def __init__(self, count):
        self.distance = np.full((count, NUM_CANDIDATES), np.inf, np.float32)
        self.index = np.full(self.distance.shape, -1)

    def add(self, queries, descriptors, first):
        """Compares the clips' descriptors, one array for each start, with those of training clips number `first` and on."""
        distance = _squared_distances(np.concatenate(queries), descriptors)
        distance = distance.reshape(len(queries), -1, len(descriptors)).min(axis=0)  # (starts * N, M) -> (N, M)
        index = np.broadcast_to(first + np.arange(len(descriptors)), distance.shape)
        distance, index = (np.concatenate(pair, axis=1) for pair in ((self.distance, distance), (self.index, index)))
        chosen = np.argpartition(distance, NUM_CANDIDATES - 1, axis=1)[:, :NUM_CANDIDATES]
        self.distance, self.index = (np.take_along_axis(values, chosen, axis=1) for values in (distance, index))


def _amplitudes(clips):
    """Amplitudes of the lowest frequencies of each clip in time, y and x, as one row of float32."""
    return np.concatenate([_block_amplitudes(clips[first : first + BLOCK]) for first in range(0, len(clips), BLOCK)])


def _block_amplitudes(clips):
    count, times, height, width = clips.shape[:4]
    x = np.moveaxis(clips, 3, -1).astype(np.float32, order="C")  # (N, T, H, W, C) -> (N, T, H, C, W)
    wave = _wave(width, np.arange(NUM_FREQUENCIES[2] + 1))  # of a real signal, half of one axis says all
    x = (x.reshape(-1, width) @ wave.real) + 1j * (x.reshape(-1, width) @ wave.imag)
    for axis, length, most in ((2, height, NUM_FREQUENCIES[1]), (1, times, NUM_FREQUENCIES[0])):
        if axis == 2:
            x = x.reshape(count, times, height, -1)
        wave = _wave(length, np.arange(-most, most + 1))
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ wave, -1, axis)
    return np.abs(x).reshape(count, -1)


def _wave(length, frequencies):
    """Complex waves `(length, K)` of whole numbers of periods."""
    return np.exp(-2j * np.pi * np.outer(np.arange(length), frequencies) / length).astype(np.complex64)


def _checked(items, training_items, what, axes):
    """Both as arrays with so many axes, at least one item in each and all of one size."""
    items, training_items = np.asarray(items), np.asarray(training_items)
    if items.ndim != axes or items.shape[1:] != training_items.shape[1:] or 0 in (len(items), len(training_items)):
        raise CourseError(f"{what} of one size are compared, got {items.shape} and {training_items.shape}.")
    return items, training_items


def _squared_distances(a, b):
    """`|a_i - b_j|^2 = |a_i|^2 - 2 a_i b_j + |b_j|^2` for rows `(N, D)` and `(M, D)`, float `(N, M)`.

    One matrix product, fast enough to search; it cancels digits, so the distance to what was found is computed anew.
    """
    return (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)


def _thumbnails(clips):
    """Every other frame of each clip, averaged down to about `THUMBNAIL_SIZE`, as one row of float32."""
    step = max(1, clips.shape[2] // THUMBNAIL_SIZE)
    height, width = (side // step * step for side in clips.shape[2:4])
    rows = []
    for clip in clips:
        parts = clip[::2, :height, :width].reshape(-1, height // step, step, width // step, step, clip.shape[-1])
        rows.append(parts.mean(axis=(2, 4), dtype=np.float32).ravel())
    return np.stack(rows)
