"""Metrics of memorisation: how near generated images and clips come to those that a model was trained on."""

import numpy as np

from ..errors import CourseError

THUMBNAIL_SIZE = 8  # px: height and width of the frames by which candidates are found
NUM_CANDIDATES = 3  # training clips that are compared in full with each clip


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


def nearest_clip(clips, training_clips):
    """The training clip nearest to each clip, by root mean squared difference of all pixels of all frames.

    To keep memory small, candidates are found by thumbnails of every other frame, and the nearest `NUM_CANDIDATES` by these
    are compared in full.

    Args:
        clips: array `(N, T, H, W, C)`.
        training_clips: array `(M, T, H, W, C)` on the same scale.

    Returns:
        int64 index `(N,)` of the nearest training clip, and float64 distance `(N,)` to it in the unit of the pixels, at least 0;
        0 for a copy.

    Raises:
        CourseError: clips of different sizes, or none.

    References:
        Rahman, Perera and Patel, 2024, "Frame by familiar frame: understanding replication in video diffusion models".
    """
    clips, training_clips = _checked(clips, training_clips, "Clips (n, time, height, width, channels)", 5)
    squared = _squared_distances(_thumbnails(clips), _thumbnails(training_clips))
    count = min(NUM_CANDIDATES, len(training_clips))
    candidates = np.argpartition(squared, count - 1, axis=1)[:, :count]
    distance = np.empty(candidates.shape)
    for i, row in enumerate(candidates):
        difference = training_clips[row].astype(np.float32) - clips[i]
        distance[i] = np.sqrt(np.mean(difference**2, axis=(1, 2, 3, 4)))
    best = distance.argmin(axis=1)[:, None]
    return np.take_along_axis(candidates, best, axis=1)[:, 0], np.take_along_axis(distance, best, axis=1)[:, 0]


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
